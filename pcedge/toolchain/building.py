"""Builds of RTL projects: a project's SystemVerilog through the open flow, and what came out of it, kept as JSON.

A project of RTL is a directory with a manifest whose files are `rtl/*.sv`, headers and images among them. Its top is
`pcedge_top`; for a target with a board it is `pcedge_board`, which is written around that. Of the manifest `jobs`,
`memories` and `bits_per_symbol` are read where they are there: cycles that a symbol takes, by job; bits, by memory; and
the mean code length.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as shown
from typing import Any

from pcedge.drivers.contract import MOST_STREAMS
from pcedge.errors import FormatError, PcedgeError, UsageError
from pcedge.export.open_target import FAMILIES, OpenTarget
from pcedge.export.project.manifest import MANIFEST, RTL, UNROLLED_RTL, Manifest, read_manifest
from pcedge.export.rtl.board import BOARD_TOP, board_for
from pcedge.files import write_whole
from pcedge.toolchain import open_tools
from pcedge.toolchain.boards import write_bridge
from pcedge.toolchain.fence import FENCE
from pcedge.toolchain.hardening import hardened
from pcedge.toolchain.kept import CXX_HEADERS
from pcedge.toolchain.netlists import Netlist
from pcedge.toolchain.open_flow import (
    PACKERS,
    Timing,
    counted,
    pack,
    place_with_seeds,
    ports_of,
    synthesize,
)  # fmt: skip
from pcedge.toolchain.rtl_files import PARAMETERS, check_sizes

#: top of a project of RTL
TOP = "pcedge_top"

#: what a build leaves in `build/TARGET/`
BUILD = "build.json"

#: form of `BUILD`
BUILD_FORMAT = "pcedge-build"

_PACKAGE = re.compile(r"^\s*package\s+\w+", re.MULTILINE)

#: what nextpnr for iCE40 adds to the name of a cell that it packs
_PACKED = ("_DFFLC", "_LC", "_RAM", "_DSP")


@dataclass(frozen=True)
class Built:
    """Hold a build: the best seed's result, and all others'."""

    project: Path
    folder: Path
    target: OpenTarget
    top: str
    #: whether registers stand between the ports and three pins, see `toolchain.fence`
    fenced: bool
    netlist: Netlist
    #: the placed design, or why there is none, by seed
    results: Mapping[int, Timing | PcedgeError]
    best: Timing
    #: of a fenced top it is for no board
    bitstream: Path | None
    manifest: Manifest

    def as_dict(self) -> dict[str, Any]:
        """Give all figures for machines, as `BUILD` holds them."""
        rates = _rates(self.manifest, self.best.fmax_mhz)
        amounts = counted(self.best, self.netlist, self.target)
        return {
            "format": BUILD_FORMAT, "out": str(self.project), "target": self.target.name, "family": self.target.family,
            "part": self.target.part, "top": self.top, "digest": self.manifest.digest, "fenced": self.fenced,
            "fmax_mhz": round(self.best.fmax_mhz, 3), "asked_mhz": round(self.best.asked_mhz, 3), "met": self.best.met,
            **amounts, "untimed": [name for name in FAMILIES[self.target.family].untimed if amounts[name]],
            "available": {name: getattr(self.target.resources, name) for name in amounts if name != "bram_kind"},
            "cells": dict(self.netlist.cells), "units": unit_figures(self.netlist, self.best),
            "critical_path": [
                {"kind": s.kind, "delay_ns": round(s.delay_ns, 3), "from": s.start, "to": s.end, "net": s.net,
                 "sources": list(s.sources)} for s in self.best.critical_path
            ],
            "jobs": rates, **_latency(self.manifest, self.best.fmax_mhz),
            "memories": dict(_table(self.manifest, "memories")),
            "bits_per_symbol": self.manifest.table.get("bits_per_symbol"),
            "seed": self.best.seed,
            "seeds": {
                str(seed): {"error": str(result).splitlines()[0]} if isinstance(result, PcedgeError)
                else {"fmax_mhz": round(result.fmax_mhz, 3)} for seed, result in self.results.items()
            },
            "bitstream": None if self.bitstream is None else str(self.bitstream),
            "tools": {
                "yosys": self.netlist.tool, "nextpnr": self.best.tool,
                "packer": None if self.bitstream is None else open_tools.version(PACKERS[self.target.family]),
            },
            "logs": {"synthesis": str(self.folder / "synthesis.log"), "place_and_route": str(self.best.log)},
        }  # fmt: skip


def is_rtl(folder: Path) -> bool:
    """Tell whether a project is of RTL.

    Raises:
        FormatError: the directory is no project.
    """
    return read_manifest(folder).kernel in (RTL, UNROLLED_RTL)


def present(folder: Path, names: Sequence[str]) -> list[Path]:
    """Give files of a project, by their names in it.

    Raises:
        FormatError: one is not there.
    """
    paths = [folder / name for name in names]
    if missing := [path for path in paths if not path.is_file()]:
        raise FormatError("project-sources", f"{missing[0]} must be there: export the project again")
    return paths


def bench_of(folder: Path, name: str) -> list[Path]:
    """Give a testbench of a project in C++, by its name in it; the headers that it may read are beside it.

    Raises:
        FormatError: the directory is no project, or lacks the testbench, or a header that its manifest names.
    """
    files = read_manifest(folder).files
    headers = [other for other in files if other.startswith("testbench/") and Path(other).suffix in CXX_HEADERS]
    return present(folder, [name, *headers])[:1]


def rtl_sources(folder: Path) -> list[Path]:
    """List the SystemVerilog of a project, packages first.

    Raises:
        FormatError: the directory is no project of RTL, or lacks a file that its manifest names.
    """
    # Headers and images too: what a tool says where one is gone is of the tool, and not of the project.
    names = [name for name in read_manifest(folder).files if name.startswith("rtl/")]
    paths = [path for path in present(folder, names) if path.suffix == ".sv"]
    if not paths:
        raise FormatError("project-sources", f"{folder / MANIFEST} must name sources rtl/*.sv, it names none")
    return sorted(paths, key=lambda path: (not _PACKAGE.search(path.read_text("utf-8", "replace")), path.name))


def hardened_top(folder: Path) -> Path:
    """Give the source of a hardened project's top, for other tools: it reads no other file; it is made where it is not.

    Raises:
        FormatError: the directory is no project of a hardened engine.
        MissingToolError: yosys is missing.
        ToolError: it failed; its own text is in the message.
    """
    source, *others = hardened(folder, rtl_sources(folder), TOP)
    if others:
        raise FormatError("project-manifest", f"{folder / MANIFEST} must be of a hardened engine")
    return source


def build_project(
    folder: Path, target: OpenTarget, seeds: Sequence[int] = (1,), frequency_mhz: float | None = None, *,
    parallel: int = 1, said: Callable[[str], None] = lambda text: None,
) -> Built:  # fmt: skip
    """Take a project of RTL to a placed and routed design and its bitstream.

    Everything lies in `build/TARGET/` of the project, `build.json` with the figures among it. What is there and was
    made from the same is not made again.

    Args:
        folder: the project.
        target: the device or board.
        seeds: of nextpnr; the fastest result is taken.
        frequency_mhz: what to reach; None takes the target's.
        parallel: how many seeds are run at a time.
        said: is told what begins, for people.

    Raises:
        FormatError: the directory is no project of RTL, or lacks the top.
        UsageError: the design does not fit the device, or the board's clock does not make its baud.
        MissingToolError: a tool is missing.
        ToolError: a tool failed, place and route with every seed; its own text is in the message.
    """
    manifest, sources = read_manifest(folder), rtl_sources(folder)
    out = folder.resolve() / "build" / target.name
    if PARAMETERS in manifest.files and manifest.kernel == RTL:
        check_sizes(folder, manifest)
    if not any(path.stem == TOP for path in sources):
        raise FormatError("project-sources", f"{folder} must have rtl/{TOP}.sv: export the project again")
    top = TOP
    sources = hardened(folder, sources, top)
    if target.board is not None:
        serial = manifest.table.get("engine") == "serial"
        code = board_for(target, _streams(manifest), serial=serial)
        top, (bridge, _) = BOARD_TOP, write_bridge(code, out / "board")
        sources = [*sources, *bridge]
    said(f"{target.name}: reading {top}")
    fenced = target.board is None and _needs_fence(ports_of(sources, top, out), target)
    said(f"{target.name}: synthesis, log in {out / 'synthesis.log'}")
    netlist = synthesize(sources, top, target, out, fenced=fenced, names_cells=target.board is not None)
    check_fit(netlist, target)
    said(f"{target.name}: place and route with {len(seeds)} seed{'s' if len(seeds) > 1 else ''}, logs in {out}/seed-*")
    results = place_with_seeds(
        netlist, target, out, seeds, frequency_mhz, parallel=parallel,
        ended=lambda seed: said(f"{target.name}: seed {seed} is routed"),
    )  # fmt: skip
    placed = [result for result in results.values() if isinstance(result, Timing)]
    if not placed:
        raise next(result for result in results.values() if isinstance(result, PcedgeError))
    best = max(placed, key=lambda timing: (timing.fmax_mhz, -timing.seed))
    bitstream = pack(best, target, out)
    built = Built(folder, out, target, top, fenced, netlist, results, best, bitstream, manifest)
    write_whole(out / BUILD, (json.dumps(built.as_dict(), indent=2) + "\n").encode())
    return built


def check_fit(netlist: Netlist, target: OpenTarget) -> None:
    """Refuse what no placement can make fit.

    Raises:
        UsageError: the netlist has more of something than the device.
    """
    held = target.resources
    words = {name: held.bram_kind if name == "bram" else name.upper() for name in netlist.totals}
    over = {words[name]: (getattr(held, name), n) for name, n in netlist.totals.items() if n > getattr(held, name)}
    if over:
        there = " and ".join(f"{there} {what}" for what, (there, _) in over.items())
        needed = " and ".join(str(needed) for _, needed in over.values())
        raise UsageError(f"the design must fit {target.name}, which has {there}; it needs {needed}")


def unit_figures(netlist: Netlist, timing: Timing) -> dict[str, dict[str, Any]]:
    """Give area and speed by unit: `lut`, `ff`, `dsp`, `bram` of the netlist, and the latest arrival at its registers.

    `fmax_mhz` is what that arrival leaves, without setup; None for a unit without registers. `net` and `sources` say
    on which net it arrives.
    """
    figures: dict[str, dict[str, Any]] = {
        name: {**counts, "fmax_mhz": None, "arrival_ns": None, "register": None, "net": None, "sources": []}
        for name, counts in netlist.units.items() if name != FENCE
    }  # fmt: skip
    for cell, arrival in timing.report.arrivals.items():
        figure = figures.get(_unit(cell, netlist.unit_of))
        if figure is not None and (figure["arrival_ns"] or 0.0) < arrival.delay_ns:
            figure |= {"arrival_ns": round(arrival.delay_ns, 3), "fmax_mhz": round(1000 / arrival.delay_ns, 3)}
            figure |= {"register": cell, "net": arrival.net, "sources": list(arrival.sources)}
    return figures


def read_build(folder: Path) -> list[dict[str, Any]]:
    """Read the builds of a project, in the order of their targets.

    Raises:
        FormatError: a file is no build.
    """
    builds = []
    for path in sorted(folder.glob(f"build/*/{BUILD}")):
        try:
            table = json.loads(path.read_bytes())
            if table.get("format") != BUILD_FORMAT:
                raise ValueError(f"format must be {BUILD_FORMAT}")
            for name in ("lut", "ff", "dsp", "bram", "fmax_mhz"):
                if type(table.get(name)) not in (int, float):
                    raise ValueError(f"{name} must be a number, got {shown(table.get(name))}")
            if not isinstance(table.get("jobs"), dict):
                raise ValueError(f"jobs must be a table, got {shown(table.get('jobs'))}")
            if table.get("digest") != (digest := read_manifest(folder).digest):
                of = shown(table.get("digest"))
                raise ValueError(f"it must be of the project's circuit, {digest[:16]}…, and is of {of}: build it again")
        except (ValueError, AttributeError, RecursionError) as error:
            raise FormatError("build-json", f"{path} must be what pcedge build wrote ({error})") from error
        builds.append(_moved(table, str(folder)))
    return builds


def _moved(table: dict[str, Any], folder: str) -> dict[str, Any]:
    """Name the files of a build where its project lies now."""
    made = str(table.get("out"))

    def at(path: Any) -> Any:
        return folder + path[len(made) :] if isinstance(path, str) and path.startswith(made + os.sep) else path

    logs = {name: at(path) for name, path in dict(table.get("logs", {})).items()}
    return table | {"out": folder, "bitstream": at(table.get("bitstream")), **({"logs": logs} if logs else {})}


def _needs_fence(ports: Mapping[str, tuple[str, int]], target: OpenTarget) -> bool:
    return bool(target.pads) or sum(bits for _, bits in ports.values()) > target.resources.io


def _unit(cell: str, units: Mapping[str, str]) -> str:
    """Give the unit of a cell by its name after packing."""
    if cell in units:
        return units[cell]
    for ending in _PACKED:
        if cell.endswith(ending) and cell.removesuffix(ending) in units:
            return units[cell.removesuffix(ending)]
    return ""


def _streams(manifest: Manifest) -> int:
    """Give the streams of an engine, which a bridge is made for."""
    streams = manifest.table.get("streams")
    if type(streams) is not int or not 1 <= streams <= MOST_STREAMS:
        raise FormatError("project-manifest", f"streams must be a number in 1..{MOST_STREAMS}, got {streams!r}")
    return streams


def _table(manifest: Manifest, name: str) -> Mapping[str, Any]:
    table = manifest.table.get(name, {})
    if not isinstance(table, dict):
        raise FormatError("project-manifest", f"{name} must be a table")
    return table


def _rates(manifest: Manifest, fmax_mhz: float) -> dict[str, dict[str, float]]:
    """Give cycles a symbol and symbols a second, by job."""
    rates: dict[str, dict[str, float]] = {}
    for job, figures in _table(manifest, "jobs").items():
        cycles: Any = figures.get("cycles_per_symbol") if isinstance(figures, dict) else None
        if type(cycles) not in (int, float) or not cycles > 0:
            raise FormatError("project-manifest", f"jobs.{job} must have cycles_per_symbol, a number above 0")
        rates[job] = {"cycles_per_symbol": cycles, "symbols_per_second": round(1e6 * fmax_mhz / cycles)}
    return rates


def _latency(manifest: Manifest, fmax_mhz: float) -> dict[str, float]:
    """Give the latency of a kernel that has one of its own, in cycles and in nanoseconds."""
    cycles = manifest.table.get("latency_cycles")
    if cycles is None:
        return {}
    if type(cycles) is not int or cycles < 1:
        raise FormatError("project-manifest", "latency_cycles must be a whole number above 0")
    return {"latency_cycles": cycles, "latency_ns": round(1000 * cycles / fmax_mhz, 3)}
