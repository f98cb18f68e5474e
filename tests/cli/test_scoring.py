"""The commands that score records and draw some, by every engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import as_json, run
from helpers.engine_contract import CIRCUITS, any_records
from helpers.predictors import circuit_of, random_predictor
from helpers.series import series_circuit
from numpy.testing import assert_array_equal

from pcedge import arithmetic
from pcedge.arithmetic import SCORE_IMPOSSIBLE
from pcedge.circuit import Circuit, InputLayer, save_circuit
from pcedge.data.columns import Columns
from pcedge.data.maps import numbers_of
from pcedge.data.predictor import CELLS, Group, Predictor
from pcedge.engines import ReferenceEngine
from pcedge.errors import DataError
from pcedge.evaluate.samples import sample_data
from pcedge.evaluate.scores import record_scores, record_shares, row_scores, row_shares
from pcedge.export import write_onnx
from pcedge.export.project.prediction import draw_rows
from pcedge.integer import IntegerCircuit
from pcedge.native import open_engine
from pcedge.quantize import QuantizationConfig, quantize

ENGINES = ("auto", "native", "numpy")


def shares_by_hand(circuit: IntegerCircuit, records: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """State the rule of docs/unrolled.md once more, record by record, in Python's integers."""
    engine = ReferenceEngine(circuit)

    def score(record: list[int]) -> int:
        return int(arithmetic.score(*engine.likelihood([record]), circuit.state_bits)[0])

    out = []
    for record in records.tolist():
        row = []
        for variable in range(len(record)):
            whole, without = score(record), score([*record[:variable], -1, *record[variable + 1 :]])
            if without == 2**32 - 1:
                row.append(0)
            else:
                row.append(2**32 - 1 if whole == 2**32 - 1 else whole - without)
        out.append(row)
    return np.array(out)


@pytest.mark.parametrize("kind", CIRCUITS)
def test_shares_are_the_rule(kind: str) -> None:
    circuit = CIRCUITS[kind]
    records = np.concatenate([ReferenceEngine(circuit).sample(6, seed=3), any_records(circuit, 6)])
    records[3, 1] = -1
    expected = shares_by_hand(circuit, records)
    for name in ENGINES:
        engine = open_engine(circuit, name, threads=2)
        shares = record_shares(engine, records)
        assert_array_equal(shares, expected)
        assert shares[3, 1] == 0
        assert_array_equal(record_scores(engine, records), arithmetic.score(*engine.likelihood(records), 16 if kind
                           != "sharp and narrow" else 8))  # fmt: skip


def test_a_variable_that_makes_a_record_impossible() -> None:
    two = Circuit((InputLayer(0, np.array([[1.0, 0.0]])),))
    engine = open_engine(quantize(two), "numpy")
    assert record_shares(engine, [[1], [0], [-1]]).tolist() == [[SCORE_IMPOSSIBLE], [0], [0]]
    assert record_scores(engine, [[1], [0]]).tolist() == [SCORE_IMPOSSIBLE, 0]
    chain = next(circuit for kind, circuit in CIRCUITS.items() if kind == "sharp")
    records = any_records(chain, 300)
    scores = record_scores(open_engine(chain, "numpy"), records)
    shares = record_shares(open_engine(chain, "numpy"), records)
    impossible = scores == SCORE_IMPOSSIBLE
    assert set(np.unique(shares[impossible])) <= {0, SCORE_IMPOSSIBLE}


def test_score_of_records(tmp_path: Path) -> None:
    circuit = CIRCUITS["hidden"]
    records = any_records(circuit, 80)
    write_onnx(circuit, tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", np.where(np.arange(6) == 2, 255, records).astype(np.uint8))
    written = set()
    for name in ENGINES:
        words = "score", tmp_path / "m.onnx", tmp_path / "x.npy", "--missing", 255, "--engine", name, "--threads", 2
        result = as_json(*words, "--out", tmp_path / "s.npy")
        scores = np.load(tmp_path / "s.npy")
        assert scores.dtype == np.int64 and scores.shape == (80,)
        shares = as_json(*words, "--per-variable", "--out", tmp_path / "v.npy")
        assert np.load(tmp_path / "v.npy").shape == (80, 6) and not np.load(tmp_path / "v.npy")[:, 2].any()
        assert result == {
            "records": 80, "fraction_bits": 8, "mean": scores.mean(), "least": scores.min(), "greatest": scores.max(),
            "greatest_record": scores.argmax(), "impossible": 0, "missing_symbols": 80,
        }  # fmt: skip
        assert shares == result | {
            "variables": 6, "mean_shares": np.load(tmp_path / "v.npy").mean(axis=0).tolist(),
            "impossible_by_variable": [0] * 6,
        }  # fmt: skip
        written.add((tmp_path / "s.npy").read_bytes() + (tmp_path / "v.npy").read_bytes())
        said = run(*words, "--per-variable").stdout
        assert f"greatest {scores.max()}, record {scores.argmax()}" in said and "mean shares of 6 variables" in said
    assert len(written) == 1
    # The score is that of the likelihood.
    nats = as_json("loglik", tmp_path / "m.onnx", tmp_path / "x.npy", "--missing", 255)["mean_nats"]
    assert -nats / np.log(2) == pytest.approx(result["mean"] / 256, abs=0.01)


def test_impossible_records_are_in_no_mean(tmp_path: Path) -> None:
    circuit = quantize(Circuit((InputLayer(0, np.array([[0.5, 0.5, 0.0]])),)))
    write_onnx(circuit, tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", np.array([[0], [2], [1]], dtype=np.uint8))
    words = "score", tmp_path / "m.onnx", tmp_path / "x.npy"
    result = as_json(*words, "--per-variable")
    assert (result["impossible"], result["greatest"], result["mean"]) == (1, 2**32 - 1, result["mean_shares"][0])
    assert result["impossible_by_variable"] == [1]
    assert "1 of 3 records are impossible" in run(*words).stdout
    np.save(tmp_path / "x.npy", np.array([[2]], dtype=np.uint8))
    result = as_json(*words, "--per-variable")
    assert result["mean"] is None and result["mean_shares"] is None
    assert "no record is possible" in run(*words, "--per-variable").stdout


def test_score_of_rows_with_a_predictor_stage(tmp_path: Path) -> None:
    stage = random_predictor(0)
    circuit = circuit_of(stage)
    x = draw_rows(stage, 40)
    write_onnx(circuit, tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", x)
    classes, tokens, raw = numbers_of(stage, x)
    table = shares_by_hand(circuit, np.argwhere(np.ones(circuit.cardinalities)))[:, 1].reshape(circuit.cardinalities)
    expected = table[classes, tokens] + 256 * raw
    for name in ENGINES:
        words = "score", tmp_path / "m.onnx", tmp_path / "x.npy", "--engine", name
        result = as_json(*words, "--per-variable", "--out", tmp_path / "v.npy")
        assert_array_equal(np.load(tmp_path / "v.npy"), expected)
        as_json(*words, "--out", tmp_path / "s.npy")
        assert_array_equal(np.load(tmp_path / "s.npy"), expected.sum(axis=1))
        assert result["records"] == 40 and result["variables"] == stage.columns
    nats = [as_json("loglik", *words[1:3], "--engine", name)["mean_nats"] for name in ENGINES]
    assert len(set(nats)) == 1
    assert -nats[0] / np.log(2) == pytest.approx(result["mean"] / 256, abs=0.02 * stage.columns)
    sums = row_scores(np.array([[5, -9], [2**32 - 1, 3], [2**32 - 2, 7]]))
    assert sums.tolist() == [0, 2**32 - 1, 2**32 - 2]
    assert not row_shares(open_engine(circuit), x, missing=int(x.flat[0])).flat[0]


def test_engines_of_loglik(tmp_path: Path) -> None:
    circuit = CIRCUITS["sharp"]
    write_onnx(circuit, tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", any_records(circuit, 200))
    written = set()
    for name in ENGINES:
        words = "loglik", tmp_path / "m.onnx", tmp_path / "x.npy", "--engine", name, "--threads", 3
        as_json(*words, "--out", tmp_path / "l.npy")
        written.add((tmp_path / "l.npy").read_bytes())
    assert len(written) == 1
    save_circuit(Circuit((InputLayer(0, np.array([[0.5, 0.5]])),)), tmp_path / "c.pcedge")
    np.save(tmp_path / "x.npy", np.zeros((1, 1), dtype=np.uint8))
    for option in (("--engine", "numpy"), ("--threads", "2")):
        result = run("loglik", tmp_path / "c.pcedge", tmp_path / "x.npy", *option)
        assert result.exit_code == 2 and f"{option[0]} must go with an integer circuit" in result.output


def test_samples_of_every_engine(tmp_path: Path) -> None:
    circuit = CIRCUITS["balanced"]
    write_onnx(circuit, tmp_path / "m.onnx")
    for name in ENGINES:
        words = "sample", tmp_path / "m.onnx", "--count", 90, "--seed", 5, "--out", tmp_path / f"{name}.npy"
        result = as_json(*words, "--engine", name, "--threads", 2)
        assert result == {
            "out": str(tmp_path / f"{name}.npy"), "records": 90, "seed": 5, "shape": [90, 6], "dtype": "uint8",
        }  # fmt: skip
    assert len({(tmp_path / f"{name}.npy").read_bytes() for name in ENGINES}) == 1
    assert_array_equal(np.load(tmp_path / "auto.npy"), ReferenceEngine(circuit).sample(90, 5))
    none = as_json("sample", tmp_path / "m.onnx", "--count", 0, "--out", tmp_path / "none.npy")
    assert none["shape"] == [0, 6]
    # What was drawn is what the other commands take.
    as_json("encode", tmp_path / "m.onnx", tmp_path / "auto.npy", tmp_path / "x.pce")
    as_json("sample", tmp_path / "m.onnx", "--count", 90, "--seed", 5, "--out", tmp_path / "x.csv")
    assert_array_equal(np.loadtxt(tmp_path / "x.csv", delimiter=",", dtype=np.uint8), np.load(tmp_path / "auto.npy"))
    wrong = run("sample", tmp_path / "m.onnx", "--count", 1, "--out", tmp_path / "x.wav")
    assert wrong.exit_code == 2 and "it must end in .npy, .csv, .tsv or in what says nothing, got x.wav" in wrong.output
    assert run("sample", tmp_path / "m.onnx", "--count", -1, "--out", tmp_path / "x.npy").exit_code == 2


def test_samples_are_data_of_the_symbolizer(tmp_path: Path) -> None:
    circuit = quantize(series_circuit("difference=0,zigzag,planes=8+8", (3,)), QuantizationConfig(leaf_bits=12))
    assert circuit.symbolizer is not None
    write_onnx(circuit, tmp_path / "m.onnx")
    result = as_json("sample", tmp_path / "m.onnx", "--count", 20, "--out", tmp_path / "x.npy")
    assert (result["dtype"], result["shape"]) == ("int16", [20, 3])
    x = np.load(tmp_path / "x.npy")
    assert_array_equal(circuit.symbolizer.apply(x), ReferenceEngine(circuit).sample(20))


def test_samples_that_no_data_give_are_refused(tmp_path: Path) -> None:
    # 21 values in two planes of 5 bits together: some symbols are those of no value.
    circuit = quantize(series_circuit("range=0..20,planes=2+4", (2,)))
    with pytest.raises(DataError, match="must have a symbolizer that maps data to any records, this one has none"):
        sample_data(open_engine(circuit), 500)
    stage = random_predictor(0)
    write_onnx(circuit_of(stage), tmp_path / "m.onnx")
    words = "sample", tmp_path / "m.onnx", "--count", 3, "--out", tmp_path / "x.npy"
    assert as_json(*words, status=2)["message"].startswith("sample must have a circuit whose records are data by them")
    assert not (tmp_path / "x.npy").exists()


def test_shares_are_in_the_order_of_the_data(tmp_path: Path) -> None:
    x = np.zeros(40, dtype=[("a", "<i2"), ("b", "<i2"), ("c", "<i2")])
    for number, name in enumerate("abc"):
        x[name] = 7 * number + np.arange(40) % (2 + number)
    x["b"][20] = 900
    source = replace(Columns.of(x), order=(2, 0, 1))
    groups = tuple(Group(low, high, 0, (1 << 16,)) for low, high in source.ranges)
    stage = Predictor(CELLS, (3,), groups, (0, 1, 2), ((1, 0),), None, (), (), ((0, 0),), 4, 24, (), source)
    write_onnx(circuit_of(stage), tmp_path / "m.onnx")
    np.savetxt(tmp_path / "x.csv", x, "%d", ",", header="a,b,c", comments="")
    words = ("score", tmp_path / "m.onnx", tmp_path / "x.csv", "--per-variable")
    result = as_json(*words, "--out", tmp_path / "v.npy")
    shares = np.load(tmp_path / "v.npy")
    assert result["columns"] == ["a", "b", "c"]
    assert np.argmax(shares[20]) == np.argmax(result["mean_shares"]) == 1
    assert result["greatest_record"] in (20, 21)
    assert " b " in run(*words).stdout


def test_a_rate_is_held_by_the_stage_too(tmp_path: Path) -> None:
    write_onnx(circuit_of(random_predictor(3)), tmp_path / "m.onnx")
    passes = as_json("estimate", tmp_path / "m.onnx")["stage"]["passes"]
    result = run("estimate", tmp_path / "m.onnx", "--rate", 1e9)
    assert result.exit_code == 1
    assert f"predictor stage alone takes {passes}" in result.stdout
