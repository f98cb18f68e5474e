"""The features of a predictor stage as matrices over the neighbours that any of them sees (docs/predictor.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pcedge.arrays import FloatArray, IntArray

if TYPE_CHECKING:
    from pcedge.data.prediction import Plan


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
        of_residuals = [f.kind in ("residual", "activity") for f in features]
        seen = [
            sorted({o for f, r in zip(features, of_residuals, strict=True) if r == side for o in f.neighbours})
            for side in (False, True)
        ]
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
