"""The check of a stream that was just written: its records are decoded and compared with the data."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.arrays import IntArray, unmasked
from pcedge.codec.container import DEFAULT_LANES, DIGEST_BYTES, Segment
from pcedge.codec.decoder import Entry, StreamFile, StreamSource
from pcedge.codec.given import check_given, given_of, without_given
from pcedge.codec.predicted import lane_rows, row_rounds
from pcedge.codec.segments import check_rows, decode_segments
from pcedge.codec.stream import segment_rows, shaped
from pcedge.data.prediction import centred
from pcedge.data.predictor import Predictor
from pcedge.data.structs import check_layout, places_of
from pcedge.data.symbolizer import Symbolizer
from pcedge.engines.base import Engine, Progress
from pcedge.errors import DataError, MismatchError, StreamError, UsageError
from pcedge.integer.circuit import IntegerCircuit
from pcedge.native import NativeEngine

#: all decodes everything; sample the first and the last segment for `SAMPLE_SECONDS`; none checks nothing
VERIFY = ("all", "sample", "none")

#: the choice where there is none
DEFAULT_VERIFY = "sample"

#: seconds that a sample may take, but that of each segment it decodes at least a record of some lanes
SAMPLE_SECONDS = 5.0


def default_verify(engine: Engine) -> str:
    """Choose how much of a stream is decoded where nobody says: all; with numpy, which is slow, a sample."""
    return "all" if isinstance(engine, NativeEngine) else DEFAULT_VERIFY


def check_stream(
    engine: Engine,
    x: ArrayLike,
    data: StreamSource,
    verify: str = DEFAULT_VERIFY,
    progress: Progress | None = None,
    *,
    seconds: float = SAMPLE_SECONDS,
) -> int:
    """Decode a stream and compare it with the data that it was made of.

    Args:
        engine: the circuit's engine.
        x: the data, as `encode` took them.
        data: the stream, or a file of it.
        verify: one of `VERIFY`. But for none, a symbolizer must give back all the data from their symbols.
        progress: told (records done, records in all) of what is decoded.
        seconds: what a sample may take; a piece of work that has begun is ended.

    Returns:
        How many records, rows of data where there is a symbolizer, were decoded and compared.

    Raises:
        MismatchError: the stream does not give back the data; the message names the first record.
        UsageError: `verify` is none of `VERIFY`.

    Example:
        >>> from pcedge.circuit import Circuit, InputLayer
        >>> from pcedge.codec.stream import encode
        >>> from pcedge.engines import ReferenceEngine
        >>> from pcedge.quantize import quantize
        >>> engine = ReferenceEngine(quantize(Circuit((InputLayer(0, np.array([[0.25, 0.75]])),))))
        >>> x = np.array([[1], [0]], dtype=np.uint8)
        >>> check_stream(engine, x, encode(engine, x))
        2
    """
    if verify not in VERIFY:
        raise UsageError(f"verify must be one of {', '.join(VERIFY)}, got {verify!r}")
    if verify == "none":
        return 0
    symbolizer = engine.circuit.symbolizer
    array = x if isinstance(x, np.ndarray) else np.asarray(x)
    if not len(array):
        check_rows(engine.circuit, array)
    with contextlib.closing(_opened(data)) as stream:
        entries = _entries(stream, engine.circuit, array)
        engine = engine.with_given(stream.head.given)
        seconds = math.inf if verify == "all" else seconds
        if isinstance(symbolizer, Predictor):
            return _check_predicted(engine, symbolizer, array, stream, entries, seconds, progress)
        if verify == "all" and stream.head.indexed is not None:
            return _check_all(engine, array, stream, entries, progress)
        return _check_records(engine, array, stream, entries, seconds, progress)


def _check_records(
    engine: Engine, array: NDArray[Any], stream: StreamFile, entries: list[Entry], seconds: float,
    progress: Progress | None,
) -> int:  # fmt: skip
    """Decode records of the first and of the last segment, or of all, and compare them."""
    symbolizer = engine.circuit.symbolizer
    assert not isinstance(symbolizer, Predictor)
    every = seconds == math.inf
    last = len(entries) - 1
    decoded = start = coded = 0
    left = seconds
    for number, entry in enumerate(entries):
        segment = _read(stream, number, entry)
        block = array[start : start + segment.records]
        records = engine.check(block, allow_missing=False) if symbolizer is None else _symbols(symbolizer, block, start)
        if engine.given:
            with _as_mismatch(start, start + len(block)):
                check_given(segment, given_of(block, engine.given), number)
        if segment.stored is not None:
            decoded += _check_stored(segment, block, start, engine.given)
        elif every or number in (0, last):
            began = time.monotonic()
            until = began + (left if number == last else left / 2)
            done = np.zeros(len(records), dtype=bool)
            # A sample takes some lanes after the others, so that a piece of work stays small.
            width = len(segment.lanes) if every else DEFAULT_LANES
            for indices in _compare(engine, segment, records, coded, width):
                done[indices] = True
                if progress:
                    progress(decoded + _whole_rows(symbolizer, done, len(block)), len(array))
                if time.monotonic() > until:
                    break
            decoded += _whole_rows(symbolizer, done, len(block))
            left -= time.monotonic() - began
        start += segment.records
        coded += len(records)
    return decoded


def _opened(data: StreamSource) -> StreamFile:
    try:
        return StreamFile(data)
    except StreamError as error:
        raise MismatchError(f"what was written must be a stream, it is none: {error}") from error


def _entries(stream: StreamFile, circuit: IntegerCircuit, array: NDArray[Any]) -> list[Entry]:
    """Find the segments of a stream, which must be of a circuit and of data of this type and shape."""
    entries = []
    try:
        for number, entry in enumerate(stream.entries()):
            stream.read(number, entry)  # before anything that follows it is believed
            entries.append(entry)
    except StreamError as error:
        raise MismatchError(f"what was written must be a stream, it is none: {error}") from error
    # Of records with fields a stream says their size only.
    head = stream.head
    if (head.digest, head.dtype.str, head.shape) != (circuit.digest[:DIGEST_BYTES], array.dtype.str, array.shape):
        raise MismatchError(
            f"the stream must be of the circuit and have the data's dtype and shape, got {(head.dtype, head.shape)}"
        )
    return entries


def _read(stream: StreamFile, number: int, entry: Entry) -> Segment:
    try:
        return stream.read(number, entry)
    except StreamError as error:
        raise MismatchError(f"what was written must be a stream, it is none: {error}") from error


def _check_all(
    engine: Engine, array: NDArray[Any], stream: StreamFile, entries: list[Entry], progress: Progress | None
) -> int:
    """Decode all of a stream of short segments, many at a time, and compare it."""
    step = max(1, segment_rows(engine.circuit.symbolizer) // entries[0].records) if entries else 1
    for first in range(0, len(entries), step):
        some = entries[first : first + step]
        segments = [_read(stream, first + number, entry) for number, entry in enumerate(some)]
        start, stop = some[0].first, some[-1].first + some[-1].records
        known = given_of(array[start:stop], engine.given) if engine.given else None
        with _as_mismatch(start, stop):
            rows = shaped(
                engine.circuit, stream.head, decode_segments(engine, stream.head, segments, first, given=known)
            )
        wrong = np.argwhere(differ(rows, array[start:stop]))
        if len(wrong):
            row, *position = (int(i) for i in wrong[0])
            raise MismatchError(f"record {start + row}, place {tuple(position)}: must decode to the value coded")
        if progress:
            progress(stop, len(array))
    return len(array)


def _check_predicted(
    engine: Engine, predictor: Predictor, array: NDArray[Any], stream: StreamFile, entries: list[Entry],
    seconds: float, progress: Progress | None,
) -> int:  # fmt: skip
    """Decode rows of the first and of the last segment, or of all, and compare them."""
    last = len(entries) - 1
    decoded = start = 0
    for number, entry in enumerate(entries):
        segment = _read(stream, number, entry)
        numbers, gone = unmasked(centred(predictor, _cells(predictor, array[start : start + segment.records], start)))
        if segment.stored is not None:
            decoded += _check_stored(segment, array[start : start + segment.records], start)
        elif seconds == math.inf or number in (0, last):
            until = time.monotonic() + seconds / 2
            counts = lane_rows(segment.records, len(segment.lanes))
            firsts = np.cumsum(counts) - counts
            rounds = row_rounds(engine, list(segment.lanes), list(segment.raw), segment.records)
            try:
                for row, block in enumerate(rounds):
                    indices = firsts[: len(block)] + row
                    decoded_numbers, missing = unmasked(block)
                    differ = decoded_numbers != numbers[indices]
                    if gone is not None and missing is not None:
                        differ = (differ & ~gone[indices]) | (missing != gone[indices])
                    wrong = np.argwhere(differ)
                    if len(wrong):
                        lane, column = (int(i) for i in wrong[0])
                        raise MismatchError(
                            f"row {start + firsts[lane] + row}, column {column}: must decode to the value coded"
                        )
                    decoded += len(block)
                    if progress:
                        progress(decoded, len(array))
                    if time.monotonic() > until:
                        break
            except StreamError as error:
                raise MismatchError(f"rows from {start} on must decode: {error}") from error
        start += segment.records
    return decoded


@contextlib.contextmanager
def _as_mismatch(start: int, stop: int) -> Iterator[None]:
    """Let what a reader refuses of records that were just written be a mismatch."""
    try:
        yield
    except (StreamError, DataError) as error:
        raise MismatchError(f"records {start}..{stop - 1} must decode: {error}") from error


def _check_stored(segment: Segment, rows: NDArray[np.generic], start: int, given: tuple[int, ...] = ()) -> int:
    """Compare rows that are stored, but for what is given; give how many."""
    if segment.stored != (without_given(rows, given) if given else rows).tobytes():
        raise MismatchError(f"rows from {start} on must be stored as they are, they are not")
    return len(rows)


def _cells(predictor: Predictor, array: NDArray[Any], start: int) -> NDArray[Any]:
    """Map data to numbers, which must give the data back."""
    cells = predictor.cells(array)
    if predictor.source is not None:
        wrong = np.argwhere(differ(predictor.source.invert(cells), array))
        if len(wrong):
            row, *position = (int(i) for i in wrong[0])
            raise MismatchError(f"row {start + row}, place {tuple(position)}: the value must come back from its cells")
    return cells


def differ(back: NDArray[Any], block: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which values differ: integers by their values, whatever their type, others by their bits."""
    if block.dtype.kind in "iub":
        return np.asarray(back != block)
    size = block.dtype.itemsize
    back = back if block.dtype.names else back.astype(block.dtype)
    bits = [np.ascontiguousarray(x.view(f"V{size}")).view(np.uint8).reshape(*block.shape, size) for x in (back, block)]
    differ = bits[0] != bits[1]
    if block.dtype.names:  # but for the bytes between fields, which hold nothing
        differ &= ~check_layout(block.dtype, places_of(block.dtype))
    return np.asarray(differ.any(axis=-1))


def _symbols(symbolizer: Symbolizer, block: NDArray[np.generic], start: int) -> IntArray:
    """Map rows to records of symbols, which must give the rows back."""
    records = symbolizer.apply(block)
    try:
        wrong = np.argwhere(symbolizer.invert(records, len(block)) != block)
    except DataError as error:
        raise MismatchError(
            f"rows {start}..{start + len(block) - 1} must come back from their symbols: {error}"
        ) from error
    if len(wrong):
        row, *position = (int(i) for i in wrong[0])
        raise MismatchError(f"row {start + row}, place {tuple(position)}: the value must come back from its symbols")
    return records.astype(np.int64)


def _compare(engine: Engine, segment: Segment, records: IntArray, first: int, width: int) -> Iterator[IntArray]:
    """Decode `width` lanes after the others, a record of each at a time; give the indices of those that are equal."""
    lanes = len(segment.lanes)
    for begin in range(0, lanes, width):
        some = segment.lanes[begin : begin + width]
        indices = np.flatnonzero(np.arange(len(records)) % lanes // width == begin // width)
        rounds = engine.decode_rounds(list(some), len(indices), records[indices] if engine.given else None)
        for done in range(0, len(indices), len(some)):
            now = indices[done : done + len(some)]
            try:
                symbols = next(rounds)
            except StreamError as error:
                raise MismatchError(f"records {first + now[0]}..{first + now[-1]} must decode: {error}") from error
            wrong = np.argwhere(symbols != records[now])
            if len(wrong):
                row, variable = (int(i) for i in wrong[0])
                raise MismatchError(
                    f"record {first + now[row]}, variable {variable}: must decode to {records[now[row], variable]}, "
                    f"got {symbols[row, variable]}"
                )
            yield now
        try:
            next(rounds, None)  # the lanes must end here
        except StreamError as error:
            raise MismatchError(f"the lanes must end with record {first + indices[-1]}: {error}") from error


def _whole_rows(symbolizer: Symbolizer | None, done: NDArray[np.bool_], rows: int) -> int:
    """Count the rows all of whose records are done."""
    if symbolizer is None or symbolizer.window is None:
        return int(done.sum())
    size = symbolizer.segment_rows
    groups = np.asarray(done.reshape(-1, symbolizer.records(1)).all(axis=1))
    lengths = np.minimum(size, rows - size * np.arange(len(groups)))
    return int(lengths[groups].sum())
