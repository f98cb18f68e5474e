"""Reading of parts: a stream as a sequence of records, of which only what is asked for is read and decoded."""

from __future__ import annotations

import io
import os
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.arrays import chained
from pcedge.codec.container import Data, Reader, Segment, Stream, read_head, read_lengths, read_segment
from pcedge.codec.given import given_rows
from pcedge.codec.segments import decode_part, decode_segments
from pcedge.codec.source import Source, open_program
from pcedge.codec.stream import check_head, check_segment, segment_rows, shaped
from pcedge.engines.base import LaneCoder
from pcedge.errors import StreamError, UsageError
from pcedge.native import EngineName, open_engine

#: bytes that are read at a time where it is not known how many are needed
CHUNK = 1 << 14

#: where a stream is read from: its bytes, a path, or an open binary file that can be sought
StreamSource = bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO


@dataclass(frozen=True)
class Entry:
    """Say where a segment lies."""

    #: its first record, and how many it has
    first: int
    records: int
    #: where it begins, and its bytes
    offset: int
    bytes: int


class StreamFile:
    """Hold a stream of which nothing but its header, and where its segments lie, has been read.

    Args:
        source: its bytes, a path, or an open binary file, which is taken from its beginning.

    Raises:
        StreamError: the header or the index is damaged, or the stream does not end where it must.
        UsageError: the source is none of these.
        OSError: the file cannot be read.
    """

    def __init__(self, source: StreamSource) -> None:
        """Read the header."""
        self._own: BinaryIO | None = None
        self.data: Data
        if isinstance(source, (bytes, bytearray, memoryview)):
            self.data = bytes(source)
        elif isinstance(source, (str, os.PathLike)):
            self._own = open(source, "rb")
            self.data = _File(self._own)
        elif hasattr(source, "read") and hasattr(source, "seek") and not isinstance(source, io.TextIOBase):
            self.data = _File(source)
        else:
            raise UsageError(f"a stream must be bytes, a path or an open binary file, got {type(source).__name__}")
        try:
            reader = Reader(self.data)
            self.head: Stream = read_head(reader)
            self._start = reader.offset
            # Every record but those of a stream with an index is found by passing over what lies before it.
            self._sizes = None if self.head.indexed is None else self._read_index(self.head.indexed[0])
            self._passed: list[Entry] = []
            self._lock = threading.Lock()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file, if it was opened here."""
        if self._own is not None:
            self._own.close()

    def entries(self) -> Iterator[Entry]:
        """Give where every segment lies.

        Raises:
            StreamError: a segment's lengths are damaged, something follows the last one, or there are packets.
        """
        if self.head.packet_bytes is not None:
            raise StreamError("the stream must have segments, of which some are read, it has packets: decode all of it")
        if self._sizes is not None:
            for number in range(len(self._sizes) - 1):
                yield self._indexed(number)
            return
        number = 0
        while (entry := self._entry(number)) is not None:
            yield entry
            number += 1

    def _entry(self, number: int) -> Entry | None:
        """Give where a segment lies that follows those that were passed over; None behind the last one."""
        with self._lock:
            if number < len(self._passed):
                return self._passed[number]
            last = self._passed[-1] if self._passed else Entry(0, 0, self._start, 0)
            first, reader = last.first + last.records, Reader(self.data, last.offset + last.bytes)
            if first == self.head.shape[0]:
                if reader.offset != len(self.data):
                    raise StreamError(
                        f"the stream must end after its {first} records, {len(self.data) - reader.offset} bytes follow"
                    )
                return None
            where, offset = f"segment {number}", reader.offset
            records, lanes, lengths = read_lengths(reader, where, self.head)
            if not 1 <= records <= self.head.shape[0] - first:
                raise StreamError(f"{where} must have 1..{self.head.shape[0] - first} records, got {records}")
            size = (sum(lengths) if lanes else records * self.head.row_bytes) + 4 * bool(self.head.given)
            reader.offset += size + 4
            if reader.offset > len(self.data):
                raise StreamError(f"{where} must have {size} bytes, {len(self.data)} are in all: truncated stream")
            self._passed.append(Entry(first, records, offset, reader.offset - offset))
            return self._passed[-1]

    def numbered(self, start: int, stop: int) -> Iterator[tuple[int, Entry]]:
        """Give the segments with some of the records from `start` to `stop`, and their numbers."""
        if start >= stop:
            return
        if self._sizes is not None and self.head.indexed is not None:
            size = self.head.indexed[0]
            for number in range(start // size, (stop - 1) // size + 1):
                yield number, self._indexed(number)
            return
        for number, entry in enumerate(self.entries()):
            if entry.first >= stop:
                return
            if entry.first + entry.records > start:
                yield number, entry

    def read(self, number: int, entry: Entry) -> Segment:
        """Read a segment.

        Raises:
            StreamError: it is damaged, or has other records or bytes than the entry says.
        """
        data = self.data[entry.offset : entry.offset + entry.bytes]
        reader = Reader(data)
        segment = read_segment(reader, number, self.head.shape[0] - entry.first, self.head)
        if reader.offset != entry.bytes or segment.records != entry.records:
            raise StreamError(
                f"segment {number} must have {entry.records} records in {entry.bytes} bytes, as the index says, got "
                f"{segment.records} in {reader.offset}"
            )
        return segment

    def _indexed(self, number: int) -> Entry:
        assert self._sizes is not None and self.head.indexed is not None
        first = number * self.head.indexed[0]
        begin, end = (int(place) for place in self._sizes[number : number + 2])
        return Entry(first, min(self.head.indexed[0], self.head.shape[0] - first), begin, end - begin)

    def _read_index(self, size: int) -> NDArray[np.int64]:
        """Read the index, which ends the stream; give where segments begin, and where the last one ends."""
        end, count = len(self.data), -(-self.head.shape[0] // size)
        tail = self.data[end - 5 : end] if end >= self._start + 5 else b""
        width = tail[0] if tail else 0
        if not 1 <= width <= 8 or end - self._start < 5 + width * count:
            raise StreamError(f"the stream must end with an index of {count} segments, it does not: truncated stream")
        body = self.data[end - 5 - width * count : end - 4]
        if zlib.crc32(body) != int.from_bytes(tail[1:], "little"):
            raise StreamError("the checksum of the index must be that of its bytes, it is another: damaged stream")
        bytes_of = np.zeros((count, 8), dtype=np.uint8)
        bytes_of[:, :width] = np.frombuffer(body, dtype=np.uint8)[:-1].reshape(count, width)
        sizes = bytes_of.view("<u8").ravel()
        if (sizes > len(self.data)).any() or self._start + int(sizes.sum()) != end - len(body) - 4:
            raise StreamError(f"the index must have the sizes of {count} segments that fill the stream, it has others")
        if width > 1 and int(sizes.max(initial=0)) < 1 << (8 * (width - 1)):
            raise StreamError("the index must be written in as few bytes as its largest size needs")
        return np.concatenate([[self._start], self._start + np.cumsum(sizes.astype(np.int64))])


class Decoder:
    """Read records of a stream, and no more of it than they need.

    Args:
        circuit: an integer circuit, its program, or a file of one.
        source: the stream: its bytes, a path, or an open binary file that can be sought.
        engine: `auto`, `native` or `numpy`.
        threads: of the native engine.
        given: the values of the stream's given variables for every record, or whole records of which these are taken.

    Raises:
        StreamError: the stream is damaged, of another version, or of another circuit.
        UsageError: given values are missing that the stream needs, or it has no use for them.
        DataError: the given values have another shape.

    Example:
        >>> from pcedge.circuit import Circuit, InputLayer
        >>> from pcedge.codec import encode
        >>> from pcedge.quantize import quantize
        >>> circuit = quantize(Circuit((InputLayer(0, np.array([[0.25, 0.75]])),)))
        >>> x = np.arange(5000, dtype=np.uint8)[:, None] % 2
        >>> decoder = Decoder(circuit, encode(open_engine(circuit), x, index=0))
        >>> len(decoder), decoder[4321].tolist(), decoder[7:9].tolist()
        (5000, [1], [[1], [0]])
    """

    def __init__(
        self, circuit: Source, source: StreamSource, engine: EngineName = "auto", threads: int = 1, *,
        given: ArrayLike | None = None,
    ) -> None:  # fmt: skip
        """Open the circuit and the stream."""
        self._begin(open_engine(open_program(circuit), engine, threads), StreamFile(source), given)

    @classmethod
    def of(cls, engine: LaneCoder, file: StreamFile, given: ArrayLike | None = None) -> Decoder:
        """Read a stream that is open with an engine that is there."""
        decoder = cls.__new__(cls)
        decoder._begin(engine, file, given)
        return decoder

    def _begin(self, engine: LaneCoder, file: StreamFile, given: ArrayLike | None) -> None:
        check_head(engine.circuit, file.head)
        self.engine, self.file = engine.with_given(file.head.given), file
        self._given = given_rows(file.head, given)
        # Without an index nothing but all the segments together says S.
        self._lanes: int | None
        self._size, self._lanes = file.head.indexed or (segment_rows(engine.circuit.symbolizer), None)

    @property
    def shape(self) -> tuple[int, ...]:
        """Give the shape of the data, records first."""
        return self.file.head.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Give the type of the data."""
        return self.file.head.dtype

    def __len__(self) -> int:
        """Give the number of records."""
        return self.file.head.shape[0]

    def __getitem__(self, which: int | slice) -> NDArray[Any]:
        """Decode a record, or those of a slice of step 1; what lies outside is cut off, as numpy does.

        Raises:
            IndexError: there is no such record.
            StreamError: a segment that it needs is damaged.
            UsageError: the slice has another step.
        """
        if isinstance(which, slice):
            start, stop, step = which.indices(len(self))
            if step != 1:
                raise UsageError(f"records must be read by slices of step 1, got {step}")
            return self.read(start, max(start, stop))
        if hasattr(which, "__index__") and not -len(self) <= int(which) < len(self):
            raise IndexError(f"a record must be among the {len(self)} of the stream, got {which}")
        number = range(len(self))[which]
        record: NDArray[Any] = self.read(number, number + 1)[0]
        return record

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Decode the records from `start` to `stop`.

        Raises:
            UsageError: they are not among those of the stream.
            StreamError: a segment that they need is damaged.
        """
        if not 0 <= start <= stop <= len(self):
            raise UsageError(f"records must be within 0:{len(self)}, got {start}:{stop}")
        blocks = list(self._blocks(start, stop))
        if not blocks:
            return shaped(self.engine.circuit, self.file.head, self._none())
        return blocks[0] if len(blocks) == 1 else chained(blocks)

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[Any]]:
        """Decode records in pieces, each of at most about 65,536; errors are those of `read`."""
        stop = len(self) if stop is None else stop
        if not 0 <= start <= stop <= len(self):
            raise UsageError(f"records must be within 0:{len(self)}, got {start}:{stop}")
        return self._blocks(start, stop)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Decode one record after the other."""
        for block in self._blocks(0, len(self)):
            yield from block

    def close(self) -> None:
        """Close the stream's file, if it was opened here."""
        self.file.close()

    def __enter__(self) -> Decoder:
        """Give itself; the block's end closes it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def _none(self) -> NDArray[Any]:
        return np.empty((0, int(np.prod(self.shape[1:]))), dtype=self.dtype)

    def _blocks(self, start: int, stop: int) -> Iterator[NDArray[Any]]:
        circuit, head = self.engine.circuit, self.file.head
        most = max(1, segment_rows(circuit.symbolizer) // self._size)
        held: list[Segment] = []
        number = 0
        for number, entry in self.file.numbered(start, stop):
            segment = self._checked(number, entry)
            begin, end = max(start - entry.first, 0), min(stop - entry.first, entry.records)
            if (begin, end) == (0, entry.records):
                held.append(segment)
                if len(held) < most:
                    continue
                rows = self._decoded(held, number - len(held) + 1)
                held = []
            else:
                if held:
                    yield shaped(circuit, head, self._decoded(held, number - len(held)))
                    held = []
                known = None if self._given is None else self._given[entry.first : entry.first + entry.records]
                rows = decode_part(self.engine, head, segment, begin, end, number, known)
            yield shaped(circuit, head, rows)
        if held:
            yield shaped(circuit, head, self._decoded(held, number - len(held) + 1))

    def _decoded(self, segments: list[Segment], first: int) -> NDArray[Any]:
        """Decode whole segments, of which `first` is the number of the first; only the last of a stream is shorter."""
        known, begin = None, first * self._size
        if self._given is not None:
            known = self._given[begin : begin + sum(segment.records for segment in segments)]
        return decode_segments(self.engine, self.file.head, segments, first, given=known)

    def _checked(self, number: int, entry: Entry) -> Segment:
        segment = self.file.read(number, entry)
        lanes = self._lanes or len(segment.lanes)
        check_segment(segment, number, len(self) - entry.first, self._size, lanes, self.engine.circuit.symbolizer)
        return segment


def range_of(records: slice, count: int) -> tuple[int, int]:
    """Give the ends of a slice of so many records, as numpy takes it; but an end outside of them is refused.

    Raises:
        UsageError: it is no slice, has a step, or an end outside.

    Example:
        >>> range_of(slice(-3, None), 10), range_of(slice(5, 2), 10)
        ((7, 10), (5, 5))
    """
    ends = (records.start, records.stop) if isinstance(records, slice) else (records,)
    if not isinstance(records, slice) or not all(end is None or hasattr(end, "__index__") for end in ends):
        raise UsageError(f"records must be a slice of integers such as slice(5, 7), got {records!r}")
    if records.step not in (None, 1):
        raise UsageError(f"records must be a slice of step 1, got {records.step}")
    for end in ends:
        if end is not None and not -count <= end <= count:
            raise UsageError(f"records must be among the {count} of the stream, got {end}")
    start, stop, _ = records.indices(count)
    return start, max(start, stop)


class _File:
    """Take parts of a file as of bytes; it is read where it is asked, a chunk at least, by one thread at a time."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._lock = file, threading.Lock()
        self._size = file.seek(0, os.SEEK_END)
        self._begin, self._chunk = 0, b""

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        begin, end, _ = part.indices(self._size)
        with self._lock:
            if not self._begin <= begin <= end <= self._begin + len(self._chunk):
                self._file.seek(begin)
                self._begin, self._chunk = begin, self._file.read(max(end - begin, CHUNK))
            return self._chunk[begin - self._begin : end - self._begin]
