"""The predictor stage in SystemVerilog, in Verilator: the reference's classes, tokens, raw bits, lanes and numbers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import as_json
from helpers.nightly import cases
from helpers.open_tools import needs
from helpers.predictors import LISTED, circuit_of, random_predictor, with_gaps
from helpers.rtl_units import needs_verilator
from strategies import make_circuit

from pcedge.codec.predicted import encode_rows, map_lanes
from pcedge.data.prediction import centred
from pcedge.data.predictor import Group, Predictor
from pcedge.errors import FormatError, MismatchError
from pcedge.export import RtlSize, write_onnx, write_rtl
from pcedge.export.project.prediction import draw_rows
from pcedge.export.rtl.stage.project import stage_sources
from pcedge.quantize import quantize
from pcedge.simulate.projects import simulators
from pcedge.simulate.stage_rtl import DATA, LAST, PACK, PREDICT, RESTORE, StageRtl, packet, raw_bytes
from pcedge.verify import verify
from pcedge.verify.prediction import compare_stage

pytestmark = [pytest.mark.rtl, needs_verilator]

#: numbers of 64 bits, wide groups and others, an adaptation, classes, listed residuals
CASE = 13

#: with it all dtypes, shapes, kinds of features, one class or many, adaptation or none
CASES = (0, 5, 7, 9, CASE, 15, 19, 20, 22, 26, 31, 37, 41, 45, 53, 57)

SIZE = RtlSize(4, 1, 2, 2)


@pytest.fixture(scope="module", autouse=True)
def plain_compiler() -> Iterator[None]:
    """Take the compiler without the headers that tests of HLS compile ahead."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PCEDGE_CXX", raising=False)
        yield


def write(stage: Predictor, folder: Path) -> Path:
    """Write the project of a circuit that has a stage."""
    return write_rtl(circuit_of(stage), folder, size=SIZE)


def unequal(stage: Predictor, rtl: StageRtl, rows: int, lanes: int) -> dict[str, str | None]:
    """Compare all jobs on drawn rows; give what differs."""
    found = compare_stage(circuit_of(stage), rtl, draw_rows(stage, rows, seed=rows), lanes)
    assert len(found) >= 8 and all(vectors for _, vectors, _, _ in found)
    return {name: first for name, _, mismatches, first in found if mismatches}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile one stage for the tests that change or misuse it."""
    folder = write(random_predictor(CASE), tmp_path_factory.mktemp("stage") / "project")
    StageRtl(folder).compile()
    return folder


@pytest.mark.parametrize("case", cases([CASE], CASES))
def test_random_stages(case: int, small: Path, tmp_path: Path) -> None:
    stage = random_predictor(case)
    folder = small if case == CASE else write(stage, tmp_path / "project")
    rtl = StageRtl(folder)
    said = rtl.golden()
    assert "records: classes, tokens, raw bits and restored numbers equal the golden vectors" in said
    for rows, lanes, stalls in ((1, 1, None), (2 + 400 // stage.columns, 1, None), (50, 7, (120, 3)), (5, 5, (30, 1))):
        assert not unequal(stage, StageRtl(folder, stalls), rows, lanes)


def test_the_usual_case_has_every_part() -> None:
    stage = random_predictor(CASE)
    assert any(g.wide and any(g.coefficients) for g in stage.groups) and not all(g.wide for g in stage.groups)
    assert stage.adaptation and stage.listed == LISTED and len(stage.classes) > 1 and stage.dtype == "uint64"


#: source, code there, other code, and what then differs
BROKEN = (
    ("pc_stage_predictor.sv", "feature > $signed", "feature >= $signed", "class, token and raw bits"),
    ("pc_stage_learn.sv", "up_2 <= is_negative == (input_1 < 0)", "up_2 <= is_negative != (input_1 < 0)", "number"),
    ("pc_stage_raw_writer.sv", "raw <= raw << some", "raw <= raw", "raw bits"),
    ("pc_stage_coder.sv", "bound_fresh <= 1'b1", "bound_fresh <= 1'b0", "packed bytes"),
)


@pytest.mark.nightly
@pytest.mark.parametrize(("source", "rule", "broken", "text"), BROKEN)
def test_a_broken_source_is_found(source: str, rule: str, broken: str, text: str, small: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(small, tmp_path / "project", ignore=shutil.ignore_patterns("build"))
    path = folder / "rtl" / source
    code = path.read_text()
    assert rule in code
    path.write_text(code.replace(rule, broken))
    with pytest.raises(MismatchError, match="rtl: MISMATCH") as caught:
        StageRtl(folder).golden()
    assert text in str(caught.value) or "lane" in str(caught.value)


class TestDamage:
    """What a reader refuses, the stage refuses, and the next lane is right again."""

    stage = random_predictor(CASE)
    x = draw_rows(stage, 20)
    mapped = map_lanes(stage, centred(stage, x), 1)
    tokens = mapped.tokens[0].ravel()

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            (lambda raw: raw[:-1], "lane 0: .*there are too few raw bits"),
            (lambda raw: b"", "lane 0: .*there are too few raw bits"),
            (lambda raw: raw + b"\0", "lane 0: .*there are too many raw bits"),
            (lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), "lane 0: .*the raw bits do not end in zeros"),
        ],
    )
    def test_raw_bits(self, change: object, text: str, small: Path) -> None:
        (raw,) = self.mapped.packed()
        assert self.mapped.sizes.sum() % 8
        with pytest.raises(MismatchError, match=text):
            StageRtl(small).back(self.tokens, [change(raw)], 20)  # type: ignore[operator]

    def test_symbols_that_are_no_tokens(self, small: Path) -> None:
        tokens = self.tokens.copy()
        tokens[3] = self.stage.cardinalities[1]
        with pytest.raises(MismatchError, match=r"lane 0: .*a symbol is no token"):
            StageRtl(small).back(tokens, self.mapped.packed(), 20)

    def test_numbers_out_of_their_range(self, small: Path) -> None:
        narrow = next(c for c, group in enumerate(self.stage.group_of) if not self.stage.groups[group].wide)
        group = self.stage.groups[self.stage.group_of[narrow]]
        x = self.x.copy()
        x[7].flat[narrow] = group.high + 1
        with pytest.raises(MismatchError, match=r"lane 0: .*a number is out of the range of its column"):
            StageRtl(small).forward(x, 1)

    def test_lanes_that_no_encoder_writes(self, small: Path) -> None:
        circuit, rtl = circuit_of(self.stage), StageRtl(small)
        (coded,), (raw,) = encode_rows(circuit, centred(self.stage, self.x), 1)
        numbers, _ = rtl.unpack([coded], [raw], 20)
        assert numbers.tolist() == self.x.astype(np.uint64).view(np.int64).ravel().tolist()
        for damaged in (coded[:-1], coded + b"\0"):
            with pytest.raises(MismatchError, match=r"lane 0: .*no encoder wrote the bytes of the tokens"):
                rtl.unpack([damaged], [raw], 20)

    def test_a_listed_residual_under_another_token(self, small: Path) -> None:
        tokens = self.tokens.copy()
        at = int(np.flatnonzero(tokens == self.stage.first_listed + LISTED.index(0))[0])
        bias, shift = self.stage.classes[int(self.mapped.classes[0].ravel()[at])]
        v = -bias >> shift
        assert -self.stage.centre <= v < self.stage.centre
        tokens[at] = self.stage.escapes + self.stage.centre + v
        raw, sizes = self.mapped.raw.copy(), self.mapped.sizes.copy()
        raw[0].flat[at], sizes[0].flat[at] = -bias & ((1 << shift) - 1), shift
        (packed,) = replace(self.mapped, raw=raw, sizes=sizes).packed()
        with pytest.raises(MismatchError, match=r"lane 0: .*a residual comes under another token than its own"):
            StageRtl(small).back(tokens, [packed], 20)

    @pytest.mark.parametrize("job", [PREDICT, PACK])
    def test_packets_of_another_length(self, job: int, small: Path) -> None:
        """Too short or too long: said, and no beat of the packet stays for the next lane, nor is one taken from it."""
        columns, values = self.stage.columns, self.x.ravel().astype(np.uint64)
        none = np.empty((0, 2), dtype=np.uint64)
        short, whole, long = (packet(values[:count]) for count in (columns - 1, 2 * columns, 2 * columns + 3))
        lanes = StageRtl(small).run([(job, 2, beats, none, none) for beats in (short, long, whole)])
        assert [lane.status for lane in lanes] == [2, 2, 0]
        assert all(lane.left == (0, 0, 0) for lane in lanes)
        (alone,) = StageRtl(small).run([(job, 2, whole, none, none)])
        assert raw_bytes(lanes[2].coded) == raw_bytes(alone.coded) and raw_bytes(lanes[2].raw) == raw_bytes(alone.raw)
        assert len(lanes[0].coded) == 2 * (columns - 1) or job == PACK

    def test_lanes_without_rows_and_jobs_that_are_none(self, small: Path) -> None:
        none = np.empty((0, 2), dtype=np.uint64)
        lanes = StageRtl(small).run(
            [(PACK, 0, none, none, none), (RESTORE, 0, none, none, none), (9, 2, none, none, none)]
        )
        assert [lane.status for lane in lanes] == [0, 0, 256]
        assert not any(len(beats) for lane in lanes for beats in (lane.numbers, lane.raw, lane.coded))


@pytest.mark.nightly
def test_a_stage_without_raw_bits(tmp_path: Path) -> None:
    """Its packet of raw bits is one beat without data."""
    stage = Predictor("uint8", (2,), (Group(0, 7, 3, ()),), (0, 0), (), None, (), (), ((0, 0),), 9, 0)
    rtl = StageRtl(write(stage, tmp_path / "project"))
    assert "compared: 600 records, 0 bytes" in rtl.golden()
    none = np.empty((0, 2), dtype=np.uint64)
    (lane,) = rtl.run([(PACK, 1, packet([1, 2]), none, none)])
    assert lane.raw.tolist() == [[0, LAST]] and (lane.coded[:, 1] & np.uint64(DATA)).all()
    with pytest.raises(MismatchError, match="lane 1: there are too many raw bits"):
        rtl.back(np.full(8, 9), [b"", b"\0"], 4)


@pytest.mark.nightly
@pytest.mark.parametrize("case", [0, 6])
def test_missing_numbers(case: int, tmp_path: Path) -> None:
    stage, x = with_gaps(case)
    folder = write(stage, tmp_path / "project")
    assert "equal the golden vectors" in StageRtl(folder).golden()
    for lanes, stalls in ((1, None), (7, (100, 2))):
        found = compare_stage(circuit_of(stage), StageRtl(folder, stalls), stage.cells(x), lanes)
        assert not [name for name, _, mismatches, _ in found if mismatches]
        assert "pc_restore missing numbers" in [name for name, *_ in found]


@pytest.mark.nightly
@needs("yosys")
def test_the_netlist(small: Path) -> None:
    stage = random_predictor(CASE)
    rtl = StageRtl(small, family="ecp5")
    assert "equal the golden vectors" in rtl.golden()
    assert not unequal(stage, rtl, 20, 3)


def test_a_project_has_the_stage_beside_the_engine(small: Path) -> None:
    assert list(simulators(small)) == ["rtl", "stage"]
    manifest = StageRtl(small).manifest
    assert {f"rtl/{name}" for name in stage_sources()} | {"rtl/stage.svh", "testbench/stage.cpp"} <= set(manifest.files)
    assert manifest.stage is not None and manifest.stage["columns"] == 6
    core = (small / "pcedge.core").read_text()
    assert "toplevel: pcedge_stage" in core and "rtl/stage_nodes.hex: {copyto" in core
    plain = write_rtl(quantize(make_circuit(3, 4, 2, 3, "hidden")), small.parent / "plain", size=SIZE)
    assert not list(plain.rglob("*stage*")) and list(simulators(plain)) == ["rtl"]
    assert "pcedge_stage" not in (plain / "pcedge.core").read_text()
    with pytest.raises(FormatError, match="must be of a circuit with a predictor stage"):
        StageRtl(plain).compile()


def test_golden_files_are_those_of_the_manifest(small: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(small, tmp_path / "project", ignore=shutil.ignore_patterns("build"))
    place = folder / "golden/stage.i64"
    place.write_bytes(place.read_bytes()[:-24])
    with pytest.raises(FormatError, match="golden must hold the numbers and bytes that the manifest counts"):
        StageRtl(folder).golden()


@pytest.mark.nightly
def test_the_commands(tmp_path: Path) -> None:
    stage = random_predictor(1)
    model, data, out = tmp_path / "m.onnx", tmp_path / "x.npy", tmp_path / "project"
    write_onnx(circuit_of(stage), model)
    np.save(data, draw_rows(stage, 200, seed=3))
    as_json(
        "export", model, "--data", data, "--records", 20, "--target", "rtl", "--macs", 4, "--streams", 1, "--out", out
    )
    numbers = np.fromfile(out / "golden/numbers.i64", dtype="<i8")
    assert numbers[:24].tolist() == np.load(data)[:4].ravel().tolist()  # the rows that hold 20 numbers
    compared = as_json("simulate", out)["compared"]
    assert compared["stage"]["records"] == 24 and "rtl" in compared
    assert json.loads((out / "manifest.json").read_text())["stage"]["golden_numbers"] == 24
    report = as_json("verify", model, "--data", data, "--records", 50, "--rungs", "rtl")
    assert report["mismatches"] == 0
    outputs = [c["output"] for c in report["comparisons"]]
    assert {"pc_predict classes", "pc_restore numbers", "pc_pack lanes", "pc_unpack numbers"} <= set(outputs)


@pytest.mark.nightly
def test_the_rung_climbs_a_reloadable_project(tmp_path: Path) -> None:
    """What is loaded over a stream is the engine's: the stage is the exported circuit's own."""
    stage = random_predictor(1)
    circuit, x = circuit_of(stage), draw_rows(stage, 30)
    folder = write_rtl(circuit, tmp_path / "project", size=SIZE, reload=True)
    report = verify(circuit, np.zeros((1, 2), dtype=np.int64), ("rtl",), project=folder, rows=x)
    assert report.mismatches == 0 and any(c.output == "pc_pack lanes" for c in report.comparisons)
