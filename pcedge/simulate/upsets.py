"""A campaign of faults in an engine's state: what a flipped bit does to a job, in Verilator (docs/hardening.md)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from pathlib import Path

import numpy as np

from pcedge.arithmetic import ceil_div
from pcedge.arrays import IntArray
from pcedge.drivers.contract import Job
from pcedge.engines.lanes import encode_lanes
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import MismatchError, ToolError, UsageError
from pcedge.export.project.manifest import RTL, Manifest, read_manifest
from pcedge.toolchain.building import rtl_sources
from pcedge.toolchain.faults import Faults
from pcedge.toolchain.hardening import harden, level_of, put_faults_in
from pcedge.toolchain.verilator import LENIENT, build

#: the engine behind its registers: what a driver sees
_TOP = "pc_axi"

#: Verilator 5.048 fails in this pass with an internal error
_FLAGS = (*LENIENT, "-fno-dfg-peephole")

Words = list[tuple[int, int]]


class Outcome(StrEnum):
    """Say what came of a flipped bit."""

    #: the job's words are right, and so are those of the same job after it
    MASKED = "masked"
    #: the job's status says that something was wrong, or that of the same job after it, if the first one was right
    DETECTED = "detected"
    #: one of them does not end, or not with all of its packets: the driver gives up in time
    HANG = "hang"
    #: words are wrong, and nothing says so
    SILENT = "silent"


@dataclass(frozen=True)
class Task:
    """Hold one job: what goes into every stream, and what must come out."""

    job: Job
    records: tuple[int, ...]
    #: of every stream, words with TLAST
    given: tuple[Words, ...]
    wanted: tuple[Words, ...]


@dataclass(frozen=True)
class Fault:
    """Name a bit and a cycle."""

    #: place of the task
    task: int
    #: of the task, counted from its first register write
    cycle: int
    in_memory: bool
    #: of a register the bit's place among all; of a memory its number
    number: int
    word: int
    bit: int
    #: of the register or memory
    name: str


@dataclass(frozen=True)
class UpsetProject:
    """Flip bits in the engine of a project, hardened as its manifest says."""

    folder: Path

    def __post_init__(self) -> None:
        """Read the manifest.

        Raises:
            UsageError: the engine is not the parallel one.
        """
        if self._manifest.table.get("engine") == "serial":
            raise UsageError("faults must be in the parallel engine, the project has the serial one")

    @property
    def _manifest(self) -> Manifest:
        return read_manifest(self.folder, RTL)

    @property
    def level(self) -> str:
        """Name the level of hardening."""
        return level_of(self._manifest)

    def compile(self) -> tuple[Path, Faults]:
        """Make the simulator of the engine and its registers, with inputs that flip bits; say what they flip.

        Raises:
            MissingToolError: yosys, Verilator, make or a C++ compiler is missing.
            ToolError: one of them failed; its text is in the message.
        """
        work = self.folder / "build" / "upsets"
        sources = [path for path in rtl_sources(self.folder) if path.stem != "pcedge_top"]
        source, faults = put_faults_in(harden(sources, _TOP, self.level, work))
        harness = Path(str(files("pcedge.export.rtl").joinpath("testbench", "upsets.cpp")))
        return build([source], _TOP, [harness], work / "simulator", flags=_FLAGS, optimise="-O1"), faults

    def run(
        self, tasks: Sequence[Task], counts: tuple[int, int], seed: int, executable: Path, faults: Faults
    ) -> Campaign:
        """Flip so many bits of registers, and so many of memories, each in an engine of its own.

        Args:
            tasks: one of them is drawn for each bit.
            counts: of bits of registers, and of memories.
            seed: of the draw.
            executable: what `compile` gave, as `faults` is.
            faults: what can be flipped.

        Raises:
            MismatchError: a task without a fault does not give what it must.
            ToolError: the simulator failed.
        """
        cycles = self._measure(tasks, executable)
        drawn = draw_faults(faults, cycles, counts, seed)
        # Each fault has an engine of its own, so parts of the list are processes.
        step = max(1, ceil_div(len(drawn), os.cpu_count() or 1))
        parts = [drawn[start : start + step] for start in range(0, len(drawn), step)]
        with ThreadPoolExecutor(len(parts) or 1) as pool:
            said = list(pool.map(lambda part: self._call(tasks, part, executable)[-6 * len(part) :], parts))
        words = np.concatenate(said).reshape(-1, 2, 3) if said else np.zeros((0, 2, 3), "<u4")
        return Campaign(self.level, faults, tuple(drawn), tuple(_outcome(pair.tolist()) for pair in words))

    def _measure(self, tasks: Sequence[Task], executable: Path) -> list[int]:
        """Count the cycles of every task, and compare what it gives with what it must."""
        said = self._call(tasks, [], executable).tolist()
        at, cycles = 0, []
        for task in tasks:
            took, status = said[at : at + 2]
            at += 2
            found = []
            for _ in task.given:
                size = said[at]
                flat = said[at + 1 : at + 1 + 2 * size]
                found.append(list(zip(flat[::2], flat[1::2], strict=True)))
                at += 1 + 2 * size
            if status or tuple(found) != task.wanted:
                raise MismatchError(f"{task.job.name} without a fault must end with status 0 and the reference's words")
            cycles.append(took)
        return cycles

    def _call(self, tasks: Sequence[Task], drawn: Sequence[Fault], executable: Path) -> np.ndarray:
        numbers: list[int] = [len(tasks)]
        for task in tasks:
            numbers += [int(task.job), *task.records]
            for words in task.given:
                numbers += [len(words), *(number for word in words for number in word)]
        numbers.append(len(drawn))
        for fault in drawn:
            numbers += [fault.task, fault.cycle, fault.number, fault.word, fault.bit]
        command = [str(executable), str(len(tasks[0].given))]
        done = subprocess.run(command, input=np.array(numbers, "<u4").tobytes(), capture_output=True, check=False)
        if done.returncode:
            raise ToolError(f"the simulator must run all faults, it says: {done.stderr.decode('utf-8', 'replace')}")
        return np.frombuffer(done.stdout, "<u4")


@dataclass(frozen=True)
class Campaign:
    """Hold what came of faults."""

    level: str
    faults: Faults
    drawn: tuple[Fault, ...]
    outcomes: tuple[Outcome, ...]

    def count(self, in_memory: bool) -> dict[Outcome, int]:
        """Count outcomes of faults in memories, or of those in registers."""
        found = [
            what for fault, what in zip(self.drawn, self.outcomes, strict=True) if fault.in_memory == in_memory
        ]  # fmt: skip
        return {outcome: found.count(outcome) for outcome in Outcome}

    def silent(self) -> list[Fault]:
        """List the faults that nothing said anything of."""
        return [fault for fault, what in zip(self.drawn, self.outcomes, strict=True) if what is Outcome.SILENT]


def tasks_of(engine: ReferenceEngine, records: IntArray, streams: int) -> list[Task]:
    """Make jobs likelihood, encode and decode of some records, by the reference.

    Args:
        engine: of the circuit.
        records: without missing symbols, one at least for every stream.
        streams: of the engine.
    """
    records = engine.check(records, allow_missing=False)
    lanes = encode_lanes(engine, records, streams)
    mantissas, exponents = engine.likelihood(records)
    rows = [records[stream::streams] for stream in range(streams)]
    counts = tuple(map(len, rows))
    results = np.stack([mantissas, exponents], axis=1)
    given = tuple(_packets(part.tolist()) for part in rows)
    found = tuple(_packets(results[stream::streams].tolist()) for stream in range(streams))
    coded = tuple(_packets([list(lane)]) for lane in lanes)
    return [
        Task(Job.LIKELIHOOD, counts, given, found),
        Task(Job.ENCODE, counts, given, coded),
        Task(Job.DECODE, counts, coded, given),
    ]


def draw_faults(faults: Faults, cycles: Sequence[int], counts: tuple[int, int], seed: int) -> list[Fault]:
    """Draw bits, evenly over those of registers and over those of memories, and a cycle of a task for each.

    Args:
        faults: what there is.
        cycles: of every task.
        counts: of bits of registers, and of memories.
        seed: the same one gives the same faults.
    """
    dice = np.random.default_rng(seed)
    registers = [register for register in faults.registers if not register.of_memory]
    given = [register for register in faults.registers if register.of_memory]
    state = [register.width for register in registers]
    stored = [memory.words * memory.width for memory in faults.memories] + [register.width for register in given]
    drawn = []
    for in_memory, sizes, count in ((False, state, counts[0]), (True, stored, counts[1])):
        ends = np.cumsum(sizes)
        for place in dice.integers(0, ends[-1], count).tolist():
            task = int(dice.integers(0, len(cycles)))
            cycle = int(dice.integers(0, cycles[task]))
            which = int(np.searchsorted(ends, place, side="right"))
            bit = place - int(ends[which]) + sizes[which]
            if in_memory and which < len(faults.memories):
                memory = faults.memories[which]
                word, bit = divmod(bit, memory.width)
                drawn.append(Fault(task, cycle, True, which, word, bit, memory.name))
            else:
                one = given[which - len(faults.memories)] if in_memory else registers[which]
                drawn.append(Fault(task, cycle, in_memory, one.place + bit, NO_WORD, bit, one.name))
    return drawn


#: the word of a fault in a register
NO_WORD = 0xFFFFFFFF


def _outcome(turns: list[list[int]]) -> Outcome:
    """Judge the job with the fault and the one after it: how each ended, its status, whether all words are right."""
    for how, status, same in turns:  # the second is run, with how below 2, where the first one is right
        if status:
            return Outcome.DETECTED
        if how == 1:
            return Outcome.HANG
        if not same:
            return Outcome.SILENT
    return Outcome.MASKED


def _packets(packets: list[list[int]]) -> Words:
    """Put packets behind each other, the last word of each with TLAST."""
    return [(word & 0xFFFFFFFF, int(at + 1 == len(words))) for words in packets for at, word in enumerate(words)]
