"""The SystemVerilog of an unrolled kernel: its pipeline as one module, a signal a line, a stage after the other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pcedge.export.unrolled.beats import RESULT_BITS, beat_bits
from pcedge.export.unrolled.cells import Cell
from pcedge.export.unrolled.stages import Stages

#: the modules
PIPELINE, TOP = "pc_unrolled", "pcedge_top"


@dataclass(frozen=True)
class Memory:
    """Hold the tables of one address that are read at one clock edge, side by side in a word."""

    name: str
    address: str
    #: stage in which the address is there
    stage: int
    #: tables, the first in the lowest bits
    cells: tuple[Cell, ...]

    @property
    def bits(self) -> int:
        """Give the width of a word."""
        return sum(cell.bits for cell in self.cells)

    @property
    def words(self) -> int:
        """Count the words."""
        return len(self.cells[0].entries)

    def image(self) -> str:
        """Give the words for `$readmemh`, a line each."""
        lines = []
        for address in range(self.words):
            word = place = 0
            for cell in self.cells:
                word |= (cell.entries[address] & ((1 << cell.bits) - 1)) << place
                place += cell.bits
            lines.append(f"{word:0{(self.bits + 3) // 4}x}\n")
        return "".join(lines)


def memories(cells: Sequence[Cell], stages: Stages) -> list[Memory]:
    """Put tables together that are read at one address and one clock edge."""
    groups: dict[tuple[int, str], list[Cell]] = {}
    for cell in cells:
        if cell.entries:
            groups.setdefault((stages.stage[cell.name] - 1, cell.operands[0]), []).append(cell)
    return [
        Memory(f"table_{number}", address, stage, tuple(group))
        for number, ((stage, address), group) in enumerate(sorted(groups.items()))
    ]


def pipeline_code(
    cells: Sequence[Cell], stages: Stages, outputs: Sequence[str], record_bits: int, about: Sequence[str]
) -> str:
    """Write the pipeline's module.

    Args:
        cells: in the order of their operands.
        stages: where they are.
        outputs: names of the cells that leave, each as port `out_…`.
        record_bits: width of the port `in_record`.
        about: lines for the head of the file.
    """
    return "\n".join([*_lines(cells, stages, outputs, record_bits, about), ""])


def _lines(
    cells: Sequence[Cell], stages: Stages, outputs: Sequence[str], record_bits: int, about: Sequence[str]
) -> Iterator[str]:
    by_name = {cell.name: cell for cell in cells}
    held = _held(cells, stages, outputs)
    yield from (f"// {line}".rstrip() for line in about)
    yield f"module {PIPELINE} ("
    yield "    input  logic clk,"
    yield "    input  logic rst,"
    yield "    input  logic enable,"
    yield "    input  logic in_valid,"
    yield "    input  logic in_last,"
    yield f"    input  logic [{record_bits - 1}:0] in_record,"
    yield "    output logic out_valid,"
    yield "    output logic out_last" + ("," if outputs else "")
    for place, name in enumerate(outputs):
        cell = by_name[name]
        comma = "," if place + 1 < len(outputs) else ""
        yield f"    output {_type(cell)} out_{name}{comma}"
    yield ");"
    yield from _valid(stages.latency)
    tables = memories(cells, stages)
    for stage in range(stages.latency):
        yield ""
        yield f"  // ---- stage {stage}"
        for cell in cells:
            if stages.stage[cell.name] == stage and not cell.entries:
                yield from ([f"  // {cell.remark}"] if cell.remark else [])
                yield f"  wire {_type(cell)} {cell.name} = {_text(cell, stage, stages.stage)};"
        reads = [table for table in tables if table.stage == stage]
        for table in reads:
            yield f'  (* rom_style = "block" *) {_logic(table.bits)} {table.name}[{table.words}];'
            yield f'  initial $readmemh("{table.name}.hex", {table.name});'
            yield f"  {_logic(table.bits)} {table.name}_word;"
        kept = [by_name[name] for name, last in held.items() if stages.stage[name] <= stage < last]
        for cell in kept:
            yield f"  {_type(cell)} {cell.name}_{stage + 1};"
        if kept or reads:
            yield "  always_ff @(posedge clk)"
            yield "    if (enable) begin"
            for table in reads:
                yield f"      {table.name}_word <= {table.name}[{_at(table.address, stage, stages.stage)}];"
            for cell in kept:
                yield f"      {cell.name}_{stage + 1} <= {_at(cell.name, stage, stages.stage)};"
            yield "    end"
        for table in reads:
            lowest = 0
            for cell in table.cells:
                yield f"  wire {_type(cell)} {cell.name} = {table.name}_word[{lowest}+:{cell.bits}];"
                lowest += cell.bits
    yield ""
    for name in outputs:
        yield f"  assign out_{name} = {name}_{stages.latency};"
    yield "endmodule"


def top_code(record_bits: int, outputs: Sequence[Cell]) -> str:
    """Write the top: the pipeline between two AXI4-Streams; while a result waits, the whole pipeline does."""
    return "\n".join([*_top_lines(record_bits, outputs), ""])


def _top_lines(record_bits: int, outputs: Sequence[Cell]) -> Iterator[str]:
    beat, symbols = beat_bits(record_bits), f"s_axis_tdata[{record_bits - 1}:0]"
    yield f"// {TOP}: an unrolled kernel between two AXI4-Streams. Generated."
    yield "//"
    yield "// A record is one beat, its symbols side by side; a result is one beat: mantissa in bits 0..31, exponent in"
    yield "// 32..63, score in 64..95. A result has its record's TLAST."
    yield f"module {TOP} ("
    yield "    input  logic clk,"
    yield "    input  logic rst,"
    yield f"    input  logic [{beat - 1}:0] s_axis_tdata,"
    yield "    input  logic s_axis_tlast,"
    yield "    input  logic s_axis_tvalid,"
    yield "    output logic s_axis_tready,"
    yield f"    output logic [{RESULT_BITS - 1}:0] m_axis_tdata,"
    yield f"    output logic [{RESULT_BITS // 8 - 1}:0] m_axis_tkeep,"
    yield "    output logic m_axis_tlast,"
    yield "    output logic m_axis_tvalid,"
    yield "    input  logic m_axis_tready"
    yield ");"
    for cell in outputs:
        yield f"  {_type(cell)} {cell.name};"
    yield "  // Nothing moves while a result is not taken, so nothing is lost and nothing waits in between."
    yield "  assign s_axis_tready = m_axis_tready || !m_axis_tvalid;"
    yield f"  {PIPELINE} pipeline ("
    yield "      .clk(clk), .rst(rst), .enable(s_axis_tready),"
    yield f"      .in_valid(s_axis_tvalid), .in_last(s_axis_tlast), .in_record({symbols}),"
    yield "      .out_valid(m_axis_tvalid), .out_last(m_axis_tlast),"
    yield "      " + ", ".join(f".out_{cell.name}({cell.name})" for cell in outputs)
    yield "  );"
    words = ", ".join(f"32'({cell.name})" for cell in reversed(outputs))
    yield f"  assign m_axis_tdata = {{{RESULT_BITS - 32 * len(outputs)}'d0, {words}}};"
    yield f"  assign m_axis_tkeep = {RESULT_BITS // 8}'h{(1 << RESULT_BITS // 8) - 1:x};"
    yield "endmodule"


def _valid(latency: int) -> Iterator[str]:
    yield f"  logic [{latency - 1}:0] valid, last;"
    yield "  always_ff @(posedge clk)"
    yield "    if (rst) valid <= '0;"
    yield "    else if (enable) begin"
    if latency > 1:
        yield f"      valid <= {{valid[{latency - 2}:0], in_valid}};"
        yield f"      last <= {{last[{latency - 2}:0], in_last}};"
    else:
        yield "      valid <= in_valid;"
        yield "      last <= in_last;"
    yield "    end"
    yield f"  assign out_valid = valid[{latency - 1}];"
    yield f"  assign out_last = last[{latency - 1}];"


def _held(cells: Sequence[Cell], stages: Stages, outputs: Sequence[str]) -> dict[str, int]:
    """Give the last stage in which every cell is read."""
    last = {cell.name: stages.stage[cell.name] for cell in cells}
    for cell in cells:
        for name in cell.operands:
            last[name] = max(last[name], stages.stage[cell.name] - bool(cell.entries))
    return last | dict.fromkeys(outputs, stages.latency)


def _at(name: str, stage: int, stages: Mapping[str, int]) -> str:
    """Name a cell as a stage sees it."""
    return name if stages[name] == stage else f"{name}_{stage}"


def _text(cell: Cell, stage: int, stages: Mapping[str, int]) -> str:
    return re.sub(r"@(\d+)", lambda found: _at(cell.operands[int(found[1])], stage, stages), cell.text)


def _logic(bits: int, signed: bool = False) -> str:
    return f"logic {'signed ' if signed else ''}[{bits - 1}:0]"


def _type(cell: Cell) -> str:
    return _logic(cell.bits, cell.signed)
