"""What a serial engine takes of an iCE40 before synthesis: the mean of builds, for circuits change it little.

`benchmarks/rtl_serial_area.py` makes the builds and writes `calibration.json`.
"""

from __future__ import annotations

import json
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from pcedge.errors import UsageError
from pcedge.export.open_target import find_open_target
from pcedge.export.project.manifest import RTL
from pcedge.export.rtl.area import RESOURCES, AreaEstimate

#: the only family with the large memories that the model lies in
FAMILY = "ice40"

#: so many of these memories
MEMORIES = 4

#: sources of the parallel engine that the serial one is made of too
SHARED = ("pc_axi.sv", "pc_leading.sv", "pc_product.sv", "pc_scale_entry.sv")


def serial_area() -> AreaEstimate:
    """Estimate what the engine of any circuit takes; errors are those of the mean of the other builds."""
    found = calibration()
    lut, ff, dsp, bram = (found["means"][name] for name in RESOURCES)
    current = found["sources"] == serial_digest()
    return AreaEstimate(FAMILY, lut, ff, dsp, bram, found["fmax_mhz"], found["errors"], found["builds"], current)


def check_device(target: str) -> None:
    """Refuse a device without the large memories that a model lies in.

    Raises:
        UsageError: it has too few, or no device has that name.
    """
    if target == RTL:
        return
    device = find_open_target(target)
    if device.resources.spram < MEMORIES:
        raise UsageError(
            f"a device of the serial engine must have {MEMORIES} large memories, as an iCE40 UP5K has, {device.name} "
            f"has {device.resources.spram}; --engine parallel is for all"
        )


@cache
def calibration() -> dict[str, Any]:
    """Read what was built."""
    place = files("pcedge.export.rtl.serial").joinpath("calibration.json")
    found: dict[str, Any] = json.loads(place.read_text("utf-8"))
    return found


@cache
def serial_digest() -> str:
    """Give the SHA-256 of the engine's sources, in the order of their names."""
    own = files("pcedge.export.rtl.serial").joinpath("sources")
    shared = files("pcedge.export.rtl").joinpath("sources")
    digest = sha256()
    for source in sorted([*own.iterdir(), *map(shared.joinpath, SHARED)], key=lambda path: path.name):
        digest.update(source.read_bytes())
    return digest.hexdigest()
