"""Rounding of probabilities to integers of a given sum."""

from __future__ import annotations

import numpy as np

from pcedge.arithmetic import IntArray
from pcedge.circuit.layers import FloatArray


def largest_remainder(rows: FloatArray, total: int) -> IntArray:
    """Round every row, scaled to sum to `total`, to integers that sum to it exactly.

    Each entry is rounded down, and what is left goes, one each, to the entries with the largest remainders; among
    equals the first. An entry of 0 stays 0, and an error is below 1.

    Args:
        rows: (rows, entries), non-negative, each with a positive sum.
        total: the integer that every row must sum to.

    Example:
        >>> largest_remainder(np.array([[0.5, 0.3, 0.2]]), 4).tolist()
        [[2, 1, 1]]
    """
    scaled = rows / rows.sum(axis=1, keepdims=True) * total
    # A quotient a hair above a whole number must not lift an entry beyond what the row has.
    whole = np.minimum(np.floor(scaled), total).astype(np.int64)
    remainder = np.where(rows > 0, scaled - whole, -1.0)
    left = total - whole.sum(axis=1)
    order = np.argsort(-remainder, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(rows.shape[1]), rows.shape), axis=1)
    rounded: IntArray = whole + (rank < left[:, None])
    return rounded
