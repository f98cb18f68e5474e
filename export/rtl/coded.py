"""What the cycles of coding depend on besides the program: the digits of every symbol, and the tries of its search.

All of it is known where the records are, and the bytes that a decoder has beyond what it takes. Without them a symbol
is assumed to leave one digit, which no carry and no 255 holds back, and a decoder to find what the circuit draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pcedge import arithmetic
from pcedge.arithmetic import Widths
from pcedge.arrays import IntArray
from pcedge.engines.reference import ReferenceEngine
from pcedge.export.rtl.tries import tries_of
from pcedge.schedule.steps import Interval


@dataclass(frozen=True, eq=False)
class CodedStream:
    """Hold a stream's symbols in the order of coding."""

    #: cycles that every symbol's digits take to become bytes, and those of the lane's end
    carry: Sequence[int]
    #: bytes that a decoder takes with every symbol
    used: Sequence[int]
    #: bytes of the lane
    size: int
    #: tries until every symbol is found
    tries: Sequence[int]


def code_streams(
    engine: ReferenceEngine, records: IntArray, streams: int, firsts: Sequence[int], sizes: Sequence[int] | None = None
) -> list[CodedStream]:
    """Follow the coders of all streams.

    Args:
        engine: the circuit's engine.
        records: (N, variables), without missing symbols; record i goes to stream i mod `streams`.
        streams: how many.
        firsts: of every variable the symbol that is tried first.
        sizes: bytes of every stream's lane; None takes those that an encoder writes.
    """
    lo, hi = (ends[:, engine.program.coded] for ends in engine.intervals(records))
    digits: list[list[list[int]]] = [[] for _ in range(streams)]
    low = np.zeros(streams, dtype=np.int64)
    widths = engine.circuit.widths
    width = np.full(streams, (1 << widths.range_bits) - 1, dtype=np.int64)
    for row in range(0, len(lo), streams):
        for start, end in zip(lo[row : row + streams].T, hi[row : row + streams].T, strict=True):
            _narrow(digits, low, width, start, end, widths)
    flushes = arithmetic.range_flush(low, widths).tolist()
    found = []
    for stream in range(streams):
        carry, size = _carry_cycles(digits[stream], flushes[stream])
        found.append(
            CodedStream(
                carry, [len(d) for d in digits[stream]], size if sizes is None else sizes[stream],
                _tries(engine, records[stream::streams], firsts),
            )
        )  # fmt: skip
    return found


def assume_streams(engine: ReferenceEngine, records: Sequence[int], firsts: Sequence[int]) -> list[CodedStream]:
    """Assume what symbols leave: one digit each; a decoder finds what the circuit draws."""
    drawn = engine.sample(sum(records))
    found, start = [], 0
    for count in records:
        symbols = count * len(_variables(engine))
        tries = _tries(engine, drawn[start : start + count], firsts)
        start += count
        found.append(CodedStream([1] * symbols + [2], [1] * symbols, symbols + 1, tries))
    return found


def _tries(engine: ReferenceEngine, records: IntArray, firsts: Sequence[int]) -> list[int]:
    """Count the tries of records' symbols, in the order of coding."""
    order = _variables(engine)
    cardinalities = engine.circuit.cardinalities
    counts = [tries_of(cardinalities[variable])[firsts[variable]][records[:, variable]] for variable in order]
    return [int(count) for count in np.stack(counts, axis=1).ravel()]


def _variables(engine: ReferenceEngine) -> list[int]:
    """Give the variables in the order of coding."""
    return [step.variable for step in engine.program.code.steps if isinstance(step, Interval)]


def _narrow(
    digits: list[list[list[int]]], low: IntArray, width: IntArray, start: IntArray, end: IntArray, widths: Widths
) -> None:
    """Code a symbol in each of the first streams, and keep its digits."""
    active = len(start)
    low[:active], width[:active] = arithmetic.range_narrow(low[:active], width[:active], start, end, widths)
    moves = arithmetic.range_bytes(width[:active], widths)
    for stream in range(active):
        digits[stream].append([])
    while len(rows := np.flatnonzero(moves)):
        digit, low[rows], width[rows] = arithmetic.range_shift_out(low[rows], width[rows], widths)
        for stream, value in zip(rows.tolist(), digit.tolist(), strict=True):
            digits[stream][-1].append(value)
        moves[rows] -= 1


def _carry_cycles(symbols: list[list[int]], flush: int) -> tuple[list[int], int]:
    """Count what pc_carry takes a symbol: a cycle a digit, and one for every 255 that a digit makes known."""
    cycles, run, filled = [], 0, False
    for digits in [*symbols, [flush]]:
        taken = 0
        for digit in digits:
            taken += 1
            if digit == 255:
                run += 1
            else:
                taken += run
                filled, run = True, 0
        cycles.append(taken)
    cycles[-1] += filled + run  # at the end all that waits leaves
    return cycles, sum(map(len, symbols)) + 1
