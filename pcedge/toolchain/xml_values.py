"""The texts at some paths of an XML document that is read piece by piece, in memory that does not grow with it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from xml.parsers import expat

from pcedge.errors import FormatError

#: characters of a tag or comment, elements within each other, different names, and characters of a text, at most
LONGEST_TAG, DEEPEST, MOST_NAMES, LONGEST_TEXT = 1 << 18, 100, 4096, 1000


def xml_values(pieces: Iterable[str], wanted: Collection[str], broken: Callable[[str], FormatError]) -> dict[str, str]:
    """Give the first text at every wanted path that there is; an element without text gives an empty one.

    Args:
        pieces: the document.
        wanted: paths below the root, as `a/b`.
        broken: makes the error of a reason.

    Raises:
        FormatError: the document is no XML, has a document type or entities, or what no report needs: very long tags or
            texts, very many names, very deep elements.

    Example:
        >>> xml_values(["<r><a><b>1</b></a>", "<a><b>2</b></a></r>"], {"a/b"}, lambda reason: FormatError("r", reason))
        {'a/b': '1'}
    """
    reader = _Reader(wanted, broken)
    parser = expat.ParserCreate("utf-8")
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    fed = 0
    try:
        for piece in pieces:
            parser.Parse(piece)
            fed += len(piece.encode())
            # What was fed and is no tag yet is kept by the parser.
            if fed - parser.CurrentByteIndex > LONGEST_TAG + len(piece):
                raise broken(f"must have tags of at most {LONGEST_TAG} characters")
        parser.Parse("", True)
    except (expat.ExpatError, ValueError) as error:
        raise broken(f"must be XML ({error})") from error
    return reader.values


class _Reader:
    """Hold where in the document the parser is."""

    def __init__(self, wanted: Collection[str], broken: Callable[[str], FormatError]) -> None:
        self.values: dict[str, str] = {}
        self._wanted = wanted
        self._broken = broken
        self._path: list[str] = []
        self._names: set[str] = set()
        #: the path whose text is being read
        self._open: str | None = None

    def doctype(self, *_: object) -> None:
        raise self._broken("a report must have no document type and no entities")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        self._names.update([name], attributes)
        if len(self._path) > DEEPEST or len(self._names) > MOST_NAMES:
            raise self._broken(
                f"must have at most {DEEPEST} elements within each other and {MOST_NAMES} different names"
            )
        path = "/".join(self._path[1:])
        self._open = path if path in self._wanted and path not in self.values else None
        if self._open is not None:
            self.values[self._open] = ""

    def characters(self, text: str) -> None:
        if self._open is not None:
            self.values[self._open] += text
            if len(self.values[self._open]) > LONGEST_TEXT:
                raise self._broken(f"must have at most {LONGEST_TEXT} characters at {self._open}")

    def end(self, name: str) -> None:
        self._path.pop()
        self._open = None
