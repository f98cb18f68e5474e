"""Measure the engine: python benchmarks/engine.py --model m.onnx, and --digits; --table writes what was measured.

The model is a circuit of MNIST; that of the table is the one which `pcedge zoo` names `mnist-16`. Data: PCEDGE_DATA
(default ../shared/data). With --digits it is the digits circuit at W 8, L 12, A 16, and all held-out digits.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from results import table, write_section

from pcedge.arrays import IntArray
from pcedge.circuit import load_circuit
from pcedge.data import load_array, load_data
from pcedge.drivers.size import EngineSize, default_search_bits
from pcedge.engines import ReferenceEngine
from pcedge.engines.lanes import encode_lanes
from pcedge.export import read_onnx, write_project
from pcedge.export.engine.cycles import JOBS, count_cycles
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.simulate.parallel import EngineCsim

HERE = Path(__file__).resolve().parent
FIGURES = HERE / "engine.json"
DATA = Path(os.environ.get("PCEDGE_DATA", HERE.parent.parent / "shared" / "data")) / "mnist"
MACS, STREAMS = (1, 16, 64, 128), (1, 4, 8)


def mnist(model: Path, images: int, masks: int) -> tuple[IntegerCircuit, IntArray, IntArray]:
    """Read the circuit, the images that are coded, and those that are masked."""
    every = np.asarray(load_array(DATA / "t10k-images-idx3-ubyte.gz")).reshape(-1, 784).astype(np.int64)
    return read_onnx(model), every[:images], every[:masks]


def digits() -> tuple[IntegerCircuit, IntArray, IntArray]:
    """Make the circuit; all held-out digits are coded, and masked."""
    test = load_data("digits").test
    records = test.reshape(len(test), -1).astype(np.int64)
    return quantize(load_circuit("digits"), QuantizationConfig(8, 12, 16)), records, np.tile(records, (3, 1))[:1000]


def measure(circuit: IntegerCircuit, records: IntArray, masked: IntArray, sizes: list[int]) -> dict[str, object]:
    """Compare every job with the reference, and model cycles with simulated ones."""
    shape = EngineSize(*sizes) if len(sizes) > 2 else EngineSize(*sizes, default_search_bits(circuit, sizes[0]))
    engine = ReferenceEngine(circuit)
    coded = encode_lanes(engine, records, shape.streams)
    with tempfile.TemporaryDirectory() as scratch:
        csim = EngineCsim(write_project(circuit, Path(scratch) / "p", records=records[:1], shape=shape))
        start = time.perf_counter()
        _ = csim.executable
        compiling = time.perf_counter() - start
        simulated = {}
        with csim.device() as device:
            equal = all(map(np.array_equal, device.likelihood(records), engine.likelihood(records)))
            simulated["likelihood"] = device.cycles
            start = time.perf_counter()
            equal &= device.encode_lanes(records, shape.streams) == coded
            speed = len(records) / (time.perf_counter() - start)
            simulated["encode"] = device.cycles
            equal &= np.array_equal(device.decode_lanes(coded, len(records)), records)
            simulated["decode"] = device.cycles
            # Every mask observes its own share of the symbols.
            rng = np.random.default_rng(0)
            masked = np.where(rng.random(masked.shape) < rng.random((len(masked), 1)), -1, masked)
            marginals = all(map(np.array_equal, device.likelihood(masked), engine.likelihood(masked)))
    counted = {job: count_cycles(circuit, shape, job, len(records)) for job in JOBS}
    return {
        "macs": shape.macs, "streams": shape.streams, "search_bits": shape.search_bits, "images": len(records),
        "equal": bool(equal), "masks": len(masked), "marginals_equal": bool(marginals),
        "model_equals_simulation": counted == simulated,
        "cycles_per_symbol": {job: simulated[job] / records.size for job in JOBS},
        "multipliers": shape.multipliers, "compile_seconds": compiling, "images_per_second": speed,
    }  # fmt: skip


def write_table() -> None:
    """Write what was measured into docs/results.md."""
    lines = [
        "Cycles a symbol, with loading and draining. *Equal*: bytes, symbols and probabilities are the reference's, "
        "and the marginals of so many random masks; *cycles*: the model's are C simulation's. Multipliers of the "
        "matrix-vector unit + vector steps + intervals. *Images/s* of C simulation, encoding, beside other work. "
        "Cycles are not all: docs/engine.md, section Resources, says what a size takes of a device.",
    ]
    names = {"mnist": "the 16-state MNIST circuit of the zoo, test images", "digits": "digits, all that were held out"}
    for data, figures in json.loads(FIGURES.read_text()).items():
        rows = []
        for _, figure in sorted(figures.items(), key=lambda pair: (pair[1]["macs"], pair[1]["streams"])):
            cycles = figure["cycles_per_symbol"]
            equal = figure["equal"] and figure["marginals_equal"]
            rows.append([
                str(figure["macs"]), str(figure["streams"]), str(figure["search_bits"]), f"**{cycles['encode']:.2f}**",
                f"{cycles['decode']:.2f}", f"{cycles['decode'] / cycles['encode']:.2f}", f"{cycles['likelihood']:.2f}",
                f"{figure['images']}, {figure['masks']} masks" if equal else "NO",
                "equal" if figure["model_equals_simulation"] else "NO",
                " + ".join(str(count) for count in figure["multipliers"].values()),
                f"{figure['images_per_second']:.0f}", f"{figure['compile_seconds']:.0f} s",
            ])  # fmt: skip
        heads = [
            "macs", "streams", "search bits", "encode", "decode", "decode / encode", "likelihood", "equal", "cycles",
            "multipliers", "images/s", "compile",
        ]  # fmt: skip
        lines += ["", f"On {names[data]}:", "", *table(heads, rows)]
    write_section("Engine", "python benchmarks/engine.py --table", lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="an integer circuit of MNIST")
    parser.add_argument("--digits", action="store_true", help="measure the digits circuit")
    parser.add_argument("--images", type=int, default=104)
    parser.add_argument("--masks", type=int, default=104, help="random masks whose marginals are compared")
    parser.add_argument("--sizes", help="MACSxSTREAMS[xSEARCH_BITS],…; default all of 1, 16, 64, 128 times 1, 4, 8")
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    every = ",".join(f"{macs}x{streams}" for macs in MACS for streams in STREAMS)
    for name, wanted in (("mnist", given.model is not None), ("digits", given.digits)):
        for size in (given.sizes or every).split(",") if wanted else ():
            data = digits() if name == "digits" else mnist(given.model, given.images, given.masks)
            figure = measure(*data, [int(part) for part in size.split("x")])
            known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
            known.setdefault(name, {})[size] = figure
            FIGURES.write_text(json.dumps(known, indent=1) + "\n")
            print(name, size, json.dumps(figure), flush=True)
    if given.table:
        write_table()


if __name__ == "__main__":
    main()
