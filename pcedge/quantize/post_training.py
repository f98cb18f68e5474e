"""Post-training quantization: from a float circuit to an integer circuit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.batches import stacked
from pcedge.circuit.layers import Circuit, InputLayer, Layer, ProductLayer, SumLayer, parameters_of
from pcedge.circuit.rows import SparseRows, batches, entries, float_entries, joined, with_entries
from pcedge.circuit.structure import Shape, child_lists, clustered_order, find_regions, first_places, layer_spans
from pcedge.compress.flows import flow_layers
from pcedge.errors import CircuitError, UsageError
from pcedge.integer.circuit import IntegerCircuit, IntegerInput, IntegerLayer, IntegerSum
from pcedge.integer.nested import NestedTables
from pcedge.quantize.config import CODERS, QuantizationConfig
from pcedge.quantize.nested import nest, nested_groups
from pcedge.quantize.rows import round_rows, round_tables
from pcedge.quantize.tails import with_tails
from pcedge.quantize.turned import round_turned, shorter_lengths

#: a layer of either circuit
Kind = TypeVar("Kind", Layer, IntegerLayer)


def quantize(
    circuit: Circuit,
    config: QuantizationConfig | None = None,
    *,
    order: tuple[int, ...] | None = None,
    flows: Sequence[FloatArray | None] | None = None,
    possible: Circuit | None = None,
) -> IntegerCircuit:
    """Round a circuit's weights and leaf tables to integers of the shortest expected code.

    Args:
        circuit: the float circuit.
        config: the widths; None takes the defaults (W 8, L 12, A 16; L 15 with a predictor stage, W 12 and L 15
            over a grid that clips).
        order: the coding order of the variables; None visits the largest child of every product last; without a
            tree of regions, any order is possible, and None puts variables below the same layers together.
        flows: expected counts of calibration data, from `expected_flows` or `count_flows`, which the code length of
            sum rows is weighted with; None takes the circuit's own probabilities.
        possible: a circuit of the same structure whose positive parameters say what must stay possible, with tails: the
            one that a refinement started from, which has rounded some to zero. None takes `circuit`.

    Returns:
        The integer circuit. Input layers of one variable are merged, and products list their children in coding order.

    Raises:
        WidthError: a width is out of range or a signal would not fit.
        CircuitError: the order is not one that a depth-first walk can follow.
        UsageError: flows, layers of `config.layer_weight_bits`, or `possible`, that do not fit the circuit.

    Example:
        >>> coins = InputLayer(0, np.array([0.5, 0.9]))
        >>> model = quantize(Circuit((coins, SumLayer((0,), np.array([[0.25, 0.75]])))))
        >>> model.layers[1].weights.tolist()
        [[64, 192]]
    """
    if not isinstance(circuit, Circuit):
        raise CircuitError(f"quantize must have a float circuit, got {type(circuit).__name__}")
    config = config or QuantizationConfig.of(circuit)
    layers = _merge_inputs(circuit.layers)
    # Flows have the shape of what they are of, and go the same way.
    counts = None if flows is None else _merge_inputs(flow_layers(circuit, flows))
    bits = _merge_bits(circuit, layers, config)
    shapes = tuple(layer.shape for layer in layers)
    variables = len(circuit.cardinalities)
    order = _order(circuit, layers, order)
    if sorted(order) != list(range(variables)):
        raise CircuitError(f"the coding order must name each of the {variables} variables once, got {list(order)[:8]}…")
    scale_bits, range_bits = CODERS[config.coder]
    integers = _quantize_layers(layers, config, bits, counts)
    if config.row_table:
        integers = round_turned(layers, integers, config, counts)
    nested: tuple[NestedTables, ...] = ()
    if config.leaf_masters is not None:
        integers, nested = _nest_leaves(layers, integers, config)
    if config.tails:
        others = layers if possible is None else _merge_inputs(possible.layers)
        if others is not layers and [_form(layer) for layer in others] != [_form(layer) for layer in layers]:
            raise UsageError("quantize must have a circuit of the same structure to say what is possible, got another")
        integers = with_tails(layers, others, integers, config, bits, counts, circuit.grid)
    return IntegerCircuit(
        _order_children(integers, shapes, order),
        config.weight_bits, config.leaf_bits, config.state_bits, scale_bits, range_bits,
        config.floor_for(max(circuit.cardinalities)), order, circuit.symbolizer, nested,
        circuit.log_constant, config.tails, circuit.grid, shorter_lengths(integers, config) if config.row_table else (),
    )  # fmt: skip


def _nest_leaves(
    layers: tuple[Layer, ...], integers: tuple[IntegerLayer, ...], config: QuantizationConfig
) -> tuple[tuple[IntegerLayer, ...], tuple[NestedTables, ...]]:
    """Put nested tables in the place of those that were rounded one by one."""
    assert config.leaf_masters is not None
    replaced, nestings = list(integers), []
    inputs = {index: layer for index, layer in enumerate(layers) if isinstance(layer, InputLayer)}
    indices = list(inputs)
    for _, group in nested_groups([layer.table.shape[1] for layer in inputs.values()]):
        tables = [inputs[indices[number]].table for number in group]
        nested, leaves = nest(np.concatenate(tables), config.leaf_masters, config.leaf_bits)
        nestings.append(nested)
        ends = np.cumsum([len(table) for table in tables])[:-1]
        for number, cumulative in zip(group, np.split(leaves, ends), strict=True):
            replaced[indices[number]] = IntegerInput(inputs[indices[number]].variable, cumulative)
    return tuple(replaced), tuple(nestings)


def default_order(circuit: Circuit) -> tuple[int, ...]:
    """Give the coding order that `quantize` gives a float circuit where none is asked for."""
    return _order(circuit, _merge_inputs(circuit.layers), None)


def _order(circuit: Circuit, layers: tuple[Layer, ...], order: tuple[int, ...] | None) -> tuple[int, ...]:
    """Choose the coding order of merged layers, or check the one that is asked for where there is a tree of regions."""
    shapes = tuple(layer.shape for layer in layers)
    spans = circuit.spans if layers is circuit.layers else layer_spans(shapes)
    if spans is not None:
        return tuple(find_regions(shapes, order, spans).order.tolist())
    return clustered_order(shapes) if order is None else order


def aligned_layers(layers: tuple[Layer, ...], order: tuple[int, ...]) -> tuple[Layer, ...]:
    """Give the float layers as `quantize` rounds them: input layers merged, products' children in coding order."""
    merged = _merge_inputs(layers)
    return _order_children(merged, [layer.shape for layer in merged], order)


def weight_bits_of(circuit: Circuit, config: QuantizationConfig) -> list[int]:
    """Give every layer its W, that of the circuit where it has none of its own.

    Raises:
        UsageError: a layer of `config.layer_weight_bits` is no sum layer.
    """
    chosen = dict(config.layer_weight_bits)
    bits = [
        chosen.pop(index, config.weight_bits) if isinstance(layer, SumLayer) else config.weight_bits
        for index, layer in enumerate(circuit.layers)
    ]
    if chosen:
        raise UsageError(f"layer_weight_bits must name sum layers of the circuit, got layer {min(chosen)}")
    return bits


def _form(layer: Layer) -> tuple[object, ...]:
    """Give what layers of one structure have in common."""
    shape = layer.shape
    places = entries(layer.weights).shape if isinstance(layer, SumLayer) else ()
    return shape.kind, shape.units, shape.children, shape.variable, shape.cardinality, shape.columns, places


def _merge_bits(circuit: Circuit, merged: tuple[Layer, ...], config: QuantizationConfig) -> list[int]:
    """Give every merged layer its own W; merging moves input layers only."""
    bits = zip(circuit.layers, weight_bits_of(circuit, config), strict=True)
    left = iter([width for layer, width in bits if isinstance(layer, SumLayer)])
    return [next(left) if isinstance(layer, SumLayer) else config.weight_bits for layer in merged]


def _quantize_layers(
    layers: tuple[Layer, ...], config: QuantizationConfig, bits: list[int], flows: tuple[Layer, ...] | None
) -> tuple[IntegerLayer, ...]:
    """Round all layers, those that are rounded alike together: rows are rounded each by itself."""
    quantized: list[IntegerLayer] = list(layers)  # type: ignore[arg-type]  # products stay
    inputs = [index for index, layer in enumerate(layers) if isinstance(layer, InputLayer)]
    for numbers, tables in stacked([layers[index].probabilities for index in inputs]):  # type: ignore[union-attr]
        # Not by flows: a table of many symbols has more entries than calibration data can tell apart.
        rounded = round_tables(InputLayer(0, tables.reshape(-1, *tables.shape[2:])), config).cumulative
        for number, cumulative in zip(numbers, rounded.reshape(len(numbers), -1, rounded.shape[1]), strict=True):
            index = inputs[number]
            quantized[index] = IntegerInput(layers[index].variable, cumulative)  # type: ignore[union-attr]
    sums = [(index, layer) for index, layer in enumerate(layers) if isinstance(layer, SumLayer)]
    for width in sorted(set(bits)):
        chosen = [(index, layer) for index, layer in sums if bits[index] == width]
        for numbers in batches([layer.weights for _, layer in chosen]):
            batch = [chosen[number] for number in numbers]
            layer = SumLayer((), joined([layer.weights for _, layer in batch]))
            counts = None if flows is None else np.concatenate([parameters_of(flows[index]) for index, _ in batch])
            values = round_rows(layer, float_entries(layer.weights), config, width, counts)
            first = 0
            for index, layer in batch:
                last = first + len(entries(layer.weights))
                weights = with_entries(layer.weights, values[first:last] << (config.weight_bits - width))
                quantized[index] = IntegerSum(layer.children, weights)
                first = last
    return tuple(quantized)


def _merge_inputs(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Give every variable one input layer, the concatenation of all it had."""
    groups: dict[int, list[int]] = {}
    for index, layer in enumerate(layers):
        if isinstance(layer, InputLayer):
            groups.setdefault(layer.variable, []).append(index)
    if all(len(group) == 1 for group in groups.values()):
        return layers
    target: dict[int, tuple[int, int]] = {}  # old index: (new index, offset of its units)
    merged: list[Layer] = []
    for variable, group in groups.items():
        offset = 0
        for index in group:
            target[index] = (len(merged), offset)
            offset += layers[index].shape.units
        tables = [layer.table for index in group if isinstance(layer := layers[index], InputLayer)]
        merged.append(InputLayer(variable, np.concatenate(tables)))
    for index, layer in enumerate(layers):
        if isinstance(layer, InputLayer):
            continue
        target[index] = (len(merged), 0)
        if isinstance(layer, ProductLayer):
            offsets = np.array([target[child][1] for child in layer.children], dtype=np.int64)
            merged.append(ProductLayer(tuple(target[child][0] for child in layer.children), layer.gather + offsets))
        else:
            merged.append(_remap_sum(layer, layers, target, merged))
    return tuple(merged)


def _remap_sum(
    layer: SumLayer, layers: tuple[Layer, ...], target: dict[int, tuple[int, int]], merged: list[Layer]
) -> SumLayer:
    """Point a sum layer's columns at the merged children."""
    children = tuple(dict.fromkeys(target[child][0] for child in layer.children))
    starts: dict[int, int] = {}
    total = 0
    for child in children:
        starts[child] = total
        total += merged[child].shape.units
    new = [
        starts[target[child][0]] + target[child][1] + np.arange(layers[child].shape.units) for child in layer.children
    ]
    columns: IntArray = np.concatenate(new)
    rows = layer.weights
    if not isinstance(rows, SparseRows):
        dense = np.zeros((len(rows), total))
        dense[:, columns] = rows
        return SumLayer(children, dense)
    indices = columns[rows.indices]
    order = np.lexsort((indices, rows.row_of_entry))
    return SumLayer(children, SparseRows(rows.indptr, indices[order], rows.values[order], total))


def _order_children(layers: tuple[Kind, ...], shapes: Sequence[Shape], order: tuple[int, ...]) -> tuple[Kind, ...]:
    """List every product's children in coding order; `shapes` are those of the layers."""
    firsts = first_places(shapes, order)
    starts, children = child_lists(shapes)
    user = np.repeat(np.arange(len(layers)), np.diff(starts))
    child_first = np.array(firsts, dtype=np.int64)[children]
    ordered = list(layers)
    for index in np.unique(user[1:][(child_first[1:] < child_first[:-1]) & (user[1:] == user[:-1])]).tolist():
        layer = layers[index]
        if isinstance(layer, ProductLayer):
            columns = sorted(range(len(layer.children)), key=[firsts[child] for child in layer.children].__getitem__)
            ordered[index] = ProductLayer(tuple(layer.children[c] for c in columns), layer.gather[:, columns])
    return tuple(ordered)
