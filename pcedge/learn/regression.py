"""Which neighbours predict a number, and with which coefficients: stepwise least squares over groups of columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pcedge.arrays import FloatArray, IntArray

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
    return Fit(tuple(columns), solution[:, :-1], solution[:, -1])


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
