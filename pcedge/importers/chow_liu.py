"""Chow-Liu trees over binary variables as Juice writes them, `.clt`."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from pcedge.errors import FormatError
from pcedge.importers.graph import Leaf, Product, Sum, Unit
from pcedge.importers.normalise import Draft
from pcedge.importers.numbering import check_variable, numbered_layers
from pcedge.importers.text import decode, integer, number
from pcedge.limits import MemoryBudget

RULE = "clt-line"
#: bytes of memory at most for each variable beside its line
_VARIABLE_BYTES = 3000


def read(data: bytes, where: str, budget: MemoryBudget) -> Draft:
    """Read the number of variables, that of roots, a line `variable p` a root, and `variable parent p1 p0` for others.

    p is the probability of 1, p1 and p0 that given 1 and 0 of the parent. Older files have one root and do not say so.

    Returns:
        The layers: a variable with others below it is a latent one observed, a sum for each value of its parent.

    Raises:
        FormatError: a line breaks the format, or the variables are no forest.
    """
    lines = [(place, line.split()) for place, line in enumerate(decode(data, where).split("\n"), 1) if line.split()]
    if not lines or len(lines[0][1]) != 1:
        raise FormatError(
            RULE, f"{where}, line 1: the number of variables must stand here, a Chow-Liu tree begins with it"
        )
    count, roots, rest = integer(lines[0][1][0], f"{where}, line {lines[0][0]}"), 1, lines[1:]
    if rest and len(rest[0][1]) == 1:
        roots, rest = integer(rest[0][1][0], f"{where}, line {rest[0][0]}"), rest[1:]
    if len(rest) != count or not 0 < roots <= count:
        raise FormatError(
            RULE,
            f"{where} must have a line for each of its {count} variables, {roots} of roots first; it has {len(rest)}",
        )
    budget.take(_VARIABLE_BYTES * count)
    parents: dict[int, int] = {}
    ones: dict[int, tuple[float, ...]] = {}
    for place, (line, words) in enumerate(rest):
        at = f"{where}, line {line}"
        if len(words) != (2 if place < roots else 4):
            wanted = "variable p" if place < roots else "variable parent p1 p0"
            raise FormatError(RULE, f"{at}: {wanted!r} must stand here, got {' '.join(words)[:60]!r}")
        variable = check_variable(integer(words[0], at), at, RULE)
        if variable in parents:
            raise FormatError("import-duplicate", f"{at}: variable {variable} must have one line")
        parents[variable] = 0 if place < roots else integer(words[1], at, 1)
        # Kept as those given 0 and 1.
        ones[variable] = tuple(_probability(word, at) for word in reversed(words[1 if place < roots else 2 :]))
    return numbered_layers(*_units(parents, ones, where), budget)


def _probability(word: str, at: str) -> float:
    value = number(word, at)
    if not 0 <= value <= 1:
        raise FormatError("import-weight", f"{at}: a probability must be in 0..1, got {value}")
    return value


def _units(
    parents: dict[int, int], ones: dict[int, tuple[float, ...]], where: str
) -> tuple[dict[Hashable, Unit], Hashable]:
    """Make the units, and give the root's key: (variable, value of its parent) is what lies below a variable."""
    children: dict[int, list[int]] = {0: []}
    for variable, parent in parents.items():
        if parent and parent not in parents:
            raise FormatError(
                "import-undefined", f"{where}: the parent of variable {variable} must have a line, {parent} has not"
            )
        children.setdefault(parent, []).append(variable)
    order = [0]
    for variable in order:
        order.extend(children.get(variable, ()))
    if len(order) <= len(parents):
        lost = next(variable for variable in parents if variable not in set(order))
        raise FormatError("import-cycle", f"{where}: variable {lost} must not be above itself")
    units: dict[Hashable, Unit] = {}
    for variable in order[1:]:
        below, name = children.get(variable, ()), f"variable {variable}"
        for given, one in enumerate(ones[variable]):
            key = variable, given
            if not below:
                units[key] = Leaf(name, variable, np.array([1 - one, one]))
                continue
            with np.errstate(divide="ignore"):
                logs = np.log([1 - one, one])
            units[key] = Sum(name, ((variable, "is", 0), (variable, "is", 1)), tuple(logs.tolist()))
        for value in (0, 1) if below else ():
            units[variable, value, "leaf"] = Leaf(name, variable, np.eye(2)[value])
            factors = ((variable, value, "leaf"), *((child, value) for child in below))
            units[variable, "is", value] = Product(f"{name} is {value}", factors)
    tops: tuple[Hashable, ...] = tuple((variable, 0) for variable in children[0])
    if len(tops) == 1:
        return units, tops[0]
    units["forest"] = Product("the forest", tops)
    return units, "forest"
