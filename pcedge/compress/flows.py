"""Circuit flows: how often every parameter is used, given data, by one pass up and one down in float64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.inference import BATCH, check_records, inside
from pcedge.circuit.layers import Circuit, InputLayer, Layer, ProductLayer, SumLayer, parameters_of
from pcedge.circuit.rows import SparseRows, float_entries, row_entries, with_entries
from pcedge.errors import UsageError

BoolArray = NDArray[np.bool_]

#: a unit further below the best child than this (in nats) is computed by itself: exp of more would overflow
FAR = 600.0

#: what is left of a record's flow and could be rounding of the sums that were subtracted from 1
ROUNDING = 1e-9


def expected_flows(circuit: Circuit, records: ArrayLike) -> list[FloatArray | None]:
    """Compute the expected counts of every layer's parameters, summed over the records.

    The flow of a sum's edge is its share of the record: of all ways through the circuit, weighted by their
    probability given the record, how many pass it. The flow of a leaf's entry counts the records whose observed
    symbol passes it.

    Args:
        circuit: any circuit.
        records: symbols of shape (N, …), -1 where missing. A record of probability 0 counts nowhere.

    Returns:
        For every layer: (units, symbols) of an input layer (Bernoulli too), None of a product, the shape of the
        weights of a sum layer, or (entries,) of one with sparse rows.

    Raises:
        DataError: the data do not fit the circuit.

    Example:
        >>> circuit = Circuit((InputLayer(0, np.array([0.25, 0.75])), SumLayer((0,), np.array([[0.5, 0.5]]))))
        >>> expected_flows(circuit, [[1], [0]])[1].tolist()
        [[1.0, 1.0]]
    """
    return _passes(circuit, records, None)[0]


def loss_bound(circuit: Circuit, dropped: Sequence[BoolArray | None], records: ArrayLike) -> float:
    """Bound how much mean log-likelihood (nats a record) the records lose when edges are dropped.

    The loss is at most the mean of -log(1 - sum of the dropped edges' flows), Theorem 2 of the paper: a way that
    avoids the dropped edges keeps its probability, and normalising the rows again only adds to it.

    Args:
        circuit: the circuit before pruning.
        dropped: as in `Pruned.dropped`.
        records: symbols of shape (N, …), -1 where missing.

    Returns:
        The bound; infinite where a record's dropped flows reach 1, so that nothing can be said.

    Raises:
        DataError: the data do not fit the circuit.
        UsageError: the masks do not fit the circuit.
    """
    loss = _passes(circuit, records, dropped)[1]
    if len(loss) == 0:
        return 0.0
    left = 1 - loss
    with np.errstate(divide="ignore"):
        return float(-np.log(np.where(left > ROUNDING, left, 0.0)).mean())


def _passes(
    circuit: Circuit, records: ArrayLike, dropped: Sequence[BoolArray | None] | None
) -> tuple[list[FloatArray | None], FloatArray]:
    """Give the flows of all parameters, and every record's sum over the dropped edges."""
    checked = check_records(records, circuit.cardinalities, allow_missing=True)
    masks = [None] * len(circuit.layers) if dropped is None else list(dropped)
    counts: list[FloatArray | None] = []
    for index, layer in enumerate(circuit.layers):
        count = None
        if isinstance(layer, InputLayer):
            count = np.zeros(layer.table.shape)
        elif isinstance(layer, SumLayer):
            count = np.zeros_like(float_entries(layer.weights))
            mask = masks[index] if index < len(masks) else None
            if mask is not None and mask.shape != count.shape:
                raise UsageError(f"the dropped edges of layer {index} must have shape {count.shape}, got {mask.shape}")
        counts.append(count)
    if len(masks) != len(counts):
        raise UsageError(f"dropped must have an entry for each of {len(counts)} layers, got {len(masks)}")
    losses = [_down(circuit, checked[start : start + BATCH], counts, masks) for start in range(0, len(checked), BATCH)]
    return counts, np.concatenate(losses) if losses else np.zeros(0)


def _down(
    circuit: Circuit, records: IntArray, counts: list[FloatArray | None], masks: Sequence[BoolArray | None]
) -> FloatArray:
    """Add a batch's flows to the counts; give every record's flow through the dropped edges."""
    values = inside(circuit, records)
    flows = [np.zeros_like(value) for value in values]
    flows[-1][~np.isneginf(values[-1])] = 1.0
    losses = np.zeros(len(records))
    for index in range(len(circuit.layers) - 1, -1, -1):
        layer, flow, count = circuit.layers[index], flows[index], counts[index]
        if isinstance(layer, InputLayer) and count is not None:
            hot = records[:, layer.variable, None] == np.arange(count.shape[1])
            count += flow.T @ hot
        elif isinstance(layer, ProductLayer):
            for column, child in enumerate(layer.children):
                np.add.at(flows[child].T, layer.gather[:, column], flow.T)
        elif isinstance(layer, SumLayer) and count is not None:
            child_logs = np.concatenate([values[child] for child in layer.children], axis=1)
            passed = _through_sum(layer, values[index], child_logs, flow, count, masks[index], losses)
            start = 0
            for child in layer.children:
                flows[child] += passed[:, start : start + flows[child].shape[1]]
                start += flows[child].shape[1]
    return losses


def _through_sum(
    layer: SumLayer,
    value: FloatArray,
    child_logs: FloatArray,
    flow: FloatArray,
    count: FloatArray,
    mask: BoolArray | None,
    losses: FloatArray,
) -> FloatArray:
    """Share the flow of sum units among their children; add it to count and losses in place."""
    top = child_logs.max(axis=1, keepdims=True)
    top[np.isneginf(top)] = 0.0
    used = flow > 0
    away = np.where(used, top - np.where(used, value, 0.0), 0.0)
    far = used & (away > FAR)
    scaled = np.exp(child_logs - top)
    ratio = np.where(used & ~far, flow * np.exp(np.where(far, 0.0, away)), 0.0)
    weights = layer.weights
    if isinstance(weights, SparseRows):
        entry_flows = ratio[:, weights.row_of_entry] * scaled[:, weights.indices] * weights.values
        count += entry_flows.sum(axis=0)
        if mask is not None:
            losses += entry_flows[:, mask].sum(axis=1)
        passed = np.zeros_like(child_logs)
        order = np.argsort(weights.indices, kind="stable")
        columns, starts = np.unique(weights.indices[order], return_index=True)
        passed[:, columns] = np.add.reduceat(entry_flows[:, order], starts, axis=1)
    else:
        passed = scaled * (ratio @ weights)
        count += weights * (ratio.T @ scaled)
        if mask is not None:
            losses += (ratio * (scaled @ np.where(mask, weights, 0.0).T)).sum(axis=1)
    # Units whose own children are all far below the record's best, as in `inside`.
    for record, unit in np.argwhere(far):
        index, columns, shares = row_entries(weights, int(unit))
        with np.errstate(divide="ignore"):
            share = flow[record, unit] * np.exp(np.log(shares) + child_logs[record, columns] - value[record, unit])
        count[index] += share
        passed[record, columns] += share
        if mask is not None:
            losses[record] += share[mask[index]].sum()
    return passed


def flow_layers(circuit: Circuit, flows: Sequence[FloatArray | None]) -> tuple[Layer, ...]:
    """Put flows in the place of parameters, so that they can follow them.

    Raises:
        UsageError: a layer's flows are not there, have another shape than its parameters, or are no counts.
    """
    if len(flows) != len(circuit.layers):
        raise UsageError(f"flows must have an entry for each of {len(circuit.layers)} layers, got {len(flows)}")
    layers: list[Layer] = []
    for index, (layer, flow) in enumerate(zip(circuit.layers, flows, strict=True)):
        if isinstance(layer, ProductLayer):
            layers.append(layer)
            continue
        shape = parameters_of(layer).shape
        got = None if flow is None else np.shape(flow)
        if flow is None or got != shape:
            raise UsageError(f"the flows of layer {index} must have shape {shape}, got {got}")
        if not (np.isfinite(flow).all() and (np.asarray(flow) >= 0).all()):
            raise UsageError(f"the flows of layer {index} must be finite and not negative, they are not")
        if isinstance(layer, InputLayer):
            layers.append(InputLayer(layer.variable, flow))
        else:
            layers.append(SumLayer(layer.children, with_entries(layer.weights, flow)))
    return tuple(layers)
