"""Series of int16, and circuits with a symbolizer for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pcedge.circuit import Circuit
from pcedge.data import make_symbolizer
from pcedge.learn.structures import hidden_chow_liu_tree

SERIES = "range=-300..300,difference=0,offset=20,window=4,planes=4+6"


def series_circuit(text: str = SERIES, shape: tuple[int, ...] = (2,), dtype: str = "int16") -> Circuit:
    """Make a circuit with a symbolizer for data of this shape."""
    symbolizer = make_symbolizer(text, np.zeros((1, *shape), dtype=dtype))
    count = len(symbolizer.cardinalities)
    circuit = hidden_chow_liu_tree([-1, *range(count - 1)], symbolizer.cardinalities, 3)
    return replace(circuit, symbolizer=symbolizer)


def series(rows: int, shape: tuple[int, ...] = (2,)) -> np.ndarray:  # type: ignore[type-arg]
    """Draw int16 data in -300..300."""
    return np.random.default_rng(rows).integers(-300, 301, size=(rows, *shape)).astype(np.int16)
