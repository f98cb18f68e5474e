"""The fields of a stream of version 2: typed, length-prefixed, in ascending order of their types (docs/stream.md)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from pcedge.errors import StreamError, UsageError

#: fields of a stream at most, and the largest type
MOST_FIELDS, MOST_TYPE = 64, 1 << 16

#: types, ascending, with their bytes
Fields = tuple[tuple[int, bytes], ...]


class Field(IntEnum):
    """Number the fields that version 2 defines."""

    #: text: what kind of file the data came from (docs/data.md)
    SOURCE = 1
    #: the bytes of that file before and after its numbers
    FRAME = 2
    #: the bytes at its end that did not fill a record
    PADDING = 3
    ESCAPES = 4
    MARKS = 5
    INDEX = 6
    #: in which order lanes are laid
    LANE_ORDER = 7
    #: rows and lanes of a segment, where an index stands at the end
    SEGMENTS = 9
    #: some segments hold their rows as they are
    STORED = 11
    #: the variables that encoder and decoder know, and of which nothing is stored
    GIVEN = 13
    #: the bytes of a packet, of its place, and bits of its checksum: packets follow instead of segments
    PACKETS = 15


#: the types without which the records are what they are: all readers may pass over them
BESIDE = frozenset({Field.SOURCE, Field.FRAME, Field.PADDING, Field.INDEX})

#: the types that `decode` takes into account, beside these
UNDERSTOOD: frozenset[int] = frozenset({Field.LANE_ORDER, Field.SEGMENTS, Field.STORED, Field.GIVEN, Field.PACKETS})


def check_fields(fields: Mapping[int, bytes]) -> tuple[tuple[int, bytes], ...]:
    """Order fields by their types.

    Raises:
        UsageError: there are too many, or a type is none.
    """
    if len(fields) > MOST_FIELDS or not all(1 <= kind <= MOST_TYPE for kind in fields):
        raise UsageError(
            f"a stream must have at most {MOST_FIELDS} fields of types 1..{MOST_TYPE}, got {sorted(fields)}"
        )
    return tuple((int(kind), bytes(fields[kind])) for kind in sorted(fields))


def check_understood(fields: tuple[tuple[int, bytes], ...]) -> None:
    """Refuse a stream with a field that changes the meaning of its records and is not understood.

    Of the types that version 2 does not define, those of even number may be passed over.

    Raises:
        StreamError: there is one.
    """
    for kind, _ in fields:
        known = kind in BESIDE or kind in UNDERSTOOD
        if not known and (kind % 2 or kind < Field.LANE_ORDER):
            raise StreamError(
                f"the stream must have no field of type {kind}, which this version of pcedge does not understand "
                "and may not pass over: a later version reads it"
            )
