"""The part of `build` that runs the open flow, and of `report` that compares its builds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pcedge.cli.output import Result, announce, table
from pcedge.errors import DataError

if TYPE_CHECKING:
    from pcedge.toolchain.building import Built

#: jobs by the unit of what they handle
_RATES = "symbols a second"


def build_open(
    folder: Path, target: str | None, seeds: int, first: int, frequency: float | None, parallel: int
) -> Result:
    """Build a project of RTL for a device."""
    from pcedge.export.open_target import find_open_target
    from pcedge.export.project.manifest import RTL, read_manifest
    from pcedge.toolchain.building import build_project

    said = read_manifest(folder).table.get("target", {}).get("name")
    if target is None and said in (None, RTL):
        raise click.UsageError("a project that was exported for no device must come with --target")
    device = find_open_target(str(said) if target is None else target)
    built = build_project(
        folder, device, range(first, first + seeds), frequency, parallel=parallel, said=announce
    )  # fmt: skip
    return built.as_dict(), _for_people(built), 0


def _for_people(built: Built) -> list[object]:
    figures = built.as_dict()
    amounts = ["lut", "ff", "dsp", "bram"]
    units: list[list[object]] = [
        [name, *(unit[a] for a in amounts), "" if unit["fmax_mhz"] is None else f"{unit['fmax_mhz']:.1f}"]
        for name, unit in figures["units"].items()
    ]
    units.append(["all, placed", *(figures[a] for a in amounts), f"{figures['fmax_mhz']:.1f}"])
    units.append([figures["part"], *(figures["available"][a] for a in amounts), f"{figures['asked_mhz']:.1f}"])
    columns = ["unit", "LUT", "FF", "DSP", figures["bram_kind"], "MHz"]
    met = "met" if figures["met"] else "missed"
    lines: list[object] = [
        table(f"{built.target.name}: area by unit before packing, of all, of the device", columns, units),
        "a unit's MHz is of the latest arrival at its registers, one from a pin too, and so may be below that of all",
        f"{figures['fmax_mhz']:.1f} MHz with seed {figures['seed']}, {figures['asked_mhz']:.1f} asked: {met}",
    ]
    for seed, result in figures["seeds"].items():
        if len(figures["seeds"]) > 1:
            lines.append(f"seed {seed}: " + (result.get("error") or f"{result['fmax_mhz']:.1f} MHz"))
    for job, rate in figures["jobs"].items():
        lines.append(f"{job}: {rate['cycles_per_symbol']:g} cycles, {rate['symbols_per_second']:,} {_RATES}")
    if figures["untimed"]:
        lines.append(
            "nextpnr knows no delays of this family's multipliers: paths through them are not in the frequency"
        )
    if built.fenced:
        lines.append("the top has more ports than pins: it stands between registers, and its bitstream is for no board")
    lines.append(f"bitstream: {built.bitstream}")
    return lines


def report_builds(folders: tuple[Path, ...], html: Path | None) -> Result:
    """Compare the builds of projects, and draw them as one HTML page."""
    from pcedge.cli.output import whole_file
    from pcedge.toolchain.building import read_build

    builds: list[dict[str, Any]] = []
    for folder in folders:
        found = read_build(folder)
        if not found:
            raise DataError(f"{folder} must hold builds, it holds none; pcedge build {folder} makes them")
        builds += found
    result: dict[str, Any] = {"builds": builds, "html": None if html is None else str(html)}
    jobs = list(dict.fromkeys(job for build in builds for job in build["jobs"]))
    rows: list[list[object]] = [
        [
            build["out"], build["target"], build["lut"], build["ff"], build["dsp"], build["bram"],
            f"{build['fmax_mhz']:.1f}",
            *(f"{build['jobs'][job]['symbols_per_second']:,}" if job in build["jobs"] else "" for job in jobs),
        ]
        for build in builds
    ]  # fmt: skip
    shown: list[object] = [
        table(f"builds, and {_RATES}", ["project", "device", "LUT", "FF", "DSP", "BRAM", "MHz", *jobs], rows)
    ]
    if html is not None:
        from pcedge.toolchain.page import write_page

        with whole_file(html) as fresh:
            write_page(builds, fresh)
        shown.append(f"{html}: the page")
    return result, shown, 0
