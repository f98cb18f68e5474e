"""C simulation of an unrolled kernel: compile its project's testbench and run the top on data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcedge.arithmetic import Vector
from pcedge.arrays import IntArray
from pcedge.errors import MismatchError, ToolError
from pcedge.export.project.manifest import UNROLLED, Manifest, read_manifest
from pcedge.files import scratch
from pcedge.toolchain.compiled import check_compared, compiled, start
from pcedge.toolchain.tools import run

_SOURCES = ("testbench/unrolled.cpp", "src/pcedge_unrolled.cpp")

#: one function of up to ten thousand statements: higher levels, and ways out for exceptions, take long and gain little
FAST = ("-O1", "-fno-exceptions")

#: results of a record: mantissa, exponent and score
OUTPUTS = 3


def kernel_of(folder: Path) -> str:
    """Tell which kernel a project holds: `unrolled`, or `engine` where its manifest names none.

    Raises:
        FormatError: the directory is no project, or its manifest is damaged.
    """
    return read_manifest(folder).kernel


@dataclass(frozen=True)
class UnrolledCsim:
    """Run the testbench of an unrolled kernel's project; it is compiled when sources or the compiler have changed."""

    folder: Path
    #: more flags for the compiler, such as sanitizers
    flags: Sequence[str] = ()

    @property
    def manifest(self) -> Manifest:
        """Read the project's manifest.

        Raises:
            FormatError: the directory is no project of an unrolled kernel, or its manifest is damaged.
        """
        return read_manifest(self.folder, UNROLLED)

    def compile(self) -> Path:
        """Compile the testbench; give the executable.

        Raises:
            MissingToolError: no compiler or no ap_int.h.
            ToolError: the compiler failed; its text is in the message.
        """
        _ = self.manifest
        return compiled(self.folder, "testbench", _SOURCES, (*FAST, *self.flags))

    def golden(self) -> str:
        """Compare every result with the golden vectors; give the testbench's lines.

        Raises:
            MismatchError: they differ; the message names record and output.
            FormatError: it compared other numbers of records or results than the manifest says.
            ToolError: the testbench cannot run, or refuses the golden files.
        """
        executable = self.compile()
        done = start(executable, ["golden", "golden"], self.folder)
        if done.returncode == 1 and done.stdout:
            raise MismatchError(f"csim: {done.stdout.strip()}")
        if done.returncode:
            raise ToolError(f"the testbench failed with exit status {done.returncode}: {done.stderr.strip()}")
        records = self.manifest.golden_records
        check_compared(self.folder, done.stdout, {"records": records, "results": OUTPUTS * records})
        return done.stdout.strip()

    def likelihood(self, records: IntArray) -> Vector:
        """Run pc_unrolled; give mantissas and exponents, (N,) each."""
        results = self.run(records)
        return results[:, 0], results[:, 1]

    def run(self, records: IntArray) -> IntArray:
        """Run pc_unrolled on records (N, variables), -1 is missing; give mantissa, exponent and score, (N, 3)."""
        executable = self.compile()
        with scratch() as folder:
            source, out = folder / "in", folder / "out"
            source.write_bytes(records.astype("<i4").tobytes())
            run([executable, "run", source, out], self.folder.resolve(), "csim run")
            return np.frombuffer(out.read_bytes(), dtype="<i8").reshape(len(records), OUTPUTS).astype(np.int64)
