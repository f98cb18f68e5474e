"""Mutation of every input: a part of what benchmarks/mutate.py runs, and proof that it sees what goes wrong."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from helpers.nightly import NIGHTLY

from benchmarks import mutate, mutate_workers
from benchmarks.mutate_workers import Tally, make_case, run_cases
from benchmarks.mutated import Case, Parser
from benchmarks.mutated_hardware import HARDWARE
from benchmarks.mutations import BYTES, TEXT, damage, damage_tree, to_json
from pcedge.errors import DataError

#: cases of each parser here; benchmarks/mutate.py runs 10,000
CASES = 200 if NIGHTLY else 24
#: what each sabotage must be counted as
SABOTAGE = {
    "right": "", "refused": "", "value error": "unclean", "recursion": "unclean", "exit": "unclean",
    "warning": "unclean", "destructor": "unclean", "loop": "unclean", "wait": "unclean", "crash": "unclean",
    "killed": "unclean", "check fails": "unclean", "other content": "silent", "invalid": "silent", "memory": "memory",
    "hidden": "memory",
}  # fmt: skip


class Falling:
    """Fail when it is deleted."""

    def __del__(self) -> None:
        raise ValueError("in a destructor")


class Saboteur(Parser):
    """Do what no reader may do, one thing a case."""

    name, seconds, wall = "raw", 0.3, 3.0

    def make(self) -> list[Case]:
        return [Case({"x": b"whole"}, 0, options="right")]

    def damaged(self, dice: Random) -> Case:
        return Case({"x": b"whole"}, 0, True, dice.choice(sorted(SABOTAGE)))

    def read(self, case: Case) -> Any:
        what = case.options
        if what == "value error":
            raise ValueError("no typed error")
        if what == "refused":
            raise DataError("typed")
        if what == "recursion":
            return self.read(case)
        if what == "exit":
            sys.exit(0)
        if what == "warning":
            warnings.warn("divided by zero", RuntimeWarning, stacklevel=1)
        if what == "destructor":
            Falling()
        while what == "loop":
            try:
                sum(range(1000))
            except Exception as error:  # as a reader that turns every exception into its own
                raise DataError("typed") from error
        if what == "wait":
            time.sleep(60)
        if what == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if what == "killed":
            os._exit(3)
        if what == "memory":
            bytearray(200 << 20)
        if what == "hidden":
            try:
                bytearray(200 << 20)
            except MemoryError as error:
                raise DataError("it must be a whole file") from error
        return what

    def content(self, case: Case, found: Any) -> Any:
        return found if found == "other content" else "right"

    def fault(self, case: Case, found: Any) -> str | None:
        if found == "check fails":
            raise ValueError("what was accepted cannot be used")
        return "it is not valid" if found == "invalid" else None


class Stopped(Saboteur):
    """Be stopped for longer than a case may wait, and go on."""

    def damaged(self, dice: Random) -> Case:
        return Case({"x": b"whole"}, 0, options="right")

    def read(self, case: Case) -> Any:
        with subprocess.Popen(["sh", "-c", f"sleep {self.wall + 1}; kill -CONT {os.getpid()}"]):
            os.kill(os.getpid(), signal.SIGSTOP)
        return super().read(case)


def counted(tally: Tally) -> dict[int, str]:
    return {failure.case: failure.kind for failure in tally.failures}


def sabotaged(folder: Path, count: int, seed: int) -> dict[int, str]:
    """Say what the cases do."""
    parser = Saboteur()
    parser.prepare(folder)
    return {number: make_case(parser, number, seed).options for number in range(count)}


def test_everything_that_goes_wrong_is_counted(tmp_path: Path) -> None:
    whats = sabotaged(tmp_path, 48, 3)
    assert set(whats.values()) == set(SABOTAGE)
    wanted = {number: SABOTAGE[what] for number, what in whats.items() if SABOTAGE[what]}
    tally = run_cases([Saboteur()], range(48), 3, 2)["raw"]
    assert counted(tally) == wanted
    assert tally.cases == 48
    errors = {whats[failure.case]: failure for failure in tally.failures}
    assert errors["crash"].error == "crash: SIGSEGV" and errors["killed"].error == "crash: exit 3"
    assert errors["value error"].error == "ValueError: no typed error"
    assert errors["value error"].where.startswith("test_mutate.py:") and "Traceback" in errors["value error"].traceback
    assert errors["loop"].error == errors["wait"].error == "HangError:"


def test_a_run_that_was_stopped_for_a_while_has_not_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_cases([Stopped()], [0], 0, 1)["raw"].failures == []
    # Every look at the clock finds an hour passed.
    hours = itertools.count()
    monkeypatch.setattr(mutate_workers, "time", SimpleNamespace(monotonic=lambda: 3600.0 * next(hours)))
    tally = run_cases([mutate.PARSERS["idx"]()], range(20), 0, 1)["idx"]
    assert (tally.cases, tally.failures) == (20, [])


def test_the_number_of_processes_changes_nothing(tmp_path: Path) -> None:
    one, two = (run_cases([Saboteur()], range(12), 1, workers)["raw"] for workers in (1, 2))
    assert counted(one) == counted(two)
    assert (one.accepted, one.refused) == (two.accepted, two.refused)
    for kind in (mutate.PARSERS["spn"], mutate.PARSERS["stream"]):
        made = []
        for name in ("first", "second"):
            parser, folder = kind(), tmp_path / kind.name / name
            folder.mkdir(parents=True)
            parser.prepare(folder)
            made.append([make_case(parser, number, 0) for number in range(40)])
        assert made[0] == made[1]
        assert len({tuple(case.files.values()) for case in made[0]}) > 35


def test_every_damage_can_follow_another(tmp_path: Path) -> None:
    """A stream whose shape was damaged cannot be decoded any more, which its halves were made by."""
    parser = mutate.PARSERS["stream"]()
    parser.prepare(tmp_path)
    assert not make_case(parser, 8669, 0).protected


def test_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def run(*words: str) -> Any:
        return CliRunner().invoke(mutate.main, ["--workers", "1", *words])

    done = run("--parser", "idx", "--count", "20", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)["idx"]
    assert said["cases"] == said["accepted"] + said["refused"] == 20
    assert said["unclean"] == said["silent"] == said["memory"] == 0
    assert run("--case", "3").exit_code == 2
    assert run("--parser", "idx", "--case", "3", "--keep", str(tmp_path / "kept")).exit_code == 0
    assert [path.name for path in (tmp_path / "kept").iterdir()] in (["x.idx"], ["x.idx.gz"])
    monkeypatch.setitem(mutate.PARSERS, "raw", Saboteur)
    whats = sabotaged(tmp_path, 48, 3)
    number = next(number for number, what in whats.items() if what == "value error")
    done = run("--parser", "raw", "--seed", "3", "--case", str(number))
    assert done.exit_code == 1
    assert f"raw: unclean, 1 cases ({number}): test_mutate.py:" in done.output
    assert 'raise ValueError("no typed error")' in done.output


def test_damage_is_damage() -> None:
    dice, data = Random(0), b"name = 12.5, 7\nother 3\n"
    for kinds in (BYTES, TEXT):
        made = {damage(data, dice, kinds) for _ in range(300)}
        assert len(made) > 200
    tree = {"a": [1, 2, {"b": "text"}], "c": 0.5}
    made = {to_json(damage_tree(tree, dice)) for _ in range(300)}
    assert len(made) > 150 and tree == {"a": [1, 2, {"b": "text"}], "c": 0.5}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="counts memory as Linux does")
def test_every_reader_refuses_or_accepts_rightly() -> None:
    """Damage to every kind of input: 0 unclean, 0 silent, memory within its bound."""
    simulated = {kind.name for kind in HARDWARE}
    parsers = [parser for parser in mutate.parsers_of("all") if parser.name not in simulated]
    tallies = run_cases(parsers, range(CASES), 0, 2)
    wrong = {name: [(failure.case, failure.kind, failure.error, failure.where) for failure in tally.failures]
             for name, tally in tallies.items() if tally.failures}  # fmt: skip
    assert not wrong, "python -m benchmarks.mutate --parser NAME --case N shows more"
    for name, tally in tallies.items():
        assert tally.cases == CASES
        assert tally.accepted < CASES, name  # most damage is found
        assert tally.accepted or not NIGHTLY, name  # and some means nothing, of some formats little


@pytest.mark.csim
@pytest.mark.slow
@pytest.mark.parametrize("name", [kind.name for kind in HARDWARE])
def test_simulated_hardware_stays_within_its_memory(name: str) -> None:
    if not shutil.which("g++"):
        pytest.skip("needs g++ with its sanitizer")
    tally = run_cases(mutate.parsers_of(name), range(2 * CASES), 0, 2)[name]
    assert not [(failure.case, failure.kind, failure.error, failure.where) for failure in tally.failures]
    assert 0 < tally.accepted < tally.cases
