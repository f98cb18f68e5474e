"""The M-step of leaves: categorical, discretized logistic and truncated geometric."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from pcedge.arrays import FloatArray
from pcedge.circuit.layers import Circuit, InputLayer, Layer
from pcedge.circuit.parametric import EVEN_SHARE, KINDS, SCALES, Parametric
from pcedge.errors import UsageError

#: kinds of leaves that a circuit can be given
LEAVES = ("categorical", *KINDS)

#: the smallest scale of a fitted logistic leaf: nearly all of its mass is on one symbol
MIN_SCALE = 1 / 32

#: Fisher steps of a fit, and rounds that divide off the even share; fewer where every M-step refits
STEPS, FEW_STEPS = 40, 4
ROUNDS, FEW_ROUNDS = 8, 2


def refit_layer(layer: InputLayer, counts: ArrayLike, pseudocounts: ArrayLike = 0.0) -> InputLayer:
    """Give a layer the parameters for expected counts, keeping its kind; a unit without counts keeps its own.

    Categorical and Bernoulli leaves get the most likely ones. Logistic leaves take a few steps from the parameters
    they have, so an M-step is a generalised one: the likelihood of the counts does not decrease.

    Args:
        layer: the layer as it is.
        counts: expected counts, (units, symbols).
        pseudocounts: what is added to them, (symbols,) or (units, symbols) or one number.

    Raises:
        UsageError: the counts do not fit the layer, or are negative or not finite.
    """
    total = _check_counts(counts, layer.table.shape) + np.asarray(pseudocounts, dtype=np.float64)
    total = _check_counts(total, layer.table.shape)
    if layer.parametric is not None:
        old = layer.parametric
        if old.kind == "logistic":
            mean, scale = old.parameters.T
            fitted = np.stack(fit_logistic(total, (mean, scale), FEW_STEPS), axis=1)
        else:
            fitted = fit_geometric(total, old.parameters[:, 0], FEW_ROUNDS)[:, None]
        return InputLayer.of(layer.variable, Parametric(old.kind, fitted, old.cardinality))
    sums = total.sum(axis=1, keepdims=True)
    table = np.where(sums > 0, total / np.where(sums > 0, sums, 1.0), layer.table)
    return InputLayer(layer.variable, table[:, 1].copy() if layer.kind == "bernoulli" else table)


def with_leaves(circuit: Circuit, kind: str) -> Circuit:
    """Give a circuit leaves of another kind that are as near to its tables as can be.

    Leaves of at most two symbols stay as they are: their tables are no larger than parameters.

    Args:
        circuit: any circuit.
        kind: `categorical`, `logistic` or `geometric`.

    Raises:
        UsageError: there is no such kind.

    Example:
        >>> circuit = Circuit((InputLayer(0, np.array([[0.6, 0.3, 0.1]])),))
        >>> with_leaves(circuit, "geometric").layers[0].kind
        'geometric'
    """
    if kind not in LEAVES:
        raise UsageError(f"leaves must be one of {', '.join(LEAVES)}, got {kind!r}")
    layers: list[Layer] = []
    for layer in circuit.layers:
        if not isinstance(layer, InputLayer) or layer.table.shape[1] <= 2:
            layers.append(layer)
        elif kind == "categorical":
            layers.append(InputLayer(layer.variable, layer.table))
        elif kind == "logistic":
            mean, scale = fit_logistic(layer.table)
            layers.append(InputLayer.logistic(layer.variable, mean, scale, layer.table.shape[1]))
        else:
            layers.append(InputLayer.geometric(layer.variable, fit_geometric(layer.table), layer.table.shape[1]))
    return replace(circuit, layers=tuple(layers))


def fit_logistic(
    counts: ArrayLike, start: tuple[FloatArray, FloatArray] | None = None, steps: int = STEPS
) -> tuple[FloatArray, FloatArray]:
    """Fit discretized logistic distributions by damped Fisher scoring.

    The likelihood of the counts never falls below that of the start: a step that would lower it is not taken.

    Args:
        counts: (units, symbols), not negative.
        start: mean and scale of every unit, (units,); None starts at the moments. A unit without counts keeps its
            start (at first an even spread).
        steps: steps at most.

    Returns:
        Mean and scale, (units,) each. A fitted scale is at least `MIN_SCALE`.

    Raises:
        UsageError: the counts have no two dimensions, or are negative or not finite.
    """
    checked = _check_counts(counts)
    units, symbols = checked.shape
    totals = checked.sum(axis=1)
    if start is None:
        share = np.divide(checked, totals[:, None], out=np.full_like(checked, 1 / symbols), where=totals[:, None] > 0)
        mean = share @ np.arange(symbols)
        deviation = np.sqrt((share * (np.arange(symbols) - mean[:, None]) ** 2).sum(axis=1))
        scale = np.maximum(deviation * np.sqrt(3) / np.pi, MIN_SCALE)
    else:
        mean, scale = (np.array(values, dtype=np.float64) for values in start)
    if symbols == 1:
        return mean, scale
    point = np.stack([mean, np.log(scale)], axis=1)
    low = np.minimum(point, [-symbols, np.log(MIN_SCALE)])
    high = np.maximum(point, [2.0 * symbols, np.log(4.0 * symbols)])
    # A start narrower than the smallest scale may stay, or widen; it must not get narrower still.
    low[:, 1] = np.minimum(point[:, 1], np.log(MIN_SCALE))
    damping = np.full(units, 1e-3)
    active = totals > 0
    value, gradient, fisher = _logistic_terms(checked, point)
    for _ in range(steps):
        diagonal = np.einsum("uii->ui", fisher)
        system = fisher + np.einsum("ui,ij->uij", damping[:, None] * diagonal + 1e-12 * totals[:, None], np.eye(2))
        system[~active] = np.eye(2)
        step = np.linalg.solve(system, gradient[:, :, None])[:, :, 0]
        step = np.clip(step, [-symbols, -2.0], [symbols, 2.0])
        fresh = np.clip(np.where(active[:, None], point + step, point), low, high)
        moved = _logistic_terms(checked, fresh)
        better = active & (moved[0] > value)
        # Less damping where the step was good, much more where it was not.
        damping = np.clip(np.where(better, damping / 5, damping * 8), 1e-6, 1e9)
        done = better & (moved[0] - value < 1e-12 * totals)
        point[better], value = fresh[better], np.where(better, moved[0], value)
        gradient[better], fisher[better] = moved[1][better], moved[2][better]
        active &= ~done & (damping < 1e9)
        if not active.any():
            break
    scale = np.where(point[:, 1] == np.log(scale), scale, _scale(point))
    return point[:, 0], scale


def _logistic_terms(counts: FloatArray, point: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Give log-likelihood (units,), its gradient (units, 2) by mean and log scale, and the Fisher information."""
    scale = _scale(point)
    table = Parametric("logistic", np.stack([point[:, 0], scale], axis=1), counts.shape[1]).table
    borders = (np.arange(1, counts.shape[1]) - 0.5 - point[:, :1]) / scale[:, None]
    small = np.exp(-np.abs(borders))
    density = np.pad(small / (1 + small) ** 2, ((0, 0), (1, 1)))
    scaled = np.pad(borders, ((0, 0), (1, 1))) * density
    by_mean = -(1 - EVEN_SHARE) * np.diff(density, axis=1) / scale[:, None]
    by_scale = -(1 - EVEN_SHARE) * np.diff(scaled, axis=1)
    slopes = np.stack([by_mean, by_scale], axis=1)
    gradient = np.einsum("us,ups->up", counts / table, slopes)
    fisher = np.einsum("ups,uqs->upq", slopes / table[:, None], slopes) * counts.sum(axis=1)[:, None, None]
    return (counts * np.log(table)).sum(axis=1), gradient, fisher


def _scale(point: FloatArray) -> FloatArray:
    """Give the scales; rounding takes none out of its range."""
    return np.clip(np.exp(point[:, 1]), *SCALES)


def fit_geometric(counts: ArrayLike, start: FloatArray | None = None, rounds: int = ROUNDS) -> FloatArray:
    """Fit truncated geometric distributions: their mean is the counts' mean, once the even share is divided off.

    The likelihood of the counts never falls below that of the start.

    Args:
        counts: (units, symbols), not negative.
        start: every unit's ratio, (units,); None starts at the counts' mean. A unit without counts keeps its start
            (at first 1, an even spread).
        rounds: how often the even share is divided off.

    Returns:
        The ratios, (units,), 0..1. Counts whose mean is in the upper half give 1.

    Raises:
        UsageError: the counts have no two dimensions, or are negative or not finite.
    """
    checked = _check_counts(counts)
    symbols = checked.shape[1]
    known = checked.sum(axis=1) > 0
    best = np.ones(len(checked)) if start is None else np.array(start, dtype=np.float64)
    fitted = np.where(known, _ratio_of_mean(_mean(checked), symbols), best) if start is None else best
    table = Parametric("geometric", fitted[:, None], symbols).table
    best, top = fitted, (checked * np.log(table)).sum(axis=1)
    for _ in range(rounds):
        # The counts that the geometric part explains; the even share explains the others (EM on a mixture of two).
        fitted = np.where(known, _ratio_of_mean(_mean(checked * (1 - EVEN_SHARE / symbols / table)), symbols), fitted)
        table = Parametric("geometric", fitted[:, None], symbols).table
        value = (checked * np.log(table)).sum(axis=1)
        better = known & (value > top)
        best, top = np.where(better, fitted, best), np.where(better, value, top)
    return best


def _mean(counts: FloatArray) -> FloatArray:
    totals = counts.sum(axis=1)
    return np.asarray(counts @ np.arange(counts.shape[1]) / np.where(totals > 0, totals, 1.0))


def _ratio_of_mean(mean: FloatArray, symbols: int) -> FloatArray:
    """Find by bisection the ratio of the truncated geometric distribution with a mean; it falls with -log ratio."""
    low, high = np.full(len(mean), -30.0), np.full(len(mean), 7.0)
    for _ in range(50):
        middle = (low + high) / 2
        slope = np.exp(middle)
        with np.errstate(over="ignore"):
            exact = 1 / np.expm1(slope) - symbols / np.expm1(symbols * slope)
        # Where the two terms nearly cancel, the series: its next term is of third order.
        series = (symbols - 1) / 2 - slope * (symbols**2 - 1) / 12
        reached = np.where(symbols * slope < 1e-3, series, exact)
        low, high = np.where(reached > mean, middle, low), np.where(reached > mean, high, middle)
    ratio = np.exp(-np.exp((low + high) / 2))
    return np.where(mean <= 0, 0.0, np.where(mean >= (symbols - 1) / 2, 1.0, ratio))


def _check_counts(counts: ArrayLike, shape: tuple[int, ...] | None = None) -> FloatArray:
    array = np.asarray(counts, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] < 1 or (shape is not None and array.shape != shape):
        wanted = "(units, symbols)" if shape is None else str(shape)
        raise UsageError(f"counts must have shape {wanted}, got {array.shape}")
    if not np.isfinite(array).all() or (array < 0).any():
        raise UsageError("counts must be finite and not negative")
    return array
