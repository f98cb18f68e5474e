"""The steps of schedules, which every engine replays (docs/schedule.md)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from pcedge.circuit.rows import SparseRows
from pcedge.integer.circuit import IntegerCircuit, IntegerInput, IntegerSum

Gather = NDArray[np.int64]


class Op(IntEnum):
    """Name the kinds of steps; the numbers are those of the step encoding."""

    #: target = ones: the context of the root
    INIT = 0
    #: target = the symbol's column of a leaf table, or ones where it is missing
    LEAF = 1
    #: target = weights of a sum layer times source
    UP = 2
    #: target = transposed weights of a sum layer times source
    DOWN = 3
    #: target[j] = sum of the source entries of list j
    LIST = 4
    #: target[k] = first source[gather] * second source[gather]
    MULTIPLY = 5
    #: target = first source, then second source, under one exponent
    ALIGN = 6
    #: code the symbol of a variable with source as the weights of its leaf tables
    INTERVAL = 7


@dataclass(frozen=True)
class Ref:
    """Point at `units` entries of a value, from `offset` on; they share the value's exponent."""

    value: int
    offset: int
    units: int


@dataclass(frozen=True, eq=False)
class Step:
    """Compute one value from others.

    `target` numbers the value, -1 for `INTERVAL`, which makes none. All but `INIT` and `ALIGN` normalise their result;
    `revive` says what becomes of a zero vector (docs/arithmetic.md).
    """

    op: Op
    target: int
    units: int
    sources: tuple[Ref, ...] = ()
    #: the layer that the step belongs to
    layer: int = -1
    #: the variable of LEAF and INTERVAL
    variable: int = -1
    revive: bool = False
    #: gather lists of MULTIPLY's two sources; None takes entry k for unit k
    gathers: tuple[Gather | None, Gather | None] = (None, None)
    #: lists of LIST
    lists: SparseRows | None = None

    def describe(self) -> str:
        """Name the step for people: operation, layer, variable."""
        where = f" layer {self.layer}" if self.layer >= 0 else ""
        return f"{self.op.name}{where}" + (f" variable {self.variable}" if self.variable >= 0 else "")


@dataclass(frozen=True, eq=False)
class Schedule:
    """Hold a program: its steps, and the value it leaves (-1 where it codes instead)."""

    steps: tuple[Step, ...]
    result: int
    #: for every step the values that no later step reads
    frees: tuple[tuple[int, ...], ...] = field(default=())

    def __post_init__(self) -> None:
        """Find the last use of every value."""
        last = {step.target: index for index, step in enumerate(self.steps) if step.target >= 0}
        for index, step in enumerate(self.steps):
            for source in step.sources:
                last[source.value] = index
        last.pop(self.result, None)
        frees: list[list[int]] = [[] for _ in self.steps]
        for value, index in last.items():
            frees[index].append(value)
        object.__setattr__(self, "frees", tuple(tuple(sorted(f)) for f in frees))


def identity(gather: Gather, units: int) -> bool:
    """Tell whether a gather list names each of the `units` units of its source, in order."""
    return len(gather) == units and bool((gather == np.arange(units)).all())


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
        columns = np.arange(len(parts) * units, dtype=np.int64).reshape(len(parts), units).T
        lists = SparseRows(
            np.arange(units + 1, dtype=np.int64) * len(parts), columns.ravel(), np.ones(0, np.int64), whole.units
        )
        return self.add(Op.LIST, units, (whole,), layer=layer, lists=lists, revive=revive)

    def scatter(self, layer: int, running: Ref, gather: Gather, units: int, revive: bool) -> Ref:
        """Give each of the `units` units of a child the sum of the contexts of the products that gather it."""
        order = np.argsort(gather, kind="stable").astype(np.int64)
        indptr = np.searchsorted(gather[order], np.arange(units + 1)).astype(np.int64)
        lists = SparseRows(indptr, order, np.ones(0, np.int64), len(gather))
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
        """Add the steps of one layer on the way up."""
        layer = self.layers[index]
        if isinstance(layer, IntegerInput):
            units = layer.shape.units
            return self.add(Op.LEAF, units, layer=index, variable=layer.variable, revive=revive)
        if isinstance(layer, IntegerSum):
            whole = self.concatenated(below, index)
            return self.add(Op.UP, layer.shape.units, (whole,), layer=index, revive=revive)
        product: tuple[Ref, Gather | None] = (below[0], layer.gather[:, 0])
        for column in range(1, len(below)):
            second = (below[column], layer.gather[:, column])
            product = (self.multiply(index, product, second, layer.shape.units, revive), None)
        return product[0]
