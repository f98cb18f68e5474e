"""Count what unrolled kernels are made of, beside the plain form: the SPN files of the shared data, and digits.

`--compile` also compiles every kernel and compares 1,000 records with the reference, bit for bit (minutes for digits).
PCEDGE_SHARED_DATA names the folder of the data; otherwise it is ../shared/data.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from results import table, write_section

from pcedge.arrays import IntArray
from pcedge.engines.reference import ReferenceEngine
from pcedge.export import load_zoo, write_unrolled
from pcedge.export.unrolled.adders import AdderGraph, _plain_terms, plain, shared, spanning, through_da4ml
from pcedge.export.unrolled.kernel import unroll
from pcedge.export.unrolled.project import results
from pcedge.importers import import_circuit
from pcedge.integer import IntegerCircuit
from pcedge.integer.circuit import IntegerSum
from pcedge.quantize import quantize
from pcedge.simulate.unrolled import UnrolledCsim

SHARED = Path(os.environ.get("PCEDGE_SHARED_DATA") or Path(__file__).parents[1] / "../shared/data").resolve()

FILES = ("NIPS5", "NIPS10", "NIPS20", "NIPS80", "NLTCS_200")

RECORDS = 1000


def circuits() -> dict[str, IntegerCircuit]:
    """Read the circuits, at the default widths (W8 L12 A16)."""
    found = {name: quantize(import_circuit(SHARED / f"spn/{name}.spn").circuit) for name in FILES}
    return found | {"digits": load_zoo("digits")}


def matrices(circuit: IntegerCircuit) -> list[IntArray]:
    """Give every sum layer's weights, dense."""
    found = []
    for layer in circuit.layers:
        if isinstance(layer, IntegerSum):
            weights = layer.weights
            found.append(np.asarray(weights if isinstance(weights, np.ndarray) else weights.toarray(), dtype=np.int64))
    return found


def by_way(circuit: IntegerCircuit) -> list[int]:
    """Count the adders of all sum layers, none of them folded, by each way of making them."""

    def top(matrix: IntArray) -> list[int]:
        return [(1 << circuit.state_bits) - 1] * matrix.shape[1]

    def count(make: object) -> int:
        graphs: list[AdderGraph] = [make(matrix) for matrix in matrices(circuit)]  # type: ignore[operator]
        return sum(len(graph.adds) for graph in graphs)

    return [
        count(plain),
        count(lambda matrix: spanning(matrix, _plain_terms)),
        count(lambda matrix: through_da4ml(matrix, top(matrix))),
        count(lambda matrix: shared(matrix, top(matrix))),
    ]


def compiled(name: str, circuit: IntegerCircuit) -> str:
    """Compile a kernel and compare records, a third of whose symbols are missing in one half."""
    engine = ReferenceEngine(circuit)
    rng = np.random.default_rng(0)
    records = rng.integers(0, circuit.cardinalities, (RECORDS, len(circuit.cardinalities)))
    records[RECORDS // 2 :][rng.random((RECORDS - RECORDS // 2, records.shape[1])) < 1 / 3] = -1
    with tempfile.TemporaryDirectory() as scratch:
        csim = UnrolledCsim(write_unrolled(circuit, Path(scratch) / name))
        start = time.perf_counter()
        csim.compile()
        seconds = time.perf_counter() - start
        wrong = int((csim.run(records) != results(engine, records)).any(axis=1).sum())
    return f"{wrong} of {RECORDS}; {seconds:.0f} s"


def main() -> None:
    """Write both tables."""
    with_csim = "--compile" in sys.argv[1:]
    ways, kernels = [], []
    for name, circuit in circuits().items():
        plain_form, tree, da, best = by_way(circuit)
        weights = sum(int(np.count_nonzero(m & (m - 1))) for m in matrices(circuit))
        saved = 1 - best / plain_form if plain_form else 0.0
        row = [name, str(weights), str(plain_form), str(tree), str(da), str(best), f"{saved:.0%}"]
        ways.append(row)
        print(*row, flush=True)
        kernel = unroll(circuit, "shared")
        counts = kernel.counts
        saved = 1 - counts.adders / counts.plain_adders if counts.plain_adders else 0.0
        row = [
            name, f"{kernel.edges:,}", str(counts.plain_adders), str(counts.left_adders), str(counts.adders),
            f"{saved:.0%}", f"{counts.adder_bits:,}", f"{counts.plain_products} → {counts.multipliers}",
            f"{counts.tables}, {counts.table_bits / 1000:.0f} kbit",
        ]  # fmt: skip
        if with_csim:
            row.append(compiled(name, circuit))
        kernels.append(row)
        print(*row, flush=True)
    columns = [
        "circuit", "edges", "plain adders", "left after tables", "adders", "saved", "bits of adders",
        "multipliers: schedule → kernel", "tables",
    ]  # fmt: skip
    if with_csim:
        columns.append("records that differ from the reference; compilation")
    write_section(
        "Unrolled kernels",
        "OMP_NUM_THREADS=1 python benchmarks/unrolled.py" + (" --compile" if with_csim else ""),
        [
            "W8 L12 A16. The sums alone, every sum layer of the circuit: multiplications by weights that are no powers "
            "of two, and the adders that replace them. *Plain* is shift-and-add from canonical signed digits, row by "
            "row; *tree* makes rows from near rows; *da4ml* is its solver on each matrix; *best* is what `--adders "
            "shared` takes, matrix by matrix (it also tries the tree before da4ml).",
            "",
            *table(["circuit", "weights multiplied", "plain", "tree", "da4ml", "best", "saved"], ways),
            "",
            "The kernels. Sums that few symbols decide become constant tables; *saved* counts them too. Sums of one "
            "source are one matrix. What synthesis makes of adders, multipliers and "
            "tables is not claimed.",
            "",
            *table(columns, kernels),
        ],
    )


if __name__ == "__main__":
    main()
