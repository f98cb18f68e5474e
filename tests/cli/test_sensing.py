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
    arguments = ("train", "--data", folder / "x.npy", "--size-kbit", 120, "--out", folder / "d.pcedge", "--json")
    told = run(*arguments)
    assert "choosing a predictor stage on 900 rows of 2 numbers" in told.stderr and "neighbours: " in told.stderr
    result = json.loads(told.stdout)
    assert result["structure"] == "predictor" and result["circuit_bytes"] <= 15_000
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
        (("evaluate", "c.pcedge", "m.onnx", "--data", "test.npy"), 2, "loglik and encode measure"),
    ],
)
def test_wrong_use(folder: Path, arguments: tuple[str, ...], status: int, text: str) -> None:
    files = {"x.npy", "c.pcedge", "m.onnx", "test.npy", "y"}
    result = run(*(folder / a if a in files else a for a in arguments))
    assert result.exit_code == status and text in result.stderr
