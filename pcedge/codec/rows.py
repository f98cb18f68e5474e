"""Arrays of any shape as rows of a circuit, for stores that cut arrays into chunks (docs/stores.md)."""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import NDArray

from pcedge.data.predictor import Predictor
from pcedge.data.symbolizer import Symbolizer
from pcedge.errors import DataError
from pcedge.integer.circuit import IntegerCircuit


def row_shape(symbolizer: Symbolizer | Predictor | None) -> tuple[int, ...] | None:
    """Give the shape of a row of data; None where nothing stands between data and symbols."""
    if isinstance(symbolizer, Predictor):
        return symbolizer.data_shape
    return None if symbolizer is None else symbolizer.shape


def as_rows(circuit: IntegerCircuit, array: NDArray[Any]) -> NDArray[Any]:
    """Cut an array, in C order, into rows of the circuit's shape.

    Raises:
        DataError: its numbers are no multiple of a row's.
    """
    shape = row_shape(circuit.symbolizer)
    shape = (len(circuit.order),) if shape is None else shape
    size = math.prod(shape)
    if array.size % size:
        raise DataError(f"a chunk must have a multiple of the {size} numbers of a record, got shape {array.shape}")
    # A stream's rows have two dimensions at least, where the circuit does not say otherwise.
    return array.reshape(-1, *(shape or (1,)))
