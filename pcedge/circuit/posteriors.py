"""Posteriors of variables and of latent states, and expectations, given evidence (docs/queries.md)."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
from numpy.typing import ArrayLike

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.inference import batch_size, check_records, find_variable, inside, log_sum
from pcedge.circuit.layers import MISSING, Circuit, InputLayer, ProductLayer, SumLayer
from pcedge.circuit.rows import SparseRows
from pcedge.errors import DataError, UsageError


def posterior(circuit: Circuit, evidence: ArrayLike, variable: int | str) -> FloatArray:
    """Compute p(variable = s | evidence) for each of its symbols s, (N, symbols); rows sum to 1.

    Args:
        circuit: the circuit.
        evidence: symbols, (N, variables), -1 where nothing is known; what it says of the variable itself is not used.
        variable: its number, or the name that the grid gives it.

    Raises:
        DataError: the evidence does not fit, or is impossible.
        UsageError: there is no such variable.

    Example:
        >>> coins = InputLayer(0, np.array([[0.5, 0.5], [0.1, 0.9]]))
        >>> mixture = Circuit((coins, SumLayer((0,), np.array([[0.5, 0.5]]))))
        >>> posterior(mixture, [[-1]], 0).round(2).tolist()
        [[0.3, 0.7]]
    """
    place = find_variable(circuit, variable)
    path = [index for index, scope in enumerate(circuit.scopes) if scope >> place & 1]
    out = np.zeros((len(np.asarray(evidence)), circuit.cardinalities[place]))
    for rows, values in _evaluated(circuit, evidence, place):
        above = _outside(circuit, values, path)
        leaves = [(above[index], layer) for index in path if isinstance(layer := circuit.layers[index], InputLayer)]
        top = np.max([outside.max(axis=1) for outside, _ in leaves], axis=0)
        joint = np.sum([np.exp(outside - top[:, None]) @ layer.table for outside, layer in leaves], axis=0)
        out[rows] = joint / joint.sum(axis=1, keepdims=True)
    return out


def classify(circuit: Circuit, evidence: ArrayLike, variable: int | str) -> IntArray:
    """Give the most probable symbol of a variable given the rest of each record, the lowest of equals, (N,).

    Arguments and errors are those of `posterior`.
    """
    return np.asarray(posterior(circuit, evidence, variable).argmax(axis=1), dtype=np.int64)


def expectation(circuit: Circuit, evidence: ArrayLike, variable: int | str) -> tuple[FloatArray, FloatArray]:
    """Compute mean and variance of a variable given the rest of each record, (N,) each.

    They are of the values that the grid gives its symbols, a bin's middle, or of the symbols where there is no grid.
    Arguments and errors are those of `posterior`.

    Raises:
        UsageError: its states are texts.
    """
    place = find_variable(circuit, variable)
    values = np.arange(circuit.cardinalities[place]) if circuit.grid is None else circuit.grid.axes[place].values
    if values.dtype.kind not in "iuf":
        raise UsageError(f"an expectation must be of numbers, variable {variable!r} has states {values[:4].tolist()}")
    shares = posterior(circuit, evidence, place)
    mean = shares @ values.astype(np.float64)
    spread = values[None, :] - mean[:, None]
    return mean, np.einsum("ns,ns->n", shares, spread * spread)


def responsibilities(circuit: Circuit, evidence: ArrayLike, layer: int = -1) -> FloatArray:
    """Compute what share of each record's probability passes through each child of a sum layer, (N, children).

    Of the root of a mixture these are the responsibilities of its components.

    Args:
        circuit: the circuit.
        evidence: symbols, (N, variables), -1 where nothing is known.
        layer: number of the sum layer, from the end where it is negative.

    Returns:
        Shares; a row sums to the probability that the layer is used, the root's to 1.

    Raises:
        DataError: the evidence does not fit, or is impossible.
        UsageError: the layer is no sum layer.
    """
    index = range(len(circuit.layers))[layer] if -len(circuit.layers) <= layer < len(circuit.layers) else None
    asked = None if index is None else circuit.layers[index]
    if index is None or not isinstance(asked, SumLayer):
        raise UsageError(f"responsibilities must be of a sum layer, layer {layer} is none")
    path = _above(circuit, index)
    out = np.zeros((len(np.asarray(evidence)), asked.weights.shape[1]))
    for rows, values in _evaluated(circuit, evidence, None):
        above = _outside(circuit, values, path)[index]
        children = np.concatenate([values[child] for child in asked.children], axis=1)
        out[rows] = np.exp(_weighed_down(asked, above) + children - values[-1])
    return out


def _evaluated(circuit: Circuit, evidence: ArrayLike, hidden: int | None) -> Iterator[tuple[slice, list[FloatArray]]]:
    """Give batches of records with every layer's log values; what is known of a hidden variable is not used.

    Raises:
        DataError: the evidence does not fit, or is impossible.
    """
    known = check_records(evidence, circuit.cardinalities, allow_missing=True)
    if hidden is not None:
        known = known.copy()
        known[:, hidden] = MISSING
    batch = batch_size(circuit)
    for first in range(0, len(known), batch):
        rows = slice(first, min(first + batch, len(known)))
        values = inside(circuit, known[rows])
        impossible = np.flatnonzero(np.isneginf(values[-1][:, 0]))
        if impossible.size:
            raise DataError(
                "the evidence of every record must have a positive probability, record "
                f"{first + int(impossible[0])} has 0"
            )
        yield rows, values


def _above(circuit: Circuit, index: int) -> list[int]:
    """List a layer and all layers that it is below."""
    path = {index}
    for other in range(index + 1, len(circuit.layers)):
        if path & set(circuit.shapes[other].children):
            path.add(other)
    return sorted(path)


def _outside(circuit: Circuit, values: list[FloatArray], path: Collection[int]) -> dict[int, FloatArray]:
    """Compute the logarithm of what multiplies the units of some layers in every record's probability, (N, units).

    Args:
        circuit: the circuit.
        values: every layer's log values, (N, units).
        path: numbers of the layers, with all that use them; of a product at most one child is among them.
    """
    records = len(values[-1])
    out = {index: np.full((records, circuit.shapes[index].units), -np.inf) for index in path}
    out[len(circuit.layers) - 1][:] = 0.0
    with np.errstate(divide="ignore"):
        for index in sorted(path, reverse=True):
            layer, own = circuit.layers[index], out[index]
            if isinstance(layer, ProductLayer):
                for column, child in enumerate(layer.children):
                    if child not in out:
                        own = own + values[child][:, layer.gather[:, column]]
                for column, child in enumerate(layer.children):
                    if child in out:
                        _add(out[child], layer.gather[:, column], own)
            elif isinstance(layer, SumLayer):
                given, start = _weighed_down(layer, own), 0
                for child in layer.children:
                    size = circuit.shapes[child].units
                    if child in out:
                        out[child] = np.logaddexp(out[child], given[:, start : start + size])
                    start += size
    return out


def _add(below: FloatArray, places: IntArray, given: FloatArray) -> None:
    """Add what products give, (N, products), to the units that they read, (N, units), as logarithms."""
    order = np.argsort(places, kind="stable")
    targets, starts = np.unique(places[order], return_index=True)
    below[:, targets] = np.logaddexp(below[:, targets], np.logaddexp.reduceat(given[:, order], starts, axis=1))


def _weighed_down(layer: SumLayer, above: FloatArray) -> FloatArray:
    """Give the units of a sum layer, (N, units), by its weights to the children, (N, children), as logarithms."""
    weights = layer.weights
    with np.errstate(divide="ignore"):
        if not isinstance(weights, SparseRows):
            return log_sum(SumLayer((), weights.T), above)
        columns = weights.transposed()
        used = np.flatnonzero(np.diff(columns.indptr))
        kept = SparseRows(np.append(columns.indptr[used], len(columns.values)), columns.indices, columns.values,
                          columns.columns)  # fmt: skip
        out = np.full((len(above), weights.columns), -np.inf)
        out[:, used] = log_sum(SumLayer((), kept), above)
    return out
