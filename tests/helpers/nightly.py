"""What only `make nightly` runs: the cases of a parametrization and the examples beyond a representative part.

The part is chosen so that every value of every dimension is in it; a test says so where cases are numbers.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import settings

#: whether everything runs
NIGHTLY = bool(os.environ.get("PCEDGE_NIGHTLY"))

WAITS = pytest.mark.nightly


def cases(usual: Iterable[object], nightly: Iterable[object]) -> list[Any]:
    """Give the cases of a parametrization: all of `nightly`, of which those that are not in `usual` wait for it.

    A case is a value, or a tuple of one for each argument.
    """
    always = list(usual)
    found = [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=() if case in always else WAITS)
        for case in nightly
    ]
    assert sum(not case.marks for case in found) == len(always)
    return found


def examples(usual: int, nightly: int) -> settings:
    """Give the settings of a test that draws so many examples; the usual ones are the first of the nightly ones."""
    return settings(max_examples=nightly if NIGHTLY else usual)
