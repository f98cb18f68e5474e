"""Training that a person can leave alone: lines of progress off a terminal, checkpoints, signals, the curve."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from pcedge.cli import paths
from pcedge.cli.output import TERMINATED, progress, warn, whole_file
from pcedge.cli.streams import say, say_ended
from pcedge.errors import UsageError
from pcedge.learn.config import Point, Stopped, Watch

#: seconds between two lines of progress where stderr is no terminal
EVERY = 10.0

#: shows how far a run is: (done, total, train bits, held-out bits), nan where there are none
Moved = Callable[[int, int, float, float], None]


@dataclass
class _Stage:
    """Hold what a line of progress says."""

    label: str
    step: str
    begun: float = field(default_factory=time.monotonic)
    done: int = 0
    total: int = 0
    train: float = math.nan
    valid: float = math.nan
    #: what the pace is measured from: steps done, and when
    start: tuple[int, float] | None = None
    moved: float = 0.0
    moves: int = 0

    def move(self, done: int, total: int, train: float, valid: float) -> None:
        """Take the figures of a step."""
        if self.moves == 0:
            self.start = done - 1, self.begun
        elif self.moves == 1:
            # What came before the first step is no part of the others' time, but all that is known after it.
            self.start = self.done, self.moved
        self.moves, self.moved = self.moves + 1, time.monotonic()
        self.done, self.total, self.train = done, total, train
        if not math.isnan(valid):
            self.valid = valid

    def line(self, now: float) -> str:
        """Say how far it is."""
        if self.start is None:
            return f"{self.label}: at the start for {in_time(now - self.begun)}"
        bits = [f"{name} {value:z.4f}" for name, value in (("train", self.train), ("held out", self.valid))
                if not math.isnan(value)]  # fmt: skip
        parts = [f"{self.step} {self.done} of {self.total}", *([", ".join(bits) + " bits a value"] if bits else [])]
        before, since = self.start
        pace = (self.moved - since) / max(1, self.done - before)
        left = pace * (self.total - self.done) - (now - self.moved)
        parts.append(f"{in_time(max(0.0, left))} left at most")
        return f"{self.label}: " + ", ".join(parts)


def in_time(seconds: float) -> str:
    """Write a time for people.

    Example:
        >>> [in_time(seconds) for seconds in (7.6, 130, 7300)]
        ['8 s', '2 min 10 s', '2 h 2 min']
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


@contextlib.contextmanager
def reporting(label: str, step: str) -> Iterator[Moved]:
    """Show a bar on a terminal, and off it a line every `EVERY` seconds; gives what moves it."""
    stage = _Stage(label, step)
    ended = threading.Event()

    def tell() -> None:
        while not ended.wait(EVERY):
            say(stage.line(time.monotonic()))

    # A thread of its own: a step may take longer than the time between two lines.
    teller = None if sys.stderr.isatty() else threading.Thread(target=tell, daemon=True)
    with progress(label) as move:

        def moved(done: int, total: int, train: float, valid: float) -> None:
            stage.move(done, total, train, valid)
            move(done, total)

        if teller is not None:
            teller.start()
        try:
            yield moved
        finally:
            ended.set()
            if teller is not None:
                teller.join()


def own_checkpoint(out: Path) -> Path | None:
    """Give the checkpoint beside an output; None where that is no file of its own, such as a pipe."""
    if out.is_dir() or paths.is_special(out):
        return None
    real = Path(os.path.realpath(out))
    return real.with_name(f"{real.name}.checkpoint")


def aside(other: Path) -> None:
    """Say that a checkpoint was of another run."""
    warn(f"{str(other).removesuffix('.old')} is of other data or settings: it is {other} now, and training starts anew")


@contextlib.contextmanager
def stoppable(watch: Watch, checkpoint: Path | None, speaks: bool = True) -> Iterator[None]:
    """Let SIGTERM and Ctrl-C stop the run in the block after its step, with its checkpoint written.

    A second one stops it at once. Before the first step there is nothing to write, and a run is stopped at once.
    """
    if checkpoint is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    steps = 0

    def stop() -> bool:
        nonlocal steps
        steps += 1
        return bool(received)

    def handle(number: int, _: Any) -> None:
        if received or not steps:
            _end(number)
        received.append(number)
        if speaks:
            say("stopping after this step; a second signal stops at once")

    watch.stop = stop
    # One that is ignored, as of a background job of a shell, stays so.
    numbers = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    except Stopped as error:
        if speaks and error.iteration:
            say_ended(f"pcedge: stopped after step {error.iteration}; {to_go_on(checkpoint)}")
        _end(received[0] if received else signal.SIGTERM)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def resumable(checkpoint: Path | None) -> Iterator[None]:
    """Say how to go on where a signal stops the run in the block, whose finished steps are in its checkpoint."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if checkpoint is not None and checkpoint.exists():
            say_ended(f"pcedge: stopped; {to_go_on(checkpoint)}")
        raise


def to_go_on(checkpoint: Path) -> str:
    """Say how to go on."""
    return f"the same command goes on from {checkpoint}"


def _end(number: int) -> None:
    if number == signal.SIGTERM:
        sys.exit(TERMINATED)
    raise KeyboardInterrupt


def points(curve: list[Point], step: str) -> list[dict[str, Any]]:
    """Give a learning curve for machines, null where nothing was computed."""
    return [
        {step: number, "train_bits": None if math.isnan(train) else train,
         "valid_bits": None if math.isnan(valid) else valid}
        for number, train, valid in curve
    ]  # fmt: skip


def check_plot(plot: Path | None) -> None:
    """Refuse a plot that could not be drawn, before the work.

    Raises:
        UsageError: its suffix is of no picture.
        MissingToolError: matplotlib is not installed, or too old.
    """
    from pcedge.evaluate.plot import FORMATS, need_matplotlib

    if plot is None:
        return
    if plot.suffix.lower() not in FORMATS:
        raise UsageError(f"a plot must end in {', '.join(FORMATS)}, got {plot.name!r}")
    if not plot.resolve().parent.is_dir():
        raise click.UsageError(f"the folder of {plot} must exist")
    need_matplotlib()


def draw_plot(plot: Path | None, curve: list[Point], step: str) -> dict[str, str]:
    """Draw the curve where a plot is asked for; give what the result says of it."""
    if plot is None:
        return {}
    from pcedge.evaluate.plot import draw_curve

    with whole_file(plot) as fresh:
        draw_curve(curve, fresh, plot.suffix.lower(), step)
    return {"plot": str(plot)}
