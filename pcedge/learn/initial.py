"""Where EM starts: latents that are clusters of a variable together with those that tell most about it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcedge.circuit.layers import MISSING, Circuit, FloatArray, InputLayer, IntArray, Layer, ProductLayer, SumLayer

#: how many other variables a clustering looks at
RELATIVES = 7
#: weight of the variable itself, as if it were there that many times
OWN = 4.0
#: records clustered at most, and rounds of k-means: EM does the rest
RECORDS, ROUNDS = 4096, 12
#: records added to the counts that the first parameters are made of
LEAF_COUNT, SUM_COUNT = 1.0, 1.6
#: spread of the noise (in log) that tells equal clusters apart, which EM would keep equal for ever
NOISE = 0.1


def clustered(circuit: Circuit, records: IntArray, information: FloatArray, seed: int) -> Circuit:
    """Give a hidden Chow–Liu tree parameters from counts of clustered records.

    Symbols are compared by their distance, so names without an order start less well, and EM corrects it.

    Args:
        circuit: from `hidden_chow_liu_tree`; its parameters are not used.
        records: symbols of shape (N, variables), -1 where missing.
        information: the mutual information of all pairs of variables.
        seed: seed of the clusterings.
    """
    generator = np.random.default_rng([seed, 3])
    picked = records[:: max(1, -(-len(records) // RECORDS))]
    filled = _filled(picked)
    latents: dict[int, IntArray] = {}
    variable_of: dict[int, int] = {}
    layers: list[Layer] = []
    for index, layer in enumerate(circuit.layers):
        if isinstance(layer, InputLayer):
            variable, units = layer.variable, layer.shape.units
            variable_of[index] = variable
            relatives = np.argsort(-information[variable], kind="stable")
            features = filled[:, relatives[relatives != variable][:RELATIVES]]
            own = filled[:, [variable]] * np.sqrt(OWN)
            latents[variable] = _clusters(np.concatenate([own, features], axis=1), units, generator)
            table = _leaf_counts(picked[:, variable], latents[variable], layer.table.shape)
            table = _normalised(table, generator)
            layers.append(InputLayer(variable, table[:, 1].copy() if layer.kind == "bernoulli" else table))
        elif isinstance(layer, ProductLayer):
            variable_of[index] = variable_of[layer.children[0]]
            layers.append(layer)
        else:
            layers.append(layer)
    # A sum's rows are the parent's latents, and the parent comes after its children.
    for index, layer in enumerate(circuit.layers):
        if isinstance(layer, SumLayer):
            child = latents[variable_of[layer.children[0]]]
            parent = _parent(circuit, index)
            rows = np.zeros_like(child) if parent is None else latents[variable_of[parent]]
            counts = np.full(layer.weights.shape, SUM_COUNT / layer.weights.shape[1])
            np.add.at(counts, (rows, child), 1.0)
            layers[index] = SumLayer(layer.children, _normalised(counts, generator))
    return Circuit(tuple(layers))


def _parent(circuit: Circuit, index: int) -> int | None:
    following: Sequence[Layer] = circuit.layers[index + 1 :]
    for offset, layer in enumerate(following):
        if isinstance(layer, ProductLayer) and index in layer.children:
            return index + 1 + offset
    return None


def _filled(records: IntArray) -> FloatArray:
    """Put every variable's mean where a symbol is missing."""
    seen = records != MISSING
    means = np.where(seen, records, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    return np.where(seen, records, means)


def _clusters(points: FloatArray, count: int, generator: np.random.Generator) -> IntArray:
    """Run k-means from random points; give every point's cluster."""
    centres = points[generator.choice(len(points), count, replace=len(points) < count)]
    nearest = np.zeros(len(points), dtype=np.int64)
    for _ in range(ROUNDS):
        nearest = ((centres**2).sum(axis=1) - 2 * points @ centres.T).argmin(axis=1)
        sizes = np.bincount(nearest, minlength=count)
        sums = np.stack([np.bincount(nearest, weights=column, minlength=count) for column in points.T], axis=1)
        fresh = points[generator.integers(len(points), size=count)]
        centres = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], fresh)
    return nearest.astype(np.int64)


def _leaf_counts(column: IntArray, latents: IntArray, shape: tuple[int, ...]) -> FloatArray:
    seen = column != MISSING
    marginal = np.bincount(column[seen], minlength=shape[1]) + 1.0
    counts = np.tile(LEAF_COUNT * marginal / marginal.sum(), (shape[0], 1))
    np.add.at(counts, (latents[seen], column[seen]), 1.0)
    return counts


def _normalised(counts: FloatArray, generator: np.random.Generator) -> FloatArray:
    noisy = counts * np.exp(NOISE * generator.standard_normal(counts.shape))
    return np.asarray(noisy / noisy.sum(axis=1, keepdims=True), dtype=np.float64)
