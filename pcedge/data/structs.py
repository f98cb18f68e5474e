"""The numbers within a record of a numpy structured dtype: fields, their fields, and elements of sub-arrays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.data.words import MAX_VARIABLES
from pcedge.errors import DataError, UsageError

Array = NDArray[Any]

#: fields that are named in a message
SHOWN = 16

#: bytes of a record at most
MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Place:
    """Say where in a record a number lies, and of which type it is."""

    name: str
    start: int
    dtype: np.dtype[Any]


def places_of(dtype: np.dtype[Any]) -> tuple[Place, ...]:
    """Give the numbers of a record in the order of its fields.

    Complex numbers are two floats, dates are 64-bit integers, fixed bytes (`S`, `V`) are so many bytes.

    Raises:
        DataError: there are none, too many, or a field is no number; the message names it.

    Example:
        >>> [place.name for place in places_of(np.dtype([("p", [("x", "<i4"), ("v", "u1", 2)]), ("t", "<f8")]))]
        ['p.x', 'p.v[0]', 'p.v[1]', 't']
    """
    if dtype.itemsize > MOST_BYTES:
        raise DataError(f"a record must have at most {MOST_BYTES} bytes, got {dtype.itemsize}")
    places = _places("", 0, dtype)
    if not places:
        raise DataError(f"a record must have a field at least, got {dtype}")
    return tuple(places)


def _places(name: str, start: int, dtype: np.dtype[Any]) -> list[Place]:
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        if math.prod(shape) > MAX_VARIABLES:
            raise DataError(f"field {name!r} must have at most {MAX_VARIABLES} elements, got shape {shape}")
        found = []
        for number, index in enumerate(np.ndindex(shape)):
            found += _places(f"{name}[{','.join(map(str, index))}]", start + number * base.itemsize, base)
        return found
    if dtype.names is not None:
        assert dtype.fields is not None
        found = []
        for field in dtype.names:
            kind, offset = dtype.fields[field][:2]
            found += _places(f"{name}.{field}" if name else field, start + offset, kind)
        return found
    if dtype.kind == "c" and dtype.itemsize <= 16:
        half = np.dtype(f"{dtype.byteorder.replace('|', '=')}f{dtype.itemsize // 2}")
        return [Place(f"{name}.real", start, half), Place(f"{name}.imag", start + half.itemsize, half)]
    if dtype.kind in "SV":
        return [Place(f"{name}[{byte}]", start + byte, np.dtype("u1")) for byte in range(dtype.itemsize)]
    if dtype.kind in "mM":
        return [Place(name, start, np.dtype("i8").newbyteorder(dtype.byteorder))]
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise DataError(f"field {name!r} must hold numbers of at most 64 bits, got {dtype}")
    return [Place(name, start, dtype)]


def check_layout(dtype: np.dtype[Any], places: tuple[Place, ...]) -> NDArray[np.bool_]:
    """Give which bytes of a record belong to no field.

    Raises:
        DataError: two fields share bytes.
    """
    used = np.zeros(dtype.itemsize, dtype=bool)
    for place in places:
        part = used[place.start : place.start + place.dtype.itemsize]
        if part.any():
            raise DataError(f"the fields of a record must not share bytes, {place.name!r} does")
        part[:] = True
    return ~used


def check_padding(array: Array) -> None:
    """Demand that bytes between the fields of records are 0: numpy itself loses them when it copies records.

    Raises:
        DataError: they are not; the message says where.
    """
    if array.dtype.names is None or not array.size:
        return
    between = check_layout(array.dtype, places_of(array.dtype))
    if between.any():
        raw = np.ascontiguousarray(array.view(f"V{array.dtype.itemsize}")).view(np.uint8).reshape(array.size, -1)
        wrong = np.argwhere(raw[:, between] != 0)
        if len(wrong):
            element, byte = int(wrong[0, 0]), int(np.flatnonzero(between)[wrong[0, 1]])
            raise DataError(
                f"row {element // max(1, array[0].size)}: byte {byte} of a record lies between its fields and must be "
                f"0, got {int(raw[element, byte])}; a field of its own keeps it"
            )


def view_of(records: Array, place: Place) -> Array:
    """View the numbers of one place in an array of records, contiguous and of one dimension."""
    if not len(records):
        return np.zeros(0, place.dtype)
    return np.ndarray(
        records.shape, place.dtype, buffer=records.view(np.uint8), offset=place.start, strides=(records.dtype.itemsize,)
    )


def records_of(columns: Mapping[str, Array], where: str, fields: np.dtype[Any] | None = None) -> Array:
    """Put columns side by side, as fields of records.

    Args:
        columns: by name, each of shape (rows,).
        where: the file that they come from, for messages.
        fields: the type that records of these columns have, whatever the least one for the values of this file is; that
            of others is not looked at.

    Raises:
        DataError: a value does not fit its type; the message names column and row.
    """
    count = len(next(iter(columns.values())))
    if fields is not None and fields.names == tuple(columns) and all(fields[n].kind in "iubf" for n in columns):
        kinds = {name: fields[name] for name in columns}
    else:
        fields = np.dtype([(name, column.dtype) for name, column in columns.items()])
        kinds = {}
    table = np.zeros(count, dtype=fields)
    for name, column in columns.items():
        table[name] = _cast(column, kinds[name], f"{where}, column {name!r}") if name in kinds else column
    return table


def other_type(wanted: np.dtype[Any], got: np.dtype[Any]) -> str:
    """Say how a type of data differs from that of a circuit's columns, by the names of its fields where it has any."""
    if wanted.names is None or got.names is None:
        shown, came = (
            dtype.name if dtype.names is None else f"record of {in_words(dtype.names)} ({dtype.itemsize} bytes)"
            for dtype in (wanted, got)
        )
        return f"data must be of type {shown} for these columns, got {came}"
    start = f"data must have the columns {in_words(wanted.names)}"
    if wanted.names == got.names:
        odd = next((name for name in wanted.names if wanted[name] != got[name]), None)
        if odd is None:
            return f"{start} as they lie in records of {wanted.itemsize} bytes, got {got.itemsize}, or other places"
        return f"{start}, of type {wanted[odd]} in {odd!r}, got {got[odd]}"
    if set(wanted.names) == set(got.names):
        return f"{start} in this order, got {in_words(got.names)}: bring them into it"
    gone, more = ([n for n in a if n not in b] for a, b in ((wanted.names, got.names), (got.names, wanted.names)))
    parts = [f"{in_words(list(map(repr, gone)))} missing"] * bool(gone)
    parts += [f"{in_words(list(map(repr, more)))} not among them"] * bool(more)
    unnamed = tuple(f"c{number}" for number in range(len(got.names)))
    hint = "; its first row was taken for a record: --header takes it as one of names" * (got.names == unnamed)
    hint = hint or "; the circuit knows a table without a header, as --no-header reads one" * (
        wanted.names[:1] == ("c0",)
    )
    return f"{start}, got {in_words(got.names)}: {' and '.join(parts)}{hint}"


def in_words(names: Sequence[str]) -> str:
    """Name the first of some fields."""
    return ", ".join(names[:SHOWN]) + (f", … ({len(names)})" if len(names) > SHOWN else "")


def _cast(column: Array, dtype: np.dtype[Any], where: str) -> Array:
    if column.dtype.kind == "f" and dtype.kind != "f":
        raise DataError(f"{where}: must hold integers, as in the data that the circuit was trained on, got floats")
    with np.errstate(over="ignore"):
        made = column.astype(dtype)
    back = made.astype(column.dtype)
    wrong = ((back != column) & (column == column)) | ((made < 0) != (column < 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"{where}, record {row}: must fit {dtype.name}, as the data that the circuit was trained on, "
            f"got {column[row]!s}"
        )
    return made


def describe(dtype: np.dtype[Any]) -> Any:
    """Write a dtype as JSON: numpy's name with the byte order, or a list of fields."""
    found = np.lib.format.dtype_to_descr(dtype)
    return _lists(found)


def _lists(found: Any) -> Any:
    return [_lists(entry) for entry in found] if isinstance(found, tuple | list) else found


def described(entry: object) -> np.dtype[Any]:
    """Read a dtype that `describe` has written.

    Raises:
        UsageError: it is none, or one that no numbers have.
    """
    try:
        return np.dtype(np.lib.format.descr_to_dtype(_tuples(entry, 0)))
    except (TypeError, ValueError, KeyError, IndexError, SyntaxError, OverflowError, MemoryError) as error:
        raise UsageError(f"a dtype must be a name or a list of fields, got {str(entry)[:80]} ({error})") from error


def _tuples(entry: object, depth: int) -> Any:
    """Turn lists into what numpy takes: a list of fields, each a tuple of a name, a type and a shape."""
    if isinstance(entry, str) and len(entry) <= 64:
        return entry
    if not isinstance(entry, list) or len(entry) > MAX_VARIABLES or depth > 16:
        raise ValueError("it must be a text or a list")
    fields = []
    for field in entry:
        if not isinstance(field, list) or not 2 <= len(field) <= 3 or not isinstance(field[0], str | list):
            raise ValueError("a field must be a list of a name, a type and perhaps a shape")
        name = tuple(field[0]) if isinstance(field[0], list) else field[0]
        shape = field[2:]
        if shape and not (isinstance(shape[0], list) and all(type(n) is int and 0 < n < 1 << 20 for n in shape[0])):
            raise ValueError("a shape must be a list of sizes")
        fields.append((name, _tuples(field[1], depth + 1), *(tuple(part) for part in shape)))
    return fields
