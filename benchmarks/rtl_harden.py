"""Flip bits of registers and memories of the digits engine in Verilator, by level of hardening; measure its area too.

The engine has 4 macs and 2 streams and does a test image on each stream. Projects are kept in build/rtl-harden, and
what was found, so that `--levels` may name some with commas, or none, and the page has the others of the same
`--flips` and `--seed` (1) as well. `--flips R,M` (800,200): so many bits of registers, and so many of memories, for
each level; those of memories take far longer: what is in an image stays until the end. It takes an hour, half of it
the C++ compiler's. Exit 1: a silent fault where there must be none.
"""

from __future__ import annotations

import argparse
import json
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
from pcedge.simulate.upsets import Campaign, Outcome, Task, UpsetProject, tasks_of
from pcedge.toolchain.building import TOP, rtl_sources
from pcedge.toolchain.hardening import hardened
from pcedge.toolchain.netlists import inside
from pcedge.toolchain.open_flow import synthesize

BUILD = Path(__file__).parent.parent / "build/rtl-harden"

#: the area is of the project's top for this device
DEVICE = "ecp5-85k"

#: kinds of bits
KINDS = ("registers", "memories")

#: kinds of bits, by level, of which no fault may be silent
HELD = {"none": (), "parity": ("memories",), "tmr": ("memories", "registers")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", default="800,200")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--levels", default=",".join(LEVELS))
    given = parser.parse_args()
    engine = ReferenceEngine(load_zoo("digits"))
    test = load_data("digits").test
    assert test is not None
    size = RtlSize(macs=4, streams=2, lanes=2)
    tasks = tasks_of(engine, test.reshape(len(test), -1).astype(np.int64)[: size.streams], size.streams)
    registers, _, stored = given.flips.partition(",")
    flips = int(registers), int(stored)
    for level in filter(None, given.levels.split(",")):
        folder = write_rtl(engine.program, BUILD / level, size=size, harden=level)
        measure(level, folder, tasks, flips, given.seed)
    found = [json.loads(path.read_bytes()) for level in LEVELS if (path := BUILD / f"{level}.json").is_file()]
    found = [one for one in found if (one["flips"], one["seed"]) == ([*flips], given.seed)]
    lines = [
        f"The digits engine, {size.macs} macs, {size.streams} streams, {size.lanes} lanes, all jobs, behind its "
        f"registers (`pc_axi`); seed {given.seed}. A record on each stream; likelihood, encode and decode, drawn for "
        "each fault; [hardening.md](hardening.md#campaign) has the columns.",
        "",
        *table(
            ["level", "of", "bits", "flips", *(str(each) for each in Outcome)],
            [r for one in found for r in one["rows"]],
        ),
        "",
        *(line for one in found for line in (one["silent"], "")),
        f"Area by synthesis for ECP5 (yosys), `{TOP}` of the same engine; a carry cell is two LUT, a memory of look-up "
        "tables six:",
        "",
        *table(["level", "LUT", "FF", "MULT18X18D", "DP16KD"], [one["area"] for one in found if one["area"]]),
    ]
    write_section("RTL: hardening, and faults in it", "python benchmarks/rtl_harden.py", lines)
    if any(one["failed"] for one in found):
        raise SystemExit(1)


def measure(level: str, folder: Path, tasks: list[Task], flips: tuple[int, int], seed: int) -> None:
    """Flip bits of one level, synthesise it, and keep what was found."""
    started = time.perf_counter()
    project = UpsetProject(folder)
    executable, faults = project.compile()
    print(f"{level}: compiled in {time.perf_counter() - started:.0f} s", flush=True)
    started = time.perf_counter()
    campaign = project.run(tasks, flips, seed, executable, faults)
    print(f"{level}: {sum(flips)} faults in {time.perf_counter() - started:.0f} s", flush=True)
    rows, failed = [], False
    for kind, bits, count in zip(KINDS, (faults.state_bits, faults.memory_bits), flips, strict=True):
        counts = campaign.count(kind == "memories")
        rows.append([f"`{level}`", kind, f"{bits:,}", str(count), *(str(counts[each]) for each in Outcome)])
        failed |= kind in HELD[level] and counts[Outcome.SILENT] > 0
        print(*rows[-1], flush=True)
    silent = silent_line(level, campaign)
    print(silent, flush=True)
    result = {"flips": flips, "seed": seed, "rows": rows, "silent": silent, "failed": failed, "area": []}
    kept = BUILD / f"{level}.json"
    kept.write_text(json.dumps(result), encoding="utf-8")  # synthesis takes long, and may be stopped
    result["area"] = [f"`{level}`", *area(folder)]
    kept.write_text(json.dumps(result), encoding="utf-8")
    print(*result["area"], flush=True)


def silent_line(level: str, campaign: Campaign) -> str:
    """Say where the silent faults are: the units of registers, and the memories."""
    places = Counter(("memory " if fault.in_memory else "") + unit_of(fault.name) for fault in campaign.silent())
    each = ", ".join(f"{name} {count}" for name, count in places.most_common())
    return f"Silent with `{level}`: {each or 'none'}."


def unit_of(name: str) -> str:
    """Name the instance below the engine that a register or memory is in."""
    return f"`{inside(name.removeprefix('engine.')).split('.')[0]}`"


def area(folder: Path) -> list[str]:
    """Give look-up tables, registers, multipliers and block RAMs after synthesis."""
    sources = hardened(folder, rtl_sources(folder), TOP)
    totals = synthesize(sources, TOP, find_open_target(DEVICE), folder / "build" / DEVICE).totals
    return [f"{totals[name]:,}" for name in ("lut", "ff", "dsp", "bram")]


if __name__ == "__main__":
    main()
