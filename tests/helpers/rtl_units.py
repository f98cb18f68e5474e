"""The instances of hardware units that the tests drive: one binary for all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from helpers.units import Bench, Unit, has_verilator

#: entries of a row, and rows, of the vectors that the units below take: 128 entries
LANES, ROWS = 4, 32
#: entries of a row where what is possible stays
KEPT_LANES = 3
#: entries that are as wide as the vectors of conformance have them
WIDE = 53

needs_verilator = pytest.mark.skipif(
    not has_verilator(), reason="needs Verilator (pcedge[rtl]), make and a C++ compiler"
)


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


def accumulate(lanes: int, rows: int) -> Unit:
    """Make a tested_accumulate, which gives each row that is read."""
    lane_bits, row_bits = max(1, (lanes - 1).bit_length()), max(1, (rows - 1).bit_length())
    return Unit(
        "tested_accumulate",
        {"LANES": lanes, "ROWS": rows, "WIDTH": 34},
        {"in_add": 1, "in_lane": lane_bits, "in_row": row_bits, "in_value": 34, "in_clear": 1, "read_row": row_bits},
        {"read_sums": lanes * 34},
    )


def scale(sum_bits: int, scale_bits: int) -> Unit:
    """Make a pc_interval_scale."""
    return Unit(
        "pc_interval_scale",
        {"SUM_BITS": sum_bits, "SCALE_BITS": scale_bits, "TAG_BITS": 8},
        {"in_tag": 8, "in_total": sum_bits, "in_floors": scale_bits},
        {"out_tag": 8, "out_zeros": 6, "out_scale": scale_bits + 1},
    )


def interval(sum_bits: int, leaf_bits: int, scale_bits: int, part_bits: int = 18) -> Unit:
    """Make a pc_interval."""
    weighted = sum_bits + leaf_bits
    return Unit(
        "pc_interval",
        {"SUM_BITS": sum_bits, "WEIGHTED_BITS": weighted, "SCALE_BITS": scale_bits, "PART_BITS": part_bits,
         "TAG_BITS": 8},
        {"in_tag": 8, "in_total": sum_bits, "in_lower": weighted, "in_upper": weighted, "in_below": scale_bits + 1,
         "in_floors": scale_bits, "in_floor": scale_bits},
        {"out_tag": 8, "out_start": scale_bits + 1, "out_end": scale_bits + 1},
        in_ready=True,
    )  # fmt: skip


def narrow(scale_bits: int, part_bits: int = 18) -> Unit:
    """Make a pc_range_narrow."""
    bits = 2 * scale_bits
    return Unit(
        "pc_range_narrow",
        {"SCALE_BITS": scale_bits, "TAG_BITS": 8, "PART_BITS": part_bits},
        {"in_tag": 8, "in_low": bits + 1, "in_range": bits, "in_start": scale_bits + 1, "in_end": scale_bits + 1,
         "in_flush": 1},
        {"out_tag": 8, "out_low": bits + 1, "out_range": bits, "out_flush": 1, "out_count": 2, "out_carry": 1,
         "out_bytes": scale_bits},
        in_ready=True,
    )  # fmt: skip


def locate(scale_bits: int) -> Unit:
    """Make a pc_range_locate: the results of TAKE and LOAD."""
    bits = 2 * scale_bits
    return Unit(
        "pc_range_locate",
        {"SCALE_BITS": scale_bits, "TAG_BITS": 8},
        {"in_tag": 8, "in_operation": 2, "in_offset": bits, "in_range": bits, "in_start": scale_bits + 1,
         "in_end": scale_bits + 1, "in_bytes": scale_bits, "in_hold": 1, "in_top": 1},
        {"out_tag": 8, "out_offset": bits, "out_range": bits, "out_used": 2, "out_left": 1},
        in_ready=True,
    )  # fmt: skip


def probe(scale_bits: int) -> Unit:
    """Make a pc_probe."""
    return Unit(
        "pc_probe",
        {"SCALE_BITS": scale_bits, "TAG_BITS": 8},
        {"in_tag": 8, "in_unit": scale_bits, "in_offset": 2 * scale_bits, "in_bound": scale_bits + 1},
        {"out_tag": 8, "out_reached": 1},
    )


def located_probe(scale_bits: int) -> Unit:
    """Make a pc_range_locate whose probes are seen."""
    unit = locate(scale_bits)
    return Unit(
        unit.module, unit.parameters, unit.inputs, {"probe_tag": 8, "probe_reached": 1}, True, valid="probe_valid"
    )


def tries(scale_bits: int) -> Unit:
    """Make a pc_range_locate of which is seen what its tries say."""
    outputs = {"out_tag": 8, "out_valid": 1, "tried_below": 1, "tried_above": 1}
    return replace(locate(scale_bits), outputs=outputs, valid="tried_valid")


def lane_encoder(scale_bits: int, streams: int, depth: int = 16) -> Unit:
    """Make a pc_lane_encoder."""
    return Unit(
        "pc_lane_encoder",
        {"SCALE_BITS": scale_bits, "STREAMS": streams, "DEPTH": depth},
        {"in_stream": stream_bits(streams), "in_flush": 1, "in_start": scale_bits + 1, "in_end": scale_bits + 1},
        {"out_stream": stream_bits(streams), "out_byte": 8, "out_last": 1},
        in_ready=True,
        out_ready=True,
    )


def carry(scale_bits: int) -> Unit:
    """Make a pc_carry of two streams."""
    return Unit(
        "pc_carry",
        {"SCALE_BITS": scale_bits, "STREAMS": 2},
        {"in_stream": 1, "in_flush": 1, "in_count": 2, "in_carry": 1, "in_bytes": scale_bits},
        {"out_stream": 1, "out_byte": 8, "out_last": 1},
        in_ready=True,
        out_ready=True,
    )


def decoder(scale_bits: int, streams: int, outputs: str) -> Unit:
    """Make a pc_range_decoder: what it says of probes, or of the other operations."""
    width = stream_bits(streams)
    seen = {"probe_stream": width, "probe_reached": 1} if outputs == "probe" else {
        "out_stream": width, "out_used": 2, "out_left": 1, "read_unit": scale_bits,
        "read_offset": 2 * scale_bits}  # fmt: skip
    return Unit(
        "pc_range_decoder",
        {"SCALE_BITS": scale_bits, "STREAMS": streams},
        {"in_stream": width, "in_operation": 2, "in_start": scale_bits + 1, "in_end": scale_bits + 1,
         "in_bytes": scale_bits, "in_hold": 1, "in_top": 1, "read_stream": width},
        seen,
        in_ready=True,
        valid=f"{outputs}_valid",
    )  # fmt: skip


def stream_bits(streams: int) -> int:
    """Give the width of a stream's number."""
    return max(1, (streams - 1).bit_length())


def leaf(leaf_bits: int, tail_bits: int) -> Unit:
    """Make a pc_leaf of four lanes."""
    entry, out = leaf_bits + 1, leaf_bits + 1 + tail_bits
    return Unit(
        "pc_leaf",
        {"LANES": 4, "LEAF_BITS": leaf_bits, "TAIL_BITS": tail_bits, "TAG_BITS": 8},
        {"in_tag": 8, "in_missing": 1, "in_below": 4 * entry, "in_above": 4 * entry, "in_tails": 1, "in_exponent": 4},
        {"out_tag": 8, "out_entries": 4 * out},
    )


def nested(leaf_bits: int) -> Unit:
    """Make a pc_nested of four lanes."""
    row = 4 * (leaf_bits + 1)
    return Unit(
        "pc_nested",
        {"LANES": 4, "LEAF_BITS": leaf_bits, "TAG_BITS": 8},
        {"in_tag": 8, "in_first": 1, "in_last": 1, "in_master": row, "in_shift": row, "in_scale": row},
        {"out_tag": 8, "out_entries": row},
    )


def score(state_bits: int) -> Unit:
    """Make a pc_score."""
    return Unit(
        "pc_score",
        {"STATE_BITS": state_bits, "TAG_BITS": 8},
        {"in_tag": 8, "in_mantissa": state_bits, "in_exponent": 32},
        {"out_tag": 8, "out_score": 32},
    )


RECIPROCAL = Unit("tested_reciprocal", {}, {"in_divisor": 17}, {"out_result": 18})

VECTOR_UNITS = Bench(
    {f"normalise_{bits}": normalise(bits, LANES, ROWS) for bits in (13, 16)}
    | {f"normalise_row_{bits}": normalise(bits, LANES, 1) for bits in range(8, 17)}
    | {f"kept_normalise_{bits}": normalise(bits, KEPT_LANES, 43, keep=1) for bits in range(8, 17)}
    | {"kept_normalise_row": normalise(16, KEPT_LANES, 1, keep=1), "normalise_small": normalise(8, 2, 3, width=17)}
    | {"mix_square": mix(4, 4), "mix_wide": mix(2, 4), "mix_one": mix(1, 1), "kept_mix": mix(2, 4, keep=1)}
    | {f"accumulate_{lanes}_{rows}": accumulate(lanes, rows) for lanes, rows in ((4, 8), (1, 64), (3, 43))}
    | {"multiply": multiply(4), "align": align(4), "kept_align": align(5, keep=1)}
    | {f"kept_multiply_{bits}": multiply(5, bits, 1) for bits in range(8, 17)}
    | {f"fifo_{depth}": fifo(12, depth) for depth in (2, 3, 9, 16)}
)


def shared(unit: Unit, module: str) -> Unit:
    """Make a unit that has its products from outside."""
    parameters = {name: value for name, value in unit.parameters.items() if name != "PART_BITS"}
    return replace(unit, module=module, parameters=parameters)


CODER_UNITS = Bench(
    {f"scale_{p}_{n}": scale(n, p) for p in (16, 24) for n in (8, 23)}
    | {f"interval_{p}_{bits}": interval(23, bits, p) for p in (16, 24) for bits in (8, 12, 16)}
    | {"interval_16_parts": interval(14, 9, 24, 16), "narrow_16_parts": narrow(24, 16)}
    | {f"narrow_{p}": narrow(p) for p in (16, 24)}
    | {
        f"shared_interval_{p}_{bits}": shared(interval(23, bits, p), "tested_shared_interval")
        for p, bits in ((16, 8), (24, 12), (16, 12), (24, 16))
    }
    | {f"shared_narrow_{p}": shared(narrow(p), "tested_shared_narrow") for p in (16, 24)}
    | {f"shared_locate_{p}": shared(locate(p), "tested_shared_locate") for p in (16, 24)}
    | {f"shared_probe_{p}": shared(located_probe(p), "tested_shared_locate") for p in (16, 24)}
    | {f"locate_{p}": locate(p) for p in (16, 24)}
    | {f"tries_{p}": tries(p) for p in (16, 24)}
    | {f"shared_tries_{p}": shared(tries(p), "tested_shared_locate") for p in (16, 24)}
    | {f"located_probe_{p}": located_probe(p) for p in (16, 24)}
    | {f"probe_{p}": probe(p) for p in (16, 24)}
    | {f"lanes_{p}_{s}": lane_encoder(p, s, 5 + s) for p in (16, 24) for s in (1, 5)}
    | {f"carry_{p}": carry(p) for p in (16, 24)}
    | {f"decoder_{o}_{p}": decoder(p, 3, o) for o in ("probe", "out") for p in (16, 24)}
    | {f"leaf_{bits}": leaf(bits, 15) for bits in range(8, 17)}
    | {"leaf_plain": leaf(12, 0), "nested": nested(12), "reciprocal": RECIPROCAL}
    | {f"score_{bits}": score(bits) for bits in range(8, 17)}
)
