"""Compare strategies of the search over widths at equal evaluations: python benchmarks/strategies.py [SET ...].

Those that the package does not offer are written here as a user would write them: generator functions that are passed
to `search`. Figures go to strategies.json, the table of all to docs/results.md. Data: PCEDGE_DATA (default
../shared/data).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from results import table, write_section

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit import Circuit, InputLayer, ProductLayer, SumLayer, load_circuit
from pcedge.data import load_array, load_data
from pcedge.engines import ReferenceEngine
from pcedge.export import load_zoo
from pcedge.integer import IntegerCircuit, IntegerInput, IntegerSum
from pcedge.learn import LearnConfig, fit
from pcedge.search.candidates import LEAST, Candidate
from pcedge.search.search import Budget, SearchConfig, search
from pcedge.search.strategies import Proposals, Space, Strategy, evolve

FIGURES = Path(__file__).resolve().with_suffix(".json")
DATA = Path(os.environ.get("PCEDGE_DATA", Path(__file__).resolve().parent.parent.parent / "shared" / "data"))

#: spread of the policy's actions and of random neighbours, in bits of W; how far the policy goes a generation
SPREAD, RATE = 0.5, 0.1

#: bits of all ROM for digits, W of about 3 and 4 on average, and generations within each
BUDGETS = ((80_000, 30), (105_000, 10))

#: slopes that a staircase tries, bits of W from the root to the deepest layer
SLOPES = tuple(sorted((step / 4 for step in range(-12, 13)), key=abs))

#: those that it tries where a candidate takes long
FEW_SLOPES = (-3.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0)

#: halvings of the interval of an offset
HALVINGS = 10


@dataclass(frozen=True)
class Setting:
    """Hold a circuit, its records, the budgets, and how long the searches are."""

    circuit: Circuit
    valid: IntArray
    test: IntArray
    #: bits of all ROM, and generations within each; none measures starts alone, all in one search
    budgets: tuple[tuple[int, int], ...]
    config: SearchConfig
    seeds: tuple[int, ...]
    #: data sets of the small circuits that the carried policy learned on
    teachers: tuple[str, ...]


# ---------------------------------------------------------------------------------------------------- strategies


def projected(space: Space, wanted: FloatArray, base: Candidate) -> Candidate:
    """Give every layer the W that is wanted, all of them moved together until the budget is full."""
    low, high = LEAST["weight"] - float(wanted.max()), space.choices.limits.weight_bits + 1 - float(wanted.min())
    best = None
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        bits = np.clip(np.floor(wanted + middle), LEAST["weight"], space.choices.limits.weight_bits).astype(int)
        moved = Candidate(tuple(bits.tolist()), base.leaf_bits, base.state_bits, base.tables)
        memory, multiplier = space.limits.memory, space.limits.multiplier
        if (memory is None or space.choices.memory_bits(moved) <= memory) and space.choices.fits(moved, multiplier):
            best, low = moved, middle
        else:
            high = middle
    return base if best is None else best


def one_width(space: Space, kept: list[IntegerCircuit]) -> Proposals:
    """Propose the starts with one W for all layers, and keep the best as it is."""
    told = yield [one for one in space.starts if len(set(one.weight_bits)) == 1] or list(space.starts[-1:])
    kept.append(space.choices.integers(told.best))


def additive(space: Space) -> Proposals:
    """Propose the start of the least expected loss alone."""
    yield list(space.starts[:1])


def starts(space: Space) -> Proposals:
    """Propose all starts."""
    yield list(space.starts)


def staircase(space: Space) -> Proposals:
    """Propose W = floor(a + s d / D) for slopes s, depth d of D, the a that fills the budget (after SAQ, 2024)."""
    yield stairs(space, space.starts[0])


def stairs(space: Space, base: Candidate, slopes: tuple[float, ...] = SLOPES) -> list[Candidate]:
    """Give the staircases with the L and K of a candidate."""
    depth = depths(space.choices.base)
    rising = depth / max(1.0, depth.max())
    return list(dict.fromkeys(projected(space, slope * rising, base) for slope in slopes))


def neighbours(space: Space) -> Proposals:
    """Propose random neighbours of the best start: the policy's first actions, again and again."""
    told = yield list(space.starts)
    base, start = told.best, np.array(told.best.weight_bits) + 0.5
    for generation in count(1):
        noise = space.dice(generation).normal(0.0, SPREAD, (space.offspring, len(start)))
        yield [projected(space, start + one, base) for one in noise]


def moved(space: Space, weights: FloatArray) -> Candidate:
    """Give the first start as a policy of these weights moves it, without chance."""
    wanted = np.array(space.starts[0].weight_bits) + 0.5 + descriptors(space) @ weights
    return projected(space, wanted, space.starts[0])


def policy(space: Space, weights: FloatArray | None = None, learned: list[FloatArray] | None = None) -> Proposals:
    """Move the best start's W by a policy of few weights over the layers' descriptors (REINFORCE, after N2N, 2018).

    The action of a layer is normal around descriptors times weights; the reward is minus the measured bits, less the
    mean of the generation, in its standard deviations.
    """
    seen = descriptors(space)
    weights = np.zeros(seen.shape[1]) if weights is None else weights
    told = yield list(dict.fromkeys([*space.starts, moved(space, weights)]))
    base = space.starts[int(np.argmin(told.scores[: len(space.starts)]))]
    start = np.array(base.weight_bits) + 0.5
    for generation in count(1):
        noise = space.dice(generation).normal(0.0, SPREAD, (space.offspring, len(start)))
        told = yield [projected(space, start + seen @ weights + one, base) for one in noise]
        rewards = -np.array(told.scores)
        advantages = (rewards - rewards.mean()) / max(float(rewards.std()), 1e-12)
        weights = weights + RATE * (advantages[:, None] * (noise @ seen)).mean(axis=0) / SPREAD / math.sqrt(len(start))
        if learned is not None:
            learned[:] = [weights]


def depths(circuit: Circuit) -> FloatArray:
    """Give how many sum layers are above each sum layer, at most."""
    above = np.zeros(len(circuit.layers), dtype=int)
    for index in range(len(circuit.layers) - 1, -1, -1):
        layer = circuit.layers[index]
        if not isinstance(layer, InputLayer):
            for child in layer.children:
                above[child] = max(above[child], above[index] + isinstance(layer, SumLayer))
    return np.array([above[i] for i, layer in enumerate(circuit.layers) if isinstance(layer, SumLayer)], dtype=float)


def descriptors(space: Space) -> FloatArray:
    """Describe every sum layer: depth, units, columns, flow, and expected loss; each of mean 0 and deviation 1."""
    choices = space.choices
    layers = [choices.base.layers[index] for index in choices.sums]
    flows = [float(np.sum(choices.flows[index])) for index in choices.sums]
    middle = choices.lost[len(choices.levels) // 3]
    seen = np.stack(
        [
            depths(choices.base),
            np.log2([layer.shape.units for layer in layers]),
            np.log2([layer.shape.columns for layer in layers]),
            np.log2(np.maximum(flows, 1e-3)),
            np.log2(np.maximum(middle, 1e-9)),
        ],
        axis=1,
    )
    return np.asarray((seen - seen.mean(axis=0)) / np.maximum(seen.std(axis=0), 1e-9))


# ---------------------------------------------------------------------------------------------------- measuring


def as_floats(integers: IntegerCircuit) -> Circuit:
    """Give the float circuit of an integer one's rows and tables."""
    layers: list[Any] = []
    for layer in integers.layers:
        if isinstance(layer, IntegerInput):
            counts = np.diff(layer.cumulative, axis=1).astype(float)
            layers.append(InputLayer(layer.variable, counts / counts.sum(axis=1, keepdims=True)))
        elif isinstance(layer, IntegerSum):
            weights = np.asarray(layer.weights, dtype=float)
            layers.append(SumLayer(layer.children, weights / weights.sum(axis=1, keepdims=True)))
        else:
            layers.append(ProductLayer(layer.children, layer.gather))
    return Circuit(tuple(layers))


def trained(name: str) -> tuple[Circuit, IntArray]:
    """Train a small circuit of a binary data set; give it with its validation records."""
    splits = load_data(DATA / "debd" / f"{name}.npz")
    assert splits.valid is not None
    config = LearnConfig(latents=8, iterations=20)
    return fit(splits.map(lambda values: values[:8192]), config), splits.valid.astype(np.int64)[:2048]


def setting(name: str) -> Setting:
    """Load one."""
    if name == "digits":
        splits = load_data("digits").map(lambda values: values.reshape(len(values), -1).astype(np.int64))
        assert splits.valid is not None and splits.test is not None
        config = SearchConfig(few=128, many=512)
        return Setting(load_circuit("digits"), splits.valid, splits.test, BUDGETS, config, (0, 1, 2),
                       ("nltcs", "plants"))  # fmt: skip
    if name != "mnist":
        raise SystemExit(f"a set must be digits or mnist, got {name}")
    images = {
        part: np.asarray(load_array(DATA / "mnist" / f"{part}-images-idx3-ubyte.gz")).reshape(-1, 784).astype(np.int64)
        for part in ("train", "t10k")
    }
    config = SearchConfig(few=64, many=128)
    valid, test, circuit = images["train"][-1024:], images["t10k"][:512], as_floats(load_zoo("mnist-16"))
    return Setting(circuit, valid, test, ((1_200_000, 0),), config, (0,), ("nltcs", "plants"))


def learn_policy(teachers: tuple[str, ...]) -> FloatArray:
    """Learn the policy's weights on small circuits, one after the other, at budgets of a W of about 3."""
    weights: list[FloatArray] = []
    for name in teachers:
        circuit, valid = trained(name)
        kept: list[int] = []

        def small(space: Space, kept: list[int] = kept) -> Proposals:
            even = Candidate((3,) * len(space.choices.sums), 12, 16, space.choices.counts[-1])
            kept.append(space.choices.memory_bits(even))
            yield list(space.starts[:1])

        search(circuit, valid, Budget(10**9), settings=SearchConfig(generations=0), strategy=small)
        start = weights[-1] if weights else None
        learned: list[FloatArray] = []
        config = SearchConfig(generations=30, offspring=8)
        learning = partial(policy, weights=start, learned=learned)
        search(circuit, valid, Budget(kept[0]), settings=config, strategy=learning)
        weights += learned
        print(name, np.round(learned[0], 3), flush=True)
    return weights[-1]


def bits(integers: IntegerCircuit, records: IntArray) -> float:
    """Give interval bits a variable."""
    lo, hi = ReferenceEngine(integers).intervals(records)
    return float(integers.scale_bits - np.log2(hi - lo).mean())


def measure(
    given: Setting, strategy: Strategy, budget: int, config: SearchConfig, kept: list[IntegerCircuit]
) -> dict[str, Any]:  # fmt: skip
    """Search once."""
    measured = 0

    def counted(space: Space) -> Proposals:
        nonlocal measured
        proposals, told = strategy(space), None
        while True:
            try:
                some = proposals.send(told)  # type: ignore[arg-type]
            except StopIteration:
                return
            measured += len(some) + (0 if told is None else min(len(some), given.config.survivors))
            told = yield some

    begin = time.perf_counter()
    found = search(given.circuit, given.valid, Budget(budget), settings=config, tables=None, strategy=counted)
    seconds = time.perf_counter() - begin
    integers = kept.pop() if kept else found.integers
    return {
        "valid": bits(integers, given.valid), "test": bits(integers, given.test), "evaluations": measured,
        "seconds": seconds, "weight_bits": float(np.mean(found.candidate.weight_bits)),
        "tables": found.candidate.tables, "leaf_bits": found.candidate.leaf_bits,
    }  # fmt: skip


def measure_starts(given: Setting, weights: FloatArray, budget: int) -> dict[str, dict[str, Any]]:
    """Measure in one search, without generations, what strategies would begin with: the best of each."""
    found: dict[str, dict[str, Any]] = {}

    def together(space: Space) -> Proposals:
        even = [one for one in space.starts if len(set(one.weight_bits)) == 1]
        lists = {
            "one W for all": even, "additive": space.starts[:1], "starts": space.starts,
            "staircase": stairs(space, space.starts[0], FEW_SLOPES), "policy, carried": [moved(space, weights)],
        }  # fmt: skip
        every = list(dict.fromkeys(one for some in lists.values() for one in some))
        told = yield every
        for title, some in lists.items():
            scores = [told.scores[every.index(one)] for one in some]
            bits_of = some[int(np.argmin(scores))].weight_bits
            found[title] = {"valid": min(scores), "evaluations": len(some), "weight_bits": float(np.mean(bits_of))}
        yield every[:1]

    search(given.circuit, given.valid, Budget(budget), settings=replace(given.config, generations=1), strategy=together)
    return found


def keep(name: str, budget: int, title: str, seed: int, figures: dict[str, Any]) -> None:
    """Put figures into the file."""
    print(name, budget, title, seed, json.dumps(figures), flush=True)
    known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    known.setdefault(f"{name} {budget}", {}).setdefault(title, {})[str(seed)] = figures
    FIGURES.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


def run(name: str) -> None:
    """Measure all strategies on one set."""
    given, kept = setting(name), list[IntegerCircuit]()
    weights = learn_policy(given.teachers)
    rows: dict[str, Strategy] = {
        "one W for all": partial(one_width, kept=kept), "additive": additive, "starts": starts, "staircase": staircase,
        "random neighbours": neighbours, "policy": policy, "policy, carried": partial(policy, weights=weights),
        "evolve": evolve,
    }  # fmt: skip
    for budget, generations in given.budgets:
        if not generations:
            for title, figures in measure_starts(given, weights, budget).items():
                keep(name, budget, title, 0, figures)
            continue
        for title, strategy in rows.items():
            for seed in given.seeds:
                config = replace(given.config, generations=generations, seed=seed)
                keep(name, budget, title, seed, measure(given, strategy, budget, config, kept))


def spread(values: list[float]) -> str:
    """Write a mean and, of several, the range."""
    if not values:
        return ""
    mean = f"{np.mean(values):.4f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.4f} to {max(values):.4f})"


def write() -> None:
    """Write the table of all figures."""
    lines = [
        "Interval bits a variable within a budget of all ROM, one figure a seed: mean and range. *Gain*: of what "
        "evolution has over one W for all, by the validation records, which every search chooses by. *Evaluations* are "
        "of candidates, on few records or many; what all searches measure first, to know what K, L and W lose (about "
        "25), is beside them. Digits: the shipped circuit, 180 validation and 360 test records. MNIST: the float "
        "circuit of the zoo's mnist-16, starts alone, 128 train images. *Policy, carried*: with weights learned on "
        "small circuits of NLTCS and Plants. Seconds beside other work.",
        "",
    ]  # fmt: skip
    for key, found in json.loads(FIGURES.read_text()).items():
        name, budget = key.split()
        means = {title: float(np.mean([one["valid"] for one in seeds.values()])) for title, seeds in found.items()}
        plain, best = means["one W for all"], means.get("evolve", math.nan)
        rows = []
        for title in sorted(means, key=lambda title: -means[title]):
            seeds = list(found[title].values())
            rows.append([
                title, spread([one["valid"] for one in seeds]), spread([one["test"] for one in seeds if "test" in one]),
                f"{100 * (plain - means[title]) / (plain - best):.0f} %" if "evolve" in means else "",
                f"{np.mean([one['evaluations'] for one in seeds]):.0f}",
                f"{np.mean([one['seconds'] for one in seeds]):.0f}" if "seconds" in seeds[0] else "",
                "" if title == "one W for all" else f"{np.mean([one['weight_bits'] for one in seeds]):.2f}",
            ])  # fmt: skip
        lines += [f"{name}, {int(budget) / 1000:,.0f} kbit:", ""]
        lines += table(["strategy", "valid", "test", "gain", "evaluations", "seconds", "mean W"], rows)
        lines.append("")
    print("\n".join(lines))
    write_section("Search strategies", "python benchmarks/strategies.py", lines[:-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sets", nargs="*", help="digits, mnist; none is both")
    parser.add_argument("--table", action="store_true", help="only write the table")
    given = parser.parse_args()
    for name in [] if given.table else given.sets or ["digits", "mnist"]:
        run(name)
    write()


if __name__ == "__main__":
    main()
