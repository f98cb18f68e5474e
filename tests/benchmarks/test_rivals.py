"""The table of other codecs: figures count what must be counted, and what does not come back is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pcedge.data import load_data
from pcedge.export import load_zoo


@pytest.fixture
def rivals(script: Callable[[str], Any]) -> Any:
    return script("rivals")


@pytest.fixture
def digits(rivals: Any) -> Any:
    data = load_data("digits")
    test, train = (np.ascontiguousarray(part.reshape(len(part), -1)) for part in (data.test[:60], data.train))
    return rivals.Set(test, train, load_zoo("digits"), 1, "digits", (8, 8))


def test_all_codecs_that_are_there(rivals: Any, digits: Any) -> None:
    whole, single = rivals.whole(digits), rivals.single(digits)
    assert {"as it is", "zlib 9", "xz 9e", "bz2 9", "pcedge, S = 1", "pcedge, S = 64"} <= set(whole)
    assert whole["as it is"].bytes == single["as it is"].bytes == digits.test.nbytes
    assert min(whole, key=lambda codec: whole[codec].bytes) == "pcedge, S = 1"
    assert min(single, key=lambda codec: single[codec].bytes) == "pcedge, a lane each"


def test_break_even_counts_both_models(rivals: Any) -> None:
    figures = {
        "pcedge, S = 1": rivals.Figure(60, 0, 0),
        "a": rivals.Figure(110, 0, 0),
        "b": rivals.Figure(100, 0, 0, 500),
    }
    # 40 of 200 bytes are saved; the circuit has 1,500 bytes, the other's model 500.
    assert rivals._even(figures, 200, 1500) == ("b, 1.67", "0.005")
    figures["b"].bytes = 50
    assert rivals._even(figures, 200, 1500) == ("b, 0.83", "never")


def test_another_array_is_no_figure(rivals: Any) -> None:
    with pytest.raises(AssertionError, match="other values"):
        rivals.measured((lambda x: x.tobytes(), lambda data: data[:-1] + b"\xff"), np.arange(9, dtype=np.uint8))
