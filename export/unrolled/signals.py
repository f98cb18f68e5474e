"""What the body of an unrolled kernel computes: vectors of signals, and counts of its operators."""

from __future__ import annotations

from dataclasses import dataclass

from pcedge.export.unrolled.operations import Operand


@dataclass(frozen=True)
class Counts:
    """Count what a kernel is made of, beside its plain form: each weight by itself, nothing as a table."""

    #: multiplications by a weight that is no power of two, one for each weight
    plain_multiplications: int
    #: adders of the plain form: canonical signed digits of every weight, added up row by row
    plain_adders: int
    #: products of two mantissas in the schedule
    plain_products: int
    #: adders of the plain form for the sums that did not become tables
    left_adders: int
    #: adders of the kernel's sums, and the bits of their results
    adders: int
    adder_bits: int
    #: multipliers of two mantissas
    multipliers: int
    #: constant tables, and their bits
    tables: int
    table_bits: int


@dataclass(frozen=True)
class Signals:
    """Hold a vector's entries, and what is known of their values."""

    names: tuple[Operand, ...]
    #: greatest and least value of every entry; least holds also for zero vectors
    top: tuple[int, ...]
    least: tuple[int, ...]
    #: the exponent is the signal of this name, if any, plus a constant
    exponent: str
    offset: int
    #: the exponent's range, also that of a zero vector, where it means nothing
    low: int
    high: int
    may_be_zero: bool
    #: whether some entry has its first bit set, unless all are zero
    peak: bool = True
