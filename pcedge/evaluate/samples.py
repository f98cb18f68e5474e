"""Data drawn from a circuit: samples of an engine, mapped back to what the circuit's symbolizer takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.codec.files import coded_grid, values_of
from pcedge.data.predictor import Predictor
from pcedge.engines.base import Engine
from pcedge.errors import DataError, UsageError


def sample_data(engine: Engine, count: int, seed: int = 0) -> NDArray[Any]:
    """Draw records (`Engine.sample`) in the form in which the circuit takes data.

    Args:
        engine: of any kind, the data are the same.
        count: records of the circuit.
        seed: of the random bytes that are decoded.

    Returns:
        Without a symbolizer symbols of shape (count, variables), in the least unsigned type that holds them; with one
        the data that it maps to the records, (rows, …) of its own type; with a grid its values.

    Raises:
        UsageError: the count is negative, or the circuit's records are not made of data one by one.
        DataError: the symbolizer maps no data to the records that were drawn.
    """
    stage = engine.circuit.symbolizer
    if isinstance(stage, Predictor):
        raise UsageError(
            "sample must have a circuit whose records are data by themselves; with a predictor stage the numbers "
            "before a number decide its class, and draws of a class and a token are no rows"
        )
    records = engine.sample(count, seed)
    if coded_grid(engine.circuit) is not None:
        return values_of(engine.circuit, records)
    if stage is None:
        return records.astype(np.min_scalar_type(max(engine.circuit.cardinalities) - 1))
    try:
        return stage.invert(records)
    except DataError as error:
        raise DataError(
            f"sample must have a symbolizer that maps data to any records, this one has none for the {count} that were "
            f"drawn: {error}"
        ) from error
