"""Measure the reference coder: a random hidden tree of 784 variables, 16 states and 256 symbols.

OMP_NUM_THREADS=1 keeps numpy's matrix products on one core.
"""

from __future__ import annotations

import time

import numpy as np
from results import table, write_section

from pcedge.circuit import sample
from pcedge.circuit.layers import Circuit
from pcedge.engines.lanes import decode_lanes, encode_lanes
from pcedge.engines.reference import ReferenceEngine
from pcedge.learn.structures import hidden_chow_liu_tree
from pcedge.quantize import quantize

VARIABLES, STATES, SYMBOLS, RECORDS = 784, 16, 256, 2048
REPEATS = 3


def random_tree(seed: int = 0) -> Circuit:
    """Make a tree in which a variable's parent is one of the six before it, as in an image's Chow-Liu tree."""
    rng = np.random.default_rng(seed)
    parents = [-1] + [int(rng.integers(max(0, v - 6), v)) for v in range(1, VARIABLES)]
    return hidden_chow_liu_tree(parents, [SYMBOLS] * VARIABLES, STATES, seed)


def main() -> None:
    """Time encoding and decoding, the best of some repeats, alternating."""
    circuit = random_tree()
    engine = ReferenceEngine(quantize(circuit))
    records = engine.check(sample(circuit, RECORDS, seed=1), allow_missing=False)
    encode_lanes(engine, records[:64], 64)  # derives the schedule once
    rows = []
    for lanes in (64, 256, 1024, 2048):
        part = records[:lanes]
        times: dict[str, list[float]] = {"encode": [], "decode": []}
        for _ in range(REPEATS):
            start = time.perf_counter()
            coded = encode_lanes(engine, part, lanes)
            middle = time.perf_counter()
            back = decode_lanes(engine, coded, len(part))
            times["encode"].append(middle - start)
            times["decode"].append(time.perf_counter() - middle)
            assert (back == part).all()
        encode, decode = min(times["encode"]), min(times["decode"])
        rows.append([str(lanes), f"{part.size / encode:,.0f}", f"{part.size / decode:,.0f}", f"{decode / encode:.2f}"])
        print(rows[-1])
    lines = table(["lanes S = records", "encode, pixels/s", "decode, pixels/s", "decode time / encode time"], rows)
    setting = f"{VARIABLES} variables, {STATES} states, {SYMBOLS} symbols, W8 L12 A16, one core, best of {REPEATS}."
    write_section(
        "Speed of the reference coder", "OMP_NUM_THREADS=1 python benchmarks/codec_speed.py", [setting, "", *lines]
    )


if __name__ == "__main__":
    main()
