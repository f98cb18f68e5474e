"""Log-likelihoods of rows under a circuit with a predictor stage: of every number, given what came before it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.arithmetic import log_of
from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit import Circuit, log_likelihood
from pcedge.codec.predicted import token_bounds
from pcedge.data.maps import numbers_of
from pcedge.data.predictor import Predictor
from pcedge.engines.base import Engine
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import UsageError
from pcedge.evaluate.statistics import RecordBits, interval_bits
from pcedge.integer.circuit import IntegerCircuit


def row_log_likelihood(
    circuit: Circuit | IntegerCircuit, x: ArrayLike, missing: float | None = None, engine: Engine | None = None
) -> FloatArray:
    """Compute every row's log-likelihood in nats: the sum over its numbers, each given those before it.

    Args:
        circuit: float or integer, with a predictor stage.
        x: data as the stage takes them, (rows, …).
        missing: a value that marks a missing number, NaN for floats; in records with fields and tables the columns know
            it. A missing number is summed out. Without it one that the columns mark is a token like any other.
        engine: the integer circuit's; None takes numpy's.

    Raises:
        DataError: the data do not fit.
        UsageError: the data have fields, and the columns of the circuit mark no missing values.
    """
    predictor = circuit.symbolizer
    assert isinstance(predictor, Predictor)
    gaps = None if missing is None else gaps_of(predictor, x, missing)
    classes, tokens, raw = numbers_of(predictor, x if gaps is None else held(predictor, x, gaps), gaps)
    numbers = token_logs(circuit, engine)[classes, tokens] - math.log(2) * raw
    if gaps is not None:
        numbers[gaps.reshape(numbers.shape)] = 0
    rows: FloatArray = numbers.sum(axis=1)
    return rows


def row_bits(circuit: Circuit, model: IntegerCircuit, x: ArrayLike) -> RecordBits:
    """Measure the cost of every row of numbers: in the float circuit, the integer likelihood, and the coding intervals.

    Args:
        circuit: the float circuit, with a predictor stage.
        model: the integer circuit, with the same.
        x: data as the stage takes them, (rows, …).

    Raises:
        DataError: the data do not fit.
    """
    predictor = circuit.symbolizer
    assert isinstance(predictor, Predictor)
    classes, tokens, raw = numbers_of(predictor, x)
    bounds = token_bounds(model)
    width = bounds[classes, tokens + 1] - bounds[classes, tokens]
    floats, likelihoods = (-token_logs(of)[classes, tokens] / math.log(2) + raw for of in (circuit, model))
    intervals = interval_bits(width, model.scale_bits) + raw
    return RecordBits(*(bits.sum(axis=1) for bits in (floats, likelihoods, intervals, width == model.floor)))


def gaps_of(predictor: Predictor, x: ArrayLike, missing: float) -> NDArray[np.bool_]:
    """Tell which numbers are missing, (rows, *shape): those that the columns mark, and those equal to `missing`.

    Raises:
        DataError: the data do not fit.
        UsageError: the data have fields, and the columns of the circuit mark no missing values.
    """
    array = np.asarray(x)
    source = predictor.source
    if array.dtype.kind not in "iubf":
        if source is None or not source.marks_missing:
            raise UsageError("--missing must go with a circuit that was trained with it, for data with fields")
        return np.ma.getmaskarray(source.apply(array))
    marked: NDArray[np.bool_] = np.asarray(np.isnan(array) if math.isnan(missing) else array == missing)
    if source is not None and source.marks_missing and source.cell_shape == array.shape[1:]:
        marked = marked | np.ma.getmaskarray(source.apply(held(predictor, array, marked)))
    return marked


def token_pairs(circuit: Circuit | IntegerCircuit) -> IntArray:
    """Give all records of a class and a token, (classes * tokens, 2)."""
    classes, tokens = circuit.cardinalities
    return np.stack([np.repeat(np.arange(classes), tokens), np.tile(np.arange(tokens), classes)], axis=1)


def token_logs(circuit: Circuit | IntegerCircuit, engine: Engine | None = None) -> FloatArray:
    """Compute log p(token | class) in nats, (classes, tokens); an integer circuit's by the engine, or by numpy."""
    classes, tokens = circuit.cardinalities
    pairs = token_pairs(circuit)
    alone = np.stack([np.arange(classes), np.full(classes, -1)], axis=1)
    if isinstance(circuit, Circuit):
        joint, given = log_likelihood(circuit, pairs), log_likelihood(circuit, alone)
    else:
        engine = engine or ReferenceEngine(circuit)
        joint, given = (log_of(*engine.likelihood(records)) for records in (pairs, alone))
    logs: FloatArray = joint.reshape(classes, tokens) - given[:, None]
    return logs


def held(predictor: Predictor, x: ArrayLike, gaps: NDArray[np.bool_]) -> NDArray[Any]:
    """Put numbers that fit in the place of missing ones, which nobody looks at."""
    array = np.asarray(x)
    if array.dtype.kind not in "iubf" or not gaps.any():
        return array
    cells = np.array([predictor.groups[group].origin for group in predictor.group_of], dtype=predictor.dtype)
    fitting = predictor.data(cells.reshape(1, *predictor.shape))
    filled: NDArray[Any] = np.where(gaps.reshape(array.shape), fitting.astype(array.dtype), array)
    return filled
