"""C simulation of a project's engine: a device behind simulated registers and streams, which counts its cycles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pcedge.arithmetic import Vector
from pcedge.arrays import IntArray
from pcedge.drivers.device import Device
from pcedge.drivers.size import EngineSize
from pcedge.errors import MismatchError, ToolError
from pcedge.export.project.manifest import ENGINE_KERNEL, Manifest, read_manifest
from pcedge.simulate.board import Board
from pcedge.simulate.csim import golden_counts
from pcedge.toolchain.compiled import check_compared, compiled, start

_SOURCES = ("testbench/engine.cpp", "src/pcedge_engine.cpp", "src/pcedge_memories.cpp")


@dataclass(frozen=True)
class EngineCsim:
    """Run the engine of a project directory, compiled for plain integers, which are faster, or exact widths."""

    folder: Path
    #: exact widths of every signal (`ap_int`) instead of 64-bit integers
    exact: bool = False

    @property
    def manifest(self) -> Manifest:
        """Read the project's manifest.

        Raises:
            FormatError: the directory is no project of an engine, or its manifest is damaged.
        """
        return read_manifest(self.folder, ENGINE_KERNEL)

    def compile(self) -> Path:
        """Compile the testbench where it is not yet; give the executable. Errors are those of `executable`."""
        return self.executable

    @cached_property
    def executable(self) -> Path:
        """Compile the testbench where it is not yet; give the executable.

        Raises:
            FormatError: the directory is not a project.
            MissingToolError: no compiler or no ap_int.h.
            ToolError: the compiler failed; its text is in the message.
        """
        _ = self.manifest
        name, flags = ("engine-exact", ()) if self.exact else ("engine-plain", ("-DPCEDGE_PLAIN_INTEGERS",))
        return compiled(self.folder, name, _SOURCES, flags)

    def golden(self) -> str:
        """Compare all jobs with the golden vectors; give the testbench's lines.

        Raises:
            MismatchError: they differ; the message names the job and the record or lane.
            FormatError: it compared other numbers of records, bytes or symbols than the manifest says.
            ToolError: the testbench cannot run, or refuses the golden files.
        """
        done = start(self.executable, ["golden", "golden"], self.folder)
        if done.returncode == 1:
            raise MismatchError(f"engine: {done.stdout.strip()}")
        if done.returncode:
            raise ToolError(f"the engine's testbench failed with exit status {done.returncode}: {done.stderr.strip()}")
        check_compared(self.folder, done.stdout, golden_counts(self.manifest))
        return done.stdout.strip()

    def likelihood(self, records: IntArray) -> Vector:
        """Run the job likelihood; give mantissas and exponents, (N,) each."""
        with self.device() as device:
            return device.likelihood(records)

    @contextmanager
    def device(self, stalls: tuple[int, int] | None = None) -> Iterator[Device]:
        """Open the engine as a device.

        Args:
            stalls: share of 256, and a seed: so often both ends of a stream are not ready.
        """
        streams = (self.manifest.size or EngineSize()).streams
        board = Board(self.executable, streams, stalls)
        try:
            yield Device(board, board.ports)
        finally:
            board.close()
