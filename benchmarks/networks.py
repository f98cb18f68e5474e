"""Compile Bayesian networks and compare them with pgmpy: python benchmarks/networks.py [NAME ...].

The networks are the BIF files in pgmpy's wheel. Of each are measured: the circuit's log-likelihood
against the product of the tables, as pgmpy holds them, on records sampled from it; probabilities of one variable's
states given others, against pgmpy's variable elimination; and what quantizing by the defaults does to sampled records.
Named networks only print; without names docs/results.md is written.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from results import table, write_section

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit import Circuit, InputLayer, SumLayer, log_likelihood, sample
from pcedge.circuit.layers import parameters_of
from pcedge.circuit.rows import SparseRows
from pcedge.engines import ReferenceEngine
from pcedge.evaluate.statistics import log2_pair
from pcedge.export.engine.costs import estimate_cost
from pcedge.importers import import_circuit
from pcedge.quantize import QuantizationConfig, quantize

NETWORKS = ("asia", "alarm", "hepar2", "win95pts", "hailfinder")
RECORDS, QUERIES, SAMPLED, CODED = 2000, 1000, 5000, 1000
COLUMNS = [
    "network", "variables", "import, s", "layers", "units", "weights and leaf entries",
    "tables: largest difference, nats", "queries", "largest difference", "integers, W 8, L 12", "W 16, L 16",
    "impossible", "float, bits", "integer", "coded", "ROM, kbit", "cycles: likelihood", "encode", "decode",
]  # fmt: skip


def file_of(name: str) -> Path:
    """Find a network's file in pgmpy's wheel."""
    found = importlib.util.find_spec("pgmpy")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("benchmarks/networks.py needs the package pgmpy: pip install pgmpy")
    return Path(found.submodule_search_locations[0]) / "utils" / "example_models" / f"{name}.bif.gz"


def reference(name: str) -> Any:
    """Read a network by pgmpy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pgmpy.readwrite import BIFReader

        model = BIFReader(string=gzip.decompress(file_of(name).read_bytes()).decode()).get_model()
    for given in model.get_cpds():
        given.normalize()  # some files are rounded to 7 digits; the importer divides rows by their sums
    return model


def product_of_tables(model: Any, circuit: Circuit, x: IntArray) -> FloatArray:
    """Multiply pgmpy's tables for every record."""
    assert circuit.grid is not None
    total: FloatArray = np.zeros(len(x))
    for given in model.get_cpds():
        places = []
        for variable in given.variables:
            number = circuit.grid.names.index(variable)
            order = [given.state_names[variable].index(state) for state in circuit.grid.axes[number].states]
            places.append(np.array(order)[x[:, number]])
        with np.errstate(divide="ignore"):
            total += np.log(given.values[tuple(places)])
    return total


def query_differences(model: Any, circuit: Circuit, count: int) -> list[float]:
    """Ask for one variable given 0 to 6 others, of a sampled record, and compare all probabilities with pgmpy's.

    Returns:
        The largest differences: of the float circuit, and of integer circuits of 8 and of 16 weight bits.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pgmpy.inference import VariableElimination

        exact = VariableElimination(model)
    settings = [QuantizationConfig(weight_bits=8, leaf_bits=12), QuantizationConfig(weight_bits=16, leaf_bits=16)]
    engines = [ReferenceEngine(quantize(circuit, setting)) for setting in settings]
    assert circuit.grid is not None
    names, axes = circuit.grid.names, circuit.grid.axes
    rng = np.random.default_rng(0)
    worst = np.zeros(1 + len(engines))
    for record in sample(circuit, count, seed=3):
        asked, *known = rng.permutation(len(names))[: 1 + rng.integers(0, min(7, len(names)))].tolist()
        given = {names[variable]: axes[variable].states[record[variable]] for variable in known}
        answer = exact.query([names[asked]], evidence=given, show_progress=False)
        order = [answer.state_names[names[asked]].index(state) for state in axes[asked].states]
        queries = np.full((axes[asked].symbols, len(names)), -1)
        queries[:, known] = record[known]
        queries[:, asked] = np.arange(axes[asked].symbols)
        logs = [log_likelihood(circuit, queries) / np.log(2)]
        for engine in engines:
            mantissa, exponent = engine.likelihood(queries)
            with np.errstate(divide="ignore"):
                logs.append(np.log2(mantissa) + exponent)
        for place, bits in enumerate(logs):
            found = np.exp2(bits - bits.max())
            worst[place] = max(worst[place], np.abs(found / found.sum() - answer.values[order]).max())
    return worst.tolist()


def size(circuit: Circuit) -> int:
    """Count positive weights, and leaf probabilities."""
    total = 0
    for layer in circuit.layers:
        if isinstance(layer, SumLayer) and isinstance(layer.weights, SparseRows):
            total += layer.weights.values.size
        elif isinstance(layer, SumLayer | InputLayer):
            total += int(np.count_nonzero(parameters_of(layer)))
    return total


def measure(name: str, queries: int) -> list[str]:
    """Give a row of the table."""
    start = time.perf_counter()
    circuit = import_circuit(file_of(name)).circuit
    seconds = time.perf_counter() - start
    model = reference(name)
    x = sample(circuit, RECORDS, seed=1)
    tables = float(np.abs(log_likelihood(circuit, x) - product_of_tables(model, circuit, x)).max())
    answers = query_differences(model, circuit, queries)
    integers = quantize(circuit)
    engine = ReferenceEngine(integers)
    drawn = sample(circuit, SAMPLED, seed=2)
    floats, mine = log2_pair(circuit, engine, drawn)
    possible = np.isfinite(mine)
    low, high = engine.intervals(drawn[:CODED])
    coded = float((integers.scale_bits - np.log2(high - low)).sum(axis=1).mean())
    cost = estimate_cost(integers)
    cycles = [f"{cost.jobs[job].cycles_per_record:,.0f}" for job in ("likelihood", "encode", "decode")]
    return [
        name, str(len(circuit.cardinalities)), f"{seconds:.2f}", str(len(circuit.layers)),
        f"{sum(shape.units for shape in circuit.shapes):,}", f"{size(circuit):,}", f"{tables:.1e}", str(queries),
        *(f"{answer:.1e}" for answer in answers), f"{int((~possible).sum())} of {SAMPLED:,}", f"{-floats.mean():.4f}",
        f"{-mine[possible].mean():.4f}", f"{coded + floats[:CODED].mean():+.4f}",
        f"{cost.memory_bits['rom'] / 1000:.1f}", *cycles,
    ]  # fmt: skip


def main() -> None:
    """Measure the networks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--queries", type=int, default=QUERIES, help="Queries of each network.  [default: %(default)s]")
    given = parser.parse_args()
    rows = []
    for name in given.names or NETWORKS:
        rows.append(measure(name, given.queries))
        print(" | ".join(rows[-1]), flush=True)
    lines = [
        "BIF files of pgmpy's wheel, as `pcedge import` and `pcedge quantize` make circuits of them without options. "
        f"*Tables*: log-likelihood of {RECORDS:,} sampled records against the product of the tables that pgmpy read, "
        "their rows divided by their sums (alarm and hepar2 are rounded to 7 digits). *Queries*: the probabilities of "
        "all states of a variable given up to six others, against pgmpy's variable elimination, with the largest "
        "difference of the float circuit, of integers with weights of 8 and leaves of 12 bits, the default, and of 16 "
        "both. *Impossible*: sampled records that the integers give likelihood 0. *Float*, *integer*: mean bits of the "
        f"{SAMPLED:,} records; *coded*: what the coding intervals of the first {CODED:,} take over the float bits. ROM "
        "and cycles a record: `pcedge estimate`, one multiply-accumulate a cycle.",
        "", *table(COLUMNS, rows),
    ]  # fmt: skip
    print("\n".join(lines))
    if not given.names:
        write_section("Bayesian networks", "python benchmarks/networks.py", lines)


if __name__ == "__main__":
    main()
