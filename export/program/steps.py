"""The steps of a program as packed rows (docs/engine-memories.md, section Step encoding)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from pcedge.drivers.layout import FORM, PLACES
from pcedge.export.program.packing import Column, PackedTable, distinct, pack
from pcedge.export.program.phrase_memory import PhraseMemory

#: entries of lists are below 2^31
INDEX_BITS = 31


@dataclass(frozen=True, eq=False)
class StepMemory:
    """Hold a program: a packed row a step, and what rows may refer to."""

    steps: PackedTable
    #: rows of `FORM`, of which a step names one; None where each step holds its own
    forms: PackedTable | None
    #: rows of `address` and `slot`, of which a step names one a value; None where each step holds its own
    addresses: PackedTable | None

    @property
    def tables(self) -> dict[str, PackedTable]:
        """Give all tables by the names that they are generated under."""
        parts = {"program": self.steps, "forms": self.forms, "places": self.addresses}
        return {name: table for name, table in parts.items() if table is not None}

    @property
    def count(self) -> int:
        """Count the steps."""
        return self.steps.rows

    @property
    def bits(self) -> int:
        """Count all bits."""
        return self.steps.bits + self.dictionary_bits

    @property
    def dictionary_bits(self) -> int:
        """Count the bits of what rows refer to."""
        return sum(table.bits for table in (self.forms, self.addresses) if table is not None)

    def column(self, name: str) -> NDArray[np.int64]:
        """Unpack one of `STEP_FIELDS`, (steps,) int64; of steps that do not use it, any number."""
        if name in FORM and self.forms is not None:
            return self.forms.column(name)[self.steps.column("form")]
        for address, slot in PLACES.items():
            if name in (address, slot) and self.addresses is not None:
                numbers = self.steps.column(f"{address}_place")
                # A step without this source may name none.
                inside = np.minimum(numbers, self.addresses.rows - 1)
                return self.addresses.column("address" if name == address else "slot")[inside]
        return self.steps.column(name)


@dataclass(frozen=True, eq=False)
class Programs:
    """Hold both programs, and what phrases refer to in both."""

    likelihood: StepMemory | PhraseMemory
    code: StepMemory | PhraseMemory
    #: rows of `weights`, `rows` and `columns`; None where no program has phrases
    operands: PackedTable | None

    @property
    def bits(self) -> int:
        """Count all bits."""
        return self.likelihood.bits + self.code.bits + (0 if self.operands is None else self.operands.bits)


def smallest_programs(
    single: Sequence[StepMemory], phrased: Sequence[PhraseMemory | None], operands: PackedTable | None
) -> Programs:
    """Choose for the likelihood and the code between a row a step and phrases, whichever is smaller in all."""
    if operands is None:
        return Programs(single[0], single[1], None)
    options = [
        (alone, *(() if phrases is None else (replace(phrases, operands=operands),)))
        for alone, phrases in zip(single, phrased, strict=True)
    ]
    made = [
        Programs(up, walk, operands if any(isinstance(memory, PhraseMemory) for memory in (up, walk)) else None)
        for up, walk in product(*options)
    ]
    return min(made, key=lambda programs: programs.bits)


def step_memory(columns: dict[str, Column]) -> StepMemory:
    """Pack the steps of a program, `STEP_FIELDS`, in the smallest of the ways that `StepMemory` can hold."""
    return min(
        (_pack_steps(columns, *ways) for ways in product((True, False), repeat=2)), key=lambda memory: memory.bits
    )


def _pack_steps(columns: dict[str, Column], with_forms: bool, with_addresses: bool) -> StepMemory:
    row = dict(columns)
    forms = addresses = None
    if with_forms:
        used = {name: columns[name].used for name in FORM}
        rows, numbers = distinct([row.pop(name) for name in FORM])
        # A form uses what its steps use: the same for all of them, since kind and flags say so.
        first = np.unique(numbers, return_index=True)[1]
        forms = pack({name: Column(values, used[name][first]) for name, values in zip(FORM, rows, strict=True)})
        row["form"] = Column(numbers, np.ones(len(numbers), dtype=bool))
    if with_addresses:
        pairs = [(row.pop(address), row.pop(slot)) for address, slot in PLACES.items()]
        used_any = np.concatenate([address.used for address, _ in pairs])
        stacked = [
            Column(
                np.concatenate([pair[side].values for pair in pairs])[used_any],
                np.ones(int(used_any.sum()), dtype=bool),
            )
            for side in (0, 1)
        ]
        rows, numbers = distinct(stacked)
        every = np.ones(len(rows[0]), dtype=bool)
        addresses = pack({name: Column(values, every) for name, values in zip(("address", "slot"), rows, strict=True)})
        spread = np.zeros(len(used_any), dtype=np.int64)
        spread[used_any] = numbers
        for name, values, (address, _) in zip(PLACES, np.split(spread, len(PLACES)), pairs, strict=True):
            row[f"{name}_place"] = Column(values, address.used)
    return StepMemory(pack(row), forms, addresses)
