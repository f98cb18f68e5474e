"""A circuit's program in C99, run: on this machine, or on a microcontroller that QEMU emulates."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcedge.arrays import IntArray
from pcedge.codec.packets import is_whole
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import FormatError, MismatchError, MissingToolError, ToolError
from pcedge.export.c99.project import packet_layout, packet_records
from pcedge.export.c99.text import record_bytes
from pcedge.export.project.manifest import C99, Manifest, read_manifest
from pcedge.files import scratch
from pcedge.native.build import BuildError, compiler
from pcedge.schedule.program import Program
from pcedge.simulate.base import circuit_of
from pcedge.simulate.mcu_jobs import (
    LIKELIHOOD,
    SCORE,
    WITH_PACKETS,
    Job,
    golden_jobs,
    packet_jobs,
    reading,
    record_lane,
    scores_of,
)
from pcedge.toolchain.tools import run

#: bytes of a lane that the test program takes, on a microcontroller and on this machine
LANE_BYTES, HOST_LANE_BYTES = 4096, 1 << 22

#: seconds that QEMU may take for all jobs
SECONDS = 300

#: names of statuses, as pcedge.h numbers them
STATUSES = ("ok", "symbol", "room", "damaged", "end")

_FLAGS = ("-std=c99", "-O2", "-ffreestanding", "-ffunction-sections", "-fdata-sections")


@dataclass(frozen=True)
class Core:
    """Describe a microcontroller that QEMU emulates."""

    name: str
    compiler: str
    emulator: str
    #: the Debian packages of both
    packages: str
    flags: tuple[str, ...]
    machine: tuple[str, ...]
    #: origins and sizes of flash and RAM
    flash: tuple[int, int]
    ram: tuple[int, int]
    entry: str = "reset"


def _cortex(number: int, machine: str, flash: int, ram: int) -> Core:
    return Core(
        f"cortex-m{number}", "arm-none-eabi-gcc", "qemu-system-arm", "gcc-arm-none-eabi qemu-system-arm",
        (f"-mcpu=cortex-m{number}", "-mthumb"), ("-machine", machine), (0, flash), (0x20000000, ram),
    )  # fmt: skip


#: the microcontrollers of the rung mcu; the RISC-V has all of it in one memory
CORES = (
    _cortex(0, "microbit", 1 << 18, 1 << 14),
    _cortex(3, "mps2-an385", 1 << 22, 1 << 22),
    _cortex(4, "mps2-an386", 1 << 22, 1 << 22),
    Core(
        "rv32imac", "riscv64-unknown-elf-gcc", "qemu-system-riscv32", "gcc-riscv64-unknown-elf qemu-system-misc",
        ("-march=rv32imac", "-mabi=ilp32", "-mcmodel=medany"), ("-machine", "virt", "-bios", "none"),
        (0x80000000, 1 << 23), (0x80800000, 1 << 22), entry="_start",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Done:
    """Hold the result of a job."""

    data: bytes
    #: of `STATUSES`
    status: str
    #: instructions of all calls; 0 where they are not counted
    instructions: int
    #: bytes of stack of one call, at most; 0 where it is not measured
    stack: int
    #: bytes of `pcedge_t`
    ram: int


@dataclass(frozen=True)
class C99Project:
    """Compile and run the test program of a project of the target c99."""

    folder: Path
    #: more flags for the compiler, such as sanitizers
    flags: Sequence[str] = ()

    @property
    def manifest(self) -> Manifest:
        """Read the project's manifest.

        Raises:
            FormatError: the directory is no project in C99, or its manifest is damaged.
        """
        return read_manifest(self.folder, C99)

    @property
    def symbol_type(self) -> str:
        """Read the type of a symbol from the manifest.

        Raises:
            FormatError: it is none.
        """
        kind = self.manifest.table.get("symbol_type")
        if kind not in ("uint8_t", "uint16_t", "uint32_t"):
            raise FormatError(
                "project-manifest", f"{self.folder}: symbol_type must be uint8_t, uint16_t or uint32_t, got {kind!r}"
            )
        return str(kind)

    def compile(self, flags: Sequence[str] = (), name: str = "host") -> Path:
        """Compile the test program for this machine, with more flags; give the executable, in the folder `build`.

        Raises:
            MissingToolError: no C compiler.
            ToolError: the compiler failed; its text is in the message.
        """
        _ = self.manifest
        try:
            command = compiler()
        except BuildError as error:
            raise MissingToolError(str(error)) from error
        build = self.folder.resolve() / "build"
        build.mkdir(exist_ok=True)
        out = build / name
        sources = ("src/pcedge.c", "bench/bench.c", "bench/host.c")
        all_flags = ("-std=c99", "-O2", f"-DBENCH_BYTES={HOST_LANE_BYTES}", "-Isrc", *self.flags, *flags)
        run([*command, *all_flags, *sources, "-o", out], self.folder, "compiling the test program")
        return out

    def run(self, jobs: Sequence[Job], executable: Path | None = None) -> list[Done]:
        """Run jobs on this machine."""
        program = executable or self.compile()
        with scratch() as folder:
            source, out = folder / "in.bin", folder / "out.bin"
            source.write_bytes(_written(jobs))
            with source.open("rb") as given, out.open("wb") as written:
                done = subprocess.run([program], stdin=given, stdout=written, stderr=subprocess.PIPE, check=False)
            if done.returncode:
                text = done.stderr.decode(errors="replace").strip()
                raise ToolError(f"the test program failed with exit status {done.returncode}: {text[-2000:]}")
            return _read(out.read_bytes(), len(jobs))

    def run_on(self, core: Core, jobs: Sequence[Job], flags: Sequence[str] = ()) -> tuple[list[Done], int]:
        """Compile for a core, with more flags, and run jobs in QEMU; give the results, and the ROM that pcedge.c takes.

        Raises:
            MissingToolError: the compiler or QEMU is missing; the message names the Debian packages.
            ToolError: one of them failed, or the program does not fit the machine.
        """
        for tool in (core.compiler, core.emulator):
            if not shutil.which(tool):
                raise MissingToolError(f"{core.name} needs {tool}: apt-get install {core.packages}")
        with scratch() as folder:
            root = self.folder.resolve()
            command = [core.compiler, *core.flags, *_FLAGS, f"-I{root}/src", f"-DBENCH_BYTES={LANE_BYTES}", *flags]
            objects = []
            for source in ("src/pcedge.c", "bench/bench.c", "bench/semihosting.c"):
                objects.append(folder / f"{Path(source).stem}.o")
                run([*command, "-c", root / source, "-o", objects[-1]], folder, f"compiling {source} for {core.name}")
            places = zip(
                ("flash_origin", "flash_size", "ram_origin", "ram_size", "entry"),
                (*core.flash, *core.ram, core.entry),
                strict=True,
            )
            symbols = [f"-Wl,--defsym={name}={value}" for name, value in places]
            image = folder / "image.elf"
            run(
                [core.compiler, *core.flags, "-nostdlib", "-nostartfiles", "-Wl,--gc-sections", *symbols, "-T",
                 root / "bench/link.ld", *objects, "-lgcc", "-o", image], folder, f"linking for {core.name}",
            )  # fmt: skip
            size = run([core.compiler.replace("gcc", "size"), "-A", image], folder, "size")
            (folder / "in.bin").write_bytes(_written(jobs))
            _emulate(core, image)
            out = folder / "out.bin"
            rom = re.search(r"^\.pcedge\s+(\d+)", size, re.MULTILINE)
            if not out.is_file() or rom is None:
                raise ToolError(f"QEMU for {core.name} must run the test program, it wrote no results")
            return _read(out.read_bytes(), len(jobs)), int(rom[1])

    def golden(self) -> str:
        """Compare with the reference on the golden records, on this machine; give a line that says so.

        Raises:
            MismatchError: they differ; the message names the job.
            FormatError: the golden files are not of the circuit.
            ToolError: the test program cannot run.
        """
        program = Program.of(circuit_of(self.folder, self.manifest))
        engine = ReferenceEngine(program.with_given(self._given()))
        words = np.frombuffer((self.folder / "golden/symbols.i32").read_bytes(), dtype="<i4")
        variables = len(engine.circuit.order)
        if words.size != variables * self.manifest.golden_records:
            raise FormatError(
                "project-golden",
                f"{self.folder}/golden must hold {self.manifest.golden_records} records of {variables} symbols, "
                f"got {words.size} symbols",
            )
        records = words.reshape(-1, variables).astype(np.int64)
        lane = (self.folder / "golden/lane.bin").read_bytes()
        jobs = golden_jobs(engine, self.symbol_type, records, self.folder / "golden", lane)
        results = self.run([job for job, _ in jobs.values()])
        for (name, (_, wanted)), done in zip(jobs.items(), results, strict=True):
            got = scores_of(done.data) if name == "score" else done.data
            if done.status != "ok" or got != wanted:
                raise MismatchError(f"c99: {name} differs from the reference, its status is {done.status}")
        packets = self._golden_packets(engine, records)
        *names, last = (*jobs, *(["packets"] if packets else []))
        return f"{len(records)} records: {', '.join(names)} and {last} equal the reference\ncompared: " + (
            f"{len(records)} records, {len(lane)} bytes" + (f", {packets} packets" if packets else "")
        )

    def _golden_packets(self, engine: ReferenceEngine, records: IntArray) -> int:
        """Compare with golden packets, if there are some; give how many there are."""
        path = self.folder / "golden/packets.bin"
        if not path.is_file():
            return 0
        some, data = packet_records(records), path.read_bytes()
        layout = packet_layout(engine, len(some))
        packets = [data[at : at + layout.size] for at in range(0, len(data), layout.size)]
        if [packet for packet in packets if not is_whole(packet, layout, some.size)]:
            raise FormatError("project-golden", f"{path} must hold packets with their checksums, some are damaged")
        jobs = packet_jobs(self.symbol_type, some, engine.circuit.order, packets, layout)
        results = self.run([job for job, _ in jobs.values()], self.compile((WITH_PACKETS,), "host-packets"))
        for (name, (_, wanted)), done in zip(jobs.items(), results, strict=True):
            if (done.status, done.data) != ("ok", wanted):
                raise MismatchError(f"c99: {name} differs from the reference, its status is {done.status}")
        return len(packets)

    def _given(self) -> list[int]:
        """Read which variables are given."""
        given = self.manifest.table.get("given", [])
        if not isinstance(given, list) or not all(type(variable) is int for variable in given):
            raise FormatError("project-manifest", f"{self.folder}: given must be a list of variables, got {given!r}")
        return given

    def encoding(self, records: IntArray) -> Job:
        """Make the job that encodes records (N, variables) into one lane."""
        return record_lane(self.symbol_type, b"", records).encode

    def decoding(self, lane: bytes, count: int) -> Job:
        """Make the job that decodes so many records from a lane."""
        return reading(count, lane)

    def weighing(self, records: IntArray) -> tuple[Job, Job]:
        """Make the jobs that give likelihoods and scores of records (N, variables), -1 is missing."""
        data = record_bytes(self.symbol_type, records)
        return Job(LIKELIHOOD, len(records), data), Job(SCORE, len(records), data)


def _emulate(core: Core, image: Path) -> None:
    """Run a program in QEMU, in the folder where it lies.

    Raises:
        ToolError: it does not end, or QEMU fails.
    """
    command = [
        core.emulator, *core.machine, "-nographic", "-monitor", "none", "-serial", "none", "-semihosting-config",
        "enable=on,target=native", "-icount", "shift=0", "-kernel", str(image),
    ]  # fmt: skip
    try:
        done = subprocess.run(command, cwd=image.parent, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"QEMU for {core.name} must end within {SECONDS} seconds, it did not") from error
    if done.returncode:
        raise ToolError(
            f"QEMU for {core.name} failed with exit status {done.returncode}: {done.stderr.strip()[-2000:]}"
        )


def _written(jobs: Sequence[Job]) -> bytes:
    return b"".join(struct.pack("<II", job.kind, job.count) + job.data for job in jobs)


def _read(data: bytes, count: int) -> list[Done]:
    """Read the results of so many jobs.

    Raises:
        ToolError: there are fewer: the program ended early.
    """
    results: list[Done] = []
    pieces, at = b"", 0
    try:
        while at < len(data):
            (size,) = struct.unpack_from("<I", data, at)
            at += 4
            if size:
                pieces += data[at : at + size]
                at += size
                continue
            status, *numbers = struct.unpack_from("<IQII", data, at)
            at += 20
            results.append(Done(pieces, STATUSES[status], *numbers))
            pieces = b""
    except (struct.error, IndexError):
        results = results[: count - 1]
    if len(results) != count:
        raise ToolError(f"the test program must write {count} results, got {len(results)}: it ended early")
    return results
