"""Row tables: sums whose rows are turned rows of one table (docs/arithmetic.md, section Row tables)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray
from pcedge.errors import CircuitError

#: a row of one entry is certain, and needs no table
LEAST_LENGTH = 2


@dataclass(frozen=True, eq=False)
class RowTable:
    """Hold the rows of one length, and for every row of some sums which of them it is, and how far it is turned.

    Entry j of a sum's row is entry (j + turn) mod n of its row in the table. No two rows of the table are turns of each
    other. They stand in the order in which sums first have them, as the first has them, and turns are the least that
    there are: so the same rows of sums have one table.
    """

    #: (R, n)
    rows: NDArray[Any]
    #: row of the table and turn of each row of the sums, one sum behind the other
    numbers: IntArray
    turns: IntArray

    @property
    def length(self) -> int:
        """Give n."""
        return int(self.rows.shape[1])

    @property
    def turn_bits(self) -> int:
        """Give the bits of a turn, 0..n − 1."""
        return (self.length - 1).bit_length()

    @property
    def number_bits(self) -> int:
        """Give the bits of a number, 0..R − 1."""
        return (len(self.rows) - 1).bit_length()

    @staticmethod
    def of(rows: NDArray[Any]) -> RowTable:
        """Find the table of some rows, (units, n).

        Example:
            >>> table = RowTable.of(np.array([[4, 3, 1], [1, 4, 3], [2, 3, 3]]))
            >>> table.rows.tolist(), table.numbers.tolist(), table.turns.tolist()
            ([[4, 3, 1], [2, 3, 3]], [0, 0, 1], [0, 2, 0])
        """
        alike = _least_turns(rows)
        _, first, same = np.unique(alike, axis=0, return_index=True, return_inverse=True)
        rank = np.argsort(np.argsort(first))
        numbers = rank[same.reshape(-1)]
        table = rows[np.sort(first)]
        turns = np.full(len(rows), -1, dtype=np.int64)
        for turn in range(rows.shape[1]):
            fits = (turns < 0) & (turned(table[numbers], turn) == rows).all(axis=1)
            turns[fits] = turn
        return RowTable(table, numbers.astype(np.int64), turns)

    def expanded(self) -> NDArray[Any]:
        """Give the rows of the sums, (units, n)."""
        return expand(self.rows, self.numbers, self.turns)


def turned(rows: NDArray[Any], turn: int) -> NDArray[Any]:
    """Turn rows: entry j of the result is entry (j + turn) mod n."""
    return np.roll(rows, -turn, axis=1)


def expand(rows: NDArray[Any], numbers: IntArray, turns: IntArray) -> NDArray[Any]:
    """Give turned rows of a table, (…, n), for numbers and turns of any shape.

    Raises:
        CircuitError: a number names no row, or a turn is none.
    """
    count, length = rows.shape
    where = f"rows of length {length}"
    if numbers.shape != turns.shape:
        raise CircuitError(f"{where}: every number must have a turn, got {numbers.shape} and {turns.shape}")
    for name, values, limit in (("numbers", numbers, count), ("turns", turns, length)):
        if values.size and not 0 <= values.min() <= values.max() < limit:
            raise CircuitError(f"{where}: {name} must be in 0..{limit - 1}, got {values.min()}..{values.max()}")
    places = (np.arange(length) + turns[..., None]) % length
    found: NDArray[Any] = rows[numbers[..., None], places]
    return found


def check_lengths(lengths: tuple[int, ...], columns: Sequence[int]) -> None:
    """Demand that these are lengths that rows of a circuit's dense sums have, given the columns of these.

    Raises:
        CircuitError: they are not.
    """
    whole = type(lengths) is tuple and all(type(length) is int for length in lengths)
    there = {length for length in columns if length >= LEAST_LENGTH}
    if not whole or list(lengths) != sorted(set(lengths)) or not set(lengths) <= there:
        raise CircuitError(
            f"lengths of a row table must be columns of the circuit's dense sums, {LEAST_LENGTH} or more, ascending, "
            f"got {str(lengths)[:80]}"
        )


def _least_turns(rows: NDArray[Any]) -> NDArray[Any]:
    """Give of every row the turn that comes first in the order of words."""
    least = rows.copy()
    for turn in range(1, rows.shape[1]):
        other = turned(rows, turn)
        differs = other != least
        at = differs.argmax(axis=1)[:, None]
        smaller = np.take_along_axis(other, at, axis=1) < np.take_along_axis(least, at, axis=1)
        least = np.where(smaller, other, least)
    return least
