"""Mutated inputs of simulated hardware: images that an engine loads, and golden files, behind a memory sanitizer."""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benchmarks.mutated import Case, Parser, damage_one
from benchmarks.mutated_circuits import integers
from benchmarks.mutated_runs import small
from benchmarks.mutations import damage
from pcedge.errors import FormatError, ToolError
from pcedge.export import write_project
from pcedge.export.program.image import image_words
from pcedge.export.unrolled.project import write_unrolled
from pcedge.quantize import quantize
from pcedge.simulate.csim import Csim
from pcedge.simulate.parallel import EngineCsim
from pcedge.simulate.unrolled import UnrolledCsim

#: the compiler's sanitizer, and the exit status of what it ends
SANITIZER, SANITIZED = "-fsanitize=address -O1", 99


@contextmanager
def sanitized(log: str = "stderr") -> Iterator[None]:
    """Compile and run with the sanitizer, which writes its report to files that begin with `log`."""
    kept = {name: os.environ.get(name) for name in ("PCEDGE_CXX", "ASAN_OPTIONS")}
    os.environ["PCEDGE_CXX"] = f"{kept['PCEDGE_CXX'] or 'g++'} {SANITIZER}"
    os.environ["ASAN_OPTIONS"] = f"exitcode={SANITIZED}:detect_leaks=0:log_path={log}"
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Simulated(Parser):
    """Read with a compiled testbench; its own memory is watched by the sanitizer, that of this process is not."""

    limited = False
    wall = 30.0
    programs: tuple[str, ...] = ("g++",)
    shared: Path

    def copies(self) -> Path:
        """Copy the built projects: each process damages its own."""
        return Path(shutil.copytree(self.shared, self.folder / "built"))


class EngineImage(Simulated):
    """Load images into an engine and run its jobs: whatever has a right CRC is refused, or no job leaves its memory."""

    name = "image"

    def build(self, folder: Path) -> None:
        """Write a reloadable project that several circuits fit, and their images."""
        self.shared = folder
        circuits = [quantize(small()[0]), *(circuit for circuit in integers()[:2] if circuit.symbolizer is None)]
        circuits = [circuit for circuit in circuits if circuit.widths.state_bits == circuits[0].widths.state_bits
                    and circuit.widths.leaf_bits == circuits[0].widths.leaf_bits]  # fmt: skip
        project = write_project(circuits[0], folder / "p", reload=True, fit=circuits[1:])
        with sanitized():
            _ = EngineCsim(project).executable
        capacity = capacity_of_project(project)
        self.images = [image_words(circuit, capacity).tobytes() for circuit in circuits]

    def make(self) -> list[Case]:
        """Take the images."""
        self.project = self.copies() / "p"
        self.opened = ExitStack()
        self.device: Any = None
        return [Case({"o.img": data}, 0) for data in self.images]

    def damaged(self, dice: Random) -> Case:
        """Damage bytes, or words of which the CRC is made anew."""
        source = dice.choice(self.whole)
        data = source.files["o.img"]
        if dice.random() < 0.2:
            return Case(damage_one(source, dice, self.whole), source.source, True)
        words = np.frombuffer(data[:-4], "<u4").copy()
        for _ in range(dice.choice((1, 1, 1, 2, 4))):
            place = dice.randrange(25 if dice.random() < 0.2 else len(words))
            value = int(words[place])
            near = (value + 1, value - 1, 2 * value, value ^ 1 << dice.randrange(32), int(dice.choice(words)))
            words[place] = dice.choice((0, 1, 2, 255, 65535, 2**31, 2**32 - 1, *near)) % 2**32
        body = words.tobytes()
        if dice.random() < 0.1:
            body = damage(body, dice)
        return Case({"o.img": body + zlib.crc32(body).to_bytes(4, "little")}, source.source)

    def read(self, case: Case) -> Any:
        """Load it and run every job that a circuit has."""
        data = case.files["o.img"]
        if len(data) % 4:
            raise FormatError("image", "an image must be whole words")
        if self.device is None:
            with sanitized(str(self.folder / "report")):
                self.device = self.opened.enter_context(EngineCsim(self.project).device())
        try:
            self.device.load(np.frombuffer(data, "<u4"))
            variables = self.device.info.record
            records = np.random.default_rng(0).integers(0, 2, (3, variables))
            missing = np.where(records == 1, -1, records)
            results = [self.device.likelihood(rows) for rows in (records, missing)]
            lanes = self.device.encode_lanes(records, 1)
            self.device.decode_lanes(lanes, len(records))
            return data, results
        except ToolError as error:
            code = self.stop()
            if code < 0 or code == SANITIZED:
                raise RuntimeError(f"the engine left its memory or was ended, with {code}") from error
            raise

    def stop(self) -> int:
        """End the engine's process; give its exit status, 0 where it still ran."""
        if self.device is None:
            return 0
        process = self.device.registers.process
        code = process.poll()
        if code is None:
            process.kill()
        process.wait()
        self.device = None
        self.opened.close()
        return code or 0

    def content(self, case: Case, found: Any) -> bytes:
        """Take the image that was read back."""
        return bytes(found[0])


def capacity_of_project(project: Path) -> Any:
    """Read the capacity of a project."""
    return Csim(project).manifest.capacity


class Golden(Simulated):
    """Compare with damaged golden files: they differ from what the kernels compute, and no testbench may say else."""

    name = "golden"
    FILES = (
        ("symbols.i32", "likelihood.i64", "intervals.u32", "likelihood_hashes.u32", "code_hashes.u32", "lanes.bin"),
        ("symbols.i32", "likelihood.i64", "lane_sizes.u32", "lane_bytes.u32"),
        None,
    )

    def build(self, folder: Path) -> None:
        """Write projects of both kernels, and compile all testbenches."""
        self.shared = folder
        circuit = quantize(small()[0])
        write_project(circuit, folder / "p")
        write_unrolled(circuit, folder / "u", adders="plain")
        with sanitized():
            for bench in self.benches(folder):
                bench.golden()

    def benches(self, folder: Path) -> tuple[Any, ...]:
        """Give the testbenches of the projects in a folder."""
        return Csim(folder / "p"), EngineCsim(folder / "p"), UnrolledCsim(folder / "u")

    def make(self) -> list[Case]:
        """Take the golden files that each reads; its names of steps are for messages alone."""
        self.built = self.copies()
        made = []
        for number, (bench, names) in enumerate(zip(self.benches(self.built), self.FILES, strict=True)):
            folder = bench.folder / "golden"
            files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "steps.txt"}
            made.append(Case({name: files[name] for name in names or files}, 0, options=number))
        return made

    def place(self, case: Case) -> None:
        """Write the files into their project."""
        # Two testbenches read one project: the whole files of all, then what is damaged.
        for one in (*self.whole, case):
            folder = self.benches(self.built)[one.options].folder / "golden"
            for name, data in one.files.items():
                (folder / name).write_bytes(data)

    def damaged(self, dice: Random) -> Case:
        """Damage one of the files."""
        source = dice.choice(self.whole)
        return Case(damage_one(source, dice, [source]), source.source, options=source.options)

    def read(self, case: Case) -> str:
        """Compare."""
        try:
            with sanitized():
                said: str = self.benches(self.built)[case.options].golden()
            return said
        except ToolError as error:
            if f"status {SANITIZED}" in str(error) or "status -" in str(error):
                raise RuntimeError(f"the testbench left its memory or was ended: {error}") from error
            raise

    def content(self, case: Case, found: str) -> str:
        """Take what it says."""
        return found

    def fault(self, case: Case, found: str) -> str | None:
        """Demand that nothing was changed."""
        changed = [name for name, data in case.files.items() if data != self.whole[case.source].files[name]]
        return f"{', '.join(changed)} must be found to differ, the testbench says: {found}" if changed else None


HARDWARE = (EngineImage, Golden)
