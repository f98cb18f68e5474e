"""The predictor stage in an exported project: line buffers, tables, figures, manifest."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.predictors import STAGE, circuit_of, offsets, random_predictor
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import make_circuit

from pcedge.data.predictor import Node
from pcedge.errors import DataError, FormatError, UsageError
from pcedge.export import estimate_cost, write_project, write_unrolled
from pcedge.export.project.manifest import read_manifest
from pcedge.export.project.prediction import draw_rows
from pcedge.export.project.stage import line_buffer, stage_code
from pcedge.export.project.tokens import token_code, token_contexts
from pcedge.quantize import quantize
from pcedge.simulate.projects import simulators


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(0, 6))
def test_line_buffers_find_every_neighbour(seed: int, shape: list[int], many: int) -> None:
    generator = np.random.default_rng(seed)
    neighbours = offsets(generator, shape, min(many, 2 * len(shape)))
    buffer = line_buffer(shape, neighbours)
    entries, place = [0] * buffer.places, 0
    cells: dict[tuple[int, ...], int] = {}
    for cell in itertools.product(range(6), *map(range, shape)):
        for offset in neighbours:
            expected = cells.get(tuple(a - o for a, o in zip(cell, offset, strict=True)), 0)
            assert 0 < buffer.distances[offset] < buffer.places
            assert entries[(place - buffer.distances[offset]) % buffer.places] == expected
        cells[cell] = int(generator.integers(1, 100))
        ended = next((k for k, (at, size) in enumerate(zip(cell[:0:-1], shape[::-1], strict=True)) if at + 1 < size),
                     len(shape))  # fmt: skip
        for number in (cells[cell], *[0] * buffer.zeros[ended]):
            entries[place] = number
            place = (place + 1) % buffer.places


def test_a_line_buffer_holds_no_more_than_the_farthest_neighbour() -> None:
    assert line_buffer((7,), [(0, 1), (0, 2)]).places == 3
    assert line_buffer((7,), [(1, 0)]).places == 8
    image = line_buffer((5, 8), [(0, 1, 0), (0, 1, -1), (0, 0, 1)])
    # A row of an image is 8 numbers and 2 zeros; above it lies a row of zeros.
    assert (image.places, image.distances) == (11, {(0, 1, 0): 10, (0, 1, -1): 9, (0, 0, 1): 1})
    assert image.zeros == (0, 2, 11)
    assert line_buffer((3, 3), []) == line_buffer((9, 9), [])


def test_figures() -> None:
    code = stage_code(STAGE, bytes(32))
    # values and first residuals 2 rows back at most, residuals one row; 17 bits each
    values, firsts, residuals = 4, 5, 4
    assert line_buffer((2,), STAGE.neighbours).places == values
    assert code.memory_bits["line_buffers"] == 17 * (values + firsts + residuals)
    assert code.memory_bits["adaptive_weights"] == 2 * 2 * 22
    tables = re.findall(r"PCEDGE_STAGE_\w+\(\d+, (\d+)\) entries\[(\d+)\]", code.header)
    assert code.memory_bits["rom"] == sum(int(width) * int(entries) for width, entries in tables)
    assert code.multipliers == {"prediction": (22, 17), "adaptation": (22, 32), "features": (12, 33)}
    assert code.multiplications == 2 + 2 + 2 and code.passes == 2 + 2 * 2 + 2 + 2
    circuit = circuit_of(STAGE)
    context, table = token_contexts(circuit)
    text, bits = token_code(circuit)
    assert bits == sum(array.size * int(array.max()).bit_length() for array in (context, table))
    assert f"unsigned units = {context.shape[1]};" in text
    told = code.as_dict()
    told["memory_bits"] |= {"token_rom": bits}
    assert estimate_cost(circuit).as_dict()["stage"] == told
    assert "stage" not in estimate_cost(quantize(make_circuit(3, 4, 2, 3, "hidden"))).as_dict()


def test_thresholds_beyond_every_feature_decide_the_same() -> None:
    far = replace(STAGE, tree=(Node(0, 2**63 - 1, 1, -1), Node(1, -(2**63), -2, -3)))
    header = stage_code(far, bytes(32)).header
    assert f"{2**52}ll, {-(2**52)}ll" in header


@pytest.mark.parametrize("case", range(6))
def test_drawn_rows_fit_and_are_the_same_again(case: int) -> None:
    stage = random_predictor(case)
    rows = draw_rows(stage, 9)
    assert stage.check(rows).dtype == stage.dtype and (rows == draw_rows(stage, 9)).all()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(circuit_of(STAGE), tmp_path_factory.mktemp("stage") / "project")


class TestProjects:
    def test_manifest(self, folder: Path) -> None:
        manifest = read_manifest(folder)
        assert manifest.table["tops"] == [
            "pc_likelihood", "pc_encode", "pc_decode", "pc_engine", "pc_predict", "pc_restore",
            "pc_pack", "pc_unpack",
        ]  # fmt: skip
        assert manifest.stage is not None
        assert manifest.stage["golden_numbers"] == 600 and manifest.stage["columns"] == 2
        assert stage_code(STAGE, bytes(32)).memory_bits.items() <= manifest.table["stage"]["memory_bits"].items()
        config = (folder / "components/pc_restore/hls_config.cfg").read_text()
        assert "syn.top=pc_restore" in config and "syn.file=../../src/pcedge_predict.cpp" in config

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            ({"stage": 3}, "stage must be a table, got 3"),
            ({"stage": {"golden_numbers": 0}}, r"stage: golden_numbers must be a whole number in 1\.\.\d+, got 0"),
            (
                {"stage": {"golden_numbers": 1, "columns": 1, "golden_bytes": -1}},
                r"stage: golden_bytes must be a whole number in 0\.\.\d+, got -1",
            ),
        ],
    )
    def test_damaged_manifests(self, change: dict[str, Any], text: str, folder: Path, tmp_path: Path) -> None:
        table = json.loads((folder / "manifest.json").read_text()) | change
        (tmp_path / "manifest.json").write_text(json.dumps(table))
        with pytest.raises(FormatError, match=text):
            read_manifest(tmp_path)

    def test_given_rows_are_the_golden_ones(self, tmp_path: Path) -> None:
        x = draw_rows(STAGE, 3, seed=5)
        folder = write_project(circuit_of(STAGE), tmp_path / "project", rows=x)
        numbers = np.frombuffer((folder / "golden/numbers.i64").read_bytes(), dtype="<i8")
        assert numbers[: x.size].tolist() == x.ravel().tolist() and not numbers[x.size :].any()

    def test_rows_that_do_not_fit(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="golden vectors of a predictor stage must have at least one row, got none"):
            write_project(circuit_of(STAGE), tmp_path / "a", rows=draw_rows(STAGE, 3)[:0])
        with pytest.raises(DataError, match=r"data must have shape \(rows, 2\) for this predictor"):
            write_project(circuit_of(STAGE), tmp_path / "a", rows=np.zeros((3, 3), dtype=np.int16))
        with pytest.raises(UsageError, match="rows must be of a circuit with a predictor stage, this one has none"):
            plain = quantize(make_circuit(3, 4, 2, 3, "hidden"))
            write_project(plain, tmp_path / "a", rows=np.zeros((3, 4), dtype=np.int16))
        assert not (tmp_path / "a").exists()

    def test_an_unrolled_kernel_has_its_stage(self, tmp_path: Path) -> None:
        x = draw_rows(STAGE, 3, seed=5)
        folder = write_unrolled(circuit_of(STAGE), tmp_path / "project", rows=x)
        manifest = read_manifest(folder)
        assert manifest.table["tops"] == ["pc_unrolled", "pc_predict", "pc_restore", "pc_pack", "pc_unpack"]
        assert manifest.stage is not None and manifest.stage["golden_numbers"] == x.size
        assert list(simulators(folder)) == ["kernels", "stage"]
        included = {
            line.split('"')[1].removeprefix("../")
            for path in folder.rglob("*.[ch]pp")
            for line in path.read_text().splitlines()
            if line.startswith('#include "')
        }
        headers = {path.name for path in folder.rglob("*.hpp")} | {path.name for path in folder.rglob("*.inc")}
        assert {Path(name).name for name in included} <= headers

    def test_an_engine_that_is_loaded_has_its_stage(self, tmp_path: Path) -> None:
        folder = write_project(circuit_of(STAGE), tmp_path / "project", reload=True)
        assert read_manifest(folder).table["tops"] == ["pc_engine", "pc_predict", "pc_restore", "pc_pack", "pc_unpack"]
