"""Schedules: the programs of steps that every engine replays (docs/schedule.md).

`likelihood_schedule` goes upward only. `code_schedule` walks the tree of regions depth first and keeps a context and an
inside vector for each region. Both are pure functions of the circuit and its coding order.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from pcedge.circuit.layers import ProductLayer, SparseRows
from pcedge.circuit.structure import Region
from pcedge.quantize.integer import IntegerCircuit, IntegerInput, IntegerSum

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


def likelihood_schedule(circuit: IntegerCircuit) -> Schedule:
    """List the steps that give the root's value: every layer once, children before parents."""
    builder = Builder(circuit)
    inside: dict[int, Ref] = {}
    for index, layer in enumerate(circuit.layers):
        inside[index] = builder.inside(index, [inside[child] for child in layer.shape.children], revive=False)
    return Schedule(tuple(builder.steps), inside[len(circuit.layers) - 1].value)


def code_schedule(circuit: IntegerCircuit) -> Schedule:
    """List the steps that code every variable once, in coding order.

    Raises:
        NotStructuredError: the circuit is not structured-decomposable.
    """
    walk = _Walk(circuit)
    # Frames on a list instead of recursion: a chain of some thousand variables is deeper than Python's own stack.
    frames = [walk.visit(len(walk.tree) - 1, need_inside=False)]
    while frames:
        call = next(frames[-1], None)
        if call is None:
            frames.pop()
        else:
            frames.append(walk.visit(*call))
    return Schedule(tuple(walk.builder.steps), -1)


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


class _Walk:
    """Hold the state of the depth-first walk: pending contexts and finished insides, by layer."""

    def __init__(self, circuit: IntegerCircuit) -> None:
        self.circuit = circuit
        self.tree = circuit.tree
        self.shapes = circuit.shapes
        self.builder = Builder(circuit)
        self.pending: dict[int, list[Ref]] = {index: [] for index in range(len(self.shapes))}
        self.inside: dict[int, Ref] = {}
        self.users: dict[int, list[int]] = {index: [] for index in range(len(self.shapes))}
        for index, shape in enumerate(self.shapes):
            for child in shape.children:
                self.users[child].append(index)
        self.funnels = {index for region in self.tree if self.is_funnel(region) for index in region.layers}
        #: values that cannot be all zero
        self.alive: set[int] = set()
        root = self.builder.add(Op.INIT, 1)
        self.alive.add(root.value)
        self.pending[len(self.shapes) - 1].append(root)

    def is_funnel(self, region: Region) -> bool:
        """Tell whether all contexts of a region come in through one layer and pass through one chain.

        Only there does a zero context mean that the evidence is impossible, so only there may it be revived.
        """
        members = set(region.layers)
        entries = 0
        for index in region.layers:
            within = sum(user in members for user in self.users[index])
            if within > 1 or (within and within < len(self.users[index])):
                return False
            # A sum over several layers has alternatives: one of them may be ruled out while the others live.
            if self.shapes[index].kind == "sum" and len(self.shapes[index].children) > 1:
                return False
            entries += within == 0
        return entries == 1

    def context(self, layer: int, revive: bool) -> Ref:
        """Merge what the users of a layer gave into its context."""
        parts = self.pending.pop(layer)
        if len(parts) == 1 and (not revive or parts[0].value in self.alive):
            return parts[0]
        merged = self.builder.merge(parts, layer, revive)
        if revive:
            self.alive.add(merged.value)
        return merged

    def visit(self, number: int, need_inside: bool) -> Generator[tuple[int, bool], None, None]:
        """Give contexts down through a region, code or enter what is below, and come up if a later sibling needs it."""
        region = self.tree[number]
        funnel = region.layers[0] in self.funnels
        contexts: dict[int, Ref] = {}
        for index in reversed(region.layers):
            shape = self.shapes[index]
            context = self.context(index, revive=funnel or shape.kind == "input")
            if shape.kind != "sum":
                contexts[index] = context
                continue
            # With one child in a funnel the result is that child's whole context: revive it here, without a step more.
            alone = funnel and len(shape.children) == 1
            below = self.builder.add(Op.DOWN, shape.columns, (context,), layer=index, revive=alone)
            if alone:
                self.alive.add(below.value)
            offset = 0
            for child in shape.children:
                self.pending[child].append(Ref(below.value, offset, self.shapes[child].units))
                offset += self.shapes[child].units
        if not region.children:
            (leaf,) = contexts
            variable = self.shapes[leaf].variable
            self.builder.add(
                Op.INTERVAL, self.shapes[leaf].units, (contexts[leaf],), layer=leaf, variable=variable, revive=True
            )
        else:
            yield from self._children(region, contexts, need_inside, funnel)
        if need_inside:
            for index in region.layers:
                if index not in self.inside:
                    below_refs = [self.inside[child] for child in self.shapes[index].children]
                    kind = self.shapes[index].kind
                    self.inside[index] = self.builder.inside(index, below_refs, revive=funnel or kind == "input")

    def _children(
        self, region: Region, contexts: dict[int, Ref], need_inside: bool, funnel: bool
    ) -> Generator[tuple[int, bool], None, None]:
        """Walk a region's child regions with two running products a product layer: with the context, and without."""
        without: dict[int, tuple[Ref, Gather | None]] = {}
        for place, child in enumerate(region.children):
            last = place == len(region.children) - 1
            for index, running in contexts.items():
                self._give(index, place, running)
            yield child, need_inside or not last
            for index in contexts:
                layer = self._product(index)
                units = len(layer.gather)
                if not last:
                    inside = (self.inside[layer.children[place]], layer.gather[:, place])
                    contexts[index] = self.builder.multiply(index, (contexts[index], None), inside, units, funnel)
                    if funnel:
                        self.alive.add(contexts[index].value)
                if need_inside:
                    inside = (self.inside[layer.children[place]], layer.gather[:, place])
                    product = self.builder.multiply(index, without[index], inside, units, funnel) if place else None
                    without[index] = (product, None) if product else inside
        self.inside.update((index, ref) for index, (ref, _) in without.items())

    def _product(self, index: int) -> ProductLayer:
        layer = self.circuit.layers[index]
        assert isinstance(layer, ProductLayer)
        return layer

    def _give(self, index: int, place: int, running: Ref) -> None:
        """Give a product layer's running context to its child layer: each unit gets the sum of those that use it."""
        layer = self._product(index)
        child, gather = layer.children[place], layer.gather[:, place]
        units = self.shapes[child].units
        if identity(gather, units):
            self.pending[child].append(running)
            return
        # The only way into a funnel carries its whole context.
        sole = len(self.users[child]) == 1 and child in self.funnels
        given = self.builder.scatter(index, running, gather, units, revive=sole)
        if sole:
            self.alive.add(given.value)
        self.pending[child].append(given)
