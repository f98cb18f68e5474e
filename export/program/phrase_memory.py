"""How phrases are stored and read (docs/engine-memories.md, section Phrases)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcedge.drivers.layout import PLACES, UNITS
from pcedge.export.program.packing import PackedTable

Integers = NDArray[np.int64]

#: what says a number of units: the rows or the columns of an operand, or COLUMNS + 1 + k for the size k of the phrase
ROWS, COLUMNS = 0, 1

#: what a step takes of a phrase's arguments
CHOICES = (*PLACES, "operand", "variable", *UNITS)

#: lists stand in the row itself, for one step of a phrase at most
LISTS = ("list", "list_b")


@dataclass(frozen=True, eq=False)
class PhraseMemory:
    """Hold a program as phrases."""

    #: a row a phrase: `phrase`, the row of its first step; arguments `place0` …, `operand0` …, `size0` …; `LISTS`
    steps: PackedTable
    #: a row a step of every different phrase: `KIND`, `CHOICES`, and 1 as `last` in the last of a phrase
    phrases: PackedTable
    #: rows of `address` and `slot`
    places: PackedTable
    #: steps of the longest phrase
    longest: int
    #: what operands are, which both programs share; None as long as weights have no addresses
    operands: PackedTable | None = None

    @property
    def tables(self) -> dict[str, PackedTable]:
        """Give all tables but the operands, by the names that they are generated under."""
        return {"rows": self.steps, "phrases": self.phrases, "places": self.places}

    @property
    def bits(self) -> int:
        """Count all bits but those of the operands."""
        return self.steps.bits + self.dictionary_bits

    @property
    def dictionary_bits(self) -> int:
        """Count the bits of what rows refer to, but for the operands."""
        return self.phrases.bits + self.places.bits

    @property
    def count(self) -> int:
        """Count the steps."""
        return len(self.walk[0])

    @property
    def walk(self) -> tuple[Integers, Integers]:
        """Give the row of every step, and its row in the table of phrases."""
        ends = np.flatnonzero(self.phrases.column("last"))
        first = self.steps.column("phrase")
        lengths = ends[np.searchsorted(ends, first)] - first + 1
        rows = np.repeat(np.arange(self.steps.rows), lengths)
        return rows, first[rows] + np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)

    def arguments(self, kind: str) -> list[str]:
        """Name the arguments of a kind: `place`, `operand` or `size`."""
        return [name for name in self.steps.fields if name.rstrip("0123456789") == kind and name != kind]

    def column(self, name: str) -> Integers:
        """Unpack one of `STEP_FIELDS`, (steps,) int64, as the C++ does; of steps that do not use it, any number."""
        operands = self.operands
        assert operands is not None
        rows, steps = self.walk

        def choose(choice: str, kind: str) -> Integers:
            found = np.zeros(len(rows), dtype=np.int64)
            chosen = self.phrases.column(choice)[steps]
            for number, argument in enumerate(self.arguments(kind)):
                found = np.where(chosen == number, self.steps.column(argument)[rows], found)
            return found

        def read(table: PackedTable, column: str, numbers: Integers) -> Integers:
            return table.column(column)[np.where(numbers < table.rows, numbers, 0)]

        slots = {slot: side for side, slot in PLACES.items()}
        if name in PLACES:
            return read(self.places, "address", choose(name, "place"))
        if name in slots:
            return read(self.places, "slot", choose(slots[name], "place"))
        if name == "variable":
            return choose(name, "operand")
        operand = choose("operand", "operand")
        if name == "weights":
            return read(operands, name, operand)
        if name in UNITS:
            source = self.phrases.column(name)[steps]
            found = read(operands, "rows", operand)
            found = np.where(source == COLUMNS, read(operands, "columns", operand), found)
            for number, argument in enumerate(self.arguments("size")):
                found = np.where(source == COLUMNS + 1 + number, self.steps.column(argument)[rows], found)
            return found
        return self.steps.column(name)[rows] if name in LISTS else self.phrases.column(name)[steps]
