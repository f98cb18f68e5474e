"""The arithmetic of the predictor stage in numpy, the reference for every engine (docs/predictor.md).

The numbers of S lanes lie in buffers of shape (S, places) with zeros around them, so that every neighbour of a number
is a fixed distance before it, and the same functions serve one number of each lane and all numbers at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import FloatArray, IntArray, unmasked
from pcedge.data.features import Features
from pcedge.data.predictor import COEFFICIENT_BITS, MAX_COEFFICIENT, NARROW_BITS, SATURATION, Group, Offset, Predictor
from pcedge.errors import DataError

#: what predictions see of a number at most, unless their group is wide
NARROW = (1 << NARROW_BITS) - 1

#: numbers whose features are held at a time
BLOCK = 1 << 16

_SIGN = np.uint64(1 << 63)


@dataclass(frozen=True, eq=False)
class Plan:
    """Hold what of a predictor is arrays, and how the numbers of one lane lie in its buffer."""

    predictor: Predictor
    #: rows of a lane
    rows: int

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Give the sizes of the buffer's axes: rows, then those of a row, with the reach of neighbours around."""
        before, behind = self.predictor.reach
        return tuple(
            size + b + a for size, b, a in zip((self.rows, *self.predictor.shape), before, behind, strict=True)
        )

    @property
    def places(self) -> int:
        """Give the places of a lane's buffer."""
        return math.prod(self.sizes)

    @cached_property
    def cells(self) -> IntArray:
        """Give the place of every number, (rows, columns)."""
        before, _ = self.predictor.reach
        axes = [
            (np.arange(size) + start) * math.prod(self.sizes[axis + 1 :])
            for axis, (size, start) in enumerate(zip((self.rows, *self.predictor.shape), before, strict=True))
        ]
        grid = axes[0]
        for axis in axes[1:]:
            grid = grid[..., None] + axis
        return grid.reshape(self.rows, -1)

    def distances(self, offsets: Sequence[Offset]) -> IntArray:
        """Give how far before a number its neighbours lie in the buffer."""
        steps = [math.prod(self.sizes[axis + 1 :]) for axis in range(len(self.sizes))]
        return np.array([sum(s * o for s, o in zip(steps, offset, strict=True)) for offset in offsets], dtype=np.int64)

    @cached_property
    def used(self) -> list[tuple[IntArray, IntArray]]:
        """Give the distances of what every group's prediction looks at, with the coefficients."""
        distances = self.distances(self.predictor.neighbours)
        coefficients = np.array([group.coefficients for group in self.predictor.groups], dtype=np.int64)
        return [(distances[row != 0], row[row != 0]) for row in coefficients]

    @cached_property
    def mixed(self) -> bool:
        """Tell whether neighbours may be numbers of more than 32 bits."""
        return any(group.wide for group in self.predictor.groups)

    @cached_property
    def group_of(self) -> IntArray:
        """Give the group of every column."""
        return np.array(self.predictor.group_of, dtype=np.int64)

    @cached_property
    def origins(self) -> NDArray[np.uint64]:
        """Give the origin of every column, modulo 2^64."""
        return np.array([group.origin % 2**64 for group in self.predictor.groups], dtype=np.uint64)[self.group_of]

    @cached_property
    def features(self) -> Features:
        """Give the features as matrices over the neighbours that any of them sees."""
        return Features.of(self)

    @cached_property
    def tree(self) -> tuple[IntArray, IntArray, IntArray]:
        """Give the nodes' features, their thresholds, and their children, (2, nodes)."""
        nodes = self.predictor.tree
        return (
            np.array([node.feature for node in nodes], dtype=np.int64),
            np.array([node.threshold for node in nodes], dtype=np.int64),
            np.array([[node.below for node in nodes], [node.above for node in nodes]], dtype=np.int64),
        )

    @cached_property
    def listed(self) -> IntArray:
        """Give the residuals that have tokens of their own."""
        return np.array(self.predictor.listed, dtype=np.int64)

    def find_listed(self, residuals: IntArray) -> tuple[NDArray[np.bool_], IntArray]:
        """Tell which residuals are listed, and where; there must be some in the list."""
        place = np.minimum(np.searchsorted(self.listed, residuals), len(self.listed) - 1)
        return np.asarray(self.listed[place] == residuals), place

    @cached_property
    def classes(self) -> tuple[IntArray, IntArray]:
        """Give the bias and the shift of every class."""
        biases, shifts = np.array(self.predictor.classes, dtype=np.int64).T
        return biases, shifts


class Lanes:
    """Hold what is known of S lanes: numbers, first residuals, residuals, and adaptive weights.

    Args:
        plan: the predictor, and the rows of a lane.
        count: S.
    """

    def __init__(self, plan: Plan, count: int) -> None:
        """Begin with nothing known: everything around counts as the origin, with no residual."""
        self.plan = plan
        self.active = count
        self.values = np.zeros((count, plan.places), dtype=np.int64)
        self.first = np.zeros_like(self.values) if plan.predictor.adaptation else self.values[:, :0]
        self.residuals = np.zeros_like(self.values)
        adaptation = plan.predictor.adaptation
        if adaptation:
            self._distances = plan.distances(adaptation.neighbours)
            shape = (count, len(plan.predictor.groups), len(self._distances))
            self._weights = np.zeros(shape, dtype=np.int64)
            self._gain = adaptation.gain

    def narrow(self, active: int) -> None:
        """Go on with the first lanes: the others have ended."""
        self.active = active

    def predict(self, group: int, places: IntArray) -> IntArray:
        """Predict numbers of one group from their neighbours, (S, places): a number less its origin."""
        plan, one = self.plan, self.plan.predictor.groups[group]
        distances, coefficients = plan.used[group]
        around = self._around(self.values, places, distances)
        if one.wide:
            return around @ coefficients
        if plan.mixed:
            around = np.clip(around, -NARROW, NARROW)
        total = around @ coefficients + (one.constant + (1 << (COEFFICIENT_BITS - 1)))
        return _within(one, total >> COEFFICIENT_BITS)

    def adapt(self, group: int, place: int, prediction: IntArray) -> tuple[IntArray, IntArray]:
        """Correct the first prediction of one number of each lane; give the correction's inputs too."""
        history = saturated(self.first.take(place - self._distances, axis=1)[: self.active])
        total = (self._weights[: len(history), group] * history).sum(axis=1) + (1 << (COEFFICIENT_BITS - 1))
        return _within(self.plan.predictor.groups[group], prediction + (total >> COEFFICIENT_BITS)), history

    def learn(self, group: int, history: IntArray, residual: IntArray) -> None:
        """Move the weights towards a smaller residual: by the sign of it, and by each input's share."""
        scale = bit_length(np.abs(history).sum(axis=1))[:, None]
        moves = (np.abs(history) << self._gain) >> scale
        weights = self._weights[: len(history), group]
        weights += np.sign(residual)[:, None] * np.sign(history) * moves
        np.minimum(weights, MAX_COEFFICIENT - 1, out=weights)
        np.maximum(weights, 1 - MAX_COEFFICIENT, out=weights)

    def classify(self, columns: IntArray, places: IntArray, predictions: IntArray) -> IntArray:
        """Choose the class of numbers by the tree, (S, places); `predictions` are what `predict` and `adapt` give."""
        features, thresholds, children = self.plan.tree
        if not len(features):
            return np.zeros_like(predictions)
        flat = self.describe(columns, places, predictions).reshape(-1, len(self.plan.predictor.features))
        node = np.zeros(len(flat), dtype=np.int64)
        active = np.arange(len(flat))
        while active.size:
            at = node[active]
            following = children[(flat[active, features[at]] > thresholds[at]).view(np.int8), at]
            node[active] = following
            active = active[following >= 0]
        return (-1 - node).reshape(predictions.shape)

    def describe(self, columns: IntArray, places: IntArray, predictions: IntArray) -> FloatArray:
        """Compute the features of numbers, whole floats of shape (S, places, features)."""
        seen = self.plan.features
        out: FloatArray = saturated(predictions)[..., None] * seen.of_prediction
        out += columns[:, None] * seen.of_column
        if len(seen.values):
            values = saturated(self._around(self.values, places, seen.values)).astype(np.float64)
            out += values @ seen.of_values
            if len(seen.of_differences):
                out += np.abs(values @ seen.differences) @ seen.of_differences
        if len(seen.residuals):
            residuals = saturated(self._around(self.residuals, places, seen.residuals)).astype(np.float64)
            out += residuals @ seen.of_residuals
            out += np.abs(residuals) @ seen.of_sizes
        return out

    def _around(self, numbers: IntArray, places: IntArray, distances: IntArray) -> IntArray:
        """Give the neighbours of places, (S, places, distances)."""
        rows = numbers if self.active == len(numbers) else numbers[: self.active]
        return rows.take(places[:, None] - distances, axis=1)


def saturated(numbers: IntArray) -> IntArray:
    """Keep numbers within 32 bits, as features and the adaptation see them."""
    return np.minimum(np.maximum(numbers, -SATURATION), SATURATION)


def bit_length(numbers: IntArray) -> IntArray:
    """Give the bits of numbers of at least 0 and below 2^53."""
    return np.frexp(numbers.astype(np.float64))[1].astype(np.int64)


def _within(group: Group, prediction: IntArray) -> IntArray:
    return np.minimum(np.maximum(prediction, group.low - group.origin), group.high - group.origin)


def centred(predictor: Predictor, cells: NDArray[Any]) -> IntArray:
    """Take every column's origin off, modulo 2^64; (rows, columns), masked where `cells` are."""
    plan = Plan(predictor, len(cells))
    flat, gone = unmasked(cells.reshape(len(cells), predictor.columns))
    wrapped = (flat.astype(np.uint64) - plan.origins).view(np.int64)
    return wrapped if gone is None else np.ma.MaskedArray(wrapped, gone)


def restored(predictor: Predictor, numbers: IntArray) -> NDArray[Any]:
    """Give centred numbers back as data; those that are masked as what marks missing ones.

    Raises:
        DataError: a number is out of the range of its column.
    """
    plan = Plan(predictor, len(numbers))
    flat, gone = unmasked(numbers)
    cells = (flat.view(np.uint64) + plan.origins).astype(predictor.dtype)
    if not np.array_equal(centred(predictor, cells), flat):
        raise DataError("numbers must be in the range of their columns, some are not")
    rows = cells.reshape(len(numbers), *predictor.shape)
    return predictor.data(rows if gone is None else np.ma.MaskedArray(rows, gone.reshape(rows.shape)))


def forward(predictor: Predictor, numbers: IntArray, skipped: int = 0) -> tuple[IntArray, IntArray]:
    """Compute classes and residuals of whole lanes.

    Args:
        predictor: the stage.
        numbers: centred numbers of S lanes, (S, rows, columns); masked where they are missing.
        skipped: how many numbers of the first row lie outside of the rows, and have no class.

    Returns:
        Classes and residuals, int64 of the same shape; residuals are masked where numbers are.
    """
    lanes, predictions = observe(predictor, numbers, skipped)
    plan = lanes.plan
    classes = np.empty(numbers.shape, dtype=np.int64)  # not masked: a missing number has one too
    for rows in _blocks(plan, len(numbers)):
        places = plan.cells[rows].ravel()
        columns = np.tile(np.arange(predictor.columns), len(plan.cells[rows]))
        chosen = lanes.classify(columns, places, predictions[:, rows].reshape(len(numbers), -1))
        classes[:, rows] = chosen.reshape(classes[:, rows].shape)
    residuals = lanes.residuals[:, plan.cells]
    gone = unmasked(numbers)[1]
    return classes, residuals if gone is None else np.ma.MaskedArray(residuals, gone)


def observe(predictor: Predictor, numbers: IntArray, skipped: int = 0) -> tuple[Lanes, IntArray]:
    """Give lanes in which all numbers are known, and the predictions of all, (S, rows, columns).

    What is missing is what was predicted. The first `skipped` numbers count as lying outside: they are 0, as predicted.
    """
    plan = Plan(predictor, numbers.shape[1])
    lanes = Lanes(plan, len(numbers))
    numbers, gone = unmasked(numbers)
    if skipped:
        numbers = numbers.copy()
        numbers[:, 0, :skipped] = 0
    lanes.values[:, plan.cells] = numbers
    if gone is not None and gone.any():
        return lanes, _observe_gaps(lanes, numbers.copy(), gone, skipped)
    predictions = np.empty_like(numbers)
    for group in range(len(predictor.groups)):
        columns = np.flatnonzero(plan.group_of == group)
        for rows in _blocks(plan, len(numbers)):
            cells = plan.cells[rows][:, columns]
            block = lanes.predict(group, cells.ravel()).reshape(len(numbers), *cells.shape)
            predictions[:, rows, columns] = block
    predictions[:, :1, :skipped] = 0
    if predictor.adaptation:
        lanes.first[:, plan.cells] = numbers - predictions
        for row, places in enumerate(plan.cells):
            for column, place in enumerate(places):
                group = int(plan.group_of[column])
                if predictor.groups[group].wide or row * predictor.columns + column < skipped:
                    continue
                better, history = lanes.adapt(group, int(place), predictions[:, row, column])
                lanes.learn(group, history, numbers[:, row, column] - better)
                predictions[:, row, column] = better
    lanes.residuals[:, plan.cells] = numbers - predictions
    return lanes, predictions


def _observe_gaps(lanes: Lanes, numbers: IntArray, gone: NDArray[np.bool_], skipped: int) -> IntArray:
    """Predict one number of every lane after the other: what is missing is known when it has been predicted."""
    plan, predictor = lanes.plan, lanes.plan.predictor
    predictions = np.zeros_like(numbers)
    for row, places in enumerate(plan.cells):
        for column, place in enumerate(places):
            if row * predictor.columns + column < skipped:
                continue
            group = int(plan.group_of[column])
            first = best = lanes.predict(group, places[column : column + 1])[:, 0]
            adapts = predictor.adaptation is not None and not predictor.groups[group].wide
            if adapts:
                best, history = lanes.adapt(group, int(place), first)
            number = np.where(gone[:, row, column], best, numbers[:, row, column])
            if adapts:
                lanes.learn(group, history, number - best)
            if predictor.adaptation is not None:
                lanes.first[:, place] = number - first
            lanes.values[:, place] = number
            lanes.residuals[:, place] = number - best
            predictions[:, row, column] = best
    return predictions


def _blocks(plan: Plan, lanes: int) -> Iterator[slice]:
    size = max(1, BLOCK // max(1, lanes * plan.predictor.columns))
    for start in range(0, plan.rows, size):
        yield slice(start, min(start + size, plan.rows))
