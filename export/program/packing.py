"""Packed tables: rows of bit fields, each at the width that its values need (docs/engine-memories.md).

The rules are in section Packed rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: bits of a word of a row in simulation; a wider row has several words, and no field lies in two
WORD_BITS = 64


class Column(NamedTuple):
    """Hold one number for each row, int64 from 0 to 2^32 − 1, and the rows that use it."""

    values: NDArray[np.int64]
    used: NDArray[np.bool_]


@dataclass(frozen=True)
class Field:
    """Say where a column lies: row r holds `offset + factor * code + slope * r`, the code in `bits` bits of a word."""

    bits: int
    offset: int
    factor: int
    slope: int
    word: int = 0
    shift: int = 0


@dataclass(frozen=True, eq=False)
class PackedTable:
    """Hold rows of fields; fields that no row uses together may share bits."""

    rows: int
    fields: dict[str, Field]
    #: one array a word of a row
    words: tuple[NDArray[np.uint64], ...]
    #: bits that are used of each word
    word_bits: tuple[int, ...]

    @property
    def row_bits(self) -> int:
        """Count the bits of a row."""
        return sum(self.word_bits)

    @property
    def bits(self) -> int:
        """Count the bits of all rows."""
        return self.rows * self.row_bits

    def column(self, name: str) -> NDArray[np.int64]:
        """Unpack one column, (rows,) int64, as the C++ does; of rows that do not use it, any number."""
        field = self.fields[name]
        codes = np.zeros(self.rows, dtype=np.int64)
        if field.bits:
            shifted = self.words[field.word] >> np.uint64(field.shift)
            codes = (shifted & np.uint64((1 << field.bits) - 1)).astype(np.int64)
        return field.offset + field.factor * codes + field.slope * np.arange(self.rows)


def pack(columns: Mapping[str, Column]) -> PackedTable:
    """Pack columns of equal length, each as the code (value − offset) / factor of exact width."""
    rows = len(next(iter(columns.values())).values)
    fields = {name: column_field(column) for name, column in columns.items()}
    # Widest first: a narrow field fits beside others under a wide one that it never meets.
    shares: list[tuple[int, NDArray[np.bool_], list[str]]] = []
    for name in sorted((n for n in fields if fields[n].bits), key=lambda n: -fields[n].bits):
        used = columns[name].used
        for index, (bits, taken, names) in enumerate(shares):
            if not (taken & used).any():
                shares[index] = (bits, taken | used, [*names, name])
                break
        else:
            shares.append((fields[name].bits, used, [name]))
    filled: list[int] = []
    for bits, _, names in shares:
        word = next((w for w, size in enumerate(filled) if size + bits <= WORD_BITS), len(filled))
        if word == len(filled):
            filled.append(0)
        for name in names:
            field = fields[name]
            fields[name] = Field(field.bits, field.offset, field.factor, field.slope, word, filled[word])
        filled[word] += bits
    words = tuple(np.zeros(rows, dtype=np.uint64) for _ in filled)
    for name, column in columns.items():
        field = fields[name]
        if field.bits:
            codes = _codes(column, field)[column.used].astype(np.uint64)
            words[field.word][column.used] |= codes << np.uint64(field.shift)
    return PackedTable(rows, fields, words, tuple(filled))


def distinct(columns: Sequence[Column]) -> tuple[list[NDArray[np.int64]], NDArray[np.int64]]:
    """Find the distinct rows of some columns, an unused entry as 0: their columns, and the number of each row."""
    table = np.stack([np.where(column.used, column.values, 0) for column in columns], axis=1)
    rows, numbers = np.unique(table, axis=0, return_inverse=True)
    return list(rows.T), numbers.reshape(-1).astype(np.int64)


def _codes(column: Column, field: Field) -> NDArray[np.int64]:
    return (column.values - field.offset - field.slope * np.arange(len(column.values))) // field.factor


def column_field(column: Column) -> Field:
    """Find the offset and the factor that make the codes smallest; a column that rises evenly needs no bits."""
    values = column.values[column.used]
    if not len(values):
        return Field(0, 0, 1, 0)
    offset = int(values.min())
    factor = int(np.gcd.reduce(values - offset))
    if factor == 0:
        return Field(0, offset, 1, 0)
    steps = np.diff(values)
    if column.used.all() and steps[0] > 0 and (steps == steps[0]).all():
        return Field(0, offset, 1, int(steps[0]))
    return Field(((int(values.max()) - offset) // factor).bit_length(), offset, factor, 0)
