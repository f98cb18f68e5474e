"""The variables of SPFlow's text forms: their names, whatever stands in these, their order and their columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from pcedge.errors import FormatError

#: what stands in a leaf's parentheses, with the closing one: any name, a bar, parameters without parentheses or bars
LEAF = re.compile(r"([^\n]{1,400}?)\|([^()|{}]*(?:\{[^{}]*\}[^()|{}]*)*)\)(?=[\s(){}*+#]|\Z)")
_NUMBERED = re.compile(r"V([0-9]{1,9})\Z")


def names_of(comment: str, where: str) -> list[str]:
    """Read the names in a comment 'name;name;…'; none if it is empty.

    Raises:
        FormatError: a name is empty or given twice.
    """
    names = [name.strip() for name in comment.split(";")] if comment.strip() else []
    if len(set(names)) != len(names) or (names and "" in names):
        raise FormatError(
            "spn-syntax", f"{where}: the last line must name every variable once, got {comment.strip()[:80]!r}"
        )
    return names


@dataclass(frozen=True)
class Variables:
    """Hold the variables of a text in their order, with the columns of the data that hold them."""

    names: tuple[str, ...]
    columns: tuple[int, ...]
    #: the names of the file's list, or those of its leaves
    known: tuple[str, ...]
    #: remarks for the user
    notes: tuple[str, ...] = ()

    def place(self, name: str, at: str) -> int:
        """Give a variable's number.

        Raises:
            FormatError: the file's list does not name it.
        """
        if name not in self._places:
            listed = ", ".join(self.known[:8]) + ("…" if len(self.known) > 8 else "")
            raise FormatError("spn-syntax", f"{at}: the variable must be one of {listed}, got {name[:40]!r}")
        return self._places[name]

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}


def variables_of(used: Iterable[str], named: Sequence[str]) -> Variables:
    """Find the variables of a text.

    Those named V and a number are of the column of that number and in its order; others of the column of their place in
    the file's list of names. Names of that list that no leaf has are left out.

    Args:
        used: the leaves' variables in the order of the file.
        named: the file's list of names; empty where it has none.
    """
    distinct = dict.fromkeys(used)
    known = tuple(named or distinct)
    numbers = {name: int(match[1]) for name in known if (match := _NUMBERED.match(name))}
    by_number = len(set(numbers.values())) == len(known)
    columns = numbers if by_number else {name: place for place, name in enumerate(known)}
    names = tuple(sorted((name for name in known if name in distinct), key=columns.__getitem__))
    notes = []
    if absent := [name for name in known if name not in distinct]:
        listed = ", ".join(absent[:8]) + (", …" if len(absent) > 8 else "")
        notes.append(f"variables without a leaf were left out: {listed}")
    if not named and not by_number:
        notes.append("the file has no line '# name;name;…': the variables are in the order of their first leaves")
    placed = tuple(columns[name] for name in names)
    return Variables(names, placed, known, (*notes, *(numbered_from_one(placed) if by_number else ())))


def numbered_from_one(columns: Sequence[int]) -> tuple[str, ...]:
    """Give the remark that variables 1, 2, … are of the columns 1, 2, …, if they are numbered so."""
    if len(columns) < 2 or list(columns) != list(range(1, len(columns) + 1)):
        return ()
    return (f"the variables are numbered 1..{len(columns)}: V1 is of column 1, the second of the data, and so on",)
