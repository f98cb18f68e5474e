"""Features of an integer circuit that tell what it will lose once it is refined (docs/search.md, section Surrogate)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.inference import log_likelihood, sample
from pcedge.circuit.layers import Circuit, InputLayer, Layer, SumLayer
from pcedge.circuit.rows import entries, float_entries, with_entries
from pcedge.compress.sharing import table_groups
from pcedge.errors import UsageError
from pcedge.integer import IntegerCircuit, IntegerInput, IntegerSum
from pcedge.quantize import QuantizationConfig
from pcedge.quantize.rows import round_rows

#: records that are drawn from the circuit, and their seed
RECORDS, SEED = 512, 0

#: the least quantity whose logarithm is taken
LEAST = 1e-5

#: losses fall with W as about 2^(-FALL W): layers of different W have the mean of that
FALL = 1.5

#: how far weights are moved towards those of one bit fewer
PART = 0.5

#: leaves share tables where there are fewer than so many a leaf: rounding makes some equal too
SHARED = 0.75


def features(circuit: IntegerCircuit) -> dict[str, float]:
    """Describe an integer circuit by what tells how much of its rounding a refinement will leave.

    Args:
        circuit: a structured-decomposable circuit with sums.

    Returns:
        W and L, and base-2 logarithms of the other features, by the names that docs/search.md lists.

    Raises:
        NotStructuredError: the circuit is not structured-decomposable.
        UsageError: no sum has two children to choose of, or sums take their rows from a table.

    Example:
        >>> from pcedge.export import load_zoo
        >>> found = features(load_zoo("nltcs"))
        >>> found["weight_bits"], found["symbols"]
        (8.0, 1.0)
    """
    _ = circuit.regions
    if circuit.row_lengths:
        rows = sum(len(table.rows) for table in circuit.row_tables.values())
        raise UsageError(
            f"predict must have a circuit whose sums have weights of their own, this one has a table of {rows} rows, "
            "and no circuit with one was measured: refine it with quantize --row-table, which measures it"
        )
    sums = [layer for layer in circuit.layers if isinstance(layer, IntegerSum)]
    if not any(entries(layer.weights).size > layer.shape.units for layer in sums):
        raise UsageError("predict must have a circuit with a sum of two children or more, this one has none")
    floats, variables = float_of(circuit), len(circuit.cardinalities)
    sizes = np.array([entries(layer.weights).size for layer in sums])
    steps = np.array([2.0 ** (-FALL * own_bits(entries(layer.weights), circuit.weight_bits)) for layer in sums])
    records = sample(floats, RECORDS, SEED)
    own = log_likelihood(floats, records)
    change = np.exp(log_likelihood(coarser(circuit, floats), records) - own) - 1
    values = {
        "tables_a_leaf": tables_a_leaf(floats),
        "states": float(np.mean([layer.shape.units for layer in sums])),
        "weights_a_variable": float(sizes.sum()) / variables,
        "symbols": float(np.mean(circuit.cardinalities)),
        "entropy": -float(own.mean()) / math.log(2) / variables,
        # -log(1 + x) alone has the same mean, for that of x is 0, and more noise.
        "coarser": float((change - np.log1p(change)).mean()) / math.log(2) / variables,
    }
    widths = {
        "weight_bits": -math.log2(float((sizes * steps).sum() / sizes.sum())) / FALL,
        "leaf_bits": float(circuit.leaf_bits),
    }
    return widths | {name: math.log2(max(value, LEAST)) for name, value in values.items()}


def shares_tables(found: Mapping[str, float]) -> bool:
    """Tell by its features whether leaves of a circuit share tables."""
    return found["tables_a_leaf"] < math.log2(SHARED)


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
            layers.append(InputLayer(layer.variable, np.diff(layer.cumulative, axis=1) / float(1 << circuit.leaf_bits)))
        elif isinstance(layer, IntegerSum):
            values = float_entries(layer.weights) / float(1 << circuit.weight_bits)
            layers.append(SumLayer(layer.children, with_entries(layer.weights, values)))
        else:
            layers.append(layer)
    return Circuit(tuple(layers))


def own_bits(weights: IntArray, weight_bits: int) -> int:
    """Give the W of a layer whose weights may all be multiples of 2^(W - its own); W where every row is certain.

    Example:
        >>> own_bits(np.array([[64, 192]]), 8), own_bits(np.array([[256]]), 8)
        (2, 8)
    """
    step = int(np.gcd.reduce(weights, axis=None))
    return (weight_bits - step.bit_length() + 1) or weight_bits


def coarser(circuit: IntegerCircuit, floats: Circuit) -> Circuit:
    """Move the weights of every sum layer a part of the way to those of one bit fewer.

    Args:
        circuit: the integer circuit.
        floats: its `float_of`.
    """
    layers: list[Layer] = list(floats.layers)
    for index, layer in enumerate(floats.layers):
        if isinstance(layer, SumLayer):
            integers, values = circuit.layers[index], float_entries(layer.weights)
            assert isinstance(integers, IntegerSum)
            bits = own_bits(entries(integers.weights), circuit.weight_bits) - 1
            fewer = round_rows(layer, values, QuantizationConfig(), bits) / (1 << bits)
            moved: FloatArray = PART * fewer + (1 - PART) * values
            layers[index] = SumLayer(layer.children, with_entries(layer.weights, moved))
    return Circuit(tuple(layers))


def tables_a_leaf(circuit: Circuit) -> float:
    """Count the different tables of leaves of three symbols and more, which can share them, a leaf; 1 without such.

    Example:
        >>> leaves = InputLayer(0, np.array([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]]))
        >>> tables_a_leaf(Circuit((leaves, SumLayer((0,), np.array([[0.5, 0.5]])))))
        0.5
    """
    tables = leaves = 0
    for group in table_groups(circuit).values():
        members = [layer for index in group if isinstance(layer := circuit.layers[index], InputLayer)]
        rows = np.concatenate([layer.table for layer in members])
        tables, leaves = tables + len(np.unique(rows, axis=0)), leaves + len(rows)
    return tables / leaves if leaves else 1.0
