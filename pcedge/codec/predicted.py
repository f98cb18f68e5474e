"""Coding of data with a predictor stage: contiguous lanes of numbers, tokens in a range coder, raw bits beside it.

The rule is in docs/predictor.md, section Coding. A token's interval depends on its class alone, so the circuit is asked
once for all classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray, unmasked
from pcedge.data.prediction import Lanes, Plan, forward
from pcedge.data.predictor import Predictor
from pcedge.data.tokens import join, raw_bits, split
from pcedge.engines.base import LaneCoder, Progress
from pcedge.engines.range_coder import RangeDecoder, RangeEncoder
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import StreamError
from pcedge.integer.circuit import IntegerCircuit
from pcedge.native import NativeEngine
from pcedge.schedule.program import Program

#: numbers of a lane where the caller names no lanes: beginning a lane anew costs some bits
LANE_NUMBERS = 1 << 15
#: lanes then, at most
MOST_LANES = 256

#: numbers whose bits are packed at a time
PACKED = 1 << 16


@lru_cache(maxsize=4)
def token_bounds(circuit: IntegerCircuit) -> IntArray:
    """Give the interval ends of every class's tokens within 2^P, (classes, tokens + 1)."""
    classes, tokens = circuit.cardinalities
    pairs = np.stack([np.repeat(np.arange(classes), tokens), np.tile(np.arange(tokens), classes)], axis=1)
    lo, hi = ReferenceEngine(Program.of(circuit).with_given((0,))).intervals(pairs)
    place = circuit.order.index(1)
    bounds = np.empty((classes, tokens + 1), dtype=np.int64)
    bounds[:, :-1] = lo[:, place].reshape(classes, tokens)
    bounds[:, -1] = hi[:, place].reshape(classes, tokens)[:, -1]
    return bounds


def default_lanes(numbers: int) -> int:
    """Choose S for so many numbers: more lanes are faster, and every one begins with nothing known."""
    return min(MOST_LANES, max(1, numbers // LANE_NUMBERS))


def lane_rows(rows: int, lanes: int) -> IntArray:
    """Share rows out to lanes: contiguous, the first ones one row longer where they are not even."""
    return rows // lanes + (np.arange(lanes) < rows % lanes).astype(np.int64)


@dataclass(frozen=True, eq=False)
class MappedLanes:
    """Hold what a stage makes of rows: lane j has the first `rows[j]` of its block, (S, rows, columns)."""

    rows: IntArray
    classes: IntArray
    tokens: IntArray
    raw: NDArray[np.uint64]
    #: how many raw bits stand behind every token
    sizes: IntArray

    def packed(self) -> list[bytes]:
        """Write the raw bits of every lane, high bits first; the last byte of each ends in zeros."""
        return [
            _pack(self.raw[lane, :count].ravel(), self.sizes[lane, :count].ravel())
            for lane, count in enumerate(self.rows.tolist())
        ]


def map_lanes(predictor: Predictor, numbers: IntArray, lanes: int) -> MappedLanes:
    """Map rows of centred numbers, (rows, columns), shared out to lanes, to classes, tokens and raw bits."""
    blocks, counts = _shared_out(numbers, lanes)
    classes, residuals = forward(predictor, blocks)
    return MappedLanes(counts, classes, *split(Plan(predictor, 0), classes, residuals))


def encode_rows(
    engine: LaneCoder | IntegerCircuit, numbers: IntArray, lanes: int, progress: Progress | None = None
) -> tuple[list[bytes], list[bytes]]:
    """Encode rows of centred numbers.

    Args:
        engine: the engine of a circuit with a predictor stage, or the circuit: then numpy does the work.
        numbers: (rows, columns), as `centred` gives them; masked where they are missing.
        lanes: S, 1..rows.
        progress: told (rows done, rows in all).

    Returns:
        For every lane the bytes of its tokens, and those of its raw bits.
    """
    circuit = engine if isinstance(engine, IntegerCircuit) else engine.circuit
    if isinstance(engine, NativeEngine):
        flat, gone = unmasked(numbers)
        coded = engine.encode_rows(flat, gone, lane_rows(len(flat), lanes), token_bounds(circuit))
        if progress:
            progress(len(flat), len(flat))
        return coded
    mapped = map_lanes(_predictor(circuit), numbers, lanes)
    return encode_mapped(circuit, mapped, progress), mapped.packed()


def encode_mapped(circuit: IntegerCircuit, mapped: MappedLanes, progress: Progress | None = None) -> list[bytes]:
    """Encode the tokens of mapped lanes; give every lane's bytes. `progress` is told (rows done, rows in all)."""
    classes, tokens, counts = mapped.classes, mapped.tokens, mapped.rows
    lanes, rows = len(counts), int(counts.sum())
    bounds = token_bounds(circuit)
    encoder = RangeEncoder(lanes, circuit.widths)
    for row in range(classes.shape[1]):
        active = int((counts > row).sum())
        lo = bounds[classes[:active, row], tokens[:active, row]].T
        hi = bounds[classes[:active, row], tokens[:active, row] + 1].T
        for start, end in zip(np.ascontiguousarray(lo), np.ascontiguousarray(hi), strict=True):
            encoder.encode(start, end)
        if progress:
            progress(min((row + 1) * lanes, rows), rows)
    return encoder.finish()


def decode_rows(
    engine: LaneCoder | IntegerCircuit,
    coded: list[bytes],
    raw: list[bytes],
    rows: int,
    progress: Progress | None = None,
) -> IntArray:
    """Decode rows of centred numbers, (rows, columns); a masked array where the stage marks missing ones.

    Raises:
        StreamError: the bytes are not what an encoder of this circuit writes.
    """
    circuit = engine if isinstance(engine, IntegerCircuit) else engine.circuit
    predictor = _predictor(circuit)
    if isinstance(engine, NativeEngine) and rows:
        found = engine.decode_rows(coded, raw, lane_rows(rows, len(coded)), token_bounds(circuit))
        if found is not None:
            if progress:
                progress(rows, rows)
            return found[0] if predictor.missing_token is None else np.ma.MaskedArray(*found)
        # The reference says what is wrong.
    numbers: IntArray = np.empty((rows, predictor.columns), dtype=np.int64)
    if predictor.missing_token is not None:
        numbers = np.ma.MaskedArray(numbers, np.zeros(numbers.shape, dtype=bool))
    counts = lane_rows(rows, len(coded))
    firsts = np.cumsum(counts) - counts
    for row, block in enumerate(decode_rounds(circuit, coded, raw, rows)):
        numbers[firsts[: len(block)] + row] = block
        if progress:
            progress(min((row + 1) * len(coded), rows), rows)
    return numbers


def row_rounds(engine: LaneCoder, coded: list[bytes], raw: list[bytes], rows: int) -> Iterator[IntArray]:
    """Decode the next row of every lane at a time; arguments and errors are those of `decode_rows`."""
    if not isinstance(engine, NativeEngine):
        yield from decode_rounds(engine.circuit, coded, raw, rows)
        return
    numbers = decode_rows(engine, coded, raw, rows)
    counts = lane_rows(rows, len(coded))
    firsts = np.cumsum(counts) - counts
    for row in range(int(counts.max(initial=0))):
        yield numbers[firsts[counts > row] + row]


def decode_rounds(circuit: IntegerCircuit, coded: list[bytes], raw: list[bytes], rows: int) -> Iterator[IntArray]:
    """Decode the next row of every lane at a time; arguments and errors are those of `decode_rows`."""
    predictor = _predictor(circuit)
    counts = lane_rows(rows, len(coded))
    plan = Plan(predictor, int(counts.max(initial=0)))
    lanes = Lanes(plan, len(coded))
    bounds = token_bounds(circuit)
    decoder = RangeDecoder(coded, circuit.widths)
    bits = _Bits(raw)
    missing = predictor.missing_token
    for row in range(plan.rows):
        active = int((counts > row).sum())
        block = np.empty((active, predictor.columns), dtype=np.int64)
        gone = np.zeros(block.shape, dtype=bool)
        for column in range(predictor.columns):
            place = plan.cells[row, column : column + 1]
            group = predictor.group_of[column]
            lanes.narrow(active)
            prediction = lanes.predict(group, place)
            adapts = predictor.adaptation is not None and not predictor.groups[group].wide
            if adapts:
                first = prediction[:, 0]
                better, history = lanes.adapt(group, int(place[0]), first)
                prediction = better[:, None]
            classes = lanes.classify(np.array([column]), place, prediction)[:, 0]
            ends = bounds[classes]
            unit, position = decoder.units(active)
            tokens = (unit[:, None] * ends[:, 1:-1] <= position[:, None]).sum(axis=1)
            rounds = np.arange(active)
            decoder.consume(ends[rounds, tokens], ends[rounds, tokens + 1])
            tail = bits.take(raw_bits(plan, classes, tokens))
            residual = join(plan, classes, tokens, tail)
            if len(plan.listed) and (plan.find_listed(residual)[0] & (tokens < predictor.first_listed)).any():
                raise StreamError(f"row {row} of a lane, column {column}: a listed residual must have its own token")
            number = prediction[:, 0] + residual
            if adapts:
                lanes.learn(group, history, residual)
                lanes.first[:active, place[0]] = number - first
            elif predictor.adaptation is not None:
                lanes.first[:active, place[0]] = residual
            lanes.values[:active, place[0]] = number
            lanes.residuals[:active, place[0]] = residual
            block[:, column] = number
            if missing is not None:
                gone[:, column] = tokens == missing
        decoder.check()
        yield block if missing is None else np.ma.MaskedArray(block, gone)
    decoder.finish()
    bits.finish()


def _predictor(circuit: IntegerCircuit) -> Predictor:
    stage = circuit.symbolizer
    assert isinstance(stage, Predictor)
    return stage


def _shared_out(numbers: IntArray, lanes: int) -> tuple[IntArray, IntArray]:
    """Put every lane's rows into a block of its own, (S, rows, columns); shorter ones end in zeros."""
    counts = lane_rows(len(numbers), lanes)
    flat, gone = unmasked(numbers)
    blocks = np.zeros((lanes, int(counts.max()), numbers.shape[1]), dtype=np.int64)
    masks = np.zeros(blocks.shape, dtype=bool)
    first = 0
    for lane, count in enumerate(counts.tolist()):
        blocks[lane, :count] = flat[first : first + count]
        if gone is not None:
            masks[lane, :count] = gone[first : first + count]
        first += count
    return blocks if gone is None else np.ma.MaskedArray(blocks, masks), counts


def _pack(values: NDArray[np.uint64], sizes: IntArray) -> bytes:
    """Write the lowest `sizes` bits of every value, high bits first; the last byte ends in zeros."""
    pieces = []
    for start in range(0, len(values), PACKED):
        some, size = values[start : start + PACKED], sizes[start : start + PACKED]
        widest = int(size.max(initial=0))
        places = np.arange(widest - 1, -1, -1)
        table = (some[:, None] >> places.astype(np.uint64)) & np.uint64(1)
        pieces.append(table[places < size[:, None]].astype(np.uint8))
    return np.packbits(np.concatenate(pieces)).tobytes() if pieces else b""


class _Bits:
    """Read raw bits of all lanes, high bits first."""

    def __init__(self, lanes: list[bytes]) -> None:
        self._sizes = np.array([8 * len(lane) for lane in lanes], dtype=np.int64)
        longest = max(map(len, lanes), default=0) + 9
        padded = np.zeros((len(lanes), longest), dtype=np.uint64)
        for row, lane in zip(padded, lanes, strict=True):
            row[: len(lane)] = np.frombuffer(lane, dtype=np.uint8)
        # The 32 bits that begin at every byte.
        self._windows = (
            (padded[:, :-4] << np.uint64(24)) | (padded[:, 1:-3] << np.uint64(16)) | (padded[:, 2:-2] << np.uint64(8))
            | padded[:, 3:-1]
        )  # fmt: skip
        self._done = np.zeros(len(lanes), dtype=np.int64)

    def take(self, sizes: IntArray) -> NDArray[np.uint64]:
        """Read so many bits of each of the first lanes, 0..64.

        Raises:
            StreamError: a lane has fewer.
        """
        active = len(sizes)
        done = self._done[:active]
        ends = done + sizes
        wrong = np.flatnonzero(ends > self._sizes[:active])
        if wrong.size:
            lane = wrong[0]
            raise StreamError(
                f"lane {lane} must have at least {ends[lane]} raw bits for its numbers, got {self._sizes[lane]}"
            )
        value = np.zeros(active, dtype=np.uint64)
        # At most 24 bits at a time lie within one window.
        left = sizes.copy()
        while left.any():
            some = np.minimum(left, 24)
            windows = self._windows[np.arange(active), np.minimum(done >> 3, self._windows.shape[1] - 1)]
            piece = (windows >> (32 - (done & 7) - some).astype(np.uint64)) & (
                (np.uint64(1) << some.astype(np.uint64)) - np.uint64(1)
            )
            value = (value << some.astype(np.uint64)) | piece
            done += some
            left -= some
        return value

    def finish(self) -> None:
        """Check that every lane has been read to its last byte, whose rest is zero.

        Raises:
            StreamError: one has not.
        """
        wrong = np.flatnonzero((self._sizes - self._done) // 8)
        if wrong.size:
            lane = wrong[0]
            raise StreamError(
                f"lane {lane} must have {-(-int(self._done[lane]) // 8)} bytes of raw bits, "
                f"got {self._sizes[lane] // 8}"
            )
        rest = self.take(self._sizes - self._done)
        if rest.any():
            raise StreamError(f"lane {np.flatnonzero(rest)[0]} must end its raw bits in zeros, it does not")
