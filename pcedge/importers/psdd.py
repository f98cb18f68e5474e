"""Probabilistic sentential decision diagrams (Kisa et al., KR 2014): a `.psdd` text file and its `.vtree`."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

import numpy as np

from pcedge.errors import FormatError
from pcedge.importers.graph import Leaf, Product, Sum, Unit, layers_of
from pcedge.importers.normalise import Draft
from pcedge.importers.text import decode, integer, log_probability
from pcedge.limits import MemoryBudget

PSDD, VTREE, VTREE_FIT = "psdd-line", "vtree-line", "psdd-vtree"
#: far above any file; it keeps scopes small
MAX_VARIABLES = 1 << 20
_HINT = " (the vtree of another file? without one, the nodes' own is taken)"


@dataclass(frozen=True)
class Vtree:
    """Hold a vtree: the variable of every leaf (from 0), and the two children of every inner node, by id.

    Without a root it is one that a PSDD's own nodes tell: it starts empty, and each id keeps what it first stood for.
    """

    variables: dict[int, int]
    children: dict[int, tuple[int, int]]
    root: int | None
    #: where no root is: the leaf of every variable
    leaves: dict[int, int] = field(default_factory=dict)

    def leaf(self, node: int, variable: int) -> int | None:
        """Give the variable of a leaf; None if the node is no leaf, or another is the variable's."""
        if self.root is None and node not in self.children and self.leaves.setdefault(variable, node) == node:
            self.variables.setdefault(node, variable)
        return self.variables.get(node)

    def inner(self, node: int, sides: tuple[int, int]) -> tuple[int, int] | None:
        """Give the two children of an inner node; None if it is none."""
        if self.root is None and node not in self.variables:
            self.children.setdefault(node, sides)
        return self.children.get(node)


def read_vtree(data: bytes, where: str) -> Vtree:
    """Read a vtree: lines `L id variable` and `I id left right`, children first, variables from 1 without a gap.

    Raises:
        FormatError: a line breaks the format, or the lines are no tree; the message has the line.
    """
    variables: dict[int, int] = {}
    children: dict[int, tuple[int, int]] = {}
    roots: dict[int, None] = {}
    for line, words in _lines(decode(data, where), where, "vtree", VTREE):
        at = f"{where}, line {line}"
        if words[0] not in ("L", "I") or len(words) != (3 if words[0] == "L" else 4):
            raise FormatError(VTREE, f"{at}: 'L id variable' or 'I id left right' must stand here, got {_cut(words)}")
        node, *rest = (integer(word, at) for word in words[1:])
        if node in variables or node in children:
            raise FormatError("import-duplicate", f"{at}: vtree node {node} must be defined once")
        if words[0] == "L":
            variables[node] = rest[0] - 1
        else:
            for child in rest:
                if child not in roots or rest[0] == rest[1]:
                    raise FormatError(
                        VTREE,
                        f"{at}: vtree node {node} must have two children that stand above it and have no other parent, "
                        f"got {rest[0]} and {rest[1]}",
                    )
            for child in rest:
                del roots[child]
            children[node] = (rest[0], rest[1])
        roots[node] = None
    if len(roots) != 1:
        raise FormatError(VTREE, f"{where} must hold one tree, it has {len(roots)} roots: {list(roots)[:8]}")
    if sorted(variables.values()) != list(range(len(variables))):
        wrong = next(v for index, v in enumerate(sorted(variables.values())) if v != index) + 1
        raise FormatError(
            VTREE,
            f"{where} must have the variables 1..{len(variables)}, each in one leaf, variable {wrong} is out of this "
            "range, after a gap, or there twice: number the variables from 1, here and in the PSDD",
        )
    return Vtree(variables, children, next(iter(roots)))


def read(data: bytes, tree: bytes | None, where: str, tree_where: str, budget: MemoryBudget) -> Draft:
    """Read a PSDD: literals `L`, true nodes `T` and decision nodes `D`, children first, the root last.

    A true node has one logarithm, of the probability of 1, or two, of 0 and of 1. The number in the header is a hint
    that many writers get wrong; nothing depends on it.

    Args:
        data: the PSDD's bytes.
        tree: the vtree's bytes; None takes the vtree that the nodes tell, which must be one.
        where: the PSDD's name, for messages.
        tree_where: the vtree's name.
        budget: of the PSDD's memory.

    Returns:
        The layers, not yet normalised: for every inner vtree node one of products and one of sums.

    Raises:
        FormatError: a line breaks the format or does not fit the vtree; the message has the line.
        CircuitError: a node has no mass.
    """
    vtree = Vtree({}, {}, None) if tree is None else read_vtree(tree, tree_where)
    units: dict[Hashable, Unit] = {}
    vtree_nodes: dict[int, int] = {}
    last = -1
    for line, words in _lines(decode(data, where), where, "psdd", PSDD):
        at = f"{where}, line {line}"
        kind = words[0]
        fits = {"L": len(words) == 4, "T": len(words) in (5, 6), "D": len(words) >= 7 and len(words) % 3 == 1}
        if not fits.get(kind, False):
            raise FormatError(
                PSDD,
                f"{at}: 'L id vtree literal', 'T id vtree variable log [log]' or 'D id vtree count {{prime sub log}}' "
                f"must stand here, got {_cut(words)}",
            )
        node, vtree_node = integer(words[1], at), integer(words[2], at)
        if node in vtree_nodes:
            raise FormatError("import-duplicate", f"{at}: node {node} must be defined once")
        name = f"node {node} (line {line})"
        if kind == "D":
            _decision(units, vtree_nodes, vtree, (node, vtree_node, name, at), words)
        else:
            units[node] = _leaf(vtree, (vtree_node, name, at), words)
        vtree_nodes[node] = vtree_node
        last = node
    if last < 0:
        raise FormatError(PSDD, f"{where} must hold at least one node, it holds none")
    if vtree.root is not None and vtree_nodes[last] != vtree.root:
        raise FormatError(
            VTREE_FIT,
            f"{where}: the last node is the root and must belong to the vtree's root {vtree.root}, node {last} belongs "
            f"to {vtree_nodes[last]}: a truncated file, or another vtree",
        )
    return layers_of(units, last, 1 + max(vtree.variables.values()), budget)


def _leaf(vtree: Vtree, where: tuple[int, str, str], words: list[str]) -> Leaf:
    vtree_node, name, at = where
    literal = integer(words[3], at, None if words[0] == "L" else 1)
    variable = abs(literal) - 1
    if not 0 <= variable < MAX_VARIABLES:
        raise FormatError(PSDD, f"{at}: a variable must be in 1..{MAX_VARIABLES}, got {literal}")
    owner = vtree.leaf(vtree_node, variable)
    if owner != variable:
        got = "no leaf, or not the only one of the variable" if owner is None else f"of variable {owner + 1}"
        raise FormatError(
            VTREE_FIT,
            f"{at}: variable {variable + 1} must belong to the vtree leaf of the line, {vtree_node} is {got}{_HINT}",
        )
    if words[0] == "L":
        return Leaf(name, variable, np.array([0.0, 1.0] if literal > 0 else [1.0, 0.0]))
    logs = [log_probability(word, at) for word in words[4:]]
    if max(logs) > 0:
        raise FormatError(
            PSDD,
            f"{at}: the logarithm of a probability must not be above 0, got {max(logs)}: what rounding took above 0 "
            "has to be written as 0",
        )
    one = math.exp(logs[-1])
    return Leaf(name, variable, np.array([-math.expm1(logs[0]) if len(logs) == 1 else math.exp(logs[0]), one]))


def _decision(
    units: dict[Hashable, Unit],
    vtree_nodes: dict[int, int],
    vtree: Vtree,
    where: tuple[int, int, str, str],
    words: list[str],
) -> None:
    """Add a decision node: a sum over its elements, each the product of a prime and a sub."""
    node, vtree_node, name, at = where
    count = (len(words) - 4) // 3
    if integer(words[3], at) != count:
        raise FormatError(PSDD, f"{at}: node {node} must have as many elements as it says, {words[3]}, got {count}")
    elements: list[Hashable] = []
    weights: list[float] = []
    for first in range(4, len(words), 3):
        pair = integer(words[first], at), integer(words[first + 1], at)
        for child, role in zip(pair, ("prime", "sub"), strict=True):
            if child not in vtree_nodes:
                raise FormatError("import-undefined", f"{at}: the {role} must stand above its node, {child} does not")
        sides = vtree_nodes[pair[0]], vtree_nodes[pair[1]]
        known = vtree.inner(vtree_node, sides)
        if known != sides:
            reason = (
                "it is a leaf or undefined" if known is None else f"that has the children {known[0]} and {known[1]}"
            )
            raise FormatError(
                VTREE_FIT,
                f"{at}: prime {pair[0]} and sub {pair[1]} belong to the vtree nodes {sides[0]} and {sides[1]}, which "
                f"must be the children of {vtree_node}; {reason}{_HINT}",
            )
        # Equal elements of several nodes are one product.
        if pair not in units:
            units[pair] = Product(f"element {len(elements)} of {name}", pair)
        elements.append(pair)
        weights.append(log_probability(words[first + 2], at))
    units[node] = Sum(name, tuple(elements), tuple(weights))


def _lines(text: str, where: str, header: str, rule: str) -> Iterator[tuple[int, list[str]]]:
    """Give the lines after the header as (line number, words), without comments."""
    seen = False
    for line, content in enumerate(text.split("\n"), 1):
        words = content.split()
        if not words or words[0] == "c":
            continue
        if words[0] == header:
            if seen or len(words) > 2:
                raise FormatError(rule, f"{where}, line {line}: one header '{header} count' must stand in the file")
            if len(words) == 2:
                integer(words[1], f"{where}, line {line}")
            seen = True
            continue
        if not seen:
            raise FormatError(rule, f"{where}, line {line}: '{header} count' must stand before the nodes")
        yield line, words
    if not seen:
        raise FormatError(rule, f"{where} must have a line '{header} count', it has none")


def _cut(words: list[str]) -> str:
    return repr(" ".join(words)[:60])
