"""MNIST circuits by compression: python benchmarks/mnist_curve.py make NAME... | measure NAME... [--table].

`make` trains a teacher of 64 states, merges its states, trains on, folds, searches widths within the budget and refines
the integers (mnist_curve.toml); --device cuda. `measure` takes NAME.onnx from --folder: every test image encoded and
decoded, onnxruntime over all of them, C simulation over 200. Data: PCEDGE_DATA (default ../shared/data).
"""

from __future__ import annotations

import argparse
import json
import time
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from learning import train as train_run
from quantization import CSIM, LANES, LEARN, images
from results import table, write_section

from pcedge import decode, encode, load
from pcedge.circuit import Circuit, load_circuit, save_circuit
from pcedge.compress import fold, merge_path
from pcedge.compress.merge import multiples_of
from pcedge.compress.passes import count_weights
from pcedge.data import Splits
from pcedge.drivers.size import EngineSize, default_search_bits
from pcedge.export import estimate_cost, to_onnx
from pcedge.export.program.lowering import lower
from pcedge.integer import IntegerCircuit, IntegerInput
from pcedge.learn import count_flows, evaluate, fit
from pcedge.learn.holdout import hold_out
from pcedge.quantize import QuantizationConfig, RefineConfig
from pcedge.search.budget import quantize_within
from pcedge.search.search import Budget, SearchConfig
from pcedge.verify import verify

HERE = Path(__file__).resolve().parent
SETTINGS, FIGURES = HERE / "mnist_curve.toml", HERE / "mnist_curve.json"

#: float entropy of the 16-state circuit that all figures are told over
ENTROPY = 1.2515

#: M-steps a pass over the train images
STEPS = 57


def teacher_of(folder: Path, settings: dict[str, Any], device: str) -> Circuit:
    """Train the teacher, or read it from the folder."""
    path = folder / "teacher.pcedge"
    if not path.exists():
        defaults = tomllib.loads((HERE / "learning.toml").read_text())["defaults"]
        run = {"data": "mnist", "stages": settings["teacher"]["stages"]}
        save_circuit(train_run("teacher", run, defaults, device)[0], path)
    return load_circuit(path)


def merged(circuit: Circuit, step: dict[str, Any], data: Splits, device: str) -> Circuit:
    """Merge to a mean number of states, and train on."""
    learn = replace(LEARN, device=device, batch=1000)
    flows = count_flows(circuit, data.train, learn)
    path = merge_path(circuit, flows)
    count = max(0, sum(latent.states for latent in path.latents) - round(step["states"] * len(path.latents)))
    if step["multiple"] > 1:
        path = merge_path(circuit, flows, multiples_of(path.sizes(count), path.latents, step["multiple"]))
        count = len(path.steps)
    learn = replace(learn, iterations=step["epochs"] * STEPS, validate_every=STEPS, window=20.0, patience=0)
    return fit(data, learn, circuit=path.after(count))


def make(name: str, folder: Path, device: str) -> None:
    """Make one circuit of the curve."""
    settings = tomllib.loads(SETTINGS.read_text())
    setting, start = settings[name], time.perf_counter()
    if "merge" not in setting:
        raise SystemExit(f"{name} is made by commands: {setting['chain']}")
    train, valid = hold_out(images("train").astype(np.int64), LEARN.holdout, LEARN.seed)
    circuit = teacher_of(folder, settings, device)
    for step in setting["merge"]:
        circuit = merged(circuit, step, Splits(train, valid), device)
    folded = fold(circuit, lambda symbols: 7.0, 4.0)
    learn = replace(LEARN, device=device)
    passes = setting["passes"]
    found = quantize_within(
        folded, QuantizationConfig(8, 12, 16), train=train, valid=valid, held_out=valid,
        budget=Budget(round(1000 * setting["kbit"])), settings=SearchConfig(generations=0, few=32, many=96),
        tables=setting["tables"], device=device,
        refinement=RefineConfig(passes=passes, gradual=passes // 2, holdout=LEARN.holdout, learn=learn),
    )  # fmt: skip
    (folder / f"{name}.onnx").write_bytes(to_onnx(found.integers).SerializeToString(deterministic=True))
    save_circuit(folded, folder / f"{name}.pcedge")
    print(name, count_weights(folded), f"{time.perf_counter() - start:.0f} s", flush=True)


def encoding(integers: IntegerCircuit, macs: int, streams: int) -> float:
    """Give the cycles a symbol of an engine that encodes."""
    size = EngineSize(macs, streams, default_search_bits(integers, macs))
    return estimate_cost(integers, size=size).cycles_per_symbol("encode")


def measure(name: str, folder: Path) -> dict[str, Any]:
    """Count every byte of the test set's file, and compare the implementations."""
    integers, test = load(folder / f"{name}.onnx"), images("t10k")
    packed = encode(integers, test, LANES)
    assert (decode(integers, packed) == test).all()
    leaves = [layer.cumulative for layer in integers.layers if isinstance(layer, IntegerInput)]
    figures: dict[str, Any] = {
        "file_bits": 8 * len(packed) / test.size, "memory_bits": lower(integers).memory_bits(),
        "weights": int(sum(np.size(layer.weights) for layer in integers.layers if hasattr(layer, "weights"))),
        "tables": len(np.unique(np.concatenate(leaves), axis=0)), "widths": [integers.weight_bits, integers.leaf_bits],
        "cycles": {f"{macs}x{streams}": encoding(integers, macs, streams)
                   for macs, streams in ((16, 4), (16, 8), (64, 4))},
        "digest": integers.digest.hex(), "images": len(test),
        "mismatches": {"ort": verify(integers, test, ["ort"]).mismatches,
                       "csim": verify(integers, test[:CSIM], ["csim"]).mismatches,
                       "engine": verify(integers, test[:CSIM], ["engine"]).mismatches},
    }  # fmt: skip
    float_file = folder / f"{name}.pcedge"
    if float_file.exists():
        circuit = load_circuit(float_file)
        figures["float_bits"] = float(-evaluate(circuit, test, LEARN).mean() / np.log(2) / test.shape[1])
    return figures


def write_table() -> None:
    known, settings = json.loads(FIGURES.read_text()), tomllib.loads(SETTINGS.read_text())
    rows = []
    for name, figures in sorted(known.items(), key=lambda item: item[1]["memory_bits"]["rom"]):
        chain = (
            settings[name].get("chain")
            or " → ".join(
                f"merge:{step['states']:g}" + (f" ×{step['multiple']}" if step["multiple"] > 1 else "")
                for step in settings[name]["merge"]
            )
            + " → fold → share → W by search → refine"
        )
        memory = figures["memory_bits"]
        wrong = " / ".join(str(figures["mismatches"][rung]) for rung in ("ort", "csim", "engine"))
        rows.append([
            name, f"{memory['rom'] / 1000:,.0f}", f"{figures['file_bits']:.4f}",
            f"**{figures['file_bits'] - ENTROPY:+.4f}**", settings[name].get("reach", ""),
            f"{figures['weights']:,}", str(figures["tables"]), f"{memory['weights'] / figures['weights']:.1f}",
            f"{memory['programs'] / 1000:,.0f}", f"{figures['cycles']['16x4']:.1f}", f"{figures['cycles']['64x4']:.1f}",
            chain + ("" if settings[name].get("refined", True) else " (did not keep the budget, left out)"), wrong,
        ])  # fmt: skip
    lines = [
        f"MNIST, 10,000 test images, every byte of a file with S = {LANES} lanes; *over E*: over {ENTROPY}, the float "
        "entropy of the 16-state circuit that was trained directly. The teacher has 64 states (float 1.1768). *W*: "
        "stored bits a weight in the mean. Programs are within the ROM. Cycles a symbol of the engine of 16 or 64 macs "
        f"and 4 streams that encodes. Mismatches: onnxruntime over all images, C simulation over {CSIM}, sequential "
        "kernels and parallel engine, encoded and decoded.",
        "",
        *table(["circuit", "ROM, kbit", "file", "over E", "to reach", "weights", "leaf tables", "W", "programs, kbit",
                "cycles 16×4", "64×4", "chain", "mismatches"], rows),
    ]  # fmt: skip
    write_section("MNIST by compression", "python benchmarks/mnist_curve.py --table", lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=["make", "measure"])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--table", action="store_true", help="write the figures to docs/results.md")
    given = parser.parse_args()
    for name in given.names:
        if given.what == "make":
            make(name, given.folder, given.device)
            continue
        figures = measure(name, given.folder)
        known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
        FIGURES.write_text(json.dumps(known | {name: figures}, indent=1, sort_keys=True) + "\n")
        print(name, json.dumps(figures), flush=True)
    if given.table:
        write_table()


if __name__ == "__main__":
    main()
