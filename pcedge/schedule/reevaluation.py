"""The code schedule of circuits that are not structured: re-evaluate what the last variable changed.

The rule is in docs/program.md, section Re-evaluation. It has the steps of the other schedules, so every engine that
replays steps can code with it; only the numpy reference does, for the work grows with the number of variables.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from pcedge.circuit.layers import ProductLayer
from pcedge.circuit.structure import layer_scopes
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.builder import Builder
from pcedge.schedule.steps import Gather, Ref, Schedule, identity

#: a vector, and the list by which a product reads it
Factor = tuple[Ref, Gather | None]


def reevaluation_schedule(circuit: IntegerCircuit, given: tuple[int, ...] = ()) -> Schedule:
    """List the steps that code every variable once, in coding order, of any smooth and decomposable circuit.

    Variables that are given count as coded before all others.
    """
    state = _Reevaluation(circuit)
    state.coded = sum(1 << variable for variable in given)
    for variable in circuit.order:
        if variable not in given:
            state.code(variable)
    return Schedule(tuple(state.builder.steps), -1)


class _Reevaluation:
    """Hold what was coded, and the inside vectors of the layers that it reaches."""

    def __init__(self, circuit: IntegerCircuit) -> None:
        self.circuit = circuit
        self.shapes = circuit.shapes
        self.scopes = layer_scopes(self.shapes)
        self.builder = Builder(circuit)
        #: bit mask of the coded variables
        self.coded = 0
        #: of a layer what was coded in its scope, and its inside vector then
        self.inside: dict[int, tuple[int, Ref]] = {}
        #: of a product layer the columns of finished children, and their product, if there are any
        self.finished: dict[int, tuple[list[int], list[Factor]]] = {}
        #: steps of the way down by what they do: a context that did not change is not computed again
        self.made: dict[Hashable, Ref] = {}
        self.root = self.builder.root()

    def code(self, variable: int) -> None:
        """Code one variable: contexts down to its input layer, and its interval."""
        bit = 1 << variable
        ancestors = [index for index in range(len(self.shapes)) if self.scopes[index] & bit]
        products = [index for index in ancestors if self.shapes[index].kind == "product"]
        self.refresh([child for index in products for child in self.shapes[index].children])
        pending: dict[int, list[Ref]] = {index: [] for index in ancestors}
        pending[len(self.shapes) - 1].append(self.root)
        for index in reversed(ancestors):
            shape = self.shapes[index]
            contexts = pending.pop(index)
            if shape.kind == "input":
                context = self.once(("revive", *contexts), self.builder.merge, contexts, index, True)
                self.builder.interval(context, index, variable)
                continue
            context = contexts[0]
            if len(contexts) > 1:
                context = self.once(("merge", *contexts), self.builder.merge, contexts, index, False)
            if shape.kind == "product":
                child = next(child for child in shape.children if self.scopes[child] & bit)
                pending[child].append(self.give(index, child, context))
                continue
            columns = self.once(("down", index, context), self.builder.down, shape.columns, context, index)
            offset = 0
            for child in shape.children:
                pending[child].append(Ref(columns.value, offset, self.shapes[child].units))
                offset += self.shapes[child].units
        self.coded |= bit

    def once(self, key: Hashable, make: Callable[..., Ref], *operands: object) -> Ref:
        """Add a step, or find the one that did the same."""
        if key not in self.made:
            self.made[key] = make(*operands)
        return self.made[key]

    def give(self, index: int, child: int, context: Ref) -> Ref:
        """Give a product layer's context, times all its other children that were coded in part or whole, to a child."""
        layer = self.product(index)
        column = layer.children.index(child)
        units = len(layer.gather)
        running = context
        for factor in self.factors(index, skip=column):
            running = self.once(
                ("times", index, running, factor[0]),
                self.builder.multiply, index, (running, None), factor, units, False,
            )  # fmt: skip
        gather, size = layer.gather[:, column], self.shapes[child].units
        if identity(gather, size):
            return running
        key = ("give", index, column, running)
        return self.once(key, self.builder.scatter, index, running, gather, size, False)

    def factors(self, index: int, skip: int = -1) -> list[Factor]:
        """List what was coded below a product layer: the product of the finished children, then the others."""
        layer = self.product(index)
        units = len(layer.gather)
        columns, product = self.finished.get(index, ([], []))
        done = {
            self.last_place(self.scopes[child]): column
            for column, child in enumerate(layer.children)
            if column not in columns and not self.scopes[child] & ~self.coded
        }
        for _, column in sorted(done.items()):
            factor: Factor = (self.inside[layer.children[column]][1], layer.gather[:, column])
            product = [(self.builder.multiply(index, product[0], factor, units, False), None)] if product else [factor]
            columns = [*columns, column]
            self.finished[index] = (columns, product)
        partial: list[Factor] = [
            (self.inside[child][1], layer.gather[:, column])
            for column, child in enumerate(layer.children)
            if column not in columns and column != skip and self.scopes[child] & self.coded
        ]
        return [*product, *partial]

    def refresh(self, wanted: list[int]) -> None:
        """Bring the inside vectors of the wanted layers, where something was coded, up to date."""
        stale: set[int] = set()
        stack = list(wanted)
        while stack:
            index = stack.pop()
            seen = self.scopes[index] & self.coded
            if seen and index not in stale and self.inside.get(index, (0,))[0] != seen:
                stale.add(index)
                stack.extend(self.shapes[index].children)
        for index in sorted(stale):
            self.inside[index] = (self.scopes[index] & self.coded, self.evaluate(index))

    def evaluate(self, index: int) -> Ref:
        """Add the steps of one layer on the way up, for what was coded in its scope."""
        shape = self.shapes[index]
        if shape.kind != "product":
            # All of a variable's evidence passes its one input layer: there a zero vector may be forgotten.
            children = [self.inside[child][1] for child in shape.children]
            return self.builder.inside(index, children, revive=shape.kind == "input")
        (running, gather), *others = self.factors(index)
        if not others:
            if gather is None or identity(gather, running.units):
                return running
            return self.builder.pick(index, running, gather)
        for factor in others:
            running, gather = self.builder.multiply(index, (running, gather), factor, shape.units, False), None
        return running

    def product(self, index: int) -> ProductLayer:
        """Give a product layer."""
        layer = self.circuit.layers[index]
        assert isinstance(layer, ProductLayer)
        return layer

    def last_place(self, scope: int) -> int:
        """Give the place in the coding order of the last variable of a scope."""
        return max(position for position, variable in enumerate(self.circuit.order) if scope >> variable & 1)
