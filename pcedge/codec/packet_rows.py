"""Packets of circuits with a predictor stage, which begins anew in each (docs/packets.md, section Predictor stages)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray, unmasked
from pcedge.codec.packet_decoder import PacketDecoder
from pcedge.codec.packets import Item, PacketLayout, fill_packet, seal_packets, unpack_whole
from pcedge.codec.predicted import token_bounds
from pcedge.data.prediction import Lanes, Plan, forward
from pcedge.data.predictor import Predictor
from pcedge.data.tokens import join, raw_bits, split
from pcedge.engines.base import Engine, Progress
from pcedge.integer.circuit import IntegerCircuit
from pcedge.native import NativeEngine

#: numbers that a packet holds at most, so that a reader knows what memory it needs
MOST_NUMBERS = 1 << 16
#: raw bits behind a token at most
MOST_RAW_BITS = 64
#: rows that a packet holds whose next one begins with a row
ROWS_TO_ALIGN = 4
#: packets that are decoded side by side at most, and the places that their buffers have
BLOCK_PACKETS, BLOCK_PLACES = 1024, 1 << 24
#: packets that the native engine fills in one call
NATIVE_PACKETS = 256


class UnpackedRows(NamedTuple):
    """Hold what packets give: centred numbers of shape (rows, columns), and which of them came."""

    #: 0 where nothing came, masked where the stage marks missing numbers and one was missing
    numbers: IntArray
    here: NDArray[np.bool_]
    #: numbers of the packets whose checksum, place or size is wrong
    damaged: tuple[int, ...]


def layout_rows(circuit: IntegerCircuit, size: int, rows: int, crc_bits: int = 0) -> PacketLayout:
    """Lay out packets of so many bytes for rows of data.

    Raises:
        UsageError: the size has no room for a number, or there is no such checksum.
    """
    layout = PacketLayout.for_symbols(size, rows * stage_of(circuit).columns, crc_bits)
    check_layout(circuit, layout)
    return layout


def check_layout(circuit: IntegerCircuit, layout: PacketLayout) -> None:
    """Demand room for a number of any probability.

    Raises:
        UsageError: there is none, or there is no such checksum.
    """
    stage = stage_of(circuit)
    most = max(shift for _, shift in stage.classes) + max(0, stage.escapes - 1)
    layout.check(circuit.widths, min(MOST_RAW_BITS, most))


def stage_of(circuit: IntegerCircuit) -> Predictor:
    """Give the predictor stage of a circuit that has one."""
    stage = circuit.symbolizer
    assert isinstance(stage, Predictor)
    return stage


def encode_packet_rows(
    engine: Engine, numbers: IntArray, layout: PacketLayout, progress: Progress | None = None
) -> list[bytes]:
    """Encode rows to packets.

    Args:
        engine: of a circuit with a predictor stage.
        numbers: (rows, columns), as `pcedge.data.prediction.centred` gives them; masked where they are missing.
        layout: of the packets.
        progress: told (rows done, rows in all).
    """
    circuit = engine.circuit
    check_layout(circuit, layout)
    flat, gone = unmasked(numbers)
    source = _Source(circuit, numbers)
    filled: deque[tuple[int, bool, bytes]] = deque()

    def fill(place: int) -> tuple[int, bool, bytes]:
        if not isinstance(engine, NativeEngine):
            return source.fill(place, layout.payload)
        if not filled:
            bounds = token_bounds(circuit)
            filled.extend(engine.pack_rows(flat, gone, place, layout.payload, NATIVE_PACKETS, MOST_NUMBERS, bounds))
        return filled.popleft()

    columns = flat.shape[1]
    return seal_packets(fill, flat, layout, progress, lambda place, held: next_place(place, held, columns))


def next_place(place: int, held: int, columns: int) -> int:
    """Say where the next packet begins behind one that is not the last and holds so many numbers."""
    following = place + held
    return following - following % columns if held >= ROWS_TO_ALIGN * columns else following


class _Source:
    """Give the coding intervals of numbers from a place on, of a stage that begins anew there."""

    def __init__(self, circuit: IntegerCircuit, numbers: IntArray) -> None:
        self.circuit, self.numbers, self.stage = circuit, numbers, stage_of(circuit)
        #: numbers that the next packet may hold, as the last one did
        self.guess = 256

    def fill(self, place: int, payload: int) -> tuple[int, bool, bytes]:
        filled = fill_packet(self.since(place), payload, self.circuit.widths)
        self.guess = filled[0] + filled[0] // 4 + 16
        return filled

    def since(self, place: int) -> Iterator[Item]:
        row, skipped = divmod(place, self.stage.columns)
        left = self.numbers[row:].size
        last = min(left, skipped + MOST_NUMBERS)
        bounds, scale, floor = token_bounds(self.circuit), self.circuit.scale_bits, self.circuit.floor
        done, guess = skipped, skipped + self.guess
        while done < last:
            # What was looked at is looked at again: it stands before what follows.
            block = self.numbers[row : row - (-min(guess, last) // self.stage.columns)][None]
            classes, residuals = forward(self.stage, block, skipped)
            tokens, raw, sizes = split(Plan(self.stage, 0), classes, residuals)
            stop = min(block.size, last)
            columns = [part.ravel()[done:stop] for part in (classes, tokens, raw, sizes)]
            starts, ends = (bounds[columns[0], columns[1] + more].tolist() for more in (0, 1))
            for start, end, bits, size in zip(starts, ends, columns[2].tolist(), columns[3].tolist(), strict=True):
                yield ((start, end, floor), *raw_pieces(bits, size, scale))
            done, guess = stop, 2 * guess


def raw_pieces(raw: int, size: int, scale_bits: int) -> Iterator[tuple[int, int, int]]:
    """Give the intervals of raw bits, high bits first, and how wide each is."""
    while size:
        bits = min(size, scale_bits)
        size -= bits
        width = 1 << (scale_bits - bits)
        start = (raw >> size & ((1 << bits) - 1)) * width
        yield start, start + width, width


def decode_packet_rows(
    engine: Engine, packets: Sequence[bytes], layout: PacketLayout, rows: int, progress: Progress | None = None
) -> UnpackedRows:
    """Decode packets in any order, as many of them as came.

    Args:
        engine: of a circuit with a predictor stage.
        packets: each of the layout's size.
        layout: of the packets.
        rows: of the data, that all packets hold.
        progress: told (packets done, packets in all).
    """
    stage = stage_of(engine.circuit)
    numbers: IntArray = np.zeros((rows, stage.columns), dtype=np.int64)
    gone, here = np.zeros((2, rows, stage.columns), dtype=bool)
    plan = Plan(stage, min(rows, MOST_NUMBERS // stage.columns + 2))

    def unpack(payloads: list[bytes], places: IntArray, rules: IntArray) -> None:
        if isinstance(engine, NativeEngine):
            bounds = token_bounds(engine.circuit)
            out = numbers, gone, here
            engine.unpack_rows(b"".join(payloads), layout.payload, places, rules, MOST_NUMBERS, bounds, out)
        else:
            _decode_block(engine.circuit, plan, payloads, places, rules, (numbers, gone, here))

    block = BLOCK_PACKETS if isinstance(engine, NativeEngine) else max(1, BLOCK_PLACES // max(1, plan.places))
    damaged = unpack_whole(unpack, packets, layout, numbers.size, min(block, BLOCK_PACKETS), progress)
    found = numbers if stage.missing_token is None else np.ma.MaskedArray(numbers, gone)
    return UnpackedRows(found, here, damaged)


def _decode_block(
    circuit: IntegerCircuit, plan: Plan, payloads: list[bytes], places: IntArray, rules: IntArray,
    out: tuple[IntArray, NDArray[np.bool_], NDArray[np.bool_]],
) -> None:  # fmt: skip
    """Decode some packets side by side, a number of each at a time."""
    stage, bounds = plan.predictor, token_bounds(circuit)
    numbers, missing, here = out
    first_rows, skipped = np.divmod(places, stage.columns)
    decoder = PacketDecoder(payloads, circuit.widths, rules == 1, circuit.floor)
    lanes = Lanes(plan, len(payloads))
    held = np.zeros(len(payloads), dtype=np.int64)
    for row in range(plan.rows):
        decoder.ended |= first_rows + row >= len(numbers)
        for column in range(stage.columns):
            decoder.ended |= held == MOST_NUMBERS
            decoder.active = ~decoder.ended & (column >= skipped if row == 0 else True)
            if decoder.ended.all():
                return
            if not decoder.active.any():
                continue
            number, gone = _next_number(lanes, decoder, bounds, row, column)
            took = np.flatnonzero(decoder.active & ~decoder.ended)
            cells = first_rows[took] + row
            numbers[cells, column], missing[cells, column], here[cells, column] = number[took], gone[took], True
            held[took] += 1


def _next_number(
    lanes: Lanes, decoder: PacketDecoder, bounds: IntArray, row: int, column: int
) -> tuple[IntArray, NDArray[np.bool_]]:
    """Decode one number of every active packet, and learn from it; those that end at it are told by the decoder."""
    plan = lanes.plan
    stage, place = plan.predictor, plan.cells[row, column : column + 1]
    group = stage.group_of[column]
    first = prediction = lanes.predict(group, place)[:, 0]
    adapts = stage.adaptation is not None and not stage.groups[group].wide
    if adapts:
        prediction, history = lanes.adapt(group, int(place[0]), first)
    classes = lanes.classify(np.array([column]), place, prediction[:, None])[:, 0]
    ends, payloads = bounds[classes], np.arange(len(classes))
    unit, position = decoder.units(len(classes))
    tokens = (unit[:, None] * ends[:, 1:-1] <= position[:, None]).sum(axis=1)
    decoder.consume(ends[payloads, tokens], ends[payloads, tokens + 1])
    raw = _take_raw(decoder, raw_bits(plan, classes, tokens))
    residual = join(plan, classes, tokens, raw)
    if len(plan.listed):
        decoder.ended |= decoder.active & plan.find_listed(residual)[0] & (tokens < stage.first_listed)
    low, high = stage.groups[group].low, stage.groups[group].high
    number = prediction + residual
    # Also of wide groups: modulo 2^64 a range is one run of numbers.
    above = number.view(np.uint64) - np.uint64((low - stage.groups[group].origin) % 2**64)
    gone = tokens == (-1 if stage.missing_token is None else stage.missing_token)
    decoder.ended |= decoder.active & ~gone & (above > np.uint64(high - low))
    took = decoder.active & ~decoder.ended
    residual, number = np.where(took, residual, 0), np.where(took, number, 0)
    if adapts:
        lanes.learn(group, history, residual)
    if stage.adaptation is not None:
        lanes.first[took, place[0]] = (number - first)[took]
    lanes.values[:, place[0]] = number
    lanes.residuals[:, place[0]] = residual
    return number, gone


def _take_raw(decoder: PacketDecoder, sizes: IntArray) -> NDArray[np.uint64]:
    """Read raw bits of the active packets, in pieces of at most P bits; a packet may end at any of them."""
    scale = decoder.widths.scale_bits
    decoder.ended |= decoder.active & (sizes > MOST_RAW_BITS)
    active = decoder.active.copy()
    raw, left = np.zeros(len(sizes), dtype=np.uint64), sizes.copy()
    while True:
        bits = np.minimum(left, scale)
        decoder.active = active & ~decoder.ended & (bits > 0)
        if not decoder.active.any():
            break
        unit, position = decoder.units(len(sizes))
        width = np.int64(1) << (scale - bits)
        value = np.minimum(position // unit // width, (np.int64(1) << bits) - 1)
        decoder.consume(value * width, (value + 1) * width, width)
        raw = raw << bits.astype(np.uint64) | value.astype(np.uint64)
        left -= bits
    decoder.active = active
    return raw
