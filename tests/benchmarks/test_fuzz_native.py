"""The harness that fuzzes the native engine: a part of what make nightly runs, and proof that it sees silent errors."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks import fuzz_native
from benchmarks.fuzz_native import Fuzzed, link, programs, write_programs
from pcedge.native import instruction_sets
from pcedge.native.build import NAME
from pcedge.native.library import HERE

pytestmark = pytest.mark.skipif(not shutil.which("gcc") or not instruction_sets(), reason="needs gcc and the library")


def drive(program: Path, folder: Path, count: int) -> subprocess.CompletedProcess[str]:
    command = [str(program), str(folder / "seeds"), str(count), "5", str(folder / "last")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_mutated_lanes_packets_and_rows(tmp_path: Path) -> None:
    """Without sanitizers, which take minutes to build: nothing crashes, and nothing damaged is taken for other data."""
    program = link(tmp_path, programs(), HERE / NAME, ["gcc", "-O1"])
    done = drive(program, tmp_path, 10_000)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("seeds, 10000 mutated cases\n")


def test_a_silent_error_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A symbol beyond its alphabet: here the harness thinks that alphabets are smaller than they are."""
    (first, *_) = programs()
    program = link(tmp_path, [first], HERE / NAME, ["gcc", "-O1"])
    assert drive(program, tmp_path, 0).returncode == 0
    monkeypatch.setattr(fuzz_native, "write_programs", lambda path, fuzzed: write_smaller(path, fuzzed))
    program = link(tmp_path, [first], HERE / NAME, ["gcc", "-O1"])
    done = drive(program, tmp_path, 0)
    assert done.returncode < 0
    assert "silent error: symbols[i] >= least && symbols[i] < f->symbols" in done.stderr


def write_smaller(path: Path, fuzzed: list[Fuzzed]) -> None:
    write_programs(path, fuzzed)
    text = path.read_text()
    assert "p0_symbols[] = {4, 4, 4, 4, 4}" in text
    path.write_text(text.replace("p0_symbols[] = {4, 4, 4, 4, 4}", "p0_symbols[] = {4, 4, 4, 4, 3}"))
