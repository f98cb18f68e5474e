"""Make and measure the shipped circuits: python benchmarks/make_zoo.py [--measure] [NAME=FILE ...].

NAME=FLOAT.pcedge quantizes a float circuit, NAME=MODEL.onnx takes an integer circuit as it is; either is written to
pcedge/data/zoo/NAME.onnx and measured. `--measure` leaves the files alone: it measures those that are named, or all
whose data are at hand; NAME=FLOAT.pcedge then names the float circuit that an integer one was made of. digits=digits
names the shipped float circuit. Figures are of the whole test set, in pcedge/data/zoo/zoo.json. Data: those of
learning.py and telemetry.py. A circuit is added by an entry of ENTRIES here; several may be of one data set.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import learning
import telemetry

from pcedge.circuit import Circuit, load_circuit, log_likelihood
from pcedge.codec import encode
from pcedge.compress import share_leaves
from pcedge.data import Splits, load_data
from pcedge.errors import DataError
from pcedge.evaluate.statistics import interval_bits
from pcedge.export import load_zoo, read_onnx, to_onnx, zoo
from pcedge.files import is_safetensors
from pcedge.integer import IntegerCircuit
from pcedge.learn import LearnConfig, count_flows
from pcedge.native import open_engine
from pcedge.quantize import quantize

FOLDER = Path(__file__).resolve().parent.parent / "pcedge" / "data" / "zoo"
#: S of the measured files
LANES = 8
#: records that are measured at a time, which bounds the memory of their intervals
BLOCK = 1024


@dataclass(frozen=True)
class Set:
    """Hold the data that circuits of the zoo are of."""

    data: str
    source: str
    #: records of the whole test set
    records: int
    load: Callable[[], Splits]


@dataclass(frozen=True)
class Entry:
    """Hold what a shipped circuit is of, and what makes it."""

    set: Set
    command: str
    #: leaf tables that all leaves share, so that the file is small; None leaves them as they are
    tables: int | None = None


DIGITS = Set(
    "digits, 8×8 pixels", "UCI Optical Recognition of Handwritten Digits, Alpaydin and Kaynak 1998, CC BY 4.0",
    360, lambda: load_data("digits"),
)  # fmt: skip
MNIST = Set("MNIST, 28×28 pixels", "MNIST, LeCun, Cortes and Burges", 10_000, lambda: learning.load("mnist"))
NLTCS = Set(
    "NLTCS, 16 binary answers", "National Long Term Care Survey, as prepared by Lowd and Davis 2010",
    3_236, lambda: learning.load("nltcs"),
)  # fmt: skip
SHUTTLE = Set(
    "Shuttle telemetry, 9 sensors, int16", "UCI Statlog (Shuttle), NASA, CC BY 4.0", 9_819, telemetry.load_shuttle
)

ENTRIES = {
    "digits": Entry(DIGITS, "python benchmarks/train_digits.py"),
    "mnist-16": Entry(MNIST, "python benchmarks/learning.py mnist-16 --device cuda --out FOLDER", tables=256),
    "mnist-400": Entry(
        MNIST, "python benchmarks/mnist_curve.py make mnist-400 --device cuda --folder FOLDER", tables=32
    ),
    "mnist-600": Entry(
        MNIST, "python benchmarks/mnist_curve.py make mnist-600 --device cuda --folder FOLDER", tables=32
    ),
    "mnist-850": Entry(
        MNIST, "python benchmarks/mnist_curve.py make mnist-850 --device cuda --folder FOLDER", tables=48
    ),
    "mnist-1750": Entry(
        MNIST, "python benchmarks/mnist_curve.py make mnist-1750 --device cuda --folder FOLDER", tables=64
    ),
    "nltcs": Entry(NLTCS, "python benchmarks/learning.py nltcs-32 --out FOLDER"),
    "shuttle": Entry(SHUTTLE, "python benchmarks/telemetry.py shuttle-16 --keep FOLDER"),
}


def shared(name: str, circuit: Circuit) -> Circuit:
    """Give the float circuit that is quantized: with shared leaf tables where the entry says so."""
    entry = ENTRIES[name]
    if entry.tables is None:
        return circuit
    train = entry.set.load().train
    train = train.reshape(len(train), -1)[:: max(1, len(train) // 10_000)]
    return share_leaves(circuit, count_flows(circuit, train, LearnConfig(dtype="float32")), entry.tables)


def described(name: str, model: IntegerCircuit) -> dict[str, Any]:
    """Say what the file of a circuit holds."""
    entry = ENTRIES[name]
    return {
        "data": entry.set.data, "source": entry.set.source, "command": entry.command, "variables": len(model.order),
        "symbols": max(model.cardinalities), "states": max(shape.units for shape in model.shapes),
        "bytes": (FOLDER / f"{name}.onnx").stat().st_size, "weight_bits": model.weight_bits,
        "leaf_bits": model.leaf_bits, "state_bits": model.state_bits, "tables": entry.tables,
        "digest": model.digest.hex(),
    }  # fmt: skip


def measured(name: str, model: IntegerCircuit, circuit: Circuit | None = None) -> dict[str, Any]:
    """Measure a circuit on the whole test set, in bits of a value of the data.

    Args:
        name: of the entry.
        model: the integer circuit.
        circuit: the float circuit that it was made of; without it there is no figure of floats.
    """
    raw = ENTRIES[name].set.load().test
    assert raw is not None and len(raw) == ENTRIES[name].set.records
    records = raw.reshape(len(raw), -1) if model.symbolizer is None else model.symbolizer.apply(raw)
    engine = open_engine(model)
    bits = 0.0
    for first in range(0, len(records), BLOCK):
        lo, hi = engine.intervals(records[first : first + BLOCK])
        bits += float(interval_bits(hi - lo, model.scale_bits).sum())
    floats = None if circuit is None else float(-log_likelihood(circuit, records).sum() / math.log(2) / raw.size)
    return {
        "records": len(raw), "lanes": LANES, "float_bits": floats, "integer_bits": bits / raw.size,
        "file_bits": 8 * len(encode(engine, raw, LANES)) / raw.size,
    }  # fmt: skip


def measure(name: str, circuit: Circuit | None, known: dict[str, Any]) -> dict[str, Any]:
    """Measure a file of the zoo; a figure of floats stays where it is of the same circuit and records."""
    model = load_zoo(name)
    fresh = described(name, model) | measured(name, model, None if circuit is None else shared(name, circuit))
    if circuit is None and (known["digest"], known["records"]) == (fresh["digest"], fresh["records"]):
        fresh["float_bits"] = known["float_bits"]
    return fresh


def make(name: str, source: str) -> dict[str, Any]:
    """Write the file of one circuit, and measure it."""
    path, circuit = FOLDER / f"{name}.onnx", None
    if source == "digits" or is_safetensors(Path(source).read_bytes()[:9]):
        circuit = shared(name, load_circuit(source))
        path.write_bytes(to_onnx(quantize(circuit)).SerializeToString(deterministic=True))
    else:
        path.write_bytes(Path(source).read_bytes())
    model = read_onnx(path)
    return described(name, model) | measured(name, model, circuit)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("circuits", nargs="*", metavar="NAME=FILE", help=", ".join(ENTRIES))
    parser.add_argument("--measure", action="store_true", help="measure the files that are there")
    given = parser.parse_args()
    named = dict(argument.partition("=")[::2] for argument in given.circuits)
    known = zoo()
    if not given.measure and not all(named.values()):
        parser.error("a circuit that is made must come as NAME=FILE")
    if wrong := set(named) - (set(known) if given.measure else set(ENTRIES)):
        parser.error(f"a circuit must be one of {', '.join(ENTRIES)}, got {', '.join(sorted(wrong))}")
    for name, source in (named or dict.fromkeys(known, "")).items():
        try:
            if given.measure:
                known[name] = measure(name, load_circuit(source) if source else None, known[name])
            else:
                known[name] = make(name, source)
        except (telemetry.Missing, DataError, FileNotFoundError) as error:
            if named:
                raise
            print(f"{name} is not measured: {error}", flush=True)
            continue
        print(name, json.dumps(known[name]), flush=True)
        ordered = {key: known[key] for key in ENTRIES if key in known}
        (FOLDER / "zoo.json").write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
