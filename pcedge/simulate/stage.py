"""C simulation of a circuit's predictor stage: compile its testbench and run both tops on rows of data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray
from pcedge.errors import FormatError, MismatchError, ToolError
from pcedge.export.project.lanes import pack_lanes, unpack_lanes
from pcedge.export.project.manifest import Manifest, read_manifest
from pcedge.export.project.prediction import number_words
from pcedge.files import scratch
from pcedge.toolchain.compiled import check_compared, compiled, start

_SOURCES = ("testbench/predict.cpp", "src/pcedge_predict.cpp")


@dataclass(frozen=True)
class StageCsim:
    """Run the testbench of a project's predictor stage; it is compiled when sources or the compiler have changed."""

    folder: Path
    #: more flags for the compiler, such as sanitizers
    flags: Sequence[str] = ()

    @property
    def manifest(self) -> Manifest:
        """Read the project's manifest.

        Raises:
            FormatError: the directory is no project with a predictor stage, or its manifest is damaged.
        """
        manifest = read_manifest(self.folder)
        if manifest.stage is None:
            raise FormatError("project-manifest", f"{self.folder} must be of a circuit with a predictor stage")
        return manifest

    def compile(self) -> Path:
        """Compile the testbench; give the executable.

        Raises:
            MissingToolError: no compiler or no ap_int.h.
            ToolError: the compiler failed; its text is in the message.
        """
        _ = self.manifest
        return compiled(self.folder, "stage", _SOURCES, self.flags)

    def golden(self) -> str:
        """Compare classes, tokens, raw bits and restored numbers with the golden vectors; give the testbench's lines.

        Raises:
            MismatchError: they differ; the message names number and lane.
            FormatError: it compared other amounts than the manifest says.
            ToolError: the testbench cannot run, or refuses the golden files.
        """
        said = self._run("golden", "golden")
        stage = self.manifest.stage
        assert stage is not None
        check_compared(self.folder, said, {"records": stage["golden_numbers"], "bytes": stage["golden_bytes"]})
        return said

    def forward(self, x: NDArray[Any], lanes: int) -> tuple[IntArray, list[bytes]]:
        """Run pc_predict once a lane on rows of numbers, a masked array where some may be missing.

        Returns:
            Class, token and count of raw bits of every number, (numbers, 3), and every lane's raw bits.

        Raises:
            MismatchError: the kernel refuses the rows; its status is in the message.
            ToolError: the testbench cannot run.
        """
        with scratch() as folder:
            source, out, raw = (folder / name for name in ("in", "out", "raw"))
            source.write_bytes(number_words(x))
            self._run("forward", source, out, raw, lanes)
            return self._words(out), unpack_lanes(raw.read_bytes())

    def back(self, tokens: IntArray, raw: list[bytes], rows: int) -> tuple[IntArray, IntArray, IntArray]:
        """Run pc_restore once a lane on tokens, in the order of their numbers.

        Returns:
            Classes, numbers, those of uint64 by their bits, and which are missing, 1; they are 0 as numbers.

        Raises:
            MismatchError: the kernel refuses the lanes; its status is in the message.
            ToolError: the testbench cannot run.
        """
        with scratch() as folder:
            source, packed, out = (folder / name for name in ("in", "raw", "out"))
            source.write_bytes(tokens.astype("<i8").tobytes())
            packed.write_bytes(pack_lanes(raw))
            self._run("back", source, packed, out, len(raw), rows)
            records = self._words(out)
            return records[:, 0], records[:, 1], records[:, 2]

    def pack(self, cells: NDArray[Any], lanes: int) -> tuple[list[bytes], list[bytes]]:
        """Run pc_pack once a lane on rows of numbers; give every lane's bytes, and its raw bits.

        Raises:
            MismatchError: the kernel refuses the rows; its status is in the message.
            ToolError: the testbench cannot run.
        """
        with scratch() as folder:
            source, out = folder / "in", folder / "out"
            source.write_bytes(number_words(cells))
            self._run("pack", source, out, lanes)
            both = unpack_lanes(out.read_bytes())
            return both[:lanes], both[lanes:]

    def unpack(self, coded: list[bytes], raw: list[bytes], rows: int) -> tuple[IntArray, IntArray]:
        """Run pc_unpack once a lane; give numbers, those of uint64 by their bits, and which are missing, 1.

        Raises:
            MismatchError: the kernel refuses the lanes; its status is in the message.
            ToolError: the testbench cannot run.
        """
        with scratch() as folder:
            source, packed, out = (folder / name for name in ("in", "raw", "out"))
            source.write_bytes(pack_lanes(coded))
            packed.write_bytes(pack_lanes(raw))
            self._run("unpack", source, packed, out, rows)
            numbers, missing = np.frombuffer(out.read_bytes(), dtype="<i8").astype(np.int64).reshape(2, -1)
            return numbers, missing

    def _run(self, *words: object) -> str:
        done = start(self.compile(), [str(word) for word in words], self.folder.resolve())
        if done.returncode == 1 and done.stdout:
            raise MismatchError(f"csim: {done.stdout.strip()}")
        if done.returncode:
            raise ToolError(f"the testbench failed with exit status {done.returncode}: {done.stderr.strip()}")
        return done.stdout.strip()

    @staticmethod
    def _words(path: Path) -> IntArray:
        return np.frombuffer(path.read_bytes(), dtype="<i8").astype(np.int64).reshape(-1, 3)
