"""The memories of a row table: its rows, and a number and a turn for every row of a sum (docs/engine-memories.md)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcedge.export.program.banks import Bank, Integers, Memory, lay_in_banks
from pcedge.integer.circuit import IntegerCircuit

#: ports of a memory: so many rows of a tile read one copy of the table
PORTS = 2


@dataclass(frozen=True, eq=False)
class RowMemories:
    """Hold the rows of a table, and where those of each length begin.

    A row has its n entries, and with tiles of C columns so many of them again that C neighbours from any turn on follow
    each other, and whole words of C.
    """

    banks: tuple[Bank, ...]
    #: by length where its rows begin; 0 for lengths that have none
    starts: Memory
    #: copies of the banks, so that every row of a tile has a port
    copies: int

    @property
    def bits(self) -> int:
        """Count the bits of all copies and of the beginnings."""
        return self.copies * sum(bank.bits for bank in self.banks) + self.starts.bits


def stride_of(length: int, columns: int) -> int:
    """Give the entries that a row takes in memory, for tiles of so many columns."""
    return -(-(length + columns - 1) // columns) * columns


def row_memories(circuit: IntegerCircuit, tile: tuple[int, int]) -> RowMemories | None:
    """Lay out the row table of a circuit for a tile; None where the circuit has none."""
    if not circuit.row_lengths:
        return None
    rows, columns = tile
    blocks = [
        np.ascontiguousarray(table.rows[:, np.arange(stride_of(length, columns)) % length])
        for length, table in circuit.row_tables.items()
    ]
    banks, addresses = lay_in_banks(blocks, circuit.weight_bits)
    starts = np.zeros(max(circuit.row_lengths) + 1, dtype=np.int64)
    starts[list(circuit.row_lengths)] = addresses
    return RowMemories(banks, Memory(starts), -(-rows // PORTS))


def stored_rows(circuit: IntegerCircuit, rows: int) -> dict[int, Integers]:
    """Give of every layer that takes its rows from the table what is stored for each: number · 2^k + turn.

    k is the bits of a turn; lists are padded with zeros to whole words of so many rows.
    """
    stored = {}
    for index, (numbers, turns) in circuit.row_parts().items():
        length = circuit.dense_sums[index].weights.shape[1]
        values = (numbers << circuit.row_tables[length].turn_bits) + turns
        stored[index] = np.pad(values, (0, -len(values) % rows))
    return stored
