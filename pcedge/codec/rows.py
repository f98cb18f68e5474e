"""Arrays of any shape as rows of a circuit, for stores that cut arrays into chunks (docs/stores.md)."""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import NDArray

from pcedge.data.predictor import Predictor
from pcedge.errors import DataError
from pcedge.integer.circuit import IntegerCircuit


def as_rows(circuit: IntegerCircuit, array: NDArray[Any]) -> NDArray[Any]:
    """Cut an array, in C order, into rows of the circuit's shape.

    Raises:
        DataError: its numbers are no multiple of a row's.
    """
    symbolizer = circuit.symbolizer
    if symbolizer is None:
        shape: tuple[int, ...] = (len(circuit.order),)
    else:
        shape = symbolizer.data_shape if isinstance(symbolizer, Predictor) else symbolizer.shape
    size = math.prod(shape)
    if array.size % size:
        raise DataError(f"a chunk must have a multiple of the {size} numbers of a record, got shape {array.shape}")
    # A stream's rows have two dimensions at least, where the circuit does not say otherwise.
    return array.reshape(-1, *(shape or (1,)))
