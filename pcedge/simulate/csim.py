"""C simulation: compile a project's testbench and run the three tops on data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pcedge.arithmetic import Vector
from pcedge.arrays import IntArray
from pcedge.errors import MismatchError, ToolError
from pcedge.export.project.lanes import pack_lanes, unpack_lanes
from pcedge.export.project.manifest import ENGINE_KERNEL, Manifest, read_manifest
from pcedge.files import scratch
from pcedge.toolchain.compiled import check_compared, compiled, start
from pcedge.toolchain.tools import run

_SOURCES = ("testbench/testbench.cpp", "src/pcedge_top.cpp", "src/pcedge_memories.cpp")


@dataclass(frozen=True)
class Csim:
    """Run the testbench of a project directory; it is compiled when its sources or the compiler have changed."""

    folder: Path

    @property
    def manifest(self) -> Manifest:
        """Read the project's manifest.

        Raises:
            FormatError: the directory is no project of an engine, or its manifest is damaged.
        """
        return read_manifest(self.folder, ENGINE_KERNEL)

    @property
    def variables(self) -> int:
        """Count the variables of a record."""
        return self.manifest.variables

    def compile(self) -> Path:
        """Compile the testbench; give the executable.

        Raises:
            MissingToolError: no compiler or no ap_int.h.
            ToolError: the compiler failed; its text is in the message.
        """
        _ = self.manifest
        return compiled(self.folder, "testbench", _SOURCES)

    def golden(self) -> str:
        """Compare every step with the golden vectors; give the testbench's lines.

        Raises:
            MismatchError: they differ; the message names record, variable and step.
            FormatError: it compared other numbers of records, steps, bytes or symbols than the manifest says.
            ToolError: the testbench cannot run, or refuses the golden files.
        """
        executable = self.compile()
        done = start(executable, ["golden", "golden"], self.folder)
        if done.returncode == 1:
            raise MismatchError(f"csim: {done.stdout.strip()}")
        if done.returncode:
            raise ToolError(f"the testbench failed with exit status {done.returncode}: {done.stderr.strip()}")
        manifest = self.manifest
        steps = manifest.golden_records * sum(manifest.steps.values())
        check_compared(self.folder, done.stdout, golden_counts(manifest) | {"steps": steps})
        return done.stdout.strip()

    def likelihood(self, records: IntArray) -> Vector:
        """Run pc_likelihood; give mantissas and exponents, (N,) each."""
        pairs = np.frombuffer(self._on_symbols("likelihood", records), dtype="<i8").reshape(len(records), 2)
        return pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64)

    def intervals(self, records: IntArray) -> Vector:
        """Give the interval ends that the encoder uses, lo and hi, (N, variables) in coding order."""
        ends = np.frombuffer(self._on_symbols("intervals", records), dtype="<u4")
        ends = ends.reshape(len(records), self.variables, 2)
        return ends[:, :, 0].astype(np.int64), ends[:, :, 1].astype(np.int64)

    def encode(self, records: IntArray, lanes: int) -> list[bytes]:
        """Run pc_encode once a lane; give every lane's bytes."""
        return unpack_lanes(self._on_symbols("encode", records, str(lanes)))

    def decode(self, lanes: list[bytes], count: int) -> IntArray:
        """Run pc_decode once a lane; give `count` records."""
        data = self._run("decode", pack_lanes(lanes), str(count))
        return np.frombuffer(data, dtype="<i4").reshape(count, self.variables).astype(np.int64)

    def trace(self, records: IntArray) -> list[list[tuple[NDArray[np.int64], int]]]:
        """Give every step's integers and exponent, by record: the likelihood steps, then the code steps."""
        words = np.frombuffer(self._on_symbols("trace", records), dtype="<i8").astype(np.int64)
        steps = sum(self.manifest.steps.values())
        offset = 0
        traces = []
        for _ in range(len(records)):
            trace = []
            for _ in range(steps):
                size = int(words[offset])
                trace.append((words[offset + 1 : offset + 1 + size], int(words[offset + 1 + size])))
                offset += size + 2
            traces.append(trace)
        return traces

    def _on_symbols(self, command: str, records: IntArray, *more: str) -> bytes:
        return self._run(command, records.astype("<i4").tobytes(), *more)

    def _run(self, command: str, data: bytes, *more: str) -> bytes:
        executable = self.compile()
        with scratch() as folder:
            source, result = folder / "in", folder / "out"
            source.write_bytes(data)
            run([executable, command, source, result, *more], self.folder.resolve(), f"csim {command}")
            return result.read_bytes()


def golden_counts(manifest: Manifest) -> dict[str, int]:
    """Give what the golden vectors of an engine's project hold, by its manifest; the first ones count no bytes."""
    records = manifest.golden_records
    counts = {"records": records, "symbols": records * manifest.variables}
    return counts | ({} if manifest.golden_bytes is None else {"bytes": manifest.golden_bytes})
