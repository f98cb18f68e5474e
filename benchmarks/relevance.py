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
from pcedge.data import load_data
from pcedge.learn import LearnConfig, count_flows, evaluate, fit

DATA = Path(os.environ.get("PCEDGE_DATA", Path(__file__).resolve().parent.parent.parent / "shared" / "data")) / "debd"
#: how often records are drawn, and the share of edges that is dropped
DRAWS, SHARE = 5, 0.5
#: records' worth of the circuit's own flow that is added to counted ones, so that edges which no record passes are in
#: order
LITTLE = 0.01


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


def own(circuit: Circuit) -> list[FloatArray | None]:
    """Give the flows that the circuit itself expects of a record: those of one that is all missing."""
    return count_flows(circuit, np.full((1, len(circuit.cardinalities)), -1))


def flows_of(circuit: Circuit, records: IntArray, more: float = LITTLE) -> list[FloatArray | None]:
    """Count the flows of records, and add the circuit's own flow of some more."""
    added: list[FloatArray | None] = []
    for flow, expected in zip(count_flows(circuit, records), own(circuit), strict=True):
        added.append(None if flow is None or expected is None else flow + more * expected)
    return added


def left_of(circuit: Circuit) -> int:
    """Count the edges whose weight is above 0; a dense matrix holds dropped ones as zeros."""
    return sum(int((float_entries(layer.weights) > 0).sum()) for layer in circuit.layers if isinstance(layer, SumLayer))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true", help="write the section of docs/results.md")
    options = parser.parse_args()
    rows = []
    worst = [0.0, 0.0, 0.0]
    for name, circuit, train, test in sets():
        whole = bits(circuit, test)

        def lost(flows: list[FloatArray | None], circuit: Circuit = circuit, test: IntArray = test) -> float:
            return bits(prune(circuit, flows, SHARE).circuit, test)

        def drawn(count: int, more: float, circuit: Circuit = circuit, train: IntArray = train) -> list[float]:
            draws = [np.random.default_rng([draw, count]).permutation(len(train))[:count] for draw in range(DRAWS)]
            return [lost(flows_of(circuit, train[chosen], more)) for chosen in draws]

        left = left_of(prune(circuit, flows_of(circuit, train), SHARE).circuit)
        every = lost(flows_of(circuit, train))
        found = [drawn(10, LITTLE), drawn(100, LITTLE), drawn(100, 100.0)]
        worst = [max(before, max(some) - every) for before, some in zip(worst, found, strict=True)]
        ranges = [
            f"{np.mean(some) - whole:+.4f} ({min(some) - whole:+.4f} to {max(some) - whole:+.4f})" for some in found
        ]
        rows.append([
            name, f"{left_of(circuit):,} → {left:,}", f"{whole:.4f}", f"{lost(by_weight(circuit)) - whole:+.4f}",
            f"{lost(own(circuit)) - whole:+.4f}", *ranges, f"{every - whole:+.4f}",
        ])  # fmt: skip
        print(rows[-1], flush=True)
    lines = [
        f"How many records the flows of `prune` need: {SHARE:.0%} of the edges are dropped, the rows are normalised "
        "again, and nothing is trained. Bits a variable of the test split that are lost; of counted records the mean "
        f"of {DRAWS} draws, and the least and the most. By weight: the smallest weights go. Own: the flow that the "
        "circuit expects of a record that nobody has seen (one pass down), no record is looked at. 100 + own: half of "
        "the flow is counted, half is the circuit's own. After Yeom et al., “Pruning by explaining” (2021), whose "
        "relevance is a circuit's flow, and who say that a few reference samples are enough.",
        "",
        *table(
            ["circuit", "edges", "test", "by weight", "own", "10 records", "100 records", "100 + own", "all records"],
            rows,
        ),
        "",
        "Against the flows of all records, the worst draw loses {:.4f} bits more with 10 records, {:.4f} with 100, and "
        "{:.4f} with 100 and the circuit's own flow.".format(*worst),
    ]
    print("\n".join(lines))
    if options.table:
        write_section("Pruning by the flows of few records", "python benchmarks/relevance.py --table", lines)


if __name__ == "__main__":
    main()
