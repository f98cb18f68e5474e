"""Features of an integer circuit that tell what it will lose once it is refined (docs/search.md, section Surrogate)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.inference import log_likelihood, sample
from pcedge.circuit.layers import Circuit, InputLayer, Layer, ProductLayer, SumLayer
from pcedge.circuit.rows import SparseRows, entries, float_entries, with_entries
from pcedge.compress.sharing import EVEN, table_groups
from pcedge.errors import UsageError
from pcedge.integer import IntegerCircuit, IntegerInput, IntegerSum
from pcedge.search.sensitivity import layer_losses

#: records that are drawn from the circuit, and their seed and that of the entries before rounding
RECORDS, SEED = 512, 0

#: of layers with different W the mean is one of 2^(-FALL W), as losses fall with W
FALL = 1.5

#: how far leaves that share a table are moved towards the nearest other one
PART = 0.5

#: the least of a loss in bits a variable, and of every other quantity whose logarithm is taken
LEAST = 1e-5


def float_of(circuit: IntegerCircuit) -> Circuit:
    """Give the float circuit of the integers' own weights and tables, each divided by its row's sum.

    Example:
        >>> from pcedge.export import load_zoo
        >>> float_of(load_zoo("nltcs")).cardinalities == load_zoo("nltcs").cardinalities
        True
    """
    layers: list[Layer] = []
    for layer in circuit.layers:
        if isinstance(layer, IntegerInput):
            layers.append(
                InputLayer(layer.variable, np.diff(layer.cumulative, axis=1) / float(layer.cumulative[0, -1]))
            )
        elif isinstance(layer, IntegerSum):
            values = entries(layer.weights) / float(1 << circuit.weight_bits)
            layers.append(SumLayer(layer.children, with_entries(layer.weights, values)))
        else:
            layers.append(layer)
    return Circuit(tuple(layers))


def usage(circuit: Circuit) -> list[FloatArray]:
    """Compute how often every unit is used by a record of which nothing is known: the prior of its latent's states.

    Returns:
        For every layer an array (units,); the root has 1.

    Example:
        >>> leaves = InputLayer(0, np.array([[0.8, 0.2], [0.2, 0.8]]))
        >>> [used.tolist() for used in usage(Circuit((leaves, SumLayer((0,), np.array([[0.25, 0.75]])))))]
        [[0.25, 0.75], [1.0]]
    """
    used = [np.zeros(layer.shape.units) for layer in circuit.layers]
    used[-1][:] = 1.0
    for index in range(len(circuit.layers) - 1, -1, -1):
        layer = circuit.layers[index]
        if isinstance(layer, ProductLayer):
            for column, child in enumerate(layer.children):
                np.add.at(used[child], layer.gather[:, column], used[index])
        elif isinstance(layer, SumLayer):
            weights = layer.weights
            if isinstance(weights, SparseRows):
                passed = np.zeros(weights.shape[1])
                np.add.at(passed, weights.indices, used[index][weights.row_of_entry] * weights.values)
            else:
                passed = used[index] @ weights
            ends = np.cumsum([len(used[child]) for child in layer.children])[:-1]
            for child, part in zip(layer.children, np.split(passed, ends), strict=True):
                used[child] += part
    return used


def step_of(weights: IntArray, weight_bits: int) -> int:
    """Give the step that a layer's weights are multiples of: 2^(W - W of the layer); 1 where every row is certain.

    Example:
        >>> step_of(np.array([[64, 192]]), 8), step_of(np.array([[256]]), 8)
        (64, 1)
    """
    step = int(np.gcd.reduce(weights, axis=None))
    return 1 if step == 1 << weight_bits else step


def features(circuit: IntegerCircuit) -> dict[str, float]:
    """Describe an integer circuit by what tells how much of its rounding a refinement will leave.

    Args:
        circuit: a structured-decomposable circuit with sums.

    Returns:
        Base-2 logarithms, but for W and L, by name, as docs/search.md lists them.

    Raises:
        NotStructuredError: the circuit is not structured-decomposable.
        UsageError: no sum has two children to choose of.
    """
    _ = circuit.regions
    sums = {i: layer for i, layer in enumerate(circuit.layers) if isinstance(layer, IntegerSum)}
    if not any(entries(layer.weights).size > layer.shape.units for layer in sums.values()):
        raise UsageError("predict must have a circuit with a sum of two children or more, this one has none")
    floats, whole, variables = float_of(circuit), 1 << circuit.weight_bits, len(circuit.cardinalities)
    used = usage(floats)
    expected, vanished, row_entropy, count, fineness = 0.0, 0.0, 0.0, 0, 0.0
    for index, layer in sums.items():
        rows, values = layer.weights, entries(layer.weights)
        often = used[index][rows.row_of_entry] if isinstance(rows, SparseRows) else used[index][:, None]
        step = step_of(values, circuit.weight_bits)
        some = values > 0
        expected += float((often * some * step**2 / np.maximum(values, 1)).sum()) / whole / 24 / math.log(2)
        vanished += float((often * ~some).sum()) * step / whole
        row_entropy -= float((often * values / whole * np.log2(np.maximum(values, 1) / whole)).sum())
        count += values.size
        fineness += values.size * (step / whole) ** FALL
    restored, parted = _restored(circuit, floats)
    records = sample(restored, RECORDS, SEED)
    rounding = float(layer_losses(restored, records, [[float_entries(floats.layers[i].weights)] for i in sums]).sum())
    own = sample(floats, RECORDS, SEED)
    found = log_likelihood(floats, own)
    change = np.exp(log_likelihood(parted, own) - found) - 1
    sharing = float((change - np.log1p(change)).mean()) / math.log(2)
    entropy = -float(found.mean()) / math.log(2)
    leaves = {i: layer for i, layer in enumerate(floats.layers) if isinstance(layer, InputLayer)}
    alone = sum(_bits(used[i] @ layer.table) for i, layer in leaves.items())
    tables, units, leaf_rounding = _leaves(circuit, used)
    states = np.mean([layer.shape.units for layer in sums.values()])

    def log(value: float) -> float:
        return math.log2(max(value, LEAST))

    return {
        "weight_bits": -math.log2(fineness / count) / FALL,
        "leaf_bits": float(circuit.leaf_bits),
        "tables_a_leaf": log(tables / units),
        "states": log(float(states)),
        "weights_a_variable": log(count / variables),
        "symbols": log(float(np.mean(circuit.cardinalities))),
        "row_entropy": log(row_entropy / variables),
        "entropy": log(entropy / variables),
        "information": log((alone - entropy) / variables),
        "rounding": log(rounding / variables),
        "expected_rounding": log(expected / variables),
        "vanished": log(vanished / variables),
        "leaf_rounding": log(leaf_rounding / variables),
        "sharing": log(sharing / variables),
    }


def _bits(shares: FloatArray) -> float:
    """Give the entropy of a distribution."""
    return -float((shares * np.log2(np.maximum(shares, 1e-300))).sum())


def _restored(circuit: IntegerCircuit, floats: Circuit) -> tuple[Circuit, Circuit]:
    """Draw a circuit whose weights may have been rounded to the integers; give one whose leaves are parted too."""
    dice = np.random.default_rng([SEED, 17])
    layers: list[Layer] = list(floats.layers)
    for index, layer in enumerate(circuit.layers):
        if isinstance(layer, IntegerSum):
            values = entries(layer.weights)
            step = step_of(values, circuit.weight_bits)
            layers[index] = SumLayer(layer.children, _unrounded(layer.weights, values / step, dice))
    parted = list(floats.layers)
    for group in table_groups(floats).values():
        rows = np.concatenate([floats.layers[index].table for index in group])
        distinct, of = np.unique(rows, axis=0, return_inverse=True)
        if not 1 < len(distinct) < len(rows):
            continue
        logs = np.log(np.maximum(distinct, EVEN))
        apart = (distinct * logs).sum(axis=1, keepdims=True) - distinct @ logs.T
        np.fill_diagonal(apart, np.inf)
        mixed = ((1 - PART) * distinct + PART * distinct[apart.argmin(axis=1)])[of.reshape(-1)]
        shared = np.bincount(of.reshape(-1))[of.reshape(-1)] > 1
        mixed = np.where(shared[:, None], mixed, rows)
        ends = np.cumsum([floats.layers[index].shape.units for index in group])[:-1]
        for index, table in zip(group, np.split(mixed, ends), strict=True):
            parted[index] = InputLayer(floats.layers[index].variable, table)
    return Circuit(tuple(layers)), Circuit(tuple(parted))


def _unrounded(rows: IntArray | SparseRows, values: FloatArray, dice: np.random.Generator) -> Any:
    """Draw weights that may have been rounded to some: each within half a step, every row with a sum of 1."""
    moved = dice.uniform(-0.5, 0.5, values.shape)
    drawn = np.where(values > 0, values + moved, np.abs(moved) ** 3 * 4)
    if not isinstance(rows, SparseRows):
        return drawn / drawn.sum(axis=1, keepdims=True)
    totals = np.zeros(rows.shape[0])
    np.add.at(totals, rows.row_of_entry, drawn)
    return with_entries(rows, drawn / totals[rows.row_of_entry])


def _leaves(circuit: IntegerCircuit, used: Sequence[FloatArray]) -> tuple[int, int, float]:
    """Give the different leaf tables, the leaves, and expected bits a record by rounded tables."""
    tables, units, rounding = set(), 0, 0.0
    for index, layer in enumerate(circuit.layers):
        if isinstance(layer, IntegerInput):
            rows = np.diff(layer.cumulative, axis=1)
            often = used[index][:, None] * (rows > 0) / np.maximum(rows, 1)
            rounding += float(often.sum()) / (1 << circuit.leaf_bits) / 24 / math.log(2)
            tables |= {row.tobytes() for row in rows}
            units += len(rows)
    return len(tables), units, rounding


def shares_tables(found: Mapping[str, float]) -> bool:
    """Tell by its features whether leaves of a circuit share tables so that it matters."""
    return found["sharing"] > math.log2(2 * LEAST)
