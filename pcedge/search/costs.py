"""What the numbers of a circuit cost: bits of memories and multipliers."""

from __future__ import annotations

from pcedge.arrays import IntArray
from pcedge.circuit.rows import entries
from pcedge.integer import IntegerCircuit, IntegerSum


def multiplier_bits(integers: IntegerCircuit) -> int:
    """Count the partial products of a multiply-accumulate unit and of a unit for intervals: weight x A and A x leaf."""
    weights = max((_greatest(layer) for layer in integers.layers if isinstance(layer, IntegerSum)), default=1)
    return (weights.bit_length() + integers.leaf_bits) * integers.state_bits


def stored_width(values: IntArray, bits: int) -> int:
    """Give the width that a layer's weights are stored at: W, for a certain child is written as all ones."""
    return max(1, min(bits, int(values.max()).bit_length()))


def _greatest(layer: IntegerSum) -> int:
    return int(entries(layer.weights).max())
