"""Packets of equal size, each decodable alone; a record may straddle their borders (docs/packets.md)."""

from __future__ import annotations

import binascii
import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcedge import arithmetic
from pcedge.arithmetic import Widths
from pcedge.arrays import IntArray
from pcedge.circuit.layers import MISSING
from pcedge.codec.packet_decoder import PacketDecoder
from pcedge.engines.base import Engine, Progress
from pcedge.engines.lanes import find_symbol
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import UsageError
from pcedge.native import NativeEngine
from pcedge.schedule.steps import Interval

#: damaged packets that are named in a message
SHOWN = 5
#: bits of a packet's checksum
CRC_BITS = (0, 16, 32)
#: bytes of a packet at most: what a length field of two bytes can say
MOST_BYTES = 65535
#: symbols whose intervals are held in memory at a time
BLOCK_SYMBOLS = 1 << 20
#: bits of an interval's lower end that are kept apart from those before
BASE_BITS = 512
#: packets that are decoded side by side
BLOCK_PACKETS = 1024

_CHECKSUMS = {16: lambda data: binascii.crc_hqx(data, 0xFFFF), 32: zlib.crc32}


@dataclass(frozen=True)
class PacketLayout:
    """Say how a packet's bytes are used: its place among all symbols, what is coded, a checksum.

    Args:
        size: bytes of a packet.
        place_bytes: bytes of the field that says where a packet begins.
        crc_bits: 0, 16 or 32.
    """

    size: int
    place_bytes: int
    crc_bits: int = 0

    @staticmethod
    def of(engine: Engine, size: int, records: int, crc_bits: int = 0) -> PacketLayout:
        """Lay out packets of so many bytes for so many records.

        Raises:
            UsageError: the size has no room for a symbol, or there is no such checksum.
        """
        layout = PacketLayout.for_symbols(size, records * len(engine.circuit.order), crc_bits)
        layout.check(engine.circuit.widths)
        return layout

    @staticmethod
    def for_symbols(size: int, symbols: int, crc_bits: int) -> PacketLayout:
        """Lay out packets whose places are among so many symbols."""
        return PacketLayout(size, max(1, ((2 * symbols).bit_length() + 7) // 8), crc_bits)

    @property
    def payload(self) -> int:
        """Count the bytes of what is coded."""
        return self.size - self.place_bytes - self.crc_bits // 8

    def check(self, widths: Widths, raw_bits: int = 0) -> None:
        """Demand room for a symbol of any probability, with so many raw bits behind it.

        Raises:
            UsageError: there is none, or there is no such checksum.
        """
        if self.crc_bits not in CRC_BITS:
            raise UsageError(f"a packet's checksum must have 0, 16 or 32 bits, got {self.crc_bits}")
        least = self.size - self.payload + (widths.scale_bits + raw_bits + 9) // 8
        if not least <= self.size <= MOST_BYTES:
            raise UsageError(
                f"packets of this circuit with a checksum of {self.crc_bits} bits must have {least}..{MOST_BYTES} "
                f"bytes, got {self.size}"
            )


#: fills the packet that begins at a place: how many symbols it holds, whether by the second rule, and its payload
Fill = Callable[[int], tuple[int, bool, bytes]]

#: writes what payloads hold into records, (N, variables): of each its place and rule
Unpack = Callable[[list[bytes], IntArray, IntArray, IntArray], None]

#: the intervals of what is in a packet as a whole or not at all, with the least that each might be: of a symbol one, of
#: a number those of its token and raw bits
Item = Sequence[tuple[int, int, int]]


def damaged_in_words(numbers: Sequence[int], count: int) -> str:
    """Say which of so many packets are damaged.

    Example:
        >>> damaged_in_words([43], 56), damaged_in_words([37, 55], 56)
        ('packet 43 of 56 is damaged', 'packets 37, 55 of 56 are damaged')
    """
    if len(numbers) == 1:
        return f"packet {numbers[0]} of {count} is damaged"
    more = f", … ({len(numbers)} packets)" if len(numbers) > SHOWN else ""
    return f"packets {', '.join(map(str, numbers[:SHOWN]))}{more} of {count} are damaged"


class Unpacked(NamedTuple):
    """Hold what packets give: records of shape (N, variables), and which of their symbols came."""

    records: IntArray
    here: NDArray[np.bool_]
    #: numbers of the packets whose checksum, place or size is wrong
    damaged: tuple[int, ...]


@dataclass(slots=True)
class _Interval:
    """Hold the interval that codes the symbols so far, exactly.

    It is [low, low + width) 2^-scale behind a base, which is in 2^-base_scale: a packet's lower end has as many bits as
    the packet, and is added up now and then only.
    """

    low: int
    width: int
    scale: int
    base: int = 0
    base_scale: int = 0

    @property
    def start(self) -> int:
        """Give the lower end, in 2^-scale."""
        return (self.base << self.scale - self.base_scale) + self.low

    def narrowed(self, low: int, width: int, moves: int) -> _Interval:
        """Give the interval inside of this one, whose unit is smaller by so many bits."""
        inside = _Interval(low << moves, width << moves, self.scale + moves, self.base, self.base_scale)
        if inside.scale - inside.base_scale < BASE_BITS:
            return inside
        return _Interval(0, inside.width, inside.scale, inside.start, inside.scale)

    def cells(self, payload: int) -> range:
        """List the strings of `payload` bytes all of whose continuations lie inside."""
        cut, start = self.scale - 8 * payload, self.start
        if cut <= 0:  # far from full
            return range(start << -cut, (start + self.width) << -cut)
        return range((start + (1 << cut) - 1) >> cut, (start + self.width) >> cut)


def encode_packets(
    engine: Engine, records: IntArray, layout: PacketLayout, progress: Progress | None = None
) -> list[bytes]:
    """Encode records to packets.

    Args:
        engine: the circuit's engine.
        records: int64 of shape (N, variables), checked, none missing.
        layout: of the packets.
        progress: told (records done, records in all).
    """
    layout.check(engine.circuit.widths)
    source, circuit = _Source(engine, records), engine.circuit

    def fill(place: int) -> tuple[int, bool, bytes]:
        return fill_packet(source.since(place), layout.payload, circuit.widths)

    return seal_packets(fill, records, layout, progress)


def seal_packets(
    fill: Fill,
    records: IntArray,
    layout: PacketLayout,
    progress: Progress | None = None,
    next_place: Callable[[int, int], int] = int.__add__,
) -> list[bytes]:
    """Fill packets one after the other, and put place and checksum around each payload.

    Args:
        fill: fills the packet that begins at a place.
        records: all, (N, variables).
        layout: of the packets.
        progress: told (records done, records in all).
        next_place: says where the next packet begins, of the place of one that is not the last and what it holds.
    """
    packets: list[bytes] = []
    place, end = 0, records.size
    while place < end:
        count, by_room, payload = fill(place)
        packets.append(_sealed(2 * place + by_room, payload, layout))
        place = next_place(place, count) if place + count < end else end
        if progress:
            progress(place // records.shape[1], len(records))
    return packets


class _Source:
    """Give the coding intervals of all symbols from a place on; what stands before it in its record is summed out."""

    def __init__(self, engine: Engine, records: IntArray) -> None:
        self.engine, self.records, self.floor = engine, records, engine.circuit.floor
        self.first, self.ends = 0, (np.zeros((0, 0), dtype=np.int64),) * 2

    def since(self, place: int) -> Iterator[Item]:
        for start, end in self._pairs(place):
            yield ((start, end, self.floor),)

    def _pairs(self, place: int) -> Iterator[tuple[int, int]]:
        record, skipped = divmod(place, self.records.shape[1])
        if skipped:
            rest = self.records[record : record + 1].copy()
            rest[:, list(self.engine.circuit.order[:skipped])] = MISSING
            lo, hi = (ends[0, skipped:].tolist() for ends in self.engine.intervals(rest))
            yield from zip(lo, hi, strict=True)
            record += 1
        for number in range(record, len(self.records)):
            yield from zip(*self._whole(number), strict=True)

    def _whole(self, record: int) -> tuple[list[int], list[int]]:
        if not self.first <= record < self.first + len(self.ends[0]):
            block = max(1, BLOCK_SYMBOLS // self.records.shape[1])
            self.first, self.ends = record, self.engine.intervals(self.records[record : record + block])
        row = record - self.first
        return self.ends[0][row].tolist(), self.ends[1][row].tolist()


def fill_packet(items: Iterable[Item], payload: int, widths: Widths) -> tuple[int, bool, bytes]:
    """Fill one packet; give how many items it holds, by which of the two rules, and its bytes."""
    now = _Interval(0, (1 << widths.range_bits) - 1, widths.range_bits)
    passed, safe = [now], 0
    for item in items:
        fits = safe == len(passed) - 1
        for start, end, least in item:
            fits = fits and _surely_fits(now, payload, least, widths)
            low, width = arithmetic.range_narrow(now.low, now.width, start, end, widths)  # type: ignore[arg-type]
            moves = 8 * int(arithmetic.range_bytes(np.int64(width), widths))  # type: ignore[arg-type]
            now = now.narrowed(int(low), int(width), moves)
        safe += fits
        passed.append(now)
        if now.scale > 8 * payload and not now.cells(payload):
            break
    cells = now.cells(payload)
    if cells:  # all that there was
        return len(passed) - 1, False, cells.start.to_bytes(payload, "big")
    # What lies in the interval at least in part, so that no other symbols than these can be read from it.
    cut = now.scale - 8 * payload
    near = [now.start >> cut, (now.start + now.width - 1) >> cut]
    counts = [
        next(k for k in range(len(passed) - 1, -1, -1) if k == 0 or cell in passed[k].cells(payload)) for cell in near
    ]
    best = int(counts[1] > counts[0])
    if counts[best] < safe:
        return safe, True, passed[safe].cells(payload).start.to_bytes(payload, "big")
    return counts[best], False, near[best].to_bytes(payload, "big")


def _surely_fits(now: _Interval, payload: int, least: int, widths: Widths) -> bool:
    """Tell whether an interval of at least so much leaves two strings of `payload` bytes inside."""
    return (now.width >> widths.scale_bits) * least >> max(0, now.scale - 8 * payload) >= 2


def _sealed(place: int, payload: bytes, layout: PacketLayout) -> bytes:
    body = place.to_bytes(layout.place_bytes, "little") + payload
    return body + _checksum(body, layout)


def _checksum(body: bytes, layout: PacketLayout) -> bytes:
    bits = layout.crc_bits
    return _CHECKSUMS[bits](body).to_bytes(bits // 8, "little") if bits else b""


def is_whole(packet: bytes, layout: PacketLayout, places: int) -> bool:
    """Tell whether a packet has its length, its checksum, and one of so many places."""
    body = packet[: layout.size - layout.crc_bits // 8]
    place = int.from_bytes(packet[: layout.place_bytes], "little")
    whole = len(packet) == layout.size and packet[len(body) :] == _checksum(body, layout)
    return whole and place >> 1 < places


def decode_packets(
    engine: Engine, packets: Sequence[bytes], layout: PacketLayout, records: int, progress: Progress | None = None
) -> Unpacked:
    """Decode packets in any order, as many of them as came.

    Args:
        engine: the circuit's engine.
        packets: each of the layout's size.
        layout: of the packets.
        records: N, the records that all packets hold.
        progress: told (packets done, packets in all).

    Returns:
        The records, with -1 where nothing came.
    """
    reference = engine if isinstance(engine, ReferenceEngine) else ReferenceEngine(engine.program)

    def unpack(payloads: list[bytes], places: IntArray, rules: IntArray, out: IntArray) -> None:
        if isinstance(engine, NativeEngine):
            engine.unpack(b"".join(payloads), layout.payload, places, rules, out)
        else:
            _decode_block(reference, payloads, places, rules, out)

    return open_packets(unpack, packets, layout, (records, len(engine.circuit.order)), progress)


def open_packets(
    unpack: Unpack,
    packets: Sequence[bytes],
    layout: PacketLayout,
    shape: tuple[int, int],
    progress: Progress | None = None,
) -> Unpacked:
    """Check packets, and decode payloads side by side; `shape` is that of the records."""  # fmt: skip
    out = np.full(shape, MISSING, dtype=np.int64)
    damaged = unpack_whole(
        lambda payloads, places, rules: unpack(payloads, places, rules, out), packets, layout, math.prod(shape),
        BLOCK_PACKETS, progress,
    )  # fmt: skip
    return Unpacked(out, out != MISSING, damaged)


def unpack_whole(
    unpack: Callable[[list[bytes], IntArray, IntArray], None],
    packets: Sequence[bytes],
    layout: PacketLayout,
    symbols: int,
    block: int,
    progress: Progress | None = None,
) -> tuple[int, ...]:
    """Take packets apart, and give payloads, places and rules of those that are whole to `unpack`, `block` at a time.

    Returns:
        The numbers of the packets that are damaged.
    """
    damaged, good = [], []
    for number, packet in enumerate(packets):
        place = int.from_bytes(packet[: layout.place_bytes], "little")
        if is_whole(packet, layout, symbols):
            body = packet[: layout.size - layout.crc_bits // 8]
            good.append((place >> 1, place & 1, body[layout.place_bytes :]))
        else:
            damaged.append(number)
    for first in range(0, len(good), block):
        some = good[first : first + block]
        places, rules = (np.array([packet[k] for packet in some], dtype=np.int64) for k in (0, 1))
        unpack([packet[2] for packet in some], places, rules)
        if progress:
            progress(min(first + block, len(good)), len(good))
    return tuple(damaged)


def _decode_block(
    engine: ReferenceEngine, payloads: list[bytes], places: IntArray, rules: IntArray, out: IntArray
) -> None:
    """Decode some packets side by side, a record of each at a time."""
    variables = out.shape[1]
    record, skipped = np.divmod(places, variables)
    decoder = PacketDecoder(payloads, engine.circuit.widths, rules == 1, engine.circuit.floor)
    place_of = {variable: place for place, variable in enumerate(engine.circuit.order)}

    def code(step: Interval, context: IntArray) -> IntArray:
        decoder.active = ~decoder.ended & (skipped <= place_of[step.variable]) & (record < len(out))
        symbols = find_symbol(engine, decoder, step, context)
        took: IntArray = np.where(decoder.active & ~decoder.ended, symbols, MISSING)
        return took

    while True:
        symbols = np.zeros((variables, len(payloads)), dtype=np.int64)
        engine.replay(engine.program.code, symbols, code)
        known = symbols != MISSING
        rows = np.broadcast_to(record, known.shape)[known]
        out[rows, np.nonzero(known)[0]] = symbols[known]
        skipped[:] = 0
        record += 1
        if (decoder.ended | (record >= len(out))).all():
            return
