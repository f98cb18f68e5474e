"""The range coder over lanes: bytes out of intervals, and symbols out of bytes (docs/stream.md, section Lane)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pcedge import arithmetic
from pcedge.arithmetic import Widths
from pcedge.arrays import IntArray
from pcedge.errors import StreamError


class RangeEncoder:
    r"""Encode intervals into one byte string a lane, all lanes at once.

    Digits leave with their carry as bit 8; the carries are added up when a lane is finished.

    Example:
        >>> widths = Widths(8, 12, 16, 24, 48, 1, cardinality=2, terms=1)
        >>> encoder = RangeEncoder(1, widths)
        >>> encoder.encode(np.array([0]), np.array([2**23]))
        >>> encoder.finish()
        [b'\x00']
    """

    def __init__(self, lanes: int, widths: Widths) -> None:
        """Start every lane with the whole range."""
        self._widths = widths
        self._low = np.zeros(lanes, dtype=np.int64)
        self._range = np.full(lanes, (1 << widths.range_bits) - 1, dtype=np.int64)
        self._digits = np.zeros((lanes, 64), dtype=np.uint16)
        self._counts = np.zeros(lanes, dtype=np.int64)

    def encode(self, start: IntArray, end: IntArray) -> None:
        """Encode one interval of 2^P in each of the first `len(start)` lanes; 0 <= start < end <= 2^P."""
        active = len(start)
        low, width = self._low[:active], self._range[:active]
        low[:], width[:] = arithmetic.range_narrow(low, width, start, end, self._widths)
        moves = arithmetic.range_bytes(width, self._widths)
        while True:
            rows = np.flatnonzero(moves)
            if not rows.size:
                return
            digit, low[rows], width[rows] = arithmetic.range_shift_out(low[rows], width[rows], self._widths)
            self._put(rows, digit)
            moves[rows] -= 1

    def finish(self) -> list[bytes]:
        """Flush one byte a lane and give the bytes of every lane."""
        lanes = len(self._low)
        self._put(np.arange(lanes), arithmetic.range_flush(self._low, self._widths))
        return [_add_carries(self._digits[lane, : self._counts[lane]]) for lane in range(lanes)]

    def _put(self, rows: IntArray, digit: IntArray) -> None:
        counts = self._counts[rows]
        if counts.max() >= self._digits.shape[1]:
            self._digits = np.concatenate([self._digits, np.zeros_like(self._digits)], axis=1)
        self._digits[rows, counts] = digit
        self._counts[rows] += 1


def _add_carries(digits: NDArray[np.uint16]) -> bytes:
    """Add every digit's bit 8 to the byte before it, as one addition of long integers: a carry may run far."""
    size = len(digits)
    total = int.from_bytes((digits & 255).astype(np.uint8).tobytes(), "big")
    total += int.from_bytes((digits >> 8).astype(np.uint8).tobytes(), "big") << 8
    return total.to_bytes(size, "big")


class RangeDecoder:
    """Decode symbols from one byte string a lane, all lanes at once; beyond its end a lane reads zeros."""

    def __init__(self, lanes: list[bytes], widths: Widths, *, strict: bool = True) -> None:
        """Read the first B / 8 bytes of every lane; `strict` refuses bytes that no encoder writes."""
        self._widths = widths
        self._strict = strict
        # One zero after all lanes stands for what each reads beyond its end: no lane is padded to the longest.
        self._bytes = np.frombuffer(b"".join(lanes) + b"\0", dtype=np.uint8)
        self._lengths = np.array([len(lane) for lane in lanes], dtype=np.int64)
        self._starts = np.cumsum(self._lengths) - self._lengths
        self._positions = np.zeros(len(lanes), dtype=np.int64)
        self._range = np.full(len(lanes), (1 << widths.range_bits) - 1, dtype=np.int64)
        self._offset = np.zeros(len(lanes), dtype=np.int64)
        for _ in range(widths.range_bits // 8):
            self._offset = (self._offset << 8) | self._next(np.arange(len(lanes)))

    def units(self, active: int) -> tuple[IntArray, IntArray]:
        """Give the value of one of 2^P parts, and the position within the range, for the first lanes.

        A symbol with lower end b lies at or below the position where `unit * b <= position`.
        """
        return self._range[:active] >> self._widths.scale_bits, self._offset[:active]

    def consume(self, start: IntArray, end: IntArray) -> None:
        """Take the interval that was found out of the first `len(start)` lanes.

        Raises:
            StreamError: the position is outside the interval: no encoder wrote these bytes.
        """
        active = len(start)
        offset, width = self._offset[:active], self._range[:active]
        # The decoder keeps value - low, so low stays zero and what is narrowed is the way to the interval's start.
        passed, width[:] = arithmetic.range_narrow(np.zeros_like(offset), width, start, end, self._widths)
        offset -= passed
        wrong = np.flatnonzero(offset >= width)
        if wrong.size and not self._strict:
            offset[wrong] = width[wrong] - 1
        elif wrong.size:
            raise StreamError(f"lane {wrong[0]} must stay inside the coded intervals, it leaves them: damaged payload")
        moves = arithmetic.range_bytes(width, self._widths)
        while True:
            rows = np.flatnonzero(moves)
            if not rows.size:
                return
            # The top byte of offset is zero here: offset < range, and range has lost its top byte.
            _, offset[rows], width[rows] = arithmetic.range_shift_out(offset[rows], width[rows], self._widths)
            offset[rows] |= self._next(rows)
            moves[rows] -= 1

    def check(self) -> None:
        """Check that no lane has read more bytes than its encoder wrote, so that a short lane ends the work early.

        Raises:
            StreamError: a lane is too short, and the decoder is strict.
        """
        if not self._strict:
            return
        needed = self._positions - self._widths.range_bits // 8 + 1
        wrong = np.flatnonzero(needed > self._lengths)
        if wrong.size:
            lane = wrong[0]
            raise StreamError(
                f"lane {lane} must have at least {needed[lane]} bytes for its records, got {self._lengths[lane]}"
            )

    def finish(self) -> None:
        """Check that every lane has the bytes that its encoder wrote: their number, and the least last one.

        Raises:
            StreamError: a lane is too short or too long, or its flush is another one, and the decoder is strict.
        """
        if not self._strict:
            return
        needed = self._positions - self._widths.range_bits // 8 + 1
        wrong = np.flatnonzero(needed != self._lengths)
        if wrong.size:
            lane = wrong[0]
            raise StreamError(f"lane {lane} must have {needed[lane]} bytes for its records, got {self._lengths[lane]}")
        # Seen from the flush, low is the negative offset: the byte that the encoder flushed is 0 or some below.
        excess = -arithmetic.range_flush(-self._offset, self._widths)
        wrong = np.flatnonzero(excess)
        if wrong.size:
            lane = wrong[0]
            raise StreamError(
                f"lane {lane} must end with the least byte inside its range, its last byte is {excess[lane]} above it"
            )

    def _next(self, rows: IntArray) -> IntArray:
        positions = self._positions[rows]
        indices = np.where(positions < self._lengths[rows], self._starts[rows] + positions, len(self._bytes) - 1)
        self._positions[rows] += 1
        return self._bytes[indices].astype(np.int64)
