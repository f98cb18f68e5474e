"""The cycles of the scheduler, the units and the writers, for the cycle model (docs/rtl.md, Cycle model)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pcedge.errors import ToolError
from pcedge.export.rtl import timing
from pcedge.export.rtl.clock import Calendar, Pick
from pcedge.export.rtl.coded import CodedStream
from pcedge.export.rtl.coder_cycles import Coder, Decoder, Encoder, Results
from pcedge.export.rtl.size import RtlSize
from pcedge.export.rtl.symbol_cycles import Symbols, SymbolsIn, SymbolsOut
from pcedge.export.rtl.timing import Unit, Work, mix_levels, table_levels


@dataclass(frozen=True)
class _Pass:
    """Hold a reading of a variable's tables."""

    stream: int
    work: Work


@dataclass(frozen=True)
class Engine:
    """Hold what an engine's cycles follow from."""

    size: RtlSize
    #: rows of the likelihood and of the code
    works: tuple[Sequence[Work], Sequence[Work]]
    variables: int
    #: bytes of a decoder's window
    window: int
    #: whether products are shared, and cycles that a pass waits after the one before
    shared: bool
    pass_gap: int
    #: rows of the longest vector
    most_rows: int
    #: round robins, which go on from job to job
    picks: Mapping[str, Pick]


def run_job(engine: Engine, job: str, records: Sequence[int], coded: Sequence[CodedStream] | None) -> int:
    """Give the cycles of a job; what symbols leave is None of likelihoods.

    Raises:
        ToolError: the job would stand still.
    """
    return _Run(engine, job, records, coded).run()


class _Run:
    """Follow the engine from one cycle in which something happens to the next."""

    def __init__(self, engine: Engine, job: str, records: Sequence[int], coded: Sequence[CodedStream] | None) -> None:
        size, picks, streams = engine.size, engine.picks, engine.size.streams
        variables = engine.variables
        self.calendar = calendar = Calendar()
        self.codes = job != "likelihood"
        self.works = engine.works[self.codes]
        self.shared, self.pass_gap = engine.shared, engine.pass_gap
        #: cycles in which pc_interval asks for the shared product
        self.asks: set[int] = set()
        self.results = Results(streams, calendar)
        self.coder: Coder = self.results
        self.encoder: Encoder | None = None
        self.decoder: Decoder | None = None
        self.symbols: Symbols = SymbolsIn(
            [count * variables for count in records], variables, calendar, picks["symbols_in"]
        )
        if coded is not None and job == "encode":
            self.coder = self.encoder = Encoder(coded, calendar, picks, self.asks)
        elif coded is not None:
            self.coder = self.decoder = Decoder(coded, engine.window, calendar, picks["load"], self.asks)
            self.symbols = SymbolsOut(streams, variables, calendar, picks["symbols_out"])

        # the scheduler
        self.fetches, self.issues = picks["fetch"], picks["issue"]
        self.left = list(records)
        self.active = self.fetchable = self.have = self.busy = 0
        self.waits = sum(1 << stream for stream, count in enumerate(records) if count)  # for its next record
        self.place = [0] * streams
        self.step = [self.works[0]] * streams
        #: streams that have a step and none at work: by unit, and INTERVALs apart
        self.can = [0, 0, 0, 0]
        self.can_code = 0
        self.credit = [timing.CREDIT] * 3
        #: what was coded, and had room, in the cycle before
        self.coded, self.room = self.coder.coded, self.coder.room

        # units: steps that wait, rows and vectors that the writers hold, vectors that ask for the port
        self.queues: tuple[deque[tuple[int, Work]], ...] = (deque(), deque(), deque())
        self.taken = [0, 0, 0]
        self.held = [0, 0, 0]
        self.most_taken = timing.writer_places(engine.most_rows) - engine.most_rows
        self.vectors: tuple[deque[list[int]], ...] = (deque(), deque(), deque())
        self.mix_row = timing.MIX + mix_levels(size) + timing.ASK
        self.mix_until = 0
        self.vector: tuple[int, Work] | None = None
        self.reads = self.read_from = self.vector_from = 0
        self.groups = size.lanes // size.table_lanes
        self.weighed = timing.WEIGHED + table_levels(size)
        self.next_pass: _Pass | None = None
        self.read_symbol = 0
        self.next_from = self.table_until = 0
        #: beats that read a row of the context: the first one, and until which
        self.context_from = self.context_until = 0

    def run(self) -> int:
        """Give the cycles of the job."""
        calendar, coder, symbols = self.calendar, self.coder, self.symbols
        to_mix, to_vector, to_table = self.queues
        from_mix, from_vector, from_table = self.vectors
        decoder = self.decoder
        while True:
            acted = calendar.begin()
            if not self.active and not self.waits and coder.idle and symbols.idle:
                return calendar.now
            now = calendar.now
            if self.fetchable:
                self._fetch(now)
                acted = True
            begins = self.waits & coder.ready & symbols.ready
            if begins:
                self._begin(begins)
                acted = True
            acted |= self._issue(now)
            if self.reads:
                acted |= self._read(now)
            if to_vector and not self.reads and now >= self.vector_from and self._free(1):
                self._begin_vector(now)
                acted = True
            if self.next_pass or to_table or (decoder and (decoder.passes or decoder.searches)):
                acted |= self._tables(now)
            if to_mix and now >= self.mix_until and self._free(0):
                self._mix(now)
                acted = True
            if from_mix or from_table or from_vector:
                self._write(now)
                acted = True
            acted |= coder.cycle(now)
            acted |= symbols.cycle(now, now == self.read_symbol)
            if acted:
                calendar.now += 1
            else:
                self.coded, self.room = coder.coded, coder.room
                if not calendar.skip():
                    raise ToolError(f"the cycle model must come to the job's end, it stands still in cycle {now}")

    # ---- the scheduler

    def _fetch(self, now: int) -> None:
        stream = self.fetches.take(self.fetchable)
        self.fetchable &= ~(1 << stream)
        self.step[stream] = self.works[self.place[stream]]
        self.place[stream] += 1
        self.calendar.at(now + timing.FETCH, self._fetched, stream)

    def _fetched(self, stream: int) -> None:
        self.have |= 1 << stream
        if not self.busy >> stream & 1:
            self.calendar.at(self.calendar.now + timing.MAY, self._may_issue, stream)

    def _done(self, stream: int) -> None:
        self.busy &= ~(1 << stream)
        if self.have >> stream & 1:
            self.calendar.at(self.calendar.now + timing.MAY, self._may_issue, stream)

    def _counts(self, stream: int) -> None:
        """Go on behind counts that are written, but in a search."""
        if self.decoder is None or not self.decoder.wrote(stream):
            self._done(stream)

    def _may_fetch(self, stream: int) -> None:
        self.fetchable |= 1 << stream

    def _waits(self, unit: Unit) -> None:
        self.credit[unit] -= 1

    def _may_issue(self, stream: int) -> None:
        work = self.step[stream]
        if work.weighs:
            self.can_code |= 1 << stream
        else:
            self.can[work.unit] |= 1 << stream

    def _begin(self, streams: int) -> None:
        """Begin records."""
        self.waits &= ~streams
        self.active |= streams
        self.fetchable |= streams
        self.have &= ~streams
        self.busy &= ~streams
        for stream in range(len(self.place)):
            if streams >> stream & 1:
                self.place[stream] = 0

    def _issue(self, now: int) -> bool:
        can, credit = self.can, self.credit
        coded, room = self.coded, self.room
        self.coded, self.room = self.coder.coded, self.coder.room
        ask = 0
        if credit[0] > 0:
            ask = can[0]
        if credit[1] > 0:
            ask |= can[1]
            if not self.codes:
                ask |= can[3] & room
        if credit[2] > 0:
            ask |= can[2] | (self.can_code & coded & room)
        if self.codes:
            ask |= can[3] & coded
        if not ask:
            return (coded, room) != (self.coded, self.room)
        stream = self.issues.take(ask)
        bit, work = 1 << stream, self.step[stream]
        self.have &= ~bit
        self.busy |= bit
        if work.weighs:
            self.can_code &= ~bit
            if self.codes:
                self.calendar.at(now + timing.ISSUE, self._uncoded, stream)
        else:
            can[work.unit] &= ~bit
        unit = Unit.VECTOR if work.unit == Unit.END else work.unit
        if work.unit == Unit.END:
            if self.codes:
                self.calendar.at(now + timing.ISSUED, self._record_done, stream)
                return True
        else:
            self.calendar.at(now + timing.ISSUED, self._may_fetch, stream)
        self.calendar.at(now + timing.ISSUED, self._waits, unit)
        self.calendar.at(now + timing.ISSUE, self.queues[unit].append, (stream, work))
        return True

    def _uncoded(self, stream: int) -> None:
        self.coder.coded &= ~(1 << stream)

    def _record_done(self, stream: int) -> None:
        """End a record, whose last step was done in the cycle before."""
        self.active &= ~(1 << stream)
        self.left[stream] -= 1
        if self.left[stream]:
            self.waits |= 1 << stream
        elif self.encoder is not None:
            self.encoder.lane_ended(stream)
        elif self.decoder is not None:
            self.decoder.lane_ended(stream)
        self.symbols.record_done(stream)

    # ---- units: a step's vector asks for the port when its last row is there

    def _free(self, unit: int) -> bool:
        """Tell whether a unit's writer has room for one more of the longest vectors."""
        return self.taken[unit] <= self.most_taken and self.held[unit] < timing.VECTORS

    def _reserve(self, unit: int, work: Work) -> None:
        self.taken[unit] += work.rows
        self.held[unit] += 1

    def _take(self, unit: Unit) -> tuple[int, Work]:
        self.calendar.at(self.calendar.now + timing.CREDITED, self._credited, unit)
        return self.queues[unit].popleft()

    def _credited(self, unit: Unit) -> None:
        self.credit[unit] += 1

    def _mix(self, now: int) -> None:
        stream, work = self._take(Unit.MIX)
        self._reserve(0, work)
        self.mix_until = now + work.beats
        self.calendar.wake(self.mix_until)
        self.calendar.at(self.mix_until + self.mix_row, self.vectors[0].append, [stream, work.rows])

    def _begin_vector(self, now: int) -> None:
        self.vector = _, work = self._take(Unit.VECTOR)
        self.reads = work.beats
        self.read_from = now + (timing.LISTED if work.listed else timing.READ)
        self.calendar.wake(self.read_from)
        if work.unit != Unit.END:
            self._reserve(1, work)

    def _read(self, now: int) -> bool:
        if now < self.read_from:
            return False
        if self.context_from <= now <= self.context_until and (now - self.context_from) % self.groups == 0:
            return True  # the tables read; next cycle again
        self.reads -= 1
        if not self.reads:
            assert self.vector is not None
            stream, work = self.vector
            if work.unit == Unit.END:
                self.vector_from = now + timing.RESULT
                self.calendar.at(now + timing.RESULT, self._result, stream)
            else:
                # the next one begins with the last read of rows that are read as they lie
                self.vector_from = now + work.listed
                vector = [stream, work.rows]
                self.calendar.at(now + timing.VECTOR + timing.ASK, self.vectors[1].append, vector)
        return True

    def _result(self, stream: int) -> None:
        self.results.come(stream)
        self._record_done(stream)

    def _tables(self, now: int) -> bool:
        """Go on with passes through the tables; tell whether something happened."""
        decoder, queue, acted = self.decoder, self.queues[2], False
        head = queue[0] if queue else None
        searches = head is not None and decoder is not None and head[1].weighs
        asked = decoder is not None and bool(decoder.passes)
        room = decoder is not None and len(decoder.passes) < timing.PASSES
        made = self.next_pass
        if made is not None and now >= self.next_from and now >= self.table_until:
            self._begin_pass(now, made)
            made = self.next_pass = None
            acted = True
        if made is None and self._free(2):
            if asked:
                assert decoder is not None
                made = _Pass(*decoder.passes.popleft())
            elif head is not None and not searches:
                stream, work = self._take(Unit.TABLE)
                made = _Pass(stream, work)
                self.read_symbol = now + timing.SYMBOL
            if made is not None:
                self.next_pass = made
                self.next_from = now + timing.SET_UP
                self.calendar.wake(self.next_from)
                if made.work.leaf:
                    self._reserve(2, made.work)
                acted = True
        if decoder is not None:
            went_on, took, found = decoder.search(now, room, head if searches else None)
            acted |= went_on
            if took:
                self._take(Unit.TABLE)
            if found is not None:
                self.calendar.at(now + timing.FOUND, self._done, found)
        return acted

    def _begin_pass(self, now: int, made: _Pass) -> None:
        work, calendar = made.work, self.calendar
        until = now + work.beats
        # with a gap the next one never begins with the last beat
        self.table_until = until + (self.pass_gap if work.weighs else min(1, self.pass_gap))
        calendar.wake(self.table_until)
        if work.weighs:
            self.context_from, self.context_until = now + 1, until
            found = until + self.weighed
            comes = self._interval(found + timing.WEIGHED_HELD)
            if self.encoder is not None:
                calendar.at(comes - 1, self.encoder.comes, None)
                calendar.at(comes, self.encoder.came, made.stream)
            elif self.decoder is not None:
                calendar.at(comes - 1, self.decoder.comes, None)
                calendar.at(comes, self.decoder.came, made.stream)
            if not work.leaf and self.decoder is None:
                calendar.at(found + 1, self._done, made.stream)
        if work.leaf:
            calendar.at(until + timing.COUNTS + timing.ASK, self.vectors[2].append, [made.stream, work.rows])

    def _interval(self, ready: int) -> int:
        """Give the cycle of an interval whose input is there."""
        if not self.shared:
            return ready + timing.INTERVAL
        taken = ready + (timing.SHARED_FROM - ready) % timing.SHARED_EVERY
        self.asks.update(taken + later for later in timing.SHARED_ASKS)
        return taken + timing.SHARED_INTERVAL

    def _write(self, now: int) -> None:
        """Write a row: of the mixing unit first, then of the tables."""
        for unit in (0, 2, 1):
            waiting = self.vectors[unit]
            if waiting:
                vector = waiting[0]
                vector[1] -= 1
                self.taken[unit] -= 1
                if not vector[1]:
                    waiting.popleft()
                    self.held[unit] -= 1
                    self.calendar.at(now + timing.WRITTEN, self._counts if unit == 2 else self._done, vector[0])
                return
