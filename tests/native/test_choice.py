"""Which engine does the work, and what is said where there is no library."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from helpers.engine_contract import CIRCUITS
from numpy.testing import assert_array_equal

import pcedge
from pcedge.engines import ReferenceEngine
from pcedge.errors import MissingToolError, UsageError
from pcedge.native import NativeEngine, choice, instruction_sets, library, open_engine


def test_names() -> None:
    circuit = CIRCUITS["hidden"]
    assert isinstance(open_engine(circuit), NativeEngine)
    assert isinstance(open_engine(circuit, "native"), NativeEngine)
    assert isinstance(open_engine(circuit, "numpy"), ReferenceEngine)
    with pytest.raises(UsageError, match="the engine must be one of auto, native, numpy, got 'gpu'"):
        open_engine(circuit, "gpu")


def test_streams_of_python_are_the_same() -> None:
    circuit = CIRCUITS["balanced"]
    x = ReferenceEngine(circuit).sample(50).astype(np.uint8)
    packed = [pcedge.encode(circuit, x, engine=name) for name in ("auto", "native", "numpy")]
    assert len(set(packed)) == 1
    for name in ("native", "numpy"):
        assert_array_equal(pcedge.decode(circuit, packed[0], engine=name), x)


def test_without_a_library(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """It is said once, and numpy does the work."""
    monkeypatch.setattr(library, "HERE", tmp_path)
    for cached in (library.library, choice._found):
        cached.cache_clear()
    try:
        with caplog.at_level(logging.WARNING, "pcedge"):
            engines = [open_engine(CIRCUITS["chain"]) for _ in range(3)]
        assert all(isinstance(engine, ReferenceEngine) for engine in engines)
        (record,) = caplog.records
        assert "many times slower than the native engine" in record.getMessage()
        with pytest.raises(MissingToolError, match=r"python -m pcedge\.native\.build makes it"):
            open_engine(CIRCUITS["chain"], "native")
        (tmp_path / library.NAME).write_bytes(b"no library")
        with pytest.raises(MissingToolError, match="must be one for this machine"):
            open_engine(CIRCUITS["chain"], "native")
        assert instruction_sets() == ()
    finally:
        monkeypatch.undo()
        for cached in (library.library, choice._found):
            cached.cache_clear()
    assert isinstance(open_engine(CIRCUITS["chain"]), NativeEngine)
