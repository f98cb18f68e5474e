"""Which symbol a decoder of the serial engine tries first (docs/rtl.md, Serial engine)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcedge.circuit.layers import MISSING
from pcedge.engines.reference import ReferenceEngine

#: a step has room for symbols below this one
_MOST = 256


@dataclass(frozen=True)
class Search:
    """Say how a decoder finds the symbol of a variable."""

    #: the symbol that it tries first; 0 for none
    first: int
    #: trials, the mean over what the circuit says of the variable alone
    trials: float


def plan_searches(engine: ReferenceEngine) -> list[Search]:
    """Choose of every variable the symbol that is tried first so that the mean number of trials is least."""
    found = []
    for variable, symbols in enumerate(engine.circuit.cardinalities):
        records = np.full((symbols, len(engine.circuit.order)), MISSING, dtype=np.int64)
        records[:, variable] = np.arange(symbols)
        mantissas, exponents = engine.likelihood(records)
        shares = np.ldexp(mantissas.astype(np.float64), np.clip(exponents, -1000, 1000))
        shares /= max(shares.sum(), np.finfo(np.float64).tiny)
        means = {first: float(shares @ trials(symbols, first)) for first in (0, *range(1, min(symbols, _MOST)))}
        first = min(means, key=means.__getitem__)
        found.append(Search(first, means[first]))
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
