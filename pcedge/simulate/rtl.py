"""Simulation of a project's engine in SystemVerilog by Verilator: a device behind simulated registers and streams."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pcedge.arithmetic import Vector, score
from pcedge.arrays import IntArray
from pcedge.codec.packets import PacketLayout
from pcedge.drivers.contract import Job
from pcedge.drivers.device import Device
from pcedge.drivers.packets import decode_packets, encode_packets
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import FormatError, MismatchError
from pcedge.export.project.lanes import unpack_lanes
from pcedge.export.project.manifest import PACKET_JOBS, RTL, Manifest, read_manifest
from pcedge.export.rtl.project import GOLDEN_CRC_BITS, GOLDEN_PACKET_BYTES
from pcedge.export.rtl.serial.project import MODEL
from pcedge.export.rtl.stage.project import STAGE_TOP
from pcedge.export.rtl.testbench_files import ENGINE_BENCH
from pcedge.simulate.base import circuit_of
from pcedge.simulate.board import Board
from pcedge.toolchain.building import bench_of, rtl_sources
from pcedge.toolchain.hardening import hardened
from pcedge.toolchain.rtl_files import check_sizes, copy_images
from pcedge.toolchain.verilator import LENIENT, build

#: the module that is simulated
ENGINE = "pc_engine"

#: what stands around it, or beside it
_AROUND = ("pc_axi", "pc_serial_boot", "pc_serial_flash", "pcedge_flash", "pcedge_top", STAGE_TOP)

#: what Verilator says of generated functions, whose fields are as wide as a place in them, and of comparisons that one
#: size makes trivial; not of names that hide others (VARHIDDEN), which yosys does not let them,
#: but of several cores Verilator takes their names for hidden that a module has beside its instance
_OFF = ("DECLFILENAME", "UNUSEDPARAM", "UNUSEDSIGNAL", "UNSIGNED", "CMPCONST")
FLAGS = ("-Wall", *(f"-Wno-{name}" for name in _OFF))

#: it compiles in half the time of -O2, and jobs take about as long
OPTIMISE = "-O1"


@dataclass(frozen=True, eq=False)
class Golden:
    """Hold the golden vectors of a project: what each job takes, and what the reference made of it."""

    #: symbols, (N, variables)
    records: IntArray
    #: mantissas and exponents, (N, 2)
    likelihood: IntArray
    #: bytes of each lane
    lanes: list[bytes]
    #: packets of equal size, and the engine that made them; None where no job of them is built
    packets: tuple[list[bytes], ReferenceEngine] | None


@dataclass(frozen=True)
class RtlProject:
    """Run the engine of a project directory; it is compiled when its sources or a tool have changed."""

    folder: Path

    def __post_init__(self) -> None:
        """Take a folder's name too."""
        object.__setattr__(self, "folder", Path(self.folder))

    @property
    def manifest(self) -> Manifest:
        """Read the project's manifest.

        Raises:
            FormatError: the directory is no project of an engine in SystemVerilog, or its manifest is damaged.
        """
        return read_manifest(self.folder, RTL)

    def compile(self) -> Path:
        """Compile the sources where they or the tools have changed; give the executable.

        Raises:
            FormatError: the directory is no project of this kind.
            MissingToolError: Verilator, make or a C++ compiler is missing, or yosys of a hardened engine.
            ToolError: one of them failed; its text is in the message.
        """
        manifest = self.manifest
        check_sizes(self.folder, manifest)
        sources, bench = engine_sources(self.folder), bench_of(self.folder, ENGINE_BENCH)
        work = self.folder / "build" / "verilator"
        work.mkdir(parents=True, exist_ok=True)
        copy_images(self.folder, manifest, work)  # where it is started
        engine = hardened(self.folder, sources, ENGINE)
        flags = FLAGS if engine == sources else LENIENT
        if manifest.table.get("cores", 1) > 1:
            flags = (*flags, "-Wno-VARHIDDEN")
        return build(engine, ENGINE, bench, work, flags=flags, optimise=OPTIMISE)

    def golden_vectors(self) -> Golden:
        """Read the golden vectors.

        Raises:
            FormatError: they, or the circuit, are not those of the manifest.
        """
        folder, manifest, packets = self.folder / "golden", self.manifest, None
        try:
            records = np.fromfile(folder / "symbols.i32", "<i4").reshape(-1, manifest.variables).astype(np.int64)
            known = np.fromfile(folder / "likelihood.i64", "<i8").reshape(-1, 2).astype(np.int64)
            lanes = unpack_lanes((folder / "lanes.bin").read_bytes())
        except (OSError, ValueError, FormatError) as error:
            raise FormatError("project-golden", f"{folder} must hold golden vectors ({error})") from error
        counts = (len(records), len(known), sum(map(len, lanes)))
        if counts != (manifest.golden_records, manifest.golden_records, manifest.golden_bytes):
            raise FormatError("project-golden", f"{folder} must hold the records and bytes that the manifest counts")
        if set(PACKET_JOBS) & set(manifest.built_jobs):
            place = folder / "packets.bin"
            try:
                known_packets = unpack_lanes(place.read_bytes())
            except (OSError, FormatError) as error:
                raise FormatError("project-golden", f"{place} must hold packets ({error})") from error
            packets = known_packets, ReferenceEngine(circuit_of(self.folder, manifest))
        if manifest.reload:
            self.image()
        return Golden(records, known, lanes, packets)

    def golden(self) -> str:
        """Compare every job that is built with the golden vectors; say what was compared.

        Raises:
            MismatchError: they differ; the message names the job and the record or lane.
            FormatError: the golden files are not those of the manifest.
        """
        golden, built = self.golden_vectors(), self.manifest.built_jobs
        records, lanes = golden.records, golden.lanes
        cycles: dict[str, int] = {}
        with self.device() as device:
            if self.manifest.reload:
                device.load(self.image())
            if "likelihood" in built:
                _same("likelihood", golden.likelihood, np.stack(device.likelihood(records), axis=1))
                cycles["likelihood"] = device.cycles
            if "score" in built:
                state_bits = self.manifest.table["widths"]["state_bits"]
                _same(
                    "score", score(golden.likelihood[:, 0], golden.likelihood[:, 1], state_bits), device.score(records)
                )
                cycles["score"] = device.cycles
            if "encode" in built:
                coded = device.encode_lanes(records, len(lanes))
                cycles["encode"] = device.cycles
                for lane, (ours, theirs) in enumerate(zip(coded, lanes, strict=True)):
                    if ours != theirs:
                        what = f"the {len(theirs)} bytes that the reference wrote"
                        raise MismatchError(f"rtl: lane {lane} must be {what}")
            for job, what in ((Job.DECODE, "decoded"), (Job.SAMPLE, "sampled")):
                if job.name.lower() in built:
                    # What was coded is what the same bytes draw.
                    back = device.decode_lanes(lanes, len(records), job=job)
                    cycles[job.name.lower()] = device.cycles
                    if len(where := np.argwhere(back != records)):
                        record, variable = where[0]
                        raise MismatchError(f"rtl: {what} record {record} differs first in variable {variable}")
            packets = self._golden_packets(device, golden)
        each = ", ".join(f"{name} {count / records.size:.2f}" for name, count in cycles.items())
        size = f"{len(records)} records, {records.size} symbols, {sum(map(len, lanes))} bytes"
        return f"{size}{packets}: equal; cycles a symbol: {each}"

    def _golden_packets(self, device: Device, golden: Golden) -> str:
        if golden.packets is None:
            return ""
        (known, engine), records, built = golden.packets, golden.records, self.manifest.built_jobs
        layout = PacketLayout.of(engine, GOLDEN_PACKET_BYTES, len(records), GOLDEN_CRC_BITS)
        if "pack" in built and encode_packets(device, engine, records, layout) != known:
            raise MismatchError(f"rtl: the {len(known)} packets must be those that the reference wrote")
        if "unpack" in built:
            if (decode_packets(device, engine, known, layout, len(records)).records != records).any():
                raise MismatchError("rtl: records of packets differ")
        return f", {len(known)} packets"

    def image(self) -> NDArray[np.uint32]:
        """Read the image of a reloadable project's own circuit.

        Raises:
            FormatError: there is none.
        """
        place = self.folder / "golden/image.u32"
        try:
            return np.fromfile(place, "<u4").astype(np.uint32)
        except OSError as error:
            raise FormatError("project-golden", f"{place} must be the project's image ({error})") from error

    def likelihood(self, records: IntArray) -> Vector:
        """Run the job likelihood; give mantissas and exponents, (N,) each."""
        with self.device() as device:
            if self.manifest.reload:
                device.load(self.image())
            return device.likelihood(records)

    @contextmanager
    def device(self, stalls: tuple[int, int] | None = None) -> Iterator[Device]:
        """Open the engine as a device.

        Args:
            stalls: share of 256, and a seed: so often both ends of a stream are not ready.
        """
        streams = self.manifest.table["streams"]
        executable = self.compile()
        board = Board(executable, streams, stalls, executable.parent)
        try:
            yield opened(self.folder, self.manifest, board)
        finally:
            board.close()


def engine_sources(folder: Path) -> list[Path]:
    """Give the sources of a project that its engine is made of.

    Raises:
        FormatError: the directory is no project of RTL, or lacks a file that its manifest names.
    """
    return [path for path in rtl_sources(folder) if path.stem not in _AROUND and not path.stem.startswith("pc_stage")]


def opened(folder: Path, manifest: Manifest, board: Board, timeout: float = 60.0) -> Device:
    """Open a simulated engine as a device; a serial one is loaded: no memory of it is initialised."""
    device = Device(board, board.ports, timeout, manifest.built_jobs)
    if manifest.table.get("engine") == "serial":
        device.run(Job.LOAD, [], [[np.fromfile(folder / MODEL, "<u4").astype(np.uint32)]], [])
    return device


def _same(job: str, expected: IntArray, found: IntArray) -> None:
    """Compare what a job gives of each record.

    Raises:
        MismatchError: it differs.
    """
    differs = (found != expected).reshape(len(expected), -1).any(axis=1)
    if len(wrong := np.flatnonzero(differs)):
        first = int(wrong[0])
        raise MismatchError(f"rtl: {job} of record {first} must be {expected[first]}, got {found[first]}")
