"""Comparing circuits that were learned."""

from __future__ import annotations

import numpy as np

from pcedge.arrays import FloatArray
from pcedge.circuit import Circuit, ProductLayer
from pcedge.circuit.layers import parameters_of


def parameters(circuit: Circuit) -> list[FloatArray]:
    """Give the parameters of all layers that have some."""
    return [parameters_of(layer) for layer in circuit.layers if not isinstance(layer, ProductLayer)]


def equal(first: Circuit, second: Circuit) -> bool:
    """Tell whether two circuits have the same parameters, to the bit."""
    return all(np.array_equal(a, b) for a, b in zip(parameters(first), parameters(second), strict=True))
