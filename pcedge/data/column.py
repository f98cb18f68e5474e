"""One column: which integers, its cells, stand for the values of a number type, exactly (docs/data.md)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.data.grids import DISTINCT, MOST_CELL, MOST_NUMBER, MOST_PLACES, Cells, Grid, bits_of, find_grid
from pcedge.errors import DataError, UsageError

Array = NDArray[Any]

KINDS = ("integer", "decimal", "binary", "product", "bits")

#: types of the numbers of a column, without their byte order
TYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
         "float64")  # fmt: skip

#: bits of a range that data leave open, as floats do: the least of these that holds them
_WIDTHS = (8, 16, 32, 48, 64)

#: integers from which a step of theirs is taken for a property of the data
STEPPED = 1 << 10

#: what is added to the cells of 64-bit numbers without a sign: cells are int64
SIGN = 1 << 63

_FACTOR = re.compile(r"0x[01]\.[0-9a-f]{13}p[+-][0-9]{1,4}")


@dataclass(frozen=True)
class Column:
    """Say what the integers low..high, the cells of a column, stand for.

    Args:
        dtype: numpy's name of the type of the values.
        low: the least cell.
        high: the largest cell.
        kind: `integer`: the value is cell * step + offset; `decimal`: (cell * step + offset) / 10^places; `binary`:
            (cell * step + offset) * 2^-places; `product`: cell * factor, in doubles; `bits`: the float whose bits, in
            the order of the floats, are the cell.
        name: what messages call it; empty where the data have no names.
        step: see kind.
        offset: see kind.
        places: see kind.
        factor: see kind; a double as Python's `float.hex` writes it.
        missing: the value that marks a missing one, of floats the bits of their NaN; None where all are there.

    Raises:
        UsageError: the parts do not fit each other.

    Example:
        >>> column = Column("float64", 0, 4095, "decimal", "volt", step=25, places=4)
        >>> column.values(np.array([0, 1, 3])).tolist()
        [0.0, 0.0025, 0.0075]
    """

    dtype: str
    low: int
    high: int
    kind: str = "integer"
    name: str = ""
    step: int = 1
    offset: int = 0
    places: int = 0
    factor: str = ""
    missing: int | None = None

    def __post_init__(self) -> None:
        """Check that the parts fit."""
        where = f"column {self.name!r}: " if self.name else ""
        if self.dtype not in TYPES or self.kind not in KINDS:
            raise UsageError(f"{where}a column must be of a type and kind that there is, got {self.dtype}, {self.kind}")
        is_float = self.dtype.startswith("float")
        if is_float == (self.kind == "integer"):
            raise UsageError(f"{where}a column of {self.dtype} must not be of kind {self.kind}")
        least, largest = cells_of(self.dtype, self.kind, self.step, self.offset)
        if not least <= self.low <= self.high <= largest:
            raise UsageError(
                f"{where}the range of a column of {self.dtype} must be in {least + self._shift}.."
                f"{largest + self._shift} and ascend, got {self.low + self._shift}..{self.high + self._shift}"
            )
        grid = self.kind in ("decimal", "binary")
        stepped = self.kind == "integer" and self.step > 1 and self.dtype not in ("bool", "uint64")
        if (
            (self.step != 1 and not (grid or stepped))
            or (self.places and not grid)
            or not 1 <= self.step <= MOST_NUMBER
        ):
            raise UsageError(f"{where}a step and places must be those of a grid, got {self.step}, {self.places}")
        most = {"decimal": (0, MOST_PLACES), "binary": (-1100, 1100)}.get(self.kind, (0, 0))
        if not most[0] <= self.places <= most[1]:
            raise UsageError(f"{where}places must be in {most[0]}..{most[1]}, got {self.places}")
        if not (0 <= self.offset < self.step if grid or stepped else self.offset == self._shift):
            raise UsageError(f"{where}the offset must be below the step, got {self.offset}")
        if bool(self.factor) != (self.kind == "product") or (self.factor and not _FACTOR.fullmatch(self.factor)):
            raise UsageError(f"{where}a factor must be a double above 0 in hexadecimal, got {self.factor!r}")
        if self.missing is not None:
            self._check_missing(where)

    @property
    def _shift(self) -> int:
        return SIGN if self.dtype == "uint64" else 0

    def _check_missing(self, where: str) -> None:
        assert self.missing is not None
        if self.dtype.startswith("float"):
            size = np.dtype(self.dtype).itemsize
            fits = 0 <= self.missing < 1 << 8 * size and np.isnan(np.array(self.missing, f"u{size}").view(f"f{size}"))
        else:
            low, high = cells_of(self.dtype, "integer", 1, 0)
            fits = low <= self.missing - self._shift <= high
        if not fits:
            raise UsageError(f"{where}what marks missing values must be a value of {self.dtype}, got {self.missing}")

    @cached_property
    def grid(self) -> Grid:
        """Give the grid of the kinds that have one."""
        factor = float.fromhex(self.factor) if self.factor else 1.0
        return Grid(self.kind, self.step, self.offset, self.places, factor)

    def cells(self, values: Array) -> tuple[Cells, NDArray[np.bool_], NDArray[np.bool_]]:
        """Map values to cells.

        Args:
            values: numbers of the column's type, in any shape; of integers also of other integer types.

        Returns:
            The cells, which are `low` where a value is missing or wrong; which values are wrong: not in the range, or
            on no cell; which are missing.
        """
        gone = self._gone(values)
        if self.kind == "integer":
            if values.dtype.kind == "u" and values.dtype.itemsize == 8:
                # A circle of 2^64: the difference to 2^63 is that of int64.
                made = (values ^ np.uint64(SIGN)).view(np.int64) if self._shift else values.view(np.int64)
                inside = values <= np.uint64(SIGN - 1) if not self._shift else np.ones(values.shape, dtype=bool)
            else:
                made = values.astype(np.int64)
                inside = np.ones(values.shape, dtype=bool)
                if self._shift:
                    inside = made >= 0
                    made = made ^ np.int64(-SIGN)
                if self.step > 1:
                    made, rest = np.divmod(made, self.step)
                    inside = inside & (rest == self.offset)
        else:
            values = values.astype(self.dtype, copy=False)
            if self.kind == "bits":
                made = _ordered(bits_of(values).view(f"i{values.dtype.itemsize}")).astype(np.int64)
                inside = np.ones(values.shape, dtype=bool)
            else:
                made = self.grid.cells(values, cells_of(self.dtype, self.kind, self.step, self.offset)[1])
                inside = np.asarray(bits_of(self._map(made)) == bits_of(values))
        wrong = ~(inside & (made >= self.low) & (made <= self.high)) & ~gone
        return np.where(wrong | gone, np.int64(self.low), made), wrong, gone

    def _gone(self, values: Array) -> NDArray[np.bool_]:
        if self.missing is None:
            return np.zeros(values.shape, dtype=bool)
        if values.dtype.kind == "f":
            return np.asarray(bits_of(values) == self.missing)
        info = np.iinfo(values.dtype) if values.dtype.kind != "b" else None
        fits = info is None or int(info.min) <= self.missing <= int(info.max)
        return np.asarray(values == self.missing) if fits else np.zeros(values.shape, dtype=bool)

    def values(self, cells: Cells) -> Array:
        """Map cells back to values of the column's type.

        Raises:
            DataError: a cell is not in low..high.
        """
        if cells.size and not self.low <= int(cells.min()) <= int(cells.max()) <= self.high:
            raise DataError(f"cells must be in {self.low}..{self.high}, got {int(cells.min())}..{int(cells.max())}")
        return self._map(cells)

    def _map(self, cells: Cells) -> Array:
        if self.kind == "integer":
            if self._shift:
                return (cells ^ np.int64(-SIGN)).view(np.uint64)
            return (cells * self.step + (self.offset if self.step > 1 else 0)).astype(self.dtype)
        dtype = np.dtype(self.dtype)
        if self.kind == "bits":
            return _ordered(cells.astype(f"i{dtype.itemsize}")).view(dtype)
        return self.grid.values(cells, dtype)

    @property
    def mark(self) -> Any:
        """Give the value that marks a missing one."""
        assert self.missing is not None
        if self.dtype.startswith("float"):
            size = np.dtype(self.dtype).itemsize
            return np.array(self.missing, f"u{size}").view(f"f{size}")
        return np.array(self.missing, self.dtype)

    def __str__(self) -> str:
        """Write the column as `--columns` takes it."""
        name = self.name or "*"
        if self.kind == "bits":
            return f"{name}:bits"
        if self.kind == "integer":
            low, high = (cell * self.step + self.offset for cell in (self.low, self.high))
            return f"{name}:{self.dtype}={low}..{high}" + (f" in steps of {self.step}" if self.step > 1 else "")
        text = {
            "decimal": f"{self.step}e-{self.places}",
            "binary": f"{self.step}*2^{-self.places}",
            "product": repr(float.fromhex(self.factor)) if self.factor else "",
        }[self.kind]
        plus = f"+{self.offset}" if self.offset else ""
        return f"{name}:scaled={text}{plus}:{self.low}..{self.high}"

    def wider(self, value: Any) -> str:
        """Say what takes a value that lies beyond the column's grid of decimals; nothing of any other one."""
        low, high = self.values(np.array([self.low, self.high], dtype=np.int64))
        if self.kind != "decimal" or self.offset or not np.isfinite(value) or low <= value <= high:
            return ""
        limit = MOST_CELL[np.dtype(self.dtype).itemsize]
        cell = abs(float(value)) * 10.0**self.places / self.step
        if cell < limit and value.dtype.type(round(cell) * self.step / 10.0**self.places) != abs(value):
            return ""
        most = 10 ** len(str(max(abs(self.low), abs(self.high), int(min(cell, limit))))) - 1
        spec = f"{self.name or '*'}:scaled={self.step}e-{self.places}:{-most}..{most}"
        return f"; train --columns '{spec}' makes a circuit that takes more" if cell <= most <= limit else ""

    @property
    def accepts(self) -> str:
        """Say for people which values the column takes, now and later."""
        if self.kind in ("integer", "bits"):
            return str(self)
        low, high = self.values(np.array([self.low, self.high], dtype=np.int64))
        step = (float(high) - float(low)) / max(1, self.high - self.low)
        return f"{self.name or '*'}:{self.dtype}={low!s}..{high!s} in steps of {step:.6g}"


def _ordered(signed: Array) -> Array:
    """Bring bits of floats in the floats' order, and back: negative ones count downwards."""
    most = np.array(np.iinfo(signed.dtype).max, dtype=signed.dtype)
    return np.asarray(np.where(signed < 0, signed ^ most, signed))


def cells_of(dtype: str, kind: str, step: int, offset: int) -> tuple[int, int]:
    """Give the least and the largest cell that a column of some type and kind can have."""
    if kind == "integer":
        if dtype == "bool":
            return 0, 1
        info = np.iinfo(dtype)
        if step > 1:
            return -((offset - int(info.min)) // step), (int(info.max) - offset) // step
        shift = SIGN if dtype == "uint64" else 0
        return int(info.min) - shift, int(info.max) - shift
    size = np.dtype(dtype).itemsize
    if kind == "bits":
        return -(1 << 8 * size - 1), (1 << 8 * size - 1) - 1
    most = min(MOST_CELL[size], (MOST_NUMBER - offset) // max(1, step))
    return -most, most


def integer_column(dtype: np.dtype[Any], name: str = "", missing: int | None = None) -> Column:
    """Describe a column of all values of an integer type."""
    kind = "int64" if dtype.kind in "mM" else dtype.newbyteorder("=").name
    shift = SIGN if kind == "uint64" else 0
    low, high = cells_of(kind, "integer", 1, 0)
    if missing is not None and not low <= missing - shift <= high:
        missing = None
    return Column(kind, low, high, "integer", name, offset=shift, missing=missing)


def stepped_column(column: Column, values: Array) -> Column:
    """Give a column of integers the step that all its values have in common, as left-aligned codes of a converter do.

    Args:
        column: all integers of a type.
        values: of that type, none missing.
    """
    if column.dtype in ("bool", "uint64") or values.size < STEPPED or len(np.unique(values)) < DISTINCT:
        return column
    least = int(values.min())
    # Modulo 2^64, where no difference overflows.
    step = int(np.gcd.reduce(values.ravel().astype(np.int64).view(np.uint64) - np.uint64(least % 2**64)))
    if not 1 < step <= MOST_NUMBER:
        return column
    offset = least % step
    low, high = cells_of(column.dtype, "integer", step, offset)
    return replace(column, low=low, high=high, step=step, offset=offset)


def widened(low: int, high: int, least: int, largest: int) -> tuple[int, int]:
    """Give the range of the smallest width that holds some cells: of a float's type nobody says which values it has."""
    for bits in _WIDTHS:
        bottom, top = (0, (1 << bits) - 1) if low >= 0 else (-(1 << bits - 1), (1 << bits - 1) - 1)
        if bottom <= low and high <= top:
            return max(bottom, least), min(top, largest)
    raise AssertionError(f"cells must have at most 64 bits, got {low}..{high}")


def bits_column(dtype: np.dtype[Any], name: str = "", missing: int | None = None) -> Column:
    """Describe a column of floats by their bits, which takes all of them."""
    kind = dtype.newbyteorder("=").name
    return Column(kind, *cells_of(kind, "bits", 1, 0), "bits", name, missing=missing)


def float_column(values: Array, name: str = "", missing: int | None = None, step: str | None = None) -> Column | None:
    """Describe a column of floats by the grid that its values lie on; None where there is none.

    Args:
        values: the floats, in the machine's byte order.
        name: of the column.
        missing: bits of the NaN that marks missing values.
        step: the step of a decimal grid that is given.
    """
    present = values if missing is None else values[bits_of(values) != missing]
    grid = find_grid(present, step)
    if grid is None:
        return None
    dtype = values.dtype.name
    cells = grid.cells(present, MOST_CELL[values.dtype.itemsize])
    ends = (int(cells.min()), int(cells.max())) if cells.size else (0, 0)
    low, high = widened(*ends, *cells_of(dtype, grid.kind, grid.step, grid.offset))
    factor = grid.factor.hex() if grid.kind == "product" else ""
    return Column(dtype, low, high, grid.kind, name, grid.step, grid.offset, grid.places, factor, missing)
