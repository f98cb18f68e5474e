"""A project takes its place in one move: the old one or the new one, whatever ends the run that writes it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.engine_contract import CIRCUITS
from helpers.plans import plan_of

from pcedge.errors import UsageError
from pcedge.export import write_onnx
from pcedge.export.project import directory
from pcedge.export.project.directory import staged, write_plan
from pcedge.export.project.manifest import MANIFEST
from pcedge.files import sweep


def held(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


WRITER = """
import itertools, sys
sys.path[:0] = {paths!r}
from helpers.plans import plan_of
from pcedge.export.project.directory import staged
for name in itertools.cycle("ab"):
    with staged(plan_of(name), {out!r}, own=["report.json"]) as folder:
        (folder / "report.json").write_text(name)
    print(name, flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="folders are swapped in one move where the system can")
def test_a_killed_run_leaves_the_old_project_or_the_new(tmp_path: Path) -> None:
    out = tmp_path / "p"
    write_plan(plan_of("a"), out)
    (out / "build/deep").mkdir(parents=True)
    (out / "build/deep/mine.txt").write_text("mine")
    (out / "build/link").symlink_to("deep")
    whole = [plan_of(name).contents | {"report.json": name.encode()} for name in "ab"]
    paths = [str(Path(__file__).parents[2])]
    for number in range(12):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER.format(paths=paths, out=str(out))], stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        assert [writer.stdout.readline() for _ in range(1 + number % 2)] == [b"a\n", b"b\n"][: 1 + number % 2]
        time.sleep(0.003 * number)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        files = held(out)
        assert files.pop("build/deep/mine.txt") == b"mine" and (out / "build/link").readlink() == Path("deep")
        assert files in whole
    sweep(tmp_path)  # as every new run does
    assert not list(tmp_path.glob(".pcedge-*"))


def test_an_error_leaves_the_old_project(tmp_path: Path) -> None:
    out = tmp_path / "p"
    write_plan(plan_of("a"), out)
    before = held(out)
    with pytest.raises(KeyboardInterrupt), staged(plan_of("b"), out) as folder:
        assert MANIFEST in held(folder)
        raise KeyboardInterrupt
    assert held(out) == before and [path.name for path in tmp_path.iterdir()] == ["p"]
    with pytest.raises(ZeroDivisionError), staged(plan_of("b"), tmp_path / "new"):
        _ = 1 / 0
    assert not (tmp_path / "new").exists()


def test_what_a_block_wrote_before_is_its_own(tmp_path: Path) -> None:
    out = tmp_path / "p"
    with staged(plan_of("a"), out, own=["report.json"]) as folder:
        (folder / "report.json").write_text("old")
    assert (out / "report.json").read_text() == "old"
    with staged(plan_of("b"), out, own=["report.json"]):
        pass
    assert held(out) == plan_of("b").contents


def test_what_a_block_writes_goes_through_no_link(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "p", tmp_path / "elsewhere"
    write_plan(plan_of("a"), out)
    elsewhere.mkdir()
    (out / "build").symlink_to(elsewhere)
    with (
        pytest.raises(UsageError, match="build must be a folder of the project itself, it is a link or a file"),
        staged(plan_of("b"), out, own=["build/made.v"]) as folder,
    ):
        (folder / "build").mkdir()
        (folder / "build/made.v").write_text("new")
    assert held(out) == plan_of("a").contents and not any(elsewhere.iterdir())


@pytest.mark.parametrize("way", ["no exchange", "within", "no links"])
def test_where_folders_cannot_be_swapped(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "p"
    write_plan(plan_of("a"), out)
    (out / "mine.txt").write_text("mine")
    inode = out.stat().st_ino
    if way == "within":
        monkeypatch.chdir(out)
    elif way == "no links":

        def refused(*args: object, **kwargs: object) -> None:
            raise PermissionError("no links here")

        monkeypatch.setattr(os, "link", refused)
    else:
        monkeypatch.setattr(directory, "exchange", lambda first, second: False)
    with staged(plan_of("b"), out, own=["report.json"]) as folder:
        (folder / "report.json").write_text("new")
    assert held(out) == plan_of("b").contents | {"mine.txt": b"mine", "report.json": b"new"}
    assert out.stat().st_ino == inode


def test_permissions_are_the_usual_ones(tmp_path: Path) -> None:
    (tmp_path / "usual").mkdir()
    write_plan(plan_of("a"), tmp_path / "p")
    assert (tmp_path / "p").stat().st_mode == (tmp_path / "usual").stat().st_mode
    (tmp_path / "p").chmod(0o750)
    write_plan(plan_of("b"), tmp_path / "p")
    assert (tmp_path / "p").stat().st_mode & 0o777 == 0o750
    (tmp_path / "other").mkdir()
    (tmp_path / "other/mine").write_text("")
    with pytest.raises(UsageError, match="must be a new or empty directory, or an earlier project"):
        write_plan(plan_of("a"), tmp_path / "other")


KILLED = """
import os, signal
from click.testing import CliRunner
import pcedge.verify.mcu
from pcedge.cli import group
pcedge.verify.mcu.compare_mcu = lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL)
CliRunner().invoke(group, ["export", {model!r}, "--target", "c99", "--out", {out!r}])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_an_export_killed_while_it_measures(tmp_path: Path) -> None:
    write_onnx(CIRCUITS["chain"], tmp_path / "m.onnx")
    script = KILLED.format(model=str(tmp_path / "m.onnx"), out=str(tmp_path / "p"))
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (tmp_path / "p").exists()
