"""Measure quantized circuits against the float one: python benchmarks/quantization.py SETTING... ; --table writes it.

A setting is described in quantization.toml, and its figures go to quantization.json. The circuit is that of
`benchmarks/learning.py mnist-16 --out DIR`. Data: PCEDGE_DATA (default ../shared/data).
"""

from __future__ import annotations

import argparse
import json
import os
import time
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from results import table, write_section

from pcedge.circuit import Circuit, load_circuit, save_circuit
from pcedge.coder import Engine
from pcedge.coder.stream import decode, encode
from pcedge.compress import share_leaves
from pcedge.data import load_array
from pcedge.export.lowering import lower
from pcedge.export.onnx_writer import to_onnx
from pcedge.learn import LearnConfig, count_flows, evaluate
from pcedge.quantize import IntegerCircuit, QuantizationConfig, RefineConfig, quantize, refine
from pcedge.verify import verify

HERE = Path(__file__).resolve().parent
SETTINGS, FIGURES = HERE / "quantization.toml", HERE / "quantization.json"
DATA = Path(os.environ.get("PCEDGE_DATA", HERE.parent.parent / "shared" / "data")) / "mnist"
#: as the circuit was trained (benchmarks/learning.toml): its priors, and the records that it has not seen
LEARN = LearnConfig(
    dtype="float32", uniform_share=0.02, sum_pseudocount=0.5, leaf_pseudocount=3.0, leaf_growth=0.0, holdout=0.05
)
LANES = 100
#: train records that the flows of shared tables are counted on
CALIBRATION = 6000
#: records that csim encodes and decodes
CSIM = 200


def images(name: str) -> np.ndarray:
    return np.asarray(load_array(DATA / f"{name}-images-idx3-ubyte.gz")).reshape(-1, 784)


def make(circuit: Circuit, setting: dict[str, Any], train: np.ndarray, kept: Path | None) -> IntegerCircuit:
    """Share tables, refine and quantize; a refined circuit is kept for the next time."""
    config = QuantizationConfig(
        setting["weight_bits"], setting.get("leaf_bits", 12), setting["state_bits"],
        rounding=setting.get("rounding", "code-length"),
    )  # fmt: skip
    fitted = circuit
    if kept is not None and kept.exists():
        return quantize(load_circuit(kept), config)
    if "tables" in setting:
        fitted = share_leaves(fitted, count_flows(fitted, train[:CALIBRATION], LEARN), tables=setting["tables"])
    if setting.get("passes"):
        told = RefineConfig(
            passes=setting["passes"], gradual=setting["gradual"], holdout=LEARN.holdout, seed=LEARN.seed, learn=LEARN
        )
        fitted = refine(fitted, train, config, told, progress=lambda *figures: print(*figures, flush=True))
        if kept is not None:
            save_circuit(fitted, kept)
    return quantize(fitted, config)


def measure(circuit: Circuit, integers: IntegerCircuit, test: np.ndarray) -> dict[str, Any]:
    """Compare sizes and bits, and climb the ladder."""
    engine, pixels = Engine(integers), test.size
    entropy = -float(evaluate(circuit, test, replace(LEARN, dtype="float64")).mean()) / np.log(2) / test.shape[1]
    packed = encode(engine, test, LANES)
    assert (decode(engine, packed) == test).all()
    # One image a lane: what a flush of each costs. Its bits differ by the flushes only.
    sample = test[:500]
    single = 8 * (len(encode(engine, sample, len(sample))) - len(encode(engine, sample, LANES))) / sample.size
    mismatches = {
        "ort": verify(integers, test, ["ort"]).mismatches,
        "csim": verify(integers, test[:CSIM], ["csim"]).mismatches,
    }
    memory = lower(integers).memory_bits()
    return {
        "float_bits": entropy, "file_bits": 8 * len(packed) / pixels, "single_flush_bits": single,
        "memory_bits": memory,
        "onnx_bytes": len(to_onnx(integers).SerializeToString()), "mismatches": mismatches, "images": len(test),
    }  # fmt: skip


def run(name: str, circuit_file: str, kept: str | None) -> None:
    setting = tomllib.loads(SETTINGS.read_text())[name]
    circuit, train, test = load_circuit(circuit_file), images("train"), images("t10k")
    start = time.perf_counter()
    integers = make(circuit, setting, train, Path(kept) / f"{name}.pcedge" if kept else None)
    seconds = time.perf_counter() - start
    figures = measure(circuit, integers, test) | {"seconds": seconds, "device": f"{os.cpu_count()} cores"}
    known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    FIGURES.write_text(json.dumps(known | {name: figures}, indent=2, sort_keys=True) + "\n")
    print(name, json.dumps(figures), flush=True)


def compare_roundings(circuit_file: str, widths: tuple[int, ...] = (8, 6, 5, 4, 3)) -> None:
    """Measure both roundings without training, in interval bits over E at L12 A16."""
    circuit, train, test = load_circuit(circuit_file), images("train"), images("t10k")
    flows = count_flows(circuit, train[:CALIBRATION], LEARN)
    entropy = -float(evaluate(circuit, test, replace(LEARN, dtype="float64")).mean()) / np.log(2) / test.shape[1]
    found: dict[str, list[float]] = {}
    ways = {"largest remainder": ("largest-remainder", None), "code length": ("code-length", None),
            "code length, flows": ("code-length", flows)}  # fmt: skip
    for name, (rounding, counts) in ways.items():
        found[name] = []
        for bits in widths:
            integers = quantize(circuit, QuantizationConfig(bits, 12, 16, rounding=rounding), flows=counts)
            lo, hi = Engine(integers).intervals(test)
            found[name].append(float(integers.scale_bits - np.log2(hi - lo).mean()) - entropy)
            print(name, bits, found[name][-1], flush=True)
    known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    FIGURES.write_text(json.dumps(known | {"roundings": found | {"widths": widths}}, indent=2, sort_keys=True) + "\n")


def write_table() -> None:
    known, settings = json.loads(FIGURES.read_text()), tomllib.loads(SETTINGS.read_text())
    rows = []
    for name, setting in settings.items():
        if name not in known:
            continue
        figures = known[name]
        over = figures["file_bits"] - figures["float_bits"]
        refined = f"{setting['passes']} passes" if setting.get("passes") else setting.get("rounding", "code-length")
        reach = f"≤ {setting['reach']:+.3f}" if "reach" in setting else ""
        rows.append([
            name, f"W{setting['weight_bits']} L{setting.get('leaf_bits', 12)} A{setting['state_bits']}",
            str(setting.get("tables", "all")), refined, f"{figures['file_bits']:.4f}", f"**{over:+.4f}**", reach,
            f"{figures['single_flush_bits']:+.4f}", f"{figures['memory_bits']['rom'] / 1000:,.0f}",
            " / ".join(str(count) for count in figures["mismatches"].values()), f"{figures['seconds']:.0f} s",
        ])  # fmt: skip
    entropy = next(figures["float_bits"] for figures in known.values() if "float_bits" in figures)
    lines = [
        f"MNIST, the 16-state circuit, 10,000 test images: float entropy E = {entropy:.4f} bits a pixel. *File* "
        f"counts every byte of the compressed file with S = {LANES} lanes; *image flush* is what one lane for each "
        f"image would add. *Mismatches* of onnxruntime over all images and of csim over {CSIM} images, encoded and "
        "decoded. *ROM* is in 1,000 bits: weights, tables, indices, lists and both step programs of the exported "
        "project.",
        "",
        *table(
            [
                "setting",
                "widths",
                "leaf tables",
                "rounding",
                "file",
                "over E",
                "to reach",
                "image flush",
                "ROM, kbit",
                "mismatches",
                "time",
            ],
            rows,
        ),
    ]
    if "roundings" in known:
        found = known["roundings"]
        widths = found.pop("widths")
        lines += [
            "",
            "Rounding alone, L12 A16: coding intervals' bits a pixel over E. *Flows* weighs with the counts of "
            f"{CALIBRATION:,} train images.",
            "",
        ]
        lines += table(
            ["rounding", *(f"W{bits}" for bits in widths)],
            [[name, *(f"{value:+.4f}" for value in values)] for name, values in found.items()],
        )
    write_section("Quantization", "python benchmarks/quantization.py --table", lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("settings", nargs="*")
    parser.add_argument("--circuit", default="mnist-16.pcedge")
    parser.add_argument("--keep", help="folder of refined circuits")
    parser.add_argument("--roundings", action="store_true", help="compare the roundings without training")
    parser.add_argument("--table", action="store_true", help="write the figures to docs/results.md")
    arguments = parser.parse_args()
    for name in arguments.settings:
        run(name, arguments.circuit, arguments.keep)
    if arguments.roundings:
        compare_roundings(arguments.circuit)
    if arguments.table:
        write_table()


if __name__ == "__main__":
    main()
