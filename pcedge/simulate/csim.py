"""C simulation: compile a project's testbench and run the three tops on data."""

from __future__ import annotations

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pcedge.arithmetic import Vector
from pcedge.arrays import IntArray
from pcedge.errors import FormatError, MismatchError, ToolError
from pcedge.export.project.directory import MANIFEST, PROJECT_FORMAT
from pcedge.export.project.lanes import pack_lanes, unpack_lanes
from pcedge.toolchain.compiled import compiled, start
from pcedge.toolchain.tools import CXX_FLAGS, ap_types, compiler, run

_SOURCES = ("testbench/testbench.cpp", "src/pcedge_top.cpp", "src/pcedge_memories.cpp")


def no_project(folder: Path) -> FormatError:
    """Say in plain words that a folder is no project."""
    return FormatError(
        "project-manifest", f"{folder} must hold a {MANIFEST}, as every project of pcedge export does; it holds none"
    )


@dataclass(frozen=True)
class Csim:
    """Run the testbench of a project directory; it is compiled when its sources or the compiler have changed."""

    folder: Path

    @property
    def manifest(self) -> dict[str, object]:
        """Read the project's manifest.

        Raises:
            FormatError: the directory is not a project.
        """
        try:
            manifest = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise no_project(self.folder) from error
        except (OSError, ValueError, RecursionError) as error:
            raise FormatError("project-manifest", f"{self.folder} must hold a {MANIFEST} ({error})") from error
        if not isinstance(manifest, dict) or manifest.get("format") != PROJECT_FORMAT:
            raise FormatError("project-manifest", f"{self.folder}/{MANIFEST} must be of a pcedge project")
        steps = manifest.get("steps")
        counts = [manifest.get("variables"), manifest.get("golden_records")]
        counts += [steps.get("likelihood"), steps.get("code")] if isinstance(steps, dict) else [None]
        if not all(type(count) is int and count > 0 for count in counts) or not isinstance(manifest.get("digest"), str):
            raise FormatError(
                "project-manifest", f"{self.folder}/{MANIFEST} must hold digest, variables, golden_records and steps"
            )
        return manifest

    @property
    def variables(self) -> int:
        """Count the variables of a record."""
        return int(str(self.manifest["variables"]))

    def compile(self) -> Path:
        """Compile the testbench; give the executable.

        Raises:
            MissingToolError: no compiler or no ap_int.h.
            ToolError: the compiler failed; its text is in the message.
        """
        _ = self.manifest
        command = [*compiler(), *CXX_FLAGS, "-Isrc", "-Iinclude", "-isystem", str(ap_types())]
        return compiled(self.folder, "testbench", command, lambda out: _build(command, self.folder.resolve(), out))

    def golden(self) -> str:
        """Compare every step with the golden vectors; give the testbench's line.

        Raises:
            MismatchError: they differ; the message names record, variable and step.
            ToolError: the testbench cannot run.
        """
        executable = self.compile()
        done = start(executable, ["golden", "golden"], self.folder)
        if done.returncode == 1:
            raise MismatchError(f"csim: {done.stdout.strip()}")
        if done.returncode:
            raise ToolError(f"the testbench failed with exit status {done.returncode}: {done.stderr.strip()}")
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
        steps = self.manifest["steps"]
        assert isinstance(steps, dict)
        place = 0
        traces = []
        for _ in range(len(records)):
            trace = []
            for _ in range(steps["likelihood"] + steps["code"]):
                size = int(words[place])
                trace.append((words[place + 1 : place + 1 + size], int(words[place + 1 + size])))
                place += size + 2
            traces.append(trace)
        return traces

    def _on_symbols(self, command: str, records: IntArray, *more: str) -> bytes:
        return self._run(command, records.astype("<i4").tobytes(), *more)

    def _run(self, command: str, data: bytes, *more: str) -> bytes:
        executable = self.compile()
        with tempfile.TemporaryDirectory() as scratch:
            source, result = Path(scratch) / "in", Path(scratch) / "out"
            source.write_bytes(data)
            run([executable, command, source, result, *more], self.folder.resolve(), f"csim {command}")
            return result.read_bytes()


def _build(command: list[str], folder: Path, out: Path) -> None:
    """Compile and link the testbench with two processes, or with one where the compiler has threads of its own."""
    if "ziglang" in command:
        # Its first call also builds the C++ library, and only within one call does that run beside the sources.
        run([*command, *_SOURCES, "-o", out], folder, "compiling the testbench")
        return
    objects = [out.with_name(f"{Path(source).stem}.o") for source in _SOURCES]

    def translate(source: str, target: Path) -> None:
        run([*command, "-c", source, "-o", target], folder, f"compiling {source}")

    # Templates of ap_int take seconds a file; the files do not depend on each other.
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(translate, _SOURCES, objects))
    run([*compiler(), *objects, "-o", out], folder, "linking the testbench")
