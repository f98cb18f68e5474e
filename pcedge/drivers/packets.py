"""Packets of equal size on an engine: the bytes of `pcedge.codec.packets` (docs/packets.md, section On the engine)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcedge.arrays import IntArray
from pcedge.codec.packets import PacketLayout, Unpacked, open_packets, seal_packets
from pcedge.drivers.contract import MISSING_WORD, Job
from pcedge.drivers.device import Device
from pcedge.drivers.interface import Words
from pcedge.engines.base import Engine
from pcedge.errors import DataError, ToolError

#: records that are sent, or asked for, first
FIRST_RECORDS = 4


def encode_packets(device: Device, engine: Engine, records: IntArray, layout: PacketLayout) -> list[bytes]:
    """Encode records, int64 of shape (N, variables), to packets; `engine` says the circuit.

    Raises:
        UsageError: the engine holds another circuit, or the layout has no room for a symbol.
        DataError: a symbol is missing, or beyond the alphabet of its variable.
        ToolError: the engine gives no packet of the layout.
    """
    device.need_circuit(engine)
    layout.check(engine.circuit.widths)
    rows = device.rows(records)
    if (rows == MISSING_WORD).any():
        raise DataError("records to encode must have no missing symbols")
    variables, order = rows.shape[1], list(engine.circuit.order)
    size, cycles = np.array([layout.payload], dtype=np.uint32), 0
    most = FIRST_RECORDS

    def fill(place: int) -> tuple[int, bool, bytes]:
        nonlocal cycles, most
        first, skipped = divmod(place, variables)
        while True:
            rest = rows[first : first + most].copy()
            rest[0, order[:skipped]] = MISSING_WORD
            words = device.run(Job.PACK, [len(rest)], [[size, *rest]], [[layout.payload + 1]])[0][0]
            cycles += device.cycles
            count, by_room = divmod(int(words[-1]), 2)
            given = rest.size - skipped
            if not 1 <= count <= given or len(words) != layout.payload + 1:
                raise ToolError(
                    f"a packet must have {layout.payload} bytes and 1..{given} symbols, the engine gives "
                    f"{len(words) - 1} and says {count}"
                )
            # A packet that holds all that came may have room for more.
            if count < given or first + len(rest) == len(rows):
                most = (skipped + count) // variables + 3
                return count, bool(by_room), words[:-1].astype(np.uint8).tobytes()
            most *= 2

    packets = seal_packets(fill, records, layout)
    device.cycles = cycles
    return packets


def decode_packets(
    device: Device, engine: Engine, packets: Sequence[bytes], layout: PacketLayout, records: int
) -> Unpacked:
    """Decode packets in any order, one in each stream of the engine; the result is that of the codec.

    Raises:
        UsageError: the engine holds another circuit, or the layout has no room for a symbol.
    """
    device.need_circuit(engine)
    layout.check(engine.circuit.widths)
    last, cycles = engine.circuit.order[-1], 0

    def unpack(payloads: list[bytes], places: IntArray, rules: IntArray, out: IntArray) -> None:
        nonlocal cycles
        variables = out.shape[1]
        first, skipped = np.divmod(places, variables)
        heads = (2 * skipped + rules).astype(np.uint32)
        # A packet of which all records that were asked for are whole may hold more: it is asked again for more.
        waiting, most = list(range(len(payloads))), FIRST_RECORDS
        while waiting:
            again = []
            for turn in range(0, len(waiting), device.info.streams):
                batch = waiting[turn : turn + device.info.streams]
                counts = [min(most, len(out) - int(first[number])) for number in batch]
                sent = [[_packet(heads[number], payloads[number])] for number in batch]
                replies = device.run(Job.UNPACK, counts, sent, [[count * variables] for count in counts])
                cycles += device.cycles
                for number, count, (words,) in zip(batch, counts, replies, strict=False):
                    got, start = words.reshape(-1, variables), int(first[number])
                    if got[-1, last] != MISSING_WORD and start + count < len(out):
                        again.append(number)
                        continue
                    here = got != MISSING_WORD
                    out[start : start + len(got)][here] = got[here]
            waiting, most = again, 2 * most

    result = open_packets(unpack, packets, layout, (records, len(engine.circuit.order)))
    device.cycles = cycles
    return result


def _packet(head: np.uint32, payload: bytes) -> Words:
    return np.concatenate([[head], np.frombuffer(payload, dtype=np.uint8)]).astype(np.uint32)
