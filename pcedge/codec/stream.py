"""Streams of data: records of symbols in lanes, or rows of numbers with a predictor stage (docs/stream.md)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.circuit.inference import check_records
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
)
from pcedge.codec.fields import Field, Fields, check_fields, check_understood
from pcedge.codec.predicted import decode_rows, default_lanes, encode_rows
from pcedge.data.prediction import centred, restored
from pcedge.data.predictor import Predictor
from pcedge.data.symbolizer import Symbolizer, value_range
from pcedge.engines.base import LaneCoder, Progress
from pcedge.errors import DataError, StreamError, UsageError


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
            `DEFAULT_LANES`, or N where that is less; with a predictor stage as many as its data are worth.
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
    if isinstance(symbolizer, Predictor):
        laid = check_fields({**(fields or {}), **dict(CONTIGUOUS)})
        return _encode_predicted(engine, symbolizer, x, check_lanes(lanes), laid, progress)
    rows = (
        check_records(x, engine.circuit.cardinalities, allow_missing=False)
        if symbolizer is None
        else symbolizer.check(x)
    )
    array = np.asarray(x)
    if array.ndim > MAX_DIMENSIONS:
        raise DataError(f"data must have at most {MAX_DIMENSIONS} dimensions, got {array.ndim}")
    lanes = check_lanes(lanes)
    checked = check_fields(fields or {})
    if Field.LANE_ORDER in dict(checked):
        raise UsageError(f"field {int(Field.LANE_ORDER)} says how lanes are laid: encode writes it where it must stand")
    segments = []
    size = segment_rows(symbolizer)
    for first in range(0, len(rows), size):
        block = rows[first : first + size]
        records = block if symbolizer is None else symbolizer.apply(block).astype(np.int64)
        count = min(lanes or DEFAULT_LANES, len(records), len(block))

        def report(done: int, total: int, first: int = first, block_rows: int = len(block)) -> None:
            if progress:
                progress(first + done * block_rows // total, len(rows))

        coded = engine.encode_lanes(records, count, report)
        segments.append(Segment(len(block), tuple(coded)))
    return Stream(engine.circuit.digest, array.dtype, array.shape, tuple(segments), checked).pack()


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
    rows = symbolizer.data_shape if isinstance(symbolizer, Predictor) else symbolizer.shape if symbolizer else None
    if rows is not None and stream.shape[1:] != rows:
        raise StreamError(f"rows must have the symbolizer's shape {rows}, the header says shape {stream.shape}")
    if symbolizer is None and math.prod(stream.shape[1:]) != variables:
        raise StreamError(f"records must have {variables} symbols, the header says shape {stream.shape}")
    if stream.contiguous != isinstance(symbolizer, Predictor):
        raise StreamError("lanes must be in turn, or contiguous with a predictor stage: these do not fit the circuit")
    _check_dtype(stream.dtype, symbolizer)
    counts = _check_segments(stream, symbolizer)
    if isinstance(symbolizer, Predictor):
        return _decode_predicted(engine, symbolizer, stream, progress)
    # One segment at a time is held as symbols of 8 bytes; all records are, in the data's own type.
    out = np.empty((stream.shape[0], math.prod(stream.shape[1:])), dtype=stream.dtype)
    lowest, highest = value_range(stream.dtype.name)
    done = 0
    for number, (segment, count) in enumerate(zip(stream.segments, counts, strict=True)):

        def report(records: int, total: int, first: int = done, rows: int = segment.records) -> None:
            if progress:
                progress(first + records * rows // total, stream.shape[0])

        lanes = list(segment.lanes)
        symbols = engine.decode_lanes(lanes, count, report)
        block = symbols if symbolizer is None else _data(symbolizer, symbols, segment.records, number)
        for end in (block.min(), block.max()) if block.size else ():
            if not lowest <= int(end) <= highest:
                what = "symbols" if symbolizer is None else "values"
                raise StreamError(f"{what} must fit {stream.dtype}, got {end}")
        out[done : done + segment.records] = block.reshape(segment.records, -1)
        done += segment.records
    return out.reshape(stream.shape)


def _check_dtype(dtype: np.dtype[Any], symbolizer: Symbolizer | Predictor | None) -> None:
    """Demand the type of the circuit's data: integers of any type, or the columns' own type, byte order apart."""
    source = symbolizer.source.source if isinstance(symbolizer, Predictor) and symbolizer.source else None
    if source is None or source.kind in "iub":
        if dtype.kind not in "iub":
            raise StreamError(f"the data must be integers, as the circuit's, the header says {dtype.str}")
    elif dtype.newbyteorder("<").str != source.newbyteorder("<").str:
        raise StreamError(f"the data must be of type {source.str}, as the circuit's, the header says {dtype.str}")


def _encode_predicted(
    engine: LaneCoder, predictor: Predictor, x: ArrayLike, lanes: int | None, fields: Fields, progress: Progress | None
) -> bytes:
    array, cells = predictor.check(x), predictor.cells(x)
    size = segment_rows(predictor)
    lanes = lanes or default_lanes(min(len(array), size) * predictor.columns)
    segments = []
    for first in range(0, len(array), size):
        block = centred(predictor, cells[first : first + size])

        def report(done: int, _: int, first: int = first) -> None:
            if progress:
                progress(first + done, len(array))

        coded, raw = encode_rows(engine, block, min(lanes, len(block)), report)
        segments.append(Segment(len(block), tuple(coded), tuple(raw)))
    return Stream(engine.circuit.digest, array.dtype, array.shape, tuple(segments), fields).pack()


def _decode_predicted(
    engine: LaneCoder, predictor: Predictor, stream: Stream, progress: Progress | None
) -> NDArray[np.generic]:
    # Records with fields are held as bytes: a copy by fields loses what lies between them.
    out = np.empty((stream.shape[0], math.prod(stream.shape[1:])), dtype=stream.dtype)
    fielded = stream.dtype.kind == "V"
    lowest, highest = value_range(stream.dtype.name) if stream.dtype.kind in "iub" else (0, 0)
    done = 0
    for number, segment in enumerate(stream.segments):

        def report(rows: int, _: int, first: int = done) -> None:
            if progress:
                progress(first + rows, stream.shape[0])

        numbers = decode_rows(engine, list(segment.lanes), list(segment.raw), segment.records, report)
        try:
            block = restored(predictor, numbers)
        except DataError as error:
            raise StreamError(f"segment {number}: {error}") from error
        integers = stream.dtype.kind in "iub"
        if integers and not lowest <= int(block.min()) <= int(block.max()) <= highest:
            raise StreamError(f"values must fit {stream.dtype}, got {int(block.min())}..{int(block.max())}")
        rows = block.view(stream.dtype) if fielded else block
        out[done : done + segment.records] = rows.reshape(segment.records, -1)
        done += segment.records
    typed = out.view(predictor.source.source) if fielded and predictor.source else out
    return typed.reshape(stream.shape)


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


def _check_segments(stream: Stream, symbolizer: Symbolizer | Predictor | None) -> list[int]:
    """Demand the segments that `encode` makes of so many rows, for some S, and give the records of symbols of each.

    Data have one form at an S: others would decode too, and be written again as other bytes.
    """
    lanes = max((len(segment.lanes) for segment in stream.segments), default=0)
    left, counts = stream.shape[0], []
    for number, segment in enumerate(stream.segments):
        rows = min(segment_rows(symbolizer), left)
        if segment.records != rows:
            raise StreamError(f"segment {number} must have {rows} of the {left} records left, got {segment.records}")
        count = rows if symbolizer is None or isinstance(symbolizer, Predictor) else symbolizer.records(rows)
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
