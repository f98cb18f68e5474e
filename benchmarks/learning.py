"""Train the circuits of the results table: python benchmarks/learning.py RUN... [--device cuda]; --table writes it.

A run is described in learning.toml, and its figures go to learning.json. Data: PCEDGE_DATA (default ../shared/data) and
PCEDGE_FASHION (default /usr/share/datasets/fashion-mnist, of the Debian package dataset-fashion-mnist).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import time
import tomllib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from results import table, write_section

from pcedge.circuit import Circuit, InputLayer, SumLayer, save_circuit
from pcedge.circuit.layers import Layer
from pcedge.compress import grow, prune
from pcedge.data import Splits, load_array, load_data
from pcedge.learn import LearnConfig, count_flows, evaluate, fit

HERE = Path(__file__).resolve().parent
RUNS, FIGURES = HERE / "learning.toml", HERE / "learning.json"
DATA = Path(os.environ.get("PCEDGE_DATA", HERE.parent.parent / "shared" / "data"))
FASHION = Path(os.environ.get("PCEDGE_FASHION", "/usr/share/datasets/fashion-mnist"))
#: what a stage says besides settings of LearnConfig
STAGE = ("epochs", "patience_epochs", "grow", "noise", "prune", "prune_shape")


def load(name: str) -> Splits:
    if name in ("mnist", "fashion"):
        folder = DATA / "mnist" if name == "mnist" else FASHION
        parts = [load_array(folder / f"{part}-images-idx3-ubyte.gz") for part in ("train", "t10k")]
        return Splits(parts[0], None, parts[1])
    return load_data(DATA / "debd" / f"{name}.npz")


def stage_config(stage: dict[str, Any], records: int, device: str) -> LearnConfig:
    settings = {name: value for name, value in stage.items() if name not in STAGE}
    steps = max(1, records // settings.get("batch", LearnConfig.batch))
    return LearnConfig(
        **settings, iterations=stage["epochs"] * steps, validate_every=steps,
        patience=stage.get("patience_epochs", 0) * steps, device=device,
    )  # fmt: skip


def train(name: str, run: dict[str, Any], defaults: dict[str, Any], device: str) -> tuple[Circuit, dict[str, Any]]:
    """Run the stages; give the circuit and the figures."""
    splits = load(run["data"])
    start = time.perf_counter()
    seed = run["stages"][0].get("seed", defaults["seed"])
    parts = [stages_of(f"{name} seed {seed + part}", run, {**defaults, "seed": seed + part}, splits, device, start)
             for part in range(run.get("mixture", 1))]  # fmt: skip
    circuit = parts[0] if len(parts) == 1 else mixed(parts)
    seconds = time.perf_counter() - start
    assert splits.test is not None
    logs = evaluate(circuit, splits.test.reshape(len(splits.test), -1), LearnConfig(device=device))
    nats = float(logs.mean())
    return circuit, {
        "data": run["data"], "nats": nats, "bits": -nats / math.log(2) / len(circuit.cardinalities),
        "parameters": circuit.parameters, "seconds": round(seconds), "device": device_name(device), "seed": seed,
        "mixture": len(parts), "published": run.get("published", ""), "reach": run.get("reach"),
    }  # fmt: skip


def mixed(parts: list[Circuit]) -> Circuit:
    """Mix circuits over one tree evenly: one more sum above their roots."""
    layers: list[Layer] = []
    roots = []
    for part in parts:
        first = len(layers)
        layers += [
            layer if isinstance(layer, InputLayer)
            else replace(layer, children=tuple(first + child for child in layer.children))
            for layer in part.layers
        ]  # fmt: skip
        roots.append(len(layers) - 1)
    layers.append(SumLayer(tuple(roots), np.full((1, len(parts)), 1 / len(parts))))
    return Circuit(tuple(layers))


def stages_of(
    name: str, run: dict[str, Any], defaults: dict[str, Any], splits: Splits, device: str, start: float
) -> Circuit:
    """Run the stages with one seed."""
    circuit: Circuit | None = None
    for number, stage in enumerate(run["stages"]):
        records = (
            len(splits.train) if splits.valid is not None else round(len(splits.train) * (1 - defaults["holdout"]))
        )
        config = stage_config({**defaults, **stage, "seed": defaults["seed"]}, records, device)
        if "prune" in stage:
            assert circuit is not None
            flows = count_flows(circuit, splits.train.reshape(len(splits.train), -1)[::4], config)
            circuit = prune(circuit, flows, stage["prune"], stage.get("prune_shape", "edges")).circuit
        if "grow" in stage:
            assert circuit is not None
            circuit = grow(circuit, stage["grow"], stage.get("noise", 0.3), 100 * defaults["seed"] + number)

        report = partial(tell, f"{name} stage {number}", 5 * config.validate_every, start)
        circuit = fit(splits, config, circuit=circuit, progress=report)
    assert circuit is not None
    return circuit


def tell(what: str, every: int, start: float, iteration: int, last: int, train_bits: float, valid_bits: float) -> None:
    if iteration % every == 0:
        bits = f"train {train_bits:.4f} valid {valid_bits:.4f}"
        print(f"{what} {iteration}/{last} {bits} {time.perf_counter() - start:.0f} s", flush=True)


def device_name(device: str) -> str:
    if device.startswith("cuda"):
        import torch

        return str(torch.cuda.get_device_name())
    return f"{os.cpu_count()} cores, {platform.machine()}"


def write_table() -> None:
    figures = json.loads(FIGURES.read_text())
    rows = []
    for name, figure in figures.items():
        nats = (figure["reach"] or 0) < 0
        value = f"{figure['nats']:.3f} nats" if nats else f"{figure['bits']:.4f} bits"
        bar = "" if figure["reach"] is None else f"{'≥' if nats else '≤'} {figure['reach']}"
        rows.append([
            name, f"**{value}**", figure["published"], bar, f"{figure['parameters']:,}", f"{figure['seconds']} s",
            figure["device"], str(figure["seed"]), f"`python benchmarks/learning.py {name}`",
        ])  # fmt: skip
    headings = ["run", "test", "published", "to reach", "parameters", "time", "device", "seed", "command"]
    notes = [
        "Test bits a variable (images) or mean nats (binary sets) of the float circuit, in float64. Trained on the "
        "train split; stopped by the set's own validation split, or by a held-out 5 % of train. A run's stages are in "
        "`benchmarks/learning.toml`; its time includes the structure, not the test. GPU runs add `--device cuda`.", "",
    ]  # fmt: skip
    write_section("Learning", "python benchmarks/learning.py --table", [*notes, *table(headings, rows)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    settings = tomllib.loads(RUNS.read_text())
    parser.add_argument("runs", nargs="*", metavar="RUN", help=", ".join(settings["runs"]))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="folder for the float circuits")
    parser.add_argument("--figures", type=Path, default=FIGURES)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    if given.device.startswith("cuda"):
        import torch

        # Only for training: the test figures are of float64.
        torch.set_float32_matmul_precision("high")
    for name in given.runs:
        circuit, figures = train(name, settings["runs"][name], settings["defaults"], given.device)
        print(name, json.dumps(figures), flush=True)
        known = json.loads(given.figures.read_text()) if given.figures.exists() else {}
        given.figures.write_text(json.dumps(known | {name: figures}, indent=1) + "\n")
        if given.out is not None and circuit.parameters < 10_000_000:
            given.out.mkdir(parents=True, exist_ok=True)
            save_circuit(circuit, given.out / f"{name}.pcedge")
    if given.table:
        write_table()


if __name__ == "__main__":
    main()
