"""The main job on the held-out digits, as `pcedge demo` runs it: every rung, every image, and the integers' cost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.testing import assert_array_equal

from pcedge.circuit import load_circuit
from pcedge.cli import group
from pcedge.codec import decode, encode
from pcedge.codec.container import parse
from pcedge.data import load_data
from pcedge.evaluate import statistics
from pcedge.verify import Project
from pcedge.verify.trace import first_difference

pytestmark = [pytest.mark.csim, pytest.mark.slow]


@pytest.fixture(scope="module")
def images() -> Any:
    test = load_data("digits").test
    assert test is not None and len(test) >= 300
    return test


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnxruntime")
    out = tmp_path_factory.mktemp("digits") / "demo"
    result = CliRunner().invoke(group, ["demo", "--out", str(out), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == json.loads((out / "report.json").read_text())
    return out


@pytest.fixture(scope="module")
def project(folder: Path) -> Project:
    return Project(folder / "project")


def test_every_rung_on_every_image(folder: Path, images: Any) -> None:
    report = json.loads((folder / "report.json").read_text())
    assert report["mismatches"] == 0 and report["images"] == len(images)
    found = {(c["rung"], c["output"]): c["vectors"] for c in report["comparisons"]}
    for key in (
        ("ort", "likelihood"), ("ort", "intervals lo, hi"), ("ort", "likelihood, partial evidence"),
        ("csim", "pc_likelihood"), ("csim", "intervals lo, hi"), ("csim", "pc_decode of reference streams"),
        ("csim", "reference decode of pc_encode streams"), ("numpy", "images from the file of pc_encode"),
        ("csim", "images from the reference file"),
    ):  # fmt: skip
        assert found[key] == len(images)
    assert found["csim", "file from pc_encode = reference file"] == 1
    bits = report["bits_per_pixel"]
    assert bits["pcedge file, everything counted (S = 1)"] < 0.75 * min(bits["lzma (xz -9e)"], bits["zlib -9"])


def test_integers_cost_little(project: Project, images: Any) -> None:
    measured = statistics(load_circuit("digits"), project.engine, images)
    assert measured.loss <= 0.005
    assert measured.impossible == 0


def test_one_lane_costs_little_over_its_intervals(project: Project, images: Any) -> None:
    images = images[:90]
    packed = encode(project.engine, images, lanes=1)
    lo, hi = project.engine.intervals(images)
    ideal = -(np.log2(hi - lo) - project.circuit.scale_bits).sum()
    assert 8 * parse(packed).payload_bytes <= ideal * 1.001 + 16
    assert len(packed) - parse(packed).payload_bytes < 64
    assert_array_equal(decode(project.engine, packed), images)


def test_traces_are_equal_and_predictions_are_likelihoods(project: Project, images: Any) -> None:
    records = images[:5].reshape(5, -1).astype(np.int64)
    records[2, 10:30] = -1
    traces = project.trace(records)
    assert set(traces) == {"numpy", "ort", "csim"}
    assert first_difference(traces["numpy"], traces["ort"]) is None
    assert first_difference(traces["numpy"], traces["csim"]) is None
    last = traces["csim"][-1]
    changed = [*traces["csim"][:-1], replace(last, mantissa=last.mantissa ^ 1)]
    assert str(first_difference(traces["numpy"], changed)).startswith(f"{last.name}, record 0: expected [")
    mantissa, exponent = project.engine.likelihood(records)
    prediction = project.predict(records)
    assert_array_equal(prediction.mantissa, mantissa)
    assert_array_equal(prediction.exponent, exponent)
