"""Unsigned numbers that count modulo any size up to 2^64, and the checks that steps of a symbolizer share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pcedge.errors import DataError, UsageError

#: numbers of any step, and the largest that a place can hold
Words = NDArray[np.uint64]

#: entries of a record at most: one absurd number in a file must not fill the memory
MAX_VARIABLES = 1 << 20

_ZERO, _ONE = np.uint64(0), np.uint64(1)


def check_variables(count: int) -> None:
    """Refuse records of absurd size."""
    if not 1 <= count <= MAX_VARIABLES:
        raise UsageError(f"a record must have 1..{MAX_VARIABLES} numbers, got {count}")


def check_below(values: Words, top: Words) -> None:
    """Refuse numbers that no data give; `top` has size 1 along the rows before a window.

    Raises:
        DataError: a number is above the largest of its place.
    """
    if (values > top).any():
        where = tuple(int(i) for i in np.argwhere(values > top)[0])
        largest = int(np.broadcast_to(top, values.shape)[where])
        raise DataError(
            f"record {where[0]} must come from numbers up to {largest} at {where[1:]}, "
            f"got {int(values[where])}: these symbols belong to no data"
        )


def check_axis(name: str, axis: int, top: Words, count: int) -> None:
    """Demand that a record has `count` axes from `axis` on."""
    if top.ndim < count or not 0 <= axis <= top.ndim - count:
        raise UsageError(
            f"the axis of {name} must be one of 0..{top.ndim - count} of a record of shape {top.shape}, got {axis}"
            if top.ndim >= count
            else f"{name} must have records of at least {count} dimensions, got shape {top.shape}"
        )


def check_even(name: str, top: Words, axis: int) -> None:
    """Demand that all places along an axis count alike."""
    if top.size and (top != np.take(top, [0], axis=axis)).any():
        raise UsageError(f"{name} must come before what gives the places of axis {axis} different ranges")


def along(top: Words, axis: int) -> Words:
    """Move an axis last; an axis of size 1 stands for any length."""
    return np.moveaxis(top, axis, -1)


def minus(first: Words, second: Words, top: Words) -> Words:
    """Subtract, modulo top + 1."""
    return first - second + np.where(first < second, top + _ONE, _ZERO)


def plus(first: Words, second: Words, top: Words) -> Words:
    """Add, modulo top + 1."""
    # first > top - second says, without an overflow, that the sum leaves the circle.
    return first + second - np.where(first > top - second, top + _ONE, _ZERO)


def running(values: Words, top: Words) -> Words:
    """Add up along the last axis, modulo top + 1; `top` is even along it."""
    top = np.broadcast_to(top[..., :1], (*values.shape[:-1], 1))
    # A circle of a power of two divides 2^64, at which sums wrap.
    if not (top & (top + _ONE)).any():
        return np.cumsum(values, axis=-1, dtype=np.uint64) & top
    if (int(top.max(initial=0)) + 1) * max(values.shape[-1], 1) < 2**64:
        return np.cumsum(values, axis=-1, dtype=np.uint64) % (top + _ONE)
    out = values.copy()
    for index in range(1, values.shape[-1]):
        out[..., index] = plus(out[..., index], out[..., index - 1], top[..., 0])
    return out
