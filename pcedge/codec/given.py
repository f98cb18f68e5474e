"""What both sides know of a stream's records: the values of its given variables (docs/stream.md, Given variables)."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.arrays import IntArray
from pcedge.codec.container import Segment, Stream, varint
from pcedge.data.symbolizer import value_range
from pcedge.errors import DataError, UsageError

Rows = NDArray[Any]

#: variables that are named in a message
SHOWN = 8


def pack_variables(variables: Sequence[int]) -> bytes:
    """Write the field that names given variables, which ascend."""
    return b"".join(varint(int(step)) for step in np.diff(variables, prepend=0))


def in_words(variables: Sequence[object]) -> str:
    """Name the first of some variables or columns for people."""
    return ", ".join(map(str, variables[:SHOWN])) + (", …" if len(variables) > SHOWN else "")


def given_rows(head: Stream, values: ArrayLike | None) -> Rows | None:
    """Take the values of a stream's given variables, as whoever decodes it has them.

    Args:
        head: the stream's header.
        values: integers, a row for each record: of the given variables in ascending order, or whole records.

    Returns:
        The given variables' values in the stream's dtype, (N, given); None where nothing is given.

    Raises:
        UsageError: there are values and the stream has no use for them, or there are none and it has.
        DataError: they have another shape, or do not fit the stream's dtype.
    """
    given, (count, *rest) = head.given, head.shape
    record = math.prod(rest)
    if not given:
        if values is not None:
            raise UsageError("given values must go with a stream that names given variables, this one names none")
        return None
    if values is None:
        raise UsageError(
            f"the values of variables {in_words(given)} must be given, the stream was encoded without them (--given "
            f"FILE, given= in Python): integers of shape ({count}, {len(given)}), or ({count}, {record}) of all"
        )
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise DataError(f"given values must be an array of rows that are equally long ({error})") from error
    width = math.prod(array.shape[1:])
    if array.dtype.kind not in "iub" or not array.ndim or len(array) != count or width not in (len(given), record):
        raise DataError(
            f"given values must be integers of shape ({count}, {len(given)}), those of variables {in_words(given)}, or "
            f"({count}, {record}), those of all, got {array.dtype} of shape {array.shape}"
        )
    rows = array.reshape(count, width)
    rows = rows[:, given] if width == record else rows
    lowest, highest = value_range(head.dtype.name)
    if rows.size and not lowest <= int(rows.min()) <= int(rows.max()) <= highest:
        raise DataError(f"given values must fit {head.dtype}, as the stream, got {rows.min()}..{rows.max()}")
    return np.ascontiguousarray(rows, dtype=head.dtype)


def checksum(rows: Rows) -> bytes:
    """Compute the checksum of a segment's given values, (records, given) in the stream's dtype."""
    return zlib.crc32(np.ascontiguousarray(rows).data).to_bytes(4, "little")


def check_given(segment: Segment, rows: Rows, number: int) -> None:
    """Demand the given values with which a segment was encoded.

    Raises:
        DataError: they are others.
    """
    if (found := checksum(rows)) != segment.given:
        raise DataError(
            f"the given values of segment {number} must be those that it was encoded with, of checksum "
            f"{segment.given[::-1].hex()}, got {found[::-1].hex()}: other values, records or order of columns"
        )


def whole_records(head: Stream, rows: Rows | None) -> IntArray | None:
    """Put given values where they stand in records of symbols, (records, variables), for an engine."""
    if rows is None:
        return None
    records = np.zeros((len(rows), math.prod(head.shape[1:])), dtype=np.int64)
    records[:, head.given] = rows
    return records


def given_of(rows: Rows, given: Sequence[int]) -> Rows:
    """Take the given values of rows of data, (records, given)."""
    return rows.reshape(len(rows), math.prod(rows.shape[1:]))[:, list(given)]


def without_given(rows: Rows, given: Sequence[int]) -> Rows:
    """Take the other values of rows of data, (records, rest)."""
    return np.delete(rows.reshape(len(rows), math.prod(rows.shape[1:])), list(given), axis=1)
