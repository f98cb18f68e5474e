"""The project directory of a target: sources, memories, testbench, golden vectors, tool scripts, manifest."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path, PurePosixPath

from pcedge.errors import FormatError, UsageError
from pcedge.export.project.manifest import (
    MANIFEST,
    check_names,
    load_manifest,
    manifest_bytes,
)
from pcedge.export.target import Target
from pcedge.export.vitis.files import Sources, vendor_files
from pcedge.files import scratch

#: golden records where the caller gives no data
GOLDEN_RECORDS = 16


def write_files(out: str | Path, fill: Callable[[Path], dict[str, object]]) -> Path:
    """Write a project directory: `fill` puts files into an empty one and gives the manifest, without their names.

    The directory may be a link to one. Within it nothing is written or deleted through a link.

    Raises:
        UsageError: the directory holds something else than an earlier project, or a link, a file or a folder where
            the project has a folder or a file.
    """
    folder = Path(out)
    old = _files_of(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise UsageError(f"{folder.parent} must be a directory, or a place for one") from error
    place = folder.resolve()
    _check_places(place, old)
    # Written beside its place and moved there when it is whole: an error leaves an earlier project as it was.
    with scratch(place.parent) as fresh:
        manifest = fill(fresh)
        names = sorted(path.relative_to(fresh).as_posix() for path in fresh.rglob("*") if path.is_file())
        check_names(names, MANIFEST)
        write_text(fresh / MANIFEST, json.dumps(manifest | {"files": names}, indent=2) + "\n")
        _check_places(place, names)
        for path in (place / name for name in [MANIFEST, *names]):
            if path.is_dir() and not path.is_symlink():
                raise UsageError(f"{path} must be a file of the project, it is a folder")
        _move(fresh, place, names, old)
    return folder


def _files_of(folder: Path) -> list[str]:
    """List the files of the project that a directory holds; none for a new or empty one.

    Raises:
        UsageError: the directory holds something else, or a project whose manifest names what is not its own.
    """
    if not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir())):
        return []
    try:
        manifest = load_manifest(manifest_bytes(folder), str(folder / MANIFEST))
    except FormatError as error:
        raise UsageError(
            f"{folder} must be a new or empty directory, or an earlier project; it holds other files ({error})"
        ) from error
    return list(manifest["files"])


def _check_places(folder: Path, names: Sequence[str]) -> None:
    """Refuse to go through a link out of a project's folder, or through a file.

    Args:
        folder: the directory, without links.
        names: names that `check_names` has passed.

    Raises:
        UsageError: a folder on the way to a file is a link or a file.
    """
    for name in names:
        for parent in reversed(PurePosixPath(name).parents[:-1]):
            inner = folder / parent
            if os.path.lexists(inner) and (not inner.is_dir() or inner.resolve() != inner):
                raise UsageError(f"{inner} must be a folder of the project itself, it is a link or a file")


def _move(fresh: Path, folder: Path, names: list[str], old: list[str]) -> None:
    """Replace an earlier project's files, and no others, by the new ones; the manifest first, so that it names both."""
    for name in [MANIFEST, *names]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(fresh / name, folder / name)
    # Where a file system knows no capitals, an old name may be a new file.
    written = {name.lower() for name in names}
    for name in old:
        path = folder / name
        if name.lower() not in written and (path.is_file() or path.is_symlink()):
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
