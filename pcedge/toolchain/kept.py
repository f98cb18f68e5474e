"""Results of tools that are kept: made again where sources, options or tools have changed, or results are damaged."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pcedge.errors import UsageError
from pcedge.files import write_whole

#: endings of files that sources read: headers, and images of memories
HEADERS, IMAGES = (".svh", ".vh"), (".hex", ".mem")

#: of those that a testbench in C++ reads
CXX_HEADERS = (".hpp",)


def read_by(
    sources: Sequence[Path], include: Sequence[Path] = (), endings: Sequence[str] = (*HEADERS, *IMAGES)
) -> list[Path]:
    """List what sources may read: headers and images beside them and in other folders.

    Args:
        sources: files in SystemVerilog, Verilog or C++.
        include: the other folders.
        endings: of files that are read.
    """
    folders = {path.parent.resolve(): None for path in sources} | {path.resolve(): None for path in include}
    return sorted(
        path for folder in folders if folder.is_dir() for path in folder.iterdir()
        if path.suffix in endings and path.is_file()
    )  # fmt: skip


def gather(sources: Sequence[Path], folder: Path, link: bool = False) -> list[str]:
    """Copy files into one folder, whose other files go, or link them, as large ones are; give their names.

    Tools run in it: so no tool sees a path with a space, which make and yosys do not take, nor one that differs from
    machine to machine, and names of images in `$readmemh` are found.

    Raises:
        UsageError: a file is not there, or two have one name.
    """
    names = named(sources)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path, name in zip(sources, names, strict=True):
        if link:
            with contextlib.suppress(OSError):  # a file system without links
                os.link(path, folder / name)
        if not (folder / name).exists():
            shutil.copyfile(path, folder / name)
    return names


def named(sources: Sequence[Path]) -> list[str]:
    """Give the names of files without their folders.

    Raises:
        UsageError: a file is not there, or two have one name.
    """
    seen: dict[str, Path] = {}
    for path in sources:
        if not path.is_file():
            raise UsageError(f"a source must be a file that is there, got {path}")
        if path.name in seen and not seen[path.name].samefile(path):
            raise UsageError(f"sources must have names of their own, got {seen[path.name]} and {path}")
        seen[path.name] = path
    return [path.name for path in sources]


def state_of(files: Iterable[Path], options: Mapping[str, object]) -> str:
    """Hash names and bytes of files, and options with their values, versions of tools among them."""
    hasher = hashlib.sha256(repr(sorted(options.items())).encode())
    for path in files:
        hasher.update(os.fsencode(path.name) + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return hasher.hexdigest()


def is_kept(stamp: Path, state: str, results: Iterable[Path]) -> bool:
    """Tell whether results are there as they were when `keep` was told of them, and were made from the same."""
    paths = list(results)
    if not stamp.is_file() or not all(path.is_file() for path in paths):
        return False
    return stamp.read_text("utf-8", "replace") == _stamp(state, paths)


def keep(stamp: Path, state: str, results: Iterable[Path]) -> None:
    """Note what results were made from."""
    write_whole(stamp, _stamp(state, list(results)).encode())


def _stamp(state: str, results: Sequence[Path]) -> str:
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in results]
    return f"{state}\n" + "".join(lines)
