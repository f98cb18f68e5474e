"""Interval analysis of the steps: how wide every signal of a circuit can become, for any symbols (docs/bounds.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pcedge import arithmetic, tails
from pcedge.arithmetic import EXACT_BITS, EXPONENT_BITS, RECIPROCAL_BITS, RECIPROCAL_TABLE, ZERO_EXPONENT
from pcedge.arrays import IntArray
from pcedge.circuit.rows import SparseRows, entries, transposed
from pcedge.errors import assert_never
from pcedge.integer.circuit import IntegerCircuit, IntegerInput, IntegerSum
from pcedge.schedule.steps import (
    Align,
    Computed,
    Down,
    Gather,
    Init,
    Interval,
    Leaf,
    ListSum,
    Multiply,
    Ref,
    Schedule,
    Step,
    Up,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Span:
    """Bound one value of a schedule over all records.

    While `loss` is finite, a unit's mantissa times 2^exponent is at most what exact arithmetic gives, and at least
    2^-loss of it.
    """

    #: the least and the greatest mantissa of every unit
    low: IntArray
    high: IntArray
    #: the least and the greatest exponent
    exponents: tuple[int, int]
    #: the least that the largest mantissa can be; 0 where all can be zero
    top: int
    #: whether the largest mantissa has its top bit set whenever it is not zero
    whole: bool
    #: bits that truncation can have taken from a unit, at most; infinite where nothing is known
    loss: float


#: by layer, `revive`, and whether it has tails: the bounds of a leaf's step, and its greatest count
Leaves = dict[tuple[int, bool, bool], tuple[Span, int]]


@dataclass(frozen=True, eq=False)
class Analysis:
    """Hold what the steps of a schedule can hold, over all records."""

    #: greatest entry that a step accumulates
    accumulator: int
    #: greatest sum of the mantissas of a context that codes a symbol
    context_sum: int
    #: the least and the greatest exponent of a value
    exponents: tuple[int, int]
    #: bits that truncation can cost a record's intervals, at most; infinite where nothing is known
    loss: float
    #: entries of vectors with several live units that a shift to A bits can truncate
    truncated: int


def declared_widths(circuit: IntegerCircuit) -> dict[str, int]:
    """Give the widths that `Program.needed` is compared with: those of `Widths.signals`, and of the exponent."""
    return circuit.widths.signals() | {"exponent": EXPONENT_BITS}


def needed_widths(circuit: IntegerCircuit, found: Sequence[Analysis]) -> dict[str, int]:
    """Compute the width in bits that this circuit's numbers need of every signal, for any symbols.

    The rules and their proofs are in docs/bounds.md. No width is above the one that `Widths` declares.

    Args:
        circuit: the integer circuit.
        found: what the steps of its schedules can hold.

    Returns:
        The signals of `Widths.signals`, and `exponent`, whose width is that of a signed number.
    """
    widths = circuit.widths
    divisors = np.arange(1 << (RECIPROCAL_BITS - 1), (1 << RECIPROCAL_BITS) + 1, dtype=np.int64)
    start = RECIPROCAL_TABLE[np.minimum(divisors >> 7, 511) - 256]
    newton = int((start * (((1 << 32) - divisors * start) >> 14)).max())
    free = (1 << widths.scale_bits) - min(circuit.cardinalities) * widths.floor
    scaled = int(arithmetic.reciprocal(divisors).max()) * free
    context = max(analysis.context_sum for analysis in found)
    low = min(analysis.exponents[0] for analysis in found)
    high = max(analysis.exponents[1] for analysis in found)
    needed = {
        "weight": max(
            (int(entries(layer.weights).max()) for layer in circuit.layers if isinstance(layer, IntegerSum)), default=0
        ),
        "leaf": 1 << widths.leaf_bits,
        "state": (1 << widths.state_bits) - 1,
        "accumulator": max(analysis.accumulator for analysis in found),
        "context_sum": context,
        "weighted": context << widths.leaf_bits,
        "reciprocal_product": newton,
        "bound_input": (1 << widths.bound_input) - 1,
        "scale": scaled >> 17,
        "scale_product": scaled,
        # A weighted entry times R is at most G * 2^X: docs/arithmetic.md, "The last bound is at most 2^P".
        "bound_product": free << widths.bound_input,
        "range": (1 << widths.range_bits) - 1,
        "low": (1 << (widths.range_bits + 1)) - 1,
        "symbol": (1 << widths.symbol) - 1,
    }
    bits = {name: value.bit_length() for name, value in needed.items()}
    bits["exponent"] = 1 + max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 0)
    declared = declared_widths(circuit)
    assert bits.keys() == declared.keys() and all(bits[name] <= declared[name] for name in bits), (bits, declared)
    return bits


def analyse(circuit: IntegerCircuit, schedule: Schedule, leaves: Leaves | None = None) -> Analysis:
    """Bound every value of a schedule, step by step; `leaves` keeps what both schedules of a circuit need."""
    state = _Analysis(circuit, {} if leaves is None else leaves, schedule.keep)
    for index, step in enumerate(schedule.steps):
        state.run(step)
        for value in schedule.frees[index]:
            del state.spans[value]
    return Analysis(state.accumulator, state.context_sum, state.exponents, state.loss, state.truncated)


class _Mix:
    """Hold one matrix of a sum or of lists, for products with bounds, which float64 computes exactly."""

    def __init__(self, matrix: IntArray | SparseRows) -> None:
        self.rows = matrix if isinstance(matrix, SparseRows) else None
        self.dense = None if self.rows is not None else np.asarray(matrix, dtype=np.float64)

    def __call__(self, vector: IntArray) -> IntArray:
        if self.dense is not None:
            return np.asarray(self.dense @ vector).astype(np.int64)
        assert self.rows is not None
        values: IntArray | None = self.rows.values if len(self.rows.values) else None  # type: ignore[assignment]
        return arithmetic.mix_sparse(self.rows.indptr, self.rows.indices, values, vector[:, None])[:, 0]

    @cached_property
    def largest(self) -> IntArray:
        """Give the largest entry of every column."""
        if self.dense is not None:
            return np.asarray(self.dense.max(axis=0)).astype(np.int64)
        assert self.rows is not None
        largest = np.zeros(self.rows.columns, dtype=np.int64)
        values = self.rows.values if len(self.rows.values) else np.ones(len(self.rows.indices), dtype=np.int64)
        np.maximum.at(largest, self.rows.indices, values.astype(np.int64))
        return largest

    def extra(self, more: IntArray, live: NDArray[np.bool_]) -> IntArray | int:
        """Bound what some live entry adds to every row, when it is higher than its least by `more`."""
        if self.dense is None or not self.reaches or not live.any():
            return 0
        terms = self.dense * more
        return np.asarray((terms if live.all() else terms[:, live]).min(axis=1)).astype(np.int64)

    @cached_property
    def reaches(self) -> bool:
        """Tell whether some row weighs every column."""
        return self.dense is not None and bool((self.dense > 0).all(axis=1).any())


class _Analysis:
    """Hold the bounds while the steps go by."""

    def __init__(self, circuit: IntegerCircuit, leaves: Leaves, keep: bool) -> None:
        self.circuit = circuit
        #: whether entries may be possible without a value (docs/arithmetic.md, section Tails)
        self.keep = keep
        self.bits = circuit.state_bits
        self.full = (1 << self.bits) - 1
        self.half = 1 << (self.bits - 1)
        self.spans: dict[int, Span] = {}
        self.leaves = leaves
        self.mixes: dict[tuple[int, bool], _Mix] = {}
        self.accumulator = 0
        self.context_sum = 0
        self.exponents = (0, 0)
        self.loss = 0.0
        self.truncated = 0

    def run(self, step: Step) -> None:
        if isinstance(step, Interval):
            context = self.view(step.source)
            self.context_sum = max(self.context_sum, int(context.high.sum()))
            self.loss += context.loss
            return
        span = self.compute(step)
        self.exponents = min(self.exponents[0], span.exponents[0]), max(self.exponents[1], span.exponents[1])
        self.spans[step.target] = span

    def compute(self, step: Computed) -> Span:
        match step:
            case Init():
                ones = np.full(step.units, self.half, dtype=np.int64)
                return Span(ones, ones, (1 - self.bits, 1 - self.bits), self.half, True, 0.0)
            case Leaf():
                return self.leaf(step.layer, step.revive)
            case Align(sources=(first, second)):
                return self.align(self.view(first), self.view(second))
            case Multiply(sources=(first, second)):
                return self.multiply(step, self.view(first), self.view(second))
            case ListSum():
                return self.mixed(step, _Mix(step.lists), 0)
            case Up() | Down():
                return self.mixed(step, self.weights(step), self.circuit.weight_bits)
            case _:
                assert_never(step)

    def mixed(self, step: Up | Down | ListSum, mix: _Mix, fall: int) -> Span:
        """Bound the sums of a source's entries, whose exponent falls by `fall`."""
        given = self.view(step.source)
        first = self.values(given)
        down, up = first.exponents
        sums = Span(mix(first.low), mix(first.high), (down - fall, up - fall), 0, False, first.loss)
        live = first.high > 0
        if first.top:
            sums = replace(sums, low=sums.low + mix.extra(np.maximum(first.top - first.low, 0), live))
        if self.keep:
            sums = self.possible(step, mix, sums, given)
        # The largest source entry meets at least the largest weight of its column.
        top = first.top * int(mix.largest[live].min()) if live.any() else 0
        return self.normalise(replace(sums, top=max(top, int(sums.low.max(initial=0)))), step.revive)

    def values(self, span: Span) -> Span:
        """Bound what mantissas weigh: in a likelihood with tails 1 weighs nothing."""
        if not self.keep:
            return span
        low, high = tails.live(span.low), tails.live(span.high)
        return replace(span, low=low, high=high, top=span.top if span.top > 1 else 0)

    def possible(self, step: Up | Down | ListSum, mix: _Mix, sums: Span, given: Span) -> Span:
        """Add to sums what dropped weights give, and which entries are possible."""
        low, high = sums.low, sums.high
        sure, some = (given.low > 0).astype(np.int64), (given.high > 0).astype(np.int64)
        if not self.circuit.has_tails(step.layer):
            return replace(sums, low=np.maximum(low, mix(sure) > 0), high=np.maximum(high, mix(some) > 0))
        assert mix.dense is not None
        zeros = mix.dense == 0
        more = [tails.live(bound) >> tails.WEIGHT_TAIL_BITS for bound in (given.low, given.high)]
        low, high = (
            bound + (zeros @ dropped).astype(np.int64) for bound, dropped in zip((low, high), more, strict=True)
        )
        certain = given.top > 0 or bool(sure.any())
        return replace(sums, low=np.maximum(low, certain), high=np.maximum(high, bool(some.any())))

    def view(self, source: Ref) -> Span:
        span = self.spans[source.value]
        if source.units == len(span.high):
            return span
        entries = slice(source.offset, source.offset + source.units)
        low = span.low[entries]
        return replace(span, low=low, high=span.high[entries], top=int(low.max()), whole=False)

    def weights(self, step: Up | Down) -> _Mix:
        layer = self.circuit.layers[step.layer]
        assert isinstance(layer, IntegerSum)
        weights = layer.weights
        key = id(weights), isinstance(step, Down)  # layers may share their weights
        if key not in self.mixes:
            self.mixes[key] = _Mix(transposed(weights) if key[1] else weights)
        return self.mixes[key]

    def leaf(self, index: int, revive: bool) -> Span:
        """Normalise every column of a leaf table, and the one of a missing symbol: exact bounds."""
        tailed = self.keep and self.circuit.has_tails(index)
        if (index, revive, self.keep) not in self.leaves:
            layer = self.circuit.layers[index]
            assert isinstance(layer, IntegerInput)
            counts = np.concatenate([np.diff(layer.cumulative, axis=1), layer.cumulative[:, -1:]], axis=1)
            bits = self.circuit.leaf_bits
            if tailed:
                assert layer.tails is not None
                counts, bits = tails.tailed(counts, np.append(layer.tails, 0)), bits + tails.TAIL_BITS
            start = np.full(counts.shape[1], -bits, dtype=np.int64)
            mantissa, exponent = arithmetic.normalise(counts, start, self.bits, revive, self.keep)
            tops = mantissa.max(axis=0)
            dead = not counts.any(axis=0).all()
            # A revived column is not what exact arithmetic gives.
            loss = float("inf") if (revive and dead) or self.keep else 0.0
            amount = exponent[:-1] + self.circuit.leaf_bits
            cut = np.flatnonzero((amount > 0) & (tops[:-1] > 0))
            if cut.size and loss == 0:
                with np.errstate(divide="ignore", invalid="ignore"):
                    ratio = counts[:, cut] / (mantissa[:, cut] << amount[cut])
                loss = float(np.log2(ratio, where=counts[:, cut] > 0, out=np.zeros(ratio.shape)).max())
            span = Span(
                mantissa.min(axis=1), mantissa.max(axis=1), (int(exponent.min()), int(exponent.max())),
                int(tops.min()), True, loss,
            )  # fmt: skip
            bounds = span, 1 << bits
            self.leaves[index, revive, self.keep] = bounds
            if not dead:
                self.leaves[index, not revive, self.keep] = bounds
        span, count = self.leaves[index, revive, self.keep]
        self.count(span.high, count.bit_length() > self.bits)
        self.accumulator = max(self.accumulator, count)
        return span

    def multiply(self, step: Multiply, first: Span, second: Span) -> Span:
        gathers = step.gathers
        sure, some = (
            (_pick(a, gathers[0]) > 0) & (_pick(b, gathers[1]) > 0)
            for a, b in ((first.low, second.low), (first.high, second.high))
        )
        first, second = self.values(first), self.values(second)
        low = _pick(first.low, gathers[0]) * _pick(second.low, gathers[1])
        high = _pick(first.high, gathers[0]) * _pick(second.high, gathers[1])
        if self.keep:
            low, high = tails.with_possible(low, sure), tails.with_possible(high, some)
        # Where every unit of a source is read, its largest entry meets at least the least of the other.
        tops = [int(low.max(initial=0))]
        for side, (source, other) in enumerate(((first, second), (second, first))):
            if gathers[side] is None and len(source.high) == len(low):
                tops.append(source.top * int(_pick(other.low, gathers[1 - side]).min()))
        exponents = first.exponents[0] + second.exponents[0], first.exponents[1] + second.exponents[1]
        return self.normalise(Span(low, high, exponents, max(tops), False, first.loss + second.loss), step.revive)

    def normalise(self, sums: Span, revive: bool) -> Span:
        """Bound what a shift to A bits makes of accumulated entries."""
        greatest = int(sums.high.max(initial=0))
        self.accumulator = max(self.accumulator, greatest)
        # The shift grows with the largest entry, which lies between `top`, or 1, and `greatest`.
        least_shift, largest_shift = max(sums.top, 1).bit_length() - self.bits, greatest.bit_length() - self.bits
        self.count(sums.high, largest_shift > 0)
        dead = sums.top == 0
        low = sums.low >> largest_shift if largest_shift >= 0 else sums.low << -largest_shift
        if self.keep:
            low = np.where(sums.low == 1, 1, tails.kept(low, sums.low))
        high = np.minimum(sums.high >> least_shift if least_shift >= 0 else sums.high << -least_shift, self.full)
        if self.keep:
            high = tails.kept(high, sums.high)
        down, up = sums.exponents[0] + least_shift, sums.exponents[1] + largest_shift
        top = self.half
        if greatest == 0:
            down, up = sums.exponents
        if dead and revive:
            low, high = np.minimum(low, self.half), np.maximum(high, self.half)
            down, up = min(down, sums.exponents[0]), max(up, sums.exponents[1])
        elif dead:
            down, top = ZERO_EXPONENT, 0
        loss = sums.loss
        if (dead and revive) or down < ZERO_EXPONENT or self.keep:
            loss = float("inf")
        elif largest_shift > 0 and loss < float("inf"):
            loss += _truncation_loss(low[sums.high > 0])
        return Span(low, high, (max(down, ZERO_EXPONENT), max(up, ZERO_EXPONENT)), top, True, loss)

    def count(self, high: IntArray, cut: bool) -> None:
        """Count the entries that may be cut; a vector with one live unit keeps its only ratio."""
        live = int(np.count_nonzero(high))
        self.truncated += live if cut and live > 1 else 0

    def align(self, first: Span, second: Span) -> Span:
        common = tuple(max(pair) for pair in zip(first.exponents, second.exponents, strict=True))
        low, loss = [], 0.0
        for source in (first, second):
            distance = min(common[1] - source.exponents[0], EXACT_BITS)
            shifted = source.low >> distance
            low.append(tails.kept(shifted, source.low) if self.keep else shifted)
            cut = _truncation_loss(low[-1][source.high > 0]) if distance > 0 else 0.0
            loss = max(loss, source.loss + cut)
        # The vector with the greater exponent is not shifted; a zero vector has the least exponent of all.
        sure = max(first.top, second.top) > 0
        top_set = first.whole and second.whole
        top = (self.half if sure else 0) if top_set else min(first.top, second.top)
        high = np.concatenate([first.high, second.high])
        self.count(high, True)
        return Span(np.concatenate(low), high, common, top, top_set, loss)  # type: ignore[arg-type]


def _pick(vector: IntArray, gather: Gather | None) -> IntArray:
    return vector if gather is None else vector[gather]


def _truncation_loss(low: IntArray) -> float:
    """Bound what truncation takes of entries that keep at least `low`: v < m + 1 of what was m or more."""
    if not low.size:
        return 0.0
    least = int(low.min())
    return float(np.log2(1 + 1 / least)) if least else float("inf")
