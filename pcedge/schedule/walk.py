"""Schedules: the programs of steps that every engine replays (docs/program.md).

`likelihood_schedule` goes upward only. `code_schedule` walks the tree of regions depth first and keeps a context and an
inside vector for each region. Both are pure functions of the circuit and its coding order.
"""

from __future__ import annotations

from collections.abc import Generator

from pcedge.circuit.layers import ProductLayer
from pcedge.circuit.structure import Region
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.builder import Builder
from pcedge.schedule.steps import Gather, Ref, Schedule, identity


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
        root = self.builder.root()
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
            below = self.builder.down(shape.columns, context, index, alone)
            if alone:
                self.alive.add(below.value)
            offset = 0
            for child in shape.children:
                self.pending[child].append(Ref(below.value, offset, self.shapes[child].units))
                offset += self.shapes[child].units
        if not region.children:
            (leaf,) = contexts
            variable = self.shapes[leaf].variable
            self.builder.interval(contexts[leaf], leaf, variable)
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
