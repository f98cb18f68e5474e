"""Time against the size of a circuit: python benchmarks/scaling.py. Prints a Markdown table.

A chain and a balanced binary tree of hidden variables are quantized, written as ONNX and read again, and run in
onnxruntime beside the numpy reference. Every size has a process of its own.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from pcedge.engines import ReferenceEngine
from pcedge.export import from_onnx, to_onnx
from pcedge.learn.structures import balanced_binary_tree, chain
from pcedge.quantize import quantize
from pcedge.simulate.ort import OrtSession

STRUCTURES = {"chain": chain, "balanced tree": balanced_binary_tree}
STATES = 2
RECORDS = 16

#: variables up to which a circuit is run too
RUN = 10_000


def measure(structure: str, variables: int) -> list[float]:
    """Give seconds of CPU: to quantize, write, read, load in onnxruntime, run there, and run in numpy."""
    seconds = []

    def timed(work: Callable[[], object]) -> object:
        begin = time.process_time()
        result = work()
        seconds.append(time.process_time() - begin)
        return result

    circuit = STRUCTURES[structure](range(variables), [2] * variables, STATES)
    integers = timed(lambda: quantize(circuit))
    model = timed(lambda: to_onnx(integers).SerializeToString(deterministic=True))
    read = timed(lambda: from_onnx(_parsed(model)))
    assert read.digest == integers.digest
    if variables <= RUN:
        x = np.random.default_rng(0).integers(0, 2, (RECORDS, variables))
        session = timed(lambda: OrtSession(integers))
        found = timed(lambda: session.run(x))
        lo, hi = timed(lambda: (ReferenceEngine(integers).likelihood(x), ReferenceEngine(integers).intervals(x))[1])
        np.testing.assert_array_equal(found["lo"], lo)
        np.testing.assert_array_equal(found["hi"], hi)
    return seconds


def _parsed(data: bytes) -> object:
    import onnx

    return onnx.ModelProto.FromString(data)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variables", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(*measure(options.one[0], int(options.one[1])))
        return
    names = ["quantize", "write", "read", "load", f"run {RECORDS} records", "numpy"]
    print(f"| structure | variables | {' | '.join(names)} |\n|---|---|{'---|' * len(names)}")
    for structure in STRUCTURES:
        rows: list[list[float]] = []
        for variables in options.variables:
            command = [sys.executable, __file__, "--one", structure, str(variables)]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            rows.append([float(value) for value in out.split()])
            cells = [f"{value:.2f} s" for value in rows[-1]] + ["–"] * (len(names) - len(rows[-1]))
            print(f"| {structure} | {variables:,} | {' | '.join(cells)} |", flush=True)
        if len(rows) > 1:
            growth = math.log(options.variables[-1] / options.variables[-2])
            cells = [f"{math.log(b / a) / growth:.2f}" for a, b in zip(rows[-2], rows[-1], strict=False)]
            cells += ["–"] * (len(names) - len(cells))
            print(f"| {structure} | exponent of the last step | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
