"""Which symbol a decoder of the serial engine tries first (docs/rtl.md, Serial engine)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pcedge.circuit.layers import MISSING
from pcedge.engines.reference import ReferenceEngine

#: a step has room for symbols below this one
_MOST = 256


def first_tried(engine: ReferenceEngine) -> list[int]:
    """Give of every variable the symbol that a decoder tries first, 0 for none: the mean number of trials is least.

    The mean is over what the circuit says of the variable alone.
    """
    found = []
    for variable, symbols in enumerate(engine.circuit.cardinalities):
        records = np.full((symbols, len(engine.circuit.order)), MISSING, dtype=np.int64)
        records[:, variable] = np.arange(symbols)
        mantissas, exponents = engine.likelihood(records)
        shares = np.ldexp(mantissas.astype(np.float64), np.clip(exponents, -1000, 1000))
        firsts = [0, *range(1, min(symbols, _MOST))]
        found.append(min(firsts, key=lambda first: float(shares @ trials(symbols, first))))
    return found


def trials(symbols: int, first: int) -> NDArray[np.int64]:
    """Count the trials until each symbol is found, with a symbol that is tried first, or 0."""
    parts = [(0, symbols)] if first == 0 else [(0, first), (first, symbols)]
    counts = np.full(symbols, int(first > 0), dtype=np.int64)
    while parts:
        start, end = parts.pop()
        if end - start > 1:
            # the largest power of two that is at most half of what is left
            middle = start + (1 << ((end - start).bit_length() - 2))
            counts[start:end] += 1
            parts += [(start, middle), (middle, end)]
    return counts
