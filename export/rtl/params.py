"""The parameters of one engine, as SystemVerilog (docs/rtl.md, Sizes)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pcedge.arithmetic import ceil_log2
from pcedge.drivers.contract import REGISTERS
from pcedge.export.program.packing import PackedTable
from pcedge.export.project.manifest import BUILT_JOBS
from pcedge.export.rtl.lowering import Kind, RtlImage
from pcedge.export.rtl.top import info_words
from pcedge.schedule.steps import Zeros
from pcedge.tails import TAIL_BITS

#: exponents of state vectors stop here (docs/arithmetic.md)
LEAST_EXPONENT = "32'hC0000000"


def bits_of(count: int) -> int:
    """Give the bits of an address of so many words: at least one."""
    return max(1, ceil_log2(count))


def params_code(image: RtlImage) -> str:
    """Write `params.svh`: sizes, widths, and how a row of the program is read."""
    return "\n".join(["// Sizes, widths and the program's rows of one circuit. Generated.", *_lines(image), ""])


def sizes_of(image: RtlImage) -> dict[str, int]:
    """Give every size by its name in SystemVerilog."""
    circuit, size = image.circuit, image.size
    widths = circuit.widths
    signals = widths.signals()
    blocks = image.columns["blocks"].values.max()
    tables = max(1, int(image.variable_columns["tables"].values.max()).bit_length())
    return {
        "STREAMS": size.streams, "STREAM_BITS": bits_of(size.streams), "MACS": size.macs, "LANES": size.lanes,
        "TILE_ROWS": size.tile_rows, "TABLE_LANES": size.table_lanes, "STATE_LANE_BITS": bits_of(size.lanes),
        "WEIGHT_BITS": circuit.weight_bits, "LEAF_BITS": circuit.leaf_bits, "STATE_BITS": circuit.state_bits,
        "SCALE_BITS": circuit.scale_bits, "RANGE_BITS": circuit.range_bits, "FLOOR": circuit.floor,
        "MIX_BITS": signals["accumulator"], "CONTEXT_BITS": signals["context_sum"],
        "WEIGHTED_BITS": signals["weighted"], "SYMBOL_BITS": signals["symbol"], "SYMBOLS": widths.cardinality,
        "VARIABLES": len(circuit.order), "VARIABLE_BITS": bits_of(len(circuit.order)),
        "ROWS": image.rows, "SLOTS": image.slots, "SLOT_BITS": bits_of(image.slots),
        "ROW_ADDRESS_BITS": bits_of(image.rows * size.streams), "MOST_ROWS": image.most_rows,
        "ROW_COUNT_BITS": max(1, image.most_rows.bit_length()), "BLOCK_BITS": max(1, int(blocks).bit_length()),
        "STEPS": image.steps.rows, "STEP_BITS": bits_of(image.steps.rows), "STEP_WIDTH": max(1, image.steps.row_bits),
        "LIKELIHOOD_START": image.starts[0], "CODE_START": image.starts[1],
        "TILES": max(1, len(image.tiles)), "TILE_BITS": bits_of(len(image.tiles)),
        "LISTS": max(1, len(image.lists)), "LIST_BITS": bits_of(len(image.lists)),
        "POSITION_BITS": bits_of(image.most_rows * size.lanes),
        "LIST_B_BITS": max(bits_of(image.most_rows * size.lanes), circuit.weight_bits + 1),
        "LEAF_WORDS": max(1, len(image.leaves)), "LEAF_ADDRESS_BITS": bits_of(len(image.leaves)),
        "NUMBER_BITS": max(1, int(image.leaves.max(initial=0)).bit_length()),
        "EVENS": len(image.even), "EVEN_BITS": bits_of(len(image.even)),
        "ODDS": max(1, len(image.odd)), "ODD_BITS": bits_of(len(image.odd)),
        "VARIABLE_WIDTH": max(1, image.variables.row_bits), "TABLES_BITS": tables,
        "TAILS": max(1, len(image.tails)), "TAIL_ADDRESS_BITS": bits_of(len(image.tails)), "TAIL_BITS": TAIL_BITS,
        "KEEPS": int(circuit.tails), "HAS_TAILS": int(len(image.tails) > 0),
        "HAS_LISTS": int(len(image.lists) > 0),
        "HAS_ALIGN": int((image.columns["kind"].values == Kind.ALIGN).any()),
        **{f"HAS_{job.upper()}": int(job in image.jobs) for job in BUILT_JOBS},
        "HAS_SEARCH": int(bool({"decode", "sample"} & set(image.jobs))),
        "HAS_CODE": int(bool({"encode", "decode", "sample"} & set(image.jobs))),
        "SHARED_PRODUCT": int(image.shared_product), "PASS_GAP": image.pass_gap,
    }  # fmt: skip


def _lines(image: RtlImage) -> Iterator[str]:
    sizes = sizes_of(image)
    for name, value in sizes.items():
        yield f"localparam int {name} = {value};"
    yield f"localparam logic [31:0] LEAST_EXPONENT = {LEAST_EXPONENT};"
    for kind in Kind:
        yield f"localparam logic [3:0] KIND_{kind.name} = 4'd{int(kind)};"
    for register in REGISTERS:
        yield f"localparam int REGISTER_{register.name.upper()} = {register.offset};"
    words = info_words(image)
    yield f"localparam int INFO_WORDS = {len(words)};"
    yield f"localparam logic [{32 * len(words) - 1}:0] INFO = {{"
    yield ",\n".join(f"  32'h{word:08x}" for word in reversed(words.tolist())) + "\n};"
    for zeros in Zeros:
        yield f"localparam logic [1:0] ZEROS_{zeros.name} = 2'd{int(zeros)};"
    widths = {
        "kind": 4, "zeros": 2, "flag": 1, **dict.fromkeys(("target", "a", "b"), sizes["ROW_ADDRESS_BITS"]),
        **dict.fromkeys(("target_slot", "a_slot", "b_slot"), sizes["SLOT_BITS"]),
        **dict.fromkeys(("rows", "a_rows"), sizes["ROW_COUNT_BITS"]), "last": sizes["STATE_LANE_BITS"],
        "blocks": sizes["BLOCK_BITS"], "weights": sizes["TILE_BITS"], "list": sizes["LIST_BITS"],
        "variable": sizes["VARIABLE_BITS"], "leaves": sizes["LEAF_ADDRESS_BITS"], "tails": sizes["TAIL_ADDRESS_BITS"],
    }  # fmt: skip
    yield from _struct("step_t", widths)
    yield from _reader("step_of", "step_t", image.steps, widths, "STEP_WIDTH", "STEP_BITS")
    widths = {"cardinality": sizes["SYMBOL_BITS"] + 1, "tables": sizes["TABLES_BITS"], "even": sizes["EVEN_BITS"],
              "odd": sizes["ODD_BITS"]}  # fmt: skip
    yield from _struct("variable_t", widths)
    yield from _reader("variable_of", "variable_t", image.variables, widths, "VARIABLE_WIDTH", "VARIABLE_BITS")


def _struct(name: str, widths: dict[str, int]) -> Iterator[str]:
    yield "typedef struct packed {"
    for field, width in widths.items():
        yield f"  logic [{width - 1}:0] {field};"
    yield f"}} {name};"
    yield f"localparam int {name.upper()}_BITS = {sum(widths.values())};"


def _reader(
    name: str, kind: str, table: PackedTable, widths: dict[str, int], row_width: str, place_bits: str
) -> Iterator[str]:  # fmt: skip
    """Write the function that takes the fields out of a row; fields that share bits mean what the kind says."""
    starts = [sum(table.word_bits[:word]) for word in range(len(table.word_bits))]
    yield f"function automatic logic [{kind.upper()}_BITS-1:0] {name}("
    yield f"    input logic [{row_width}-1:0] row, input logic [{place_bits}-1:0] place);"
    yield f"  logic [31:0] {', '.join(f'{field}_' for field in widths)};"
    yield "  begin"
    for field in widths:
        found = table.fields[field]
        terms = [f"{found.offset}"] if found.offset or not (found.bits or found.slope) else []
        if found.bits:
            low = starts[found.word] + found.shift
            terms.append(("" if found.factor == 1 else f"{found.factor} * ") + f"32'(row[{low} +: {found.bits}])")
        if found.slope:
            terms.append(("" if found.slope == 1 else f"{found.slope} * ") + "32'(place)")
        yield f"    {field}_ = {' + '.join(terms)};"
    yield f"    {name} = {{{', '.join(f'{field}_[{width - 1}:0]' for field, width in widths.items())}}};"
    yield "  end"
    yield "endfunction"


def hex_files(image: RtlImage) -> dict[str, str]:
    """Give the images of all memories, a word a line."""
    sizes = sizes_of(image)
    number = sizes["NUMBER_BITS"]
    weight = image.circuit.weight_bits + 1
    return {
        "steps.hex": _packed(image.steps),
        "weights.hex": _words(image.tiles, [weight] * image.size.macs),
        "lists.hex": _words(
            image.lists, [1, 1, sizes["POSITION_BITS"], sizes["LIST_B_BITS"]]
        ),
        "leaves.hex": _words(np.where(image.leaves < 0, 1 << number, image.leaves),
                             [number + 1] * image.size.table_lanes),
        "even.hex": _words(image.even[:, None], [image.circuit.leaf_bits + 1]),
        "odd.hex": _words(image.odd[:, None], [image.circuit.leaf_bits + 1]),
        "variables.hex": _packed(image.variables),
        "tails.hex": _words(image.tails[:, None], [4]),
    }  # fmt: skip


def _packed(table: PackedTable) -> str:
    starts = [sum(table.word_bits[:word]) for word in range(len(table.word_bits))]
    rows = [sum(int(word[row]) << start for word, start in zip(table.words, starts, strict=True))
            for row in range(table.rows)]  # fmt: skip
    return _lines_of(rows, table.row_bits)


def _words(entries: object, widths: list[int]) -> str:
    """Put the entries of every row side by side, the first in the lowest bits."""
    rows = []
    for row in entries.tolist():  # type: ignore[attr-defined]
        word = 0
        for value, width in zip(reversed(row), reversed(widths), strict=True):
            word = word << width | value
        rows.append(word)
    return _lines_of(rows, sum(widths))


def _lines_of(words: list[int], width: int) -> str:
    digits = max(1, -(-width // 4))
    return "".join(f"{word:0{digits}x}\n" for word in words or [0])
