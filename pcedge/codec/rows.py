"""Arrays of any shape as rows of a circuit, for stores that cut arrays into chunks (docs/stores.md)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.codec.segments import check_rows
from pcedge.data.predictor import Predictor
from pcedge.data.symbolizer import Symbolizer
from pcedge.errors import DataError
from pcedge.integer.circuit import IntegerCircuit


def row_shape(symbolizer: Symbolizer | Predictor | None) -> tuple[int, ...] | None:
    """Give the shape of a row of data; None where nothing stands between data and symbols."""
    if isinstance(symbolizer, Predictor):
        return symbolizer.data_shape
    return None if symbolizer is None else symbolizer.shape


def check_chunk(circuit: IntegerCircuit, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Demand chunks of a shape and type that a circuit takes, before there are numbers.

    Raises:
        DataError: their numbers are no multiple of a row's, or of another kind.
    """
    rows = _row(circuit)
    _check_size(shape, math.prod(rows))
    check_rows(circuit, np.empty((0, *(rows or (1,))), dtype))


def as_rows(circuit: IntegerCircuit, array: NDArray[Any]) -> NDArray[Any]:
    """Cut an array, in C order, into rows of the circuit's shape.

    Raises:
        DataError: its numbers are no multiple of a row's.
    """
    shape = _row(circuit)
    _check_size(array.shape, math.prod(shape))
    # A stream's rows have two dimensions at least, where the circuit does not say otherwise.
    return array.reshape(-1, *(shape or (1,)))


def _row(circuit: IntegerCircuit) -> tuple[int, ...]:
    shape = row_shape(circuit.symbolizer)
    return (len(circuit.order),) if shape is None else shape


def _check_size(shape: tuple[int, ...], size: int) -> None:
    if math.prod(shape) % size:
        raise DataError(f"a chunk must have a multiple of the {size} numbers of a record, got shape {shape}")
