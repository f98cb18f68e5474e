"""Make the shipped circuits: python benchmarks/make_zoo.py NAME=FLOAT.pcedge... (digits needs no file).

Quantizes a float circuit, writes pcedge/data/zoo/NAME.onnx, and measures it on its test data into zoo.json.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from learning import load
from telemetry import RUNS as SENSORS

from pcedge.circuit import Circuit, load_circuit
from pcedge.codec import encode
from pcedge.compress import share_leaves
from pcedge.data import Splits, load_data
from pcedge.engines import ReferenceEngine
from pcedge.export import to_onnx
from pcedge.learn import LearnConfig, count_flows, evaluate
from pcedge.quantize import quantize

FOLDER = Path(__file__).resolve().parent.parent / "pcedge" / "data" / "zoo"
#: S of the measured files, and the test records that are measured at most
LANES, RECORDS = 8, 2000


@dataclass(frozen=True)
class Entry:
    """Hold what a shipped circuit is of."""

    data: str
    source: str
    command: str
    load: Callable[[], Splits]
    #: leaf tables that all leaves share, so that the file is small; None leaves them as they are
    tables: int | None = None


ENTRIES = {
    "digits": Entry(
        "digits, 8×8 pixels", "UCI Optical Recognition of Handwritten Digits, Alpaydin and Kaynak 1998, CC BY 4.0",
        "python benchmarks/train_digits.py", lambda: load_data("digits"),
    ),
    "mnist-16": Entry(
        "MNIST, 28×28 pixels", "MNIST, LeCun, Cortes and Burges",
        "python benchmarks/learning.py mnist-16 --device cuda --out FOLDER", lambda: load("mnist"), tables=256,
    ),
    "nltcs": Entry(
        "NLTCS, 16 binary answers", "National Long Term Care Survey, as prepared by Lowd and Davis 2010",
        "python benchmarks/learning.py nltcs-32 --out FOLDER", lambda: load("nltcs"),
    ),
    "shuttle": Entry(
        "Shuttle telemetry, 9 sensors, int16", "UCI Statlog (Shuttle), NASA, CC BY 4.0",
        "python benchmarks/telemetry.py shuttle-16 --keep FOLDER", lambda: SENSORS["shuttle-16"].load(),
    ),
}  # fmt: skip


def make(name: str, circuit: Circuit) -> dict[str, Any]:
    """Write one circuit and measure it."""
    entry = ENTRIES[name]
    splits = entry.load()
    assert splits.test is not None
    config = LearnConfig(dtype="float32")
    if entry.tables is not None:
        train = splits.train.reshape(len(splits.train), -1)
        flows = count_flows(circuit, train[:: max(1, len(train) // 10_000)], config)
        circuit = share_leaves(circuit, flows, entry.tables)
    model = quantize(circuit)
    path = FOLDER / f"{name}.onnx"
    path.write_bytes(to_onnx(model).SerializeToString(deterministic=True))
    engine = ReferenceEngine(model)
    raw = splits.test[:RECORDS] if circuit.symbolizer is None else splits.test
    records = raw.reshape(len(raw), -1) if circuit.symbolizer is None else circuit.symbolizer.apply(raw)
    lo, hi = engine.intervals(records)
    shares = np.log2(hi - lo) - model.scale_bits
    packed = encode(engine, raw, LANES)
    return {
        "data": entry.data, "source": entry.source, "command": entry.command, "variables": len(model.order),
        "symbols": max(model.cardinalities), "states": max(shape.units for shape in model.shapes),
        "bytes": path.stat().st_size, "weight_bits": model.weight_bits, "leaf_bits": model.leaf_bits,
        "state_bits": model.state_bits, "tables": entry.tables, "digest": model.digest.hex(), "records": len(raw),
        "lanes": LANES, "float_bits": float(-evaluate(circuit, records).sum() / math.log(2) / raw.size),
        "integer_bits": float(-shares.sum() / raw.size), "file_bits": 8 * len(packed) / raw.size,
    }  # fmt: skip


def main() -> None:
    given = dict(argument.split("=", 1) for argument in sys.argv[1:]) or {"digits": "digits"}
    path = FOLDER / "zoo.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    for name, source in given.items():
        known[name] = make(name, load_circuit(source))
        print(name, json.dumps(known[name]), flush=True)
        ordered = {key: known[key] for key in ENTRIES if key in known}
        path.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
