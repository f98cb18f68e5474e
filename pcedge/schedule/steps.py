"""The steps of schedules, which every engine replays (docs/program.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pcedge.circuit.rows import SparseRows

#: the entries of a source that a product reads, one for each unit
Gather = NDArray[np.int64]


class Zeros(IntEnum):
    """Number what becomes of entries and vectors that are zero, or would be; the numbers of files and images."""

    #: truncation may make an entry zero; a zero vector stays zero
    STAY = 0
    #: the same, but a zero vector becomes one of ones
    REVIVE = 1
    #: an entry that truncation would make zero stays possible, 1; a zero vector stays zero
    KEEP = 2
    #: the same, of a LEAF or UP whose parameters of 0 are tails
    TAIL = 3


class Op(IntEnum):
    """Number the kinds of steps; each is one type of `Step`, which says what it computes."""

    INIT = 0
    LEAF = 1
    UP = 2
    DOWN = 3
    LIST = 4
    MULTIPLY = 5
    ALIGN = 6
    INTERVAL = 7


@dataclass(frozen=True)
class Ref:
    """Point at `units` entries of a value, from `offset` on; they share the value's exponent."""

    value: int
    offset: int
    units: int


@dataclass(frozen=True, eq=False, slots=True)
class Init:
    """Set `target` to ones: the context of the root."""

    op: ClassVar[Op] = Op.INIT
    target: int
    units: int

    @property
    def sources(self) -> tuple[Ref, ...]:
        """Give the values that are read."""
        return ()


@dataclass(frozen=True, eq=False, slots=True)
class Leaf:
    """Read the symbol's column of a leaf table, or ones where it is missing, and normalise."""

    op: ClassVar[Op] = Op.LEAF
    target: int
    units: int
    layer: int
    variable: int
    #: whether a zero vector becomes one of ones (docs/arithmetic.md)
    revive: bool

    @property
    def sources(self) -> tuple[Ref, ...]:
        """Give the values that are read."""
        return ()


@dataclass(frozen=True, eq=False, slots=True)
class Up:
    """Multiply the weights of a sum layer with the source, and normalise."""

    op: ClassVar[Op] = Op.UP
    target: int
    units: int
    source: Ref
    layer: int
    revive: bool

    @property
    def sources(self) -> tuple[Ref, ...]:
        """Give the values that are read."""
        return (self.source,)


@dataclass(frozen=True, eq=False, slots=True)
class Down:
    """Multiply the transposed weights of a sum layer with the source, and normalise."""

    op: ClassVar[Op] = Op.DOWN
    target: int
    units: int
    source: Ref
    layer: int
    revive: bool

    @property
    def sources(self) -> tuple[Ref, ...]:
        """Give the values that are read."""
        return (self.source,)


@dataclass(frozen=True, eq=False, slots=True)
class ListSum:
    """Set entry j to the sum of the source entries of list j, and normalise."""

    op: ClassVar[Op] = Op.LIST
    target: int
    units: int
    source: Ref
    lists: SparseRows
    #: the layer that the step belongs to
    layer: int
    revive: bool

    @property
    def sources(self) -> tuple[Ref, ...]:
        """Give the values that are read."""
        return (self.source,)


@dataclass(frozen=True, eq=False, slots=True)
class Multiply:
    """Set entry k to the product of entry k of both sources, each read through its gather list, and normalise."""

    op: ClassVar[Op] = Op.MULTIPLY
    target: int
    units: int
    sources: tuple[Ref, Ref]
    #: for each source the entry that unit k reads; None reads entry k
    gathers: tuple[Gather | None, Gather | None]
    #: the product layer that the step belongs to
    layer: int
    revive: bool


@dataclass(frozen=True, eq=False, slots=True)
class Align:
    """Put the second source behind the first, under the larger exponent of the two."""

    op: ClassVar[Op] = Op.ALIGN
    target: int
    units: int
    sources: tuple[Ref, Ref]
    layer: int


@dataclass(frozen=True, eq=False, slots=True)
class Interval:
    """Code the symbol of a variable, with the source as the weights of its leaf tables; it makes no value."""

    op: ClassVar[Op] = Op.INTERVAL
    source: Ref
    layer: int
    variable: int

    @property
    def sources(self) -> tuple[Ref, ...]:
        """Give the values that are read."""
        return (self.source,)

    @property
    def units(self) -> int:
        """Give the entries of the context."""
        return self.source.units


#: a step that makes a value
Computed = Init | Leaf | Up | Down | ListSum | Multiply | Align

#: a step; consumers match over all of them, so that a type checker lists what one of them lacks
Step = Computed | Interval


def revives(step: Step) -> bool:
    """Tell whether a zero vector becomes one of ones; an interval's context always does."""
    match step:
        case Init() | Align():
            return False
        case Interval():
            return True
        case _:
            return step.revive


def zeros_of(step: Step, keep: bool, tails: bool) -> Zeros:
    """Tell what becomes of zeros in a step; `keep` is the schedule's, and `tails` says whether its layer has some."""
    if not keep:
        return Zeros(revives(step))
    return Zeros.TAIL if tails and isinstance(step, Leaf | Up) else Zeros.KEEP


def describe(step: Step) -> str:
    """Name a step for people: operation, layer, variable."""
    where = "" if isinstance(step, Init) else f" layer {step.layer}"
    return f"{step.op.name}{where}" + (f" variable {step.variable}" if isinstance(step, Leaf | Interval) else "")


@dataclass(frozen=True, eq=False)
class Schedule:
    """Hold a sequence of steps, and the value it leaves (-1 where it codes instead)."""

    steps: tuple[Step, ...]
    result: int
    #: whether an entry that truncation would make zero stays possible, 1; no step of such a schedule revives
    keep: bool = False
    #: for every step the values that no later step reads
    frees: tuple[tuple[int, ...], ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        """Find the last use of every value."""
        last = {step.target: index for index, step in enumerate(self.steps) if not isinstance(step, Interval)}
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
