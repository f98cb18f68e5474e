"""The sets of benchmarks/telemetry.py: they load, and their symbolizers are exact on them."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import numpy as np
import pytest
from helpers.paths import ROOT
from numpy.testing import assert_array_equal

from pcedge.data import symbolize

FOLDER = ROOT / "benchmarks"
RECORDS = {
    "ecg": (650_000, 2),
    "shuttle": (49_097, 9),
    "shuttle-16": (49_097, 9),
    "m13": (300, 300),
    "econt": (3564, 48),
}


@pytest.fixture(scope="module")
def telemetry() -> Any:
    spec = importlib.util.spec_from_file_location("telemetry", FOLDER / "telemetry.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["telemetry"] = module
    sys.path.insert(0, str(FOLDER))
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(FOLDER))
        del sys.modules["telemetry"]


@pytest.mark.parametrize("name", RECORDS)
def test_sets_and_their_symbolizers(telemetry: Any, name: str) -> None:
    setting = telemetry.RUNS[name]
    try:
        splits = setting.load()
    except telemetry.Missing as reason:
        pytest.skip(str(reason))
    parts = [part for part in (splits.train, splits.valid, splits.test) if part is not None]
    assert (sum(len(part) for part in parts), *splits.train.shape[1:]) == RECORDS[name]
    symbolizer, mapped = symbolize(setting.symbolizer, splits)
    assert mapped.test is not None
    assert_array_equal(symbolizer.invert(mapped.test, len(splits.test)), splits.test)
    # The same transform is what *xz, symbols* compresses: bytes.
    assert max(symbolizer.cardinalities) <= 256


def test_xz_figures(telemetry: Any) -> None:
    x = np.cumsum(np.ones((500, 2), dtype=np.int16), axis=0, dtype=np.int16)
    assert telemetry.xz_difference_bits(x) < telemetry.xz_bits(x)
    assert telemetry.xz_bits(x.astype(">i2")) == telemetry.xz_bits(x)
    assert telemetry.xz_symbol_bits(np.zeros((50, 4)), 100) == telemetry.xz_bits(np.zeros((50, 4), dtype=np.uint8)) * 2


@pytest.mark.parametrize("rows", [17, 33, 20])
def test_hcompress_takes_images_of_any_height(telemetry: Any, rows: int) -> None:
    pytest.importorskip("astropy")
    image = np.random.default_rng(7).integers(0, 500, (rows, 21)).astype(np.int16)
    assert 4 < telemetry.fits_bits(image, "HCOMPRESS_1") < 40
