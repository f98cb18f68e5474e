"""Statlog Shuttle through SystemVerilog, in Verilator: by the zoo's circuit and its symbolizer, and by a predictor."""

from __future__ import annotations

import csv
import gzip
import importlib.util
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import run
from helpers.rtl_units import needs_verilator
from numpy.testing import assert_array_equal

from pcedge import codec
from pcedge.arrays import IntArray
from pcedge.data.predictor import Predictor
from pcedge.data.symbolizer import Symbolizer
from pcedge.engines import ReferenceEngine
from pcedge.engines.lanes import encode_lanes
from pcedge.export import RtlSize, load_zoo, read_onnx, write_rtl
from pcedge.simulate.rtl import RtlProject
from pcedge.simulate.stage_rtl import StageRtl
from pcedge.verify.prediction import compare_stage

pytestmark = [pytest.mark.rtl, pytest.mark.nightly, needs_verilator]


def shuttle(rows: int) -> IntArray | None:
    """Read the last rows of the set, which river has; None where it is not installed."""
    found = importlib.util.find_spec("river")
    if found is None or found.origin is None:
        return None
    with gzip.open(Path(found.origin).parent / "datasets/shuttle.csv.gz", "rt", encoding="ascii", newline="") as file:
        table = list(csv.reader(file))[1:]
    return np.array([row[:-1] for row in table[-rows:]]).astype(np.int16)


def test_the_symbolizers_records(tmp_path: Path) -> None:
    """The lanes of a job are those of the file that the host writes, and values come back."""
    circuit = load_zoo("shuttle")
    engine, symbolizer = ReferenceEngine(circuit), circuit.symbolizer
    assert isinstance(symbolizer, Symbolizer)
    x = shuttle(400)
    if x is None:
        x = symbolizer.invert(engine.sample(400, seed=3))
    records = symbolizer.apply(x).astype(np.int64)
    project = RtlProject(write_rtl(circuit, tmp_path / "project", size=RtlSize(16, 4, 4, 2), records=records[:8]))
    assert project.golden().startswith("8 records, ")
    for stalls in (None, (90, 5)):
        with project.device(stalls) as device:
            lanes = device.encode_lanes(records, 4)
            assert lanes == encode_lanes(engine, records, 4)
            back = device.decode_lanes(lanes, len(records))
            assert_array_equal(symbolizer.invert(back, len(x)), x)
            assert_array_equal(device.likelihood(records[:40]), engine.likelihood(records[:40]))
    stream = codec.encode(engine, x, lanes=4)
    assert all(lane in stream for lane in lanes)


def test_a_predictor_stage(tmp_path: Path) -> None:
    """A stage that is trained on the set codes its end: escapes, contexts and raw bits; and so does its file."""
    x = shuttle(9_000)
    if x is None:
        pytest.skip("needs the data of river (pcedge[bench])")
    data, out, model = tmp_path / "x.npy", tmp_path / "m.pcedge", tmp_path / "m.onnx"
    np.save(data, x[:6_000])
    run("train", "--data", data, "--out", out)
    run("quantize", out, "--out", model)
    circuit = read_onnx(model)
    stage = circuit.symbolizer
    assert isinstance(stage, Predictor)
    rtl = StageRtl(write_rtl(circuit, tmp_path / "project", size=RtlSize(4, 1, 2, 2), rows=x[6_000:6_100]))
    assert "compared: 900 records" in rtl.golden()
    cells = stage.cells(x[6_000:7_000])
    found = compare_stage(circuit, rtl, cells, 4)
    assert len(found) == 8 and not [line for line in found if line[2]]
    coded, raw = rtl.pack(cells, 1)
    engine = ReferenceEngine(circuit)
    stream = codec.encode(engine, x[6_000:7_000], lanes=1)
    assert coded[0] in stream and raw[0] in stream and raw[0]
    assert_array_equal(codec.decode(engine, stream), x[6_000:7_000])
