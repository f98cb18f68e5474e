"""The serial engine of digits on an iCE40 UP5K: all test images in Verilator, place and route, symbols a second.

`python -m benchmarks.rtl_serial FOLDER [SEEDS [TARGET…]]` keeps projects and builds in FOLDER, and makes none again.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.results import table, write_section
from pcedge.data import load_data
from pcedge.engines import ReferenceEngine
from pcedge.engines.lanes import encode_lanes
from pcedge.export import load_zoo, write_serial
from pcedge.export.open_target import find_open_target
from pcedge.export.rtl.serial.image import MEMORY_WORDS, lower_serial
from pcedge.simulate.rtl import RtlProject
from pcedge.toolchain.building import Built, build_project
from pcedge.toolchain.open_flow import Timing

#: what it is built for: the device alone; boards can be named
TARGETS = ("ice40-up5k",)

#: what place and route is asked for, in MHz
ASKED = 30.0

#: symbols a second that are wanted (figure of the serial engine)
WANTED = 60_000


def simulate(folder: Path) -> dict[str, float]:
    """Demand the reference's results for all test images; give the cycles of a symbol by job."""
    circuit = load_zoo("digits")
    engine = ReferenceEngine(circuit)
    test = load_data("digits").test
    assert test is not None
    records = test.reshape(len(test), -1).astype(np.int64)
    lanes = encode_lanes(engine, records, 1)
    cycles = {}
    with RtlProject(folder).device() as device:
        same = np.array_equal(np.stack(device.likelihood(records)), np.stack(engine.likelihood(records)))
        cycles["likelihood"] = device.cycles / records.size
        same = same and device.encode_lanes(records, 1) == lanes
        cycles["encode"] = device.cycles / records.size
        same = same and np.array_equal(device.decode_lanes(lanes, len(records)), records)
        cycles["decode"] = device.cycles / records.size
    if not same:
        raise SystemExit("the engine must give the reference's results")
    return cycles


def row_of(built: Built, cycles: dict[str, float]) -> list[str]:
    """Give the row of a build."""
    figures = built.as_dict()
    seeds = ", ".join(
        f"{result.fmax_mhz:.1f}" if isinstance(result, Timing) else "failed" for result in built.results.values()
    )
    rates = [f"{1e3 * built.best.fmax_mhz / cycles[job]:.1f} k" for job in ("likelihood", "encode", "decode")]
    counts = [f"{figures[name]:,} of {figures['available'][name]:,}" for name in ("lut", "dsp", "bram", "spram")]
    return [built.target.name, *counts, seeds, *rates]


def main(folder: Path, seeds: int, targets: Sequence[str]) -> None:
    """Measure, and write the section."""
    circuit = load_zoo("digits")
    project = folder / "digits"
    if not (project / "manifest.json").is_file():
        write_serial(circuit, project)
    cycles = simulate(project)
    rows = []
    for name in targets:
        built = build_project(project, find_open_target(name), range(1, seeds + 1), ASKED, said=print)
        rows.append(row_of(built, cycles))
    image = lower_serial(circuit)
    parts = ", ".join(f"{name} {words:,}" for name, words in image.parts.items())
    each = ", ".join(f"{job} {count:.1f}" for job, count in cycles.items())
    columns = ["target", "cells", "DSP", "EBR", "SPRAM", "MHz by seed", "likelihood", "encode", "decode"]
    write_section(
        "RTL: the serial engine",
        "python -m benchmarks.rtl_serial FOLDER",
        [
            f"Digits on an iCE40 UP5K, all jobs in one bitstream; wanted: {WANTED:,} symbols a second. Rates are "
            "symbols a second at the frequency after place and route. All 360 test images in Verilator, bit for bit "
            f"the reference; cycles a symbol: {each}. The model has {len(image.words):,} of {MEMORY_WORDS:,} words: "
            f"{parts}.",
            "",
            *table(columns, rows),
        ],
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1, sys.argv[3:] or TARGETS)
