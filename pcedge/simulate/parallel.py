"""C simulation of a project's parallel top: the same results, and the clock cycles."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pcedge.arithmetic import IntArray, Vector
from pcedge.errors import ToolError
from pcedge.export.project import pack_lanes, unpack_lanes
from pcedge.simulate.csim import Csim
from pcedge.simulate.tools import CXX_FLAGS, ap_types, compiler, run

_SOURCES = ("testbench/parallel.cpp", "src/pcedge_parallel.cpp", "src/pcedge_memories.cpp")


@dataclass(frozen=True)
class ParallelCsim:
    """Run the parallel top of a project directory, compiled for plain integers, which are faster, or exact widths.

    Every method gives its result and the clock cycles that it took.
    """

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
        out = folder / "build" / f"parallel-{hasher.hexdigest()[:16]}"
        if not os.access(out, os.X_OK):
            out.parent.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=out.parent) as scratch:
                fresh = Path(scratch) / "parallel"
                run([*command, *_SOURCES, "-o", fresh], folder, "compiling the parallel testbench")
                os.replace(fresh, out)
        return out

    def likelihood(self, records: IntArray) -> tuple[Vector, int]:
        """Give mantissas and exponents, (N,) each."""
        data, cycles = self._run("likelihood", records.astype("<i4").tobytes())
        pairs = np.frombuffer(data, dtype="<i8").reshape(len(records), 2).astype(np.int64)
        return (pairs[:, 0], pairs[:, 1]), cycles

    def encode(self, records: IntArray, lanes: int) -> tuple[list[bytes], int]:
        """Give every lane's bytes."""
        data, cycles = self._run("encode", records.astype("<i4").tobytes(), str(lanes))
        return unpack_lanes(data), cycles

    def decode(self, lanes: list[bytes], count: int) -> tuple[IntArray, int]:
        """Give `count` records."""
        data, cycles = self._run("decode", pack_lanes(lanes), str(count))
        variables = Csim(self.folder).variables
        return np.frombuffer(data, dtype="<i4").reshape(count, variables).astype(np.int64), cycles

    def _run(self, job: str, data: bytes, *more: str) -> tuple[bytes, int]:
        with tempfile.TemporaryDirectory() as scratch:
            source, result = Path(scratch) / "in", Path(scratch) / "out"
            source.write_bytes(data)
            text = run([self.executable, job, source, result, *more], self.folder.resolve(), f"parallel csim {job}")
            try:
                return result.read_bytes(), int(text)
            except ValueError as error:
                raise ToolError(f"the parallel testbench must print its clock cycles, it printed {text!r}") from error
