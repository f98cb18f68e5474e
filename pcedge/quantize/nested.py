"""Nested leaf tables: every table is a shift and scale of a master (docs/arithmetic.md, section Nested leaf tables)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.compress.nesting import LEAST_SYMBOLS, shapes_of
from pcedge.compress.sharing import cluster_tables
from pcedge.errors import UsageError
from pcedge.integer.nested import NestedTables, in_order
from pcedge.quantize.rounding import least_code_length


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
    entries = parts[in_order(leaves)[1]]
    used_masters = in_order(entries[:, :1])[0][:, 0]
    rank = np.zeros(len(cumulative), dtype=np.int64)
    rank[used_masters] = np.arange(len(used_masters))
    entries = np.concatenate([rank[entries[:, :1]], entries[:, 1:]], axis=1)
    return NestedTables(cumulative[used_masters], entries), leaves


def nested_groups(sizes: list[int]) -> Iterator[tuple[int, list[int]]]:
    """Give the numbers of symbols that can be nested, each with the places that have it."""
    for symbols in sorted(set(sizes)):
        if symbols >= LEAST_SYMBOLS:
            yield symbols, [index for index, size in enumerate(sizes) if size == symbols]
