"""What the files of a project of RTL must say before a tool reads them, whose own words would name no project."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from pcedge.errors import FormatError
from pcedge.export.project.manifest import MANIFEST, Manifest

#: sizes of the engine as its sources have them
PARAMETERS = "rtl/params.svh"

#: what a memory's image is made of: a word a line
_IMAGE = re.compile(rb"(?:[0-9a-fA-F]+\r?\n)+")

_SIZE = re.compile(r"^localparam int (\w+) = (\d+);$", re.MULTILINE)


def check_sizes(folder: Path, manifest: Manifest) -> None:
    """Check that the manifest of an engine says the sizes that its sources have.

    Raises:
        FormatError: it says another, or the sources say none.
    """
    path = folder / PARAMETERS
    try:
        found = {name: int(value) for name, value in _SIZE.findall(path.read_text("utf-8", "replace"))}
    except OSError as error:
        raise FormatError("project-sources", f"{path} must be there: export the project again") from error
    table = manifest.table
    cores = table.get("cores", 1)
    said = {"streams": ("ALL_STREAMS", 1)}
    if table.get("engine") != "serial":
        said |= {"cores": ("CORES", 1), "macs": ("MACS", cores), "lanes": ("PC_LANES", 1),
                 "table_lanes": ("TABLE_LANES", 1)}  # fmt: skip
    for name, (parameter, factor) in said.items():
        held, value = found.get(parameter), table.get(name, 1)
        if held is None or factor * held != value:
            must = f"must have {parameter}" if held is None else f"has {factor * held}"
            raise FormatError(
                "project-manifest",
                f"{folder / MANIFEST}: {name} must be that of {PARAMETERS}, which {must}, got {value}: "
                "export the project again",
            )


def copy_images(folder: Path, manifest: Manifest, work: Path) -> None:
    """Copy the images of memories to where a simulation is started, which finds them by their names.

    Raises:
        FormatError: one is not there, or is none.
    """
    for name in manifest.files:
        if not (name.startswith("rtl/") and name.endswith(".hex")):
            continue
        path = folder / name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise FormatError("project-sources", f"{path} must be there: export the project again") from error
        if not _IMAGE.fullmatch(data):
            lines = data.split(b"\n")
            number = next((n for n, line in enumerate(lines, 1) if not _IMAGE.fullmatch(line + b"\n")), 1)
            raise FormatError(
                "project-sources",
                f"{path} must hold a word of hexadecimal digits in every line, line {number} is none: export the "
                "project again",
            )
        shutil.copy(path, work)
