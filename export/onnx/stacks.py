"""Stacks: steps of one kind that run together, so that an ONNX graph has few nodes (docs/onnx.md, section Stacks)."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from pcedge.circuit.layers import ProductLayer
from pcedge.circuit.rows import SparseRows
from pcedge.integer.circuit import IntegerCircuit, IntegerInput, IntegerSum
from pcedge.schedule.steps import (
    Align,
    Down,
    Gather,
    Init,
    Interval,
    Leaf,
    ListSum,
    Multiply,
    Ref,
    Schedule,
    Step,
    Up,
    revives,
)  # fmt: skip

#: what must agree between the steps of a stack: the name of their function, then sizes
Kind = tuple[str | int, ...]


@dataclass(frozen=True)
class Stack:
    """Hold steps of one kind that depend on none of each other; row r of its tensors belongs to `steps[r]`."""

    #: `L<number>` of the likelihood or `C<number>` of the code schedule, in the order in which the stacks run
    name: str
    kind: Kind
    #: indices of steps in their schedule
    steps: tuple[int, ...]
    #: units of each of its values
    units: int

    @property
    def function(self) -> str:
        """Name the function in the domain `pcedge`."""
        return str(self.kind[0])


def kind_of(circuit: IntegerCircuit, step: Step, keep: bool = False) -> Kind:
    """Tell what a step must share with others of its stack; `keep` is the schedule's."""
    kind = _kind_of(circuit, step)
    if not keep:
        return kind
    assert not isinstance(step, Init)
    name = "Tail" if circuit.has_tails(step.layer) and isinstance(step, Leaf | Up) else "Kept"
    return (f"{name}{kind[0]}", *kind[1:])


def _kind_of(circuit: IntegerCircuit, step: Step) -> Kind:
    sizes = (step.units, *(source.units for source in step.sources), int(revives(step)))
    match step:
        case Init():
            return ("Root", *sizes)
        case Align():
            return ("Align", *sizes)
        case ListSum():
            return ("ListSum", *sizes)
        case Multiply():
            layer = circuit.layers[step.layer]
            assert isinstance(layer, ProductLayer)
            picked = (pick_column(layer, gather) for gather in step.gathers)
            return ("Product", *sizes, layer.gather.shape[1], *picked)
        case Leaf() | Interval():
            leaf = circuit.layers[step.layer]
            assert isinstance(leaf, IntegerInput)
            return ("Leaf" if isinstance(step, Leaf) else "Interval", *sizes, leaf.cumulative.shape[1])
        case Up() | Down():
            weights = circuit.layers[step.layer]
            assert isinstance(weights, IntegerSum)
            name = "Sum" if isinstance(step, Up) else "Context"
            return (f"Sparse{name}" if isinstance(weights.weights, SparseRows) else name, *sizes)
        case _:
            assert_never(step)


def pick_column(layer: ProductLayer, gather: Gather | None) -> int:
    """Find the column of a product layer's gather lists that a step uses; -1 where it uses none."""
    if gather is None:
        return -1
    return int(np.flatnonzero((layer.gather == gather[:, None]).all(axis=0))[0])


def stack_steps(circuit: IntegerCircuit, schedule: Schedule, name: str) -> tuple[Stack, ...]:
    """Group a schedule's steps into stacks.

    Again and again, among the kinds that have steps whose sources are all done, the kind that holds the step with the
    longest path to the end is taken (the earlier step where two are alike), and all its ready steps become a stack.
    That takes hardly more stacks than the longest path has steps.
    """
    steps = schedule.steps
    maker = {step.target: index for index, step in enumerate(steps) if not isinstance(step, Interval)}
    makers = [sorted({maker[source.value] for source in step.sources}) for step in steps]
    users: list[list[int]] = [[] for _ in steps]
    path = [1] * len(steps)
    for index in reversed(range(len(steps))):
        for child in makers[index]:
            users[child].append(index)
            path[child] = max(path[child], path[index] + 1)
    kinds = [kind_of(circuit, step, schedule.keep) for step in steps]
    waiting = [len(children) for children in makers]
    ready: dict[Kind, list[tuple[int, int]]] = {}
    for index in range(len(steps)):
        if not waiting[index]:
            heapq.heappush(ready.setdefault(kinds[index], []), (-path[index], index))
    rows_of: dict[int, tuple[int, int]] = {}
    stacks: list[Stack] = []
    while ready:
        kind = min(ready, key=lambda kind: ready[kind][0])
        chosen = sorted(index for _, index in ready.pop(kind))
        rows = _in_order_of_sources(steps, chosen, rows_of)
        stack = Stack(f"{name}{len(stacks)}", kind, tuple(rows), steps[rows[0]].units)
        for row, index in enumerate(rows):
            step = steps[index]
            if not isinstance(step, Interval):
                rows_of[step.target] = (len(stacks), row)
        stacks.append(stack)
        for index in rows:
            for user in users[index]:
                waiting[user] -= 1
                if not waiting[user]:
                    heapq.heappush(ready.setdefault(kinds[user], []), (-path[user], user))
    return tuple(stacks)


def _in_order_of_sources(steps: tuple[Step, ...], chosen: list[int], rows_of: dict[int, tuple[int, int]]) -> list[int]:
    """Sort a stack's rows by the source that comes from the most stacks, so that it needs no permutation."""
    count = len(steps[chosen[0]].sources)
    if not count:
        return chosen

    def place(index: int, side: int) -> tuple[int, int, int]:
        source: Ref = steps[index].sources[side]
        return (*rows_of[source.value], source.offset)

    side = max(range(count), key=lambda side: (len({place(index, side)[0] for index in chosen}), side))
    return sorted(chosen, key=lambda index: (place(index, side), index))
