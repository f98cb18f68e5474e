"""Which neighbours predict a number, and with which coefficients: stepwise least squares over groups of columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.learn.peaks import log_tokens

#: numbers of one group that a fit looks at
SAMPLE = 60_000

#: rounds of reweighting: the first fit is of least squares, the others come near least deviations
ROUNDS = 6


@dataclass(frozen=True, eq=False)
class Samples:
    """Hold what is regressed: for every group the numbers, and the neighbours of a pool."""

    #: (groups, samples): what is predicted
    targets: FloatArray
    #: (groups, samples, pool): the neighbours
    inputs: FloatArray
    #: numbers that each group stands for
    counts: FloatArray
    #: of groups whose coefficients must be whole the numbers and neighbours as integers
    whole: Mapping[int, tuple[IntArray, IntArray]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Fit:
    """Hold the neighbours that were chosen, in the order of their choice, and every group's coefficients."""

    chosen: tuple[int, ...]
    #: (groups, chosen)
    coefficients: FloatArray
    #: (groups,)
    constants: FloatArray


def choose(samples: Samples, most: int, price: float, first: Sequence[int] = ()) -> tuple[int, ...]:
    """Choose neighbours one after the other: each time the one that saves most bits in all groups together.

    The saving of a group is half the logarithm of the ratio of variances, for each number, as for normal residuals;
    numbers weigh by the inverse of what is left of them, so that a few large ones do not decide.

    Args:
        samples: what is regressed.
        most: neighbours at most.
        price: bits that a coefficient costs in every group.
        first: neighbours that are in from the start.
    """
    weights = np.ones_like(samples.targets)
    chosen: tuple[int, ...] = tuple(first)
    for _ in range(2):
        gram = _gram(samples, weights)
        chosen = _stepwise(gram, samples.counts, most, price, tuple(first))
        if not chosen:
            break
        weights = _weights(samples, fit(samples, chosen, rounds=1))
    return chosen


def fit(samples: Samples, chosen: Sequence[int], rounds: int = ROUNDS) -> Fit:
    """Fit every group's coefficients of the chosen neighbours, near the least deviations."""
    columns = list(chosen)
    inputs = np.concatenate([samples.inputs[:, :, columns], np.ones((*samples.targets.shape, 1))], axis=2)
    # Columns may be of scales that are far apart: each counts in its own.
    scales = np.sqrt(np.mean(inputs**2, axis=1, keepdims=True))
    scales[scales == 0] = 1
    inputs = inputs / scales
    weights = np.ones_like(samples.targets)
    solution = np.zeros((len(inputs), inputs.shape[2]))
    for _ in range(max(rounds, 1)):
        weighted = inputs * weights[:, :, None]
        gram = np.einsum("gni,gnj->gij", weighted, inputs, optimize=True)
        scale = np.trace(gram, axis1=1, axis2=2) / gram.shape[1]
        gram += (1e-9 * scale + 1e-9)[:, None, None] * np.eye(gram.shape[1])
        right = np.einsum("gni,gn->gi", weighted, samples.targets, optimize=True)
        solution = np.linalg.solve(gram, right[..., None])[..., 0]
        left = np.abs(samples.targets - np.einsum("gni,gi->gn", inputs, solution, optimize=True))
        weights = 1 / np.maximum(left, 0.25 * np.median(left, axis=1, keepdims=True) + 0.25)
    solution /= scales[:, 0]
    return Fit(tuple(columns), solution[:, :-1], solution[:, -1])


def whole_coefficients(targets: IntArray, inputs: IntArray, pairs: Sequence[tuple[int, int]]) -> IntArray:
    """Choose whole coefficients modulo 2^64: none, one neighbour, or the line through two.

    Args:
        targets: numbers of one group.
        inputs: the neighbours that were chosen, (numbers, neighbours).
        pairs: indices of neighbours of which the second is twice as far as the first.
    """
    count = inputs.shape[1]
    candidates = [np.zeros(count, dtype=np.int64), *np.eye(count, dtype=np.int64)]
    candidates += [2 * candidates[1 + near] - candidates[1 + far] for near, far in pairs]
    costs = []
    for candidate in candidates:
        values, counts = np.unique(targets - inputs @ candidate, return_counts=True)
        tokens, extra = log_tokens(values)
        sizes = np.bincount(tokens, counts)
        # Either by size, or each value by itself: the steps of a clock are few, however large.
        costs.append(min(_entropy(sizes) + float((extra * counts).sum()), 1.1 * _entropy(counts)))
    # The simplest of those that are as good.
    found: IntArray = candidates[int(np.argmax(np.array(costs) <= 1.03 * min(costs)))]
    return found


def _entropy(counts: FloatArray | IntArray) -> float:
    some = counts[counts > 0]
    return float((some * np.log2(some.sum() / some)).sum())


def _weights(samples: Samples, found: Fit) -> FloatArray:
    inputs = samples.inputs[:, :, list(found.chosen)]
    predicted = np.einsum("gni,gi->gn", inputs, found.coefficients, optimize=True) + found.constants[:, None]
    left = np.abs(samples.targets - predicted)
    weights: FloatArray = 1 / np.maximum(left, 0.25 * np.median(left, axis=1, keepdims=True) + 0.5) ** 2
    return weights


def _gram(samples: Samples, weights: FloatArray) -> FloatArray:
    """Give the weighted covariances of every group's pool and, last, its target."""
    total = weights.sum(axis=1)
    table = np.concatenate([samples.inputs, samples.targets[:, :, None]], axis=2)
    means = np.einsum("gn,gni->gi", weights, table, optimize=True) / total[:, None]
    table = table - means[:, None]
    gram: FloatArray = np.einsum("gni,gn,gnj->gij", table, weights, table, optimize=True) / total[:, None, None]
    return gram


def _stepwise(gram: FloatArray, counts: FloatArray, most: int, price: float, first: tuple[int, ...]) -> tuple[int, ...]:
    gram = gram.copy()
    size = gram.shape[1] - 1
    start = np.einsum("gii->gi", gram).copy()
    chosen: list[int] = []
    # Integers have no variance below that of rounding them.
    least = 1 / 12

    def bits(variance: FloatArray) -> FloatArray:
        return 0.5 * np.log2(np.maximum(variance, 0) + least)

    while len(chosen) < most:
        own = np.einsum("gii->gi", gram)[:, :size]
        free = own > 1e-6 * start[:, :size] + 1e-12
        gains = np.where(free, gram[:, :size, size] ** 2 / np.where(free, own, 1), 0)
        target = gram[:, size, size]
        saved = (counts[:, None] * (bits(target)[:, None] - bits(target[:, None] - gains))).sum(axis=0)
        saved[chosen] = -np.inf
        pick = first[len(chosen)] if len(chosen) < len(first) else int(np.argmax(saved))
        if len(chosen) >= len(first) and saved[pick] <= price * len(counts):
            break
        chosen.append(pick)
        # Sweep the pick out: what is left are the covariances given it.
        column = gram[:, :, pick].copy()
        pivot = np.where(free[:, pick], column[:, pick], np.inf)
        gram -= column[:, :, None] * column[:, None, :] / pivot[:, None, None]
    return tuple(chosen)


def quantized(values: FloatArray, bits: int, limit: int) -> IntArray:
    """Round coefficients to multiples of 2^-bits, below `limit` in that unit."""
    return np.clip(np.rint(values * 2.0**bits), 1 - limit, limit - 1).astype(np.int64)
