"""The steps of schedules, which every engine replays (docs/schedule.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from pcedge.circuit.rows import SparseRows

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
