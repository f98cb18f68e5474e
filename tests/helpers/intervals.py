"""What coding intervals of all symbols must be together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pcedge.arrays import IntArray
from pcedge.engines import ReferenceEngine


def share_out(engine: ReferenceEngine, past: IntArray) -> Iterator[IntArray]:
    """Demand that intervals follow each other without a gap and keep the floor; give their end for every variable."""
    circuit = engine.circuit
    for column, variable in enumerate(circuit.order):
        ends = np.zeros(len(past), dtype=np.int64)
        for symbol in range(circuit.cardinalities[variable]):
            records = past.copy()
            records[:, variable] = symbol
            lo, hi = engine.intervals(records)
            assert (lo[:, column] == ends).all()
            assert (hi[:, column] - lo[:, column] >= circuit.floor).all()
            ends = hi[:, column]
        yield ends
