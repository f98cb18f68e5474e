"""The cycles of the engine, before synthesis: the rules of its units, without the numbers (docs/engine.md)."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import assert_never

from pcedge.arithmetic import ceil_div, ceil_log2
from pcedge.circuit.rows import SparseRows
from pcedge.drivers.contract import LATENCIES
from pcedge.drivers.size import EngineSize, default_search_bits
from pcedge.errors import UsageError
from pcedge.integer.circuit import IntegerCircuit, IntegerSum
from pcedge.schedule.program import Program
from pcedge.schedule.steps import (
    Align,
    Computed,
    Down,
    Init,
    Interval,
    Leaf,
    ListSum,
    Multiply,
    Schedule,
    Step,
    Up,
)  # fmt: skip

#: steps fetched in a cycle
FETCHES = 2

#: words of a likelihood: mantissa and exponent
RESULT_WORDS = 2

JOBS = ("likelihood", "encode", "decode")


@dataclass
class _Stream:
    """Hold where a stream stands."""

    records: int
    left: int
    loaded_at: int
    step_index: int = 0
    working: bool = False
    wanted: bool = False
    valid: bool = False
    fetched: int = 0
    after: int = 0
    reading: bool = False
    pending: int = 0
    stored_at: int | None = None
    open: int = 0
    landed: int = 0
    ready: dict[int, int] = field(default_factory=dict)


@dataclass
class _Unit:
    """Hold a unit: the stream and step at work, and the cycle of its last beat."""

    last: int
    latency: int
    stream: int = -1
    step: Step | None = None
    until: int = 0
    writing: tuple[int, Computed] | None = None
    written: int = 0


def count_cycles(source: IntegerCircuit | Program, shape: EngineSize, job: str, records: int | list[int]) -> int:
    """Count the clock cycles of a job, as C simulation counts them; no side ever stalls.

    Args:
        source: the integer circuit, or its program.
        shape: the sizes of the engine.
        job: `likelihood`, `encode` or `decode`.
        records: how many records each stream has, or all together, shared out one by one.

    Raises:
        UsageError: no such job, or too many streams.
        NotStructuredError: the circuit cannot be coded.
    """
    if job not in JOBS:
        raise UsageError(f"the job must be one of {', '.join(JOBS)}, got {job!r}")
    program = Program.of(source)
    if isinstance(records, int):
        records = [len(range(stream, records, shape.streams)) for stream in range(shape.streams)]
    if len(records) != shape.streams:
        raise UsageError(f"records must be one number for each of {shape.streams} streams, got {len(records)}")
    schedule = _schedule(program, job)
    return _Run(program.circuit, shape, job, schedule, records).run()


def _schedule(program: Program, job: str) -> Schedule:
    if job == "likelihood":
        return program.likelihood
    _ = program.circuit.tree  # the engine cannot re-evaluate
    return program.code


def beats(circuit: IntegerCircuit, shape: EngineSize, step: Step) -> int:
    """Count the cycles that a step keeps its unit busy."""
    rows, columns = shape.tile
    match step:
        case Init() | Leaf() | Align():
            return ceil_div(step.units, shape.lanes)
        case Interval():
            return ceil_div(step.source.units, shape.lanes)
        case Multiply():
            # A gather list is read one entry a cycle.
            listed = any(gather is not None for gather in step.gathers)
            return step.units if listed else ceil_div(step.units, shape.lanes)
        case ListSum():
            return len(step.lists.indices) + step.units
        case Up() | Down():
            layer = circuit.layers[step.layer]
            assert isinstance(layer, IntegerSum)
            if not isinstance(layer.weights, SparseRows):
                units, sources = (columns, rows) if isinstance(step, Down) else (rows, columns)
                return ceil_div(step.units, units) * ceil_div(step.source.units, sources)
            entries = len(layer.weights.indices)
            if isinstance(step, Up):
                return entries + step.units
            return ceil_div(step.units, shape.lanes) + entries + step.source.units
        case _:
            assert_never(step)


class _Run:
    """Follow the rules cycle by cycle, from one cycle in which something happens to the next."""

    def __init__(
        self, circuit: IntegerCircuit, shape: EngineSize, job: str, schedule: Schedule, records: list[int]
    ) -> None:
        self.shape, self.job, self.schedule = shape, job, schedule
        self.steps = schedule.steps
        self.variables = len(circuit.order)
        self.cardinalities = circuit.cardinalities
        self.beats = [beats(circuit, shape, step) for step in self.steps]
        # The first record's symbols, or the bytes that fill a decoder, come one a cycle.
        loaded = (circuit.range_bits // 8 if job == "decode" else self.variables) - 1
        self.streams = [_Stream(count, count, loaded) for count in records]
        last = shape.streams - 1
        self.mix, self.vector = _Unit(last, LATENCIES["MIX"]), _Unit(last, LATENCIES["VECTOR"])
        self.interval = _Unit(last, LATENCIES["INTERVAL"])
        self.last_fetched = last
        self.now = 0
        self.times: list[int] = [0]

    def run(self) -> int:
        while True:
            self.now = heapq.heappop(self.times)
            while self.times and self.times[0] == self.now:
                heapq.heappop(self.times)
            for unit in (self.mix, self.vector):
                self._write(unit)
            for unit in (self.mix, self.vector):
                self._work(unit)
            self._intervals()
            for unit in (self.mix, self.vector, self.interval):
                self._start(unit)
            for _ in range(FETCHES):
                self._fetch()
            if all([self._move(stream) for stream in self.streams]):
                return self.now + 1

    def _at(self, time: int) -> int:
        heapq.heappush(self.times, time)
        return time

    def _unit_of(self, step: Step) -> _Unit:
        match step:
            case Interval():
                return self.interval
            case Up() | Down() | ListSum():
                return self.mix
            case Init() | Leaf() | Multiply() | Align():
                return self.vector
            case _:
                assert_never(step)

    def _write(self, unit: _Unit) -> None:
        if unit.writing is None or self.now < unit.written:
            return
        number, step = unit.writing
        stream = self.streams[number]
        stream.ready[step.target] = self._at(self.now + 1 + unit.latency)
        stream.landed = max(stream.landed, stream.ready[step.target])
        stream.pending -= 1
        unit.writing = None

    def _work(self, unit: _Unit) -> None:
        other = (self.vector if unit is self.mix else self.mix).writing
        if unit.step is None or self.now < unit.until or unit.writing is not None:
            return
        if other is not None and other[0] == unit.stream:
            return
        assert not isinstance(unit.step, Interval)
        unit.writing = unit.stream, unit.step
        unit.written = self._at(self.now + ceil_div(unit.step.units, self.shape.lanes))
        self.streams[unit.stream].reading = False
        unit.step = None

    def _intervals(self) -> None:
        unit = self.interval
        if unit.step is None or self.now < unit.until:
            return
        stream = self.streams[unit.stream]
        stream.reading = False
        unit.step = None
        if self.job != "decode":
            stream.after = self._at(self.now + 1)
            self._advance(stream)
            return
        stream.after = self._at(self.now + 1 + LATENCIES["INTERVAL"])
        stream.open -= min(stream.open, self.shape.search_bits)
        if not stream.open:
            self._advance(stream)

    def _advance(self, stream: _Stream) -> None:
        stream.valid = False
        stream.step_index += 1
        stream.wanted = stream.step_index < len(self.steps)

    def _may(self, stream: _Stream, unit: _Unit) -> bool:
        if not stream.working or not stream.valid or stream.reading or max(stream.fetched, stream.after) > self.now:
            return False
        step = self.steps[stream.step_index]
        if self._unit_of(step) is not unit or self._tables_taken(step):
            return False
        return all(stream.ready.get(source.value, self.now + 1) <= self.now for source in step.sources)

    def _tables_taken(self, step: Step) -> bool:
        """Tell whether the other unit that reads leaf tables does so in the next cycle."""
        if isinstance(step, Leaf):
            return self.interval.step is not None
        other = self.vector.step
        return isinstance(step, Interval) and isinstance(other, Leaf) and self.now < self.vector.until

    def _start(self, unit: _Unit) -> None:
        if unit.step is not None:
            return
        count = len(self.streams)
        order = ((unit.last + offset) % count for offset in range(1, count + 1))
        chosen = next((number for number in order if self._may(self.streams[number], unit)), None)
        if chosen is None:
            return
        stream = self.streams[chosen]
        unit.stream = unit.last = chosen
        unit.step = self.steps[stream.step_index]
        unit.until = self._at(self.now + self.beats[stream.step_index])
        stream.reading = True
        if unit is not self.interval:
            stream.pending += 1
            self._advance(stream)

    def _fetch(self) -> None:
        count = len(self.streams)
        order = ((self.last_fetched + offset) % count for offset in range(1, count + 1))
        chosen = next((number for number in order if self.streams[number].wanted), None)
        if chosen is None:
            return
        stream = self.streams[chosen]
        self.last_fetched = chosen
        stream.wanted, stream.valid = False, True
        stream.fetched = self._at(self.now + 1 + LATENCIES["FETCH"])
        step = self.steps[stream.step_index]
        stream.open = ceil_log2(self.cardinalities[step.variable]) if isinstance(step, Interval) else 0
        self._at(self.now + 1)

    def _move(self, stream: _Stream) -> bool:
        storing = stream.stored_at is not None and self.now < stream.stored_at
        done = stream.working and stream.step_index == len(self.steps) and not stream.reading
        done = done and stream.pending == 0 and max(stream.after, stream.landed) <= self.now
        if done and not storing:
            stream.working = False
            stream.records -= 1
            if self.job != "encode":
                stream.stored_at = self._at(self.now + (self.variables if self.job == "decode" else RESULT_WORDS))
                storing = True
        if not stream.working and self._loaded(stream):
            stream.working = stream.wanted = True
            stream.step_index = 0
            stream.ready = {}
            self._at(self.now + 1)
            if self.job != "decode":
                stream.left -= 1
                stream.loaded_at = self._at(self.now + self.variables)
        return stream.records == 0 and not storing

    def _loaded(self, stream: _Stream) -> bool:
        waiting = stream.records if self.job == "decode" else stream.left
        return waiting > 0 and self.now >= self._at_most(stream.loaded_at)

    def _at_most(self, time: int) -> int:
        if time > self.now:
            self._at(time)
        return time


@dataclass(frozen=True)
class Estimate:
    """Hold the cycles of one job."""

    job: str
    #: cycles a record where all streams are busy: the mean interval between two records
    cycles_per_record: float
    #: cycles of one record alone, from its first symbol in to its last result
    latency: int
    #: cycles a record that each unit is busy; the greatest is the least that any number of streams can reach
    busy: dict[str, int]


def estimate(source: IntegerCircuit | Program, shape: EngineSize, job: str) -> Estimate:
    """Estimate a job's cycles where neither side ever stalls.

    Raises:
        UsageError: no such job.
        NotStructuredError: the circuit cannot be coded.
    """
    program = Program.of(source)
    alone = count_cycles(program, shape, job, 1)
    # The first record of every stream also fills the units; the second costs what all others do.
    once, twice = (count_cycles(program, shape, job, count * shape.streams) for count in (1, 2))
    return Estimate(job, (twice - once) / shape.streams, alone, busy_cycles(program, shape, job))


def busy_cycles(source: IntegerCircuit | Program, shape: EngineSize, job: str) -> dict[str, int]:
    """Count the cycles a record that each unit is busy, and those of fetching and of moving symbols."""
    program = Program.of(source)
    circuit, schedule = program.circuit, _schedule(program, job)
    busy = {"mix": 0, "vector": 0, "interval": 0}
    for step in schedule.steps:
        cycles = beats(circuit, shape, step)
        if isinstance(step, Interval):
            bits = ceil_log2(circuit.cardinalities[step.variable])
            rounds = max(1, ceil_div(bits, shape.search_bits)) if job == "decode" else 1
            busy["interval"] += cycles * rounds
        else:
            busy["mix" if isinstance(step, Up | Down | ListSum) else "vector"] += cycles
    busy["fetch"] = ceil_div(len(schedule.steps), FETCHES)
    return busy


def smallest(
    source: IntegerCircuit | Program, job: str, cycles_per_record: float, search_bits: int | None = None
) -> EngineSize | None:
    """Find the least macs, and for these the least streams, that reach so many cycles a record; None if none does."""
    program = Program.of(source)
    schedule = _schedule(program, job)
    widest = max(step.units for step in schedule.steps)
    macs = 1
    while macs <= 4 * widest * widest and macs <= 4096:
        bits = default_search_bits(program.circuit, macs) if search_bits is None else search_bits
        if max(busy_cycles(program, EngineSize(macs, 1, bits), job).values()) <= cycles_per_record:
            for streams in (1, 2, 4, 8, 16, 32):
                shape = EngineSize(macs, streams, bits)
                if estimate(program, shape, job).cycles_per_record <= cycles_per_record:
                    return shape
        macs *= 2
    return None
