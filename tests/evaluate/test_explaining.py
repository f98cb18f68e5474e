"""Shares of records by every engine: integers that multiply to the code, sums, and planted anomalies that are found."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from helpers.engine_contract import CIRCUITS, any_records
from helpers.predictors import STAGE, circuit_of
from helpers.series import series, series_circuit
from numpy.testing import assert_allclose, assert_array_equal

import pcedge
from pcedge.arithmetic import SCORE_IMPOSSIBLE, log_of
from pcedge.arrays import IntArray
from pcedge.circuit import Circuit, InputLayer, ProductLayer, SumLayer, log_likelihood, save_circuit
from pcedge.codec import encode
from pcedge.data.axis import Axis
from pcedge.data.maps import numbers_of, symbols_of
from pcedge.data.value_grid import ValueGrid
from pcedge.engines import ReferenceEngine
from pcedge.errors import UsageError
from pcedge.evaluate.explaining import explain_records, explain_rows, interval_widths
from pcedge.evaluate.numbers import row_log_likelihood, token_logs
from pcedge.evaluate.scores import record_shares
from pcedge.export import write_project
from pcedge.export.project.prediction import draw_rows
from pcedge.integer import IntegerCircuit
from pcedge.learn.classes import Mixture, to_circuit
from pcedge.native import open_engine
from pcedge.quantize import quantize
from pcedge.simulate.csim import Csim
from pcedge.simulate.ort import OrtSession

ENGINES = ("native", "numpy")


def records_of(circuit: IntegerCircuit) -> IntArray:
    records = np.concatenate([ReferenceEngine(circuit).sample(20, seed=2), any_records(circuit, 20)])
    records[np.random.default_rng(9).random(records.shape) < 0.15] = -1
    return records


@pytest.mark.parametrize("kind", CIRCUITS)
def test_every_engine_gives_the_same(kind: str) -> None:
    circuit = CIRCUITS[kind]
    records = records_of(circuit)
    lo, hi = ReferenceEngine(circuit).intervals(records)
    for name in ENGINES:
        engine = open_engine(circuit, name)
        found = explain_records(engine, records, range(len(records)))
        assert found.widths is not None and found.given_others is not None
        assert found.order == circuit.order and found.scale_bits == circuit.scale_bits
        assert_array_equal(found.widths[:, list(circuit.order)], hi - lo)
        assert_array_equal(found.missing, records == -1)
        assert_array_equal(found.widths == 0, found.missing)
        expected = [[circuit.scale_bits - math.log2(w) if w else 0.0 for w in row] for row in found.widths.tolist()]
        assert_allclose(found.shares, expected, rtol=1e-14, atol=1e-14)
        # The integers are exact: the widths multiply to the code's probability, and their logarithm is the sum.
        for row, bits in zip(found.widths.tolist(), found.bits.tolist(), strict=True):
            product = math.prod(Fraction(width, 1 << circuit.scale_bits) for width in row if width)
            assert bits == pytest.approx(math.log2(product.denominator) - math.log2(product.numerator), abs=1e-9)
        drop = record_shares(engine, records)
        assert_array_equal(np.isinf(found.given_others), drop == SCORE_IMPOSSIBLE)
        possible = drop != SCORE_IMPOSSIBLE
        assert_array_equal(found.given_others[possible] * 256, drop[possible])
        assert_array_equal(found.likelihood_bits, -log_of(*engine.likelihood(records)) / math.log(2))


def test_widths_of_onnxruntime() -> None:
    circuit = CIRCUITS["hidden"]
    records = records_of(circuit)
    expected = interval_widths(ReferenceEngine(circuit), records)
    outputs = OrtSession(circuit, quick=True).run(records)
    widths = np.empty_like(expected)
    widths[:, list(circuit.order)] = outputs["hi"] - outputs["lo"]
    assert_array_equal(widths, expected)


@pytest.mark.csim
def test_widths_of_csim(tmp_path: Path) -> None:
    circuit = CIRCUITS["hidden"]
    records = np.concatenate([ReferenceEngine(circuit).sample(20, seed=2), any_records(circuit, 20)])
    lo, hi = Csim(write_project(circuit, tmp_path / "p")).intervals(records)
    expected = interval_widths(ReferenceEngine(circuit), records)
    assert_array_equal(hi - lo, expected[:, list(circuit.order)])


def test_bits_are_what_a_stream_spends() -> None:
    circuit = CIRCUITS["balanced"]
    records = ReferenceEngine(circuit).sample(4000, seed=1)
    found = explain_records(open_engine(circuit), records, range(len(records)), others=False)
    assert found.given_others is None
    payload = len(encode(open_engine(circuit), records, 1))
    assert 0 < 8 * payload - found.bits.sum() < 8 * 80  # header, lengths, checksums and one flush


def copies() -> Circuit:
    """Make six variables that all tell the same of four states, but for one value in 25."""
    table = np.full((4, 4), 0.04 / 3) + np.eye(4) * (0.96 - 0.04 / 3)
    leaves = tuple(InputLayer(variable, table) for variable in range(6))
    gather = np.repeat(np.arange(4)[:, None], 6, axis=1)
    return Circuit((*leaves, ProductLayer(tuple(range(6)), gather), SumLayer((6,), np.full((1, 4), 0.25))))


def test_planted_anomalies_are_found() -> None:
    x = np.repeat(np.arange(4), 6).reshape(4, 6)[np.random.default_rng(1).integers(0, 4, 600)]
    generator = np.random.default_rng(0)
    records, wrong = generator.choice(600, 30, replace=False), generator.integers(0, 6, 30)
    x[records, wrong] = (x[records, wrong] + 2) % 4
    for model in (copies(), quantize(copies())):
        found = pcedge.explain(model, x, top=30)
        assert sorted(found.records.tolist()) == sorted(records.tolist())
        assert found.given_others is not None and found.order is not None
        planted = [
            dict(zip(records.tolist(), wrong.tolist(), strict=True))[record] for record in found.records.tolist()
        ]
        assert_array_equal(found.given_others.argmax(axis=1), planted)
        # A value that is wrong at first makes the right one after it surprising, and no other.
        first, second = found.order[:2]
        blamed = [second if variable == first else variable for variable in planted]
        assert_array_equal(found.shares.argmax(axis=1), blamed)


def test_a_wrong_record_is_the_first() -> None:
    x = pcedge.load_array("digits").reshape(360, -1).copy()
    margin = [0, 8, 16, 24, 32, 40, 48, 56, 7, 39]  # empty in nearly every digit
    x[77, margin] = 16
    found = pcedge.explain("digits", x, top=2)
    assert found.given_others is not None and found.records[0] == 77
    assert set(np.argsort(-found.shares[0])[:5].tolist()) <= set(margin)
    # Each of several makes the likelihood 0: it is no variable's alone, and the shares still say which.
    assert found.likelihood_bits[0] == np.inf and not found.given_others[0].any()
    # The float circuit calls it possible.
    found = pcedge.explain(pcedge.load("digits"), x, top=2)
    assert found.given_others is not None and found.records[0] == 77 and found.bits[0] < np.inf
    for bits in (found.shares, found.given_others):
        assert set(np.argsort(-bits[0])[:5].tolist()) <= set(margin)


def test_top_are_those_of_most_bits_in_order() -> None:
    x = pcedge.load_array("digits").reshape(360, -1)
    x = np.concatenate([x, x])
    for model in (pcedge.load("digits"), "digits"):
        every = pcedge.explain(model, x, range(len(x)), others=False)
        top = pcedge.explain(model, x, top=7, others=False)
        order = sorted(range(len(x)), key=lambda record: (-round(every.bits[record], 9), record))
        assert top.records.tolist() == order[:7]
        if isinstance(model, str):  # integers
            assert_array_equal(top.shares, every.shares[order[:7]])
        else:  # a product of matrices rounds a record in a batch of 7 as it likes
            assert_allclose(top.shares, every.shares[order[:7]], rtol=1e-9, atol=1e-12)


def test_floats(tmp_path: Path) -> None:
    circuit = pcedge.load("digits")
    x = pcedge.load_array("digits").reshape(360, -1).astype(int)
    x[3, 20] = -1
    found = pcedge.explain(circuit, x, [3, 0, 3])
    assert found.records.tolist() == [3, 0, 3] and found.widths is found.scale_bits is None
    assert found.given_others is not None and found.missing[0, 20] and found.missing.sum() == 2
    assert found.shares[0, 20] == found.given_others[0, 20] == 0
    expected = -log_likelihood(circuit, x[[3, 0, 3]]) / math.log(2)
    assert_array_equal(found.likelihood_bits, expected)
    assert_allclose(found.bits, expected, rtol=1e-13)
    # The integers are near, and in the same order of variables.
    integers = pcedge.explain("digits", x, [3, 0, 3])
    assert integers.order == found.order
    assert np.abs(integers.shares - found.shares).max() < 0.5
    assert np.abs(integers.given_others - found.given_others).max() < 0.5  # type: ignore[operator]
    save_circuit(circuit, tmp_path / "c.pcedge")
    assert_array_equal(pcedge.explain(tmp_path / "c.pcedge", x, [3, 0, 3]).shares, found.shares)


def test_rows_with_a_predictor_stage() -> None:
    circuit = circuit_of(STAGE)
    x = draw_rows(STAGE, 50)
    classes, tokens, raw = numbers_of(STAGE, x)
    given = ReferenceEngine(circuit).with_given((0,))
    place = circuit.order.index(1)
    pairs = np.stack([classes.ravel(), tokens.ravel()], axis=1)
    lo, hi = given.intervals(pairs)
    for name in ENGINES:
        found = explain_rows(open_engine(circuit, name), x, range(50))
        assert found.widths is not None and found.raw_bits is not None and found.given_others is found.order is None
        assert_array_equal(found.widths, (hi - lo)[:, place].reshape(classes.shape))
        assert_array_equal(found.raw_bits, raw)
        assert_allclose(found.shares, circuit.scale_bits - np.log2(found.widths) + raw, rtol=1e-14)
        assert_array_equal(found.likelihood_bits, -row_log_likelihood(circuit, x) / math.log(2))
    mark = int(x[7, 1])
    gaps = x == mark
    some = pcedge.explain(circuit, x, range(50), missing=mark)
    assert_array_equal(some.missing, gaps)
    assert not some.shares[gaps].any() and not some.widths[gaps].any()  # type: ignore[index]
    top = pcedge.explain(circuit, x, top=3)
    assert top.records.tolist() == np.argsort(-found.bits, kind="stable")[:3].tolist()


def test_windows_and_grids() -> None:
    circuit = quantize(series_circuit())
    assert circuit.symbolizer is not None
    x = series(400)
    found = pcedge.explain(circuit, x, [5])
    symbols = symbols_of(circuit.symbolizer, x)
    assert_array_equal(found.shares, pcedge.explain(quantize(Circuit(series_circuit().layers)), symbols, [5]).shares)
    grid = ValueGrid((Axis("t", 0, "bins", (0.0, 0.5, 1.0)),))
    gridded = Circuit((InputLayer(0, [[0.25, 0.75]]),), grid=grid)
    for model in (gridded, quantize(gridded)):
        shares = pcedge.explain(model, [[0.2], [0.9], [np.nan]], range(3)).shares
        assert_allclose(shares.ravel(), [2, math.log2(4 / 3), 0], atol=1e-4)


def test_rows_of_a_float_circuit() -> None:
    generator = np.random.default_rng(0)
    leaves = generator.dirichlet(np.full(STAGE.cardinalities[1], 2.0), 2)
    circuit = to_circuit(Mixture(generator.dirichlet(np.ones(2), len(STAGE.classes)), leaves), STAGE)
    x = draw_rows(STAGE, 50)
    classes, tokens, raw = numbers_of(STAGE, x)
    found = pcedge.explain(circuit, x, range(50))
    assert found.widths is found.scale_bits is found.given_others is None and found.raw_bits is not None
    assert_array_equal(found.shares, -token_logs(circuit)[classes, tokens] / math.log(2) + raw)
    assert_allclose(found.bits, found.likelihood_bits, rtol=1e-12)
    integers = pcedge.explain(circuit_of(STAGE), x, range(50))
    assert np.abs(found.shares - integers.shares).max() < 1


def test_refusals() -> None:
    x = np.zeros((3, 64), dtype=np.uint8)
    with pytest.raises(UsageError, match=r"^the number of a record must be in 0\.\.2, got 3$"):
        pcedge.explain("digits", x, [0, 3])
    with pytest.raises(UsageError, match=r"^the number of a record must be in 0\.\.2, got -1$"):
        pcedge.explain("digits", x, [-1])
    with pytest.raises(UsageError, match=r"^top must be at least 1, got 0$"):
        pcedge.explain("digits", x, top=0)
