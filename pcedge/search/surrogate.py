"""What an integer circuit will lose once it is refined, by a regression on measured circuits (docs/search.md)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pcedge.arrays import FloatArray
from pcedge.search.features import shares_tables

#: features of the part of the loss that rounded weights and leaf tables leave, and of that by shared tables
ROUNDING = ("weight_bits", "entropy", "coarser")
SHARING = ("tables_a_leaf", "states")

#: weight of the squared coefficients, of features of deviation 1
RIDGE = 1.0

#: bits a variable: a loss below is noise of the records that it was measured on, and counts as this
NOISE = 5e-4

#: a Kendall tau from which on a prediction orders circuits well enough to choose by
TRUSTED = 0.8

#: the fitted surrogate that comes with the package
SHIPPED = "surrogate.json"


@dataclass(frozen=True)
class Part:
    """Hold a ridge regression of the base-2 logarithm of a loss."""

    names: tuple[str, ...]
    #: of each feature
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float

    @staticmethod
    def of(names: Sequence[str], rows: Sequence[Mapping[str, float]], losses: ArrayLike) -> Part:
        """Fit losses, none of which counts as less than `NOISE`.

        Example:
            >>> part = Part.of(["x"], [{"x": 0.0}, {"x": 1.0}] * 1000, [0.25, 0.5] * 1000)
            >>> round(part.bits({"x": 2.0}), 2)
            1.0
        """
        known = np.array([[row[name] for name in names] for row in rows])
        wanted = np.log2(np.maximum(losses, NOISE))
        means, deviations = known.mean(axis=0), known.std(axis=0)
        deviations[deviations == 0] = 1.0
        scaled, intercept = (known - means) / deviations, float(wanted.mean())
        found = np.linalg.solve(scaled.T @ scaled + RIDGE * np.eye(len(names)), scaled.T @ (wanted - intercept))
        return Part(
            tuple(names), tuple(means.tolist()), tuple(deviations.tolist()), tuple(found.tolist()), intercept
        )  # fmt: skip

    def bits(self, found: Mapping[str, float]) -> float:
        """Give the loss in bits a variable."""
        known = np.array([found[name] for name in self.names])
        scaled = (known - np.array(self.means)) / np.array(self.deviations)
        return float(2.0 ** (scaled @ np.array(self.coefficients) + self.intercept))


@dataclass(frozen=True)
class Surrogate:
    """Hold what predicts the loss of a circuit after its refinement, and how well it does."""

    rounding: Part
    sharing: Part
    #: of families that were left out of the fit: the median absolute error in bits a variable of circuits whose leaves
    #: have tables of their own, that of those whose leaves share tables, and Kendall's tau of all
    error: float
    sharing_error: float
    kendall_tau: float
    families: tuple[str, ...]
    #: of each feature the least and the greatest of the measured circuits
    ranges: Mapping[str, tuple[float, float]]

    @staticmethod
    def of(measured: Sequence[Mapping[str, Any]]) -> Surrogate:
        """Fit measured circuits.

        Args:
            measured: of each circuit its `family`, `features` and `refined`, the bits a variable that it lost.
        """
        rows, losses = [one["features"] for one in measured], [one["refined"] for one in measured]
        families = [one["family"] for one in measured]
        left_out, truth = predict_left_out(rows, losses, families), np.array(losses)
        shared = np.array([shares_tables(row) for row in rows])
        errors = [quality(left_out[some], truth[some])[0] for some in (~shared, shared)]
        return Surrogate(
            *_parts(rows, losses), errors[0], errors[1], quality(left_out, truth)[1], tuple(dict.fromkeys(families)),
            {name: (min(row[name] for row in rows), max(row[name] for row in rows)) for name in rows[0]},
        )  # fmt: skip

    @staticmethod
    def parsed(text: str) -> Surrogate:
        """Read what `as_json` wrote."""
        held = json.loads(text)

        def part(own: dict[str, Any]) -> Part:
            lists: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in own.items()}
            return Part(**lists)

        return Surrogate(
            part(held["rounding"]), part(held["sharing"]), held["error"], held["sharing_error"], held["kendall_tau"],
            tuple(held["families"]), {name: (low, high) for name, (low, high) in held["ranges"].items()},
        )  # fmt: skip

    def as_json(self) -> str:
        """Write it."""
        return json.dumps(asdict(self), indent=1) + "\n"

    def predict(self, found: Mapping[str, float]) -> float:
        """Predict the bits a variable that a circuit of these features loses.

        Args:
            found: from `pcedge.search.features.features`.
        """
        return self.rounding.bits(found) + (self.sharing.bits(found) if shares_tables(found) else 0.0)

    def error_of(self, found: Mapping[str, float]) -> float:
        """Give the median absolute error of circuits like one of these features, bits a variable."""
        return self.sharing_error if shares_tables(found) else self.error

    def outside(self, found: Mapping[str, float]) -> list[str]:
        """Name the features that no measured circuit has so small or so large."""
        return [name for name, (low, high) in self.ranges.items() if not low <= found[name] <= high]


def load_surrogate() -> Surrogate:
    """Read the surrogate that comes with the package, which benchmarks/surrogate.py has fitted.

    Example:
        >>> load_surrogate().error > 0
        True
    """
    return Surrogate.parsed(files("pcedge.search").joinpath(SHIPPED).read_text(encoding="utf-8"))


def _parts(rows: Sequence[Mapping[str, float]], losses: Sequence[float]) -> tuple[Part, Part]:
    """Fit rounding to circuits whose leaves share no tables, and sharing to what it leaves of the others' losses."""
    pairs = list(zip(rows, losses, strict=True))
    alone = [(row, loss) for row, loss in pairs if not shares_tables(row)]
    rounding = Part.of(ROUNDING, [row for row, _ in alone], [loss for _, loss in alone])
    shared = [(row, loss - rounding.bits(row)) for row, loss in pairs if shares_tables(row)]
    return rounding, Part.of(SHARING, [row for row, _ in shared], [loss for _, loss in shared])


def predict_left_out(
    rows: Sequence[Mapping[str, float]], losses: Sequence[float], groups: Sequence[str]
) -> FloatArray:  # fmt: skip
    """Predict every circuit by a fit of the circuits of all other groups, bits a variable."""
    found = np.zeros(len(rows))
    for group in dict.fromkeys(groups):
        kept = [index for index, other in enumerate(groups) if other != group]
        rounding, sharing = _parts([rows[index] for index in kept], [losses[index] for index in kept])
        one = Surrogate(rounding, sharing, math.nan, math.nan, math.nan, (), {})
        for index, other in enumerate(groups):
            if other == group:
                found[index] = one.predict(rows[index])
    return found


def quality(predicted: ArrayLike, losses: ArrayLike) -> tuple[float, float]:
    """Give the median absolute error, and Kendall's tau of losses of at least `NOISE` each."""
    guesses, truth = np.asarray(predicted, dtype=float), np.asarray(losses, dtype=float)
    tau = kendall_tau(np.maximum(guesses, NOISE), np.maximum(truth, NOISE))
    return float(np.median(np.abs(guesses - truth))), tau


def kendall_tau(first: ArrayLike, second: ArrayLike) -> float:
    """Compute Kendall's tau-b, which counts pairs that are equal in one of both orders.

    Example:
        >>> kendall_tau([1, 2, 3, 4], [1, 2, 4, 3]).__round__(4)
        0.6667
    """
    one, other = np.asarray(first), np.asarray(second)
    here, there = np.triu_indices(len(one), 1)
    a, b = np.sign(one[here] - one[there]), np.sign(other[here] - other[there])
    return float((a * b).sum() / math.sqrt(max(1, int(np.count_nonzero(a)) * int(np.count_nonzero(b)))))
