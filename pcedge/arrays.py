"""Names of the arrays that all packages pass on."""

from __future__ import annotations

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
