"""C simulation of a project's engine: a device behind simulated registers and streams, which counts its cycles."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pcedge.errors import MismatchError, ToolError
from pcedge.export.drivers.device import Device
from pcedge.simulate.board import Board
from pcedge.simulate.csim import Csim
from pcedge.simulate.tools import CXX_FLAGS, ap_types, compiler, run

_SOURCES = ("testbench/engine.cpp", "src/pcedge_engine.cpp", "src/pcedge_memories.cpp")


@dataclass(frozen=True)
class EngineCsim:
    """Run the engine of a project directory, compiled for plain integers, which are faster, or exact widths."""

    folder: Path
    #: exact widths of every signal (`ap_int`) instead of 64-bit integers
    exact: bool = False

    @cached_property
    def executable(self) -> Path:
        """Compile the testbench where it is not yet; give the executable.

        Raises:
            FormatError: the directory is not a project.
            MissingToolError: no compiler or no ap_int.h.
            ToolError: the compiler failed; its text is in the message.
        """
        _ = Csim(self.folder).manifest
        folder = self.folder.resolve()
        command = [*compiler(), *CXX_FLAGS, "-Isrc", "-Iinclude", "-isystem", str(ap_types())]
        if not self.exact:
            command.append("-DPCEDGE_PLAIN_INTEGERS")
        hasher = hashlib.sha256("\n".join(command).encode())
        for part in ("src", "include/pcedge", "testbench"):
            for path in sorted((folder / part).iterdir()):
                hasher.update(path.name.encode() + path.read_bytes())
        out = folder / "build" / f"engine-{hasher.hexdigest()[:16]}"
        if not os.access(out, os.X_OK):
            out.parent.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
                fresh = Path(scratch) / "engine"
                run([*command, *_SOURCES, "-o", fresh], folder, "compiling the engine's testbench")
                os.replace(fresh, out)
        return out

    def golden(self) -> str:
        """Compare all jobs with the golden vectors; give the testbench's line.

        Raises:
            MismatchError: they differ; the message names the job and the record or lane.
            ToolError: the testbench cannot run.
        """
        done = subprocess.run([self.executable, "golden", "golden"], cwd=self.folder, capture_output=True, text=True)
        if done.returncode == 1:
            raise MismatchError(f"engine: {done.stdout.strip()}")
        if done.returncode:
            raise ToolError(f"the engine's testbench failed with exit status {done.returncode}: {done.stderr.strip()}")
        return done.stdout.strip()

    @contextmanager
    def device(self, stalls: tuple[int, int] | None = None) -> Iterator[Device]:
        """Open the engine as a device.

        Args:
            stalls: share of 256, and a seed: so often both ends of a stream are not ready.
        """
        streams = Csim(self.folder).manifest["streams"]
        assert isinstance(streams, int)
        board = Board(self.executable, streams, stalls)
        try:
            yield Device(board, board.ports)
        finally:
            board.close()
