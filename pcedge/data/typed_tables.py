"""Tables whose columns have types of their own: Parquet and Arrow by pyarrow, ARFF by scipy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.data.damage import foreign
from pcedge.data.structs import records_of
from pcedge.errors import DataError
from pcedge.extras import needing
from pcedge.limits import check_bytes

Array = NDArray[Any]

PARQUET, ARROW, ARFF = (".parquet", ".pq"), (".arrow", ".feather", ".ipc"), (".arff",)

#: integers of the least type that holds them
_KINDS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "uint64")


def read_typed_table(path: Path, name: str | None, missing: float | None, fields: np.dtype[Any] | None = None) -> Array:
    """Read a table.

    Args:
        path: the file.
        name: the one column that is meant; None takes all.
        missing: the integer that stands for a missing value in a column of integers; in floats it is NaN. None refuses
            missing values.
        fields: the type of the records where it has these columns (`pcedge.data.structs.records_of`).

    Returns:
        Integers of shape (records, columns) where all columns have one type, else records with a field for each column.

    Raises:
        DataError: the file is damaged, a column holds no numbers, or has missing values that nothing stands for.
        MissingToolError: the library is not installed.
    """
    suffix = path.suffix.lower()
    return joined(str(path), (_read_arff if suffix in ARFF else _read_arrow)(path, name, missing), fields)


def read_cells_of(path: Path) -> dict[str, Array]:
    """Read the columns of a Parquet or Arrow file as they are, texts too; missing ones are None or NaN.

    Raises:
        DataError: the file is damaged.
        MissingToolError: pyarrow is not installed.
    """
    with needing("pyarrow", "parquet", "reading Parquet and Arrow files"):
        from pyarrow import feather, parquet
    with foreign(path, "Parquet or Arrow file"):
        with path.open("rb") as file:
            packed = file.read(4) == b"PAR1"
        if packed:
            about = parquet.ParquetFile(str(path)).metadata
            needed = 64 * about.num_rows * max(1, about.num_columns)
            check_bytes("packed", needed, path.stat().st_size, str(path), DataError)
            table = parquet.read_table(str(path))
        else:
            table = feather.read_table(str(path), memory_map=False)
        columns = zip(table.column_names, table.columns, strict=True)
        return {name: np.array(column.to_pylist(), dtype=object) for name, column in columns}


def joined(where: str, columns: Mapping[str, Array], fields: np.dtype[Any] | None = None) -> Array:
    """Put columns side by side: as plain integers where they are of one type, else as fields of records (`fields`)."""
    if not columns:
        raise DataError(f"{where} must have a column at least, it has none")
    kinds = {column.dtype for column in columns.values()}
    if fields is None and len(kinds) == 1 and next(iter(kinds)).kind in "iub":
        return np.stack(list(columns.values()), axis=1)
    return records_of(columns, where, fields)


def least_integers(values: Array) -> Array:
    """Give integers in the least type that holds them, without a sign where none is negative."""
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    for kind in _KINDS:
        info = np.iinfo(kind)
        if info.min <= low and high <= info.max and (low < 0) == (info.min < 0):
            return values.astype(kind)
    raise DataError(f"integers must fit 64 bits, got {low}..{high}")


def _read_arrow(path: Path, name: str | None, missing: float | None) -> dict[str, Array]:
    with needing("pyarrow", "parquet", "reading Parquet and Arrow files"):
        import pyarrow
        from pyarrow import feather, parquet
    with foreign(path, "Parquet or Arrow file"):
        with path.open("rb") as file:
            packed = file.read(4) == b"PAR1"
        only = None if name is None else [name]
        if packed:
            about = parquet.ParquetFile(str(path)).metadata
            needed = 16 * about.num_rows * max(1, about.num_columns)
            check_bytes("packed", needed, path.stat().st_size, str(path), DataError)
            table = parquet.read_table(str(path), columns=only)
        else:
            table = feather.read_table(str(path), columns=only, memory_map=False)
        columns: dict[str, Array] = {}
        for key, column in zip(table.column_names, table.columns, strict=True):
            kind = column.type
            if pyarrow.types.is_timestamp(kind) or pyarrow.types.is_time64(kind) or pyarrow.types.is_duration(kind):
                column = column.cast(pyarrow.int64())
            elif pyarrow.types.is_date32(kind) or pyarrow.types.is_time32(kind):
                column = column.cast(pyarrow.int32())
            elif not (
                pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind) or pyarrow.types.is_boolean(kind)
            ):
                raise DataError(f"{path}, column {key!r}: must hold numbers, got {kind}")
            columns[key] = _filled(path, key, column, missing)
        return columns


def _filled(path: Path, name: str, column: Any, missing: float | None) -> Array:
    if not column.null_count:
        return np.asarray(column.to_numpy())
    if missing is None:
        raise DataError(f"{path}, column {name!r}: {column.null_count} values are missing; --missing takes them")
    gone = np.asarray(column.is_null().to_numpy())
    marker = float("nan") if np.asarray(column.slice(0, 0).to_numpy()).dtype.kind == "f" else missing
    if marker != marker and np.asarray(column.slice(0, 0).to_numpy()).dtype.kind != "f":
        raise DataError(f"{path}, column {name!r}: --missing must be an integer for integers that are missing, got nan")
    zero = column.fill_null(0).to_numpy()
    made: Array = np.where(gone, np.array(marker, dtype=zero.dtype if marker != marker else None), zero)
    return made if made.dtype.kind == "f" else made.astype(np.result_type(zero.dtype, np.min_scalar_type(int(marker))))


def _read_arff(path: Path, name: str | None, missing: float | None) -> dict[str, Array]:
    with needing("scipy", "arff", "reading ARFF files"):
        from scipy.io import arff
    with foreign(path, "ARFF file"):
        data, about = arff.loadarff(str(path))
        columns: dict[str, Array] = {}
        for key in about.names():
            if name not in (None, key):
                continue
            kind, values = about[key]
            if kind == "nominal":
                columns[key] = _numbered(path, key, data[key], values, missing)
            elif kind == "numeric":
                columns[key] = _numeric(path, key, data[key].astype(np.float64), missing)
            else:
                raise DataError(f"{path}, column {key!r}: must hold numbers or names that are listed, got {kind}")
        return columns


def _numbered(path: Path, name: str, given: Array, values: Any, missing: float | None) -> Array:
    """Number the names of a column in the order of its list."""
    names = {str(value): number for number, value in enumerate(values)}
    numbers = [names.get(value.decode("utf-8"), -1) for value in given.tolist()]
    if -1 in numbers and missing is None:
        raise DataError(f"{path}, column {name!r}, record {numbers.index(-1)}: is missing; --missing takes it")
    return least_integers(np.array([missing if n < 0 else n for n in numbers], dtype=np.int64))


def _numeric(path: Path, name: str, values: Array, missing: float | None) -> Array:
    gone = np.isnan(values)
    if gone.any() and missing is None:
        raise DataError(f"{path}, column {name!r}, record {int(np.argmax(gone))}: is missing; --missing takes it")
    present = values[~gone]
    if (
        not ((present == np.rint(present)) & (np.abs(present) < 2.0**53)).all()
        or (np.signbit(values) & (values == 0)).any()
    ):
        return values
    if gone.any() and (missing is None or missing != missing):
        return values
    return least_integers(np.where(gone, missing if missing is not None else 0, values).astype(np.int64))
