"""Writing of streams piece by piece: records come one by one or in arrays, and no more than a segment's are held."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.arrays import chained
from pcedge.codec.container import Segment, Stream, pack_index
from pcedge.codec.segments import check_rows, encode_segments
from pcedge.codec.source import Source, open_program
from pcedge.codec.stream import begin, finished, layout, segment_rows
from pcedge.engines.base import LaneCoder
from pcedge.errors import DataError, UsageError
from pcedge.native import EngineName, open_engine

#: bytes of segments that are kept in memory until the header can be written; more go to a temporary file
KEPT = 1 << 24


@dataclass(frozen=True)
class Written:
    """Say what was written."""

    #: the header, complete
    head: Stream
    #: all bytes
    bytes: int
    #: the segments without their bytes: records, lanes and payload of each
    segments: tuple[SegmentSize, ...]


@dataclass(frozen=True)
class SegmentSize:
    """Say what of a segment is counted."""

    records: int
    lanes: int
    payload_bytes: int
    stored: bool
    #: squares of the bytes by which lanes differ from their share of records, added up
    spread: float = 0.0

    @classmethod
    def of(cls, segment: Segment) -> SegmentSize:
        """Measure a segment."""
        count, lanes = segment.payload_bytes, len(segment.lanes)
        spread = 0.0
        if lanes > 1:
            sizes = np.array([list(map(len, segment.lanes)), list(map(len, segment.raw)) or [0] * lanes]).sum(axis=0)
            records = segment.records // lanes + (np.arange(lanes) < segment.records % lanes)
            spread = float(np.square(sizes - records * (count / segment.records)).sum())
        return cls(segment.records, lanes, count, segment.stored is not None, spread)


class Encoder:
    """Write a stream whose records come piece by piece; its bytes are those that `encode` gives for all of them.

    The header says how many records there are, so nothing is in the output before the end: segments are kept until
    then, in a temporary file where they are many. After an error in the block the output has nothing.

    Args:
        circuit: an integer circuit, its program, or a file of one.
        out: an open binary file; it is not closed.
        lanes: S, as of `encode`.
        engine: `auto`, `native` or `numpy`.
        threads: of the native engine.
        index: records of a segment of a stream with an index, as of `encode`.
        fields: what the header carries beside, as of `encode`.
        stored: whether segments may be stored, as of `encode`.
        given: variables that the decoder knows, which are not in the stream; None takes those of the program.

    Raises:
        UsageError: `out` is no binary file, lanes is not positive, index out of its range, a field has no type, or
            variables cannot be given.

    Example:
        >>> import io
        >>> from pcedge.circuit import Circuit, InputLayer
        >>> from pcedge.codec import encode
        >>> from pcedge.quantize import quantize
        >>> circuit = quantize(Circuit((InputLayer(0, np.array([[0.25, 0.75]])),)))
        >>> out, x = io.BytesIO(), np.array([[1], [0], [1]], dtype=np.uint8)
        >>> with Encoder(circuit, out) as encoder:
        ...     encoder.put(x[0])
        ...     encoder.write(x[1:])
        >>> out.getvalue() == encode(open_engine(circuit), x)
        True
    """

    def __init__(
        self, circuit: Source, out: BinaryIO, lanes: int | None = None, engine: EngineName = "auto", threads: int = 1,
        *, index: int | None = None, fields: Mapping[int, bytes] | None = None, stored: bool = True,
        given: Sequence[int] | None = None,
    ) -> None:  # fmt: skip
        """Open the circuit."""
        program = open_program(circuit, given)
        self._begin(open_engine(program, engine, threads), out, lanes, index, fields, stored)

    @classmethod
    def of(
        cls, engine: LaneCoder, out: BinaryIO, lanes: int | None = None, *, index: int | None = None,
        fields: Mapping[int, bytes] | None = None, stored: bool = True,
    ) -> Encoder:  # fmt: skip
        """Write with an engine that is there."""
        encoder = cls.__new__(cls)
        encoder._begin(engine, out, lanes, index, fields, stored)
        return encoder

    def _begin(
        self, engine: LaneCoder, out: BinaryIO, lanes: int | None, index: int | None,
        fields: Mapping[int, bytes] | None, stored: bool,
    ) -> None:  # fmt: skip
        if not hasattr(out, "write") or isinstance(out, io.TextIOBase):
            raise UsageError(f"a stream must be written to an open binary file, got {type(out).__name__}")
        self._engine, self._out, self._asked = engine, out, (lanes, fields, index)
        self._stored = stored
        self._head: Stream | None = None
        self._layout: tuple[int, int] | None = None
        self._held: list[NDArray[Any]] = []
        self._waiting = self._records = 0
        self._sizes: list[int] = []
        self._segments: list[SegmentSize] = []
        self._kept = tempfile.SpooledTemporaryFile(KEPT)

    def write(self, rows: ArrayLike) -> None:
        """Take records, (n, …), of the type and shape of those before.

        Raises:
            DataError: they do not fit the circuit, or are of another type or shape; the encoder is as before.
            UsageError: the encoder is closed.
        """
        if self._kept.closed:
            raise UsageError("an encoder must be open to take records, it is closed")
        lanes, fields, index = self._asked
        head, array = begin(self._engine, rows, lanes, fields, index)
        if self._head is not None and (array.dtype, array.shape[1:]) != (self._head.dtype, self._head.shape[1:]):
            raise DataError(
                f"records must be {self._head.dtype} of shape {self._head.shape[1:]} as those before, "
                f"got {array.dtype} of shape {array.shape[1:]}"
            )
        step = self._step(head)
        first = 0
        # A piece at a time, so that what lies in a file is not read as a whole.
        while first < len(array) or not first:
            part = array[first : first + step - self._waiting]
            check_rows(self._engine.circuit, part)
            self._head = self._head or head
            self._held.append(chained([part]))
            self._waiting += len(part)
            first += max(1, len(part))
            if self._waiting == step:
                self._flush()

    def put(self, record: ArrayLike) -> None:
        """Take one record; errors are those of `write`."""
        self.write(np.asarray(record)[None])

    def copy(self, segment: Segment) -> None:
        """Take a whole segment of another stream of the same records' type, circuit and lanes, as it is.

        Raises:
            UsageError: records wait, which would come after it, or no record's type is known.
        """
        if self._waiting or self._head is None:
            raise UsageError("a segment must come before the records that do not fill one, and after their type")
        self._keep([segment])

    def close(self) -> Written:
        """Write the stream.

        Raises:
            UsageError: it is closed, or there were no records, not even an empty array of their type and shape.
            OSError: the output does not take it.
        """
        if self._kept.closed:
            raise UsageError("an encoder must be closed once")
        with self._kept as kept:
            if self._head is None:
                raise UsageError("an encoder must get records, or an empty array of their type and shape")
            if self._waiting:
                self._flush()
            stand_in = [Segment(1, (), (), b"")] * any(size.stored for size in self._segments)
            head = finished(replace(self._head, shape=(self._records, *self._head.shape[1:])), stand_in)
            header = head.pack_head()
            index = b"" if head.indexed is None else pack_index(self._sizes)
            self._out.write(header)
            kept.seek(0)
            shutil.copyfileobj(kept, self._out)
            self._out.write(index)
        size = len(header) + sum(self._sizes) + len(index)
        return Written(replace(head, segments=()), size, tuple(self._segments))

    def __enter__(self) -> Encoder:
        """Give itself; the block's end writes the stream."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the stream, unless the block ended in an error or has closed it."""
        if kind is not None:
            self._kept.close()
        elif not self._kept.closed:
            self.close()

    def _step(self, head: Stream) -> int:
        """Give the records that are encoded at a time: whole segments, as many as one without an index has."""
        most = segment_rows(self._engine.circuit.symbolizer)
        size = most if head.indexed is None else head.indexed[0]
        return size * max(1, most // size)

    def _flush(self) -> None:
        assert self._head is not None
        rows = self._held[0] if len(self._held) == 1 else chained(self._held)
        if self._layout is None:
            self._layout = layout(self._engine.circuit, self._head, len(rows), self._asked[0])
        self._held, self._waiting = [], 0
        self._keep(encode_segments(self._engine, rows, *self._layout, self._stored))

    def _keep(self, segments: list[Segment]) -> None:
        for segment in segments:
            data = segment.pack()
            self._kept.write(data)
            self._sizes.append(len(data))
            self._segments.append(SegmentSize.of(segment))
            self._records += segment.records


def encode_to(
    engine: LaneCoder, x: NDArray[Any], out: BinaryIO, lanes: int | None = None, progress: Any = None,
    fields: Mapping[int, bytes] | None = None, index: int | None = None,
) -> Written:  # fmt: skip
    """Write the stream of an array, which may lie in a file, to a file; arguments and errors are those of `encode`."""
    encoder = Encoder.of(engine, out, lanes, index=index, fields=fields)
    with encoder:
        step = segment_rows(engine.circuit.symbolizer)
        for first in range(0, max(1, len(x)), step):
            try:
                encoder.write(x[first : first + step])
            except DataError as error:
                if isinstance(x, np.memmap) and first:
                    raise DataError(f"of the records from {first} on: {error}") from error
                check_rows(engine.circuit, x)
                raise
            if progress:
                progress(min(first + step, len(x)), len(x))
        return encoder.close()
