"""Long runs of tools: their output goes to logs, some run side by side, and none outlives the one that started it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from pcedge.errors import MissingToolError, PcedgeError, ToolError

#: how often running tools are looked at, and how long they have to end once they are told to, in seconds
_POLL, _GRACE = 0.02, 3.0

#: bytes of a log's end that a message shows
_SHOWN = 4000


@dataclass(frozen=True)
class Run:
    """Describe one run of a tool."""

    #: what it does, for messages: place and route with seed 1
    what: str
    command: tuple[str, ...]
    #: the folder it runs in
    folder: Path
    #: takes what it prints
    log: Path
    #: variables of the environment beside those of this process
    variables: Mapping[str, str] = field(default_factory=dict)


def finish(run: Run) -> str:
    """Run a tool to its end; give what it printed.

    Raises:
        MissingToolError: it cannot be started.
        ToolError: it failed; the message ends with the end of its log.
    """
    (error,) = finish_all([run])
    if error is not None:
        raise error
    return run.log.read_text("utf-8", "replace")


def finish_all(
    runs: Sequence[Run], parallel: int = 1, ended: Callable[[int], None] = lambda number: None
) -> list[PcedgeError | None]:
    """Run tools to their ends, some at a time; where this is interrupted all of them are killed, with their children.

    Args:
        runs: what is run, begun in this order.
        parallel: how many at a time.
        ended: is told the number of each run that has ended well.

    Returns:
        What went wrong, by run: one that failed lets the others run on.
    """
    errors: list[PcedgeError | None] = [None] * len(runs)
    waiting, running = list(range(len(runs))), dict[int, tuple[subprocess.Popen[bytes], BinaryIO]]()
    try:
        while waiting or running:
            while waiting and len(running) < parallel:
                number = waiting.pop(0)
                try:
                    running[number] = _begin(runs[number])
                except MissingToolError as error:
                    errors[number] = error
            for number, (child, log) in list(running.items()):
                if child.poll() is not None:
                    log.close()
                    del running[number]
                    if child.returncode:
                        errors[number] = _failure(runs[number], child.returncode)
                    else:
                        ended(number)
            time.sleep(_POLL if running else 0)
    finally:
        _kill([child for child, _ in running.values()])
        for _, log in running.values():
            log.close()
    return errors


def _begin(run: Run) -> tuple[subprocess.Popen[bytes], BinaryIO]:
    run.log.parent.mkdir(parents=True, exist_ok=True)
    log = run.log.open("wb")
    try:
        # A group of its own: tools start tools (make, abc), and all of them have to go.
        child = subprocess.Popen(
            run.command, cwd=run.folder, env=os.environ | run.variables, stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, start_new_session=sys.platform != "win32",
        )  # fmt: skip
    except OSError as error:
        log.close()
        raise MissingToolError(f"{run.what} must be able to start {run.command[0]}: {error}") from error
    return child, log


def _kill(children: Sequence[subprocess.Popen[bytes]]) -> None:
    """End tools and what they have started: first asked to, then forced."""
    for child in children:
        _signal(child, signal.SIGTERM)
    end = time.monotonic() + _GRACE
    for child in children:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(max(0.0, end - time.monotonic()))
        if sys.platform != "win32":
            _signal(child, signal.SIGKILL)
        child.wait()


def _signal(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if sys.platform == "win32":
        child.kill()
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)


def _failure(run: Run, status: int) -> ToolError:
    with run.log.open("rb") as file:
        file.seek(max(0, run.log.stat().st_size - _SHOWN))
        end = file.read().decode("utf-8", "replace").strip()
    how = f"was ended by signal {-status}" if status < 0 else f"failed with exit status {status}"
    return ToolError(f"{run.what} {how}; its log is {run.log}" + (f":\n{end}" if end else ", which is empty"))
