"""The float32 that unrolled kernels are compared with: numpy's numbers, bit for bit; and the logarithms' error."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.rtl_units import needs_verilator

from pcedge.export.unrolled.cells import Cell

pytestmark = [pytest.mark.rtl, needs_verilator]

COUNT = 100_000


def run_both(bench: Any, numbers: Any, first: np.ndarray, second: np.ndarray, folder: Path) -> np.ndarray:
    """Give product and sum of pairs of words, (N, 2)."""
    bits = numbers.bits
    for place in (0, 1):
        numbers.cells.append(Cell(f"in_{place}", bits, numbers.signed, f"in_record[{32 * place}+:{bits}]", (), 0.0))
    both = numbers.multiply("in_0", "in_1"), numbers.add("in_0", "in_1")
    for name, cell in zip(("product", "sum"), both, strict=True):
        numbers.cells.append(Cell(name, bits, False, "@0", (cell,), 0.0))
    sources, _ = bench.write_sources(numbers.cells, ["product", "sum"], 64, folder / "rtl")
    beats = np.stack([first, second], axis=1).astype("<u4").view(np.uint8)
    return bench.simulated(sources, beats, folder / "verilator")[0][:, :2]


def test_float32_is_numpys(script: Callable[[str], Any], tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    exponents = dice.integers(-60, 1, COUNT)
    first = np.ldexp(dice.uniform(1, 2, COUNT), exponents).astype(np.float32)
    near = dice.integers(-30, 31, COUNT) * (dice.random(COUNT) < 0.9)
    second = np.ldexp(dice.uniform(1, 2, COUNT), np.clip(exponents + near, -60, 0)).astype(np.float32)
    # Ends of a mantissa, equal numbers, and zeros.
    first[:2000:2], second[:1000] = 1.0, first[:1000]
    second[1000:2000] = np.nextafter(np.float32(2), np.float32(0))
    first[2000:2100], second[2050:2200] = 0.0, 0.0
    numbers = script("unrolled_rivals").Float32()
    found = run_both(script("rtl_unrolled"), numbers, first.view(np.uint32), second.view(np.uint32), tmp_path)
    np.testing.assert_array_equal(found[:, 0], (first * second).view(np.uint32))
    np.testing.assert_array_equal(found[:, 1], (first + second).view(np.uint32))


def test_logarithms_are_near(script: Callable[[str], Any], tmp_path: Path) -> None:
    numbers = script("unrolled_rivals").LogNumbers(24, -300.0)
    dice = np.random.default_rng(0)
    logs = np.stack([dice.uniform(-100, 0, COUNT), dice.uniform(-100, 0, COUNT)])
    logs[1, : COUNT // 2] = logs[0, : COUNT // 2] + dice.uniform(-3, 3, COUNT // 2)
    logs = np.minimum(logs, 0)
    codes = np.round(logs * 2**numbers.fraction).astype(np.int64)
    exact = codes / 2**numbers.fraction
    words = run_both(script("rtl_unrolled"), numbers, codes[0] & 0xFFFFFF, codes[1] & 0xFFFFFF, tmp_path)
    found = numbers.log2(words.astype(np.float64))
    np.testing.assert_array_equal(found[:, 0], exact.sum(axis=0))
    assert np.abs(found[:, 1] - np.logaddexp2(*exact)).max() < 3 * 2.0**-numbers.fraction
