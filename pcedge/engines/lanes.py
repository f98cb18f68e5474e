"""Coding of records into lanes and back: the reference that every other coder must equal byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pcedge import arithmetic
from pcedge.arithmetic import Widths
from pcedge.arrays import IntArray
from pcedge.engines.base import Progress, known_symbols
from pcedge.engines.range_coder import RangeDecoder, RangeEncoder
from pcedge.schedule.steps import Interval

if TYPE_CHECKING:  # whose methods these functions are
    from pcedge.engines.reference import ReferenceEngine

#: symbols whose intervals are held in memory at a time
BLOCK_SYMBOLS = 1 << 22


def encode_lanes(
    engine: ReferenceEngine, records: IntArray, lanes: int, progress: Progress | None = None
) -> list[bytes]:
    """Encode checked records; record i goes to lane i mod `lanes`, as its next one.

    Args:
        engine: the circuit's engine.
        records: int64 of shape (N, variables), without missing symbols.
        lanes: S, 1..N.
        progress: told after every block.

    Returns:
        One byte string a lane.
    """
    encoder = RangeEncoder(lanes, engine.circuit.widths)
    # A multiple of the lanes, so that every block begins with the first.
    block = max(1, BLOCK_SYMBOLS // (records.shape[1] * lanes)) * lanes
    for first in range(0, len(records), block):
        lo, hi = engine.intervals(records[first : first + block])
        _encode(encoder, lo[:, engine.program.coded], hi[:, engine.program.coded], lanes)
        if progress:
            progress(min(first + block, len(records)), len(records))
    return encoder.finish()


def encode_intervals(widths: Widths, lo: IntArray, hi: IntArray, lanes: int) -> list[bytes]:
    """Encode records whose coding intervals are known, (N, variables) each in coding order, as `encode_lanes` does."""
    encoder = RangeEncoder(lanes, widths)
    _encode(encoder, lo, hi, lanes)
    return encoder.finish()


def _encode(encoder: RangeEncoder, lo: IntArray, hi: IntArray, lanes: int) -> None:
    for row in range(0, len(lo), lanes):
        lows, highs = lo[row : row + lanes].T.copy(), hi[row : row + lanes].T.copy()
        for start, end in zip(lows, highs, strict=True):
            encoder.encode(start, end)


def decode_lanes(
    engine: ReferenceEngine,
    lanes: list[bytes],
    count: int,
    progress: Progress | None = None,
    known: IntArray | None = None,
    *,
    strict: bool = True,
) -> IntArray:
    """Decode `count` records of shape (N, variables) from their lanes; `known` are records with what is given.

    With `strict` false the lanes may be any bytes: what random ones decode to is a sample of the circuit.

    Raises:
        StreamError: the bytes are not what an encoder of this circuit writes.
        UsageError: variables are given, and not known.
    """
    records = np.empty((count, len(engine.circuit.order)), dtype=np.int64)
    done = 0
    for symbols in decode_rounds(engine, lanes, count, known, strict=strict):
        records[done : done + len(symbols)] = symbols
        done += len(symbols)
        if progress:
            progress(done, count)
    return records


def decode_rounds(
    engine: ReferenceEngine, lanes: list[bytes], count: int, known: IntArray | None = None, *, strict: bool = True
) -> Iterator[IntArray]:
    """Decode the next record of every lane at a time; arguments and errors are those of `decode_lanes`.

    Yields:
        Records of shape (lanes, variables), fewer at the end; that the lanes end there is
        checked after them.
    """
    decoder = RangeDecoder(lanes, engine.circuit.widths, strict=strict)
    variables = len(engine.circuit.order)
    records = known_symbols(engine.program, known, count) if engine.program.given else None

    def code(step: Interval, context: IntArray) -> IntArray:
        return find_symbol(engine, decoder, step, context)

    for first in range(0, count, max(len(lanes), 1)):
        rows = slice(first, min(first + len(lanes), count))
        symbols = np.zeros((variables, rows.stop - first), dtype=np.int64)
        if records is not None:
            symbols[:] = records[rows].T
        engine.replay(engine.program.code, symbols, code)
        decoder.check()
        yield symbols.T
    decoder.finish()


class Positions(Protocol):
    """Say where the decoders of some lanes stand, and take intervals out of them."""

    def units(self, active: int) -> tuple[IntArray, IntArray]:
        """Give the value of one of 2^P parts, and the position within the range."""

    def consume(self, start: IntArray, end: IntArray) -> None:
        """Take intervals that were found."""


def find_symbol(engine: ReferenceEngine, decoder: Positions, step: Interval, context: IntArray) -> IntArray:
    """Find each record's symbol among the interval ends of one context, and take its interval.

    The ends of every 2^k-th symbol are compared at once, by one matrix product; the last k bits by binary search.
    """
    widths = engine.circuit.widths
    table = engine.table(step.layer)
    cardinality = table.shape[1] - 1
    amount, scale = arithmetic.interval_scale(context, cardinality, widths)
    unit, position = decoder.units(context.shape[1])

    marks, columns = engine.marks(step.layer)
    weighted = arithmetic.mix_dense(columns, context)
    bounds = arithmetic.interval_bound(weighted, marks[:, None], amount, scale, widths)
    passed = (unit * bounds[:-1] <= position).sum(axis=0)
    lanes = np.arange(context.shape[1])
    symbol: IntArray = passed * marks[0]
    start = np.where(passed > 0, bounds[passed - 1, lanes], 0)
    end = bounds[passed, lanes]
    for bit in range(int(marks[0]).bit_length() - 2, -1, -1):
        probe = symbol + (1 << bit)
        mixed = np.einsum("un,un->n", context, table.take(probe, axis=1, mode="clip"))
        lower = arithmetic.interval_bound(mixed, probe, amount, scale, widths)
        inside = probe < cardinality
        taken = inside & (unit * lower <= position)
        symbol = np.where(taken, probe, symbol)
        start = np.where(taken, lower, start)
        end = np.where(taken | ~inside, end, lower)
    decoder.consume(start, end)
    return symbol
