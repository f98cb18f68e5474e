"""Whether a finished file is the stream that would be written again, so that a second run need not."""

from __future__ import annotations

import contextlib
import os

import numpy as np

from pcedge.codec.container import varint
from pcedge.codec.decoder import StreamFile
from pcedge.codec.fields import Field
from pcedge.codec.packet_stream import DEFAULT_CRC_BITS, decode_packet_stream, whole
from pcedge.codec.stream import begin, check_head, check_segment, layout
from pcedge.engines.base import Engine
from pcedge.errors import DataError, StreamError

#: fields that hang on the data, not on how they are encoded
_OF_DATA = (Field.SOURCE, Field.FRAME, Field.PADDING, Field.STORED)


def is_complete(
    engine: Engine,
    path: str | os.PathLike[str],
    lanes: int | None = None,
    index: int | None = None,
    packet_bytes: int | None = None,
    crc_bits: int | None = None,
) -> bool:
    """Tell whether a file is a whole stream of a circuit, laid out as `encode` would lay it out.

    All checksums are compared, and packets decoded; segments are not, and nothing is compared with data.

    Args:
        engine: the circuit's engine.
        path: the file.
        lanes: S, as of `encode`.
        index: as of `encode`.
        packet_bytes: of a stream of packets.
        crc_bits: of a packet's checksum; None takes the default.

    Raises:
        UsageError: lanes or index are out of their range.
    """
    circuit = engine.circuit
    try:
        with contextlib.closing(StreamFile(path)) as file:
            head = file.head
            check_head(circuit, head)
            laid = {kind: data for kind, data in head.fields if kind not in _OF_DATA}
            if packet_bytes is not None:
                bits = DEFAULT_CRC_BITS if crc_bits is None else crc_bits
                packets = laid.pop(Field.PACKETS, b"")
                laid.pop(Field.LANE_ORDER, None)  # which the circuit asks for
                if laid or not packets.startswith(varint(packet_bytes)) or packets[-1] != bits:
                    return False
                with open(path, "rb") as data:
                    whole(decode_packet_stream(engine, data.read()))
                return True
            # Of so many records, whose values do not matter; they take no memory.
            rows = np.broadcast_to(np.zeros((), dtype=head.dtype), head.shape)
            wanted, _ = begin(engine, rows, lanes, {}, index)
            if laid != dict(wanted.fields):
                return False
            size, count = layout(circuit, wanted, len(rows), lanes)
            for number, entry in enumerate(file.entries()):
                segment = file.read(number, entry)
                check_segment(segment, number, len(rows) - entry.first, size, count, circuit.symbolizer)
    except (StreamError, DataError, OSError):
        return False
    return True
