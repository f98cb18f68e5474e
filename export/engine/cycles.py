"""The cycles of the engine, before synthesis: the rules of its units, without the numbers (docs/engine.md)."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from pcedge.arithmetic import ceil_log2
from pcedge.circuit.rows import SparseRows
from pcedge.errors import UsageError
from pcedge.export.program.size import EngineSize, default_search_bits
from pcedge.integer.circuit import IntegerCircuit, IntegerSum
from pcedge.schedule.schedules import code_schedule, likelihood_schedule
from pcedge.schedule.steps import Op, Schedule, Step

#: cycles as in `machine.hpp`: after the last beat of a matrix-vector step, of another step, of an interval, of a fetch
MIX_LATENCY, VECTOR_LATENCY, INTERVAL_LATENCY, FETCH_LATENCY = 4, 3, 7, 1


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
    place: int = 0
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
    writing: tuple[int, Step] | None = None
    written: int = 0


def count_cycles(circuit: IntegerCircuit, shape: EngineSize, job: str, records: int | list[int]) -> int:
    """Count the clock cycles of a job, as C simulation counts them; no side ever stalls.

    Args:
        circuit: the integer circuit.
        shape: the sizes of the engine.
        job: `likelihood`, `encode` or `decode`.
        records: how many records each stream has, or all together, shared out one by one.

    Raises:
        UsageError: no such job, or too many streams.
        NotStructuredError: the circuit cannot be coded.
    """
    if job not in JOBS:
        raise UsageError(f"the job must be one of {', '.join(JOBS)}, got {job!r}")
    if isinstance(records, int):
        records = [len(range(stream, records, shape.streams)) for stream in range(shape.streams)]
    if len(records) != shape.streams:
        raise UsageError(f"records must be one number for each of {shape.streams} streams, got {len(records)}")
    schedule = likelihood_schedule(circuit) if job == "likelihood" else code_schedule(circuit)
    return _Run(circuit, shape, job, schedule, records).run()


def beats(circuit: IntegerCircuit, shape: EngineSize, step: Step) -> int:
    """Count the cycles that a step keeps its unit busy."""
    rows, columns = shape.tile
    if step.op is Op.INTERVAL:
        return -(-step.sources[0].units // shape.lanes)
    if step.op in (Op.UP, Op.DOWN):
        layer = circuit.layers[step.layer]
        assert isinstance(layer, IntegerSum)
        if not isinstance(layer.weights, SparseRows):
            units, sources = (columns, rows) if step.op is Op.DOWN else (rows, columns)
            return -(-step.units // units) * -(-step.sources[0].units // sources)
        if step.op is Op.UP:
            return len(layer.weights.indices) + step.units
        return -(-step.units // shape.lanes) + len(layer.weights.indices) + step.sources[0].units
    if step.op is Op.LIST:
        assert step.lists is not None
        return len(step.lists.indices) + step.units
    if step.op is Op.MULTIPLY and any(gather is not None for gather in step.gathers):
        return step.units
    return -(-step.units // shape.lanes)


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
        self.mix, self.vector = _Unit(last, MIX_LATENCY), _Unit(last, VECTOR_LATENCY)
        self.interval = _Unit(last, INTERVAL_LATENCY)
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
        if step.op is Op.INTERVAL:
            return self.interval
        return self.mix if step.op in (Op.UP, Op.DOWN, Op.LIST) else self.vector

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
        unit.writing = unit.stream, unit.step
        unit.written = self._at(self.now + -(-unit.step.units // self.shape.lanes))
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
        stream.after = self._at(self.now + 1 + INTERVAL_LATENCY)
        stream.open -= min(stream.open, self.shape.search_bits)
        if not stream.open:
            self._advance(stream)

    def _advance(self, stream: _Stream) -> None:
        stream.valid = False
        stream.place += 1
        stream.wanted = stream.place < len(self.steps)

    def _may(self, stream: _Stream, unit: _Unit) -> bool:
        if not stream.working or not stream.valid or stream.reading or max(stream.fetched, stream.after) > self.now:
            return False
        step = self.steps[stream.place]
        if self._unit_of(step) is not unit or self._tables_taken(step):
            return False
        return all(stream.ready.get(source.value, self.now + 1) <= self.now for source in step.sources)

    def _tables_taken(self, step: Step) -> bool:
        """Tell whether the other unit that reads leaf tables does so in the next cycle."""
        if step.op is Op.LEAF:
            return self.interval.step is not None
        other = self.vector.step
        return step.op is Op.INTERVAL and other is not None and other.op is Op.LEAF and self.now < self.vector.until

    def _start(self, unit: _Unit) -> None:
        if unit.step is not None:
            return
        count = len(self.streams)
        order = ((unit.last + place) % count for place in range(1, count + 1))
        chosen = next((number for number in order if self._may(self.streams[number], unit)), None)
        if chosen is None:
            return
        stream = self.streams[chosen]
        unit.stream = unit.last = chosen
        unit.step = self.steps[stream.place]
        unit.until = self._at(self.now + self.beats[stream.place])
        stream.reading = True
        if unit is not self.interval:
            stream.pending += 1
            self._advance(stream)

    def _fetch(self) -> None:
        count = len(self.streams)
        order = ((self.last_fetched + place) % count for place in range(1, count + 1))
        chosen = next((number for number in order if self.streams[number].wanted), None)
        if chosen is None:
            return
        stream = self.streams[chosen]
        self.last_fetched = chosen
        stream.wanted, stream.valid = False, True
        stream.fetched = self._at(self.now + 1 + FETCH_LATENCY)
        step = self.steps[stream.place]
        stream.open = ceil_log2(self.cardinalities[step.variable]) if step.op is Op.INTERVAL else 0
        self._at(self.now + 1)

    def _move(self, stream: _Stream) -> bool:
        storing = stream.stored_at is not None and self.now < stream.stored_at
        done = stream.working and stream.place == len(self.steps) and not stream.reading
        done = done and stream.pending == 0 and max(stream.after, stream.landed) <= self.now
        if done and not storing:
            stream.working = False
            stream.records -= 1
            if self.job != "encode":
                stream.stored_at = self._at(self.now + (self.variables if self.job == "decode" else RESULT_WORDS))
                storing = True
        if not stream.working and self._loaded(stream):
            stream.working = stream.wanted = True
            stream.place = 0
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


def estimate(circuit: IntegerCircuit, shape: EngineSize, job: str) -> Estimate:
    """Estimate a job's cycles where neither side ever stalls.

    Raises:
        UsageError: no such job.
        NotStructuredError: the circuit cannot be coded.
    """
    alone = count_cycles(circuit, shape, job, 1)
    # The first record of every stream also fills the units; the second costs what all others do.
    once, twice = (count_cycles(circuit, shape, job, count * shape.streams) for count in (1, 2))
    return Estimate(job, (twice - once) / shape.streams, alone, busy_cycles(circuit, shape, job))


def busy_cycles(circuit: IntegerCircuit, shape: EngineSize, job: str) -> dict[str, int]:
    """Count the cycles a record that each unit is busy, and those of fetching and of moving symbols."""
    schedule = likelihood_schedule(circuit) if job == "likelihood" else code_schedule(circuit)
    found = {"mix": 0, "vector": 0, "interval": 0}
    for step in schedule.steps:
        cycles = beats(circuit, shape, step)
        if step.op is Op.INTERVAL:
            bits = ceil_log2(circuit.cardinalities[step.variable])
            rounds = max(1, -(-bits // shape.search_bits)) if job == "decode" else 1
            found["interval"] += cycles * rounds
        else:
            found["mix" if step.op in (Op.UP, Op.DOWN, Op.LIST) else "vector"] += cycles
    found["fetch"] = -(-len(schedule.steps) // FETCHES)
    return found


def smallest(
    circuit: IntegerCircuit, job: str, cycles_per_record: float, search_bits: int | None = None
) -> EngineSize | None:
    """Find the least macs, and for these the least streams, that reach so many cycles a record; None if none does."""
    schedule = likelihood_schedule(circuit) if job == "likelihood" else code_schedule(circuit)
    widest = max(step.units for step in schedule.steps)
    macs = 1
    while macs <= 4 * widest * widest and macs <= 4096:
        bits = default_search_bits(circuit, macs) if search_bits is None else search_bits
        if max(busy_cycles(circuit, EngineSize(macs, 1, bits), job).values()) <= cycles_per_record:
            for streams in (1, 2, 4, 8, 16, 32):
                shape = EngineSize(macs, streams, bits)
                if estimate(circuit, shape, job).cycles_per_record <= cycles_per_record:
                    return shape
        macs *= 2
    return None
