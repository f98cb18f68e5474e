"""The native engine gives the reference's integers and bytes, with every instruction set that the machine has."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.engine_contract import CIRCUITS, EngineContract
from helpers.special import rounded_up
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from strategies import integer_circuits, make_circuit, records_for, unstructured_circuits

from pcedge import arithmetic
from pcedge.codec import encode
from pcedge.engines import Engine, ReferenceEngine
from pcedge.errors import StreamError, UsageError
from pcedge.integer import IntegerCircuit
from pcedge.native.engine import NativeEngine
from pcedge.native.library import instruction_sets, library
from pcedge.quantize import QuantizationConfig, quantize

ISAS = instruction_sets()

#: widths at which 16 bits, 32 bits and no 32 bits are enough
WIDTHS = [(8, 12, 16), (12, 14, 16), (16, 15, 16), (16, 16, 16), (2, 8, 8)]


def test_there_is_a_library() -> None:
    assert "base" in ISAS
    assert library().isa == ISAS[0]
    with pytest.raises(UsageError, match=r"must have the instruction set 'mmx', this build or machine has it not$"):
        library("mmx")


class TestNative(EngineContract):
    def engine(self, circuit: IntegerCircuit) -> Engine:
        return NativeEngine(circuit)


def compare(circuit: IntegerCircuit, records: np.ndarray) -> None:
    reference = ReferenceEngine(circuit)
    whole = np.where(records < 0, 0, records)
    likelihood, intervals = reference.likelihood(records), reference.intervals(records)
    coded = reference.encode_lanes(whole, 3) if len(whole) >= 3 else []
    for isa in ISAS:
        engine = NativeEngine(reference.program, isa)
        for got, expected in zip(engine.likelihood(records), likelihood, strict=True):
            assert_array_equal(got, expected)
        for got, expected in zip(engine.intervals(records), intervals, strict=True):
            assert_array_equal(got, expected)
        if coded:
            assert engine.encode_lanes(whole, 3) == coded
            assert_array_equal(engine.decode_lanes(coded, len(whole)), whole)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_circuit(data: st.DataObject) -> None:
    circuit = data.draw(integer_circuits())
    compare(circuit, data.draw(records_for(circuit, missing=True)))


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_circuit_that_is_not_structured(data: st.DataObject) -> None:
    circuit = quantize(data.draw(unstructured_circuits()))
    compare(circuit, data.draw(records_for(circuit, missing=True)))


@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("states", [1, 7, 16, 40])
def test_kernels_of_every_width(widths: tuple[int, int, int], states: int) -> None:
    weight_bits, leaf_bits, state_bits = widths
    config = QuantizationConfig(weight_bits=weight_bits, leaf_bits=leaf_bits, state_bits=state_bits, coder="wide")
    circuit = quantize(make_circuit(states, 5, states, 70, "hidden", 0.25), config)
    rng = np.random.default_rng(states)
    records = rng.integers(0, circuit.cardinalities, (150, len(circuit.cardinalities)))
    records[::7, 1] = -1
    compare(circuit, records)


def test_sums_that_round_up_to_a_power_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one divisor whose reciprocal is no product, in blocks of every size."""
    circuit, divisors, reciprocal = rounded_up(), [], arithmetic.reciprocal
    with monkeypatch.context() as patch:
        patch.setattr(arithmetic, "reciprocal", lambda divisor: divisors.append(divisor) or reciprocal(divisor))
        ReferenceEngine(circuit).intervals(np.zeros((1, 3), dtype=np.int64))
    assert np.ravel(divisors)[-1] == 1 << 16
    for count in (1, 9, 141):
        records = np.random.default_rng(count).integers(0, (1, 1, 9), (count, 3))
        records[5::3, 0] = 1
        compare(circuit, records)


@pytest.mark.parametrize("lanes", [1, 3, 64, 65, 130, 200])
def test_lanes_and_threads(lanes: int) -> None:
    circuit = CIRCUITS["hidden"]
    reference = ReferenceEngine(circuit)
    records = reference.sample(200, seed=1)
    coded = reference.encode_lanes(records, lanes)
    for threads in (1, 2, 5):
        engine = NativeEngine(circuit, threads=threads)
        assert engine.encode_lanes(records, lanes) == coded
        assert_array_equal(engine.decode_lanes(coded, 200), records)


@pytest.mark.parametrize("count", [1, 2, 8, 9, 16, 17, 65])
def test_few_records(count: int) -> None:
    """Few records have blocks of their own."""
    config = QuantizationConfig(coder="wide")
    for states, symbols in ((1, 3), (7, 40), (16, 33), (20, 256)):
        circuit = quantize(make_circuit(states, 6, states, symbols, "hidden", 0.2), config)
        records = np.random.default_rng(count).integers(0, circuit.cardinalities, (count, 6))
        compare(circuit, records)
        reference = ReferenceEngine(circuit)
        for isa in ISAS:
            engine = NativeEngine(circuit, isa)
            for lanes in {1, (count + 1) // 2, count}:
                coded = reference.encode_lanes(records, lanes)
                assert engine.encode_lanes(records, lanes) == coded
                assert_array_equal(engine.decode_lanes(coded, count), records)


def test_records_in_any_order_of_memory() -> None:
    circuit = CIRCUITS["hidden"]
    reference, engine = ReferenceEngine(circuit), NativeEngine(circuit)
    records = reference.sample(70, seed=2)
    likelihood, coded = reference.likelihood(records), reference.encode_lanes(records, 5)
    wide = np.repeat(records, 2, axis=1)
    for same in (np.asfortranarray(records), wide[:, ::2], records[::-1].copy()[::-1], records.astype(np.uint8)):
        for got, expected in zip(engine.likelihood(same), likelihood, strict=True):
            assert_array_equal(got, expected)
        for got, expected in zip(engine.intervals(same), reference.intervals(records), strict=True):
            assert_array_equal(got, expected)
        assert engine.encode_lanes(same, 5) == coded
        assert encode(engine, same, 5) == encode(reference, same, 5)


def test_samples_are_those_of_the_reference() -> None:
    for circuit in CIRCUITS.values():
        assert_array_equal(NativeEngine(circuit).sample(70, seed=4), ReferenceEngine(circuit).sample(70, seed=4))
    with pytest.raises(UsageError, match="must be at least 0, got -1"):
        NativeEngine(CIRCUITS["chain"]).sample(-1)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(CIRCUITS)), st.lists(st.binary(max_size=60), min_size=1, max_size=4), st.integers(0, 9))
def test_any_bytes_are_refused_or_decoded_as_by_the_reference(kind: str, lanes: list[bytes], count: int) -> None:
    engines = ReferenceEngine(CIRCUITS[kind]), NativeEngine(CIRCUITS[kind])
    count = max(count, len(lanes))
    found = []
    for engine in engines:
        try:
            found.append(engine.decode_lanes(lanes, count).tolist())
        except StreamError:
            found.append(None)
    assert found[0] == found[1]
