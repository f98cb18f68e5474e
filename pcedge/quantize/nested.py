"""Nested leaf tables: every table is a shift and scale of a master (docs/arithmetic.md, section Nested leaf tables)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pcedge.arithmetic import IntArray, nested_tables
from pcedge.circuit.layers import FloatArray
from pcedge.compress.sharing import cluster_tables, nearest_tables
from pcedge.errors import CircuitError, UsageError
from pcedge.quantize.rounding import least_code_length

#: tables of fewer symbols than this have no shape between the first symbol and the last
LEAST_SYMBOLS = 4


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
        masters, parts, whole = self.masters, self.parts, 1 << leaf_bits
        where = f"nested tables of {self.symbols} symbols" if np.ndim(masters) == 2 else "nested tables"
        sound = all(
            isinstance(part, np.ndarray) and part.dtype == np.int64 and part.ndim == 2 for part in (masters, parts)
        )
        if not sound or parts.shape[1] != 3 or not len(masters) or not len(parts):
            raise CircuitError(f"{where} must be int64, with master, shift and scale each")
        if (masters[:, 0] != 0).any() or (masters[:, -1] != whole).any() or (np.diff(masters, axis=1) < 0).any():
            raise CircuitError(f"{where}: every master must rise from 0 to {whole} and never fall")
        number, shift, scale = parts.T
        if (number < 0).any() or (number >= len(masters)).any():
            raise CircuitError(f"{where}: masters must be in 0..{len(masters) - 1}, got {number.min()}..{number.max()}")
        wrong = np.flatnonzero((shift < 0) | (scale < 0) | (shift + scale > whole))
        if len(wrong):
            table, got = wrong[0], parts[wrong[0], 1:].tolist()
            raise CircuitError(
                f"{where}: shift and scale of table {table} must not be negative, their sum at most {whole}, got {got}"
            )
        return nested_tables(masters, number, shift, scale, leaf_bits)

    def check(self, leaves: IntArray, leaf_bits: int) -> None:
        """Demand that these are the nested tables of leaves, (units, V + 1) in the order of the layers.

        Raises:
            CircuitError: they are not, or not in their order.
        """
        found = self.tables(leaf_bits)
        if found.shape[1] != leaves.shape[1] or not np.array_equal(found, _in_order(leaves)[0]):
            raise CircuitError(
                f"nested tables of {self.symbols} symbols must be the circuit's different tables in their order"
            )
        if not np.array_equal(_in_order(self.parts[:, :1])[0][:, 0], np.arange(len(self.masters))):
            raise CircuitError(f"masters of {self.symbols} symbols must stand in the order in which tables name them")


def nest(tables: FloatArray, masters: int, leaf_bits: int, seed: int = 0) -> tuple[NestedTables, IntArray]:
    """Find masters for leaf tables, and round masters, shifts and scales for the shortest expected code.

    Args:
        tables: (units, V) of all leaves of one number of symbols, each row a distribution, V at least 4.
        masters: how many masters there may be.
        leaf_bits: L.
        seed: seed of the first masters.

    Returns:
        The nested tables, and the cumulative table of every unit, (units, V + 1).
    """
    if type(masters) is not int or masters < 1 or type(leaf_bits) is not int or not 8 <= leaf_bits <= 16:
        raise UsageError(
            f"nest must have masters of at least 1 and leaf_bits in 8..16, got {masters!r} and {leaf_bits!r}"
        )
    tables = np.asarray(tables, dtype=np.float64)
    if tables.ndim != 2 or not len(tables) or tables.shape[1] < LEAST_SYMBOLS:
        raise UsageError(f"nest must have tables of at least {LEAST_SYMBOLS} symbols, got shape {tables.shape}")
    if not ((tables >= 0).all() and np.allclose(tables.sum(axis=1), 1, atol=1e-3)):
        raise UsageError("nest must have tables that are distributions, got others")
    different, unit = np.unique(tables, axis=0, return_inverse=True)
    used = np.bincount(unit.reshape(-1)).astype(np.float64)
    shapes, inside = shapes_of(different)
    centres, number = cluster_tables(shapes, used * inside, masters, seed)
    shares = np.stack([different[:, 0], inside, different[:, -1]], axis=1)
    shift, scale, _ = least_code_length(shares, 1 << leaf_bits).T
    counts = least_code_length(centres, 1 << leaf_bits)
    # The first symbol and the last have no part in a master.
    cumulative = np.zeros((len(centres), tables.shape[1] + 1), dtype=np.int64)
    cumulative[:, 2:-1] = np.cumsum(counts, axis=1)
    cumulative[:, -1] = 1 << leaf_bits
    parts = np.stack([number, shift, scale], axis=1)[unit.reshape(-1)]
    leaves = NestedTables(cumulative, parts).tables(leaf_bits)
    kept = parts[_in_order(leaves)[1]]
    used_masters = _in_order(kept[:, :1])[0][:, 0]
    rank = np.zeros(len(cumulative), dtype=np.int64)
    rank[used_masters] = np.arange(len(used_masters))
    kept = np.concatenate([rank[kept[:, :1]], kept[:, 1:]], axis=1)
    return NestedTables(cumulative[used_masters], kept), leaves


def shapes_of(tables: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give the distributions between the first symbol and the last, (T, V − 2), and how much lies there."""
    inside = tables[:, 1:-1].sum(axis=1)
    even = np.full((1, tables.shape[1] - 2), 1 / (tables.shape[1] - 2))
    return np.where(inside[:, None] > 0, tables[:, 1:-1] / np.maximum(inside, 1e-300)[:, None], even), inside


def nested_again(tables: FloatArray, used: FloatArray, centres: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Bring tables that EM has moved back to masters: each takes its best, each master is the mean of its tables.

    Args:
        tables: (T, V).
        used: how often each is used, (T,).
        centres: the masters' shapes so far, (M, V − 2).

    Returns:
        The tables and the masters' shapes.
    """
    shapes, inside = shapes_of(tables)
    number = nearest_tables(shapes, centres)
    weights = np.zeros((len(centres), len(shapes)))
    weights[number, np.arange(len(shapes))] = used * inside
    totals = weights.sum(axis=1, keepdims=True)
    centres = np.where(totals > 0, weights @ shapes / np.where(totals > 0, totals, 1.0), centres)
    return np.concatenate([tables[:, :1], inside[:, None] * centres[number], tables[:, -1:]], axis=1), centres


def nested_groups(sizes: list[int]) -> Iterator[tuple[int, list[int]]]:
    """Give the numbers of symbols that can be nested, each with the places that have it."""
    for symbols in sorted(set(sizes)):
        if symbols >= LEAST_SYMBOLS:
            yield symbols, [place for place, size in enumerate(sizes) if size == symbols]


def _in_order(rows: IntArray) -> tuple[IntArray, IntArray]:
    """Give the different rows in the order of their coming, and where each came first."""
    first = np.sort(np.unique(rows, axis=0, return_index=True)[1])
    return rows[first], first
