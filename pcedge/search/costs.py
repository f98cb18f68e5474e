"""What the numbers of a circuit cost: bits of memories and multipliers."""

from __future__ import annotations

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import SumLayer
from pcedge.circuit.rows import SparseRows
from pcedge.integer import IntegerCircuit, IntegerSum


def multiplier_bits(integers: IntegerCircuit) -> int:
    """Count the partial products of a multiply-accumulate unit and of a unit for intervals: weight x A and A x leaf."""
    weights = max((_greatest(layer) for layer in integers.layers if isinstance(layer, IntegerSum)), default=1)
    return (weights.bit_length() + integers.leaf_bits) * integers.state_bits


def stored_width(values: IntArray, bits: int) -> int:
    """Give the width that a layer's weights are stored at: W, for a certain child is written as all ones."""
    return max(1, min(bits, int(values.max()).bit_length()))


def _greatest(layer: IntegerSum) -> int:
    return int((layer.weights.values if isinstance(layer.weights, SparseRows) else layer.weights).max())


def float_values(layer: SumLayer) -> FloatArray:
    """Give the weights of a layer, (units, entries) or (entries,) of sparse rows."""
    rows = layer.weights
    return np.asarray(rows.values if isinstance(rows, SparseRows) else rows, dtype=np.float64)
