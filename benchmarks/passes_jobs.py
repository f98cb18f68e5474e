"""The jobs of benchmarks/passes.py: circuits, passes and controls, and what is measured of each."""

from __future__ import annotations

import gzip
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit import Circuit, InputLayer, SumLayer, load_circuit, save_circuit
from pcedge.compress.passes import count_weights
from pcedge.data import Splits, load_array, load_data
from pcedge.data.specification import symbolize
from pcedge.evaluate.roc import auroc
from pcedge.importers import import_circuit
from pcedge.learn import LearnConfig, evaluate, fit
from pcedge.learn.config import by_default
from pcedge.learn.holdout import hold_out
from pcedge.quantize import QuantizationConfig
from pcedge.search.compression import CompressConfig, compress, cycles_per_symbol, memory_kbit, shared_anyhow

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("PCEDGE_DATA", HERE.parent.parent / "shared" / "data"))

#: M-steps after a pass, and of the control without one
REFIT = 40

#: widths that ROM and cycles are counted at; leaves of many symbols share tables
WIDTHS, TABLES, MANY_SYMBOLS = QuantizationConfig(4, 10), 64, 64


@dataclass(frozen=True)
class Set:
    """Hold one circuit of the benchmark."""

    load: Callable[[], Splits]
    #: makes the circuit for a seed from its splits, or reads it from the folder of float circuits
    make: Callable[[Splits, int, Path], Circuit]
    #: settings of `fit` for the circuit's size control; None where nothing is trained directly
    learn: LearnConfig | None
    labels: Callable[[], IntArray | None] = lambda: None
    kbit: tuple[int, ...] = ()


def _flat(splits: Splits) -> Splits:
    parts = [None if part is None else part.reshape(len(part), -1).astype(np.int64)
             for part in (splits.train, splits.valid, splits.test)]  # fmt: skip
    assert parts[0] is not None
    if parts[1] is None:
        train, valid = hold_out(parts[0], 0.05, 0)
        return Splits(train, valid, parts[2])
    return Splits(*parts)


def _digits_labels() -> IntArray | None:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        return None
    found = load_digits()
    label = {row.astype(np.int64).tobytes(): int(name) for row, name in zip(found.data, found.target, strict=True)}
    test = load_data("digits").test
    assert test is not None
    return np.array([label[row.reshape(-1).astype(np.int64).tobytes()] for row in test])


def _mnist_labels() -> IntArray:
    with gzip.open(DATA / "mnist/t10k-labels-idx1-ubyte.gz") as file:
        return np.frombuffer(file.read()[8:], dtype=np.uint8).astype(np.int64)


def _mnist() -> Splits:
    parts = [np.asarray(load_array(DATA / f"mnist/{part}-images-idx3-ubyte.gz")) for part in ("train", "t10k")]
    return _flat(Splits(parts[0], None, parts[1]))


def _ecg() -> Splits:
    from telemetry import RUNS

    return _flat(symbolize(RUNS["ecg"].symbolizer, RUNS["ecg"].load())[1])


def _trained(learn: LearnConfig) -> Callable[[Splits, int, Path], Circuit]:
    return lambda splits, seed, _: fit(splits, replace(learn, seed=seed))


def _psdd(splits: Splits, seed: int, folder: Path) -> Circuit:
    return import_circuit(DATA / "psdd/nltcs.psdd.gz").circuit


def _file(name: str) -> Callable[[Splits, int, Path], Circuit]:
    return lambda splits, seed, folder: load_circuit(folder / f"{name}.pcedge")


MNIST = LearnConfig(
    batch=1000, iterations=1140, validate_every=57, patience=171, dtype="float32", leaf_pseudocount=3.0,
    leaf_growth=0.0, sum_pseudocount=0.5,
)  # fmt: skip
NLTCS = LearnConfig(latents=32, batch=2000, iterations=320, validate_every=8, patience=64, dtype="float32",
                    sum_pseudocount=0.3)  # fmt: skip
ECG = LearnConfig(latents=16, blur=0.2, iterations=60, dtype="float32")

SETS = {
    "digits": Set(
        lambda: _flat(load_data("digits")), _trained(LearnConfig()), LearnConfig(), _digits_labels, (150, 100),
    ),
    "nltcs": Set(lambda: _flat(load_data(DATA / "debd/nltcs.npz")), _trained(NLTCS), NLTCS, kbit=(40, 20)),
    "psdd": Set(lambda: _flat(load_data(DATA / "debd/nltcs.npz")), _psdd, None),
    "ecg": Set(_ecg, _trained(ECG), ECG, kbit=(120, 80)),
    "mnist-16": Set(
        _mnist, _file("mnist-16"), MNIST, _mnist_labels, (600, 850, 1200, 1750),
    ),
    "mnist-32": Set(_mnist, _file("mnist-32"), None, _mnist_labels, (850, 1750)),
}  # fmt: skip

#: chains that are compared at every target
CHAINS = [
    "prune:edges", "prune:states", "prune:blocks", "sparsify", "merge", "merge,fold", "fold,merge,fold",
    "fold,sparsify,fold", "grow,merge,fold",
]  # fmt: skip
#: chains whose latents have multiples of 4 states
MULTIPLES = ["fold,merge,fold"]
CONTROLS = ("direct", "random start", "no pass")


@dataclass(frozen=True)
class Job:
    """Name one measurement."""

    circuit: str
    #: `weights` and a share of the circuit's, or `kbit`
    unit: str
    value: float
    row: str
    seed: int
    multiple: int = 1

    @property
    def key(self) -> str:
        """Give its name in the file of figures."""
        name = f"{self.row} ×{self.multiple}" if self.multiple > 1 else self.row
        return f"{self.circuit}|{self.unit}|{self.value:g}|{name}|{self.seed}"


def base_of(name: str, seed: int, folder: Path, kept: Path) -> Circuit:
    """Give the circuit of a set and seed; trained ones are kept in a folder."""
    path = kept / f"{name}-{seed}.pcedge"
    if not path.exists():
        each = SETS[name]
        circuit = each.make(each.load(), seed, folder)
        fresh = path.with_suffix(f".{os.getpid()}")
        save_circuit(circuit, fresh)
        fresh.replace(path)
    return load_circuit(path)


def run(job: Job, folder: Path, kept: Path, device: str = "cpu") -> dict[str, Any]:
    """Make a circuit and measure it."""
    each, start = SETS[job.circuit], time.perf_counter()
    base, splits = base_of(job.circuit, job.seed, folder, kept), each.load()
    budget = job.value * count_weights(base) if job.unit == "weights" else job.value
    if job.row == "no pass":
        made = _train(base, splits, LearnConfig(**_steps(splits, REFIT), seed=job.seed, device=device))
    elif job.row == "direct":
        made = _direct(each, splits, job, budget, device)
    else:
        chain = "merge,fold" if job.row == "random start" else job.row
        chain += ",share" if job.unit == "kbit" else ""
        made = compress(base, splits, _config(chain, job, budget, device)).circuit
        if job.row == "random start":
            assert each.learn is not None
            made = _train(_random(made, job.seed), splits, replace(each.learn, seed=job.seed, device=device))
            if job.unit == "kbit":
                made = compress(made, splits, _config("share", job, budget, device)).circuit
    seconds = time.perf_counter() - start
    return measure(base, made, splits, each, job) | {"seconds": seconds, "budget": budget}


def _config(chain: str, job: Job, budget: float, device: str) -> CompressConfig:
    return CompressConfig(
        chain, job.unit, budget, multiple=job.multiple, refit=REFIT, seed=job.seed, device=device, widths=WIDTHS,  # type: ignore[arg-type]
    )  # fmt: skip


def _steps(splits: Splits, steps: int) -> dict[str, Any]:
    return {**by_default(len(splits.train)), "iterations": steps, "patience": steps}


def _train(circuit: Circuit, splits: Splits, learn: LearnConfig) -> Circuit:
    return fit(splits, learn, circuit=circuit)


def _direct(each: Set, splits: Splits, job: Job, budget: float, device: str) -> Circuit:
    """Train the most states that keep the budget, from clusters; within a budget of ROM, leaves share tables."""
    assert each.learn is not None
    learn = replace(each.learn, seed=job.seed, device=device)
    variables, states = splits.train.shape[1], learn.latents
    sizes = [int(max(part.max() for part in (splits.train, splits.valid, splits.test) if part is not None)) + 1]
    sizes *= variables
    most = budget if job.unit == "weights" else 1000 * budget / WIDTHS.weight_bits
    while states > 1 and (variables - 1) * states**2 + states > most:
        states -= 1
    if job.unit == "weights":
        return fit(splits, replace(learn, latents=states), cardinalities=sizes)
    few = Splits(splits.train[:1000], splits.valid[:100] if splits.valid is not None else None)
    shared = _config("share", job, budget, device)
    while states > 1:
        made = fit(few, replace(learn, latents=states, iterations=1), cardinalities=sizes)
        cost = compress(made, few, shared).cost
        if cost is not None and cost[1] <= budget:
            break
        states -= 1
    made = fit(splits, replace(learn, latents=states), cardinalities=sizes)
    return compress(made, splits, shared).circuit


def _random(circuit: Circuit, seed: int) -> Circuit:
    """Draw all parameters anew; what is zero stays."""
    generator, layers = np.random.default_rng([seed, 23]), []
    for layer in circuit.layers:
        if isinstance(layer, InputLayer):
            table = layer.table.mean(axis=0) * generator.gamma(1.0, size=layer.table.shape) + 1e-9
            table /= table.sum(axis=1, keepdims=True)
            layers.append(InputLayer(layer.variable, table[:, 1].copy() if layer.kind == "bernoulli" else table))
        elif isinstance(layer, SumLayer):
            weights = generator.gamma(1.0, size=layer.weights.shape) + 1e-9
            layers.append(SumLayer(layer.children, weights / weights.sum(axis=1, keepdims=True)))
        else:
            layers.append(layer)
    return replace(circuit, layers=tuple(layers))


def measure(base: Circuit, made: Circuit, splits: Splits, each: Set, job: Job) -> dict[str, Any]:
    """Give test figures and costs."""
    assert splits.test is not None
    test, variables = splits.test, splits.test.shape[1]
    bits = -_scores(made, test) / np.log(2)
    figures: dict[str, Any] = {
        "bits": float(bits.mean() / variables), "p999": float(np.quantile(bits, 0.999)),
        "weights": count_weights(made), "worst_class": None,
    }  # fmt: skip
    labels = each.labels()
    if labels is not None:
        lost = bits + _scores(base, test) / np.log(2)
        figures["worst_class"] = float(max(lost[labels == label].mean() for label in np.unique(labels)))
    dice = np.random.default_rng(5)
    others = np.stack([dice.permutation(test[:, variable]) for variable in range(variables)], axis=1)
    figures["auroc"] = auroc(-bits, _scores(made, others) / np.log(2))
    counted = shared_anyhow(made, TABLES) if max(made.cardinalities) >= MANY_SYMBOLS else made
    figures["kbit"] = memory_kbit(counted, WIDTHS)
    for macs in (16, 64):
        figures[f"cycles_{macs}"] = cycles_per_symbol(counted, WIDTHS, macs, 4)
    return figures


def _scores(circuit: Circuit, records: IntArray) -> FloatArray:
    return np.concatenate([evaluate(circuit, part, LearnConfig(dtype="float32"))
                           for part in np.array_split(records, max(1, len(records) // 2000))])  # fmt: skip
