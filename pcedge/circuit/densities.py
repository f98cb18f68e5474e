"""Distributions over real and whole numbers, integrated over bins: where the tables of imported leaves come from.

Everything is computed in logarithms, each tail from its own side, so that a bin far from the mean keeps its digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pcedge.arrays import FloatArray
from pcedge.errors import CircuitError

#: the parameters of every family of real numbers; a histogram has its breaks, then its densities
REAL = {
    "gaussian": ("mean", "std"), "laplace": ("mean", "scale"), "logistic": ("mean", "scale"),
    "uniform": ("low", "high"), "exponential": ("low", "scale"), "lognormal": ("mean", "std"),
    "gamma": ("shape", "scale"), "histogram": (),
}  # fmt: skip

#: the parameters of every family of whole numbers: failures before the n-th success for `negative_binomial` and before
#: the first one for `geometric`, trials up to the first one, from 1 on, for `trials`; p is the probability of a success
COUNTS = {
    "poisson": ("mean",), "negative_binomial": ("n", "p"), "geometric": ("p",), "trials": ("p",),
    "binomial": ("n", "p"),
}  # fmt: skip

#: least log mass of a table's entry: what has mass keeps a positive float64
LEAST_LOG = -690.0

_SQRT_HALF = math.sqrt(0.5)
_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)
_erfc = np.frompyfunc(math.erfc, 1, 1)
_lgamma = np.frompyfunc(math.lgamma, 1, 1)


@dataclass(frozen=True)
class Density:
    """Describe a distribution over real numbers (`REAL`) or whole ones (`COUNTS`).

    Raises:
        CircuitError: an unknown family, or parameters out of range.

    Example:
        >>> Density("gaussian", (0.0, 1.0)).masses([-1.0, 0.0, 1.0]).round(4).tolist()
        [0.5, 0.5]
        >>> Density("poisson", (2.0,)).count_masses(0, 3).round(4).tolist()
        [0.1353, 0.2707, 0.594]
    """

    #: a key of `REAL` or `COUNTS`
    family: str
    #: numbers in the order named there
    parameters: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check family and range."""
        names = (REAL | COUNTS).get(self.family)
        if names is None:
            raise CircuitError(f"a density must be one of {', '.join(REAL | COUNTS)}, got {self.family!r}")
        values = tuple(float(value) for value in self.parameters)
        object.__setattr__(self, "parameters", values)
        if not all(map(math.isfinite, values)):
            raise CircuitError(f"the parameters of a {self.family} must be finite, got {list(values)[:8]}")
        if self.family == "histogram":
            breaks, heights = self.breaks, self.heights
            if len(values) < 3 or len(values) % 2 == 0 or not (np.diff(breaks) > 0).all():
                raise CircuitError(f"a histogram must have at least 2 breaks that ascend, got {breaks.tolist()[:8]}")
            if (heights < 0).any() or not (heights > 0).any():
                raise CircuitError("the densities of a histogram must not be negative, and one must be above 0")
            return
        if len(values) != len(names):
            raise CircuitError(f"a {self.family} must have {', '.join(names)}, got {len(values)} numbers")
        for name, value in zip(names, values, strict=True):
            if name in ("std", "scale", "shape", "n") and not value > 0:
                raise CircuitError(f"the {name} of a {self.family} must be above 0, got {value}")
            if name == "p" and not (0 <= value <= 1 and (self.family == "binomial" or value > 0)):
                raise CircuitError(f"the p of a {self.family} must be a probability, got {value}")
        if self.family == "poisson" and values[0] < 0:
            raise CircuitError(f"the mean of a poisson must not be negative, got {values[0]}")
        if self.family == "uniform" and not values[0] < values[1]:
            raise CircuitError(f"the ends of a uniform must ascend, got {values[0]} and {values[1]}")

    @staticmethod
    def histogram(breaks: ArrayLike, densities: ArrayLike) -> Density:
        """Make a histogram: density k lies on breaks[k] <= x < breaks[k + 1]; it is normalised."""
        ends, heights = np.asarray(breaks, dtype=np.float64), np.asarray(densities, dtype=np.float64)
        if len(ends) != len(heights) + 1:
            raise CircuitError(f"{len(ends)} breaks need {len(ends) - 1} densities, got {len(heights)}")
        return Density("histogram", (*ends.tolist(), *heights.tolist()))

    @property
    def counts(self) -> bool:
        """Tell whether it is over whole numbers."""
        return self.family in COUNTS

    @property
    def breaks(self) -> FloatArray:
        """Give a histogram's breaks."""
        return np.array(self.parameters[: len(self.parameters) // 2 + 1])

    @property
    def heights(self) -> FloatArray:
        """Give a histogram's densities, as they were given."""
        return np.array(self.parameters[len(self.parameters) // 2 + 1 :])

    def points(self, count: int) -> FloatArray:
        """Give about so many points over the range that matters, denser where there is more mass; ascending."""
        spread = _spread(self, count)
        return np.unique(spread[np.isfinite(spread)])

    def masses(self, edges: ArrayLike, *, clip: bool = True) -> FloatArray:
        """Integrate over the bins between edges, (bins,); with `clip` the end bins take what lies beyond too.

        What has mass at all gets 2^-995 at least, so that no bin of a density that reaches it is impossible.
        """
        return _from_logs(self.log_masses(edges, clip=clip))

    def log_masses(self, edges: ArrayLike, *, clip: bool = True) -> FloatArray:
        """Give the logarithms of the masses of bins between edges, (bins,)."""
        if self.counts:
            raise CircuitError(f"a {self.family} is over whole numbers and has no bins")
        ends = np.asarray(edges, dtype=np.float64)
        lower, upper = _tails(self, ends)
        if clip:
            lower[0], upper[0], lower[-1], upper[-1] = -np.inf, 0.0, 0.0, -np.inf
        low = _log_difference(lower[1:], lower[:-1])
        high = _log_difference(upper[:-1], upper[1:])
        # On its own side of the middle each keeps its digits.
        return np.where(upper[:-1] < lower[1:], high, low)

    def count_masses(self, low: int, count: int, *, clip: bool = True) -> FloatArray:
        """Give the probabilities of the integers from `low` on, (count,); with `clip` the ends take what is beyond."""
        return _from_logs(_log_counts(self, low, count, clip))


def _from_logs(logs: FloatArray) -> FloatArray:
    return np.where(np.isneginf(logs), 0.0, np.exp(np.maximum(logs, LEAST_LOG)))


def _log_difference(large: FloatArray, small: FloatArray) -> FloatArray:
    """Give log(exp(large) - exp(small)) for small at most large."""
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.where(np.isneginf(small), -np.inf, small - large)
        kept = np.where(gap > -0.6931, np.log(-np.expm1(gap)), np.log1p(-np.exp(gap)))
        return np.asarray(np.where(np.isneginf(large), -np.inf, large + kept))


def _tails(density: Density, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give log P(X < x) and log P(X >= x)."""
    first, *rest = density.parameters
    second = rest[0] if rest else 1.0
    family = density.family
    with np.errstate(divide="ignore", over="ignore", invalid="ignore", under="ignore"):
        if family == "gaussian":
            z = (x - first) / second
            return _log_normal_tail(-z), _log_normal_tail(z)
        if family == "lognormal":
            z = (np.log(np.maximum(x, 0.0)) - first) / second
            return _log_normal_tail(-z), _log_normal_tail(z)
        if family == "laplace":
            z = (x - first) / second
            near, far = np.log1p(-0.5 * np.exp(-np.abs(z))), -np.abs(z) - math.log(2)
            return np.where(z < 0, far, near), np.where(z < 0, near, far)
        if family == "logistic":
            z = (x - first) / second
            return -np.logaddexp(0.0, -z), -np.logaddexp(0.0, z)
        if family == "exponential":
            z = np.maximum((x - first) / second, 0.0)
            return np.log(-np.expm1(-z)), -z
        if family == "gamma":
            return _gamma_tails(x, first, second)
        breaks, heights = (
            (np.array([first, second]), np.ones(1)) if family == "uniform" else (density.breaks, density.heights)
        )
        parts = np.diff(breaks) * heights
        below = np.concatenate([[0.0], np.cumsum(parts)])
        above = np.concatenate([np.cumsum(parts[::-1])[::-1], [0.0]])
        total = below[-1]
        return np.log(np.interp(x, breaks, below) / total), np.log(np.interp(x, breaks, above) / total)


def _log_normal_tail(z: FloatArray) -> FloatArray:
    """Give log P(Z > z) of a standard normal, to the last digits however far z is."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        near = np.log(np.asarray(_erfc(np.clip(z, -40, 36) * _SQRT_HALF)).astype(np.float64) / 2)
        square = 1 / np.square(np.maximum(z, 30.0))
        series = 1 - square * (1 - 3 * square * (1 - 5 * square * (1 - 7 * square)))
        far = -0.5 * np.square(z) - np.log(np.maximum(z, 30.0)) - _LOG_SQRT_2PI + np.log(series)
        return np.asarray(np.where(z > 36, far, near))


def _gamma_tails(x: FloatArray, shape: float, scale: float) -> tuple[FloatArray, FloatArray]:
    from pcedge.extras import needing

    with needing("scipy", "models", "integrating gamma leaves"):
        from scipy.special import gammainc, gammaincc
    z = np.maximum(x, 0.0) / scale
    return np.log(gammainc(shape, z)), np.log(gammaincc(shape, z))


def _spread(density: Density, count: int) -> FloatArray:
    first, *rest = density.parameters
    second = rest[0] if rest else 1.0
    family = density.family
    if family == "gaussian":
        return first + second * np.linspace(-8, 8, count)
    if family == "lognormal":
        return np.exp(np.clip(first + second * np.linspace(-8, 8, count), -700, 700))
    if family in ("laplace", "logistic"):
        return first + second * np.linspace(-25, 25, count)
    if family == "exponential":
        return first + second * np.concatenate([np.linspace(0, 4, count // 2), np.linspace(4, 25, count // 2)])
    if family == "gamma":  # the cube of a gamma variable's root is nearly normal (Wilson and Hilferty, 1931)
        normal = np.linspace(-6, 6, count)
        return first * second * np.maximum(1 - 1 / (9 * first) + normal / (3 * math.sqrt(first)), 0.0) ** 3
    if family == "uniform":
        return np.linspace(first, second, count)
    breaks = density.breaks
    parts = max(1, count // (len(breaks) - 1))
    inner = breaks[:-1, None] + np.diff(breaks)[:, None] * np.arange(parts) / parts
    return np.concatenate([inner.ravel(), breaks[-1:]])


def _log_counts(density: Density, low: int, count: int, clip: bool) -> FloatArray:
    pmf, top = _PMF[density.family](density.parameters)
    last = low + count - 1
    inner = pmf(np.arange(low, low + count, dtype=np.float64))
    if not clip:
        return inner
    if low > 0:
        inner[0] = _log_total(pmf(np.arange(low + 1, dtype=np.float64)))
    head = float(np.exp(_log_total(inner[:-1])))
    if head < 0.5:  # most lies beyond, however far that reaches
        inner[-1] = np.log1p(-head)
    else:
        inner[-1] = _log_total(pmf(np.arange(last, max(last, top) + 1000, dtype=np.float64)))
    return inner


def _log_total(logs: FloatArray) -> float:
    top = logs.max(initial=-np.inf)
    return float(top if np.isneginf(top) else top + np.log(np.exp(logs - top).sum()))


Pmf = Callable[[FloatArray], FloatArray]


def _poisson(parameters: tuple[float, ...]) -> tuple[Pmf, int]:
    (mean,) = parameters
    if mean == 0:
        return lambda k: np.where(k == 0, 0.0, -np.inf), 1
    return (
        lambda k: np.where(k < 0, -np.inf, k * math.log(mean) - mean - _log_factorial(k)),
        int(mean + 40 * math.sqrt(mean) + 100),
    )


def _negative_binomial(parameters: tuple[float, ...]) -> tuple[Pmf, int]:
    n, p = parameters
    if p == 1:
        return lambda k: np.where(k == 0, 0.0, -np.inf), 1

    def pmf(k: FloatArray) -> FloatArray:
        held = np.maximum(k, 0)
        ways = _log_factorial(held + n - 1) - math.lgamma(n) - _log_factorial(held)
        return np.where(k < 0, -np.inf, ways + n * math.log(p) + held * math.log1p(-p))

    return pmf, int(min((n * (1 - p) + 40 * math.sqrt(n * (1 - p))) / p + 700 / p, 1e6))


def _geometric(parameters: tuple[float, ...]) -> tuple[Pmf, int]:
    return _negative_binomial((1.0, *parameters))


def _trials(parameters: tuple[float, ...]) -> tuple[Pmf, int]:
    failures, top = _geometric(parameters)
    return lambda k: failures(k - 1), top + 1


def _binomial(parameters: tuple[float, ...]) -> tuple[Pmf, int]:
    n, p = parameters

    def pmf(k: FloatArray) -> FloatArray:
        held = np.clip(k, 0, n)
        ways = math.lgamma(n + 1) - _log_factorial(held) - _log_factorial(n - held)
        with np.errstate(divide="ignore", invalid="ignore"):
            heads = np.where(held == 0, 0.0, held * np.log(p))
            tails = np.where(held == n, 0.0, (n - held) * np.log1p(-p))
        return np.where((k < 0) | (k > n), -np.inf, ways + heads + tails)

    return pmf, int(min(n, n * p + 40 * math.sqrt(n * p * (1 - p)) + 1000))


def _log_factorial(k: FloatArray) -> FloatArray:
    return np.asarray(_lgamma(np.maximum(k, -0.9999) + 1.0)).astype(np.float64)


_PMF: dict[str, Callable[[tuple[float, ...]], tuple[Pmf, int]]] = {
    "poisson": _poisson, "negative_binomial": _negative_binomial, "geometric": _geometric, "trials": _trials,
    "binomial": _binomial,
}  # fmt: skip
