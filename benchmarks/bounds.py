"""Bounds against what is measured: python benchmarks/bounds.py. Prints Markdown tables.

With `--circuit FILE --data FILE` (as often as wanted) also for circuits and data of one's own.
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np

from pcedge.bounds.extra import extra_bits
from pcedge.circuit import Circuit, load_circuit, log_likelihood
from pcedge.compress import expected_flows
from pcedge.data import load_array
from pcedge.engines import ReferenceEngine
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.schedule.program import Program
from pcedge.schedule.ranges import declared_widths

SETTINGS = [(w, 12, 16) for w in (8, 6, 5, 4, 3)] + [(w, 12, a) for a in (12, 10) for w in (8, 6, 5, 4, 3)]


def show(name: str, circuit: Circuit, records: np.ndarray) -> None:
    float_bits = -log_likelihood(circuit, records) / math.log(2)
    flows = expected_flows(circuit, records)
    count, variables = records.shape
    print(f"\n{name}: {count} records of {variables} variables, float {float_bits.mean():.3f} bits a record\n")
    print("| W | L | A | mean extra, measured | typical, data | typical, model | of it parameters | truncation "
          "| most extra, measured | worst case | from | seconds |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for w, leaf, a in SETTINGS:
        integers = quantize(circuit, QuantizationConfig(w, leaf, a))
        lo, hi = ReferenceEngine(integers).intervals(records)
        extra = (integers.scale_bits - np.log2(hi - lo)).sum(axis=1) - float_bits
        begin = time.process_time()
        model = extra_bits(circuit, integers)
        seconds = time.process_time() - begin
        data = extra_bits(circuit, integers, flows)
        print(
            f"| {w} | {leaf} | {a} | {extra.mean():.3f} | {data.typical:.3f} | {model.typical:.3f} "
            f"| {model.parameters:.3f} | {model.truncation:.3f} | {extra.max():.1f} | {model.worst:.0f} "
            f"| {model.worst_from} | {seconds:.1f} |",
            flush=True,
        )
    integers = quantize(circuit)
    begin = time.process_time()
    needed = Program.of(integers).needed
    seconds = time.process_time() - begin
    declared = declared_widths(integers)
    print(f"\nneeded widths at W 8, L 12, A 16 ({seconds:.2f} s)\n\n| signal | needed | declared |\n|---|---|---|")
    for signal, bits in needed.items():
        print(f"| {signal} | {bits} | {declared[signal]} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--circuit", action="append", default=[], help="a float circuit")
    parser.add_argument("--data", action="append", default=[], help="its test data: .npy, IDX, …")
    parser.add_argument("--records", type=int, default=500, help="records measured")
    options = parser.parse_args()
    if len(options.circuit) != len(options.data):
        parser.error(f"every --circuit must have its --data, got {len(options.circuit)} and {len(options.data)}")
    for name, data in [("digits", "digits"), *zip(options.circuit, options.data, strict=True)]:
        x = load_array(data)[: options.records]
        show(name.rpartition("/")[2], load_circuit(name), x.reshape(len(x), -1).astype(np.int64))


if __name__ == "__main__":
    main()
