"""Bounds on what rounding a circuit's parameters costs in code length (docs/bounds.md)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcedge.arithmetic import Widths
from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import Circuit, InputLayer, Layer, ProductLayer, SumLayer, parameters_of
from pcedge.circuit.rows import SparseRows, dense, float_entries, matvec
from pcedge.compress.flows import flow_layers
from pcedge.errors import UsageError
from pcedge.integer.circuit import IntegerCircuit, IntegerInput, IntegerSum
from pcedge.quantize.post_training import aligned_layers

#: parts of a coded interval that two roundings can take: docs/bounds.md, section Intervals
ROUNDED = 1.5

#: layers of at most this many units keep a divergence for every pair of units
PAIRS = 64
#: sums of at most this many numbers compare every unit with every unit
PAIR_NUMBERS = 1 << 24
#: sums of at most this many numbers spread every unit over all units, in so many rounds
SPREAD_NUMBERS = 1 << 20
ROUNDS = 2

#: flows of a layer's parameters, as `pcedge.compress.expected_flows` gives them
Flows = Sequence[FloatArray | None]


def counterparts(circuit: Circuit, integers: IntegerCircuit) -> tuple[Layer, ...]:
    """Find the float layer of every integer layer.

    Raises:
        UsageError: the integer circuit was not made of the float circuit.
    """
    same = isinstance(circuit, Circuit) and circuit.cardinalities == integers.cardinalities
    layers = aligned_layers(circuit.layers, integers.order) if same else ()
    if len(layers) != len(integers.layers):
        raise UsageError("the integer circuit must be made of the float circuit, it has other variables or layers")
    for index, (left, right) in enumerate(zip(layers, integers.layers, strict=True)):
        equal = (left.shape.kind, left.shape.units, left.shape.children, left.shape.variable, left.shape.columns) == (
            right.shape.kind, right.shape.units, right.shape.children, right.shape.variable, right.shape.columns,
        )  # fmt: skip
        if equal and isinstance(left, ProductLayer) and isinstance(right, ProductLayer):
            equal = np.array_equal(left.gather, right.gather)
        if not equal:
            raise UsageError(f"the integer circuit must be made of the float circuit, layer {index} differs")
    return layers


def interval_loss(widths: Widths) -> float:
    """Bound by what share R and so an interval is short of exact: the sum and its reciprocal, and R's own rounding."""
    return float(2.0**-14 + 1.001 * 2.0 ** (1 - widths.scale_bits))


def symbol_shares(layer: IntegerInput, widths: Widths) -> FloatArray:
    """Bound from below the share of the code space that a leaf alone gives each symbol, (units, symbols).

    A context gives a symbol at least the mixture of these, where the floor is at least 2; with a floor of 1 nearly.
    """
    scaled = _scale_counts(layer, widths)
    floor = widths.floor
    least = floor - ROUNDED + scaled if floor > ROUNDED else np.maximum(floor, scaled + floor - ROUNDED)
    return np.asarray(least / 2.0**widths.scale_bits)


def floor_bits(integers: IntegerCircuit) -> FloatArray:
    """Give the most bits that each variable's symbol can cost."""
    widths = integers.widths
    return np.full(len(integers.cardinalities), widths.scale_bits - np.log2(widths.floor))


def worst_ratio(circuit: Circuit, integers: IntegerCircuit) -> float:
    """Bound log2 p(x) / q(x) over all records, q with the rounded parameters; infinite where one became zero."""
    values: list[FloatArray] = []
    for layer, rounded in zip(counterparts(circuit, integers), integers.layers, strict=True):
        if isinstance(layer, InputLayer) and isinstance(rounded, IntegerInput):
            counts = np.diff(rounded.cumulative, axis=1) / 2.0**integers.leaf_bits
            values.append(_log_ratio(layer.table, counts).max(axis=1))
        elif isinstance(layer, ProductLayer):
            values.append(_product(layer, values))
        elif isinstance(layer, SumLayer) and isinstance(rounded, IntegerSum):
            rows, columns, theta, weights = _entries(layer, rounded)
            child_bits = np.concatenate([values[child] for child in layer.children])
            best = np.full(layer.shape.units, -np.inf)
            np.maximum.at(best, rows, _log_ratio(theta, weights / 2.0**integers.weight_bits) + child_bits[columns])
            values.append(best)
    return float(values[-1][0])


def greatest_probability(circuit: Circuit) -> float:
    """Bound log2 p(x) over all records from above: the greatest entry of every leaf, mixed and multiplied."""
    values: list[FloatArray] = []
    for layer in circuit.layers:
        if isinstance(layer, InputLayer):
            values.append(np.log2(layer.table.max(axis=1)))
        elif isinstance(layer, ProductLayer):
            values.append(_product(layer, values))
        else:
            child_bits = np.concatenate([values[child] for child in layer.children])
            top = child_bits.max()
            mixed = matvec(layer.weights, np.exp2(child_bits - top))
            with np.errstate(divide="ignore"):
                values.append(np.asarray(np.log2(mixed) + top))
    return float(values[-1][0])


def mean_bits(circuit: Circuit, integers: IntegerCircuit, flows: Flows | None = None) -> float:
    """Bound the mean extra bits a record of rounded parameters, floors and intervals.

    Args:
        circuit: the float circuit.
        integers: the integer circuit that was made of it.
        flows: of `circuit`, summed over some records; None takes the records that the circuit itself draws.

    Returns:
        The bound, for a coder without truncation whose contexts absorb what `symbol_shares` says (docs/bounds.md).

    Raises:
        UsageError: the circuits or the flows do not belong together.
    """
    layers = counterparts(circuit, integers)
    given: tuple[Layer, ...] | None = None
    if flows is not None:
        given = aligned_layers(flow_layers(circuit, flows), integers.order)
    caps = _caps(integers)
    pairs: list[FloatArray] = []
    total = 0.0
    for index, (layer, rounded) in enumerate(zip(layers, integers.layers, strict=True)):
        cap = float(caps[index])
        flow = None if given is None else given[index]
        if isinstance(layer, InputLayer) and isinstance(rounded, IntegerInput):
            shares = symbol_shares(rounded, integers.widths)
            pairs.append(_leaf_pairs(layer.table, shares))
            if isinstance(flow, InputLayer):
                used = flow.table > 0
                total += float((flow.table[used] * _log_ratio(layer.table, shares)[used]).sum())
        elif isinstance(layer, ProductLayer):
            pairs.append(_product_pairs(layer, pairs, cap))
        elif isinstance(layer, SumLayer) and isinstance(rounded, IntegerSum):
            child_pairs = _join_pairs([pairs[child] for child in layer.children], cap)
            pairs.append(_sum_pairs(layer, rounded, child_pairs, integers.weight_bits, cap))
            if isinstance(flow, SumLayer):
                total += _flow_bits(layer, rounded, flow, child_pairs, integers.weight_bits, cap)
    if given is None:
        return float(pairs[-1].flat[0])
    root = given[-1]
    records = float(parameters_of(root).sum()) if not isinstance(root, ProductLayer) else _first_flow(given)
    if not records > 0:
        raise UsageError("the flows must be those of at least one possible record, they are zero")
    if not np.isfinite(total):
        raise UsageError("the flows must pass possible parameters only, they do not")
    return total / records


def _scale_counts(layer: IntegerInput, widths: Widths) -> FloatArray:
    """Give G times the share of each count, less what R is short of: parts of 2^P."""
    counts = np.diff(layer.cumulative, axis=1) / 2.0**widths.leaf_bits
    budget = 2.0**widths.scale_bits - counts.shape[1] * widths.floor
    return np.asarray(counts * budget * (1 - interval_loss(widths)))


def _caps(integers: IntegerCircuit) -> FloatArray:
    """Bound the bits of all symbols of every layer's scope under `symbol_shares`."""
    floor = integers.floor - ROUNDED if integers.floor > ROUNDED else integers.floor
    # Added up one by one, as the symbols are coded.
    caps = np.cumsum(np.full(len(integers.cardinalities), integers.scale_bits - np.log2(floor)))
    sizes: list[int] = []
    for shape in integers.shapes:
        children = shape.children if shape.kind == "product" else shape.children[:1]
        sizes.append(sum([sizes[child] for child in children]) if children else 1)
    return np.asarray(caps[np.array(sizes) - 1])


def _log_ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    """Give log2(top / bottom): -inf where top is zero, else inf where bottom is zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log2(top) - np.log2(bottom)
    return np.where(top > 0, ratio, -np.inf)


def _product(layer: ProductLayer, values: Sequence[FloatArray]) -> FloatArray:
    factors = [values[child][layer.gather[:, column]] for column, child in enumerate(layer.children)]
    return np.asarray(np.sum(factors, axis=0))


def _entries(layer: SumLayer, rounded: IntegerSum) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Give rows, columns, float weights and integer weights of the entries of a sum layer."""
    left, right = layer.weights, rounded.weights
    if isinstance(left, SparseRows) and isinstance(right, SparseRows):
        if np.array_equal(left.indptr, right.indptr) and np.array_equal(left.indices, right.indices):
            return left.row_of_entry, left.indices, float_entries(left), float_entries(right)
    theta, weights = _dense(layer, rounded)
    rows, columns = np.nonzero((theta > 0) | (weights > 0))
    return rows, columns, theta[rows, columns], weights[rows, columns]


def _leaf_pairs(table: FloatArray, shares: FloatArray) -> FloatArray:
    """Give sum_x p_i(x) log2(p_i(x) / s_j(x)) for all pairs, or of many units for i = j alone."""
    entropy = np.where(table > 0, table * np.log2(np.where(table > 0, table, 1.0)), 0.0).sum(axis=1)
    costs = -np.log2(shares)
    if len(table) > PAIRS:
        return np.asarray(entropy + (table * costs).sum(axis=1))
    return np.asarray(entropy[:, None] + table @ costs.T)


def _product_pairs(layer: ProductLayer, pairs: Sequence[FloatArray], cap: float) -> FloatArray:
    """Add up the children's divergences."""
    many = len(layer.gather) > PAIRS
    total = np.zeros(len(layer.gather) if many else (len(layer.gather),) * 2)
    for column, child in enumerate(layer.children):
        gather, child_pairs = layer.gather[:, column], pairs[child]
        if many:
            total += child_pairs[gather] if child_pairs.ndim == 1 else child_pairs[gather, gather]
        elif child_pairs.ndim == 2:
            total += child_pairs[np.ix_(gather, gather)]
        else:
            total += np.where(gather[:, None] == gather, child_pairs[gather][:, None], cap)
    return np.minimum(total, cap)


def _join_pairs(matrices: list[FloatArray], cap: float) -> FloatArray:
    """Put the divergences of several child layers together; between layers only the floor is known."""
    size = sum(len(matrix) for matrix in matrices)
    if size > 4 * PAIRS or any(matrix.ndim == 1 for matrix in matrices):
        return np.concatenate([matrix if matrix.ndim == 1 else matrix.diagonal() for matrix in matrices])
    joined = np.full((size, size), cap)
    start = 0
    for matrix in matrices:
        joined[start : start + len(matrix), start : start + len(matrix)] = matrix
        start += len(matrix)
    return joined


def _dense(layer: SumLayer, rounded: IntegerSum) -> tuple[FloatArray, FloatArray]:
    """Give float and integer weights as whole matrices of float64."""
    theta, weights = (np.asarray(dense(rows), dtype=np.float64) for rows in (layer.weights, rounded.weights))
    return theta, weights


def _sum_pairs(
    layer: SumLayer, rounded: IntegerSum, child_pairs: FloatArray, weight_bits: int, cap: float
) -> FloatArray:
    """Bound the divergence of every float row from every integer row (docs/bounds.md, section Mean)."""
    units, columns = layer.shape.units, layer.shape.columns
    if child_pairs.ndim == 1 or units > PAIRS or units * columns * columns > PAIR_NUMBERS:
        alone = child_pairs if child_pairs.ndim == 1 else child_pairs.diagonal()
        return np.minimum(_rows_alone(layer, rounded, alone, weight_bits, cap), cap)
    theta, weights = _dense(layer, rounded)
    weights = weights / 2.0**weight_bits
    indices = np.arange(columns)
    with np.errstate(divide="ignore"):
        best = (child_pairs[None] - np.log2(weights)[:, None, :]).argmin(axis=2)
    same = np.where(weights > 0, indices, best)
    bits = np.full((units, units), cap)
    for target in (same, best):
        hot = target[:, :, None] == indices  # (integer row, float child, integer child)
        mass = np.matmul(theta[None], hot.astype(np.float64))  # (integer row, float row, integer child)
        carried = np.take_along_axis(np.broadcast_to(child_pairs, (units, columns, columns)), target[:, :, None], 2)[
            :, :, 0
        ]
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(mass > 0, mass * np.log2(mass / weights[:, None, :]), 0.0)
        bits = np.minimum(bits, (terms.sum(axis=2) + carried @ theta.T).T)
    if units * units * columns * columns <= SPREAD_NUMBERS:
        bits = np.minimum(bits, _spread(theta, weights, child_pairs))
    return bits


def _spread(theta: FloatArray, weights: FloatArray, child_pairs: FloatArray) -> FloatArray:
    """Bound the same with every float child spread over all integer children, better from round to round.

    The alternating rounds are those of Hershey and Olsen, "Approximating the Kullback Leibler divergence between
    Gaussian mixture models", ICASSP 2007; every round's result is a bound.
    """
    near = np.exp2(-child_pairs)  # (float child, integer child)
    share = np.broadcast_to(weights[None, :, None, :], (len(theta), len(weights), *child_pairs.shape))
    for _ in range(ROUNDS):
        # Each float child goes to the integer children in proportion to what is kept of it there.
        carried = share * near
        row = carried.sum(axis=3, keepdims=True)
        carried *= theta[:, None, :, None] / np.where(row > 0, row, 1.0)
        # Each integer child's weight is shared among the float children that go to it.
        column = carried.sum(axis=2, keepdims=True)
        share = carried * (weights[None, :, None, :] / np.where(column > 0, column, 1.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log2(theta)[:, None, :] - np.log2((share * near).sum(axis=3))
        terms = np.where(theta[:, None, :] > 0, theta[:, None, :] * ratio, 0.0).sum(axis=2)
    return np.asarray(terms)


def _rows_alone(
    layer: SumLayer, rounded: IntegerSum, child_bits: FloatArray, weight_bits: int, cap: float
) -> FloatArray:
    """Bound every float row's divergence from its own integer row; what was dropped goes the heaviest way."""
    units = layer.shape.units
    rows, columns, theta, weights = _entries(layer, rounded)
    dropped = (theta > 0) & (weights == 0)
    dropped_mass = np.zeros(units)
    np.add.at(dropped_mass, rows[dropped], theta[dropped])
    heaviest = np.zeros(units, dtype=np.int64)
    order = np.argsort(weights, kind="stable")
    heaviest[rows[order]] = order
    mass = np.where(dropped, 0.0, theta)
    np.add.at(mass, heaviest, dropped_mass)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(mass > 0, mass * np.log2(mass / (weights / 2.0**weight_bits)), 0.0)
    terms += np.where(dropped, theta * cap, theta * child_bits[columns])
    totals = np.zeros(units)
    np.add.at(totals, rows, terms)
    return totals


def _flow_bits(
    layer: SumLayer, rounded: IntegerSum, flow: SumLayer, child_pairs: FloatArray, weight_bits: int, cap: float
) -> float:
    """Bound what the rounded weights of a sum layer cost the records of some flows, in all."""
    rows, columns, theta, weights = _entries(layer, rounded)
    flows = flow.weights
    if isinstance(flows, SparseRows) and np.array_equal(flows.indices, columns):
        counts = float_entries(flows)
    else:
        counts = np.asarray(dense(flows)[rows, columns], dtype=np.float64)
    shares = weights / 2.0**weight_bits
    dropped = (counts > 0) & (weights == 0)
    target = np.arange(len(rows))
    carried = np.zeros(len(rows))
    starts = np.searchsorted(rows, np.arange(layer.shape.units + 1))
    for entry in np.flatnonzero(dropped):
        others = np.arange(starts[rows[entry]], starts[rows[entry] + 1])
        others = others[weights[others] > 0]
        costs = child_pairs[columns[entry], columns[others]] if child_pairs.ndim == 2 else np.full(len(others), cap)
        best = int(np.argmin(costs - np.log2(shares[others])))
        # What the float child costs by itself is counted below it.
        child_cost = (
            child_pairs[columns[entry], columns[entry]] if child_pairs.ndim == 2 else child_pairs[columns[entry]]
        )
        target[entry], carried[entry] = others[best], max(costs[best] - child_cost, 0.0)
    mass = np.zeros(len(rows))
    np.add.at(mass, target, counts)
    used = counts > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = counts * (np.log2(theta / shares[target]) + np.log2(mass[target] / counts) + carried)
    return float(terms[used].sum())


def _first_flow(layers: tuple[Layer, ...]) -> float:
    """Count the records from a variable's input layer: each passes one of its units."""
    return float(next(layer.table.sum() for layer in layers if isinstance(layer, InputLayer)))
