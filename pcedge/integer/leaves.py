"""LEAF of every symbol (docs/arithmetic.md): what a table of counts becomes is known before there are records."""

from __future__ import annotations

import numpy as np

from pcedge import arithmetic, tails
from pcedge.arithmetic import Vector
from pcedge.arrays import IntArray
from pcedge.integer.circuit import IntegerInput


def leaf_vectors(layer: IntegerInput, leaf_bits: int, state_bits: int, *, revive: bool, keep: bool) -> Vector:
    """Compute the vector that LEAF leaves of every symbol, and of a missing one.

    Args:
        layer: the input layer.
        leaf_bits: L.
        state_bits: A.
        revive: what becomes of a symbol that no unit has.
        keep: whether the likelihood has tails.

    Returns:
        Mantissas (units, symbols + 1) and exponents (symbols + 1,); the last is of a missing symbol.
    """
    counts, exponent = leaf_entries(layer, leaf_bits, keep=keep)
    return arithmetic.normalise(counts, np.full(counts.shape[1], exponent, dtype=np.int64), state_bits, revive, keep)


def leaf_entries(layer: IntegerInput, leaf_bits: int, *, keep: bool) -> tuple[IntArray, int]:
    """Give what LEAF accumulates of every symbol, and of a missing one in the last column, and its exponent.

    Returns:
        Entries (units, symbols + 1), and the exponent of all of them.
    """
    missing = layer.cumulative[:, -1:]
    counts = np.concatenate([np.diff(layer.cumulative, axis=1), missing], axis=1)
    if keep and layer.tails is not None:
        return tails.tailed(counts, np.append(layer.tails, 0)), -leaf_bits - tails.TAIL_BITS
    return counts, -leaf_bits
