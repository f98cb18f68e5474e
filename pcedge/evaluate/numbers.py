"""Log-likelihoods of rows under a circuit with a predictor stage: of every number, given what came before it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.arithmetic import log_of
from pcedge.arrays import FloatArray
from pcedge.circuit import Circuit, log_likelihood
from pcedge.data.maps import numbers_of
from pcedge.data.predictor import Predictor
from pcedge.engines.reference import ReferenceEngine
from pcedge.integer.circuit import IntegerCircuit


def row_log_likelihood(circuit: Circuit | IntegerCircuit, x: ArrayLike, missing: int | None = None) -> FloatArray:
    """Compute every row's log-likelihood in nats: the sum over its numbers, each given those before it.

    Args:
        circuit: float or integer, with a predictor stage.
        x: data as the stage takes them, (rows, …).
        missing: a value that marks a missing number. It is summed out; as a neighbour of others, the last number of
            its column that was there stands for it.

    Raises:
        DataError: the data do not fit.
    """
    predictor = circuit.symbolizer
    assert isinstance(predictor, Predictor)
    array = np.asarray(x)
    gaps = np.zeros(array.shape, dtype=bool) if missing is None else array == missing
    classes, tokens, raw = numbers_of(predictor, _held(array, gaps, predictor) if gaps.any() else array)
    numbers = token_logs(circuit)[classes, tokens] - math.log(2) * raw
    numbers[gaps.reshape(numbers.shape)] = 0
    rows: FloatArray = numbers.sum(axis=1)
    return rows


def token_logs(circuit: Circuit | IntegerCircuit) -> FloatArray:
    """Compute log p(token | class) in nats, (classes, tokens)."""
    classes, tokens = circuit.cardinalities
    pairs = np.stack([np.repeat(np.arange(classes), tokens), np.tile(np.arange(tokens), classes)], axis=1)
    alone = np.stack([np.arange(classes), np.full(classes, -1)], axis=1)
    if isinstance(circuit, Circuit):
        joint, given = log_likelihood(circuit, pairs), log_likelihood(circuit, alone)
    else:
        engine = ReferenceEngine(circuit)
        joint, given = (log_of(*engine.likelihood(records)) for records in (pairs, alone))
    logs: FloatArray = joint.reshape(classes, tokens) - given[:, None]
    return logs


def _held(array: NDArray[Any], gaps: NDArray[np.bool_], predictor: Predictor) -> NDArray[Any]:
    """Put the last number of the column in the place of missing ones, and the column's origin before the first."""
    flat = array.reshape(len(array), -1)
    last = np.maximum.accumulate(np.where(gaps.reshape(flat.shape), -1, np.arange(len(flat))[:, None]), axis=0)
    origins = np.array([predictor.groups[group].origin for group in predictor.group_of]).astype(flat.dtype)
    held = np.where(last >= 0, np.take_along_axis(flat, np.maximum(last, 0), axis=0), origins)
    filled: NDArray[Any] = held.reshape(array.shape)
    return filled
