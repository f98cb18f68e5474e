"""Names of the arrays that all packages pass on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: integers: mantissas, symbols, tables, weights
IntArray = NDArray[np.int64]
#: floats: probabilities and bits
FloatArray = NDArray[np.float64]


def unmasked(numbers: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Give numbers and which of them are missing; None where none can be."""
    if not isinstance(numbers, np.ma.MaskedArray):
        return numbers, None
    return np.ma.getdata(numbers), np.ma.getmaskarray(numbers)


def chained(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Put arrays of one type one behind the other, byte for byte.

    A copy by numpy loses what lies between the fields of records, and `np.concatenate` the order of bytes.
    """
    kind = parts[0].dtype
    return np.concatenate([np.asarray(part).view(f"V{kind.itemsize}") for part in parts]).view(kind)
