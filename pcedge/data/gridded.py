"""Data of a circuit with a grid: files of real values and of states, read as symbols."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray
from pcedge.data.damage import refused
from pcedge.data.table import Head, read_cells
from pcedge.data.typed_tables import ARROW, PARQUET, read_cells_of
from pcedge.data.value_grid import ValueGrid, field_columns
from pcedge.errors import DataError

Array = NDArray[Any]


def read_header(path: Path, grid: ValueGrid, header: bool | None) -> Head | None:
    """Read the first line of a table of a grid's values; it is a header if it names one of the variables."""
    with refused(path, "table in UTF-8"):
        return read_cells(path, _header_rule(grid, header))[0]


def table_symbols(
    path: Path, grid: ValueGrid, header: bool | None, placed: bool, missing: float | None, allow: bool
) -> IntArray:
    """Read a table of values as symbols.

    Args:
        path: the file, UTF-8.
        grid: what the symbols stand for; a header that names its variables says which column holds which.
        header: whether the first line is a header; None takes it as one if it names a variable, or if it holds names
            and no number and a variable is over numbers.
        placed: whether the grid's columns were told, so that no header says others.
        missing: a number that marks a missing value, besides empty cells and marks such as NA.
        allow: whether values may be missing.

    Raises:
        DataError: a cell holds no value of its variable; the message names row and column.
    """
    with refused(path, "table in UTF-8"):
        head, cells = read_cells(path, _header_rule(grid, header))
    if head is None:
        raise DataError(f"{path} must hold at least one line of values, it is empty")
    return symbols_of(str(path), _matched(grid, head.names, placed, allow), cells, missing, allow)


def frame_symbols(path: Path, grid: ValueGrid, placed: bool, missing: float | None, allow: bool) -> IntArray:
    """Read a Parquet or Arrow file of values as symbols, its columns by their names."""
    columns = read_cells_of(path)
    cells = np.stack([np.asarray(column, dtype=object) for column in columns.values()], axis=1)
    return symbols_of(str(path), _matched(grid, list(columns), placed, allow), cells, missing, allow)


def array_symbols(
    where: str, grid: ValueGrid, placed: bool, array: Array, missing: float | None, allow: bool
) -> IntArray:
    """Map an array, or records with fields, to symbols."""
    if array.dtype.names is not None:
        named = _matched(grid, array.dtype.names, placed, allow)
        return symbols_of(where, named, field_columns(array), missing, allow)
    return symbols_of(where, grid, array, missing, allow)


def symbols_of(where: str, grid: ValueGrid, values: Array, missing: float | None, allow: bool) -> IntArray:
    """Map values to symbols; those equal to `missing` count as missing."""
    if missing is not None and not math.isnan(missing):
        rows = values.reshape(len(values), -1)
        gone = _equal(rows, missing)
        values = rows.astype(object)
        values[gone] = None
    try:
        return grid.symbols_of(values, allow_missing=allow)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def suffixes() -> Sequence[str]:
    """Give the suffixes of tables whose columns have names and types of their own that a grid reads."""
    return PARQUET + ARROW


def _matched(grid: ValueGrid, names: Sequence[str] | None, placed: bool, allow: bool) -> ValueGrid:
    return grid if names is None or placed else grid.matched(names, allow_missing=allow)


def _equal(values: Array, missing: float) -> NDArray[np.bool_]:
    if values.dtype.kind in "biuf":
        return np.asarray(values == missing)
    spelled = {str(missing), str(int(missing)) if missing == math.floor(missing) else str(missing)}
    return np.isin(values.astype(str), list(spelled))


def _header_rule(grid: ValueGrid, header: bool | None) -> Any:
    if header is not None:
        return header
    names = set(grid.names)
    numbers = any(axis.kind != "states" for axis in grid.axes)

    def rule(cells: list[str], usual: bool) -> bool:
        # A record of a variable over numbers has a number.
        return any(cell in names for cell in cells) or (usual and numbers)

    return rule
