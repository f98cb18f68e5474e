"""Executables of a project: compiled again when sources, flags or the compiler have changed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from pcedge.errors import FormatError, ToolError

#: folders of a project that an executable is made of
PARTS = ("src", "include/pcedge", "testbench")


def compiled(folder: Path, name: str, command: Sequence[str], make: Callable[[Path], object]) -> Path:
    """Give an executable of a project, compiled where it is not there or outdated.

    Args:
        folder: the project.
        name: of the executable in `build/`.
        command: the compiler and its flags.
        make: writes the executable to a path.

    Raises:
        FormatError: the project lacks a folder.
        ToolError: the compiler wrote no executable.
    """
    state = _state(folder, command)
    build = folder.resolve() / "build"
    build.mkdir(exist_ok=True)
    out, stamp = build / name, build / f"{name}.sha256"
    if os.access(out, os.X_OK) and stamp.is_file() and stamp.read_text() == state + _hash(out):
        return out
    # A name of its own while it is written: an interrupted or parallel build leaves no half executable.
    with tempfile.TemporaryDirectory(dir=build) as scratch:
        fresh = Path(scratch) / name
        make(fresh)
        if not fresh.is_file():
            raise ToolError(f"the compiler {command[0]} must write an executable, it wrote none")
        os.replace(fresh, out)
    stamp.write_text(state + _hash(out))
    return out


def start(executable: Path, words: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a testbench in its project and take what it prints.

    Raises:
        ToolError: it is no program; the next call compiles it again.
    """
    try:
        return subprocess.run([executable, *words], cwd=folder, capture_output=True, text=True, check=False)
    except OSError as error:
        raise unusable(executable, error) from error


def unusable(executable: Path, error: OSError) -> ToolError:
    """Say that an executable cannot be started, and take it away, so that it is compiled again."""
    executable.unlink(missing_ok=True)
    return ToolError(f"the compiler must write a program that can be started, it did not: {error}")


def _state(folder: Path, command: Sequence[str]) -> str:
    hasher = hashlib.sha256("\n".join(command).encode())
    # A compiler that was replaced at its place is another one.
    found = Path(command[0]).stat()
    hasher.update(f"{found.st_size} {found.st_mtime_ns}".encode())
    for part in PARTS:
        if not (folder / part).is_dir():
            raise FormatError(
                "project-sources", f"{folder} must have the folder {part}, as every project has: export it again"
            )
        for path in sorted((folder / part).iterdir()):
            hasher.update(path.name.encode() + path.read_bytes())
    return hasher.hexdigest()


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
