"""Bytes of wider numbers that were given as bytes: what their statistics tell."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

#: bytes that are looked at, and from which there are enough
_SAMPLE, _LEAST = 1 << 18, 1 << 10

#: a place whose byte seldom is that of the number before, and one whose byte often is
_SELDOM, _OFTEN = 0.25, 0.6

#: bytes of a record with fields at most
_LONGEST = 64


def wider_numbers(array: Array) -> str | None:
    """Tell what bytes look like that are no numbers of their own; None where they look like bytes.

    The low byte of a sample seldom is that of the sample before, its high byte often is; so places that lie a number of
    bytes apart differ in how often they repeat. Bytes whose places are alike, as those of pictures and text, do not.

    Args:
        array: unsigned bytes of shape (records, …).

    Returns:
        What `--dtype` should say, as `int16`; `>i2` where the high byte comes first; `int16 --shape 14` of several
        numbers a record; or the bytes of a record with fields, as `34 bytes`.

    Example:
        >>> samples = np.cumsum(np.random.default_rng(0).integers(-9, 9, 5000)).astype("<i2")
        >>> wider_numbers(samples.view(np.uint8)[:, None])
        'int16'
    """
    if array.dtype != np.uint8 or array.size < _LEAST:
        return None
    data = np.ascontiguousarray(array).reshape(-1)[:_SAMPLE]
    row = array[0].size
    lengths = range(2, _LONGEST + 1) if row == 1 else sorted({row, *(size for size in (2, 4, 8) if not row % size)})
    found = {length: _repeats(data, length) for length in lengths if length <= _LONGEST}
    if not found:
        return None
    # Several records are as alike as one is.
    most = max(float(repeats.mean()) for repeats in found.values())
    length = next(length for length, repeats in found.items() if repeats.mean() >= most - 0.02)
    repeats = found[length]
    for size in (2, 4, 8):
        if length % size:
            continue
        for first, name in ((1, f"int{8 * size}"), (-1, f">i{size}")):
            places = repeats.reshape(-1, size)[:, ::first]
            rises = (np.diff(places, axis=1) >= -0.1).all(axis=1)
            if ((places[:, 0] <= _SELDOM) & (places[:, -1] >= _OFTEN) & rises).all():
                return name if length == size else f"{name} --shape {length // size}"
    others = float(np.median([float(other.mean()) for other in found.values()]))
    if row == 1 and repeats.min() <= _SELDOM and repeats.max() >= 0.9 and repeats.mean() >= others + 0.2:
        return f"{length} bytes"
    return None


def _repeats(data: Array, size: int) -> NDArray[np.float64]:
    """Give how often the byte at each place of so many is the one of the same place before."""
    rows = data[: len(data) // size * size].reshape(-1, size)
    return np.asarray((rows[1:] == rows[:-1]).mean(axis=0), dtype=np.float64)
