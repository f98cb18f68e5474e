"""Protected classes: records whose loss a compression pass may not trade for that of the others.

A pass looks at expected counts, so a class is protected by weighing its records: `record_weights` makes the weights of
`Evidence`, and every pass that counts flows follows them. Training after the pass counts every record once, so the
circuit stays a density; weighing there too buys the class more bits, for several times as many of the others.

How much a class must weigh is found by `protect`: a weight at which its records lose no more than so many bits each.
The loss need not fall with the weight (a heavy class leaves few states for what it shares with the others), so weights
are doubled from 1 until one holds the limit, and then halved down towards the last that did not.

After Entezari and Saukh, "Class-dependent Compression of Deep Neural Networks" (2019): a step of pruning is kept where
the false negatives of the class that matters stay; those of the others may rise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pcedge.arrays import FloatArray
from pcedge.circuit.layers import Circuit
from pcedge.errors import DataError, UsageError

#: the greatest weight of a record
MOST = 1e6

#: the weights that are tried, in this order, until one holds the limit
WEIGHTS = (1, 2, 4, 8, 16)


@dataclass(frozen=True, eq=False)
class Protected:
    """Hold a circuit whose class loses no more than it may.

    Args:
        circuit: the circuit.
        weight: of the class's records, at which the passes made it.
        loss: mean bits a record that the class loses against the circuit before.
        worst: the 99th percentile of that loss.
        others: mean bits a record that all other records lose; nan where there are none.
    """

    circuit: Circuit
    weight: int
    loss: float
    worst: float
    others: float


def record_weights(labels: ArrayLike, weights: Mapping[int, float]) -> FloatArray:
    """Give the weight of every record by its class; records of other classes weigh 1.

    Args:
        labels: the class of every record, integers of shape (N,).
        weights: the weight of every protected class, positive and finite.

    Returns:
        Weights of shape (N,), for `Evidence`.

    Raises:
        DataError: the labels are no integers of shape (N,), or a protected class has no record.
        UsageError: a weight is out of its range.

    Example:
        >>> record_weights([3, 8, 3], {8: 4.0}).tolist()
        [1.0, 4.0, 1.0]
    """
    checked = np.asarray(labels)
    if checked.ndim != 1 or checked.dtype.kind not in "iu":
        raise DataError(f"labels must be integers of shape (records,), got {checked.dtype} of shape {checked.shape}")
    result = np.ones(len(checked))
    for label, weight in weights.items():
        if not 0 < weight <= MOST:
            raise UsageError(f"the weight of class {label} must be positive and at most {MOST:g}, got {weight:g}")
        result[_members(checked, label)] = weight
    return result


def _members(labels: np.ndarray, label: int) -> np.ndarray:
    members = labels == label
    if not members.any():
        known = ", ".join(str(known) for known in np.unique(labels)[:20])
        raise DataError(f"a protected class must have records, got class {label} for labels {known or 'of no record'}")
    return np.asarray(members)


def protect(
    make: Callable[[int], Circuit],
    score: Callable[[Circuit], FloatArray],
    before: FloatArray,
    labels: ArrayLike,
    label: int,
    most: float,
) -> Protected:
    """Find the least weight of a class at which its records lose no more than a limit.

    Args:
        make: makes the compressed circuit for a weight of the class's train records, 1 to 16.
        score: computes log p in nats of the records that judge, (N,); not those of the test.
        before: the same of the circuit before compression.
        labels: classes of these records, (N,) integers.
        label: the protected class.
        most: mean bits a record that it may lose.

    Raises:
        DataError: the labels do not fit, or the class has no record.
        UsageError: no weight holds the limit; the text says what the best one loses.

    Example:
        >>> from pcedge.circuit import InputLayer
        >>> def make(weight):
        ...     return Circuit((InputLayer(0, np.array([[1.0, weight]]) / (1 + weight)),))
        >>> def score(circuit):
        ...     return np.log(circuit.layers[0].table[0])
        >>> found = protect(make, score, np.zeros(2), [0, 1], 1, 0.2)
        >>> found.weight, round(found.loss, 3), round(found.others, 3)
        (7, 0.193, 3.0)
    """
    classes = np.asarray(labels)
    record_weights(classes, {label: 1.0})
    if classes.shape != np.shape(before):
        raise DataError(f"there must be a label for each of {len(before)} records, got {len(classes)}")
    members = _members(classes, label)
    tried: dict[int, Protected] = {}

    def holds(weight: int) -> bool:
        circuit = make(weight)
        loss = (np.asarray(before) - score(circuit)) / np.log(2)
        others = float(loss[~members].mean()) if not members.all() else float("nan")
        tried[weight] = Protected(
            circuit, weight, float(loss[members].mean()), float(np.percentile(loss[members], 99)), others
        )
        return tried[weight].loss <= most

    high = next((weight for weight in WEIGHTS if holds(weight)), None)
    if high is None:
        best = min(tried.values(), key=lambda found: found.loss)
        raise UsageError(
            f"class {label} must lose at most {most:g} bits a record, the least is {best.loss:.3g} at the weight "
            f"{best.weight}: a larger budget is needed"
        )
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return tried[high]
