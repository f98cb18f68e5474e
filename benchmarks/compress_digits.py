"""Structures, leaves, pruning and growing on digits: python benchmarks/compress_digits.py. Prints a Markdown table."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from pcedge.circuit import Circuit, log_likelihood
from pcedge.compress import expected_flows, grow, prune
from pcedge.data import load_data
from pcedge.learn import LearnConfig, fit, initial_circuit

SPLITS = load_data("digits")
TRAIN = SPLITS.train.reshape(len(SPLITS.train), -1).astype(np.int64)


def show(name: str, circuit: Circuit, seconds: float | None = None) -> None:
    parts = (SPLITS.train, SPLITS.valid, SPLITS.test)
    bits = [-log_likelihood(circuit, part).mean() / math.log(2) / 64 for part in parts if part is not None]
    figures = " | ".join(f"{value:.4f}" for value in bits)
    print(
        f"| {name} | {circuit.parameters:,} | {figures} | {'' if seconds is None else f'{seconds:.1f}'} |", flush=True
    )


def trained(name: str, start: Circuit) -> Circuit:
    begin = time.perf_counter()
    circuit = fit(SPLITS, LearnConfig(), circuit=start)
    show(name, circuit, time.perf_counter() - begin)
    return circuit


def main() -> None:
    print("| circuit | parameters | train | valid | test | EM, s |")
    print("|---|---|---|---|---|---|")
    given: dict[str, dict[str, Any]] = {"quad": {"shape": (8, 8)}, "independent": {"block": 8}}
    for structure in ("chain", "binary", "quad", "independent"):
        trained(structure, initial_circuit(structure, TRAIN, [17] * 64, **given.get(structure, {})))
    trained("single leaves", initial_circuit("independent", TRAIN, [17] * 64))
    direct = {
        n: trained(f"hclt, {n} states", initial_circuit("hclt", TRAIN, [17] * 64, latents=n)) for n in (8, 12, 16)
    }
    flows = expected_flows(direct[16], TRAIN)
    for fraction, shape, words in (
        (0.5, "edges", {}), (0.75, "edges", {}), (0.9, "edges", {}), (0.25, "states", {}), (0.5, "states", {}),
        (0.5, "blocks", {"block": (4, 4)}), (0.5, "blocks", {"block": (2, 2)}), (0.5, "blocks", {"block": (1, 4)}),
    ):  # fmt: skip
        name = f"{fraction:.0%} of {shape} dropped" + "".join(f", {a}×{b}" for a, b in words.values())
        pruned = prune(direct[16], flows, fraction, shape, **words).circuit
        show(name, pruned)
        trained(f"{name}, refitted", pruned)
    grown = grow(direct[8], 2, noise=0.3)
    show("hclt, 8 states grown to 16", grown)
    trained("hclt, 8 states grown to 16, refitted", grown)


if __name__ == "__main__":
    main()
