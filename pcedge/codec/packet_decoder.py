"""The range decoder of packets, which tells what the bytes of a payload say (docs/packets.md)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pcedge import arithmetic
from pcedge.arithmetic import Widths
from pcedge.arrays import IntArray


class PacketDecoder:
    """Decode symbols from payloads, side by side, each as long as its bytes say what they are.

    Two rules say so (docs/packets.md): whatever bytes follow, they are the symbol's; or a symbol of any probability
    had room.
    """

    def __init__(self, payloads: list[bytes], widths: Widths, sure: NDArray[np.bool_], floor: int) -> None:
        """Read the first B / 8 bytes of every payload."""
        self.widths, self.sure, self.floor = widths, sure, floor
        self.ended = np.zeros(len(payloads), dtype=bool)
        self.active = ~self.ended
        size = len(payloads[0])
        lead = widths.range_bits // 8
        self._bytes = np.zeros((len(payloads), size + lead), dtype=np.uint8)
        self._bytes[:, :size] = np.frombuffer(b"".join(payloads), dtype=np.uint8).reshape(-1, size)
        self._size, self._positions = size, np.full(len(payloads), lead, dtype=np.int64)
        self._range = np.full(len(payloads), (1 << widths.range_bits) - 1, dtype=np.int64)
        weights = 1 << (8 * np.arange(lead, dtype=np.int64)[::-1])
        self._offset: IntArray = self._bytes[:, :lead].astype(np.int64) @ weights

    def units(self, active: int) -> tuple[IntArray, IntArray]:
        """Give the value of one of 2^P parts, and the position within the range, of all payloads."""
        return self._range >> self.widths.scale_bits, self._offset

    def consume(self, start: IntArray, end: IntArray, least: IntArray | None = None) -> None:
        """Take the intervals that were found out of the active payloads, where the bytes say that they are right.

        Args:
            start: of each payload.
            end: of each.
            least: what the interval of each might be at least; None is the floor.
        """
        unit = self._range >> self.widths.scale_bits
        # What the bytes that were read beyond the end leave open: any value of them.
        unread = np.maximum(self._positions - self._size, 0)
        open_ = (np.int64(1) << (8 * np.minimum(unread, 6))) - 1
        narrow = np.full(len(unit), self.floor) if least is None else least
        certain = np.where(self.sure, unit * narrow >> (8 * np.minimum(unread, 6)) >= 2,
                           self._offset + open_ < unit * end)  # fmt: skip
        self.ended |= self.active & ~certain
        rows = np.flatnonzero(self.active & ~self.ended)
        if not rows.size:
            return
        passed, width = arithmetic.range_narrow(
            np.zeros(len(rows), dtype=np.int64), self._range[rows], start[rows], end[rows], self.widths
        )
        offset = self._offset[rows] - passed
        # Bytes that no encoder wrote: what follows is not to be had.
        self.ended[rows[offset >= width]] = True
        offset = np.minimum(offset, width - 1)
        moves = arithmetic.range_bytes(width, self.widths)
        while moves.any():
            more = moves > 0
            _, offset[more], width[more] = arithmetic.range_shift_out(offset[more], width[more], self.widths)
            offset[more] |= self._bytes[rows[more], np.minimum(self._positions[rows[more]], self._bytes.shape[1] - 1)]
            self._positions[rows[more]] += 1
            moves = moves - more
        self._offset[rows], self._range[rows] = offset, width
