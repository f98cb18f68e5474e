"""The C++ of a program's memories: arrays of exact widths, and functions that read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pcedge.arithmetic import ceil_log2
from pcedge.drivers.layout import FORM, KIND, PLACES, UNITS
from pcedge.export.program.banks import Bank, Memory
from pcedge.export.program.lowering import Lowered
from pcedge.export.program.packing import Field, PackedTable
from pcedge.export.program.phrase_memory import LISTS, PhraseMemory
from pcedge.export.program.row_memories import PORTS, stride_of
from pcedge.export.program.steps import INDEX_BITS, StepMemory

#: integers on a line of a generated memory
_COLUMNS = 24

#: the vendor's kind of read-only memory that more than two places read in a cycle
MANY_READERS = "rom_np"

HEAD = """\
// Weights, leaf tables, lists and programs of one circuit. Generated.
#ifndef PCEDGE_MEMORIES_HPP
#define PCEDGE_MEMORIES_HPP

#include "pcedge/arith/bounded.hpp"
#include "pcedge/program/circuit.hpp"
#include "pcedge/arith/matvec.hpp"
#include "pcedge/program/step.hpp"

// Exact widths cost nothing in hardware; a simulator starts faster with plain integers.
#ifdef __SYNTHESIS__
#include <ap_int.h>
#define PCEDGE_ROM(type, bits) ap_uint<bits>
#else
#define PCEDGE_ROM(type, bits) type
#endif

struct pcedge_memories {
"""


@dataclass
class _Cpp:
    """Collect the lines of the header and of the source."""

    header: list[str] = field(default_factory=list)
    source: list[str] = field(default_factory=list)

    def array(self, name: str, bits: int, values: NDArray[np.generic], columns: int = 1) -> None:
        """Write one memory; with columns it has whole rows, each read as one word."""
        kind = entry_type(bits)
        declarator = f"{name}[{len(values)}]" if columns == 1 else f"{name}[{len(values) // columns}][{columns}]"
        self.header.append(f"  static const {kind} {declarator};\n")
        self.source.append(f"\nconst {kind} pcedge_memories::{declarator} = {{\n")
        suffix = "ull" if bits > 32 else ""
        numbers = [f"{number}{suffix}" for number in values.tolist()]
        for start in range(0, len(numbers), columns if columns > 1 else _COLUMNS):
            row = ", ".join(numbers[start : start + (columns if columns > 1 else _COLUMNS)])
            self.source.append(f"    {{{row}}},\n" if columns > 1 else f"    {row},\n")
        self.source.append("};\n")

    def function(self, name: str, lines: Iterable[str], indent: str = "  ", pragmas: str = "") -> None:
        """Write one function of a place."""
        body = "".join(f"{indent}  {line}\n" for line in lines)
        argument = " place" if "place" in body else ""
        head = f"{indent}static std::uint32_t {name}(std::uint32_t{argument}) {{\n#pragma HLS INLINE\n{pragmas}"
        self.header.append(f"{head}{body}{indent}}}\n")


def entry_type(bits: int) -> str:
    """Name the type of a memory's entry."""
    size = next(size for size in (8, 16, 32, 64) if size >= bits)
    return f"PCEDGE_ROM(std::uint{size}_t, {bits})"


def within(place: str, entries: int, name: str) -> str:
    """Write an address that simulation holds within a memory of so many entries; hardware does not look."""
    return f'PCEDGE_WITHIN({place}, {entries}u, "{name}")'


def circuit_code(numbers: Iterable[int], digest: bytes) -> str:
    """Write the function that says which circuit the memories hold."""
    words = np.frombuffer(digest, dtype="<u4").tolist()
    listed = ", ".join(f"{number}u" for number in numbers)
    return (
        "  static pcedge::circuit_t circuit() {\n"
        f"    return {{{listed},\n            {{{', '.join(f'{word}u' for word in words)}}}}};\n  }}\n"
    )


def table_function(reader: str, name: str, columns: int, rows: int, copies: int = 0) -> str:
    """Write the function by which a lane reads an entry of a word of leaf tables; all of a word are read in one cycle.

    Args:
        reader: the function's name.
        name: of the memory; nothing is stored where it is empty.
        columns: entries of a word.
        rows: words of the memory.
        copies: of a memory that is loaded, each with two ports, for two lanes; 0: a tool copies what is only read.
    """
    lane, row, entry = "std::uint32_t", " row" if name else "", " entry" if name and columns > 1 else ""
    expression = f"{name}[{within('row', rows, reader)}]{'[entry]' if columns > 1 else ''}" if name else "0"
    pragmas = reshape(name, columns) + bind(name, MANY_READERS)
    if copies:
        lane, expression = "std::uint32_t lane", expression.replace(name, f"{name}[lane / {PORTS}u]")
        pragmas = f"#pragma HLS ARRAY_PARTITION variable = {name} complete dim = 1\n{reshape(name, columns, 3)}"
        pragmas += bind(name, "ram_t2p")
    return (
        f"  static std::uint32_t {reader}({lane}, std::uint32_t{row}, std::uint32_t{entry}) {{\n#pragma HLS INLINE\n"
        f"{pragmas}    return {expression};\n  }}\n"
    )


def bind(name: str, storage: str) -> str:
    """Write the pragma that says what kind of memory it is."""
    return f"#pragma HLS BIND_STORAGE variable = {name} type = {storage}\n" if name and storage else ""


def list_functions(name: str, columns: int, rows: int) -> str:
    """Write the functions that read a list of tables: one number, or in a cycle one for each lane, of one word."""
    one, word = ("place", "first + lane") if columns == 1 else (f"place / {columns}u", f"first / {columns}u")
    alone, lane = (f"{name}[{within(row, rows, 'leaves')}]" if name else "0" for row in (one, word))
    if name and columns > 1:
        alone, lane = f"{alone}[place % {columns}u]", f"{lane}[lane]"
    head = "#pragma HLS INLINE\n"
    argument, first = ("std::uint32_t place", "std::uint32_t first, std::uint32_t lane") if name else (
        "std::uint32_t", "std::uint32_t, std::uint32_t"
    )  # fmt: skip
    return (
        f"  static std::uint32_t leaf({argument}) {{\n{head}    return {alone};\n  }}\n"
        f"  static std::uint32_t leaf_at({first}) {{\n{head}{reshape(name, columns)}    return {lane};\n  }}\n"
    )


def reshape(name: str, columns: int, dimension: int = 2) -> str:
    """Write the pragma that makes a row of a memory, its last dimension, one word."""
    pragma = f"#pragma HLS ARRAY_RESHAPE variable = {name} complete dim = {dimension}\n"
    return pragma if name and columns > 1 else ""


def memories_code(lowered: Lowered) -> tuple[str, str]:
    """Write the memories; each entry has its exact width in hardware, and a plain type in simulation.

    Returns:
        The text of the header and of the source. Every read-only bit of the project is in an array of theirs.
    """
    cpp = _Cpp()
    circuit, macs = lowered.circuit, lowered.shape.macs
    constants = {
        "record": len(circuit.order),
        "floor": circuit.floor,
        "likelihood_steps": lowered.likelihood_program.count,
        "code_steps": lowered.code_program.count,
        "likelihood_result": lowered.result[0],
        "likelihood_result_exponent": lowered.result[1],
    }
    cpp.header += [f"  static constexpr unsigned {name} = {value};\n" for name, value in constants.items()]
    cpp.header.append("  static constexpr bool reloadable = false;\n  static constexpr unsigned sections = 0;\n")
    widths = circuit.widths
    numbers = [value for name, value in constants.items() if name != "floor"]
    numbers += [int(lowered.leaves.nested is not None), lowered.max_units, lowered.state_words, lowered.exponent_slots]
    numbers += [widths.cardinality, widths.terms, circuit.floor]
    cpp.header.append(circuit_code(numbers, circuit.digest))
    _banks(cpp, "weights", "weight", lowered.weights, circuit.weight_bits, macs)
    _tiles(cpp, lowered.weights, circuit.weight_bits, macs)
    _row_table(cpp, lowered)
    _banks(cpp, "indices", "index", lowered.indices, INDEX_BITS, storage=MANY_READERS)
    leaves = lowered.leaves
    for name, reader, memory in (("tables", "table", leaves.tables), ("uppers", "upper", leaves.uppers)):
        rows = len(memory.entries) // memory.columns
        cpp.header.append(table_function(reader, _stored_memory(cpp, name, memory), memory.columns, rows))
    tails = _stored_memory(cpp, "tails", leaves.tails)
    index = within("place", len(leaves.tails.entries), "tails")
    cpp.function("tail", [f"return {tails}[{index}];" if tails else "return 0;"], pragmas=bind(tails, MANY_READERS))
    cpp.header.append(f"  static constexpr bool nested_tables = {str(leaves.nested is not None).lower()};\n")
    plain = {"master": "place", "shift": "0", "scale": "0"}
    nested = leaves.nested or PackedTable(0, {}, (), ())
    _table(cpp, "nested", nested, None if leaves.nested else plain, storage=MANY_READERS)
    if leaves.leaves is None:
        cpp.function("leaf", ["return place;"])
        cpp.header.append(
            "  static std::uint32_t leaf_at(std::uint32_t first, std::uint32_t lane) {\n#pragma HLS INLINE\n"
            "    return first + lane;\n  }\n"
        )
    else:
        lists = leaves.leaves
        rows = len(lists.entries) // lists.columns
        cpp.header.append(list_functions(_stored_memory(cpp, "leaves", lists), lists.columns, rows))
    _table(cpp, "variables", leaves.variables, storage=MANY_READERS)
    if lowered.programs.operands is not None:
        _table(cpp, "operands", lowered.programs.operands, storage=MANY_READERS)
    for name, steps in (("likelihood", lowered.likelihood_program), ("code", lowered.code_program)):
        if isinstance(steps, PhraseMemory):
            _phrases(cpp, name, steps)
        else:
            _steps(cpp, name, steps)
    source = ["// Generated.\n", '#include "pcedge_memories.hpp"\n', *cpp.source]
    return "".join([HEAD, *cpp.header, "};\n\n#endif\n"]), "".join(source)


def _stored_memory(cpp: _Cpp, name: str, memory: Memory) -> str:
    """Write a memory and give its name; nothing where it has no bits."""
    if not memory.bits:
        return ""
    cpp.array(name, memory.width, memory.entries, memory.columns)
    return name


def _row_table(cpp: _Cpp, lowered: Lowered) -> None:
    """Write the row table, a copy for every two rows of a tile, and the numbers and turns of rows."""
    rows, (height, columns) = lowered.rows, lowered.shape.tile
    numbers = max((len(table.rows) for table in lowered.circuit.row_tables.values()), default=1)
    lengths = max(lowered.circuit.row_lengths, default=1)
    cpp.header += [
        f"  static constexpr bool row_table = {str(rows is not None).lower()};\n",
        f"  static constexpr unsigned turned_base = {lowered.turned_base};\n",
        f"  static constexpr int row_number_bits = {max(1, ceil_log2(numbers))};\n",
        f"  static constexpr int row_stride_bits = {stride_of(lengths, columns).bit_length()};\n",
    ]
    _banks(cpp, "turned", "turned_row", lowered.turned, INDEX_BITS, height)
    starts = Memory(np.zeros(1, dtype=np.int64)) if rows is None else rows.starts
    name = _stored_memory(cpp, "row_starts", starts)
    cpp.function(
        "row_start", [f"return {name}[{within('place', len(starts.entries), 'row_starts')}];" if name else "return 0;"]
    )
    copies = 1 if rows is None else rows.copies
    for copy in range(copies):
        banks = () if rows is None else rows.banks
        _banks(cpp, f"row_table{copy}", f"row_weight{copy}", banks, lowered.circuit.weight_bits, columns, split=True)
    choice = "".join(f"    case {copy}: return row_weight{copy}(place);\n" for copy in range(1, copies))
    cpp.header.append(
        "  static std::uint32_t row_weight(unsigned copy, std::uint32_t place) {\n#pragma HLS INLINE\n"
        f"    switch (copy) {{\n{choice}    default: return row_weight0(place);\n    }}\n  }}\n"
    )


def _banks(
    cpp: _Cpp, name: str, reader: str, banks: tuple[Bank, ...], top: int, columns: int = 1, storage: str = "",
    split: bool = False,
) -> None:  # fmt: skip
    """Write banks, and the function that reads an address of all of them; split, each column is a memory of its own."""
    lines = []
    pragmas = "".join(bind(f"{name}_{number}", storage) for number in range(len(banks)))
    if split and columns > 1:
        pragmas += "".join(
            f"#pragma HLS ARRAY_PARTITION variable = {name}_{number} complete dim = 2\n" for number in range(len(banks))
        )
    for number, bank in enumerate(banks):
        cpp.array(f"{name}_{number}", bank.code.width, bank.entries, columns)
        offset = f"place - {bank.base}u" if bank.base else "place"
        marked = ""
        if bank.code.row:
            marks = f"marks_{number}" if name == "weights" else f"{name}_marks_{number}"
            cpp.array(marks, 1, bank.marks)
            marked = f", {marks}[({offset}) / {bank.code.row}u] != 0"
        row = within(offset if columns == 1 else f"({offset}) / {columns}u", len(bank.entries) // columns, name)
        where = f"[{row}]" if columns == 1 else f"[{row}][({offset}) % {columns}u]"
        value = f"return {_stored(bank, top)}({name}_{number}{where}{marked});"
        lines.append(f"if (place >= {bank.base}u) {value}" if bank.base else value)
    cpp.function(reader, reversed(lines) if lines else ["return 0;"], pragmas=pragmas)


def _tiles(cpp: _Cpp, banks: tuple[Bank, ...], top: int, macs: int) -> None:
    """Write the function that reads one weight of a tile; all of a tile are read in one cycle."""
    lines = []
    for number, bank in enumerate(banks):
        # invariant: blocks are whole tiles, so that every bank begins with a tile
        assert bank.base % macs == 0
        row = f"row - {bank.base // macs}u" if bank.base else "row"
        row = within(row, len(bank.entries) // macs, "weights")
        value = f"return {_stored(bank, top)}(weights_{number}[{row}][lane]);"
        lines.append(f"if (row >= {bank.base // macs}u) {value}" if bank.base else value)
    if macs == 1 or not lines:
        lines = [f"return weight(row{' + lane' if macs == 1 else ''});"]
    pragmas = "".join(reshape(f"weights_{number}", macs) for number in range(len(banks)))
    lane = " lane" if any("lane" in line for line in lines) else ""
    body = "".join(f"    {line}\n" for line in reversed(lines))
    head = f"  static std::uint32_t tile(std::uint32_t row, std::uint32_t{lane}) {{\n#pragma HLS INLINE\n{pragmas}"
    cpp.header.append(f"{head}{body}  }}\n")


def _stored(bank: Bank, top: int) -> str:
    code = bank.code
    return f"pcedge::stored_entry<{code.width}, {code.shift}, {str(code.certain).lower()}, {top}>"


def _table(cpp: _Cpp, name: str, table: PackedTable, more: dict[str, str] | None = None, storage: str = "") -> None:
    """Write a packed table: its words, and a structure with one function a column."""
    unbound = set(range(len(table.words)))
    for word, (bits, values) in enumerate(zip(table.word_bits, table.words, strict=True)):
        cpp.array(f"{name}_{word}", bits, values)
    cpp.header.append(f"  /// {table.rows} rows of {table.row_bits} bits\n  struct {name} {{\n")
    for column, where in table.fields.items():
        pragmas = bind(f"{name}_{where.word}", storage) if where.bits and where.word in unbound else ""
        unbound -= {where.word} if pragmas else set()
        cpp.function(column, [f"return {_read(name, where, table.rows)};"], indent="    ", pragmas=pragmas)
    for column, value in (more or {}).items():
        cpp.function(column, [f"return {value};"], indent="    ")
    cpp.header.append("  };\n")


def _read(name: str, where: Field, rows: int) -> str:
    terms = []
    if where.bits:
        code = f"pcedge::field_of<{where.shift}, {where.bits}>({name}_{where.word}[{within('place', rows, name)}])"
        terms.append(code if where.factor == 1 else f"{where.factor}u * {code}")
    if where.slope:
        terms.append("place" if where.slope == 1 else f"{where.slope}u * place")
    if where.offset or not terms:
        terms.append(f"{where.offset}u")
    return " + ".join(terms)


def _steps(cpp: _Cpp, name: str, memory: StepMemory) -> None:
    more: dict[str, str] = {}
    if memory.forms is not None:
        _table(cpp, f"{name}_forms", memory.forms)
        more |= {column: f"{name}_forms::{column}(form(place))" for column in FORM}
    if memory.addresses is not None:
        _table(cpp, f"{name}_places", memory.addresses, storage=MANY_READERS)
        for address, slot in PLACES.items():
            row = f"pcedge::row_within<{memory.addresses.rows}>({address}_place(place))"
            more |= {address: f"{name}_places::address({row})", slot: f"{name}_places::slot({row})"}
    more |= {"next": "place + 1u", "more": f"place < {memory.count}u"}
    _table(cpp, f"{name}_program", memory.steps, more)


def _phrases(cpp: _Cpp, name: str, memory: PhraseMemory) -> None:
    """Write a program whose place says the row of a phrase, and in its low bits the step in the phrase."""
    low = ceil_log2(memory.longest)
    for part, table in memory.tables.items():
        _table(cpp, f"{name}_{part}", table, storage=MANY_READERS if part == "places" else "")
    cpp.header.append(f"  struct {name}_program {{\n")

    def write(column: str, expression: str) -> None:
        cpp.function(column, [f"return {expression};"], indent="    ")

    def chosen(choice: str, kind: str) -> str:
        """Write the argument that a step chooses."""
        arguments = [f"{name}_rows::{argument}(row(place))" for argument in memory.arguments(kind)]
        return _one_of(f"{name}_phrases::{choice}(step(place))", arguments)

    write("row", f"place >> {low}")
    write("step", f"{name}_rows::phrase(row(place)) + (place & {(1 << low) - 1}u)")
    for column in KIND:
        write(column, f"{name}_phrases::{column}(step(place))")
    for address, slot in PLACES.items():
        row = f"pcedge::row_within<{memory.places.rows}>({chosen(address, 'place')})"
        write(address, f"{name}_places::address({row})")
        write(slot, f"{name}_places::slot({row})")
    assert memory.operands is not None
    write("operand", f"pcedge::row_within<{memory.operands.rows}>({chosen('operand', 'operand')})")
    write("variable", chosen("variable", "operand"))
    write("weights", "operands::weights(operand(place))")
    for column in UNITS:
        # invariant: in the order of ROWS, COLUMNS and the sizes
        known = [f"operands::{side}(operand(place))" for side in ("rows", "columns")]
        sizes = [f"{name}_rows::{argument}(row(place))" for argument in memory.arguments("size")]
        write(column, _one_of(f"{name}_phrases::{column}(step(place))", [*known, *sizes]))
    for column in LISTS:
        write(column, f"{name}_rows::{column}(row(place))")
    write("next", f"{name}_phrases::last(step(place)) != 0 ? (row(place) + 1u) << {low} : place + 1u")
    write("more", f"row(place) < {memory.steps.rows}u")
    cpp.header.append("  };\n")


def _one_of(number: str, values: Sequence[str]) -> str:
    """Write the choice of a value by its number; of another number any."""
    text = values[-1] if values else "0u"
    for index in reversed(range(len(values) - 1)):
        text = f"({number} == {index}u ? {values[index]} : {text})"
    return text
