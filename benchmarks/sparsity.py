"""Compare schedules of edge pruning on several circuits: python benchmarks/sparsity.py; writes its section.

After every round the circuit is trained for six full passes. *global*: a share of the edges of the whole circuit, half
their PQ index; *layers*: `sap_round`, every layer by its own index. Data: PCEDGE_DATA (default ../shared/data).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from results import table, write_section

from pcedge.circuit import Circuit, SparseRows, SumLayer, load_circuit, log_likelihood
from pcedge.circuit.rows import float_entries
from pcedge.compress import expected_flows, pq_index, prune, sap_round
from pcedge.data import Splits, load_data
from pcedge.importers.files import import_circuit
from pcedge.learn import LearnConfig, fit

DATA = Path(os.environ.get("PCEDGE_DATA", Path(__file__).resolve().parent.parent.parent / "shared" / "data"))
GAMMA, ROUNDS, PASSES = 0.5, 16, 6
#: bits a variable over the best round that a circuit may have and still be at the knee
KNEE = 0.002


def sets() -> Iterator[tuple[str, Circuit, Splits]]:
    """Give circuits with their data."""
    yield "digits, hclt of 16 states", load_circuit("digits"), _symbols(load_data("digits"))
    for name in ("nltcs", "plants"):
        splits = _symbols(load_data(DATA / "debd" / f"{name}.npz"))
        yield f"{name}, hclt of 8 states", fit(splits, LearnConfig(latents=8)), splits
    raw = np.load(DATA / "debd" / "msnbc.npz")
    splits = Splits(train=raw["valid"][:8000], valid=raw["valid"][8000:12000], test=raw["test"][:10000])
    splits = _symbols(splits)
    yield "msnbc, hclt of 8 states", fit(splits, LearnConfig(latents=8)), splits
    psdd = import_circuit(DATA / "psdd" / "nltcs.psdd.gz", vtree=DATA / "psdd" / "nltcs.vtree").circuit
    yield "nltcs, PSDD", psdd, _symbols(load_data(DATA / "debd" / "nltcs.npz"))


def _symbols(splits: Splits) -> Splits:
    return splits.map(lambda values: np.asarray(values[:8192]).reshape(min(len(values), 8192), -1).astype(np.int64))


def bits(circuit: Circuit, records: np.ndarray) -> float:
    """Give bits a variable."""
    return float(-log_likelihood(circuit, records).mean() / np.log(2) / records.shape[1])


def weights_of(circuit: Circuit) -> list[np.ndarray]:
    """Give the weights of all sum layers."""
    return [float_entries(layer.weights).reshape(-1) for layer in circuit.layers if isinstance(layer, SumLayer)]


def index_of(circuit: Circuit, flows: list[np.ndarray | None]) -> float:
    """Give the PQ index of the edges that there are."""
    used = [np.reshape(flows[index], -1) for index, layer in enumerate(circuit.layers) if isinstance(layer, SumLayer)]
    return pq_index(np.concatenate([flow[w > 0] for flow, w in zip(used, weights_of(circuit), strict=True)]))


def by_layers(circuit: Circuit, flows: list[np.ndarray | None], index: float) -> Circuit:
    """Prune by layers."""
    return sap_round(circuit, flows, GAMMA).circuit


def in_all(circuit: Circuit, flows: list[np.ndarray | None], index: float) -> Circuit:
    """Prune the whole circuit; what is dropped is not trained again."""
    after = prune(circuit, flows, GAMMA * index).circuit
    layers = list(after.layers)
    for place, layer in enumerate(layers):
        if isinstance(layer, SumLayer) and not isinstance(layer.weights, SparseRows) and not layer.weights.all():
            layers[place] = replace(layer, weights=SparseRows.from_dense(layer.weights))
    return replace(after, layers=tuple(layers))


def rounds(circuit: Circuit, splits: Splits, way: Callable[..., Circuit]) -> list[tuple[int, float, float, float]]:
    """Prune and train; give (edges, PQ index, valid bits, test bits) before and after every round."""
    valid, test = splits.valid, splits.test
    assert valid is not None and test is not None
    found = []
    config = LearnConfig(iterations=PASSES, batch=len(splits.train), patience=0)
    for _ in range(ROUNDS):
        flows, edges = expected_flows(circuit, splits.train), sum(map(np.count_nonzero, weights_of(circuit)))
        index = index_of(circuit, flows)
        found.append((int(edges), index, bits(circuit, valid), bits(circuit, test)))
        after = way(circuit, flows, index)
        if sum(map(np.count_nonzero, weights_of(after))) == edges:
            break
        circuit = fit(splits, config, circuit=after)
    return found


def main() -> None:
    curves: list[list[str]] = []
    stops: list[list[str]] = []
    worst = 0.0
    for name, circuit, splits in sets():
        layers = rounds(circuit, splits, by_layers)
        if name.startswith("digits"):
            whole = rounds(circuit, splits, in_all)
            known = np.array(sorted((edges, test) for edges, _, _, test in whole))
            for edges, index, valid, test in layers:
                at = float(np.interp(edges, known[:, 0], known[:, 1]))
                worst = max(worst, test - at)
                figures = [f"{valid:.4f}", f"{test:.4f}", f"{at:.4f}", f"{test - at:+.4f}"]
                curves.append([f"{edges:,}", f"{index:.3f}", *figures])
        best = min(valid for _, _, valid, _ in layers)
        knee = [one for one in layers if one[2] <= best + KNEE][-1]
        rising = [i for i in range(1, len(layers)) if layers[i][1] > layers[i - 1][1]]
        stop = layers[rising[0]] if rising else layers[-1]
        stops.append([name, f"{layers[0][0]:,}", f"{knee[0]:,}", f"{knee[1]:.3f}", f"{stop[0]:,}", f"{stop[1]:.3f}",
                      f"{stop[2] - best:+.4f}", "rose" if rising else "did not rise"])  # fmt: skip
        print(stops[-1], flush=True)
    lines = [
        f"`sap_round` with gamma {GAMMA}, each round followed by {PASSES} full passes of training, {ROUNDS - 1} "
        "rounds at most. Digits, bits a pixel; *global* is the test figure of pruning by flow in the whole circuit, "
        f"interpolated at the same edges. The layers' worst is {worst:+.4f}.",
        "",
        *table(["edges", "PQ index", "valid", "test", "global, test", "difference"], curves),
        "",
        f"Where to stop. *Knee*: the fewest edges within {KNEE} bits of the best validation figure; *end*: where the "
        "index first rises, else the last round. The index at the knee differs from circuit to circuit, and its rise "
        "comes too late or not at all: no stop is built on it. Stop by validation records.",
        "",
        *table(["circuit", "edges", "knee", "PQ index", "end", "PQ index", "valid bits over the best", "index"], stops),
    ]  # fmt: skip
    print("\n".join(lines))
    write_section("Pruning schedules", "python benchmarks/sparsity.py", lines)


if __name__ == "__main__":
    main()
