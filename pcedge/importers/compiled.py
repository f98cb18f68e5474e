"""Compiled circuits as lines of negation normal form: ACE's `.ac` with its `.lmap`, c2d's `.nnf` with weights."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np

from pcedge.circuit.regions import variables_of
from pcedge.errors import CircuitError, FormatError
from pcedge.importers.graph import Leaf, Masks, Product, Sum, Unit
from pcedge.importers.literals import Literals, check_count, read_lmap, read_weights
from pcedge.importers.normalise import Draft
from pcedge.importers.numbering import numbered_layers
from pcedge.importers.text import decode, integer
from pcedge.limits import MemoryBudget

RULE = "nnf-line"
#: first words of a node's line, with how many words stand before its children
_PRODUCTS, _SUMS = {"A": 2, "*": 2}, {"O": 3, "+": 2}
#: bytes of memory at most for each variable of a product, and for a leaf beside its numbers
_EDGE_BYTES, _LEAF_BYTES = 100, 400


def read(
    data: bytes,
    lmap: tuple[bytes, str] | None,
    weights: tuple[bytes, str] | None,
    where: str,
    budget: MemoryBudget,
) -> Draft:
    """Read a compiled circuit: literals, products and sums, children first, the root last.

    The value of a record is that of the circuit with each literal's weight, or 0 for an indicator of another state.
    A sum whose children do not mention the same variables is made smooth: what a child does not mention is free there,
    with the weights of its literals (all 1 with a literal map), which changes no record's value.

    Args:
        data: the circuit's bytes.
        lmap: ACE's literal map and its name.
        weights: where there is no literal map, the weights of the literals and the file's name; None takes 1 for all.
        where: the circuit's name, for messages.
        budget: of the circuit's memory.

    Raises:
        FormatError: a line breaks the format, a literal means nothing, or the file is cut off.
        CircuitError: the circuit is not decomposable, or has no mass.
    """
    nodes: _Nodes | None = None
    promised = 0
    for line, content in enumerate(decode(data, where).split("\n"), 1):
        words, at = content.split(), f"{where}, line {line}"
        if not words or words[0] == "c" or words[0].startswith("cc$"):
            continue
        if words[0] == "%":
            break
        if words[0] == "nnf":
            if nodes is not None or len(words) != 4:
                raise FormatError(RULE, f"{at}: one header 'nnf nodes edges variables' must stand in the file")
            promised, _, variables = (integer(word, at) for word in words[1:])
            if lmap is not None:
                literals = read_lmap(*lmap, budget)
            else:
                told, beside = weights or (None, where)
                literals = read_weights(told, beside, check_count(variables, at, RULE), budget)
            nodes = _Nodes(literals, budget)
            continue
        if nodes is None:
            tool = "; d4 writes such files, which are not read" if words[0] in ("o", "a", "t", "f") else ""
            raise FormatError(RULE, f"{at}: 'nnf nodes edges variables' must stand before the nodes{tool}")
        nodes.add(words, f"node {len(nodes.logs)} (line {line})", at)
    if nodes is None:
        raise FormatError(RULE, f"{where} must have a line 'nnf nodes edges variables', it has none")
    if len(nodes.logs) != promised or not promised:
        raise FormatError(RULE, f"{where} must hold the {promised} nodes of its header, the last is the root; it holds "
                                f"{len(nodes.logs)}: a damaged file")  # fmt: skip
    root = nodes.root()
    draft = numbered_layers(_reached(nodes.units, root), root, budget, literals.axes)
    return replace(draft, notes=(*nodes.notes(), *draft.notes))


def _reached(units: dict[Hashable, Unit], root: Hashable) -> dict[Hashable, Unit]:
    """Give what the root reaches: indicators that became part of a leaf of several states are left behind."""
    found = {root: units[root]}
    stack = [root]
    while stack:
        unit = units[stack.pop()]
        for child in () if isinstance(unit, Leaf) else unit.children:
            if child not in found:
                found[child] = units[child]
                stack.append(child)
    return found


class _Nodes:
    """Collect nodes, each a unit times a constant: products and sums of constants are reckoned here."""

    def __init__(self, literals: Literals, budget: MemoryBudget) -> None:
        self.literals = literals
        self.budget = budget
        self.masks = Masks(budget)
        self.units: dict[Hashable, Unit] = {}
        #: of every node: the logarithm of its constant, its unit if it has one, and the number of its scope
        self.logs: list[float] = []
        self.keys: list[Hashable | None] = []
        self.scopes: list[int] = []
        self.smoothed = 0
        self.nothing = self.masks.number(0)

    def add(self, words: list[str], name: str, at: str) -> None:
        """Read a node's line."""
        kind = words[0]
        if kind in ("L", "l"):
            if len(words) != 2:
                raise FormatError(RULE, f"{at}: 'L literal' must stand here, got {_cut(words)}")
            self._put(*self._literal(integer(words[1], at, None), at))
        elif kind in _PRODUCTS or kind in _SUMS:
            first = _PRODUCTS.get(kind) or _SUMS[kind]
            children = [integer(word, at) for word in words[first:]]
            if len(words) < first or integer(words[first - 1], at) != len(children):
                raise FormatError(RULE, f"{at}: a node must have as many children as it says, got {_cut(words)}")
            if wrong := [child for child in children if child >= len(self.logs)]:
                raise FormatError(
                    "import-undefined", f"{at}: children must stand above their node, {wrong[0]} does not"
                )
            combine = self._product if kind in _PRODUCTS else self._sum
            self._put(*combine([(self.logs[c], self.keys[c], self.scopes[c]) for c in children], name))
        elif kind in ("X", "x"):
            raise FormatError(
                RULE, f"{at}: nodes must be literals, products and sums, this one maximises: no distribution"
            )
        else:
            raise FormatError(
                RULE, f"{at}: 'L literal', 'A count children' or 'O variable count children' must stand here, or with "
                f"*, + and l for A, O and L; got {_cut(words)}"
            )  # fmt: skip

    def root(self) -> Hashable:
        """Give the key of the last node's unit, with the node's constant and with the variables that it leaves out."""
        whole = self.masks.number(sum(1 << variable for variable in self.literals.free))
        log, key, scope = self.logs[-1], self.keys[-1], self.scopes[-1]
        if log == -math.inf:
            raise CircuitError("the root must have mass, the circuit is 0 for every record")
        if whole == self.nothing:
            raise CircuitError("the circuit must have at least one variable, it has none")
        key = self._widened(key, scope, whole, "the root")
        unit = self.units[key]
        if log and isinstance(unit, Sum):
            self.units[key] = replace(unit, log_weights=tuple(weight + log for weight in unit.log_weights))
        elif log:
            self.units["root"] = Sum("the root", (key,), (log,))
            return "root"
        return key

    def notes(self) -> tuple[str, ...]:
        """Say what was added."""
        if not self.smoothed:
            return ()
        return (f"{self.smoothed} nodes did not mention all variables beside them; these are free there",)

    def _put(self, log: float, key: Hashable | None, scope: int) -> None:
        self.logs.append(log)
        self.keys.append(key)
        self.scopes.append(scope)

    def _literal(self, literal: int, at: str) -> tuple[float, Hashable | None, int]:
        if (log := self.literals.constants.get(literal)) is not None:
            return log, None, self.nothing
        if literal not in self.literals.indicators:
            raise FormatError(
                "nnf-literal",
                f"{at}: a literal must be one of the literal map's, or of the header's variables, got {literal}",
            )
        variable, state, log = self.literals.indicators[literal]
        if log == -math.inf:
            return log, None, self.nothing
        count = len(self.literals.free[variable])
        return log, self._leaf(variable, state, count), self.masks.number(1 << variable)

    def _leaf(self, variable: int, state: int | None, count: int) -> Hashable:
        """Give the key of an indicator; without a state that of the weights of a variable that is not mentioned."""
        key = "leaf", variable, state
        if key not in self.units:
            self.budget.take(_LEAF_BYTES + 8 * count)
            table = self.literals.free[variable] if state is None else np.eye(1, count, state)[0]
            self.units[key] = Leaf(f"the literals of variable {variable}", variable, table)
        return key

    def _product(
        self, children: Sequence[tuple[float, Hashable | None, int]], name: str
    ) -> tuple[float, Hashable | None, int]:
        log = sum(child for child, _, _ in children)
        keys = tuple(key for _, key, _ in children if key is not None)
        if log == -math.inf or not keys:
            return log, None, self.nothing
        mask = 0
        for _, _, scope in children:
            mask |= self.masks.of[scope]
        if len(keys) == 1:
            return log, keys[0], self.masks.number(mask)
        key = "node", len(self.logs)
        self.units[key] = Product(name, keys)
        return log, key, self.masks.number(mask)

    def _sum(
        self, children: Sequence[tuple[float, Hashable | None, int]], name: str
    ) -> tuple[float, Hashable | None, int]:
        live = [child for child in children if child[0] != -math.inf]
        if not live:
            return -math.inf, None, self.nothing
        if len(live) == 1:
            return live[0]
        mask = 0
        for _, _, scope in live:
            mask |= self.masks.of[scope]
        if not mask:
            top = max(log for log, _, _ in live)
            return top + math.log(sum(math.exp(log - top) for log, _, _ in live)), None, self.nothing
        whole = self.masks.number(mask)
        pairs = [(log, self._widened(key, scope, whole, name)) for log, key, scope in live]
        leaves = [unit for _, key in pairs if isinstance(unit := self.units[key], Leaf)]
        key = "node", len(self.logs)
        top = max(log for log, _ in pairs)
        if len(leaves) == len(pairs):
            # A sum over one variable's states is a leaf.
            self.budget.take(_LEAF_BYTES + 8 * len(leaves[0].table))
            table = np.zeros(len(leaves[0].table))
            for (log, _), leaf in zip(pairs, leaves, strict=True):
                table += math.exp(log - top) * leaf.table
            self.units[key] = Leaf(name, leaves[0].variable, table)
            return top, key, whole
        self.units[key] = Sum(name, tuple(key for _, key in pairs), tuple(log - top for log, _ in pairs))
        return top, key, whole

    def _widened(self, key: Hashable | None, scope: int, whole: int, name: str) -> Hashable:
        """Multiply a unit with leaves of what it does not mention of a scope."""
        absent = self.masks.of[whole] & ~self.masks.of[scope]
        if not absent:
            assert key is not None  # a scope has a unit
            return key
        self.smoothed += 1
        free = self._free(absent)
        if key is None:
            return free
        both = "smooth", key, self.masks.number(absent)
        if both not in self.units:
            self.budget.take(_LEAF_BYTES)
            self.units[both] = Product(f"{name}, made smooth", (key, free))
        return both

    def _free(self, mask: int) -> Hashable:
        variables = variables_of(mask)
        leaves = tuple(self._leaf(v, None, len(self.literals.free[v])) for v in variables)
        if len(leaves) == 1:
            return leaves[0]
        key = "free", self.masks.number(mask)
        if key not in self.units:
            self.budget.take(_LEAF_BYTES + _EDGE_BYTES * len(leaves))
            self.units[key] = Product(f"the free variables {variables[:4]}", leaves)
        return key


def _cut(words: list[str]) -> str:
    return repr(" ".join(words)[:60])
