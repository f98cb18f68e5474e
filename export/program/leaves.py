"""Leaf tables: every one once, in words that a lane reads whole (docs/engine-memories.md).

The rules are in section Words of leaf tables.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcedge.drivers.layout import table_words
from pcedge.export.program.banks import Integers, Memory
from pcedge.export.program.packing import Column, PackedTable, pack
from pcedge.integer.circuit import IntegerCircuit, IntegerInput
from pcedge.integer.nested import NestedTables


@dataclass(frozen=True, eq=False)
class LeafMemories:
    """Hold leaf tables, and for each variable the numbers of its units' tables."""

    #: words of level 0 of every table, grouped by V; 2^L is stored as 0
    tables: Memory
    #: words of all other levels, in the same order
    uppers: Memory
    #: for each table how many of its entries are 2^L; they are its last
    tails: Memory
    #: of each table `master`, `shift` and `scale`; None where no table comes from a master: then tables are themselves
    nested: PackedTable | None
    #: table numbers within the group; None where unit k of a variable has the table at its `list` + k
    leaves: Memory | None
    #: for each variable `cardinality`, `list` (its numbers in `leaves`), and `tables`, `uppers` (words), `tails` and
    #: `nested`, where its group begins
    variables: PackedTable

    @property
    def bits(self) -> int:
        """Count the bits of all of them."""
        leaves = 0 if self.leaves is None else self.leaves.bits
        return self.table_bits + leaves + self.variables.bits

    @property
    def table_bits(self) -> int:
        """Count the bits of the tables themselves."""
        return self.tables.bits + self.uppers.bits + self.tails.bits + (0 if self.nested is None else self.nested.bits)


def leaf_memories(
    circuit: IntegerCircuit, *, search_bits: int = 1, lanes: int = 1, plain: bool = False
) -> LeafMemories:
    """Lay out the leaf tables of a circuit, in the smallest of three ways, or with `plain` always in the first.

    Tables are stored once and named by lists, equal lists stored once or, where their addresses then need no bits, all
    of them; or tables are stored unit by unit without numbers, which pays where they are small or all different.

    Args:
        circuit: the integer circuit.
        search_bits: a word of a table has 2^search_bits − 1 entries.
        lanes: a word of a list has so many numbers.
        plain: whether to take no other way than the first.
    """

    def lay(tables_once: bool, lists_once: bool) -> LeafMemories:
        return _lay_leaves(circuit, search_bits, lanes, tables_once, lists_once)

    ways = [lay(True, True)]
    if not plain:
        ways.append(lay(True, False))
    if not plain and not circuit.nested:
        ways.append(lay(False, False))
    return min(ways, key=lambda memories: memories.bits)


def _lay_leaves(
    circuit: IntegerCircuit, search_bits: int, lanes: int, tables_once: bool, lists_once: bool
) -> LeafMemories:
    layers = {layer.variable: layer.cumulative for layer in circuit.layers if isinstance(layer, IntegerInput)}
    groups: dict[int, list[Integers]] = {cardinality: [] for cardinality in sorted(set(circuit.cardinalities))}
    known: dict[bytes, int] = {}
    numbers: list[list[int]] = []
    for variable, cardinality in enumerate(circuit.cardinalities):
        numbers.append([])
        for row in layers[variable]:
            group = groups[cardinality]
            number = known.setdefault(row.tobytes(), len(group)) if tables_once else len(group)
            if number == len(group):
                group.append(row)
            numbers[-1].append(number)
    total = 1 << circuit.leaf_bits
    masters = {nested.symbols: nested for nested in circuit.nested}
    columns_of: dict[str, list[Integers]] = {"tables": [], "uppers": [], "tails": [], "nested": []}
    starts: dict[int, dict[str, int]] = {}
    ends = dict.fromkeys(columns_of, 0)
    for cardinality, group in groups.items():
        starts[cardinality] = dict(ends)
        rows, triples = np.stack(group), _own(len(group), total)
        if cardinality in masters:
            rows, triples = _by_masters(rows, masters[cardinality], circuit.leaf_bits)
        rows = rows[:, 1:-1]
        lowest, *upper = table_words(rows % total, search_bits)
        upper_words = np.concatenate([lowest[:, :0], *upper], axis=1)
        for name, entries in zip(columns_of, (lowest, upper_words, (rows == total).sum(axis=1), triples), strict=True):
            columns_of[name].append(entries)
            ends[name] += len(entries) if name in ("tails", "nested") else entries.shape[0] * entries.shape[1]
    lists = [units[0] for units in numbers]
    leaves = None
    if tables_once:
        leaves, lists = _lay_lists(numbers, lists_once, lanes)
    begins = [starts[cardinality] for cardinality in circuit.cardinalities]
    columns = {"cardinality": list(circuit.cardinalities), "list": lists}
    columns |= {name: [begin[name] if name != "nested" or masters else 0 for begin in begins] for name in columns_of}
    every = np.ones(len(numbers), dtype=bool)
    variables = pack({name: Column(np.array(values, dtype=np.int64), every) for name, values in columns.items()})
    nested = None
    if masters:
        all_triples = np.concatenate(columns_of["nested"])
        each = np.ones(len(all_triples), dtype=bool)
        names = ("master", "shift", "scale")
        nested = pack({name: Column(values, each) for name, values in zip(names, all_triples.T, strict=True)})
    tables, uppers = (
        Memory(np.concatenate([words.ravel() for words in columns_of[name]]), (1 << search_bits) - 1)
        for name in ("tables", "uppers")
    )
    return LeafMemories(tables, uppers, Memory(np.concatenate(columns_of["tails"])), nested, leaves, variables)


def _own(tables: int, total: int) -> Integers:
    """Give master, shift and scale of tables that are their own masters."""
    return np.stack([np.arange(tables), np.zeros(tables, dtype=np.int64), np.full(tables, total)], axis=1)


def _by_masters(rows: Integers, nested: NestedTables, leaf_bits: int) -> tuple[Integers, Integers]:
    """Give the masters, and for each of these tables its master, shift and scale."""
    numbers = {table.tobytes(): number for number, table in enumerate(nested.tables(leaf_bits))}
    return nested.masters, nested.parts[[numbers[row.tobytes()] for row in rows]]


def _lay_lists(lists: list[list[int]], once: bool, lanes: int) -> tuple[Memory, list[int]]:
    """Put lists one after the other in whole words, equal ones once if asked; give the memory and their addresses."""
    laid: list[int] = []
    known: dict[tuple[int, ...], int] = {}
    addresses = []
    for entries in lists:
        address = known.setdefault(tuple(entries), len(laid)) if once else len(laid)
        if address == len(laid):
            laid += entries + [0] * (-len(entries) % lanes)
        addresses.append(address)
    return Memory(np.array(laid, dtype=np.int64), lanes), addresses
