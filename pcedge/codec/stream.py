"""The stream: a header, and segments of lanes, each with a checksum (docs/stream.md gives every byte)."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.circuit.inference import check_records
from pcedge.codec.fields import MOST_FIELDS, MOST_TYPE, check_fields, check_understood
from pcedge.data.symbolizer import Symbolizer, value_range
from pcedge.engines.base import LaneCoder, Progress
from pcedge.errors import DataError, StreamError, UsageError

MAGIC = b"\x8ePCE"
#: version 1 has no fields, records of two dimensions at least, and integers only; what fits it is written in it
VERSION, VERSION_WITH_FIELDS = 1, 2

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

    def pack(self) -> bytes:
        """Write the segment with its checksum."""
        body = _varint(self.records) + _varint(len(self.lanes))
        body += b"".join(_varint(len(lane)) for lane in self.lanes) + b"".join(self.lanes)
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
        return sum(len(lane) for segment in self.segments for lane in segment.lanes)


def encode(
    engine: LaneCoder,
    x: ArrayLike,
    lanes: int | None = None,
    progress: Progress | None = None,
    fields: Mapping[int, bytes] | None = None,
) -> bytes:
    """Compress records to a stream.

    Args:
        engine: what codes the circuit's lanes: the numpy reference, or another engine.
        x: integers or booleans of shape (N, …), one symbol a variable, none missing; with a symbolizer, the data that
            it takes.
        lanes: S, the lanes of a segment; more lanes decode faster and cost a flush byte and a length each. None takes
            `DEFAULT_LANES`, or N where that is less.
        progress: told (records done, records in all).
        fields: what the header carries beside dtype and shape, by type (`pcedge.codec.fields.Field`); a stream without
            any is one of version 1 where the data are integers.

    Raises:
        DataError: the data do not fit the circuit.
        UsageError: lanes is not positive, or a field has no type.

    Example:
        >>> from pcedge.circuit import Circuit, InputLayer
        >>> from pcedge.quantize import quantize
        >>> engine = ReferenceEngine(quantize(Circuit((InputLayer(0, np.array([[0.25, 0.75]])),))))
        >>> x = np.array([[1], [0]], dtype=np.uint8)
        >>> decode(engine, encode(engine, x)).tolist()
        [[1], [0]]
    """
    symbolizer = engine.circuit.symbolizer
    rows = (
        check_records(x, engine.circuit.cardinalities, allow_missing=False)
        if symbolizer is None
        else symbolizer.check(x)
    )
    array = np.asarray(x)
    if array.ndim > MAX_DIMENSIONS:
        raise DataError(f"data must have at most {MAX_DIMENSIONS} dimensions, got {array.ndim}")
    lanes = check_lanes(lanes)
    segments = []
    size = _segment_rows(symbolizer)
    for first in range(0, len(rows), size):
        block = rows[first : first + size]
        records = block if symbolizer is None else symbolizer.apply(block).astype(np.int64)
        count = min(lanes or DEFAULT_LANES, len(records), len(block))

        def report(done: int, total: int, first: int = first, block_rows: int = len(block)) -> None:
            if progress:
                progress(first + done * block_rows // total, len(rows))

        coded = engine.encode_lanes(records, count, report)
        segments.append(Segment(len(block), tuple(coded)))
    return Stream(engine.circuit.digest, array.dtype, array.shape, tuple(segments), check_fields(fields or {})).pack()


def decode(
    engine: LaneCoder,
    data: bytes,
    progress: Progress | None = None,
) -> NDArray[np.generic]:
    """Restore the records of a stream, with their dtype and shape.

    Raises:
        StreamError: the stream is truncated, damaged, of another version, or of another circuit.
    """
    stream = parse(data)
    check_understood(stream.fields)
    if stream.digest != engine.circuit.digest[:DIGEST_BYTES]:
        raise StreamError(
            f"the stream must be of this circuit, {engine.circuit.digest[:DIGEST_BYTES].hex()}, "
            f"it was made by {stream.digest.hex()}"
        )
    variables = len(engine.circuit.order)
    symbolizer = engine.circuit.symbolizer
    if symbolizer is not None and stream.shape[1:] != symbolizer.shape:
        raise StreamError(
            f"rows must have the symbolizer's shape {symbolizer.shape}, the header says shape {stream.shape}"
        )
    if symbolizer is None and math.prod(stream.shape[1:]) != variables:
        raise StreamError(f"records must have {variables} symbols, the header says shape {stream.shape}")
    counts = _check_segments(stream, symbolizer)
    dtype = _dtype_of_data(stream, symbolizer)
    # One segment at a time is held as symbols of 8 bytes; all records are, in the data's own type.
    # Records with fields are held as bytes: a copy by fields loses what lies between them.
    restored = np.empty((stream.shape[0], math.prod(stream.shape[1:])), dtype=stream.dtype)
    lowest, highest = value_range(dtype.name) if dtype.kind in "iub" else (0, 0)
    done = 0
    for number, (segment, count) in enumerate(zip(stream.segments, counts, strict=True)):

        def report(records: int, total: int, first: int = done, rows: int = segment.records) -> None:
            if progress:
                progress(first + records * rows // total, stream.shape[0])

        lanes = list(segment.lanes)
        symbols = engine.decode_lanes(lanes, count, report)
        block = symbols if symbolizer is None else _data(symbolizer, symbols, segment.records, number)
        for end in (block.min(), block.max()) if block.size and dtype.kind in "iub" else ():
            if not lowest <= int(end) <= highest:
                what = "symbols" if symbolizer is None else "values"
                raise StreamError(f"{what} must fit {stream.dtype}, got {end}")
        block = block.view(stream.dtype) if dtype.kind == "V" else block
        restored[done : done + segment.records] = block.reshape(segment.records, -1)
        done += segment.records
    return restored.view(dtype).reshape(stream.shape)


def check_lanes(lanes: object) -> int | None:
    """Demand a number of lanes, or None.

    Raises:
        UsageError: it is neither.
    """
    if lanes is None:
        return None
    if isinstance(lanes, bool) or not isinstance(lanes, (int, np.integer)) or lanes < 1:
        raise UsageError(f"lanes must be an integer of at least 1, got {lanes!r}")
    return int(lanes)


def _dtype_of_data(stream: Stream, symbolizer: Symbolizer | None) -> np.dtype[Any]:
    """Give the type of the data: the stream's, with the fields of the circuit's where it has only a size.

    Raises:
        StreamError: they are floats or have fields, and the circuit is not over such data.
    """
    if stream.dtype.kind in "iub":
        return stream.dtype
    dtype = np.dtype(symbolizer.dtype) if symbolizer is not None else np.dtype(np.int64)
    if dtype.newbyteorder("<").str != stream.dtype.newbyteorder("<").str:
        raise StreamError(f"the data must be of type {dtype.str}, as the circuit's, the header says {stream.dtype.str}")
    return dtype if dtype.kind == "V" else stream.dtype


def _segment_rows(symbolizer: Symbolizer | None) -> int:
    """Give the rows of every segment but the last, which holds what is left: only the end of a series is padded."""
    return SEGMENT_RECORDS - (SEGMENT_RECORDS % symbolizer.segment_rows if symbolizer else 0)


def _check_segments(stream: Stream, symbolizer: Symbolizer | None) -> list[int]:
    """Demand the segments that `encode` makes of so many rows, for some S, and give the records of symbols of each.

    Data have one form at an S: others would decode too, and be written again as other bytes.
    """
    lanes = max((len(segment.lanes) for segment in stream.segments), default=0)
    left, counts = stream.shape[0], []
    for number, segment in enumerate(stream.segments):
        rows = min(_segment_rows(symbolizer), left)
        if segment.records != rows:
            raise StreamError(f"segment {number} must have {rows} of the {left} records left, got {segment.records}")
        count = rows if symbolizer is None else symbolizer.records(rows)
        if len(segment.lanes) > count:
            raise StreamError(f"segment {number} must have 1..{count} lanes, got {len(segment.lanes)}")
        if len(segment.lanes) != min(lanes, count, rows):
            raise StreamError(
                f"segment {number} must have {min(lanes, count, rows)} lanes, as many as the others, "
                f"got {len(segment.lanes)}"
            )
        left -= rows
        counts.append(count)
    return counts


def _data(symbolizer: Symbolizer, symbols: NDArray[np.int64], rows: int, segment: int) -> NDArray[Any]:
    try:
        return symbolizer.invert(symbols, rows)
    except DataError as error:
        raise StreamError(f"segment {segment}: {error}") from error


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
    if Stream(digest, dtype, shape, (), fields).version != version:
        raise StreamError(f"a stream that version {VERSION} can hold must be of it, got {version}")
    segments: list[Segment] = []
    done = 0
    while done < shape[0]:
        segment = _read_segment(reader, len(segments), shape[0] - done)
        done += segment.records
        segments.append(segment)
    if reader.offset != len(data):
        raise StreamError(f"the stream must end after its {done} records, {len(data) - reader.offset} bytes follow")
    return Stream(digest, dtype, shape, tuple(segments), fields)


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


def _bytes(data: object) -> bytes:
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise StreamError(f"a stream must be bytes, got {type(data).__name__}")
    return bytes(data)


def _read_segment(reader: _Reader, number: int, left: int) -> Segment:
    where = f"segment {number}"
    start = reader.offset
    records = reader.varint(where)
    lanes = reader.varint(where)
    # Each lane has a length and a byte, so damaged counts cannot ask for more memory than the file has bytes.
    if lanes > len(reader.data) - reader.offset:
        raise StreamError(f"{where} must have a length byte for each of its {lanes} lanes: truncated or damaged")
    lengths = [reader.varint(where) for _ in range(lanes)]
    payload = tuple(reader.take(length, f"{where}, lane {lane}") for lane, length in enumerate(lengths))
    reader.check(where, start)
    if not 1 <= records <= min(left, SEGMENT_RECORDS):
        raise StreamError(f"{where} must have 1..{min(left, SEGMENT_RECORDS)} records, got {records}")
    if not 1 <= lanes <= records:
        raise StreamError(f"{where} must have 1..{records} lanes, got {lanes}")
    return Segment(records, payload)


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
