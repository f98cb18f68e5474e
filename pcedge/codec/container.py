"""The bytes of a stream: header, extension fields, segments of lanes, checksums (docs/stream.md gives every byte)."""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from pcedge.codec.fields import MOST_FIELDS, MOST_TYPE, Field
from pcedge.errors import StreamError

MAGIC = b"\x8ePCE"
#: version 1 has no fields, records of two dimensions at least, and integers only; what fits it is written in it
VERSION, VERSION_WITH_FIELDS = 1, 2

#: the field of a stream whose lanes are contiguous rows of numbers, with raw bits beside their bytes
CONTIGUOUS = ((Field.LANE_ORDER, b""),)

#: numbers of a segment of contiguous lanes
SEGMENT_NUMBERS = 1 << 20

#: bytes of the circuit's SHA-256 digest that the header carries
DIGEST_BYTES = 16

#: lanes of a segment where the caller names none
DEFAULT_LANES = 64

#: records of a segment: bounds the memory of a reader
SEGMENT_RECORDS = 1 << 16

#: what a reader accepts before it has seen any checked byte
MAX_DIMENSIONS = 16

#: the dtypes of a stream, by the names that they have in it
DTYPES = {np.dtype(order + kind).str.encode("ascii"): np.dtype(order + kind)
          for order in "<>" for kind in ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")}  # fmt: skip

#: what version 2 has beside them: floats, and records of so many bytes, whose fields the circuit's columns give
_TYPED = re.compile(rb"[<>]f[248]|\|V[1-9][0-9]{0,5}")


@dataclass(frozen=True)
class Segment:
    """Hold the lanes of some records; decodable by itself."""

    records: int
    lanes: tuple[bytes, ...]
    #: raw bits of every lane, where they are contiguous
    raw: tuple[bytes, ...] = ()
    #: the rows themselves in place of lanes
    stored: bytes | None = None
    #: the checksum of the given values, where variables are given
    given: bytes = b""

    def pack(self) -> bytes:
        """Write the segment with its checksum."""
        parts = self.lanes + self.raw
        body = varint(self.records) + varint(len(self.lanes))
        body += b"".join(varint(len(part)) for part in parts) + b"".join(parts) + (self.stored or b"") + self.given
        return body + zlib.crc32(body).to_bytes(4, "little")

    @property
    def payload_bytes(self) -> int:
        """Count the bytes of the lanes, or of the rows that stand for them."""
        return sum(map(len, self.lanes + self.raw)) + len(self.stored or b"")


class Data(Protocol):
    """Hold bytes of which parts can be taken: bytes, or a file that is read where it is asked."""

    def __len__(self) -> int:
        """Give how many there are."""

    def __getitem__(self, part: slice, /) -> bytes:
        """Take some, fewer at the end."""


@dataclass(frozen=True)
class Stream:
    """Hold a parsed stream."""

    digest: bytes
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    segments: tuple[Segment, ...]
    #: types, ascending, and bytes
    fields: tuple[tuple[int, bytes], ...] = ()
    #: of a stream of packets, which has no segments
    packets: tuple[bytes, ...] = ()

    @property
    def version(self) -> int:
        """Give the version in which the stream is written: the least that can hold it."""
        plain = self.dtype.str.encode("ascii") in DTYPES and len(self.shape) >= 2
        return VERSION if plain and not self.fields else VERSION_WITH_FIELDS

    @property
    def contiguous(self) -> bool:
        """Tell whether lanes are contiguous rows of numbers with raw bits beside them."""
        return Field.LANE_ORDER in dict(self.fields)

    @property
    def indexed(self) -> tuple[int, int] | None:
        """Give the rows and the lanes of the segments of a stream with an index; None where it has none.

        Raises:
            StreamError: the field that says so is damaged.
        """
        data = dict(self.fields).get(Field.SEGMENTS)
        if data is None:
            return None
        reader = Reader(data)
        rows, lanes = reader.varint("field 9"), reader.varint("field 9")
        most = SEGMENT_NUMBERS if self.contiguous else SEGMENT_RECORDS
        if reader.offset != len(data) or not 1 <= rows <= most or not 1 <= lanes <= rows:
            raise StreamError(f"field 9 must be 1..{most} rows and no more lanes, got {data[:40].hex()}")
        return rows, lanes

    @property
    def packet_bytes(self) -> int | None:
        """Give the bytes of a packet; None where the stream has segments.

        Raises:
            StreamError: the field that says so is damaged.
        """
        data = dict(self.fields).get(Field.PACKETS)
        if data is None:
            return None
        reader = Reader(data)
        size = reader.varint("field 15")
        if reader.offset != len(data) - 2 or not size:
            raise StreamError(
                f"field 15 must be the bytes of a packet, of a place, and a checksum's bits, got {data[:40].hex()}"
            )
        return size

    @cached_property
    def given(self) -> tuple[int, ...]:
        """Give the variables that are not in the stream, ascending.

        Raises:
            StreamError: the field that names them is damaged, or stands where none can be given.
        """
        fields, record = dict(self.fields), math.prod(self.shape[1:])
        if Field.GIVEN not in fields:
            return ()
        if Field.LANE_ORDER in fields or Field.PACKETS in fields:
            raise StreamError("field 13 must stand beside neither field 7 nor 15, it does")
        reader = Reader(fields[Field.GIVEN])
        variables = [reader.varint("field 13")]
        while reader.offset < len(reader.data) and variables[-1] < record:
            variables.append(variables[-1] + (reader.varint("field 13") or record))
        if variables[-1] >= record:
            raise StreamError(f"field 13 must have ascending variables of a record, 0..{record - 1}, it has others")
        return tuple(variables)

    @property
    def row_bytes(self) -> int:
        """Give the bytes of a row that is stored."""
        return (math.prod(self.shape[1:]) - len(self.given)) * self.dtype.itemsize

    def pack(self) -> bytes:
        """Write the stream."""
        segments = [segment.pack() for segment in self.segments]
        tail = pack_index([len(segment) for segment in segments]) if Field.SEGMENTS in dict(self.fields) else b""
        return self.pack_head() + b"".join(segments) + b"".join(self.packets) + tail

    def pack_head(self) -> bytes:
        """Write the header."""
        name = self.dtype.str.encode("ascii")
        header = MAGIC + bytes([self.version]) + self.digest[:DIGEST_BYTES] + bytes([len(name)]) + name
        header += bytes([len(self.shape)]) + b"".join(varint(size) for size in self.shape)
        if self.version == VERSION_WITH_FIELDS:
            header += varint(len(self.fields))
            header += b"".join(varint(kind) + varint(len(data)) + data for kind, data in self.fields)
        return header + zlib.crc32(header).to_bytes(4, "little")

    @property
    def payload_bytes(self) -> int:
        """Count the bytes of all lanes, and of what is stored."""
        return sum(segment.payload_bytes for segment in self.segments) + sum(map(len, self.packets))


def parse(data: object) -> Stream:
    """Take a stream apart and check everything that needs no circuit.

    Raises:
        StreamError: magic, version, a length, or a checksum is wrong.
    """
    whole = _bytes(data)
    reader = Reader(whole)
    head = read_head(reader)
    if head.packet_bytes is not None:
        size = head.packet_bytes  # what is left at the end is a packet that is damaged
        return replace(head, packets=tuple(whole[at : at + size] for at in range(reader.offset, len(whole), size)))
    segments: list[Segment] = []
    sizes: list[int] = []
    done = 0
    while done < head.shape[0]:
        start = reader.offset
        segments.append(read_segment(reader, len(segments), head.shape[0] - done, head))
        sizes.append(reader.offset - start)
        done += segments[-1].records
    if head.indexed is not None:
        check_index(reader, sizes)
    if reader.offset != len(whole):
        raise StreamError(f"the stream must end after its {done} records, {len(whole) - reader.offset} bytes follow")
    stream = replace(head, segments=tuple(segments))
    if Field.STORED in dict(head.fields) and all(segment.stored is None for segment in segments):
        raise StreamError("a stream with field 11 must have a segment that is stored, it has none")
    return stream


def read_head(reader: Reader) -> Stream:
    """Read a header; the stream that it gives has no segments yet.

    Raises:
        StreamError: magic, version, a length, or the checksum is wrong.
    """
    magic = reader.take(len(MAGIC), "magic")
    if magic != MAGIC:
        hint = ", as an archive: pcedge unpack takes it" * (magic == b"\x8ePCZ")
        raise StreamError(f"a stream must start with {MAGIC.hex()}, got {magic.hex()}{hint}")
    version = reader.take(1, "version")[0]
    if version not in (VERSION, VERSION_WITH_FIELDS):
        raise StreamError(f"the stream must be of version {VERSION} or {VERSION_WITH_FIELDS}, got {version}")
    digest = reader.take(DIGEST_BYTES, "digest")
    name = reader.take(reader.take(1, "dtype")[0], "dtype")
    dimensions = reader.take(1, "shape")[0]
    shape = tuple(reader.varint("shape") for _ in range(min(dimensions, MAX_DIMENSIONS)))
    fields = _read_fields(reader) if version == VERSION_WITH_FIELDS else ()
    reader.check("header", 0)
    dtype = _dtype(name, version)
    least = 2 if version == VERSION else 1
    if not least <= dimensions <= MAX_DIMENSIONS:
        raise StreamError(f"the shape must have {least}..{MAX_DIMENSIONS} dimensions, got {dimensions}")
    head = Stream(digest, dtype, shape, (), fields)
    if head.version != version:
        raise StreamError(f"a stream that version {VERSION} can hold must be of it, got {version}")
    if dict(fields).get(Field.STORED):
        raise StreamError("field 11 must have no bytes, it has some")
    return head


def _bytes(data: object) -> bytes:
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise StreamError(f"a stream must be bytes, got {type(data).__name__}")
    return bytes(data)


def _read_fields(reader: Reader) -> tuple[tuple[int, bytes], ...]:
    count = reader.varint("fields")
    if count > MOST_FIELDS:
        raise StreamError(f"a stream must have at most {MOST_FIELDS} fields, got {count}")
    fields: list[tuple[int, bytes]] = []
    for _ in range(count):
        kind = reader.varint("fields")
        least = fields[-1][0] + 1 if fields else 1
        if not least <= kind <= MOST_TYPE:
            raise StreamError(f"the next field must have a type of {least}..{MOST_TYPE}, got {kind}")
        fields.append((kind, reader.take(reader.varint("fields"), f"field {kind}")))
    return tuple(fields)


def read_segment(reader: Reader, number: int, left: int, head: Stream) -> Segment:
    """Read a segment and check all of it that needs no circuit.

    Args:
        reader: stands at its beginning.
        number: its number, for messages.
        left: the records that are left of the stream.
        head: the stream's header.

    Raises:
        StreamError: a length or the checksum is wrong.
    """
    where = f"segment {number}"
    start = reader.offset
    records, lanes, lengths = read_lengths(reader, where, head)
    if not lanes and Field.STORED in dict(head.fields):
        rows, given = (reader.take(size, where) for size in (records * head.row_bytes, 4 * bool(head.given)))
        reader.check(where, start)
        if not 1 <= records <= left:
            raise StreamError(f"{where} must have 1..{left} records, got {records}")
        return Segment(records, (), (), rows, given)
    payload = tuple(reader.take(length, f"{where}, lane {lane % lanes}") for lane, length in enumerate(lengths))
    given = reader.take(4 * bool(head.given), where)
    reader.check(where, start)
    most = min(left, SEGMENT_NUMBERS if head.contiguous else SEGMENT_RECORDS)
    if not 1 <= records <= most:
        raise StreamError(f"{where} must have 1..{most} records, got {records}")
    if not 1 <= lanes <= records:
        raise StreamError(f"{where} must have 1..{records} lanes, got {lanes}")
    return Segment(records, payload[:lanes], payload[lanes:], None, given)


def read_lengths(reader: Reader, where: str, head: Stream) -> tuple[int, int, list[int]]:
    """Read how many records and lanes a segment has, and the lengths of the lanes.

    Raises:
        StreamError: it ends before, or a count is written in too many bytes.
    """
    records = reader.varint(where)
    lanes = reader.varint(where)
    # Each lane has a length and a byte, so damaged counts cannot ask for more memory than the file has bytes.
    if lanes > len(reader.data) - reader.offset:
        raise StreamError(f"{where} must have a length byte for each of its {lanes} lanes: truncated or damaged")
    return records, lanes, [reader.varint(where) for _ in range((2 if head.contiguous else 1) * lanes)]


def pack_index(sizes: list[int]) -> bytes:
    """Write the index: the bytes of every segment, in as few bytes as the largest needs."""
    width = max(1, (max(sizes, default=0).bit_length() + 7) // 8)
    body = b"".join(size.to_bytes(width, "little") for size in sizes) + bytes([width])
    return body + zlib.crc32(body).to_bytes(4, "little")


def check_index(reader: Reader, sizes: list[int]) -> None:
    """Read the index behind segments of these sizes.

    Raises:
        StreamError: it is another one.
    """
    expected = pack_index(sizes)
    found = reader.take(len(expected), "index")
    if found != expected:
        raise StreamError("the index must be that of the segments before it, it is another: damaged stream")


def _dtype(name: bytes, version: int) -> np.dtype[np.generic]:
    if name in DTYPES:
        return DTYPES[name]
    if version == VERSION:
        raise StreamError(f"the dtype must be an integer type of numpy, got {name!r}")
    if not _TYPED.fullmatch(name):
        raise StreamError(f"the dtype must be an integer or float type of numpy, or |V and a size, got {name!r}")
    return np.dtype(name.decode("ascii"))


def varint(value: int) -> bytes:
    """Write an unsigned integer, seven bits a byte, low bits first."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


class Reader:
    """Read a stream from front to back."""

    def __init__(self, data: Data, offset: int = 0) -> None:
        """Begin at a place."""
        self.data = data
        self.offset = offset

    def take(self, size: int, where: str) -> bytes:
        """Take so many bytes.

        Raises:
            StreamError: there are fewer.
        """
        data = self.data[self.offset : self.offset + size]
        if len(data) != size:
            raise StreamError(f"{where} must have {size} bytes, {len(data)} are left: truncated stream")
        self.offset += size
        return data

    def varint(self, where: str) -> int:
        """Read a count.

        Raises:
            StreamError: it is not written in as few bytes as it needs, or has more than nine.
        """
        value = 0
        for index in range(9):
            byte = self.take(1, where)[0]
            value |= (byte & 127) << (7 * index)
            if byte < 128:
                if index and not byte:
                    raise StreamError(f"{where}: a count must be written in as few bytes as it needs")
                return value
        raise StreamError(f"{where}: a count must have at most 9 bytes")

    def check(self, where: str, start: int) -> None:
        """Read a checksum, of the bytes from `start` on.

        Raises:
            StreamError: it is another.
        """
        computed = zlib.crc32(self.data[start : self.offset])
        stored = int.from_bytes(self.take(4, f"checksum of {where}"), "little")
        if computed != stored:
            raise StreamError(f"the checksum of {where} must be {computed:08x}, got {stored:08x}: damaged stream")
