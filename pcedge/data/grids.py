"""Grids on which floats lie: decimal ones, powers of two, and multiples of a float (docs/data.md).

A float lies on a grid where an integer, its cell, gives back its very bits. Everything here is exact: a grid is found
on some values, and tried on all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Cells = NDArray[np.int64]

#: decimal places at most: 10^22 is the largest power of ten that a double holds exactly
MOST_PLACES = 22

#: cells of a grid lie in -most..most, by the bytes of a float: below, no two cells are one float, and the cell of a
#: float is found by one rounding. Of doubles more would be no grid but digits: 2^48 steps are a tenth of a micrometre
#: on the way to the Moon.
MOST_CELL = {2: 1 << 10, 4: 1 << 23, 8: 1 << 48}

#: |cell * step + offset| at most: the error of value * 10^places, two roundings, is then below a quarter
MOST_NUMBER = 1 << 50

#: values on which a grid is looked for; all others are tried on it
SAMPLE = 1 << 16

#: distinct values from which a common divisor of theirs is taken for a property of the data and not of the sample
DISTINCT = 16

#: decimal places that are tried
_TRIED_PLACES = 16


@dataclass(frozen=True)
class Grid:
    """Say which floats integers stand for.

    `decimal`: (cell * step + offset) / 10^places; `binary`: (cell * step + offset) * 2^-places; `product`: cell *
    factor, in doubles. The result is the double nearest to it, rounded again to a shorter type.
    """

    kind: str
    step: int = 1
    offset: int = 0
    places: int = 0
    factor: float = 1.0

    def values(self, cells: Cells, dtype: np.dtype[Any]) -> Floats:
        """Give the floats of cells."""
        if self.kind == "product":
            made = cells.astype(np.float64) * self.factor
        else:
            numbers = (cells * self.step + self.offset).astype(np.float64)
            made = numbers / 10.0**self.places if self.kind == "decimal" else np.ldexp(numbers, -self.places)
        with np.errstate(over="ignore", under="ignore"):
            return made.astype(dtype)

    def cells(self, values: Floats, most: int) -> Cells:
        """Give the cells nearest to floats, in -most..most; what is no number gets 0."""
        with np.errstate(all="ignore"):
            wide = values.astype(np.float64)
            if self.kind == "product":
                near = wide / self.factor
            else:
                scaled = wide * 10.0**self.places if self.kind == "decimal" else np.ldexp(wide, self.places)
                near = (scaled - self.offset) / self.step
            near = np.rint(np.nan_to_num(near, nan=0.0, posinf=most, neginf=-most))
        return np.clip(near, -most, most).astype(np.int64)


def bits_of(values: NDArray[Any]) -> NDArray[Any]:
    """Give the bits of floats as unsigned integers of their size."""
    return np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}")


def find_grid(values: Floats, step: str | None = None) -> Grid | None:
    """Find a grid on which all values lie; None where there is none, or a value is no number or -0.0.

    Args:
        values: floats of the machine's byte order, of any shape.
        step: a decimal number, of a grid that is given.

    Example:
        >>> find_grid(np.array([0.1, 0.3, -1.2]))
        Grid(kind='decimal', step=1, offset=0, places=1, factor=1.0)
    """
    flat = np.ravel(values)
    if not np.isfinite(flat).all() or (np.signbit(flat) & (flat == 0)).any():
        return None
    if not flat.size and step is None:
        return Grid("decimal")  # of a column that is wholly missing, nothing says more
    grids: list[Grid | None]
    if step is not None:
        grids = [given_grid(step)]
    else:
        sample = np.unique(flat[:: max(1, len(flat) // SAMPLE)])
        grids = [find(sample) for find in (_decimal, _binary, _product)]
    for grid in grids:
        if grid is not None and lies_on(flat, grid):
            return grid
    # What the sample does not show: finer places of a few values.
    if step is None and len(flat) > len(sample):
        whole = np.unique(flat)
        return next((grid for grid in (_decimal(whole), _binary(whole)) if grid and lies_on(flat, grid)), None)
    return None


def given_grid(step: str) -> Grid:
    """Make the grid of the multiples of a decimal number such as 0.0025 or 2e-3."""
    digits, _, power = step.lower().partition("e")
    whole, _, part = digits.partition(".")
    places = len(part) - int(power or 0)
    number = int(whole + part)
    if places < 0:
        number, places = number * 10**-places, 0
    while number and number % 10 == 0 and places:
        number, places = number // 10, places - 1
    return Grid("decimal", number, 0, places)


def lies_on(values: Floats, grid: Grid) -> bool:
    """Tell whether a grid gives back the bits of all values."""
    most = MOST_CELL[values.dtype.itemsize]
    cells = grid.cells(values, most)
    if grid.kind != "product" and cells.size:
        numbers = [int(cells.min()) * grid.step + grid.offset, int(cells.max()) * grid.step + grid.offset]
        if max(map(abs, numbers)) > MOST_NUMBER:
            return False
    return bool((bits_of(grid.values(cells, values.dtype)) == bits_of(values)).all())


def _decimal(values: Floats) -> Grid | None:
    wide = values.astype(np.float64)
    largest = float(np.abs(wide).max(initial=0))
    for places in range(_TRIED_PLACES):
        if largest * 10.0**places > MOST_NUMBER:
            return None
        numbers = np.rint(wide * 10.0**places)
        with np.errstate(over="ignore", under="ignore"):
            if ((numbers / 10.0**places).astype(values.dtype) == values).all():
                return _divided("decimal", numbers, places, values.dtype)
    return None


def _binary(values: Floats) -> Grid | None:
    wide = values.astype(np.float64)
    mantissas, exponents = np.frexp(wide[wide != 0])
    if not mantissas.size:
        return None
    numbers = np.ldexp(mantissas, 53).astype(np.int64)
    low = numbers & -numbers
    places = -int((exponents - 53 + np.rint(np.log2(low.astype(np.float64))).astype(np.int64)).min())
    largest = math.ldexp(float(np.abs(mantissas).max()), 0)
    if largest and int(exponents.max()) + places > 50:
        return None
    return _divided("binary", np.ldexp(wide, places), places, values.dtype)


def _divided(kind: str, numbers: NDArray[np.float64], places: int, dtype: np.dtype[Any]) -> Grid | None:
    """Take a common divisor out, where there are enough numbers to believe in it."""
    whole = numbers.astype(np.int64)
    step, offset = 1, 0
    if len(whole) >= DISTINCT:
        step = max(1, int(np.gcd.reduce(whole - whole[0])))
        offset = int(whole[0]) % step
    most = max(abs((int(end) - offset) // step) for end in (whole.min(), whole.max()))
    return Grid(kind, step, offset, places) if most <= MOST_CELL[dtype.itemsize] else None


def _product(values: Floats) -> Grid | None:
    """Find what integers were multiplied with: the least difference, made more exact from small values to large."""
    wide = values.astype(np.float64)
    if len(wide) < DISTINCT:
        return None
    factor = float(np.diff(wide).min())
    order = np.abs(wide)
    most = MOST_CELL[values.dtype.itemsize]
    bound = 8 * factor
    if not factor or float(order.max()) / factor > most:
        return None
    while True:
        near = wide[order <= bound]
        cells = np.rint(near / factor)
        if cells.any():
            factor = float((near * cells).sum() / (cells * cells).sum())
        if bound >= order.max():
            break
        bound *= 2
    if not math.isfinite(factor) or factor <= 0:
        return None
    cells = np.rint(wide / factor)
    exact = [float(v / c) for v, c in zip(wide, cells, strict=True) if c > 0 and math.frexp(c)[0] == 0.5]
    around = [factor]
    for direction in (math.inf, -math.inf):
        step = factor
        for _ in range(4):
            step = math.nextafter(step, direction)
            around.append(step)
    rounded = [float(f"{factor:.{digits}g}") for digits in range(1, 16)]
    for candidate in (*rounded, *exact[:8], *around):
        if candidate > 0 and ((cells * candidate).astype(values.dtype) == values).all():
            return Grid("product", factor=candidate)
    return None
