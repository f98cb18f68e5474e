"""The memories of a program as bytes: what the interpreter in C99 reads (docs/c99.md, section Memories)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcedge.errors import UsageError
from pcedge.export.program.banks import Bank, Integers
from pcedge.export.program.leaves import LeafMemories, leaf_memories
from pcedge.export.program.lowering import Lowered, arrange, lower
from pcedge.export.program.phrase_memory import PhraseMemory
from pcedge.export.program.steps import INDEX_BITS, StepMemory
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program
from pcedge.schedule.steps import Op, Zeros

Bytes = NDArray[np.uint8]

#: bits of a nibble, of which an entry has 1 to 5
NIBBLE, MOST_NIBBLES = 4, 5

#: how UP and DOWN read a bank of weights: as bytes, of which 255 may stand for 256, or entry by entry
BYTES, CERTAIN_BYTES, ANY = range(3)

#: flags of a form, by the names of step fields
FLAGS = {"lists": 1, "values": 2, "gather_a": 4, "gather_b": 8}


@dataclass(frozen=True, eq=False)
class Packed:
    """Hold numbers below 2^(4 nibbles), one after the other."""

    data: Bytes
    nibbles: int


@dataclass(frozen=True, eq=False)
class Banks:
    """Hold banks: a row of numbers each, as `bank_t` of pcedge.c has them, and the bytes of all."""

    rows: tuple[tuple[int, ...], ...]
    data: Bytes


@dataclass(frozen=True, eq=False)
class Leaves:
    """Hold leaf tables in their natural order, and where those of a variable are."""

    tables: Bytes
    nibbles: int
    #: as `group_t` of pcedge.c
    groups: tuple[tuple[int, ...], ...]
    group_of: Packed
    list_of: Packed
    leaves: Packed
    #: for each table how many of its last entries are 2^L
    wholes: Packed
    #: masters, shifts and scales; none where no table comes from a master
    nested: tuple[Packed, ...]


@dataclass(frozen=True, eq=False)
class Rows:
    """Hold a row table: its rows, where those of each length begin, and the numbers and turns of sums."""

    table: Banks
    starts: tuple[int, ...]
    turned: Banks
    #: what addresses of `turned` begin with: those of weights are below
    base: int


@dataclass(frozen=True, eq=False)
class Layout:
    """Hold everything that the interpreter reads."""

    lowered: Lowered
    #: as `form_t`: units, a_units, b_units, kind, zeros, flags
    forms: tuple[tuple[int, ...], ...]
    #: as `place_t`: address, slot
    places: tuple[tuple[int, ...], ...]
    likelihood: Bytes
    code: Bytes
    #: what addresses of weights are multiples of
    factor: int
    weights: Banks
    indices: Banks
    leaves: Leaves
    rows: Rows | None

    @property
    def circuit(self) -> IntegerCircuit:
        """Give the circuit."""
        return self.lowered.circuit

    def has(self, op: Op, zeros: Zeros | None = None) -> bool:
        """Tell whether a step is of this kind, and of these zeros."""
        return any(form[3] == op and zeros in (None, form[4]) for form in self.forms)


def lay_out(source: IntegerCircuit | Program) -> Layout:
    """Lay out a program, also that of a circuit which is not structured.

    Raises:
        UsageError: a number is too large for an entry.
    """
    program = Program.of(source)
    leaves = leaf_memories(program.circuit, plain=True)
    lowered = lower(program, arrangement=arrange(program, structured=False, plain=True), leaves=leaves)
    programs = [_Steps(memory) for memory in (lowered.likelihood_program, lowered.code_program)]
    forms = _numbered([form for steps in programs for form in steps.forms])
    places = _numbered([place for steps in programs for row in steps.places for place in row])
    addresses = [address for steps in programs for address in steps.weights if address]
    factor = int(np.gcd.reduce(addresses)) if addresses else 1
    likelihood, code = (steps.encoded(forms, places, factor) for steps in programs)
    weights = _lay_banks(lowered.weights, program.circuit.weight_bits)
    return Layout(
        lowered, tuple(forms), tuple(places), likelihood, code, factor, weights,
        _lay_banks(lowered.indices, INDEX_BITS), _lay_leaves(program.circuit, leaves), _lay_rows(lowered),
    )  # fmt: skip


def _lay_rows(lowered: Lowered) -> Rows | None:
    if lowered.rows is None:
        return None
    return Rows(
        _lay_banks(lowered.rows.banks, lowered.circuit.weight_bits), tuple(lowered.rows.starts.entries.tolist()),
        _lay_banks(lowered.turned, INDEX_BITS), lowered.turned_base,
    )  # fmt: skip


def packed(values: Sequence[int] | Integers, *, whole: bool = False) -> Packed:
    """Pack numbers of at most 20 bits, with the zeros behind them that a reader of the last one needs.

    With `whole` those of up to 16 bits take whole bytes: what is read for every unit of every symbol.

    Raises:
        UsageError: a number is larger.
    """
    numbers = np.asarray(values, dtype=np.int64)
    nibbles = max(1, -(-int(numbers.max(initial=0)).bit_length() // NIBBLE))
    nibbles += whole and nibbles in (1, 3)
    return Packed(np.concatenate([_nibbles(numbers, nibbles), np.zeros(2, np.uint8)]), nibbles)


def _nibbles(numbers: Integers, nibbles: int) -> Bytes:
    """Write numbers of so many nibbles, lowest first; the last byte ends in zeros."""
    if nibbles > MOST_NIBBLES:
        raise UsageError(
            f"the target c99 must have numbers below 2^{NIBBLE * MOST_NIBBLES} in its lists, got {int(numbers.max())}"
        )
    parts = (numbers[:, None] >> (NIBBLE * np.arange(nibbles))) & ((1 << NIBBLE) - 1)
    flat = parts.ravel()
    pairs = np.append(flat, np.zeros(flat.size % 2, np.int64)).reshape(-1, 2)
    data: Bytes = (pairs[:, 0] | pairs[:, 1] << NIBBLE).astype(np.uint8)
    return data


def _lay_banks(banks: Sequence[Bank], top: int) -> Banks:
    rows, parts, size = [], [], 0
    for bank in banks:
        code = bank.code
        nibbles = -(-code.width // NIBBLE)
        data = _nibbles(bank.entries, nibbles)
        marks = np.packbits(bank.marks.astype(np.uint8), bitorder="little")
        kind = ANY
        if nibbles == 2 and not code.certain:
            kind = BYTES
        elif (code.certain, code.row, code.width, code.shift, top) == (True, 0, 8, 0, 8):
            kind = CERTAIN_BYTES
        rows.append(
            (bank.base, size, size + len(data), code.row, nibbles, code.width, code.shift, int(code.certain), kind)
        )
        parts += [data, marks]
        size += len(data) + len(marks)
    return Banks(tuple(rows) or ((0,) * 9,), np.concatenate([*parts, np.zeros(2, np.uint8)]))


def _lay_leaves(circuit: IntegerCircuit, memories: LeafMemories) -> Leaves:
    assert memories.leaves is not None  # they were asked for so
    columns = {name: memories.variables.column(name) for name in memories.variables.fields}
    nibbles = max(2, -(-circuit.leaf_bits // NIBBLE))
    starts = sorted(
        set(
            zip(
                *(columns[name].tolist() for name in ("cardinality", "tables", "uppers", "tails", "nested")),
                strict=True,
            )
        )
    )
    ends = [row[3] for row in starts[1:]] + [len(memories.tails.entries)]
    groups, parts, size = [], [], 0
    for (symbols, tables, uppers, tails, nested), end in zip(starts, ends, strict=True):
        rows = _natural(memories, symbols, tables, uppers, end - tails)
        stride = -(-rows.shape[1] * nibbles // 2)
        padded = np.pad(rows, ((0, 0), (0, rows.shape[1] * nibbles % 2)))
        # An odd number of nibbles ends within a byte: each table begins with one.
        data = _nibbles(padded.ravel(), nibbles) if rows.size else np.zeros(0, np.uint8)
        data = data.reshape(len(rows), -1)[:, :stride] if rows.size else data
        groups.append((symbols, size, stride, tails, nested))
        parts.append(data.ravel())
        size += data.size
    numbers = {row[0]: number for number, row in enumerate(starts)}
    triples = memories.nested
    return Leaves(
        np.concatenate([*parts, np.zeros(1, np.uint8)]), nibbles, tuple(groups),
        packed([numbers[symbols] for symbols in columns["cardinality"].tolist()]), packed(columns["list"]),
        packed(memories.leaves.entries, whole=True), packed(memories.tails.entries),
        () if triples is None else tuple(packed(triples.column(name)) for name in ("master", "shift", "scale")),
    )  # fmt: skip


def _natural(memories: LeafMemories, symbols: int, tables: int, uppers: int, count: int) -> Integers:
    """Give tables with their entries 1 to V - 1 in order, (count, V - 1), out of the levels of an engine's words."""
    rows = np.zeros((count, symbols - 1), dtype=np.int64)
    lowest, *above = [np.arange(1 << level, symbols, 2 << level) - 1 for level in range(max(1, symbols.bit_length()))]
    upper = np.concatenate([lowest[:0], *above])
    rows[:, lowest] = memories.tables.entries[tables:][: count * len(lowest)].reshape(count, -1)
    rows[:, upper] = memories.uppers.entries[uppers:][: count * len(upper)].reshape(count, -1)
    return rows


class _Steps:
    """Hold the numbers of a program's steps, as the bytes of the interpreter name them."""

    def __init__(self, memory: StepMemory | PhraseMemory) -> None:
        self.columns = {
            name: memory.column(name).tolist()
            for name in (
                "kind", "revive", *FLAGS, "units", "a_units", "b_units", "target", "target_exponent", "a",
                "a_exponent", "b", "b_exponent", "variable", "weights", "list", "list_b",
            )
        }  # fmt: skip
        self.kinds = [Op(kind) for kind in self.columns["kind"]]
        self.forms = [self._form(step) for step in range(len(self.kinds))]
        self.places = [self._places(step) for step in range(len(self.kinds))]
        self.weights = [
            self.columns["weights"][step] if kind in (Op.UP, Op.DOWN) else 0 for step, kind in enumerate(self.kinds)
        ]

    def _form(self, step: int) -> tuple[int, ...]:
        kind, column = self.kinds[step], self.columns
        flags = sum(bit for name, bit in FLAGS.items() if column[name][step])
        units = 0 if kind == Op.INTERVAL else column["units"][step]
        dense = kind in (Op.DOWN, Op.INTERVAL, Op.ALIGN) or (kind == Op.UP and not column["lists"][step])
        a_units = column["a_units"][step] if dense else 0
        b_units = column["b_units"][step] if kind == Op.ALIGN else 0
        return units, a_units, b_units, int(kind), column["revive"][step], flags

    def _places(self, step: int) -> list[tuple[int, int]]:
        kind = self.kinds[step]
        sides = ["target"] if kind != Op.INTERVAL else []
        sides += ["a"] if kind not in (Op.INIT, Op.LEAF) else []
        sides += ["b"] if kind in (Op.MULTIPLY, Op.ALIGN) else []
        return [(self.columns[side][step], self.columns[f"{side}_exponent"][step]) for side in sides]

    def encoded(self, forms: dict[tuple[int, ...], int], places: dict[tuple[int, ...], int], factor: int) -> Bytes:
        """Write the program: for every step its form, its places, and what else it reads."""
        out = bytearray()
        for step, kind in enumerate(self.kinds):
            column = {name: values[step] for name, values in self.columns.items()}
            numbers = [forms[self.forms[step]], *(places[place] for place in self.places[step])]
            if kind in (Op.LEAF, Op.INTERVAL):
                numbers.append(column["variable"])
            if kind in (Op.UP, Op.DOWN):
                numbers.append(column["weights"] // factor)
            if column["lists"] or column["gather_a"] or (kind == Op.LEAF and column["revive"] == Zeros.TAIL):
                numbers.append(column["list"])
            if column["gather_b"]:
                numbers.append(column["list_b"])
            for number in numbers:
                out += _seven_bits(number)
        return np.frombuffer(bytes(out), np.uint8)


def _numbered(rows: Sequence[tuple[int, ...]]) -> dict[tuple[int, ...], int]:
    """Number different rows, the commonest first, whose numbers are the shortest."""
    return {row: number for number, (row, _) in enumerate(Counter(rows).most_common())}


def _seven_bits(number: int) -> bytes:
    """Write a number, 7 bits a byte, lowest first; the last byte is below 128."""
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
