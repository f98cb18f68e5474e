"""Which symbol a decoder tries first, and how many tries it takes from there (docs/rtl.md, Coding)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pcedge.arrays import IntArray
from pcedge.engines.reference import ReferenceEngine
from pcedge.integer.circuit import IntegerCircuit

#: records that a circuit is asked for, to see how often a variable has each symbol
_RECORDS = 256


@lru_cache(maxsize=16)
def first_tries(circuit: IntegerCircuit) -> tuple[int, ...]:
    """Choose of every variable the symbol that is tried first, so that the mean number of tries is least.

    Symbols are counted in records that the circuit draws.

    Example:
        >>> from pcedge.export import load_zoo
        >>> first_tries(load_zoo("digits"))[:4]
        (0, 0, 3, 13)
    """
    records = ReferenceEngine(circuit).sample(_RECORDS)
    found = []
    for variable, symbols in enumerate(circuit.cardinalities):
        counts = np.bincount(records[:, variable], minlength=symbols)
        found.append(int(np.argmin(tries_of(symbols) @ counts)))
    return tuple(found)


@lru_cache(maxsize=16)
def tries_of(symbols: int) -> IntArray:
    """Count the tries until a symbol is found: (the one that is tried first, the one that is coded).

    Example:
        >>> tries_of(4).tolist()
        [[1, 3, 2, 3], [2, 1, 3, 2], [3, 2, 1, 2], [3, 2, 3, 1]]
    """
    counts = np.ones((symbols, symbols), dtype=np.int64)
    for first in range(symbols):
        # symbols that are left, from the first one on to the end, and the tries until there
        parts = [(0, first, 1), (first + 1, symbols, 1)]
        while parts:
            start, end, before = parts.pop()
            if start < end:
                middle = (start + end) // 2  # pc_search
                counts[first, middle] = before + 1
                parts += [(start, middle, before + 1), (middle + 1, end, before + 1)]
    return counts
