"""What keeps possible records possible to the integer likelihood (docs/quantization.md, section Tails)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.arithmetic import ceil_log2
from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import InputLayer, Layer, ProductLayer, SumLayer, parameters_of
from pcedge.circuit.rows import SparseRows, Weights, entries
from pcedge.compress.nesting import LEAST_SYMBOLS
from pcedge.data.value_grid import ValueGrid
from pcedge.integer.circuit import IntegerInput, IntegerLayer, IntegerSum
from pcedge.quantize.config import QuantizationConfig
from pcedge.quantize.rows import round_matrix
from pcedge.tails import TAIL_BITS

BoolArray = NDArray[np.bool_]

#: bits that a symbol may cost, in the mean over a layer's units, so that leaves with zeros keep what is positive
KEEPING_BITS = 2.0**-10

#: stands for a probability that is positive, and that a refinement has rounded to zero
TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Support:
    """Tell of the units of a layer what their integer likelihood can be, (units,) each."""

    #: positive for every record
    sure: BoolArray
    #: positive for every record to which the float unit gives mass
    faithful: BoolArray


@dataclass(frozen=True)
class LostRows:
    """Name a sum layer that may call possible records impossible."""

    layer: int
    #: its rows that may
    rows: int
    #: W that has room for all of their weights
    weight_bits: int


def with_tails(
    layers: Sequence[Layer],
    possible: Sequence[Layer],
    integers: Sequence[IntegerLayer],
    config: QuantizationConfig,
    bits: Sequence[int],
    flows: Sequence[Layer] | None = None,
    grid: ValueGrid | None = None,
) -> tuple[IntegerLayer, ...]:
    """Mark the input layers with tails, and keep those small weights and counts that some record may need.

    Args:
        layers: the float layers that were rounded.
        possible: layers of the same structure that say what is possible: where their parameters are positive.
        integers: the rounded layers.
        config: how they were rounded.
        bits: W of every layer.
        flows: expected counts, which rows were rounded with.
        grid: what symbols stand for; a variable over bins or counts, whose ends take what lies beyond, has tails of its
            own: what is rare of it is there, and how rare is another number for every variable.
    """
    ordered = frozenset() if grid is None else grid.ordered
    result = list(integers)
    tailed: dict[tuple[int, int], list[int]] = {}
    for index, layer in enumerate(integers):
        if isinstance(layer, IntegerInput):
            small = _keep_counts(layers[index], possible[index], layer, config)
            if small is None:
                own = layer.variable if layer.variable in ordered else -1
                tailed.setdefault((layer.shape.cardinality, own), []).append(index)
            else:
                result[index] = small
    for indices in tailed.values():
        tails = _exponents([(_table(possible[index]), result[index]) for index in indices], config.leaf_bits)
        for index in indices:
            layer = result[index]
            assert isinstance(layer, IntegerInput)
            result[index] = replace(layer, tails=tails)
    if all(_sure(layer).all() for layer in result if isinstance(layer, IntegerInput)):
        return tuple(result)
    supports: list[Support] = []
    for index, layer in enumerate(result):
        support = support_of(possible[index], layer, supports)
        if isinstance(layer, IntegerSum) and not isinstance(layer.weights, SparseRows):
            rows = np.flatnonzero(~support.faithful & _lost(possible[index], layer).any(axis=1))
            if len(rows):
                if (_weights(possible[index]) > 0).all():
                    layer = replace(layer, tails=True)
                elif config.small_weights == "auto":
                    counts = None if flows is None else parameters_of(flows[index])[rows]
                    values = _positive(layers[index], possible[index])[rows]
                    weights = np.array(layer.weights)
                    rounded = round_matrix(values, 1 << bits[index], config, counts, keep=True)
                    weights[rows] = rounded << (config.weight_bits - bits[index])
                    layer = replace(layer, weights=weights)
                result[index] = layer
                support = support_of(possible[index], layer, supports)
        supports.append(support)
    return tuple(result)


def lost_rows(possible: Sequence[Layer], integers: Sequence[IntegerLayer]) -> tuple[bool, list[LostRows]]:
    """Tell whether every record to which a float circuit gives mass is possible to the integers with tails.

    Args:
        possible: the float layers, as `aligned_layers` gives them.
        integers: the layers of the integer circuit.

    Returns:
        Whether that is proven, and which sum layers are in the way: those that drop a weight which only some units'
        records need.
    """
    supports: list[Support] = []
    lost = []
    for index, layer in enumerate(integers):
        supports.append(support_of(possible[index], layer, supports))
        if isinstance(layer, IntegerSum):
            unfaithful = np.flatnonzero(~supports[-1].faithful)
            dropped = _any(layer.weights, _lost(possible[index], layer))
            rows = unfaithful[dropped[unfaithful]]
            if len(rows):
                widest = int(_count(layer.weights, _positive(possible[index], possible[index]) > 0)[rows].max())
                lost.append(LostRows(index, len(rows), max(2, ceil_log2(widest))))
    return bool(supports[-1].faithful.all()), lost


def support_of(possible: Layer, layer: IntegerLayer, below: Sequence[Support]) -> Support:
    """Tell what the units of a layer can be, from what the layers before it can be.

    Args:
        possible: the float layer.
        layer: the same layer in integers.
        below: of all layers before it.
    """
    if isinstance(layer, IntegerInput):
        sure = _sure(layer)
        counts = np.diff(layer.cumulative, axis=1)
        return Support(sure, sure | ~((_table(possible) > 0) & (counts == 0)).any(axis=1))
    children = [below[child] for child in layer.children]
    if isinstance(layer, ProductLayer):
        columns = list(zip(children, layer.gather.T, strict=True))
        return Support(
            np.all([child.sure[gather] for child, gather in columns], axis=0),
            np.all([child.faithful[gather] for child, gather in columns], axis=0),
        )
    sure, faithful = (
        np.concatenate([getattr(child, name) for child in children])[_columns(layer.weights)]
        for name in ("sure", "faithful")
    )
    kept = (entries(layer.weights) > 0) | layer.tails
    needed = _positive(possible, possible) > 0
    certain = _any(layer.weights, kept & sure)
    return Support(certain, certain | ~_any(layer.weights, needed & ~(kept & faithful)))


def _exponents(tables: list[tuple[FloatArray, IntegerLayer]], leaf_bits: int) -> IntArray:
    """Find one row of exponents for leaves of one number of symbols: the mean of what was rounded to 0."""
    total, count = np.zeros(tables[0][0].shape[1]), np.zeros(tables[0][0].shape[1])
    for table, layer in tables:
        assert isinstance(layer, IntegerInput)
        lost = (np.diff(layer.cumulative, axis=1) == 0) & (table > 0)
        total += np.log2(table, where=lost, out=np.zeros(table.shape)).sum(axis=0)
        count += lost.sum(axis=0)
    exponents = np.rint(-total / np.maximum(count, 1) - leaf_bits)
    return np.where(count > 0, np.clip(exponents, 0, TAIL_BITS), 0).astype(np.int64)


def _keep_counts(
    layer: Layer, possible: Layer, rounded: IntegerInput, config: QuantizationConfig
) -> IntegerInput | None:
    """Keep the small counts of an input layer that has true zeros, where that costs little; None: it wants tails."""
    positive = _table(possible) > 0
    counts = np.diff(rounded.cumulative, axis=1)
    lost = positive & (counts == 0)
    if not lost.any():
        return rounded
    if positive.all():
        return None
    if config.leaf_masters is None or counts.shape[1] < LEAST_SYMBOLS:
        rows = np.flatnonzero(lost.any(axis=1))
        values = _positive(layer, possible)[rows]
        kept = round_matrix(values, 1 << config.leaf_bits, config, None, keep=True)
        both = (kept > 0) & (counts[rows] > 0)
        longer = np.log2(np.where(both, counts[rows], 1) / np.where(both, kept, 1))
        if not (lost[rows] & (kept == 0)).any() and (values * longer).sum() / len(counts) <= KEEPING_BITS:
            cumulative = rounded.cumulative.copy()
            cumulative[rows, 1:] = np.cumsum(kept, axis=1)
            return replace(rounded, cumulative=cumulative)
    return None


def _sure(layer: IntegerInput) -> BoolArray:
    return np.asarray((np.diff(layer.cumulative, axis=1) > 0).all(axis=1)) | (layer.tails is not None)


def _table(layer: Layer) -> FloatArray:
    assert isinstance(layer, InputLayer)
    return layer.table


def _positive(layer: Layer, possible: Layer) -> FloatArray:
    """Give a layer's parameters, those at least TINY that must be positive."""
    given, needed = (_table(one) if isinstance(one, InputLayer) else _weights(one) for one in (layer, possible))
    return np.where(needed > 0, np.maximum(given, TINY), given)


def _weights(layer: Layer) -> FloatArray:
    assert isinstance(layer, SumLayer)
    return np.asarray(entries(layer.weights), dtype=np.float64)


def _lost(possible: Layer, layer: IntegerSum) -> BoolArray:
    """Tell which positive weights became 0."""
    return np.asarray((_weights(possible) > 0) & (entries(layer.weights) == 0))


def _columns(weights: Weights) -> Any:
    """Index the columns of all entries."""
    return weights.indices if isinstance(weights, SparseRows) else slice(None)


def _any(weights: Weights, flags: BoolArray) -> BoolArray:
    """Tell for every row whether an entry has its flag."""
    if isinstance(weights, SparseRows):
        return np.asarray(np.logical_or.reduceat(flags, weights.indptr[:-1]))
    return np.asarray(flags.any(axis=1))


def _count(weights: Weights, flags: BoolArray) -> IntArray:
    """Count for every row the entries that have their flag."""
    if isinstance(weights, SparseRows):
        return np.asarray(np.add.reduceat(flags.astype(np.int64), weights.indptr[:-1]))
    return np.asarray(flags.sum(axis=1))
