"""What coding intervals of all symbols must be together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pcedge.arrays import IntArray
from pcedge.engines import ReferenceEngine


def share_out(engine: ReferenceEngine, past: IntArray, places: Sequence[int] | None = None) -> Iterator[IntArray]:
    """Demand that intervals follow each other without a gap and keep the floor; give their end for every variable.

    `places` are those of the coding order to look at, instead of all.
    """
    circuit = engine.circuit
    for column in range(len(circuit.order)) if places is None else places:
        variable = circuit.order[column]
        ends = np.zeros(len(past), dtype=np.int64)
        for symbol in range(circuit.cardinalities[variable]):
            records = past.copy()
            records[:, variable] = symbol
            lo, hi = engine.intervals(records)
            assert (lo[:, column] == ends).all()
            assert (hi[:, column] - lo[:, column] >= circuit.floor).all()
            ends = hi[:, column]
        yield ends
