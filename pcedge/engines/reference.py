"""Replay of a schedule in numpy: the reference for every engine, batched over records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge import arithmetic, tails
from pcedge.arithmetic import Vector
from pcedge.arrays import IntArray
from pcedge.circuit.inference import check_records
from pcedge.circuit.layers import MISSING
from pcedge.circuit.rows import SparseRows
from pcedge.engines.base import Progress
from pcedge.engines.lanes import decode_lanes, decode_rounds, encode_lanes
from pcedge.errors import UsageError, assert_never
from pcedge.integer.circuit import IntegerCircuit, IntegerInput, IntegerSum
from pcedge.integer.leaves import leaf_vectors
from pcedge.schedule.program import Program
from pcedge.schedule.steps import (
    Align,
    Computed,
    Down,
    Gather,
    Init,
    Interval,
    Leaf,
    ListSum,
    Multiply,
    Ref,
    Schedule,
    Step,
    Up,
)  # fmt: skip

#: records evaluated at a time: a block of vectors stays in the processor's cache
BATCH = 1024
#: terms of one sparse sum over all records of a batch; wide sums of learned PSDDs take fewer records at a time
BATCH_TERMS = 1 << 20

#: finds the symbols of an INTERVAL step: (step, context mantissas) -> symbols (N,)
Coder = Callable[[Interval, IntArray], IntArray]
#: sees every step's result
Observer = Callable[[int, Step, Vector], None]


class ReferenceEngine:
    """Replay the schedules of one integer circuit.

    Args:
        source: the circuit, or its program where that is at hand.

    Example:
        >>> from pcedge.circuit import Circuit, InputLayer
        >>> from pcedge.quantize import quantize
        >>> engine = ReferenceEngine(quantize(Circuit((InputLayer(0, np.array([[0.25, 0.75]])),))))
        >>> engine.likelihood([[1]])[0].tolist(), engine.likelihood([[1]])[1].tolist()
        ([49152], [-16])
    """

    def __init__(self, source: IntegerCircuit | Program) -> None:
        """Take the program of the circuit."""
        self.program = Program.of(source)
        self.circuit = self.program.circuit
        self._leaves: dict[tuple[int, bool, bool], Vector] = {}

    @property
    def given(self) -> tuple[int, ...]:
        """Give the variables that encoder and decoder know before a record is coded."""
        return self.program.given

    def with_given(self, given: Sequence[int]) -> ReferenceEngine:
        """Give the engine that codes all variables but those; see `LaneCoder.with_given`."""
        program = self.program.with_given(given)
        return self if program is self.program else ReferenceEngine(program)

    @cached_property
    def _dense(self) -> dict[int, NDArray[np.float64]]:
        """Keep dense weights as float64, in which products of integers below 2^53 are exact."""
        return {
            index: layer.weights.astype(np.float64)
            for index, layer in enumerate(self.circuit.layers)
            if isinstance(layer, IntegerSum) and not isinstance(layer.weights, SparseRows)
        }

    @cached_property
    def _sparse(self) -> dict[int, tuple[SparseRows, SparseRows]]:
        """Keep sparse weights by rows (up) and by columns (down)."""
        return {
            index: (layer.weights, layer.weights.transposed())
            for index, layer in enumerate(self.circuit.layers)
            if isinstance(layer, IntegerSum) and isinstance(layer.weights, SparseRows)
        }

    def _leaf(self, layer: int, revive: bool, keep: bool) -> Vector:
        """Keep the vectors of every symbol, with a last one that the symbol -1, missing, picks."""
        key = layer, revive, keep
        if key not in self._leaves:
            leaf, circuit = self.circuit.layers[layer], self.circuit
            assert isinstance(leaf, IntegerInput)
            self._leaves[key] = leaf_vectors(leaf, circuit.leaf_bits, circuit.state_bits, revive=revive, keep=keep)
        return self._leaves[key]

    @cached_property
    def _dropped(self) -> dict[int, NDArray[np.float64]]:
        """Keep which weights of sums with tails are 0."""
        blocks = {index: weights == 0 for index, weights in self._dense.items() if self.circuit.has_tails(index)}
        return {index: zeros.astype(np.float64) for index, zeros in blocks.items()}

    @cached_property
    def batch(self) -> int:
        """Choose how many records to evaluate at a time."""
        widest = max((len(rows.values) for rows, _ in self._sparse.values()), default=1)
        return max(1, min(BATCH, BATCH_TERMS // widest))

    def table(self, layer: int) -> IntArray:
        """Give the cumulative tables of an input layer, (units, cardinality + 1)."""
        leaf = self.circuit.layers[layer]
        assert isinstance(leaf, IntegerInput)
        return leaf.cumulative

    @cached_property
    def _marks(self) -> dict[int, tuple[IntArray, NDArray[np.float64]]]:
        marks_of = {}
        for index, layer in enumerate(self.circuit.layers):
            if isinstance(layer, IntegerInput):
                cardinality = layer.cumulative.shape[1] - 1
                stride = 1 << (arithmetic.ceil_log2(cardinality) // 2)
                marks = np.append(np.arange(stride, cardinality, stride), cardinality)
                marks_of[index] = (marks, layer.cumulative[:, marks].T.astype(np.float64))
        return marks_of

    def marks(self, layer: int) -> tuple[IntArray, NDArray[np.float64]]:
        """Give every 2^k-th symbol of an input layer and the last end, with their table columns as float64 rows."""
        return self._marks[layer]

    def check(self, x: ArrayLike, *, allow_missing: bool) -> IntArray:
        """Check data against the circuit; give int64 records of shape (N, variables)."""
        return check_records(x, self.circuit.cardinalities, allow_missing=allow_missing)

    def likelihood(self, x: ArrayLike, observe: Observer | None = None) -> Vector:
        """Compute the probability of every record as mantissa * 2**exponent; -1 sums a variable out.

        Returns:
            Mantissas and exponents, int64 of shape (N,); a mantissa of 0 means that the integers call it impossible.

        Raises:
            DataError: the data do not fit.
        """
        records = self.check(x, allow_missing=True)
        blocks = []
        for symbols in _batches(records, len(records) if observe else self.batch):
            values = self.replay(self.program.likelihood, symbols, None, observe)
            mantissa, exponent = values[self.program.likelihood.result]
            blocks.append((mantissa[0], exponent))
        empty = np.zeros(0, dtype=np.int64)
        if not blocks:
            return empty, empty
        return np.concatenate([p[0] for p in blocks]), np.concatenate([p[1] for p in blocks])

    def intervals(self, x: ArrayLike, observe: Observer | None = None) -> tuple[IntArray, IntArray]:
        """Compute the coding intervals [lo, hi) of every variable in coding order, within 2^P.

        A missing variable has the empty interval [0, 0), and so has one that is given: nothing is coded for it.

        Returns:
            lo and hi, int64 of shape (N, variables).

        Raises:
            DataError: the data do not fit.
        """
        records = self.check(x, allow_missing=True)
        lo = np.zeros_like(records)
        hi = np.zeros_like(records)
        start = 0
        for symbols in _batches(records, len(records) if observe else self.batch):
            columns = iter(self.program.coded)

            def code(
                step: Interval, context: IntArray, first: int = start, columns: Iterator[int] = columns
            ) -> IntArray:
                column = next(columns)
                rows = slice(first, first + context.shape[1])
                drawn = records[rows, step.variable]
                lo[rows, column], hi[rows, column] = self.symbol_interval(step, context, drawn)
                return drawn

            self.replay(self.program.code, symbols, code, observe)
            start += symbols.shape[1]
        return lo, hi

    def encode_lanes(self, records: IntArray, lanes: int, progress: Progress | None = None) -> list[bytes]:
        """Encode records; record i goes to lane i mod `lanes`, as its next one. See `LaneCoder.encode_lanes`."""
        return encode_lanes(self, records, lanes, progress)

    def decode_lanes(
        self, lanes: list[bytes], count: int, progress: Progress | None = None, known: IntArray | None = None
    ) -> IntArray:
        """Decode `count` records of shape (N, variables) from their lanes; `known` are records with what is given.

        Raises:
            StreamError: the bytes are not what an encoder of this circuit writes.
        """
        return decode_lanes(self, lanes, count, progress, known)

    def decode_rounds(self, lanes: list[bytes], count: int, known: IntArray | None = None) -> Iterator[IntArray]:
        """Decode the next record of every lane at a time; see `pcedge.engines.lanes.decode_rounds`."""
        return decode_rounds(self, lanes, count, known)

    def sample(self, count: int, seed: int = 0, known: IntArray | None = None) -> IntArray:
        """Draw records from the circuit: what random bytes decode to; `known` are records with what is given.

        Raises:
            UsageError: the number of records is negative, or what is given is not known.
        """
        if count < 0:
            raise UsageError(f"the number of records must be at least 0, got {count}")
        widths = self.circuit.widths
        # Enough for symbols that each take all bits of the scale; zeros behind them would not be random.
        size = len(self.circuit.order) * (widths.scale_bits // 8) + widths.range_bits // 8
        data = np.random.default_rng(seed).integers(0, 256, (count, size), dtype=np.uint8)
        return decode_lanes(self, [row.tobytes() for row in data], count, known=known, strict=False)

    def symbol_interval(self, step: Interval, context: IntArray, symbols: IntArray) -> Vector:
        """Compute [lo, hi) of one symbol a record; [0, 0) where it is missing."""
        widths = self.circuit.widths
        table = self.table(step.layer)
        amount, scale = arithmetic.interval_scale(context, table.shape[1] - 1, widths)
        ends = []
        for end in (symbols, symbols + 1):
            weighted = np.einsum("un,un->n", context, table.take(end, axis=1, mode="clip"))
            ends.append(arithmetic.interval_bound(weighted, end, amount, scale, widths))
        missing = symbols == MISSING
        if missing.any():
            for bounds in ends:
                bounds[missing] = 0
        return ends[0], ends[1]

    def replay(
        self, schedule: Schedule, symbols: IntArray, code: Coder | None, observe: Observer | None = None
    ) -> dict[int, Vector]:
        """Run the steps for symbols of shape (variables, N); a decoder's `code` fills them in as it goes.

        Returns:
            The values that are left: the result, where the schedule has one.
        """
        values: dict[int, Vector] = {}
        count = symbols.shape[1]
        for index, step in enumerate(schedule.steps):
            if isinstance(step, Interval):
                assert code is not None
                context, exponent = _view(values, step.source)
                symbols[step.variable] = code(step, context)
                result: Vector = (context, exponent)
            else:
                result = self._compute(step, values, symbols, count, schedule.keep)
                values[step.target] = result
            if observe is not None:
                observe(index, step, result)
            for value in schedule.frees[index]:
                del values[value]
        return values

    def _compute(self, step: Computed, values: dict[int, Vector], symbols: IntArray, count: int, keep: bool) -> Vector:
        bits = self.circuit.state_bits
        match step:
            case Init():
                ones = np.full((step.units, count), 1 << (bits - 1), dtype=np.int64)
                return ones, np.full(count, 1 - bits, dtype=np.int64)
            case Leaf():
                leaf, scales = self._leaf(step.layer, step.revive, keep)
                own = symbols[step.variable]
                return leaf.take(own, axis=1, mode="wrap"), scales.take(own, mode="wrap")
            case Align(sources=(first, second)):
                return arithmetic.align(_view(values, first), _view(values, second), keep)
            case Multiply(sources=(first, second)):
                (a, exponent), (b, other) = _view(values, first), _view(values, second)
                a, b = _gather(a, step.gathers[0]), _gather(b, step.gathers[1])
                accumulated = tails.multiply(a, b) if keep else a * b
                exponent = exponent + other
            case ListSum():
                mantissa, exponent = _view(values, step.source)
                accumulated = arithmetic.mix_sparse(step.lists.indptr, step.lists.indices, None, mantissa)
            case Up() | Down():
                mantissa, exponent = _view(values, step.source)
                mix = partial(self._mix, step)
                accumulated = tails.mix(mix, mantissa, self._dropped.get(step.layer)) if keep else mix(mantissa)
                exponent = exponent - self.circuit.weight_bits
            case _:
                assert_never(step)
        return arithmetic.normalise(accumulated, exponent, bits, step.revive, keep)

    def _mix(self, step: Up | Down, mantissa: IntArray) -> IntArray:
        down = isinstance(step, Down)
        if step.layer in self._dense:
            weights = self._dense[step.layer]
            return arithmetic.mix_dense(weights.T if down else weights, mantissa)
        rows = self._sparse[step.layer][down]
        entries: IntArray = rows.values  # type: ignore[assignment]
        return arithmetic.mix_sparse(rows.indptr, rows.indices, entries, mantissa)


def _view(values: dict[int, Vector], source: Ref) -> Vector:
    mantissa, exponent = values[source.value]
    if source.units == len(mantissa):
        return mantissa, exponent
    return mantissa[source.offset : source.offset + source.units], exponent


def _gather(mantissa: IntArray, gather: Gather | None) -> IntArray:
    return mantissa if gather is None else mantissa[gather]


def _batches(records: IntArray, size: int) -> Iterator[IntArray]:
    """Split records into blocks of shape (variables, n)."""
    for start in range(0, len(records), max(size, 1)):
        yield np.ascontiguousarray(records[start : start + size].T)
