"""Files that are written whole or not at all, and what killed runs leave: removed by a later one, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import as_json
from helpers.messages import whole
from strategies import make_circuit

from pcedge import files as whole_files
from pcedge.circuit import sample, save_circuit
from pcedge.export import write_onnx, write_project
from pcedge.files import replacing, scratch, sweep, write_whole
from pcedge.quantize import quantize

#: a process that is killed where it would move its first file into place
STOPPED = (
    "import os, sys, time\n"
    "os.replace = lambda *_: (print('here', flush=True), time.sleep(120))\n"
    "from pcedge.cli import main\n"
    "main()\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a small float circuit, its integer circuit and data."""
    circuit = make_circuit(7, 4, 2, 6, "hidden")
    save_circuit(circuit, tmp_path / "c.pcedge")
    write_onnx(quantize(circuit), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", sample(circuit, 60, seed=1).astype(np.uint8))
    return tmp_path


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob(".pcedge-*"))


def killed(folder: Path, code: str, *words: str, environment: dict[str, str] | None = None) -> None:
    """Start a process and end it by SIGKILL when it has said a line."""
    command = [sys.executable, "-c", code, *words]
    child = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, env=os.environ | (environment or {}), start_new_session=True
    )
    try:
        assert child.stdout is not None and child.stdout.readline() == b"here\n"
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
    assert child.returncode == -signal.SIGKILL


def test_an_error_keeps_the_older_file(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"old")
    with pytest.raises(KeyError), replacing(tmp_path / "a") as fresh:
        fresh.write_bytes(b"new")
        raise KeyError
    assert (tmp_path / "a").read_bytes() == b"old" and os.listdir(tmp_path) == ["a"]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of Unix")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o751, 0o262])
def test_permissions_stay(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(mode)
    with replacing(path) as fresh:
        assert fresh.stat().st_mode & 0o077 & ~mode == 0  # nobody who may not read the old one reads it meanwhile
        fresh.write_bytes(b"new")
    assert path.stat().st_mode & 0o777 == mode
    path.chmod(0o600)
    assert path.read_bytes() == b"new"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_stays(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    os.chown(path, 12345, 23456)
    write_whole(path, b"new")
    assert path.read_bytes() == b"new" and (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)


def test_a_read_only_file_is_not_replaced(folder: Path) -> None:
    out = folder / "x.pce"
    out.write_bytes(b"mine")
    out.chmod(0o444)
    text = f"{out} must be writable to be replaced, it is read-only: allow it, or remove the file"
    with pytest.raises(PermissionError, match=whole(text)), replacing(out):
        pytest.fail("it was begun")
    for words in (("encode", folder / "m.onnx", folder / "x.npy", out), ("zoo", "nltcs", "--out", out)):
        assert as_json(*words, status=1)["message"] == text
    assert out.read_bytes() == b"mine" and not left(folder)
    out.chmod(0o644)
    as_json("encode", folder / "m.onnx", folder / "x.npy", out)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder that takes no files")
def test_a_folder_that_takes_no_files_is_named(folder: Path) -> None:
    text = "the folder /proc must take new files, it does not: No such file or directory"
    with pytest.raises(FileNotFoundError, match=whole(text)):
        write_whole(Path("/proc/x.pce"), b"")
    for words in (
        ("encode", folder / "m.onnx", folder / "x.npy", "/proc/x.pce"), ("zoo", "nltcs", "--out", "/proc/n.onnx"),
        ("sample", folder / "m.onnx", "--count", 2, "--out", "/proc/x.npy"),
        ("export", folder / "m.onnx", "--out", "/proc/p"),
    ):  # fmt: skip
        assert as_json(*words, status=1)["message"] == text


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "other/a")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "other/a").read_bytes() == b"new"


def test_two_runs_on_one_path_do_not_meet(tmp_path: Path) -> None:
    with replacing(tmp_path / "a") as first, replacing(tmp_path / "a") as second:
        first.write_bytes(b"first")
        second.write_bytes(b"second")
    assert (tmp_path / "a").read_bytes() == b"first" and os.listdir(tmp_path) == ["a"]


def test_what_lives_is_left_alone(tmp_path: Path) -> None:
    others = (".pcedge-notes", ".pcedge-0123456789abcdef", ".pcedge-0123456789ABCDEF.tmp", ".pcedge-0123.tmp", "a.tmp")
    for name in others:
        (tmp_path / name).write_text("mine")
    link = tmp_path / ".pcedge-0000000000000000.tmp"
    link.symlink_to(tmp_path / "a.tmp")
    with replacing(tmp_path / "a") as fresh, scratch(tmp_path) as work:
        fresh.write_bytes(b"new")
        (work / "b").write_text("b")
        sweep(tmp_path)
        assert fresh.is_file() and (work / "b").is_file()
    assert sorted(os.listdir(tmp_path)) == sorted((*others, "a", link.name))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="gives a file to another user")
def test_another_users_files_are_left_alone(tmp_path: Path) -> None:
    names = [tmp_path / f".pcedge-{digit * 16}.tmp" for digit in "12"]
    for name in names:
        name.write_text("")
    os.chown(names[0], 54321, -1)
    sweep(tmp_path)
    assert left(tmp_path) == [names[0].name]


def test_a_temporary_that_was_swept_before_its_lock_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, seen = whole_files._lock, []

    def too_late(handle: int) -> bool | None:
        if not seen:
            seen.append(handle)
            sweep(tmp_path)
            assert not left(tmp_path)
        return lock(handle)

    monkeypatch.setattr(whole_files, "_swept", {tmp_path})
    monkeypatch.setattr(whole_files, "_lock", too_late)
    write_whole(tmp_path / "a", b"new")
    assert seen and (tmp_path / "a").read_bytes() == b"new"


def test_without_locks_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_files, "_lock", lambda handle: None)
    (tmp_path / f".pcedge-{'1' * 16}.tmp").write_text("")
    sweep(tmp_path)
    write_whole(tmp_path / "a", b"new")
    assert len(os.listdir(tmp_path)) == 2


CXX = '#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\nprintf "#!/bin/sh\\n" > "$2"; chmod +x "$2"\n'

TRAIN = "train --data x.npy --latents 2 --iterations 3 --checkpoint run --checkpoint-seconds 0 --out t.pcedge"
SEARCH = "quantize c.pcedge --data x.npy --budget-kbit 9 --generations 1 --checkpoint run --out s.onnx"


@pytest.mark.parametrize(
    ("words", "made"),
    [
        ("encode m.onnx x.npy x.pce", "x.pce"),
        ("export m.onnx --out p", "p/manifest.json"),
        ("simulate p0", "p0/build/testbench"),
        (TRAIN, "run"),
        (SEARCH, "run"),
    ],
    ids=["encode", "export", "simulate", "train", "search"],
)
def test_a_later_run_removes_what_a_killed_one_left(words: str, made: str, folder: Path) -> None:
    if words == TRAIN:
        pytest.importorskip("torch")
    write_project(quantize(make_circuit(7, 4, 2, 6, "hidden")), folder / "p0")
    (folder / "cxx").write_text(CXX)
    (folder / "cxx").chmod(0o755)
    place = folder / "temporary"
    place.mkdir()
    environment = {"PCEDGE_CXX": str(folder / "cxx"), "PCEDGE_AP_TYPES": str(folder), "TMPDIR": str(place)}
    (folder / "ap_int.h").write_text("")
    before = {path for path in folder.rglob("*") if ".pcedge-" not in str(path)}
    killed(folder, STOPPED, *words.split(), environment=environment)
    assert left(folder) and not (folder / made).exists()
    with replacing(folder / made if made.startswith("x") else folder / "other") as living:
        command = [sys.executable, "-m", "pcedge", *words.split()]
        done = subprocess.run(command, cwd=folder, env=os.environ | environment, capture_output=True, text=True)
        # The testbench that this compiler makes compares nothing, and that is said.
        status, text = (1, "compared none") if made.endswith("testbench") else (0, "")
        assert done.returncode == status and text in done.stderr, done.stderr
        assert left(folder) == [living.name]
        assert (folder / made).is_file()
    assert before < set(folder.rglob("*")) and not left(folder)


def test_a_killed_runs_folder_for_results_is_removed(tmp_path: Path) -> None:
    """In the system's place for temporary files, where C simulation exchanges data."""
    code = "import time\nfrom pcedge.files import scratch\n"
    code += "with scratch() as work:\n    (work / 'in').write_text('x'); print('here', flush=True); time.sleep(120)\n"
    killed(tmp_path, code, environment={"TMPDIR": str(tmp_path)})
    assert len(left(tmp_path)) == 1
    later = "from pcedge.files import scratch\nwith scratch(): pass\n"
    subprocess.run([sys.executable, "-c", later], env=os.environ | {"TMPDIR": str(tmp_path)}, check=True)
    assert os.listdir(tmp_path) == []
