"""Find one wrong value: python benchmarks/explain.py; prints the table of docs/explain.md.

In each test record one value is replaced by another symbol of its variable, both drawn alike; counted is where the
variable stands in the order of the bits that `pcedge.explain` gives. Data: those of make_zoo.py.
"""

from __future__ import annotations

import numpy as np
from make_zoo import ENTRIES
from results import table

import pcedge
from pcedge.export import load_zoo

#: circuit, and the test records that are taken, at most
CIRCUITS = {"digits": 360, "nltcs": 3236, "mnist-16": 1000}


def planted(name: str, seed: int = 0) -> list[str]:
    """Plant one wrong value a record; give the row of a circuit."""
    circuit, generator = load_zoo(name), np.random.default_rng(seed)
    test = ENTRIES[name].set.load().test
    assert test is not None
    x = test[: CIRCUITS[name]].reshape(-1, len(circuit.order)).astype(np.int64)
    rows = np.arange(len(x))
    wrong = generator.integers(0, x.shape[1], len(x))
    sizes = np.array(circuit.cardinalities)[wrong]
    x[rows, wrong] = (x[rows, wrong] + generator.integers(1, sizes)) % sizes
    found = pcedge.explain(circuit, x, range(len(x)))
    assert found.given_others is not None
    cells = []
    for bits in (found.shares, found.given_others):
        rank = (bits > bits[rows, wrong][:, None]).sum(axis=1)
        cells += [f"{100 * (rank < places).mean():.0f} %" for places in (1, 5)]
    return [name, f"{len(x):,}", str(x.shape[1]), *cells]


if __name__ == "__main__":
    headings = ["circuit", "records", "variables", "share: first", "first five", "given others: first", "first five"]
    print("\n".join(table(headings, [planted(name) for name in CIRCUITS])))
