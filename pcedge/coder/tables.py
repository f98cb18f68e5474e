"""Schedules as columns of numbers, made for all layers of a circuit at once (docs/schedule.md).

A deep circuit has some hundred thousand steps: an object for each, and a walk that visits them one by one, would cost
more than all else that is done with it. So steps are made kind by kind, each with a key that says when it runs, and
sorted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcedge.arithmetic import IntArray
from pcedge.circuit.batches import stacked
from pcedge.circuit.layers import ProductLayer, SparseRows
from pcedge.circuit.structure import Regions
from pcedge.coder.steps import Gather, Op, Ref, Schedule, Step
from pcedge.quantize.integer import IntegerCircuit

BoolArray = NDArray[np.bool_]


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
    #: of LIST the number of contexts that it adds up, where they are those of one layer; else 0
    parts: IntArray
    #: the value that a schedule leaves
    result: int


class _Refs(NamedTuple):
    """Point at entries of values: as `Ref`, for many steps."""

    ids: IntArray
    offsets: IntArray
    units: IntArray

    def at(self, index: IntArray | BoolArray) -> _Refs:
        """Choose some."""
        return _Refs(*(column[index] for column in self))


class _Steps:
    """Collect steps in any order; every step has an id, and a key that says when it runs."""

    def __init__(self) -> None:
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
        first: _Refs | None = None,
        second: _Refs | None = None,
        *,
        layer: IntArray | int = -1,
        variable: IntArray | int = -1,
        revive: BoolArray | bool = False,
        columns: tuple[IntArray | int, IntArray | int] = (-1, -1),
        parts: IntArray | int = 0,
    ) -> None:
        """Add steps of one kind."""
        sources = [part for refs in (first, second) for part in (refs or (-1, 0, 0))]
        block = (ids, keys, op, units, *sources, layer, variable, revive, *columns, parts)
        self.blocks.append(tuple(np.broadcast_to(np.asarray(part, dtype=np.int64), ids.shape) for part in block))

    def table(self, result: int = -1) -> Table:
        """Sort the steps, and number their values; `result` is an id."""
        columns = [np.concatenate(parts) for parts in zip(*self.blocks, strict=True)]
        order = np.argsort(columns[1])
        (ids, _, op, units, first, first_offset, first_units, second, second_offset, second_units, layer, variable,
         revive, column, other, parts) = (part[order] for part in columns)  # fmt: skip
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
        below = np.concatenate([[0], np.cumsum(units[child])])
        place = np.arange(len(child)) - starts[user]
        column = place.copy()
        products = [index for index, shape in enumerate(shapes) if shape.gather is not None]
        for numbers, gathers in stacked([shapes[index].gather for index in products]):  # type: ignore[misc]
            edges = starts[[products[number] for number in numbers]][:, None] + np.arange(gathers.shape[2])
            own = np.arange(gathers.shape[1])
            straight = (gathers == own[:, None]).all(axis=1) & (units[child[edges]] == len(own))
            column[edges[straight]] = -1
        return Layers(
            units, kind == "input", kind == "product", kind == "sum",
            np.array([shape.variable for shape in shapes], dtype=np.int64),
            np.array([shape.cardinality for shape in shapes], dtype=np.int64), starts, user, child,
            place, below[:-1] - below[starts[user]], column,
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
    room = layers.room
    rank = np.arange(len(layers.units))
    if by_regions and circuit.structured:
        rank[np.lexsort((rank, circuit.regions.of_layer))] = np.arange(len(rank))
    steps = _Steps()
    never = np.zeros(len(rank), dtype=bool)
    edge_keys = rank[layers.user] * room + layers.place - 1
    inside = _upward(steps, layers, ~never, rank * room, edge_keys, never, never)
    return steps.table(int(inside[-1]))


def code_table(circuit: IntegerCircuit, layers: Layers | None = None) -> Table:
    """List the steps that code every variable once, in coding order.

    Raises:
        NotStructuredError: the circuit is not structured-decomposable.
    """
    layers, regions = layers or Layers.of(circuit), circuit.regions
    walk = _Walk.of(layers, regions)
    steps = _Steps()
    # A region needs its inside unless it is the last child of its parent, and that one of its parent, and so on.
    needed = (regions.first + regions.size < len(circuit.order))[regions.of_layer]
    inside = _upward(steps, layers, needed, walk.end, walk.after + 1, walk.funnel, walk.funnel | layers.leaf)
    contexts = _Contexts(steps, layers, walk)
    contexts.add_steps(inside)
    return steps.table()


def _upward(
    steps: _Steps,
    layers: Layers,
    chosen: BoolArray,
    layer_keys: IntArray,
    edge_keys: IntArray,
    revive: BoolArray,
    leaf_revive: BoolArray,
) -> IntArray:
    """Add the steps of some layers on the way up; give the id of every layer's value, -1 where it has none.

    `layer_keys` are those of leaves and sums, `edge_keys` those of the product of all children up to this edge's.
    """
    inside = np.full(len(layers.units), -1, dtype=np.int64)
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
    below = layers.below(sums)
    children = layers.children[sums]
    whole = _aligned(steps, sums, layer_keys[sums], children, _whole(layers, inside, layers.child[below]))
    steps.add(
        Op.UP, inside[sums], layer_keys[sums] + children - 1, layers.units[sums], whole, layer=sums,
        revive=revive[sums],
    )  # fmt: skip
    user, place = layers.user[factors], layers.place[factors]
    first = place == 1
    before = factors - 1
    lead = _Refs(
        np.where(first, inside[layers.child[before]], products - 1),
        np.zeros(len(factors), dtype=np.int64),
        np.where(first, layers.units[layers.child[before]], layers.units[user]),
    )
    steps.add(
        Op.MULTIPLY, products, edge_keys[factors], layers.units[user], lead,
        _whole(layers, inside, layers.child[factors]), layer=user, revive=revive[user],
        columns=(np.where(first, layers.column[before], -1), layers.column[factors]),
    )  # fmt: skip
    return inside


def _whole(layers: Layers, ids: IntArray, chosen: IntArray) -> _Refs:
    """Point at all units of some layers' values."""
    return _Refs(ids[chosen], np.zeros(len(chosen), dtype=np.int64), layers.units[chosen])


def _aligned(steps: _Steps, layer: IntArray, keys: IntArray, counts: IntArray, parts: _Refs) -> _Refs:
    """Put vectors one after the other, under one exponent: of every layer so many of the parts, from its key on."""
    starts = np.cumsum(counts) - counts
    ends = np.cumsum(parts.units)
    owner = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(owner)) - starts[owner]
    total = ends - (ends - parts.units)[starts[owner]]
    later = np.flatnonzero(place > 0)
    ids = np.full(len(owner), -1, dtype=np.int64)
    ids[later] = steps.reserve(len(later))
    # Up to a part: the part itself if it is the first, else what was aligned.
    upto = _Refs(np.where(place > 0, ids, parts.ids), np.where(place > 0, 0, parts.offsets), total)
    steps.add(
        Op.ALIGN, ids[later], keys[owner[later]] + place[later] - 1, total[later], upto.at(later - 1), parts.at(later),
        layer=layer[owner[later]],
    )  # fmt: skip
    return upto.at(starts + counts - 1)


@dataclass(frozen=True, eq=False)
class _Walk:
    """Say when a depth-first walk through the regions does what, and which contexts are revived."""

    #: region of every layer
    region: IntArray
    #: whether a layer's region is a funnel
    funnel: BoolArray
    #: keys of every layer: of the first step that makes its context, of its interval, of the first on its way up
    begin: IntArray
    interval: IntArray
    end: IntArray
    #: keys of every edge of a product: of giving its context to the child, and of what follows when the child is done
    give: IntArray
    after: IntArray

    @staticmethod
    def of(layers: Layers, regions: Regions) -> _Walk:
        """Order what happens in every region when it is entered, and when it and its children are left."""
        count, region = len(layers.units), regions.of_layer
        # Regions that end at a place are left before others begin there; the larger is entered first and left last.
        places = np.concatenate([regions.first, regions.first + regions.size])
        begins = np.repeat([1, 0], len(regions.first))
        ticks = np.empty(len(places), dtype=np.int64)
        ticks[np.lexsort((np.where(begins, -1, 1) * np.tile(regions.size, 2), begins, places))] = np.arange(len(places))
        entered, left = np.split(ticks, 2)
        own, user = np.arange(count), layers.user

        def keys(tick: IntArray, phase: int, layer: IntArray) -> IntArray:
            return ((tick * 4 + phase) * count + layer) * layers.room

        # Layers above others come first on the way down, and last on the way up.
        rank = count - 1 - own
        product = layers.product[user]
        last = product & (layers.place == layers.children[user] - 1)
        done = entered.copy()
        done[region[user[last]]] = left[region[layers.child[last]]]
        before = left[region[np.roll(layers.child, 1)]]
        return _Walk(
            region, _funnels(layers, region)[region],
            keys(entered[region], 0, rank), keys(entered[region], 1, rank), keys(done[region], 3, own),
            np.where(layers.place > 0, keys(before, 1, rank[user]), keys(entered[region[user]], 2, rank[user])),
            keys(left[region[layers.child]], 0, rank[user]),
        )  # fmt: skip


def _funnels(layers: Layers, region: IntArray) -> BoolArray:
    """Tell of every region whether all its contexts come in through one layer and pass through one chain.

    Only there does a zero context mean that the evidence is impossible, so only there may it be revived.
    """
    count = len(layers.units)
    users = np.bincount(layers.child, minlength=count)
    inner = layers.child[region[layers.user] == region[layers.child]]
    within = np.bincount(inner, minlength=count)
    # A sum over several layers has alternatives: one of them may be ruled out while the others live.
    apart = (within > 1) | ((within > 0) & (within < users)) | (layers.sum & (layers.children > 1))
    entries = np.bincount(region[within == 0], minlength=int(region.max()) + 1)
    return (entries == 1) & (np.bincount(region[apart], minlength=len(entries)) == 0)


class _Contexts:
    """Add the steps of the way down: the contexts of all layers, what they give to each other, and intervals."""

    def __init__(self, steps: _Steps, layers: Layers, walk: _Walk) -> None:
        self.steps, self.layers, self.walk = steps, layers, walk
        self.product = layers.product[layers.user]
        self.straight = self.product & (layers.column < 0)
        self.users = np.bincount(layers.child, minlength=len(layers.units))
        self.revives = walk.funnel | layers.leaf
        #: whether a sum's result is the whole context of its child: it is revived there, without a step more
        self.alone = walk.funnel & layers.sum & (layers.children == 1)
        #: of every edge whether it is the only way into a funnel, and carries its whole context
        self.sole = (self.users == 1)[layers.child] & walk.funnel[layers.child]
        #: of every edge whether it hands a product's context on as it came
        self.passes = self.straight & (layers.place == 0)
        #: of every layer with one user the edge from there; -1 for the root
        self.edge = np.full(len(layers.units), -1, dtype=np.int64)
        self.edge[layers.child] = np.arange(len(layers.child))
        self.merges = self._merges()

    def _merges(self) -> BoolArray:
        """Tell which layers' contexts are added up, or revived, by a step of their own."""
        layers, walk = self.layers, self.walk
        # Values that cannot be all zero: what was revived.
        alive = np.where(layers.sum[layers.user], self.alone[layers.user], self.sole)
        alive = np.where(self.straight, walk.funnel[layers.user] & (layers.place > 0), alive)
        # The root has no edge, and the last entry.
        alive, passes, user = np.append(alive, True), np.append(self.passes, False), np.append(layers.user, -1)
        single = self.users <= 1
        live = self.revives | (single & alive[self.edge])
        # A context that is handed on is alive if it was so where it came from, perhaps through many layers.
        hands = single & passes[self.edge]
        source = np.where(hands, user[self.edge], np.arange(len(live)))
        live = _along(source, live)
        part = np.where(hands, live[source], alive[self.edge])
        merges: BoolArray = ~single | (self.revives & ~part)
        return merges

    def add_steps(self, inside: IntArray) -> None:
        """Add all steps; `inside` are the values of the way up."""
        steps, layers, walk = self.steps, self.layers, self.walk
        user, own = layers.user, np.arange(len(layers.units))
        root, down = steps.reserve(1), _spread(layers.sum, steps)
        last = layers.place == layers.children[user] - 1
        running, given = _spread(self.product & ~last, steps), _spread(self.product & ~self.straight, steps)
        merged = _spread(self.merges, steps)
        # What every edge gives: a part of a sum's result, the sums of a list, or the product's context so far.
        gives = np.where(layers.sum[user], down[user], np.where(self.straight, np.roll(running, 1), given))
        offsets = np.where(layers.sum[user], layers.offset, 0)
        # The context of every layer, or where it is handed on from.
        single = ~self.merges & (self.edge >= 0)
        ids = np.where(single, np.append(gives, -1)[self.edge], np.where(self.merges, merged, root))
        begin = np.where(single, np.append(offsets, 0)[self.edge], 0)
        hands = single & np.append(self.passes, False)[self.edge]
        source = _root(np.where(hands, np.append(user, -1)[self.edge], own))
        context = _Refs(ids[source], begin[source], layers.units)
        handed = _Refs(
            np.where(self.passes, context.ids[user], gives), np.where(self.passes, context.offsets[user], offsets),
            layers.units[layers.child],
        )  # fmt: skip
        front = layers.place == 0
        reads = _Refs(
            np.where(front, context.ids[user], np.roll(running, 1)), np.where(front, context.offsets[user], 0),
            layers.units[user],
        )  # fmt: skip

        steps.add(Op.INIT, root, np.array([-1]), np.array([1]))
        self._add_merges(merged, handed)
        sums = np.flatnonzero(layers.sum)
        ends = layers.starts[sums + 1] - 1
        steps.add(
            Op.DOWN, down[sums], walk.begin[sums] + layers.room - 1, (layers.offset + layers.units[layers.child])[ends],
            context.at(sums), layer=sums, revive=self.alone[sums],
        )  # fmt: skip
        leaves = np.flatnonzero(layers.leaf)
        steps.add(
            Op.INTERVAL, steps.reserve(len(leaves)), walk.interval[leaves], layers.units[leaves], context.at(leaves),
            layer=leaves, variable=layers.variable[leaves], revive=True,
        )  # fmt: skip
        bent = np.flatnonzero(given >= 0)
        steps.add(
            Op.LIST, given[bent], walk.give[bent], layers.units[layers.child[bent]], reads.at(bent), layer=user[bent],
            revive=self.sole[bent], columns=(layers.column[bent], -1),
        )  # fmt: skip
        more = np.flatnonzero(running >= 0)
        steps.add(
            Op.MULTIPLY, running[more], walk.after[more], layers.units[user[more]], reads.at(more),
            _whole(layers, inside, layers.child[more]), layer=user[more], revive=walk.funnel[user[more]],
            columns=(-1, layers.column[more]),
        )  # fmt: skip

    def _add_merges(self, merged: IntArray, handed: _Refs) -> None:
        """Add up the contexts of layers with several users, entry by entry, and revive those that must not be zero."""
        layers, walk = self.layers, self.walk
        chosen = np.flatnonzero(self.merges)
        # Products of the region around come first, then sums of the own region, each from the last to the first.
        order = np.lexsort((-layers.user, layers.sum[layers.user], layers.child))
        parts = handed.at(order[self.merges[layers.child[order]]])
        counts = self.users[chosen]
        whole = _aligned(self.steps, chosen, walk.begin[chosen], counts, parts)
        self.steps.add(
            Op.LIST, merged[chosen], walk.begin[chosen] + counts - 1, layers.units[chosen], whole, layer=chosen,
            revive=self.revives[chosen], parts=counts,
        )  # fmt: skip


def _spread(chosen: BoolArray, steps: _Steps) -> IntArray:
    """Give ids to the chosen places, -1 to the others."""
    ids = np.full(len(chosen), -1, dtype=np.int64)
    ids[chosen] = steps.reserve(int(chosen.sum()))
    return ids


def _root(source: IntArray) -> IntArray:
    """Follow every place's source to the end, twice as far each time."""
    while (source != source[source]).any():
        source = source[source]
    return source


def _along(source: IntArray, flags: BoolArray) -> BoolArray:
    """Tell of every place whether it, or one on the way from source to source, is set."""
    while (source != source[source]).any():
        flags = flags | flags[source]
        source = source[source]
    return flags | flags[source]


def to_schedule(circuit: IntegerCircuit, table: Table) -> Schedule:
    """Make the steps of a table, one by one."""
    gathers: dict[tuple[int, int], Gather] = {}

    def gather(layer: int, column: int) -> Gather:
        if (layer, column) not in gathers:
            product = circuit.layers[layer]
            assert isinstance(product, ProductLayer)
            gathers[layer, column] = product.gather[:, column]
        return gathers[layer, column]

    steps = []
    columns = (table.op, table.target, table.units, table.values, table.offsets, table.source_units, table.layer,
               table.variable, table.revive, table.columns, table.parts)  # fmt: skip
    for op, target, units, values, offsets, sizes, layer, variable, revive, picked, parts in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        held = zip(values, offsets, sizes, strict=True)
        sources = tuple([Ref(value, offset, size) for value, offset, size in held if value >= 0])
        lists = None
        if op == Op.LIST:
            lists = merging(parts, units) if parts else scattering(gather(layer, picked[0]), units)
            picked = (-1, -1)
        first, second = (None if column < 0 else gather(layer, column) for column in picked)
        steps.append(Step(Op(op), target, units, sources, layer, variable, revive, (first, second), lists))
    return Schedule(tuple(steps), table.result)


def merging(parts: int, units: int) -> SparseRows:
    """List for every unit the entries of so many contexts, one after the other, that belong to it."""
    columns = np.arange(parts * units, dtype=np.int64).reshape(parts, units).T
    starts = np.arange(units + 1, dtype=np.int64) * parts
    return SparseRows(starts, columns.ravel(), np.ones(0, np.int64), parts * units)


def scattering(gather: Gather, units: int) -> SparseRows:
    """List for each of the `units` units of a child the products that gather it."""
    order = np.argsort(gather, kind="stable").astype(np.int64)
    indptr = np.searchsorted(gather[order], np.arange(units + 1)).astype(np.int64)
    return SparseRows(indptr, order, np.ones(0, np.int64), len(gather))
