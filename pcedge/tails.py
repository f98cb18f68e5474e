"""Likelihoods with tails (docs/arithmetic.md, section Tails): what is possible in them stays possible.

A mantissa of 1, and an accumulated entry of 1, only says that an entry is possible: it weighs nothing beside others.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray

#: t: bits below a leaf's counts, where it has tails: a count of 0 of symbol x is 2^-e(x) of a count of 1, e(x) in 0..t
TAIL_BITS = 15

#: a weight of 0 of a sum with tails is 2^-d of a weight of 1
WEIGHT_TAIL_BITS = 4


def tailed(counts: IntArray, tails: IntArray) -> IntArray:
    """Give the entries of a leaf with tails, whose exponent is -L - t; `tails` are e(x) of the counts' symbols."""
    entries: IntArray = np.maximum(counts << TAIL_BITS, (1 << TAIL_BITS) >> tails)
    return entries


def live(mantissa: IntArray) -> IntArray:
    """Give what mantissas weigh."""
    values: IntArray = mantissa - (mantissa == 1)
    return values


def with_possible(accumulated: IntArray, possible: NDArray[np.bool_]) -> IntArray:
    """Make entries that are zero, and possible, 1."""
    return np.maximum(accumulated, possible)


def kept(shifted: IntArray, whole: IntArray) -> IntArray:
    """Keep the entries that a shift made zero possible."""
    return np.maximum(shifted, np.minimum(whole, 1))


def multiply(first: IntArray, second: IntArray) -> IntArray:
    """Multiply mantissas; a product without a value that is possible is 1."""
    return with_possible(live(first) * live(second), (first > 0) & (second > 0))


def mix(weigh: Callable[[IntArray], IntArray], mantissa: IntArray, dropped: NDArray[np.float64] | None) -> IntArray:
    """Mix mantissas, (columns, N); a target without a value that is possible is 1.

    Args:
        weigh: multiplies the weights with a vector, exactly.
        mantissa: the vector.
        dropped: of a sum with tails which weights are 0, (rows, columns); None where a weight of 0 counts nothing.
    """
    values = live(mantissa)
    accumulated = weigh(values)
    if dropped is not None and dropped.any():
        accumulated = accumulated + (dropped @ (values >> WEIGHT_TAIL_BITS)).astype(np.int64)
    dead = (accumulated == 0).any(axis=0)
    if dead.any():
        some = (mantissa[:, dead] > 0).astype(np.int64)
        ways = weigh(some) if dropped is None else some.max(axis=0)
        accumulated[:, dead] = with_possible(accumulated[:, dead], ways > 0)
    return accumulated
