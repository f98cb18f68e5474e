"""Where values live: an address and an exponent's slot each (docs/engine-memories.md, section Memories)."""

from __future__ import annotations

import bisect
from dataclasses import dataclass

from pcedge.arithmetic import ceil_log2
from pcedge.schedule.steps import Interval, Schedule


class Allocator:
    """Give addresses to values while they live, lowest first, so that the memory stays small."""

    def __init__(self) -> None:
        self.taken: list[tuple[int, int]] = []  # (start, end), ascending
        self.peak = 0

    def take(self, size: int) -> int:
        start = 0
        for begin, end in self.taken:
            if begin - start >= size:
                break
            start = end
        bisect.insort(self.taken, (start, start + size))
        self.peak = max(self.peak, start + size)
        return start

    def give(self, start: int) -> None:
        del self.taken[bisect.bisect_left(self.taken, (start, 0))]


@dataclass(frozen=True)
class Places:
    """Hold where the values of a schedule live."""

    #: by value: address of the first mantissa, and slot of the exponent
    locations: dict[int, tuple[int, int]]
    #: mantissas and exponents that must be held at once
    state: int
    slots: int

    def cost(self, schedule: Schedule, state_bits: int) -> int:
        """Estimate the bits of the state memory, of all different places, and of their numbers in steps."""
        named = [(*self.locations[step.target], 0) for step in schedule.steps if not isinstance(step, Interval)]
        named += [(*self.locations[part.value], part.offset) for step in schedule.steps for part in step.sources]
        places = len(set(named))
        row = ceil_log2(self.state + 1) + ceil_log2(self.slots + 1)
        return self.state * state_bits + places * row + len(named) * ceil_log2(places)


def lowest_first(schedule: Schedule) -> Places:
    """Give every value the lowest address and the lowest slot that are free."""
    state, slots = Allocator(), Allocator()
    locations: dict[int, tuple[int, int]] = {}
    for step, frees in zip(schedule.steps, schedule.frees, strict=True):
        if not isinstance(step, Interval):
            locations[step.target] = (state.take(step.units), slots.take(1))
        for value in frees:
            state.give(locations[value][0])
            slots.give(locations[value][1])
    return Places(locations, state.peak, slots.peak)


def framed(schedule: Schedule) -> Places:
    """Give every value the lowest slot that is free, and each slot an address of its own, with room for its largest."""
    found = lowest_first(schedule)
    rooms = [0] * found.slots
    for step in schedule.steps:
        if not isinstance(step, Interval):
            slot = found.locations[step.target][1]
            rooms[slot] = max(rooms[slot], step.units)
    starts = [sum(rooms[:slot]) for slot in range(found.slots)]
    locations = {value: (starts[slot], slot) for value, (_, slot) in found.locations.items()}
    return Places(locations, sum(rooms), found.slots)


def cheapest(schedule: Schedule, state_bits: int) -> Places:
    """Choose between `lowest_first` and `framed` by `Places.cost`: where sizes differ, frames have fewer places."""
    return min((lowest_first(schedule), framed(schedule)), key=lambda places: places.cost(schedule, state_bits))
