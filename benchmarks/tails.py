"""Measure what tails do to likelihoods: python benchmarks/tails.py CIRCUIT DATA [CIRCUIT DATA …].

CIRCUIT is a float circuit, `digits`, or a file that `pcedge import` reads; DATA a data file, or `sample` for records
that the circuit draws. The records are told from the same with every column permuted.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from results import table

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit import Circuit, load_circuit, sample
from pcedge.data import load_data
from pcedge.engines import ReferenceEngine
from pcedge.evaluate.roc import auroc
from pcedge.evaluate.statistics import log2_pair
from pcedge.importers import import_circuit
from pcedge.quantize import QuantizationConfig, quantize

#: records that are measured, the first of the test split
RECORDS = 3000


def circuit_of(name: str) -> Circuit:
    """Load or import a circuit."""
    path = Path(name)
    vtree = path.parent / f"{path.name.partition('.')[0]}.vtree"
    if ".psdd" in path.name:
        return import_circuit(path, vtree=vtree).circuit
    return load_circuit(name) if path.suffix == ".pcedge" or not path.exists() else import_circuit(path).circuit


def records_of(circuit: Circuit, name: str) -> IntArray:
    """Load the test records of a set as symbols, at most RECORDS."""
    if name == "sample":
        return sample(circuit, RECORDS, seed=0)
    splits = load_data(name)
    test = splits.train if splits.test is None else splits.test
    symbols = test if circuit.symbolizer is None else circuit.symbolizer.apply(test)
    return symbols.reshape(len(symbols), -1).astype(np.int64)[:RECORDS]


def code_bits(engine: ReferenceEngine, x: IntArray) -> float | None:
    """Measure the coding intervals in bits a symbol; None where the numpy reference alone codes, which takes long."""
    if not engine.circuit.structured:
        return None
    lo, hi = engine.intervals(x)
    return float(engine.circuit.scale_bits - np.log2(hi - lo).mean())


def measure(name: str, data: str) -> list[str]:
    """Give a row of the table."""
    circuit = circuit_of(name)
    x = records_of(circuit, data)
    rng = np.random.default_rng(0)
    others = np.stack([rng.permutation(column) for column in x.T], axis=1)
    areas: list[float] = []
    floats: FloatArray = np.zeros(0)
    likelihoods, codes = [], []
    for tails in (False, True):
        engine = ReferenceEngine(quantize(circuit, QuantizationConfig(tails=tails)))
        (floats, mine), (float_others, strange) = (log2_pair(circuit, engine, part) for part in (x, others))
        areas += [auroc(floats, float_others), auroc(mine, strange)]
        likelihoods.append(mine)
        codes.append(code_bits(engine, x))
    before, after = likelihoods
    possible, alive = np.isfinite(before), np.isfinite(floats)
    more = "" if codes[0] is None or codes[1] is None else f"{codes[1] - codes[0]:+.4f}"
    return [
        Path(name).name.partition(".")[0], f"{len(x):,}", str(int((~possible & alive).sum())),
        str(int((~np.isfinite(after) & alive).sum())), f"{-floats[alive].mean():.3f}",
        f"{-(after - floats)[alive].mean():+.3f}", more, *(f"{areas[index]:.4f}" for index in (0, 1, 3)),
    ]  # fmt: skip


def main() -> None:
    """Measure every circuit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="CIRCUIT DATA")
    names = parser.parse_args().files
    header = ["circuit", "records", "impossible before", "after", "float bits", "integer bits over these",
              "code bits a symbol over before", "AUROC float", "before", "after"]  # fmt: skip
    print("\n".join(table(header, [measure(*pair) for pair in zip(names[::2], names[1::2], strict=True)])))


if __name__ == "__main__":
    main()
