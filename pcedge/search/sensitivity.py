"""What a layer's other weights would cost: exact for every sum layer alone, by one pass up and one down."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.inference import inside
from pcedge.circuit.layers import Circuit, InputLayer, ProductLayer, SumLayer
from pcedge.circuit.rows import SparseRows, float_entries

#: records evaluated at a time
BATCH = 256

#: a record that a layer makes impossible counts as this many bits: other layers' floors would code it
IMPOSSIBLE_BITS = 24.0

#: a unit further below a record's best child than this (in nats) plays no part: exp of more would overflow
FAR = 600.0


def layer_losses(circuit: Circuit, records: IntArray, others: Sequence[Sequence[FloatArray]]) -> FloatArray:
    """Measure what every sum layer loses alone with other weights than its own.

    The likelihood of a record is linear in the weights of one layer, so that with the contexts c of the layer's units
    and the values v of their children it changes by the factor 1 + x, x = c (W' - W) v / p, hidden states and all. The
    loss is the mean of x / ln 2 - log2(1 + x), never negative.

    Args:
        circuit: a float circuit.
        records: symbols of shape (N, variables), N at least 1.
        others: for every sum layer, in order, the alternatives: weights in the layout of `float_entries`.

    Returns:
        Bits a record, (alternatives, sum layers).
    """
    sums = [index for index, layer in enumerate(circuit.layers) if isinstance(layer, SumLayer)]
    losses = np.zeros((max((len(some) for some in others), default=0), len(sums)))
    for start in range(0, len(records), BATCH):
        _add(circuit, records[start : start + BATCH], dict(zip(sums, others, strict=True)), losses)
    return losses / len(records)


def _add(
    circuit: Circuit, records: IntArray, others: dict[int, Sequence[FloatArray]], losses: FloatArray
) -> None:  # fmt: skip
    values = inside(circuit, records)
    flows = [np.zeros_like(value) for value in values]
    flows[-1][~np.isneginf(values[-1])] = 1.0
    column = losses.shape[1]
    for index in range(len(circuit.layers) - 1, -1, -1):
        layer, flow = circuit.layers[index], flows[index]
        if isinstance(layer, InputLayer):
            continue
        if isinstance(layer, ProductLayer):
            for factor, child in enumerate(layer.children):
                np.add.at(flows[child].T, layer.gather[:, factor], flow.T)
            continue
        column -= 1
        child_logs = np.concatenate([values[child] for child in layer.children], axis=1)
        top = child_logs.max(axis=1, keepdims=True)
        top[np.isneginf(top)] = 0.0
        used = flow > 0
        away = np.where(used, top - np.where(used, values[index], 0.0), 0.0)
        scaled = np.exp(child_logs - top)
        ratio = np.where(used & (away <= FAR), flow * np.exp(np.minimum(away, FAR)), 0.0)
        passed, changes = _through(layer, ratio, scaled, others[index])
        for level, change in enumerate(changes):
            # In a trained circuit changes are 0 in the mean: what is not, in a sample, is noise.
            losses[level, column] += (change / np.log(2) - np.log2(np.maximum(1 + change, 2.0**-IMPOSSIBLE_BITS))).sum()
        start = 0
        for child in layer.children:
            flows[child] += passed[:, start : start + flows[child].shape[1]]
            start += flows[child].shape[1]


def _through(
    layer: SumLayer, ratio: FloatArray, scaled: FloatArray, others: Sequence[FloatArray]
) -> tuple[FloatArray, list[FloatArray]]:
    """Share the flow of sum units among their children; give it and every alternative's relative changes."""
    weights = layer.weights
    if not isinstance(weights, SparseRows):
        changes = [((scaled @ (other - weights).T) * ratio).sum(axis=1) for other in others]
        return scaled * (ratio @ weights), changes
    entries = float_entries(weights)
    ways = ratio[:, weights.row_of_entry] * scaled[:, weights.indices]
    order = np.argsort(weights.indices, kind="stable")
    columns, starts = np.unique(weights.indices[order], return_index=True)
    passed = np.zeros_like(scaled)
    passed[:, columns] = np.add.reduceat((ways * entries)[:, order], starts, axis=1)
    return passed, [ways @ (other - entries) for other in others]
