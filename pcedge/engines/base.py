"""What an engine does: the interface of everything that replays the program of a circuit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from numpy.typing import ArrayLike

from pcedge.arithmetic import Vector
from pcedge.arrays import IntArray
from pcedge.integer.circuit import IntegerCircuit

#: told (records done, records in all)
Progress = Callable[[int, int], None]


class LaneCoder(Protocol):
    """Code the records of one circuit into lanes: all that a stream needs of an engine."""

    @property
    def circuit(self) -> IntegerCircuit:
        """Give the circuit."""

    def encode_lanes(self, records: IntArray, lanes: int, progress: Progress | None = None) -> list[bytes]:
        """Encode records; record i goes to lane i mod `lanes`, as its next one.

        Args:
            records: int64 of shape (N, variables), without missing symbols.
            lanes: S, 1..N.
            progress: told as records are done.

        Returns:
            One byte string a lane, the same of every engine.
        """

    def decode_lanes(self, lanes: list[bytes], count: int, progress: Progress | None = None) -> IntArray:
        """Decode `count` records of shape (N, variables) from their lanes.

        Raises:
            StreamError: the bytes are not what an encoder of this circuit writes.
        """


class Engine(LaneCoder, Protocol):
    """Replay both schedules of one circuit; every engine gives the same integers."""

    def check(self, x: ArrayLike, *, allow_missing: bool) -> IntArray:
        """Check data against the circuit; give int64 records of shape (N, variables)."""

    def decode_rounds(self, lanes: list[bytes], count: int) -> Iterator[IntArray]:
        """Decode the next record of every lane at a time, fewer at the end.

        Raises:
            StreamError: the bytes are not what an encoder of this circuit writes.
        """

    def likelihood(self, x: ArrayLike) -> Vector:
        """Compute the probability of every record as mantissa * 2**exponent, int64 of shape (N,); -1 is missing."""

    def intervals(self, x: ArrayLike) -> tuple[IntArray, IntArray]:
        """Compute the coding intervals [lo, hi) of every variable in coding order, int64 of shape (N, variables)."""

    def sample(self, count: int, seed: int = 0) -> IntArray:
        """Draw records from the circuit, int64 of shape (count, variables): what random bytes decode to."""
