"""The C++ of a program's memories: arrays of exact widths, and functions that read them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pcedge.export.lowering import FORM, INDEX_BITS, PLACES, Program, StepMemory
from pcedge.export.packing import Field, PackedTable
from pcedge.export.parameters import Bank, Memory

#: integers on a line of a generated memory
_COLUMNS = 24

_HEAD = """\
// Weights, leaf tables, lists and programs of one circuit. Generated.
#ifndef PCEDGE_MEMORIES_HPP
#define PCEDGE_MEMORIES_HPP

#include "pcedge/matvec.hpp"
#include "pcedge/step.hpp"

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

    def array(self, name: str, bits: int, values: NDArray[np.generic]) -> None:
        """Write one memory."""
        size = next(size for size in (8, 16, 32, 64) if size >= bits)
        kind = f"PCEDGE_ROM(std::uint{size}_t, {bits})"
        self.header.append(f"  static const {kind} {name}[{len(values)}];\n")
        self.source.append(f"\nconst {kind} pcedge_memories::{name}[{len(values)}] = {{\n")
        suffix = "ull" if size == 64 else ""
        numbers = [f"{number}{suffix}" for number in values.tolist()]
        for start in range(0, len(numbers), _COLUMNS):
            self.source.append("    " + ", ".join(numbers[start : start + _COLUMNS]) + ",\n")
        self.source.append("};\n")

    def function(self, name: str, lines: Iterable[str], indent: str = "  ") -> None:
        """Write one function of a place."""
        body = "".join(f"{indent}  {line}\n" for line in lines)
        argument = " place" if "place" in body else ""
        head = f"{indent}static std::uint32_t {name}(std::uint32_t{argument}) {{\n#pragma HLS INLINE\n"
        self.header.append(f"{head}{body}{indent}}}\n")


def memories_code(program: Program) -> tuple[str, str]:
    """Write the memories; each entry has its exact width in hardware, and a plain type in simulation.

    Returns:
        The text of the header and of the source. Every read-only bit of the project is in an array of theirs.
    """
    cpp = _Cpp()
    constants = {
        "likelihood_steps": program.likelihood_program.steps.rows,
        "code_steps": program.code_program.steps.rows,
        "likelihood_result": program.result[0],
        "likelihood_result_exponent": program.result[1],
    }
    cpp.header += [f"  static constexpr unsigned {name} = {value};\n" for name, value in constants.items()]
    _banks(cpp, "weights", "weight", program.weights, program.circuit.weight_bits)
    _banks(cpp, "indices", "index", program.indices, INDEX_BITS)
    leaves = program.leaves
    _memory(cpp, "tables", "table", leaves.tables)
    _memory(cpp, "tails", "tail", leaves.tails)
    cpp.header.append(f"  static constexpr bool nested_tables = {str(leaves.nested is not None).lower()};\n")
    own = {"master": "place", "shift": "0", "scale": "0"}
    _table(cpp, "nested", leaves.nested or PackedTable(0, {}, (), ()), None if leaves.nested else own)
    if leaves.leaves is None:
        cpp.function("leaf", ["return place;"])
    else:
        _memory(cpp, "leaves", "leaf", leaves.leaves)
    _table(cpp, "variables", leaves.variables)
    for name, memory in (("likelihood", program.likelihood_program), ("code", program.code_program)):
        _steps(cpp, name, memory)
    source = ["// Generated.\n", '#include "pcedge_memories.hpp"\n', *cpp.source]
    return "".join([_HEAD, *cpp.header, "};\n\n#endif\n"]), "".join(source)


def _memory(cpp: _Cpp, name: str, reader: str, memory: Memory) -> None:
    if memory.bits:
        cpp.array(name, memory.width, memory.entries)
    cpp.function(reader, [f"return {name}[place];" if memory.bits else "return 0;"])


def _banks(cpp: _Cpp, name: str, reader: str, banks: tuple[Bank, ...], top: int) -> None:
    """Write banks, and the function that reads an address of all of them."""
    lines = []
    for number, bank in enumerate(banks):
        cpp.array(f"{name}_{number}", bank.code.width, bank.entries)
        place = f"place - {bank.base}u" if bank.base else "place"
        how = f"{bank.code.width}, {bank.code.shift}, {str(bank.code.certain).lower()}, {top}"
        marked = ""
        if bank.code.row:
            cpp.array(f"marks_{number}", 1, bank.marks)
            marked = f", marks_{number}[({place}) / {bank.code.row}u] != 0"
        value = f"return pcedge::stored_entry<{how}>({name}_{number}[{place}]{marked});"
        lines.append(f"if (place >= {bank.base}u) {value}" if bank.base else value)
    cpp.function(reader, reversed(lines) if lines else ["return 0;"])


def _table(cpp: _Cpp, name: str, table: PackedTable, more: dict[str, str] | None = None) -> None:
    """Write a packed table: its words, and a structure with one function a column."""
    for word, (bits, values) in enumerate(zip(table.word_bits, table.words, strict=True)):
        cpp.array(f"{name}_{word}", bits, values)
    cpp.header.append(f"  /// {table.rows} rows of {table.row_bits} bits\n  struct {name} {{\n")
    for column, where in table.fields.items():
        cpp.function(column, [f"return {_read(name, where)};"], indent="    ")
    for column, value in (more or {}).items():
        cpp.function(column, [f"return {value};"], indent="    ")
    cpp.header.append("  };\n")


def _read(name: str, where: Field) -> str:
    terms = []
    if where.bits:
        code = f"pcedge::field_of<{where.shift}, {where.bits}>({name}_{where.word}[place])"
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
    if memory.places is not None:
        _table(cpp, f"{name}_places", memory.places)
        for place, slot in PLACES.items():
            row = f"pcedge::row_within<{memory.places.rows}>({place}_place(place))"
            more |= {place: f"{name}_places::address({row})", slot: f"{name}_places::slot({row})"}
    _table(cpp, f"{name}_program", memory.steps, more)
