"""Lowering: from an integer circuit to the memories of the engine (docs/engine-memories.md, section Step encoding)."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from pcedge.arithmetic import EXPONENT_BITS
from pcedge.circuit.rows import SparseRows, entries
from pcedge.drivers.layout import STEP_FIELDS
from pcedge.drivers.size import EngineSize
from pcedge.export.program.banks import Bank, Blocks, lay_in_banks, list_block
from pcedge.export.program.leaves import LeafMemories, leaf_memories
from pcedge.export.program.operands import Operands, number_operands
from pcedge.export.program.packing import Column, column_field
from pcedge.export.program.phrase_memory import PhraseMemory
from pcedge.export.program.phrases import find_phrases
from pcedge.export.program.places import Places, cheapest, lowest_first
from pcedge.export.program.row_memories import RowMemories, row_memories, stored_rows
from pcedge.export.program.steps import INDEX_BITS, Programs, StepMemory, smallest_programs, step_memory
from pcedge.integer.circuit import IntegerCircuit, IntegerInput, IntegerSum
from pcedge.schedule.program import Program
from pcedge.schedule.steps import (
    Align,
    Down,
    Init,
    Interval,
    Leaf,
    ListSum,
    Multiply,
    Schedule,
    Step,
    Up,
    zeros_of,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Lowered:
    """Hold everything that the engine reads: two programs, and the memories they address."""

    program: Program
    #: sizes of the engine that the memories are laid out for
    shape: EngineSize
    likelihood: Schedule
    code: Schedule
    programs: Programs
    #: dense blocks row by row, and values of sparse rows
    weights: tuple[Bank, ...]
    #: numbers and turns of the sums that take their rows from a table; their addresses follow those of `weights`
    turned: tuple[Bank, ...]
    #: where these addresses begin
    turned_base: int
    #: the table; None where the circuit has none
    rows: RowMemories | None
    #: gather lists, and lists as lengths followed by entries
    indices: tuple[Bank, ...]
    leaves: LeafMemories
    #: mantissas that the state memory must hold, the most over both programs
    state_words: int
    #: exponents that must be held at once
    exponent_slots: int
    #: entries of the widest result
    max_units: int
    #: address and exponent slot of the likelihood
    result: tuple[int, int]

    @property
    def circuit(self) -> IntegerCircuit:
        """Give the circuit."""
        return self.program.circuit

    @property
    def sizes(self) -> dict[str, int]:
        """Give what the engine's memories beside those of the circuit are sized by."""
        return {
            "variables": len(self.circuit.order), "max_units": self.max_units, "state_words": self.state_words,
            "exponent_slots": self.exponent_slots,
        }  # fmt: skip

    @property
    def likelihood_program(self) -> StepMemory | PhraseMemory:
        """Give the program of likelihoods."""
        return self.programs.likelihood

    @property
    def code_program(self) -> StepMemory | PhraseMemory:
        """Give the program that codes."""
        return self.programs.code

    def memory_bits(self) -> dict[str, int]:
        """Count the bits of every memory as it is generated; `rom` is the sum of all that are only read.

        `weights` has all copies of a `row_table` in it, and the numbers and turns of rows.
        """
        operands = 0 if self.programs.operands is None else self.programs.operands.bits
        row_table = 0 if self.rows is None else self.rows.bits
        programs = {"likelihood_program": self.likelihood_program, "code_program": self.code_program}
        read_only = {
            "weights": sum(bank.bits for bank in (*self.weights, *self.turned)) + row_table,
            "tables": self.leaves.table_bits,
            "leaves": 0 if self.leaves.leaves is None else self.leaves.leaves.bits,
            "variables": self.leaves.variables.bits,
            "indices": sum(bank.bits for bank in self.indices),
            "programs": self.programs.bits,
        }
        return {
            **read_only,
            **{name: program.bits for name, program in programs.items()},
            "operands": operands,
            "dictionaries": sum(program.dictionary_bits for program in programs.values()),
            **({} if self.rows is None else {"row_table": row_table}),
            "rom": sum(read_only.values()),
            "state": self.state_words * self.circuit.widths.state_bits,
            "exponents": self.exponent_slots * EXPONENT_BITS,
        }


@dataclass(frozen=True, eq=False)
class Arrangement:
    """Hold what all circuits of one structure share: schedules, addresses of values, and lists."""

    likelihood: Schedule
    code: Schedule
    up: _Assembled
    walk: _Assembled
    indices: tuple[Bank, ...]
    #: layers whose weights are stored, in the order in which the programs ask for them
    weighted: tuple[int, ...]
    #: whether every step has a row of its own
    plain: bool = False
    #: bits of both programs, by those of an address of weights in each, and of an operand's
    program_bits: dict[tuple[int, ...], int] = field(default_factory=dict)

    @cached_property
    def phrased(self) -> tuple[Operands, tuple[PhraseMemory | None, ...]]:
        """Give the operands of both programs, and the programs as phrases; of one without steps None."""
        columns = [self.up.columns, self.walk.columns]
        variables = max(int(fields["variable"].values.max(initial=-1)) for fields in columns) + 1
        operands = number_operands(columns[::-1], variables)
        return operands, tuple(
            find_phrases(fields, operands) if len(fields["kind"].values) else None for fields in columns
        )

    def programs(self, up: _Assembled, walk: _Assembled, addresses: NDArray[np.int64]) -> Programs:
        """Pack both programs; `addresses` are those of the weights of every layer."""
        single = [step_memory(program.columns) for program in (up, walk)]
        if self.plain:
            return smallest_programs(single, (None, None), None)
        operands, phrased = self.phrased
        return smallest_programs(single, phrased, operands.table(addresses))

    def rom_bits(self, weights: Sequence[NDArray[np.int64]], top: int, leaves: LeafMemories) -> int:
        """Count the read-only bits of a circuit of this structure, as `Lowered.memory_bits` does for its `rom`.

        Args:
            weights: those of every layer in `weighted`, dense or values of sparse rows, each row with the sum 2^top.
            top: W.
            leaves: the leaf memories.
        """
        stored, addresses, up, walk = self.with_weights(weights, top)
        columns = [program.columns["weights"] for program in (up, walk)]
        # Of the addresses only their width changes the size of a packed row.
        key = tuple(column_field(column).bits for column in columns)
        if not self.plain:
            key += (self.phrased[0].table(addresses).bits,)
        if key not in self.program_bits:
            self.program_bits[key] = self.programs(up, walk, addresses).bits
        return self.program_bits[key] + leaves.bits + sum(bank.bits for bank in (*stored.weights, *self.indices))

    def with_weights(
        self, weights: Sequence[NDArray[np.int64]], top: int, by_rows: Container[int] = ()
    ) -> tuple[StoredWeights, NDArray[np.int64], _Assembled, _Assembled]:
        """Lay weights in banks and write their addresses into the programs; give those of every layer's too.

        Args:
            weights: those of every layer in `weighted`; of a layer in `by_rows` the numbers and turns of its rows.
            top: W.
            by_rows: layers that take their rows from a table.
        """
        where = np.zeros(max(self.weighted, default=-1) + 1, dtype=np.int64)
        pools = Blocks(), Blocks()
        numbers = [
            (layer, layer in by_rows, pools[layer in by_rows].put(block))
            for layer, block in zip(self.weighted, weights, strict=True)
        ]
        (banks, addresses), (turned, others) = (
            lay_in_banks(pool.blocks, bits) for pool, bits in zip(pools, (top, INDEX_BITS), strict=True)
        )
        end = max((bank.base + len(bank.entries) for bank in banks), default=0)
        # A multiple of the commonest size, as within a bank.
        sizes = [block.size for block in pools[1].blocks]
        common = int(np.bincount(sizes).argmax()) if sizes else 1
        base = -(-end // common) * common
        for layer, turns, number in numbers:
            where[layer] = base + others[number] if turns else addresses[number]
        stored = StoredWeights(banks, turned, base)
        return stored, where, self.up.with_addresses({"weights": where}), self.walk.with_addresses({"weights": where})


@dataclass(frozen=True, eq=False)
class StoredWeights:
    """Hold the weights of all layers in banks, and behind their addresses numbers and turns of rows of a table."""

    weights: tuple[Bank, ...]
    turned: tuple[Bank, ...]
    turned_base: int


def arrange(
    source: IntegerCircuit | Program, *, coding: bool = True, structured: bool = True, plain: bool = False
) -> Arrangement:
    """Give addresses to all that does not depend on weights and leaf tables.

    Args:
        source: the integer circuit, or its program.
        coding: whether the engine also codes; without it the code program has no steps, and any circuit will do.
        structured: whether the engine codes with structured circuits only; else it can re-evaluate, and take what is
            given.
        plain: whether every step has a row of its own, and values the lowest addresses that are free: what images hold,
            and what suits an interpreter.

    Raises:
        NotStructuredError: the circuit cannot be coded; the engine holds both schedules.
    """
    program = Program.of(source)
    program = program.with_given(()) if structured else program
    if coding and structured:
        _ = program.circuit.tree  # the code schedule of a circuit without one is for the numpy reference only
    operands = _Operands(program.circuit)
    likelihood, code = program.likelihood, program.code if coding else Schedule((), -1)
    bits = program.circuit.state_bits
    places = [lowest_first(steps) if plain else cheapest(steps, bits) for steps in (likelihood, code)]
    up, walk = _assemble(likelihood, operands, places[0]), _assemble(code, operands, places[1])
    indices, starts = lay_in_banks(operands.indices.blocks, INDEX_BITS)
    up, walk = (program.with_addresses({"list": starts, "list_b": starts}) for program in (up, walk))
    asked = [program.columns["weights"] for program in (up, walk)]
    weighted = dict.fromkeys(int(layer) for column in asked for layer in column.values[column.used])
    return Arrangement(likelihood, code, up, walk, indices, tuple(weighted), plain)


def lower(
    source: IntegerCircuit | Program,
    arrangement: Arrangement | None = None,
    leaves: LeafMemories | None = None,
    shape: EngineSize | None = None,
) -> Lowered:
    """Give addresses to all that the two schedules of a circuit read and write.

    Args:
        source: the integer circuit, or its program.
        arrangement: `arrange` of a circuit of the same structure, order and given variables; None makes it, of none.
        leaves: `leaf_memories` of a circuit with the same leaf tables, for the same shape; None makes them.
        shape: the sizes of the engine; the smallest if None.

    Raises:
        NotStructuredError: the circuit cannot be coded; the engine holds both schedules.
    """
    program = Program.of(source)
    program = program.with_given(()) if arrangement is None else program
    circuit = program.circuit
    arranged, shape = arrangement or arrange(program), shape or EngineSize()
    if leaves is None:
        leaves = leaf_memories(circuit, search_bits=shape.search_bits, lanes=shape.lanes)
    by_rows = stored_rows(circuit, shape.tile[0])
    weights = [by_rows[i] if i in by_rows else stored_weights(circuit, i, shape.tile) for i in arranged.weighted]
    stored, addresses, up, walk = arranged.with_weights(weights, circuit.weight_bits, by_rows)
    return Lowered(
        program, shape, arranged.likelihood, arranged.code, arranged.programs(up, walk, addresses), stored.weights,
        stored.turned, stored.turned_base, row_memories(circuit, shape.tile), arranged.indices, leaves,
        max(up.places.state, walk.places.state), max(up.places.slots, walk.places.slots),
        max(step.units for schedule in (arranged.likelihood, arranged.code) for step in schedule.steps),
        up.places.locations[arranged.likelihood.result],
    )  # fmt: skip


def stored_weights(circuit: IntegerCircuit, index: int, tile: tuple[int, int] = (1, 1)) -> NDArray[np.int64]:
    """Give the weights of a sum layer as they are stored: dense, or the values of sparse rows.

    With tiles of more than one weight a dense block is padded with zeros to whole tiles, and lies tile by tile: the
    tiles of the first rows from left to right, then those of the next; in a tile row by row. Sparse values are
    padded too.
    """
    layer = circuit.layers[index]
    assert isinstance(layer, IntegerSum)
    matrix = entries(layer.weights).astype(np.int64, copy=False)
    rows, columns = tile
    if rows * columns == 1:
        return matrix
    if matrix.ndim == 1:
        return np.pad(matrix, (0, -len(matrix) % (rows * columns)))
    padded = np.pad(matrix, ((0, -matrix.shape[0] % rows), (0, -matrix.shape[1] % columns)))
    tiles = padded.reshape(len(padded) // rows, rows, -1, columns).swapaxes(1, 2)
    return np.ascontiguousarray(tiles).ravel()


class _Operands:
    """Collect the lists that steps ask for, each different one once; of weights the layer."""

    def __init__(self, circuit: IntegerCircuit) -> None:
        self.circuit = circuit
        self.indices = Blocks()

    def of(self, step: Step, keep: bool) -> dict[str, int]:
        """Name a step's operands and the flags that say how it reads them; operands are numbers of lists and layers."""
        match step:
            case Init() | Align():
                return {}
            case Leaf() | Interval():
                layer = self.circuit.layers[step.layer]
                assert isinstance(layer, IntegerInput)
                tails = {} if layer.tails is None or not keep else {"list": self.indices.put(layer.tails)}
                return {"variable": step.variable} | tails
            case ListSum():
                return {"lists": 1, "list": self._lists(step.lists)}
            case Multiply():
                operands: dict[str, int] = {}
                for side, name, gather in zip("ab", ("list", "list_b"), step.gathers, strict=True):
                    if gather is not None:
                        operands |= {f"gather_{side}": 1, name: self.indices.put(gather)}
                return operands
            case Up() | Down():
                layer = self.circuit.layers[step.layer]
                assert isinstance(layer, IntegerSum)
                if not isinstance(layer.weights, SparseRows):
                    return {"weights": step.layer}
                rows = layer.weights
                return {"lists": 1, "values": 1, "list": self._lists(rows), "weights": step.layer}
            case _:
                assert_never(step)

    def has_tails(self, step: Step) -> bool:
        """Tell whether a step is of a layer with tails."""
        return not isinstance(step, Init) and self.circuit.has_tails(step.layer)

    def _lists(self, rows: SparseRows) -> int:
        return self.indices.put(list_block(rows))


@dataclass
class _Assembled:
    """Hold a program's columns, and where its values live."""

    columns: dict[str, Column]
    places: Places

    def with_addresses(self, addresses: dict[str, NDArray[np.int64]]) -> _Assembled:
        """Turn numbers in some columns into addresses."""
        columns = dict(self.columns)
        for name, table in addresses.items():
            column = columns[name]
            values = np.zeros_like(column.values)
            values[column.used] = table[column.values[column.used]]
            columns[name] = Column(values, column.used)
        return replace(self, columns=columns)


def _assemble(schedule: Schedule, operands: _Operands, places: Places) -> _Assembled:
    locations = places.locations
    columns = {
        name: Column(np.zeros(len(schedule.steps), dtype=np.int64), np.zeros(len(schedule.steps), dtype=bool))
        for name in STEP_FIELDS
    }
    for index, step in enumerate(schedule.steps):
        # Kind and flags say what else a step uses, so they are in every step.
        numbers = {
            "kind": int(step.op),
            "revive": int(zeros_of(step, schedule.keep, operands.has_tails(step))),
            "lists": 0,
            "values": 0,
            "gather_a": 0,
            "gather_b": 0,
        }
        numbers |= operands.of(step, schedule.keep)
        if not isinstance(step, Interval):
            numbers["target"], numbers["target_exponent"] = locations[step.target]
            numbers["units"] = step.units
        for side, source in zip("ab", step.sources, strict=False):
            address, slot = locations[source.value]
            numbers |= {side: address + source.offset, f"{side}_exponent": slot}
            # Lists of results and gather lists say themselves what they read.
            if isinstance(step, Align | Interval | Down) or (isinstance(step, Up) and not numbers["lists"]):
                numbers[f"{side}_units"] = source.units
        for name, number in numbers.items():
            columns[name].values[index] = number
            columns[name].used[index] = True
    return _Assembled(columns, places)
