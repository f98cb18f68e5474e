"""The bytes of a stream: header, extension fields, segments of lanes, checksums (docs/stream.md gives every byte)."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

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

    def pack(self) -> bytes:
        """Write the segment with its checksum."""
        parts = self.lanes + self.raw
        body = _varint(self.records) + _varint(len(self.lanes))
        body += b"".join(_varint(len(part)) for part in parts) + b"".join(parts)
        return body + zlib.crc32(body).to_bytes(4, "little")


@dataclass(frozen=True)
class Stream:
    """Hold a parsed stream."""

    digest: bytes
    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]
    segments: tuple[Segment, ...]
    #: types, ascending, and bytes
    fields: tuple[tuple[int, bytes], ...] = ()

    @property
    def version(self) -> int:
        """Give the version in which the stream is written: the least that can hold it."""
        plain = self.dtype.str.encode("ascii") in DTYPES and len(self.shape) >= 2
        return VERSION if plain and not self.fields else VERSION_WITH_FIELDS

    @property
    def contiguous(self) -> bool:
        """Tell whether lanes are contiguous rows of numbers with raw bits beside them."""
        return Field.LANE_ORDER in dict(self.fields)

    def pack(self) -> bytes:
        """Write the stream."""
        name = self.dtype.str.encode("ascii")
        header = MAGIC + bytes([self.version]) + self.digest[:DIGEST_BYTES] + bytes([len(name)]) + name
        header += bytes([len(self.shape)]) + b"".join(_varint(size) for size in self.shape)
        if self.version == VERSION_WITH_FIELDS:
            header += _varint(len(self.fields))
            header += b"".join(_varint(kind) + _varint(len(data)) + data for kind, data in self.fields)
        header += zlib.crc32(header).to_bytes(4, "little")
        return header + b"".join(segment.pack() for segment in self.segments)

    @property
    def payload_bytes(self) -> int:
        """Count the bytes of all lanes."""
        return sum(len(lane) for segment in self.segments for lane in segment.lanes + segment.raw)


def parse(data: bytes) -> Stream:
    """Take a stream apart and check everything that needs no circuit.

    Raises:
        StreamError: magic, version, a length, or a checksum is wrong.
    """
    data = _bytes(data)
    reader = _Reader(data)
    magic = reader.take(len(MAGIC), "magic")
    if magic != MAGIC:
        raise StreamError(f"a stream must start with {MAGIC.hex()}, got {magic.hex()}")
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
    segments: list[Segment] = []
    done = 0
    while done < shape[0]:
        segment = _read_segment(reader, len(segments), shape[0] - done, head.contiguous)
        done += segment.records
        segments.append(segment)
    if reader.offset != len(data):
        raise StreamError(f"the stream must end after its {done} records, {len(data) - reader.offset} bytes follow")
    return Stream(digest, dtype, shape, tuple(segments), fields)


def _bytes(data: object) -> bytes:
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise StreamError(f"a stream must be bytes, got {type(data).__name__}")
    return bytes(data)


def _read_fields(reader: _Reader) -> tuple[tuple[int, bytes], ...]:
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


def _read_segment(reader: _Reader, number: int, left: int, contiguous: bool) -> Segment:
    where = f"segment {number}"
    start = reader.offset
    records = reader.varint(where)
    lanes = reader.varint(where)
    # Each lane has a length and a byte, so damaged counts cannot ask for more memory than the file has bytes.
    if lanes > len(reader.data) - reader.offset:
        raise StreamError(f"{where} must have a length byte for each of its {lanes} lanes: truncated or damaged")
    strings = (2 if contiguous else 1) * lanes
    lengths = [reader.varint(where) for _ in range(strings)]
    payload = tuple(reader.take(length, f"{where}, lane {lane % lanes}") for lane, length in enumerate(lengths))
    reader.check(where, start)
    most = min(left, SEGMENT_NUMBERS if contiguous else SEGMENT_RECORDS)
    if not 1 <= records <= most:
        raise StreamError(f"{where} must have 1..{most} records, got {records}")
    if not 1 <= lanes <= records:
        raise StreamError(f"{where} must have 1..{records} lanes, got {lanes}")
    return Segment(records, payload[:lanes], payload[lanes:])


def _dtype(name: bytes, version: int) -> np.dtype[np.generic]:
    if name in DTYPES:
        return DTYPES[name]
    if version == VERSION:
        raise StreamError(f"the dtype must be an integer type of numpy, got {name!r}")
    if not _TYPED.fullmatch(name):
        raise StreamError(f"the dtype must be an integer or float type of numpy, or |V and a size, got {name!r}")
    return np.dtype(name.decode("ascii"))


def _varint(value: int) -> bytes:
    """Write an unsigned integer, seven bits a byte, low bits first."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


class _Reader:
    """Read a stream from front to back."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0

    def take(self, size: int, where: str) -> bytes:
        data = self.data[self.offset : self.offset + size]
        if len(data) != size:
            raise StreamError(f"{where} must have {size} bytes, {len(data)} are left: truncated stream")
        self.offset += size
        return data

    def varint(self, where: str) -> int:
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
        computed = zlib.crc32(self.data[start : self.offset])
        stored = int.from_bytes(self.take(4, f"checksum of {where}"), "little")
        if computed != stored:
            raise StreamError(f"the checksum of {where} must be {computed:08x}, got {stored:08x}: damaged stream")
