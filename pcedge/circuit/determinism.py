"""Whether a circuit is deterministic: whether of every sum at most one child is positive for a complete record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.circuit.layers import Circuit, InputLayer, SumLayer
from pcedge.circuit.rows import SparseRows, Weights
from pcedge.circuit.structure import Shape, layer_scopes

BoolArray = NDArray[np.bool_]

#: numbers that overlaps may hold; a circuit with more is not looked at
MOST_OVERLAPS = 1 << 26

#: what is positive of a layer: entries of a leaf's tables (units, symbols), or weights; None of products
Positive = BoolArray | Weights | None


def is_deterministic(circuit: Circuit) -> bool:
    """Tell whether maxima give the most probable completions of a circuit (docs/queries.md).

    Layers over one variable count as leaves. The answer yes is proved; no may also mean that the circuit is not
    structured, or too large to tell.

    Example:
        >>> labels = InputLayer(0, np.eye(2))
        >>> is_deterministic(Circuit((labels, SumLayer((0,), np.array([[0.5, 0.5]])))))
        True
    """
    positive: list[Positive] = []
    for layer in circuit.layers:
        if isinstance(layer, InputLayer):
            positive.append(layer.table > 0)
        else:
            positive.append(layer.weights if isinstance(layer, SumLayer) else None)
    return deterministic(circuit.shapes, positive, leaves=True)


def deterministic(shapes: Sequence[Shape], positive: Sequence[Positive], *, leaves: bool) -> bool:
    """Tell whether a circuit of some shapes is deterministic.

    Args:
        shapes: of the layers.
        positive: what is positive of each layer.
        leaves: whether layers over one variable count as leaves, which need not be deterministic.
    """
    scopes = layer_scopes(shapes)
    found = _Overlaps(shapes, scopes, positive)
    groups: dict[int, list[int]] = {}
    numbers = 0
    for index, shape in enumerate(shapes):
        single = scopes[index] & (scopes[index] - 1) == 0
        if shape.kind == "sum" and not (leaves and single) and found.overlapping(index):
            return False
        group = groups.setdefault(scopes[index], [])
        group.append(index)
        numbers += sum(shapes[other].units for other in group) * max(shape.units, shape.columns)
        if numbers > MOST_OVERLAPS:
            return False
        for other in group:
            found.add(other, index)
    return True


class _Overlaps:
    """Keep which units of two layers of one scope can both be positive."""

    def __init__(self, shapes: Sequence[Shape], scopes: Sequence[int], positive: Sequence[Positive]) -> None:
        self.shapes, self.scopes, self.positive = shapes, scopes, positive
        self.pairs: dict[tuple[int, int], BoolArray] = {}

    def of(self, first: int, second: int) -> BoolArray:
        """Give the overlaps of two layers, (units of the first, units of the second)."""
        return self.pairs[first, second] if first <= second else self.pairs[second, first].T

    def overlapping(self, index: int) -> bool:
        """Tell whether two children that a unit of a sum layer weighs overlap."""
        children = self.shapes[index].children
        among = np.block([[self.of(first, second) for second in children] for first in children])
        np.fill_diagonal(among, False)
        return any(bool(among[np.ix_(chosen, chosen)].any()) for chosen in self._rows(index))

    def add(self, first: int, second: int) -> None:
        """Compute the overlaps of two layers, the first at or before the second, from those of their children."""
        kinds = self.shapes[first].kind, self.shapes[second].kind
        if kinds[1] == "sum":
            # Of a sum with itself the children are first compared with it.
            self.pairs[first, second] = (
                self._mixed(second, [self._mixed(second, [self.of(child, other) for child in self._children(second)]).T
                                     for other in self._children(second)])
                if first == second
                else self._mixed(second, [self.of(child, first) for child in self._children(second)]).T
            )  # fmt: skip
        elif kinds[0] == "sum":
            self.pairs[first, second] = self._mixed(first, [self.of(child, second) for child in self._children(first)])
        elif kinds == ("input", "input"):
            tables = [np.asarray(self.positive[layer], dtype=np.float32) for layer in (first, second)]
            self.pairs[first, second] = tables[0] @ tables[1].T > 0
        else:
            self.pairs[first, second] = self._products(first, second)

    def _children(self, index: int) -> tuple[int, ...]:
        return self.shapes[index].children

    def _rows(self, index: int) -> list[Any]:
        """Give the places of the children that each unit of a sum layer weighs."""
        weights = self.positive[index]
        if isinstance(weights, SparseRows):
            lists = np.split(weights.indices, weights.indptr[1:-1])
            kept = np.split(weights.values > 0, weights.indptr[1:-1])  # type: ignore[operator]
            return [places[chosen] for places, chosen in zip(lists, kept, strict=True)]
        return [np.flatnonzero(row > 0) for row in np.asarray(weights)]

    def _mixed(self, index: int, overlaps: list[BoolArray]) -> BoolArray:
        """Join the overlaps of a sum layer's children with some units: (units of the sum, those units)."""
        stacked = np.concatenate(overlaps)
        return np.stack([stacked[chosen].any(axis=0) for chosen in self._rows(index)])

    def _products(self, first: int, second: int) -> BoolArray:
        """Multiply the overlaps of the factors of two product layers, where both split their scope alike."""
        one, other = self.shapes[first], self.shapes[second]
        places = {self.scopes[child]: place for place, child in enumerate(other.children)}
        both: BoolArray = np.ones((one.units, other.units), dtype=bool)
        if set(places) != {self.scopes[child] for child in one.children}:
            return both
        assert one.gather is not None and other.gather is not None
        for place, child in enumerate(one.children):
            partner = places[self.scopes[child]]
            overlap = self.of(child, other.children[partner])
            both &= overlap[one.gather[:, place]][:, other.gather[:, partner]]
        return both
