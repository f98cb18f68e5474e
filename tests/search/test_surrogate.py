"""The loss after a refinement, predicted: features by hand, the fit that is shipped, what it says of known circuits."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import as_json, run
from helpers.paths import ROOT
from strategies import make_circuit, make_unstructured

from pcedge.circuit import Circuit as Floats
from pcedge.circuit import InputLayer, SumLayer, load_circuit, save_circuit
from pcedge.circuit.rows import SparseRows
from pcedge.export import write_onnx
from pcedge.integer import IntegerCircuit, IntegerInput, IntegerSum
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.search.features import coarser, features, float_of, own_bits, shares_tables
from pcedge.search.surrogate import Part, Surrogate, kendall_tau, load_surrogate, predict_left_out, quality

DIGITS = load_circuit("digits")


def tiny(weights: list[int], tables: list[list[int]]) -> IntegerCircuit:
    """Make one sum, W 3, over leaves of one variable, L 8."""
    cumulative = np.cumsum([[0, *row] for row in tables], axis=1, dtype=np.int64)
    layers = IntegerInput(0, cumulative), IntegerSum((0,), np.array([weights], dtype=np.int64))
    return IntegerCircuit(layers, 3, 8, 16, 24, 48, 1, (0,))


def test_features_of_a_tiny_circuit() -> None:
    found = features(tiny([2, 6, 0], [[64, 192], [192, 64], [64, 192]]))
    # All weights are multiples of 2, so that W is 2: 1, 3 and 0 of 4. Leaves of two symbols share no tables.
    exact = {
        "weight_bits": 2.0, "leaf_bits": 8.0, "tables_a_leaf": 0.0, "states": 0.0, "weights_a_variable": math.log2(3),
        "symbols": 1.0,
    }  # fmt: skip
    assert {name: found[name] for name in exact} == pytest.approx(exact, abs=1e-12)
    # p(0) is 0.625. With W 1 the weights are 0 and 1 of 1, or 1 and 1 of 2: the shortest code takes the first.
    assert 2 ** found["entropy"] == pytest.approx(entropy(0.625), abs=0.02)
    share = 0.625 + 0.5 * (0.75 - 0.625)
    lost = entropy(0.625, share) - entropy(0.625)
    assert 2 ** found["coarser"] == pytest.approx(lost, rel=0.1)
    assert set(found) - set(exact) == {"entropy", "coarser"}


def entropy(share: float, coded: float | None = None) -> float:
    """Give the bits of a coin of one share that is coded as another."""
    coded = share if coded is None else coded
    return -share * math.log2(coded) - (1 - share) * math.log2(1 - coded)


def test_tables_that_leaves_share() -> None:
    tables = [[64, 64, 128], [128, 64, 64], [64, 64, 128], [64, 128, 64]]
    shared, own = (features(tiny([2, 2, 2, 2], some)) for some in (tables, [*tables[:2], [63, 65, 128], tables[3]]))
    assert shared["tables_a_leaf"] == math.log2(3 / 4) and own["tables_a_leaf"] == 0
    assert not shares_tables(shared) and shares_tables(shared | {"tables_a_leaf": -0.5})
    surrogate = load_surrogate()
    alone = surrogate.predict(own)
    assert alone == surrogate.rounding.bits(own) and surrogate.error_of(own) == surrogate.error
    few = own | {"tables_a_leaf": -5.0}
    assert (
        surrogate.predict(few) == alone + surrogate.sharing.bits(few) > surrogate.predict(own | {"tables_a_leaf": -3.0})
    )


def test_half_a_bit_coarser() -> None:
    # W 3 as 5 and 3 of 8 is, with W 2, 2 or 3 of 4; half the way.
    model = tiny([5, 3], [[64, 192], [192, 64]])
    moved = coarser(model, float_of(model)).layers[1]
    assert isinstance(moved, SumLayer)
    assert moved.weights.tolist() in ([[0.5625, 0.4375]], [[0.6875, 0.3125]])


def test_sparse_rows_get_coarser_too() -> None:
    made = [SparseRows(np.array([0, 1, 3]), np.array([1, 0, 1]), np.array(values), 2) for values in ([8, 2, 6],)]
    model = IntegerCircuit(
        (
            IntegerInput(0, np.array([[0, 64, 256], [0, 192, 256]])), IntegerSum((0,), made[0]),
            IntegerSum((1,), np.array([[4, 4]])),
        ),
        3, 8, 16, 24, 48, 1, (0,),
    )  # fmt: skip
    moved = coarser(model, float_of(model)).layers[1]
    assert isinstance(moved, SumLayer) and isinstance(moved.weights, SparseRows)
    # Both children stay, where the row has room for two.
    assert moved.weights.values.tolist() == [1.0, 0.375, 0.625]
    assert features(model)["weights_a_variable"] == math.log2(5)


def test_layers_of_their_own_width() -> None:
    sums = [index for index, layer in enumerate(DIGITS.layers) if isinstance(layer, SumLayer)]
    mixed = QuantizationConfig(weight_bits=6, layer_weight_bits=tuple((index, 3) for index in sums[:-1]))
    model = quantize(DIGITS, mixed)
    bits = [own_bits(np.asarray(one.weights), 6) for one in model.layers if isinstance(one, IntegerSum)]
    assert bits[:-1] == [3] * (len(sums) - 1) and bits[-1] > 3
    assert 3 <= features(model)["weight_bits"] < 3.1


def test_floats_of_integers_are_their_rows() -> None:
    model = quantize(DIGITS, QuantizationConfig(weight_bits=3))
    again = quantize(float_of(model), QuantizationConfig(weight_bits=3))
    for one, other in zip(model.layers, again.layers, strict=True):
        if isinstance(one, IntegerSum) and isinstance(other, IntegerSum):
            np.testing.assert_array_equal(one.weights, other.weights)


def test_few_bits_are_predicted_to_lose_more() -> None:
    surrogate = load_surrogate()
    for circuit in (DIGITS, make_circuit(5, 8, 4, 6, "hidden")):
        lost = [surrogate.predict(features(quantize(circuit, QuantizationConfig(bits)))) for bits in (2, 4, 8)]
        assert lost[0] > 2 * lost[1] > 4 * lost[2] > 0


def test_the_shipped_fit_is_that_of_the_measurements() -> None:
    measured = json.loads((ROOT / "benchmarks/surrogate.json").read_text(encoding="utf-8"))
    assert len(measured) >= 40 and len({one["family"] for one in measured}) >= 4
    flat = [_numbers(asdict(one)) for one in (load_surrogate(), Surrogate.of(measured))]
    assert flat[0].keys() == flat[1].keys()
    for name, value in flat[0].items():
        assert value == (pytest.approx(flat[1][name], abs=1e-9) if isinstance(value, float) else flat[1][name]), name


def _numbers(tree: object, where: str = "") -> dict[str, object]:
    """Lay out what a nested structure holds by its place."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, tuple | list) else None
    if pairs is None:
        return {where: tree}
    return {place: value for key, item in pairs for place, value in _numbers(item, f"{where}.{key}").items()}


def test_a_family_is_predicted_without_its_own_losses() -> None:
    base = {"entropy": 0.0, "states": 3.0, "tables_a_leaf": 0.0}
    rows = [base | {"weight_bits": float(bits), "coarser": -2.0 * bits} for bits in (2, 3, 4)]
    rows = [*rows, rows[0] | {"tables_a_leaf": -5.0}] * 3
    losses, groups = [0.4, 0.2, 0.1, 0.6] * 3, ["a"] * 4 + ["b"] * 4 + ["c"] * 4
    told = predict_left_out(rows, losses, groups)
    other = predict_left_out(rows, [9.0, 9.0, 9.0, 9.5, *losses[4:]], groups)
    np.testing.assert_array_equal(told[:4], other[:4])
    assert (told[4:] != other[4:]).all()


def test_quality_counts_pairs_and_the_middle_error() -> None:
    assert kendall_tau([1, 2, 2], [1, 2, 3]) == pytest.approx(2 / math.sqrt(6))
    # Losses of no more than the noise are equal.
    assert quality([0.001, 0.1, 0.0002, 0.0001], [0.003, 0.1, -0.001, 0.0001]) == pytest.approx((0.0006, 1.0))
    part = Part.of(["x"], [{"x": 1.0}] * 4, [-1.0] * 4)
    assert part.bits({"x": 1.0}) == pytest.approx(5e-4)


def test_the_command(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    write_onnx(quantize(DIGITS, QuantizationConfig(3)), path)
    found, surrogate = as_json("predict", path), load_surrogate()
    known = features(quantize(DIGITS, QuantizationConfig(3)))
    assert found["features"] == pytest.approx(known, abs=1e-12)
    assert found["predicted_bits_lost"] == pytest.approx(surrogate.predict(known), abs=1e-12)
    assert (found["error"], found["kendall_tau"]) == (surrogate.error, surrogate.kendall_tau)
    assert found["families"] == list(surrogate.families) and found["outside"] == []
    said = run("predict", path).stdout
    assert f"predicted loss after --refine em: {found['predicted_bits_lost']:.4f} bits a variable" in said
    assert (
        f"error: {surrogate.error:.4f} bits a variable, the median over circuits whose leaves have" in said
        and "outside" not in said
    )
    assert "noise of the records" not in said
    goal = "a tau below 0.8 orders circuits only roughly: refine those that are close, and measure them"
    assert (goal in said) == (surrogate.kendall_tau < 0.8)
    write_onnx(quantize(DIGITS, QuantizationConfig(11)), path)
    assert "weight_bits" in as_json("predict", path)["outside"]
    said = run("predict", path).stdout
    assert "outside of what was measured, so that the error may be larger: weight_bits" in said
    assert "losses below 0.0005 are noise of the records that circuits were measured on" in said


@pytest.mark.parametrize(
    "circuit, status, text",
    [
        (make_unstructured(1, 4, 2, 0.0), 1, "structured-decomposable"),
        (Floats((InputLayer(0, np.array([0.25])),)), 2, "a sum of two children or more, this one has none"),
        (replace(DIGITS), 2, "must be an integer circuit (.onnx), it is a float one: run pcedge quantize first"),
    ],
    ids=["unstructured", "no sums", "float"],
)
def test_circuits_that_it_cannot_judge(circuit: Floats, status: int, text: str, tmp_path: Path) -> None:
    path = tmp_path / "m"
    if circuit.cardinalities == DIGITS.cardinalities:
        save_circuit(circuit, path)
    else:
        write_onnx(quantize(circuit), path)
    found = as_json("predict", path, status=status)
    assert text in found["message"], found["message"]
