"""Coding of circuits that are not structured: whole round trips, brute force, and what is computed again."""

from __future__ import annotations

import json
from itertools import permutations
from itertools import product as combinations

import numpy as np
import pytest
import strategies
from click.testing import CliRunner
from helpers.intervals import share_out
from hypothesis import given, settings
from hypothesis import strategies as st

from pcedge.circuit import Circuit, InputLayer, ProductLayer, SparseRows, SumLayer, log_likelihood, save_circuit
from pcedge.cli import group
from pcedge.codec import decode, encode
from pcedge.engines import ReferenceEngine
from pcedge.errors import NotStructuredError
from pcedge.evaluate import statistics
from pcedge.export import to_onnx, write_project
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.schedule.reevaluation import reevaluation_schedule
from pcedge.schedule.steps import Op, describe
from pcedge.verify import verify

FINE = QuantizationConfig(16, 16, 16, floor=1)


@st.composite
def engines(draw, **limits) -> ReferenceEngine:
    """Draw unstructured circuits of every width, in any coding order."""
    circuit = draw(strategies.unstructured_circuits(**limits))
    order = None
    if draw(st.booleans()):
        order = tuple(draw(st.permutations(range(len(circuit.cardinalities)))))
    return ReferenceEngine(quantize(circuit, draw(strategies.configs()), order=order))


def two_ways() -> Circuit:
    """Split three variables in two ways, each certain about one of them: no tree of regions."""
    certain = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    leaves = [InputLayer(v, certain) for v in range(3)]
    layers = [
        *leaves,
        ProductLayer((1, 2), np.array([[0, 2], [1, 2]])),
        ProductLayer((0, 3), np.array([[0, 0], [0, 1]])),
        ProductLayer((0, 1), np.array([[1, 2]])),
        ProductLayer((5, 2), np.array([[0, 1]])),
        SumLayer((4, 6), np.array([[0.25, 0.25, 0.5]])),
    ]
    return Circuit(tuple(layers))


class TestRoundTrip:
    @given(engines(), st.data())
    def test_any_record_comes_back(self, engine, data):
        records = data.draw(strategies.records_for(engine.circuit, min_records=1))
        lanes = data.draw(st.integers(1, len(records)))
        assert (decode(engine, encode(engine, records, lanes)) == records).all()

    @pytest.mark.parametrize("order", list(permutations(range(3))))
    def test_impossible_records_come_back(self, order):
        """In some orders a variable is still to come when the past is impossible: its context must be revived."""
        engine = ReferenceEngine(quantize(two_ways(), order=order))
        records = np.array(list(combinations((0, 1), repeat=3)))
        impossible = engine.likelihood(records)[0] == 0
        assert impossible.sum() == 2
        lo, hi = engine.intervals(records)
        assert (hi > lo).all()
        # All but one symbol of an impossible record have a share of their own, the forgotten past included.
        assert ((hi - lo)[impossible] > 2**20).sum(axis=1).tolist() == [2, 2]
        assert (decode(engine, encode(engine, records)) == records).all()

    @settings(max_examples=60)
    @given(engines(max_variables=5, max_states=3), st.data())
    def test_intervals_share_out_the_whole(self, engine, data):
        past = data.draw(strategies.records_for(engine.circuit, min_records=1))
        for ends in share_out(engine, past):
            assert (ends <= 1 << engine.circuit.scale_bits).all()

    @given(engines(), st.data())
    def test_contexts_are_never_zero_and_fit(self, engine, data):
        records = data.draw(strategies.records_for(engine.circuit, missing=data.draw(st.booleans()), min_records=1))
        widths = engine.circuit.widths

        def observe(_, step, result):
            assert int(result[0].max(initial=0)).bit_length() <= widths.state_bits
            if step.op is Op.INTERVAL:
                total = result[0].sum(axis=0)
                assert (total > 0).all()
                assert int(total.max()).bit_length() <= widths.context_sum

        lo, hi = engine.intervals(records, observe)
        order = np.array(engine.circuit.order)
        assert ((hi > lo) == (records[:, order] >= 0)).all()


class TestStatistics:
    """Not equality: how near the shares come to the float circuit."""

    @settings(max_examples=40)
    @given(strategies.unstructured_circuits(max_variables=5, max_states=3), st.data())
    def test_shares_multiply_to_the_probability(self, circuit, data):
        records = np.array(list(combinations(*(range(c) for c in circuit.cardinalities))))
        order = tuple(data.draw(st.permutations(range(len(circuit.cardinalities)))))
        lo, hi = ReferenceEngine(quantize(circuit, FINE, order=order)).intervals(records)
        coded = ((hi - lo) / 2.0**24).prod(axis=1)
        exact = np.exp(log_likelihood(circuit, records))
        assert np.abs(coded - exact).sum() < 0.005

    @settings(max_examples=40)
    @given(strategies.unstructured_circuits(max_variables=6), st.data())
    def test_missing_symbols_are_summed_out(self, circuit, data):
        records = data.draw(strategies.records_for(circuit, missing=True, min_records=1))
        lo, hi = ReferenceEngine(quantize(circuit, FINE)).intervals(records)
        coded = np.where(hi > lo, (hi - lo) / 2.0**24, 1.0).prod(axis=1)
        assert np.abs(coded - np.exp(log_likelihood(circuit, records))).max() < 0.005

    def test_an_alternative_that_is_ruled_out_stays_out(self):
        circuit = two_ways()
        engine = ReferenceEngine(quantize(circuit, FINE, order=(0, 1, 2)))
        possible = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
        report = statistics(circuit, engine, possible)
        assert abs(report.loss) < 1e-3
        lo, hi = engine.intervals([[1, 0, 0]])
        assert hi[0, 2] - lo[0, 2] < 2**9  # after x0 = 1 only x2 = 1 is left

    @given(strategies.float_circuits(max_variables=6, sharpness=0.0), st.data())
    @settings(max_examples=30)
    def test_structured_circuits_would_have_nearly_the_same_shares(self, circuit, data):
        """The two ways to code one circuit agree up to rounding, variable by variable."""
        engine = ReferenceEngine(quantize(circuit, FINE))
        records = data.draw(strategies.records_for(circuit, min_records=1))
        other = ReferenceEngine(engine.circuit)
        other.__dict__["code_steps"] = reevaluation_schedule(engine.circuit)
        shares = [
            np.subtract(*found[::-1]) / 2.0**24 for found in (engine.intervals(records), other.intervals(records))
        ]
        assert np.abs(shares[0] - shares[1]).max() < 0.005


class TestWork:
    @given(engines())
    def test_is_a_pure_function_that_codes_each_variable_once(self, engine):
        first, second = (reevaluation_schedule(engine.circuit) for _ in range(2))
        assert [(describe(s), s.sources) for s in first.steps] == [(describe(s), s.sources) for s in second.steps]
        assert tuple(s.variable for s in first.steps if s.op is Op.INTERVAL) == engine.circuit.order
        assert all(list(s.variable for s in first.steps if s.op is Op.LEAF).count(v) <= 1 for v in engine.circuit.order)

    def test_a_wide_product_is_extended_not_multiplied_anew(self):
        """40 independent variables beside the part that has no tree: one multiplication each, not 40."""
        small = two_ways()
        leaves = [InputLayer(v, np.array([[0.5, 0.5]])) for v in range(3, 43)]
        count = len(small.layers)
        whole = ProductLayer((count - 1, *range(count, count + 40)), np.zeros((1, 41), dtype=np.int64))
        engine = ReferenceEngine(quantize(Circuit((*small.layers, *leaves, whole))))
        assert len(engine.program.code.steps) < 8 * 43

    def test_frees_what_is_not_read_again(self):
        engine = ReferenceEngine(quantize(two_ways()))
        values = engine.replay(
            engine.program.code, np.zeros((3, 1), dtype=np.int64), lambda step, _: np.zeros(1, np.int64)
        )
        assert values == {}


class TestOtherRungs:
    def test_onnxruntime_has_the_likelihood(self):
        pytest.importorskip("onnxruntime")
        circuit = quantize(two_ways())
        assert [output.name for output in to_onnx(circuit).graph.output] == ["mantissa", "exponent"]
        report = verify(circuit, [[0, 1, 1], [1, 1, 1]], ["ort"])
        assert report.mismatches == 0
        assert [c.output for c in report.comparisons] == ["likelihood", "likelihood, partial evidence"]

    def test_hardware_is_refused(self, tmp_path):
        circuit = quantize(two_ways())
        text = r"differently: it is not structured-decomposable, so only the numpy reference can code with it$"
        with pytest.raises(NotStructuredError, match=rf"^the rung csim must .* ort compares the likelihood: .*{text}"):
            verify(circuit, [[0, 1, 1]], ["ort", "csim"])
        with pytest.raises(NotStructuredError, match=text):
            write_project(circuit, tmp_path / "p")
        assert not (tmp_path / "p").exists()

    def test_sparse_sums(self):
        layers = two_ways().layers
        circuit = Circuit((*layers[:-1], SumLayer((4, 6), SparseRows.from_dense(np.array([[0.25, 0.0, 0.75]])))))
        engine = ReferenceEngine(quantize(circuit))
        records = np.array(list(combinations((0, 1), repeat=3)))
        assert (decode(engine, encode(engine, records, 1)) == records).all()


class TestCommands:
    def test_what_each_command_says(self, tmp_path):
        def run(*words: object):
            return CliRunner().invoke(group, [str(word) for word in words])

        model, data, stream, back = (tmp_path / name for name in ("m.onnx", "x.npy", "x.pce", "y.npy"))
        save_circuit(two_ways(), tmp_path / "c.pcedge")
        np.save(data, np.array([[0, 1, 1], [1, 0, 1]], dtype=np.uint8))
        assert run("quantize", tmp_path / "c.pcedge", "--out", model).exit_code == 0
        info = json.loads(run("info", model, "--json").stdout)
        assert info["structured"] is False
        assert info["coding"] == ["numpy"]
        done = run("encode", model, data, stream)
        assert done.exit_code == 0
        assert "no hardware codes with it, and it is evaluated anew after every variable" in done.stderr
        assert run("decode", model, stream, back).exit_code == 0
        assert np.load(back).tolist() == [[0, 1, 1], [1, 0, 1]]
        assert run("loglik", model, data).exit_code == 0
        for words in (("export", model, "--out", tmp_path / "p"), ("verify", model, "--data", data)):
            refused = run(*words)
            assert refused.exit_code == 1
            assert "it is not structured-decomposable, so only the numpy reference can code with it" in refused.stderr
        pytest.importorskip("onnxruntime")
        assert run("verify", model, "--data", data, "--rungs", "ort").exit_code == 0
