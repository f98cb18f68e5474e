"""What an engine does: the interface of everything that replays the program of a circuit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from pcedge.arithmetic import Vector
from pcedge.arrays import IntArray
from pcedge.circuit.inference import check_records
from pcedge.errors import UsageError
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program

#: told (records done, records in all)
Progress = Callable[[int, int], None]


class LaneCoder(Protocol):
    """Code the records of one circuit into lanes: all that a stream needs of an engine."""

    @property
    def circuit(self) -> IntegerCircuit:
        """Give the circuit."""

    @property
    def given(self) -> tuple[int, ...]:
        """Give the variables that encoder and decoder know before a record is coded, ascending."""

    def with_given(self, given: Sequence[int]) -> LaneCoder:
        """Give the engine that codes all variables but those; itself where they are its own.

        Raises:
            UsageError: one is no variable, or stands twice; or the engine codes every variable.
        """

    def encode_lanes(self, records: IntArray, lanes: int, progress: Progress | None = None) -> list[bytes]:
        """Encode records; record i goes to lane i mod `lanes`, as its next one.

        Args:
            records: int64 of shape (N, variables), without missing symbols.
            lanes: S, 1..N.
            progress: told as records are done.

        Returns:
            One byte string a lane, the same of every engine.
        """

    def decode_lanes(
        self, lanes: list[bytes], count: int, progress: Progress | None = None, known: IntArray | None = None
    ) -> IntArray:
        """Decode `count` records of shape (N, variables) from their lanes.

        Args:
            lanes: their bytes.
            count: N.
            progress: told as records are done.
            known: records of that shape with what is given; None where nothing is.

        Raises:
            StreamError: the bytes are not what an encoder of this circuit writes.
            UsageError: variables are given, and not known.
        """


class Engine(LaneCoder, Protocol):
    """Replay both schedules of one circuit; every engine gives the same integers."""

    def check(self, x: ArrayLike, *, allow_missing: bool) -> IntArray:
        """Check data against the circuit; give int64 records of shape (N, variables)."""

    def with_given(self, given: Sequence[int]) -> Engine:
        """Give the engine that codes all variables but those; itself where they are its own."""

    def decode_rounds(self, lanes: list[bytes], count: int, known: IntArray | None = None) -> Iterator[IntArray]:
        """Decode the next record of every lane at a time, fewer at the end.

        Raises:
            StreamError: the bytes are not what an encoder of this circuit writes.
        """

    @property
    def program(self) -> Program:
        """Give the program, which says what is given."""

    def likelihood(self, x: ArrayLike) -> Vector:
        """Compute the probability of every record as mantissa * 2**exponent, int64 of shape (N,); -1 is missing."""

    def intervals(self, x: ArrayLike) -> tuple[IntArray, IntArray]:
        """Compute the coding intervals [lo, hi) of every variable in coding order, int64 of shape (N, variables)."""

    def sample(self, count: int, seed: int = 0) -> IntArray:
        """Draw records from the circuit, int64 of shape (count, variables): what random bytes decode to."""


def known_symbols(program: Program, known: IntArray | None, count: int) -> IntArray:
    """Start `count` records of shape (N, variables) with the symbols that are given, and zeros.

    Args:
        program: whose variables are given.
        known: records of that shape, of which what is given is read; None where nothing is.
        count: N.

    Raises:
        UsageError: variables are given, and the records are not those.
        DataError: a symbol that is given is none of its variable.
    """
    circuit, given = program.circuit, list(program.given)
    records = np.zeros((count, len(circuit.order)), dtype=np.int64)
    if not given:
        return records
    named = ", ".join(map(str, given[:8])) + (", …" if len(given) > 8 else "")
    if known is None or np.shape(known) != records.shape:
        came = "none" if known is None else f"shape {np.shape(known)}"
        raise UsageError(f"records of shape {records.shape} must say what variables {named} are, got {came}")
    records[:, given] = known[:, given]
    return check_records(records, circuit.cardinalities, allow_missing=False)
