"""A program is derived once: what a project, a ladder or a stream needs of it is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from strategies import make_circuit

from pcedge import codec, verify_ladder
from pcedge.engines import ReferenceEngine
from pcedge.export import to_onnx, write_project, write_unrolled
from pcedge.integer import IntegerCircuit
from pcedge.quantize import quantize
from pcedge.schedule import Program, program

DERIVED = ("likelihood_schedule", "code_schedule", "needed_widths")
X = np.zeros((3, 6), dtype=np.uint8)

WORK: dict[str, Callable[[IntegerCircuit, Path], object]] = {
    "a project": lambda circuit, folder: write_project(circuit, folder / "p"),
    "a reloadable project": lambda circuit, folder: write_project(circuit, folder / "p", reload=True),
    "an unrolled project": lambda circuit, folder: write_unrolled(circuit, folder / "p"),
    "a ladder": lambda circuit, folder: verify_ladder(circuit, X, rungs=["ort"]),
    "an ONNX file": lambda circuit, folder: to_onnx(circuit),
    "a stream": lambda circuit, folder: codec.encode(ReferenceEngine(circuit), X),
}


@pytest.mark.parametrize("work", WORK)
def test_it_is_derived_once(work: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts: Counter[str] = Counter()

    def counted(name: str) -> Callable[..., Any]:
        real = getattr(program, name)

        def call(*arguments: Any) -> Any:
            counts[name] += 1
            return real(*arguments)

        return call

    for name in DERIVED:
        monkeypatch.setattr(program, name, counted(name))
    WORK[work](quantize(make_circuit(7, 6, 3, 4, "hidden")), tmp_path)
    assert counts and max(counts.values()) == 1, counts


def test_schedules_serve_circuits_of_one_structure() -> None:
    circuit = quantize(make_circuit(7, 6, 3, 4, "hidden"))
    first = Program.of(circuit)
    other = first.with_parameters(quantize(make_circuit(7, 6, 3, 4, "hidden")))
    assert other.code is first.code and other.likelihood is first.likelihood
