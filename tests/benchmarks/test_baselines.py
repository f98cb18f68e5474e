"""The other codecs' figures: their arrays come back, predictors see nothing that is not coded yet."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

SHAPES = {"series": (40, 4), "image": (9, 8), "cube": (6, 5, 6)}


@pytest.fixture
def baselines(script: Callable[[str], Any]) -> Any:
    return script("baselines")


@pytest.mark.parametrize("kind", SHAPES)
def test_taps_see_only_what_came_before(baselines: Any, kind: str) -> None:
    shape = SHAPES[kind]
    rng = np.random.default_rng(1)
    train, test = rng.integers(0, 1000, (2, *shape))
    errors = baselines.residuals(train, test, kind).reshape(-1)
    for place in range(test.size):
        changed = test.reshape(-1).copy()
        changed[place] += 5000
        found = baselines.residuals(train, changed.reshape(shape), kind).reshape(-1)
        assert_array_equal(found[:place], errors[:place])
        assert found[place] == errors[place] + 5000


def test_what_is_linear_leaves_no_errors(baselines: Any) -> None:
    ramps = np.arange(60)[:, None] * [3, -20, 700]
    assert not baselines.residuals(ramps, ramps, "series")[10:].any()
    assert not baselines.residuals(ramps[:, 0], ramps[:, 0], "series")[10:].any()
    band = np.random.default_rng(6).integers(0, 999, (9, 8, 1))
    cube = np.concatenate([band, 2 * band + 7, 5 - band], axis=2)
    errors = baselines.residuals(cube, cube, "cube")
    assert errors[:, :, 0].any() and not errors[:, :, 1:].any()


def test_entropy(baselines: Any) -> None:
    x = np.stack([np.arange(64) % 4, np.zeros(64, int), np.arange(64)], axis=1)
    assert baselines.entropy(x) == 64 * (2 + 0 + 6) // 8


def test_a_common_factor_is_that_of_both_splits(baselines: Any) -> None:
    assert baselines.common_factor(np.array([[16, -32]], np.int16), np.array([[48], [8]], np.int16)) == 8
    assert baselines.common_factor(np.zeros(3, np.uint8), np.zeros(3, np.uint8)) == 1


def test_columns_of_structs_and_cubes(baselines: Any) -> None:
    x = np.zeros(5, dtype=[("a", "<i4"), ("b", "u1")])
    assert [column.dtype for column in baselines.columns(x)] == ["<i4", "u1"]
    cube = np.arange(24).reshape(2, 3, 4)
    assert_array_equal(baselines.columns(cube)[1], cube[:, :, 1].ravel())
    assert_array_equal(baselines.columns(np.arange(5))[0], np.arange(5))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "struct"])
def test_bytes_come_back(baselines: Any, dtype: str) -> None:
    kind = np.dtype([("x", "<i4"), ("t", "<f8"), ("c", "u1")]) if dtype == "struct" else np.dtype(dtype)
    x = np.frombuffer(np.random.default_rng(2).bytes(30 * 7 * 13 * 8), np.uint8)
    x = x[: len(x) // kind.itemsize * kind.itemsize].view(kind)[:210]
    if dtype == "struct":
        x = x.copy()
        x["t"] = np.arange(210) / 7
    else:
        x = x.reshape(30, 7)
    for library, measure in {
        "zstandard": lambda: baselines.zstd(x),
        "brotli": lambda: baselines.brotli(x),
        "pcodec": lambda: min(baselines.pcodec(x), baselines.pcodec_differences(x)),
    }.items():
        if importlib.util.find_spec(library) is not None:
            assert 0 < measure() < 2 * x.nbytes + 500


@pytest.mark.skipif(shutil.which("flac") is None, reason="needs flac")
@pytest.mark.parametrize(("dtype", "low", "high"), [("int16", -9, 9), ("uint16", 0, 65536), ("int32", -70_000, 70_000)])
def test_recordings_of_many_channels(baselines: Any, dtype: str, low: int, high: int) -> None:
    x = np.random.default_rng(3).integers(low, high, (600, 11)).astype(dtype)
    assert baselines.flac(x, (200, 400)) > baselines.flac(x, None) > 0


@pytest.mark.skipif(shutil.which("flac") is None, reason="needs flac")
def test_samples_too_wide_for_flac(baselines: Any) -> None:
    with pytest.raises(baselines.Missing, match="FLAC takes 24 bits, got 32"):
        baselines.flac(np.array([[1 << 23], [-1 << 23]]), None)


def test_images(baselines: Any) -> None:
    pytest.importorskip("imagecodecs")
    x = np.random.default_rng(4).integers(-500, 3000, (16, 20, 3)).astype(np.int16)
    assert 0 < baselines.jpeg_ls(x) < 2 * x.nbytes
    assert 0 < baselines.jpeg_xl(x) < 2 * x.nbytes


def test_points(baselines: Any) -> None:
    laspy = pytest.importorskip("laspy")
    pytest.importorskip("lazrs")
    x = np.zeros(50, laspy.PointFormat(3).dtype())
    x["X"], x["gps_time"] = np.arange(50), np.arange(50) / 3
    assert 0 < baselines.laz(x) < x.nbytes
