"""Synthesise, place and route hardware units one by one, and write their table into export/rtl/README.md.

For the clock a unit stands between shift registers (`toolchain.fence`), so that every path of it is one from register
to register: ECP5-25 of speed 6, after routing. Area is by synthesis of the unit alone, for it and for iCE40. Results
are kept in build/rtl-units, so that a run that was stopped goes on. `--seeds N` (2), `--only NAME`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from results import table, write_section

from pcedge.errors import PcedgeError
from pcedge.export.open_target import find_open_target
from pcedge.toolchain.open_flow import place_with_seeds, synthesize

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "export/rtl/sources"
README = ROOT / "export/rtl/README.md"
MARKS = ("<!-- units: begin -->", "<!-- units: end -->")
BUILD = ROOT / "build/rtl-units"

#: what the place-and-route is asked for: more than the aim, for it stops at what it was asked for
FREQUENCY = 125.0


@dataclass(frozen=True)
class Size:
    """Name a unit and its sizes."""

    module: str
    #: what the table says of the sizes
    text: str
    parameters: Mapping[str, int]


SIZES = (
    Size("pc_normalise", "a row of 16, 28 bits to 16", {"LANES": 16, "WIDTH": 28}),
    Size("pc_normalise", "a row of 16, `KEEP`", {"LANES": 16, "WIDTH": 28, "KEEP": 1}),
    Size("pc_normalise", "4 rows of 4", {"LANES": 4, "WIDTH": 28, "ROWS": 4, "TAG_BITS": 8}),
    Size("pc_normalise", "16 rows of 8", {"LANES": 8, "WIDTH": 30, "ROWS": 16, "TAG_BITS": 8}),
    Size("pc_mix", "4 x 4, W 8, A 16", {"ROWS": 4, "COLUMNS": 4, "SUM_BITS": 28}),
    Size("pc_mix", "4 x 4, `KEEP`", {"ROWS": 4, "COLUMNS": 4, "SUM_BITS": 28, "KEEP": 1}),
    Size("pc_mix", "2 x 4", {"ROWS": 2, "COLUMNS": 4, "SUM_BITS": 28}),
    Size("pc_mix", "1 x 1, W 12", {"ROWS": 1, "COLUMNS": 1, "WEIGHT_BITS": 13, "SUM_BITS": 35}),
    Size("pc_accumulate", "4 lanes of 8 rows", {"LANES": 4, "ROWS": 8, "WIDTH": 28}),
    Size("pc_multiply", "4 lanes", {"LANES": 4}),
    Size("pc_align", "4 lanes", {"LANES": 4}),
    Size("pc_leaf", "4 lanes, tails", {"LANES": 4, "TAIL_BITS": 15}),
    Size("pc_interval", "P 24", {"SUM_BITS": 20, "WEIGHTED_BITS": 32}),
    Size("pc_interval", "P 16", {"SUM_BITS": 20, "WEIGHTED_BITS": 32, "SCALE_BITS": 16}),
    Size("pc_interval_bound", "P 24", {"WEIGHTED_BITS": 32}),
    Size("pc_lane_encoder", "P 24, 8 streams", {"STREAMS": 8}),
    Size("pc_lane_encoder", "P 16, 8 streams", {"STREAMS": 8, "SCALE_BITS": 16}),
    Size("pc_range_decoder", "P 24, 8 streams", {"STREAMS": 8}),
    Size("pc_probe", "P 24", {}),
    Size("pc_score", "A 16", {}),
    Size("pc_fifo", "16 words of 64 bits", {"WIDTH": 64, "DEPTH": 16}),
)


def needed(module: str) -> list[Path]:
    """List the sources of a unit and of all that it is made of."""
    found, open_ = {module}, [module]
    while open_:
        text = (SOURCES / f"{open_.pop()}.sv").read_text(encoding="utf-8")
        new = set(re.findall(r"^  +(pc_\w+) (?:#\(|\w+ \()", text, re.MULTILINE)) - found
        found |= new
        open_ += new
    return [SOURCES / f"{name}.sv" for name in sorted(found)]


def measure(size: Size, seeds: int) -> list[str]:
    """Make one row of the table."""
    sources = needed(size.module)
    ecp5, ice40 = find_open_target("ecp5-25k"), find_open_target("ice40-up5k")
    name = "-".join([size.module, *(f"{key}{value}" for key, value in size.parameters.items())]).lower()
    # iCE40's multipliers have 16 bits; what the parameter is for
    text = (SOURCES / f"{size.module}.sv").read_text(encoding="utf-8")
    parts = {"PART_BITS": 16} if re.search("parameter +int PART_BITS", text) else {}
    small = synthesize(sources, size.module, ice40, BUILD / name / "ice40", parameters={**size.parameters, **parts})
    large = synthesize(sources, size.module, ecp5, BUILD / name / "area", parameters=size.parameters)
    # where an input is delayed, registers of the fence are the unit's: no area is counted here
    netlist = synthesize(sources, size.module, ecp5, BUILD / name / "ecp5", parameters=size.parameters, fenced=True)
    placed = place_with_seeds(netlist, ecp5, BUILD / name / "ecp5", range(1, seeds + 1), FREQUENCY)
    timings = []
    for result in placed.values():
        if isinstance(result, PcedgeError):
            raise result
        timings.append(result)
    return [
        f"`{size.module}`", size.text, *(str(large.totals[key]) for key in ("lut", "ff", "dsp", "bram")),
        " ".join(f"{timing.fmax_mhz:.0f}" for timing in timings),
        *(str(small.totals[key]) for key in ("lut", "ff", "dsp", "bram")),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--only", default="", help="units whose names have this in them, printed and not written")
    options = parser.parse_args()
    rows = []
    for size in SIZES:
        if options.only in size.module:
            rows.append(measure(size, options.seeds))
            print(*rows[-1], flush=True)
    if options.only:
        return
    columns = ["unit", "sizes", "LUT", "FF", "MULT", "EBR", "MHz by seed", "LUT", "FF", "DSP", "RAM"]
    lines = [
        "Columns 3 to 7: ECP5-25, speed 6, area by synthesis (a carry cell is two LUT, a memory of tables six), "
        "clock after place and route between registers. The last four: iCE40 UP5K, by synthesis.", "",
        *table(columns, rows),
    ]  # fmt: skip
    text = README.read_text(encoding="utf-8")
    head, rest = text.split(MARKS[0])
    README.write_text(f"{head}{MARKS[0]}\n{chr(10).join(lines)}\n{MARKS[1]}{rest.split(MARKS[1])[1]}", encoding="utf-8")
    write_section("Hardware units", "python benchmarks/rtl_units.py", lines)


if __name__ == "__main__":
    main()
