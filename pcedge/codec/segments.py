"""Rows to segments and back: the lanes of several small segments go through the engine side by side.

What a segment's bytes are depends on its own rows alone. An engine is fast where it has many lanes, and small segments
have few: so those of equal size are given to it as one (`_places`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.arrays import IntArray, unmasked
from pcedge.circuit.inference import check_records, checked
from pcedge.codec.container import Segment, Stream
from pcedge.codec.given import check_given, checksum, given_of, whole_records, without_given
from pcedge.codec.predicted import decode_rows, encode_rows, lane_rows
from pcedge.data.prediction import centred, restored
from pcedge.data.predictor import Predictor
from pcedge.data.symbolizer import Symbolizer, value_range
from pcedge.engines.base import LaneCoder, Progress
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import DataError, StreamError
from pcedge.integer.circuit import IntegerCircuit
from pcedge.native import NativeEngine

Rows = NDArray[Any]

#: bytes that a segment must be smaller by to be stored: field 11, and version 2 where it is for that alone, take 3; and
#: a few records, of which their lanes' lengths and ends make more, are no reason to write another version
LEAST_SAVED = 32


def encode_segments(
    engine: LaneCoder, rows: Rows, size: int, lanes: int, stored: bool = True, progress: Progress | None = None
) -> list[Segment]:
    """Encode rows.

    Args:
        engine: what codes the circuit's lanes.
        rows: the data, (rows, …).
        size: rows of every segment but the last.
        lanes: S.
        stored: whether a segment that its lanes would make larger is stored.
        progress: told (rows done, rows in all).

    Raises:
        DataError: the data do not fit the circuit.
    """
    map_rows = _mapping(engine)
    made: list[Segment] = []
    whole = len(rows) // size
    for first, count, length in ((0, whole, size), (whole * size, 1, len(rows) - whole * size)):
        if not count or not length:
            continue
        parts = [rows[first + size * number :][:length] for number in range(count)]

        def report(done: int, total: int, first: int = first, some: int = count * length) -> None:
            if progress:
                progress(first + done * some // max(1, total), len(rows))

        mapped = map_rows(parts)
        for part, segment in zip(parts, _encode(engine, mapped, length, lanes, report), strict=True):
            made.append(_finished(part, segment, engine.given, stored))
    return made


def check_rows(circuit: IntegerCircuit, rows: ArrayLike) -> None:
    """Demand data that the circuit can code.

    Raises:
        DataError: they do not fit the circuit.
    """
    if isinstance(circuit.symbolizer, Predictor):
        circuit.symbolizer.cells(rows)
    elif circuit.symbolizer is not None:
        circuit.symbolizer.check(rows)
    else:
        check_records(rows, circuit.cardinalities, allow_missing=False)


def decode_segments(
    engine: LaneCoder, head: Stream, segments: Sequence[Segment], first: int = 0, progress: Progress | None = None,
    given: Rows | None = None,
) -> Rows:  # fmt: skip
    """Decode segments that follow each other.

    Args:
        engine: what codes the circuit's lanes; what is given is what the header says.
        head: the stream's header.
        segments: the segments.
        first: the number of the first of them, for messages.
        progress: told (rows done, rows in all).
        given: the given values of their rows, (rows, given) in the stream's dtype; None where nothing is given.

    Returns:
        The rows in the stream's dtype, (rows, numbers of a row).

    Raises:
        StreamError: the bytes are not what an encoder of this circuit writes.
        DataError: the given values are not those of the encoder.
    """
    total = sum(segment.records for segment in segments)
    out = np.empty((total, math.prod(head.shape[1:])), dtype=head.dtype)
    done = 0
    for _, run in itertools.groupby(segments, lambda s: (s.records, len(s.lanes))):
        some = list(run)

        def report(now: int, of: int, done: int = done, rows: int = sum(s.records for s in some)) -> None:
            if progress:
                progress(done + now * rows // max(1, of), total)

        size = some[0].records
        known = None if given is None else given[done : done + size * len(some)]
        for number, rows in enumerate(() if known is None else np.split(known, len(some))):
            check_given(some[number], rows, first + number)
        try:
            block = _decode(engine, head, some, first, known, report)
        except StreamError:
            # Of several at a time, a message would name a lane of none of them.
            for number, segment in enumerate(some if len(some) > 1 else ()):
                own = None if known is None else known[size * number : size * (number + 1)]
                _decode(engine, head, [segment], first + number, own)
            raise
        out[done : done + len(block)] = block
        done += len(block)
        first += len(some)
    return out


def decode_part(
    engine: LaneCoder, head: Stream, segment: Segment, start: int, stop: int, number: int, given: Rows | None = None
) -> Rows:
    """Decode rows `start` to `stop` of a segment, of the lanes that they lie in; else as `decode_segments`.

    Of a circuit without a symbolizer no later record of these lanes is decoded, so nothing tells whether they end as
    they must: the segment's checksum does. The given values are those of the whole segment.
    """
    symbolizer = engine.circuit.symbolizer
    if start < stop and segment.stored is None:
        if symbolizer is None and isinstance(engine, NativeEngine | ReferenceEngine):
            return _decode_records(engine, head, segment, start, stop, number, given)
        if isinstance(symbolizer, Predictor):
            return _decode_lanes_of(engine, head, segment, start, stop, number)
    return decode_segments(engine, head, [segment], number, given=given)[start:stop]


def _decode_records(
    engine: NativeEngine | ReferenceEngine, head: Stream, segment: Segment, start: int, stop: int, number: int,
    given: Rows | None,
) -> Rows:  # fmt: skip
    lane, place = np.arange(start, stop) % len(segment.lanes), np.arange(start, stop) // len(segment.lanes)
    some = np.unique(lane)
    lanes, rounds = [segment.lanes[i] for i in some], int(place.max()) + 1
    # Longer lanes come first, as in every segment.
    total = int(np.minimum(lane_rows(segment.records, len(segment.lanes))[some], rounds).sum())
    known = None
    if given is not None:
        check_given(segment, given, number)
        turn = np.arange(total)
        known = whole_records(head, given[turn // len(some) * len(segment.lanes) + some[turn % len(some)]])
    try:
        if isinstance(engine, NativeEngine):
            records = engine.decode_first(lanes, total, known)
        else:
            records = np.concatenate(list(itertools.islice(engine.decode_rounds(lanes, total, known), rounds)))
    except StreamError:
        decode_segments(engine, head, [segment], number, given=given)  # names the lane among all
        raise
    return _typed(head, records[place * len(some) + np.searchsorted(some, lane)], None)


def _decode_lanes_of(engine: LaneCoder, head: Stream, segment: Segment, start: int, stop: int, number: int) -> Rows:
    """Decode the contiguous lanes that have some rows, and give these."""
    counts = lane_rows(segment.records, len(segment.lanes))
    ends = np.cumsum(counts)
    first, last = np.searchsorted(ends, [start, stop - 1], side="right")
    some = slice(int(first), int(last) + 1)
    chosen = Segment(int(counts[some].sum()), segment.lanes[some], segment.raw[some])
    skipped = int(ends[first] - counts[first])
    return decode_segments(engine, head, [chosen], number)[start - skipped : stop - skipped]


def _mapping(engine: LaneCoder) -> Callable[[list[Rows]], list[Rows]]:
    """Give what makes of the rows of every segment what is coded: int64, or what the native engine reads as it is."""
    circuit, symbolizer = engine.circuit, engine.circuit.symbolizer
    if isinstance(symbolizer, Predictor):
        return lambda parts: [centred(symbolizer, symbolizer.cells(part)) for part in parts]
    if symbolizer is not None:
        return lambda parts: [symbolizer.apply(part).astype(np.int64) for part in parts]
    check = checked if isinstance(engine, NativeEngine) else check_records
    return lambda parts: [check(part, circuit.cardinalities, allow_missing=False) for part in parts]


def _encode(engine: LaneCoder, mapped: list[Rows], rows: int, lanes: int, report: Progress) -> Iterator[Segment]:
    """Encode segments of `rows` rows each, which are mapped to equally many records."""
    count, parts = len(mapped[0]), len(mapped)
    lanes = min(lanes, count, rows)
    contiguous = isinstance(engine.circuit.symbolizer, Predictor)
    order, places = _places(count, lanes, parts, contiguous)
    joint = mapped[0] if parts == 1 else _joined(mapped)[np.argsort(places)]
    if contiguous:
        coded, raw = encode_rows(engine, joint, lanes * parts, report)
    else:
        coded, raw = engine.encode_lanes(joint, lanes * parts, report), []
    for own in order:
        yield Segment(rows, tuple(coded[i] for i in own), tuple(raw[i] for i in own if raw))


def _decode(
    engine: LaneCoder, head: Stream, segments: list[Segment], first: int, given: Rows | None,
    report: Progress | None = None,
) -> Rows:  # fmt: skip
    """Decode segments of equally many rows and lanes; give (rows, numbers of a row)."""
    symbolizer = engine.circuit.symbolizer
    rows = segments[0].records
    if segments[0].stored is not None:
        parts = [None] * len(segments) if given is None else np.split(given, len(segments))
        pairs = zip(segments, parts, strict=True)
        return np.concatenate([_restored(engine.circuit, head, *pair, first + n) for n, pair in enumerate(pairs)])
    contiguous = isinstance(symbolizer, Predictor)
    count = symbolizer.records(rows) if isinstance(symbolizer, Symbolizer) else rows
    order, places = _places(count, len(segments[0].lanes), len(segments), contiguous)
    owners = sorted((int(i), part, lane) for part, own in enumerate(order) for lane, i in enumerate(own))
    lanes = [segments[part].lanes[lane] for _, part, lane in owners]
    total = count * len(segments)
    if contiguous:
        raw = [segments[part].raw[lane] for _, part, lane in owners]
        joint = decode_rows(engine, lanes, raw, total, report)
    else:
        known = whole_records(head, given)
        if known is not None and len(segments) > 1:
            known = known[np.argsort(places)]
        narrow = {"narrow": True} if isinstance(engine, NativeEngine) and symbolizer is None else {}
        joint = engine.decode_lanes(lanes, total, report, known, **narrow)
    if len(segments) > 1:
        joint = joint[places]
    blocks = []
    for number in range(len(segments)):
        part = joint[count * number : count * (number + 1)]
        try:
            if isinstance(symbolizer, Predictor):
                part = restored(symbolizer, part)
            elif symbolizer is not None:
                part = symbolizer.invert(part, rows)
        except DataError as error:
            raise StreamError(f"segment {first + number}: {error}") from error
        blocks.append(_typed(head, part, symbolizer))
    return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)


def _typed(head: Stream, block: Rows, symbolizer: Symbolizer | Predictor | None) -> Rows:
    """Give rows in the stream's dtype, (rows, numbers of a row)."""
    if head.dtype.kind in "iub" and block.size:
        lowest, highest = value_range(head.dtype.name)
        ends = [int(block.min()), int(block.max())]
        if wrong := [end for end in ends if not lowest <= end <= highest]:
            shown = f"{ends[0]}..{ends[1]}" if isinstance(symbolizer, Predictor) else wrong[0]
            raise StreamError(f"{'values' if symbolizer else 'symbols'} must fit {head.dtype}, got {shown}")
    # Records with fields are held as bytes: a copy by fields loses what lies between them.
    rows = block.view(head.dtype) if head.dtype.kind == "V" else block.astype(head.dtype, copy=False)
    return rows.reshape(len(block), math.prod(head.shape[1:]))


def _restored(circuit: IntegerCircuit, head: Stream, segment: Segment, given: Rows | None, first: int) -> Rows:
    """Give stored rows, which must be such as the circuit codes."""
    data = np.frombuffer(segment.stored or b"", dtype=np.uint8)
    if head.dtype.kind == "b" and data.max(initial=0) > 1:
        raise StreamError(f"segment {first}, which is stored: a bool must be 0 or 1, got {data.max()}")
    rows = data.view(head.dtype)
    if given is not None:
        whole = np.empty((segment.records, math.prod(head.shape[1:])), dtype=head.dtype)
        own = np.isin(np.arange(whole.shape[1]), head.given)
        whole[:, own], whole[:, ~own] = given, rows.reshape(segment.records, int((~own).sum()))
        rows = whole
    rows = rows.reshape(segment.records, *head.shape[1:])
    source = circuit.symbolizer.source if isinstance(circuit.symbolizer, Predictor) else None
    try:
        check_rows(circuit, rows.view(source.source) if head.dtype.kind == "V" and source else rows)
    except DataError as error:
        raise StreamError(f"segment {first}, which is stored: {error}") from error
    return rows.reshape(segment.records, -1)


def _finished(rows: Rows, segment: Segment, given: Sequence[int], stored: bool) -> Segment:
    """Give a segment with the checksum of its given values; with its rows as they are where that is smaller."""
    if given:
        segment = replace(segment, given=checksum(given_of(rows, given)))
        rows = without_given(rows, given)
    if not stored:
        return segment
    plain = Segment(segment.records, (), (), rows.tobytes(), segment.given)
    return plain if len(segment.pack()) - len(plain.pack()) >= LEAST_SAVED else segment


def _joined(mapped: list[IntArray]) -> IntArray:
    """Put numbers one behind the other, which may be masked."""
    numbers, gone = zip(*map(unmasked, mapped), strict=True)
    joint: IntArray = np.concatenate(numbers)
    if any(mask is None for mask in gone):
        return joint
    masks = [
        np.zeros(part.shape, dtype=bool) if mask is None else mask for part, mask in zip(numbers, gone, strict=True)
    ]
    return np.ma.MaskedArray(joint, np.concatenate(masks))


def _places(count: int, lanes: int, parts: int, contiguous: bool) -> tuple[IntArray, IntArray]:
    """Lay the lanes of equal segments side by side, longer ones first, as an engine has them.

    Args:
        count: records of every segment.
        lanes: lanes of every segment.
        parts: segments.
        contiguous: whether a lane has records that follow each other, not every S-th.

    Returns:
        The place of every segment's lanes among all lanes, (parts, lanes), and of its records among all records,
        (parts * count).
    """
    long = count % lanes or lanes
    part, lane = np.arange(parts)[:, None], np.arange(lanes)
    order = np.where(lane < long, part * long + lane, parts * long + part * (lanes - long) + lane - long)
    if contiguous:
        own = lane_rows(count, lanes)
        all_lanes = lane_rows(count * parts, lanes * parts)
        firsts = np.cumsum(all_lanes) - all_lanes
        which = np.repeat(lane, own)
        places = firsts[order[:, which]] + np.arange(count) - (np.cumsum(own) - own)[which]
    else:
        record = np.arange(count)
        places = (record // lanes) * (lanes * parts) + order[:, record % lanes]
    return order, places.ravel()
