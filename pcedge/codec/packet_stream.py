"""Streams of packets: a header, then packets of equal size (docs/packets.md, section Stream)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.arrays import IntArray
from pcedge.circuit.inference import check_records
from pcedge.codec.container import Stream, parse, varint
from pcedge.codec.fields import Field, check_fields
from pcedge.codec.given import in_words
from pcedge.codec.packets import PacketLayout, decode_packets, encode_packets
from pcedge.codec.stream import begin, check_head
from pcedge.data.predictor import Predictor
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
    #: which numbers came, of that shape
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
        UsageError: the packets have no room for a symbol, or the circuit has a predictor stage.
    """
    circuit = engine.circuit
    if isinstance(circuit.symbolizer, Predictor):
        raise UsageError(
            "packets must be decodable without those before them, and a predictor stage needs the numbers before: "
            "encode without --packet-bytes, or train with --symbolizer"
        )
    if engine.given:
        raise UsageError(
            f"packets must be of all variables, variables {in_words(engine.given)} are given: encode without one of "
            "--packet-bytes and --given"
        )
    head, array = begin(engine, x, None, fields, None)
    records = check_records(array, circuit.cardinalities, allow_missing=False) if circuit.symbolizer is None else (
        circuit.symbolizer.apply(circuit.symbolizer.check(array)).astype(np.int64))  # fmt: skip
    layout = PacketLayout.of(engine, packet_bytes, len(records), crc_bits)
    laid = dict(head.fields) | {Field.PACKETS: varint(layout.size) + bytes([layout.place_bytes, layout.crc_bits])}
    packets = encode_packets(engine, records, layout, progress)
    return Stream(head.digest, head.dtype, array.shape, (), check_fields(laid), tuple(packets)).pack()


def decode_packet_stream(engine: Engine, data: object, progress: Progress | None = None) -> Received:
    """Restore what came of a stream of packets.

    Raises:
        StreamError: the header is damaged or of another circuit, or a value is lost that a symbolizer needs.
    """
    stream = data if isinstance(data, Stream) else parse(data)
    check_head(engine.circuit, stream)
    layout = layout_of(stream)
    symbolizer = engine.circuit.symbolizer
    assert not isinstance(symbolizer, Predictor)
    try:
        layout.check(engine.circuit.widths)
    except UsageError as error:
        raise StreamError(f"field 15: {error}") from error
    rows = stream.shape[0]
    # A damaged header must not ask for any memory.
    if rows > MOST_RECORDS * (1 + len(stream.packets)):
        raise StreamError(
            f"{rows} records must come in packets, at most {MOST_RECORDS} in each, got {len(stream.packets)} packets"
        )
    count = rows if symbolizer is None else symbolizer.records(rows)
    got = decode_packets(engine, stream.packets, layout, count, progress)
    values, here = _values(symbolizer, got.records, got.here, rows)
    lowest, highest = value_range(stream.dtype.name)
    if values.size and not lowest <= int(values.min()) <= int(values.max()) <= highest:
        raise StreamError(f"values must fit {stream.dtype}, got {int(values.min())}..{int(values.max())}")
    array = values.astype(stream.dtype).reshape(stream.shape)
    return Received(array, here.reshape(stream.shape), got.damaged, len(stream.packets))


def whole(received: Received) -> NDArray[Any]:
    """Give the data where all of them came.

    Raises:
        StreamError: some did not.
    """
    lost = int((~received.here).sum())
    if lost or received.damaged:
        named = ", ".join(map(str, received.damaged[:5])) + (", …" if len(received.damaged) > 5 else "")
        packets = f"of its {received.packets} packets {named} are damaged, " if received.damaged else ""
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
