"""The features of a predictor stage as matrices over the neighbours that any of them sees (docs/predictor.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.data.predictor import Feature, Offset

if TYPE_CHECKING:
    from pcedge.data.prediction import Plan

#: what a feature begins with, and what its parts are, as every compiled stage numbers them
STARTS = {"column": 1, "prediction": 2, "slope": 2}
_PARTS = {"value": 0, "slope": 0, "residual": 1, "activity": 2, "gradient": 3}


@dataclass(frozen=True)
class Part:
    """Hold a part of a feature: what lies at a distance, times a weight, or the difference of two."""

    kind: int
    distance: int
    #: of the number that is taken off; 0 where there is none
    other: int
    weight: int


def sees_residuals(feature: Feature) -> bool:
    """Tell whether a feature's neighbours are residuals; else they are numbers."""
    return feature.kind in ("residual", "activity")


def seen_by(features: Sequence[Feature]) -> tuple[list[Offset], list[Offset]]:
    """Give the neighbours whose numbers, and those whose residuals, any of the features sees; ascending."""
    numbers, residuals = (
        sorted({o for f in features if sees_residuals(f) == side for o in f.neighbours}) for side in (False, True)
    )
    return numbers, residuals


def parts_of(feature: Feature, distance: Callable[[Offset], int]) -> list[Part]:
    """Give what a feature adds up.

    Args:
        feature: the feature.
        distance: of a neighbour, in what holds the numbers or residuals that the feature sees.
    """
    kind, places = _PARTS.get(feature.kind, 0), [distance(offset) for offset in feature.neighbours]
    if feature.kind == "gradient":
        return [Part(kind, one, other, 1) for one, other in zip(places[::2], places[1::2], strict=True)]
    weights = feature.weights or (-1,) * len(places)  # a slope's value is taken off
    return [Part(kind, place, 0, weight) for place, weight in zip(places, weights, strict=True)]


@dataclass(frozen=True, eq=False)
class Features:
    """Hold features as sums: of saturated numbers, residuals, their sizes, differences' sizes, prediction, column.

    Every sum is below 2^53, so products of floats are exact.
    """

    #: distances of the numbers and of the residuals that are seen
    values: IntArray
    residuals: IntArray
    of_values: FloatArray
    of_residuals: FloatArray
    of_sizes: FloatArray
    #: pairs of numbers whose difference is seen, as columns of a matrix over the numbers
    differences: FloatArray
    of_differences: FloatArray
    of_prediction: FloatArray
    of_column: FloatArray

    @staticmethod
    def of(plan: Plan) -> Features:
        """Collect what the features of a plan's predictor see."""
        features = plan.predictor.features
        seen = seen_by(features)
        place = [{offset: index for index, offset in enumerate(side)} for side in seen]
        pairs = [
            pair
            for f in features
            if f.kind == "gradient"
            for pair in zip(f.neighbours[::2], f.neighbours[1::2], strict=True)
        ]
        count = len(features)
        made = Features(
            plan.distances(seen[0]), plan.distances(seen[1]), np.zeros((len(seen[0]), count)),
            np.zeros((len(seen[1]), count)), np.zeros((len(seen[1]), count)), np.zeros((len(seen[0]), len(pairs))),
            np.zeros((len(pairs), count)), np.zeros(count), np.zeros(count),
        )  # fmt: skip
        pair = 0
        for number, feature in enumerate(features):
            made.of_prediction[number] = feature.kind in ("prediction", "slope")
            made.of_column[number] = feature.kind == "column"
            if feature.kind == "slope":
                made.of_values[place[0][feature.neighbours[0]], number] = -1
            if feature.kind == "gradient":
                for first, second in zip(feature.neighbours[::2], feature.neighbours[1::2], strict=True):
                    made.differences[place[0][first], pair] += 1
                    made.differences[place[0][second], pair] -= 1
                    made.of_differences[pair, number] = 1
                    pair += 1
            matrix = {"value": made.of_values, "residual": made.of_residuals, "activity": made.of_sizes}
            for offset, weight in zip(feature.neighbours, feature.weights, strict=False):
                matrix[feature.kind][place[feature.kind != "value"][offset], number] += weight
        return made
