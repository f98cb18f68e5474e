"""Where values live in the row memory: whole rows of lanes, cut where somebody reads a part (docs/rtl.md, Rows)."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pcedge.export.program.places import Allocator
from pcedge.schedule.steps import Align, Interval, Multiply, Ref, Schedule, Step

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Shape:
    """Hold how the units of a vector lie in rows: segments, each of which begins a row."""

    #: units of every segment
    segments: tuple[int, ...]
    lanes: int

    @property
    def rows(self) -> int:
        """Count the rows."""
        return sum(-(-units // self.lanes) for units in self.segments)

    @property
    def positions(self) -> Integers:
        """Give the position of every unit, row · lanes + lane, (units,) int64."""
        found, row = [], 0
        for units in self.segments:
            found.append(row * self.lanes + np.arange(units, dtype=np.int64))
            row += -(-units // self.lanes)
        return np.concatenate(found)


@dataclass(frozen=True)
class RowPlaces:
    """Hold the shape of every value of a schedule, its first row and its exponent's slot."""

    lanes: int
    #: by value: where it is cut, and its units
    cuts: dict[int, tuple[int, ...]]
    #: by value: first row and slot
    places: dict[int, tuple[int, int]]
    rows: int
    slots: int

    def shape(self, value: int) -> Shape:
        """Give the shape of a value."""
        return Shape(tuple(b - a for a, b in pairwise(self.cuts[value])), self.lanes)

    def part(self, source: Ref) -> tuple[Shape, int]:
        """Give the shape of a part of a value, and the first of its rows."""
        cuts = self.cuts[source.value]
        first, last = (bisect.bisect_left(cuts, at) for at in (source.offset, source.offset + source.units))
        sizes = tuple(b - a for a, b in pairwise(cuts))
        before = sum(-(-units // self.lanes) for units in sizes[:first])
        return Shape(sizes[first:last], self.lanes), self.places[source.value][0] + before


def place_rows(schedule: Schedule, lanes: int, *, searches: bool = False) -> RowPlaces:
    """Cut the values of a schedule so that every part that is read begins a row, and give them rows and slots.

    Args:
        schedule: the program.
        lanes: entries of a row.
        searches: whether a decoder runs it, which writes a LEAF behind its INTERVAL while it still reads the context.
    """
    cuts = _cut(schedule)
    unplaced = RowPlaces(lanes, cuts, {}, 0, 0)
    rows, slots = Allocator(), Allocator()
    places: dict[int, tuple[int, int]] = {}
    kept: list[int] = []
    for step, frees in zip(schedule.steps, schedule.frees, strict=True):
        if not isinstance(step, Interval):
            places[step.target] = (rows.take(unplaced.shape(step.target).rows), slots.take(1))
        elif searches:
            kept += frees
            continue
        for value in [*kept, *frees]:
            rows.give(places[value][0])
            slots.give(places[value][1])
        kept = []
    return RowPlaces(lanes, cuts, places, rows.peak, slots.peak)


def _cut(schedule: Schedule) -> dict[int, tuple[int, ...]]:
    cuts: dict[int, set[int]] = {
        step.target: {0, step.units} for step in schedule.steps if not isinstance(step, Interval)
    }
    for step in schedule.steps:
        for source in step.sources:
            cuts[source.value] |= {source.offset, source.offset + source.units}
    changed = True
    while changed:
        changed = False
        for step in schedule.steps:
            for target, source, start in _alike(step):
                inside = {at for at in cuts[source.value] if source.offset <= at <= source.offset + source.units}
                here = {at for at in cuts[target] if start <= at <= start + source.units}
                shift = source.offset - start
                both = {at - shift for at in inside} | here
                if both != here or {at + shift for at in both} != inside:
                    cuts[target] |= both
                    cuts[source.value] |= {at + shift for at in both}
                    changed = True
    return {value: tuple(sorted(found)) for value, found in cuts.items()}


def _alike(step: Step) -> Iterator[tuple[int, Ref, int]]:
    """List targets and sources that lie lane by lane: of the target from which unit on."""
    match step:
        case Multiply(gathers=(None, None)):
            yield from ((step.target, source, 0) for source in step.sources)
        case Align():
            yield step.target, step.sources[0], 0
            yield step.target, step.sources[1], step.sources[0].units
        case _:
            return
