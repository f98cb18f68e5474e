"""Reader of tables of integers as text: CSV with commas, semicolons, tabs or blanks."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcedge.data.damage import refused
from pcedge.data.structs import records_of
from pcedge.errors import DataError

Array = NDArray[Any]

TABLES = (".csv", ".tsv")

#: names that may be raw binary too: tables where no dtype is given, or no shape and the file holds one (`holds_table`)
TEXTS = (".data", ".txt")

#: the delimiter is the first of these that the first line holds
DELIMITERS = ("\t", ";", ",", " ")

#: what a missing value is written as, in any case, besides an empty cell: by R, pandas, numpy, spreadsheets, ARFF
MISSING_MARKS = ("?", "na", "n/a", "<na>", "nan", "-nan", "null")

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_FLOAT = re.compile(r"[+-]?([0-9]+([.,][0-9]*)?|[.,][0-9]+)(e[+-]?[0-9]+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)
#: a number with a point or a power of ten
_DECIMAL = re.compile(r"[+-]?([0-9]{1,20}(\.[0-9]{0,25})?|\.[0-9]{1,25})(e[+-]?[0-9]{1,3})?", re.IGNORECASE)
_NUMBER = re.compile(rf"{_FLOAT.pattern}|[+-]?0[xob][0-9a-f]+", re.IGNORECASE)

#: what to do about cells that hold words, and decimals where only integers are taken
WORDS = "; a column of words must be left out of the file, or its words numbered"
DECIMALS = "; circuits that pcedge train made of decimals take it, and so does pcedge.data.Reading(typed=True)"

#: who takes cells that say missing
TAKEN = "; loglik and score take it; train and encode do with --missing"

#: digits of a decimal at most: a double gives so many back
DIGITS = 15

#: columns from which a line that counts them may be names that nobody chose, as pandas writes them
COUNTED = 3


#: bytes of a file that are looked at for whether it holds a table
_LOOKED_AT = 1 << 16
_INTEGERS = re.compile(rb"[+-]?[0-9]{1,20}(?:([\t;, ])[+-]?[0-9]{1,20}(?:\1[+-]?[0-9]{1,20})*)?")


class Row(NamedTuple):
    """Hold a line of a table; a blank one has no cells."""

    #: the line in the file, from 1; the last one where a cell in quotes runs over several
    line: int
    cells: list[str]
    #: whether the line holds quotes
    quoted: bool


@dataclass(frozen=True)
class Head:
    """Hold the first line of a table that is not blank."""

    first: Row
    #: whether it is a header, and no record
    named: bool
    #: the blank lines before it
    blank: tuple[int, ...]

    @property
    def names(self) -> tuple[str, ...] | None:
        """Give the names, where the line is a header."""
        return tuple(self.first.cells) if self.named else None

    @property
    def counted(self) -> bool:
        """Tell whether the line, taken as a record, may be names that nobody chose: 0, 1, 2 and so on, or from 1."""
        numerals = [str(number) for number in range(len(self.first.cells) + 1)]
        return not self.named and len(numerals) > COUNTED and self.first.cells in (numerals[:-1], numerals[1:])


def read_table(
    path: Path,
    missing: float | None,
    dtype: np.dtype[Any] | None,
    header: bool | None = None,
    typed: bool = False,
    fields: np.dtype[Any] | None = None,
) -> Array:
    """Read a table, a record a line.

    Blank lines are passed over; between the records of a table of one column they are empty cells.

    Args:
        path: the file, UTF-8.
        missing: what an empty cell or one of `MISSING_MARKS` stands for; None refuses them.
        typed: whether columns may hold decimal numbers; the result then has a field for each column, unless all hold
            integers. A missing one of a column of decimals is NaN.
        fields: the type of the records where it has these columns (`pcedge.data.structs.records_of`).
        dtype: of the result; None takes the smallest one that holds every value, unsigned where none is negative.
        header: whether the first line is a header; None takes it as one if a cell of it is a name, and none a number.

    Raises:
        DataError: a cell is no integer, a line has another number of cells than the first, or there are none.
    """
    with refused(path, "table in UTF-8"), path.open(encoding="utf-8-sig", newline="") as file:
        return parse_table(file, str(path), missing, dtype, header, typed, fields)


def holds_table(path: Path) -> bool:
    """Tell whether a file begins with lines of integers, all of one length: raw binary practically never does."""
    if not path.is_file():
        return False
    with refused(path, "readable file"), path.open("rb") as file:
        begin = file.read(_LOOKED_AT)
    lines = begin.splitlines()[: -1 if len(begin) == _LOOKED_AT else None]
    cells = {len(re.split(rb"[\t;, ]", line)) if _INTEGERS.fullmatch(line) else 0 for line in lines if line.strip()}
    return len(lines) > 1 and len(cells) == 1 and 0 not in cells


def read_head(path: Path, header: bool | None = None) -> Head | None:
    """Read the first line of a table as `read_table` takes it; None where there is none.

    Raises:
        DataError: the line is not that of a table.
    """
    with refused(path, "table in UTF-8"), path.open(encoding="utf-8-sig", newline="") as file:
        return _head(_rows(file), header)


def read_cells(path: Path, header: bool | Callable[[list[str], bool], bool]) -> tuple[Head | None, Array]:
    """Read a table's cells as texts, (records, columns) of objects, and its first line; None where there is none.

    Args:
        path: the file, UTF-8.
        header: whether the first line is a header, or what says so of its cells and of whether it looks like one.

    Raises:
        DataError: a line has another number of cells than the first.
    """
    with refused(path, "table in UTF-8"), path.open(encoding="utf-8-sig", newline="") as file:
        rows = _rows(file)
        head = _head(rows, header if isinstance(header, bool) else None)
        if head is None:
            return None, np.zeros((0, 0), dtype=object)
        if not isinstance(header, bool):
            head = replace(head, named=header(head.first.cells, head.named))
        width = len(head.first.cells)
        cells = []
        for row in _records(head, rows):
            if len(row.cells) != width:
                raise DataError(
                    f"{path}, line {row.line}: must have {width} cells like the first line, got {len(row.cells)}"
                )
            cells.append(row.cells)
        return head, np.array(cells, dtype=object).reshape(-1, width)


def parse_header(text: str) -> tuple[str, ...] | None:
    r"""Read the names of a header that stands alone; None where there is none.

    Example:
        >>> parse_header("\n\"a, b\",c\n")
        ('a, b', 'c')
    """
    try:
        head = _head(_rows(text.removeprefix("\ufeff").splitlines(keepends=True)), True)
    except csv.Error:
        return None
    return None if head is None else head.names


def parse_table(
    lines: Iterable[str],
    where: str,
    missing: float | None,
    dtype: np.dtype[Any] | None,
    header: bool | None = None,
    typed: bool = False,
    fields: np.dtype[Any] | None = None,
) -> Array:
    r"""Read a table from its lines, with their ends; arguments and errors are those of `read_table`.

    Raises:
        csv.Error: quotes are not those of CSV.

    Example:
        >>> parse_table(["a,b\n", "1,NA\n"], "x.csv", -1, None).tolist()
        [[1, -1]]
    """
    rows = _rows(lines)
    head = _head(rows, header)
    if head is None:
        raise DataError(f"{where} must hold at least one line of integers, it is empty")
    typed = typed and dtype is None
    values: list[list[float]] = []
    quoted = False
    for row in _records(head, rows):
        if len(row.cells) != len(head.first.cells):
            raise DataError(
                f"{where}, line {row.line}: must have {len(head.first.cells)} cells like the first line, "
                f"got {len(row.cells)}"
            )
        if all(map(_INTEGER.fullmatch, row.cells)):
            values.append([int(cell) for cell in row.cells])
        else:
            cells = enumerate(row.cells)
            values.append([_value(where, head, header, row.line, entry, missing, typed) for entry in cells])
        quoted |= row.quoted and row.line != head.first.line
    if header is None and not head.named and head.first.quoted and not quoted and len(values) > 1:
        if any(map(_INTEGER.fullmatch, head.first.cells)):
            raise DataError(
                f"{where}, line {head.first.line}: its numbers are in quotes and no others are, so they may be names; "
                "--header takes them as names, --no-header as a record"
            )
    floats = [number for number, column in enumerate(zip(*values, strict=True)) if any(map(_is_float, column))]
    if typed and fields is not None and fields.names == _names(head):
        told = (number for number, name in enumerate(_names(head)) if fields[name].kind == "f")
        return _to_fields(where, values, head, sorted({*floats, *told}), missing, fields)
    # Columns that are not those of the circuit keep their names, by which they are refused.
    if floats or (typed and fields is not None):
        return _to_fields(where, values, head, floats, missing, None)
    return _to_array(where, values, len(head.first.cells), dtype)


def _is_float(value: float) -> bool:
    return isinstance(value, float)


def _rows(lines: Iterable[str]) -> Iterator[Row]:
    """Split lines at the delimiter of the first one that is not blank."""
    source = iter(lines)
    start: list[str] = []
    for line in source:
        start.append(line)
        if line.strip():
            break
    first = start[-1].strip(" \r\n") if start else ""
    delimiter = next((sign for sign in DELIMITERS if sign in first), None)
    # Lines of tabs alone are records of empty cells.
    delimiter = delimiter or ("\t" if any("\t" in line for line in start) else ",")
    quoted = False

    def watched() -> Iterator[str]:
        nonlocal quoted
        for line in chain(start, source):
            quoted |= '"' in line
            # Blanks at a line's ends separate nothing.
            yield line.strip(" \r\n") + "\n" if delimiter == " " else line

    reader = csv.reader(watched(), delimiter=delimiter, skipinitialspace=True, strict=True)
    for row in reader:
        cells = [cell.strip() for cell in row]
        # One empty cell is a blank line, but not where it is written as quotes.
        yield Row(reader.line_num, [] if cells == [""] and not quoted else cells, quoted)
        quoted = False


def _head(rows: Iterator[Row], header: bool | None) -> Head | None:
    blank: list[int] = []
    for row in rows:
        if row.cells:
            return Head(row, _is_header(row.cells) if header is None else header, tuple(blank))
        blank.append(row.line)
    return None


def _is_header(cells: list[str]) -> bool:
    """Tell names from a record: at least one holds a word that marks no missing value, and no number is among them."""
    named = any(not is_mark(word) and any(map(str.isalpha, word)) for cell in cells for word in _words(cell))
    return named and not any(_is_number(cell) or _swallows(cell) for cell in cells)


def is_mark(cell: str) -> bool:
    """Tell a cell that says missing."""
    return not cell or cell.lower() in MISSING_MARKS


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None and not is_mark(cell)


def _swallows(cell: str) -> bool:
    """Tell whether a cell is more than a name: binary, or lines with numbers between quotes that stand wrong."""
    return "\0" in cell or any(_is_number(word) for line in cell.splitlines()[1:] for word in _words(line))


def _words(text: str) -> list[str]:
    """Split a text where a delimiter or the end of a line would."""
    return re.split(r"[;,\s]+", text)


def _records(head: Head, rows: Iterator[Row]) -> Iterator[Row]:
    """Give the lines that are records; in a table of one column a blank line between two is an empty cell."""
    blank = [] if head.named else list(head.blank)
    for row in rows if head.named else chain([head.first], rows):
        if not row.cells:
            blank.append(row.line)
            continue
        if len(head.first.cells) == 1:
            yield from (Row(line, [""], False) for line in blank)
        blank.clear()
        yield row


def _value(
    where: str,
    head: Head,
    header: bool | None,
    line: int,
    entry: tuple[int, str],
    missing: float | None,
    typed: bool,
) -> float:
    """Give the number of a cell, an integer where it has no point, or say why it is none."""
    column, cell = entry
    if _INTEGER.fullmatch(cell):
        return int(cell)
    if missing is not None and is_mark(cell):
        return missing
    if typed and _DECIMAL.fullmatch(cell):
        if len(re.sub(r"[^0-9]", "", cell.lower().partition("e")[0]).lstrip("0")) <= DIGITS:
            return float(cell)
        name = repr(head.first.cells[column]) if head.named else str(column + 1)
        raise DataError(
            f"{where}, line {line}, column {name}: a decimal must have at most {DIGITS} digits, got {cell!r}"
        )
    if is_mark(cell):
        reason = f"got {cell!r}{TAKEN}" if cell else f"it is empty{TAKEN}"
    else:
        reason = f"got {'the float ' if _FLOAT.fullmatch(cell) else ''}{cell[:40]!r}"
        if not typed and _DECIMAL.fullmatch(cell):
            reason += DECIMALS
        elif line != head.first.line and not _is_number(cell):
            reason += WORDS
    if line == head.first.line and header is None and not _is_number(cell):
        reason += "; --header takes the line as names"
    name = repr(head.first.cells[column]) if head.named else str(column + 1)
    what = "a number" if typed else "an integer"
    raise DataError(f"{where}, line {line}, column {name}: a cell must hold {what}, {reason}")


def _names(head: Head) -> tuple[str, ...]:
    """Name the columns of a table as fields."""
    names = head.names or ()
    if len(set(names)) < len(head.first.cells) or not all(names):
        return tuple(f"c{number}" for number in range(len(head.first.cells)))
    return names


def _to_fields(
    where: str, rows: list[list[float]], head: Head, floats: list[int], missing: float | None,
    fields: np.dtype[Any] | None,
) -> Array:  # fmt: skip
    """Make records with a field for each column: doubles, and integers of the least type, or of that of `fields`."""
    names = _names(head)
    columns: dict[str, Array] = {}
    for number, cells in enumerate(zip(*rows, strict=True) if rows else [()] * len(names)):
        if number in floats:
            gone = None if missing is None or missing != missing else missing
            if (large := next((v for v in cells if not _is_float(v) and abs(v) >= 10**DIGITS), None)) is not None:
                raise DataError(
                    f"{where}, column {names[number]!r}: a decimal must have at most {DIGITS} digits, got {large}"
                )
            columns[names[number]] = np.array(
                [math.nan if v == gone and not _is_float(v) else v for v in cells], dtype=np.float64
            )
        else:
            columns[names[number]] = _to_array(where, [[value] for value in cells], 1, None)[:, 0]
    return records_of(columns, where, fields)


def _to_array(where: str, rows: list[list[float]], width: int, dtype: np.dtype[Any] | None) -> Array:
    try:
        values = np.array(rows, dtype=np.int64)
    except OverflowError:
        values = np.array(rows, dtype=object)
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    kinds = ("uint8", "uint16", "uint32", "uint64") if low >= 0 else ("int8", "int16", "int32", "int64")
    choices = kinds if dtype is None else (dtype.name,)
    for name in choices:
        bounds = (0, 1) if name == "bool" else (int(np.iinfo(name).min), int(np.iinfo(name).max))
        if bounds[0] <= low and high <= bounds[1]:
            return values.reshape(-1, width).astype(name)
    raise DataError(f"{where} must hold integers that fit {choices[-1]}, got {low}..{high}")
