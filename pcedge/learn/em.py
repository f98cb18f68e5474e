"""Expectation maximisation: full-batch, or mini-batch with running expected counts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pcedge.circuit.layers import MISSING, Circuit, FloatArray, IntArray
from pcedge.errors import DataError
from pcedge.learn.config import LearnConfig, Progress
from pcedge.learn.model import Model

#: values that the gradients keep at a time, records times units: bounds the memory, at some 50 bytes each
VALUES = 2**23

#: exponent of the running counts' window: above 1/2 they converge, and near 1 they drag counts of old parameters along
GROWTH = 0.6


def fit_parameters(
    circuit: Circuit, train: IntArray, valid: IntArray, config: LearnConfig, progress: Progress | None = None
) -> Circuit:
    """Train a circuit's parameters, starting at those it has.

    Args:
        circuit: any circuit.
        train: records of shape (N, variables), -1 where missing.
        valid: records that tell when to stop.
        config: the settings.
        progress: called after every iteration; the train figure is of the batch, before its M-step.

    Returns:
        The circuit with the parameters of the best validation likelihood (with those of the last iteration, if
        `config.patience` is 0).

    Raises:
        DataError: the likelihood is no number any more.
    """
    model = Model(circuit, leaf_priors(train, circuit.cardinalities, config), config)
    generator = np.random.default_rng([config.seed, 1])
    size = min(config.batch, len(train))
    full = size == len(train)
    per_nat = 1 / (math.log(2) * train.shape[1])
    running: list[Any] | None = None
    best, best_at, kept = -math.inf, 0, model.snapshot()
    order = np.arange(len(train))
    place = len(train)
    for iteration in range(1, config.iterations + 1):
        if not full and place + size > len(train):
            order, place = generator.permutation(len(train)), 0
        batch = train if full else train[order[place : place + size]]
        place += size
        counts, total = _counts(model, batch)
        if not math.isfinite(total):
            raise DataError(f"the train likelihood must stay finite, it is {total} in iteration {iteration}")
        if running is None or full:
            running = counts if full else [_mixed(None, count, 1.0, len(train) / size) for count in counts]
        else:
            # The share of a new batch falls, so the average covers more and more batches.
            rate = (config.window + iteration - 1) ** -GROWTH
            running = [_mixed(old, new, rate, len(train) / size) for old, new in zip(running, counts, strict=True)]
        model.update(running)
        score = _mean_log_likelihood(model, valid)
        if score > best or config.patience == 0:
            best, best_at, kept = score, iteration, model.snapshot()
        if progress is not None:
            progress(iteration, config.iterations, -total / size * per_nat, -score * per_nat)
        if config.patience and iteration - best_at >= config.patience:
            break
    return model.to_circuit(kept)


def leaf_priors(train: IntArray, cardinalities: tuple[int, ...], config: LearnConfig) -> list[FloatArray]:
    """Mix every variable's marginal with the even distribution, `config.uniform_share` of it."""
    priors = []
    for variable, cardinality in enumerate(cardinalities):
        column = train[:, variable]
        counts = np.bincount(column[column != MISSING], minlength=cardinality).astype(np.float64)
        even = np.full(cardinality, 1 / cardinality)
        marginal = counts / counts.sum() if counts.sum() else even
        priors.append((1 - config.uniform_share) * marginal + config.uniform_share * even)
    return priors


def _parts(model: Model, records: IntArray) -> list[IntArray]:
    size = max(1, VALUES // sum(shape.units for shape in model.circuit.shapes))
    return [records[start : start + size] for start in range(0, len(records), size)]


def _counts(model: Model, records: IntArray) -> tuple[list[Any], float]:
    first, *others = _parts(model, records)
    counts, total = model.counts(first)
    for part in others:
        more, further = model.counts(part)
        counts = [old if new is None else old + new for old, new in zip(counts, more, strict=True)]
        total += further
    return counts, total


def _mixed(old: Any, new: Any, rate: float, scale: float) -> Any:
    if new is None:
        return None
    return new * scale if old is None else (1 - rate) * old + rate * scale * new


def _mean_log_likelihood(model: Model, records: IntArray) -> float:
    return sum(float(model.log_likelihood(part).sum()) for part in _parts(model, records)) / len(records)
