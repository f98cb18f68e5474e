"""Streams of data: records of symbols in lanes, or rows of numbers with a predictor stage (docs/stream.md)."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.codec.container import (
    CONTIGUOUS,
    DEFAULT_LANES,
    DIGEST_BYTES,
    MAX_DIMENSIONS,
    SEGMENT_NUMBERS,
    SEGMENT_RECORDS,
    Segment,
    Stream,
    parse,
    varint,
)
from pcedge.codec.fields import UNDERSTOOD, Field, check_fields, check_understood
from pcedge.codec.given import given_rows, in_words, pack_variables
from pcedge.codec.predicted import default_lanes
from pcedge.codec.rows import row_shape
from pcedge.codec.segments import check_rows, decode_segments, encode_segments
from pcedge.data.predictor import Predictor
from pcedge.data.symbolizer import Symbolizer
from pcedge.engines.base import LaneCoder, Progress
from pcedge.errors import DataError, StreamError, UsageError
from pcedge.integer.circuit import IntegerCircuit

#: rows of a segment of a stream with an index where the caller names none, and the numbers that they have at least:
#: a segment costs about 10 bytes, and 3 for each of its lanes
INDEX_ROWS, INDEX_NUMBERS = 256, 4096

#: rows of a lane of such a segment: to read the last of them all are decoded, at about 1/25 of the speed of many lanes
INDEX_LANE_ROWS = 32


def encode(
    engine: LaneCoder,
    x: ArrayLike,
    lanes: int | None = None,
    progress: Progress | None = None,
    fields: Mapping[int, bytes] | None = None,
    index: int | None = None,
    stored: bool = True,
) -> bytes:
    """Compress records to a stream.

    Args:
        engine: what codes the circuit's lanes: the numpy reference, or another engine. The variables that are given to
            it (`with_given`) are not in the stream.
        x: integers or booleans of shape (N, …), one symbol a variable, none missing; with a symbolizer, the data that
            it takes.
        lanes: S, the lanes of a segment; more lanes decode faster and cost a flush byte and a length each. None takes
            `DEFAULT_LANES`, or N where that is less; with a predictor stage as many as its data are worth.
        progress: told (records done, records in all).
        fields: what the header carries beside dtype and shape, by type (`pcedge.codec.fields.Field`); a stream without
            any is one of version 1 where the data are integers.
        index: records of a segment, where the stream is to have an index, with which a few of its records are read
            without the others; 0 takes `default_index_rows`. None writes no index.
        stored: whether a segment whose lanes would be larger than its data holds the data themselves.

    Raises:
        DataError: the data do not fit the circuit.
        UsageError: lanes is not positive, index is out of its range, a field has no type, or variables of a circuit
            with a symbolizer are given.

    Example:
        >>> from pcedge.circuit import Circuit, InputLayer
        >>> from pcedge.engines import ReferenceEngine
        >>> from pcedge.quantize import quantize
        >>> engine = ReferenceEngine(quantize(Circuit((InputLayer(0, np.array([[0.25, 0.75]])),))))
        >>> x = np.array([[1], [0]], dtype=np.uint8)
        >>> decode(engine, encode(engine, x)).tolist()
        [[1], [0]]
    """
    head, array = begin(engine, x, lanes, fields, index)
    size, lanes = layout(engine.circuit, head, len(array), lanes)
    segments: list[Segment] = []
    for first, block in _batches(array, size, segment_rows(engine.circuit.symbolizer)):

        def report(done: int, _: int, first: int = first) -> None:
            if progress:
                progress(first + done, len(array))

        with _numbered(engine.circuit, x, first):
            segments += encode_segments(engine, block, size, lanes, stored, report)
    if not len(array):
        check_rows(engine.circuit, array)
    return finished(replace(head, shape=array.shape), segments).pack()


def begin(
    engine: LaneCoder, x: ArrayLike, lanes: int | None, fields: Mapping[int, bytes] | None, index: int | None
) -> tuple[Stream, NDArray[Any]]:
    """Make the header of a stream of some data; its number of records, and what is stored, are not in it yet.

    Raises:
        DataError: the data do not fit the circuit, whatever their values.
        UsageError: as of `encode`.
    """
    circuit = engine.circuit
    if not isinstance(x, np.ndarray):
        check_rows(circuit, x)
    array = x if isinstance(x, np.ndarray) else np.asarray(x)
    if array.ndim > MAX_DIMENSIONS:
        check_rows(circuit, array)
        raise DataError(f"data must have at most {MAX_DIMENSIONS} dimensions, got {array.ndim}")
    lanes = check_lanes(lanes)
    laid = dict(check_fields(fields or {}))
    for kind in sorted(UNDERSTOOD):
        if kind in laid:
            raise UsageError(f"field {int(kind)} says how lanes are laid: encode writes it where it must stand")
    if isinstance(circuit.symbolizer, Predictor):
        laid |= dict(CONTIGUOUS)
    if engine.given:
        if circuit.symbolizer is not None:
            stage = "predictor stage" if isinstance(circuit.symbolizer, Predictor) else "symbolizer"
            raise UsageError(
                f"given variables must be numbers of the data, this circuit's are not, for it has a {stage}: got "
                f"{in_words(engine.given)}"
            )
        laid[Field.GIVEN] = pack_variables(engine.given)
    if index is not None:
        rows = check_index_rows(circuit, index)
        laid[Field.SEGMENTS] = varint(rows) + varint(min(rows, lanes or default_index_lanes(circuit, rows)))
    return Stream(circuit.digest, array.dtype, array.shape, (), check_fields(laid)), array


def layout(circuit: IntegerCircuit, head: Stream, rows: int, lanes: int | None) -> tuple[int, int]:
    """Give the rows of every segment but the last, and S, for a stream of so many rows or more than a segment's."""
    if head.indexed is not None:
        return head.indexed
    size = segment_rows(circuit.symbolizer)
    if isinstance(circuit.symbolizer, Predictor):
        return size, lanes or default_lanes(min(rows, size) * circuit.symbolizer.columns)
    return size, lanes or DEFAULT_LANES


def finished(head: Stream, segments: Sequence[Segment]) -> Stream:
    """Put segments into a stream whose header has its number of records; some of them may be stored."""
    fields = dict(head.fields)
    if any(segment.stored is not None for segment in segments):
        fields[Field.STORED] = b""
    return replace(head, segments=tuple(segments), fields=check_fields(fields))


def _batches(array: NDArray[Any], size: int, most: int) -> Iterator[tuple[int, NDArray[Any]]]:
    """Give rows in blocks of whole segments, each about as many as a segment of a stream without an index has."""
    step = size * max(1, most // size)
    for first in range(0, len(array), step):
        yield first, array[first : first + step]


@contextlib.contextmanager
def _numbered(circuit: IntegerCircuit, x: ArrayLike, first: int) -> Iterator[None]:
    """Let a message of wrong data name the record among all; of what lies in a file, only what it is counted from."""
    try:
        yield
    except DataError as error:
        if isinstance(x, np.memmap) and first:
            raise DataError(f"of the records from {first} on: {error}") from error
        check_rows(circuit, x)
        raise


def decode(
    engine: LaneCoder,
    data: object,
    progress: Progress | None = None,
    given: ArrayLike | None = None,
) -> NDArray[np.generic]:
    """Restore the records of a stream, which is bytes, with their dtype and shape.

    Args:
        engine: what codes the circuit's lanes.
        data: the stream, or what `parse` made of it.
        progress: told (records done, records in all).
        given: the values of the stream's given variables for every record, or whole records of which these are taken.

    Raises:
        StreamError: the stream is truncated, damaged, of another version, or of another circuit.
        UsageError: given values are missing that the stream needs, or it has no use for them.
        DataError: the given values have another shape, or are not those of the encoder.
    """
    stream = data if isinstance(data, Stream) else parse(data)
    check_head(engine.circuit, stream)
    engine, known = engine.with_given(stream.given), given_rows(stream, given)
    if stream.packet_bytes is not None:
        raise StreamError("the stream must have segments, it has packets: pcedge.codec.decode_packet_stream takes it")
    _check_segments(stream, engine.circuit.symbolizer)
    # One segment at a time is held as symbols of 8 bytes; all records are, in the data's own type.
    out = np.empty((stream.shape[0], math.prod(stream.shape[1:])), dtype=stream.dtype)
    size, _ = stream.indexed or (segment_rows(engine.circuit.symbolizer), 0)
    step = max(1, segment_rows(engine.circuit.symbolizer) // size)
    done = 0
    for number in range(0, len(stream.segments), step):

        def report(rows: int, _: int, first: int = done) -> None:
            if progress:
                progress(first + rows, stream.shape[0])

        some = stream.segments[number : number + step]
        own = None if known is None else known[done : done + sum(segment.records for segment in some)]
        block = decode_segments(engine, stream, some, number, report, own)
        out[done : done + len(block)] = block
        done += len(block)
    return shaped(engine.circuit, stream, out)


def shaped(circuit: IntegerCircuit, head: Stream, rows: NDArray[Any]) -> NDArray[Any]:
    """Give rows, (N, numbers of a row), in the type and the shape that they had."""
    predictor = circuit.symbolizer
    if head.dtype.kind == "V" and isinstance(predictor, Predictor) and predictor.source:
        rows = rows.view(predictor.source.source)
    return rows.reshape(len(rows), *head.shape[1:])


def check_head(circuit: IntegerCircuit, stream: Stream) -> None:
    """Demand a header of this circuit.

    Raises:
        StreamError: it is of another circuit, or cannot be of one.
    """
    check_understood(stream.fields)
    if stream.digest != circuit.digest[:DIGEST_BYTES]:
        raise StreamError(
            f"the stream must be of this circuit, {circuit.digest[:DIGEST_BYTES].hex()}, "
            f"it was made by {stream.digest.hex()}"
        )
    symbolizer = circuit.symbolizer
    if stream.given and symbolizer is not None:
        raise StreamError("field 13 must go with a circuit without a symbolizer, this one has one")
    rows = row_shape(symbolizer)
    if rows is not None and stream.shape[1:] != rows:
        raise StreamError(f"rows must have the symbolizer's shape {rows}, the header says shape {stream.shape}")
    if symbolizer is None and math.prod(stream.shape[1:]) != len(circuit.order):
        raise StreamError(f"records must have {len(circuit.order)} symbols, the header says shape {stream.shape}")
    if stream.contiguous != isinstance(symbolizer, Predictor):
        raise StreamError("lanes must be in turn, or contiguous with a predictor stage: these do not fit the circuit")
    window = _window(symbolizer)
    if stream.indexed is not None and stream.indexed[0] % window:
        raise StreamError(
            f"segments must have a multiple of the window's {window} rows, field 9 says {stream.indexed[0]}"
        )
    _check_dtype(stream.dtype, symbolizer)


def _check_dtype(dtype: np.dtype[Any], symbolizer: Symbolizer | Predictor | None) -> None:
    """Demand the type of the circuit's data: integers of any type, or the columns' own type, byte order apart."""
    source = symbolizer.source.source if isinstance(symbolizer, Predictor) and symbolizer.source else None
    if source is None or source.kind in "iub":
        if dtype.kind not in "iub":
            raise StreamError(f"the data must be integers, as the circuit's, the header says {dtype.str}")
    elif dtype.newbyteorder("<").str != source.newbyteorder("<").str:
        raise StreamError(f"the data must be of type {source.str}, as the circuit's, the header says {dtype.str}")


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


def segment_rows(symbolizer: Symbolizer | Predictor | None) -> int:
    """Give the rows of every segment but the last, which holds what is left: only the end of a series is padded."""
    if isinstance(symbolizer, Predictor):
        return max(1, SEGMENT_NUMBERS // symbolizer.columns)
    return SEGMENT_RECORDS - (SEGMENT_RECORDS % symbolizer.segment_rows if symbolizer else 0)


def _window(symbolizer: Symbolizer | Predictor | None) -> int:
    """Give the rows of which every segment but the last has a multiple."""
    return symbolizer.segment_rows if isinstance(symbolizer, Symbolizer) else 1


def default_index_rows(circuit: IntegerCircuit) -> int:
    """Choose the records of a segment of a stream with an index: 256, or so many that they have `INDEX_NUMBERS`."""
    symbolizer = circuit.symbolizer
    numbers = math.prod(symbolizer.shape) if symbolizer is not None else len(circuit.order)
    rows = min(max(INDEX_ROWS, -(-INDEX_NUMBERS // numbers)), segment_rows(symbolizer))
    window = _window(symbolizer)
    return min(-(-rows // window) * window, segment_rows(symbolizer))


def default_index_lanes(circuit: IntegerCircuit, rows: int) -> int:
    """Choose S for segments of so many rows: a lane for every `INDEX_LANE_ROWS`; one where lanes begin anew."""
    return 1 if isinstance(circuit.symbolizer, Predictor) else max(1, rows // INDEX_LANE_ROWS)


def check_index_rows(circuit: IntegerCircuit, index: object) -> int:
    """Demand a number of rows that a segment of an indexed stream may have; choose one for 0.

    Raises:
        UsageError: it is none.
    """
    most = segment_rows(circuit.symbolizer)
    if isinstance(index, bool) or not isinstance(index, (int, np.integer)) or not 0 <= index <= most:
        raise UsageError(f"index must be the records of a segment, 1..{most}, or 0, got {index!r}")
    window = _window(circuit.symbolizer)
    if index % window:
        raise UsageError(f"index must be a multiple of the window's {window} rows, got {index}")
    return int(index) or default_index_rows(circuit)


def _check_segments(stream: Stream, symbolizer: Symbolizer | Predictor | None) -> None:
    """Demand the segments that `encode` makes of so many rows, for some S.

    Data have one form at an S: others would decode too, and be written again as other bytes.
    """
    size, lanes = stream.indexed or (
        segment_rows(symbolizer), max((len(segment.lanes) for segment in stream.segments), default=0)
    )  # fmt: skip
    left = stream.shape[0]
    for number, segment in enumerate(stream.segments):
        check_segment(segment, number, left, size, lanes, symbolizer)
        left -= segment.records


def check_segment(
    segment: Segment, number: int, left: int, size: int, lanes: int, symbolizer: Symbolizer | Predictor | None
) -> None:
    """Demand a segment of `size` of the rows left, or all of them, in `lanes` lanes, or as many as it can have.

    Raises:
        StreamError: it has others.
    """
    rows = min(size, left)
    if segment.records != rows:
        raise StreamError(f"segment {number} must have {rows} of the {left} records left, got {segment.records}")
    if segment.stored is not None:
        return
    count = symbolizer.records(rows) if isinstance(symbolizer, Symbolizer) else rows
    if len(segment.lanes) > count:
        raise StreamError(f"segment {number} must have 1..{count} lanes, got {len(segment.lanes)}")
    if len(segment.lanes) != min(lanes, count, rows):
        raise StreamError(
            f"segment {number} must have {min(lanes, count, rows)} lanes, as many as the others, "
            f"got {len(segment.lanes)}"
        )
