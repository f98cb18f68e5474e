"""Measure the engine: python benchmarks/engine.py --model m.onnx [--images 104]; --table writes it.

The model is `pcedge zoo mnist-16`. Data: PCEDGE_DATA (default ../shared/data).
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

from pcedge.coder import Engine
from pcedge.coder.codec import encode_lanes
from pcedge.data import load_array
from pcedge.export import read_onnx, write_project
from pcedge.export.cycles import JOBS, Shape, count_cycles, default_search_bits
from pcedge.simulate.engine import EngineCsim

HERE = Path(__file__).resolve().parent
FIGURES = HERE / "engine.json"
DATA = Path(os.environ.get("PCEDGE_DATA", HERE.parent.parent / "shared" / "data")) / "mnist"
MACS, STREAMS = (1, 16, 64, 128), (1, 4, 8)


def measure(model: Path, images: int, masks: int, sizes: list[int]) -> dict[str, object]:
    """Compare every job with the reference, and model cycles with simulated ones."""
    circuit = read_onnx(model)
    shape = Shape(*sizes) if len(sizes) > 2 else Shape(*sizes, default_search_bits(circuit, sizes[0]))
    every = np.asarray(load_array(DATA / "t10k-images-idx3-ubyte.gz")).reshape(-1, 784).astype(np.int64)
    records = every[:images]
    engine = Engine(circuit)
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
            masked = np.where(rng.random((masks, 784)) < rng.random((masks, 1)), -1, every[:masks])
            marginals = all(map(np.array_equal, device.likelihood(masked), engine.likelihood(masked)))
    counted = {job: count_cycles(circuit, shape, job, len(records)) for job in JOBS}
    return {
        "macs": shape.macs, "streams": shape.streams, "search_bits": shape.search_bits, "images": len(records),
        "equal": bool(equal), "masks": masks, "marginals_equal": bool(marginals),
        "model_equals_simulation": counted == simulated,
        "cycles_per_symbol": {job: simulated[job] / records.size for job in JOBS},
        "multipliers": shape.multipliers, "compile_seconds": compiling, "images_per_second": speed,
    }  # fmt: skip


def write_table() -> None:
    rows = []
    for figure in json.loads(FIGURES.read_text()).values():
        cycles = figure["cycles_per_symbol"]
        rows.append([
            str(figure["macs"]), str(figure["streams"]), str(figure["search_bits"]), f"**{cycles['encode']:.2f}**",
            f"{cycles['decode']:.2f}", f"{cycles['decode'] / cycles['encode']:.2f}", f"{cycles['likelihood']:.2f}",
            "yes" if figure["equal"] and figure["marginals_equal"] else "NO",
            "yes" if figure["model_equals_simulation"] else "NO",
            " + ".join(str(count) for count in figure["multipliers"].values()),
            f"{figure['images_per_second']:.0f}", f"{figure['compile_seconds']:.0f} s",
        ])  # fmt: skip
    images = min(figure["images"] for figure in json.loads(FIGURES.read_text()).values())
    masks = ", ".join(sorted({str(figure["masks"]) for figure in json.loads(FIGURES.read_text()).values()}, key=int))
    lines = [
        f"The 16-state MNIST circuit of the zoo, {images} test images: cycles a symbol, with loading and draining. "
        "*Equal*: all bytes, symbols and probabilities are the reference's, and the marginals of so many random masks: "
        f"{masks}; *cycles*: the model's are C simulation's. "
        "Multipliers of the matrix-vector unit + vector steps + intervals. *Images/s* of C simulation, encoding.",
        "",
        *table(
            [
                "macs", "streams", "search bits", "encode", "decode", "decode / encode", "likelihood", "equal",
                "cycles", "multipliers", "images/s", "compile",
            ],
            rows,
        ),
    ]  # fmt: skip
    write_section("Engine", "python benchmarks/engine.py --table", lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="an integer circuit of MNIST")
    parser.add_argument("--images", type=int, default=104)
    parser.add_argument("--masks", type=int, default=104, help="random masks whose marginals are compared")
    parser.add_argument("--sizes", help="MACSxSTREAMS[xSEARCH_BITS],…; default all of 1, 16, 64, 128 times 1, 4, 8")
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    if given.model is not None:
        every = ",".join(f"{macs}x{streams}" for macs in MACS for streams in STREAMS)
        for size in (given.sizes or every).split(","):
            figure = measure(given.model, given.images, given.masks, [int(part) for part in size.split("x")])
            known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
            FIGURES.write_text(json.dumps(known | {size: figure}, indent=1) + "\n")
            print(size, json.dumps(figure), flush=True)
    if given.table:
        write_table()


if __name__ == "__main__":
    main()
