"""Latents of a circuit: layers whose units are the states that sums choose between, with the tables beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcedge.circuit.layers import Circuit, InputLayer, ProductLayer, SumLayer
from pcedge.circuit.rows import SparseRows


@dataclass(frozen=True)
class Latent:
    """Name a layer of states, and where the counts of these states lie.

    `rows` are layers whose rows belong to the states one by one: the leaf and the sums below a product, as
    (layer, column of the gather list; -1 of the layer itself). `columns` are the sums that choose between the states,
    as (layer, first column).
    """

    layer: int
    states: int
    rows: tuple[tuple[int, int], ...]
    columns: tuple[tuple[int, int], ...]


def find_latents(circuit: Circuit) -> tuple[Latent, ...]:
    """Find the layers whose units only dense sums use, and whose factors nothing else uses.

    A product's unit has a row of its own in every factor: a leaf's table, or the weights of a sum below it. A leaf
    layer that sums use is a latent with these tables alone.
    """
    users: list[list[int]] = [[] for _ in circuit.layers]
    for index, layer in enumerate(circuit.layers):
        if not isinstance(layer, InputLayer):
            for child in layer.children:
                users[child].append(index)
    found = []
    for index, layer in enumerate(circuit.layers):
        if isinstance(layer, SumLayer) or not users[index]:
            continue
        above = [circuit.layers[user] for user in users[index]]
        if not all(isinstance(user, SumLayer) and not isinstance(user.weights, SparseRows) for user in above):
            continue
        rows = _rows(circuit, index, users)
        if rows is None:
            continue
        columns = []
        for user in users[index]:
            start = 0
            for child in circuit.layers[user].shape.children:
                if child == index:
                    columns.append((user, start))
                start += circuit.layers[child].shape.units
        found.append(Latent(index, layer.shape.units, rows, tuple(columns)))
    return tuple(found)


def _rows(circuit: Circuit, index: int, users: list[list[int]]) -> tuple[tuple[int, int], ...] | None:
    """Give the layers whose rows belong to one state each; None where states share rows."""
    layer = circuit.layers[index]
    if isinstance(layer, InputLayer):
        return ((index, -1),)
    assert isinstance(layer, ProductLayer)
    rows = []
    for column, child in enumerate(layer.children):
        below = circuit.layers[child]
        if users[child] != [index] or isinstance(below, ProductLayer):
            return None
        if isinstance(below, SumLayer) and isinstance(below.weights, SparseRows):
            return None
        units = below.shape.units
        if units != len(layer.gather) or len(np.unique(layer.gather[:, column])) != units:
            return None
        rows.append((child, column))
    return tuple(rows)
