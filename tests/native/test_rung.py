"""The rung `native` of the ladder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.commands import as_json, run
from helpers.engine_contract import CIRCUITS, any_records
from helpers.predictors import circuit_of, random_predictor

from pcedge.errors import MissingToolError, StreamError
from pcedge.export import write_onnx
from pcedge.export.project.prediction import draw_rows
from pcedge.native import NativeEngine, instruction_sets, library
from pcedge.verify import verify

CASES = {
    "likelihood", "likelihood, partial evidence", "marginals of single variables", "intervals lo, hi",
    "intervals lo, hi, partial evidence", "encode = reference bytes (lanes)", "decode of reference streams", "samples",
    "packets = reference bytes", "symbols of each packet alone",
}  # fmt: skip


def cases(report: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Sort comparisons by instruction set."""
    out: dict[str, list[dict[str, Any]]] = {}
    for one in report["comparisons"]:
        assert one["rung"] == "native"
        isa, name = one["output"].split(": ", 1)
        out.setdefault(isa, []).append(one | {"output": name})
    return out


@pytest.mark.parametrize("kind", CIRCUITS)
def test_all_cases_on_every_instruction_set(kind: str, tmp_path: Path) -> None:
    records = any_records(CIRCUITS[kind], 100)
    records[::9, 1] = -1
    write_onnx(CIRCUITS[kind], tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", records)
    report = as_json("verify", tmp_path / "m.onnx", "--data", tmp_path / "x.npy", "--rungs", "native")
    assert report["mismatches"] == 0 and "skipped" not in report
    found = cases(report)
    assert tuple(found) == instruction_sets()
    for outputs in found.values():
        assert {one["output"] for one in outputs} == CASES
        assert all(one["vectors"] for one in outputs)


@pytest.mark.parametrize("given", [True, False])
def test_rows_of_a_predictor_stage(given: bool) -> None:
    stage = random_predictor(1)
    circuit = circuit_of(stage)
    records = any_records(circuit, 20)
    report = verify(circuit, records, ("native",), rows=draw_rows(stage, 60) if given else None)
    assert report.mismatches == 0
    for outputs in cases(report.as_dict()).values():
        vectors = {one["output"]: one["vectors"] for one in outputs}
        assert vectors.keys() >= {
            "rows, bytes of tokens (lanes)", "rows, raw bits (lanes)", "rows, decoded numbers",
            "rows, packets = reference bytes", "rows, numbers of packets",
        }  # fmt: skip
        assert vectors["rows, bytes of tokens (lanes)"] == 8
        assert not given or vectors["rows, decoded numbers"] == 60


def test_differences_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = CIRCUITS["hidden"]
    records = any_records(circuit, 12)
    likelihood, encode = NativeEngine.likelihood, NativeEngine.encode_lanes

    def wrong(engine: NativeEngine, x: Any) -> Any:
        mantissa, exponent = likelihood(engine, x)
        exponent[5] += 1
        return mantissa, exponent

    def refuse(*_: object) -> Any:
        raise StreamError("lane 0 must stay inside the coded intervals, it leaves them: damaged payload")

    monkeypatch.setattr(NativeEngine, "likelihood", wrong)
    monkeypatch.setattr(NativeEngine, "encode_lanes", lambda *args: [lane[:-1] for lane in encode(*args)])
    monkeypatch.setattr(NativeEngine, "decode_lanes", refuse)
    monkeypatch.setattr(NativeEngine, "unpack", lambda *_: None)  # packets hold nothing
    report = verify(circuit, records, ("native",))
    for outputs in cases(report.as_dict()).values():
        first = {one["output"]: (one["mismatches"], one["first"] or "") for one in outputs}
        assert first["likelihood"][0] == 1 and first["likelihood"][1].startswith("record 5, output 1: expected -")
        assert first["encode = reference bytes (lanes)"][0] == 8
        assert first["decode of reference streams"] == (
            12, "lane 0 must stay inside the coded intervals, it leaves them: damaged payload",
        )  # fmt: skip
        assert first["intervals lo, hi"] == (0, "")
        # Of each packet alone, and of all together every record.
        assert first["symbols of each packet alone"][0] > 12
        assert first["symbols of each packet alone"][1].startswith("record 0, variable 0: expected ")
        assert first["packets = reference bytes"] == (0, "")


def test_packets_that_differ_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    records = any_records(CIRCUITS["hidden"], 12)
    intervals = NativeEngine.intervals

    def wrong(engine: NativeEngine, x: Any) -> Any:  # the last symbol of the third record
        lo, hi = intervals(engine, x)
        hi[2:3, -1] -= 1
        lo[2:3, -1] -= 1
        return lo, hi

    monkeypatch.setattr(NativeEngine, "intervals", wrong)
    report = verify(CIRCUITS["hidden"], records, ("native",))
    for outputs in cases(report.as_dict()).values():
        (packed,) = (one for one in outputs if one["output"] == "packets = reference bytes")
        assert packed["mismatches"] > 0 and packed["first"].startswith("packet ")


def test_without_a_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")  # the rung beside it
    write_onnx(CIRCUITS["chain"], tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", any_records(CIRCUITS["chain"], 3))
    monkeypatch.setattr(library, "HERE", tmp_path)
    library.library.cache_clear()
    words = "verify", tmp_path / "m.onnx", "--data", tmp_path / "x.npy", "--rungs"
    try:
        report = as_json(*words, "ort,native")
        (skipped,) = report["skipped"]
        assert skipped["rung"] == "native" and "which this installation was made without" in skipped["reason"]
        assert {one["rung"] for one in report["comparisons"]} == {"ort"}
        assert "native: skipped: the native engine needs its library" in run(*words, "ort,native").stdout
        # Nothing would be compared: that is no success.
        assert as_json(*words, "native", status=3)["error"] == MissingToolError.__name__
    finally:
        monkeypatch.undo()
        library.library.cache_clear()
