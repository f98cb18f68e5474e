"""Models of SPFlow, deeprob-kit and libcirkit beside their circuits: the library's float, the circuit's, the integers'.

Each model is learned on handwritten digits (the last third held out), by its own library where that learns. What stands
against it are the same records with the values of every column shuffled. `--source NAME` measures one of them and
writes nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
from results import table, write_section

from pcedge.circuit import Circuit
from pcedge.engines.reference import ReferenceEngine
from pcedge.evaluate import evaluate
from pcedge.export import estimate_cost
from pcedge.importers import from_cirkit, from_deeprob, from_spflow, import_circuit
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize

DATA = Path(__file__).parents[1] / "tests/data"

#: leaves of 16 bits keep what tells strange values apart
WIDTHS = QuantizationConfig(weight_bits=16, leaf_bits=16)


@dataclass(frozen=True, eq=False)
class Model:
    """Hold a circuit, held-out records of it, and the library's mean log-likelihood of them in nats."""

    circuit: Circuit
    records: np.ndarray
    nats: float


def _digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    x = load_digits().data
    return x[:1200], x[1200:]


def _einet(leaves: Any, train: np.ndarray) -> Any:
    import torch
    from spflow.learn.expectation_maximization import expectation_maximization
    from spflow.zoo.einet.einet import Einet

    model = Einet(
        leaf_modules=[leaves], num_classes=1, num_sums=8, num_leaves=8, depth=4, num_repetitions=1, layer_type="linsum",
        structure="top-down",
    )  # fmt: skip
    expectation_maximization(model, torch.tensor(train, dtype=torch.float32), max_steps=20)
    return model


def spflow_categorical() -> Model:
    """Learn an Einet of SPFlow over the grey values."""
    import torch
    from spflow.modules.leaves import Categorical

    torch.manual_seed(0)
    train, test = _digits()
    model = _einet(Categorical(scope=list(range(64)), out_channels=8, K=17), train)
    own = model.log_likelihood(torch.tensor(test, dtype=torch.float32)).mean().item()
    return Model(from_spflow(model), test.astype(np.int64), own)


def spflow_text() -> Model:
    """Take NIPS5 of the SPN compiler, which SPFlow learned, with its inputs and likelihoods."""
    made = import_circuit(DATA / "spn/NIPS5.spn")
    x = np.loadtxt(DATA / "spn/NIPS5_input.txt.gz", delimiter=";").astype(np.int64)
    own = np.loadtxt(DATA / "spn/NIPS5_loglikelihood.txt.gz")
    return Model(made.circuit, x, float(own.mean()))


def deeprob_bernoulli() -> Model:
    """Learn an SPN of deeprob-kit over the upper half of the digits, black and white."""
    from deeprob.spn.algorithms.inference import log_likelihood
    from deeprob.spn.learning.wrappers import learn_estimator
    from deeprob.spn.structure.leaf import Bernoulli

    train, test = ((part[:, :32] > 7).astype(np.float32) for part in _digits())
    model = learn_estimator(train, [Bernoulli] * 32, [[0, 1]] * 32, min_rows_slice=64, random_state=0, verbose=False)
    return Model(from_deeprob(model), test.astype(np.int64), float(log_likelihood(model, test).mean()))


def cirkit_categorical() -> Model:
    """Train a quad-graph circuit of libcirkit over the grey values."""
    import torch
    from cirkit.pipeline import PipelineContext
    from cirkit.templates import data_modalities, utils

    torch.manual_seed(0)
    train, test = (torch.tensor(part, dtype=torch.int64) for part in _digits())
    symbolic = data_modalities.image_data(
        (1, 8, 8), region_graph="quad-graph", input_layer="categorical", num_input_units=6, sum_product_layer="cp",
        num_sum_units=6, input_params={"logits": utils.Parameterization(initialization="normal")},
    )  # fmt: skip
    context = PipelineContext(backend="torch", semiring="lse-sum", fold=True, optimize=True)
    circuit = context.compile(symbolic)
    partition = context.integrate(circuit)
    step = torch.optim.Adam(circuit.parameters(), lr=0.1)
    for batch in torch.randint(len(train), (100, 128)):
        loss = partition().squeeze() - circuit(train[batch]).mean()
        step.zero_grad()
        loss.backward()
        step.step()
    own = (circuit(test).mean() - partition().squeeze()).item()
    return Model(from_cirkit(circuit), test.numpy(), own)


#: a source's name, and what learns or reads its model
SOURCES: dict[str, Callable[[], Model]] = {
    "SPFlow, Einet, categorical": spflow_categorical,
    "SPFlow 0.0, NIPS5.spn": spflow_text,
    "deeprob-kit, Bernoulli": deeprob_bernoulli,
    "libcirkit, quad graph": cirkit_categorical,
}


def measure(name: str) -> list[str]:
    """Give the row of a source."""
    model = SOURCES[name]()
    circuit = model.circuit
    symbols = model.records if circuit.grid is None else circuit.grid.symbols_of(model.records)
    strange = np.random.default_rng(0).permuted(symbols, axis=0)
    integers = quantize(circuit, WIDTHS)
    found = evaluate(circuit, ReferenceEngine(integers), symbols, ood=strange, queries=0)
    told = found.auroc()
    bits = found.as_dict()["bits_per_record"]
    # Where the file is not normalised, the library's value has the constant in it; libcirkit's is given without.
    constant = 0.0 if name.startswith("libcirkit") else circuit.log_constant
    return [
        name, str(circuit.parameters), f"{model.nats:.4f}", f"{-bits['float'] * np.log(2) + constant:.4f}",
        f"{bits['float']:.3f}", f"{bits['likelihood']:.3f}", str(found.as_dict()["impossible"]),
        f"{told['float']:.4f}", f"{told['likelihood']:.4f}", *_cost(integers),
    ]  # fmt: skip


def _cost(integers: IntegerCircuit) -> list[str]:
    """Give ROM and cycles of the smallest engine, which takes structured circuits."""
    if not integers.structured:
        return ["", ""]
    cost = estimate_cost(integers, target="zcu104")
    return [f"{cost.memory_bits['rom'] / 1000:.0f}", f"{cost.jobs['likelihood'].cycles_per_record:,.0f}"]


def main() -> None:
    """Measure all sources, or the one that is named."""
    chosen = sys.argv[sys.argv.index("--source") + 1 :] if "--source" in sys.argv else list(SOURCES)
    rows = []
    for name in chosen:
        rows.append(measure(name))
        print(*rows[-1], sep=" | ", flush=True)
    columns = ["model", "parameters", "library, nats", "circuit, nats", "circuit, bits", "integers, bits", "impossible",
               "AUROC, float", "AUROC, integers", "ROM, kbit", "cycles a record"]  # fmt: skip
    lines = table(columns, rows)
    if "--source" not in sys.argv:
        note = (
            "Means of held-out records: the library's own log-likelihood, the circuit's, that of the integers of W 16, "
            "L 16, A 16, and how many records these call impossible; then how well each tells the records from "
            "those with every column shuffled. ROM and cycles are of the smallest engine, which takes structured "
            "circuits. NIPS5's five counts are nearly independent."
        )
        write_section(
            "Models of SPFlow, deeprob-kit and libcirkit", "python benchmarks/spflow_models.py", [note, "", *lines]
        )


if __name__ == "__main__":
    main()
