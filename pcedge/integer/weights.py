"""What rows of weights of an integer circuit must hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray
from pcedge.circuit.rows import SparseRows, entries, row_sums
from pcedge.errors import CircuitError


def check_rows(layer_name: str, weights: IntArray | SparseRows, weight_bits: int) -> None:
    """Check that the rows of a sum layer's weights each sum to 2^W, and that columns of sparse rows ascend.

    Raises:
        CircuitError: one does not.
    """
    where = f"{layer_name}: weights of unit"
    check_integers(layer_name, entries(weights))
    if isinstance(weights, SparseRows):
        if (np.diff(weights.indptr) <= 0).any() or weights.indptr[0] != 0 or weights.indptr[-1] != len(weights.values):
            raise CircuitError(f"{layer_name}: every sparse row must hold at least one entry")
        if len(weights.indices) != len(weights.values):
            raise CircuitError(f"{layer_name}: every weight must have a column, got {len(weights.indices)} columns")
        keys = weights.row_of_entry * weights.columns + weights.indices
        if (np.diff(keys) <= 0).any():
            raise CircuitError(f"{layer_name}: the columns of a row must ascend without repetition")
        if (weights.indices < 0).any() or (weights.indices >= weights.columns).any():
            raise CircuitError(f"{layer_name}: columns must be in 0..{weights.columns - 1}")
    values = entries(weights)
    if values.min() < 0:
        raise CircuitError(f"{layer_name}: weights must not be negative, got {values.min()}")
    if values.max() > 1 << weight_bits:
        raise CircuitError(f"{layer_name}: weights must be at most {1 << weight_bits}, got {values.max()}")
    totals = row_sums(weights)
    for unit in np.flatnonzero(totals != 1 << weight_bits):
        raise CircuitError(f"{where} {unit} must sum to {1 << weight_bits}, got {totals[unit]}")


def check_integers(layer_name: str, weights: NDArray[np.generic]) -> None:
    """Check the type of weights.

    Raises:
        CircuitError: it is not int64.
    """
    if weights.dtype != np.int64:
        raise CircuitError(f"{layer_name}: weights must be int64")
