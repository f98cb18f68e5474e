"""The cycles of pc_coder, for the cycle model (docs/rtl.md, Cycle model)."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Mapping, Sequence
from typing import Protocol

from pcedge.export.rtl import timing
from pcedge.export.rtl.clock import Calendar, HeldPick, Pick
from pcedge.export.rtl.coded import CodedStream
from pcedge.export.rtl.timing import Work


class Coder(Protocol):
    """Say of all streams, a bit each, what the scheduler asks."""

    #: symbols so far are behind the coder
    coded: int
    #: one more symbol, or likelihood, has room
    room: int
    #: the next record may begin
    ready: int

    @property
    def idle(self) -> bool:
        """Tell whether nothing is under way."""

    def cycle(self, now: int) -> bool:
        """Do what begins in this cycle; tell whether that is something, or may be in the next."""


class Results:
    """Likelihoods on their way out: the coder of the job that has none."""

    def __init__(self, streams: int, calendar: Calendar) -> None:
        """Begin with room for all."""
        self.coded = self.room = self.ready = self._all = (1 << streams) - 1
        self._calendar = calendar

    @property
    def idle(self) -> bool:
        """Tell whether no likelihood waits."""
        return self.room == self._all

    def come(self, stream: int) -> None:
        """Take a likelihood; its words leave one after the other."""
        self.room &= ~(1 << stream)
        self._calendar.at(self._calendar.now + timing.RESULT_WORDS, self._left, stream)

    def _left(self, stream: int) -> None:
        self.room |= 1 << stream

    def cycle(self, now: int) -> bool:
        """Do nothing: words leave as the calendar says."""
        return False


class Encoder:
    """Intervals to bytes."""

    def __init__(
        self, coded: Sequence[CodedStream], calendar: Calendar, picks: Mapping[str, Pick], asks: Container[int]
    ) -> None:  # fmt: skip
        """Begin the lanes of the streams that have records; in the cycles of `asks` others use the shared product."""
        streams = len(coded)
        self.coded = self.room = self.ready = (1 << streams) - 1
        #: the stream of an interval in this cycle
        self.interval: int | None = None
        #: streams whose lane is to end
        self.flushes = 0
        self._free_from = 0
        self._flush = HeldPick(picks["flush"])
        #: streams whose digits wait, and the one that was picked to give them to pc_carry
        self._digits = 0
        self._carried: int | None = None
        self._open = sum(1 << s for s, stream in enumerate(coded) if len(stream.carry) > 1)
        self._carries = [iter(stream.carry) for stream in coded]
        self._left = [len(stream.carry) for stream in coded]
        self._front_from = self._carry_from = 0
        self._calendar, self._picks, self._others_ask = calendar, picks, asks

    @property
    def idle(self) -> bool:
        """Tell whether all lanes are out."""
        return not self._open

    def comes(self, _: None) -> None:
        """Learn that an interval comes in the next cycle."""
        self._flush.comes = True

    def came(self, stream: int) -> None:
        """Take an interval."""
        self.interval = stream

    def lane_ended(self, stream: int) -> None:
        """End a lane."""
        self.flushes |= 1 << stream

    def cycle(self, now: int) -> bool:
        """Narrow a range, and give digits to pc_carry."""
        acted = self._flush.comes or bool(self.flushes)
        flushed = self._flush.cycle(self.flushes, now >= self._free_from and now not in self._others_ask)
        if flushed is not None:
            self.flushes &= ~(1 << flushed)
            self._narrow(now, flushed)
        if self.interval is not None:
            self._narrow(now, self.interval)
            self._free_from = now + timing.RANGE
            self.interval = None
            acted = True
        if self._carried is not None and now >= self._front_from:
            self._digits &= ~(1 << self._carried)
            self._carry(now, self._carried)
            self._carried = None
            acted = True
        elif self._digits and self._carried is None:
            self._carried = self._picks["carry"].take(self._digits)
            acted = True
        return acted

    def _narrow(self, now: int, stream: int) -> None:
        self._calendar.at(now + timing.NARROWED, self._waits, stream)

    def _waits(self, stream: int) -> None:
        self._digits |= 1 << stream

    def _carry(self, now: int, stream: int) -> None:
        self.coded |= 1 << stream
        taken = next(self._carries[stream])
        self._left[stream] -= 1
        begins = max(now + 1, self._carry_from)
        self._front_from = begins + 1
        self._carry_from = begins + 1 + taken
        self._calendar.wake(self._front_from)
        if not self._left[stream]:
            self._calendar.at(begins + taken + timing.CLOSED, self._closed, stream)

    def _closed(self, stream: int) -> None:
        self._open &= ~(1 << stream)


class Decoder:
    """Bytes to symbols: windows of bytes, and the search."""

    def __init__(
        self, coded: Sequence[CodedStream], places: int, calendar: Calendar, loads: Pick, asks: Container[int]
    ) -> None:  # fmt: skip
        """Begin with empty windows of so many bytes; in the cycles of `asks` others use the shared product."""
        streams = len(coded)
        self.coded = (1 << streams) - 1
        self.room = self.ready = 0
        #: passes that the tables are asked for
        self.passes: deque[tuple[int, Work]] = deque()
        self._places, self._calendar, self._others_ask = places, calendar, asks
        self._load = HeldPick(loads)
        self._begun = sum(1 << s for s, stream in enumerate(coded) if stream.tries)
        self._draining = 0
        self._sizes = [stream.size for stream in coded]
        self._have = [0] * streams
        self._at = [0] * streams
        #: the cycle from which no byte comes any more
        self._ended: list[int | None] = [None] * streams
        self._used = [iter([places, places, *stream.used]) for stream in coded]
        self._loads_left = [2] * streams
        self._loadable = 0
        self._taken = -2
        self._searches = [iter(stream.tries) for stream in coded]
        self._events: deque[int] = deque()
        #: the event at work; by stream, tries that are left, and the INTERVAL
        self._event: int | None = None
        self._tries = [0] * streams
        self._task: dict[int, Work] = {}
        self._tried: int | None = None
        #: streams whose counts are not written
        self._pending = 0
        for stream in range(streams):
            if self._begun >> stream & 1:
                self._fill(stream)

    @property
    def idle(self) -> bool:
        """Tell whether all lanes are read to their ends."""
        return not (self._begun or self._draining)

    # ---- windows

    def _fill(self, stream: int) -> None:
        """Take bytes from now on until the window is full, or none comes any more."""
        now, wanted = self._calendar.now, self._places - self._have[stream]
        if self._ended[stream] is not None or not wanted:
            return
        self.room &= ~(1 << stream)
        left = self._sizes[stream] - self._at[stream]
        count = min(wanted, left)
        self._at[stream] += count
        self._have[stream] += count
        if count == left:
            self._ended[stream] = now + count
        self._calendar.at(now + count, self._whole, stream)

    def _whole(self, stream: int) -> None:
        self.room |= 1 << stream
        if self._loads_left[stream]:
            self._calendar.at(self._calendar.now + 1, self._asks, stream)

    def _asks(self, stream: int) -> None:
        self._loadable |= 1 << stream

    def _took(self, stream: int) -> None:
        """Take bytes out of the window, for a symbol or to begin."""
        self._have[stream] = max(0, self._have[stream] - next(self._used[stream]))
        if self._loads_left[stream]:
            self._loads_left[stream] -= 1
            if not self._loads_left[stream]:
                self.ready |= 1 << stream
            elif self._ended[stream] is not None:
                self._calendar.at(self._calendar.now + 1, self._asks, stream)
        else:
            self.coded |= 1 << stream
        self._fill(stream)

    def lane_ended(self, stream: int) -> None:
        """Read what is left of a lane whose last record ended in the cycle before."""
        now = self._calendar.now
        self._begun &= ~(1 << stream)
        ended = self._ended[stream]
        if ended is None or ended >= now:
            # bytes that the window was still to take are drained, one a cycle as they were
            self._draining |= 1 << stream
            last = now + self._sizes[stream] - self._at[stream] if ended is None else ended
            self._calendar.at(last, self._drained, stream)

    def _drained(self, stream: int) -> None:
        self._draining &= ~(1 << stream)

    # ---- intervals and the search

    def comes(self, _: None) -> None:
        """Learn that an interval comes in the next cycle."""
        self._load.comes = True

    def came(self, stream: int) -> None:
        """Try an interval."""
        now = self._calendar.now
        self._taken = now
        self._tries[stream] -= 1
        self._calendar.at(now + timing.TRIED, self._say, stream)
        if not self._tries[stream]:
            self._calendar.at(now + timing.TAKEN, self._took, stream)

    def _say(self, stream: int) -> None:
        self._tried = stream

    def wrote(self, stream: int) -> bool:
        """Learn that counts of a stream are written; tell whether they are a search's."""
        self._pending &= ~(1 << stream)
        return stream in self._task

    @property
    def searches(self) -> bool:
        """Tell whether a search may go on in this cycle."""
        return bool(self._events) or self._tried is not None or self._event is not None

    def search(self, now: int, room: bool, head: tuple[int, Work] | None) -> tuple[bool, bool, int | None]:
        """Go on with the searches.

        Args:
            now: the cycle.
            room: whether another pass may be asked for.
            head: an INTERVAL that waits.

        Returns:
            Whether something happened, whether the INTERVAL was taken, and whose symbol was found.
        """
        calendar, took, found = self._calendar, False, None
        tried, self._tried = self._tried, None
        if tried is not None:
            calendar.at(now + 1, self._events.append, tried)
        elif head is not None:
            stream, work = head
            self._task[stream], self._tries[stream] = work, next(self._searches[stream])
            calendar.at(now + 1, self._events.append, stream)
            took = True
        acted = tried is not None or took
        at = self._event
        if at is not None and not self._pending >> at & 1 and (room or not self._tries[at]):
            acted, self._event = True, None
            if self._tries[at]:
                work = self._task[at]
                self._pending |= work.leaf << at
                calendar.at(now + 1, self.passes.append, (at, work))
            else:
                del self._task[at]
                found = at
        if self._event is None and self._events:
            acted, self._event = True, self._events.popleft()
        return acted, took, found

    def cycle(self, now: int) -> bool:
        """Load a window into the decoder."""
        acted = self._load.comes or bool(self._loadable)
        loads = self._load.cycle(self._loadable, now != self._taken + 1 and now not in self._others_ask)
        if loads is not None:
            self._loadable &= ~(1 << loads)
            self._calendar.at(now + timing.TAKEN, self._took, loads)
        return acted
