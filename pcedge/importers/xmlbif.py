"""XMLBIF 0.3: variables with their outcomes, and a definition for each, in XML."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from xml.parsers import expat

import numpy as np

from pcedge.errors import FormatError
from pcedge.importers.networks import Collected, Network
from pcedge.importers.text import number
from pcedge.limits import MemoryBudget

RULE = "xmlbif-syntax"

#: bytes of a tag or comment, elements within each other, and different names, at most
LONGEST_TAG, DEEPEST, MOST_NAMES = 1 << 18, 100, 4096

#: bytes that the parser is given at a time
_PIECE = 1 << 16

#: the root elements of others, and whose they are
_OTHERS = {
    "smile": "GeNIe's XDSL", "analysisnotebook": "Microsoft's XBN", "pmml": "PMML", "pmif": "PMIF", "pomdpx": "PomdpX",
    "bayesnet": "Tetrad's", "graphml": "GraphML", "model": "a model of another kind",
}  # fmt: skip

#: elements whose text is read
_TEXTS = {"NAME", "OUTCOME", "FOR", "GIVEN", "TABLE"}


@dataclass(eq=False)
class _Element:
    """Hold a VARIABLE or DEFINITION: the texts of its elements."""

    kind: str
    at: str
    type: str
    texts: dict[str, list[str]] = field(default_factory=dict)


def read(data: bytes, where: str, budget: MemoryBudget) -> Network:
    """Read an XMLBIF file.

    A table has the states of the variable (FOR) fastest, those of the first of its parents (GIVEN) slowest. Document
    types may declare elements, but no entities; properties are skipped.

    Raises:
        FormatError: the file is no XML, or other XML, or a table breaks its rules; the message has the line.
    """
    reader = _Reader(where, budget)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    parser.EntityDeclHandler = reader.entity
    parser.UnparsedEntityDeclHandler = reader.entity
    reader.line = lambda: parser.CurrentLineNumber
    try:
        for start in range(0, len(data), _PIECE):
            parser.Parse(data[start : start + _PIECE])
            # What was fed and is no tag yet is kept by the parser, and looked at again with every piece.
            if start - parser.CurrentByteIndex > LONGEST_TAG:
                raise FormatError(RULE, f"{where} must have tags and comments of at most {LONGEST_TAG} bytes")
        parser.Parse(b"", True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise FormatError(RULE, f"{where} must be XML ({error})") from error
    collected = Collected(where, budget)
    for element in reader.variables:
        _variable(element, collected)
    for element in reader.definitions:
        _definition(element, collected)
    return collected.network()


class _Reader:
    """Hold where in the document the parser is."""

    def __init__(self, where: str, budget: MemoryBudget) -> None:
        self.variables: list[_Element] = []
        self.definitions: list[_Element] = []
        self.line: Callable[[], int] = lambda: 0
        self._where, self._budget = where, budget
        self._path: list[str] = []
        self._names: set[str] = set()
        self._element: _Element | None = None
        self._text: list[str] | None = None

    @property
    def _at(self) -> str:
        return f"{self._where}, line {self.line()}"

    def entity(self, *_: object) -> None:
        raise FormatError(RULE, f"{self._at}: a document must declare no entities")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._names.update([name], attributes)
        tag = name.upper()
        if not self._path and tag != "BIF":
            other = _OTHERS.get(name.lower())
            hint = f", which is {other}" if other else ""
            raise FormatError(
                RULE,
                f"{self._at}: the root element of XMLBIF must be <BIF>, got <{name[:40]}>{hint}: save it as XMLBIF",
            )
        if len(self._path) >= DEEPEST or len(self._names) > MOST_NAMES:
            raise FormatError(
                RULE, f"{self._at}: there must be at most {DEEPEST} elements within each other and {MOST_NAMES} names"
            )
        self._path.append(tag)
        if tag in ("VARIABLE", "DEFINITION") and len(self._path) == 3:
            self._budget.take(1200)
            self._element = _Element(tag, self._at, attributes.get("TYPE", "nature"))
            (self.variables if tag == "VARIABLE" else self.definitions).append(self._element)
        elif tag in ("PROBABILITY", "VALUE") and len(self._path) in (3, 4):
            raise FormatError(
                RULE, f"{self._at}: <{name}> must be that of XMLBIF 0.3, DEFINITION or OUTCOME; save it so"
            )
        elif self._element is not None and len(self._path) == 4 and tag in _TEXTS:
            self._text = []

    def characters(self, text: str) -> None:
        if self._text is not None and len(self._path) == 4:
            self._budget.take(8 + len(text))
            self._text.append(text)

    def end(self, name: str) -> None:
        tag = self._path.pop()
        if self._text is not None and len(self._path) == 3:
            assert self._element is not None
            # Comments part a text, and so do pieces: words end at blanks alone.
            whole = "".join(self._text)
            self._budget.take(100 + len(whole))
            self._element.texts.setdefault(tag, []).append(whole.strip())
            self._text = None
        elif len(self._path) == 2:
            self._element = None


def _one(element: _Element, tag: str) -> str:
    texts = element.texts.get(tag, [])
    if len(texts) != 1:
        raise FormatError(RULE, f"{element.at}: a {element.kind} must have one {tag}, it has {len(texts)}")
    return texts[0]


def _variable(element: _Element, collected: Collected) -> None:
    name = _one(element, "NAME")
    if element.type != "nature":
        raise FormatError(
            RULE, f"{element.at}: {name[:40]!r} must have the type nature, got {element.type[:40]!r}; take it out first"
        )
    collected.add_variable(name, element.texts.get("OUTCOME", []), element.at)


def _definition(element: _Element, collected: Collected) -> None:
    names = [_one(element, "FOR"), *element.texts.get("GIVEN", [])]
    child, *parents = (collected.variable(name, element.at) for name in names)
    words = _one(element, "TABLE").split()
    collected.room((*parents, child), element.at)
    values = np.fromiter((number(word, element.at) for word in words), dtype=np.float64, count=len(words))
    collected.add_table(child, parents, values, element.at)
