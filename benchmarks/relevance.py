"""Measure pruning by the flows of few records, without refit: python benchmarks/relevance.py [--table].

The circuits are `digits` and hidden Chow-Liu trees of 8 states on nltcs and jester, trained here. Data: PCEDGE_DATA
(default ../shared/data). `--table` writes the section of docs/results.md.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from results import table, write_section

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit import Circuit, load_circuit
from pcedge.circuit.layers import SumLayer
from pcedge.circuit.rows import float_entries
from pcedge.compress import prune
from pcedge.compress.passes import count_weights
from pcedge.data import load_data
from pcedge.learn import LearnConfig, count_flows, evaluate, fit

DATA = Path(os.environ.get("PCEDGE_DATA", Path(__file__).resolve().parent.parent.parent / "shared" / "data")) / "debd"
#: records whose flows are counted, how often they are drawn, and the share of edges that is dropped
COUNTS, DRAWS, SHARE = (10, 100, 1000), 5, 0.5
#: records' worth of flow that every edge has by its weight alone, so that edges which no record passes are in order
PRIOR = 0.01


def sets() -> Iterator[tuple[str, Circuit, IntArray, IntArray]]:
    """Give every set's name, circuit, train and test records."""
    splits = load_data("digits")
    assert splits.test is not None
    train, test = (part.reshape(len(part), -1).astype(np.int64) for part in (splits.train, splits.test))
    yield "digits", load_circuit("digits"), train, test
    for name in ("nltcs", "jester"):
        splits = load_data(DATA / f"{name}.npz")
        assert splits.test is not None
        circuit = fit(splits, LearnConfig(latents=8, iterations=100))
        yield name, circuit, splits.train.astype(np.int64), splits.test.astype(np.int64)


def bits(circuit: Circuit, records: IntArray) -> float:
    return float(-evaluate(circuit, records).mean() / math.log(2) / records.shape[1])


def by_weight(circuit: Circuit) -> list[FloatArray | None]:
    """Give every edge its weight for a flow: what pruning by the size of weights looks at."""
    return [float_entries(layer.weights) if isinstance(layer, SumLayer) else None for layer in circuit.layers]


def flows_of(circuit: Circuit, records: IntArray) -> list[FloatArray | None]:
    """Count the flows of records, and add a little of every weight."""
    added: list[FloatArray | None] = []
    for flow, weight in zip(count_flows(circuit, records), by_weight(circuit), strict=True):
        added.append(flow if flow is None or weight is None else flow + PRIOR * weight)
    return added


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true", help="write the section of docs/results.md")
    options = parser.parse_args()
    rows = []
    worst = 0.0
    for name, circuit, train, test in sets():
        whole = bits(circuit, test)

        def lost(flows: list[FloatArray | None], circuit: Circuit = circuit, test: IntArray = test) -> float:
            return bits(prune(circuit, flows, SHARE).circuit, test)

        left = count_weights(prune(circuit, flows_of(circuit, train), SHARE).circuit)
        every = lost(flows_of(circuit, train))
        cells = []
        for count in COUNTS:
            draws = [
                lost(flows_of(circuit, train[np.random.default_rng([draw, count]).permutation(len(train))[:count]]))
                for draw in range(DRAWS)
            ]
            cells.append(f"{np.mean(draws) - whole:+.4f} ({min(draws) - whole:+.4f} to {max(draws) - whole:+.4f})")
            if count == 100:
                worst = max(worst, max(draws) - every)
        rows.append([
            name, f"{count_weights(circuit):,} → {left:,}", f"{whole:.4f}", f"{lost(by_weight(circuit)) - whole:+.4f}",
            *cells, f"{every - whole:+.4f}",
        ])  # fmt: skip
        print(rows[-1], flush=True)
    lines = [
        f"How many records the flows of `prune` need: {SHARE:.0%} of the edges are dropped, the rows are normalised "
        "again, and nothing is trained. Bits a variable of the test split that are lost; mean of "
        f"{DRAWS} draws of train records, and their least and most. By weight: the smallest weights go, no record is "
        "looked at. After Yeom et al., “Pruning by explaining” (2021), whose relevance is the flow of a circuit: a few "
        "reference samples are enough there too.",
        "",
        *table(
            ["circuit", "edges", "test", "by weight", *(f"{count:,} records" for count in COUNTS), "all records"], rows
        ),
        "",
        f"The flows of 100 records lose at most {worst:.4f} bits more than those of all.",
    ]
    print("\n".join(lines))
    if options.table:
        write_section("Pruning by the flows of few records", "python benchmarks/relevance.py --table", lines)


if __name__ == "__main__":
    main()
