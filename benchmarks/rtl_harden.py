"""Flip bits of registers and memories of the digits engine in Verilator, by level of hardening; measure its area too.

The engine has 4 macs and 2 streams and does a test image on each stream. Projects are kept in build/rtl-harden.
`--flips N` (1000): so many bits of registers, and so many of memories, for each level; `--seed` (1); `--levels` names
some with commas. Exit 1: a silent fault where there must be none.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from pathlib import Path

import numpy as np
from results import table, write_section

from pcedge.data import load_data
from pcedge.engines import ReferenceEngine
from pcedge.export import RtlSize, load_zoo, write_rtl
from pcedge.export.open_target import find_open_target
from pcedge.export.rtl.size import LEVELS
from pcedge.simulate.upsets import Campaign, Outcome, UpsetProject, tasks_of
from pcedge.toolchain.building import TOP, rtl_sources
from pcedge.toolchain.hardening import hardened
from pcedge.toolchain.open_flow import synthesize

BUILD = Path(__file__).parent.parent / "build/rtl-harden"

#: the area is of the project's top for this device
DEVICE = "ecp5-85k"

#: kinds of bits, by level, of which no fault may be silent
HELD = {"none": (), "parity": ("memories",), "tmr": ("memories", "registers")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--levels", default=",".join(LEVELS))
    given = parser.parse_args()
    engine = ReferenceEngine(load_zoo("digits"))
    test = load_data("digits").test
    assert test is not None
    size = RtlSize(macs=4, streams=2, lanes=2)
    tasks = tasks_of(engine, test.reshape(len(test), -1).astype(np.int64)[: size.streams], size.streams)
    rows, areas, silent, failed = [], [], [], False
    for level in given.levels.split(","):
        folder = write_rtl(engine.program, BUILD / level, size=size, harden=level)
        started = time.perf_counter()
        project = UpsetProject(folder)
        executable, faults = project.compile()
        print(f"{level}: compiled in {time.perf_counter() - started:.0f} s", flush=True)
        started = time.perf_counter()
        campaign = project.run(tasks, given.flips, given.seed, executable, faults)
        print(f"{level}: {2 * given.flips} faults in {time.perf_counter() - started:.0f} s", flush=True)
        for kind, bits in (("registers", faults.state_bits), ("memories", faults.memory_bits)):
            counts = campaign.count(kind == "memories")
            rows.append([f"`{level}`", kind, f"{bits:,}", str(given.flips), *(str(counts[each]) for each in Outcome)])
            failed |= kind in HELD[level] and counts[Outcome.SILENT] > 0
        silent += silent_lines(level, campaign)
        areas.append([f"`{level}`", *area(folder)])
        print(rows[-2:], areas[-1], flush=True)
    lines = [
        f"The digits engine, {size.macs} macs, {size.streams} streams, {size.lanes} lanes, all jobs, behind its "
        f"registers (`pc_axi`); seed {given.seed}. A record on each stream; likelihood, encode and decode, drawn for "
        "each fault; [hardening.md](hardening.md#campaign) has the columns.",
        "",
        *table(["level", "of", "bits", "flips", *(str(each) for each in Outcome)], rows),
        "",
        *silent,
        "",
        f"Area by synthesis for ECP5 (yosys), `{TOP}` of the same engine; a carry cell is two LUT, a memory of look-up "
        "tables six:",
        "",
        *table(["level", "LUT", "FF", "MULT18X18D", "DP16KD"], areas),
    ]
    write_section("RTL: hardening, and faults in it", "python benchmarks/rtl_harden.py", lines)
    if failed:
        raise SystemExit(1)


def silent_lines(level: str, campaign: Campaign) -> list[str]:
    """Say where the silent faults are: the units of registers, and the memories."""
    found = campaign.silent()
    places = Counter(("memory " if fault.in_memory else "") + unit_of(fault.name) for fault in found)
    if not found:
        return [f"Silent with `{level}`: none.", ""]
    each = ", ".join(f"{name} {count}" for name, count in places.most_common())
    return [f"Silent with `{level}`: {each}.", ""]


def unit_of(name: str) -> str:
    """Name the instance below the engine that a register or memory is in."""
    return f"`{name.removeprefix('engine.').split('.')[0]}`"


def area(folder: Path) -> list[str]:
    """Give look-up tables, registers, multipliers and block RAMs after synthesis."""
    sources = hardened(folder, rtl_sources(folder), TOP)
    totals = synthesize(sources, TOP, find_open_target(DEVICE), folder / "build" / DEVICE).totals
    return [f"{totals[name]:,}" for name in ("lut", "ff", "dsp", "bram")]


if __name__ == "__main__":
    main()
