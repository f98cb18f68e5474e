"""Synthesise engines in SystemVerilog of many sizes, circuits and families, and fit `pcedge estimate` to them.

A build takes minutes. Its figures are kept in rtl_calibration.json by the digest of the engine's sources and of the
build, so that a run that was stopped goes on; `--only NAME`, `--family NAME`. `--place` places and routes those of
ECP5, without pins, and of Gowin for their clock. `--fit` writes export/rtl/calibration.json and the section of the
results, of the builds that are there. `--scripts DIR` writes what yosys and nextpnr-ecp5 read, a folder a build, for
another machine, where `run.sh` there runs as many at a time as it has processors, and `--read DIR` takes the counts of
cells and the clocks from there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from results import table, write_section

from pcedge.errors import PcedgeError
from pcedge.export import RtlSize, load_zoo, write_rtl
from pcedge.export.open_target import find_open_target
from pcedge.export.project.manifest import BUILT_JOBS
from pcedge.export.rtl.area import RESOURCES, block_rams, multipliers, numbers_of, sources_digest
from pcedge.export.rtl.lowering import lower_rtl
from pcedge.export.rtl.params import sizes_of
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.toolchain import open_tools
from pcedge.toolchain.building import TOP, rtl_sources
from pcedge.toolchain.netlists import amounts
from pcedge.toolchain.open_flow import place_and_route, placement, synthesize
from pcedge.toolchain.timing_reports import read_report

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))
BUILD = ROOT / "build/rtl-calibration"
KEPT = Path(__file__).with_suffix(".json")
FITTED = ROOT / "export/rtl/calibration.json"

FAMILIES = {"ecp5": "ecp5-85k", "ice40": "ice40-up5k", "gowin": "gowin-gw2a-18"}

#: what is counted, and not fitted
COUNTS = {
    "dsp": lambda sizes, _family: sum(multipliers(sizes).values()),
    "bram": block_rams,
}  # fmt: skip

#: what AMD's look-up tables, registers and memories are called, by our names; a RAMB36 is two RAMB18
XILINX = {
    "lut": {"LUT": 1, "RAM32M": 4, "RAM64M": 4, "RAM32X1D": 2, "SRL": 1}, "ff": {"FD": 1}, "dsp": {"DSP48": 1},
    "bram": {"RAMB18": 1, "RAMB36": 2},
}  # fmt: skip


@dataclass(frozen=True)
class Design:
    """Name a circuit, the sizes of an engine, and its jobs."""

    circuit: str
    size: RtlSize
    jobs: tuple[str, ...] = BUILT_JOBS

    @property
    def name(self) -> str:
        """Give a folder's name."""
        size = self.size
        cores = "" if size.cores == 1 else f"-{size.cores}"
        jobs = "" if self.jobs == BUILT_JOBS else "-" + "-".join(self.jobs)
        return f"{self.circuit}-{size.macs}-{size.streams}-{size.lanes}-{size.table_lanes}{cores}{jobs}"


DESIGNS = tuple(
    Design(circuit, RtlSize(*size, cores=sum(cores) or 1))
    for circuit, size, *cores in (
        ("small", (4, 2, 2, 1)), ("small", (4, 8, 4, 2)), ("small", (16, 4, 4, 2)), ("small", (1, 1, 1, 1)),
        ("tails", (8, 3, 4, 1)), ("tails", (4, 4, 2, 2)), ("sums", (16, 4, 4, 2)), ("sums", (8, 2, 4, 1)),
        ("small", (16, 6, 4, 2), 2), ("lists", (4, 2, 2, 2)), ("lists", (8, 8, 8, 2)),
        ("digits", (16, 8, 4, 2)), ("digits", (4, 4, 2, 2)), ("digits", (8, 16, 4, 4)), ("nltcs", (16, 4, 4, 1)),
        ("nltcs", (4, 2, 4, 2)), ("nltcs", (32, 8, 8, 4)), ("shuttle", (16, 4, 4, 2)), ("shuttle", (4, 2, 2, 1)),
    )
) + tuple(
    Design(circuit, RtlSize(*size), tuple(jobs.split()))
    for circuit, size, jobs in (
        ("small", (4, 4, 4, 2), "likelihood"), ("nltcs", (16, 8, 4, 2), "likelihood score"),
        ("tails", (8, 12, 4, 1), "likelihood"), ("digits", (16, 8, 4, 2), "encode"), ("small", (4, 16, 4, 2), "encode"),
        ("shuttle", (8, 4, 4, 2), "encode"), ("digits", (8, 4, 4, 2), "decode"), ("small", (8, 12, 4, 2), "decode"),
        ("lists", (4, 4, 4, 2), "decode"), ("digits", (16, 8, 4, 2), "likelihood encode decode"),
        ("tails", (4, 2, 2, 1), "likelihood encode"), ("shuttle", (4, 8, 2, 1), "encode decode"),
        ("small", (8, 4, 4, 2), "encode pack"),
        ("nltcs", (8, 6, 4, 2), "likelihood encode decode sample score pack unpack"),
        ("digits", (4, 4, 2, 2), "encode decode pack unpack"), ("small", (4, 4, 2, 1), "decode unpack"),
        ("mnist-16", (64, 10, 16, 2), "encode"), ("mnist-600", (32, 24, 8, 4), "decode"),
    )
)  # fmt: skip


def circuit_of(name: str) -> IntegerCircuit:
    """Make a circuit by its name."""
    from helpers.rtl_jobs import drawn, with_tails
    from strategies import make_circuit

    if name == "sums":
        return with_tails()
    if name == "small":
        return quantize(make_circuit(1, 6, 4, 4, "random", 0.0), QuantizationConfig(8, 12, 16, "small"))
    if name == "tails":
        return drawn(4, "wide", tails=True)
    if name == "lists":
        return quantize(make_circuit(5, 7, 5, 9, "random", 0.3), QuantizationConfig(8, 12, 16, "wide"))
    return load_zoo(name)


def designs(options: argparse.Namespace) -> Iterator[tuple[Design, str]]:
    """List what is to be built, designs that are small first in every family."""
    for design in DESIGNS:
        families = [*FAMILIES, *(["xilinx"] if design.jobs == BUILT_JOBS else [])]
        for family in ["ecp5"] if design.circuit.startswith("mnist") else families:  # no device of others has them
            if options.only in design.name and options.family in ("", family):
                yield design, family


@cache
def project_of(design: Design) -> Path:
    """Write a design's project."""
    return write_rtl(circuit_of(design.circuit), BUILD / design.name, size=design.size, jobs=design.jobs)


def count_xilinx(project: Path, folder: Path) -> dict[str, int]:
    """Count the cells of a 7-series device, without timing."""
    folder.mkdir(parents=True, exist_ok=True)
    names = " ".join(path.name for path in rtl_sources(project))
    commands = (
        f"read_verilog -sv -defer {names}; hierarchy -check -top {TOP}; synth_xilinx -flatten -family xc7; "
        f"tee -q -o {folder}/stat.json stat -json"
    )
    with (folder / "synthesis.log").open("w") as log:
        subprocess.run(
            [*open_tools.command("yosys"), "-p", commands], cwd=project / "rtl", stdout=log, stderr=log, check=True
        )
    return totals_of(folder / "stat.json", "xilinx")


def kept(sources: str | None = None) -> dict[str, Any]:
    """Read the figures of builds, of whichever sources they are or of those with a digest only."""
    found: dict[str, Any] = json.loads(KEPT.read_text()) if KEPT.exists() else {"sources": sources, "builds": {}}
    return found if sources in (None, found["sources"]) else {"sources": sources, "builds": {}}


def keep(name: str, family: str, figures: Mapping[str, Any], sources: str) -> None:
    """Keep the figures of a build of sources with a digest; those of builds of others are gone."""
    found = kept(sources)
    entry = found["builds"].setdefault(f"{name} {family}", {})
    entry |= figures
    found["builds"] = dict(sorted(found["builds"].items()))
    KEPT.write_text(json.dumps(found, indent=1) + "\n")
    print(name, family, dict(figures), flush=True)


def measure(design: Design, family: str) -> None:
    """Synthesise a design."""
    project = project_of(design)
    out = project / "build" / family
    if family == "xilinx":
        keep(design.name, family, count_xilinx(project, out), sources_digest())
    else:
        netlist = synthesize(rtl_sources(project), TOP, find_open_target(FAMILIES[family]), out)
        keep(design.name, family, netlist.totals, sources_digest())


def place(design: Design, family: str) -> None:
    """Place and route a design between registers."""
    project = project_of(design)
    target = find_open_target(FAMILIES[family])
    fenced = family != "ecp5"  # which alone is placed without pins
    out = project / "build" / (f"{family}-fenced" if fenced else family)
    netlist = synthesize(rtl_sources(project), TOP, target, out, fenced=fenced)
    timing = place_and_route(netlist, target, out, out_of_context=not fenced)
    keep(design.name, family, {"fmax_mhz": round(timing.fmax_mhz, 2)}, sources_digest())


#: names the file beside the scripts that has the digest of the sources they are of
SOURCES = "sources.sha256"

#: how another machine runs the scripts: tools by their names, or what YOSYS and NEXTPNR say
RUN = """#!/bin/sh
# Needs yosys 0.70, as pip install pyosys==0.70 brings it, and nextpnr-ecp5; YOSYS and NEXTPNR name other commands.
cd "$(dirname "$0")"
export YOSYS="${YOSYS:-yosys}" NEXTPNR="${NEXTPNR:-nextpnr-ecp5}"
ls -d */ | xargs -P "$(nproc)" -I{} sh {}build.sh
"""


def write_scripts(design: Design, family: str, folder: Path) -> None:
    """Write what yosys needs for a build: its inputs and a script, which leaves stat.json beside it."""
    project = project_of(design)
    out = folder / f"{design.name}_{family}"
    (out / "inputs").mkdir(parents=True, exist_ok=True)
    for path in (project / "rtl").iterdir():
        (out / "inputs" / path.name).write_bytes(path.read_bytes())
    names = " ".join(path.name for path in rtl_sources(project))
    synthesis = {"ecp5": "synth_ecp5", "ice40": "synth_ice40 -dsp -spram", "gowin": "synth_gowin",
                 "xilinx": "synth_xilinx -flatten -family xc7"}[family]  # fmt: skip
    lines = [f"read_verilog -sv -defer {names}", f"hierarchy -check -top {TOP}", f"{synthesis} -top {TOP}",
             "tee -q -o ../stat.json stat -json", ""]  # fmt: skip
    commands = ['cd "$(dirname "$0")/inputs"', "$YOSYS -s ../synthesis.ys > ../synthesis.log 2>&1", ""]
    if family == "ecp5":
        lines.insert(-1, "write_json netlist.json")
        words = placement(find_open_target(FAMILIES[family]), out_of_context=True)
        commands.insert(-1, f"$NEXTPNR {' '.join(words)} > ../routed.log 2>&1")
    (out / "synthesis.ys").write_text("\n".join(lines))
    (out / "build.sh").write_text("\n".join(commands))
    (folder / "run.sh").write_text(RUN)
    (folder / SOURCES).write_text(sources_digest() + "\n")


def read_scripts(design: Design, family: str, folder: Path) -> None:
    """Take the cells that another machine counted, and the clock of what it placed."""
    out = folder / f"{design.name}_{family}"
    sources = (folder / SOURCES).read_text().strip()
    if (path := out / "stat.json").exists():
        keep(design.name, family, totals_of(path, family), sources)
    if (path := out / "report.json").exists():
        clocks = [clock.fmax_mhz for clock in read_report(path).clocks]
        keep(design.name, family, {"fmax_mhz": round(min(clocks), 2)}, sources)


def totals_of(path: Path, family: str) -> dict[str, int]:
    """Give what yosys' count of cells comes to."""
    cells = json.loads(path.read_text())["design"]["num_cells_by_type"]
    if family == "xilinx":
        return {
            name: sum(
                count * factor
                for cell, count in cells.items() for start, factor in kinds.items() if cell.startswith(start)
            )
            for name, kinds in XILINX.items()
        }  # fmt: skip
    kinds = {f"{cell} {n}": cell for cell, count in cells.items() for n in range(count)}
    return amounts(family, kinds, dict.fromkeys(kinds, TOP))[TOP]


# ---- the fit


@dataclass(frozen=True)
class Point:
    """Hold a build: what it took, and what it is fitted to."""

    name: str
    family: str
    sizes: Mapping[str, int]
    figures: Mapping[str, Any]


def solve(points: list[Point], resource: str) -> dict[str, float]:
    """Fit factors that are not negative, so that the sum of squares of relative errors is the least."""
    from scipy.optimize import nnls

    rows, targets = [], []
    for point in points:
        numbers = numbers_of(point.sizes, point.family)
        memory = numbers.pop("memory_lut"), numbers.pop("memory_ff")
        took = point.figures[resource]
        rows.append(np.array(list(numbers.values())) / took)
        targets.append((took - memory[resource == "ff"]) / took)
    factors, _ = nnls(np.array(rows), np.array(targets))
    return {name: round(float(factor), 3) for name, factor in zip(numbers, factors, strict=True) if factor > 0}


def predicted(point: Point, resource: str, factors: Mapping[str, float]) -> float:
    numbers = numbers_of(point.sizes, point.family)
    return numbers[f"memory_{resource}"] + sum(factor * numbers[name] for name, factor in factors.items())


def error(points: list[Point], resource: str, factors: Mapping[str, float]) -> float:
    """Give the mean of relative errors."""
    return statistics.mean(abs(predicted(p, resource, factors) / p.figures[resource] - 1) for p in points)


def fit() -> None:
    """Fit, and write what `pcedge estimate` reads."""
    found = kept()
    points = []
    engines = {
        design.name: sizes_of(lower_rtl(circuit_of(design.circuit), design.size, jobs=design.jobs))
        for design in DESIGNS
    }  # fmt: skip
    for key, figures in found["builds"].items():
        name, family = key.rsplit(" ", 1)
        if family in FAMILIES and "lut" in figures:
            points.append(Point(name, family, engines[name], figures))
    families: dict[str, Any] = {}
    rows = []
    for family in FAMILIES:
        own = [point for point in points if point.family == family]
        others = [point for point in points if point.family != family]
        if not own or not others:
            continue
        entry: dict[str, Any] = {"builds": len(own), "errors": {}}
        for resource in ("lut", "ff"):
            entry[resource] = solve(own, resource)
            # a build that its own family's fit did not see
            single = [
                error([point], resource, solve([other for other in own if other is not point], resource))
                for point in own
            ] if len(own) > 2 else []  # fmt: skip
            entry["errors"][resource] = {
                "left_out": round(error(own, resource, solve(others, resource)), 3),
                "fitted": round(statistics.mean(single), 3) if single else None,
            }
        for resource, count in COUNTS.items():
            off = [
                abs(count(point.sizes, family) - point.figures[resource]) / max(1, point.figures[resource])
                for point in own
            ]  # fmt: skip
            entry["errors"][resource] = {"left_out": round(statistics.mean(off), 3), "fitted": None}
        clocks = [point.figures["fmax_mhz"] for point in own if "fmax_mhz" in point.figures]
        entry["fmax_mhz"] = round(statistics.median(clocks), 1) if clocks else None
        if len(clocks) > 1:  # of a build that the median did not see
            off = [
                abs(statistics.median(clocks[:at] + clocks[at + 1 :]) / clock - 1) for at, clock in enumerate(clocks)
            ]
            entry["errors"]["fmax_mhz"] = {"left_out": round(statistics.mean(off), 3), "fitted": None}
        families[family] = entry
        rows.append([
            family, str(len(own)),
            *(f"{100 * entry['errors'][r]['left_out']:.0f} %" for r in RESOURCES),
            *(f"{100 * (entry['errors'][r]['fitted'] or 0):.0f} %" for r in ("lut", "ff")),
            f"{min(clocks):.0f} to {max(clocks):.0f}, {100 * entry['errors']['fmax_mhz']['left_out']:.0f} %"
            if len(clocks) > 1 else "",
        ])  # fmt: skip
    FITTED.write_text(
        json.dumps({"sources": found["sources"], "builds": len(points), "families": families}, indent=1) + "\n"
    )
    names = {point.name for point in points}
    few = sum(design.name in names and design.jobs != BUILT_JOBS for design in DESIGNS)
    columns = ["family", "builds", "LUT", "FF", "DSP", "block RAM", "LUT, own family", "FF, own family", "MHz"]
    lines = [
        f"{len(points)} builds of {len(names)} engines, {few} of them for other jobs than {', '.join(BUILT_JOBS)}. "
        "LUT and FF: mean relative error of a fit to the two other families; of a fit to the family's other builds. "
        "DSP and block RAM are counted: mean relative difference. MHz: of engines that were placed, of ECP5 without "
        "pins, and the mean relative error of the median of the others.", "",
        *table(columns, rows),
        "", *_xilinx(found),
    ]  # fmt: skip
    write_section("Area of engines in SystemVerilog", "python benchmarks/rtl_calibration.py --fit", lines)
    print("\n".join(lines))


def _xilinx(found: Mapping[str, Any]) -> list[str]:
    """Tabulate what AMD's devices take."""
    rows = [
        [f"`{key.rsplit(' ', 1)[0]}`", *(str(figures[name]) for name in RESOURCES)]
        for key, figures in found["builds"].items() if key.endswith(" xilinx")
    ]  # fmt: skip
    if not rows:
        return []
    return ["AMD 7 series: cells of yosys' `synth_xilinx`, without timing; a RAMB36 is two block RAMs.", "",
            *table(["engine", "LUT", "FF", "DSP48", "RAMB18"], rows)]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="designs whose names have this in them")
    parser.add_argument("--family", default="", help="one family: ecp5, ice40, gowin, xilinx")
    for name in ("fit", "place"):
        parser.add_argument(f"--{name}", action="store_true")
    for name in ("scripts", "read"):
        parser.add_argument(f"--{name}", type=Path)
    options = parser.parse_args()
    if options.fit:
        return fit()
    for design, family in designs(options):
        done = kept(sources_digest())["builds"].get(f"{design.name} {family}", {})
        try:
            if options.scripts or options.read:
                (write_scripts if options.scripts else read_scripts)(design, family, options.scripts or options.read)
            elif options.place:
                if family in ("ecp5", "gowin") and "fmax_mhz" not in done:
                    place(design, family)
            elif "lut" not in done:
                measure(design, family)
        except (PcedgeError, subprocess.CalledProcessError) as failed:
            print(design.name, family, "failed:", str(failed).splitlines()[0], flush=True)
    return None


if __name__ == "__main__":
    main()
