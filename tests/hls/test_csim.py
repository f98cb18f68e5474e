"""The HLS C++ in simulation: primitives on conformance vectors, the three tops on random circuits, the testbench."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from helpers.cpp import compile_plain
from helpers.nightly import NIGHTLY, cases
from helpers.paths import HLS, VECTORS
from helpers.special import in_rows
from numpy.testing import assert_array_equal
from strategies import TREES, make_circuit

from pcedge.circuit import sample
from pcedge.engines.lanes import decode_lanes, encode_lanes
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import FormatError, MismatchError, MissingToolError, ToolError, UsageError
from pcedge.export.engine.project import write_project
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.simulate.csim import Csim
from pcedge.toolchain import tools
from pcedge.toolchain.compiled import check_compared, compared, start

pytestmark = pytest.mark.csim


#: of 20 circuits: all widths, coders, floors and trees, with tails and without
CASES = (*range(1, 9), 18)


def random_circuit(case: int) -> IntegerCircuit:
    """Walk through every width, coder and tree shape; every third circuit has a row table."""
    rng = np.random.default_rng(case)
    circuit = make_circuit(
        1000 + case, int(rng.integers(1, 13)), int(rng.integers(1, 7)), int(rng.integers(2, 10)),
        TREES[case % len(TREES)], (0.0, 0.25, 0.6)[case % 3],
    )  # fmt: skip
    config = QuantizationConfig(
        2 + case % 7, 8 + case % 9, 8 + (case * 5) % 9, ("wide", "small")[case % 2], (None, 1, 7)[case % 3]
    )
    integers = quantize(circuit, config)
    return in_rows(integers) if case % 3 == 2 else integers


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Export and compile one small project for the tests that change or misuse it."""
    folder = write_project(random_circuit(4), tmp_path_factory.mktemp("small") / "project")
    Csim(folder).compile()
    return folder


def test_primitives_equal_the_conformance_vectors(tmp_path: Path) -> None:
    command = [*tools.compiler(), *tools.CXX_FLAGS, f"-I{HLS / 'include'}", "-isystem", str(tools.ap_types())]
    tools.run([*command, HLS / "testbench/conformance.cpp", "-o", tmp_path / "conformance"], tmp_path, "compiling")
    said = tools.run([tmp_path / "conformance", VECTORS], tmp_path, "conformance")
    files = {path.name for path in VECTORS.glob("*.csv")}
    for family in ("ap_integers", "plain_integers"):
        assert set(re.findall(rf"^{family} (\S+): \d+ rows equal$", said, re.M)) == files
    broken = tmp_path / "broken"
    shutil.copytree(VECTORS, broken)
    text = (broken / "reciprocal.csv").read_text()
    (broken / "reciprocal.csv").write_text(text.replace("32769,", "32770,", 1))
    with pytest.raises(ToolError, match=r"MISMATCH reciprocal.csv line 3 \(ap_integers\)"):
        tools.run([tmp_path / "conformance", broken], tmp_path, "conformance")


@pytest.mark.slow
@pytest.mark.parametrize("case", cases(CASES, range(20)))
def test_random_circuits(case: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In turn with exact widths and with plain integers, at night with exact widths only: plain ones are for speed."""
    if case % 2 and not NIGHTLY:
        compile_plain(monkeypatch)
    circuit = random_circuit(case)
    engine = ReferenceEngine(circuit)
    csim = Csim(write_project(circuit, tmp_path / "project"))
    assert "equal the golden vectors" in csim.golden()
    rng = np.random.default_rng(case)
    records = rng.integers(0, circuit.cardinalities, (40, len(circuit.cardinalities)))
    partial = np.where(rng.random(records.shape) < 0.3, -1, records)
    for data in (records, partial):
        assert_array_equal(csim.likelihood(data), engine.likelihood(data))
        assert_array_equal(csim.intervals(data), engine.intervals(data))
    for lanes in (1, 7, 40):
        coded = encode_lanes(engine, records, lanes)
        assert csim.encode(records, lanes) == coded
        assert_array_equal(csim.decode(coded, 40), records)
        assert_array_equal(decode_lanes(engine, coded, 40), records)


def test_cases_reach_what_they_are_for() -> None:
    usual, every = ([random_circuit(case) for case in chosen] for chosen in (CASES, range(20)))
    for name in ("weight_bits", "leaf_bits", "state_bits", "scale_bits", "floor"):
        assert {getattr(circuit, name) for circuit in usual} == {getattr(circuit, name) for circuit in every}
    assert {any(map(circuit.has_tails, range(len(circuit.layers)))) for circuit in usual} == {True, False}
    assert {case % len(TREES) for case in CASES} == set(range(len(TREES)))


def test_testbench_names_record_variable_and_step(small: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(small, tmp_path / "project")
    path = folder / "golden/code_hashes.u32"
    steps = len(ReferenceEngine(random_circuit(4)).program.code.steps)
    hashes = np.frombuffer(path.read_bytes(), dtype="<u4").reshape(-1, steps).copy()
    names = (folder / "golden/steps.txt").read_text().splitlines()[-steps:]
    leaf = next(index for index, name in enumerate(names) if name.startswith("LEAF"))
    hashes[3, leaf] ^= 1
    path.write_bytes(hashes.tobytes())
    with pytest.raises(MismatchError, match=rf"record 3, code step {leaf} \({re.escape(names[leaf])}\)"):
        Csim(folder).golden()


def test_testbench_names_the_interval(small: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(small, tmp_path / "project")
    path = folder / "golden/intervals.u32"
    ends = np.frombuffer(path.read_bytes(), dtype="<u4").copy()
    ends[0] += 1
    path.write_bytes(ends.tobytes())
    with pytest.raises(
        MismatchError, match=r"record 0, code step \d+ \(INTERVAL layer \d+ variable \d+\): expected lo"
    ):
        Csim(folder).golden()


def test_truncated_golden_files_are_refused(small: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(small, tmp_path / "project")
    path = folder / "golden/likelihood.i64"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ToolError, match="golden must hold the results of all its records"):
        Csim(folder).golden()


def test_what_was_compared_is_what_the_manifest_says(small: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(small, tmp_path / "project")
    manifest = json.loads((folder / "manifest.json").read_text())
    engine, lanes = ReferenceEngine(random_circuit(4)), (folder / "golden/lanes.bin").stat().st_size
    steps = len(engine.program.likelihood.steps) + len(engine.program.code.steps)
    variables = len(engine.circuit.order)
    assert compared(Csim(folder).golden()) == {
        "records": 16, "steps": 16 * steps, "bytes": lanes - 4 * 5, "symbols": 16 * variables
    }  # fmt: skip
    assert manifest["golden_bytes"] == lanes - 4 * 5 == sum(map(len, encode_lanes(engine, golden_records(folder), 4)))
    for name, text in (
        ("golden_records", "golden must hold 17 records, as the manifest says; the testbench compared 16$"),
        ("golden_bytes", rf"golden must hold {lanes - 19} bytes, as the manifest says; the testbench compared"),
        ("variables", rf"golden must hold {16 * variables + 16} symbols, as the manifest says"),
    ):
        (folder / "manifest.json").write_text(json.dumps(manifest | {name: manifest[name] + 1}))
        with pytest.raises(FormatError, match=text):
            Csim(folder).golden()
    # A testbench of an earlier version says how many records there were, and nothing else.
    assert compared("5 records: likelihoods, bytes and symbols equal; cycles: likelihood 7") == {"records": 5}
    assert check_compared(folder, "5 records: equal", {"records": 5, "bytes": 9}) == {"records": 5}
    with pytest.raises(
        FormatError, match="golden must hold 5 records, as the manifest says; the testbench compared none"
    ):
        check_compared(folder, "", {"records": 5})


def golden_records(folder: Path) -> np.ndarray:
    symbols = np.frombuffer((folder / "golden/symbols.i32").read_bytes(), dtype="<i4")
    return symbols.reshape(16, -1).astype(np.int64)


def test_empty_golden_files_are_refused(small: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(small, tmp_path / "project")
    for path in (folder / "golden").iterdir():
        path.write_bytes(b"")
    with pytest.raises(ToolError, match=r"lanes\.bin is truncated"):
        Csim(folder).golden()
    shutil.rmtree(folder / "golden")
    with pytest.raises(ToolError, match=r"cannot read golden/symbols\.i32"):
        Csim(folder).golden()
    (folder / "golden/symbols.i32").mkdir(parents=True)
    with pytest.raises(ToolError, match=r"cannot read golden/symbols\.i32"):
        Csim(folder).golden()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["likelihood", "cut", "out"], "cut must hold whole words of 4 bytes, got 7 bytes"),
        (["likelihood", "short", "out"], r"short must hold whole records of \d+ symbols"),
        (["intervals", "beyond", "out"], r"beyond: record 1, variable 0: a symbol must be in -1\.\.\d+, got 99"),
        (["encode", "good", "out", "many"], r"a number must be in 1\.\.16777216, got 'many'"),
        (["encode", "good", "out", "0"], r"a number must be in 1\.\.16777216, got '0'"),
        (["decode", "none", "out", "3"], "none must hold all the lanes that it announces, at least one"),
        (["decode", "more", "out", "3"], "more must end behind its last lane"),
        (["decode", "more", "out", "9" * 30], r"a number must be in 0\.\.\d+, got '9+'"),
    ],
)
def test_a_testbench_by_hand_refuses(words: list[str], text: str, small: Path, tmp_path: Path) -> None:
    variables = len(random_circuit(4).order)
    records = np.zeros((2, variables), dtype="<i4")
    (tmp_path / "good").write_bytes(records.tobytes())
    (tmp_path / "cut").write_bytes(records.tobytes()[:7])
    (tmp_path / "short").write_bytes(records.tobytes()[:-4])
    records[1, 0] = 99
    (tmp_path / "beyond").write_bytes(records.tobytes())
    (tmp_path / "none").write_bytes(bytes(4))
    (tmp_path / "more").write_bytes(b"\1\0\0\0\1\0\0\0xyz")
    done = subprocess.run([Csim(small).compile(), *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and re.fullmatch(f"testbench: {text}\n", done.stderr)


@pytest.mark.parametrize("lanes", ["4294967297", "-1", "two", "18446744073709551617"])
def test_numbers_that_do_not_fit_are_refused(small: Path, tmp_path: Path, lanes: str) -> None:
    """2^32 + 1 lanes were cut to one."""
    done = start(Csim(small).compile(), ["encode", "golden/symbols.i32", str(tmp_path / "lanes"), lanes], small)
    assert done.returncode == 2
    assert done.stderr == f"testbench: a number must be in 1..16777216, got '{lanes}'\n"


def test_makefile_builds_without_pcedge(small: Path, tmp_path: Path) -> None:
    if not shutil.which("make"):
        pytest.skip("make is not installed")
    folder = shutil.copytree(small, tmp_path / "project")
    shutil.rmtree(folder / "build")
    said = tools.run(
        ["make", "csim", f"CXX={' '.join(tools.compiler())}", f"AP_TYPES={tools.ap_types()}"], folder, "make csim"
    )
    assert "equal the golden vectors" in said


def test_compiler_text_is_shown(small: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(small, tmp_path / "project")
    (folder / "src/pcedge_top.cpp").write_text("nonsense;\n")
    with pytest.raises(ToolError, match=r"compiling src/pcedge_top.cpp failed.*\n.*nonsense"):
        Csim(folder).compile()


def test_missing_tools_name_what_brings_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PCEDGE_CXX", str(tmp_path / "none"))
    with pytest.raises(MissingToolError, match="PCEDGE_CXX must name a C\\+\\+ compiler on PATH or by its path"):
        tools.compiler()
    monkeypatch.setenv("PCEDGE_AP_TYPES", str(tmp_path))
    with pytest.raises(MissingToolError, match=r"PCEDGE_AP_TYPES must name the folder of ap_int\.h"):
        tools.ap_types()
    monkeypatch.delenv("PCEDGE_CXX")
    monkeypatch.delenv("PCEDGE_AP_TYPES")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingToolError, match=r"pip install 'pcedge\[zig\]'"):
        tools.compiler()
    with pytest.raises(MissingToolError, match=r"pip install 'pcedge\[hls\]'"):
        tools.ap_types()


def test_a_compiler_in_a_path_with_spaces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = tmp_path / "my compiler"
    found.write_text("#!/bin/sh\n")
    found.chmod(0o755)
    monkeypatch.setenv("PCEDGE_CXX", str(found))
    assert tools.compiler() == [str(found)]


def test_export_never_deletes_what_it_did_not_write(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="must be a new or empty directory, or an earlier project"):
        write_project(random_circuit(0), tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
    with pytest.raises(
        UsageError,
        match=r"the target must be one of vitis-hls, alveo-u50, .* or a \.toml file, or for .*; got 'toaster'",
    ):
        write_project(random_circuit(0), tmp_path / "new", target="toaster")
    assert not (tmp_path / "new").exists()


def test_projects_are_reproducible(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_project(random_circuit(2), tmp_path / name)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert files
    for path in files:
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()


def test_a_folder_that_is_no_project(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"project-manifest: .* must hold a manifest.json"):
        Csim(tmp_path).compile()


def test_golden_records_are_samples_of_the_circuit(tmp_path: Path) -> None:
    circuit = make_circuit(5, 6, 3, 4, "hidden", 0.0)
    from pcedge.export.project.golden import draw_records

    drawn = draw_records(ReferenceEngine(quantize(circuit)), 4000, seed=1)
    wanted = sample(circuit, 4000, seed=2)
    for variable, symbols in enumerate(circuit.cardinalities):
        shares = [np.bincount(x[:, variable], minlength=symbols) / 4000 for x in (drawn, wanted)]
        assert np.abs(shares[0] - shares[1]).max() < 0.05
