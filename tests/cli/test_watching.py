"""Training that a person can leave alone: signals, checkpoints beside the output, lines of progress, the curve."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.commands import as_json, run

from pcedge.circuit import load_circuit, log_likelihood
from pcedge.cli import watching
from pcedge.learn.holdout import hold_out

pytest.importorskip("torch", reason="training needs torch")

OPTIONS = ("--latents", 2, "--batch", 20, "--patience", 0)


def records(seed: int = 0) -> Any:
    generator = np.random.default_rng(seed)
    return (generator.integers(0, 3, 80)[:, None] + generator.integers(0, 2, (80, 4))) % 4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", records())
    return tmp_path


def started(folder: Path, *words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pcedge", "train", "--data", "x.npy", "--out", "c.pcedge", *map(str, words)]
    return subprocess.Popen(
        command, cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_the_same_command_goes_on(folder: Path, number: signal.Signals, status: int) -> None:
    words = (*OPTIONS, "--iterations", 500)
    kept = folder / "c.pcedge.checkpoint"
    process = started(folder, *words, "--checkpoint-seconds", 0)
    while not kept.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    said = process.communicate(timeout=300)[1]
    assert process.returncode == status and not (folder / "c.pcedge").exists()
    assert "stopping after this step; a second signal stops at once\n" in said
    assert f"the same command goes on from {kept}\n" in said
    # Another time between checkpoints is no other run.
    process = started(folder, *words)
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 0 and f"of {kept} …\n" in said and "going on from iteration " in said
    assert not kept.exists()
    assert run("train", "--data", folder / "x.npy", *words, "--out", folder / "whole.pcedge").exit_code == 0
    assert (folder / "whole.pcedge").read_bytes() == (folder / "c.pcedge").read_bytes()


def test_a_damaged_checkpoint_is_refused_and_kept(folder: Path) -> None:
    kept = folder / "c.pcedge.checkpoint"
    words = ("train", "--data", folder / "x.npy", *OPTIONS, "--iterations", 3)
    assert run(*words, "--checkpoint", kept, "--out", folder / "c.pcedge").exit_code == 0 and kept.exists()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-1])
    told = run(*words, "--out", folder / "c.pcedge")
    assert told.exit_code == 1 and kept.read_bytes() == whole[:-1]
    assert f"checkpoint: {kept} must be a checkpoint of pcedge with its checksum, it is damaged" in told.stderr


def test_a_checkpoint_of_another_run_is_put_aside(folder: Path) -> None:
    kept = folder / "c.pcedge.checkpoint"
    words = ("train", *OPTIONS, "--iterations", 3)
    assert run(*words, "--data", folder / "x.npy", "--checkpoint", kept, "--out", folder / "c.pcedge").exit_code == 0
    whole = kept.read_bytes()
    np.save(folder / "y.npy", records(1))
    told = run(*words, "--data", folder / "y.npy", "--out", folder / "c.pcedge")
    assert told.exit_code == 0 and not kept.exists()
    assert f"{kept} is of other data or settings: it is {kept}.old now, and training starts anew" in told.stderr
    assert (folder / "c.pcedge.checkpoint.old").read_bytes() == whole
    # A named one is refused, as ever.
    told = run(*words, "--data", folder / "y.npy", "--checkpoint", f"{kept}.old", "--out", folder / "c.pcedge")
    assert told.exit_code == 2 and "must be of a run with the same data, structure and settings" in told.stderr


def test_progress_off_a_terminal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "EVERY", 0.001)
    told = run("train", "--data", folder / "x.npy", *OPTIONS, "--iterations", 40, "--out", folder / "c.pcedge")
    lines = [line for line in told.stderr.splitlines() if line.startswith("training: step ")]
    assert lines and all(" of 40, train " in line and " bits a value, " in line for line in lines)


def test_what_a_line_of_progress_says() -> None:
    stage = watching._Stage("training", "step", begun=100.0)
    assert stage.line(107.0) == "training: at the start for 7 s"
    for step in range(41, 44):
        stage.move(step, 100, 5.25, 5.5 if step == 41 else np.nan)
    stage.start, stage.moved = (41, 200.0), 220.0
    # Two steps took 20 s; 57 are left, and 5 s of the first have gone.
    line = "training: step 43 of 100, train 5.2500, held out 5.5000 bits a value, 9 min 25 s left at most"
    assert stage.line(225.0) == line


@pytest.mark.parametrize(("suffix", "begin"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_the_learning_curve_as_a_picture(folder: Path, suffix: str, begin: bytes) -> None:
    pytest.importorskip("matplotlib")
    plot = folder / f"curve.{suffix}"
    words = ("train", "--data", folder / "x.npy", *OPTIONS, "--iterations", 5, "--validate-every", 2)
    result = as_json(*words, "--plot", plot, "--out", folder / "c.pcedge")
    assert plot.read_bytes().startswith(begin) and result["plot"] == str(plot)
    assert [point["step"] for point in result["curve"]] == [1, 2, 3, 4, 5]
    # Before the first look there is none.
    assert result["curve"][0]["valid_bits"] is None and result["curve"][1]["valid_bits"] > 0


def test_a_plot_that_cannot_be_drawn_is_refused_before_the_work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("train", "--data", folder / "x.npy", "--out", folder / "c.pcedge", "--plot")
    told = run(*words, folder / "curve.txt")
    assert told.exit_code == 2 and "a plot must end in .png, .svg, .pdf, got 'curve.txt'" in told.stderr
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    told = run(*words, folder / "curve.png")
    assert told.exit_code == 3 and "'pcedge[plot]'" in told.stderr
    assert not (folder / "c.pcedge").exists()


def test_a_single_array_has_a_validation_figure(folder: Path) -> None:
    result = as_json("train", "--data", folder / "x.npy", *OPTIONS, "--iterations", 3, "--out", folder / "c.pcedge")
    held_out = hold_out(records(), 0.1, 0)[1]
    bits = -log_likelihood(load_circuit(folder / "c.pcedge"), held_out).mean() / np.log(2) / 4
    assert result["valid_bits_per_variable"] == pytest.approx(bits, rel=1e-12)
