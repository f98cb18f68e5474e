"""The field's baseline coder: what it writes decodes to the same samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal


def smooth(shape: tuple[int, ...], low: int, high: int, seed: int = 5) -> Any:
    rng = np.random.default_rng(seed)
    walk = rng.normal(0, (high - low) / 40, shape)
    for axis in range(len(shape)):
        walk = np.cumsum(walk, axis=axis) / shape[axis] ** 0.5
    return np.clip(np.rint(walk + (low + high) / 2), low, high)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32"])
@pytest.mark.parametrize(
    ("shape", "series"),
    [((70,), True), ((70, 3), True), ((1, 1), True), ((9, 8), False), ((6, 5, 7), False), ((1, 9, 2), False)],
)
def test_samples_come_back(script: Callable[[str], Any], dtype: str, shape: tuple[int, ...], series: bool) -> None:
    ccsds = script("ccsds")
    info = np.iinfo(dtype)
    rng = np.random.default_rng(3)
    for x in (
        smooth(shape, info.min, info.max).astype(dtype),
        # All values of the type, and jumps from end to end: codes longer than the unary limit.
        rng.integers(info.min, info.max, shape, dtype, endpoint=True),
        rng.choice(np.array([info.min, info.max], dtype), shape),
        np.zeros(shape, dtype),
    ):
        assert_array_equal(ccsds.decode(ccsds.encode(x, series)).reshape(shape), x, strict=True)


def test_it_predicts(script: Callable[[str], Any]) -> None:
    ccsds = script("ccsds")
    x = smooth((40, 40, 8), 0, 4095).astype(np.uint16)
    alone = sum(len(ccsds.encode(x[:, :, band], False)) for band in range(8))
    together = len(ccsds.encode(x, False))
    assert together < 0.9 * alone < 0.9 * x.size * 12 / 8
