"""Prove the arithmetic (docs/proofs.md): for every state, interval and context, not for drawn ones.

`python -m benchmarks.prove` runs the functions of `pcedge/arithmetic.py`, the range coder over lanes and the C of the
native engine on symbolic integers; it needs the extra `proof`. It ends with 1 if something is false.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path as File
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.symbolic import Number, Outcome, Path, Refuted, Value, array, bit_length, explore, implies, known, whole
from benchmarks.symbolic_c import Cell, Machine
from pcedge import arithmetic
from pcedge.arithmetic import EXACT_BITS
from pcedge.engines.range_coder import RangeDecoder, RangeEncoder
from pcedge.errors import StreamError

#: where the engine's C is
HEADERS = File(arithmetic.__file__).parent / "native/src"

#: P of the two coders; B is 2 P
SCALES = (24, 16)

#: L and A of the shipped circuits
LEAF_BITS, STATE_BITS = 12, 16

#: widths of a context's sum: 16 units, and the widest that still fits 53 bits with L
SUM_BITS = (20, EXACT_BITS - LEAF_BITS)


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


def kernel_coder(path: Path, scale_bits: int) -> None:
    """Run the engine's coder in C beside the one over lanes, in any state: same range, same bytes, same position.

    The C adds a carry to the bytes before at once, the other keeps it in low until a byte leaves.
    """
    most, range_bits = 1 << scale_bits, 2 * scale_bits
    start, end = path.number("start", 0, most - 1), path.number("end", 1, most)
    path.assume(start + 1 <= end)
    program = SimpleNamespace(scale_bits=Cell(scale_bits, "int"), range_bits=Cell(range_bits, "int"))
    with symbolic_arithmetic(path):
        encoder, decoder, low, _ = started(path, scale_bits)
        width, offset = encoder._range[0], decoder._offset[0]
        unit = width >> scale_bits
        for less, more in ((end, most), (1, end - start)):
            path.ordered(unit, less, more)
        for more, less in ((end, start), (end, 1)):
            path.distributed(unit, more, less)
        path.assume(unit * start <= offset, offset + 1 <= unit * end)
        encoder.encode(array(start), array(end))
        decoder.consume(array(start), array(end))
    path.limits = None
    moves = int(encoder._counts[0])
    # The engine may have added a carry to the bytes before already.
    carries = [path.number("added", 0, 1)]
    words: list[Value] = []
    engine = SimpleNamespace(
        low=Cell(low - carries[0] * (1 << range_bits), "uint64_t"),
        range=Cell(width, "uint64_t"),
        size=Cell(1, "size_t"),
        bytes=Lane(),
    )
    path.assume(engine.low.value >= 0, engine.low.value < 1 << range_bits)
    calls = {
        "bits_of": lambda cell: Cell(bit_length(cell.value), "int"),
        "encoder_carry": lambda lane: carries.append(1),
        "put_bytes": lambda at, word: words.append(word.value),
        "byte_at": lambda bytes_, size, at: Cell(decoder.read[known(at.value)], "uint64_t"),
    }
    machine = Machine(path, HEADERS / "coder.h", ["encoder_narrow", "encoder_flush", "take"], calls)
    a, b = Cell(start, "uint64_t"), Cell(end, "uint64_t")
    machine.call("encoder_narrow", engine, program, a, b)
    path.claim("as many bytes leave", engine.size.value == 1 + moves)
    path.claim("the range is equal", engine.range.value == encoder._range[0])
    path.claim("low has B bits", engine.low.value < 1 << range_bits)
    before = _stream(list(encoder._digits[0, :moves]), encoder._low[0], range_bits)
    after = (sum(carries) << (8 * moves + range_bits)) + _stream(
        [words[0] >> (64 - 8 * moves)] if moves else [], engine.low.value, range_bits
    )
    path.claim("bytes and low are equal", before == after)
    taken = Cell(offset, "uint64_t"), Cell(width, "uint64_t"), Cell(0, "int64_t")
    inside = machine.call("take", taken[0], taken[1], None, None, taken[2], program, a, b)
    path.claim("the decoder is inside", inside.value == 1)
    path.claim("the decoder reads as many bytes", taken[2].value == moves)
    path.claim("the decoder's range is equal", taken[1].value == decoder._range[0])
    path.claim("the decoder's offset is equal", taken[0].value == decoder._offset[0])


def _stream(digits: list[Value], low: Value, range_bits: int) -> Value:
    return whole(digits, 256) * (1 << range_bits) + low


def kernel_intervals(path: Path, scale_bits: int, sum_bits: int) -> None:
    """Run the engine's intervals in C beside the arithmetic, for any context, number of symbols and floor."""
    whole_scale = 1 << scale_bits
    floor = path.number("floor", 1, whole_scale // 2)
    cardinality = path.number("symbols", 1, whole_scale // 2)
    path.assume(floor * cardinality <= whole_scale // 2)
    total = path.number("total", 1, (1 << sum_bits) - 1)
    weighted = path.number("weighted", 0, (1 << (sum_bits + LEAF_BITS)) - 1)
    path.assume(weighted <= total << LEAF_BITS)
    symbol = path.number("symbol", 0, whole_scale // 2)
    path.assume(symbol <= cardinality)
    path.ordered(floor, symbol, cardinality)
    widths: Any = SimpleNamespace(scale_bits=scale_bits, leaf_bits=LEAF_BITS, bound_input=scale_bits + 2, floor=floor)
    with symbolic_arithmetic(path):
        amount, scale = arithmetic.interval_scale(array(total)[:, None], cardinality, widths)
        bound = arithmetic.interval_bound(array(weighted), array(symbol), amount, scale, widths)[0]
        divided = arithmetic.reciprocal
    path.limits = None
    path.assume(bound <= whole_scale)  # by the proof of intervals
    program = SimpleNamespace(
        scale_bits=Cell(scale_bits, "int"), leaf_bits=Cell(LEAF_BITS, "int"), floor=Cell(floor, "int")
    )
    block = SimpleNamespace(program=program)
    calls = {
        "bits_of": lambda cell: Cell(bit_length(cell.value), "int"),
        "reciprocal": lambda block_, cell: Cell(divided(array(cell.value))[0], "uint64_t"),
    }
    machine = Machine(path, HEADERS / "intervals.h", ["scale_of", "bound_of"], calls)
    found = machine.call("scale_of", block, Cell(total, "uint64_t"), Cell(cardinality, "int"))
    path.claim("the scale is equal", found.scale.value == scale[0])
    path.claim("the shift is equal", found.amount.value == amount[0])
    made = machine.call("bound_of", program, Cell(weighted, "uint64_t"), Cell(symbol, "int"), found)
    path.claim("the bound is equal", made.value == bound)


def kernel_reciprocals(path: Path) -> None:
    """Run the engine's reciprocal in C for all divisors."""
    table = [Cell(int(entry), "uint32_t") for entry in arithmetic.RECIPROCAL_TABLE]
    machine = Machine(path, HEADERS / "intervals.h", ["reciprocal"], {})
    block = SimpleNamespace(reciprocals=table)
    divisors = np.arange(1 << 15, (1 << 16) + 1)
    found = [machine.call("reciprocal", block, Cell(int(divisor), "uint64_t")).value for divisor in divisors]
    path.claim("equal for all divisors", found == arithmetic.reciprocal(divisors).tolist())


class Lane:
    """The bytes of a lane: that they are written at the end is what is looked at."""

    def at(self, place: Cell) -> Cell:
        """Give an address."""
        return place


def prove(name: str, run: Callable[[Path], None], seconds: float, limit: float) -> Outcome | None:
    """Prove in a process of its own, for the solver may go on beyond the time that it was given; None: it was stopped.

    Raises:
        Refuted: a claim is false.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        try:
            return pool.apply_async(explore, (name, run, seconds)).get(limit)
        except multiprocessing.TimeoutError:
            return None


def quick() -> dict[str, Callable[[Path], None]]:
    """Give what takes seconds."""
    return {"bit length": bit_lengths, "reciprocal": reciprocals, "reciprocal in C": kernel_reciprocals}


def all_proofs() -> dict[str, Callable[[Path], None]]:
    """Give all proofs by name."""
    found = quick()
    for revive, keep in ((False, False), (True, False), (False, True)):
        kind = "tails" if keep else "revived" if revive else "plain"
        bits = STATE_BITS + 12
        found[f"normalise {bits} to {STATE_BITS} bits, {kind}"] = partial(
            normalise, accumulated_bits=bits, revive=revive, keep=keep
        )
    for scale_bits in SCALES:
        name = f"P {scale_bits}"
        found[f"{name}: one symbol encoded and decoded"] = partial(coder, scale_bits=scale_bits)
        found[f"{name}: the coder in C"] = partial(kernel_coder, scale_bits=scale_bits)
        for sum_bits in SUM_BITS:
            sums = f"{name}, contexts' sums of {sum_bits} bits"
            found[f"{sums}: intervals"] = partial(intervals, scale_bits=scale_bits, sum_bits=sum_bits)
            found[f"{sums}: intervals in C"] = partial(kernel_intervals, scale_bits=scale_bits, sum_bits=sum_bits)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="what the solver may take for one claim")
    parser.add_argument("--limit", type=float, default=600, help="what one proof may take in all")
    parser.add_argument("--only", default="", help="a part of the names of the proofs to run")
    arguments = parser.parse_args()
    chosen = {name: run for name, run in all_proofs().items() if arguments.only in name}
    undecided = 0
    for name, run in chosen.items():
        try:
            outcome = prove(name, run, arguments.seconds, arguments.limit)
        except Refuted as error:
            print(f"refuted: {error}", file=sys.stderr)
            return 1
        if outcome is None:
            undecided += 1
            print(f"{name}: stopped after {arguments.limit:g} s", flush=True)
            continue
        undecided += bool(outcome.open)
        left = f"; not decided: {', '.join(sorted(set(outcome.open)))}" if outcome.open else ""
        print(f"{name}: {outcome.claims} claims on {outcome.paths} paths in {outcome.seconds:.0f} s{left}", flush=True)
    print(f"{len(chosen)} proofs, {undecided} of them not decided in full")
    return 0


if __name__ == "__main__":
    sys.exit(main())
