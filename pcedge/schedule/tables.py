"""Schedules as columns of numbers, made for all layers of a circuit at once (docs/program.md).

A deep circuit has some hundred thousand steps: an object for each, and a walk that visits them one by one, would cost
more than all else that is done with it. So steps are made kind by kind, each with a key that says when it runs, and
sorted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray
from pcedge.circuit.batches import stacked
from pcedge.circuit.layers import ProductLayer
from pcedge.circuit.rows import SparseRows
from pcedge.errors import assert_never
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.steps import (
    Align,
    Down,
    Gather,
    Init,
    Interval,
    Leaf,
    ListSum,
    Multiply,
    Op,
    Ref,
    Schedule,
    Step,
    Up,
)  # fmt: skip

BoolArray = NDArray[np.bool_]

#: what stands for parts in a LIST that reads through a gather list
PICK = -1


@dataclass(frozen=True, eq=False)
class Table:
    """Hold the steps of a schedule, a row a step; -1 stands for what a step has not."""

    #: number of the operation, `Op`
    op: IntArray
    #: number of the value that is made
    target: IntArray
    #: entries of the value, or of an INTERVAL's context
    units: IntArray
    #: both sources, (steps, 2): the value, where the entries begin in it, and how many they are
    values: IntArray
    offsets: IntArray
    source_units: IntArray
    #: layer and variable of a step
    layer: IntArray
    variable: IntArray
    #: whether a zero vector is revived
    revive: BoolArray
    #: of MULTIPLY, for both sources, and of a LIST that gives contexts to a product's child, for its one: the column of
    #: the product layer's gather lists
    columns: IntArray
    #: of LIST the number of contexts that it adds up, where they are those of one layer; `PICK` of one that reads a
    #: child's value through a product's gather list; else 0
    parts: IntArray
    #: the value that a schedule leaves
    result: int


class Refs(NamedTuple):
    """Point at entries of values: as `Ref`, for many steps."""

    ids: IntArray
    offsets: IntArray
    units: IntArray

    def at(self, index: IntArray | BoolArray) -> Refs:
        """Choose some."""
        return Refs(*(column[index] for column in self))


class Steps:
    """Collect steps in any order; every step has an id, and a key that says when it runs."""

    def __init__(self) -> None:
        """Start with none."""
        self.blocks: list[tuple[IntArray, ...]] = []
        self.count = 0

    def reserve(self, count: int) -> IntArray:
        """Give ids that no step has."""
        self.count += count
        return np.arange(self.count - count, self.count)

    def add(
        self,
        op: Op,
        ids: IntArray,
        keys: IntArray,
        units: IntArray,
        first: Refs | None = None,
        second: Refs | None = None,
        *,
        layer: IntArray | int = -1,
        variable: IntArray | int = -1,
        revive: BoolArray | bool = False,
        columns: tuple[IntArray | int, IntArray | int] = (-1, -1),
        parts: IntArray | int = 0,
    ) -> None:
        """Add steps of one kind."""
        sources = [column for refs in (first, second) for column in (refs or (-1, 0, 0))]
        block = (ids, keys, op, units, *sources, layer, variable, revive, *columns, parts)
        self.blocks.append(tuple(np.broadcast_to(np.asarray(column, dtype=np.int64), ids.shape) for column in block))

    def table(self, result: int = -1) -> Table:
        """Sort the steps, and number their values; `result` is an id."""
        columns = [np.concatenate(blocks) for blocks in zip(*self.blocks, strict=True)]
        order = np.argsort(columns[1])
        (ids, _, op, units, first, first_offset, first_units, second, second_offset, second_units, layer, variable,
         revive, column, other, parts) = (values[order] for values in columns)  # fmt: skip
        makes = op != Op.INTERVAL
        target = np.where(makes, np.cumsum(makes) - 1, -1)
        # The last entry is for the id -1, which is none.
        named = np.full(self.count + 1, -1, dtype=np.int64)
        named[ids] = target
        return Table(
            op, target, units, named[np.stack([first, second], axis=1)],
            np.stack([first_offset, second_offset], axis=1), np.stack([first_units, second_units], axis=1),
            layer, variable, revive != 0, np.stack([column, other], axis=1), parts, int(named[result]),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Layers:
    """Hold the layers of a circuit as arrays, and their edges: one for each child of each layer, in order."""

    units: IntArray
    leaf: BoolArray
    product: BoolArray
    sum: BoolArray
    variable: IntArray
    #: symbols of each input layer
    symbols: IntArray
    #: where the edges of each layer begin, and after the last layer their number
    starts: IntArray
    #: of every edge the layer above, the layer below, and its place among those of the layer above
    user: IntArray
    child: IntArray
    place: IntArray
    #: of every edge the units of the children before
    offset: IntArray
    #: of every edge of a product the column of its gather lists; -1 where unit u reads unit u of the child, and all
    #: are read
    column: IntArray
    #: more than any layer has children or users
    room: int

    @staticmethod
    def of(circuit: IntegerCircuit) -> Layers:
        """Take the layers of a circuit."""
        shapes = circuit.shapes
        starts, child = circuit.edges
        count = np.diff(starts)
        user = np.repeat(np.arange(len(shapes)), count)
        units = np.array([shape.units for shape in shapes], dtype=np.int64)
        kind = np.array([shape.kind for shape in shapes])
        offsets = np.concatenate([[0], np.cumsum(units[child])])
        place = np.arange(len(child)) - starts[user]
        column = place.copy()
        products = [index for index, shape in enumerate(shapes) if shape.gather is not None]
        for numbers, gathers in stacked([shapes[index].gather for index in products]):  # type: ignore[misc]
            edges = starts[[products[number] for number in numbers]][:, None] + np.arange(gathers.shape[2])
            unit = np.arange(gathers.shape[1])
            straight = (gathers == unit[:, None]).all(axis=1) & (units[child[edges]] == len(unit))
            column[edges[straight]] = -1
        return Layers(
            units, kind == "input", kind == "product", kind == "sum",
            np.array([shape.variable for shape in shapes], dtype=np.int64),
            np.array([shape.cardinality for shape in shapes], dtype=np.int64), starts, user, child,
            place, offsets[:-1] - offsets[starts[user]], column,
            2 + max(int(count.max(initial=0)), int(np.bincount(child).max(initial=0))),
        )  # fmt: skip

    @property
    def children(self) -> IntArray:
        """Count the children of every layer."""
        return np.diff(self.starts)

    def below(self, layers: IntArray) -> IntArray:
        """List the edges of some layers, one layer after the other."""
        counts = self.children[layers]
        first = self.starts[layers] - (np.cumsum(counts) - counts)
        return np.repeat(first, counts) + np.arange(int(counts.sum()))


def likelihood_table(circuit: IntegerCircuit, layers: Layers | None = None, *, by_regions: bool = False) -> Table:
    """List the steps that give the root's value: every layer once, children before parents.

    With `by_regions` the layers of a structured circuit come region by region, so that few values live at a time.
    """
    layers = layers or Layers.of(circuit)
    stride = layers.room
    rank = np.arange(len(layers.units))
    if by_regions and circuit.structured:
        walk = circuit.regions.largest_first()[circuit.regions.of_layer]
        rank[np.lexsort((rank, walk))] = np.arange(len(rank))
    steps = Steps()
    never = np.zeros(len(rank), dtype=bool)
    edge_keys = rank[layers.user] * stride + layers.place - 1
    inside = upward(steps, layers, ~never, rank * stride, edge_keys, never, never)
    return steps.table(int(inside[-1]))


def upward(
    steps: Steps,
    layers: Layers,
    chosen: BoolArray,
    layer_keys: IntArray,
    edge_keys: IntArray,
    revive: BoolArray,
    leaf_revive: BoolArray,
    known: IntArray | None = None,
) -> IntArray:
    """Add the steps of some layers on the way up; give the id of every layer's value, -1 where it has none.

    `layer_keys` are those of leaves and sums, `edge_keys` those of the product of all children up to this edge's;
    `known` the ids of layers that have a value, which are not chosen.
    """
    inside = np.full(len(layers.units), -1, dtype=np.int64) if known is None else known.copy()
    leaves, sums = np.flatnonzero(layers.leaf & chosen), np.flatnonzero(layers.sum & chosen)
    factors = np.flatnonzero(layers.product[layers.user] & chosen[layers.user] & (layers.place > 0))
    inside[leaves], inside[sums] = steps.reserve(len(leaves)), steps.reserve(len(sums))
    products = steps.reserve(len(factors))
    # The last of a layer's factors stays.
    inside[layers.user[factors]] = products
    steps.add(
        Op.LEAF, inside[leaves], layer_keys[leaves], layers.units[leaves], layer=leaves,
        variable=layers.variable[leaves], revive=leaf_revive[leaves],
    )  # fmt: skip
    edges = layers.below(sums)
    children = layers.children[sums]
    inputs = aligned(steps, sums, layer_keys[sums], children, whole_values(layers, inside, layers.child[edges]))
    steps.add(
        Op.UP, inside[sums], layer_keys[sums] + children - 1, layers.units[sums], inputs, layer=sums,
        revive=revive[sums],
    )  # fmt: skip
    user, position = layers.user[factors], layers.place[factors]
    first = position == 1
    before = factors - 1
    lead = Refs(
        np.where(first, inside[layers.child[before]], products - 1),
        np.zeros(len(factors), dtype=np.int64),
        np.where(first, layers.units[layers.child[before]], layers.units[user]),
    )
    steps.add(
        Op.MULTIPLY, products, edge_keys[factors], layers.units[user], lead,
        whole_values(layers, inside, layers.child[factors]), layer=user, revive=revive[user],
        columns=(np.where(first, layers.column[before], -1), layers.column[factors]),
    )  # fmt: skip
    return inside


def whole_values(layers: Layers, ids: IntArray, chosen: IntArray) -> Refs:
    """Point at all units of some layers' values."""
    return Refs(ids[chosen], np.zeros(len(chosen), dtype=np.int64), layers.units[chosen])


def aligned(steps: Steps, layer: IntArray, keys: IntArray, counts: IntArray, parts: Refs) -> Refs:
    """Put vectors one after the other, under one exponent: of every layer so many of the parts, from its key on."""
    starts = np.cumsum(counts) - counts
    ends = np.cumsum(parts.units)
    owner = np.repeat(np.arange(len(counts)), counts)
    index = np.arange(len(owner)) - starts[owner]
    total = ends - (ends - parts.units)[starts[owner]]
    later = np.flatnonzero(index > 0)
    ids = np.full(len(owner), -1, dtype=np.int64)
    ids[later] = steps.reserve(len(later))
    # Up to a part: the part itself if it is the first, else what was aligned.
    upto = Refs(np.where(index > 0, ids, parts.ids), np.where(index > 0, 0, parts.offsets), total)
    steps.add(
        Op.ALIGN, ids[later], keys[owner[later]] + index[later] - 1, total[later], upto.at(later - 1), parts.at(later),
        layer=layer[owner[later]],
    )  # fmt: skip
    return upto.at(starts + counts - 1)


def to_schedule(circuit: IntegerCircuit, table: Table, keep: bool = False) -> Schedule:
    """Make the steps of a table, one by one; `keep` is the schedule's."""
    known: dict[tuple[int, int], Gather] = {}

    def gather(layer: int, column: int) -> Gather:
        if (layer, column) not in known:
            product = circuit.layers[layer]
            assert isinstance(product, ProductLayer)
            known[layer, column] = product.gather[:, column]
        return known[layer, column]

    def gathered(layer: int, column: int) -> Gather | None:
        return None if column < 0 else gather(layer, column)

    steps: list[Step] = []
    columns = (table.op, table.target, table.units, table.values, table.offsets, table.source_units, table.layer,
               table.variable, table.revive, table.columns, table.parts)  # fmt: skip
    for number, target, units, values, offsets, sizes, layer, variable, revive, picked, parts in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        op = Op(number)
        first = Ref(values[0], offsets[0], sizes[0])
        second = Ref(values[1], offsets[1], sizes[1])
        match op:
            case Op.INIT:
                steps.append(Init(target, units))
            case Op.LEAF:
                steps.append(Leaf(target, units, layer, variable, revive))
            case Op.UP:
                steps.append(Up(target, units, first, layer, revive))
            case Op.DOWN:
                steps.append(Down(target, units, first, layer, revive))
            case Op.LIST:
                if parts == PICK:
                    lists = picking(gather(layer, picked[0]), first.units)
                else:
                    lists = merging(parts, units) if parts else scattering(gather(layer, picked[0]), units)
                steps.append(ListSum(target, units, first, lists, layer, revive))
            case Op.MULTIPLY:
                gathers = gathered(layer, picked[0]), gathered(layer, picked[1])
                steps.append(Multiply(target, units, (first, second), gathers, layer, revive))
            case Op.ALIGN:
                steps.append(Align(target, units, (first, second), layer))
            case Op.INTERVAL:
                steps.append(Interval(first, layer, variable))
            case _:
                assert_never(op)
    return Schedule(tuple(steps), table.result, keep)


def merging(parts: int, units: int) -> SparseRows:
    """List for every unit the entries of so many contexts, one after the other, that belong to it."""
    columns = np.arange(parts * units, dtype=np.int64).reshape(parts, units).T
    starts = np.arange(units + 1, dtype=np.int64) * parts
    return SparseRows(starts, columns.ravel(), np.ones(0, np.int64), parts * units)


def picking(gather: Gather, units: int) -> SparseRows:
    """Read a vector of so many units through a gather list."""
    starts = np.arange(len(gather) + 1, dtype=np.int64)
    return SparseRows(starts, gather.astype(np.int64), np.ones(0, np.int64), units)


def scattering(gather: Gather, units: int) -> SparseRows:
    """List for each of the `units` units of a child the products that gather it."""
    order = np.argsort(gather, kind="stable").astype(np.int64)
    indptr = np.searchsorted(gather[order], np.arange(units + 1)).astype(np.int64)
    return SparseRows(indptr, order, np.ones(0, np.int64), len(gather))
