"""Steps one after the other, for the code schedule of circuits that are not structured."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pcedge.circuit.rows import SparseRows
from pcedge.integer.circuit import IntegerCircuit, IntegerInput
from pcedge.schedule.steps import Gather, Op, Ref, Step, identity
from pcedge.schedule.tables import merging, scattering


class Builder:
    """Append steps and number their values."""

    def __init__(self, circuit: IntegerCircuit) -> None:
        """Start with no steps."""
        self.layers = circuit.layers
        self.steps: list[Step] = []
        self.values = 0

    def add(self, op: Op, units: int, sources: Iterable[Ref] = (), **details: object) -> Ref:
        """Add a step; give its value."""
        target = -1 if op is Op.INTERVAL else self.values
        self.values += target >= 0
        self.steps.append(Step(op, target, units, tuple(sources), **details))  # type: ignore[arg-type]
        return Ref(target, 0, units)

    def concatenated(self, parts: list[Ref], layer: int) -> Ref:
        """Put vectors one after the other, under one exponent."""
        whole = parts[0]
        for part in parts[1:]:
            whole = self.add(Op.ALIGN, whole.units + part.units, (whole, part), layer=layer)
        return whole

    def merge(self, parts: list[Ref], layer: int, revive: bool) -> Ref:
        """Add up contexts of one layer, entry by entry."""
        whole = self.concatenated(parts, layer)
        units = parts[0].units
        lists = merging(len(parts), units)
        return self.add(Op.LIST, units, (whole,), layer=layer, lists=lists, revive=revive)

    def scatter(self, layer: int, running: Ref, gather: Gather, units: int, revive: bool) -> Ref:
        """Give each of the `units` units of a child the sum of the contexts of the products that gather it."""
        lists = scattering(gather, units)
        return self.add(Op.LIST, units, (running,), layer=layer, lists=lists, revive=revive)

    def pick(self, layer: int, source: Ref, gather: Gather) -> Ref:
        """Read a vector through a gather list."""
        lists = SparseRows(
            np.arange(len(gather) + 1, dtype=np.int64), gather.astype(np.int64), np.ones(0, np.int64), source.units
        )
        return self.add(Op.LIST, len(gather), (source,), layer=layer, lists=lists)

    def multiply(
        self, layer: int, first: tuple[Ref, Gather | None], second: tuple[Ref, Gather | None], units: int, revive: bool
    ) -> Ref:
        """Multiply two vectors, each read through its gather list if it has one."""
        gathers = tuple(None if g is None or identity(g, ref.units) else g for ref, g in (first, second))
        return self.add(Op.MULTIPLY, units, (first[0], second[0]), layer=layer, gathers=gathers, revive=revive)

    def inside(self, index: int, below: list[Ref], revive: bool) -> Ref:
        """Add the steps of an input or sum layer on the way up."""
        layer = self.layers[index]
        units = layer.shape.units
        if isinstance(layer, IntegerInput):
            return self.add(Op.LEAF, units, layer=index, variable=layer.variable, revive=revive)
        return self.add(Op.UP, units, (self.concatenated(below, index),), layer=index, revive=revive)
