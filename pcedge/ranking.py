"""Integer likelihoods in order, and as shares of their sum (docs/queries.md, section Integers)."""

from __future__ import annotations

import numpy as np

from pcedge.arithmetic import EXACT_BITS, ZERO_EXPONENT
from pcedge.arrays import IntArray

#: shares are parts of 2^-16
SHARE_BITS = 16


def order(mantissa: IntArray, exponent: IntArray, state_bits: int) -> IntArray:
    """Give integers that are in the order of likelihoods, mantissa * 2**exponent; 0 is impossible.

    Args:
        mantissa: of the root, of any shape: 0, or with `state_bits` bits.
        exponent: of the root, of the same shape.
        state_bits: A.

    Example:
        >>> order(np.array([0, 128, 255, 128]), np.array([-(2**30), -9, -9, -8]), 8).argsort().tolist()
        [0, 1, 2, 3]
    """
    return np.where(mantissa == 0, 0, ((exponent - ZERO_EXPONENT) << state_bits) + mantissa)


def shares(mantissa: IntArray, exponent: IntArray) -> IntArray:
    """Share 2^16 among likelihoods, (choices, N), by the largest remainder; equals are served in their order.

    Returns:
        Shares, (choices, N), that sum to 2^16; all 0 where every likelihood is.

    Example:
        >>> shares(np.array([[128], [128], [128]]), np.array([[-8], [-8], [-9]])).ravel().tolist()
        [26215, 26214, 13107]
    """
    top = np.where(mantissa == 0, ZERO_EXPONENT, exponent).max(axis=0)
    aligned = (mantissa << SHARE_BITS) >> np.clip(top - exponent, 0, EXACT_BITS)
    total = np.maximum(aligned.sum(axis=0), 1)
    parts, rest = np.divmod(aligned << SHARE_BITS, total)
    left = np.where(aligned.any(axis=0), (1 << SHARE_BITS) - parts.sum(axis=0), 0)
    rank = np.empty_like(rest)
    np.put_along_axis(rank, np.argsort(-rest, axis=0, kind="stable"), np.arange(len(rest))[:, None], axis=0)
    return np.asarray(parts + (rank < left), dtype=np.int64)
