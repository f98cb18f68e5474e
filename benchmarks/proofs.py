"""Proofs of `pcedge/arithmetic.py` and of the range coder over lanes, on symbolic integers (docs/proofs.md)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.symbolic import Number, Path, Value, array, bit_length, implies, whole
from pcedge import arithmetic
from pcedge.arithmetic import EXACT_BITS
from pcedge.engines.range_coder import RangeDecoder, RangeEncoder
from pcedge.errors import StreamError

#: L and A of the shipped circuits
LEAF_BITS, STATE_BITS = 12, 16


@contextmanager
def symbolic_arithmetic(path: Path) -> Iterator[None]:
    """Let numbers pass through the two functions that look at bits and at a table.

    `bit_length` takes a path for each length. Of `reciprocal` only what `reciprocals` and `bit_lengths` tried on all
    divisors is known.
    """
    seen: dict[int, Value] = {}

    def lengths(values: Any) -> Any:
        return array(*(bit_length(value) for value in values))

    def reciprocals_of(divisors: Any) -> Any:
        return array(*(_reciprocal(path, seen, value) for value in divisors))

    kept = arithmetic.bit_length, arithmetic.reciprocal
    arithmetic.bit_length, arithmetic.reciprocal = lengths, reciprocals_of
    path.limits = (-(1 << EXACT_BITS) + 1, (1 << EXACT_BITS) - 1)
    try:
        yield
    finally:
        arithmetic.bit_length, arithmetic.reciprocal = kept
        path.limits = None


def _reciprocal(path: Path, seen: dict[int, Value], divisor: Value) -> Value:
    if not isinstance(divisor, Number):
        return int(arithmetic_reciprocal(np.array([divisor]))[0])
    path.claim("divisors are in 2^15..2^16", divisor >= 1 << 15)
    path.claim("divisors are in 2^15..2^16", divisor <= 1 << 16)
    key = divisor.expression.get_id()
    if key not in seen:
        seen[key] = path.number("reciprocal", 1 << 17, (1 << 18) - 1)
        limits, path.limits = path.limits, None
        path.assume(seen[key] * divisor <= 1 << 33)
        path.limits = limits
    return seen[key]


arithmetic_reciprocal = arithmetic.reciprocal


def bit_lengths(path: Path) -> None:
    """Try the bit length at all ends of its steps: float64 holds integers below 2^53, and keeps their order."""
    for bits in range(EXACT_BITS + 1):
        ends = np.array([(1 << bits) >> 1, (1 << bits) - 1])
        path.claim(f"numbers of {bits} bits", bool((arithmetic.bit_length(ends) == bits).all()))


def reciprocals(path: Path) -> None:
    """Try all divisors: the bounds that the other proofs use."""
    divisor = np.arange(1 << 15, (1 << 16) + 1)
    found = arithmetic.reciprocal(divisor)
    path.claim("never above the truth", bool((found * divisor <= 1 << 33).all()))
    path.claim("relative error under 2^-15", bool((((1 << 33) - found * divisor) * 2**15 < 1 << 33).all()))
    path.claim("18 bits", bool(((found >= 1 << 17) & (found < 1 << 18)).all()))


def normalise(path: Path, accumulated_bits: int, revive: bool, keep: bool) -> None:
    """Shift a vector of two entries, any of which may be the largest: the rule knows a vector by its largest entry."""
    limit = (1 << accumulated_bits) - 1
    first, second = (path.number(name, 0, limit) for name in ("first", "second"))
    exponent = path.number("exponent", 2 * arithmetic.ZERO_EXPONENT, 1 << 20)
    with symbolic_arithmetic(path):
        found, moved = arithmetic.normalise(array(first, second)[:, None], array(exponent), STATE_BITS, revive, keep)
    top, other = found[:, 0]
    if first < second:
        first, second, top, other = second, first, other, top
    half = 1 << (STATE_BITS - 1)
    path.claim("mantissas have at most A bits", top < 2 * half)
    path.claim("mantissas are not negative", other >= 0)
    path.claim("the order stays", other <= top)
    path.claim("exponents do not fall below the least", moved[0] >= arithmetic.ZERO_EXPONENT)
    if first == 0:
        path.claim("a zero vector has its successor", top == (half if revive else 0))
        return
    path.claim("the largest mantissa has exactly A bits", top >= half)
    shift = bit_length(first) - STATE_BITS
    path.claim("the exponent grows by the shift", moved[0] == max(exponent + shift, arithmetic.ZERO_EXPONENT))
    if not keep:
        value, entry = other << max(shift, 0), second << max(-shift, 0)
        path.claim("no value grows", value <= entry)
        path.claim("each loses less than a unit", value + (1 << max(shift, 0)) > entry)
    if keep and second > 0:
        path.claim("what is possible stays so", other >= 1)


def intervals(path: Path, scale_bits: int, sum_bits: int) -> None:
    """Bound the intervals of any context, table, number of symbols and floor."""
    whole_scale = 1 << scale_bits
    floor = path.number("floor", 1, whole_scale // 2)
    cardinality = path.number("symbols", 1, whole_scale // 2)
    path.assume(floor * cardinality <= whole_scale // 2)
    total = path.number("total", 1, (1 << sum_bits) - 1)
    # What tables that rise give: 0 at the first bound, the total times 2^L at the last, and order between.
    below, above = (path.number(name, 0, (1 << (sum_bits + LEAF_BITS)) - 1) for name in ("below", "above"))
    path.assume(below <= above, above <= total << LEAF_BITS)
    symbol = path.number("symbol", 0, whole_scale // 2 - 1)
    path.assume(symbol < cardinality)
    widths: Any = SimpleNamespace(scale_bits=scale_bits, leaf_bits=LEAF_BITS, bound_input=scale_bits + 2, floor=floor)
    with symbolic_arithmetic(path):
        amount, scale = arithmetic.interval_scale(array(total)[:, None].T, cardinality, widths)
        path.claim("R fits P + 1 bits", scale[0] < 2 << scale_bits)

        def bound(weighted: Value, at: Value) -> Value:
            path.claim("an entry fits X bits", arithmetic.shift(array(weighted), amount)[0] < 4 << scale_bits)
            return arithmetic.interval_bound(array(weighted), array(at), amount, scale, widths)[0]

        path.claim("the first bound is 0", bound(0, 0) == 0)
        entries = arithmetic.shift(array(below, above), amount)
        path.ordered(scale[0], entries[0], entries[1])
        path.distributed(floor, symbol + 1, symbol)
        path.ordered(floor, symbol + 1, cardinality)
        low, high = bound(below, symbol), bound(above, symbol + 1)
        path.claim("an interval is never empty", low + 1 <= high)
        path.claim("an interval is at least the floor", low + floor <= high)
        path.claim("the last bound is at most 2^P", bound(total << LEAF_BITS, cardinality) <= whole_scale)


def started(path: Path, scale_bits: int) -> tuple[Any, Any, Value, Value]:
    """Give an encoder and a decoder of one lane in the middle of their work, in any state that may be.

    Returns:
        Both, and what they share: the number that the encoder's bytes and low are, seen from the bytes that have left,
        and the number that the decoder has read, which lies in the encoder's range.
    """
    range_bits = 2 * scale_bits
    widths: Any = SimpleNamespace(scale_bits=scale_bits, range_bits=range_bits)
    width = path.number("range", 1 << (range_bits - 8), (1 << range_bits) - 1)
    low = path.number("low", 0, (2 << range_bits) - 1)
    offset = path.number("offset", 0, (1 << range_bits) - 1)
    path.assume(low + width < 2 << range_bits, offset < width)
    encoder: Any = RangeEncoder(1, widths)
    encoder._low, encoder._range, encoder._digits = array(low), array(width), np.zeros((1, 64), dtype=object)
    decoder: Any = RangeDecoder([b""], widths)
    decoder._range, decoder._offset = array(width), array(offset)
    decoder.read = []

    def next_byte(rows: Any) -> Any:
        decoder.read.append(path.number("byte", 0, 255))
        return array(decoder.read[-1])

    decoder._next = next_byte
    return encoder, decoder, low, low + offset


def coder(path: Path, scale_bits: int) -> None:
    """Encode one symbol in any state, and decode it: narrowing, the bytes that leave, the search, the flush."""
    most, range_bits = 1 << scale_bits, 2 * scale_bits
    start, end = path.number("start", 0, most - 1), path.number("end", 1, most)
    path.assume(start + 1 <= end)
    with symbolic_arithmetic(path):
        encoder, decoder, before, read = started(path, scale_bits)
        width = encoder._range[0]
        unit = width >> scale_bits
        other = path.number("bound", 0, most)
        for less, more in ((end, most), (start, end - 1), (1, end - start), (other, start), (end, other)):
            path.ordered(unit, less, more)
        for more, less in ((end, start), (end, 1)):
            path.distributed(unit, more, less)
        # The bytes that were read say: this symbol. Any other interval does not hold them.
        path.assume(unit * start <= decoder._offset[0], decoder._offset[0] + 1 <= unit * end)
        units, position = decoder.units(1)
        path.claim(
            "bounds from the symbol's end on are above it", implies(other >= end, units[0] * other > position[0])
        )
        path.claim("bounds up to the symbol's are not", implies(other <= start, units[0] * other <= position[0]))
        encoder.encode(array(start), array(end))
        try:
            decoder.consume(array(start), array(end))
        except StreamError:
            path.claim("the decoder stays inside the interval", False)
            return
        path.limits = None
        moves = int(encoder._counts[0])
        digits = encoder._digits[0, :moves]
        low, after = encoder._low[0], encoder._range[0]
        path.claim("at most P / 8 bytes leave", moves <= scale_bits // 8)
        path.claim("the range has more than B - 8 bits", after >= 1 << (range_bits - 8))
        path.claim("the range has at most B bits", after < 1 << range_bits)
        path.claim("low and the range stay below 2^(B + 1)", low + after < 2 << range_bits)
        for digit in digits:
            path.claim("a digit is at most 511", digit <= 511)
        written = whole(digits, 256) * (1 << range_bits) + low
        path.claim("the bytes and low are the start of the interval", written == (before + unit * start) << 8 * moves)
        path.claim("the range is the interval", after == (unit * end - unit * start) << 8 * moves)
        path.claim("the decoder reads as many bytes", len(decoder.read) == moves)
        path.claim("the decoder has the encoder's range", decoder._range[0] == after)
        came = (read << 8 * moves) + whole(decoder.read, 256)
        path.claim("the decoder is where the encoder's bytes lead", decoder._offset[0] == came - written)
        path.claim("the decoder is in its range", decoder._offset[0] < after)
        last = arithmetic.range_flush(array(low), encoder._widths)[0]
        path.claim("the flush is a digit", last <= 511)
        path.claim("the flush is not below low", last << (range_bits - 8) >= low)
        path.claim("the flush is in the range", last << (range_bits - 8) < low + after)
