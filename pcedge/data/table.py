"""Reader of tables of integers as text: CSV with commas, semicolons, tabs or blanks."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.data.damage import refused
from pcedge.errors import DataError

Array = NDArray[Any]

TABLES = (".csv", ".tsv")

#: the delimiter is the first of these that the first line holds
DELIMITERS = ("\t", ";", ",", " ")

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_NUMBER = re.compile(r"[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)


def read_table(path: Path, missing: int | None, dtype: np.dtype[Any] | None) -> Array:
    """Read a table, a record a line.

    The first line is a header if none of its cells is a number. Empty lines are passed over.

    Args:
        path: the file, UTF-8.
        missing: what an empty cell stands for; None refuses empty cells.
        dtype: of the result; None takes the smallest one that holds every value, unsigned where none is negative.

    Raises:
        DataError: a cell is no integer, a line has another number of cells than the first, or there are none.
    """
    with refused(path, "table in UTF-8"), path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        delimiter = next((sign for sign in DELIMITERS if sign in first.strip()), ",")
        file.seek(0)
        # Blanks at a line's ends separate nothing; a line of empty cells is a record, an empty line is none.
        source = (line.strip(" \r\n") + "\n" for line in file) if delimiter == " " else file
        reader = csv.reader(source, delimiter=delimiter, skipinitialspace=True, strict=True)
        lines = [
            (reader.line_num, [cell.strip() for cell in row])
            for row in reader
            if len(row) > 1 or any(cell.strip() for cell in row)
        ]
    if not lines:
        raise DataError(f"{path} must hold at least one line of integers, it is empty")
    width = len(lines[0][1])
    named = not any(_NUMBER.fullmatch(cell) for cell in lines[0][1])
    names = [repr(name) if named else str(place) for place, name in enumerate(lines[0][1], start=1)]
    values = np.zeros((len(lines) - named, width), dtype=object)
    for target, (line, cells) in zip(values, lines[named:], strict=True):
        if len(cells) != width:
            raise DataError(f"{path}, line {line}: must have {width} cells like the first line, got {len(cells)}")
        for place, cell in enumerate(cells):
            if _INTEGER.fullmatch(cell):
                target[place] = int(cell)
            elif not cell and missing is not None:
                target[place] = missing
            else:
                raise DataError(f"{path}, line {line}, column {names[place]}: {_reason(cell)}")
    return _typed(path, values, dtype)


def _reason(cell: str) -> str:
    if not cell:
        return "a cell must hold an integer, it is empty; --missing takes empty cells as missing"
    kind = "the float " if _NUMBER.fullmatch(cell) else ""
    return f"a cell must hold an integer, got {kind}{cell[:40]!r}"


def _typed(path: Path, values: Array, dtype: np.dtype[Any] | None) -> Array:
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    kinds = ("uint8", "uint16", "uint32", "uint64") if low >= 0 else ("int8", "int16", "int32", "int64")
    choices = kinds if dtype is None else (dtype.name,)
    for name in choices:
        bounds = (0, 1) if name == "bool" else (int(np.iinfo(name).min), int(np.iinfo(name).max))
        if bounds[0] <= low and high <= bounds[1]:
            return values.astype(name)
    raise DataError(f"{path} must hold integers that fit {choices[-1]}, got {low}..{high}")
