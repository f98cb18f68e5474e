"""Bytes of wider numbers are noticed, bytes that are none are left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.commands import run

from pcedge.data import load_array
from pcedge.data.widths import wider_numbers


def walk(channels: int) -> np.ndarray:
    return np.cumsum(np.random.default_rng(0).integers(-9, 10, (8000, channels)), axis=0)


@pytest.mark.parametrize("channels", [1, 2, 3, 14])
@pytest.mark.parametrize("dtype", ["<i2", ">i2", "<i4", ">i4"])
@pytest.mark.parametrize("rows", [True, False])
def test_samples_of_a_converter(channels: int, dtype: str, rows: bool) -> None:
    data = walk(channels).astype(dtype).view(np.uint8)
    found = wider_numbers(data if rows else data.reshape(-1, 1))
    name = dtype if dtype[0] == ">" else f"int{8 * int(dtype[-1])}"
    assert found == (name if channels == 1 else f"{name} --shape {channels}")


def test_records_with_fields() -> None:
    x = np.zeros(4000, dtype=[("x", "<i4"), ("y", "<i4"), ("i", "<u2"), ("flags", "u1", 9), ("t", "<f8")])
    dice = np.random.default_rng(0)
    x["x"], x["y"], x["i"], x["t"] = walk(1)[:4000, 0], dice.integers(0, 9999, 4000), dice.integers(0, 500, 4000), 1.5
    assert wider_numbers(x.view(np.uint8).reshape(-1, 1)) == "27 bytes"


def test_bytes_that_are_none_of_wider_numbers() -> None:
    dice = np.random.default_rng(0)
    text = np.frombuffer(Path(__file__).read_bytes(), np.uint8)
    slope = (np.add.outer(np.arange(100), np.arange(100)) + dice.integers(0, 5, (9, 100, 100))).astype(np.uint8)
    noise = dice.integers(0, 256, (5000, 1)).astype(np.uint8)
    sound = (128 + 50 * np.sin(np.arange(20_000) / 9)).astype(np.uint8).reshape(-1, 2)
    for data in (load_array("digits"), text[:, None], slope, slope[..., None].repeat(3, 3), noise, sound, noise[:9],
                 np.zeros((5000, 1), np.uint8), (noise > 128).astype(np.uint8)):  # fmt: skip
        assert wider_numbers(data) is None
    assert wider_numbers(walk(1)) is None


def test_training_warns(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "x.dat").write_bytes(walk(1)[:2000].astype("<i2").tobytes())
    words = ("train", "--data", tmp_path / "x.dat", "--dtype", "uint8", "--iterations", 1, "--out", tmp_path / "c")
    done = run(*words)
    assert done.exit_code == 0
    assert (
        f"pcedge: warning: {tmp_path / 'x.dat'}: the bytes look like those of int16 numbers; --dtype int16 reads raw "
        "binary so, .view('int16') an array"
    ) in done.stderr
