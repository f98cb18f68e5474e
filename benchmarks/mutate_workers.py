"""Cases of mutation in processes of their own: each under a limit of time and memory, none can end the run."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing import connection, get_context
from pathlib import Path
from random import Random
from typing import Any

import click

from benchmarks.mutated import Case, Parser
from pcedge.errors import PcedgeError
from pcedge.files import scratch

#: seconds of CPU that a case may take to be made or checked; the kernel ends a process that is so much later still
CHECK_SECONDS, GRACE_SECONDS = 30.0, 10
#: seconds in which a case that waits for nothing must end
WALL_SECONDS = 300.0
#: parts in which a wait is counted: a process that is stopped for a while misses all but one of them
WALL_PARTS = 30
#: seconds that can pass between two looks at the processes, at most
LOOK_SECONDS = 2.0
#: cases that a process takes at a time
CHUNK = 100
#: characters of a traceback that are kept
TRACEBACK = 20_000


#: a parser and the numbers of cases that are left
Job = tuple[Parser, list[int]]


class HangError(BaseException):
    """Tell that a case took too long; no reader that catches exceptions catches it."""


@dataclass(frozen=True)
class Failure:
    """Hold what a case did wrong."""

    case: int
    #: unclean, silent or memory
    kind: str
    #: the error, in one line
    error: str
    #: where it was raised
    where: str = ""
    traceback: str = ""


@dataclass
class Tally:
    """Count the cases of a parser."""

    cases: int = 0
    accepted: int = 0
    refused: int = 0
    failures: list[Failure] = field(default_factory=list)
    #: the most bytes that a case took above the idle process, and its bound
    peak: int = 0
    allowed: int = 0
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Give all figures by name, for machines."""
        return asdict(self) | {kind: self.count(kind) for kind in ("unclean", "silent", "memory")}

    def count(self, kind: str) -> int:
        """Count the failures of a kind."""
        return sum(failure.kind == kind for failure in self.failures)


def run_cases(parsers: Sequence[Parser], numbers: Sequence[int], seed: int, workers: int) -> dict[str, Tally]:
    """Run the same numbers of cases of some parsers; what a case does depends on its parser, number and seed alone.

    Raises:
        RuntimeError: a process cannot even read the whole files.
    """
    tallies = {parser.name: Tally() for parser in parsers}
    jobs = deque(
        (parser, list(numbers[start : start + CHUNK])) for parser in parsers for start in range(0, len(numbers), CHUNK)
    )
    with scratch() as shared:
        for parser in parsers:
            folder = shared / parser.name
            folder.mkdir()
            parser.build(folder)
        _run(jobs, tallies, seed, workers)
    for tally in tallies.values():
        tally.failures.sort(key=lambda failure: failure.case)
    return tallies


def _run(jobs: deque[Job], tallies: dict[str, Tally], seed: int, workers: int) -> None:
    pool = [_Worker(seed) for _ in range(max(1, min(workers, len(jobs))))]
    last = time.monotonic()
    try:
        while jobs or any(worker.job for worker in pool):
            for worker in pool:
                if worker.job is None and jobs:
                    worker.give(jobs.popleft())
            busy = {worker.pipe: worker for worker in pool if worker.job}
            for pipe in connection.wait(list(busy), timeout=1.0):
                worker = busy[pipe]
                left = worker.take(tallies)
                if left:
                    jobs.appendleft(left)
            # A run that was stopped for a while has not waited.
            passed, last = min(time.monotonic() - last, LOOK_SECONDS), time.monotonic()
            for worker in busy.values():
                worker.look(passed)
    finally:
        for worker in pool:
            worker.close()


class _Worker:
    """Stand for a process that runs cases; it is started again when a case ended it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.job: Job | None = None
        self.case: int | None = None
        self.waited = 0.0
        self.killed = False
        self._start()

    def _start(self) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, self.seed), daemon=True)
        self.process.start()
        theirs.close()

    def give(self, job: Job) -> None:
        self.job, self.case, self.killed, self.waited = job, None, False, 0.0
        self.pipe.send(job)

    def take(self, tallies: dict[str, Tally]) -> Job | None:
        """Take a message; give the rest of the job where its process has ended."""
        assert self.job is not None
        parser, numbers = self.job
        tally = tallies[parser.name]
        try:
            kind, said = self.pipe.recv()
        except (EOFError, OSError):
            return self._ended(tally)
        if kind == "begin":
            self.case, self.waited = said, 0.0
        elif kind == "end":
            accepted, failures, peak, allowed = said
            tally.cases += 1
            tally.accepted += accepted
            tally.refused += not accepted and not any(failure.kind == "unclean" for failure in failures)
            tally.failures += failures
            if peak > tally.peak:
                tally.peak, tally.allowed = peak, allowed
            numbers.pop(0)
        elif kind == "done":
            tally.seconds += said
            self.job = None
        else:
            raise RuntimeError(f"{parser.name}: {said}")
        return None

    def _ended(self, tally: Tally) -> Job | None:
        assert self.job is not None
        parser, numbers = self.job
        self.process.join()
        code = self.process.exitcode
        if self.case is None:
            raise RuntimeError(f"{parser.name}: a process ended with {code} before it had a case")
        late = self.killed or code == -signal.SIGXCPU
        name = "no answer" if self.killed else signal.Signals(-code).name if code and code < 0 else f"exit {code}"
        tally.cases += 1
        tally.failures.append(Failure(self.case, "unclean", f"{'hang' if late else 'crash'}: {name}"))
        numbers = [number for number in numbers if number > self.case]
        self.job = None
        self._start()
        return (parser, numbers) if numbers else None

    def look(self, passed: float) -> None:
        """End a process whose case waits for what does not come."""
        self.waited += passed
        if self.job and self.waited > WALL_SECONDS:
            self.killed = True
            self.process.kill()

    def close(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(pipe: Any, seed: int) -> None:
    """Run the cases that come, in the process that is theirs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watch((signal.SIGPROF, signal.SIGALRM))
    prepared: dict[str, Parser] = {}
    with scratch() as own:
        while True:
            try:
                parser, numbers = pipe.recv()
            except EOFError:
                return
            if parser.name not in prepared:
                folder = own / parser.name
                folder.mkdir()
                try:
                    parser.prepare(folder)
                    prepared[parser.name] = parser
                except BaseException:
                    pipe.send(("broken", traceback.format_exc()))
                    return
            begun = time.process_time()
            for number in numbers:
                pipe.send(("begin", number))
                try:
                    pipe.send(("end", run_case(prepared[parser.name], number, seed)))
                except Exception:  # what a reader raises is caught: this is the harness itself
                    pipe.send(("broken", f"case {number}\n{traceback.format_exc()}"))
                    return
            pipe.send(("done", time.process_time() - begun))


def watch(timers: Sequence[signal.Signals]) -> None:
    """Prepare this process for cases that take too long or too much."""
    for late in timers:
        signal.signal(late, _late)
    # A process that its memory or time ends leaves no file of its memory.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


#: what `_late` stops; set by `run_case` and `judge`
_running: list[Parser] = []
#: parts of its wait that a case has left
_parts = [0]


def _late(number: int, _: object) -> None:
    if number == signal.SIGALRM:
        _parts[0] -= 1
        if _parts[0] > 0:
            return
    for parser in _running:
        parser.stop()
    raise HangError


def make_case(parser: Parser, number: int, seed: int) -> Case:
    """Make a case of a prepared parser: the same for every run, machine and number of processes."""
    return parser.damaged(Random(f"{parser.name} {seed} {number}"))


def run_case(parser: Parser, number: int, seed: int) -> tuple[bool, list[Failure], int, int]:
    """Run one case in this process.

    Returns:
        Whether it was accepted, what it did wrong, the bytes it took above the idle process, and how many it may take.
    """
    _running[:] = [parser]
    with _limited(CHECK_SECONDS, None):
        case = make_case(parser, number, seed)
    return judge(parser, case, number)


def judge(parser: Parser, case: Case, number: int = 0) -> tuple[bool, list[Failure], int, int]:
    """Read a case in this process, and say what `run_case` says of it."""
    _running[:] = [parser]
    parser.place(case)
    allowed = parser.bound.allowance(case.size)
    failures: list[Failure] = []

    def fail(kind: str, error: BaseException | str, text: str = "") -> None:
        if isinstance(error, BaseException):
            text = "".join(traceback.format_exception(error))[-TRACEBACK:]
            where, said = _origin(error), " ".join(f"{type(error).__name__}: {error}".split())
            failures.append(Failure(number, kind, said[:300], where, text))
        else:
            failures.append(Failure(number, kind, error[:300], "", text))

    unraisable: list[Any] = []
    sys.unraisablehook = unraisable.append
    accepted, found = False, None
    _trim()
    before = _memory_now(restart=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            with _limited(parser.seconds, allowed if parser.limited else None, parser.wall):
                found = parser.read(case)
            accepted = True
        except (PcedgeError, click.ClickException) as error:
            refusal: BaseException | None = error
            while refusal is not None and not isinstance(refusal, MemoryError):
                refusal = refusal.__cause__ or refusal.__context__
            if refusal is not None:
                fail("memory", refusal)
        except MemoryError as error:
            fail("memory", error)
        except BaseException as error:
            fail("unclean", error)
        peak = max(0, _memory_now() - before)
        if peak > allowed and parser.limited and not failures:
            fail("memory", f"{peak} bytes above the idle process, {allowed} are allowed")
        if accepted:
            try:
                with _limited(CHECK_SECONDS, None):
                    wrong = parser.wrong(case, found)
                if wrong:
                    fail("silent", wrong)
            except BaseException as error:
                fail("unclean", error)
    for said in unraisable:
        fail("unclean", said.exc_value or RuntimeError(str(said.err_msg)))
    sys.unraisablehook = sys.__unraisablehook__
    return accepted, failures, peak, allowed


@contextlib.contextmanager
def _limited(seconds: float, memory: int | None, wall: float | None = None) -> Iterator[None]:
    """Limit this process: its CPU time, its address space to so many bytes more than it has, the time it waits."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    last = int(used.ru_utime + used.ru_stime + seconds) + GRACE_SECONDS
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (last, hard))
    if memory is not None:
        resource.setrlimit(resource.RLIMIT_AS, (_address_space() + memory, resource.RLIM_INFINITY))
    # Again and again: an exception within a destructor is lost.
    signal.setitimer(signal.ITIMER_PROF, seconds, 1.0)
    _parts[0] = WALL_PARTS
    if wall is not None:  # else the clock is left alone: libFuzzer has set it
        signal.setitimer(signal.ITIMER_REAL, wall / WALL_PARTS, wall / WALL_PARTS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        if wall is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if memory is not None:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))


def _origin(error: BaseException) -> str:
    """Name the innermost line of the project, and below it that of a library, that an error comes from."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    own = [frame for frame in frames if "/site-packages/" not in frame.filename and "/lib/python" not in frame.filename]
    names = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in (*own[-1:], *frames[-1:])]
    return " > ".join(dict.fromkeys(names))


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _memory_now(*, restart: bool = False) -> int:
    """Give the bytes that are resident now, from where the peak is counted; or the peak since then."""
    if restart:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _trim() -> None:
    """Give back what earlier cases have freed: a case may count on no room of theirs."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
