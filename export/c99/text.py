"""The text of the interpreter in C99: one source and one header, with a circuit's memories in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge import arithmetic
from pcedge.arrays import unmasked
from pcedge.circuit.layers import MISSING
from pcedge.data.predictor import Predictor
from pcedge.data.symbolizer import Symbolizer
from pcedge.export.c99.arrays import array, structs, unsigned_type
from pcedge.export.c99.layout import Layout, Packed, Rows
from pcedge.export.c99.numbers import lay_out_numbers
from pcedge.export.c99.symbols import lay_out_symbols
from pcedge.export.project.directory import template
from pcedge.export.project.prediction import said_cells, stage_of
from pcedge.export.project.tokens import token_contexts
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.steps import Op, Zeros

#: cells of a row that the header names
_SHOWN_CELLS = 64

#: what pcedge_t has more of
_STAGE_MEMBERS = "what is known of a lane of numbers\n  pcedge_stage_t stage;"
_SYMBOLIZER_MEMBERS = """what the steps of the symbolizer work on, and what they keep of rows before
  pcedge_word_t words[PCEDGE_WORDS];
#if PCEDGE_TILES
  pcedge_word_t tiles[PCEDGE_TILES];
#endif
#if PCEDGE_KEPT_WORDS
  pcedge_word_t previous[PCEDGE_KEPT_WORDS];
#endif
#if PCEDGE_LINE
  pcedge_word_t line[PCEDGE_LINE];
#endif
  uint8_t begun;"""


def header_text(layout: Layout) -> str:
    """Write pcedge.h."""
    symbolizer = layout.circuit.symbolizer
    defines, kind = sizes(layout) | {"RECORDS": "1U"}, "records"
    members = ""
    calls = [_fragment("records.h.in")]
    if isinstance(symbolizer, Predictor):
        defines |= lay_out_numbers(layout.circuit, symbolizer).sizes
        kind, members = "stage", _STAGE_MEMBERS
        cells = _cells(layout.circuit)
        calls = [*cells, ("// " if cells else "") + _fragment("stage.h.in")]
    else:
        calls += ["", "// " + _fragment("packets.h.in")]
    if isinstance(symbolizer, Symbolizer):
        defines |= lay_out_symbols(symbolizer).sizes
        kind, members = "symbolizer", _SYMBOLIZER_MEMBERS
        calls += ["", "// " + _fragment("symbolizer.h.in")]
    return Template(template("c99", "pcedge.h.in")).substitute(
        digest=layout.circuit.digest.hex(),
        defines="\n".join(["Sizes of the circuit.", *_defines(defines)]),
        types=_fragment(f"{kind}_types.h.in"),
        members=members,
        calls="\n".join(calls),
    )


def _cells(circuit: IntegerCircuit) -> list[str]:
    """Say what the numbers of a row are, where they are cells of fields; the comment that follows goes on."""
    texts = said_cells(circuit).get("cells", [])
    if not texts:
        return []
    lines = [f"//   {place}: {json.dumps(text)}" for place, text in enumerate(texts[:_SHOWN_CELLS])]
    more = ["//   ... all are in manifest.json"] if len(texts) > len(lines) else []
    head = "A row's numbers are cells (docs/data.md, section Columns), each of this column:"
    return [head, *lines, *more, "//"]


def source_text(layout: Layout) -> str:
    """Write pcedge.c."""
    symbolizer = layout.circuit.symbolizer
    coding = _fragment("records.c.in") + "\n\n// " + _fragment("packets.c.in")
    if isinstance(symbolizer, Predictor):
        numbers = lay_out_numbers(layout.circuit, symbolizer)
        coding = Template(_fragment("stage.c.in")).substitute(stage_tables="\n".join(["Memories.", *numbers.tables]))
    elif symbolizer is not None:
        symbols = lay_out_symbols(symbolizer)
        steps = Template(template("c99", "symbolizer.c.in")).substitute(
            step_tables="\n".join(["Memories.", *symbols.tables]),
            forward="\n".join(["The steps.", *symbols.forward]),
            backward="\n".join(["The steps, the last one first.", *symbols.backward]),
        )
        coding += "\n\n" + steps.rstrip()
    return Template(template("c99", "pcedge.c.in")).substitute(
        tables="\n".join(["Memories.", *_tables(layout)]), coding=coding
    )


def _fragment(name: str) -> str:
    """Read a template that stands where a comment of another begins."""
    return template("c99", name).removeprefix("// ").rstrip()


def symbol_type(layout: Layout) -> str:
    """Name the type of a symbol: all ones are none."""
    return unsigned_type(layout.circuit.widths.cardinality)


def sum_bits(layout: Layout) -> int:
    """Give the bits of the type in which steps accumulate."""
    return 32 if layout.lowered.program.needed["accumulator"] <= 32 else 64


def sizes(layout: Layout) -> dict[str, object]:
    """Give what the header defines."""
    lowered, circuit = layout.lowered, layout.circuit
    needed = lowered.program.needed
    return {
        "VARIABLES": f"{len(circuit.order)}U",
        "MOST_SYMBOLS": f"{circuit.widths.cardinality}U",
        "SYMBOL_TYPE": symbol_type(layout),
        "SUM_TYPE": f"uint{sum_bits(layout)}_t",
        "SUM_BITS": f"{needed['accumulator']}U",
        "CONTEXT_BITS": _code_bits(layout)["context_sum"],
        "WEIGHTED_BITS": _code_bits(layout)["weighted"],
        "WEIGHT_BITS": circuit.weight_bits,
        "LEAF_BITS": circuit.leaf_bits,
        "STATE_BITS": circuit.state_bits,
        "SCALE_BITS": circuit.scale_bits,
        "RANGE_BITS": circuit.range_bits,
        "FLOOR": f"{circuit.floor}U",
        "STATE_WORDS": f"{lowered.state_words}U",
        "SLOTS": f"{lowered.exponent_slots}U",
        "UNITS": f"{lowered.max_units}U",
        "ALIGNS": int(layout.has(Op.ALIGN)),
        "GIVEN": f"{len(lowered.program.given)}U",
        "STAGE": int(stage_of(circuit) is not None),
        "SYMBOLIZER": int(isinstance(circuit.symbolizer, Symbolizer)),
        "CODE_ALIGNS": int(any(step.op == Op.ALIGN for step in lowered.code.steps)),
    }


def _code_bits(layout: Layout) -> Mapping[str, int]:
    """Give the widths of a context's sum and of its weighted entries; of a stage those of its classes' contexts."""
    circuit = layout.circuit
    if stage_of(circuit) is None:
        return layout.lowered.program.needed
    bits = int(token_contexts(circuit)[0].sum(axis=1).max()).bit_length()
    return {"context_sum": bits, "weighted": bits + circuit.leaf_bits}


def _defines(numbers: dict[str, object]) -> list[str]:
    return [f"#define PCEDGE_{name} {value}" for name, value in numbers.items()]


def _tables(layout: Layout) -> list[str]:
    lowered, leaves = layout.lowered, layout.leaves
    numbers: dict[str, object] = {
        "KEEPS": int(lowered.likelihood.keep),
        "LEAF_TAILS": int(layout.has(Op.LEAF, Zeros.TAIL)),
        "LISTED": int(bool(lowered.indices)),
        "NESTED": int(bool(leaves.nested)),
        "ROW_TABLE": int(layout.rows is not None),
        "GROUPS": len(leaves.groups),
        "WEIGHT_BANKS": f"{len(layout.weights.rows)}U",
        "INDEX_BANKS": f"{len(layout.indices.rows)}U",
        "RESULT": f"{lowered.result[0]}U",
        "RESULT_SLOT": f"{lowered.result[1]}U",
    }
    lines = _defines(numbers)
    lines += [f"#define WEIGHT_FACTOR {layout.factor}U", f"#define TABLE_NIBBLES {leaves.nibbles}"]
    weighted = unsigned_type(2 ** max(31, _code_bits(layout)["weighted"]) - 1)
    lines.append(f"typedef {weighted} pcedge_weighted_t;")
    lines.append("PCEDGE_ASSERT(weighted_entries_fit, (8U * sizeof(pcedge_weighted_t)) >= PCEDGE_WEIGHTED_BITS);")
    lines += ["#if PCEDGE_RUNS", *structs("form_t", "FORMS", layout.forms)]
    place_type = unsigned_type(max(max(place) for place in layout.places))
    lines.append(f"typedef struct {{ {place_type} address, slot; }} stored_place_t;")
    lines += structs("stored_place_t", "PLACES", layout.places)
    lines += structs("bank_t", "WEIGHT_BANKS", layout.weights.rows)
    lines += array("uint8_t", "WEIGHTS", layout.weights.data.tolist())
    if layout.rows is not None:
        lines += _row_tables(layout.rows)
    if lowered.indices:
        lines += structs("bank_t", "INDEX_BANKS", layout.indices.rows)
        lines += array("uint8_t", "INDICES", layout.indices.data.tolist())
    lines += ["#if PCEDGE_CODES && !PCEDGE_STAGE", *array("uint8_t", "CODE", layout.code.tolist()), "#endif"]
    turns = np.argsort(layout.circuit.order).tolist()
    lines += ["#if PCEDGE_PACKETS", *array(unsigned_type(len(turns)), "TURNS", turns), "#endif"]
    if lowered.program.given:
        lines += ["#if PCEDGE_DECODES", *array("uint32_t", "GIVEN", lowered.program.given), "#endif"]
    lines += ["#if PCEDGE_WEIGHS", *array("uint8_t", "LIKELIHOOD", layout.likelihood.tolist()), "#endif", "#endif"]
    lines += structs("group_t", "GROUPS", leaves.groups)
    memories = {"LIST_OF": leaves.list_of, "LEAVES": leaves.leaves, "WHOLES": leaves.wholes}
    if len(leaves.groups) > 1:
        memories["GROUP_OF"] = leaves.group_of
    memories |= dict(zip(("MASTERS", "NEST_SHIFTS", "NEST_SCALES"), leaves.nested, strict=bool(leaves.nested)))
    for name, memory in memories.items():
        lines += _memory(name, memory)
    lines += array("uint8_t", "TABLES", leaves.tables.tolist())
    lines += ["#if PCEDGE_CODES", *array("uint16_t", "RECIPROCALS", arithmetic.RECIPROCAL_TABLE.tolist()), "#endif"]
    return [
        *lines,
        "#ifdef PCEDGE_ONLY_SCORE",
        *array("uint8_t", "SCORES", arithmetic.score_table().tolist()),
        "#endif",
    ]


def _row_tables(rows: Rows) -> list[str]:
    lines = _defines({"ROW_BANKS": f"{len(rows.table.rows)}U", "TURNED_BANKS": f"{len(rows.turned.rows)}U"})
    lines += [f"#define TURNED_BASE {rows.base}U", *array("uint32_t", "ROW_STARTS", rows.starts)]
    lines += structs("bank_t", "ROW_BANKS", rows.table.rows)
    lines += array("uint8_t", "ROWS", rows.table.data.tolist())
    lines += structs("bank_t", "TURNED_BANKS", rows.turned.rows)
    return lines + array("uint8_t", "TURNED", rows.turned.data.tolist())


def _memory(name: str, memory: Packed) -> list[str]:
    return [f"#define {name}_NIBBLES {memory.nibbles}U", *array("uint8_t", name, memory.data.tolist())]


def record_bytes(kind: str, records: NDArray[np.int64]) -> bytes:
    """Write records, -1 is missing, as arrays of symbols of a type, `uint8_t` to `uint32_t`, little-endian."""
    bits = int(kind.removeprefix("uint").removesuffix("_t"))
    codes = np.where(records == MISSING, (1 << bits) - 1, records)
    return codes.astype(f"<u{bits // 8}").tobytes()


def row_bytes(predictor: Predictor, cells: NDArray[Any]) -> bytes:
    """Write rows of numbers (`Predictor.cells`) for the test program: each row's numbers, then which are missing."""
    flat, gone = unmasked(cells.reshape(len(cells), -1))
    missing = np.zeros(flat.shape, np.uint8) if gone is None else gone.astype(np.uint8)
    numbers = np.where(missing, 0, flat).astype(np.dtype(predictor.dtype).newbyteorder("<"))
    return b"".join(row.tobytes() + marks.tobytes() for row, marks in zip(numbers, missing, strict=True))


def row_size(predictor: Predictor) -> int:
    """Give the bytes of a row that `row_bytes` writes."""
    return predictor.columns * (np.dtype(predictor.dtype).itemsize + 1)


def number_bytes(symbolizer: Symbolizer, rows: NDArray[Any]) -> bytes:
    """Write rows of numbers of a circuit with a symbolizer, little-endian."""
    return rows.astype(np.dtype(symbolizer.dtype).newbyteorder("<")).tobytes()
