"""What an unrolled kernel computes, signal by signal, in no language: `cpp` and `circuit_cells` write it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """Hold the width of a number, and whether it has a sign."""

    bits: int
    signed: bool = False


#: a number of bits, an address, a condition
LENGTH, ADDRESS, BIT = Kind(7), Kind(32), Kind(1)


@dataclass(frozen=True)
class Constant:
    """Hold a number that no record changes."""

    value: int
    kind: Kind


@dataclass(frozen=True)
class Symbol:
    """Name a variable's symbol in the record."""

    variable: int


#: what an operation takes: the name of a signal, a number, a symbol
Operand = str | Constant | Symbol

#: the condition that no record makes false
TRUE = Constant(1, BIT)


@dataclass(frozen=True)
class Exponent:
    """Hold an exponent: a signal, if any, plus a constant."""

    name: str
    offset: int
    kind: Kind


@dataclass(frozen=True)
class Join:
    """Put symbols side by side, each with the place of its lowest bit."""

    fields: tuple[tuple[Symbol, int], ...]


@dataclass(frozen=True)
class Lookup:
    """Read a constant table; `storage` is the width of its C++ entries."""

    table: str
    entries: tuple[int, ...]
    address: Operand
    storage: int


@dataclass(frozen=True)
class Live:
    """Give a mantissa, but 0 for 1, which only says that an entry is possible."""

    value: Operand


@dataclass(frozen=True)
class Dropped:
    """Give what a mantissa counts at a weight of 0 of a sum with tails."""

    value: Operand


@dataclass(frozen=True)
class Tell:
    """Tell of some numbers whether `any` of them, `all` or `none` is not 0."""

    which: str
    entries: tuple[Operand, ...]


@dataclass(frozen=True)
class Revived:
    """Give a row, but 1 where it is 0 and `some` says that it is possible."""

    row: Operand
    some: Operand


@dataclass(frozen=True)
class Kept:
    """Give a shifted entry `moved`, but 1 where only that is left of it.

    With `cut`, where `moved` is 0 and `whole` is not, which may be `sure`; with `lone`, where `whole` is 1
    and so is not the largest entry: `excess` is not 0, if there is one.
    """

    whole: Operand
    moved: Operand
    cut: bool
    sure: bool
    lone: bool
    excess: Operand | None


@dataclass(frozen=True)
class Product:
    """Multiply two mantissas."""

    first: Operand
    second: Operand


@dataclass(frozen=True)
class ShiftAdd:
    """Compute `(a << shift_a) + (b << shift_b)`, or minus, modulo the result's width; an operand with a sign has it."""

    a: Operand
    shift_a: int
    signed_a: bool
    b: Operand
    shift_b: int
    signed_b: bool
    subtract: bool


@dataclass(frozen=True)
class Shifted:
    """Shift a number to the left, or to the right where `left` is negative."""

    value: Operand
    left: int


@dataclass(frozen=True)
class Union:
    """Give the OR of entries."""

    entries: tuple[Operand, ...]


@dataclass(frozen=True)
class Excess:
    """Give by how much a number of `short` to `long` bits is longer than `short`."""

    union: Operand
    long: int
    short: int


@dataclass(frozen=True)
class Scaled:
    """Shift an entry of a vector, whose largest has `short + excess` bits, to the mantissa's bits."""

    value: Operand
    excess: Operand
    long: int
    short: int


@dataclass(frozen=True)
class Plus:
    """Add two exponents, or an exponent and by how much a vector is longer; without a first give the second."""

    first: str
    second: Operand
    #: whether the second is a number of bits
    cast: bool = False


@dataclass(frozen=True)
class Ranked:
    """Give an exponent for comparison: `low` where `zero` says that the vector is nothing."""

    exponent: Exponent
    zero: Operand | None
    low: int


@dataclass(frozen=True)
class Larger:
    """Give the greater of two exponents."""

    first: Operand
    second: Operand


@dataclass(frozen=True)
class Gap:
    """Give by how much an exponent is below a common one, at most a mantissa's bits."""

    own: Operand
    common: Operand
    #: width of the exponents
    bits: int


@dataclass(frozen=True)
class Right:
    """Shift a mantissa to the right by a gap."""

    value: Operand
    gap: Operand


Operation = (
    Join | Lookup | Live | Dropped | Tell | Revived | Kept | Product | ShiftAdd | Shifted | Union | Excess | Scaled
    | Plus | Ranked | Larger | Gap | Right
)  # fmt: skip


@dataclass(frozen=True)
class Signal:
    """Hold one signal: its name, its range, and what it is."""

    name: str
    kind: Kind
    operation: Operation


@dataclass(frozen=True)
class Remark:
    """Say which step of the schedule follows."""

    text: str


@dataclass(frozen=True)
class Result:
    """Name the root's mantissa and exponent."""

    mantissa: Operand
    exponent: Exponent


Statement = Signal | Remark

#: makes a signal of (letter, kind, operation) and gives its name
Define = Callable[[str, Kind, Operation], str]
