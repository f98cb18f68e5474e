"""The bytes of a stream: header, extension fields, segments of lanes, checksums (docs/stream.md gives every byte)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from pcedge.errors import StreamError

MAGIC = b"\x8ePCE"
#: the first has neither a form nor extension fields; a stream that needs none is still written so
VERSIONS = (1, 2)

#: forms of segments: records dealt out to lanes in turn; contiguous lanes of rows, with raw bits beside their bytes
IN_TURN, CONTIGUOUS = 0, 1

#: numbers of a segment of contiguous lanes
SEGMENT_NUMBERS = 1 << 20

#: extension fields of a header at most, and bytes of all of them
MAX_FIELDS, MAX_FIELD_BYTES = 64, 1 << 20

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
    form: int = IN_TURN
    #: extension fields: type and bytes, in the order of the header
    fields: tuple[tuple[int, bytes], ...] = ()

    @property
    def version(self) -> int:
        """Give the version: the first that can say it."""
        return 2 if self.form or self.fields else 1

    def pack(self) -> bytes:
        """Write the stream."""
        name = self.dtype.str.encode("ascii")
        header = MAGIC + bytes([self.version]) + self.digest[:DIGEST_BYTES] + bytes([len(name)]) + name
        header += bytes([len(self.shape)]) + b"".join(_varint(size) for size in self.shape)
        if self.version > 1:
            header += bytes([self.form]) + _varint(len(self.fields))
            header += b"".join(_varint(kind) + _varint(len(value)) + value for kind, value in self.fields)
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
    if version not in VERSIONS:
        raise StreamError(f"the stream must be of version {VERSIONS[0]} or {VERSIONS[-1]}, got {version}")
    digest = reader.take(DIGEST_BYTES, "digest")
    name = reader.take(reader.take(1, "dtype")[0], "dtype")
    dimensions = reader.take(1, "shape")[0]
    shape = tuple(reader.varint("shape") for _ in range(min(dimensions, MAX_DIMENSIONS)))
    form, fields = _read_extension(reader) if version > 1 else (IN_TURN, ())
    reader.check("header", 0)
    if version > 1 and form not in (IN_TURN, CONTIGUOUS):
        raise StreamError(f"the segments must be of form {IN_TURN} or {CONTIGUOUS}, got {form}")
    if version > 1 and not form and not fields:
        raise StreamError("a stream without extension fields, of form 0, must be of version 1, got version 2")
    dtype = _dtype(name)
    if not 2 <= dimensions <= MAX_DIMENSIONS:
        raise StreamError(f"the shape must have 2..{MAX_DIMENSIONS} dimensions, got {dimensions}")
    segments: list[Segment] = []
    done = 0
    while done < shape[0]:
        segment = _read_segment(reader, len(segments), shape[0] - done, form)
        done += segment.records
        segments.append(segment)
    if reader.offset != len(data):
        raise StreamError(f"the stream must end after its {done} records, {len(data) - reader.offset} bytes follow")
    return Stream(digest, dtype, shape, tuple(segments), form, fields)


def _bytes(data: object) -> bytes:
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise StreamError(f"a stream must be bytes, got {type(data).__name__}")
    return bytes(data)


def _read_extension(reader: _Reader) -> tuple[int, tuple[tuple[int, bytes], ...]]:
    """Read the form of the segments and the extension fields; what a reader does not know it keeps as it is."""
    form = reader.take(1, "form")[0]
    count = reader.varint("extension fields")
    if count > MAX_FIELDS:
        raise StreamError(f"a header must have at most {MAX_FIELDS} extension fields, got {count}")
    fields = []
    for number in range(count):
        kind, size = reader.varint(f"extension field {number}"), reader.varint(f"extension field {number}")
        if size > MAX_FIELD_BYTES:
            raise StreamError(f"extension field {number} must have at most {MAX_FIELD_BYTES} bytes, got {size}")
        fields.append((kind, reader.take(size, f"extension field {number}")))
    return form, tuple(fields)


def _read_segment(reader: _Reader, number: int, left: int, form: int) -> Segment:
    where = f"segment {number}"
    start = reader.offset
    records = reader.varint(where)
    lanes = reader.varint(where)
    # Each lane has a length and a byte, so damaged counts cannot ask for more memory than the file has bytes.
    if lanes > len(reader.data) - reader.offset:
        raise StreamError(f"{where} must have a length byte for each of its {lanes} lanes: truncated or damaged")
    strings = (2 if form == CONTIGUOUS else 1) * lanes
    lengths = [reader.varint(where) for _ in range(strings)]
    payload = tuple(reader.take(length, f"{where}, lane {lane % lanes}") for lane, length in enumerate(lengths))
    reader.check(where, start)
    most = min(left, SEGMENT_NUMBERS if form == CONTIGUOUS else SEGMENT_RECORDS)
    if not 1 <= records <= most:
        raise StreamError(f"{where} must have 1..{most} records, got {records}")
    if not 1 <= lanes <= records:
        raise StreamError(f"{where} must have 1..{records} lanes, got {lanes}")
    return Segment(records, payload[:lanes], payload[lanes:])


def _dtype(name: bytes) -> np.dtype[np.generic]:
    if name not in DTYPES:
        raise StreamError(f"the dtype must be an integer type of numpy, got {name!r}")
    return DTYPES[name]


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
