"""All parameters of a circuit as one vector, in the order of a plan's stacks, and back."""

from __future__ import annotations

import numpy as np

from pcedge.arrays import FloatArray
from pcedge.circuit.layers import Circuit, InputLayer, Layer, SumLayer, parameters_of
from pcedge.circuit.rows import with_entries
from pcedge.learn.plan import LeafStack, ProductStack, SumStack


def packed(circuit: Circuit, levels: tuple[tuple[LeafStack | ProductStack | SumStack, ...], ...]) -> FloatArray:
    """Put all parameters behind one another, stack by stack."""
    pieces: list[FloatArray] = []
    for stack in (stack for level in levels for stack in level):
        if isinstance(stack, ProductStack):
            continue
        for index in stack.layers:
            pieces.append(parameters_of(circuit.layers[index]).ravel())
    return np.concatenate(pieces)


def with_parameters(layer: Layer, values: FloatArray) -> Layer:
    """Make a layer like another with other parameters."""
    if isinstance(layer, InputLayer):
        table = values.reshape(layer.table.shape)
        return InputLayer(layer.variable, table[:, 1].copy() if layer.kind == "bernoulli" else table)
    assert isinstance(layer, SumLayer)
    return SumLayer(layer.children, with_entries(layer.weights, values))
