"""Finding of columns for data: the grids of their floats, ranges, and marks of missing values (docs/data.md)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from pcedge.data.column import Column, bits_column, cells_of, float_column, integer_column, stepped_column, widened
from pcedge.data.column_spec import ColumnSpec, choose
from pcedge.data.columns import Columns
from pcedge.data.grids import bits_of
from pcedge.data.structs import places_of
from pcedge.errors import DataError

Array = NDArray[Any]

#: rows of floats of at most so many places may have a grid for each place
MOST_GRIDS = 4096


def find_columns(
    array: Array,
    spec: Sequence[ColumnSpec] = (),
    missing: float | None = None,
    more: Sequence[Array] = (),
    each: bool = False,
    bits: bool | None = None,
) -> Columns:
    """Choose columns for an array; see `Columns.of`."""
    columns = _find(array, spec, missing, more, each, bits)
    if columns.marks_missing and np.size(array) and np.ma.getmaskarray(columns.apply(array)).all():
        raise DataError("the train split must hold a number, all are missing")
    return columns


def _find(
    array: Array, spec: Sequence[ColumnSpec], missing: float | None, more: Sequence[Array], each: bool,
    bits: bool | None,
) -> Columns:  # fmt: skip
    arrays = [np.asarray(part) for part in (array, *more) if np.size(part)] or [np.asarray(array)]
    source, shape = arrays[0].dtype, np.asarray(array).shape[1:]
    if not np.asarray(array).ndim or any(part.dtype != source or part.shape[1:] != shape for part in arrays):
        raise DataError("all parts of the data must have shape (rows, …), of one type and one shape of rows")
    if not all(shape):
        raise DataError(f"records must have at least one number, got shape {np.shape(array)}")
    if source.names is None and source.kind in "iub" and not spec and not each:
        # Most data: what the type says holds for all places.
        whole = integer_column(source, missing=_marker(source, missing))
        values = np.concatenate([np.ravel(part) for part in arrays]).astype(source.newbyteorder("="))
        return Columns(source, shape, (_stepped(whole, values),))
    trial = Columns(source, shape, _free(source, shape))
    flat = [trial.flat(part) for part in arrays]
    names = _names(trial)
    specs = choose(spec, names)
    if not any(specs) and not each and trial.places is None:
        values = np.concatenate([np.ravel(part) for part in arrays]).astype(source.newbyteorder("="))
        shared = float_column(values, missing=_marker(source, missing, values))
        if shared is not None:
            return Columns(source, shape, (shared,))
    by_bits = trial.places is not None if bits is None else bits
    count = math.prod(trial.cell_shape)
    if count > MOST_GRIDS and trial.places is None and not by_bits:
        _refuse_floats(trial, arrays[0], missing, range(count))
    chosen: list[Column] = []
    refused: list[int] = []
    for place in range(count):
        values = np.concatenate([trial.place(part, place) for part in flat])
        column = _column(values, names[place], specs[place], missing, by_bits, each)
        if column is None:
            refused.append(place)
            if not (np.signbit(values) & (values == 0)).any():
                break  # there is nothing worse to be found
        else:
            chosen.append(column)
    if refused:
        _refuse_floats(trial, arrays[0], missing, refused)
    return Columns(source, shape, tuple(chosen))


def _refuse_floats(columns: Columns, array: Array, missing: float | None, places: Sequence[int]) -> NoReturn:
    """Say which float of some places keeps an array from having columns: infinities and NaN before -0.0."""
    flat = columns.flat(array)
    values = np.stack([columns.place(flat, place).astype(np.float64) for place in places], axis=1)
    odd = ~np.isfinite(values) if missing is None else np.isinf(values)
    if not odd.any():
        odd = np.signbit(values) & (values == 0)
    row, column = (int(i) for i in np.argwhere(odd)[0]) if odd.any() else (0, 0)
    place = places[column]
    value = columns.place(flat, place)[row] if len(flat) else 0.0
    where = f"row {row}, column {place}"
    # Numbers without names have a word for all of them, or one for each.
    name = "'*:bits'" if columns.places is None else f"{_names(columns)[place]}:bits"
    advice = f"--columns {name} codes all floats by their bits"
    if value != value:
        advice = f"--missing nan takes them as missing; {advice}"
    elif value == 0 and odd.any():
        advice = f"x + 0.0 makes them 0.0; {advice}"
    else:
        advice = f"round or scale them to integers; {advice}"
    what = (
        f"{where}: floats must be integers or lie on a grid, got {value!s}"
        if odd.any()
        else (
            "floats must be integers or lie on a decimal grid or one of a power of two, as those of a converter "
            f"do, these lie on none (the first is {value!s})"
        )
    )
    raise DataError(f"{what}; {advice}")


def _free(source: np.dtype[Any], shape: tuple[int, ...]) -> tuple[Column, ...]:
    """Describe all numbers of a type, floats by their bits."""

    def column(dtype: np.dtype[Any], name: str = "") -> Column:
        return bits_column(dtype, name) if dtype.kind == "f" else integer_column(dtype, name)

    plain = source.names is None and source.kind in "iubf" and source.subdtype is None
    if plain:
        return (column(source),)
    return tuple(column(place.dtype, place.name) for place in places_of(source)) * math.prod(shape)


def _names(columns: Columns) -> tuple[str, ...]:
    """Give the names of all places of a row of cells; those of plain numbers are empty."""
    if columns.places is None:
        return ("",) * math.prod(columns.shape)
    elements = list(np.ndindex(columns.shape))
    if len(elements) == 1:
        return tuple(place.name for place in columns.places)
    return tuple(f"[{','.join(map(str, i))}].{place.name}" for i in elements for place in columns.places)


def _marker(dtype: np.dtype[Any], missing: float | None, values: Array | None = None) -> int | None:
    """Give what marks missing values of a type; of floats the bits of the NaN that is there, None without one."""
    if missing is None:
        return None
    if dtype.kind == "f":
        if values is None:
            return None
        found = np.unique(bits_of(values[np.isnan(values)]))
        # Two kinds of NaN could not both come back.
        usual = int(bits_of(np.array([np.nan], dtype=dtype.newbyteorder("=")))[0])
        return int(found[0]) if len(found) else usual
    if math.isnan(missing) or missing != int(missing):
        return None
    low, high = cells_of(dtype.newbyteorder("=").name if dtype.kind in "iub" else "int64", "integer", 1, 0)
    shift = 1 << 63 if dtype.kind == "u" and dtype.itemsize == 8 else 0
    return int(missing) if low + shift <= missing <= high + shift else None


def _column(
    values: Array, name: str, spec: ColumnSpec | None, missing: float | None, by_bits: bool, each: bool
) -> Column | None:
    """Choose the column of one place; None where its floats lie on no grid and may not be coded by their bits."""
    mark = _marker(values.dtype, missing, values)
    if spec is not None:
        return spec.column(values, name or spec.name, mark)
    if values.dtype.kind == "f":
        found = float_column(values, name, mark)
        return bits_column(values.dtype, name, mark) if found is None and by_bits else found
    column = integer_column(values.dtype, name, mark)
    present = values if mark is None else values[values != mark]
    if not each:
        return _stepped(column, values)
    if not present.size or values.dtype.kind == "b":
        return column
    shift = column.offset
    low, high = widened(int(present.min()), int(present.max()), column.low + shift, column.high + shift)
    return replace(column, low=low - shift, high=high - shift)


def _stepped(column: Column, values: Array) -> Column:
    return stepped_column(column, values if column.missing is None else values[values != column.missing])
