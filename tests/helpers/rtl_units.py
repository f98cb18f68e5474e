"""The instances of hardware units that the tests drive: one binary for all."""

from __future__ import annotations

import pytest

from helpers.units import Bench, Unit, verilator

#: entries of a row, and rows, of the vectors that the units below take: 128 entries
LANES, ROWS = 4, 32
#: entries of a row where what is possible stays
KEPT_LANES = 3
#: entries that are as wide as the vectors of conformance have them
WIDE = 53

needs_verilator = pytest.mark.skipif(verilator() is None, reason="needs Verilator (pcedge[rtl])")


def normalise(state_bits: int, lanes: int, rows: int, width: int = WIDE, keep: int = 0) -> Unit:
    """Make a pc_normalise."""
    return Unit(
        "pc_normalise",
        {"LANES": lanes, "WIDTH": width, "STATE_BITS": state_bits, "ROWS": rows, "KEEP": keep, "TAG_BITS": 8},
        {"in_last": 1, "in_tag": 8, "in_used": lanes, "in_entries": lanes * width, "in_exponent": 33, "in_revive": 1,
         "in_keep": 1, "in_lift": 4},
        {"out_last": 1, "out_tag": 8, "out_mantissas": lanes * state_bits, "out_exponent": 32},
    )  # fmt: skip


def mix(
    rows: int, columns: int, weight_bits: int = 17, state_bits: int = 16, sum_bits: int = 40, keep: int = 0
) -> Unit:
    """Make a pc_mix."""
    return Unit(
        "pc_mix",
        {"ROWS": rows, "COLUMNS": columns, "WEIGHT_BITS": weight_bits, "STATE_BITS": state_bits, "SUM_BITS": sum_bits,
         "KEEP": keep, "TAG_BITS": 8},
        {"in_tag": 8, "in_first": 1, "in_last": 1, "in_down": 1, "in_weights": rows * columns * weight_bits,
         "in_vector": columns * state_bits, "in_keep": 1, "in_tails": 1, "in_lift": 4},
        {"out_tag": 8, "out_sums": columns * sum_bits},
    )  # fmt: skip


def multiply(lanes: int, state_bits: int = 16, keep: int = 0) -> Unit:
    """Make a pc_multiply."""
    return Unit(
        "pc_multiply",
        {"LANES": lanes, "STATE_BITS": state_bits, "KEEP": keep, "TAG_BITS": 8},
        {"in_tag": 8, "in_first": lanes * state_bits, "in_second": lanes * state_bits, "in_first_exponent": 32,
         "in_second_exponent": 32, "in_keep": 1, "in_lift": 4},
        {"out_tag": 8, "out_entries": 2 * lanes * state_bits, "out_exponent": 33},
    )  # fmt: skip


def align(lanes: int, state_bits: int = 16, keep: int = 0) -> Unit:
    """Make a pc_align."""
    return Unit(
        "pc_align",
        {"LANES": lanes, "STATE_BITS": state_bits, "KEEP": keep, "TAG_BITS": 8},
        {"in_tag": 8, "in_mantissas": lanes * state_bits, "in_exponent": 32, "in_other": 32, "in_keep": 1},
        {"out_tag": 8, "out_mantissas": lanes * state_bits, "out_exponent": 32},
    )


def fifo(width: int, depth: int) -> Unit:
    """Make a pc_fifo."""
    return Unit("pc_fifo", {"WIDTH": width, "DEPTH": depth}, {"in": width}, {"out": width}, True, True)


BENCH = Bench(
    {f"normalise_{bits}": normalise(bits, LANES, ROWS) for bits in (13, 16)}
    | {f"normalise_row_{bits}": normalise(bits, LANES, 1) for bits in range(8, 17)}
    | {f"kept_normalise_{bits}": normalise(bits, KEPT_LANES, 43, keep=1) for bits in range(8, 17)}
    | {"kept_normalise_row": normalise(16, KEPT_LANES, 1, keep=1), "normalise_small": normalise(8, 2, 3, width=17)}
    | {"mix_square": mix(4, 4), "mix_wide": mix(2, 4), "mix_one": mix(1, 1), "kept_mix": mix(2, 4, keep=1)}
    | {"multiply": multiply(4), "align": align(4), "kept_align": align(5, keep=1)}
    | {f"kept_multiply_{bits}": multiply(5, bits, 1) for bits in range(8, 17)}
    | {f"fifo_{depth}": fifo(12, depth) for depth in (2, 3, 9, 16)}
)
