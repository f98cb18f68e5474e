"""Proofs that the native engine's C is the arithmetic, on symbolic integers (docs/proofs.md)."""

from __future__ import annotations

from pathlib import Path as File
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.proofs import LEAF_BITS, started, symbolic_arithmetic
from benchmarks.symbolic import Path, Value, array, bit_length, known, whole
from benchmarks.symbolic_c import Cell, Machine
from pcedge import arithmetic

#: where the engine's C is
HEADERS = File(arithmetic.__file__).parent / "native/src"


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
    left = (sum(carries) << 8 * moves) + (words[0] >> (64 - 8 * moves) if moves else 0)
    last = arithmetic.range_flush(array(encoder._low[0]), encoder._widths)[0]
    carries.clear()
    machine.call("encoder_flush", engine, program)
    flushed = (left + sum(carries)) * 256 + engine.bytes.cell.value
    path.claim("the flushed bytes are equal", whole([*encoder._digits[0, :moves], last], 256) == flushed)
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
    """The bytes of a lane, of which only the one that is flushed is looked at."""

    cell = Cell(0, "uint8_t")

    def __getitem__(self, index: int) -> Cell:
        """Give a place to write a byte to."""
        self.cell = Cell(0, "uint8_t")
        return self.cell

    def at(self, place: Cell) -> Cell:
        """Give an address."""
        return place
