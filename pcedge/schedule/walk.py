"""The walk through a circuit's regions that codes its variables, as columns (docs/program.md, section Code)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcedge.arrays import IntArray
from pcedge.circuit.structure import Regions
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.evidence import Scopes, later_evidence, look_ahead
from pcedge.schedule.steps import Op
from pcedge.schedule.tables import BoolArray, Layers, Refs, Steps, Table, aligned, upward, whole_values


def code_table(circuit: IntegerCircuit, layers: Layers | None = None, given: tuple[int, ...] = ()) -> Table:
    """List the steps that code every variable once, in coding order, but for those that are given.

    Raises:
        NotStructuredError: the circuit is not structured-decomposable.
    """
    layers, regions = layers or Layers.of(circuit), circuit.regions
    walk = _Walk.of(layers, regions)
    steps = Steps()
    # A region needs its inside unless it is the last child of its parent, and that one of its parent, and so on.
    scopes = Scopes.of(circuit, regions, given)
    ahead = look_ahead(steps, layers, scopes, walk.funnel)
    # What is given as a whole stays as it was ahead of the walk.
    whole = (ahead >= 0) & ~scopes.coding
    inside = upward(
        steps, layers, scopes.needed & ~whole, walk.end, walk.after + 1, walk.funnel, walk.funnel | layers.leaf,
        np.where(whole, ahead, -1),
    )  # fmt: skip
    contexts = _Contexts(steps, layers, walk, scopes, ahead)
    contexts.add_steps(inside)
    return steps.table()


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
        points = np.concatenate([regions.first, regions.first + regions.size])
        begins = np.repeat([1, 0], len(regions.first))
        ticks = np.empty(len(points), dtype=np.int64)
        ticks[np.lexsort((np.where(begins, -1, 1) * np.tile(regions.size, 2), begins, points))] = np.arange(len(points))
        entered, left = np.split(ticks, 2)
        layer_index, user = np.arange(count), layers.user

        def keys(tick: IntArray, phase: int, layer: IntArray) -> IntArray:
            return ((tick * 4 + phase) * count + layer) * layers.room

        # Layers above others come first on the way down, and last on the way up.
        rank = count - 1 - layer_index
        product = layers.product[user]
        last = product & (layers.place == layers.children[user] - 1)
        done = entered.copy()
        done[region[user[last]]] = left[region[layers.child[last]]]
        before = left[region[np.roll(layers.child, 1)]]
        return _Walk(
            region, _funnels(layers, region)[region],
            keys(entered[region], 0, rank), keys(entered[region], 1, rank), keys(done[region], 3, layer_index),
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
    alone: BoolArray = (entries == 1) & (np.bincount(region[apart], minlength=len(entries)) == 0)
    return alone


class _Contexts:
    """Add the steps of the way down: the contexts of all layers, what they give to each other, and intervals."""

    def __init__(self, steps: Steps, layers: Layers, walk: _Walk, scopes: Scopes, ahead: IntArray) -> None:
        self.steps, self.layers, self.walk, self.coding = steps, layers, walk, scopes.coding
        #: of every edge of a product the evidence of its later children
        self.later, self.column = later_evidence(steps, layers, scopes, ahead, walk.interval)
        self.lifted = self.later.ids >= 0
        self.product = layers.product[layers.user]
        self.straight = self.product & (layers.column < 0)
        self.users = np.bincount(layers.child, minlength=len(layers.units))
        self.revives = walk.funnel | layers.leaf
        #: whether a sum's result is the whole context of its child: it is revived there, without a step more
        self.alone = walk.funnel & layers.sum & (layers.children == 1)
        #: of every edge whether it is the only way into a funnel, and carries its whole context
        self.sole = (self.users == 1)[layers.child] & walk.funnel[layers.child]
        #: of every edge whether it hands a product's context on as it came
        self.passes = self.straight & (layers.place == 0) & ~self.lifted
        #: of every layer with one user the edge from there; -1 for the root
        self.edge = np.full(len(layers.units), -1, dtype=np.int64)
        self.edge[layers.child] = np.arange(len(layers.child))
        self.merges = self._merges()

    def _merges(self) -> BoolArray:
        """Tell which layers' contexts are added up, or revived, by a step of their own."""
        layers, walk = self.layers, self.walk
        # Values that cannot be all zero: what was revived.
        alive = np.where(layers.sum[layers.user], self.alone[layers.user], self.sole)
        alive = np.where(self.straight, walk.funnel[layers.user] & ((layers.place > 0) | self.lifted), alive)
        # The root has no edge, and the last entry.
        alive, passes, user = np.append(alive, True), np.append(self.passes, False), np.append(layers.user, -1)
        single = self.users <= 1
        live = self.revives | (single & alive[self.edge])
        # A context that is handed on is alive if it was so where it came from, perhaps through many layers.
        hands = single & passes[self.edge]
        source = np.where(hands, user[self.edge], np.arange(len(live)))
        live = _along(source, live)
        source_alive = np.where(hands, live[source], alive[self.edge])
        merges: BoolArray = (~single | (self.revives & ~source_alive)) & self.coding
        return merges

    def add_steps(self, inside: IntArray) -> None:
        """Add all steps; `inside` are the values of the way up."""
        steps, layers, walk = self.steps, self.layers, self.walk
        user, indices = layers.user, np.arange(len(layers.units))
        root, down = steps.reserve(1), _spread(layers.sum & self.coding, steps)
        # What a product gives to its children after the first, up to the last in which something is coded.
        coded = self.coding[layers.child]
        ends = np.zeros(len(layers.units), dtype=np.int64)
        np.maximum.at(ends, user, np.where(coded, layers.place, 0))
        running = _spread(self.product & (layers.place < ends[user]), steps)
        lifted, given = _spread(self.lifted, steps), _spread(self.product & ~self.straight & coded, steps)
        merged = _spread(self.merges, steps)
        # What every edge gives: a part of a sum's result, the sums of a list, or the product's context so far.
        weighed = np.where(self.lifted, lifted, np.roll(running, 1))
        gives = np.where(layers.sum[user], down[user], np.where(self.straight, weighed, given))
        offsets = np.where(layers.sum[user], layers.offset, 0)
        # The context of every layer, or where it is handed on from.
        single = ~self.merges & (self.edge >= 0)
        ids = np.where(single, np.append(gives, -1)[self.edge], np.where(self.merges, merged, root))
        begin = np.where(single, np.append(offsets, 0)[self.edge], 0)
        hands = single & np.append(self.passes, False)[self.edge]
        source = _root(np.where(hands, np.append(user, -1)[self.edge], indices))
        context = Refs(ids[source], begin[source], layers.units)
        handed = Refs(
            np.where(self.passes, context.ids[user], gives), np.where(self.passes, context.offsets[user], offsets),
            layers.units[layers.child],
        )  # fmt: skip
        front = layers.place == 0
        so_far = Refs(
            np.where(front, context.ids[user], np.roll(running, 1)), np.where(front, context.offsets[user], 0),
            layers.units[user],
        )  # fmt: skip

        steps.add(Op.INIT, root, np.array([-1]), np.array([1]))
        self._add_merges(merged, handed)
        sums = np.flatnonzero(down >= 0)
        final = layers.starts[sums + 1] - 1
        wide = layers.offset[final] + layers.units[layers.child[final]]
        steps.add(
            Op.DOWN, down[sums], walk.begin[sums] + layers.room - 1, wide, context.at(sums), layer=sums,
            revive=self.alone[sums],
        )  # fmt: skip
        leaves = np.flatnonzero(layers.leaf & self.coding)
        steps.add(
            Op.INTERVAL, steps.reserve(len(leaves)), walk.interval[leaves], layers.units[leaves], context.at(leaves),
            layer=leaves, variable=layers.variable[leaves], revive=True,
        )  # fmt: skip
        ahead = np.flatnonzero(self.lifted)
        steps.add(
            Op.MULTIPLY, lifted[ahead], walk.give[ahead], layers.units[user[ahead]], so_far.at(ahead),
            self.later.at(ahead), layer=user[ahead], revive=walk.funnel[user[ahead]], columns=(-1, self.column[ahead]),
        )  # fmt: skip
        bent = np.flatnonzero(given >= 0)
        reads = Refs(
            np.where(self.lifted, lifted, so_far.ids), np.where(self.lifted, 0, so_far.offsets), so_far.units
        )  # fmt: skip
        steps.add(
            Op.LIST, given[bent], walk.give[bent] + 1, layers.units[layers.child[bent]], reads.at(bent),
            layer=user[bent], revive=self.sole[bent], columns=(layers.column[bent], -1),
        )  # fmt: skip
        more = np.flatnonzero(running >= 0)
        steps.add(
            Op.MULTIPLY, running[more], walk.after[more], layers.units[user[more]], so_far.at(more),
            whole_values(layers, inside, layers.child[more]), layer=user[more], revive=walk.funnel[user[more]],
            columns=(-1, layers.column[more]),
        )  # fmt: skip

    def _add_merges(self, merged: IntArray, handed: Refs) -> None:
        """Add up the contexts of layers with several users, entry by entry, and revive those that must not be zero."""
        layers, walk = self.layers, self.walk
        chosen = np.flatnonzero(self.merges)
        # Products of the region around come first, then sums of the own region, each from the last to the first.
        order = np.lexsort((-layers.user, layers.sum[layers.user], layers.child))
        contexts = handed.at(order[self.merges[layers.child[order]]])
        counts = self.users[chosen]
        joined = aligned(self.steps, chosen, walk.begin[chosen], counts, contexts)
        self.steps.add(
            Op.LIST, merged[chosen], walk.begin[chosen] + counts - 1, layers.units[chosen], joined, layer=chosen,
            revive=self.revives[chosen], parts=counts,
        )  # fmt: skip


def _spread(chosen: BoolArray, steps: Steps) -> IntArray:
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
