"""Programs as the native engine reads them: steps with addresses, and parameters in the order of reading."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray
from pcedge.circuit.rows import SparseRows
from pcedge.integer.circuit import IntegerCircuit, IntegerInput, IntegerSum
from pcedge.integer.leaves import leaf_vectors
from pcedge.schedule.program import Program
from pcedge.schedule.steps import (
    Align,
    Down,
    Init,
    Interval,
    Leaf,
    ListSum,
    Multiply,
    Op,
    Schedule,
    Step,
    Up,
    Zeros,
)  # fmt: skip
from pcedge.tails import WEIGHT_TAIL_BITS

#: the numbers of `pce_step`, in its order
FIELDS = (
    "op", "zeros", "units", "wide", "target", "target_slot", "a", "a_slot", "a_units", "b", "b_slot", "b_units",
    "variable", "symbols", "data", "pairs", "sums", "list", "list_b", "place",
)  # fmt: skip

#: what a narrow accumulator holds, and what a weight or table entry of the kernels of 16 bits may be
_NARROW, _HALF = 1 << 32, 1 << 15

#: units that a leaf table's rows of 16 bits are padded to
_VECTOR = 16

#: bytes of a line of the cache
_LINE = 64

#: symbols from which a decoder searches in two steps
_MARKED = 32


@dataclass
class _Pool:
    """Collect blocks of numbers, each different one once."""

    dtype: type[Any]
    blocks: list[NDArray[Any]] = field(default_factory=list)
    places: dict[bytes, int] = field(default_factory=dict)
    size: int = 0

    def put(self, block: NDArray[Any]) -> int:
        """Give the place of a block."""
        data = np.ascontiguousarray(block, dtype=self.dtype).ravel()
        key = data.tobytes()
        if key not in self.places:
            # A row of 16 numbers of 16 bits then lies in one line of the cache.
            self.places[key] = self.size
            self.blocks.append(data)
            self.size += -(-len(data) // (_LINE // data.itemsize)) * (_LINE // data.itemsize)
        return self.places[key]

    def take(self, other: _Pool) -> int:
        """Put all blocks of another pool behind these; give where they begin."""
        first = self.size
        # Blocks of both that are equal stay apart.
        self.places |= {b"behind" + key: first + place for key, place in other.places.items()}
        self.blocks += other.blocks
        self.size += other.size
        return first

    def whole(self) -> NDArray[Any]:
        """Give all blocks, one after the other, the first at the beginning of a line of the cache."""
        size = self.size * np.dtype(self.dtype).itemsize
        memory = np.zeros(size + 2 * _LINE, dtype=np.uint8)
        first = -memory.ctypes.data % _LINE
        array: NDArray[Any] = memory[first : first + size + _LINE].view(self.dtype)
        for place, block in zip(self.places.values(), self.blocks, strict=True):
            array[place : place + len(block)] = block
        return array


@dataclass(frozen=True, eq=False)
class Steps:
    """Hold a schedule: a row for each step, and what its values take."""

    rows: NDArray[np.int32]
    keep: bool
    result: int
    result_slot: int
    words: int
    slots: int
    #: whether some step reads exponents
    scales: bool


@dataclass(frozen=True, eq=False)
class Tables:
    """Hold a program for the native engine."""

    circuit: IntegerCircuit
    likelihood: Steps
    code: Steps
    #: the most units of a result or source
    units: int
    weights: NDArray[np.uint32]
    tables: NDArray[np.uint32]
    lists: NDArray[np.int32]
    pairs: NDArray[np.int16]
    sums: NDArray[np.uint32]


def lay_out(source: IntegerCircuit | Program) -> Tables:
    """Lay out a program's steps and parameters."""
    program = Program.of(source)
    writer = _Writer(program)
    likelihood, code = writer.steps(program.likelihood), writer.steps(program.code)
    # Tables of symbols, of which few rows are read, lie behind what every record reads from its begin to its end.
    first = writer.pairs.take(writer.rows)
    for steps in (likelihood, code):
        operation = steps.rows[:, FIELDS.index("op")]
        for name, operations in (("pairs", (Op.LEAF, Op.INTERVAL)), ("data", (Op.LEAF,))):
            column = steps.rows[:, FIELDS.index(name)]
            column[np.isin(operation, operations) & (column >= 0)] += first
    pools = writer.weights, writer.tables, writer.lists, writer.pairs, writer.sums
    return Tables(program.circuit, likelihood, code, writer.units, *(pool.whole() for pool in pools))


class _Writer:
    def __init__(self, program: Program) -> None:
        self.program, self.circuit = program, program.circuit
        self.weights, self.tables, self.lists = _Pool(np.uint32), _Pool(np.uint32), _Pool(np.int32)
        self.pairs, self.sums = _Pool(np.int16), _Pool(np.uint32)
        self.rows = _Pool(np.int16)
        self.units = 1
        self.place = {variable: place for place, variable in enumerate(self.circuit.order)}
        #: what the steps of a layer's operation share, by operation and layer
        self.known: dict[tuple[Op, int], dict[str, int]] = {}
        self.leaves: dict[tuple[int, Zeros], dict[str, int]] = {}

    def steps(self, schedule: Schedule) -> Steps:
        """Write a schedule."""
        state, slots = _Allocator(), _Allocator()
        where: dict[int, tuple[int, int, int]] = {}
        rows = np.full((len(schedule.steps), len(FIELDS)), -1, dtype=np.int32)
        for row, (step, frees) in enumerate(zip(schedule.steps, schedule.frees, strict=True)):
            numbers = {"op": int(step.op), "wide": 0, "units": step.units}
            zeros = self.program.zeros(schedule, step)
            numbers["zeros"] = int(zeros)
            for side, ref in zip("ab", step.sources, strict=False):
                address, slot, _ = where[ref.value]
                numbers |= {side: address + ref.offset, f"{side}_slot": slot, f"{side}_units": ref.units}
                self.units = max(self.units, ref.units)
            numbers |= self.operands(step, zeros)
            before = schedule.steps[row - 1] if row else None
            if isinstance(step, Leaf) and isinstance(before, Interval) and step.layer == before.layer:
                numbers["data"] = int(rows[row - 1, FIELDS.index("pairs")]) if zeros < Zeros.KEEP else -1
            if not isinstance(step, Interval):
                where[step.target] = state.take(step.units), slots.take(1), step.units
                numbers["target"], numbers["target_slot"], _ = where[step.target]
            self.units = max(self.units, step.units)
            rows[row] = [numbers.get(name, -1) for name in FIELDS]
            for value in frees:
                address, slot, units = where.pop(value)
                state.give(address, units)
                slots.give(slot, 1)
        result, result_slot, _ = where.get(schedule.result, (-1, -1, 0))
        scales = schedule.result >= 0 or any(isinstance(step, Align) for step in schedule.steps)
        return Steps(rows, schedule.keep, result, result_slot, state.size, slots.size, scales)

    def operands(self, step: Step, zeros: Zeros) -> dict[str, int]:
        """Give the numbers that say what a step reads beside its sources."""
        match step:
            case Init() | Align():
                return {}
            case Leaf():
                return {"variable": step.variable} | self._leaf(step, zeros)
            case Interval():
                return {"variable": step.variable, "place": self.place[step.variable]} | self._tables(step)
            case Multiply():
                names = zip(("list", "list_b"), step.gathers, strict=True)
                return {name: self.lists.put(gather) for name, gather in names if gather is not None}
            case ListSum():
                return self._rows(step.lists, None)
            case Up() | Down():
                key = step.op, step.layer
                if key not in self.known or zeros >= Zeros.KEEP:
                    self.known[key] = self._sum(step, zeros)
                return self.known[key]

    def _leaf(self, step: Leaf, zeros: Zeros) -> dict[str, int]:
        key = step.layer, zeros
        if key not in self.leaves:
            layer = self.circuit.layers[step.layer]
            assert isinstance(layer, IntegerInput)
            mantissas, exponents = leaf_vectors(
                layer, self.circuit.leaf_bits, self.circuit.state_bits, revive=step.revive, keep=zeros >= Zeros.KEEP
            )
            rows = _padded(mantissas.T, mantissas.shape[1], _vectors(len(mantissas))).astype(np.uint16).view(np.int16)
            symbols = layer.shape.cardinality
            self.leaves[key] = {"symbols": symbols, "pairs": self.rows.put(rows), "list": self.lists.put(exponents)}
        return self.leaves[key]

    def _tables(self, step: Interval) -> dict[str, int]:
        layer = self.circuit.layers[step.layer]
        assert isinstance(layer, IntegerInput)
        rows, symbols = layer.cumulative.T, layer.shape.cardinality
        numbers = {"symbols": symbols, "data": self.tables.put(rows)}
        most = min(
            step.source.units * ((1 << self.circuit.state_bits) - 1), (1 << self.program.needed["context_sum"]) - 1
        )
        if 1 << self.circuit.leaf_bits < _HALF and most << self.circuit.leaf_bits < _NARROW:
            numbers["pairs"] = self.rows.put(_padded(rows, len(rows), _vectors(rows.shape[1])))
            if symbols >= _MARKED:
                # A decoder looks at every so many symbols first.
                stride = 1 << ((symbols - 1).bit_length() // 2)
                marks = rows[:-1:stride]
                numbers |= {"list": self.pairs.put(_pairs(marks)), "list_b": stride, "sums": self._less(marks)}
        return numbers

    def _rows(self, rows: SparseRows, values: IntArray | None, dropped: int = 0) -> dict[str, int]:
        numbers = {"list": self.lists.put(rows.indptr), "list_b": self.lists.put(rows.indices)}
        terms = np.ones(len(rows.indices), dtype=np.int64) if values is None else values
        ends = np.concatenate([[0], np.cumsum(terms)])
        most = int((ends[rows.indptr[1:]] - ends[rows.indptr[:-1]]).max(initial=0))
        if values is not None:
            numbers["data"] = self.weights.put(values)
        return numbers | {"wide": int(self._wide(most))}

    def _sum(self, step: Up | Down, zeros: Zeros) -> dict[str, int]:
        layer = self.circuit.layers[step.layer]
        assert isinstance(layer, IntegerSum)
        down = isinstance(step, Down)
        if isinstance(layer.weights, SparseRows):
            rows = layer.weights.transposed() if down else layer.weights
            return self._rows(rows, np.asarray(rows.values, dtype=np.int64))
        weights = layer.weights.T if down else layer.weights
        wide = self._wide(int(weights.sum(axis=1).max()), weights.shape[1] if zeros == Zeros.TAIL else 0)
        numbers = {"data": self.weights.put(weights), "wide": int(wide)}
        if not wide and zeros != Zeros.TAIL and int(weights.max()) < _HALF:
            numbers["pairs"] = self.pairs.put(_pairs(weights))
            numbers["sums"] = self._less(weights)
        return numbers

    def _less(self, rows: IntArray) -> int:
        """Put what products with mantissas less 2^15 lack of each row."""
        sums = np.zeros(_vectors(len(rows)), dtype=np.int64)
        sums[: len(rows)] = (rows.sum(axis=1) * _HALF) % _NARROW
        return self.sums.put(sums)

    def _wide(self, weight: int, dropped: int = 0) -> bool:
        """Tell whether a row of so much weight, and so many weights of 0 as tails, may need more than 32 bits."""
        most = (1 << self.circuit.state_bits) - 1
        return weight * most + dropped * (most >> WEIGHT_TAIL_BITS) >= _NARROW


def _vectors(units: int) -> int:
    """Round up to whole vectors."""
    return -(-units // _VECTOR) * _VECTOR


def _padded(rows: IntArray, height: int, width: int) -> IntArray:
    """Put zeros below and beside rows, as np.pad does in ten times the time."""
    padded = np.zeros((height, width), dtype=np.int64)
    padded[: rows.shape[0], : rows.shape[1]] = rows
    return padded


def _pairs(rows: IntArray) -> IntArray:
    """Put two columns of each row side by side, pair after pair those of all rows, padded with rows of zeros."""
    padded = _padded(rows, _vectors(len(rows)), rows.shape[1] + rows.shape[1] % 2)
    return padded.reshape(len(padded), -1, 2).transpose(1, 0, 2)


class _Allocator:
    """Give places to values while they live; those of one size follow each other."""

    def __init__(self) -> None:
        self.free: dict[int, list[int]] = {}
        self.size = 0

    def take(self, size: int) -> int:
        if self.free.get(size):
            return self.free[size].pop()
        if size % _VECTOR == 0:
            # Units of one record that fill vectors begin where vectors do, not across lines of the cache.
            self.size += -self.size % _VECTOR
        self.size += size
        return self.size - size

    def give(self, place: int, size: int) -> None:
        self.free.setdefault(size, []).append(place)
