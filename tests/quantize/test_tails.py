"""Tails: no record that the float circuit calls possible is impossible to the integers, and coding does not change."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.commands import as_json, run
from helpers.nightly import cases
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import TREES, configs, float_circuits, make_circuit, steep, unstructured_circuits

from pcedge import tails
from pcedge.arithmetic import log_of
from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit import Circuit, InputLayer, ProductLayer, SparseRows, SumLayer, log_likelihood, save_circuit
from pcedge.engines import ReferenceEngine
from pcedge.errors import CircuitError, UsageError
from pcedge.export import from_onnx, to_onnx
from pcedge.integer import IntegerCircuit, IntegerInput, IntegerSum
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.quantize.post_training import aligned_layers
from pcedge.quantize.tails import lost_rows
from pcedge.schedule.serialised import from_bytes, to_bytes
from pcedge.simulate.ort import OrtSession
from pcedge.verify import verify


def some_records(circuit: Circuit | IntegerCircuit, most: int = 600) -> IntArray:
    """List every record, with every symbol missing or not; of many some."""
    symbols = [range(-1, count) for count in circuit.cardinalities]
    if np.prod([len(one) for one in symbols], dtype=np.float64) <= most:
        return np.array(list(itertools.product(*symbols)), dtype=np.int64)
    rng = np.random.default_rng(0)
    return np.stack([rng.integers(-1, count, most) for count in circuit.cardinalities], axis=1)


def logs(circuit: IntegerCircuit, records: IntArray) -> FloatArray:
    return log_of(*ReferenceEngine(circuit).likelihood(records))


def check_guarantee(circuit: Circuit, config: QuantizationConfig) -> None:
    integers = quantize(circuit, replace(config, tails=True))
    sound, lost = lost_rows(aligned_layers(circuit.layers, integers.order), integers.layers)
    records = some_records(circuit)
    possible = np.isfinite(log_likelihood(circuit, records))
    if sound:
        assert np.isfinite(logs(integers, records)[possible]).all()
    exact = config.leaf_masters is None and not any(
        getattr(layer, "tails", None) is not None and isinstance(layer, IntegerInput) for layer in integers.layers
    )
    if exact:
        # Without tails of leaves what the float circuit calls impossible stays so.
        assert np.isneginf(logs(integers, records)[~possible]).all()
    # Only a row that has no room for its weights is in the way, or one that was not to keep them.
    roomy = config.small_weights != "round" and all(one.weight_bits <= config.weight_bits for one in lost)
    assert sound or not roomy


@settings(max_examples=300, deadline=None)
@given(
    circuit=float_circuits(max_variables=5, max_states=5, max_symbols=6), config=configs(),
    power=st.sampled_from((1, 4, 12)), small=st.sampled_from(("auto", "keep", "round")),
)  # fmt: skip
def test_possible_records_stay_possible(circuit: Circuit, config: QuantizationConfig, power: int, small: str) -> None:
    check_guarantee(steep(circuit, power), replace(config, small_weights=small))


@settings(max_examples=60, deadline=None)
@given(circuit=unstructured_circuits(max_variables=5, max_states=3), config=configs(), power=st.sampled_from((1, 12)))
def test_so_do_those_of_circuits_without_a_tree(circuit: Circuit, config: QuantizationConfig, power: int) -> None:
    check_guarantee(steep(circuit, power), config)


@settings(max_examples=40, deadline=None)
@given(circuit=float_circuits(max_variables=6, max_states=4, max_symbols=6, sharpness=0.0), config=configs())
def test_coding_does_not_change(circuit: Circuit, config: QuantizationConfig) -> None:
    circuit = steep(circuit, 9)
    plain, tailed = (quantize(circuit, replace(config, tails=tails)) for tails in (False, True))
    assert tailed.digest == plain.digest == plain.likelihood_digest != tailed.likelihood_digest
    records = some_records(circuit, 60)
    for one, two in zip(*(ReferenceEngine(model).intervals(records) for model in (plain, tailed)), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_tail_has_the_weight_of_what_was_rounded_to_zero() -> None:
    """One symbol of 2^-20: its count is 0, and its exponent 8, for a count of 1 is 2^-12."""
    leaf = InputLayer(0, np.array([[1 - 2.0**-20, 2.0**-20]]))
    model = quantize(Circuit((leaf,)))
    assert model.layers[0].tails.tolist() == [0, 8]  # type: ignore[union-attr]
    mantissa, exponent = ReferenceEngine(model).likelihood([[0], [1], [-1]])
    assert mantissa.tolist() == [32768] * 3 and exponent.tolist() == [-15, -35, -15]
    none = quantize(Circuit((leaf,)), QuantizationConfig(tails=False))
    assert ReferenceEngine(none).likelihood([[1]])[0].tolist() == [0]


def test_zeros_of_tables_stay_zeros_where_that_is_cheap() -> None:
    """A literal and a coin that is hardly ever 1: a count of 1 keeps it, and the literal stays impossible."""
    leaf = InputLayer(0, np.array([[1.0, 0.0], [1 - 1e-6, 1e-6]]))
    both, one = SumLayer((0,), np.array([[0.5, 0.5], [1.0, 0.0]])), SumLayer((1,), np.array([[0.0, 1.0]]))
    model = quantize(Circuit((leaf, both, one)))
    tables = model.layers[0]
    assert isinstance(tables, IntegerInput) and tables.tails is None
    assert tables.cumulative.tolist() == [[0, 4096, 4096], [0, 4095, 4096]]
    assert np.isneginf(logs(model, np.array([[1]]))).all()


def test_zeros_among_many_small_entries_become_tails() -> None:
    """To keep 200 entries of 10^-9 would cost 0.07 bits a symbol."""
    table = np.full((1, 256), 1e-9)
    table[0, :50] = 0
    table[0, 100:140] = 1
    model = quantize(Circuit((InputLayer(0, table / table.sum()),)))
    assert model.layers[0].tails is not None  # type: ignore[union-attr]
    assert np.diff(model.layers[0].cumulative)[0, 140:].max() == 0  # type: ignore[union-attr]
    assert np.isfinite(logs(model, np.arange(256)[:, None])).all()


def literals(count: int) -> Circuit:
    """Make a sum of products of literals: each child is the only way to its records."""
    leaves = [InputLayer(variable, np.array([[1.0, 0.0], [0.0, 1.0]])) for variable in range(9)]
    ways = np.array(list(itertools.product((0, 1), repeat=9)))[:count]
    weights = np.r_[1.0, np.full(count - 1, 1e-3 / count)]
    product = ProductLayer(tuple(range(9)), ways)
    return Circuit((*leaves, product, SumLayer((9,), (weights / weights.sum())[None])))


@pytest.mark.parametrize("count", [100, 300])
def test_a_dropped_weight_is_a_tail_where_a_record_needs_it(count: int) -> None:
    circuit = literals(count)
    model = quantize(circuit)
    assert isinstance(model.layers[-1], IntegerSum) and model.layers[-1].tails
    assert (model.layers[-1].weights[0, 1:] == 0).all()
    records = np.array(list(itertools.product((0, 1), repeat=9)))
    np.testing.assert_array_equal(np.isfinite(logs(model, records)), np.isfinite(log_likelihood(circuit, records)))
    plain = quantize(circuit, QuantizationConfig(tails=False))
    assert np.isfinite(logs(plain, records)).sum() == 1


def test_a_row_that_has_no_room_is_named() -> None:
    """Sparse rows of 300 children have no room in 2^8."""
    dense = literals(300)
    product, root = dense.layers[9:]
    assert isinstance(product, ProductLayer) and isinstance(root, SumLayer)
    rows = SparseRows.from_dense(np.concatenate([root.weights, np.zeros((1, 1))], axis=1))
    gather = np.concatenate([product.gather, product.gather[:1]])
    circuit = Circuit((*dense.layers[:9], ProductLayer(product.children, gather), SumLayer((9,), rows)))
    for bits, expected in ((8, [(10, 1, 9)]), (9, [])):
        model = quantize(circuit, QuantizationConfig(bits))
        sound, lost = lost_rows(aligned_layers(circuit.layers, model.order), model.layers)
        assert sound == (not expected) and [(one.layer, one.rows, one.weight_bits) for one in lost] == expected


def test_what_a_refinement_rounded_to_zero_stays_possible() -> None:
    table = np.array([[0.25, 0.75 - 1e-6, 1e-6]])
    trained, refined = (Circuit((InputLayer(0, rows),)) for rows in (table, np.array([[0.25, 0.75, 0.0]])))
    assert np.isneginf(logs(quantize(refined), np.array([[2]]))).all()
    assert np.isfinite(logs(quantize(refined, possible=trained), np.array([[2]]))).all()
    with pytest.raises(UsageError, match=r"^quantize must have a circuit of the same structure to say"):
        quantize(refined, possible=make_circuit(0, 3, 2, 3, "chain"))


@pytest.mark.parametrize(
    ("layer", "tails", "text"),
    [
        (IntegerInput(0, np.array([[0, 4096, 4096]]), np.array([0, 3])), False,
         "^layer 0 \\(input\\): no layer must have tails in a circuit without, this one has$"),
        (IntegerInput(0, np.array([[0, 4096, 4096]]), np.array([0, 16])), True,
         "^layer 0 \\(input\\): tails must be 2 int64 in 0..15, they are not$"),
        (IntegerInput(0, np.array([[0, 4096, 4096]]), np.array([0])), True, "tails must be 2 int64 in 0..15"),
        (IntegerInput(0, np.array([[0, 4096, 4096]])), 1, "^tails must be true or false, got 1$"),
    ],
)  # fmt: skip
def test_tails_that_are_none(layer: IntegerInput, tails: Any, text: str) -> None:
    with pytest.raises(CircuitError, match=text):
        IntegerCircuit((layer,), 8, 12, 16, 24, 48, 256, (0,), tails=tails)


def test_commands_say_what_tails_there_are(tmp_path: Path) -> None:
    save_circuit(steep(make_circuit(10, 5, 1, 6, "chain"), 4), tmp_path / "c.pcedge")
    x = np.random.default_rng(0).integers(0, 2, (40, 5)).astype(np.uint8)
    np.save(tmp_path / "x.npy", x)
    circuit, model, data = tmp_path / "c.pcedge", tmp_path / "m.onnx", tmp_path / "x.npy"
    said = as_json("quantize", circuit, "--leaf-bits", 8, "--out", model)
    assert said["tails"]["possible_kept"] and said["tails"]["lost_rows"] == [] and said["tails"]["input_layers"] > 0
    kinds = {key: said["tails"][key] for key in ("input_layers", "sum_layers")}
    assert as_json("info", model)["tails"] == kinds
    assert as_json("loglik", model, data)["impossible"] == 0
    assert "tails" not in as_json("evaluate", circuit, model, "--data", data, "--queries", 5)
    text = run("evaluate", circuit, model, "--data", data, "--queries", 5).output
    assert "every record that the float circuit calls possible has a likelihood above 0" in text
    assert "every record that the float circuit calls possible" in run("quantize", circuit, "--out", model).output
    said = as_json("quantize", circuit, "--leaf-bits", 8, "--no-tails", "--out", model)
    assert said["tails"] is None and as_json("info", model)["tails"] is None
    assert as_json("loglik", model, data)["impossible"] > 0


@pytest.mark.csim
@pytest.mark.parametrize("seed", cases([391], [391, 398]))
def test_every_implementation_gives_the_same_integers(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tails of leaves and of a sum, sums, products and aligned entries that are only possible, missing symbols."""
    sharpness = (0.0, 0.25)[seed % 2]
    drawn = make_circuit(seed, 3 + seed % 4, 3 + seed % 3, 3 + seed % 4, TREES[seed % len(TREES)], sharpness)
    circuit = steep(drawn, 12 if seed % 3 else 5)
    model = quantize(circuit, QuantizationConfig(2 + seed % 7, 8 + seed % 4, 8 + seed % 9))
    kinds = {layer.shape.kind for index, layer in enumerate(model.layers) if model.has_tails(index)}
    assert kinds == ({"input", "sum"} if seed == 391 else {"input"})
    records = some_records(model, 150)
    seen: set[str] = set()
    for name in ("multiply", "mix"):
        function = getattr(tails, name)

        def watched(*operands: Any, name: str = name, function: Any = function) -> IntArray:
            found: IntArray = function(*operands)
            seen.update({name} if (found == 1).any() else ())
            return found

        monkeypatch.setattr(tails, name, watched)
    mantissas = ReferenceEngine(model).likelihood(records)[0]
    assert seen == {"multiply", "mix"}
    report = verify(model, records, ["ort", "csim", "engine", "unrolled"])
    assert not report.mismatches
    for version in ("2", "3"):
        read = from_onnx(to_onnx(model, version=version))
        assert (read.digest, read.likelihood_digest) == (model.digest, model.likelihood_digest)
    found = OrtSession(to_onnx(model, version="3"), quick=True).run(records)
    np.testing.assert_array_equal(found["mantissa"], mantissas)
    assert from_bytes(to_bytes(model)).circuit.likelihood_digest == model.likelihood_digest
