"""Circuits in C99 on emulated microcontrollers, a Markdown table: python benchmarks/microcontrollers.py [m.onnx …].

Bytes of ROM, RAM and stack, and instructions a symbol (of a predictor stage a number) of every core whose tools are
there, on drawn records that are compared with the reference; without circuits the shipped ones. Exit status 1 on any
difference.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pcedge
from pcedge.engines import ReferenceEngine
from pcedge.export import load_zoo
from pcedge.verify import verify

#: circuits that are measured where none are named
ZOO = ("digits", "shuttle", "nltcs")

#: records that are drawn
RECORDS = 24


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path, help="Integer circuits (.onnx).")
    parser.add_argument("--records", type=int, default=RECORDS)
    options = parser.parse_args()
    circuits = {path.stem: pcedge.load(path) for path in options.models} or {name: load_zoo(name) for name in ZOO}
    print("| circuit | core | ROM | RAM | stack | encode | decode | likelihood |\n|---|---|---|---|---|---|---|---|")
    mismatches = 0
    for name, circuit in circuits.items():
        report = verify(circuit, ReferenceEngine(circuit).sample(options.records), ("mcu",))
        mismatches += report.mismatches
        for core, figures in report.mcu.items():
            sizes = [figures[f"{what}_bytes"] for what in ("rom", "ram", "stack")]
            counts = [figures["instructions_per_symbol"].get(job) for job in ("encode", "decode", "likelihood")]
            cells = ["–" if number is None else f"{number:,}" for number in (*sizes, *counts)]
            print(f"| {name} | {core} | {' | '.join(cells)} |", flush=True)
    print(f"{mismatches} mismatches", file=sys.stderr)
    return 1 if mismatches else 0


if __name__ == "__main__":
    sys.exit(main())
