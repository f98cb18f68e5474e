"""The parameters of one engine, as SystemVerilog (docs/rtl.md, Sizes)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcedge.arithmetic import ceil_log2
from pcedge.drivers.contract import DIGEST_WORDS, IMAGE_NAMES, INFO_NAMES, INFO_WORDS, REGISTERS, Job
from pcedge.drivers.layout import MOST_WORD
from pcedge.export.program.packing import PackedTable
from pcedge.export.project.manifest import EVERY_JOB
from pcedge.export.rtl.lowering import Kind, RtlImage
from pcedge.export.rtl.timing import needs_pair_copy
from pcedge.export.rtl.top import info_words
from pcedge.schedule.steps import Zeros
from pcedge.tails import TAIL_BITS

Words = NDArray[np.uint32]

#: exponents of state vectors stop here (docs/arithmetic.md)
LEAST_EXPONENT = "32'hC0000000"

#: sizes whose names units have as parameters, which are other sizes there; in `params.svh` they begin with PC_, because
#: yosys takes a size of the compilation unit for a module's parameter of that name, whatever an instance gives it
_OF_UNITS = frozenset({
    "LANES", "LEAF_BITS", "MOST_ROWS", "ROWS", "SCALE_BITS", "STATE_BITS", "STREAMS", "STREAM_BITS", "TAIL_BITS",
    "WEIGHTED_BITS", "WEIGHT_BITS",
})  # fmt: skip


def bits_of(count: int) -> int:
    """Give the bits of an address of so many words: at least one."""
    return max(1, ceil_log2(count))


def size_lines(sizes: Mapping[str, int]) -> Iterator[str]:
    """Write sizes as constants of a compilation unit."""
    for name, value in sizes.items():
        yield f"localparam int {'PC_' if name in _OF_UNITS else ''}{name} = {value};"


def params_code(image: RtlImage) -> str:
    """Write `params.svh` of a baked engine: sizes, widths, and how a row of the program is read."""
    info = info_words(image)
    tables = {"step": image.steps, "variable": image.variables}
    return _text("one circuit", sizes_of(image), tables, info, baked_layout(image))


def loaded_params_code(sizes: dict[str, int], tables: dict[str, PackedTable], info: Words, layout: Layout) -> str:
    """Write `params.svh` of a reloadable engine, whose rows are read as they lie in `tables`, which have none."""
    return _text("all circuits that fit", sizes, tables, info, layout)


@dataclass(frozen=True)
class Layout:
    """Say what an image's words are: those of the memories, and between which numbers those of the header lie."""

    #: by memory, in an image's order: words, and bits of a word
    memories: dict[str, tuple[int, int]]
    #: of the header's words by name, the least and the largest
    header: dict[str, tuple[int, int]]


def baked_layout(image: RtlImage) -> Layout:
    """Give the layout of a circuit's memories, which no image ever fills."""
    return Layout({name: (len(words), bits) for name, (words, bits) in memories_of(image).items()}, {})


def sizes_of(image: RtlImage) -> dict[str, int]:
    """Give every size by its name in SystemVerilog."""
    circuit, size, total = image.circuit, image.size.core, image.size
    widths = circuit.widths
    signals = widths.signals()
    blocks = image.columns["blocks"].values.max()
    mixes = np.isin(image.columns["kind"].values, (Kind.UP, Kind.DOWN))
    tables = max(1, int(image.variable_columns["tables"].values.max()).bit_length())
    return {
        "CORES": total.cores, "ALL_STREAMS": total.streams,
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
        "RELOAD": 0, "LIFT_BITS": 5,
        "TILES": max(1, len(image.tiles)), "TILE_BITS": bits_of(len(image.tiles)), "TILES_BESIDE": image.tiles_beside,
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
        "MIX_TAILS": int((mixes & (image.columns["zeros"].values == Zeros.TAIL)).any()),
        "HAS_LISTS": int(len(image.lists) > 0),
        "HAS_ALIGN": int((image.columns["kind"].values == Kind.ALIGN).any()),
        **{f"HAS_{job.upper()}": int(job in image.jobs) for job in EVERY_JOB},
        "HAS_PACKETS": int(bool({"pack", "unpack"} & set(image.jobs))),
        "HAS_SEARCH": int(bool({"decode", "sample"} & set(image.jobs))),
        "HAS_CODE": int(bool({"encode", "decode", "sample"} & set(image.jobs))),
        "SHARED_PRODUCT": int(image.shared_product), "PASS_GAP": image.pass_gap,
        "PAIR_COPY": int(needs_pair_copy(image)),
    }  # fmt: skip


def _text(
    of: str, sizes: dict[str, int], tables: dict[str, PackedTable], info: Words, layout: Layout
) -> str:  # fmt: skip
    lines = _lines(sizes, tables, info, layout)
    return "\n".join([f"// Sizes, widths and the program's rows of {of}. Generated.", *lines, ""])


def _lines(
    sizes: dict[str, int], tables: dict[str, PackedTable], words: Words, layout: Layout
) -> Iterator[str]:  # fmt: skip
    yield from size_lines(sizes)
    yield f"localparam logic [31:0] LEAST_EXPONENT = {LEAST_EXPONENT};"
    for kind in Kind:
        yield f"localparam logic [3:0] KIND_{kind.name} = 4'd{int(kind)};"
    for register in REGISTERS:
        yield f"localparam int REGISTER_{register.name.upper()} = {register.offset};"
    for job in Job:
        yield f"localparam logic [3:0] JOB_{job.name} = 4'd{int(job)};"
    yield f"localparam int INFO_WORDS = {len(words)};"
    yield _numbers("INFO", words.tolist())
    yield f"localparam logic [63:0] INFO_LOADED = 64'h{_loaded_places():016x};"
    yield from _image_lines(layout)
    for zeros in Zeros:
        yield f"localparam logic [1:0] ZEROS_{zeros.name} = 2'd{int(zeros)};"
    for name, widths in {"step": step_widths(sizes), "variable": variable_widths(sizes)}.items():
        yield from _struct(f"{name}_t", widths)
        upper = name.upper()
        yield from _reader(f"{name}_of", f"{name}_t", tables[name], widths, f"{upper}_WIDTH", f"{upper}_BITS")


def _image_lines(layout: Layout) -> Iterator[str]:
    """Write what a loader has to know of images; words that have no bounds have the largest ones."""
    yield f"localparam int SECTIONS = {len(layout.memories)};"
    for number, name in enumerate(layout.memories):
        yield f"localparam int SECTION_{name.upper()} = {number};"
    yield _numbers("SECTION_WORDS", [words for words, _ in layout.memories.values()])
    yield _numbers("SECTION_WIDTHS", [bits for _, bits in layout.memories.values()])
    yield f"localparam int SECTION_MOST = {32 * max(-(-bits // 32) for _, bits in layout.memories.values())};"
    yield f"localparam int IMAGE_WORDS = {len(IMAGE_NAMES)};"
    yield f"localparam int IMAGE_NESTED = {list(IMAGE_NAMES).index('nested')};"
    yield f"localparam int DIGEST_WORDS = {DIGEST_WORDS};"
    for name in ("record", "likelihood_steps", "code_steps", "floor"):
        yield f"localparam int IMAGE_{name.upper()} = {list(IMAGE_NAMES).index(name)};"
        yield f"localparam int INFO_{name.upper()} = {list(INFO_NAMES).index(name)};"
    bounds = [layout.header.get(name, (0, MOST_WORD)) for name in IMAGE_NAMES] + [(0, MOST_WORD)] * DIGEST_WORDS
    yield _numbers("IMAGE_LEAST", [least for least, _ in bounds])
    yield _numbers("IMAGE_MOST", [most for _, most in bounds])


def _loaded_places() -> int:
    """Give a bit for every info word that the circuit says."""
    named = [list(INFO_NAMES).index(name) for name in ("record", "likelihood_steps", "code_steps", "floor")]
    return sum(1 << place for place in [*named, *range(INFO_WORDS - DIGEST_WORDS, INFO_WORDS)])


def _numbers(name: str, numbers: Sequence[int]) -> str:
    """Write numbers of 32 bits side by side, the first in the lowest bits."""
    words = ", ".join(f"32'h{number:08x}" for number in reversed(numbers))
    return f"localparam logic [{32 * len(numbers) - 1}:0] {name} = {{{words}}};"


def step_widths(sizes: dict[str, int]) -> dict[str, int]:
    """Give the bits of every number of a step."""
    return {
        "kind": 4, "zeros": 2, "flag": 1, **dict.fromkeys(("target", "a", "b"), sizes["ROW_ADDRESS_BITS"]),
        **dict.fromkeys(("target_slot", "a_slot", "b_slot"), sizes["SLOT_BITS"]),
        **dict.fromkeys(("rows", "a_rows"), sizes["ROW_COUNT_BITS"]), "last": sizes["STATE_LANE_BITS"],
        "blocks": sizes["BLOCK_BITS"], "weights": sizes["TILE_BITS"], "list": sizes["LIST_BITS"],
        "variable": sizes["VARIABLE_BITS"], "leaves": sizes["LEAF_ADDRESS_BITS"], "tails": sizes["TAIL_ADDRESS_BITS"],
    }  # fmt: skip


def variable_widths(sizes: dict[str, int]) -> dict[str, int]:
    """Give the bits of every number of a variable."""
    return {
        "cardinality": sizes["SYMBOL_BITS"] + 1, "tables": sizes["TABLES_BITS"], "even": sizes["EVEN_BITS"],
        "odd": sizes["ODD_BITS"], "first": sizes["SYMBOL_BITS"],
    }  # fmt: skip


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
    """Give the images of all memories, a word a line; of weights, those in logic in a file of their own."""
    memories = memories_of(image)
    if image.tiles_beside:
        tiles, bits = memories["weights"]
        memories |= {
            "weights": (tiles[: -image.tiles_beside], bits), "weights_beside": (tiles[-image.tiles_beside :], bits)
        }  # fmt: skip
    return {f"{name}.hex": _hex(words, bits) for name, (words, bits) in memories.items()}


def memories_of(
    image: RtlImage, sizes: dict[str, int] | None = None, tables: dict[str, PackedTable] | None = None
) -> dict[str, tuple[list[int], int]]:
    """Give the words of all memories, and the bits of a word, in the order of an image.

    Args:
        image: the circuit.
        sizes: of the engine; None takes the circuit's own.
        tables: rows of the program (`step`) and of the variables; None takes the circuit's own.
    """
    sizes = sizes or sizes_of(image)
    tables = tables or {"step": image.steps, "variable": image.variables}
    number, weight, entry = sizes["NUMBER_BITS"], sizes["WEIGHT_BITS"] + 1, image.circuit.leaf_bits + 1
    return {
        "steps": _packed(tables["step"]),
        "weights": _words(image.tiles, [weight] * image.size.core.macs),
        "lists": _words(image.lists, [1, 1, sizes["POSITION_BITS"], sizes["LIST_B_BITS"]]),
        "leaves": _words(np.where(image.leaves < 0, 1 << number, image.leaves),
                         [number + 1] * image.size.table_lanes),
        "even": _words(image.even[:, None], [entry]),
        "odd": _words(image.odd[:, None], [entry]),
        "variables": _packed(tables["variable"]),
        "tails": _words(image.tails[:, None], [4]),
    }  # fmt: skip


def _packed(table: PackedTable) -> tuple[list[int], int]:
    starts = [sum(table.word_bits[:word]) for word in range(len(table.word_bits))]
    rows = [sum(int(word[row]) << start for word, start in zip(table.words, starts, strict=True))
            for row in range(table.rows)]  # fmt: skip
    return rows, max(1, table.row_bits)


def _words(entries: object, widths: list[int]) -> tuple[list[int], int]:
    """Put the entries of every row side by side, the first in the lowest bits."""
    rows = []
    for row in entries.tolist():  # type: ignore[attr-defined]
        word = 0
        for value, width in zip(reversed(row), reversed(widths), strict=True):
            word = word << width | value
        rows.append(word)
    return rows, sum(widths)


def _hex(words: list[int], width: int) -> str:
    digits = -(-width // 4)
    return "".join(f"{word:0{digits}x}\n" for word in words or [0])
