"""The shipped circuit on the held-out digits: every rung, every image; and what the integers cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from pcedge.circuit import load_circuit
from pcedge.coder import decode, encode
from pcedge.data import load_data
from pcedge.export import read_onnx, write_onnx
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.verify import Project, statistics
from pcedge.verify.trace import first_difference


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    test = load_data("digits").test
    assert test is not None and len(test) >= 300
    return test


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, images: np.ndarray) -> Project:
    folder = tmp_path_factory.mktemp("digits")
    write_onnx(quantize(load_circuit("digits"), QuantizationConfig(8, 12, 16)), folder / "m.onnx")
    return Project.create(read_onnx(folder / "m.onnx"), folder / "project", records=images[:20])


def test_integers_cost_little(project: Project, images: np.ndarray) -> None:
    measured = statistics(load_circuit("digits"), project.engine, images)
    assert measured.loss <= 0.005
    assert measured.impossible == 0


def test_one_lane_costs_a_byte(project: Project, images: np.ndarray) -> None:
    packed = encode(project.engine, images, lanes=1)
    lo, hi = project.engine.intervals(images)
    ideal = -(np.log2(hi - lo) - project.circuit.scale_bits).sum()
    payload = 8 * (len(packed) - 64)
    assert payload <= ideal * 1.001 + 16
    assert_array_equal(decode(project.engine, packed), images)


@pytest.mark.csim
@pytest.mark.slow
def test_the_whole_ladder(project: Project, images: np.ndarray) -> None:
    pytest.importorskip("onnxruntime")
    assert "20 records" in project.csim.golden()
    report = project.verify(images)
    assert report.mismatches == 0
    assert {c.rung for c in report.comparisons} == {"ort", "csim"}
    by_image = [c for c in report.comparisons if "lanes" not in c.output]
    assert len(by_image) == 8 and all(c.vectors == len(images) for c in by_image)


@pytest.mark.csim
@pytest.mark.slow
def test_traces_are_equal_and_predictions_are_likelihoods(project: Project, images: np.ndarray) -> None:
    pytest.importorskip("onnxruntime")
    records = images[:5].reshape(5, -1).astype(np.int64)
    records[2, 10:30] = -1
    traces = project.trace(records)
    assert set(traces) == {"numpy", "ort", "csim"}
    assert first_difference(traces["numpy"], traces["ort"]) is None
    assert first_difference(traces["numpy"], traces["csim"]) is None
    mantissa, exponent = project.engine.likelihood(records)
    prediction = project.predict(records)
    assert_array_equal(prediction.mantissa, mantissa)
    assert_array_equal(prediction.exponent, exponent)


def test_the_shipped_circuit_reproduces(tmp_path: Path) -> None:
    """The full training is benchmarks/train_digits.py; here only that its data and widths are what ships."""
    circuit = load_circuit("digits")
    assert circuit.cardinalities == (17,) * 64
    splits = load_data("digits")
    sizes = [len(part) for part in (splits.train, splits.valid, splits.test) if part is not None]
    assert sum(sizes) == 1797
