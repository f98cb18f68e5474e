"""The circuit of some of the variables: all others are summed out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import Circuit, InputLayer, Layer, ProductLayer, SumLayer
from pcedge.circuit.rows import SparseRows, float_entries, positions
from pcedge.compress.fold import fold
from pcedge.compress.rebuilding import rebuilt
from pcedge.data.value_grid import ValueGrid
from pcedge.errors import UsageError

#: where the units of a layer went: a layer, and a unit of it for each; None where all its variables were summed out
_Place = tuple[int, IntArray] | None


def marginal(circuit: Circuit, variables: Sequence[int]) -> Circuit:
    """Sum out all variables but some: the circuit of the sensors that exist.

    Its log-likelihoods are those of the circuit with the other variables missing. The variables are numbered anew, in
    their order; a grid keeps their axes, and with them the columns of the data. What is linear then is folded (`fold`).

    Args:
        circuit: any circuit over symbols or a grid.
        variables: those that stay, each once, in rising order.

    Raises:
        UsageError: a variable is not there, named twice or out of order, none is named, or the circuit has a
            symbolizer, which makes its symbols of whole records.

    Example:
        >>> coins = [InputLayer(v, np.array([0.1, 0.6])) for v in (0, 1)]
        >>> pair = ProductLayer((0, 1), np.array([[0, 1], [1, 0]]))
        >>> both = Circuit((*coins, pair, SumLayer((2,), np.array([[0.25, 0.75]]))))
        >>> marginal(both, [1]).layers[0].table.round(3).tolist()
        [[0.775, 0.225]]
    """
    count, chosen = len(circuit.cardinalities), [int(variable) for variable in variables]
    if circuit.symbolizer is not None:
        raise UsageError("a marginal must be of a circuit without a symbolizer, which makes symbols of whole records")
    if not chosen or sorted(set(chosen)) != chosen or not 0 <= chosen[0] <= chosen[-1] < count:
        raise UsageError(f"the variables of a marginal must be in 0..{count - 1}, each once and rising, got {chosen}")
    number = {variable: place for place, variable in enumerate(chosen)}
    layers: dict[int, Layer] = {}
    places: list[_Place] = []
    for index, layer in enumerate(circuit.layers):
        places.append(_summed_out(layers, places, index, layer, number))
    root = places[-1]
    assert root is not None
    layers[len(circuit.layers)] = SumLayer((root[0],), _one_hot(root[1], layers[root[0]].shape.units))
    grid = None if circuit.grid is None else ValueGrid(tuple(circuit.grid.axes[variable] for variable in chosen))
    kept = _reached(layers)
    place = {index: new for new, index in enumerate(kept)}
    smaller = Circuit(tuple(_renamed(layers[index], place) for index in kept), circuit.log_constant, grid=grid)
    keep = {
        index: float_entries(layer.weights).reshape(-1) > 0
        for index, layer in enumerate(smaller.layers)
        if isinstance(layer, SumLayer)
    }
    return _without_copy(fold(rebuilt(smaller, keep, sparse="states")))


def _summed_out(
    layers: dict[int, Layer], places: Sequence[_Place], index: int, layer: Layer, number: dict[int, int]
) -> _Place:
    """Put what is left of a layer among the layers, and say where its units are."""
    if isinstance(layer, InputLayer):
        if layer.variable not in number:
            return None
        layers[index] = replace(layer, variable=number[layer.variable])
    elif isinstance(layer, ProductLayer):
        present = [
            (place[0], place[1][layer.gather[:, column]])
            for column, child in enumerate(layer.children)
            if (place := places[child]) is not None
        ]
        if len(present) < 2:
            return present[0] if present else None
        layers[index] = ProductLayer(tuple(child for child, _ in present), np.stack([unit for _, unit in present], 1))
    else:
        inside = [place for child in layer.children if (place := places[child]) is not None]
        if not inside:
            return None
        # Layers of a sum that lost variables may have become units of one layer.
        children = list(dict.fromkeys(child for child, _ in inside))
        starts = np.cumsum([0, *(layers[child].shape.units for child in children)])
        column = np.concatenate([starts[children.index(child)] + units for child, units in inside])
        layers[index] = SumLayer(tuple(children), _scattered(layer.weights, column, int(starts[-1])))
    return index, np.arange(layer.shape.units)


def _scattered(weights: FloatArray | SparseRows, column: IntArray, count: int) -> FloatArray | SparseRows:
    """Add the columns of weights to those that they became."""
    (rows, columns), values = positions(weights), float_entries(weights).reshape(-1)
    cell = rows * count + column[columns]
    if not isinstance(weights, SparseRows):
        dense = np.bincount(cell, weights=values, minlength=weights.shape[0] * count)
        return np.asarray(dense.reshape(weights.shape[0], count), dtype=np.float64)
    cells, of = np.unique(cell, return_inverse=True)
    summed = np.bincount(of.reshape(-1), weights=values).astype(np.float64)
    indptr = np.searchsorted(cells // count, np.arange(weights.shape[0] + 1)).astype(np.int64)
    return SparseRows(indptr, (cells % count).astype(np.int64), summed, count)


def _one_hot(unit: IntArray, units: int) -> FloatArray:
    weights = np.zeros((1, units))
    weights[0, unit] = 1.0
    return weights


def _reached(layers: dict[int, Layer]) -> list[int]:
    """Give the layers that the last one uses, in their order."""
    reached = {max(layers)}
    for index in sorted(layers, reverse=True):
        layer = layers[index]
        if index in reached and not isinstance(layer, InputLayer):
            reached.update(layer.children)
    return sorted(reached)


def _renamed(layer: Layer, place: dict[int, int]) -> Layer:
    if isinstance(layer, InputLayer):
        return layer
    return replace(layer, children=tuple(place[child] for child in layer.children))


def _without_copy(circuit: Circuit) -> Circuit:
    """Leave out a root that is a copy of its only unit."""
    root = circuit.layers[-1]
    if len(circuit.layers) > 1 and isinstance(root, SumLayer) and root.weights.shape == (1, 1):
        return replace(circuit, layers=circuit.layers[:-1])
    return circuit
