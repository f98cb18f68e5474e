"""Rounding of the rows of layers, as a configuration says (docs/quantization.md, section Rounding)."""

from __future__ import annotations

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import InputLayer, SumLayer
from pcedge.circuit.rows import SparseRows
from pcedge.integer.circuit import IntegerInput
from pcedge.quantize.config import QuantizationConfig
from pcedge.quantize.rounding import largest_remainder, least_code_length


def round_tables(layer: InputLayer, config: QuantizationConfig) -> IntegerInput:
    """Round leaf tables to cumulative tables of 2^L."""
    counts = round_rows(layer, layer.table, config, config.leaf_bits)
    cumulative = np.concatenate([np.zeros((len(counts), 1), dtype=np.int64), np.cumsum(counts, axis=1)], axis=1)
    return IntegerInput(layer.variable, cumulative)


def round_rows(
    layer: InputLayer | SumLayer,
    values: FloatArray,
    config: QuantizationConfig,
    bits: int,
    counts: FloatArray | None = None,
) -> IntArray:
    """Round the rows of a layer to integers that sum to 2^bits.

    Args:
        layer: the layer; tells whether its rows are dense.
        values: (units, entries), or (entries,) of sparse rows, in the place of the layer's own.
        config: which rounding, and what becomes of small weights.
        bits: W of the layer, or L.
        counts: expected counts of the same shape, see `least_code_length`.
    """
    total = 1 << bits
    rows = layer.weights if isinstance(layer, SumLayer) else None
    if not isinstance(rows, SparseRows):
        keep = isinstance(layer, SumLayer) and config.small_weights == "keep"
        return round_matrix(values, total, config, counts, keep=keep)
    # Rows of one length are rounded together, so that wide sums cost no dense matrix.
    rounded = np.zeros(len(values), dtype=np.int64)
    lengths = np.diff(rows.indptr)
    for length in np.unique(lengths):
        indices = rows.indptr[:-1][lengths == length, None] + np.arange(length)
        used = None if counts is None else counts[indices]
        rounded[indices] = round_matrix(values[indices], total, config, used, keep=config.small_weights != "round")
    return rounded


def round_matrix(
    rows: FloatArray, total: int, config: QuantizationConfig, counts: FloatArray | None, *, keep: bool
) -> IntArray:
    """Round dense rows to integers that sum to `total`; with `keep` no positive entry becomes 0 where there is room."""
    if config.rounding == "largest-remainder":
        return largest_remainder(rows, total, keep=keep)
    return least_code_length(rows, total, counts=counts, keep=keep)
