"""Classes and posteriors of integer circuits: the same integers of every engine (docs/queries.md)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pcedge import ranking
from pcedge.arithmetic import Vector
from pcedge.arrays import IntArray
from pcedge.circuit.inference import find_variable
from pcedge.circuit.layers import MISSING
from pcedge.engines.base import Engine, Progress


def likelihoods(engine: Engine, x: ArrayLike, variable: int | str, progress: Progress | None = None) -> Vector:
    """Compute the likelihood of every record with each symbol of a variable in the place of its own.

    Args:
        engine: of any kind, the integers are the same.
        x: records, (N, …), -1 is missing and summed out; what they say of the variable is not used.
        variable: its number, or the name that the grid gives it.
        progress: told (symbols done, symbols in all).

    Returns:
        Mantissas and exponents, int64 of shape (symbols, N).

    Raises:
        DataError: the data do not fit.
        UsageError: there is no such variable.
    """
    place = find_variable(engine.circuit, variable)
    asked = engine.check(x, allow_missing=True).copy()
    count = engine.circuit.cardinalities[place]
    mantissa = np.zeros((count, len(asked)), dtype=np.int64)
    exponent = np.zeros_like(mantissa)
    for symbol in range(count):
        asked[:, place] = symbol
        mantissa[symbol], exponent[symbol] = engine.likelihood(asked)
        if progress:
            progress(symbol + 1, count)
    return mantissa, exponent


def chosen(engine: Engine, found: Vector) -> IntArray:
    """Give the symbol of the greatest of likelihoods (symbols, N), the lowest of equals; -1 where all are 0."""
    keys = ranking.order(*found, engine.circuit.state_bits)
    return np.where(keys.any(axis=0), keys.argmax(axis=0), MISSING)


def classify(engine: Engine, x: ArrayLike, variable: int | str, progress: Progress | None = None) -> IntArray:
    """Give the most probable symbol of a variable given the rest of each record, the lowest of equals, (N,).

    Arguments and errors are those of `likelihoods`.

    Returns:
        Symbols; -1 where the integers call the record impossible with every symbol.

    Example:
        >>> from pcedge.circuit import Circuit, InputLayer
        >>> from pcedge.engines.reference import ReferenceEngine
        >>> from pcedge.quantize import quantize
        >>> classify(ReferenceEngine(quantize(Circuit((InputLayer(0, np.array([[0.25, 0.75]])),)))), [[-1]], 0).tolist()
        [1]
    """
    return chosen(engine, likelihoods(engine, x, variable, progress))


def shares(engine: Engine, x: ArrayLike, variable: int | str, progress: Progress | None = None) -> IntArray:
    """Compute the posterior of a variable in parts of 2^16, (N, symbols); rows sum to 2^16, or to 0 if impossible.

    Arguments and errors are those of `likelihoods`.
    """
    return ranking.shares(*likelihoods(engine, x, variable, progress)).T
