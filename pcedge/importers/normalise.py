"""Local normalisation: every unit sums to one, and what was taken out is one constant of the root."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcedge.arrays import FloatArray
from pcedge.circuit.layers import Circuit, InputLayer, Layer, ProductLayer, SumLayer
from pcedge.circuit.rows import SparseRows
from pcedge.data.value_grid import ValueGrid
from pcedge.errors import CircuitError

#: a sum layer with at least this part of its weights present is written as a dense block
DENSE = 0.5


@dataclass(frozen=True, eq=False)
class Draft:
    """Hold the layers of a foreign circuit, with *logarithms* in place of probabilities and weights."""

    layers: tuple[Layer, ...]
    #: what the file calls each layer, or its first unit
    names: tuple[str, ...]
    #: remarks for the user
    notes: tuple[str, ...] = ()
    #: the variables' names in their order, empty where the source has none
    variables: tuple[str, ...] = ()
    #: what the symbols stand for; None where they are integers from 0, in the data's columns
    grid: ValueGrid | None = None
    #: what the bins of every variable forget, in nats; empty where there are none
    losses: tuple[float, ...] = ()


def normalise(draft: Draft) -> Circuit:
    """Make every leaf and every row of weights sum to 1, and move what that takes out to the root.

    The total of a unit over all values of its variables is that of its children, mixed or multiplied; a weight times
    its child's total over the unit's total is the normalised weight. All in logarithms, for totals of large circuits
    leave the range of float64. (Peharz et al., "On theoretical properties of sum-product networks", AISTATS 2015.)

    Returns:
        The circuit; its `log_constant` is the logarithm of the root's total, in nats.

    Raises:
        CircuitError: a unit's total is zero or infinite, or the circuit breaks a rule.
    """
    layers: list[Layer] = []
    totals: list[FloatArray] = []
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for layer, name in zip(draft.layers, draft.names, strict=True):
            if isinstance(layer, ProductLayer):
                factors = [totals[child][layer.gather[:, column]] for column, child in enumerate(layer.children)]
                total = np.sum(factors, axis=0)
                divided: Layer = layer
            elif isinstance(layer, InputLayer):
                total, table = _divide_rows(layer.probabilities)
                divided = InputLayer(layer.variable, table)
            else:
                child_totals = np.concatenate([totals[child] for child in layer.children])
                if isinstance(layer.weights, SparseRows):
                    total, divided = _divide_sparse(layer, layer.weights, child_totals)
                else:
                    total, weights = _divide_rows(layer.weights + child_totals)
                    divided = SumLayer(layer.children, weights)
            if not np.isfinite(total).all():
                wrong = int(np.flatnonzero(~np.isfinite(total))[0])
                raise CircuitError(
                    f"{name}: every unit must have a finite total above zero, unit {wrong} of its layer has "
                    f"{np.exp(total[wrong])}"
                )
            layers.append(divided)
            totals.append(total)
    return Circuit(tuple(layers), log_constant=float(totals[-1][0]), grid=draft.grid)


def _divide_rows(logs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give the log total of every row, and the rows as probabilities."""
    top = logs.max(axis=1, keepdims=True)
    rows = np.exp(logs - np.where(np.isneginf(top), 0.0, top))
    sums = rows.sum(axis=1, keepdims=True)
    return (top + np.log(sums))[:, 0], rows / sums


def _divide_sparse(layer: SumLayer, weights: SparseRows, child_totals: FloatArray) -> tuple[FloatArray, Layer]:
    """Do the same with sparse rows; rows that are mostly full become dense."""
    joint = np.asarray(weights.values, dtype=np.float64) + child_totals[weights.indices]
    if weights.shape == (1, 1) and np.isfinite(joint[0]):  # many in a chain, and numpy's calls take their time
        return joint, SumLayer(layer.children, np.ones((1, 1)))
    starts, lengths = weights.indptr[:-1], np.diff(weights.indptr)
    top = np.maximum.reduceat(joint, starts)
    entries = np.exp(joint - np.repeat(np.where(np.isneginf(top), 0.0, top), lengths))
    sums = np.add.reduceat(entries, starts)
    rows = SparseRows(weights.indptr, weights.indices, entries / np.repeat(sums, lengths), weights.columns)
    full = len(joint) >= DENSE * weights.shape[0] * weights.columns
    divided = SumLayer(layer.children, np.asarray(rows.toarray(), dtype=np.float64) if full else rows)
    return top + np.log(sums), divided
