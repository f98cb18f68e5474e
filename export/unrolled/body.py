"""The statements of an unrolled kernel: a walk over the likelihood schedule that knows every signal's range."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import assert_never

import numpy as np

from pcedge.arrays import IntArray
from pcedge.circuit.rows import dense
from pcedge.engines.reference import ReferenceEngine
from pcedge.export.unrolled import operations as ops
from pcedge.export.unrolled.adders import ZERO, AdderGraph, plain, plain_adders, shared, width
from pcedge.export.unrolled.lookups import Lookups
from pcedge.export.unrolled.possible import Possible, Row
from pcedge.export.unrolled.signals import Counts, Signals
from pcedge.export.unrolled.tables import FoldedTables
from pcedge.integer.circuit import IntegerSum
from pcedge.schedule.steps import (
    Align,
    Computed,
    Down,
    Init,
    Interval,
    Leaf,
    ListSum,
    Multiply,
    Ref,
    Up,
    describe,
)  # fmt: skip
from pcedge.tails import WEIGHT_TAIL_BITS


def write_body(engine: ReferenceEngine, adders: str) -> tuple[tuple[ops.Statement, ...], ops.Result, Counts]:
    """Make the signals of a circuit's likelihood, each from the symbols and from signals before it.

    Args:
        engine: of the circuit.
        adders: `shared` or `plain`.

    Returns:
        The signals in order, the root, and what they are made of.
    """
    unroller = _Unroller(engine, adders)
    result = unroller.body()
    return tuple(unroller.statements), result, unroller.count()


def signed(low: int, high: int) -> ops.Kind:
    """Give the kind of an exponent in low..high."""
    return ops.Kind(width(min(low, -1), high), True)


class _Unroller:
    """Walk a schedule and append signals."""

    def __init__(self, engine: ReferenceEngine, adders: str) -> None:
        self.circuit = engine.circuit
        self.bits = self.circuit.state_bits
        self.schedule = engine.program.likelihood
        self.keep = self.schedule.keep
        self.possible = Possible(self.define, self.bits)
        #: a likelihood has no intervals
        self.steps = [step for step in self.schedule.steps if not isinstance(step, Interval)]
        self.adders = adders
        self.folded = FoldedTables(engine, self.schedule)
        self.statements: list[ops.Statement] = []
        self.vectors: dict[int, Signals] = {}
        #: equal steps make one value
        self.same: dict[object, int] = {}
        self.alias: dict[int, int] = {}
        self.products: dict[frozenset[ops.Operand], Row] = {}
        #: finished rows of sums, by step
        self.rows: dict[int, list[Row]] = {}
        self.numbers: dict[str, int] = {}
        self.adder_count = self.adder_bits = 0
        self.lookups = Lookups(self.define, self.fresh, self.circuit.cardinalities, self.bits)

    def body(self) -> ops.Result:
        for step in self.steps:
            if not self.folded.is_table(step.target):
                self.compute(step)
        root = self.vector(self.schedule.result)
        return ops.Result(root.names[0], self.exponent_of(root))

    def count(self) -> Counts:
        matrices = {step.target: self.matrix(step) for step in self.steps if isinstance(step, Up)}
        weights = [matrix[(matrix & (matrix - 1)) != 0] for matrix in matrices.values()]
        return Counts(
            plain_multiplications=sum(len(entries) for entries in weights),
            plain_adders=sum(plain_adders(matrix) for matrix in matrices.values()),
            plain_products=sum(step.units for step in self.steps if isinstance(step, Multiply)),
            left_adders=sum(plain_adders(m) for value, m in matrices.items() if not self.folded.is_table(value)),
            adders=self.adder_count, adder_bits=self.adder_bits, multipliers=len(self.products),
            tables=len(self.lookups.tables), table_bits=self.lookups.table_bits,
        )  # fmt: skip

    def fresh(self, letter: str) -> str:
        number = self.numbers.get(letter, 0)
        self.numbers[letter] = number + 1
        return f"{letter}{number}"

    def define(self, letter: str, kind: ops.Kind, operation: ops.Operation) -> str:
        name = self.fresh(letter)
        self.statements.append(ops.Signal(name, kind, operation))
        return name

    @staticmethod
    def exponent_of(vector: Signals) -> ops.Exponent:
        """Give a vector's exponent."""
        return ops.Exponent(vector.exponent, vector.offset, signed(vector.low, vector.high))

    def vector(self, value: int) -> Signals:
        value = self.alias.get(value, value)
        if value not in self.vectors:
            self.vectors[value] = self.lookups.read(self.folded.table(value))
        return self.vectors[value]

    def view(self, ref: Ref) -> Signals:
        """Give the part of a vector that a step reads."""
        vector = self.vector(ref.value)
        units = slice(ref.offset, ref.offset + ref.units)
        if len(vector.names[units]) == len(vector.names):
            return vector
        return replace(
            vector, names=vector.names[units], top=vector.top[units], least=vector.least[units],
            may_be_zero=not any(vector.least[units]), peak=False,
        )  # fmt: skip

    def key(self, step: Computed) -> object:
        sources = tuple((self.alias.get(r.value, r.value), r.offset, r.units) for r in step.sources)
        gathers: tuple[bytes | None, ...] = ()
        if isinstance(step, Multiply):
            gathers = tuple(None if gather is None else gather.tobytes() for gather in step.gathers)
        return step.op, sources, gathers, step.layer if isinstance(step, Up) else -1

    def compute(self, step: Computed) -> None:
        first = self.same.setdefault(self.key(step), step.target)
        if first != step.target:
            self.alias[step.target] = first
            return
        self.statements.append(ops.Remark(describe(step)))
        match step:
            case Multiply():
                self.vectors[step.target] = self.multiply(step)
            case Align():
                self.vectors[step.target] = self.align(step)
            case Up():
                self.vectors[step.target] = self.mix(step)
            case Init() | Leaf() | Down() | ListSum():
                # The likelihood has no context, and a leaf is always a table.
                raise AssertionError(describe(step))
            case _:
                assert_never(step)

    def multiply(self, step: Multiply) -> Signals:
        views = [self.view(ref) for ref in step.sources]
        indices = [(np.arange(step.units) if gather is None else gather).tolist() for gather in step.gathers]
        pairs = list(zip(*indices, strict=True))
        a, b = [self.possible.live(view) for view in views] if self.keep else views
        rows = [self.product((a.names[i], a.top[i]), (b.names[j], b.top[j])) for i, j in pairs]
        least = [a.least[i] * b.least[j] for i, j in pairs]
        if self.keep:
            rows, least = self.with_possible(rows, least, [
                self.possible.some([(view.names[k], view.least[k]) for view, k in zip(views, pair, strict=True)], True)
                for pair in pairs
            ])  # fmt: skip
        bound = max(least)
        # Some entry of a has its first bit set: then the products of that entry are at least half of b's.
        for view, other, index, elsewhere in ((a, b, *indices), (b, a, *reversed(indices))):
            if view.peak:
                reach = [0] * len(view.names)
                for i, j in zip(index, elsewhere, strict=True):
                    reach[i] = max(reach[i], other.least[j])
                bound = max(bound, min(reach) << (self.bits - 1))
        if all(view.peak and len(view.names) == 1 for view in views):
            bound = max(bound, 1 << (2 * self.bits - 2))
        exponent, offset, low, high = self.add_exponents(a, b)
        zero = a.may_be_zero or b.may_be_zero
        return self.normalise(rows, least, bound, zero, (exponent, offset, low, high))

    def with_possible(self, rows: list[Row], least: list[int], some: list[ops.Operand]) -> tuple[list[Row], list[int]]:
        """Make rows that are zero and possible 1; give rows and their least values."""
        made = [self.possible.row(row, low, bit) for row, low, bit in zip(rows, least, some, strict=True)]
        return made, [max(low, int(bit is ops.TRUE)) for low, bit in zip(least, some, strict=True)]

    def product(self, a: Row, b: Row) -> Row:
        """Multiply two entries; equal products are made once."""
        key = frozenset((a[0], b[0]))
        if key not in self.products:
            self.products[key] = (self.define("p", ops.Kind(2 * self.bits), ops.Product(a[0], b[0])), a[1] * b[1])
        return self.products[key]

    def add_exponents(self, a: Signals, b: Signals) -> tuple[str, int, int, int]:
        low, high = a.low + b.low, a.high + b.high
        offset = a.offset + b.offset
        if a.exponent and b.exponent:
            kind = signed(low - offset, high - offset)
            return self.define("e", kind, ops.Plus(a.exponent, b.exponent)), offset, low, high
        return a.exponent or b.exponent, offset, low, high

    def matrix(self, step: Up) -> IntArray:
        """Give what UP multiplies by, (units, source units); with tails (units, twice the source units)."""
        layer = self.circuit.layers[step.layer]
        assert isinstance(layer, IntegerSum)
        matrix = np.asarray(dense(layer.weights), dtype=np.int64)
        # Behind it the matrix of its zeros, by which dropped weights count.
        return np.concatenate([matrix, (matrix == 0).astype(np.int64)], axis=1) if layer.tails else matrix

    @cached_property
    def together(self) -> dict[object, list[Up]]:
        """Put steps that mix the same vector together: their rows are one matrix."""
        groups: dict[object, list[Up]] = {}
        for step in self.steps:
            if isinstance(step, Up) and not self.folded.is_table(step.target):
                groups.setdefault(self.mixed_by(step), []).append(step)
        return groups

    def mixed_by(self, step: Up) -> object:
        """Tell apart what steps mix: a vector, and whether dropped weights count."""
        return step.source, self.circuit.has_tails(step.layer)

    def mix(self, step: Up) -> Signals:
        given = self.view(step.source)
        source = self.possible.live(given) if self.keep else given
        matrix = self.matrix(step)
        tails = self.circuit.has_tails(step.layer)
        if tails:
            names, tops = self.possible.dropped(source)
            source = replace(
                source, names=source.names + names, top=source.top + tops,
                least=source.least + tuple(value >> WEIGHT_TAIL_BITS for value in source.least),
            )  # fmt: skip
        if step.target not in self.rows:
            group = self.together[self.mixed_by(step)]
            rows = self.sums(np.concatenate([self.matrix(one) for one in group]), source)
            for one in group:
                self.rows[one.target], rows = rows[: one.units], rows[one.units :]
        least = [sum(w * v for w, v in zip(row, source.least, strict=True)) for row in matrix.tolist()]
        rows = self.rows[step.target]
        if self.keep:
            entries = list(zip(given.names, given.least, strict=True))
            ways = [
                self.possible.some(entry for entry, w in zip(entries, row, strict=False) if w or tails)
                for row in matrix.tolist()
            ]
            rows, least = self.with_possible(rows, least, ways)
        bound = max(least)
        if source.peak and not tails:
            bound = max(bound, int(matrix.max(axis=0).min()) << (self.bits - 1))
        fall = self.circuit.weight_bits
        exponent = (source.exponent, source.offset - fall, source.low - fall, source.high - fall)
        return self.normalise(rows, least, bound, source.may_be_zero, exponent)

    def sums(self, matrix: IntArray, source: Signals) -> list[Row]:
        """Write the adders of a matrix; give the rows' names and greatest values."""
        # Entries of one name are one input: their weights add up.
        names = list(dict.fromkeys(source.names))
        merged = np.zeros((len(matrix), len(names)), dtype=np.int64)
        for column, name in enumerate(source.names):
            merged[:, names.index(name)] += matrix[:, column]
        top = [source.top[source.names.index(name)] for name in names]
        graph = plain(merged) if self.adders == "plain" else shared(merged, top)
        if (graph.matrix() != merged).any():
            raise AssertionError("an adder graph must multiply by its matrix")
        self.adder_count += len(graph.adds)
        self.adder_bits += graph.bits(top)
        return self.write_graph(graph, names, top, merged)

    def write_graph(self, graph: AdderGraph, names: list[ops.Operand], top: list[int], matrix: IntArray) -> list[Row]:
        nodes = list(names)
        spans = graph.ranges(top)
        for add, (low, high) in zip(graph.adds, spans[graph.inputs :], strict=True):
            kind = ops.Kind(width(low, high), low < 0)
            first, second = (
                ops.Constant(0, ops.Kind(kind.bits)) if node == ZERO else nodes[node] for node in (add.a, add.b)
            )
            minus = [node != ZERO and spans[node][0] < 0 for node in (add.a, add.b)]
            added = ops.ShiftAdd(first, add.shift_a, minus[0], second, add.shift_b, minus[1], add.subtract)
            nodes.append(self.define("a", kind, added))
        rows: list[Row] = []
        for (node, shift), weights in zip(graph.outputs, matrix.tolist(), strict=True):
            largest = sum(w * v for w, v in zip(weights, top, strict=True))
            kind = ops.Kind(max(1, largest.bit_length()))
            if node == ZERO:
                rows.append((ops.Constant(0, kind), largest))
            elif shift == 0:
                rows.append((nodes[node], largest))
            else:
                rows.append((self.define("s", kind, ops.Shifted(nodes[node], shift)), largest))
        return rows

    def align(self, step: Align) -> Signals:
        views = [self.view(ref) for ref in step.sources]
        low, high = min(view.low for view in views), max(view.high for view in views)
        kind = signed(low, high)
        exponents = []
        for view in views:
            # The exponent of nothing must not be the greater one.
            nothing = self.zero(view) if view.may_be_zero else None
            exponents.append(self.define("e", kind, ops.Ranked(self.exponent_of(view), nothing, low)))
        common = self.define("e", kind, ops.Larger(*exponents))
        names: list[ops.Operand] = []
        for view, exponent in zip(views, exponents, strict=True):
            gap = self.define("g", ops.LENGTH, ops.Gap(exponent, common, kind.bits))
            moved: list[ops.Operand] = [
                self.define("m", ops.Kind(self.bits), ops.Right(name, gap)) for name in view.names
            ]
            if self.keep:
                entries = zip(view.names, moved, view.least, strict=True)
                moved = [self.possible.shifted(*entry, None, True) for entry in entries]
            names += moved
        tops = views[0].top + views[1].top
        least = tuple(min(value, int(self.keep)) for value in views[0].least + views[1].least)
        zero, peak = all(view.may_be_zero for view in views), all(view.peak for view in views)
        return Signals(tuple(names), tops, least, common, 0, low, high, zero, peak)

    def zero(self, view: Signals) -> str:
        """Name the bit that tells whether all entries of a vector are zero."""
        return self.define("z", ops.BIT, ops.Tell("none", tuple(dict.fromkeys(view.names))))

    def normalise(
        self, rows: list[Row], least: list[int], bound: int, zero: bool, exponent: tuple[str, int, int, int]
    ) -> Signals:
        """Shift a vector to its mantissas; `bound` is the least that its largest entry can be, unless all are zero."""
        bits = self.bits
        long, short = (max(1, largest.bit_length()) for largest in (max(top for _, top in rows), bound))
        zero = zero or bound == 0
        name, offset, low, high = exponent
        offset, low, high = offset + short - bits, low + short - bits, high + long - bits
        excess: ops.Operand = ops.Constant(0, ops.LENGTH)
        if short < long:
            different = tuple(dict.fromkeys(row for row, _ in rows))
            union = different[0]
            if len(different) > 1:
                union = self.define("o", ops.Kind(long), ops.Union(different))
            excess = self.define("x", ops.LENGTH, ops.Excess(union, long, short))
            kind = signed(low - offset, max(high - offset, long - short))
            name = self.define("e", kind, ops.Plus(name, excess, cast=True))
        mantissas: dict[ops.Operand, ops.Operand] = {}
        beside = ops.TRUE if short > 1 else None if long == 1 else excess
        for (row, _), floor in zip(rows, least, strict=True):
            if row not in mantissas:
                moved: ops.Operand = self.define("m", ops.Kind(bits), ops.Scaled(row, excess, long, short))
                # A shift by as much as it may be leaves something of a row that is large enough.
                cut = floor >> max(0, long - bits) == 0
                mantissas[row] = self.possible.shifted(row, moved, floor, beside, cut) if self.keep else moved
        alone = len(rows) == 1 and not zero
        floors = [1 << (bits - 1)] if alone else [value >> max(0, long - bits) for value in least]
        if self.keep:
            floors = [max(floor, min(value, 1)) for floor, value in zip(floors, least, strict=True)]
        names = tuple(mantissas[row] for row, _ in rows)
        return Signals(names, ((1 << bits) - 1,) * len(rows), tuple(floors), name, offset, low, high, zero)
