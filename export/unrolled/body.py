"""The statements of an unrolled kernel: a walk over the likelihood schedule that knows every signal's range."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import assert_never

import numpy as np

from pcedge.arithmetic import ZERO_EXPONENT
from pcedge.arrays import IntArray
from pcedge.circuit.rows import dense
from pcedge.engines.reference import ReferenceEngine
from pcedge.export.unrolled.adders import ZERO, AdderGraph, plain, plain_adders, shared, width
from pcedge.export.unrolled.lookups import Lookups
from pcedge.export.unrolled.possible import Possible
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

#: C++ type of a number of bits
LENGTH = "pcedge::uint_t<F, pcedge::LENGTH_BITS>"


def write_body(engine: ReferenceEngine, adders: str) -> tuple[tuple[str, ...], Counts]:
    """Write the statements that compute a circuit's likelihood and score from the symbols `codes`.

    Args:
        engine: of the circuit.
        adders: `shared` or `plain`.

    Returns:
        The statements in order, which leave `result`, and what they are made of.
    """
    unroller = _Unroller(engine, adders)
    return unroller.body(), unroller.count()


class _Unroller:
    """Walk a schedule and append statements."""

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
        self.lines: list[str] = []
        self.vectors: dict[int, Signals] = {}
        #: equal steps make one value
        self.same: dict[object, int] = {}
        self.alias: dict[int, int] = {}
        self.products: dict[tuple[str, str], tuple[str, int]] = {}
        #: finished rows of sums, by step
        self.rows: dict[int, list[tuple[str, int]]] = {}
        self.numbers: dict[str, int] = {}
        self.adder_count = self.adder_bits = 0
        self.lookups = Lookups(self.define, self.fresh, self.lines, self.circuit.cardinalities, self.bits)

    def body(self) -> tuple[str, ...]:
        for step in self.steps:
            if not self.folded.is_table(step.target):
                self.compute(step)
        root = self.vector(self.schedule.result)
        self.lines += [
            f"result.mantissa = {self.unsigned(self.bits)}({root.names[0]});",
            f"result.exponent = F::select(result.mantissa == 0, {self.signed(32)}({ZERO_EXPONENT}), "
            f"{self.signed(32)}({self.exponent_text(root)}));",
            f"result.score = pcedge::score_of<F, {self.bits}>(result.mantissa, result.exponent);",
        ]
        return tuple(self.lines)

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

    @staticmethod
    def unsigned(bits: int) -> str:
        return f"pcedge::uint_t<F, {bits}>"

    @staticmethod
    def signed(bits: int) -> str:
        return f"pcedge::sint_t<F, {bits}>"

    def define(self, letter: str, kind: str, text: str) -> str:
        name = self.fresh(letter)
        self.lines.append(f"const {kind} {name} = {text};")
        return name

    def exponent_text(self, vector: Signals) -> str:
        """Write a vector's exponent as an expression."""
        kind = self.signed(width(min(vector.low, -1), vector.high))
        if not vector.exponent:
            return f"{kind}({vector.offset})"
        return f"{kind}({vector.exponent} + {kind}({vector.offset}))" if vector.offset else vector.exponent

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
        self.lines.append(f"// {describe(step)}")
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

    def with_possible(
        self, rows: list[tuple[str, int]], least: list[int], some: list[str]
    ) -> tuple[list[tuple[str, int]], list[int]]:
        """Make rows that are zero and possible 1; give rows and their least values."""
        made = [self.possible.row(row, low, bit) for row, low, bit in zip(rows, least, some, strict=True)]
        return made, [max(low, int(bit == "true")) for low, bit in zip(least, some, strict=True)]

    def product(self, a: tuple[str, int], b: tuple[str, int]) -> tuple[str, int]:
        """Multiply two entries; equal products are made once."""
        key = (min(a[0], b[0]), max(a[0], b[0]))
        if key not in self.products:
            kind = self.unsigned(2 * self.bits)
            self.products[key] = (self.define("p", kind, f"{kind}({a[0]} * {b[0]})"), a[1] * b[1])
        return self.products[key]

    def add_exponents(self, a: Signals, b: Signals) -> tuple[str, int, int, int]:
        low, high = a.low + b.low, a.high + b.high
        offset = a.offset + b.offset
        if a.exponent and b.exponent:
            kind = self.signed(width(min(low - offset, -1), high - offset))
            return self.define("e", kind, f"{kind}({a.exponent} + {b.exponent})"), offset, low, high
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

    def sums(self, matrix: IntArray, source: Signals) -> list[tuple[str, int]]:
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

    def write_graph(
        self, graph: AdderGraph, names: list[str], top: list[int], matrix: IntArray
    ) -> list[tuple[str, int]]:
        nodes = list(names)
        spans = graph.ranges(top)

        def operand(node: int, bits: int) -> str:
            if node == ZERO:
                return f"{self.unsigned(bits)}(0)"
            # Said aloud: the adder takes a negative operand modulo 2^bits.
            return f"{self.unsigned(bits)}({nodes[node]})" if spans[node][0] < 0 else nodes[node]

        for add, (low, high) in zip(graph.adds, spans[graph.inputs :], strict=True):
            bits = width(low, high)
            verb = ("signed_" if low < 0 else "") + ("minus" if add.subtract else "plus")
            first, second = operand(add.a, bits), operand(add.b, bits)
            call = f"pcedge::{verb}<F, {bits}>({first}, {add.shift_a}, {second}, {add.shift_b})"
            nodes.append(self.define("a", (self.signed if low < 0 else self.unsigned)(bits), call))
        rows = []
        for (node, shift), weights in zip(graph.outputs, matrix.tolist(), strict=True):
            largest = sum(w * v for w, v in zip(weights, top, strict=True))
            kind = self.unsigned(max(1, largest.bit_length()))
            if node == ZERO:
                rows.append((f"{kind}(0)", largest))
            elif shift == 0:
                rows.append((nodes[node], largest))
            else:
                moved = f"{nodes[node]} >> {-shift}" if shift < 0 else f"{kind}({nodes[node]}) << {shift}"
                rows.append((self.define("s", kind, f"{kind}({moved})"), largest))
        return rows

    def align(self, step: Align) -> Signals:
        views = [self.view(ref) for ref in step.sources]
        low, high = min(view.low for view in views), max(view.high for view in views)
        kind = self.signed(width(min(low, -1), high))
        exponents = []
        for view in views:
            text = f"{kind}({self.exponent_text(view)})"
            if view.may_be_zero:
                # The exponent of nothing must not be the greater one.
                text = f"F::select({self.zero(view)}, {kind}({low}), {text})"
            exponents.append(self.define("e", kind, text))
        common = self.define("e", kind, f"F::select({exponents[0]} < {exponents[1]}, {exponents[1]}, {exponents[0]})")
        names: list[str] = []
        bits = width(min(low, -1), high)
        for view, exponent in zip(views, exponents, strict=True):
            gap = self.define("g", LENGTH, f"pcedge::alignment<F, {bits}, {self.bits}>({exponent}, {common})")
            entry = self.unsigned(self.bits)
            moved = [self.define("m", entry, f"{entry}({name} >> {gap})") for name in view.names]
            if self.keep:
                moved = [self.possible.shifted(*pair, 2, None, True) for pair in zip(view.names, moved, strict=True)]
            names += moved
        tops = views[0].top + views[1].top
        least = tuple(min(value, int(self.keep)) for value in views[0].least + views[1].least)
        zero, peak = all(view.may_be_zero for view in views), all(view.peak for view in views)
        return Signals(tuple(names), tops, least, common, 0, low, high, zero, peak)

    def zero(self, view: Signals) -> str:
        """Name the bit that tells whether all entries of a vector are zero."""
        text = " | ".join(dict.fromkeys(view.names))
        return self.define("z", "F::bit", f"({text}) == 0")

    def normalise(
        self, rows: list[tuple[str, int]], least: list[int], bound: int, zero: bool, exponent: tuple[str, int, int, int]
    ) -> Signals:
        """Shift a vector to its mantissas; `bound` is the least that its largest entry can be, unless all are zero."""
        bits = self.bits
        long, short = (max(1, largest.bit_length()) for largest in (max(top for _, top in rows), bound))
        zero = zero or bound == 0
        name, offset, low, high = exponent
        offset, low, high = offset + short - bits, low + short - bits, high + long - bits
        wide = self.unsigned(long)
        excess = f"{LENGTH}(0)"
        if short < long:
            different = list(dict.fromkeys(row for row, _ in rows))
            union = different[0]
            if len(different) > 1:
                union = self.define("o", wide, f"{wide}({' | '.join(different)})")
            excess = self.define("x", LENGTH, f"pcedge::excess_length<F, {long}, {short}>({union})")
            kind = self.signed(width(min(low - offset, -1), max(high - offset, long - short)))
            name = self.define("e", kind, f"{kind}({f'{name} + ' if name else ''}{kind}({excess}))")
        mantissas: dict[str, str] = {}
        beside = "" if short > 1 else None if long == 1 else f" & ({excess} != 0)"
        for (row, _), floor in zip(rows, least, strict=True):
            if row not in mantissas:
                text = f"pcedge::scale_entry<F, {long}, {short}, {bits}>({row}, {excess})"
                moved = self.define("m", self.unsigned(bits), text)
                kept = self.possible.shifted(row, moved, floor, beside, long > bits) if self.keep else moved
                mantissas[row] = kept
        alone = len(rows) == 1 and not zero
        floors = [1 << (bits - 1)] if alone else [value >> max(0, long - bits) for value in least]
        if self.keep:
            floors = [max(floor, min(value, 1)) for floor, value in zip(floors, least, strict=True)]
        names = tuple(mantissas[row] for row, _ in rows)
        return Signals(names, ((1 << bits) - 1,) * len(rows), tuple(floors), name, offset, low, high, zero)
