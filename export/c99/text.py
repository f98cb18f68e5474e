"""The text of the interpreter in C99: one source and one header, with a circuit's memories in them."""

from __future__ import annotations

from collections.abc import Sequence
from string import Template

import numpy as np
from numpy.typing import NDArray

from pcedge import arithmetic
from pcedge.circuit.layers import MISSING
from pcedge.export.c99.layout import Bytes, Layout, Packed
from pcedge.export.project.directory import template
from pcedge.schedule.steps import Op, Zeros

#: numbers on a line
_COLUMNS = 24


def header_text(layout: Layout) -> str:
    """Write pcedge.h."""
    return Template(template("c99", "pcedge.h.in")).substitute(
        digest=layout.circuit.digest.hex(),
        defines="\n".join(["Sizes of the circuit.", *_defines(sizes(layout))]),
    )


def source_text(layout: Layout) -> str:
    """Write pcedge.c."""
    return Template(template("c99", "pcedge.c.in")).substitute(tables="\n".join(["Memories.", *_tables(layout)]))


def unsigned_type(most: int) -> str:
    """Name the smallest type for numbers up to `most`."""
    return next(f"uint{bits}_t" for bits in (8, 16, 32, 64) if most < 1 << bits)


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
        "CONTEXT_BITS": needed["context_sum"],
        "WEIGHTED_BITS": needed["weighted"],
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
        "CODE_ALIGNS": int(any(step.op == Op.ALIGN for step in lowered.code.steps)),
    }


def _defines(numbers: dict[str, object]) -> list[str]:
    return [f"#define PCEDGE_{name} {value}" for name, value in numbers.items()]


def _tables(layout: Layout) -> list[str]:
    lowered, leaves = layout.lowered, layout.leaves
    numbers: dict[str, object] = {
        "KEEPS": int(lowered.likelihood.keep),
        "LEAF_TAILS": int(layout.has(Op.LEAF, Zeros.TAIL)),
        "LISTED": int(bool(lowered.indices)),
        "NESTED": int(bool(leaves.nested)),
        "GROUPS": len(leaves.groups),
        "WEIGHT_BANKS": f"{len(layout.weights.rows)}U",
        "INDEX_BANKS": f"{len(layout.indices.rows)}U",
        "RESULT": f"{lowered.result[0]}U",
        "RESULT_SLOT": f"{lowered.result[1]}U",
    }
    lines = _defines(numbers)
    lines += [f"#define WEIGHT_FACTOR {layout.factor}U", f"#define TABLE_NIBBLES {leaves.nibbles}"]
    lines.append(f"typedef {'uint32_t' if lowered.program.needed['weighted'] <= 32 else 'uint64_t'} pcedge_weighted_t;")
    lines.append("PCEDGE_ASSERT(weighted_entries_fit, (8U * sizeof(pcedge_weighted_t)) >= PCEDGE_WEIGHTED_BITS);")
    lines += _structs("form_t", "FORMS", layout.forms)
    place_type = unsigned_type(max(max(place) for place in layout.places))
    lines.append(f"typedef struct {{ {place_type} address, slot; }} stored_place_t;")
    lines += _structs("stored_place_t", "PLACES", layout.places)
    lines += _structs("bank_t", "WEIGHT_BANKS", layout.weights.rows)
    lines += _array("uint8_t", "WEIGHTS", layout.weights.data)
    if lowered.indices:
        lines += _structs("bank_t", "INDEX_BANKS", layout.indices.rows)
        lines += _array("uint8_t", "INDICES", layout.indices.data)
    lines += _structs("group_t", "GROUPS", leaves.groups)
    memories = {"LIST_OF": leaves.list_of, "LEAVES": leaves.leaves, "WHOLES": leaves.wholes}
    if len(leaves.groups) > 1:
        memories["GROUP_OF"] = leaves.group_of
    memories |= dict(zip(("MASTERS", "NEST_SHIFTS", "NEST_SCALES"), leaves.nested, strict=bool(leaves.nested)))
    for name, memory in memories.items():
        lines += _memory(name, memory)
    lines += _array("uint8_t", "TABLES", leaves.tables)
    lines += ["#if PCEDGE_CODES", *_array("uint8_t", "CODE", layout.code)]
    lines += [*_array("uint16_t", "RECIPROCALS", arithmetic.RECIPROCAL_TABLE), "#endif"]
    lines += ["#if PCEDGE_WEIGHS", *_array("uint8_t", "LIKELIHOOD", layout.likelihood), "#endif"]
    return [*lines, "#ifdef PCEDGE_ONLY_SCORE", *_array("uint8_t", "SCORES", arithmetic.score_table()), "#endif"]


def _memory(name: str, memory: Packed) -> list[str]:
    return [f"#define {name}_NIBBLES {memory.nibbles}U", *_array("uint8_t", name, memory.data)]


def _structs(kind: str, name: str, rows: Sequence[Sequence[int]]) -> list[str]:
    body = [f"  {{{', '.join(f'{number}U' for number in row)}}}," for row in rows]
    return [f"static const {kind} {name}[{len(rows)}] = {{", *body, "};"]


def _array(kind: str, name: str, numbers: Bytes | NDArray[np.int64]) -> list[str]:
    values = [f"{number}U" for number in numbers.tolist()]
    rows = [f"  {', '.join(values[at : at + _COLUMNS])}," for at in range(0, len(values), _COLUMNS)]
    return [f"static const {kind} {name}[{len(values)}] = {{", *rows, "};"]


def record_bytes(kind: str, records: NDArray[np.int64]) -> bytes:
    """Write records, -1 is missing, as arrays of symbols of a type, `uint8_t` to `uint32_t`, little-endian."""
    bits = int(kind.removeprefix("uint").removesuffix("_t"))
    codes = np.where(records == MISSING, (1 << bits) - 1, records)
    return codes.astype(f"<u{bits // 8}").tobytes()
