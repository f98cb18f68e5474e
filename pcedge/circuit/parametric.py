"""Leaves given by one or two numbers a unit: discretized logistic and truncated geometric distributions.

The tables are computed by additions, multiplications, divisions and powers of 2 only, one after the other, so that
every machine gets the same bits from the same parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import FloatArray
from pcedge.errors import CircuitError

#: entries of a table that are computed at a time, whole rows
_BLOCK = 1 << 16

#: the parameters of every kind, in the order of the columns
KINDS = {"logistic": ("mean", "scale"), "geometric": ("ratio",)}

#: least and greatest mean and scale of a logistic leaf: far beyond any alphabet, and what a fit makes of them, such as
#: the square of their quotient, stays far within float64
MEANS, SCALES = (-1e20, 1e20), (1e-20, 1e20)

#: share of every distribution that is spread evenly over the symbols, so that none is impossible
EVEN_SHARE = 2.0**-16

#: log2(e), and ln 2 in two parts, the first with so few bits that its multiples are exact
_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10


@dataclass(frozen=True, eq=False)
class Parametric:
    """Describe the distributions of an input layer's units by parameters.

    With q as below, symbol k of `cardinality` has the probability (1 - 2^-16) q(k) + 2^-16 / cardinality.

    - `logistic`, by mean (-1e20..1e20) and scale (1e-20..1e20): q(k) = F(k + 1/2) - F(k - 1/2) with F(t) =
      1 / (1 + exp((mean - t) / scale)); the first and the last symbol take the tails too, as in PixelCNN++ (Salimans et
      al., 2017).
    - `geometric`, by ratio (0..1): q(k) is proportional to ratio^k.

    Raises:
        CircuitError: an unknown kind, or parameters of a wrong shape or out of range.

    Example:
        >>> Parametric("geometric", np.array([[0.5]]), 3).table.round(3).tolist()
        [[0.571, 0.286, 0.143]]
    """

    #: `logistic` or `geometric`
    kind: str
    #: (units, parameters), columns as in `KINDS`
    parameters: FloatArray
    #: number of symbols
    cardinality: int

    def __post_init__(self) -> None:
        """Check kind, shape and range."""
        if self.kind not in KINDS:
            raise CircuitError(f"a parametric leaf must be one of {', '.join(KINDS)}, got {self.kind!r}")
        names = KINDS[self.kind]
        try:
            parameters = np.asarray(self.parameters, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise CircuitError(f"the parameters of {self.kind} leaves must be numbers ({error})") from error
        if parameters.ndim != 2 or parameters.shape[1] != len(names):
            raise CircuitError(
                f"the parameters of {self.kind} leaves must have shape (units, {len(names)}) "
                f"for {' and '.join(names)}, got {parameters.shape}"
            )
        if type(self.cardinality) is not int or self.cardinality < 1:
            raise CircuitError(f"a leaf must have at least one symbol, got {self.cardinality!r}")
        if not np.isfinite(parameters).all():
            raise CircuitError(f"the parameters of {self.kind} leaves must be finite")
        if self.kind == "logistic":
            if not (parameters[:, 1] > 0).all():
                raise CircuitError(f"the scale of a logistic leaf must be above 0, got {parameters[:, 1].min()}")
            for name, column, (low, high) in zip(names, parameters.T, (MEANS, SCALES), strict=True):
                if (wrong := column[(column < low) | (column > high)]).size:
                    raise CircuitError(f"the {name} of a logistic leaf must be in {low}..{high}, got {wrong[0]}")
        if self.kind == "geometric" and not ((parameters >= 0) & (parameters <= 1)).all():
            wrong = parameters[(parameters < 0) | (parameters > 1)][0]
            raise CircuitError(f"the ratio of a geometric leaf must be in 0..1, got {wrong}")
        object.__setattr__(self, "parameters", parameters)

    @cached_property
    def table(self) -> FloatArray:
        """Compute the distributions, (units, cardinality)."""
        table = np.empty((len(self.parameters), self.cardinality))
        rows = max(1, _BLOCK // self.cardinality)
        for first in range(0, len(table), rows):
            block = self.parameters[first : first + rows]
            if self.kind == "logistic":
                shares = _logistic(block[:, 0], block[:, 1], self.cardinality)
            else:
                shares = _geometric(block[:, 0], self.cardinality)
            table[first : first + rows] = (1 - EVEN_SHARE) * shares + EVEN_SHARE / self.cardinality
        return table

    def take(self, units: NDArray[np.generic]) -> Parametric:
        """Give the description of some units, in the order named."""
        return Parametric(self.kind, self.parameters[units], self.cardinality)


def table_bytes(units: int, cardinality: int) -> int:
    """Give the bytes of a table."""
    return 8 * units * cardinality


def working_bytes(cardinality: int) -> int:
    """Give the bytes that computing a table takes for a moment, at most: a dozen arrays of a block, checks of a row."""
    return 12 * 8 * max(_BLOCK, cardinality)


def _logistic(mean: FloatArray, scale: FloatArray, cardinality: int) -> FloatArray:
    with np.errstate(over="ignore"):
        borders = (np.arange(1, cardinality) - 0.5 - mean[:, None]) / scale[:, None]
    small = _exponential(-np.abs(borders))
    near, far = 1 / (1 + small), small / (1 + small)
    zero, one = np.zeros((len(mean), 1)), np.ones((len(mean), 1))
    lower_tail = np.concatenate([zero, np.where(borders > 0, near, far), one], axis=1)
    upper_tail = np.concatenate([one, np.where(borders > 0, far, near), zero], axis=1)
    # Above the mean the difference of what is left keeps the digits that the difference near 1 would lose.
    right = np.arange(cardinality) > mean[:, None]
    return np.asarray(np.where(right, upper_tail[:, :-1] - upper_tail[:, 1:], lower_tail[:, 1:] - lower_tail[:, :-1]))


def _geometric(ratio: FloatArray, cardinality: int) -> FloatArray:
    steps = np.concatenate([np.ones((len(ratio), 1)), np.tile(ratio[:, None], (1, cardinality - 1))], axis=1)
    powers = np.cumprod(steps, axis=1)
    return np.asarray(powers / np.cumsum(powers, axis=1)[:, -1:])


def _exponential(x: FloatArray) -> FloatArray:
    """Compute exp(x) for x at most 0; numpy's own differs in the last bit between machines."""
    x = np.maximum(x, -745.0)
    twos = np.rint(x * _LOG2_E)
    rest = (x - twos * _LN2_HIGH) - twos * _LN2_LOW
    # Horner's rule for the Taylor series: the 14th term is below the last bit for |rest| up to ln 2 / 2.
    result = np.ones_like(x)
    for term in range(13, 0, -1):
        result = 1 + result * rest / term
    return np.asarray(np.ldexp(result, twos.astype(np.int64)))
