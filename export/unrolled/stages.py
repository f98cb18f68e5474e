"""Where the registers of an unrolled kernel stand: every cell in a stage, all stages about as long.

A stage is what is between two clock edges. Stage 0 begins with the record; the kernel's outputs are registers behind
the last stage, so its latency in cycles is the number of stages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pcedge.errors import UsageError
from pcedge.export.unrolled.cells import MEMORY, REGISTER, SETUP, Cell

#: nanoseconds of a stage where the user names no latency: with it most kernels reach 100 MHz on an ECP5 of speed 6
STAGE_NS = 7.5

#: nanoseconds by which two lengths of a stage differ at least
_STEP = 0.05


@dataclass(frozen=True)
class Stages:
    """Hold the stage of every cell."""

    #: by name; that of a table which is read at a clock edge is the one in which its entry is there
    stage: Mapping[str, int]
    #: cycles from a record to its result
    latency: int
    #: the longest stage by the delays of cells, in nanoseconds
    longest_ns: float


def place(cells: Sequence[Cell], outputs: Sequence[str], latency: int | None = None) -> Stages:
    """Choose where registers stand.

    Args:
        cells: in the order of their operands.
        outputs: names of the cells that leave.
        latency: cycles from a record to its result; None takes as few as `STAGE_NS` allows.

    Raises:
        UsageError: there is no such latency.
    """
    least = max(_alone(cell) for cell in cells)
    if latency is None:
        return _within(cells, outputs, max(STAGE_NS, least))
    most, fewest = _within(cells, outputs, least), _within(cells, outputs, 1e9)
    if not fewest.latency <= latency <= most.latency:
        raise UsageError(
            f"the latency must be in {fewest.latency}..{most.latency} cycles, from every table read at once to a "
            f"register behind every cell, got {latency}"
        )
    low, high = least, sum(_alone(cell) for cell in cells)
    while high - low > _STEP:
        middle = (low + high) / 2
        low, high = (low, middle) if _within(cells, outputs, middle).latency <= latency else (middle, high)
    found = _within(cells, outputs, high)
    return Stages(found.stage, latency, found.longest_ns)


def _alone(cell: Cell) -> float:
    """Give the length of a stage with one cell."""
    return (MEMORY if cell.entries else REGISTER + cell.delay) + SETUP


def _within(cells: Sequence[Cell], outputs: Sequence[str], limit: float) -> Stages:
    """Put every cell into the first stage that has time for it, tables into the last that needs no more stages."""
    stage: dict[str, int] = {}
    ready: dict[str, float] = {}
    longest = 0.0
    for cell in cells:
        first = max((stage[name] for name in cell.operands), default=0)
        begin = max((ready[name] for name in cell.operands if stage[name] == first), default=REGISTER)
        if cell.entries:
            stage[cell.name], ready[cell.name] = first + 1, MEMORY
            longest = max(longest, begin + SETUP)
            continue
        if begin + cell.delay + SETUP > limit and begin > REGISTER:
            first, begin = first + 1, REGISTER
        stage[cell.name], ready[cell.name] = first, begin + cell.delay
        longest = max(longest, ready[cell.name] + SETUP)
    last = max(stage[name] for name in outputs)
    _read_late(cells, stage, outputs, last)
    return Stages(stage, last + 1, longest)


def _read_late(cells: Sequence[Cell], stage: dict[str, int], outputs: Sequence[str], last: int) -> None:
    """Read tables as late as they may be: a symbol that waits is narrower than its entry."""
    needed = dict.fromkeys(outputs, last)
    for cell in reversed(cells):
        for name in cell.operands:
            needed[name] = min(needed.get(name, last), stage[cell.name] - bool(cell.entries))
        # In a stage of its own first use the entry comes late from its memory; a stage earlier it waits in a register.
        if cell.entries and needed[cell.name] - 1 > stage[cell.name]:
            stage[cell.name] = needed[cell.name] - 1
