"""Nested leaf tables as a circuit holds them (docs/arithmetic.md, section Nested leaf tables)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcedge.arithmetic import nested_tables
from pcedge.arrays import IntArray
from pcedge.errors import CircuitError


@dataclass(frozen=True, eq=False)
class NestedTables:
    """Say how the different leaf tables of one number of symbols come from masters.

    The tables stand in the order in which a circuit's layers and their units first have them, the masters in the order
    in which the tables first name them; each is there once.
    """

    #: cumulative master tables, (M, V + 1)
    masters: IntArray
    #: for each table its master, shift and scale, (T, 3)
    parts: IntArray

    @property
    def symbols(self) -> int:
        """Give V."""
        return int(self.masters.shape[1]) - 1

    def tables(self, leaf_bits: int) -> IntArray:
        """Give the cumulative tables, (T, V + 1).

        Raises:
            CircuitError: the numbers do not make tables.
        """
        masters, parts, total = self.masters, self.parts, 1 << leaf_bits
        where = f"nested tables of {self.symbols} symbols" if np.ndim(masters) == 2 else "nested tables"
        sound = all(
            isinstance(array, np.ndarray) and array.dtype == np.int64 and array.ndim == 2 for array in (masters, parts)
        )
        if not sound or parts.shape[1] != 3 or not len(masters) or not len(parts):
            raise CircuitError(f"{where} must be int64, with master, shift and scale each")
        if (masters[:, 0] != 0).any() or (masters[:, -1] != total).any() or (np.diff(masters, axis=1) < 0).any():
            raise CircuitError(f"{where}: every master must rise from 0 to {total} and never fall")
        number, shift, scale = parts.T
        if (number < 0).any() or (number >= len(masters)).any():
            raise CircuitError(f"{where}: masters must be in 0..{len(masters) - 1}, got {number.min()}..{number.max()}")
        wrong = np.flatnonzero((shift < 0) | (scale < 0) | (shift + scale > total))
        if len(wrong):
            table, got = wrong[0], parts[wrong[0], 1:].tolist()
            raise CircuitError(
                f"{where}: shift and scale of table {table} must not be negative, their sum at most {total}, got {got}"
            )
        return nested_tables(masters, number, shift, scale, leaf_bits)

    def check(self, leaves: IntArray, leaf_bits: int) -> None:
        """Demand that these are the nested tables of leaves, (units, V + 1) in the order of the layers.

        Raises:
            CircuitError: they are not, or not in their order.
        """
        tables = self.tables(leaf_bits)
        if tables.shape[1] != leaves.shape[1] or not np.array_equal(tables, in_order(leaves)[0]):
            raise CircuitError(
                f"nested tables of {self.symbols} symbols must be the circuit's different tables in their order"
            )
        if not np.array_equal(in_order(self.parts[:, :1])[0][:, 0], np.arange(len(self.masters))):
            raise CircuitError(f"masters of {self.symbols} symbols must stand in the order in which tables name them")


def in_order(rows: IntArray) -> tuple[IntArray, IntArray]:
    """Give the different rows in the order of their coming, and where each came first."""
    first = np.sort(np.unique(rows, axis=0, return_index=True)[1])
    return rows[first], first
