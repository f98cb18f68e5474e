"""The command line where it is used: streams that are closed, full or of few characters, pipes, names that are no text.

Every case is a process of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from strategies import make_circuit

from pcedge.circuit import sample, save_circuit
from pcedge.cli.output import table
from pcedge.codec import encode
from pcedge.data import load_array
from pcedge.engines import ReferenceEngine
from pcedge.export import write_onnx
from pcedge.export.onnx import zoo
from pcedge.quantize import quantize

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the devices of Linux")

FULL = "pcedge: stdout must take what is written to it, it does not: No space left on device\n"
CLOSED = "pcedge: stdout must take what is written to it, it does not: Bad file descriptor\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a small circuit, its integer circuit, data, and their stream."""
    folder = tmp_path_factory.mktemp("files")
    circuit = make_circuit(7, 4, 2, 6, "hidden")
    model = quantize(circuit)
    save_circuit(circuit, folder / "c.pcedge")
    write_onnx(model, folder / "m.onnx")
    x = sample(circuit, 30, seed=1).astype(np.uint8)
    np.save(folder / "x.npy", x)
    x.tofile(folder / "x.raw")
    (folder / "x.pce").write_bytes(encode(ReferenceEngine(model), x, 1))
    return folder


def shell(folder: Path, line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of bash in which `pcedge` is this one; a failing part of a pipeline is its status."""
    code = f'pcedge() {{ "{sys.executable}" -m pcedge "$@"; }}; set -o pipefail; {line}'
    return subprocess.run(
        ["bash", "-c", code], cwd=folder, capture_output=True, timeout=120, env={**os.environ, **environment}
    )


@pytest.mark.parametrize("words", ["--version", "--help", "zoo", "info m.onnx --json"])
@pytest.mark.parametrize(("stdout", "text"), [(">/dev/full", FULL), (">&-", CLOSED)])
def test_a_stdout_that_takes_nothing(words: str, stdout: str, text: str, folder: Path) -> None:
    done = shell(folder, f"pcedge {words} {stdout}")
    assert (done.returncode, done.stdout, done.stderr.decode()) == (1, b"", text)


@pytest.mark.parametrize("stderr", ["2>&-", "2>/dev/full"])
def test_a_stderr_that_takes_nothing_changes_nothing(stderr: str, folder: Path) -> None:
    for words, status in (("info x.npy", 1), ("fly", 2)):
        done = shell(folder, f"pcedge {words} {stderr}")
        assert (done.returncode, done.stdout, done.stderr) == (status, b"", b"")
    done = shell(folder, f"pcedge verify m.onnx --data x.npy --rungs ort {stderr}")  # it says what it does
    assert done.returncode == 0 and b"equality with the numpy reference" in done.stdout


def test_all_streams_may_be_closed(folder: Path, tmp_path: Path) -> None:
    """Files that are opened do not get their numbers, to which others write."""
    done = shell(folder, f"pcedge encode m.onnx x.npy {tmp_path}/o.pce --lanes 1 <&- >&- 2>&-")
    assert done.returncode == 1
    assert (tmp_path / "o.pce").read_bytes() == (folder / "x.pce").read_bytes()


@pytest.mark.parametrize("words", ["zoo", "--help", "encode m.onnx x.npy /dev/stdout"])
def test_a_reader_that_goes_away(words: str, folder: Path) -> None:
    done = shell(folder, f"pcedge {words} 2>said | true; echo ${{PIPESTATUS[0]}}")
    said = (folder / "said").read_text()
    assert "Traceback" not in said and "ignored" not in said
    assert done.stdout in (b"1\n", b"0\n")  # it may have ended before


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_encodings_of_few_characters(encoding: str, folder: Path) -> None:
    more = {"LC_ALL": "C", "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    wide = encoding == "cp1252"

    def run(line: str, status: int = 0) -> tuple[str, str]:
        done = shell(folder, line, **more)
        said, warned = done.stdout.decode(encoding), done.stderr.decode(encoding)
        assert done.returncode == status and "Traceback" not in warned, warned
        return said, warned

    said, _ = run("pcedge zoo")
    assert "| digits" in said and "+----" in said and "┃" not in said
    assert ("8x8" if encoding == "ascii" else "8×8") in said
    assert ("Chow–Liu" if wide else "Chow-Liu") in run("pcedge train --help")[0]
    _, warned = run("pcedge verify m.onnx --data x.npy --rungs ort --records 1")
    assert ("onnxruntime …" if wide else "onnxruntime ...") in warned


def test_names_that_are_no_text(folder: Path, tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/$n$_$^$n\xff\xe4"
    for suffix in (b".pcedge", b".onnx", b".npy"):
        source = {b".pcedge": "c.pcedge", b".onnx": "m.onnx", b".npy": "x.npy"}[suffix]
        shutil.copyfile(folder / source, name + suffix)

    def run(*words: str | bytes, status: int = 0, **environment: str) -> bytes:
        done = subprocess.run(
            [sys.executable, "-m", "pcedge", *words], capture_output=True, env={**os.environ, **environment}
        )
        assert done.returncode == status and b"Traceback" not in done.stderr, done.stderr
        return done.stderr if status else done.stdout

    out = name + b".pce"
    for more in ({"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "utf-8"}):
        assert b"n\\udcff\\udce4.pce: " in run("encode", name + b".onnx", name + b".npy", out, **more)
        assert b"n\\udcff\\udce4.npy must" in run("info", name + b".npy", status=1, **more)
    said = json.loads(run("decode", name + b".onnx", out, name + b".back.npy", "--json"))
    assert os.fsencode(said["out"]) == name + b".back.npy"
    assert Path(os.fsdecode(name + b".back.npy")).read_bytes() == (folder / "x.npy").read_bytes()
    run("export", name + b".onnx", "--data", name + b".npy", "--out", name)
    run("quantize", name + b".pcedge", "--out", name + b".new")
    assert b"the output must be another file than the input" in run("encode", name + b".onnx", out, out, status=2)
    words = ["evaluate", name + b".pcedge", name + b".onnx", "--data", name + b".npy", "--queries", "2"]
    run(*words, "--plot", name + b".svg")


@pytest.mark.parametrize("more", [{"NO_COLOR": "1", "TERM": "dumb"}, {"COLUMNS": "20"}])
def test_terminals(more: dict[str, str], folder: Path) -> None:
    done = shell(folder, "pcedge zoo", **more)
    assert done.returncode == 0 and b"\x1b" not in done.stdout
    # A narrow terminal breaks no cell.
    rows = [line.split("│")[1:-1] for line in done.stdout.decode().splitlines() if line.startswith("│")]
    columns = ["".join(cell.strip() for cell in column) for column in zip(*rows, strict=True)]
    expected = list(zoo().values())
    assert columns[0] == "".join(zoo())
    for place, field in ((1, "variables"), (4, "bytes")):
        assert columns[place] == "".join(str(entry[field]) for entry in expected)


def test_binary_on_stdout(folder: Path, tmp_path: Path) -> None:
    packed, words = (folder / "x.pce").read_bytes(), "pcedge encode m.onnx x.npy"
    for line in (f"{words} /dev/stdout --lanes 1 | cat", f"{words} /dev/fd/1 --lanes 1 | cat",
                 f"{words} /proc/self/fd/1 --lanes 1", f"{words} /dev/stdout --lanes 1 --json | cat"):  # fmt: skip
        done = shell(folder, line)
        assert done.returncode == 0 and done.stdout == packed
        assert str(len(packed)) in done.stderr.decode()
    assert json.loads(done.stderr)["bytes"] == len(packed)
    # What is there already stays, as with every other tool.
    (tmp_path / "all").write_bytes(b"first")
    done = shell(folder, f"{words} /dev/stdout --lanes 1 >> {tmp_path}/all")
    assert (tmp_path / "all").read_bytes() == b"first" + packed and done.stdout == b""
    done = shell(folder, "pcedge loglik m.onnx x.npy --out /dev/stdout | cat")
    assert done.stdout.startswith(b"\x93NUMPY") and b"mean: " in done.stderr
    done = shell(folder, "pcedge quantize c.pcedge --out /dev/stdout --json | wc -c")
    assert int(done.stdout) == json.loads(done.stderr)["bytes"] > 0
    done = shell(folder, "pcedge decode m.onnx x.npy /dev/stdout --json | cat")
    assert (done.returncode, done.stdout) == (1, b"") and b'"error": "StreamError"' in done.stderr
    for place, status, text in (
        ("/dev/full", 1, "pcedge: /dev/full must take what is written to it, it does not: No space left on device\n"),
        ("/dev/stdout >&-", 1, "/dev/stdout must take what is written to it, it does not: Bad file descriptor\n"),
        ("/dev/stdin </dev/null", 1, "/dev/stdin must take what is written to it, it does not: Bad file descriptor\n"),
        ("/dev/fd/77", 2, "the output must be open, /dev/fd/77 is not"),
        ("/dev", 2, "is a directory"),
    ):
        done = shell(folder, f"{words} {place}")
        assert done.returncode == status and text in done.stderr.decode() and b"Traceback" not in done.stderr


def test_pipes_are_inputs(folder: Path, tmp_path: Path) -> None:
    x = (folder / "x.npy").read_bytes()
    for line in (
        "cat x.pce | pcedge decode m.onnx /dev/stdin /dev/stdout | cat",
        "pcedge decode m.onnx /dev/stdin /dev/stdout < x.pce | cat",
        "pcedge decode <(cat m.onnx) <(cat x.pce) /dev/stdout | cat",
        "cat x.pce | PCEDGE_CIRCUITS=. pcedge decode - /dev/stdout | cat",
        "PCEDGE_CIRCUITS=. pcedge decode <(cat x.pce) /dev/stdout | cat",
    ):
        done = shell(folder, line)
        assert done.returncode == 0 and x in done.stdout, done.stderr
    expected = shell(folder, "pcedge loglik c.pcedge x.npy").stdout
    os.mkfifo(tmp_path / "p.npy")
    for line in (
        "pcedge loglik <(cat c.pcedge) x.npy",
        "cat x.npy | pcedge loglik c.pcedge /dev/stdin",
        "pcedge loglik c.pcedge <(cat x.npy)",
        "pcedge loglik c.pcedge <(cat x.raw) --dtype u1 --shape 4",
        f"cat x.npy > {tmp_path}/p.npy & pcedge loglik c.pcedge {tmp_path}/p.npy",
    ):
        done = shell(folder, line)
        assert (done.returncode, done.stdout) == (0, expected), done.stderr
    for line in ("cat x.npy | pcedge loglik c.pcedge -", "pcedge loglik c.pcedge - < x.npy"):
        done = shell(folder, line)
        assert (done.returncode, done.stdout) == (0, expected), done.stderr
    assert shell(folder, "cat x.pce | pcedge info -").stdout == shell(folder, "pcedge info x.pce").stdout
    done = shell(
        folder, "cat x.npy | pcedge train --data - --latents 2 --iterations 2 --batch 10 --out t.pcedge --json"
    )
    assert done.returncode == 0 and json.loads(done.stdout)["variables"] == 4, done.stderr
    done = shell(folder, "cat x.npy | pcedge evaluate c.pcedge m.onnx --data - --ood -")
    text = b"pcedge: an input must be another one than the others where it can be read once only, as /dev/stdin\n"
    assert (done.returncode, done.stderr) == (2, text)
    assert shell(folder, "pcedge info <(cat x.pce)").stdout == shell(folder, "pcedge info x.pce").stdout
    done = shell(folder, "head -c 40 x.pce | pcedge decode m.onnx /dev/stdin o.npy --json")
    assert done.returncode == 1 and json.loads(done.stdout)["exit"] == 1 and b"truncated" in done.stderr
    done = shell(folder, "cat x.raw | pcedge loglik m.onnx /dev/stdin")
    assert done.returncode == 1 and b"pcedge: /dev/stdin must end in .npy" in done.stderr
    done = shell(folder, "pcedge decode m.onnx /dev/zero o.npy")
    text = b"pcedge: an input must be a file, a folder or a pipe, /dev/zero is a device\n"
    assert (done.returncode, done.stderr) == (2, text)
    done = shell(folder, "pcedge decode m.onnx /dev/null o.npy")
    assert done.returncode == 1 and b"truncated" in done.stderr
    assert not (folder / "o.npy").exists()


def test_a_named_pipe_is_an_output(folder: Path, tmp_path: Path) -> None:
    pipe, taken = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: taken.append(pipe.read_bytes()), daemon=True)
    reader.start()
    done = shell(folder, f"pcedge encode m.onnx x.npy {pipe} --lanes 1")
    reader.join(timeout=30)
    assert done.returncode == 0 and f"{pipe}: ".encode() in done.stdout
    assert taken == [(folder / "x.pce").read_bytes()] and pipe.is_fifo()


def test_narrow_tables_keep_a_column_whole() -> None:
    made: Any = table("t", ["name", "b"], [["digits", 1], ["mnist-16", 2]], whole=True)
    from pcedge.cli.output import _least_width

    assert _least_width(made) == len("│ mnist-16 │ b │")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("loglik", "Missing argument 'MODEL'; python -m pcedge loglik --help shows what it takes"),
        (
            "loglik m.onnx y.npy",
            "Invalid value for 'DATA': Path 'y.npy' does not exist; python -m pcedge loglik --help shows",
        ),
        ("decode m.onnx x.pce o --format x", "Invalid value for '--format': 'x' is not one of 'npy', 'csv', 'tsv',"),
        ("nothing", "No such command 'nothing'; python -m pcedge --help shows what it takes"),
        (
            "quantize c.pcedge --out x.onnx --data x.npy",
            "--data must come with --refine, --leaf-tables, --row-table or a budget;",
        ),
    ],
)
def test_wrong_usage_is_one_line(words: str, text: str, folder: Path) -> None:
    done = shell(folder, f"pcedge {words}")
    assert done.returncode == 2 and done.stderr.decode().startswith(f"pcedge: {text}"), done.stderr
    assert done.stderr.count(b"\n") == 1 and not done.stdout
    done = shell(folder, f"pcedge {words} --json")
    assert json.loads(done.stdout)["exit"] == 2


def test_no_command_shows_the_help(folder: Path) -> None:
    done = shell(folder, "pcedge")
    assert done.returncode == 2 and b"Usage: " in done.stderr and b"encode" in done.stderr


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_arrays_are_read_from_stdin(tmp_path: Path, name: str) -> None:
    x = load_array("digits")[:3]
    np.save(tmp_path / name, x) if name == "x.npy" else np.savez(tmp_path / name, train=x)
    program = [sys.executable, "-m", "pcedge", "loglik", "digits"]
    with (tmp_path / name).open("rb") as source:
        piped = subprocess.run([*program, "/dev/stdin"], stdin=source, capture_output=True, text=True, check=True)
    plain = subprocess.run([*program, str(tmp_path / name)], capture_output=True, text=True, check=True)
    assert piped.stdout == plain.stdout
    refused = subprocess.run([*program, "/dev/stdin"], input="no array", capture_output=True, text=True)
    assert refused.returncode == 1
    assert "or be raw binary with --dtype, got 'stdin'" in refused.stderr
