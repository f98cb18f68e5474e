"""The cycles of pc_symbols, for the cycle model (docs/rtl.md, Cycle model)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pcedge.export.rtl import timing
from pcedge.export.rtl.clock import Calendar, Pick


class Symbols(Protocol):
    """Hold the symbols of the records at work."""

    #: streams whose next record may begin
    ready: int

    @property
    def idle(self) -> bool:
        """Tell whether nothing is left."""

    def record_done(self, stream: int) -> None:
        """Change the sides of a stream."""

    def cycle(self, now: int, read: bool) -> bool:
        """Move a word, if the memory is not read; tell whether one moved or waits."""


class SymbolsIn:
    """Records that come in: one word a cycle, of the stream that was picked in the cycle before."""

    def __init__(self, words: Sequence[int], variables: int, calendar: Calendar, picks: Pick) -> None:
        """Begin with so many words of every stream."""
        self.ready = 0
        self._left, self._variables, self._calendar, self._picks = list(words), variables, calendar, picks
        self._count = [0] * len(words)
        self._full = [[False, False] for _ in words]
        self._side = [0] * len(words)
        self._other = [0] * len(words)
        self._coming = 0
        self._wants = sum(1 << s for s, count in enumerate(words) if count)

    @property
    def idle(self) -> bool:
        """Tell that a job waits for no symbols of these."""
        return True

    def record_done(self, stream: int) -> None:
        """Change the sides of a stream."""
        self._full[stream][self._side[stream]] = False
        self._side[stream] ^= 1
        self._update(stream)

    def _update(self, stream: int) -> None:
        bit = 1 << stream
        full = self._full[stream]
        self.ready = self.ready | bit if full[self._side[stream]] else self.ready & ~bit
        wants = self._left[stream] and not full[self._other[stream]] and not self._coming & bit
        self._wants = self._wants | bit if wants else self._wants & ~bit

    def cycle(self, now: int, read: bool) -> bool:
        """Take a word."""
        if not self._wants:
            return False
        stream = self._picks.take(self._wants)
        self._coming |= 1 << stream
        self._wants &= ~(1 << stream)
        self._calendar.at(now + timing.WORD, self._came, stream)
        return True

    def _came(self, stream: int) -> None:
        self._coming &= ~(1 << stream)
        self._left[stream] -= 1
        self._count[stream] += 1
        if self._count[stream] == self._variables:
            self._count[stream] = 0
            self._full[stream][self._other[stream]] = True
            self._other[stream] ^= 1
        self._update(stream)


class SymbolsOut:
    """Records that a decoder found: at most one word of a stream under way, one read a cycle, picked before."""

    def __init__(self, streams: int, variables: int, calendar: Calendar, picks: Pick) -> None:
        """Begin with room on both sides of every stream."""
        self.ready = (1 << streams) - 1
        self._variables, self._calendar, self._picks = variables, calendar, picks
        self._count = [0] * streams
        self._full = [[False, False] for _ in range(streams)]
        self._side = [0] * streams
        self._other = [0] * streams
        self._gives = self._under_way = 0
        self._records = 0
        #: the stream that was picked, and waits for the memory
        self._turn: int | None = None

    @property
    def idle(self) -> bool:
        """Tell whether all words are out."""
        return not (self._records or self._under_way)

    def record_done(self, stream: int) -> None:
        """Change the sides of a stream."""
        self._full[stream][self._side[stream]] = True
        self._records += 1
        self._side[stream] ^= 1
        self._update(stream)

    def _update(self, stream: int) -> None:
        bit = 1 << stream
        full = self._full[stream]
        self.ready = self.ready & ~bit if full[self._side[stream]] else self.ready | bit
        gives = full[self._other[stream]] and not self._under_way & bit
        self._gives = self._gives | bit if gives else self._gives & ~bit

    def cycle(self, now: int, read: bool) -> bool:
        """Read a word, where the tables read none."""
        asks, turn = self._gives, self._turn
        if turn is not None:
            if read:
                return True
            asks &= ~(1 << turn)
            self._under_way |= 1 << turn
            self._gives &= ~(1 << turn)
            self._calendar.at(now + timing.GIVEN, self._come, turn)
        self._turn = self._picks.take(asks) if asks else None
        return turn is not None or bool(asks)

    def _come(self, stream: int) -> None:
        self._count[stream] += 1
        if self._count[stream] == self._variables:
            self._count[stream] = 0
            self._full[stream][self._other[stream]] = False
            self._records -= 1
            self._other[stream] ^= 1
        self._update(stream)
        self._calendar.at(self._calendar.now + timing.GIVEN_NEXT - timing.GIVEN, self._left, stream)

    def _left(self, stream: int) -> None:
        self._under_way &= ~(1 << stream)
        self._update(stream)
