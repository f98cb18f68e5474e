"""What tests of codecs share: a process that knows no circuit, and one circuit."""

from __future__ import annotations

from pathlib import Path

import pytest
import strategies

from pcedge.codec import registry
from pcedge.integer import IntegerCircuit
from pcedge.quantize import quantize


@pytest.fixture
def no_circuits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Forget every circuit, and look for them in an empty folder."""
    monkeypatch.setattr(registry, "_named", {})
    registry.engine_of.cache_clear()
    monkeypatch.setenv("PCEDGE_CIRCUITS", str(tmp_path / "circuits"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))


@pytest.fixture
def circuit(no_circuits: None) -> IntegerCircuit:
    """Give a circuit of which this process knows nothing."""
    return quantize(strategies.make_circuit(0, 4, 3, 4, "chain"))
