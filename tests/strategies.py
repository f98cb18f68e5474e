"""Hypothesis strategies for circuits and records: a seed and a few shape numbers are drawn, numpy does the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import note
from hypothesis import strategies as st
from numpy.typing import NDArray

from pcedge.circuit import MISSING, Circuit, InputLayer, Layer, ProductLayer, SparseRows, SumLayer
from pcedge.circuit.rows import entries, with_entries
from pcedge.circuit.structure import Region, coding_order, region_tree
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize

#: how a region of several variables is split: see `CircuitMaker.split`
TREES = ("chain", "balanced", "star", "hidden", "random")

#: the share of weights and leaf probabilities that are zero, and of rows that are certain
SHARPNESS = (0.0, 0.25, 0.6)


class CircuitMaker:
    """Grow a random circuit, region by region, bottom up."""

    def __init__(self, seed: int, variables: int, states: int, symbols: int, tree: str, sharpness: float) -> None:
        self.rng = np.random.default_rng([seed, variables, states, symbols])
        self.states = states
        self.tree = tree
        self.sharpness = sharpness
        self.cardinalities = self.rng.integers(2, symbols + 1, variables)
        self.layers: list[Layer] = []

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def units(self) -> int:
        return int(self.rng.integers(1, self.states + 1))

    def rows(self, rows: int, columns: int) -> NDArray[np.float64]:
        """Draw distributions, some of them certain or with zeros."""
        table = self.rng.dirichlet(np.full(columns, 0.7), rows) + 1e-6
        table[self.rng.random(table.shape) < self.sharpness] = 0.0
        certain = self.rng.random(rows) < self.sharpness / 2
        certain |= ~table.any(axis=1)
        table[certain] = np.eye(columns)[self.rng.integers(0, columns, int(certain.sum()))]
        return np.asarray(table / table.sum(axis=1, keepdims=True))

    def add(self, layer: Layer) -> int:
        self.layers.append(layer)
        return len(self.layers) - 1

    def size(self, layer: int) -> int:
        return self.layers[layer].shape.units

    def leaf(self, variable: int, units: int) -> int:
        table = self.rows(units, int(self.cardinalities[variable]))
        if table.shape[1] == 2 and self.chance(0.5):
            return self.add(InputLayer(variable, table[:, 1].copy()))
        return self.add(InputLayer(variable, table))

    def sum(self, children: Sequence[int], units: int) -> int:
        weights = self.rows(units, sum(self.size(child) for child in children))
        sparse = self.chance(0.3)
        return self.add(SumLayer(tuple(children), SparseRows.from_dense(weights) if sparse else weights))

    def product(self, children: Sequence[int]) -> int:
        sizes = [self.size(child) for child in children]
        if len(set(sizes)) == 1 and self.chance(0.5):
            gather = np.repeat(np.arange(sizes[0])[:, None], len(sizes), axis=1)
        else:
            count = self.units()
            gather = np.stack([self.rng.integers(0, size, count) for size in sizes], axis=1)
        order = self.rng.permutation(len(children))
        return self.add(ProductLayer(tuple(children[i] for i in order), gather[:, order].astype(np.int64)))

    def split(self, variables: list[int]) -> list[list[int]]:
        if self.tree == "star":
            return [[v] for v in variables]
        if self.tree == "balanced":
            return [variables[: len(variables) // 2], variables[len(variables) // 2 :]]
        if self.tree == "chain":
            return [variables[:1], variables[1:]]
        if self.tree == "hidden":
            rest = variables[1:]
            cuts = np.unique(self.rng.integers(0, len(rest), 2))
            return [variables[:1], *[p.tolist() for p in np.split(np.array(rest), cuts) if len(p)]]
        parts = int(self.rng.integers(2, min(4, len(variables)) + 1))
        cuts = np.sort(self.rng.permutation(np.arange(1, len(variables)))[: parts - 1])
        return [p.tolist() for p in np.split(np.array(variables), cuts)]

    def region(self, variables: list[int], parts: list[list[int]] | None = None) -> list[int]:
        """Add the layers of a region; give those that its parent must use."""
        if len(variables) == 1:
            # Alike sizes make identity gathers likely; two input layers of a variable are merged by quantization.
            count = 1 + self.chance(0.25)
            made = [self.leaf(variables[0], self.states if self.chance(0.6) else self.units()) for _ in range(count)]
            if self.tree == "hidden" or self.chance(0.6):
                return made
            return self.mixed(made)
        below = [self.region(part) for part in parts or self.split(variables)]
        count = max(len(outs) for outs in below) + self.chance(0.25)
        products = [self.product([outs[n % len(outs)] for outs in below]) for n in range(count)]
        return products if self.chance(0.2) else self.mixed(products)

    def mixed(self, made: list[int]) -> list[int]:
        """Add sums over all of these layers; sometimes a sum over sums, or one of the layers beside its sums."""
        outs = [self.sum(made, self.states if self.chance(0.6) else self.units())]
        if self.chance(0.2):
            outs = [self.sum([made[0], *outs], self.units())]
        if self.chance(0.2):
            outs.append(self.sum(made[: 1 + self.chance(0.5)], self.units()))
        if self.chance(0.15):
            outs.append(made[-1])
        return outs

    def finish(self, outs: list[int]) -> Circuit:
        root = self.layers[outs[0]]
        if not (len(outs) == 1 and root.shape.units == 1 and outs[0] == len(self.layers) - 1):
            self.sum(outs, 1)
        return Circuit(tuple(self.layers))


@st.composite
def float_circuits(
    draw: st.DrawFn,
    max_variables: int = 12,
    max_states: int = 6,
    max_symbols: int = 9,
    min_variables: int = 1,
    sharpness: float | None = None,
) -> Circuit:
    """Draw structured circuits of every shape; `sharpness` 0 means that every input is possible."""
    variables = draw(st.integers(min_variables, max_variables))
    states = draw(st.integers(1, max_states))
    symbols = draw(st.integers(2, max_symbols))
    tree = draw(st.sampled_from(TREES))
    sharp = draw(st.sampled_from(SHARPNESS)) if sharpness is None else sharpness
    seed = draw(st.integers(0, 2**32 - 1))
    note(f"CircuitMaker({seed}, {variables}, {states}, {symbols}, {tree!r}, {sharp})")
    return make_circuit(seed, variables, states, symbols, tree, sharp)


def make_circuit(seed: int, variables: int, states: int, symbols: int, tree: str, sharpness: float = 0.0) -> Circuit:
    """Make one circuit from numbers alone, for tests without hypothesis."""
    maker = CircuitMaker(seed, variables, states, symbols, tree, sharpness)
    return maker.finish(maker.region(maker.rng.permutation(variables).tolist()))


def make_unstructured(seed: int, variables: int, states: int, sharpness: float) -> Circuit:
    """Make a smooth and decomposable circuit with two products that partition the root differently."""
    maker = CircuitMaker(seed, variables, states, 5, "random", sharpness)
    names = maker.rng.permutation(variables).tolist()
    return maker.finish(maker.region(names, [names[:1], names[1:]]) + maker.region(names, [names[:2], names[2:]]))


@st.composite
def unstructured_circuits(draw: st.DrawFn, max_variables: int = 8, max_states: int = 4) -> Circuit:
    """Draw circuits that are smooth and decomposable, with two products that partition the root differently."""
    variables = draw(st.integers(3, max_variables))
    states = draw(st.integers(1, max_states))
    seed = draw(st.integers(0, 2**32 - 1))
    sharp = draw(st.sampled_from(SHARPNESS))
    note(f"make_unstructured({seed}, {variables}, {states}, {sharp})")
    return make_unstructured(seed, variables, states, sharp)


@st.composite
def configs(draw: st.DrawFn, coder: str | None = None) -> QuantizationConfig:
    """Draw every width, often at its ends."""
    return QuantizationConfig(
        weight_bits=draw(st.integers(2, 16)),
        leaf_bits=draw(st.integers(8, 16)),
        state_bits=draw(st.integers(8, 16)),
        coder=draw(st.sampled_from(("small", "wide"))) if coder is None else coder,
        floor=draw(st.sampled_from((None, 1, 7))),
        leaf_masters=draw(st.sampled_from((None, None, 1, 3))),
        tails=draw(st.booleans()),
    )


def steep(circuit: Circuit, power: int) -> Circuit:
    """Make small parameters much smaller, so that many round to 0."""
    layers: list[Any] = []
    for layer in circuit.layers:
        if isinstance(layer, InputLayer):
            table = layer.table**power
            layers.append(InputLayer(layer.variable, table / table.sum(axis=1, keepdims=True)))
        elif isinstance(layer, SumLayer):
            sparse = isinstance(layer.weights, SparseRows)
            values = np.asarray(entries(layer.weights), dtype=np.float64) ** power
            totals = np.add.reduceat(values, layer.weights.indptr[:-1]) if sparse else values.sum(axis=1)
            shares = values / (totals[layer.weights.row_of_entry] if sparse else totals[:, None])
            layers.append(SumLayer(layer.children, with_entries(layer.weights, shares)))
        else:
            layers.append(layer)
    return Circuit(tuple(layers))


@st.composite
def integer_circuits(
    draw: st.DrawFn,
    max_variables: int = 12,
    max_states: int = 6,
    max_symbols: int = 9,
    coder: str | None = None,
    sharpness: float | None = None,
) -> IntegerCircuit:
    """Draw quantized circuits of every shape, width and coding order."""
    circuit = draw(float_circuits(max_variables, max_states, max_symbols, sharpness=sharpness))
    order = None
    if draw(st.booleans()):
        seed = draw(st.integers(0, 2**32 - 1))
        order = shuffled_order(circuit, seed)
    integers = quantize(circuit, draw(configs(coder)), order=order)
    return replace(integers, row_lengths=draw(row_lengths(integers)))


@st.composite
def row_lengths(draw: st.DrawFn, circuit: IntegerCircuit) -> tuple[int, ...]:
    """Draw what of a circuit's sums is stored as turned rows of a table: nothing, or rows of some lengths."""
    there = sorted({layer.weights.shape[1] for layer in circuit.dense_sums.values()} - {1})
    if not there or draw(st.booleans()):
        return ()
    seed = draw(st.integers(0, 2**32 - 1))
    chosen = np.random.default_rng(seed).random(len(there)) < 0.7
    return tuple(length for length, some in zip(there, chosen.tolist(), strict=True) if some)


def shuffled_order(circuit: Circuit, seed: int) -> tuple[int, ...]:
    """Draw one of the orders in which a depth-first walk can code a circuit."""
    rng = np.random.default_rng(seed)
    tree = region_tree(circuit.shapes)
    walked: list[Region] = []
    stack = [tree[-1]]
    while stack:
        region = stack.pop()
        walked.append(region)
        stack.extend(tree[child] for child in rng.permutation(region.children).astype(int))
    return coding_order(walked)


@st.composite
def records_for(
    draw: st.DrawFn,
    circuit: Circuit | IntegerCircuit,
    max_records: int = 8,
    missing: bool = False,
    min_records: int = 0,
) -> NDArray[np.int64]:
    """Draw uniform records of shape (N, variables), many of them impossible; with `missing` some symbols are -1."""
    count = draw(st.integers(min_records, max_records))
    seed = draw(st.integers(0, 2**32 - 1))
    share = draw(st.sampled_from((0.1, 0.5, 0.9))) if missing else 0.0
    rng = np.random.default_rng(seed)
    records = rng.integers(0, circuit.cardinalities, (count, len(circuit.cardinalities)))
    records[rng.random(records.shape) < share] = MISSING
    return records.astype(np.int64)
