"""The native engine: the integers of the reference, computed by a shared library (docs/native.md)."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.arithmetic import Vector
from pcedge.arrays import IntArray
from pcedge.circuit.inference import check_records
from pcedge.data.predictor import Predictor
from pcedge.engines.base import Progress, known_symbols
from pcedge.errors import StreamError, UsageError
from pcedge.integer.circuit import IntegerCircuit
from pcedge.native.library import Library, PceLanes, PceProgram, PceRecords, PceSchedule, library
from pcedge.native.stage import lay_out_stage
from pcedge.native.tables import Steps, lay_out
from pcedge.schedule.program import Program

#: of records, where nothing narrower is asked for
_SYMBOL = np.dtype(np.int64)


class NativeEngine:
    """Replay the schedules of one integer circuit, as `ReferenceEngine` does.

    Args:
        source: the circuit, or its program where that is at hand.
        isa: an instruction set of the library; the best one that the machine has if empty.
        threads: how many work at once.

    Raises:
        MissingToolError: there is no library.
    """

    def __init__(self, source: IntegerCircuit | Program, isa: str = "", threads: int = 1) -> None:
        """Lay out the program."""
        self.program = Program.of(source)
        self.circuit = self.program.circuit
        self.threads, self._isa = threads, isa
        self.library: Library = library(isa)
        self.tables = lay_out(self.program)
        self._native = self._lay_out()

    @property
    def given(self) -> tuple[int, ...]:
        """Give the variables that encoder and decoder know before a record is coded."""
        return self.program.given

    def with_given(self, given: Sequence[int]) -> NativeEngine:
        """Give the engine that codes all variables but those; see `LaneCoder.with_given`."""
        program = self.program.with_given(given)
        return self if program is self.program else NativeEngine(program, self._isa, self.threads)

    def _lay_out(self) -> PceProgram:
        circuit, tables = self.circuit, self.tables
        return PceProgram(
            circuit.weight_bits, circuit.leaf_bits, circuit.state_bits, circuit.scale_bits, circuit.range_bits,
            circuit.floor, len(circuit.order), tables.units, _schedule(tables.likelihood, 0),
            _schedule(tables.code, len(self.program.given)),
            *(array.ctypes.data for array in (tables.weights, tables.tables, tables.lists, tables.pairs, tables.sums)),
        )  # fmt: skip

    def check(self, x: ArrayLike, *, allow_missing: bool) -> IntArray:
        """Check data against the circuit; give int64 records of shape (N, variables)."""
        return check_records(x, self.circuit.cardinalities, allow_missing=allow_missing)

    def likelihood(self, x: ArrayLike) -> Vector:
        """Compute the probability of every record, as `ReferenceEngine.likelihood` does."""
        return self._both(self.library.engine.likelihood, self.check(x, allow_missing=True), ())

    def intervals(self, x: ArrayLike) -> tuple[IntArray, IntArray]:
        """Compute the coding intervals of every variable, as `ReferenceEngine.intervals` does."""
        records = self.check(x, allow_missing=True)
        return self._both(self.library.engine.intervals, records, (len(self.circuit.order),))

    def _both(self, function: Callable[..., int], records: IntArray, tail: tuple[int, ...]) -> Vector:
        records = np.ascontiguousarray(records)
        first, second = (np.zeros((len(records), *tail), dtype=np.int64) for _ in range(2))

        def work(begin: int, end: int) -> None:
            own = slice(begin, end)
            self._call(function, _records(records[own]), first[own].ctypes.data, second[own].ctypes.data)

        self._shares(work, len(records))
        return first, second

    def encode_lanes(self, records: IntArray, lanes: int, progress: Progress | None = None) -> list[bytes]:
        """Encode records, integers of any type; record i goes to lane i mod `lanes`, as its next one."""
        # It has a name, for the structure points at its memory.
        records = np.ascontiguousarray(records, dtype=records.dtype.newbyteorder("="))
        given = _records(records)

        def work(begin: int, end: int) -> list[bytes]:
            ends = np.zeros(end - begin, dtype=np.int64)
            out = PceLanes(None, ends.ctypes.data)
            self._call(self.library.engine.encode, given, lanes, begin, end, ctypes.byref(out))
            return self._taken(out, ends)

        coded = [lane for part in self._shares(work, lanes) for lane in part]
        if progress:
            progress(len(records), len(records))
        return coded

    def decode_lanes(
        self, lanes: list[bytes], count: int, progress: Progress | None = None, known: IntArray | None = None,
        narrow: bool = False,
    ) -> IntArray:  # fmt: skip
        """Decode `count` records of shape (N, variables) from their lanes; `known` are records with what is given.

        They are int64; where `narrow` and nothing is given, unsigned and of the least size that holds every symbol.

        Raises:
            StreamError: the bytes are not what an encoder of this circuit writes.
        """
        dtype = np.min_scalar_type(max(self.circuit.cardinalities) - 1) if narrow else _SYMBOL
        records = self._decode(lanes, count, strict=1, known=known, dtype=dtype)
        if progress:
            progress(count, count)
        return records

    def decode_rounds(self, lanes: list[bytes], count: int, known: IntArray | None = None) -> Iterator[IntArray]:
        """Decode the next record of every lane at a time; all are decoded when the first is asked for."""
        records = self._decode(lanes, count, strict=1, known=known)
        for first in range(0, count, max(len(lanes), 1)):
            yield records[first : first + len(lanes)]

    def decode_first(self, lanes: list[bytes], count: int, known: IntArray | None = None) -> IntArray:
        """Decode the first `count` records of lanes that may have more; they are checked as far as they are decoded.

        Raises:
            StreamError: the bytes are not what an encoder of this circuit writes.
        """
        return self._decode(lanes, count, strict=2, known=known)

    def _decode(
        self, lanes: list[bytes], count: int, *, strict: int, known: IntArray | None = None,
        dtype: np.dtype[Any] = _SYMBOL,
    ) -> IntArray:  # fmt: skip
        records = known_symbols(self.program, known, count) if self.given else self._zeros(count, dtype)
        ends = np.cumsum([len(lane) for lane in lanes], dtype=np.int64)
        data = b"".join(lanes)
        out = _records(records)

        def work(begin: int, end: int) -> None:
            fault = np.zeros(2, dtype=np.int64)
            status = self.library.engine.decode(
                ctypes.byref(self._native), data, ends.ctypes.data, len(lanes), begin, end, strict,
                ctypes.byref(out), fault.ctypes.data,
            )  # fmt: skip
            _raise(status, fault, lanes)

        self._shares(work, len(lanes))
        return records

    def _zeros(self, count: int, dtype: np.dtype[Any]) -> IntArray:
        return np.zeros((count, len(self.circuit.order)), dtype=dtype)

    def encode_rows(
        self, numbers: IntArray, missing: NDArray[np.bool_] | None, rows: IntArray, bounds: IntArray
    ) -> tuple[list[bytes], list[bytes]]:
        """Encode lanes of numbers with a predictor stage; give the bytes of their tokens, and of their raw bits.

        Args:
            numbers: centred, (rows, columns), lane after lane.
            missing: which are missing; None where none is.
            rows: of every lane.
            bounds: ends of the tokens' intervals, (classes, tokens + 1).
        """
        stage = lay_out_stage(self._predictor, int(rows.max()), bounds)
        numbers, rows = np.ascontiguousarray(numbers), np.ascontiguousarray(rows, dtype=np.int64)
        gone = None if missing is None else np.ascontiguousarray(missing).view(np.uint8)

        def work(begin: int, end: int) -> tuple[list[bytes], list[bytes]]:
            ends = np.zeros((2, end - begin), dtype=np.int64)
            outs = [PceLanes(None, column.ctypes.data) for column in ends]
            _raise(
                self.library.engine.encode_rows(
                    ctypes.byref(self._native), ctypes.byref(stage.native), numbers.ctypes.data,
                    None if gone is None else gone.ctypes.data, rows.ctypes.data, begin, end,
                    *map(ctypes.byref, outs),
                ),
                ends[0], [],
            )  # fmt: skip
            return self._taken(outs[0], ends[0]), self._taken(outs[1], ends[1])

        parts = self._shares(work, len(rows), 1)
        return [lane for part in parts for lane in part[0]], [lane for part in parts for lane in part[1]]

    def decode_rows(
        self, coded: list[bytes], raw: list[bytes], rows: IntArray, bounds: IntArray
    ) -> tuple[IntArray, NDArray[np.bool_]] | None:
        """Decode lanes of numbers with a predictor stage: the numbers, and which are missing.

        Returns:
            None where the bytes are not what an encoder writes; the reference says in what.
        """
        predictor = self._predictor
        stage = lay_out_stage(predictor, int(rows.max(initial=0)), bounds)
        rows = np.ascontiguousarray(rows, dtype=np.int64)
        numbers = np.zeros((int(rows.sum()), predictor.columns), dtype=np.int64)
        missing = np.zeros(numbers.shape, dtype=bool)
        ends = [np.cumsum([len(lane) for lane in lanes], dtype=np.int64) for lanes in (coded, raw)]
        data = [b"".join(lanes) for lanes in (coded, raw)]

        def work(begin: int, end: int) -> int:
            status: int = self.library.engine.decode_rows(
                ctypes.byref(self._native), ctypes.byref(stage.native), data[0], ends[0].ctypes.data, data[1],
                ends[1].ctypes.data, rows.ctypes.data, begin, end, numbers.ctypes.data, missing.ctypes.data,
            )  # fmt: skip
            return status

        found = self._shares(work, len(rows), 1)
        if 1 in found:
            _raise(1, rows, [])
        return None if any(found) else (numbers, missing)

    def unpack(self, payloads: bytes, size: int, places: IntArray, rules: IntArray, out: IntArray) -> None:
        """Decode packets side by side; write the symbols that they hold (docs/packets.md).

        Args:
            payloads: one after the other, each of `size` bytes.
            size: of a payload.
            places: where each packet begins among all symbols.
            rules: 0 or 1, of each.
            out: records, int64 of shape (N, variables).
        """
        places, rules = places.astype(np.int64), rules.astype(np.uint8)
        records = _records(out)

        def work(begin: int, end: int) -> None:
            status = self.library.engine.unpack(
                ctypes.byref(self._native), payloads, size, places.ctypes.data, rules.ctypes.data, begin, end,
                ctypes.byref(records),
            )  # fmt: skip
            _raise(status, np.zeros(2, dtype=np.int64), [])

        self._shares(work, len(places))

    def pack_rows(
        self, numbers: IntArray, missing: NDArray[np.bool_] | None, first: int, size: int, packets: int, most: int,
        bounds: IntArray,
    ) -> list[tuple[int, bool, bytes]]:  # fmt: skip
        """Fill the next packets of a predictor stage: how many numbers each holds, its rule, and its payload.

        Args:
            numbers: all, centred, (rows, columns).
            missing: which are missing; None where none is.
            first: the number with which the first packet begins.
            size: bytes of a payload.
            packets: how many are filled, if there are numbers for them.
            most: numbers of a packet.
            bounds: ends of the tokens' intervals, (classes, tokens + 1).
        """
        stage = lay_out_stage(self._predictor, self._packet_rows(numbers, most), bounds)
        numbers = np.ascontiguousarray(numbers)
        gone = None if missing is None else np.ascontiguousarray(missing).view(np.uint8)
        payloads = np.zeros((packets, size), dtype=np.uint8)
        held, rules = np.zeros(packets, dtype=np.int64), np.zeros(packets, dtype=np.uint8)
        status = self.library.engine.pack_rows(
            ctypes.byref(self._native), ctypes.byref(stage.native), numbers.ctypes.data,
            None if gone is None else gone.ctypes.data, numbers.size, first, most, size, packets,
            payloads.ctypes.data, held.ctypes.data, rules.ctypes.data,
        )  # fmt: skip
        _raise(status, held, [])
        return [
            (count, bool(rule), row.tobytes())
            for count, rule, row in zip(held.tolist(), rules.tolist(), payloads, strict=True)
            if count
        ]

    def unpack_rows(
        self, payloads: bytes, size: int, places: IntArray, rules: IntArray, most: int, bounds: IntArray,
        out: tuple[IntArray, NDArray[np.bool_], NDArray[np.bool_]],
    ) -> None:  # fmt: skip
        """Decode packets of a predictor stage; write the numbers that they hold (docs/packets.md).

        Args:
            payloads: one after the other, each of `size` bytes.
            size: of a payload.
            places: with which number each packet begins.
            rules: 0 or 1, of each.
            most: numbers of a packet.
            bounds: ends of the tokens' intervals, (classes, tokens + 1).
            out: numbers, centred, which of them are missing, and which came, (rows, columns) each.
        """
        stage = lay_out_stage(self._predictor, self._packet_rows(out[0], most), bounds)
        places, rules = places.astype(np.int64), rules.astype(np.uint8)

        def work(begin: int, end: int) -> None:
            status = self.library.engine.unpack_rows(
                ctypes.byref(self._native), ctypes.byref(stage.native), payloads, size, places.ctypes.data,
                rules.ctypes.data, begin, end, out[0].size, most, *(array.ctypes.data for array in out),
            )  # fmt: skip
            _raise(status, places, [])

        self._shares(work, len(places), 1)

    def _packet_rows(self, numbers: IntArray, most: int) -> int:
        """Give the rows in which a packet's numbers may lie."""
        return min(len(numbers), most // self._predictor.columns + 2)

    @property
    def _predictor(self) -> Predictor:
        stage = self.circuit.symbolizer
        assert isinstance(stage, Predictor)
        return stage

    def _taken(self, out: PceLanes, ends: IntArray) -> list[bytes]:
        """Take the lanes out of memory of the library, and free it."""
        try:
            data = ctypes.string_at(out.data, int(ends[-1])) if out.data else b""
        finally:
            self.library.free(out.data)
        return [data[start:stop] for start, stop in itertools.pairwise([0, *ends.tolist()])]

    def sample(self, count: int, seed: int = 0, known: IntArray | None = None) -> IntArray:
        """Draw records from the circuit, as `ReferenceEngine.sample` does."""
        if count < 0:
            raise UsageError(f"the number of records must be at least 0, got {count}")
        widths = self.circuit.widths
        size = len(self.circuit.order) * (widths.scale_bits // 8) + widths.range_bits // 8
        data = np.random.default_rng(seed).integers(0, 256, (count, size), dtype=np.uint8)
        return self._decode([row.tobytes() for row in data], count, strict=0, known=known)

    def _shares(self, work: Callable[[int, int], Any], lanes: int, block: int = 64) -> list[Any]:
        """Share lanes or records out to threads, in whole blocks."""
        parts = max(1, min(self.threads, lanes // block))
        ends = [lanes * part // parts // block * block if part < parts else lanes for part in range(parts + 1)]
        pairs = list(itertools.pairwise(ends))
        if parts == 1:
            return [work(*pair) for pair in pairs if pair[0] < pair[1]]
        with ThreadPoolExecutor(parts) as pool:
            return list(pool.map(lambda pair: work(*pair), pairs))

    def _call(self, function: Callable[..., int], records: PceRecords, *rest: object) -> None:
        _raise(function(ctypes.byref(self._native), ctypes.byref(records), *rest), np.zeros(2, dtype=np.int64), [])


def _schedule(steps: Steps, given: int) -> PceSchedule:
    return PceSchedule(
        steps.rows.ctypes.data, len(steps.rows), int(steps.keep), steps.result, steps.result_slot, steps.words,
        steps.slots, int(steps.scales), given,
    )  # fmt: skip


def _records(records: NDArray[Any]) -> PceRecords:
    return PceRecords(records.ctypes.data, len(records), records.itemsize, 0)


def _raise(status: int, fault: IntArray, lanes: list[bytes]) -> None:
    """Raise the error that a status of the library stands for."""
    if status == 0:
        return
    if status == 1:
        raise MemoryError("the native engine must have memory for its tables and lanes")
    lane, needed = fault.tolist()
    size = len(lanes[lane])
    if status == 2:
        raise StreamError(f"lane {lane} must stay inside the coded intervals, it leaves them: damaged payload")
    if status == 3:
        raise StreamError(f"lane {lane} must have at least {needed} bytes for its records, got {size}")
    if status == 4:
        raise StreamError(f"lane {lane} must have {needed} bytes for its records, got {size}")
    raise StreamError(f"lane {lane} must end with the least byte inside its range, its last byte is {needed} above it")
