"""Residuals as tokens and raw bits, and back (docs/predictor.md, section Token)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray, unmasked
from pcedge.data.prediction import Plan, bit_length


def split(plan: Plan, classes: IntArray, residuals: IntArray) -> tuple[IntArray, NDArray[np.uint64], IntArray]:
    """Make tokens of residuals: the token, and the raw bits behind it with how many they are.

    Where residuals are masked the number is missing: its token is the last one, if the stage has one for that.
    """
    residuals, gone = unmasked(residuals)
    biases, shifts = (column[classes] for column in plan.classes)
    centre, escapes = plan.predictor.centre, plan.predictor.escapes
    shifted: IntArray = (residuals - biases) >> shifts
    low = (residuals - biases) - (shifted << shifts)
    above, below = shifted >= centre, shifted < -centre
    beyond = np.where(above, shifted - centre, np.where(below, -1 - centre - shifted, 0)).astype(np.uint64)
    level = _levels(beyond + np.uint64(1))
    plain = np.where(below, escapes - level, shifted + centre + escapes)
    tokens: IntArray = np.where(above, escapes + 2 * centre + level - 1, plain)
    extra: IntArray = np.where(above | below, level - 1, 0)
    tail = (beyond + np.uint64(1)) & ((np.uint64(1) << extra.astype(np.uint64)) - np.uint64(1))
    raw: NDArray[Any] = (tail << shifts.astype(np.uint64)) | low.astype(np.uint64)
    sizes = extra + shifts
    if len(plan.listed):
        hit, place = plan.find_listed(residuals)
        tokens = np.where(hit, plan.predictor.first_listed + place, tokens)
        raw, sizes = np.where(hit, np.uint64(0), raw), np.where(hit, 0, sizes)
    if gone is not None:
        marker = plan.predictor.missing_token
        tokens = np.where(gone, 0 if marker is None else marker, tokens)
        raw, sizes = np.where(gone, np.uint64(0), raw), np.where(gone, 0, sizes)
    return tokens, raw, sizes


def raw_bits(plan: Plan, classes: IntArray, tokens: IntArray) -> IntArray:
    """Give how many raw bits stand behind tokens."""
    sizes = np.maximum(_level_of(plan, tokens)[0] - 1, 0) + plan.classes[1][classes]
    return np.where(tokens >= plan.predictor.first_listed, 0, sizes)


def join(plan: Plan, classes: IntArray, tokens: IntArray, raw: NDArray[np.uint64]) -> IntArray:
    """Give the residuals of tokens and the raw bits behind them, modulo 2^64; 0 of missing numbers."""
    biases, shifts = (column[classes] for column in plan.classes)
    centre = plan.predictor.centre
    level, above = _level_of(plan, tokens)
    low = (raw & ((np.uint64(1) << shifts.astype(np.uint64)) - np.uint64(1))).astype(np.int64)
    tail = (raw >> shifts.astype(np.uint64)) | (np.uint64(1) << np.maximum(level - 1, 0).astype(np.uint64))
    beyond = (tail - np.uint64(1)).view(np.int64)
    plain = tokens - centre - plan.predictor.escapes
    shifted = np.where(level == 0, plain, np.where(above, beyond + centre, -1 - centre - beyond))
    residuals: IntArray = (shifted << shifts) + low + biases
    beyond = tokens - plan.predictor.first_listed
    if not len(plan.listed) and plan.predictor.missing_token is None:
        return residuals
    own = np.append(plan.listed, 0)  # of a missing number it is 0
    return np.where(beyond >= 0, own[np.maximum(beyond, 0)], residuals)


def _level_of(plan: Plan, tokens: IntArray) -> tuple[IntArray, NDArray[np.bool_]]:
    """Give the escape of tokens, 0 of those without, and on which side it is."""
    first, last = plan.predictor.escapes, plan.predictor.escapes + 2 * plan.predictor.centre
    above = tokens >= last  # also tokens of listed and missing numbers, which nobody takes apart
    return np.where(above, tokens - last + 1, np.where(tokens < first, first - tokens, 0)), above


def _levels(numbers: NDArray[np.uint64]) -> IntArray:
    """Give the bits of unsigned numbers, exactly."""
    high = numbers >> np.uint64(32)
    top = bit_length(high.astype(np.int64))
    return np.where(high > 0, top + 32, bit_length((numbers & np.uint64(0xFFFFFFFF)).astype(np.int64)))
