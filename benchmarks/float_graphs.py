"""Float circuits as plain ONNX: how large the graphs are, how fast onnxruntime is, and what differs.

    python -m benchmarks.float_graphs

Prints the table of docs/onnx.md. PSDDs are read from $PCEDGE_SHARED_DATA, and left out where they are not there.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from benchmarks.results import table
from pcedge.circuit import Circuit, InputLayer, ProductLayer, SumLayer, load_circuit, log_likelihood
from pcedge.circuit.layers import Layer
from pcedge.export import float_onnx
from pcedge.importers import import_circuit

RECORDS = 200
COLUMNS = ["circuit", "nodes", "bytes", "loading", f"{RECORDS} records", "`log_likelihood`", "largest difference"]


def hidden_markov(steps: int, states: int, symbols: int) -> Circuit:
    """Draw a hidden Markov model whose tables all steps share."""
    generator = np.random.default_rng(1)
    emissions, moves = (generator.dirichlet(np.ones(size), states) for size in (symbols, states))
    pairs = np.stack([np.arange(states)] * 2, axis=1)
    layers: list[Layer] = [InputLayer(steps - 1, emissions)]
    for step in reversed(range(steps - 1)):
        last = len(layers) - 1
        layers += [InputLayer(step, emissions), SumLayer((last,), moves), ProductLayer((last + 1, last + 2), pairs)]
    layers.append(SumLayer((len(layers) - 1,), generator.dirichlet(np.ones(states))[None]))
    return Circuit(tuple(layers))


def mixture(variables: int, components: int, symbols: int) -> Circuit:
    """Draw a mixture of products, as naive Bayes is."""
    generator = np.random.default_rng(2)
    leaves = [InputLayer(v, generator.dirichlet(np.ones(symbols), components)) for v in range(variables)]
    product = ProductLayer(tuple(range(variables)), np.stack([np.arange(components)] * variables, axis=1))
    return Circuit((*leaves, product, SumLayer((variables,), generator.dirichlet(np.ones(components))[None])))


def row(name: str, circuit: Circuit) -> list[str]:
    """Measure one circuit; the fastest of three runs."""
    import onnxruntime

    model = float_onnx(circuit)
    data = model.SerializeToString()
    inner = [part.g for node in model.graph.node for part in node.attribute if part.name == "then_branch"]
    nodes = f"{len(model.graph.node):,}" + "".join(f" + {len(part.node):,}" for part in inner)
    start = time.perf_counter()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    loading = time.perf_counter() - start
    generator = np.random.default_rng(3)
    x = np.stack([generator.integers(0, symbols, RECORDS) for symbols in circuit.cardinalities], axis=1)
    x[::3] = np.where(generator.random(x[::3].shape) < 0.3, -1, x[::3])
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(3):
        start = time.perf_counter()
        expected = log_likelihood(circuit, x)
        ours.append(time.perf_counter() - start)
        start = time.perf_counter()
        (found,) = session.run(None, {"symbols": x})
        theirs.append(time.perf_counter() - start)
    assert np.array_equal(np.isneginf(found), np.isneginf(expected))
    finite = np.isfinite(expected)
    difference = np.abs(found[finite] - expected[finite]).max()
    seconds = [f"{value:.2f} s" for value in (loading, min(theirs), min(ours))]
    return [name, nodes, f"{len(data):,}", *seconds, f"{difference:.0e}"]


def main() -> None:
    """Print the table."""
    circuits = {
        "digits": load_circuit("digits"),
        "HMM, 128 steps, 16 states, 64 symbols": hidden_markov(128, 16, 64),
        "HMM, 1,000 steps": hidden_markov(1000, 16, 64),
        "mixture of 20, 784 variables": mixture(784, 20, 16),
    }
    shared = Path(os.environ.get("PCEDGE_SHARED_DATA", "../shared/data")) / "psdd"
    for name in ("nltcs.psdd", "plants.psdd"):
        if (path := shared / f"{name}.gz").exists():
            circuits[name] = import_circuit(path).circuit
    print("\n".join(table(COLUMNS, [row(name, circuit) for name, circuit in circuits.items()])))


if __name__ == "__main__":
    main()
