"""Shares of a record's log-likelihood by variable: the chain rule, and each given all others (docs/explain.md)."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.inference import batch_size, check_records, inside, layer_logs, log_sum
from pcedge.circuit.layers import MISSING, Circuit
from pcedge.errors import UsageError


def log_shares(circuit: Circuit, x: ArrayLike, order: Sequence[int]) -> FloatArray:
    """Compute log p(x_v | the variables before v) in nats for each variable v, (N, variables).

    A row sums to the record's log-likelihood. A missing variable has 0, and is in no condition. The first variable
    that makes a record impossible has -inf, and those after it have 0, for nothing is left to be told of them.

    Args:
        circuit: the circuit.
        x: symbols, (N, variables), -1 where a value is missing.
        order: the variables, each once, in the order of the chain.

    Raises:
        DataError: the data do not fit the circuit.
        UsageError: the order does not name each variable once.

    Example:
        >>> from pcedge.circuit.layers import InputLayer
        >>> log_shares(Circuit((InputLayer(0, np.array([[0.25, 0.75]])),)), [[0], [-1]], [0]).round(4).tolist()
        [[-1.3863], [0.0]]
    """
    count = len(circuit.cardinalities)
    if sorted(order) != list(range(count)):
        raise UsageError(f"the order must name each of the {count} variables once, got {list(order)[:8]}")
    known = check_records(x, circuit.cardinalities, allow_missing=True)
    above, root = _layers_above(circuit), len(circuit.layers) - 1
    out = np.zeros(known.shape)
    batch = batch_size(circuit)
    for first in range(0, len(known), batch):
        rows = slice(first, min(first + batch, len(known)))
        values = dict(enumerate(inside(circuit, np.full_like(known[rows], MISSING))))
        for variable in order:
            fresh = _changed(circuit, values, known[rows], above[variable])
            before, logs = values[root][:, 0], fresh[root][:, 0]
            values |= fresh
            possible = np.isfinite(before)
            out[rows, variable][possible] = logs[possible] - before[possible]
    return out


def log_given_others(circuit: Circuit, x: ArrayLike) -> FloatArray:
    """Compute log p(x_v | all other variables) in nats for each variable v, (N, variables).

    A missing variable has 0. A variable that alone makes a record impossible has -inf; where the others are impossible
    without it, it has 0.

    Args:
        circuit: the circuit.
        x: symbols, (N, variables), -1 where a value is missing.

    Raises:
        DataError: the data do not fit the circuit.

    Example:
        >>> from pcedge.circuit.layers import InputLayer
        >>> log_given_others(Circuit((InputLayer(0, np.array([[0.25, 0.75]])),)), [[0]]).round(4).tolist()
        [[-1.3863]]
    """
    known = check_records(x, circuit.cardinalities, allow_missing=True)
    above, root = _layers_above(circuit), len(circuit.layers) - 1
    out = np.zeros(known.shape)
    batch = batch_size(circuit)
    for first in range(0, len(known), batch):
        rows = slice(first, min(first + batch, len(known)))
        values = dict(enumerate(inside(circuit, known[rows])))
        unseen = np.full_like(known[rows], MISSING)
        for variable in range(known.shape[1]):
            without = _changed(circuit, values, unseen, above[variable])[root][:, 0]
            possible = np.isfinite(without)
            out[rows, variable][possible] = values[root][possible, 0] - without[possible]
    return out


def _layers_above(circuit: Circuit) -> list[list[int]]:
    """List for each variable the layers whose scope has it, children first."""
    above: list[list[int]] = [[] for _ in circuit.cardinalities]
    for index, scope in enumerate(circuit.scopes):
        while scope:
            above[(scope & -scope).bit_length() - 1].append(index)
            scope &= scope - 1
    return above


def _changed(
    circuit: Circuit, values: dict[int, FloatArray], records: IntArray, path: Sequence[int]
) -> dict[int, FloatArray]:
    """Compute the log values of the layers above one variable anew, children first, and of no others.

    Args:
        circuit: the circuit.
        values: every layer's log values, (N, units), before the change.
        records: what the variable is after it, (N, variables); of the others nothing is read.
        path: the layers whose scope has the variable.
    """
    fresh: dict[int, FloatArray] = {}
    both = ChainMap(fresh, values)  # what is fresh goes first
    for index in path:
        fresh[index] = layer_logs(circuit, index, both, records, {}, log_sum)
    return fresh
