"""Measure sums of low rank against merging at equal weights: python benchmarks/low_rank.py [SET …] [--table].

A sum layer W of n rows and m columns becomes two, A (n, r) and B (r, m), by the non-negative factorisation of its flows
that EM of a latent between them gives (probabilistic latent semantic analysis); both are trained on. The controls have
as many weights: states dropped by flow, merged, and sparsified. The circuits are hidden Chow-Liu trees of 64 states,
trained here. Data: PCEDGE_DATA (default ../shared/data). `--table` writes the section of docs/results.md.
"""

from __future__ import annotations

import argparse
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from results import table, write_section

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit import Circuit
from pcedge.circuit.layers import InputLayer, Layer, ProductLayer, SumLayer
from pcedge.compress import prune
from pcedge.compress.merge import MERGE
from pcedge.compress.passes import Evidence, Flows, Target, count_weights
from pcedge.compress.sparsify import SPARSIFY
from pcedge.data import Splits, load_data
from pcedge.learn import LearnConfig, count_flows, evaluate, fit

DATA = Path(os.environ.get("PCEDGE_DATA", Path(__file__).resolve().parent.parent.parent / "shared" / "data")) / "debd"
SETS = ("nltcs",)
#: states of the trees, M-steps of their training and of every refit, and the ranks
STATES, TRAINING, REFIT, RANKS = 64, 60, 40, (4, 8, 16)
#: steps of the factorisation
STEPS = 200


def factors(flows: FloatArray, rank: int, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """Factor counts (n, m) into rows that sum to 1: (n, rank) and (rank, m)."""
    generator = np.random.default_rng(seed)
    counts = np.maximum(flows, 1e-6)
    first = generator.dirichlet(np.ones(rank), len(counts))
    # A state between starts at a row of the counts, the more used the likelier.
    chosen = generator.choice(len(counts), rank, replace=False, p=counts.sum(axis=1) / counts.sum())
    second = counts[chosen] / counts[chosen].sum(axis=1, keepdims=True) + 1e-3
    second /= second.sum(axis=1, keepdims=True)
    for _ in range(STEPS):
        ratio = counts / (first @ second)
        first, second = first * (ratio @ second.T), second * (first.T @ ratio)
        first /= first.sum(axis=1, keepdims=True)
        second /= second.sum(axis=1, keepdims=True)
    return first, second


def low_rank(circuit: Circuit, flows: Flows, rank: int) -> Circuit:
    """Put a layer of `rank` units into every sum layer that becomes smaller by it."""
    layers: list[Layer] = []
    position: list[int] = []
    for layer, flow in zip(circuit.layers, flows, strict=True):
        if isinstance(layer, InputLayer):
            layers.append(layer)
        elif isinstance(layer, ProductLayer):
            layers.append(ProductLayer(tuple(position[child] for child in layer.children), layer.gather))
        else:
            children = tuple(position[child] for child in layer.children)
            rows, columns = layer.weights.shape
            if rank * (rows + columns) < rows * columns:
                assert flow is not None
                first, second = factors(flow, rank)
                layers.append(SumLayer(children, second))
                layers.append(SumLayer((len(layers) - 1,), first))
            else:
                layers.append(SumLayer(children, layer.weights))
        position.append(len(layers) - 1)
    return replace(circuit, layers=tuple(layers))


def dropped(circuit: Circuit, flows: Flows, budget: int) -> Circuit:
    """Drop just so many states by their flow that the budget holds."""
    low, high = 0.0, 0.99
    for _ in range(12):
        middle = (low + high) / 2
        small = count_weights(prune(circuit, flows, middle, "states", even=False).circuit) <= budget
        low, high = (low, middle) if small else (middle, high)
    return prune(circuit, flows, high, "states", even=False).circuit


def flat(records: IntArray | None) -> IntArray:
    assert records is not None
    return records.reshape(len(records), -1).astype(np.int64)


def measure(name: str) -> list[list[str]]:
    loaded = load_data("digits" if name == "digits" else DATA / f"{name}.npz")
    train, valid, test = flat(loaded.train), flat(loaded.valid), flat(loaded.test)
    splits = Splits(train, valid)

    def bits(circuit: Circuit) -> str:
        return f"{-evaluate(circuit, test).mean() / math.log(2) / test.shape[1]:.4f}"

    def refitted(circuit: Circuit) -> str:
        return bits(fit(splits, LearnConfig(iterations=REFIT), circuit=circuit))

    whole = fit(splits, LearnConfig(latents=STATES, iterations=TRAINING))
    rows = [[name, f"{STATES} states", f"{count_weights(whole):,}", bits(whole), "", "", ""]]
    print(rows[-1], flush=True)
    evidence = Evidence(train, valid, count=count_flows, max_flow_records=4000)
    flows = evidence.flows(whole)
    for rank in RANKS:
        found = low_rank(whole, flows, rank)
        budget = count_weights(found)
        target = Target("weights", budget, count_weights)
        rows.append([
            name, f"rank {rank}", f"{budget:,}", refitted(found), refitted(dropped(whole, flows, budget)),
            refitted(MERGE.run(whole, evidence, target, None).circuit),
            refitted(SPARSIFY.run(whole, evidence, target, None).circuit),
        ])  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", metavar="SET", help="digits, or a file of the data; nltcs by default")
    parser.add_argument("--table", action="store_true", help="write the section of docs/results.md")
    options = parser.parse_args()
    rows = [row for name in options.sets or SETS for row in measure(name)]
    lost = [float(row[3]) > max(map(float, row[4:])) for row in rows if row[4]]
    lines = [
        f"Hidden Chow-Liu trees of {STATES} states; every sum layer as a product of two of low rank, and circuits of "
        f"as many weights whose states were dropped by flow, merged and sparsified; {REFIT} M-steps after each. Bits a "
        "variable of the test split. After CompactifAI (Tomut et al., 2024), whose tensor networks have no counterpart "
        "that saves multiplications: what is left of it is this factorisation.",
        "",
        *table(["set", "circuit", "weights", "low rank", "dropped", "merged", "sparsified"], rows),
        "",
        f"The factorisation loses to all three controls in {sum(lost)} of {len(lost)} rows.",
    ]
    print("\n".join(lines))
    if options.table:
        write_section("Sums of low rank", "python benchmarks/low_rank.py --table", lines)


if __name__ == "__main__":
    main()
