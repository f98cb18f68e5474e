"""Coding of records into lanes and back: the reference that every other coder must equal byte for byte."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pcedge import arithmetic
from pcedge.arithmetic import IntArray
from pcedge.coder.interpreter import Engine
from pcedge.coder.range_coder import RangeDecoder, RangeEncoder
from pcedge.coder.schedule import Step

#: symbols whose intervals are held in memory at a time
BLOCK_SYMBOLS = 1 << 22

#: told (records done, records in all)
Progress = Callable[[int, int], None]


def encode_lanes(engine: Engine, records: IntArray, lanes: int, progress: Progress | None = None) -> list[bytes]:
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
    block = max(1, BLOCK_SYMBOLS // (records.shape[1] * lanes)) * lanes
    for first in range(0, len(records), block):
        lo, hi = engine.intervals(records[first : first + block])
        for row in range(0, len(lo), lanes):
            lows, highs = lo[row : row + lanes].T.copy(), hi[row : row + lanes].T.copy()
            for start, end in zip(lows, highs, strict=True):
                encoder.encode(start, end)
        if progress:
            progress(min(first + block, len(records)), len(records))
    return encoder.finish()


def decode_lanes(
    engine: Engine, lanes: list[bytes], count: int, progress: Progress | None = None, *, strict: bool = True
) -> IntArray:
    """Decode `count` records of shape (N, variables) from their lanes.

    With `strict` false the lanes may be any bytes: what random ones decode to is a sample of the circuit.

    Raises:
        StreamError: the bytes are not what an encoder of this circuit writes.
    """
    decoder = RangeDecoder(lanes, engine.circuit.widths, strict=strict)
    variables = len(engine.circuit.order)
    records = np.zeros((count, variables), dtype=np.int64)

    def code(step: Step, context: IntArray) -> IntArray:
        return _decode_symbol(engine, decoder, step, context)

    for first in range(0, count, max(len(lanes), 1)):
        rows = records[first : first + len(lanes)]
        symbols = np.zeros((variables, len(rows)), dtype=np.int64)
        engine.replay(engine.code_steps, symbols, code)
        rows[:] = symbols.T
        decoder.check()
        if progress:
            progress(first + len(rows), count)
    decoder.finish()
    return records


def _decode_symbol(engine: Engine, decoder: RangeDecoder, step: Step, context: IntArray) -> IntArray:
    """Find each record's symbol by binary search over the interval ends of one context, and take its interval."""
    widths = engine.circuit.widths
    table = engine.table(step.layer)
    cardinality = table.shape[1] - 1
    amount, scale = arithmetic.interval_scale(context, cardinality, widths)
    unit, position = decoder.units(context.shape[1])

    def bound(symbol: IntArray) -> IntArray:
        weighted = np.einsum("un,un->n", context, table.take(symbol, axis=1, mode="clip"))
        return arithmetic.interval_bound(weighted, symbol, amount, scale, widths)

    symbol = np.zeros(context.shape[1], dtype=np.int64)
    start = np.zeros_like(symbol)
    end = bound(np.full_like(symbol, cardinality))
    for bit in range(arithmetic.ceil_log2(cardinality) - 1, -1, -1):
        probe = symbol + (1 << bit)
        lower = bound(probe)
        taken = (probe < cardinality) & (unit * lower <= position)
        symbol = np.where(taken, probe, symbol)
        start = np.where(taken, lower, start)
        end = np.where(taken | (probe >= cardinality), end, lower)
    decoder.consume(start, end)
    return symbol
