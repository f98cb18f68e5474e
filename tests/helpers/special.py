"""Circuits at the corners of what an engine's memories hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pcedge.circuit import Circuit, InputLayer, ProductLayer, SparseRows, SumLayer
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize


def special(name: str) -> IntegerCircuit:
    """Make circuits at the corners of what the memories hold."""
    rng = np.random.default_rng(3)
    variables = 6
    unequal = name in ("unequal latents", "row table")
    sizes = [6, 3, 2, 5, 4, 2, 1] if unequal else [5] * variables + [1]
    cardinalities = [256, 2, 9, 9, 1, 2] if name in ("mixed cardinalities", "nested tables") else [7] * variables
    made: list[object] = []
    shared = rng.dirichlet(np.ones(7))
    below: tuple[int, ...] = ()
    for variable, symbols in enumerate(cardinalities):
        states = sizes[variable]
        table = rng.dirichlet(np.full(symbols, 0.3), states)
        if name == "one table":
            table = np.repeat(shared[None], states, axis=0)
        if name == "early ends":
            table[:, symbols // 2 :] = 0.0
            table[0] = np.eye(symbols)[0]
            table /= table.sum(axis=1, keepdims=True)
        made.append(InputLayer(variable, table))
        if below:
            own = np.arange(states)
            gather = np.stack([own, own if unequal else rng.permutation(states)], axis=1).astype(np.int64)
            made.append(ProductLayer((below[0], len(made) - 1), gather))
        units = sizes[variable + 1]
        # Rows of multiples of 2^-k with their own k a layer: trailing zeros when W is 8.
        weights = rng.multinomial(1 << (2 + variable), np.full(states, 1 / states), units) / (1 << (2 + variable))
        if name == "a certain child":
            weights[0] = np.eye(states)[variable % states]
        if name == "certain children":
            weights = np.eye(states)[rng.permutation(states)[:units]]
        if name == "row table":
            weights = np.stack([np.roll(weights[unit % 2], unit) for unit in range(units)])
        sparse = name == "sparse sums" or (name == "mixed cardinalities" and variable % 2)
        made.append(SumLayer((len(made) - 1,), SparseRows.from_dense(weights) if sparse else weights))
        below = (len(made) - 1,)
    masters = 2 if name == "nested tables" else None
    circuit = quantize(Circuit(tuple(made)), QuantizationConfig(8, 10, 12, "small", leaf_masters=masters))  # type: ignore[arg-type]
    return in_rows(circuit) if name == "row table" else circuit


def in_rows(circuit: IntegerCircuit) -> IntegerCircuit:
    """Store all dense sums of a circuit as turned rows of a table."""
    lengths = {layer.weights.shape[1] for layer in circuit.dense_sums.values()} - {1}
    return replace(circuit, row_lengths=tuple(sorted(lengths)))


def rounded_up() -> IntegerCircuit:
    """Make a circuit whose third variable's contexts behind two symbols 0 have sums that round up to 2^16.

    Four equal units have the mantissas 65504, 65376, 95 and 96 there, in all 2^17 - 1: the upper 16 bits of products of
    the tables' counts of 12 bits.
    """
    counts = np.array([[4095, 4095, 4095, 2050], [4095, 4087, 6, 12]])
    tables = [np.stack([row, 4096 - row], axis=1) / 4096 for row in counts]
    layers = (
        *(InputLayer(variable, table) for variable, table in enumerate(tables)),
        InputLayer(2, np.random.default_rng(0).dirichlet(np.ones(9), 4)),
        ProductLayer((0, 1, 2), np.repeat(np.arange(4)[:, None], 3, axis=1)),
        SumLayer((3,), np.full((1, 4), 1 / 4)),
    )
    return quantize(Circuit(layers), QuantizationConfig(leaf_bits=12))


SPECIAL = (
    "mixed cardinalities", "one table", "early ends", "a certain child", "certain children", "sparse sums",
    "trailing zeros", "nested tables", "unequal latents", "row table",
)  # fmt: skip
