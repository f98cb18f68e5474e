"""Data with what was missing filled in: what is known stays as the file has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray
from pcedge.cli.output import save_array, save_table
from pcedge.data import Reading, is_table, load_array, table_head
from pcedge.data.forms import SUFFIXES
from pcedge.data.readers import split_name
from pcedge.data.table import read_cells
from pcedge.data.value_grid import ValueGrid, field_columns
from pcedge.errors import UsageError

Array = NDArray[Any]


def write_filled(
    out: Path, data: str, reading: Reading, raw: Array, records: IntArray, gaps: NDArray[np.bool_]
) -> None:
    """Write data with the symbols, or of a grid the values, of completed records in the place of missing ones.

    Args:
        out: the file that is written; columns that the data do not have are put behind theirs.
        data: the file that was read.
        reading: how it was read.
        raw: what was read of a circuit without a grid, (N, variables).
        records: completed records, (N, variables).
        gaps: which of their symbols were missing.

    Raises:
        UsageError: the file cannot hold texts.
    """
    if reading.grid is None:
        kind = np.promote_types(raw.dtype, np.min_scalar_type(int(records.max(initial=0))))
        kept = np.where(gaps, 0, raw.reshape(records.shape))
        save_array(out, np.where(gaps, records, kept).astype(kind).reshape(raw.shape))
        return
    cells, grid, names = _cells(data, reading, reading.grid)
    filled, names = _filled(cells, grid, names, records, gaps)
    form = SUFFIXES.get(out.suffix.lower(), "npy")
    if filled.dtype != object:
        save_array(out, filled)
    elif form in ("csv", "tsv"):
        save_table(out, form, ([names] if names is not None else []) + filled.tolist())
    else:
        try:
            save_array(out, filled.astype(np.float64))
        except ValueError as error:
            raise UsageError(f"texts must be written as csv or tsv, {out.name} does not hold them") from error


def _cells(data: str, reading: Reading, grid: ValueGrid) -> tuple[Array, ValueGrid, list[str] | None]:
    """Read data as they are, (records, columns), with the grid's columns in them and the names of a header."""
    if is_table(data, reading):
        head = table_head(data, reading)
        names = None if head is None or head.names is None else [name.strip() for name in head.names]
        cells = read_cells(split_name(data)[0], names is not None)[1]
    else:
        cells = load_array(data, replace(reading, grid=None, missing=None, typed=True, partial=False))
        names = None if cells.dtype.names is None else list(cells.dtype.names)
        if names is not None:
            cells = field_columns(cells)
    return cells.reshape(len(cells), -1), grid if names is None or reading.placed else grid.matched(names), names


def _filled(
    cells: Array, grid: ValueGrid, names: Sequence[str] | None, records: IntArray, gaps: NDArray[np.bool_]
) -> tuple[Array, list[str] | None]:
    """Put values in the place of missing ones; columns that are not there come last."""
    width, axes = cells.shape[1], grid.axes
    absent = sorted((p for p, axis in enumerate(axes) if axis.column >= width), key=lambda p: axes[p].column)
    places = {place: width + number for number, place in enumerate(absent)}
    kinds = [axis.values.dtype for axis in axes]
    numbers = cells.dtype.kind in "biuf" and all(kind.kind in "iuf" for kind in kinds)
    out = np.zeros((len(cells), width + len(absent)), np.result_type(cells.dtype, *kinds) if numbers else object)
    out[:, :width] = cells
    for place, axis in enumerate(axes):
        rows = np.flatnonzero(gaps[:, place])
        out[rows, places.get(place, axis.column)] = axis.values[records[rows, place]].tolist()
    return out, None if names is None else [*names, *(axes[place].name for place in absent)]
