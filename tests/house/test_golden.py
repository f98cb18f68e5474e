"""A file of every format, written once: it is read, means the same, and is written again byte for byte."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from helpers.paths import GOLDEN
from numpy.testing import assert_array_equal

import pcedge
from pcedge.data.value_grid import ValueGrid
from pcedge.drivers.size import EngineSize
from pcedge.export.program.image import capacity_of, image_words

#: lengths and rows of the row table that `rows.onnx` and `rows.pcp` hold
ROW_LENGTHS, TABLE_ROWS = (4, 7, 8, 11), [3, 2, 4, 4]
DIGESTS = json.loads((GOLDEN / "digests.json").read_text())


def test_digests() -> None:
    for name in ("nltcs", "shuttle", "mnist-16"):
        assert pcedge.load(name).digest.hex() == DIGESTS[name]


def test_float_circuit(tmp_path: Path) -> None:
    circuit = pcedge.load(GOLDEN / "circuit.pcedge")
    assert pcedge.to_integer(circuit).digest.hex() == DIGESTS["golden"]
    pcedge.save_circuit(circuit, tmp_path / "c.pcedge")
    assert (tmp_path / "c.pcedge").read_bytes() == (GOLDEN / "circuit.pcedge").read_bytes()


def test_onnx_and_program(tmp_path: Path) -> None:
    for name, write in (("model.onnx", pcedge.write_onnx), ("program.pcp", pcedge.write_program)):
        circuit = pcedge.load(GOLDEN / name)
        assert circuit.digest.hex() == DIGESTS["golden"]
        write(circuit, tmp_path / name)
        if name == "program.pcp":  # protobuf may order the bytes of equal models in another way
            assert (tmp_path / name).read_bytes() == (GOLDEN / name).read_bytes()


def test_row_table(tmp_path: Path) -> None:
    for name, write in (("rows.onnx", pcedge.write_onnx), ("rows.pcp", pcedge.write_program)):
        circuit = pcedge.load(GOLDEN / name)
        assert circuit.digest.hex() == DIGESTS["rows"] and circuit.row_lengths == ROW_LENGTHS
        assert [len(table.rows) for table in circuit.row_tables.values()] == TABLE_ROWS
        write(circuit, tmp_path / name)
        if name == "rows.pcp":
            assert (tmp_path / name).read_bytes() == (GOLDEN / name).read_bytes()


def test_grid(tmp_path: Path) -> None:
    grid = ValueGrid.from_json((GOLDEN / "grid.json").read_text())
    assert grid.to_json() + "\n" == (GOLDEN / "grid.json").read_text()
    for name, write in (
        ("grid.pcedge", pcedge.save_circuit), ("grid.onnx", pcedge.write_onnx), ("grid.pcp", pcedge.write_program),
    ):  # fmt: skip
        circuit = pcedge.load(GOLDEN / name)
        assert circuit.grid == grid
        write(circuit, tmp_path / name)
        if name != "grid.onnx":
            assert (tmp_path / name).read_bytes() == (GOLDEN / name).read_bytes()


def test_image() -> None:
    circuit = pcedge.load(GOLDEN / "program.pcp")
    words = image_words(circuit, capacity_of([circuit], EngineSize(4, 2)))
    assert_array_equal(words, np.frombuffer((GOLDEN / "image.u32").read_bytes(), "<u4"))
