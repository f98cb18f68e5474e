"""Rebuilding of a circuit without some of its edges, and without what nothing uses then."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import Circuit, InputLayer, Layer, ProductLayer, SumLayer
from pcedge.circuit.rows import SparseRows, float_entries, positions
from pcedge.compress.flows import BoolArray


def rebuilt(circuit: Circuit, keep: dict[int, BoolArray], sparse: str) -> Circuit:
    """Drop edges, normalise the rows again, and remove units and layers that the root does not reach.

    Args:
        circuit: the circuit.
        keep: for every sum layer its edges that stay, flat: (units * columns,), or (entries,) of sparse rows.
        sparse: `edges` makes dense layers sparse where that is smaller, `blocks` wherever an edge was dropped,
            `states` never. Sparse layers stay sparse.
    """
    used = _used_units(circuit, keep)
    position: dict[int, int] = {}
    number: dict[int, IntArray] = {}
    layers: list[Layer] = []
    for index, layer in enumerate(circuit.layers):
        units = np.flatnonzero(used[index])
        if not len(units):
            continue
        number[index] = np.cumsum(used[index]) - 1
        position[index] = len(layers)
        if isinstance(layer, InputLayer):
            layers.append(taken(layer, units))
        elif isinstance(layer, ProductLayer):
            columns = [number[child][layer.gather[units, c]] for c, child in enumerate(layer.children)]
            layers.append(ProductLayer(tuple(position[child] for child in layer.children), np.stack(columns, axis=1)))
        else:
            columns_used = np.concatenate([used[child] for child in layer.children])
            children = tuple(position[child] for child in layer.children if child in position)
            layers.append(SumLayer(children, _weights(layer, keep[index], units, columns_used, sparse)))
    return replace(circuit, layers=tuple(layers))


def taken(layer: InputLayer, units: IntArray) -> InputLayer:
    """Give an input layer of some units, in the order named; its kind stays."""
    if layer.parametric is not None:
        return InputLayer.of(layer.variable, layer.parametric.take(units))
    return InputLayer(layer.variable, layer.probabilities[units])


def _used_units(circuit: Circuit, keep: dict[int, BoolArray]) -> list[BoolArray]:
    used = [np.zeros(layer.shape.units, dtype=bool) for layer in circuit.layers]
    used[-1][:] = True
    for index in range(len(circuit.layers) - 1, -1, -1):
        layer = circuit.layers[index]
        if isinstance(layer, ProductLayer):
            for column, child in enumerate(layer.children):
                used[child][layer.gather[used[index], column]] = True
        elif isinstance(layer, SumLayer):
            rows, columns = positions(layer.weights)
            reached = np.zeros(layer.weights.shape[1], dtype=bool)
            reached[columns[keep[index] & used[index][rows]]] = True
            start = 0
            for child in layer.children:
                used[child] |= reached[start : start + len(used[child])]
                start += len(used[child])
    return used


def _weights(
    layer: SumLayer, keep: BoolArray, units: IntArray, columns_used: BoolArray, sparse: str
) -> FloatArray | SparseRows:
    """Give the rows of some units over the used columns, normalised."""
    rows, columns = positions(layer.weights)
    weights = layer.weights
    was_sparse = isinstance(weights, SparseRows)
    values = float_entries(weights).reshape(-1)
    row_used = np.zeros(weights.shape[0], dtype=bool)
    row_used[units] = True
    stay = keep & row_used[rows]
    row = (np.cumsum(row_used) - 1)[rows[stay]]
    column = (np.cumsum(columns_used) - 1)[columns[stay]]
    value = values[stay]
    value = value / np.bincount(row, weights=value, minlength=len(units))[row]
    width = int(columns_used.sum())
    dense_bytes, sparse_bytes = 8 * len(units) * width, 8 * (len(units) + 1) + 16 * len(value)
    if sparse == "edges":
        make_sparse = was_sparse or sparse_bytes < dense_bytes
    else:
        make_sparse = was_sparse or (sparse == "blocks" and len(value) < len(units) * width)
    if make_sparse:
        indptr = np.searchsorted(row, np.arange(len(units) + 1)).astype(np.int64)
        return SparseRows(indptr, column.astype(np.int64), value, width)
    dense = np.zeros((len(units), width))
    dense[row, column] = value
    return dense
