"""The project directory of a target: sources, memories, testbench, golden vectors, tool scripts, manifest."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from pcedge.errors import UsageError
from pcedge.export.target import Target
from pcedge.export.vitis.files import Sources, vendor_files

MANIFEST = "manifest.json"
PROJECT_FORMAT = "pcedge-project"
MANIFEST_VERSION = 1

#: golden records where the caller gives no data
GOLDEN_RECORDS = 16


def write_files(out: str | Path, fill: Callable[[Path], dict[str, object]]) -> Path:
    """Write a project directory: `fill` puts files into an empty one and gives the manifest, without their names.

    Raises:
        UsageError: the directory holds something else than an earlier project.
    """
    folder = Path(out)
    old = _files_of(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"{folder.parent} must be a directory, or a place for one") from error
    # Written beside its place and moved there when it is whole: an error leaves an earlier project as it was.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".pcedge-") as scratch:
        fresh = Path(scratch)
        manifest = fill(fresh)
        names = sorted(path.relative_to(fresh).as_posix() for path in fresh.rglob("*") if path.is_file())
        write_text(fresh / MANIFEST, json.dumps(manifest | {"files": names}, indent=2) + "\n")
        _move(fresh, folder, names, old)
    return folder


def _files_of(folder: Path) -> list[str]:
    """List the files of the project that a directory holds; none for a new or empty one.

    Raises:
        UsageError: the directory holds something else.
    """
    if not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir())):
        return []
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != PROJECT_FORMAT:
            raise ValueError(manifest["format"])
        # Only names of files below the directory: a damaged manifest must not reach others.
        return [name for name in manifest["files"] if isinstance(name, str) and ".." not in Path(name).parts]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            f"{folder} must be a new or empty directory, or an earlier project; it holds other files"
        ) from error


def _move(fresh: Path, folder: Path, names: list[str], old: list[str]) -> None:
    """Replace an earlier project's files, and no others, by the new ones; the manifest first, so that it names both."""
    for name in [MANIFEST, *names]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(fresh / name, folder / name)
    for name in old:
        path = folder / name
        if name not in names and not Path(name).is_absolute() and path.is_file():
            path.unlink()


def template(room: str, name: str) -> str:
    """Read a shipped template of a room of `pcedge.export`."""
    return files(f"pcedge.export.{room}").joinpath("templates", name).read_text(encoding="utf-8")


def write_text(path: Path, text: str) -> None:
    """Write a text with the same line ends everywhere."""
    path.write_text(text, encoding="utf-8", newline="\n")


def write_vendor(folder: Path, target: Target, tops: dict[Sources, tuple[str, ...]]) -> None:
    """Write the vendor's part of a project."""
    for name, text in vendor_files(target, tops).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_text(folder / name, text)
