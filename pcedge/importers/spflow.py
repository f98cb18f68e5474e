"""SPFlow's text forms of a circuit: units by name with the units below them in braces, or an equation."""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass

from pcedge.errors import FormatError
from pcedge.importers import libra, spflow_equation
from pcedge.importers.graph import Product, Sum
from pcedge.importers.gridding import Gridding
from pcedge.importers.normalise import Draft
from pcedge.importers.spflow_leaves import LEAVES, RULE, RawLeaf, draft_of, log_weights, read_leaf
from pcedge.importers.spflow_names import LEAF, names_of, variables_of
from pcedge.importers.text import decode, number
from pcedge.limits import MemoryBudget

#: a unit up to its parentheses: its name, its type
_HEAD = re.compile(r"([^\s(){}\[\]|;,*#]+)[ \t]+([A-Za-z]\w*)\(")
_INNER = re.compile(r"([^(){}]*)\)")
_SPACE = re.compile(r"\s+")
#: a number as numpy 2 prints it within a list
_NUMPY = re.compile(r"\b(?:np|numpy)\.[a-z]+[0-9]*\(([^()\[\]\s]*)\)")


@dataclass(frozen=True)
class _Entry:
    """Hold a unit as it is written: its type, its variable if it is a leaf, the rest of its parentheses, its line."""

    kind: str
    variable: str
    inside: str
    line: int

    def same(self, other: _Entry) -> bool:
        """Tell whether two say the same, whatever the spaces."""
        return all(
            "".join(mine.split()) == "".join(its.split())
            for mine, its in ((self.kind, other.kind), (self.variable, other.variable), (self.inside, other.inside))
        )


def read(data: bytes, where: str, budget: MemoryBudget, gridding: Gridding | None = None) -> Draft:
    """Read an SPFlow text file, or one of Libra's in its place.

    The first unit is the root. A unit may be written several times, as SPFlow does with one that has several parents,
    if every time it is the same. The last line that starts with `#` names the variables in the order of the data's
    columns; without one those named V and a number are of the column of that number.

    Returns:
        The layers, not yet normalised, with the variables' names.

    Raises:
        FormatError: the text breaks the format; the message has the line or the unit.
        CircuitError: a rule of circuits is broken; the message has the unit.
    """
    text = _NUMPY.sub(r"\1", decode(data, where))
    if libra.is_libra(text):
        return libra.read(text, where, budget)
    chosen = gridding or Gridding()
    if spflow_equation.is_equation(text):
        return spflow_equation.read(text, where, budget, chosen)
    entries, comment = _scan(text, where)
    if not entries:
        raise FormatError(RULE, f"{where} must hold at least one unit, 'Name Type(…)', it holds none")
    leaves = (entry.variable for entry in entries.values() if entry.kind not in ("ProductNode", "SumNode"))
    variables = variables_of(leaves, names_of(comment, where))
    units: dict[Hashable, RawLeaf | Product | Sum] = {}
    for name, entry in entries.items():
        at = f"{where}, line {entry.line}, {name}"
        if entry.kind == "ProductNode":
            units[name] = Product(name, tuple(_words(entry.inside, at)))
        elif entry.kind == "SumNode":
            units[name] = _sum(name, _words(entry.inside, at), at)
        else:
            content = read_leaf(entry.kind, entry.inside, at)
            units[name] = RawLeaf(name, variables.place(entry.variable, at), content)
    return draft_of(units, next(iter(entries)), variables, chosen, budget)


def _scan(text: str, where: str) -> tuple[dict[str, _Entry], str]:
    """Give every unit by its name in the order of the file, and the last comment."""
    entries: dict[str, _Entry] = {}
    comment = ""
    position, line, depth = 0, 1, 0
    while position < len(text):
        sign = text[position]
        start = position
        if space := _SPACE.match(text, position):
            position = space.end()
        elif sign == "#":
            end = text.find("\n", position)
            position = len(text) if end < 0 else end
            comment = text[start + 1 : position]
        elif sign in "{}" and not (sign == "{" and not entries):
            depth += 1 if sign == "{" else -1
            position += 1
            if depth < 0:
                raise FormatError(RULE, f"{where}, line {line}: {sign!r} must close or follow a unit")
        else:
            name, entry, position = _unit(text, position, line, where)
            before = entries.setdefault(name, entry)
            if not before.same(entry):
                raise FormatError(
                    "import-duplicate", f"{where}, line {line}: {name} must be defined once, line {before.line} differs"
                )
        line += text.count("\n", start, position)
    if depth:
        raise FormatError(RULE, f"{where} must close every brace, {depth} are open at its end: a truncated file")
    return entries, comment


def _unit(text: str, position: int, line: int, where: str) -> tuple[str, _Entry, int]:
    head = _HEAD.match(text, position)
    if head:
        name, kind = head.groups()
        if kind in ("ProductNode", "SumNode"):
            if inner := _INNER.match(text, head.end()):
                return name, _Entry(kind, "", inner[1], line), inner.end()
        elif leaf := LEAF.match(text, head.end()):
            return name, _Entry(kind, leaf[1].strip(), leaf[2], line), leaf.end()
        elif kind not in LEAVES and _INNER.match(text, head.end()):
            read_leaf(kind, "", f"{where}, line {line}, {name}")
    got = text[position : position + 40].splitlines()[0]
    if text[position] == "{" and '"' in text[position : position + 80]:
        raise FormatError(RULE, f"{where} must be SPFlow's text, it seems to be JSON, as LibSPN writes it")
    raise FormatError(RULE, f"{where}, line {line}: a unit, 'Name Type(…)', must stand here, got {got!r}")


def _words(inside: str, at: str) -> list[str]:
    words = [word.strip() for word in inside.split(",")]
    if not all(words):
        raise FormatError(RULE, f"{at}: the children must be given by name, got {inside[:40]!r}")
    return words


def _sum(name: str, words: list[str], at: str) -> Sum:
    children, weights = [], []
    for word in words:
        weight, star, child = word.partition("*")
        if not star or not child.strip():
            raise FormatError(RULE, f"{at}: a child must be given as weight*name, got {word[:40]!r}")
        children.append(child.strip())
        weights.append(number(weight.strip(), at))
    return Sum(name, tuple(children), log_weights(weights, at))
