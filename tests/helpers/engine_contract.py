"""What every engine must do, held by the numpy reference: a test of an engine is a subclass of a few lines."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from strategies import make_circuit, make_unstructured

from pcedge.arrays import IntArray
from pcedge.codec import decode, encode
from pcedge.engines import Engine, ReferenceEngine, classify, shares
from pcedge.errors import StreamError, UsageError
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize

NARROW = QuantizationConfig(weight_bits=2, leaf_bits=8, state_bits=8)
WIDE = QuantizationConfig(weight_bits=16, leaf_bits=16, state_bits=16, coder="wide")

#: sharp circuits have zeros in their tables and weights: vectors vanish, and revive where a symbol must have a code
CIRCUITS = {
    "chain": quantize(make_circuit(0, 6, 3, 4, "chain")),
    "hidden": quantize(make_circuit(1, 6, 3, 4, "hidden")),
    "balanced": quantize(make_circuit(2, 6, 3, 4, "balanced")),
    "sharp": quantize(make_circuit(3, 7, 3, 5, "hidden", 0.6)),
    "sharp and narrow": quantize(make_circuit(4, 7, 4, 5, "random", 0.3), NARROW),
    "wide": quantize(make_circuit(5, 6, 3, 4, "balanced", 0.3), WIDE),
    "unstructured": quantize(make_unstructured(6, 5, 3, 0.3)),
    "nested": quantize(make_circuit(7, 6, 3, 6, "hidden", 0.3), QuantizationConfig(leaf_masters=1)),
}


def any_records(circuit: IntegerCircuit, count: int) -> IntArray:
    """Draw records of equally likely symbols, of which the circuit may call some impossible."""
    generator = np.random.default_rng(8)
    return np.stack([generator.integers(0, size, count) for size in circuit.cardinalities], axis=1)


def read(engine: Engine, lane: bytes, count: int) -> IntArray | None:
    """Decode one lane; give None where the engine refuses it."""
    try:
        return engine.decode_lanes([lane], count)
    except StreamError:
        return None


@pytest.mark.parametrize("kind", CIRCUITS)
class EngineContract:
    """What every engine must do; a subclass says which engine."""

    def engine(self, circuit: IntegerCircuit) -> Engine:
        raise NotImplementedError

    def test_integers_are_those_of_the_reference(self, kind: str) -> None:
        engine, reference = self.engine(CIRCUITS[kind]), ReferenceEngine(CIRCUITS[kind])
        records = np.concatenate([reference.sample(20, seed=2), any_records(CIRCUITS[kind], 40)])
        records[np.random.default_rng(9).random(records.shape) < 0.2] = -1
        records[-1] = -1
        for got, expected in zip(engine.likelihood(records), reference.likelihood(records), strict=True):
            assert_array_equal(got, expected)
        for got, expected in zip(engine.intervals(records), reference.intervals(records), strict=True):
            assert_array_equal(got, expected)

    def test_classes_and_shares_are_those_of_the_reference(self, kind: str) -> None:
        engine, reference = self.engine(CIRCUITS[kind]), ReferenceEngine(CIRCUITS[kind])
        records = any_records(CIRCUITS[kind], 40)
        records[np.random.default_rng(9).random(records.shape) < 0.3] = -1
        for variable in (0, len(CIRCUITS[kind].order) - 1):
            assert_array_equal(classify(engine, records, variable), classify(reference, records, variable))
            assert_array_equal(shares(engine, records, variable), shares(reference, records, variable))

    def test_lanes_are_those_of_the_reference(self, kind: str) -> None:
        engine, reference = self.engine(CIRCUITS[kind]), ReferenceEngine(CIRCUITS[kind])
        records = np.concatenate([reference.sample(30, seed=1), any_records(CIRCUITS[kind], 7)])
        for lanes in (1, 5, 37):
            coded = engine.encode_lanes(records, lanes)
            assert coded == reference.encode_lanes(records, lanes)
            assert_array_equal(engine.decode_lanes(coded, len(records)), records)

    def test_lanes_that_no_encoder_writes_are_refused(self, kind: str) -> None:
        engine, reference = self.engine(CIRCUITS[kind]), ReferenceEngine(CIRCUITS[kind])
        (lane,) = reference.encode_lanes(reference.sample(20, seed=3), 1)
        higher = lane[:-1] + bytes([(lane[-1] + 1) & 0xFF])  # another flush of the same records, or other records
        for damaged in (b"", lane[:-1], lane + b"\0", lane + b"\xff", higher, b"\xff" * len(lane)):
            got, expected = read(engine, damaged, 20), read(reference, damaged, 20)
            assert (got is None) == (expected is None), damaged
            if got is not None:
                assert_array_equal(got, expected)
        assert read(reference, lane + b"\0", 20) is None

    def test_streams(self, kind: str) -> None:
        engine = self.engine(CIRCUITS[kind])
        x = ReferenceEngine(CIRCUITS[kind]).sample(11).astype(np.uint8)
        assert encode(engine, x) == encode(ReferenceEngine(CIRCUITS[kind]), x)
        assert_array_equal(decode(engine, encode(engine, x)), x)

    def test_samples_are_those_of_the_reference(self, kind: str) -> None:
        engine, reference = self.engine(CIRCUITS[kind]), ReferenceEngine(CIRCUITS[kind])
        assert engine.sample(0).shape == (0, len(CIRCUITS[kind].order))
        assert_array_equal(engine.sample(9, seed=3), reference.sample(9, seed=3))
        with pytest.raises(UsageError, match="the number of records must be at least 0, got -1"):
            engine.sample(-1)
