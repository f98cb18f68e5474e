"""Train pcedge/data/digits.pcedge: python benchmarks/train_digits.py [FILE]. Prints seconds and bits per pixel."""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path

from pcedge.circuit import log_likelihood, save_circuit
from pcedge.data import load_data
from pcedge.learn import train


def main() -> None:
    splits = load_data("digits")
    start = time.perf_counter()
    iterations: list[int] = []
    circuit = train(splits, latents=16, seed=0, progress=lambda iteration, *_: iterations.append(iteration))
    seconds = time.perf_counter() - start
    default = Path(__file__).resolve().parent.parent / "pcedge" / "data" / "digits.pcedge"
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    save_circuit(circuit, path)
    print(f"{path}: {path.stat().st_size} bytes, {circuit.parameters} parameters, {len(circuit.layers)} layers")
    print(f"seconds {seconds:.1f}, iterations {len(iterations)}")
    for name, part in (("train", splits.train), ("valid", splits.valid), ("test", splits.test)):
        if part is not None:
            bits = -log_likelihood(circuit, part).mean() / math.log(2) / len(circuit.cardinalities)
            print(f"{name}: {bits:.4f} bits per pixel")


if __name__ == "__main__":
    main()
