"""The most probable completion of records, by maxima in the place of sums (docs/queries.md)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.determinism import is_deterministic
from pcedge.circuit.inference import batch_size, check_records, child_joint, descend, inside, log_likelihood
from pcedge.circuit.layers import MISSING, Circuit, InputLayer, SumLayer
from pcedge.circuit.posteriors import classify
from pcedge.circuit.rows import SparseRows, matvec
from pcedge.errors import DataError

#: nats by which a bound may be above the probability that it proves to be the greatest
CLOSE = 1e-9


@dataclass(frozen=True, eq=False)
class Completion:
    """Hold the most probable completion of records, or the best guess at it."""

    #: symbols with nothing missing, (N, variables)
    records: IntArray
    #: log p of each, in nats, (N,)
    log_likelihood: FloatArray
    #: no completion of a record has a greater log p than this, (N,)
    log_bound: FloatArray
    #: whether no completion of a record is more probable than this one, (N,)
    exact: NDArray[np.bool_]


def most_probable(circuit: Circuit, evidence: ArrayLike) -> Completion:
    """Complete records by the most probable symbols of what is missing, all together.

    Args:
        circuit: the circuit; where it is not deterministic, records that lack two or more symbols get those of the most
            probable completion and latent states together.
        evidence: symbols, (N, variables), -1 where nothing is known.

    Raises:
        DataError: the evidence does not fit, or is impossible.

    Example:
        >>> coins = InputLayer(0, np.array([[0.5, 0.5], [0.1, 0.9]]))
        >>> mixture = Circuit((coins, SumLayer((0,), np.array([[0.5, 0.5]]))))
        >>> most_probable(mixture, [[-1]]).records.tolist()
        [[1]]
    """
    known = check_records(evidence, circuit.cardinalities, allow_missing=True)
    possible = log_likelihood(circuit, known)
    impossible = np.flatnonzero(np.isneginf(possible))
    if impossible.size:
        raise DataError(f"the evidence of every record must have a positive probability, record {impossible[0]} has 0")
    records = known.copy()
    missing = known == MISSING
    several = np.flatnonzero(missing.sum(axis=1) > 1)
    single = missing & (missing.sum(axis=1, keepdims=True) == 1)
    for variable in np.flatnonzero(single.any(axis=0)).tolist():
        rows = np.flatnonzero(single[:, variable])
        records[rows, variable] = classify(circuit, known[rows], variable)
    bound = np.full(len(known), -np.inf)
    ends = _ends(circuit) if several.size else {}
    batch = batch_size(circuit)
    for first in range(0, len(several), batch):
        rows = several[first : first + batch]
        bound[rows] = inside(circuit, known[rows], ends)[-1][:, 0]
        records[rows] = _traced(circuit, known[rows], ends)
    found = log_likelihood(circuit, records)
    exact = np.ones(len(known), dtype=bool)
    if several.size and not is_deterministic(circuit):
        exact[several] = bound[several] <= found[several] + CLOSE
    return Completion(records, found, np.where(exact, found, bound), exact)


def _ends(circuit: Circuit) -> dict[int, FloatArray]:
    """Give the log tables of layers over one variable, (units, symbols + 1): the last entry of each is its largest."""
    tables: dict[int, FloatArray] = {}
    for index, layer in enumerate(circuit.layers):
        if isinstance(layer, InputLayer):
            tables[index] = layer.table
        elif isinstance(layer, SumLayer) and all(child in tables for child in layer.children):
            below = np.concatenate([tables[child] for child in layer.children])
            tables[index] = np.stack([matvec(layer.weights, column) for column in below.T], axis=1)
    with np.errstate(divide="ignore"):
        return {
            index: np.log(np.concatenate([table, table.max(axis=1, keepdims=True)], axis=1))
            for index, table in tables.items()
        }


def _traced(circuit: Circuit, known: IntArray, ends: dict[int, FloatArray]) -> IntArray:
    """Complete checked records by what the maxima come from."""
    values = inside(circuit, known, ends, _log_max)
    records = known.copy()
    best = {index: table[:, :-1].argmax(axis=1) for index, table in ends.items()}

    def choose(layer: SumLayer, rows: IntArray, units: IntArray) -> IntArray:
        return np.asarray(child_joint(layer, values, rows, units).argmax(axis=1), dtype=np.int64)

    def end(index: int, rows: IntArray, units: IntArray) -> None:
        variable = circuit.scopes[index].bit_length() - 1
        there = known[rows, variable] == MISSING
        records[rows[there], variable] = best[index][units[there]]

    descend(circuit, len(known), ends, choose, end)
    return records


def _log_max(layer: SumLayer, child_logs: FloatArray) -> FloatArray:
    """Give, in the place of a mixture, its largest weighted child: (N, children) to (N, units)."""
    weights = layer.weights
    if isinstance(weights, SparseRows):
        joint = np.take(child_logs, weights.indices, axis=1) + np.log(weights.values)
        return np.asarray(np.maximum.reduceat(joint, weights.indptr[:-1], axis=1))
    logs = np.log(weights)
    return np.stack([(child_logs + row).max(axis=1) for row in logs], axis=1)
