"""The order in which a circuit is evaluated in stacks: equal-shaped layers of one level are one operation.

Every unit has a row in one buffer of values, (rows, records). Rows of a level follow each other, so that most
operations read and write slices. Numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pcedge.arrays import IntArray
from pcedge.circuit.layers import Circuit, InputLayer, SumLayer
from pcedge.circuit.rows import SparseRows

#: a sparse sum layer of more entries than this, if it were dense, is run by its lists
DENSE_ENTRIES = 2**20


@dataclass(frozen=True, eq=False)
class Bags:
    """Hold lists of rows, one after the other; bag b starts at `offsets[b]`."""

    indices: IntArray
    offsets: IntArray


@dataclass(frozen=True, eq=False)
class Rows:
    """Name rows of the buffer: a slice where they follow each other (`indices` is None then)."""

    start: int
    count: int
    indices: IntArray | None

    @staticmethod
    def of(indices: IntArray) -> Rows:
        """Find out whether the rows follow each other."""
        start = int(indices[0])
        together = bool((indices == np.arange(start, start + len(indices))).all())
        return Rows(start, len(indices), None if together else indices)


@dataclass(frozen=True, eq=False)
class LeafStack:
    """Input layers with one number of units and of symbols: a table (layers, units, symbols)."""

    layers: tuple[int, ...]
    variables: IntArray
    shape: tuple[int, int, int]
    start: int
    #: where the tables lie in the parameters
    first: int


@dataclass(frozen=True, eq=False)
class ProductStack:
    """Products of one level: the rows from `start` on are the sums (of logarithms) of their bags."""

    start: int
    count: int
    bags: Bags


@dataclass(frozen=True, eq=False)
class SumStack:
    """Sum layers of one level and shape: weights (layers, units, columns), dense or with entries at `places`."""

    layers: tuple[int, ...]
    shape: tuple[int, int, int]
    start: int
    below: Rows
    first: int
    entries: int
    #: places of the entries in the dense weights; None where every place has one
    places: IntArray | None
    #: run by lists of entries, because the dense weights would be too large
    listed: bool
    #: row from which on the stack's flows into its columns are written
    flows: int


@dataclass(frozen=True, eq=False)
class Pull:
    """Rows of one level whose flow is the sum of the flows that their users have written."""

    rows: Rows
    bags: Bags


@dataclass(frozen=True, eq=False)
class Plan:
    """Hold the stacks by level, and where every layer's rows and parameters are."""

    levels: tuple[tuple[LeafStack | ProductStack | SumStack, ...], ...]
    #: for every level, what gathers its rows' flows before its stacks use them
    pulls: tuple[Pull | None, ...]
    #: first row of every layer
    starts: tuple[int, ...]
    #: rows of values, and of flows (with those of sums whose columns have other users too)
    rows: int
    flow_rows: int
    #: lengths of the rows of parameters, each of which sums to one
    lengths: IntArray
    parameters: int


def make_plan(circuit: Circuit) -> Plan:
    """Stack a circuit's layers; any circuit has a plan."""
    layers, shapes = circuit.layers, circuit.shapes
    height: list[int] = []
    users: list[list[int]] = [[] for _ in layers]
    for index, shape in enumerate(shapes):
        height.append(1 + max((height[child] for child in shape.children), default=-1))
        for child in shape.children:
            users[child].append(index)
    members_of: list[list[int]] = [[] for _ in range(max(height) + 1)]
    for index, level in enumerate(height):
        members_of[level].append(index)
    starts = [0] * len(layers)
    stacks: list[list[LeafStack | ProductStack | SumStack]] = []
    lengths: list[IntArray] = []
    row = first = 0
    for unsorted in members_of:
        # Layers that sums read come first, in one run, so that the sums above read slices.
        members = sorted(
            unsorted, key=lambda index: (any(shapes[user].kind == "product" for user in users[index]), index)
        )
        groups: dict[tuple[object, ...], list[int]] = {}
        for index in members:
            groups.setdefault(_key(layers[index]), []).append(index)
        level_stacks: list[LeafStack | ProductStack | SumStack] = []
        for group in groups.values():
            if shapes[group[0]].kind == "sum":
                group.sort(key=lambda index: starts[shapes[index].children[0]])
            for index in group:
                starts[index] = row
                row += shapes[index].units
            start = starts[group[0]]
            if shapes[group[0]].kind == "product":
                level_stacks.append(ProductStack(start, row - start, _product_bags(circuit, group, starts)))
            elif shapes[group[0]].kind == "input":
                leaves = _leaf_stack(circuit, group, start, first)
                level_stacks.append(leaves)
                lengths.append(np.full(row - start, leaves.shape[2], dtype=np.int64))
                first += int(lengths[-1].sum())
            else:
                stack, row_lengths = _sum_stack(circuit, group, starts, first)
                level_stacks.append(stack)
                lengths.append(row_lengths)
                first += int(row_lengths.sum())
        stacks.append(level_stacks)
    units = [shape.units for shape in shapes]
    return _with_flows(stacks, tuple(starts), row, np.concatenate(lengths), first, height, units)


def _key(layer: object) -> tuple[object, ...]:
    if isinstance(layer, InputLayer):
        return ("input", layer.parametric is not None, *layer.table.shape)
    if isinstance(layer, SumLayer):
        sparse = isinstance(layer.weights, SparseRows)
        return ("sum", sparse, *layer.weights.shape)
    return ("product",)


def _product_bags(circuit: Circuit, group: Sequence[int], starts: Sequence[int]) -> Bags:
    indices, sizes = [], []
    for index in group:
        shape = circuit.shapes[index]
        assert shape.gather is not None
        indices.append((shape.gather + np.array([starts[child] for child in shape.children])).ravel())
        sizes.append(np.full(shape.units, len(shape.children), dtype=np.int64))
    counts = np.concatenate(sizes)
    return Bags(np.concatenate(indices).astype(np.int64), np.cumsum(counts) - counts)


def _leaf_stack(circuit: Circuit, group: Sequence[int], start: int, first: int) -> LeafStack:
    shapes = [circuit.shapes[index] for index in group]
    variables = np.array([shape.variable for shape in shapes], dtype=np.int64)
    return LeafStack(tuple(group), variables, (len(group), shapes[0].units, shapes[0].cardinality), start, first)


def _sum_stack(circuit: Circuit, group: Sequence[int], starts: Sequence[int], first: int) -> tuple[SumStack, IntArray]:
    units, columns = circuit.layers[group[0]].weights.shape  # type: ignore[union-attr]
    child_rows, indices, lengths = [], [], []
    for position, index in enumerate(group):
        layer = circuit.layers[index]
        assert isinstance(layer, SumLayer)
        for child in layer.children:
            child_rows.append(starts[child] + np.arange(circuit.shapes[child].units))
        if isinstance(layer.weights, SparseRows):
            lengths.append(np.diff(layer.weights.indptr))
            indices.append((position * units + layer.weights.row_of_entry) * columns + layer.weights.indices)
        else:
            lengths.append(np.full(units, columns))
    entries = np.concatenate(lengths).astype(np.int64)
    flat = np.concatenate(indices).astype(np.int64) if indices else None
    listed = flat is not None and len(group) * units * columns > max(DENSE_ENTRIES, 8 * len(flat))
    shape = (len(group), units, columns)
    rows = Rows.of(np.concatenate(child_rows))
    return SumStack(tuple(group), shape, starts[group[0]], rows, first, int(entries.sum()), flat, listed, -1), entries


def _with_flows(
    stacks: list[list[LeafStack | ProductStack | SumStack]], starts: tuple[int, ...], rows: int, lengths: IntArray,
    parameters: int, height: list[int], units: list[int],
) -> Plan:  # fmt: skip
    """Say where flows are written: into the columns' own rows where nobody else writes there, else into extra rows."""
    sources = np.zeros(rows, dtype=np.int64)
    written: list[tuple[IntArray, IntArray]] = []  # (row, where a flow into it is written)
    for level in stacks:
        for stack in level:
            if isinstance(stack, ProductStack):
                np.add.at(sources, stack.bags.indices, 1)
            elif isinstance(stack, SumStack):
                np.add.at(sources, _indices(stack.below), 1)
    total = rows
    levels = []
    for level in stacks:
        fresh: list[LeafStack | ProductStack | SumStack] = []
        for stack in level:
            if isinstance(stack, ProductStack):
                fan = np.diff(np.append(stack.bags.offsets, len(stack.bags.indices)))
                written.append((stack.bags.indices, np.repeat(stack.start + np.arange(stack.count), fan)))
            elif isinstance(stack, SumStack):
                child_rows = _indices(stack.below)
                if stack.below.indices is None and (sources[child_rows] == 1).all():
                    flows = stack.below.start
                else:
                    flows, total = total, total + len(child_rows)
                    written.append((child_rows, flows + np.arange(len(child_rows))))
                stack = replace(stack, flows=flows)
            fresh.append(stack)
        levels.append(tuple(fresh))
    pulls = _pulls(written, levels, rows, starts, height, units)
    return Plan(tuple(levels), pulls, starts, rows, total, lengths, parameters)


def _pulls(
    written: list[tuple[IntArray, IntArray]], levels: Sequence[object], rows: int, starts: Sequence[int],
    height: Sequence[int], units: Sequence[int],
) -> tuple[Pull | None, ...]:  # fmt: skip
    if not written:
        return (None,) * len(levels)
    into = np.concatenate([pair[0] for pair in written])
    source = np.concatenate([pair[1] for pair in written])
    order = np.lexsort((source, into))
    into, source = into[order], source[order]
    level_of = np.zeros(rows, dtype=np.int64)
    for start, level, count in zip(starts, height, units, strict=True):
        level_of[start : start + count] = level
    level_of = level_of[into]
    pulls: list[Pull | None] = []
    for level in range(len(levels)):
        mine = level_of == level
        if not mine.any():
            pulls.append(None)
            continue
        targets, offsets = np.unique(into[mine], return_index=True)
        pulls.append(Pull(Rows.of(targets), Bags(source[mine], offsets.astype(np.int64))))
    return tuple(pulls)


def _indices(rows: Rows) -> IntArray:
    return np.arange(rows.start, rows.start + rows.count) if rows.indices is None else rows.indices
