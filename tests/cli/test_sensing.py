"""Commands on data with a predictor stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.commands import as_json, run
from numpy.testing import assert_array_equal


def wave(rows: int) -> Any:
    generator = np.random.default_rng(0)
    x = 900 * np.sin(np.arange(rows) / 7)[:, None] + generator.normal(0, 5, (rows, 2))
    return np.round(x).astype(np.int16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sensor")
    np.save(path / "x.npy", wave(900))
    np.save(path / "test.npy", wave(1300)[900:])
    assert run("train", "--data", path / "x.npy", "--for-records", 10**5, "--out", path / "c.pcedge").exit_code == 0
    assert run("quantize", path / "c.pcedge", "--out", path / "m.onnx").exit_code == 0
    return path


def test_from_data_to_stream_and_back(folder: Path) -> None:
    result = as_json("encode", folder / "m.onnx", folder / "test.npy", folder / "x.pce")
    assert result["records"] == result["verified_records"] == 400 and result["bits_per_value"] < 6
    assert run("decode", folder / "m.onnx", folder / "x.pce", folder / "back.npy").exit_code == 0
    assert_array_equal(np.load(folder / "back.npy"), wave(1300)[900:])


def test_train_says_what_it_chose_and_what_it_is_worth(folder: Path) -> None:
    arguments = ("train", "--data", folder / "x.npy", "--size-kbit", 160, "--out", folder / "d.pcedge", "--json")
    told = run(*arguments)
    assert "choosing a predictor stage on 900 rows of 2 numbers" in told.stderr and "neighbours: " in told.stderr
    result = json.loads(told.stdout)
    assert result["structure"] == "predictor" and result["circuit_bytes"] <= 20_000
    assert result["break_even_bytes"] > 0 and result["valid_bits_per_value"] > 0


def test_wide_data_take_a_predictor_stage_by_default(folder: Path) -> None:
    told = run("train", "--data", folder / "x.npy", "--latents", 4, "--out", folder / "e.pcedge")
    assert told.exit_code == 0 and "structure: predictor" in told.stdout
    assert "--latents has no effect on data with a predictor stage" in told.stderr


def test_log_likelihoods_of_both_circuits(folder: Path) -> None:
    results = [as_json("loglik", folder / model, folder / "test.npy") for model in ("c.pcedge", "m.onnx")]
    assert results[0]["records"] == 400 and abs(results[0]["mean_nats"] - results[1]["mean_nats"]) < 0.05
    result = as_json("loglik", folder / "m.onnx", folder / "test.npy", "--missing", 0)
    assert result["missing_symbols"] == int((wave(1300)[900:] == 0).sum())


def test_info_describes_the_stage(folder: Path) -> None:
    assert as_json("info", folder / "m.onnx")["predictor"]["shape"] == [2]


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        (
            ("train", "--data", "x.npy", "--for-records", "5", "--init", "c.pcedge", "--out", "y"),
            2,
            "--for-records and",
        ),
        (("train", "--data", "x.npy", "--for-records", "0", "--out", "y"), 2, "0 is not in the range"),
    ],
)
def test_wrong_use(folder: Path, arguments: tuple[str, ...], status: int, text: str) -> None:
    files = {"x.npy", "c.pcedge", "m.onnx", "test.npy", "y"}
    result = run(*(folder / a if a in files else a for a in arguments))
    assert result.exit_code == status and text in result.stderr


def waves_in_files(folder: Path) -> dict[str, tuple[Path, list[Any]]]:
    """Write data of many kinds; give the options that `train` needs for each."""
    x = wave(700)
    gone = np.random.default_rng(1).random(x.shape) < 0.1
    points = np.zeros(700, dtype=[("x", "<i4"), ("volt", "<f8"), ("flag", "u1"), ("time", "<f8")])
    points["x"], points["volt"], points["flag"] = x[:, 0], x[:, 1] / 1000, x[:, 0] > 0
    points["time"] = np.cumsum(np.where(gone[:, 0], 0.3, 0.1)) + np.pi
    files = {
        "gaps.npy": (np.where(gone, -32768, x).astype(np.int16), ["--missing", -32768]),
        "nan.npy": (np.where(gone, np.nan, x / 100), []),
        "points.npy": (points, []),
        "steps.npy": ((16 * (x // 16)).astype(np.int16), []),
        "points.bin": (points, ["--columns", "x:int32,volt:float64,flag:uint8=0..1,time:float64:bits"]),
        "table.csv": (None, []),
        "holes.csv": (None, ["--missing", -1000]),
    }
    for name, (array, _) in files.items():
        if name == "points.bin":
            points.tofile(folder / name)
        elif array is not None:
            np.save(folder / name, array)
    rows = "".join(f"{a},{b / 100:.2f}\n" for a, b in x.tolist())
    (folder / "table.csv").write_text("first,second\n" + rows)
    rows = "".join(
        f"{'' if no else a},{'' if other else format(b / 100, '.2f')}\n"
        for (a, b), (no, other) in zip(x.tolist(), gone, strict=True)
    )
    (folder / "holes.csv").write_text("first,second\n" + rows)
    return {name: (folder / name, options) for name, (_, options) in files.items()}


@pytest.mark.parametrize(
    "name", ["gaps.npy", "nan.npy", "points.npy", "steps.npy", "points.bin", "table.csv", "holes.csv"]
)
def test_every_kind_of_data_from_file_to_file(name: str, tmp_path: Path) -> None:
    data, options = waves_in_files(tmp_path)[name]
    trained = as_json("train", "--data", data, *options, "--for-records", 5000, "--out", tmp_path / "c.pcedge")
    assert trained["structure"] == "predictor" and trained["valid_bits_per_value"] < 9
    assert run("quantize", tmp_path / "c.pcedge", "--out", tmp_path / "m.onnx").exit_code == 0
    model = tmp_path / "m.onnx"
    result = as_json("encode", model, data, tmp_path / "x.pce", "--verify", "all")
    assert result["records"] == result["verified_records"] == 700
    assert run("decode", model, tmp_path / "x.pce", tmp_path / "back").exit_code == 0
    assert (tmp_path / "back").read_bytes() == data.read_bytes()
    told = run("loglik", model, data, "--json")
    likely = json.loads(told.stdout)
    assert likely["impossible"] == 0
    mark = {"gaps.npy": -32768, "nan.npy": "nan", "holes.csv": -1000}.get(name)
    assert as_json("info", model)["predictor"].get("missing") == mark
    assert likely.get("missing_tokens", -1) == (-1 if mark is None else 131)
    sums_out = f"131 of 1400 numbers are missing, and count with the bits of their tokens; --missing {mark} sums them"
    assert (sums_out in told.stderr) == (mark is not None)
    # The stream is as long as the likelihood says, but for its header and a flush.
    bits = -likely["mean_nats"] * 700 / np.log(2)
    assert abs(8 * result["payload_bytes"] - bits) < 0.03 * bits + 200
    assert as_json("info", model)["predictor"]["columns"]
    stream = run("info", tmp_path / "x.pce").stdout
    if name == "points.npy":
        assert "dtype: records of 21 bytes, whose fields the circuit's columns give\n" in stream
        assert as_json("info", tmp_path / "x.pce")["dtype"] == "|V21"
    assert (f"source: {data.suffix[1:]}" in stream) == (name != "points.bin")
    if mark is not None:
        result = as_json("loglik", model, data, "--missing", mark)
        assert result["missing_symbols"] == 131 and result["missing_tokens"] == 0
        assert as_json("verify", model, "--data", data, "--rungs", "ort", "--records", 20)["mismatches"] == 0
    if name == "steps.npy":
        assert as_json("info", model)["predictor"]["columns"] == ["*:int16=-32768..32752 in steps of 16"]


def test_options_of_columns_that_do_not_fit(tmp_path: Path) -> None:
    data, _ = waves_in_files(tmp_path)["points.npy"]
    told = run("train", "--data", data, "--columns", "y:bits", "--out", tmp_path / "c.pcedge")
    assert (
        told.exit_code == 2 and "--columns must name columns of the data, x, volt, flag, time; got 'y'" in told.stderr
    )
    told = run(
        "train", "--data", data, "--columns", "x:auto", "--symbolizer", "range=0..9", "--out", tmp_path / "c.pcedge"
    )
    assert told.exit_code == 2 and "--columns must be given without --init and --symbolizer STEPS" in told.stderr
    odd = np.random.default_rng(0).random((300, 2))
    np.save(tmp_path / "odd.npy", odd)
    told = run("train", "--data", tmp_path / "odd.npy", "--out", tmp_path / "c.pcedge")
    assert told.exit_code == 1 and "floats must be integers or lie on a decimal grid" in told.stderr
    assert not (tmp_path / "c.pcedge").exists()


@pytest.mark.parametrize(
    ("array", "options", "text"),
    [
        (np.full((60, 2), np.nan), (), "the train split must hold a number, all are missing"),
        (np.full((60, 2), -9999, dtype=np.int16), ("--missing", -9999), "the train split must hold a number, all are"),
        (np.zeros((60, 0), dtype=np.int16), (), "records must have at least one number, got shape (60, 0)"),
        (np.ones((60, 2), dtype=complex), (), "data must hold integers, floats or records with fields, got complex128"),
        (np.zeros((60, 1), dtype="datetime64[D]"), (), "records with fields, got datetime64[D]"),
    ],
)
def test_data_that_no_circuit_can_code(array: Any, options: tuple[Any, ...], text: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", array)
    said = run("train", "--data", tmp_path / "x.npy", *options, "--for-records", 500, "--out", tmp_path / "c.pcedge")
    assert said.exit_code == 1 and text in " ".join(said.stderr.split()), said.output
    assert not (tmp_path / "c.pcedge").exists()


def test_both_figures_and_one_lane(folder: Path) -> None:
    """Scripts find bits a value and bits a variable wherever one of them is, and one is no plural."""
    trained = as_json("train", "--data", folder / "x.npy", "--size-kbit", 160, "--out", folder / "f.pcedge")
    assert trained["valid_bits_per_variable"] == trained["valid_bits_per_value"] > 0
    told = run("encode", folder / "m.onnx", folder / "test.npy", folder / "x.pce")
    assert "400 records, 1 lane, " in told.stdout
    words = ("evaluate", folder / "c.pcedge", folder / "m.onnx", "--data", folder / "test.npy", "--queries", 0)
    measured = as_json(*words)
    assert measured["bits_per_value"] == measured["bits_per_variable"]
    assert measured["bits_per_value"]["file"] == measured["file"]["bits_per_value"]
    result = run(*words)
    assert "as a file of 1 lane, " in " ".join(result.stdout.split())
    help_text = " ".join(run("encode", "--help").stdout.split())
    assert "[default: 64; of a circuit with a predictor stage one for every 32,768 numbers, at most 256]" in help_text
