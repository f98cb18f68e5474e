"""Residuals by size, and those that stand out: steps of a clock, say, which take few values far from 0."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from pcedge.arrays import FloatArray, IntArray, unmasked

#: residuals that are listed at most, how often one must have been seen, and how much more often than those around it
MOST, SEEN, OFTEN = 128, 16, 3

#: residuals that a shift is weighed by, and steps on either side that have tokens of their own
WEIGHED, EXACT = 1 << 13, 64

#: columns that are looked at one by one; of more, all together
COLUMNS = 64


def log_tokens(residuals: IntArray, listed: Sequence[int] = ()) -> tuple[IntArray, IntArray]:
    """Group residuals by size: exact below 8, then four groups for each power of two; give the bits left within.

    Listed ones are groups of their own.
    """
    size = np.abs(residuals).astype(np.uint64)
    bits = np.maximum(np.frexp(np.maximum(size, 1).astype(np.float64))[1].astype(np.int64) - 1, 0)
    extra = np.maximum(bits - 2, 0)
    level = np.where(
        size >= 8,
        8 + (bits - 3) * 4 + ((size >> extra.astype(np.uint64)) & np.uint64(3)).astype(np.int64),
        size.astype(np.int64),
    )
    tokens, extra = 2 * level - (residuals > 0), np.where(size >= 8, extra, 0)
    if not listed:
        return tokens, extra
    own = np.array(listed, dtype=np.int64)
    place = np.minimum(np.searchsorted(own, residuals), len(own) - 1)
    hit = own[place] == residuals
    # Two tokens for each of the 8 + 4 * 61 levels.
    return np.where(hit, 2 * (8 + 4 * 61) + place, tokens), np.where(hit, 0, extra)


#: both ends of what is around a value, and how they are searched
_SIDES: tuple[tuple[int, Literal["left", "right"]], ...] = ((-1, "left"), (1, "right"))


def peaks(residuals: IntArray, price: float) -> tuple[int, ...]:
    """Find residuals that come so much more often than those around them that naming them saves bits.

    Args:
        residuals: (lanes, rows, columns), masked where numbers are missing.
        price: bits that one costs.

    Returns:
        The residuals, ascending.
    """
    columns = residuals.shape[-1]
    flat, gone = unmasked(residuals)
    saved: dict[int, float] = {}
    for column in range(columns) if columns <= COLUMNS else [slice(None)]:
        part = flat[..., column] if gone is None else flat[..., column][~gone[..., column]]
        values, counts = np.unique(part.ravel(), return_counts=True)
        _, extra = log_tokens(values)
        often = (counts >= SEEN) & (extra > 0)
        # What comes as often as those around it stands out in nothing.
        seen, reach = np.concatenate([[0], np.cumsum(counts)]), 1 << (1 + extra[often])
        first, last = (np.searchsorted(values, values[often] + side * reach, where) for side, where in _SIDES)
        here = counts[often].astype(np.float64)
        around = np.maximum((seen[last] - seen[first] - here) / (2 * reach), 0.5 / reach)
        gains = here * np.log2(here / around) - (here - around) / math.log(2)
        gains[here < OFTEN * around] = 0
        for value, gain in zip(values[often].tolist(), gains.tolist(), strict=True):
            saved[value] = saved.get(value, 0.0) + gain
    best = sorted((value for value in saved if saved[value] > price), key=lambda value: -saved[value])
    return tuple(sorted(best[:MOST]))


def shift_of(residuals: IntArray) -> int:
    """Choose how many low bits of residuals around 0 are raw: those that say nothing.

    A step of a tenth of the spread loses nothing where residuals have one scale. Where a few are far larger than the
    others the mean is theirs alone: then what the steps cost decides.
    """
    sizes = np.abs(residuals).astype(np.float64)
    most, least = (max(0, math.floor(math.log2(max(float(spread), 1e-9) / 6))) for spread in _spreads(sizes))
    if most <= least:
        return most
    some = residuals[:: max(1, len(residuals) // WEIGHED)]
    costs = [_bits(some, shift) for shift in range(least, most + 1)]
    # The largest that is as good: it makes the fewest tokens.
    return least + max(place for place, cost in enumerate(costs) if cost <= min(costs) + 0.002 * len(some))


def _spreads(sizes: FloatArray) -> tuple[float, float]:
    return float(sizes.mean()), float(np.median(sizes)) * 1.2


def _bits(residuals: IntArray, shift: int) -> float:
    """Give the bits of residuals as tokens and raw bits, steps of a shift near 0 and escapes beyond."""
    shifted = residuals >> shift
    beyond = np.maximum(np.maximum(shifted - EXACT + 1, -EXACT - shifted), 0)
    level = np.frexp(beyond.astype(np.float64))[1].astype(np.int64)
    tokens = np.where(level > 0, np.sign(shifted) * (EXACT + level), shifted)
    counts = np.unique(tokens, return_counts=True)[1]
    raw = shift * len(residuals) + int(np.maximum(level - 1, 0).sum())
    return float((counts * np.log2(len(residuals) / counts)).sum()) + raw
