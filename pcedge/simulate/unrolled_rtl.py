"""Simulation of an unrolled kernel in SystemVerilog by Verilator, between streams that may stall."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pcedge.arithmetic import Vector
from pcedge.arrays import IntArray
from pcedge.circuit.layers import MISSING
from pcedge.errors import FormatError, MismatchError, ToolError
from pcedge.export.project.manifest import UNROLLED_RTL, Manifest, read_manifest
from pcedge.export.unrolled.verilog import TOP
from pcedge.files import scratch
from pcedge.toolchain.building import bench_of, rtl_sources
from pcedge.toolchain.rtl_files import copy_images
from pcedge.toolchain.tools import run
from pcedge.toolchain.verilator import build

#: what Verilator says of generated text: bits of signals that no other reads, and the comparisons that one size makes
#: trivial
_OFF = ("DECLFILENAME", "UNUSEDSIGNAL", "CMPCONST", "UNSIGNED")
_FLAGS = ("-Wall", *(f"-Wno-{name}" for name in _OFF))

#: it compiles in half the time of -O2, and records take about as long
_OPTIMISE = "-O1"

#: results of a record
_NAMES = ("mantissa", "exponent", "score")


@dataclass(frozen=True)
class UnrolledRtl:
    """Run the kernel of a project directory; it is compiled when its sources or a tool have changed."""

    folder: Path

    @property
    def manifest(self) -> Manifest:
        """Read the project's manifest.

        Raises:
            FormatError: the directory is no project of an unrolled kernel in SystemVerilog, or its manifest is damaged.
        """
        return read_manifest(self.folder, UNROLLED_RTL)

    def compile(self) -> Path:
        """Compile the sources where they or the tools have changed; give the executable.

        Raises:
            FormatError: the directory is no project of this kind.
            MissingToolError: Verilator, make or a C++ compiler is missing.
            ToolError: one of them failed; its text is in the message.
        """
        manifest, work = self.manifest, self.folder / "build" / "verilator"
        work.mkdir(parents=True, exist_ok=True)
        harness = bench_of(self.folder, "testbench/unrolled_rtl.cpp")
        copy_images(self.folder, manifest, work)  # where it is started
        return build(rtl_sources(self.folder), TOP, harness, work, flags=_FLAGS, optimise=_OPTIMISE)

    def golden(self) -> str:
        """Compare every result and the latency with the golden vectors and the manifest; say what was compared.

        Raises:
            MismatchError: they differ; the message names record and output.
            FormatError: the golden files are not those of the manifest.
        """
        folder, manifest = self.folder / "golden", self.manifest
        try:
            records = np.fromfile(folder / "symbols.i32", "<i4").reshape(-1, manifest.variables).astype(np.int64)
            known = np.fromfile(folder / "results.i64", "<i8").reshape(-1, len(_NAMES))
        except (OSError, ValueError) as error:
            raise FormatError("project-golden", f"{folder} must hold golden vectors ({error})") from error
        if not len(records) == len(known) == manifest.golden_records:
            raise FormatError("project-golden", f"{folder} must hold the records that the manifest counts")
        found, latency = self.measured(records)
        if len(wrong := np.argwhere(found != known)):
            record, output = (int(index) for index in wrong[0])
            raise MismatchError(
                f"rtl: {_NAMES[output]} of record {record} must be {known[record, output]}, got {found[record, output]}"
            )
        if latency != (said := manifest.table["latency_cycles"]):
            raise MismatchError(f"rtl: the latency must be the manifest's {said} cycles, got {latency}")
        size = f"{len(records)} records, {known.size} results"
        return f"{size}: equal; latency {latency} cycles, a record a cycle"

    def likelihood(self, records: IntArray) -> Vector:
        """Run the kernel; give mantissas and exponents, (N,) each."""
        results = self.run(records)
        return results[:, 0], results[:, 1]

    def run(self, records: IntArray, stalls: tuple[int, int] = (0, 0)) -> IntArray:
        """Run records (N, variables), -1 is missing; give mantissa, exponent and score, (N, 3).

        Args:
            records: symbols.
            stalls: share of 256, and a seed: so often both ends of a stream are not ready.
        """
        return self.measured(records, stalls)[0]

    def measured(self, records: IntArray, stalls: tuple[int, int] = (0, 0)) -> tuple[IntArray, int]:
        """Run records as `run` does; give also the cycles from the first record to its result."""
        words, latency = run_beats(self.compile(), pack_records(records, self.manifest), stalls)
        data = words.astype(np.int64)
        data[:, 1] = words[:, 1].astype(np.int32)
        return data, latency


def run_beats(
    executable: Path, beats: NDArray[np.uint8], stalls: tuple[int, int] = (0, 0)
) -> tuple[NDArray[np.uint32], int]:
    """Send beats of bytes (N, bytes) through a compiled kernel; give three words of every result, and the latency.

    Raises:
        ToolError: the testbench fails, or gives other results than one a beat.
    """
    with scratch() as folder:
        source, out = (folder / "in").resolve(), (folder / "out").resolve()
        source.write_bytes(beats.tobytes())
        words: list[str | Path] = [executable, source, out, str(beats.shape[1]), *map(str, stalls)]
        said = run(words, executable.parent, "the kernel in Verilator")
        data = np.frombuffer(out.read_bytes(), dtype="<u4").reshape(-1, len(_NAMES))
    found = re.fullmatch(r"latency (\d+), cycles \d+", said.strip())
    if found is None or len(data) != len(beats):
        raise ToolError(f"the kernel's testbench must give {len(beats)} results and its latency, it says {said!r}")
    return data, int(found[1])


def pack_records(records: IntArray, manifest: Manifest) -> NDArray[np.uint8]:
    """Put the symbols of each record side by side in a beat, (N, bytes); -1 becomes all ones."""
    bits = np.zeros((len(records), manifest.table["record_bits"]), dtype=np.uint8)
    for symbols, field in zip(records.T, manifest.table["record"], strict=True):
        ones = (1 << field["bits"]) - 1
        codes = np.where(symbols == MISSING, ones, symbols)
        for place in range(field["bits"]):
            bits[:, field["lowest_bit"] + place] = codes >> place & 1
    return np.packbits(bits, axis=1, bitorder="little")
