"""Measure the step programs of hidden trees with unequal latents: python -m benchmarks.step_programs [columns].

The circuits have the tree of the shipped MNIST circuit, and random parameters; with `columns`, the bits of every field
of their packed tables are printed too.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache

import numpy as np

from benchmarks.results import table
from pcedge.arrays import IntArray
from pcedge.circuit import Circuit, InputLayer, ProductLayer, SumLayer
from pcedge.circuit.layers import Layer
from pcedge.drivers.size import EngineSize
from pcedge.export import load_zoo
from pcedge.export.engine.cycles import busy_cycles, estimate
from pcedge.export.program.lowering import arrange, lower
from pcedge.integer.circuit import IntegerCircuit, IntegerInput
from pcedge.quantize import QuantizationConfig, quantize

#: leaf tables that all variables share, and their symbols
TABLES, SYMBOLS = 64, 256

#: what is counted, in kbit
PARTS = ("likelihood_program", "code_program", "operands", "programs", "rom", "state")

#: the engine whose cycles are counted
SHAPE = EngineSize(macs=16, streams=4)


@dataclass(frozen=True)
class Case:
    """Say how many states the latents of a tree have."""

    name: str
    #: what the numbers of states are drawn from
    sizes: tuple[int, ...]
    #: whether a latent without children is summed out into the leaf tables of its parent's states
    fold: bool = False


CASES = (
    Case("16 states", (16,)),
    Case("1 to 16", tuple(range(1, 17))),
    Case("multiples of 4", (4, 8, 12, 16)),
    Case("multiples of 4, folded", (4, 8, 12, 16), fold=True),
)


@cache
def mnist_parents() -> tuple[int, ...]:
    """Give the parent of every pixel's latent in the shipped 16-state circuit of MNIST, -1 for the root."""
    circuit = load_zoo("mnist-16")
    assert isinstance(circuit, IntegerCircuit)
    own: dict[int, int] = {}
    parents = [-1] * len(circuit.order)
    for index, layer in enumerate(circuit.layers):
        if isinstance(layer, IntegerInput):
            own[index] = layer.variable
        elif isinstance(layer, ProductLayer):
            variable = own[index] = own[layer.children[0]]
            for child in layer.children[1:]:
                parents[own[child]] = variable
        else:
            own[index] = own[layer.children[0]]
    return tuple(parents)


def tree_circuit(parents: tuple[int, ...], case: Case, seed: int = 0, symbols: int = SYMBOLS) -> Circuit:
    """Make a hidden tree of these parents with random sizes and parameters."""
    rng = np.random.default_rng(seed)
    sizes = rng.choice(case.sizes, len(parents))
    tables = rng.dirichlet(np.full(symbols, 0.1), TABLES)
    children: list[list[int]] = [[] for _ in parents]
    for variable, parent in enumerate(parents):
        if parent >= 0:
            children[parent].append(variable)
    order = [variable for variable, parent in enumerate(parents) if parent < 0]
    for variable in order:
        order.extend(children[variable])
    layers: list[Layer] = []
    top: dict[int, int] = {}
    for variable in reversed(order):
        parent = parents[variable]
        folded = case.fold and not children[variable] and parent >= 0
        units = int(sizes[parent if folded else variable])
        layers.append(InputLayer(variable, tables[rng.integers(0, TABLES, units)]))
        if children[variable]:
            factors = (len(layers) - 1, *(top[child] for child in children[variable]))
            layers.append(ProductLayer(factors, identity(units, len(factors))))
        if not folded:
            targets = 1 if parent < 0 else int(sizes[parent])
            layers.append(SumLayer((len(layers) - 1,), rng.dirichlet(np.ones(units), targets)))
        top[variable] = len(layers) - 1
    return Circuit(tuple(layers))


def identity(units: int, factors: int) -> IntArray:
    """Gather unit k of every factor for product k."""
    return np.tile(np.arange(units, dtype=np.int64)[:, None], (1, factors))


def integers(case: Case, symbols: int = SYMBOLS) -> IntegerCircuit:
    """Make a case's circuit of the size of MNIST in integers, W 4 and L 10."""
    circuit = tree_circuit(mnist_parents(), case, symbols=symbols)
    return quantize(circuit, QuantizationConfig(weight_bits=4, leaf_bits=10, tails=False))


def main() -> None:
    """Print a row for every case."""
    rows = []
    for case in CASES:
        circuit = integers(case)
        lowered = lower(circuit)
        bits = lowered.memory_bits()
        plain = lower(circuit, arrange(circuit, plain=True)).memory_bits()["programs"]
        weights = sum(layer.weights.size for layer in circuit.layers if hasattr(layer, "weights"))
        cycles = estimate(circuit, SHAPE, "encode").cycles_per_record / len(circuit.order)
        busy = busy_cycles(circuit, SHAPE, "encode")
        rows.append([
            case.name, f"{weights:,}", str(len(lowered.code.steps)), f"{plain / 1000:.1f}",
            *(f"{bits[name] / 1000:.1f}" for name in PARTS),
            f"{cycles:.2f}", *(f"{count / len(circuit.order):.2f}" for count in busy.values()),
        ])  # fmt: skip
        if sys.argv[1:] == ["columns"]:
            for program, memory in (("likelihood", lowered.likelihood_program), ("code", lowered.code_program)):
                for part, packed in memory.tables.items():
                    fields = {name: field.bits for name, field in packed.fields.items() if field.bits}
                    print(f"{case.name}: {program} {part}, {packed.rows} rows of {packed.row_bits} bits: {fields}")
    head = ["latents", "weights", "steps of the code", "programs with a row a step"]
    head += [*(name.replace("_", " ") for name in PARTS), "cycles"]
    print("\n".join(table([*head, "mix", "vector", "interval", "fetch"], rows)))


if __name__ == "__main__":
    main()
