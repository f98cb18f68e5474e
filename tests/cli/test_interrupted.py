"""Commands that are killed at any step, that find the disk full, or that write one file together: old file or new."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.commands import run
from helpers.streams import numbered, small_circuit
from numpy.testing import assert_array_equal

from pcedge.codec import decode
from pcedge.engines import ReferenceEngine
from pcedge.export import write_onnx

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is neither fork nor SIGKILL")

#: Runs commands in processes that are forked of one that has imported everything. A line of JSON on stdin is a list of
#: jobs, which begin together: words, the step before which the process is killed, the bytes that a file may have.
SERVER = """
import json, os, resource, signal, sys
import pcedge.cli, pcedge.files

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

def run(words):
    sys.argv = ["pcedge", *words]
    try:
        pcedge.cli.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return 0

def start(words, kill, size):
    errors, ours = os.pipe()
    child = os.fork()
    if child:
        os.close(ours)
        return child, errors
    os.dup2(ours, 2)
    pcedge.files._swept.clear()  # as a process that has just begun
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    steps = [0]

    def hook(event, arguments):
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in ("os.rename", "os.remove", "os.truncate", "os.chmod", "os.link"):
            if steps[0] == kill:
                os.kill(os.getpid(), signal.SIGKILL)
            steps[0] += 1

    if kill is not None:
        sys.addaudithook(hook)
    if size is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        status = run(words)
        sys.stderr.flush()
        os._exit(status)
    except BaseException:
        import traceback
        traceback.print_exc()
        os._exit(99)

aside = os.dup(1)
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
for words in json.loads(sys.argv[1]):  # what they import is there then
    assert run(words.split()) == 0, words
os.dup2(aside, 1)
for line in sys.stdin:
    said = []
    for child, errors in [start(*job) for job in json.loads(line)]:
        with os.fdopen(errors) as file:
            text = file.read()
        said.append([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text])
    print(json.dumps(said), flush=True)
"""

Job = tuple[str, int | None, int | None]
DATA = numbered(300, (2, 2, 4)).astype(np.uint8)


class Server:
    """Run commands in a folder."""

    def __init__(self, folder: Path) -> None:
        one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")  # a fork takes no thread along
        command = [sys.executable, "-c", SERVER, json.dumps([*COMMANDS])]
        self.process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | one
        )

    def __call__(self, *jobs: Job) -> list[tuple[int, str]]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps([[words.split(), kill, size] for words, kill, size in jobs]) + "\n")
        self.process.stdin.flush()
        answer: list[Any] = json.loads(self.process.stdout.readline())
        return [(status, text) for status, text in answer]

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("interrupted")
    write_onnx(small_circuit(), folder / "m.onnx")
    np.save(folder / "x.npy", DATA)
    np.save(folder / "old.npy", DATA[:7])
    np.save(folder / "out.npy", DATA)
    for words in ("encode m.onnx x.npy x.pce", "pack m.onnx x.npy x.pcz"):
        assert run(*(folder / word if "." in word else word for word in words.split())).exit_code == 0
    server = Server(folder)
    yield folder, server
    server.close()


#: commands, and how the file that is replaced is made
COMMANDS = {
    "encode m.onnx x.npy out.pce": "encode m.onnx old.npy out.pce",
    "encode m.onnx x.npy out.pce --append": "encode m.onnx old.npy out.pce",
    "encode m.onnx x.npy out.pce --packet-bytes 12": "encode m.onnx old.npy out.pce",
    "decode m.onnx x.pce out.npy": "",
    "pack m.onnx x.npy out.pcz": "pack m.onnx old.npy out.pcz",
    "unpack x.pcz out.npy": "",
    "export m.onnx --target program --out out.pcp": "",
}


def target_of(words: str) -> str:
    return next(word for word in words.split() if word.startswith("out."))


def old_and_new(folder: Path, server: Server, words: str) -> tuple[bytes, bytes, Callable[[], None]]:
    """Give the file's old bytes, those that the command writes, and what puts the old ones there."""
    target = folder / target_of(words)
    if COMMANDS[words]:
        ((status, said),) = server((COMMANDS[words], None, None))
        assert status == 0, said
    else:
        target.write_bytes(b"what was there before")
    old = target.read_bytes()
    ((status, said),) = server((words, None, None))
    assert status == 0, said
    new = target.read_bytes()

    def restore() -> None:
        target.write_bytes(old)

    return old, new, restore


@pytest.mark.parametrize("words", COMMANDS)
def test_killed_before_any_of_its_steps(words: str, served: tuple[Path, Server]) -> None:
    folder, server = served
    target = folder / target_of(words)
    old, new, restore = old_and_new(folder, server, words)
    assert old != new
    seen = set()
    for step in range(40):
        restore()
        ((status, said),) = server((words, step, None))
        assert target.read_bytes() in (old, new), f"killed before step {step}"
        seen.add(target.read_bytes() == new)
        if status == 0:
            break
        assert status == -9, said
    assert status == 0 and step >= 2 and seen == {False, True}
    # The next run has removed what the killed ones left.
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".pcedge-")]


@pytest.mark.parametrize("words", COMMANDS)
def test_a_full_disk(words: str, served: tuple[Path, Server]) -> None:
    folder, server = served
    target = folder / target_of(words)
    old, new, restore = old_and_new(folder, server, words)
    for size in (0, 1, len(new) // 2, len(new) - 1):
        restore()
        ((status, said),) = server((words, None, size))
        # `pack` has told the break-even before.
        assert status == 1 and said.count("\n") == 1 + words.startswith("pack"), (size, status, said)
        assert os.strerror(errno.EFBIG) in said.splitlines()[-1]
        assert target.read_bytes() == old
        assert not [path.name for path in folder.iterdir() if path.name.startswith(".pcedge-")]


def test_writers_of_one_file(served: tuple[Path, Server]) -> None:
    folder, server = served
    engine = ReferenceEngine(small_circuit())
    for number in range(6):
        np.save(folder / f"w{number}.npy", DATA[: 40 * number + 20])
    jobs: list[Job] = [(f"encode m.onnx w{number}.npy together.pce", None, None) for number in range(6)]
    for _ in range(3):
        assert [status for status, _ in server(*jobs)] == [0] * 6
        back = decode(engine, (folder / "together.pce").read_bytes())
        assert_array_equal(back, DATA[: len(back)])
        assert len(back) in range(20, 260, 40)


def test_appenders_to_one_file(served: tuple[Path, Server]) -> None:
    """One that finds the file taken says so, and what the others added is all there."""
    folder, server = served
    engine = ReferenceEngine(small_circuit())
    for number in range(4):
        np.save(folder / f"a{number}.npy", np.full((10 + number, 3), number // 2, dtype=np.uint8))
    jobs: list[Job] = [(f"encode m.onnx a{number}.npy grows.pce --append", None, None) for number in range(4)]
    for _ in range(3):
        ((status, said),) = server(("encode m.onnx old.npy grows.pce", None, None))
        assert status == 0, said
        done = server(*jobs)
        assert all(status == 0 or (status == 1 and said.count("\n") == 1) for status, said in done), done
        back = decode(engine, (folder / "grows.pce").read_bytes())
        assert_array_equal(back[:7], DATA[:7])
        assert len(back) - 7 == sum(10 + number for number, (status, _) in enumerate(done) if status == 0)
