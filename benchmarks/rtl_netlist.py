"""Compare the netlist of the digits engine with the reference in Verilator, and write what it went through.

The engine is synthesised for ECP5, and its netlist, with models of the cells, runs likelihood, likelihood with missing
symbols, encode and decode of test images. The project is kept in build/rtl-netlist. `--records N` (40), `--macs` (16),
`--streams` (8). It takes half an hour, most of it the C++ compiler's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from results import table, write_section

from pcedge.data import load_data
from pcedge.engines import ReferenceEngine
from pcedge.export import RtlSize, load_zoo, write_rtl
from pcedge.verify import verify

BUILD = Path(__file__).parent.parent / "build/rtl-netlist"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=40)
    parser.add_argument("--macs", type=int, default=16)
    parser.add_argument("--streams", type=int, default=8)
    given = parser.parse_args()
    circuit = load_zoo("digits")
    test = load_data("digits").test
    assert test is not None
    records = test.reshape(len(test), -1).astype(np.int64)[: given.records]
    size = RtlSize(given.macs, given.streams)
    folder = write_rtl(ReferenceEngine(circuit).program, BUILD / "digits", size=size)
    report = verify(circuit, records, ["netlist"], project=folder, announce=print)
    lines = [
        f"The digits engine, {size.macs} macs, {size.streams} streams, {size.lanes} lanes and {size.table_lanes} table "
        "lanes, all jobs, after synthesis; models of block RAM and multipliers are export/rtl/cells, of other cells "
        "yosys'.",
        "",
        *table(
            ["compared", "vectors", "mismatches"],
            [[one.output, str(one.vectors), str(one.mismatches)] for one in report.comparisons],
        ),
        "",
        *(f"{rung}: skipped: {reason}." for rung, reason in report.skipped),
        "",
        "Cells that the jobs went through, memories and multipliers with the parameters that are not 0 or off:",
        "",
    ]
    for family, cells in report.cells.items():
        rows = [[f"`{kind}`", str(count)] for kind, count in cells.items()]
        lines += [*table([f"cell of {family}", "number"], rows), ""]
    write_section("Netlist of the digits engine", "python benchmarks/rtl_netlist.py", lines[:-1])
    if report.mismatches:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
