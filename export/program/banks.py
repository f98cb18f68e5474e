"""Parameter memories: weights in banks, lists (docs/engine-memories.md, section Memories)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pcedge.circuit.rows import SparseRows

#: a bank must save this many bits: it costs a multiplexer, and half a small block RAM stays empty
BANK_PRICE = 4096

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Memory:
    """Hold one read-only memory: its entries, all of one width. Without bits nothing is stored: all entries are 0."""

    entries: Integers
    #: entries of a word: those that are read together
    columns: int = 1

    @property
    def width(self) -> int:
        """Give the width of an entry: that of the largest."""
        return int(self.entries.max(initial=0)).bit_length()

    @property
    def bits(self) -> int:
        """Count the bits of all entries."""
        return len(self.entries) * self.width


@dataclass(frozen=True, order=True)
class BankCode:
    """Say how the numbers of a bank are stored: divided by 2^shift; if `certain`, all ones stand for 2^top.

    With `row`, all blocks have rows of this length, and all ones stand for 2^top in the marked rows only.
    """

    width: int
    shift: int
    certain: bool
    row: int = 0

    def fits(self, block: Integers, top: int, columns: int) -> bool:
        """Tell whether every number of a block with rows of this length can be stored; 0 where it has no rows."""
        if self.row not in (0, columns):
            return False
        certain_weight = 1 << top
        rest = block[block != certain_weight] if self.certain else block
        limit = (1 << self.width) - (self.certain and not self.row)
        return int(np.bitwise_or.reduce(rest, initial=0)) % (1 << self.shift) == 0 and (
            int(rest.max(initial=0)) >> self.shift < limit
        )

    def store(self, block: Integers, top: int) -> Integers:
        """Give the stored numbers of a block that fits."""
        stored = block >> self.shift
        if self.certain:
            stored[block == 1 << top] = (1 << self.width) - 1
        return stored

    def load(self, stored: Integers, marks: Integers, top: int) -> Integers:
        """Give the numbers of a block from what is stored, and the marks of its rows if it has them."""
        block = stored << self.shift
        if self.certain:
            sure = np.repeat(marks, self.row) == 1 if self.row else True
            block[(stored == (1 << self.width) - 1) & sure] = 1 << top
        return block

    def cost(self, size: int) -> int:
        """Count the bits of so many numbers."""
        return size * self.width + (size // self.row if self.row else 0)


@dataclass(frozen=True, eq=False)
class Bank:
    """Hold blocks of one code; `base` is the address of the first."""

    base: int
    code: BankCode
    #: what is stored
    entries: Integers
    #: for each row 1 where it holds 2^top, one bit; none where the code has no `row`
    marks: Integers

    @property
    def bits(self) -> int:
        """Count the bits of all entries and marks."""
        return self.code.cost(len(self.entries))


@dataclass
class Blocks:
    """Collect blocks, each different one once, under numbers in the order of their coming."""

    blocks: list[Integers] = field(default_factory=list)
    numbers: dict[tuple[int, bytes], int] = field(default_factory=dict)

    def put(self, block: NDArray[np.generic]) -> int:
        """Give the number of a block."""
        values = np.ascontiguousarray(block, dtype=np.int64)
        number = self.numbers.setdefault((_columns(values), values.tobytes()), len(self.blocks))
        if number == len(self.blocks):
            self.blocks.append(values)
        return number


def lay_in_banks(blocks: list[Integers], top: int) -> tuple[tuple[Bank, ...], Integers]:
    """Lay blocks of numbers up to 2^top in banks; give the banks and every block's address.

    A block lies in one bank. The addresses of all banks follow each other, with gaps in which nothing is stored.
    """
    codes = _choose_codes(blocks, top)
    addresses = np.zeros(len(blocks), dtype=np.int64)
    if not blocks:
        return (), addresses
    sizes = [block.size for block in blocks]
    # Addresses that are multiples of the commonest size have the shortest codes in the programs.
    common = int(np.bincount(sizes).argmax())
    banks: list[Bank] = []
    end = 0
    for code in sorted(set(codes)):
        base = -(-end // common) * common
        end = base
        inside = [number for number, other in enumerate(codes) if other == code]
        inside.sort(key=lambda number: (sizes[number] != common, -sizes[number]))
        for number in inside:
            addresses[number] = end
            end += sizes[number]
        entries = np.concatenate([code.store(blocks[number].ravel(), top) for number in inside])
        marks = np.zeros(0, dtype=np.int64)
        if code.row:
            marks = np.concatenate([(blocks[n] == 1 << top).any(axis=1).astype(np.int64) for n in inside])
        if not code.certain:  # it may have come from a block that found a better one
            code = replace(code, width=max(1, int(entries.max()).bit_length()))
        banks.append(Bank(base, code, entries, marks))
    return tuple(banks), addresses


def _choose_codes(blocks: list[Integers], top: int) -> list[BankCode]:
    """Choose a code for every block: of all codes that some block needs, drop one after the other while that pays."""
    # To a code blocks differ only in these numbers, so that few combinations have to be tried.
    kinds: dict[tuple[int, ...], list[int]] = {}
    for number, block in enumerate(blocks):
        kinds.setdefault((_columns(block), *_extremes(block.ravel(), top)), []).append(number)
    codes = {BankCode(top + 1, 0, False)}
    for columns, step, largest, certain_weight in kinds:
        shift = _trailing_zeros(step | certain_weight)
        plain = BankCode(max(1, max(largest, certain_weight).bit_length() - shift), shift, False)
        certain = BankCode(((largest >> shift) + 1).bit_length(), shift, True)
        codes.add(certain if certain_weight and certain.width < plain.width else plain)
        if certain_weight and columns > 1:
            codes.add(BankCode(max(1, largest.bit_length() - shift), shift, True, columns))
    ordered = np.array(sorted(codes), dtype=object)
    sizes = np.array([sum(blocks[number].size for number in numbers) for numbers in kinds.values()], dtype=np.int64)
    # What a kind costs in a code; where it does not fit, more than all else.
    never = 1 << 40
    costs = np.array(
        [
            [
                code.cost(int(size)) if code.fits(np.array(kind[1:], dtype=np.int64), top, kind[0]) else never
                for code in ordered
            ]
            for kind, size in zip(kinds, sizes, strict=True)
        ],
        dtype=np.int64,
    ).reshape(len(kinds), len(ordered))
    rows = np.arange(len(kinds))

    def price(choice: NDArray[np.intp]) -> int:
        return int(costs[rows, choice].sum()) + BANK_PRICE * len(np.unique(choice))

    def move(choice: NDArray[np.intp], code: np.intp, open_only: bool) -> NDArray[np.intp]:
        """Give the blocks of a bank the best of the others, or of those that are used."""
        others = costs.copy()
        others[:, code] = never
        if open_only:
            others[:, np.setdiff1d(np.arange(len(ordered)), choice)] += never // 2
        return np.where(choice == code, others.argmin(axis=1), choice)

    choice = costs.argmin(axis=1)
    while len(choice):
        best = min((move(choice, code, only) for code in np.unique(choice) for only in (True, False)), key=price)
        dropped = np.setdiff1d(choice, best)
        if not len(dropped) or price(best) > price(choice):
            break
        costs[:, dropped] = never
        choice = best
    chosen = zip(kinds.values(), ordered[choice], strict=True)
    return [code for _, code in sorted((number, code) for numbers, code in chosen for number in numbers)]


def _columns(block: Integers) -> int:
    """Give the length of a block's rows; 0 for a list, which has none."""
    return block.shape[1] if block.ndim == 2 else 0


def _extremes(block: Integers, top: int) -> tuple[int, ...]:
    """Reduce a block to three numbers that need the same codes: the finest, the greatest but 2^top, and 2^top or 0."""
    certain_weight = 1 << top
    rest = block[block != certain_weight]
    every, largest = int(np.bitwise_or.reduce(rest, initial=0)), int(rest.max(initial=0))
    step = every & -every
    # Of the greatest only its length counts, and whether its stored number would be all ones.
    if largest and largest + step & largest + step - 1:
        largest = 1 << largest.bit_length() - 1
    return step, largest, certain_weight if len(rest) < len(block) else 0


def _trailing_zeros(number: int) -> int:
    return max(0, (number & -number).bit_length() - 1)


def list_block(rows: SparseRows) -> Integers:
    """Write lists as the engine reads them: the length of each, then all their entries."""
    return np.concatenate([np.diff(rows.indptr), rows.indices])
