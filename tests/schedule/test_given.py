"""Variables that encoder and decoder know: what is coded given them, in every structure, order and engine."""

from __future__ import annotations

from itertools import product as combinations

import numpy as np
import pytest
import strategies
from helpers.intervals import share_out
from hypothesis import given
from hypothesis import strategies as st

from pcedge.circuit import log_conditional
from pcedge.engines import ReferenceEngine
from pcedge.errors import DataError, UsageError
from pcedge.native import NativeEngine, instruction_sets
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.schedule.program import Program

FINE = QuantizationConfig(16, 16, 16, floor=1)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Draw circuits of every structure, width and order, in which some variables are given."""
    if draw(st.booleans()):
        circuit = draw(strategies.integer_circuits())
    else:
        circuit = quantize(draw(strategies.unstructured_circuits()), draw(strategies.configs()))
    return Program.of(circuit).with_given(sorted(draw(st.sets(st.integers(0, len(circuit.order) - 1)))))


@given(programs(), st.data())
def test_any_record_comes_back_from_what_is_given(program, data):
    records = data.draw(strategies.records_for(program.circuit, min_records=1))
    engine = ReferenceEngine(program)
    known = np.where(np.isin(np.arange(records.shape[1]), program.given), records, -1)
    lanes = data.draw(st.integers(1, len(records)))
    coded = engine.encode_lanes(records, lanes)
    np.testing.assert_array_equal(engine.decode_lanes(coded, len(records), known=known), records)
    lo, hi = engine.intervals(records)
    nothing = np.isin(program.circuit.order, program.given)
    assert not lo[:, nothing].any() and not hi[:, nothing].any()
    assert (hi[:, ~nothing] - lo[:, ~nothing] >= program.circuit.floor).all()
    for name in instruction_sets()[:1]:
        native = NativeEngine(program, isa=name)
        assert native.encode_lanes(records, lanes) == coded
        np.testing.assert_array_equal(native.decode_lanes(coded, len(records), known=known), records)
        for ends, wanted in zip(native.intervals(records), (lo, hi), strict=True):
            np.testing.assert_array_equal(ends, wanted)


@given(strategies.integer_circuits(), st.data())
def test_what_comes_first_changes_nothing_but_its_own_intervals(circuit, data):
    records = data.draw(strategies.records_for(circuit, min_records=1))
    count = data.draw(st.integers(0, len(circuit.order)))
    program = Program.of(circuit)
    whole = ReferenceEngine(program).intervals(records)
    parts = ReferenceEngine(program.with_given(circuit.order[:count])).intervals(records)
    for ends, wanted in zip(parts, whole, strict=True):
        np.testing.assert_array_equal(ends[:, count:], wanted[:, count:])
        assert not ends[:, :count].any()


@pytest.mark.parametrize("tree", [*strategies.TREES, "unstructured"])
@pytest.mark.parametrize("seed", range(4))
def test_intervals_are_the_conditional_probabilities(seed, tree):
    """Every symbol's share of the scale is its probability given what is given, and what was coded before."""
    if tree == "unstructured":
        circuit = strategies.make_unstructured(seed, 5, 3, 0.0)
    else:
        circuit = strategies.make_circuit(seed, 5, 3, 3, tree)
    integers = quantize(circuit, FINE)
    rng = np.random.default_rng(seed)
    known = tuple(sorted(rng.choice(5, int(rng.integers(1, 5)), replace=False).tolist()))
    engine = ReferenceEngine(Program.of(integers).with_given(known))
    records = np.array(list(combinations(*(range(c) for c in integers.cardinalities))))
    lo, hi = engine.intervals(records)
    before = set(known)
    for column, variable in enumerate(integers.order):
        if variable in known:
            continue
        evidence = np.where(np.isin(np.arange(5), list(before)), records, -1)
        asked = np.where(np.arange(5) == variable, records, -1)
        wanted = np.exp(log_conditional(circuit, asked, evidence))
        np.testing.assert_allclose((hi - lo)[:, column] / 2**integers.scale_bits, wanted, atol=5e-3)
        before.add(variable)


def test_symbols_share_the_scale_without_a_gap():
    circuit = quantize(strategies.make_circuit(3, 6, 3, 4, "random", 0.6))
    program = Program.of(circuit).with_given((1, 4))
    past = np.zeros((4, 6), dtype=np.int64)
    past[:, 4] = np.arange(4) % circuit.cardinalities[4]
    coded = [place for place, variable in enumerate(circuit.order) if variable not in program.given]
    ends = list(share_out(ReferenceEngine(program), past, coded))
    assert len(ends) == 4
    for end in ends:
        assert (end <= 1 << circuit.scale_bits).all()
        assert (end > 0.99 * (1 << circuit.scale_bits)).all()


class TestWrong:
    CIRCUIT = quantize(strategies.make_circuit(0, 4, 2, 3, "chain"))

    @pytest.mark.parametrize(
        ("variables", "text"),
        [((4,), "given variables must be 0..3, got 4"), ((1, 1), "given variables must each be named once, got 1, 1")],
    )
    def test_variables(self, variables, text):
        with pytest.raises(UsageError, match=text):
            Program.of(self.CIRCUIT).with_given(variables)

    @pytest.mark.parametrize("make", [ReferenceEngine, NativeEngine])
    def test_known_symbols(self, make):
        if make is NativeEngine and not instruction_sets():
            pytest.skip("there is no library of the native engine")
        engine = make(Program.of(self.CIRCUIT).with_given((2, 1)))
        lanes = engine.encode_lanes(np.zeros((2, 4), dtype=np.int64), 1)
        with pytest.raises(UsageError, match=r"records of shape \(2, 4\) must say what variables 1, 2 are, got none"):
            engine.decode_lanes(lanes, 2)
        with pytest.raises(DataError, match="9"):
            engine.decode_lanes(lanes, 2, known=np.full((2, 4), 9))

    def test_nothing_given_is_the_same_program(self):
        program = Program.of(self.CIRCUIT)
        assert program.with_given(()) is program
