"""Steps one after the other, for the code schedule of circuits that are not structured."""

from __future__ import annotations

from pcedge.circuit.rows import SparseRows
from pcedge.integer.circuit import IntegerCircuit, IntegerInput
from pcedge.schedule.steps import (
    Align,
    Computed,
    Down,
    Gather,
    Init,
    Interval,
    Leaf,
    ListSum,
    Multiply,
    Ref,
    Step,
    Up,
    identity,
)  # fmt: skip
from pcedge.schedule.tables import merging, picking, scattering


class Builder:
    """Append steps and number their values."""

    def __init__(self, circuit: IntegerCircuit) -> None:
        """Start with no steps."""
        self.layers = circuit.layers
        self.steps: list[Step] = []
        self.values = 0

    def _next(self) -> int:
        """Number the next value."""
        self.values += 1
        return self.values - 1

    def _append(self, step: Computed) -> Ref:
        """Append a step; give its value."""
        self.steps.append(step)
        return Ref(step.target, 0, step.units)

    def root(self) -> Ref:
        """Start with the context of the root."""
        return self._append(Init(self._next(), 1))

    def interval(self, context: Ref, layer: int, variable: int) -> None:
        """Code a variable."""
        self.steps.append(Interval(context, layer, variable))

    def down(self, units: int, context: Ref, layer: int, revive: bool = False) -> Ref:
        """Give a context down through a sum layer."""
        return self._append(Down(self._next(), units, context, layer, revive))

    def _list_sum(self, source: Ref, lists: SparseRows, layer: int, revive: bool) -> Ref:
        units = len(lists.indptr) - 1
        return self._append(ListSum(self._next(), units, source, lists, layer, revive))

    def concatenated(self, parts: list[Ref], layer: int) -> Ref:
        """Put vectors one after the other, under one exponent."""
        joined = parts[0]
        for vector in parts[1:]:
            joined = self._append(Align(self._next(), joined.units + vector.units, (joined, vector), layer))
        return joined

    def merge(self, parts: list[Ref], layer: int, revive: bool) -> Ref:
        """Add up contexts of one layer, entry by entry."""
        joined = self.concatenated(parts, layer)
        units = parts[0].units
        return self._list_sum(joined, merging(len(parts), units), layer, revive)

    def scatter(self, layer: int, running: Ref, gather: Gather, units: int, revive: bool) -> Ref:
        """Give each of the `units` units of a child the sum of the contexts of the products that gather it."""
        return self._list_sum(running, scattering(gather, units), layer, revive)

    def pick(self, layer: int, source: Ref, gather: Gather) -> Ref:
        """Read a vector through a gather list."""
        return self._list_sum(source, picking(gather, source.units), layer, False)

    def multiply(
        self, layer: int, first: tuple[Ref, Gather | None], second: tuple[Ref, Gather | None], units: int, revive: bool
    ) -> Ref:
        """Multiply two vectors, each read through its gather list if it has one."""
        a, b = (None if g is None or identity(g, ref.units) else g for ref, g in (first, second))
        return self._append(Multiply(self._next(), units, (first[0], second[0]), (a, b), layer, revive))

    def inside(self, index: int, below: list[Ref], revive: bool) -> Ref:
        """Add the steps of an input or sum layer on the way up."""
        layer = self.layers[index]
        units = layer.shape.units
        if isinstance(layer, IntegerInput):
            return self._append(Leaf(self._next(), units, index, layer.variable, revive))
        return self._append(Up(self._next(), units, self.concatenated(below, index), index, revive))
