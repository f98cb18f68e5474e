"""Bounds on the extra code length against what records of small circuits cost, and how files and info show them."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.commands import run
from hypothesis import given, settings
from numpy.typing import NDArray
from strategies import configs, float_circuits, make_circuit, unstructured_circuits

from pcedge.bounds import ExtraBits, bounds_notes, extra_bits
from pcedge.bounds import parameters as rounding
from pcedge.bounds.parameters import counterparts, greatest_probability, mean_bits, symbol_shares, worst_ratio
from pcedge.circuit import Circuit, InputLayer, ProductLayer, SparseRows, SumLayer, log_likelihood, save_circuit
from pcedge.compress import expected_flows
from pcedge.data import load_array
from pcedge.engines import ReferenceEngine
from pcedge.errors import UsageError
from pcedge.export import read_notes, read_onnx, write_onnx
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize


def every_record(circuit: Circuit) -> NDArray[np.int64]:
    symbols = [range(count) for count in circuit.cardinalities]
    return np.array(list(itertools.product(*symbols)), dtype=np.int64)


def measured(circuit: Circuit, integers: IntegerCircuit, records: NDArray[np.int64]) -> NDArray[np.float64]:
    """Give what every possible record costs more than in the float circuit, in bits."""
    lo, hi = ReferenceEngine(integers).intervals(records)
    bits = (integers.scale_bits - np.log2(hi - lo)).sum(axis=1)
    return np.asarray(bits + log_likelihood(circuit, records) / math.log(2))


def assert_holds(circuit: Circuit, config: QuantizationConfig) -> None:
    integers = quantize(circuit, config)
    bounds = extra_bits(circuit, integers)
    records = every_record(circuit)
    shares = np.exp(log_likelihood(circuit, records))
    possible = shares > 0
    extra = measured(circuit, integers, records[possible])
    assert extra.max() <= bounds.worst + 1e-9
    assert (shares[possible] * extra).sum() <= bounds.typical + 1e-9
    assert np.log2(shares.max()) <= greatest_probability(circuit) + 1e-9


@settings(max_examples=150, deadline=None)
@given(circuit=float_circuits(max_variables=5, max_states=4, max_symbols=4), config=configs())
def test_the_bounds_hold_for_every_record(circuit: Circuit, config: QuantizationConfig) -> None:
    assert_holds(circuit, config)


@settings(max_examples=25, deadline=None)
@given(circuit=unstructured_circuits(max_variables=5, max_states=3), config=configs())
def test_circuits_without_a_tree_have_bounds_too(circuit: Circuit, config: QuantizationConfig) -> None:
    if len(every_record(circuit)) <= 1024:
        assert_holds(circuit, config)


class TestWorst:
    def test_the_ratios_bound_smooth_circuits(self) -> None:
        circuit = chain(np.array([[0.99, 0.01], [0.02, 0.98]]), np.array([[0.9, 0.1], [0.2, 0.8]]), 4)
        integers = quantize(circuit, QuantizationConfig(16, 16, 16))
        bounds = extra_bits(circuit, integers)
        worst = float(measured(circuit, integers, every_record(circuit)).max())
        assert bounds.worst_from == "ratios" and worst <= bounds.worst < 1

    def test_a_weight_that_vanished_leaves_the_floor(self) -> None:
        leaves = InputLayer(0, np.array([[1.0, 0.0], [0.0, 1.0]]))
        circuit = Circuit((leaves, SumLayer((0,), np.array([[0.999, 0.001]]))))
        integers = quantize(circuit, QuantizationConfig(4, 8, 8, floor=2))
        bounds = extra_bits(circuit, integers)
        assert worst_ratio(circuit, integers) == math.inf
        assert bounds.worst_from == "floor"
        # Symbol 1 costs its floor, 23 bits, where the float circuit spends 10: the bound knows no records.
        assert measured(circuit, integers, np.array([[1]]))[0] == pytest.approx(23 + math.log2(0.001))
        assert bounds.worst == pytest.approx(23, abs=1e-4)

    def test_floors_of_others_count(self) -> None:
        # The counts are exact, so that only the floors of the other symbols cost the first one something.
        table = np.full((1, 200), 1 / 4096)
        table[0, 0] = 1 - 199 / 4096
        circuit = Circuit((InputLayer(0, table),))
        integers = quantize(circuit, QuantizationConfig(coder="small", floor=7))
        bounds = extra_bits(circuit, integers)
        assert worst_ratio(circuit, integers) == 0
        assert 0.02 < measured(circuit, integers, np.array([[0]]))[0] <= bounds.worst < 0.04

    def test_truncation_counts(self) -> None:
        table = np.array([[0.99, 0.01], [0.02, 0.98]])
        circuit = chain(table, np.array([[0.9, 0.1], [0.2, 0.8]]), 4)
        losses = []
        for bits in (8, 12, 16):
            integers = quantize(circuit, QuantizationConfig(16, 16, bits))
            bounds = extra_bits(circuit, integers)
            assert measured(circuit, integers, every_record(circuit)).max() <= bounds.worst
            losses.append(bounds.worst)
        assert losses[0] > losses[1] > losses[2]


def chain(table: NDArray[np.float64], weights: NDArray[np.float64], variables: int) -> Circuit:
    same = np.repeat(np.arange(len(table))[:, None], 2, axis=1)
    layers: list[Any] = [InputLayer(0, table)]
    for variable in range(1, variables):
        layers += [SumLayer((len(layers) - 1,), weights), InputLayer(variable, table)]
        layers.append(ProductLayer((len(layers) - 1, len(layers) - 2), same))
    layers.append(SumLayer((len(layers) - 1,), np.full((1, len(table)), 1 / len(table))))
    return Circuit(tuple(layers))


class TestTypical:
    def test_a_single_leaf_is_its_divergence(self) -> None:
        leaf = InputLayer(0, np.array([[0.3, 0.6, 0.1]]))
        circuit = Circuit((leaf,))
        integers = quantize(circuit, QuantizationConfig(leaf_bits=8))
        shares = symbol_shares(integers.layers[0], integers.widths)[0]  # type: ignore[arg-type]
        expected = float((leaf.table[0] * np.log2(leaf.table[0] / shares)).sum())
        assert mean_bits(circuit, integers) == pytest.approx(expected)
        assert mean_bits(circuit, integers, [np.array([[3.0, 6.0, 1.0]])]) == pytest.approx(expected)

    def test_flows_of_the_models_own_records_give_nearly_the_models_bound(self) -> None:
        circuit = make_circuit(11, 4, 3, 3, "hidden", 0.0)
        integers = quantize(circuit, QuantizationConfig(12, 12, 16))
        records = every_record(circuit)
        counts = np.round(np.exp(log_likelihood(circuit, records)) * 20000).astype(int)
        flows = expected_flows(circuit, np.repeat(records, counts, axis=0))
        data = extra_bits(circuit, integers, flows)
        assert data.flows == "data"
        assert data.parameters == pytest.approx(extra_bits(circuit, integers).parameters, rel=0.1)

    def test_merged_layers_and_sparse_sums_keep_their_flows(self) -> None:
        first, second = InputLayer(0, np.array([0.2, 0.7])), InputLayer(0, np.array([[0.5, 0.5], [0.9, 0.1]]))
        rows = SparseRows.from_dense(np.array([[0.25, 0.0, 0.25, 0.5]]))
        for weights in (rows, rows.toarray().astype(np.float64)):
            circuit = Circuit((first, second, SumLayer((1, 0), weights)))
            integers = quantize(circuit, QuantizationConfig(16, 16, 16))
            x = np.array([[0]] * 6 + [[1]] * 4)
            bound = extra_bits(circuit, integers, expected_flows(circuit, x))
            assert abs(bound.parameters) < 1e-3
            coarse = quantize(circuit, QuantizationConfig(2, 8, 16))
            mean = float(measured(circuit, coarse, x).mean())
            assert mean <= extra_bits(circuit, coarse, expected_flows(circuit, x)).typical

    @pytest.mark.parametrize("weight_bits", [8, 6, 5, 4, 3])
    def test_it_holds_on_digits(self, weight_bits: int) -> None:
        from pcedge.circuit import load_circuit

        circuit = load_circuit("digits")
        records = load_array("digits").reshape(-1, 64).astype(np.int64)
        flows = expected_flows(circuit, records)
        for state_bits in (16, 10):
            integers = quantize(circuit, QuantizationConfig(weight_bits, 12, state_bits))
            extra = measured(circuit, integers, records)
            bounds = extra_bits(circuit, integers), extra_bits(circuit, integers, flows)
            assert all(extra.mean() <= bound.typical and extra.max() <= bound.worst for bound in bounds)
            assert bounds[0].typical < 60  # of 126 bits a record: it says something

    def test_layers_too_large_for_pairs_hold_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rounding, "PAIRS", 1)
        for seed in range(40):
            assert_holds(make_circuit(seed, 4, 4, 4, "hidden", 0.25 * (seed % 2)), QuantizationConfig(3 + seed % 6, 8))
        # Weights of a half are exact: all that is lost is lost in the leaves.
        leaves = InputLayer(0, np.array([[0.3, 0.7], [0.61, 0.39]]))
        circuit = Circuit((leaves, SumLayer((0,), np.array([[0.5, 0.5]]))))
        integers = quantize(circuit, QuantizationConfig(leaf_bits=8))
        alone = [mean_bits(Circuit((InputLayer(0, row[None]),)), quantize(Circuit((InputLayer(0, row[None]),)),
                 QuantizationConfig(leaf_bits=8))) for row in leaves.table]  # fmt: skip
        assert mean_bits(circuit, integers) == pytest.approx(sum(alone) / 2)

    def test_fewer_bits_cost_more(self) -> None:
        circuit = make_circuit(5, 6, 4, 4, "hidden", 0.0)
        by_weight = [extra_bits(circuit, quantize(circuit, QuantizationConfig(w))).parameters for w in (12, 6, 3)]
        assert by_weight == sorted(by_weight)
        by_state = [
            extra_bits(circuit, quantize(circuit, QuantizationConfig(8, 12, a))).truncation for a in (16, 12, 8)
        ]
        assert by_state == sorted(by_state)


class TestErrors:
    def test_other_circuits_are_refused(self) -> None:
        circuit = make_circuit(7, 6, 3, 4, "hidden")
        message = r"^the integer circuit must be made of the float circuit, it has other variables or layers$"
        with pytest.raises(UsageError, match=message):
            extra_bits(make_circuit(8, 5, 3, 4, "hidden"), quantize(circuit))
        coins = Circuit((InputLayer(0, np.array([0.5, 0.9])), SumLayer((0,), np.array([[0.5, 0.5]]))))
        three = Circuit((InputLayer(0, np.array([0.5, 0.9, 0.1])), SumLayer((0,), np.full((1, 3), 1 / 3))))
        with pytest.raises(
            UsageError, match=r"^the integer circuit must be made of the float circuit, layer 0 differs$"
        ):
            counterparts(coins, quantize(three))

    def test_other_flows_are_refused(self) -> None:
        circuit = Circuit((InputLayer(0, np.array([0.5, 0.9])), SumLayer((0,), np.array([[0.5, 0.5]]))))
        integers = quantize(circuit)
        with pytest.raises(UsageError, match=r"^flows must have an entry for each of 2 layers, got 1$"):
            extra_bits(circuit, integers, [None])
        with pytest.raises(UsageError, match=r"^the flows of layer 0 must have shape \(2, 2\), got None$"):
            extra_bits(circuit, integers, [None, np.zeros((1, 2))])
        with pytest.raises(
            UsageError, match=r"^the flows must be those of at least one possible record, they are zero$"
        ):
            extra_bits(circuit, integers, [np.zeros((2, 2)), np.zeros((1, 2))])
        certain = Circuit((InputLayer(0, np.array([0.0, 0.9])), SumLayer((0,), np.array([[0.5, 0.5]]))))
        root = np.array([[1.0, 1.0]])
        with pytest.raises(UsageError, match=r"^the flows must pass possible parameters only, they do not$"):
            extra_bits(certain, quantize(certain), [np.array([[1.0, 1.0], [0.0, 1.0]]), root])
        for wrong in (np.nan, -1.0):
            with pytest.raises(
                UsageError, match=r"^the flows of layer 0 must be finite and not negative, they are not$"
            ):
                extra_bits(certain, quantize(certain), [np.array([[1.0, wrong], [0.0, 1.0]]), root])


class TestFiles:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        save_circuit(make_circuit(7, 6, 3, 4, "hidden"), tmp_path / "c.pcedge")
        assert run("quantize", tmp_path / "c.pcedge", "--out", tmp_path / "m.onnx").exit_code == 0
        return tmp_path

    def test_quantize_writes_and_info_prints_them(self, folder: Path) -> None:
        circuit = make_circuit(7, 6, 3, 4, "hidden")
        integers = read_onnx(folder / "m.onnx")
        assert read_notes(folder / "m.onnx") == bounds_notes(circuit, integers)
        held = json.loads(read_notes(folder / "m.onnx")["pcedge.extra_bits"])
        result = json.loads(run("info", folder / "m.onnx", "--json").stdout)
        assert result["extra_bits"] == held
        assert list(held) == ["worst", "worst_from", "typical", "flows", "parameters", "truncation", "coder"]
        assert set(result["needed"]) == {*result["signals"], "exponent"}
        text = run("info", folder / "m.onnx").stdout
        assert f"accumulator {result['needed']['accumulator']} of {result['signals']['accumulator']}" in text
        assert f"extra bits: at most {held['worst']:.4f} a record (by {held['worst_from']}), typically at most" in text

    def test_a_file_without_them_says_so(self, folder: Path) -> None:
        write_onnx(read_onnx(folder / "m.onnx"), folder / "plain.onnx")
        text = run("info", folder / "plain.onnx").stdout
        assert "extra bits: the file holds no bounds; --against FLOAT computes them" in text
        assert json.loads(run("info", folder / "plain.onnx", "--json").stdout)["extra_bits"] is None
        against = run("info", folder / "plain.onnx", "--against", folder / "c.pcedge", "--json")
        expected = extra_bits(make_circuit(7, 6, 3, 4, "hidden"), read_onnx(folder / "m.onnx"))
        assert json.loads(against.stdout)["extra_bits"]["typical"] == expected.typical
        assert "extra bits: the file holds no bounds" in run("info", "nltcs").stdout

    @pytest.mark.parametrize("note", ["{", "[]", "{}", '{"worst": 1}', "[" * 100000, "lost", "huge"])
    def test_a_note_of_others_is_left_alone(self, folder: Path, note: str) -> None:
        held = read_notes(folder / "m.onnx")["pcedge.extra_bits"]
        lost = held.replace('"floor"', "1").replace('"ratios"', "1")
        huge = json.dumps(json.loads(held) | {"worst": 10**400})
        text = {"lost": lost, "huge": huge}.get(note, note)
        assert ExtraBits.from_note(held) is not None and ExtraBits.from_note(text) is None
        write_onnx(read_onnx(folder / "m.onnx"), folder / "n.onnx", {"pcedge.extra_bits": text})
        result = run("info", folder / "n.onnx")
        assert result.exit_code == 0
        assert "extra bits: the file's note pcedge.extra_bits cannot be read; --against FLOAT" in result.stdout

    def test_against_is_refused_where_it_means_nothing(self, folder: Path) -> None:
        result = run("info", folder / "c.pcedge", "--against", folder / "c.pcedge")
        assert result.exit_code == 2 and "--against must go with an integer circuit (.onnx)" in result.stderr
        save_circuit(make_circuit(8, 5, 3, 4, "hidden"), folder / "other.pcedge")
        result = run("info", folder / "m.onnx", "--against", folder / "other.pcedge")
        assert result.exit_code == 2
        assert "pcedge: the integer circuit must be made of the float circuit" in result.stderr
        result = run("info", folder / "m.onnx", "--against", folder / "m.onnx")
        assert result.exit_code == 2 and "must be a float circuit (.pcedge)" in result.stderr
