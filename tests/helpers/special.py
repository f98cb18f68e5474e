"""Circuits at the corners of what an engine's memories hold."""

from __future__ import annotations

import numpy as np

from pcedge.circuit import Circuit, InputLayer, ProductLayer, SparseRows, SumLayer
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize


def special(name: str) -> IntegerCircuit:
    """Make circuits at the corners of what the memories hold."""
    rng = np.random.default_rng(3)
    variables, states = 6, 5
    cardinalities = [256, 2, 9, 9, 1, 2] if name in ("mixed cardinalities", "nested tables") else [7] * variables
    made: list[object] = []
    shared = rng.dirichlet(np.ones(7))
    below: tuple[int, ...] = ()
    for variable, symbols in enumerate(cardinalities):
        table = rng.dirichlet(np.full(symbols, 0.3), states)
        if name == "one table":
            table = np.repeat(shared[None], states, axis=0)
        if name == "early ends":
            table[:, symbols // 2 :] = 0.0
            table[0] = np.eye(symbols)[0]
            table /= table.sum(axis=1, keepdims=True)
        made.append(InputLayer(variable, table))
        if below:
            gather = np.stack([np.arange(states), rng.permutation(states)], axis=1).astype(np.int64)
            made.append(ProductLayer((below[0], len(made) - 1), gather))
        units = 1 if variable == variables - 1 else states
        # Rows of multiples of 2^-k with their own k a layer: trailing zeros when W is 8.
        weights = rng.multinomial(1 << (2 + variable), np.full(states, 1 / states), units) / (1 << (2 + variable))
        if name == "a certain child":
            weights[0] = np.eye(states)[variable % states]
        if name == "certain children":
            weights = np.eye(states)[rng.permutation(states)[:units]]
        sparse = name == "sparse sums" or (name == "mixed cardinalities" and variable % 2)
        made.append(SumLayer((len(made) - 1,), SparseRows.from_dense(weights) if sparse else weights))
        below = (len(made) - 1,)
    masters = 2 if name == "nested tables" else None
    return quantize(Circuit(tuple(made)), QuantizationConfig(8, 10, 12, "small", leaf_masters=masters))  # type: ignore[arg-type]


SPECIAL = (
    "mixed cardinalities", "one table", "early ends", "a certain child", "certain children", "sparse sums",
    "trailing zeros", "nested tables",
)  # fmt: skip
