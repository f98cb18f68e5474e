"""The predictor stage's kernels in C simulation: equal to numpy for stages of every kind, and what they refuse."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import as_json, run
from helpers.cpp import PLAIN
from helpers.nightly import cases
from helpers.predictors import LISTED, circuit_of, random_predictor, with_gaps
from strategies import make_circuit

from pcedge.codec.predicted import encode_rows, map_lanes
from pcedge.data.prediction import centred
from pcedge.data.predictor import Group, Predictor
from pcedge.errors import FormatError, MismatchError, ToolError, UsageError
from pcedge.export import write_onnx, write_project
from pcedge.export.project.manifest import read_manifest
from pcedge.export.project.prediction import draw_rows
from pcedge.quantize import quantize
from pcedge.simulate.projects import simulators
from pcedge.simulate.stage import StageCsim
from pcedge.toolchain import tools
from pcedge.verify import verify
from pcedge.verify.prediction import compare_stage

pytestmark = pytest.mark.csim

#: stages of `random_predictor`: together all dtypes, shapes and kinds of features, wide groups, adaptation or none,
#: one class; in turn with exact widths and with plain integers, which take half the time to compile
CASES = (0, 5, 7, 9, 13, 15, 19, 20, 22, 26, 31, 37, 41, 45, 53, 57)

#: of those, what together has as much
USUAL = (0, 5, 7, 15, 19, 20, 22, 53, 57)


def unequal(stage: Predictor, csim: StageCsim, rows: int, lanes: int) -> dict[str, str | None]:
    """Compare both directions on drawn rows; give what differs."""
    found = compare_stage(circuit_of(stage), csim, draw_rows(stage, rows, seed=rows), lanes)
    assert all(vectors for _, vectors, _, _ in found)
    return {name: first for name, _, mismatches, first in found if mismatches}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export and compile one project for the tests that change or misuse it."""
    folder = write_project(circuit_of(random_predictor(1)), tmp_path_factory.mktemp("stage") / "project")
    StageCsim(folder, PLAIN).compile()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("case", cases(USUAL, CASES))
def test_random_stages(case: int, tmp_path: Path) -> None:
    stage = random_predictor(case)
    csim = StageCsim(write_project(circuit_of(stage), tmp_path / "project"), PLAIN if case % 2 else ("-O1",))
    assert "equal the golden vectors" in csim.golden()
    for rows, lanes in ((1, 1), (2 + 400 // stage.columns, 1), (50, 7), (5, 5)):
        assert not unequal(stage, csim, rows, lanes)


def test_cases_reach_what_they_are_for() -> None:
    stages = [random_predictor(case) for case in USUAL]
    assert {stage.dtype for stage in stages} >= {"bool", "int8", "int16", "int32", "int64", "uint64", "uint32"}
    assert {len(stage.shape) for stage in stages} == {1, 2, 3}
    assert {stage.features[node.feature].kind for stage in stages for node in stage.tree} >= {
        "column", "prediction", "slope", "value", "residual", "activity", "gradient"
    }  # fmt: skip
    assert {bool(stage.adaptation) for stage in stages} == {True, False}
    assert any(group.wide and any(group.coefficients) for stage in stages for group in stage.groups)
    for stage in map(random_predictor, CASES):
        mapped = map_lanes(stage, centred(stage, draw_rows(stage, 60)), 1)
        assert len(stage.classes) == 1 or len(np.unique(mapped.classes)) > 1
        assert stage.dtype == "bool" or len(np.unique(mapped.tokens)) > 10


def test_a_stage_with_exact_widths(small: Path) -> None:
    stage, csim = random_predictor(1), StageCsim(small, ("-O1",))
    assert list(simulators(small)) == ["kernels", "stage"]
    assert "600 records: classes, tokens, raw bits and restored numbers equal the golden vectors" in csim.golden()
    assert not unequal(stage, csim, 30, 4)


#: header, code there, other code, and what then differs
BROKEN = (
    ("stage.hpp", "feature > feature_t", "feature >= feature_t", "number .*, class: expected"),
    ("linear.hpp", "(input < 0), move, wide(-move)", "(input < 0), wide(-move), move", "number .*: expected"),
    ("stage.hpp", "G::zeros(ended)", "G::zeros(0)", "number .*: expected"),
    ("raw.hpp", "(raw >> left)", "(raw >> 0)", "lane .: expected other raw bits"),
)


@pytest.mark.parametrize(("header", "rule", "broken", "text"), cases([BROKEN[1], BROKEN[3]], BROKEN))
def test_a_broken_kernel_is_found(header: str, rule: str, broken: str, text: str, small: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(small, tmp_path / "project", ignore=shutil.ignore_patterns("build"))
    path = folder / "include/pcedge/predict" / header
    code = path.read_text()
    assert rule in code
    path.write_text(code.replace(rule, broken))
    csim = StageCsim(folder, (*PLAIN, "-O0"))
    with pytest.raises(MismatchError, match=f"MISMATCH {text}"):
        csim.golden()
    assert unequal(random_predictor(1), csim, 200, 2)


class TestDamage:
    """What a reader refuses, the kernel refuses."""

    stage = random_predictor(1)
    x = draw_rows(stage, 20)
    mapped = map_lanes(stage, centred(stage, x), 1)
    tokens = mapped.tokens[0].ravel()

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            (lambda raw: raw[:-1], "lane 0: there are too few raw bits"),
            (lambda raw: b"", "lane 0: there are too few raw bits"),
            (lambda raw: raw + b"\0", "lane 0: there are too many raw bits"),
            (lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), "lane 0: the raw bits do not end in zeros"),
        ],
    )
    def test_raw_bits(self, change: object, text: str, small: Path) -> None:
        (raw,) = self.mapped.packed()
        assert self.mapped.sizes.sum() % 8
        damaged = change(raw)  # type: ignore[operator]
        with pytest.raises(MismatchError, match=text):
            StageCsim(small, PLAIN).back(self.tokens, [damaged], 20)

    def test_symbols_that_are_no_tokens(self, small: Path) -> None:
        tokens = self.tokens.copy()
        tokens[3] = self.stage.cardinalities[1]
        with pytest.raises(MismatchError, match="lane 0: a symbol is no token"):
            StageCsim(small, PLAIN).back(tokens, self.mapped.packed(), 20)

    def test_numbers_out_of_their_range(self, small: Path) -> None:
        group = self.stage.groups[self.stage.group_of[4]]
        x = self.x.astype(np.int64)
        x[7].flat[4] = group.high + 1 if group.high < 255 else group.low - 1
        with pytest.raises(MismatchError, match="lane 0: a number is out of the range of its column"):
            StageCsim(small, PLAIN).forward(x.astype(np.uint8), 1)


#: feeds one lane of two rows whose TLAST is at the number named, and others behind it; prints what was wrong and taken
FRAMES = """\
#include "pcedge_predict.hpp"
#include <cstdio>
#include <cstdlib>
int main(int, char **words) {
  const unsigned count = 2 * pcedge_stage::columns, last = unsigned(std::atoi(words[1]));
  hls::stream<number_port> numbers;
  hls::stream<symbol_port> symbols;
  hls::stream<pcedge::raw_port_t> raw;
  for (unsigned k = 0; k <= (last < count ? count : last); ++k)
    numbers.write(pcedge::full_beat<pcedge_stage::data_bits>(0, k == last));
  std::uint32_t status = 0;
  pc_predict(numbers, symbols, raw, 2, status);
  unsigned records = 0, left = 0, beats = 0;
  for (; !symbols.empty(); ++records) {
    const bool chosen = symbols.read().last.to_bool(), token = symbols.read().last.to_bool();
    if (chosen || !token)
      return 1;
  }
  for (; !numbers.empty(); ++left)
    numbers.read();
  for (bool ended = false; !ended; ++beats)
    ended = raw.read().last.to_bool();
  std::printf("%u %u %u %d\\n", unsigned(status & pcedge::NUMBERS_FRAME), records, left, int(raw.empty()));
}
"""


def test_packets_of_another_length(small: Path, tmp_path: Path) -> None:
    """Too short or too long: said, and no beat of the packet stays for the next lane, nor is one taken from it."""
    (tmp_path / "frames.cpp").write_text(FRAMES)
    command = [*tools.compiler(), *tools.CXX_FLAGS, *PLAIN, "-O0", f"-I{small / 'src'}", f"-I{small / 'include'}"]
    sources = [tmp_path / "frames.cpp", small / "src/pcedge_predict.cpp"]
    out = tmp_path / "frames"
    tools.run([*command, "-isystem", tools.ap_types(), *sources, "-o", out], tmp_path, "compiling")
    # 12 numbers are two rows: TLAST at number 4 leaves what is behind it, the one at number 15 has all taken.
    assert tools.run([out, "11"], tmp_path, "frames") == "0 12 1 1\n"
    assert tools.run([out, "4"], tmp_path, "frames") == "2 5 8 1\n"
    assert tools.run([out, "15"], tmp_path, "frames") == "2 12 0 1\n"


def test_lanes_that_no_encoder_writes(small: Path) -> None:
    circuit, csim = circuit_of(random_predictor(1)), StageCsim(small, PLAIN)
    cells = draw_rows(random_predictor(1), 20)
    (coded,), (raw,) = encode_rows(circuit, centred(random_predictor(1), cells), 1)
    numbers, _ = csim.unpack([coded], [raw], 20)
    assert numbers.tolist() == cells.ravel().tolist()
    for damaged in (coded[:-1], coded + b"\0"):
        with pytest.raises(MismatchError, match="lane 0: no encoder wrote the bytes of the tokens"):
            csim.unpack([damaged], [raw], 20)


def test_a_stage_without_raw_bits(tmp_path: Path) -> None:
    """Its packet of raw bits is one beat without data."""
    stage = Predictor("uint8", (2,), (Group(0, 7, 3, ()),), (0, 0), (), None, (), (), ((0, 0),), 9, 0)
    csim = StageCsim(write_project(circuit_of(stage), tmp_path / "project"), PLAIN)
    assert "compared: 600 records, 0 bytes" in csim.golden()
    with pytest.raises(MismatchError, match="lane 1: there are too many raw bits"):
        csim.back(np.full(8, 9), [b"", b"\0"], 4)


@pytest.mark.parametrize("case", [0, 6])
def test_missing_numbers(case: int, tmp_path: Path) -> None:
    stage, x = with_gaps(case)
    csim = StageCsim(write_project(circuit_of(stage), tmp_path / "project"), PLAIN)
    assert "equal the golden vectors" in csim.golden()
    for lanes in (1, 7):
        found = compare_stage(circuit_of(stage), csim, stage.cells(x), lanes)
        assert not [name for name, _, mismatches, _ in found if mismatches]
        assert "pc_restore missing numbers" in [name for name, *_ in found]


def test_a_listed_residual_under_another_token(small: Path) -> None:
    """A reader refuses it, and so does the kernel."""
    stage = random_predictor(1)
    x = draw_rows(stage, 20)
    mapped = map_lanes(stage, centred(stage, x), 1)
    tokens = mapped.tokens[0].ravel()
    at = int(np.flatnonzero(tokens == stage.first_listed + LISTED.index(0))[0])
    bias, shift = stage.classes[int(mapped.classes[0].ravel()[at])]
    v = -bias >> shift
    assert -stage.centre <= v < stage.centre
    tokens[at] = stage.escapes + stage.centre + v
    raw, sizes = mapped.raw.copy(), mapped.sizes.copy()
    raw[0].flat[at], sizes[0].flat[at] = -bias & ((1 << shift) - 1), shift
    (packed,) = replace(mapped, raw=raw, sizes=sizes).packed()
    with pytest.raises(MismatchError, match="lane 0: a residual comes under another token than its own"):
        StageCsim(small, PLAIN).back(tokens, [packed], 20)


def test_the_rung_of_the_ladder() -> None:
    stage = random_predictor(1)
    circuit, x = circuit_of(stage), draw_rows(stage, 30)
    report = verify(circuit, np.zeros((1, 2), dtype=np.int64), ("predictor",), rows=x)
    assert report.mismatches == 0
    assert [(c.rung, c.output, c.vectors) for c in report.comparisons] == [
        ("predictor", "pc_predict classes", 180), ("predictor", "pc_predict tokens", 180),
        ("predictor", "pc_predict counts of raw bits", 180), ("predictor", "pc_predict raw bits (lanes)", 8),
        ("predictor", "pc_restore classes", 180), ("predictor", "pc_restore numbers", 180),
        ("predictor", "pc_pack lanes", 8), ("predictor", "pc_unpack numbers", 180),
    ]  # fmt: skip
    plain = quantize(make_circuit(3, 4, 2, 3, "hidden"))
    with pytest.raises(UsageError, match="the rung predictor must have a circuit with a predictor stage, this one has"):
        verify(plain, np.zeros((1, 4), dtype=np.int64), ("predictor",))


def test_the_commands(tmp_path: Path) -> None:
    stage = random_predictor(1)
    model, data, out = tmp_path / "m.onnx", tmp_path / "x.npy", tmp_path / "project"
    write_onnx(circuit_of(stage), model)
    np.save(data, draw_rows(stage, 200, seed=3))
    as_json("export", model, "--data", data, "--records", 20, "--out", out)
    numbers = np.fromfile(out / "golden/numbers.i64", dtype="<i8")
    assert numbers[:24].tolist() == np.load(data)[:4].ravel().tolist()  # the rows that hold 20 numbers
    assert as_json("simulate", out)["compared"]["stage"]["records"] == 24
    report = as_json("verify", model, "--data", data, "--records", 50)
    assert report["mismatches"] == 0 and report["records"] == 50
    rungs = [(c["rung"], c["vectors"]) for c in report["comparisons"]]
    assert ("predictor", 54) in rungs and {"ort", "csim", "predictor"} == {rung for rung, _ in rungs}
    named = as_json("verify", model, "--data", data, "--rungs", "ort")
    assert {c["rung"] for c in named["comparisons"]} == {"ort"}
    said = as_json("estimate", model)["stage"]
    assert said == {
        name: value for name, value in read_manifest(out).table["stage"].items() if name in said
    }  # fmt: skip
    assert "predictor stage, each of its tops: kbit: line buffers" in run("estimate", model).output


def test_projects_of_other_circuits_have_no_stage(tmp_path: Path) -> None:
    folder = write_project(quantize(make_circuit(3, 4, 2, 3, "hidden")), tmp_path / "project")
    assert not list(folder.rglob("*predict*")) and "stage" not in simulators(folder)
    with pytest.raises(FormatError, match="must be of a circuit with a predictor stage"):
        StageCsim(folder).compile()


def test_what_was_compared_is_what_the_manifest_says(small: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(small, tmp_path / "project")
    manifest = json.loads((folder / "manifest.json").read_text())
    for name, word in (("golden_numbers", "records"), ("golden_bytes", "bytes")):
        count = manifest["stage"][name]
        changed = manifest | {"stage": manifest["stage"] | {name: count + 1}}
        (folder / "manifest.json").write_text(json.dumps(changed))
        with pytest.raises(FormatError, match=f"golden must hold {count + 1} {word}, as the manifest says; .* {count}"):
            StageCsim(folder, PLAIN).golden()


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("numbers.i64", bytes(7), "must hold whole words of 8 bytes, got 7 bytes"),
        ("numbers.i64", bytes(8), "must hold whole rows of 6 numbers"),
        ("numbers.i64", b"", "golden must hold the records of all its numbers, at least of one row"),
        ("raw.bin", b"\1\0\0\0\5\0\0\0\1", r"raw\.bin is truncated"),
        ("raw.bin", bytes(4), r"raw\.bin must hold all the lanes that it announces, at least one"),
        ("raw.bin", b"\1\0\0\0\0\0\0\0\1", r"raw\.bin must end behind its last lane"),
    ],
)
def test_damaged_golden_files_are_refused(name: str, data: bytes, text: str, small: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(small, tmp_path / "project")
    (folder / "golden" / name).write_bytes(data)
    with pytest.raises(ToolError, match=text):
        StageCsim(folder, PLAIN).golden()
