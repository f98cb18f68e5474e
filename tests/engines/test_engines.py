"""The interface of engines, held by the numpy reference."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.engine_contract import CIRCUITS, EngineContract, any_records

from pcedge.engines import Engine, ReferenceEngine
from pcedge.integer import IntegerCircuit


class TestReference(EngineContract):
    def engine(self, circuit: IntegerCircuit) -> Engine:
        return ReferenceEngine(circuit)


@pytest.mark.parametrize("kind", ("chain", "hidden", "balanced"))
def test_symbols_are_drawn_as_often_as_their_intervals_are_long(kind: str) -> None:
    circuit = CIRCUITS[kind]
    engine = ReferenceEngine(circuit)
    assert (engine.sample(9, seed=3) != engine.sample(9, seed=4)).any()
    records = engine.sample(4000, seed=5)
    first = circuit.order[0]
    lo, hi = engine.intervals(records)
    for symbol in np.unique(records[:, first]):
        rows = records[:, first] == symbol
        share = int(hi[rows, 0][0] - lo[rows, 0][0]) / (1 << circuit.scale_bits)
        assert abs(rows.mean() - share) < 5 * np.sqrt(share * (1 - share) / len(records)) + 1e-9


def test_the_circuits_are_hard() -> None:
    """Some records are impossible, so vectors vanish on the way, and revive where a symbol must have a code."""
    for kind in ("sharp and narrow", "wide", "unstructured", "nested"):
        engine = ReferenceEngine(CIRCUITS[kind])
        mantissa, _ = engine.likelihood(any_records(CIRCUITS[kind], 200))
        assert 0 < (mantissa == 0).sum() < 200
