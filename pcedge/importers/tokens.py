"""Words and signs of a text with blocks in braces, one after the other, and where they stand."""

from __future__ import annotations

import re

import numpy as np

from pcedge.arrays import FloatArray
from pcedge.errors import FormatError
from pcedge.importers.text import number

#: most numbers of tables, which need no closer look
_PLAIN = re.compile(r"[0-9]{1,9}(?:\.[0-9]{0,20})?\Z")

_ENDS = re.compile(r'\\.|[";]', re.DOTALL)


class Tokens:
    """Walk through a text; a token is a sign, a word, or what stands in quotes.

    Args:
        text: the text.
        pattern: matches blanks and comments as the group `skip`, a quoted text as `quoted` with its inside as
            `inside`, a sign as `sign`, anything else that is one token as `word`.
        rule: of errors.
        where: the file's name, for messages.
    """

    def __init__(self, text: str, pattern: re.Pattern[str], rule: str, where: str) -> None:
        """Stand before the first token."""
        self._text, self._pattern, self._rule, self._where = text, pattern, rule, where
        self._place = self._start = 0
        self._line, self._counted = 1, 0
        #: where the token that was taken last stands
        self._taken = 0
        #: whether quotes in statements that are skipped hide what is in them; not after one that does not close
        self._quotes = True
        #: the token that comes: its text, and whether it is a sign; the text is empty at the end of the file
        self.token, self.is_sign = "", False
        self.advance()

    @property
    def at(self) -> str:
        """Name the file and the line of the token that comes."""
        self._line += self._text.count("\n", self._counted, self._start)
        self._counted = self._start
        return f"{self._where}, line {self._line}"

    @property
    def at_last(self) -> str:
        """Name the file and the line of the token that was taken last."""
        line = self._text.count("\n", 0, self._taken) + 1
        return f"{self._where}, line {line}"

    @property
    def ended(self) -> bool:
        """Tell whether the file is at its end."""
        return self._start >= len(self._text)

    def advance(self) -> str:
        """Go on to the next token, and give the one that came."""
        given, self._taken = self.token, self._start
        while True:
            self._start = self._place
            if self._place >= len(self._text):
                self.token, self.is_sign = "", True
                return given
            found = self._pattern.match(self._text, self._place)
            if found is None:
                raise self.wrong("a word, a number or a sign", self._text[self._place : self._place + 40])
            self._place = found.end()
            if found["skip"] is None:
                break
        self.is_sign = found["sign"] is not None
        self.token = found["inside"] if found["quoted"] is not None else found[0]
        return given

    def takes(self, sign: str) -> bool:
        """Go on if a sign comes; tell whether it did."""
        if self.is_sign and self.token == sign and not self.ended:
            self.advance()
            return True
        return False

    def expect(self, sign: str) -> None:
        """Demand a sign, and go on.

        Raises:
            FormatError: something else comes.
        """
        if not self.takes(sign):
            raise self.wrong(repr(sign))

    def word(self, what: str) -> str:
        """Demand a word, and go on.

        Raises:
            FormatError: a sign comes, or the end.
        """
        if self.is_sign:
            raise self.wrong(what)
        return self.advance()

    def words_until(self, signs: str) -> list[str]:
        """Take words up to one of some signs, which stays.

        Raises:
            FormatError: another sign comes, or the end.
        """
        words = []
        while not self.is_sign:
            words.append(self.advance())
        if self.ended or self.token not in signs:
            raise self.wrong(" or ".join(repr(sign) for sign in signs))
        return words

    def groups(self, separators: str, close: str) -> list[list[str]]:
        """Take words up to a closing sign, in groups between separators; empty groups are none."""
        groups = []
        while True:
            if words := self.words_until(separators + close):
                groups.append(words)
            if self.advance() == close:
                return groups

    def numbers_here(self, skipped: str) -> FloatArray:
        """Take all numbers that come; signs to be skipped may stand between them.

        Raises:
            FormatError: a word is no finite number.
        """
        values: list[float] = []
        while not self.ended and (not self.is_sign or self.token in skipped):
            if not self.is_sign:
                values.append(float(self.token) if _PLAIN.match(self.token) else number(self.token, self.at))
            self.advance()
        return np.array(values, dtype=np.float64)

    def numbers(self, skipped: str, close: str) -> FloatArray:
        """Take numbers up to a closing sign.

        Raises:
            FormatError: a word is no finite number, or another sign comes.
        """
        values = self.numbers_here(skipped)
        if not self.takes(close):
            raise self.wrong(f"a number or {close!r}")
        return values

    def skip_statement(self) -> None:
        """Go past the next ';', but for those in quotes."""
        quoted = False
        for found in _ENDS.finditer(self._text, self._start) if self._quotes else ():
            sign = found[0][-1]
            if quoted and len(found[0]) > 1:
                continue  # escaped
            if sign == '"':
                quoted = not quoted
            elif sign == ";" and not quoted:
                self._place = found.end()
                self.advance()
                return
        self._quotes = False  # one is open to the end: it was none
        end = self._text.find(";", self._start)
        if end < 0:
            raise self.wrong("a statement that ends with ';'")
        self._place = end + 1
        self.advance()

    def skip_block(self) -> None:
        """Go past a block in braces, with all blocks in it."""
        self.expect("{")
        depth = 1
        while depth:
            if self.ended:
                raise self.wrong("'}'")
            if self.is_sign:
                depth += {"{": 1, "}": -1}.get(self.token, 0)
            self.advance()

    def wrong(self, wanted: str, got: str | None = None) -> FormatError:
        """Make the error of what must stand where the next token is."""
        came = self.token if got is None else got
        shown = "the end of the file" if self.ended and got is None else repr(came[:40])
        return FormatError(self._rule, f"{self.at}: {wanted} must stand here, got {shown}")

    def wrong_last(self, wanted: str, got: str) -> FormatError:
        """Make the error of what must stand where the last token was."""
        return FormatError(self._rule, f"{self.at_last}: {wanted} must stand here, got {got[:40]!r}")
