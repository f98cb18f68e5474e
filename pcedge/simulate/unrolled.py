"""C simulation of an unrolled kernel: compile its project's testbench and run the top on data."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcedge.arrays import IntArray
from pcedge.errors import FormatError, MismatchError, ToolError
from pcedge.export.project.directory import MANIFEST, PROJECT_FORMAT
from pcedge.export.unrolled.project import UNROLLED
from pcedge.toolchain.compiled import compiled, start
from pcedge.toolchain.tools import CXX_FLAGS, ap_types, compiler, run

_SOURCES = ("testbench/unrolled.cpp", "src/pcedge_unrolled.cpp")

#: one function of up to ten thousand statements: higher levels, and ways out for exceptions, take long and gain little
FAST = ("-O1", "-fno-exceptions")


def kernel_of(folder: Path) -> str:
    """Tell which kernel a project holds: `unrolled`, or `engine` where its manifest names none.

    A folder without a readable manifest counts as `engine`, whose simulation says what is wrong with it.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return str(manifest.get("kernel", "engine"))
    except (OSError, ValueError, AttributeError, RecursionError):
        return "engine"


@dataclass(frozen=True)
class UnrolledCsim:
    """Run the testbench of an unrolled kernel's project; it is compiled when sources or the compiler have changed."""

    folder: Path
    #: more flags for the compiler, such as sanitizers
    flags: Sequence[str] = ()

    @property
    def manifest(self) -> dict[str, object]:
        """Read the project's manifest.

        Raises:
            FormatError: the directory is not a project of an unrolled kernel.
        """
        try:
            manifest = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise FormatError("project-manifest", f"{self.folder} must hold a {MANIFEST} ({error})") from error
        if not isinstance(manifest, dict) or manifest.get("format") != PROJECT_FORMAT:
            raise FormatError("project-manifest", f"{self.folder}/{MANIFEST} must be of a pcedge project")
        counts = [manifest.get("variables"), manifest.get("golden_records")]
        if (
            manifest.get("kernel") != UNROLLED
            or not all(type(count) is int and count > 0 for count in counts)
            or not isinstance(manifest.get("digest"), str)
        ):
            raise FormatError(
                "project-manifest",
                f"{self.folder}/{MANIFEST} must hold kernel unrolled, digest, variables and golden_records",
            )
        return manifest

    def compile(self) -> Path:
        """Compile the testbench; give the executable.

        Raises:
            MissingToolError: no compiler or no ap_int.h.
            ToolError: the compiler failed; its text is in the message.
        """
        _ = self.manifest
        command = [*compiler(), *CXX_FLAGS, *FAST, *self.flags, "-Isrc", "-Iinclude", "-isystem", str(ap_types())]

        def make(out: Path) -> None:
            run([*command, *_SOURCES, "-o", out], self.folder.resolve(), "compiling the testbench")

        return compiled(self.folder, "testbench", command, make)

    def golden(self) -> str:
        """Compare every result with the golden vectors; give the testbench's line.

        Raises:
            MismatchError: they differ; the message names record and output.
            ToolError: the testbench cannot run.
        """
        executable = self.compile()
        done = start(executable, ["golden", "golden"], self.folder)
        if done.returncode == 1 and done.stdout:
            raise MismatchError(f"csim: {done.stdout.strip()}")
        if done.returncode:
            raise ToolError(f"the testbench failed with exit status {done.returncode}: {done.stderr.strip()}")
        return done.stdout.strip()

    def run(self, records: IntArray) -> IntArray:
        """Run pc_unrolled on records (N, variables), -1 is missing; give mantissa, exponent and score, (N, 3)."""
        executable = self.compile()
        with tempfile.TemporaryDirectory() as scratch:
            source, out = Path(scratch) / "in", Path(scratch) / "out"
            source.write_bytes(records.astype("<i4").tobytes())
            run([executable, "run", source, out], self.folder.resolve(), "csim run")
            return np.frombuffer(out.read_bytes(), dtype="<i8").reshape(len(records), 3).astype(np.int64)
