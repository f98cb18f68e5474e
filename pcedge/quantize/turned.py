"""Rounding of rows that are turned rows of one table (docs/quantization.md, section Row tables)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import Layer, SumLayer, parameters_of
from pcedge.circuit.row_table import LEAST_LENGTH, RowTable
from pcedge.circuit.rows import SparseRows
from pcedge.integer.circuit import IntegerLayer, IntegerSum
from pcedge.quantize.config import QuantizationConfig
from pcedge.quantize.rows import round_matrix


def round_turned(
    layers: Sequence[Layer],
    integers: Sequence[IntegerLayer],
    config: QuantizationConfig,
    flows: Sequence[Layer] | None,
) -> tuple[IntegerLayer, ...]:
    """Round rows that are equal but for their turn as one row, in the place of those that were rounded one by one.

    Args:
        layers: the float layers.
        integers: the same layers, rounded.
        config: how they were rounded.
        flows: expected counts, which rows are rounded with; a row of the table has those of all that take it.
    """
    result = list(integers)
    for indices in _dense(layers).values():
        rows = np.concatenate([parameters_of(layers[index]) for index in indices])
        table = RowTable.of(rows)
        counts = None if flows is None else _counts(table, [parameters_of(flows[index]) for index in indices])
        total = 1 << config.weight_bits
        rounded = round_matrix(table.rows, total, config, counts, keep=config.small_weights == "keep")
        whole: IntArray = replace(table, rows=rounded).expanded()
        first = 0
        for index in indices:
            layer = result[index]
            assert isinstance(layer, IntegerSum)
            last = first + layer.shape.units
            result[index] = replace(layer, weights=np.ascontiguousarray(whole[first:last]))
            first = last
    return tuple(result)


def shorter_lengths(integers: Sequence[IntegerLayer], config: QuantizationConfig) -> tuple[int, ...]:
    """Give the lengths whose rows take fewer bits as numbers, turns and a table than each by itself."""
    lengths = []
    for length, indices in _dense(integers).items():
        rows = np.concatenate([layer.weights for index in indices if isinstance(layer := integers[index], IntegerSum)])
        table = RowTable.of(rows)
        named = table.rows.size * config.weight_bits + len(rows) * (table.number_bits + table.turn_bits)
        if named < rows.size * config.weight_bits:
            lengths.append(length)
    return tuple(lengths)


def _dense(layers: Sequence[Layer] | Sequence[IntegerLayer]) -> dict[int, list[int]]:
    """List the dense sums by the length of their rows."""
    groups: dict[int, list[int]] = {}
    for index, layer in enumerate(layers):
        if isinstance(layer, SumLayer | IntegerSum) and not isinstance(layer.weights, SparseRows):
            groups.setdefault(layer.weights.shape[1], []).append(index)
    return {length: groups[length] for length in sorted(groups) if length >= LEAST_LENGTH}


def _counts(table: RowTable, flows: list[FloatArray]) -> FloatArray:
    """Add up the counts of all rows that take a row of the table, turned as it lies there."""
    counts = np.zeros(table.rows.shape)
    places = (np.arange(table.length) + table.turns[:, None]) % table.length
    np.add.at(counts, (table.numbers[:, None], places), np.concatenate(flows))
    return counts
