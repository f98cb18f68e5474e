"""The integer arithmetic of pcedge, written once; every other implementation is tested for equality with it.

The rules, their invariants and the proofs are in docs/arithmetic.md. Vectors are int64 arrays of shape (units, N) with
one exponent a record, shape (N,): unit u of record n has the value `mantissa[u, n] * 2**exponent[n]`. No intermediate
needs more than 53 bits, so that products may run through float64 and stay exact.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import FloatArray, IntArray
from pcedge.errors import WidthError
from pcedge.tails import TAIL_BITS, kept

Vector = tuple[IntArray, IntArray]

#: the most bits that any intermediate may need: integers below 2^53 are exact in float64
EXACT_BITS = 53

#: the exponent of an all-zero vector, and the least that any vector can have
ZERO_EXPONENT = -(2**30)

#: width of an exponent, signed
EXPONENT_BITS = 32

#: width of the normalised sum that the reciprocal takes
RECIPROCAL_BITS = 16

#: entry i is 2^31 / d at the middle of the d in [(256 + i) * 128, (257 + i) * 128), in 16 bits
RECIPROCAL_TABLE: IntArray = 2**25 // (2 * np.arange(256, dtype=np.int64) + 513)

#: the score is in parts of 2^-8 bit
SCORE_FRACTION = 8

#: leading bits of a mantissa, below the first, that the score looks at
SCORE_TABLE_BITS = 7

#: the score of a record that the integers call impossible; every other is below
SCORE_IMPOSSIBLE = 2**32 - 1

#: parameters that a user chooses, with the least and the greatest value
LIMITS = {
    "weight_bits": (2, 16),
    "leaf_bits": (8, 16),
    "state_bits": (8, 16),
    "scale_bits": (16, 24),
    "range_bits": (32, 48),
}


def ceil_log2(count: int) -> int:
    """Give the least b with 2^b >= count."""
    return (count - 1).bit_length()


def ceil_div(count: int, size: int) -> int:
    """Give the least number of groups of `size` that hold `count`."""
    return -(-count // size)


@dataclass(frozen=True)
class Widths:
    """Compute the width in bits of every signal from the chosen parameters and the circuit's sizes.

    Raises:
        WidthError: a parameter is outside its range, or a signal would need more than 53 bits.
    """

    #: W: the weights of a sum unit are integers that sum to 2^W
    weight_bits: int
    #: L: a leaf table sums to 2^L
    leaf_bits: int
    #: A: a state vector's entries have A bits, and the largest has its top bit set
    state_bits: int
    #: P: coding intervals are parts of 2^P; 16 (small) or 24 (wide)
    scale_bits: int
    #: B: width of the range coder's range; 2 P, so that a symbol moves at most P / 8 bytes
    range_bits: int
    #: f: what every symbol gets of the 2^P before the model's share, so that any input can be coded
    floor: int
    #: V: the largest number of symbols of a variable
    cardinality: int
    #: the most terms that one accumulation adds: rows of a sum layer, units of an input layer, entries of a list
    terms: int
    #: bits below a leaf's counts: `TAIL_BITS` where the likelihood has tails, else 0
    tail_bits: int = 0

    def __post_init__(self) -> None:
        """Check the ranges, and that every signal fits."""
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise WidthError(f"{name} must be in {low}..{high}, got {value}")
        if (self.scale_bits, self.range_bits) not in ((16, 32), (24, 48)):
            raise WidthError(
                f"scale_bits and range_bits must be 16 and 32 or 24 and 48, got {self.scale_bits} and {self.range_bits}"
            )
        if self.floor < 1 or self.floor * self.cardinality > 2 ** (self.scale_bits - 1):
            raise WidthError(
                f"floor must be at least 1 and leave half of 2^{self.scale_bits} to {self.cardinality} symbols, "
                f"got {self.floor}"
            )
        if self.tail_bits not in (0, TAIL_BITS):
            raise WidthError(f"tail_bits must be 0 or {TAIL_BITS}, got {self.tail_bits}")
        for name, bits in self.signals().items():
            if bits > EXACT_BITS:
                raise WidthError(f"signal {name} must fit {EXACT_BITS} bits, it needs {bits}")

    @property
    def weight(self) -> int:
        """Width of a weight: the weight of a certain child is 2^W."""
        return self.weight_bits + 1

    @property
    def leaf(self) -> int:
        """Width of an entry of a cumulative leaf table: the last is 2^L."""
        return self.leaf_bits + 1

    @property
    def accumulator(self) -> int:
        """Width of what a step accumulates before it normalises: up, down, list sum, product, leaf."""
        mixed = self.weight_bits + self.state_bits + ceil_log2(self.terms)
        return max(mixed, 2 * self.state_bits, self.leaf + self.tail_bits)

    @property
    def context_sum(self) -> int:
        """Width of the sum of a context's mantissas."""
        return self.state_bits + ceil_log2(self.terms)

    @property
    def weighted(self) -> int:
        """Width of a context-weighted cumulative table entry, at most context sum times 2^L."""
        return self.context_sum + self.leaf_bits

    @property
    def bound_input(self) -> int:
        """X: width to which a weighted entry is shifted before the multiplication by the scale."""
        return self.scale_bits + 2

    @property
    def scale(self) -> int:
        """Width of R, the interval's scale."""
        return self.scale_bits + 1

    @property
    def symbol(self) -> int:
        """Width of a symbol; the code of all ones means missing and is never a symbol."""
        return self.cardinality.bit_length()

    def signals(self) -> dict[str, int]:
        """List every signal's width by name."""
        return {
            "weight": self.weight,
            "leaf": self.leaf,
            "state": self.state_bits,
            "accumulator": self.accumulator,
            "context_sum": self.context_sum,
            "weighted": self.weighted,
            "reciprocal_product": 2 * RECIPROCAL_BITS + 2,
            "bound_input": self.bound_input,
            "scale": self.scale,
            "scale_product": RECIPROCAL_BITS + 2 + self.scale_bits,
            "bound_product": self.bound_input + self.scale,
            "range": self.range_bits,
            "low": self.range_bits + 1,
            "symbol": self.symbol,
        }

    def as_dict(self) -> dict[str, int]:
        """Give the fields by name; `tail_bits` only where there are some."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        if not self.tail_bits:
            del values["tail_bits"]
        return values


def nested_tables(masters: IntArray, number: IntArray, shift: IntArray, scale: IntArray, leaf_bits: int) -> IntArray:
    """Compute cumulative leaf tables from masters (docs/arithmetic.md, section Nested leaf tables).

    Args:
        masters: cumulative tables, (M, V + 1).
        number: the master of every table, (T,).
        shift: b, (T,).
        scale: a, (T,), with a + b at most 2^L.
        leaf_bits: L.

    Returns:
        The tables, (T, V + 1).

    Example:
        >>> one = np.array([0])
        >>> nested_tables(np.array([[0, 0, 64, 256, 256]]), one, one + 100, one + 128, 8).tolist()
        [[0, 100, 132, 228, 256]]
    """
    tables: IntArray = shift[:, None] + ((scale[:, None] * masters[number]) >> leaf_bits)
    tables[:, 0], tables[:, -1] = 0, 1 << leaf_bits
    return tables


def bit_length(values: IntArray) -> IntArray:
    """Count the bits of non-negative integers below 2^53; zero has none."""
    return np.frexp(values.astype(np.float64))[1].astype(np.int64)


def shift(values: IntArray, amount: IntArray) -> IntArray:
    """Shift right by `amount` bits with truncation where it is positive, left where it is negative."""
    if (amount >= 0).all():
        return values >> amount
    return (values >> np.maximum(amount, 0)) << np.maximum(-amount, 0)


def normalise(accumulated: IntArray, exponent: IntArray, state_bits: int, revive: bool, keep: bool = False) -> Vector:
    """Shift every record's vector, with truncation, so that its largest entry has `state_bits` bits.

    Args:
        accumulated: exact values, (units, N), below 2^53.
        exponent: their exponents, (N,).
        state_bits: A.
        revive: what becomes of an all-zero vector. True: all its entries become 2^(A-1), the exponent stays. False: it
            stays zero with `ZERO_EXPONENT`.
        keep: whether an entry of 1 is only possible, and stays 1; what truncation would make zero becomes 1 too. Where
            no entry is more, those of 1 become 2^(A-1).

    Returns:
        Mantissas (units, N) and exponents (N,).
    """
    length = bit_length(accumulated.max(axis=0))
    amount = length - state_bits
    mantissa = shift(accumulated, amount)
    if keep:
        mantissa = kept(mantissa, accumulated)
        if (amount < 0).any():  # to the right 1 stays 1
            mantissa = np.where((accumulated == 1) & (length > 1), 1, mantissa)
    moved = np.maximum(exponent + amount, ZERO_EXPONENT)
    zero = length == 0
    if zero.any():
        if revive:
            mantissa[:, zero] = 1 << (state_bits - 1)
            moved[zero] = np.maximum(exponent[zero], ZERO_EXPONENT)
        else:
            moved[zero] = ZERO_EXPONENT
    return mantissa, moved


def mix_dense(weights: NDArray[np.float64], mantissa: IntArray) -> IntArray:
    """Multiply a dense block (rows, columns) by a vector (columns, N), exactly; `weights` holds integers as float64."""
    return np.asarray(weights @ mantissa.astype(np.float64)).astype(np.int64)


def mix_sparse(indptr: IntArray, indices: IntArray, values: IntArray | None, mantissa: IntArray) -> IntArray:
    """Add up lists: row r is the sum of `values[k] * mantissa[indices[k]]` over its entries; no values means ones."""
    terms = mantissa[indices]
    if values is not None:
        terms = terms * values[:, None]
    rows = len(indptr) - 1
    out = np.zeros((rows, mantissa.shape[1]), dtype=np.int64)
    filled = np.flatnonzero(np.diff(indptr) > 0)
    if filled.size:
        out[filled] = np.add.reduceat(terms, indptr[filled], axis=0)
    return out


def align(first: Vector, second: Vector, keep: bool = False) -> Vector:
    """Put two vectors, one after the other, under the greater of their exponents, with truncation.

    With `keep` an entry that truncation would make zero becomes 1, possible without a value.
    """
    exponent = np.maximum(first[1], second[1])
    parts = []
    for mantissa, own in (first, second):
        shifted = mantissa >> np.minimum(exponent - own, EXACT_BITS)
        parts.append(kept(shifted, mantissa) if keep else shifted)
    return np.concatenate(parts), exponent


def reciprocal(divisor: IntArray) -> IntArray:
    """Approximate 2^33 / divisor from below, for divisors in 2^15..2^16: a table and one Newton step.

    Exhaustively true (tests): result * divisor <= 2^33, and the relative error is under 2^-15.
    """
    index = np.minimum(divisor >> 7, 511) - 256
    start = RECIPROCAL_TABLE[index]
    error = ((1 << 32) - divisor * start) >> 14
    return np.where(divisor == 1 << 16, 1 << 17, (start * error) >> 15)


def interval_scale(context: IntArray, cardinality: int, widths: Widths) -> tuple[IntArray, IntArray]:
    """Prepare the scale of a context's intervals, once a symbol.

    Args:
        context: mantissas, (units, N), not all zero in any record.
        cardinality: V of the variable.
        widths: the circuit's widths.

    Returns:
        n, the shift that brings a weighted entry to X bits, and R, the scale; both (N,).
    """
    total = context.sum(axis=0)
    length = bit_length(total)
    excess = np.maximum(length - RECIPROCAL_BITS, 0)
    divisor = ((total + (1 << excess) - 1) >> excess) << np.maximum(RECIPROCAL_BITS - length, 0)
    free = (1 << widths.scale_bits) - cardinality * widths.floor
    scale = (reciprocal(divisor) * free) >> 17
    return length + widths.leaf_bits - widths.bound_input, scale


def interval_bound(weighted: IntArray, symbol: IntArray, amount: IntArray, scale: IntArray, widths: Widths) -> IntArray:
    """Give the lower end of a symbol's interval in 2^P: symbol * f + floor(weighted * R).

    Args:
        weighted: sum over the units of context times cumulative table at `symbol`, (N,).
        symbol: (N,); the upper end of symbol x is the lower end of x + 1.
        amount: first result of `interval_scale`.
        scale: second result of `interval_scale`.
        widths: the circuit's widths.
    """
    return symbol * widths.floor + ((shift(weighted, amount) * scale) >> widths.bound_input)


def range_narrow(
    low: IntArray, width: IntArray, start: IntArray, end: IntArray, widths: Widths
) -> tuple[IntArray, IntArray]:
    """Narrow a coder's interval [low, low + width) to the part [start, end) of 2^P."""
    unit = width >> widths.scale_bits
    return low + unit * start, unit * (end - start)


def range_bytes(width: IntArray, widths: Widths) -> IntArray:
    """Count the bytes, 0 to P / 8, that must leave so that the range has more than B - 8 bits again."""
    return (widths.range_bits - bit_length(width)) >> 3


def range_shift_out(low: IntArray, width: IntArray, widths: Widths) -> tuple[IntArray, IntArray, IntArray]:
    """Move one byte out of the top of `low`.

    Returns:
        The digit, 0..511: a byte and, as bit 8, a carry into the bytes before; and the new low and range.
    """
    shift = widths.range_bits - 8
    return low >> shift, (low & ((1 << shift) - 1)) << 8, width << 8


def range_flush(low: IntArray, widths: Widths) -> IntArray:
    """Give the last digit: the least value of one byte and zeros that is not below `low`, and so inside the range."""
    shift = widths.range_bits - 8
    return (low + (1 << shift) - 1) >> shift


def score_table() -> IntArray:
    """Give entry i, 0..2^T - 1: floor(2^F * log2(1 + (i + 1/2) / 2^T)), the logarithm in the middle of a part of 1..2.

    It is exact: 2^F * log2(x) is log2(x^(2^F)), and its floor is a number of bits.
    """
    middles = range((1 << (SCORE_TABLE_BITS + 1)) + 1, 1 << (SCORE_TABLE_BITS + 2), 2)
    offset = (SCORE_TABLE_BITS + 1) << SCORE_FRACTION
    return np.array([(x ** (1 << SCORE_FRACTION)).bit_length() - 1 - offset for x in middles], dtype=np.int64)


def score(mantissa: IntArray, exponent: IntArray, state_bits: int) -> IntArray:
    """Give the anomaly score of likelihoods: -log2 in parts of 2^-F bit (docs/unrolled.md, section Score).

    Args:
        mantissa: of the root, (N,): 0, or with `state_bits` bits.
        exponent: of the root, (N,).
        state_bits: A.

    Returns:
        Scores in 0..2^32 - 1, (N,); `SCORE_IMPOSSIBLE` where the mantissa is 0.
    """
    index = (mantissa >> (state_bits - 1 - SCORE_TABLE_BITS)) & ((1 << SCORE_TABLE_BITS) - 1)
    bits = -((exponent + state_bits - 1) << SCORE_FRACTION) - score_table()[index]
    return np.where(mantissa == 0, SCORE_IMPOSSIBLE, np.clip(bits, 0, SCORE_IMPOSSIBLE - 1))


def log_of(mantissa: IntArray, exponent: IntArray) -> FloatArray:
    """Give the natural logarithm of mantissa * 2**exponent; -inf for a zero mantissa."""
    with np.errstate(divide="ignore"):
        logs = np.log(mantissa.astype(np.float64))
    return np.asarray(np.where(mantissa > 0, logs + exponent * np.log(2.0), -np.inf), dtype=np.float64)
