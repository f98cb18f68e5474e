"""Circuits of indicators, products and sums in one text line a unit, as Libra's SPNs are written (`.spn`)."""

from __future__ import annotations

import re
from collections.abc import Hashable

import numpy as np

from pcedge.errors import FormatError
from pcedge.importers.graph import MAX_SYMBOLS, Leaf, Product, Sum, Unit, layers_of
from pcedge.importers.normalise import Draft
from pcedge.importers.text import integer, log_probability
from pcedge.limits import MemoryBudget

RULE = "libra-line"

_DOMAINS = re.compile(r"\s*\(\s*([0-9]+(?:\s+[0-9]+)*)\s*\)[ \t]*(?:\r?\n|\Z)")


def is_libra(text: str) -> bool:
    """Tell whether a text starts with the number of symbols of every variable, as in '(2 2 2)'."""
    return _DOMAINS.match(text) is not None


def read(text: str, where: str, budget: MemoryBudget) -> Draft:
    """Read a text whose first line has the variables' numbers of symbols, and each further line a unit.

    `v variable symbol` is the indicator of a symbol, `* unit unit …` a product, `+ unit log-weight unit log-weight …` a
    sum; units are numbered by their lines from 0, children come first. The root is the last one, before `EOF`.

    Raises:
        FormatError: the text breaks the format; the message has the line.
        CircuitError: a rule of circuits is broken; the message has the unit.
    """
    head = _DOMAINS.match(text)
    assert head is not None
    domains = [integer(word, f"{where}, line 1", 1) for word in head[1].split()]
    if max(domains) > MAX_SYMBOLS:
        raise FormatError(RULE, f"{where}, line 1: a variable must have 1..{MAX_SYMBOLS} symbols, got {max(domains)}")
    first = text.count("\n", 0, head.end()) + 1
    units: dict[Hashable, Unit] = {}
    ended = False
    for line, words in enumerate((line.split() for line in text[head.end() :].splitlines()), first):
        at = f"{where}, line {line}"
        if not words:
            continue
        if ended:
            raise FormatError(RULE, f"{at}: nothing must follow EOF, got {' '.join(words)[:40]!r}")
        if words == ["EOF"]:
            ended = True
            continue
        name, kind, rest = f"unit {len(units)} (line {line})", words[0], words[1:]
        if kind == "v" and len(rest) == 2:
            variable, symbol = (integer(word, at) for word in rest)
            if variable >= len(domains) or symbol >= domains[variable]:
                raise FormatError(
                    RULE, f"{at}: a variable and a symbol of it must stand here, as line 1 has them, got {rest}"
                )
            budget.take(8 * domains[variable])
            table = np.zeros(domains[variable])
            table[symbol] = 1.0
            units[len(units)] = Leaf(name, variable, table)
        elif kind == "*" and rest:
            units[len(units)] = Product(name, tuple(_child(word, len(units), at) for word in rest))
        elif kind == "+" and rest and len(rest) % 2 == 0:
            children = tuple(_child(word, len(units), at) for word in rest[::2])
            units[len(units)] = Sum(name, children, tuple(log_probability(word, at) for word in rest[1::2]))
        else:
            raise FormatError(
                RULE, f"{at}: 'v variable symbol', '* unit …', '+ unit log-weight …' or 'EOF' must stand here, as in "
                f"Libra's circuits, got {' '.join(words)[:40]!r}"
            )  # fmt: skip
    if not ended or not units:
        raise FormatError(RULE, f"{where} must hold units and end with EOF: a truncated file of Libra")
    return layers_of(units, len(units) - 1, len(domains), budget)


def _child(word: str, below: int, at: str) -> int:
    child = integer(word, at)
    if child >= below:
        raise FormatError("import-undefined", f"{at}: a unit must be above its children, unit {child} is not")
    return child
