"""Benchmarks import each other by plain names, as scripts do."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from helpers.paths import ROOT


@pytest.fixture(scope="module")
def script() -> Iterator[Callable[[str], Any]]:
    """Import a benchmark by its name; every one is forgotten afterwards."""
    folder, before = str(ROOT / "benchmarks"), set(sys.modules)
    sys.path.insert(0, folder)
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(folder)
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", None) or "").startswith(folder):
                del sys.modules[name]
