"""The interface of engines, held by the numpy reference; another engine is a subclass of a few lines."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from strategies import make_circuit

from pcedge.codec import decode, encode
from pcedge.engines import Engine, ReferenceEngine
from pcedge.errors import StreamError, UsageError
from pcedge.integer import IntegerCircuit
from pcedge.quantize import quantize

CIRCUITS = {
    kind: quantize(make_circuit(seed, 6, 3, 4, kind)) for seed, kind in enumerate(("chain", "hidden", "balanced"))
}


@pytest.mark.parametrize("kind", CIRCUITS)
class TestReference:
    """What every engine must do; a subclass overrides `engine`."""

    def engine(self, circuit: IntegerCircuit) -> Engine:
        return ReferenceEngine(circuit)

    def test_lanes_are_decoded(self, kind: str) -> None:
        engine = self.engine(CIRCUITS[kind])
        records = engine.sample(37, seed=1)
        for lanes in (1, 5, 37):
            coded = engine.encode_lanes(records, lanes)
            assert coded == ReferenceEngine(CIRCUITS[kind]).encode_lanes(records, lanes)
            assert_array_equal(engine.decode_lanes(coded, len(records)), records)
            with pytest.raises(StreamError):
                engine.decode_lanes([b"", *coded[1:]], len(records))

    def test_integers_are_those_of_the_reference(self, kind: str) -> None:
        engine, reference = self.engine(CIRCUITS[kind]), ReferenceEngine(CIRCUITS[kind])
        records = engine.sample(20, seed=2)
        records[0, 0] = -1
        for found, expected in zip(engine.likelihood(records), reference.likelihood(records), strict=True):
            assert_array_equal(found, expected)
        for found, expected in zip(engine.intervals(records), reference.intervals(records), strict=True):
            assert_array_equal(found, expected)

    def test_streams(self, kind: str) -> None:
        engine = self.engine(CIRCUITS[kind])
        x = engine.sample(11).astype(np.uint8)
        assert_array_equal(decode(engine, encode(engine, x)), x)

    def test_samples(self, kind: str) -> None:
        engine, circuit = self.engine(CIRCUITS[kind]), CIRCUITS[kind]
        assert engine.sample(0).shape == (0, 6)
        assert_array_equal(engine.sample(9, seed=3), engine.sample(9, seed=3))
        assert (engine.sample(9, seed=3) != engine.sample(9, seed=4)).any()
        # Every symbol is drawn about as often as its coding interval is long.
        drawn = engine.sample(4000, seed=5)
        first = circuit.order[0]
        lo, hi = ReferenceEngine(circuit).intervals(drawn)
        for symbol in np.unique(drawn[:, first]):
            rows = drawn[:, first] == symbol
            share = int(hi[rows, 0][0] - lo[rows, 0][0]) / (1 << circuit.scale_bits)
            assert abs(rows.mean() - share) < 5 * np.sqrt(share * (1 - share) / len(drawn)) + 1e-9
        with pytest.raises(UsageError, match="the number of records must be at least 0, got -1"):
            engine.sample(-1)
