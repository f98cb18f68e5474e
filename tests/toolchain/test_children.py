"""Long runs of tools: logs, failures in the tool's own words, and nothing that outlives an interrupt."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from pcedge.errors import MissingToolError, ToolError
from pcedge.toolchain.children import Run, finish, finish_all

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stand-ins are scripts of sh")


def script(folder: Path, text: str, name: str = "tool") -> Run:
    return Run(f"running {name}", ("/bin/sh", "-c", text), folder, folder / f"{name}.log")


def test_what_a_tool_says(tmp_path: Path) -> None:
    assert finish(script(tmp_path, "echo one; echo two >&2")) == "one\ntwo\n"
    run = Run("running it", ("/bin/sh", "-c", "pwd; echo $WORD"), tmp_path, tmp_path / "logs/log", {"WORD": "here"})
    assert finish(run) == f"{tmp_path}\nhere\n"
    assert (tmp_path / "logs/log").read_text() == f"{tmp_path}\nhere\n"


def test_a_tool_that_fails(tmp_path: Path) -> None:
    with pytest.raises(ToolError) as failed:
        finish(script(tmp_path, "echo ERROR: no room; exit 3"))
    log = tmp_path / "tool.log"
    assert str(failed.value) == f"running tool failed with exit status 3; its log is {log}:\nERROR: no room"
    with pytest.raises(ToolError, match=r"was ended by signal 9; its log is .*, which is empty$"):
        finish(script(tmp_path, "kill -9 $$"))
    with pytest.raises(MissingToolError, match=r"^running it must be able to start /nowhere/tool: "):
        finish(Run("running it", ("/nowhere/tool",), tmp_path, log))


def test_one_that_fails_lets_the_others_run_on(tmp_path: Path) -> None:
    runs = [script(tmp_path, text, str(number)) for number, text in enumerate(["exit 1", "echo fine", "sleep 0.1"])]
    ended: list[int] = []
    errors = finish_all(runs, 2, ended.append)
    assert [error is None for error in errors] == [False, True, True]
    assert sorted(ended) == [1, 2]
    assert (tmp_path / "1.log").read_text() == "fine\n"


def test_so_many_at_a_time(tmp_path: Path) -> None:
    count = 'echo x > "$0.$$"; ls "$0".* | wc -l; sleep 0.2; rm "$0.$$"'
    runs = [
        Run("counting", ("/bin/sh", "-c", count, str(tmp_path / "run")), tmp_path, tmp_path / f"{number}.log")
        for number in range(5)
    ]
    assert finish_all(runs, 2) == [None] * 5
    assert max(int((tmp_path / f"{number}.log").read_text()) for number in range(5)) == 2


def test_an_interrupt_ends_tools_and_what_they_have_started(tmp_path: Path) -> None:
    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    # The first is a tool that starts another; the second does not end when it is asked to.
    runs = [
        script(tmp_path, "sleep 60 & echo $! > child; wait", "first"),
        script(tmp_path, "trap '' TERM; echo $$ > deaf; while :; do sleep 0.1; done", "second"),
    ]
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        with pytest.raises(KeyboardInterrupt):
            finish_all(runs, 2)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    for name in ("child", "deaf"):
        assert gone(int((tmp_path / name).read_text())), name


def gone(process: int) -> bool:
    """Wait for the end of a process that is no child of this one; a dead one may wait to be collected."""
    for _ in range(100):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        state = Path(f"/proc/{process}/stat")
        if state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False
