"""How an engine stores what a circuit stores as turned rows of a table (docs/engine-memories.md)."""

from __future__ import annotations

from dataclasses import replace

from pcedge.drivers.size import EngineSize
from pcedge.export.program.lowering import lower
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule import Program


def cheapest_rows(source: IntegerCircuit | Program, shape: EngineSize) -> Program:
    """Give the program whose rows of a table are whole matrices where these take less ROM.

    A tile of more rows reads more copies of the table, so a table that pays at few macs may cost at many. The circuit's
    meaning and digest are the same.

    Raises:
        NotStructuredError: the circuit has a row table and cannot be coded.
    """
    program = Program.of(source)
    if not program.circuit.row_lengths or shape.macs == 1:
        return program
    whole = Program.of(replace(program.circuit, row_lengths=()))
    return min((program, whole), key=lambda way: lower(way, shape=shape).memory_bits()["rom"])
