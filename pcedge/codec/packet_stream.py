"""Streams of packets: a header, then packets of equal size (docs/packets.md, section Stream)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.arrays import IntArray, unmasked
from pcedge.circuit.inference import check_records
from pcedge.codec.container import Stream, parse, varint
from pcedge.codec.fields import Field, check_fields
from pcedge.codec.given import in_words
from pcedge.codec.packet_rows import (
    MOST_NUMBERS,
    UnpackedRows,
    check_layout,
    decode_packet_rows,
    encode_packet_rows,
    layout_rows,
)
from pcedge.codec.packets import PacketLayout, damaged_in_words, decode_packets, encode_packets
from pcedge.codec.stream import begin, check_head
from pcedge.data.prediction import centred, restored
from pcedge.data.predictor import Predictor
from pcedge.data.structs import view_of
from pcedge.data.symbolizer import Symbolizer, value_range
from pcedge.engines.base import Engine, Progress
from pcedge.errors import DataError, StreamError, UsageError

#: bits of a packet's checksum where the caller names none
DEFAULT_CRC_BITS = 16

#: records that a packet may hold on average, for readers to bound their memory
MOST_RECORDS = 1 << 16


class Received(NamedTuple):
    """Hold what a stream of packets gives."""

    #: in the dtype and shape of the data, 0 where nothing came
    array: NDArray[Any]
    #: which numbers came, of that shape; of records with fields one axis more, of the fields
    here: NDArray[np.bool_]
    #: numbers of the packets that are damaged
    damaged: tuple[int, ...]
    packets: int


def encode_packet_stream(
    engine: Engine,
    x: ArrayLike,
    packet_bytes: int,
    crc_bits: int = DEFAULT_CRC_BITS,
    progress: Progress | None = None,
    fields: Mapping[int, bytes] | None = None,
) -> bytes:
    """Compress records to a stream of packets of equal size, each decodable without the others.

    Args:
        engine: of the circuit.
        x: integers as `pcedge.encode` takes them.
        packet_bytes: bytes of every packet.
        crc_bits: bits of its checksum, 0, 16 or 32.
        progress: told (records done, records in all).
        fields: what the header carries beside, as in `pcedge.codec.encode`.

    Raises:
        DataError: the data do not fit the circuit.
        UsageError: the packets have no room for a symbol, or so much that they hold more records than are decoded.
    """
    circuit = engine.circuit
    if engine.given:
        raise UsageError(
            f"packets must be of all variables, variables {in_words(engine.given)} are given: encode without one of "
            "--packet-bytes and --given"
        )
    head, array = begin(engine, x, None, fields, None)
    symbolizer = circuit.symbolizer
    if isinstance(symbolizer, Predictor):
        numbers = centred(symbolizer, symbolizer.cells(array))
        layout = layout_rows(circuit, packet_bytes, len(numbers), crc_bits)
        packets = encode_packet_rows(engine, numbers, layout, progress)
    else:
        records = check_records(array, circuit.cardinalities, allow_missing=False) if symbolizer is None else (
            symbolizer.apply(symbolizer.check(array)).astype(np.int64))  # fmt: skip
        layout = PacketLayout.of(engine, packet_bytes, len(records), crc_bits)
        packets = encode_packets(engine, records, layout, progress)
        if len(records) > MOST_RECORDS * (1 + len(packets)):  # which nobody would decode
            raise UsageError(
                f"packets must hold at most {MOST_RECORDS} records each, {len(packets)} of {packet_bytes} bytes would "
                f"hold {len(records)}: choose smaller ones"
            )
    laid = dict(head.fields) | {Field.PACKETS: varint(layout.size) + bytes([layout.place_bytes, layout.crc_bits])}
    return Stream(head.digest, head.dtype, array.shape, (), check_fields(laid), tuple(packets)).pack()


def decode_packet_stream(engine: Engine, data: object, progress: Progress | None = None) -> Received:
    """Restore what came of a stream of packets.

    Raises:
        StreamError: the header is damaged or of another circuit, or a value is lost that a symbolizer needs.
    """
    stream = data if isinstance(data, Stream) else parse(data)
    check_head(engine.circuit, stream)
    layout = layout_of(stream)
    symbolizer, rows = engine.circuit.symbolizer, stream.shape[0]
    stage = isinstance(symbolizer, Predictor)
    try:
        if stage:
            check_layout(engine.circuit, layout)
        else:
            layout.check(engine.circuit.widths)
    except UsageError as error:
        raise StreamError(f"field 15: {error}") from error
    # A damaged header must not ask for any memory.
    many, most = (symbolizer.records(rows), MOST_NUMBERS) if isinstance(symbolizer, Predictor) else (rows, MOST_RECORDS)
    if many > most * (1 + len(stream.packets)):
        raise StreamError(
            f"{many} {'numbers' if stage else 'records'} must come in packets, at most {most} in each, got "
            f"{len(stream.packets)} packets"
        )
    if isinstance(symbolizer, Predictor):
        return _received_rows(symbolizer, stream, decode_packet_rows(engine, stream.packets, layout, rows, progress))
    count = rows if symbolizer is None else symbolizer.records(rows)
    got = decode_packets(engine, stream.packets, layout, count, progress)
    values, here = _values(symbolizer, got.records, got.here, rows)
    _check_values(values, stream.dtype)
    array = values.astype(stream.dtype).reshape(stream.shape)
    return Received(array, here.reshape(stream.shape), got.damaged, len(stream.packets))


def whole(received: Received) -> NDArray[Any]:
    """Give the data where all of them came.

    Raises:
        StreamError: some did not.
    """
    lost = int((~received.here).sum())
    if lost or received.damaged:
        packets = f"{damaged_in_words(received.damaged, received.packets)}, " if received.damaged else ""
        raise StreamError(
            f"the stream must have all of its packets: {packets}{lost} of {received.here.size} numbers did not come; "
            "--lost FILE writes the others, and which they are"
        )
    return received.array


def layout_of(stream: Stream) -> PacketLayout:
    """Give the layout that a stream's header names.

    Raises:
        StreamError: it is none.
    """
    size = stream.packet_bytes
    place_bytes, crc_bits = dict(stream.fields)[Field.PACKETS][-2:]
    if size is None or not 1 <= place_bytes <= 8:
        raise StreamError(f"field 15 must have 1..8 bytes of a place, got {place_bytes}")
    return PacketLayout(size, place_bytes, crc_bits)


def _received_rows(stage: Predictor, stream: Stream, got: UnpackedRows) -> Received:
    """Give the data of the numbers that came."""
    here = got.here.copy()
    array = _restored(stage, got.numbers, here)
    source = stage.source
    if source is not None and source.order:
        here = here.reshape(-1, len(source.order))[:, np.argsort(source.order)]
    lost = ~here.reshape(len(array), stage.columns)
    if source is None or source.places is None:
        _check_values(array, stream.dtype)
        array = array.astype(stream.dtype, copy=False)
        array.reshape(lost.shape)[lost] = 0
    else:
        for place in range(lost.shape[1]):
            element, field = divmod(place, len(source.places))
            every = view_of(array.reshape(-1), source.places[field])
            every[element :: lost.shape[1] // len(source.places)][lost[:, place]] = np.zeros((), every.dtype)
    return Received(array, ~lost.reshape(len(array), *stage.shape), got.damaged, len(stream.packets))


def _restored(stage: Predictor, numbers: IntArray, here: NDArray[np.bool_]) -> NDArray[Any]:
    """Give rows of data; what did not come is any value.

    Where bytes without a checksum are damaged, cells may stand for no value: their row did not come then.
    """
    groups = [stage.groups[group] for group in stage.group_of]
    lowest = np.array([(group.low - group.origin + 2**63) % 2**64 - 2**63 for group in groups], dtype=np.int64)
    flat, gone = unmasked(numbers)
    flat = np.where(here if gone is None else here & ~gone, flat, lowest)
    if gone is not None:
        gone = gone | (~here & _marking(stage))
    try:
        return restored(stage, flat if gone is None else np.ma.MaskedArray(flat, gone))
    except DataError:
        if not here.any():
            raise
        if len(here) == 1:
            here[:] = False
            return _restored(stage, numbers, here)
        half = len(here) // 2
        parts = (slice(0, half), slice(half, None))
        return np.concatenate([_restored(stage, numbers[part], here[part]) for part in parts])


def _marking(stage: Predictor) -> NDArray[np.bool_]:
    """Tell which columns of the numbers mark missing values."""
    assert stage.source is not None
    return np.array([column.missing is not None for column in stage.source.cell_columns])


def _check_values(values: NDArray[Any], dtype: np.dtype[Any]) -> None:
    """Demand values of the header's type.

    Raises:
        StreamError: an integer does not fit it.
    """
    if not values.size or dtype.kind not in "iub":
        return
    lowest, highest = value_range(dtype.name)
    if not lowest <= int(values.min()) <= int(values.max()) <= highest:
        raise StreamError(f"values must fit {dtype}, got {int(values.min())}..{int(values.max())}")


def _values(
    symbolizer: Symbolizer | None, records: IntArray, here: NDArray[np.bool_], rows: int
) -> tuple[IntArray, NDArray[np.bool_]]:
    """Map records of symbols to data, 0 where nothing came."""
    if symbolizer is None:
        return np.where(here, records, 0), here
    if not here.all():
        raise StreamError(
            f"a circuit with a symbolizer must have all packets, {int((~here).sum())} of {here.size} symbols did not "
            "come: its numbers need the symbols around them"
        )
    try:
        values = symbolizer.invert(records, rows).astype(np.int64)
    except DataError as error:
        raise StreamError(str(error)) from error
    return values, np.ones(values.shape, dtype=bool)
