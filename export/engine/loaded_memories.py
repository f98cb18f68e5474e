"""The C++ of memories that can be loaded: what `memories.py` writes for one circuit, for all that fit."""

from __future__ import annotations

from collections.abc import Iterable

from pcedge.drivers.layout import NESTED_FIELDS, PROGRAMS, SECTIONS, STEP_FIELDS, VARIABLE_FIELDS
from pcedge.drivers.size import EngineSize
from pcedge.export.engine.memories import (
    HEAD,
    bind,
    entry_type,
    list_functions,
    reshape,
    table_function,
    within,
)
from pcedge.export.program.image import Capacity
from pcedge.export.program.row_memories import PORTS

#: what an image says of its circuit in words of their own
_REGISTERS = ("record", "likelihood_steps", "code_steps", "likelihood_result", "likelihood_result_exponent", "floor")

#: memories that more than two places read in a cycle, and the vendor's kind of such a memory
MANY_READ = {"indices", "tails", *(f"nested_{name}" for name in NESTED_FIELDS)}
MANY_READ |= {f"variables_{name}" for name in VARIABLE_FIELDS}
MANY_READERS = "ram_1wnr"

#: memories of which every two lanes have a copy of two ports, for they are the largest that all lanes read
COPIED = ("tables", "uppers")

#: what kernels ask of a row table, where there is none
NO_ROW_TABLE = (
    "  static constexpr bool row_table = false;\n  static constexpr unsigned turned_base = 0;\n"
    "  static constexpr int row_number_bits = 1;\n  static constexpr int row_stride_bits = 1;\n"
    + "".join(
        f"  static std::uint32_t {name}({arguments}) {{ return 0; }}\n"
        for name, arguments in (
            ("turned_row", "std::uint32_t"), ("row_start", "std::uint32_t"), ("row_weight", "unsigned, std::uint32_t"),
        )
    )
)  # fmt: skip

#: functions that read a memory, where its name is another
_READERS = {"weights": "weight", "indices": "index", "tails": "tail"}


def reload_code(capacity: Capacity) -> tuple[str, str]:
    """Write memories of a capacity, functions that read them, and functions that write and read them by section.

    Returns:
        The text of the header and of the source.
    """
    columns = word_sizes(capacity.shape)
    header, source = [HEAD], ["// Generated.\n", '#include "pcedge_memories.hpp"\n\n']
    header.append(
        f"  static constexpr bool reloadable = true;\n  static constexpr unsigned sections = {len(SECTIONS)};\n"
    )
    # Matrices are whole: what is loaded has no row table.
    header.append(NO_ROW_TABLE)
    # A column of each table whose rows an image counts in its header too.
    for table, column in {"variables": "cardinality", **dict.fromkeys(PROGRAMS, "kind")}.items():
        number = SECTIONS.index(f"{table}_{column}")
        header.append(f"  static constexpr unsigned {table}_section = {number};\n")

    def variable(kind: str, name: str) -> None:
        header.append(f"  static {kind} {name};\n")
        source.append(f"{kind} pcedge_memories::{name};\n")

    for register in (*_REGISTERS, "nested_tables"):
        variable("std::uint32_t", register)
    variable("pcedge::circuit_t", "loaded")
    variable("std::uint32_t", f"counts[{len(SECTIONS)}]")
    rows = {name: max(1, -(-entries // columns.get(name, 1))) for name, (entries, _) in capacity.sections.items()}
    for name, (_, bits) in capacity.sections.items():
        per_word = columns.get(name, 1)
        word = f"[{per_word}]" if per_word > 1 else ""
        copied = f"[{copies(capacity.shape)}]" if name in COPIED else ""
        variable(entry_type(bits), f"{name}_memory{copied}[{rows[name]}]{word}")

    def place_of(name: str, copy: int = 0) -> str:
        """Write the entry of a memory at `place`, in simulation within it."""
        per_word = columns.get(name, 1)
        memory = f"{name}_memory[{copy}]" if name in COPIED else f"{name}_memory"
        row = within("place" if per_word == 1 else f"place / {per_word}u", rows[name], name)
        return f"{memory}[{row}][place % {per_word}u]" if per_word > 1 else f"{memory}[{row}]"

    for name, reader in _READERS.items():
        header.append(_function(reader, name, place_of(name)))
    header.append(_tile(columns["weights"], rows["weights"]))
    for reader, name in (("table", "tables"), ("upper", "uppers")):
        header.append(table_function(reader, f"{name}_memory", columns[name], rows[name], copies(capacity.shape)))
    header.append(list_functions("leaves_memory", columns["leaves"], rows["leaves"]))
    tables = {"nested": ("nested", NESTED_FIELDS), "variables": ("variables", VARIABLE_FIELDS)}
    tables |= {f"{name}_program": (name, STEP_FIELDS) for name in PROGRAMS}
    for table, (prefix, fields) in tables.items():
        header.append(f"  struct {table} {{\n")
        header += [_function(name, f"{prefix}_{name}", place_of(f"{prefix}_{name}"), "    ") for name in fields]
        if prefix in PROGRAMS:
            header += _walk(f"{prefix}_steps")
        header.append("  };\n")
    header.append(_set())
    numbers = {
        "capacity": [entries for entries, _ in capacity.sections.values()],
        "largest": list(capacity.largest_words.values()),
    }
    for function, values in numbers.items():
        cases = [f"case {number}: return {value}u;" for number, value in enumerate(values)]
        header.append(_switch(f"std::uint32_t {function}(std::uint32_t section)", [*cases, "default: return 0;"]))
    gets = [f"case {number}: return {place_of(name)};" for number, name in enumerate(SECTIONS)]
    header.append(
        _switch("std::uint32_t get(std::uint32_t section, std::uint32_t place)", [*gets, "default: return 0;"])
    )
    puts = []
    for number, (name, (_, bits)) in enumerate(capacity.sections.items()):
        targets = [place_of(name, copy) for copy in range(copies(capacity.shape) if name in COPIED else 1)]
        puts.append(f"case {number}: {' = '.join(targets)} = {entry_type(bits)}(word); break;")
    header.append(
        _switch("void put(std::uint32_t section, std::uint32_t place, std::uint32_t word)", [*puts, "default: break;"])
    )
    return "".join([*header, "};\n\n#endif\n"]), "".join(source)


def word_sizes(shape: EngineSize) -> dict[str, int]:
    """Give the entries of a word, of the memories that have more than one."""
    slots = (1 << shape.search_bits) - 1
    return {"weights": shape.macs, "tables": slots, "uppers": slots, "leaves": shape.lanes}


def copies(shape: EngineSize) -> int:
    """Count the copies of memories in `COPIED`."""
    return -(-shape.lanes // PORTS)


def _tile(macs: int, rows: int) -> str:
    argument, entry = (" entry", "[entry]") if macs > 1 else ("", "")
    subscript = f"[{within('row', rows, 'weights')}]{entry}"
    head = f"static std::uint32_t tile(std::uint32_t row, std::uint32_t{argument})"
    pragmas = f"#pragma HLS INLINE\n{reshape('weights_memory', macs)}"
    return f"  {head} {{\n{pragmas}    return weights_memory{subscript};\n  }}\n"


def _walk(steps: str) -> list[str]:
    """Write the functions that go from a step to the next one, as long as there is one."""
    head = "(std::uint32_t place) {\n#pragma HLS INLINE\n      return place"
    return [
        f"    static std::uint32_t {name}{head} {rest};\n    }}\n"
        for name, rest in (("next", "+ 1u"), ("more", f"< {steps}"))
    ]


def _storage(name: str) -> str:
    return MANY_READERS if name in MANY_READ else ""


def _function(reader: str, name: str, entry: str, indent: str = "  ") -> str:
    head = f"#pragma HLS INLINE\n{bind(f'{name}_memory', _storage(name))}"
    return (
        f"{indent}static std::uint32_t {reader}(std::uint32_t place) {{\n{head}{indent}  return {entry};\n{indent}}}\n"
    )


def _switch(head: str, cases: Iterable[str]) -> str:
    lines = "".join(f"    {case}\n" for case in cases)
    return f"  static {head} {{\n#pragma HLS INLINE\n    switch (section) {{\n{lines}    }}\n  }}\n"


def _set() -> str:
    lines = "".join(f"    {name} = made.{name};\n" for name in _REGISTERS)
    return (
        "  static pcedge::circuit_t circuit() {\n    pcedge::circuit_t said = loaded;\n    said.record = record;\n"
        "    return said;\n  }\n"
        f"  static void set(const pcedge::circuit_t &made) {{\n{lines}    nested_tables = made.nested;\n"
        "    loaded = made;\n  }\n"
    )
