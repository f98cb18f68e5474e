"""Executables of a project: compiled again when sources, flags or the compiler have changed."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pcedge.errors import FormatError, ToolError
from pcedge.files import scratch, write_whole
from pcedge.toolchain.tools import CXX_FLAGS, ap_types, compiler, run

# The last line of a testbench: how much it compared.
_COMPARED = re.compile(r"^compared: .*$", re.MULTILINE)
_COUNT = re.compile(r"\b(\d{1,18}) (\w+)")
_CYCLES = re.compile(r"cycles a symbol: (.*)$", re.MULTILINE)
_RATE = re.compile(r"(\w+) (\d+\.\d+)")

#: folders of a project that an executable is made of
PARTS = ("src", "include/pcedge", "testbench")


def compiled(folder: Path, name: str, sources: Sequence[str], flags: Sequence[str] = ()) -> Path:
    """Give an executable of a project, compiled where it is not there or outdated.

    Args:
        folder: the project.
        name: of the executable in `build/`.
        sources: its C++ files, by their paths in the project.
        flags: for the compiler, behind those of every compilation.

    Raises:
        FormatError: the project lacks a folder, or has a file in the place of `build`.
        MissingToolError: no compiler or no ap_int.h.
        ToolError: the compiler failed, its text is in the message, or wrote no executable.
    """
    command = [*compiler(), *CXX_FLAGS, *flags, "-Isrc", "-Iinclude", "-isystem", str(ap_types())]
    state = _state(folder, command).encode()
    build = folder.resolve() / "build"
    try:
        build.mkdir(exist_ok=True)
    except FileExistsError as error:
        raise FormatError("project-sources", f"{build} must be a folder, or a place for one") from error
    out, stamp = build / name, build / f"{name}.sha256"
    if os.access(out, os.X_OK) and stamp.is_file() and stamp.read_bytes() == state + _hash(out):
        return out
    # A name of its own while it is written: an interrupted or parallel build leaves no half executable.
    with scratch(build) as temporary:
        fresh = temporary / name
        _translate(command, sources, folder.resolve(), fresh)
        if not fresh.is_file():
            raise ToolError(f"the compiler {command[0]} must write an executable, it wrote none")
        os.replace(fresh, out)
    write_whole(stamp, state + _hash(out))
    return out


def _translate(command: Sequence[str], sources: Sequence[str], folder: Path, out: Path) -> None:
    """Compile each source by itself, as compiler caches want it, two at a time; link them."""
    if "ziglang" in command:
        # Its first call also builds the C++ library, and only within one call does that run beside the sources.
        run([*command, *sources, "-o", out], folder, "compiling the testbench")
        return
    objects = [out.with_name(f"{Path(source).stem}.o") for source in sources]

    def translate(source: str, target: Path) -> None:
        run([*command, "-c", source, "-o", target], folder, f"compiling {source}")

    # Templates of ap_int take seconds a file; the files do not depend on each other.
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(translate, sources, objects))
    run([*command, *objects, "-o", out], folder, "linking the testbench")


def start(executable: Path, words: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a testbench in its project and take what it prints.

    Raises:
        ToolError: it is no program; the next call compiles it again.
    """
    try:
        return subprocess.run([executable, *words], cwd=folder, capture_output=True, text=True, check=False)
    except OSError as error:
        raise unusable(executable, error) from error


def check_compared(folder: Path, said: str, expected: dict[str, int]) -> dict[str, int]:
    """Compare how much a testbench says that it compared with what a project's manifest says that it must.

    Args:
        folder: the project.
        said: what the testbench printed.
        expected: how many there must be, by name. What the testbench does not count, other than records, is not
            compared.

    Returns:
        How many there were, by name.

    Raises:
        FormatError: there were others, or the testbench says no number of records.
    """
    counts = compared(said)
    for name, count in expected.items():
        if counts.get(name, None if name == "records" else count) != count:
            raise FormatError(
                "project-golden",
                f"{folder}/golden must hold {count} {name}, as the manifest says; the testbench compared "
                f"{counts.get(name, 'none')}",
            )
    return counts


def compared(said: str) -> dict[str, int]:
    """Read how much a testbench says that it compared, by name.

    One that was exported before it printed a line with counts says its records only.
    """
    line = _COMPARED.search(said)
    return {name: int(count) for count, name in _COUNT.findall(line[0] if line else said.split(":", 1)[0])}


def cycles_said(said: str) -> dict[str, float]:
    """Read the cycles of a symbol, by job, where an engine in SystemVerilog says them."""
    line = _CYCLES.search(said)
    return {} if line is None else {job: float(cycles) for job, cycles in _RATE.findall(line[1])}


def unusable(executable: Path, error: OSError) -> ToolError:
    """Say that an executable cannot be started, and take it away, so that it is compiled again."""
    executable.unlink(missing_ok=True)
    return ToolError(f"the compiler must write a program that can be started, it did not: {error}")


def _state(folder: Path, command: Sequence[str]) -> str:
    hasher = hashlib.sha256("\n".join(command).encode())
    # A compiler that was replaced at its place is another one.
    status = Path(command[0]).stat()
    hasher.update(f"{status.st_size} {status.st_mtime_ns}".encode())
    for name in PARTS:
        if not (folder / name).is_dir():
            raise FormatError(
                "project-sources", f"{folder} must have the folder {name}, as every project has: export it again"
            )
        for path in sorted(path for path in (folder / name).rglob("*") if path.is_file()):
            hasher.update(os.fsencode(path.relative_to(folder)) + path.read_bytes())
    return hasher.hexdigest()


def _hash(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).hexdigest().encode()
