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
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from learning import device_name
from results import table, write_section

from pcedge.circuit import Circuit, load_circuit, save_circuit
from pcedge.codec.stream import decode, encode
from pcedge.compress import share_leaves
from pcedge.data import load_array
from pcedge.engines import ReferenceEngine
from pcedge.export.onnx.writer import to_onnx
from pcedge.export.program.lowering import lower
from pcedge.integer import IntegerCircuit, IntegerInput
from pcedge.learn import LearnConfig, count_flows, evaluate
from pcedge.learn.holdout import hold_out
from pcedge.quantize import QuantizationConfig, RefineConfig, quantize, refine
from pcedge.search.search import Budget, SearchConfig, search
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
CALIBRATION = 12000
#: records that csim encodes and decodes
CSIM = 200


def images(name: str) -> np.ndarray:
    return np.asarray(load_array(DATA / f"{name}-images-idx3-ubyte.gz")).reshape(-1, 784)


def make(name: str, circuits: Path, kept: Path | None, device: str) -> tuple[Circuit, IntegerCircuit, dict[str, Any]]:
    """Search, share tables, refine and quantize; a refined circuit is kept for the next time, with what it took."""
    setting = tomllib.loads(SETTINGS.read_text())[name]
    config = QuantizationConfig(
        setting["weight_bits"], setting.get("leaf_bits", 12), setting["state_bits"],
        rounding=setting.get("rounding", "code-length"),
    )  # fmt: skip
    circuit = load_circuit(circuits / "mnist-16.pcedge")
    file = None if kept is None else kept / f"{name}.pcedge"
    if file is not None and file.exists():
        spent = json.loads(file.with_suffix(".json").read_text())
        if "config" in spent:
            config = QuantizationConfig(**spent["config"])
        return circuit, quantize(load_circuit(file), config), spent
    fitted, train, learn = circuit, images("train"), replace(LEARN, device=device)
    start = time.perf_counter()
    if "search_kbit" in setting:
        held = hold_out(train, LEARN.holdout, LEARN.seed)[1]
        budget = Budget(round(1000 * setting["search_kbit"]))
        search_config = SearchConfig(generations=setting["generations"])
        found = search(circuit, held, budget, config, search_config, tables=setting["tables"], device=device)
        fitted, config = found.circuit, found.config
    elif "tables" in setting:
        fitted = share_leaves(fitted, count_flows(fitted, train[:CALIBRATION], learn), tables=setting["tables"])
    if setting.get("passes"):
        told = RefineConfig(
            passes=setting["passes"], gradual=setting["gradual"], anchor=0.0,
            records=setting.get("records"), holdout=LEARN.holdout, seed=LEARN.seed, learn=learn,
        )  # fmt: skip
        fitted = refine(fitted, train, config, told, progress=partial(tell, name))
    integers = quantize(fitted, config)
    spent = {"seconds": time.perf_counter() - start, "device": device_name(device), "config": asdict(config)}
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        save_circuit(fitted, file)
        file.with_suffix(".json").write_text(json.dumps(spent))
    return circuit, integers, spent


def tell(name: str, index: int, last: int, train_bits: float, valid_bits: float) -> None:
    if index % 10 == 0 or index == last:
        print(f"{name} {index}/{last} train {train_bits:.5f} valid {valid_bits:.5f}", flush=True)


def measure(circuit: Circuit, integers: IntegerCircuit, test: np.ndarray) -> dict[str, Any]:
    """Compare sizes and bits, and climb the ladder."""
    engine, pixels = ReferenceEngine(integers), test.size
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
    leaves = [layer.cumulative for layer in integers.layers if isinstance(layer, IntegerInput)]
    return {
        "float_bits": entropy, "file_bits": 8 * len(packed) / pixels, "single_flush_bits": single,
        "memory_bits": memory,
        "tables": len(np.unique(np.concatenate(leaves), axis=0)),
        "onnx_bytes": len(to_onnx(integers).SerializeToString()), "mismatches": mismatches, "images": len(test),
    }  # fmt: skip


def run(name: str, circuits: Path, kept: Path | None, device: str) -> None:
    circuit, integers, spent = make(name, circuits, kept, device)
    figures = measure(circuit, integers, images("t10k")) | spent
    known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    FIGURES.write_text(json.dumps(known | {name: figures}, indent=2, sort_keys=True) + "\n")
    print(name, json.dumps(figures), flush=True)


def compare_roundings(circuits: Path, widths: tuple[int, ...] = (8, 6, 5, 4, 3)) -> None:
    """Measure both roundings without training, in interval bits over E at L12 A16."""
    circuit, train, test = load_circuit(circuits / "mnist-16.pcedge"), images("train"), images("t10k")
    flows = count_flows(circuit, train[:CALIBRATION], LEARN)
    entropy = -float(evaluate(circuit, test, replace(LEARN, dtype="float64")).mean()) / np.log(2) / test.shape[1]
    found: dict[str, list[float]] = {}
    ways = {"largest remainder": ("largest-remainder", None), "code length": ("code-length", None),
            "code length, flows": ("code-length", flows)}  # fmt: skip
    for name, (rounding, counts) in ways.items():
        found[name] = []
        for bits in widths:
            integers = quantize(circuit, QuantizationConfig(bits, 12, 16, rounding=rounding), flows=counts)
            lo, hi = ReferenceEngine(integers).intervals(test)
            found[name].append(float(integers.scale_bits - np.log2(hi - lo).mean()) - entropy)
            print(name, bits, found[name][-1], flush=True)
    known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    FIGURES.write_text(json.dumps(known | {"roundings": found | {"widths": widths}}, indent=2, sort_keys=True) + "\n")


def write_table() -> None:
    known, settings = json.loads(FIGURES.read_text()), tomllib.loads(SETTINGS.read_text())
    entropy = known["W8"]["float_bits"]
    rows = []
    for name, setting in settings.items():
        if name not in known:
            continue
        figures = known[name]
        over = figures["file_bits"] - entropy
        refined = f"{setting['passes']} passes" if setting.get("passes") else setting.get("rounding", "code-length")
        widths = f"W{setting['weight_bits']} L{setting.get('leaf_bits', 12)} A{setting['state_bits']}"
        tables = setting.get("tables", "all")
        if "search_kbit" in setting:
            chosen = figures["config"]
            widths = f"mixed W, L{chosen['leaf_bits']} A{chosen['state_bits']}"
            tables = figures["tables"]
        rom = figures["memory_bits"]["rom"] / 1000
        wrong = " / ".join(str(count) for count in figures["mismatches"].values())
        reach = f"≤ {setting['reach']:+.3f}" if "reach" in setting else ""
        rows.append([
            name, widths, str(tables), refined, f"{figures['file_bits']:.4f}", f"**{over:+.4f}**",
            reach, f"{figures['single_flush_bits']:+.4f}", f"{rom:,.0f}", wrong, f"{figures['seconds']:.0f} s",
            figures["device"],
        ])  # fmt: skip
    lines = [
        f"MNIST, the 16-state circuit, 10,000 test images: float entropy E = {entropy:.4f} bits a pixel. *File* "
        f"counts every byte of the compressed file with S = {LANES} lanes; *image flush* is what one lane for each "
        f"image would add. *Mismatches* of onnxruntime over all images and of csim over {CSIM} images, encoded and "
        "decoded. *ROM* is in 1,000 bits: weights, tables, indices, lists and both step programs of the exported "
        "project.",
        "",
        *table(
            [
                "setting", "widths", "leaf tables", "rounding", "file", "over E", "to reach", "image flush",
                "ROM, kbit", "mismatches", "time", "device",
            ],
            rows,
        ),
        "",
        "Bits over ROM from 250 to 3,000 kbit: section MNIST by compression.",
    ]  # fmt: skip
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
    parser.add_argument("--circuits", type=Path, default=Path(), help="folder of the float circuits")
    parser.add_argument("--keep", type=Path, help="folder of refined circuits")
    parser.add_argument("--device", default="cpu", help="where to refine")
    parser.add_argument("--make-only", action="store_true", help="only make the refined circuits")
    parser.add_argument("--roundings", action="store_true", help="compare the roundings without training")
    parser.add_argument("--table", action="store_true", help="write the figures to docs/results.md")
    given = parser.parse_args()
    for name in given.settings:
        (make if given.make_only else run)(name, given.circuits, given.keep, given.device)
    if given.roundings:
        compare_roundings(given.circuits)
    if given.table:
        write_table()


if __name__ == "__main__":
    main()
