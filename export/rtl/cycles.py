"""The clock cycles of a job on the engine in SystemVerilog, exactly: what Verilator counts (docs/rtl.md, Cycle model).

Every part follows its source: pc_scheduler, the three units, pc_writer; the coder is in `coder_cycles`, symbols are
in `symbol_cycles`. No side stalls: words come as fast as they are taken, and leave as fast as they are there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from numpy.typing import ArrayLike

from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import ToolError, UsageError
from pcedge.export.rtl import timing
from pcedge.export.rtl.clock import Calendar, Pick
from pcedge.export.rtl.coded import assume_streams, code_streams
from pcedge.export.rtl.coder_cycles import Coder, Decoder, Encoder, Results
from pcedge.export.rtl.lowering import RtlImage
from pcedge.export.rtl.symbol_cycles import Symbols, SymbolsIn, SymbolsOut
from pcedge.export.rtl.timing import Unit, Work, mix_levels, table_levels, works_of

#: jobs that are counted
JOBS = ("likelihood", "encode", "decode", "sample")

#: jobs whose rates are told; a sample takes what decoding takes
RATED = ("likelihood", "encode", "decode")

#: variables of a record whose beginning and end do not count
ENOUGH = 512


@dataclass(frozen=True)
class _Pass:
    """Hold a reading of a variable's tables."""

    stream: int
    work: Work
    leaf: bool
    probe: bool


class CycleModel:
    """Count the cycles of jobs of one engine, one after the other.

    Example:
        >>> from pcedge.export import RtlSize, load_zoo
        >>> from pcedge.export.rtl.lowering import lower_rtl
        >>> model = CycleModel(lower_rtl(load_zoo("digits"), RtlSize(16, 8, 4, 2)))
        >>> model.count("likelihood", [1] * 8) < model.count("likelihood", [2] * 8)
        True
    """

    def __init__(self, image: RtlImage) -> None:
        """Take an engine's image; a job goes on with the round robins of the job before, as the hardware does."""
        self.image = image
        self.streams = image.size.streams
        self.works = works_of(image)
        self.engine = ReferenceEngine(image.program)
        names = ("fetch", "issue", "symbols_in", "symbols_out", "flush", "carry", "load")
        self.picks = {name: Pick(self.streams) for name in names}

    def count(
        self, job: str, records: Sequence[int], data: ArrayLike | None = None, sizes: Sequence[int] | None = None
    ) -> int:
        """Count the clock cycles of a job, from its start to its end.

        Args:
            job: one of `JOBS`.
            records: how many records every stream has.
            data: the records, (N, variables), record i on stream i mod streams, as the driver shares them out; None
                assumes what symbols leave (`coded`). Likelihoods do not depend on them.
            sizes: bytes of every stream's lane that a decoder is given; None takes what an encoder writes.

        Raises:
            UsageError: no such job, or not as many numbers as streams.
            ToolError: the job would stand still.
        """
        if job not in JOBS:
            raise UsageError(f"the job must be one of {', '.join(JOBS)}, got {job!r}")
        if len(records) != self.streams:
            raise UsageError(f"records must be one number for each of {self.streams} streams, got {len(records)}")
        return _Run(self, job, records, data, sizes).run()


class _Run:
    """Follow the engine from one cycle in which something happens to the next."""

    def __init__(
        self, model: CycleModel, job: str, records: Sequence[int], data: ArrayLike | None, sizes: Sequence[int] | None
    ) -> None:
        size, picks, streams = model.image.size, model.picks, model.streams
        self.calendar = calendar = Calendar()
        self.codes = job != "likelihood"
        self.works = model.works[self.codes]
        variables = len(model.image.circuit.order)
        self.coder: Coder
        self.results = Results(streams, calendar)
        self.encoder: Encoder | None = None
        self.decoder: Decoder | None = None
        self.symbols: Symbols = SymbolsIn([count * variables for count in records], variables, picks["symbols_in"])
        if not self.codes:
            self.coder = self.results
        else:
            coded = (
                assume_streams(model.engine, records) if data is None
                else code_streams(model.engine, model.engine.check(data, allow_missing=False), streams, sizes)
            )  # fmt: skip
            if job == "encode":
                self.coder = self.encoder = Encoder(coded, calendar, picks)
            else:
                places = model.image.circuit.scale_bits // 8
                self.coder = self.decoder = Decoder(coded, places, calendar, picks["load"])
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

        # units: steps that wait, slots of the writers that are taken, vectors that ask for the port
        self.queues: tuple[deque[tuple[int, Work]], ...] = (deque(), deque(), deque())
        self.taken = [0, 0, 0]
        self.vectors: tuple[deque[list[int]], ...] = (deque(), deque(), deque())
        self.mix_row = timing.MIX + mix_levels(size) + timing.ASK
        self.mix_until = 0
        self.vector: tuple[int, Work] | None = None
        self.reads = self.read_from = self.vector_from = 0
        self.groups = size.lanes // size.table_lanes
        self.weighed = timing.WEIGHED + table_levels(size)
        self.next_pass: _Pass | None = None
        self.next_from = self.table_until = 0
        #: beats that read a row of the context: the first one, and until which
        self.context_from = self.context_until = 0

    def run(self) -> int:
        """Give the cycles of the job."""
        calendar, coder, symbols, taken = self.calendar, self.coder, self.symbols, self.taken
        to_mix, to_vector, to_table = self.queues
        from_mix, from_vector, from_table = self.vectors
        decoder, most = self.decoder, timing.SLOTS
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
            elif to_vector and now >= self.vector_from and taken[1] < most:
                self._begin_vector(now)
                acted = True
            read = False
            if self.next_pass or to_table or (decoder and (decoder.passes or decoder.searches)):
                did, read = self._tables(now)
                acted |= did
            if to_mix and now >= self.mix_until and taken[0] < most:
                self._mix(now)
                acted = True
            if from_mix or from_table or from_vector:
                self._write(now)
                acted = True
            acted |= coder.cycle(now)
            acted |= symbols.cycle(now, read)
            if acted:
                calendar.now += 1
            elif not calendar.skip():
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
            self._may_issue(stream)

    def _done(self, stream: int) -> None:
        self.busy &= ~(1 << stream)
        if self.have >> stream & 1:
            self._may_issue(stream)

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
        can, credit, coder = self.can, self.credit, self.coder
        ask = 0
        if credit[0]:
            ask = can[0]
        if credit[1]:
            ask |= can[1]
            if not self.codes:
                ask |= can[3] & coder.room
        if credit[2]:
            ask |= can[2] | (self.can_code & coder.coded & coder.room)
        if self.codes:
            ask |= can[3] & coder.coded
        if not ask:
            return False
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
                self.calendar.at(now + 1, self._record_done, stream)
                return True
        else:
            self.fetchable |= bit
        credit[unit] -= 1
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

    def _take(self, unit: Unit) -> tuple[int, Work]:
        self.credit[unit] += 1
        return self.queues[unit].popleft()

    def _mix(self, now: int) -> None:
        stream, work = self._take(Unit.MIX)
        self.taken[0] += 1
        self.mix_until = now + work.beats
        self.calendar.wake(self.mix_until)
        self.calendar.at(self.mix_until + self.mix_row, self.vectors[0].append, [stream, work.rows])

    def _begin_vector(self, now: int) -> None:
        self.vector = _, work = self._take(Unit.VECTOR)
        self.reads = work.beats
        self.read_from = now + (timing.LISTED if work.listed else timing.READ)
        self.calendar.wake(self.read_from)
        if work.unit != Unit.END:
            self.taken[1] += 1

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
                self.vector_from = now + 1
                vector = [stream, work.rows]
                self.calendar.at(now + timing.VECTOR + timing.ASK, self.vectors[1].append, vector)
        return True

    def _result(self, stream: int) -> None:
        self.results.come(stream)
        self._record_done(stream)

    def _tables(self, now: int) -> tuple[bool, bool]:
        """Go on with passes through the tables; tell whether something happened, and whether a symbol is read."""
        decoder, queue, acted, read = self.decoder, self.queues[2], False, False
        head = queue[0] if queue else None
        searches = head is not None and decoder is not None and head[1].weighs
        asked = decoder is not None and bool(decoder.passes)
        room = decoder is not None and len(decoder.passes) < timing.PASSES
        made = self.next_pass
        if made is not None and now >= self.next_from and now >= self.table_until:
            self._begin_pass(now, made)
            made = self.next_pass = None
            acted = True
        if made is None and self.taken[2] < timing.SLOTS:
            if asked:
                assert decoder is not None
                stream, work, probe = decoder.passes.popleft()
                made = _Pass(stream, work, not probe and work.leaf, probe)
            elif head is not None and not searches:
                stream, work = self._take(Unit.TABLE)
                made = _Pass(stream, work, work.leaf, False)
                read = True
            if made is not None:
                self.next_pass = made
                self.next_from = now + timing.SET_UP
                self.calendar.wake(self.next_from)
                self.taken[2] += made.leaf
                acted = True
        if decoder is not None:
            went_on, took = decoder.search(now, room, head if searches else None)
            acted |= went_on
            if took:
                self._take(Unit.TABLE)
        return acted, read

    def _begin_pass(self, now: int, made: _Pass) -> None:
        work, calendar = made.work, self.calendar
        until = self.table_until = now + work.beats
        calendar.wake(until)
        if work.weighs:
            self.context_from, self.context_until = now + 1, until
            found = until + self.weighed
            if self.encoder is not None:
                calendar.at(found + timing.INTERVAL, self.encoder.came, made.stream)
            elif self.decoder is not None:
                calendar.at(found + timing.INTERVAL, self.decoder.came, (made.stream, made.probe))
            if not made.leaf and not made.probe:
                calendar.at(found + 1, self._done, made.stream)
        if made.leaf:
            calendar.at(until + timing.COUNTS + timing.ASK, self.vectors[2].append, [made.stream, work.rows])

    def _write(self, now: int) -> None:
        """Write a row: of the mixing unit first, then of the tables."""
        for unit in (0, 2, 1):
            waiting = self.vectors[unit]
            if waiting:
                vector = waiting[0]
                vector[1] -= 1
                if not vector[1]:
                    waiting.popleft()
                    self.taken[unit] -= 1
                    self.calendar.at(now + timing.WRITTEN, self._done, vector[0])
                return


def cycles_per_symbol(image: RtlImage) -> dict[str, float]:
    """Give the cycles a symbol of every job in a long run, all streams busy; symbols leave what `coded` assumes.

    Of few variables a record's beginning and end are taken off; of many they do not count.
    """
    variables, streams = len(image.circuit.order), image.size.streams
    found = {}
    for job in [job for job in RATED if job in image.jobs]:
        model = CycleModel(image)
        first = model.count(job, [1] * streams)
        records = 1
        if variables < ENOUGH:
            records = 2
            first = CycleModel(image).count(job, [1 + records] * streams) - first
        found[job] = round(first / (records * streams * variables), 3)
    return found
