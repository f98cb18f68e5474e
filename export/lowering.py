"""Lowering: from an integer circuit to the memories of the engine (docs/schedule.md, section Step encoding)."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pcedge.arithmetic import EXPONENT_BITS
from pcedge.circuit.layers import SparseRows
from pcedge.coder.schedule import Op, Schedule, Step, code_schedule, likelihood_schedule
from pcedge.quantize.integer import IntegerCircuit, IntegerInput, IntegerSum

STEP_WORDS = 12

REVIVE, LISTS, VALUES, GATHER_A, GATHER_B = 1, 2, 4, 8, 16


@dataclass(frozen=True, eq=False)
class Program:
    """Hold everything that the engine reads: programs as rows of `STEP_WORDS` words, and the memories they address."""

    circuit: IntegerCircuit
    likelihood: Schedule
    code: Schedule
    likelihood_words: NDArray[np.uint32]
    code_words: NDArray[np.uint32]
    #: dense blocks row by row, and values of sparse rows
    weights: NDArray[np.uint32]
    #: gather lists, and lists as row pointers followed by entries
    indices: NDArray[np.uint32]
    #: cumulative leaf tables, all units of one symbol side by side
    tables: NDArray[np.uint32]
    #: mantissas that the state memory must hold, the most over both programs
    state_words: int
    #: exponents that must be held at once
    exponent_slots: int
    #: entries of the widest result
    max_units: int
    #: address and exponent slot of the likelihood
    result: tuple[int, int]

    def memory_bits(self) -> dict[str, int]:
        """Count the bits of every memory at its exact width."""
        widths = self.circuit.widths
        entries = max(1, int(self.indices.max(initial=0)).bit_length())
        return {
            "weights": self.weights.size * widths.weight,
            "tables": self.tables.size * widths.leaf,
            "indices": self.indices.size * entries,
            "programs": (self.likelihood_words.size + self.code_words.size) * 32,
            "state": self.state_words * widths.state_bits,
            "exponents": self.exponent_slots * EXPONENT_BITS,
        }


@dataclass
class _Memory:
    """Append blocks to a memory, each different block once."""

    blocks: list[NDArray[np.int64]] = field(default_factory=list)
    places: dict[bytes, int] = field(default_factory=dict)
    size: int = 0

    def put(self, block: NDArray[np.int64]) -> int:
        block = np.ascontiguousarray(block, dtype=np.int64).ravel()
        key = block.tobytes()
        if key not in self.places:
            self.places[key] = self.size
            self.blocks.append(block)
            self.size += len(block)
        return self.places[key]

    def array(self) -> NDArray[np.int64]:
        return np.concatenate(self.blocks) if self.blocks else np.zeros(1, dtype=np.int64)


class _Allocator:
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


def lower(circuit: IntegerCircuit) -> Program:
    """Give addresses to all that the two schedules of a circuit read and write.

    Raises:
        NotStructuredError: the circuit cannot be coded; the engine holds both schedules.
    """
    memories = _Memories(circuit)
    likelihood, code = likelihood_schedule(circuit), code_schedule(circuit)
    up = _assemble(circuit, likelihood, memories)
    walk = _assemble(circuit, code, memories)
    return Program(
        circuit, likelihood, code, up.words, walk.words,
        memories.weights.array().astype(np.uint32), memories.indices.array().astype(np.uint32),
        memories.tables.array().astype(np.uint32),
        max(up.state, walk.state), max(up.slots, walk.slots),
        max(step.units for schedule in (likelihood, code) for step in schedule.steps),
        up.places[likelihood.result],
    )  # fmt: skip


class _Memories:
    """Hold the parameter memories, filled as steps ask for their operands."""

    def __init__(self, circuit: IntegerCircuit) -> None:
        self.circuit = circuit
        self.weights = _Memory()
        self.indices = _Memory()
        self.tables = _Memory()

    def lists(self, rows: SparseRows) -> int:
        return self.indices.put(np.concatenate([rows.indptr, rows.indices]))

    def operands(self, step: Step) -> tuple[int, int, int]:
        """Place a step's operands; give flags and the two operand addresses."""
        layer = self.circuit.layers[step.layer]
        if step.op in (Op.LEAF, Op.INTERVAL):
            assert isinstance(layer, IntegerInput)
            return 0, self.tables.put(layer.cumulative.T), 0
        if step.op is Op.LIST:
            assert step.lists is not None
            return LISTS, self.lists(step.lists), 0
        if step.op is Op.MULTIPLY:
            flags, places = 0, [0, 0]
            for side, gather in enumerate(step.gathers):
                if gather is not None:
                    flags |= (GATHER_A, GATHER_B)[side]
                    places[side] = self.indices.put(gather)
            return flags, places[0], places[1]
        if step.op in (Op.UP, Op.DOWN):
            assert isinstance(layer, IntegerSum)
            if not isinstance(layer.weights, SparseRows):
                return 0, self.weights.put(layer.weights), 0
            rows = layer.weights.transposed() if step.op is Op.DOWN else layer.weights
            return LISTS | VALUES, self.lists(rows), self.weights.put(rows.values.astype(np.int64))
        return 0, 0, 0


@dataclass(frozen=True, eq=False)
class _Assembled:
    words: NDArray[np.uint32]
    state: int
    slots: int
    places: dict[int, tuple[int, int]]


def _assemble(circuit: IntegerCircuit, schedule: Schedule, memories: _Memories) -> _Assembled:
    state, slots = _Allocator(), _Allocator()
    places: dict[int, tuple[int, int]] = {}
    words = np.zeros((len(schedule.steps), STEP_WORDS), dtype=np.uint32)
    for row, step, frees in zip(words, schedule.steps, schedule.frees, strict=True):
        flags, first, second = memories.operands(step)
        if step.target >= 0:
            places[step.target] = (state.take(step.units), slots.take(1))
            row[1:3] = places[step.target]
        row[0] = int(step.op) | (flags | (REVIVE if step.revive else 0)) << 8
        row[3] = step.units
        for side, source in enumerate(step.sources):
            address, slot = places[source.value]
            row[4 + 3 * side : 7 + 3 * side] = address + source.offset, slot, source.units
        if step.variable >= 0:
            row[7:9] = step.variable, circuit.cardinalities[step.variable]
        row[10:12] = first, second
        for value in frees:
            state.give(places[value][0])
            slots.give(places[value][1])
    return _Assembled(words, state.peak, slots.peak, places)
