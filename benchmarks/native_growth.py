"""Measure time against edges, end to end: chains of hidden variables quantized, laid out, encoded and decoded natively.

python benchmarks/native_growth.py writes the section of docs/results.md. Every size has a process of its own; times are
CPU time on one thread.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import time

import numpy as np
from results import table, write_section

from pcedge.learn.structures import chain
from pcedge.native import NativeEngine
from pcedge.quantize import quantize
from pcedge.schedule import Program

SYMBOLS, RECORDS, LANES = 16, 64, 64

#: (variables, states), by states
SIZES = {
    4: [(600, 4), (6_000, 4), (60_000, 4), (100_000, 4)],
    16: [(400, 16), (4_000, 16), (40_000, 16)],
    64: [(25, 64), (250, 64), (2_500, 64)],
    128: [(6, 128), (60, 128), (600, 128)],
}


def measure(variables: int, states: int) -> list[float]:
    """Give seconds to quantize, to lay out, to encode and to decode."""
    circuit = chain(range(variables), [SYMBOLS] * variables, states, seed=1)
    stamps = [time.process_time()]
    program = Program.of(quantize(circuit))
    stamps.append(time.process_time())
    engine = NativeEngine(program)
    stamps.append(time.process_time())
    x = np.random.default_rng(0).integers(0, SYMBOLS, (RECORDS, variables))
    begin = time.process_time()
    coded = engine.encode_lanes(x, LANES)
    middle = time.process_time()
    found = engine.decode_lanes(coded, RECORDS)
    end = time.process_time()
    np.testing.assert_array_equal(found, x)
    return [stamps[1] - stamps[0], stamps[2] - stamps[1], middle - begin, end - middle]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(*measure(*options.one))
        return
    names = ["quantize", "lay out", "encode", "decode"]
    rows = []
    for sizes in SIZES.values():
        totals = []
        for variables, states in sizes:
            command = [sys.executable, __file__, "--one", str(variables), str(states)]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            seconds = [float(word) for word in out.split()]
            edges = variables * states * states
            totals.append((edges, sum(seconds)))
            coding = [f"{1e12 * value / (RECORDS * edges):.0f}" for value in seconds[2:]]
            slope = "–"
            if len(totals) > 1:
                (few, short), (many, long) = totals[-2:]
                slope = f"{math.log(long / short) / math.log(many / few):.2f}"
            rows.append(
                [f"{variables:,} × {states}", f"{edges:,}", *(f"{value:.2f}" for value in seconds), *coding, slope]
            )
            print(rows[-1], flush=True)
    lines = [
        f"Chains of hidden variables with {SYMBOLS} symbols, {RECORDS} records in {LANES} lanes, seconds of CPU; then "
        "picoseconds an edge and record, and the exponent of the whole time over edges from the row above.",
        "",
        *table(["variables × states", "edges", *names, "ps to encode", "ps to decode", "exponent"], rows),
    ]
    write_section("Growth of the native engine", "python benchmarks/native_growth.py", lines)


if __name__ == "__main__":
    main()
