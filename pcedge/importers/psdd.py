"""Probabilistic sentential decision diagrams (Kisa et al., KR 2014): a `.psdd` text file and its `.vtree`."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

import numpy as np

from pcedge.errors import FormatError
from pcedge.importers.graph import Leaf, Product, Sum, Unit
from pcedge.importers.normalise import Draft
from pcedge.importers.numbering import check_variable, numbered_layers
from pcedge.importers.text import decode, integer, log_probability
from pcedge.limits import MemoryBudget

PSDD, VTREE, VTREE_FIT = "psdd-line", "vtree-line", "psdd-vtree"
#: nats above 0 that rounding may leave of the logarithm of a probability of 1, in float32 too
ROUNDING = 1e-6


@dataclass(frozen=True)
class Vtree:
    """Hold a vtree: the variable of every leaf (from 1), and the two children of every inner node, by id.

    Without a root it is one that a PSDD's own nodes tell: it starts empty, and each id keeps what it first stood for.
    """

    variables: dict[int, int]
    children: dict[int, tuple[int, int]]
    root: int | None
    #: where no root is: the leaf of every variable
    leaves: dict[int, int] = field(default_factory=dict)
    #: whether the file was read, and may be that of another PSDD
    given: bool = False

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

    @property
    def hint(self) -> str:
        """Say what may be wrong with a node that does not fit."""
        return " (the vtree of another file?)" if self.given else " (no vtree was given, so the nodes' own is taken)"


class _Scopes:
    """Find the vtree nodes of a PSDD that was saved without their ids, by the scopes of its nodes.

    Without a vtree every scope is a vtree node of its own, and the circuit's own rules are all that is asked for.
    """

    def __init__(self, vtree: Vtree | None, budget: MemoryBudget) -> None:
        self.budget = budget
        self.vtree = vtree
        #: the scope of every PSDD node
        self.of: dict[int, int] = {}
        #: the vtree node of every scope
        self.nodes: dict[int, int] = {}
        if vtree is not None:
            masks = {node: 1 << variable for node, variable in vtree.variables.items()}
            for node, (left, right) in vtree.children.items():  # children stand above their parents
                masks[node] = masks[left] | masks[right]
            self.nodes = {mask: node for node, mask in masks.items()}

    def place(self, node: int, scope: int, at: str) -> int:
        """Give the vtree node of a PSDD node with this scope."""
        self.budget.take(40 + scope.bit_length() // 7)
        self.of[node] = scope
        if self.vtree is None:
            return self.nodes.setdefault(scope, len(self.nodes))
        if scope not in self.nodes:
            raise FormatError(
                VTREE_FIT,
                f"{at}: node {node} must have the variables of one vtree node, it has those of none{self.vtree.hint}",
            )
        return self.nodes[scope]


def read_vtree(data: bytes, where: str) -> Vtree:
    """Read a vtree: lines `L id variable` and `I id left right`, children first, each variable in one leaf.

    Raises:
        FormatError: a line breaks the format, or the lines are no tree; the message has the line.
    """
    variables: dict[int, int] = {}
    children: dict[int, tuple[int, int]] = {}
    roots: dict[int, None] = {}
    leaves: dict[int, int] = {}
    for line, words in _lines(decode(data, where), where, "vtree", VTREE):
        at = f"{where}, line {line}"
        if words[0] not in ("L", "I") or len(words) != (3 if words[0] == "L" else 4):
            raise FormatError(VTREE, f"{at}: 'L id variable' or 'I id left right' must stand here, got {_cut(words)}")
        node, *rest = (integer(word, at) for word in words[1:])
        if node in variables or node in children:
            raise FormatError("import-duplicate", f"{at}: vtree node {node} must be defined once")
        if words[0] == "L":
            variables[node] = check_variable(rest[0], at, VTREE)
            if leaves.setdefault(rest[0], node) != node:
                raise FormatError(VTREE, f"{at}: every variable must be in one leaf, {rest[0]} is in {leaves[rest[0]]}")
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
    return Vtree(variables, children, next(iter(roots)), given=True)


def read(data: bytes, tree: bytes | None, where: str, tree_where: str, budget: MemoryBudget) -> Draft:
    """Read a PSDD: literals `L`, true nodes `T` and decision nodes `D`, children first, the root last.

    A true node has one logarithm, of the probability of 1, or two, of 0 and of 1. The number in the header is a hint
    that many writers get wrong; nothing depends on it. Where all nodes name one vtree node, as a writer without a vtree
    has it, the ids say nothing, and the nodes' scopes are looked at. Variables may have any numbers
    (`numbering.numbered_layers`).

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
        CircuitError: a node has no mass, or what was saved without vtree ids is not smooth and decomposable.
    """
    vtree = Vtree({}, {}, None) if tree is None else read_vtree(tree, tree_where)
    text = decode(data, where)
    scopes = _Scopes(None if tree is None else vtree, budget) if _without_ids(text, where) else None
    units: dict[Hashable, Unit] = {}
    vtree_nodes: dict[int, int] = {}
    last = -1
    for line, words in _lines(text, where, "psdd", PSDD):
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
            pairs = _elements(vtree_nodes, node, words, at)
            if scopes is not None:
                vtree_node = scopes.place(node, scopes.of[pairs[0][0]] | scopes.of[pairs[0][1]], at)
            if scopes is None or tree is not None:
                _check_sides(vtree_nodes, vtree, vtree_node, pairs, at)
            _decision(units, node, name, pairs, [_log(word, at) for word in words[6::3]])
        else:
            units[node] = leaf = _leaf(name, words, at)
            if scopes is not None:
                vtree_node = scopes.place(node, 1 << leaf.variable, at)
            _check_leaf(vtree, vtree_node, leaf.variable, at)
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
    return numbered_layers(units, last, budget)


def _without_ids(text: str, where: str) -> bool:
    """Tell whether all nodes of a PSDD name one vtree node, though they have several variables."""
    named: set[str] = set()
    variables: set[str] = set()
    for _, words in _lines(text, where, "psdd", PSDD):
        named.update(words[2:3])
        if words[0] in ("L", "T"):
            variables.update(word.lstrip("+-") for word in words[3:4])
        if len(named) > 1:
            return False
    return len(variables) > 1


def _log(word: str, at: str) -> float:
    """Read the logarithm of a probability; what rounding took above 0 is 0."""
    value = log_probability(word, at)
    if value > ROUNDING:
        raise FormatError(
            PSDD,
            f"{at}: the logarithm of a probability must not be above 0, got {value}; rounding explains {ROUNDING} at "
            "most",
        )
    return min(value, 0.0)


def _leaf(name: str, words: list[str], at: str) -> Leaf:
    literal = integer(words[3], at, None if words[0] == "L" else 1)
    variable = check_variable(abs(literal), at, PSDD)
    if words[0] == "L":
        return Leaf(name, variable, np.array([0.0, 1.0] if literal > 0 else [1.0, 0.0]))
    logs = [_log(word, at) for word in words[4:]]
    one = math.exp(logs[-1])
    return Leaf(name, variable, np.array([-math.expm1(logs[0]) if len(logs) == 1 else math.exp(logs[0]), one]))


def _check_leaf(vtree: Vtree, vtree_node: int, variable: int, at: str) -> None:
    owner = vtree.leaf(vtree_node, variable)
    if owner != variable:
        got = "no leaf, or not the only one of the variable" if owner is None else f"of variable {owner}"
        raise FormatError(
            VTREE_FIT,
            f"{at}: variable {variable} must belong to the vtree leaf of the line, {vtree_node} is {got}{vtree.hint}",
        )


def _elements(vtree_nodes: dict[int, int], node: int, words: list[str], at: str) -> list[tuple[int, int]]:
    """Read the elements of a decision node, each a prime and a sub that stand above it."""
    count = (len(words) - 4) // 3
    if integer(words[3], at) != count:
        raise FormatError(PSDD, f"{at}: node {node} must have as many elements as it says, {words[3]}, got {count}")
    pairs = [(integer(words[first], at), integer(words[first + 1], at)) for first in range(4, len(words), 3)]
    for pair in pairs:
        for child, role in zip(pair, ("prime", "sub"), strict=True):
            if child not in vtree_nodes:
                raise FormatError("import-undefined", f"{at}: the {role} must stand above its node, {child} does not")
    return pairs


def _check_sides(
    vtree_nodes: dict[int, int], vtree: Vtree, vtree_node: int, pairs: list[tuple[int, int]], at: str
) -> None:
    """Demand that primes and subs belong to the children of a decision node's vtree node."""
    for prime, sub in pairs:
        sides = vtree_nodes[prime], vtree_nodes[sub]
        known = vtree.inner(vtree_node, sides)
        if known != sides:
            reason = (
                "it is a leaf or undefined" if known is None else f"that has the children {known[0]} and {known[1]}"
            )
            raise FormatError(
                VTREE_FIT,
                f"{at}: prime {prime} and sub {sub} belong to the vtree nodes {sides[0]} and {sides[1]}, which "
                f"must be the children of {vtree_node}; {reason}{vtree.hint}",
            )


def _decision(
    units: dict[Hashable, Unit], node: int, name: str, pairs: list[tuple[int, int]], logs: list[float]
) -> None:
    """Add a decision node: a sum over its elements, each the product of a prime and a sub."""
    for place, pair in enumerate(pairs):
        # Equal elements of several nodes are one product.
        if pair not in units:
            units[pair] = Product(f"element {place} of {name}", pair)
    units[node] = Sum(name, tuple(pairs), tuple(logs))


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
