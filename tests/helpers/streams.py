"""Small integer circuits written by hand, and records by a rule that no library can change."""

from __future__ import annotations

import numpy as np

from pcedge.circuit import ProductLayer, SparseRows
from pcedge.integer import IntegerCircuit, IntegerInput, IntegerSum


def leaf(variable: int, leaf_bits: int, *counts: list[int]) -> IntegerInput:
    """Write leaf tables as counts; the last symbol gets what is missing to 2^L."""
    rows = [[*row, (1 << leaf_bits) - sum(row)] for row in counts]
    return IntegerInput(variable, np.array([[0, *np.cumsum(row)] for row in rows], dtype=np.int64))


def pairs(*rows: tuple[int, ...]) -> np.ndarray:
    """Write a gather list."""
    return np.array(rows, dtype=np.int64)


def small_circuit() -> IntegerCircuit:
    """Three variables in a chain, small coder, sparse and dense sums; some records are impossible."""
    layers = (
        leaf(2, 8, [10, 0, 100], [0, 200, 0]),
        leaf(1, 8, [128], [0]),
        ProductLayer((1, 0), pairs((0, 0), (1, 1), (0, 1))),
        IntegerSum((2,), np.array([[3, 1, 0], [0, 0, 4]])),
        leaf(0, 8, [1], [250]),
        ProductLayer((4, 3), pairs((0, 0), (1, 1))),
        IntegerSum((5,), SparseRows(pairs((0, 2))[0], pairs((0, 1))[0], pairs((1, 3))[0], 2)),
    )
    return IntegerCircuit(layers, 2, 8, 8, 16, 32, 1, (0, 1, 2))


def numbered(count: int, cardinalities: tuple[int, ...]) -> np.ndarray:
    """Make records by a rule that no library can change."""
    return np.array([[(7 * i + 3 * v + i * i // 5) % c for v, c in enumerate(cardinalities)] for i in range(count)])
