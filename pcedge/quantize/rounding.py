"""Rounding of probabilities to integers of a given sum (docs/arithmetic.md, section Weights)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import FloatArray, IntArray

#: how many bits a dropped entry's records pay more than with the least weight: on MNIST 4 to 12 measure alike
ZERO_BITS = 8.0

#: records that follow a row itself, added to its calibration counts: on MNIST, where a row sees few of some thousand
#: calibration images, fewer of them lose more
CALIBRATION_PRIOR = 1000.0

BoolArray = NDArray[np.bool_]


def largest_remainder(rows: FloatArray, total: int, *, keep: bool = False) -> IntArray:
    """Round every row, scaled to sum to `total`, to integers that sum to it exactly.

    Each entry is rounded down, and what is left goes, one each, to the entries with the largest remainders; among
    equals the first. An entry of 0 stays 0, and an error is below 1.

    With `keep` no positive entry becomes 0, where a row has at most `total` of them: those whose share is below 1
    get 1, and the others share the rest, again and again until each has at least 1.

    Args:
        rows: (rows, entries), non-negative, each with a positive sum.
        total: the integer that every row must sum to.
        keep: give every positive entry at least 1.

    Example:
        >>> largest_remainder(np.array([[0.5, 0.3, 0.2]]), 4).tolist()
        [[2, 1, 1]]
        >>> largest_remainder(np.array([[0.9, 0.08, 0.02]]), 4, keep=True).tolist()
        [[2, 1, 1]]
    """
    totals = np.full((len(rows), 1), total, dtype=np.int64)
    rounded = _largest_remainder(rows, totals)
    if not keep:
        return rounded
    positive = rows > 0
    vanished = ((rounded == 0) & positive).any(axis=1) & (positive.sum(axis=1) <= total)
    if vanished.any():
        small = _small(rows[vanished], total)
        rest = _largest_remainder(np.where(small, 0.0, rows[vanished]), total - small.sum(axis=1, keepdims=True))
        rounded[vanished] = small + rest
    return rounded


def least_code_length(
    rows: FloatArray, total: int, *, counts: FloatArray | None = None, keep: bool = False
) -> IntArray:
    """Round every row to integers that sum to `total` and give the shortest expected code.

    Minimised is the sum over a row's entries of count times code length, -log2(q / total) bits, where q = 0 costs
    ZERO_BITS more than q = 1: the records of a dropped entry find another way through the circuit, which costs more
    but not without limit. The sum is separable and convex, so that giving unit after unit to the entry that gains most
    ends at the least value. An entry of 0 stays 0, where its row has another.

    Args:
        rows: (rows, entries), non-negative, each with a positive sum.
        total: the integer that every row must sum to.
        counts: expected counts of calibration data, of the same shape, to which CALIBRATION_PRIOR records that follow
            the row are added; None takes the rows themselves, which EM made equal to the counts of all train data.
        keep: give every positive entry at least 1, where a row has at most `total` of them.

    Example:
        >>> least_code_length(np.array([[0.9, 0.07, 0.03]]), 16).tolist()
        [[14, 1, 1]]
        >>> largest_remainder(np.array([[0.9, 0.07, 0.03]]), 16).tolist()
        [[15, 1, 0]]
    """
    shares = rows / rows.sum(axis=1, keepdims=True)
    use = shares if counts is None else np.where(rows > 0, counts, 0.0) + CALIBRATION_PRIOR * shares
    use = use / use.sum(axis=1, keepdims=True)
    at_least_one = (
        (use > 0) & ((use > 0).sum(axis=1, keepdims=True) <= total) if keep else np.zeros(use.shape, dtype=bool)
    )
    rounded = _above(use, total, at_least_one)
    left = total - rounded.sum(axis=1)
    while left.any():
        order = np.argsort(-np.where(use > 0, use * _gain(rounded), -np.inf), axis=1, kind="stable")
        positive = (use > 0).sum(axis=1)
        given = np.arange(use.shape[1]) < np.minimum(left, positive)[:, None]
        more = np.zeros_like(rounded)
        np.put_along_axis(more, order, given.astype(np.int64), axis=1)
        rounded += more
        left -= given.sum(axis=1)
    return rounded


def _above(use: FloatArray, total: int, at_least_one: BoolArray) -> IntArray:
    """Take the units of every row that save most, hardly fewer than `total`, by bisection over what they must save."""
    # A unit of an entry with its exact share saves 1 / (total * ln 2) bits, whatever the share.
    middle = np.full((len(use), 1), -np.log2(total * np.log(2)))
    step, best = 4.0, at_least_one.astype(np.int64)
    for _ in range(20):
        units = _units(use, np.exp2(middle), at_least_one)
        fits = units.sum(axis=1, keepdims=True) <= total
        best = np.where(fits & (units.sum(axis=1) >= best.sum(axis=1))[:, None], units, best)
        middle += np.where(fits, -step, step)
        step /= 2
    return best


def _units(use: FloatArray, least: FloatArray, at_least_one: BoolArray) -> IntArray:
    """Count the units that save at least `least` bits each: unit q + 1 saves use * log2(1 + 1 / q)."""
    with np.errstate(divide="ignore", over="ignore"):
        more = np.floor(1 / np.expm1(np.log(2) * least / np.maximum(use, 1e-300)))
    return np.where(at_least_one | (use * ZERO_BITS >= least), 1 + np.minimum(more, 2.0**40), 0.0).astype(np.int64)


def _gain(values: IntArray) -> FloatArray:
    """Give the bits that one more unit saves an entry."""
    safe = np.maximum(values, 1)
    return np.where(values > 0, np.log2((safe + 1) / safe), ZERO_BITS)


def _small(rows: FloatArray, total: int) -> BoolArray:
    """Find the positive entries whose share is below 1, also of what such entries leave to the others."""
    small = np.zeros(rows.shape, dtype=bool)
    while True:
        free = np.where(small, 0.0, rows)
        sums = free.sum(axis=1, keepdims=True)
        share = free / np.where(sums > 0, sums, 1.0) * (total - small.sum(axis=1, keepdims=True))
        more = (free > 0) & (share < 1)
        if not more.any():
            return small
        small |= more


def _largest_remainder(rows: FloatArray, totals: IntArray) -> IntArray:
    """Round rows to sums of their own, (rows, 1); a row of zeros has the sum 0."""
    sums = rows.sum(axis=1, keepdims=True)
    scaled = rows / np.where(sums > 0, sums, 1.0) * totals
    # A quotient a hair above a whole number must not lift an entry beyond what the row has.
    quotient = np.minimum(np.floor(scaled), totals).astype(np.int64)
    remainder = np.where(rows > 0, scaled - quotient, -1.0)
    left = totals - quotient.sum(axis=1, keepdims=True)
    order = np.argsort(-remainder, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(rows.shape[1]), rows.shape), axis=1)
    rounded: IntArray = quotient + (rank < left)
    return rounded
