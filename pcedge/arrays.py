"""Names of the arrays that all packages pass on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: integers: mantissas, symbols, tables, weights
IntArray = NDArray[np.int64]
#: floats: probabilities and bits
FloatArray = NDArray[np.float64]
