"""Columns: a reversible map between arrays of any numbers and integers in stated ranges, their cells (docs/data.md)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.data.column import Column, integer_column
from pcedge.data.column_spec import ColumnSpec
from pcedge.data.grids import Cells, bits_of
from pcedge.data.structs import Place, check_layout, describe, described, other_type, places_of, view_of
from pcedge.data.words import check_variables
from pcedge.errors import DataError, UsageError

Array = NDArray[Any]

VERSION = 1

#: dimensions of a row at most
MOST_DIMENSIONS = 15


@dataclass(frozen=True)
class Columns:
    """Map an array of numbers to cells, which are int64 in ranges that are stated, and back, bit for bit.

    The cells of an array of shape (rows, *shape) have that shape too; those of records with fields have one axis more,
    the last one, of the fields (of a field that is an array: its elements) in their order. **What is missing** is
    masked: where a column marks missing values, `apply` gives a numpy masked array, and `invert` takes one; the number
    under the mask is the column's `low`. Bytes between fields are no numbers, and come back as 0 (`check_padding`).

    Args:
        source: the type of the array, with its byte order and all its fields.
        shape: the array's shape without the first axis.
        columns: one for all places, or one for each place of a row of cells, the last axis fastest.
        order: of records with fields the number of the field of every cell of a record; empty where it is theirs.

    Raises:
        UsageError: the parts do not fit each other.
        DataError: the type has fields that hold no numbers, or that share bytes.

    Example:
        >>> x = np.array([(1, 0.25), (-3, 0.5)], dtype=[("a", "<i2"), ("b", "<f8")])
        >>> columns = Columns.of(x)
        >>> columns.apply(x).tolist(), columns.invert(columns.apply(x)).tolist()
        ([[1, 25], [-3, 50]], [(1, 0.25), (-3, 0.5)])
    """

    source: np.dtype[Any]
    shape: tuple[int, ...]
    columns: tuple[Column, ...]
    order: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check that the parts fit."""
        object.__setattr__(self, "shape", tuple(self.shape))
        object.__setattr__(self, "columns", tuple(self.columns))
        if len(self.shape) > MOST_DIMENSIONS or any(size < 1 for size in self.shape):
            raise UsageError(f"rows must have at most {MOST_DIMENSIONS} dimensions of at least 1, got {self.shape}")
        count = math.prod(self.cell_shape)
        check_variables(count)
        if len(self.columns) not in ((1, count) if self.places is None else (count,)):
            raise UsageError(f"there must be a column for each of {count} places of a row, got {len(self.columns)}")
        if self.places is None and (self.source.kind not in "iubf" or self.source.itemsize > 8):
            raise DataError(f"data must hold numbers of at most 64 bits, got {self.source}")
        if self.places is not None:
            check_layout(self.source, self.places)
        if self.order and sorted(self.order) != list(range(len(self.places or ()))):
            raise UsageError(f"the order of columns must name every field of a record once, got {self.order}")
        for number, column in enumerate(self.columns):
            dtype = self.source if self.places is None else self.places[number % len(self.places)].dtype
            if column.dtype != dtype.newbyteorder("=").name:
                raise UsageError(f"column {column.name or number} must be of type {dtype.name}, got {column.dtype}")

    @cached_property
    def places(self) -> tuple[Place, ...] | None:
        """Give the numbers within an element of the array; None where it is a number itself."""
        plain = self.source.names is None and self.source.kind in "iubf" and self.source.subdtype is None
        return None if plain else places_of(self.source)

    @property
    def cell_shape(self) -> tuple[int, ...]:
        """Give the shape of a row of cells."""
        return self.shape if self.places is None else (*self.shape, len(self.places))

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """Give the least and the largest cell of each place of a row of cells."""
        return tuple((column.low, column.high) for column in self.cell_columns)

    @property
    def cell_columns(self) -> tuple[Column, ...]:
        """Give the column of each place of a row of cells."""
        each = self.columns * math.prod(self.cell_shape) if len(self.columns) == 1 else self.columns
        return tuple(each[place] for place in self.cell_places)

    @cached_property
    def cell_places(self) -> tuple[int, ...]:
        """Give the place in a row of the data of each place of a row of cells; fields may have another order there."""
        fields = len(self.order) or 1
        firsts = range(0, math.prod(self.cell_shape), fields)
        return tuple(first + field for first in firsts for field in self.order or (0,))

    @property
    def cell_texts(self) -> tuple[str, ...]:
        """Say of each place of a row of cells which column it is, and how it maps numbers, as `--columns` has it."""
        return tuple(map(str, self.cell_columns))

    @property
    def marks_missing(self) -> bool:
        """Tell whether a column marks missing values, so that cells are masked arrays."""
        return any(column.missing is not None for column in self.columns)

    @property
    def mark(self) -> float | None:
        """Give what a missing value of a table is read as: the integer that marks it, NaN where only floats have marks.

        None where no column marks missing values.
        """
        marks = [column for column in self.columns if column.missing is not None]
        integers = [column.missing for column in marks if column.kind == "integer"]
        return integers[0] if integers else math.nan if marks else None

    @property
    def is_plain(self) -> bool:
        """Tell whether the cells are the values: integers of one type in its whole range, none missing."""
        return len(self.columns) == 1 and self.source.kind in "iub" and self.columns[0] == integer_column(self.source)

    @property
    def by_bits(self) -> tuple[str, ...]:
        """Give the names of the columns that are coded by the bits of their floats."""
        return tuple(c.name or str(number) for number, c in enumerate(self.columns) if c.kind == "bits")

    @staticmethod
    def of(
        array: Array,
        spec: Sequence[ColumnSpec] = (),
        *,
        missing: float | None = None,
        more: Sequence[Array] = (),
        each: bool = False,
        bits: bool | None = None,
    ) -> Columns:
        """Choose columns for an array.

        Integers keep the range of their type. Floats must lie on a grid; in records with fields those that lie on none
        are coded by their bits.

        Args:
            array: numbers of shape (rows, …), or records with fields.
            spec: what `--columns` says (`parse_columns`).
            missing: the integer that marks missing values; a column whose type does not have it has none. Where there
                is one, or NaN, a NaN in floats is a missing value too.
            more: further arrays of that type, such as a validation split, that the columns must hold.
            each: whether each place of a row has its own column, of the least range that holds its values.
            bits: whether floats on no grid are coded by their bits; None does so in records with fields.

        Raises:
            DataError: the array holds other things than numbers, or floats that lie on no grid; the message says where.
            UsageError: the spec does not fit the array.
        """
        from pcedge.data.finding import find_columns

        return find_columns(array, spec, missing, more, each, bits)

    def flat(self, array: Array) -> Array:
        """Give an array as rows of numbers in the machine's byte order, or of records; contiguous."""
        if self.places is None:
            native = array.astype(self.source.newbyteorder("="), copy=False)
            return np.ascontiguousarray(native).reshape(len(array), math.prod(self.shape))
        # As bytes: a copy by fields leaves those between them as they come.
        raw = np.ascontiguousarray(array.view(f"V{self.source.itemsize}"))
        return raw.view(self.source).reshape(len(array), math.prod(self.shape))

    def place(self, flat: Array, place: int) -> Array:
        """Give the numbers of a place of all rows, in the machine's byte order."""
        if self.places is None:
            return np.ascontiguousarray(flat[:, place])
        element, field = divmod(place, len(self.places))
        values = view_of(np.ascontiguousarray(flat[:, element]), self.places[field])
        return np.ascontiguousarray(values.astype(values.dtype.newbyteorder("=")))

    def check(self, x: ArrayLike) -> Array:
        """Check that an array can be mapped, but for its values.

        Raises:
            DataError: wrong type or shape.
        """
        array = np.asarray(x)
        if isinstance(x, np.ma.MaskedArray):
            raise DataError("data must be a plain array: columns mark missing values by themselves")
        if self.places is not None:
            # Also in byte order: of records with fields a stream knows their size only.
            same = array.dtype == self.source
        elif self.source.kind in "iub":
            same = array.dtype.kind in "iub"
        else:
            same = array.dtype.newbyteorder("=") == self.source.newbyteorder("=")
        if not same:
            raise DataError(other_type(self.source, array.dtype))
        if not array.ndim or array.shape[1:] != self.shape:
            wanted = ", ".join(["rows", *map(str, self.shape)])
            raise DataError(f"data must have shape ({wanted}) for these columns, got {array.shape}")
        return array

    def apply(self, x: ArrayLike) -> Cells:
        """Map an array to cells.

        Returns:
            int64 of shape (rows, *cell_shape); a masked array where `marks_missing`.

        Raises:
            DataError: wrong type or shape, a value out of range or on no grid; the message names row, column and value.
        """
        array = self.check(x)
        if self.places is None and len(self.columns) == 1:
            native = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False))
            cells, wrong, gone = self.columns[0].cells(native)
            if wrong.any():
                row, *place = (int(i) for i in np.argwhere(wrong)[0])
                self._refuse(self.columns[0], row, f"place {tuple(place)}", native[(row, *place)])
        else:
            cells, gone = self._apply_each(array)
            if self.order:
                cells, gone = cells[..., self.order], gone[..., self.order]
        return np.ma.MaskedArray(cells, gone) if self.marks_missing else cells

    def _apply_each(self, array: Array) -> tuple[Cells, NDArray[np.bool_]]:
        if self.places is None:
            flat = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False)).reshape(len(array), -1)
        else:
            flat = self.flat(array)
            self._check_bools(flat)
        count = math.prod(self.cell_shape)
        cells = np.empty((len(array), count), dtype=np.int64)
        gone = np.zeros(cells.shape, dtype=bool)
        for place in range(count):
            column = self.columns[0 if len(self.columns) == 1 else place]
            values = self.place(flat, place)
            cells[:, place], wrong, gone[:, place] = column.cells(values)
            if wrong.any():
                row = int(np.argmax(wrong))
                self._refuse(column, row, f"column {column.name or place!r}", values[row])
        shape = (len(array), *self.cell_shape)
        return cells.reshape(shape), gone.reshape(shape)

    def _check_bools(self, flat: Array) -> None:
        assert self.places is not None
        for place in self.places:
            if place.dtype.kind == "b":
                raw = view_of(flat.reshape(-1), replace(place, dtype=np.dtype("u1")))
                if (raw > 1).any():
                    row = int(np.argmax(raw > 1)) // max(1, flat.shape[1])
                    raise DataError(f"row {row}, column {place.name!r}: a bool must be a byte 0 or 1, got {raw.max()}")

    def _refuse(self, column: Column, row: int, where: str, value: Any) -> None:
        low, high = column.low, column.high
        if column.kind == "integer":
            low, high = (cell * column.step + column.offset for cell in (low, high))
            steps = f" in steps of {column.step}" if column.step > 1 else ""
            raise DataError(f"row {row}, {where}: a value must be in {low}..{high}{steps}, got {int(value)}")
        ends = column.values(np.array([low, high], dtype=np.int64))
        size = value.dtype.itemsize
        bits = f" (bits {int(bits_of(np.array([value]))[0]):0{2 * size}x})" if value != value or value == 0 else ""
        raise DataError(
            f"row {row}, {where}: a value must lie on the grid {column} from {ends[0]!s} to {ends[1]!s}, "
            f"got {value!s}{bits}{column.wider(value)}"
        )

    def invert(self, cells: ArrayLike) -> Array:
        """Map cells back to the array, bit for bit.

        Raises:
            DataError: wrong shape, a cell out of its range, or one that stands for no value of its own.
        """
        given = np.ma.getdata(cells) if isinstance(cells, np.ma.MaskedArray) else np.asarray(cells)
        gone = np.ma.getmaskarray(cells) if isinstance(cells, np.ma.MaskedArray) else None
        if given.dtype.kind not in "iu" or given.shape[1:] != self.cell_shape or not given.ndim:
            wanted = ", ".join(["rows", *map(str, self.cell_shape)])
            raise DataError(f"cells must be integers of shape ({wanted}), got {given.dtype} {given.shape}")
        if given.dtype == np.uint64 and (given > np.uint64((1 << 63) - 1)).any():
            raise DataError(f"cells must fit int64, got {int(given.max())}")
        given = given.astype(np.int64, copy=False)
        if self.places is None and len(self.columns) == 1:
            return self._values(self.columns[0], given, gone, "").astype(self.source, copy=False)
        if self.order:
            back = np.argsort(self.order)
            given, gone = given[..., back], None if gone is None else gone[..., back]
        flat = given.reshape(len(given), math.prod(self.cell_shape))
        masks = None if gone is None else gone.reshape(flat.shape)
        made = np.zeros((len(given), math.prod(self.shape)), dtype=self.source)
        for place in range(flat.shape[1]):
            column = self.columns[0 if len(self.columns) == 1 else place]
            mask = None if masks is None else masks[:, place]
            values = self._values(column, np.ascontiguousarray(flat[:, place]), mask, column.name or str(place))
            if self.places is None:
                made[:, place] = values
            else:
                element, field = divmod(place, len(self.places))
                view_of(made.reshape(-1), self.places[field])[element :: made.shape[1]] = values
        return made.reshape(len(given), *self.shape)

    def _values(self, column: Column, cells: Cells, gone: NDArray[np.bool_] | None, name: str) -> Array:
        where = f"column {name}: " if name else ""
        if gone is not None and gone.any():
            if column.missing is None:
                raise DataError(f"{where}cells must not be masked, for the column marks no missing values")
            cells = np.where(gone, np.int64(column.low), cells)
        try:
            values = column.values(cells)
        except DataError as error:
            raise DataError(f"{where}{error}") from error
        # A value has one cell: the number that marks missing ones has none.
        back, wrong, marked = column.cells(values)
        odd = wrong | marked | (back != cells)
        odd = odd if gone is None else odd & ~gone
        if odd.any():
            raise DataError(f"{where}cell {int(cells[odd][0])} stands for no value of its own")
        return values if gone is None else np.where(gone, column.mark if gone.any() else values, values)

    def as_dict(self) -> dict[str, Any]:
        """Give the JSON form; what has its default is left out of a column."""
        defaults = {field.name: field.default for field in fields(Column)}
        columns = [
            {key: value for key, value in asdict(column).items() if value != defaults[key]} for column in self.columns
        ]
        order = {"order": list(self.order)} if self.order else {}
        return {
            "version": VERSION, "dtype": describe(self.source), "shape": list(self.shape), "columns": columns,
        } | order  # fmt: skip

    def to_json(self) -> str:
        """Write the JSON form; equal columns give equal texts."""
        return json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"))

    @staticmethod
    def from_dict(entry: object) -> Columns:
        """Read the JSON form.

        Raises:
            UsageError: it is not that of columns; the caller says which file.
        """
        if not isinstance(entry, dict) or set(entry) - {"order"} != {"version", "dtype", "shape", "columns"}:
            raise UsageError("columns must be an object of columns, dtype, shape, version")
        if type(entry["version"]) is not int or entry["version"] != VERSION:
            raise UsageError(f"columns must be of version {VERSION}, got {str(entry['version'])[:40]}")
        shape, columns, order = entry["shape"], entry["columns"], entry.get("order", [])
        if not isinstance(order, list) or not all(type(field) is int for field in order):
            raise UsageError("the order of columns must be a list of integers")
        if not isinstance(shape, list) or not all(type(size) is int for size in shape):
            raise UsageError("the shape of columns must be a list of integers")
        if not isinstance(columns, list) or not 1 <= len(columns) <= 1 << 20:
            raise UsageError("columns must be a list of at least one")
        try:
            read = tuple(_read(column) for column in columns)
            return Columns(described(entry["dtype"]), tuple(shape), read, tuple(order))
        except DataError as error:
            raise UsageError(str(error)) from error


def _read(entry: object) -> Column:
    kinds = {field.name: (int, str)[field.type == "str"] for field in fields(Column)}
    if not isinstance(entry, dict) or not {"dtype", "low", "high"} <= set(entry) <= set(kinds):
        raise UsageError(f"a column must be an object of {', '.join(kinds)}, got {str(entry)[:80]}")
    for key, value in entry.items():
        if type(value) is not kinds[key] or (type(value) is int and not -(1 << 64) < value < 1 << 64):
            raise UsageError(f"{key} of a column must be {kinds[key].__name__}, got {str(value)[:40]}")
    return Column(**entry)
