"""Fuzzing of the readers by atheris: a part of what make nightly runs, and proof that it sees what goes wrong."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.paths import ROOT

from benchmarks import fuzz_readers, mutated_codec, mutated_streams
from benchmarks.mutate_workers import judge
from pcedge.errors import StreamError
from pcedge.native import NativeEngine, instruction_sets

ATHERIS = pytest.mark.skipif(not importlib.util.find_spec("atheris"), reason="needs atheris (pcedge[fuzz])")

#: a reader that fails on the bytes that have its word: another error, a hang, what is not valid
SABOTEUR = """
import sys
from benchmarks import fuzz_readers, mutate
from benchmarks.mutated import Case, Parser

class Saboteur(Parser):
    name, seconds = "raw", 0.5
    def make(self): return [Case({"x": b"whole"}, 0)]
    def damaged(self, dice): return Case({"x": b"whol" + dice.choice((b"!", b"?"))}, 0)
    def read(self, case):
        data = (self.place_of_files / "x").read_bytes()
        if b"!" in data: raise ValueError("no typed error")
        while b"?" in data: pass
        return data
    def content(self, case, found): return found
    def fault(self, case, found): return "it is not valid" if b"#" in found else None

mutate.PARSERS["raw"] = Saboteur
fuzz_readers.target("raw", sys.argv[2:], sealed=sys.argv[1] == "sealed")
"""


def drive(folder: Path, *words: object, sealed: bool = False) -> tuple[int, str]:
    scratch = Path(tempfile.mkdtemp(dir=folder))
    command = [sys.executable, "-c", SABOTEUR, "sealed" if sealed else "plain", *map(str, words)]
    environment = os.environ | {"PCEDGE_FUZZ_SCRATCH": str(scratch)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, errors="replace")
    return done.returncode, done.stderr


@ATHERIS
@pytest.mark.nightly
def test_what_goes_wrong_ends_a_run_and_is_kept(tmp_path: Path) -> None:
    for sealed in (False, True):
        place = tmp_path / str(sealed)
        (place / "corpus").mkdir(parents=True)
        status, said = drive(
            place, place / "corpus", "-max_total_time=60", f"-artifact_prefix={place}/found-", sealed=sealed
        )
        assert status and "raw: unclean: " in said, said
        (kept,) = place.glob("found-*")
        assert drive(tmp_path, kept)[0]
    for data, wanted in (
        (b"!", "unclean: ValueError: no typed error"),
        (b"?", "unclean: HangError"),
        (b"#", "silent: it is not valid"),
    ):
        (tmp_path / "one").write_bytes(b"\0\0" + data)
        status, said = drive(tmp_path, tmp_path / "one")
        assert status and f"raw: {wanted}" in said, said
    (tmp_path / "one").write_bytes(b"\0\0" + b"right")
    assert drive(tmp_path, tmp_path / "one")[0] == 0


def test_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def run(*words: str) -> Any:
        return CliRunner().invoke(fuzz_readers.main, [*words, "--corpus", str(tmp_path)])

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name != "atheris")
    done = run()
    assert done.exit_code == 1
    assert "fuzzing of the readers needs the package atheris" in done.output and "'pcedge[fuzz]'" in done.output
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)
    done = run("--reader", "png")
    assert done.exit_code == 2 and "--reader must be one of circuit, onnx, " in done.output
    assert run("--file", __file__).exit_code == 2
    assert {"stream", "packets", "archive", "program"} <= set(fuzz_readers.readers("all", sealed=True))
    ran: list[tuple[str, int]] = []

    def fuzz(name: str, corpus: Path, seconds: int, *_: object, **__: object) -> tuple[int, int]:
        (corpus / name).mkdir()
        ran.append((name, seconds))
        return 77 if name == "packets" else 0, 5

    monkeypatch.setattr(fuzz_readers, "fuzz", fuzz)
    done = run("--sealed", "--seconds", "90")
    assert done.exit_code == 1 and "packets: 5 cases, 0 kept, FAILED (77)" in done.output
    assert "archive: 5 cases, 0 kept, nothing found" in done.output
    assert len(ran) == len(fuzz_readers.SEALED) and {seconds for _, seconds in ran} == {90 // len(ran)}


@pytest.mark.skipif(not instruction_sets(), reason="needs the library")
def test_engines_that_disagree_are_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    parser = mutated_codec.Archives()
    parser.prepare(tmp_path)
    assert judge(parser, parser.whole[1])[:2] == (True, [])
    decode, likelihood = NativeEngine.decode_lanes, NativeEngine.likelihood

    def refuse(*_: object, **__: object) -> Any:
        raise StreamError("damaged")

    def wrong(engine: NativeEngine, x: Any) -> Any:
        mantissa, exponent = likelihood(engine, x)
        return mantissa, exponent + np.int64(1)

    monkeypatch.setattr(NativeEngine, "decode_lanes", refuse)
    _, (failure,), *_ = judge(parser, parser.whole[1])
    assert failure.kind == "unclean" and failure.error.startswith("DisagreementError: engines must agree, one gives")
    monkeypatch.setattr(NativeEngine, "decode_lanes", decode)
    monkeypatch.setattr(NativeEngine, "likelihood", wrong)
    _, (failure,), *_ = judge(parser, parser.whole[1])
    assert (failure.kind, failure.error) == ("silent", "the likelihood of NativeEngine must be that of the reference")


def test_damage_makes_programs_of_other_circuits(tmp_path: Path) -> None:
    """Whole ones, with digest and steps of their own, which readers accept."""
    parser = mutated_codec.ProgramFile()
    parser.prepare(tmp_path)
    whole, dice, accepted = parser.whole[0].files["p.pcp"], Random(0), 0
    for _ in range(60):
        data, _ = mutated_codec.damage_program(whole, dice)
        accepted += data[8:40] != whole[8:40]
    assert accepted > 3


def test_calls_that_agree() -> None:
    def refuse(text: str) -> Any:
        raise StreamError(text)

    assert mutated_streams.agreed([lambda: 1, lambda: 1], int) == 1
    with pytest.raises(StreamError, match=r"^one$"):
        mutated_streams.agreed([lambda: refuse("one"), lambda: refuse("two")], int)
    for calls in ([lambda: 1, lambda: 2], [lambda: 1, lambda: refuse("one")], [lambda: refuse("one"), lambda: 1]):
        with pytest.raises(mutated_streams.DisagreementError, match=r"^engines must agree, one gives "):
            mutated_streams.agreed(calls, int)
