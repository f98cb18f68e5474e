"""What the parts of the cycle model share: time, what is to happen, and round robin (docs/rtl.md, Cycle model)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

Action = Callable[[Any], None]


class Calendar:
    """Keep what is to happen in later cycles.

    A cycle has two halves. First what registers show from now on is set: the actions of this cycle. Then every part
    looks at what is there, and says what follows in later cycles.
    """

    def __init__(self) -> None:
        """Begin with cycle 1, the first one after a job's start."""
        self.now = 1
        self._actions: defaultdict[int, list[tuple[Action, Any]]] = defaultdict(list)
        self._last = 0

    def at(self, cycle: int, action: Action, what: object) -> None:
        """Do something at the beginning of a cycle to come."""
        self._actions[cycle].append((action, what))
        if cycle > self._last:
            self._last = cycle

    def wake(self, cycle: int) -> None:
        """Look at a cycle to come, in which something may begin."""
        self._actions[cycle]  # makes an entry
        if cycle > self._last:
            self._last = cycle

    def begin(self) -> bool:
        """Do what is to happen in this cycle; tell whether that was something."""
        found = self._actions.pop(self.now, None)
        if found is None:
            return False
        for action, what in found:
            action(what)
        return True

    def skip(self) -> bool:
        """Go to the next cycle in which something happens; tell whether there is one."""
        cycle, actions, last = self.now + 1, self._actions, self._last
        while cycle <= last and cycle not in actions:
            cycle += 1
        self.now = cycle
        return cycle <= last


class Pick:
    """Choose one of those that ask, round robin, as pc_pick does; it goes on where the job before has stopped."""

    def __init__(self, count: int) -> None:
        """Begin with the first."""
        self._all = (1 << count) - 1
        self._behind = 0

    def take(self, ask: int) -> int:
        """Give the place of the one that is taken; at least one bit must be set."""
        chosen = ask & self._behind or ask
        lowest = chosen & -chosen
        self._behind = self._all & -(lowest << 1)
        return lowest.bit_length() - 1


class HeldPick:
    """Hold who was picked until it has gone, as pc_pick_held does."""

    def __init__(self, pick: Pick) -> None:
        """Begin with nobody."""
        #: what has the way before all others comes in the next cycle
        self.comes = False
        self._pick = pick
        self._held: int | None = None
        self._said = False

    def cycle(self, ask: int, free: bool) -> int | None:
        """Give who goes in this cycle, in which the way is free or not; where none is held, pick one that asks."""
        held, goes = self._held, self._said and free
        self._said = held is not None and not self.comes and not goes
        self.comes = False
        if goes:
            self._held = None
            return held
        if held is None and ask:
            self._held = self._pick.take(ask)
        return None


def bit_mask(streams: int, having: Callable[[int], bool]) -> int:
    """Give a bit for each stream that has something."""
    return sum(1 << stream for stream in range(streams) if having(stream))
