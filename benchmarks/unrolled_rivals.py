"""Unrolled likelihoods of float circuits in float32 and in logarithms, as cells of the same pipelines as ours.

Both know that probabilities have no sign. `Float32` multiplies and adds as IEEE 754 does, rounding to nearest, but
makes 0 of what is below the normal numbers; `LogNumbers` holds log2 in two's complement, and adds by a table of
log2(1 + 2^-d) with a line between its entries. Values that few symbols decide are tables, as in our kernels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import ceil, log2

import numpy as np

from pcedge.arrays import FloatArray
from pcedge.circuit import Circuit, ProductLayer, SumLayer
from pcedge.circuit.inference import inside
from pcedge.export.unrolled.cells import LEVEL, MULTIPLIER, SPREAD, Cell, chain, levels, read_constant
from pcedge.export.unrolled.lowering import SMALL_TABLE, used
from pcedge.export.unrolled.tables import ADDRESS_BITS, code_bits, symbol_of

#: a leaf's probability of 0, as a logarithm
FLOOR = -100.0

#: steps of a whole in a table of logarithms, as a power of two, and more bits of its slopes
STEP_BITS, SLOPE_BITS = 6, 2


class Numbers(ABC):
    """Make cells of one number format."""

    #: bits of a number
    bits: int
    signed = False

    def __init__(self) -> None:
        """Start with no cell."""
        self.cells: list[Cell] = []

    def add_cell(
        self, letter: str, bits: int, text: str, operands: Sequence[str], delay: float, *, signed: bool = False,
        entries: tuple[int, ...] = (),
    ) -> str:  # fmt: skip
        """Append a cell; give its name."""
        name = f"{letter}{len(self.cells)}"
        self.cells.append(Cell(name, bits, signed, text, tuple(operands), delay, entries))
        return name

    def constant(self, value: float) -> str:
        """Make a number that no record changes; `value` is its log2."""
        return self.add_cell("k", self.bits, f"{self.bits}'d{self.code(value)}", [], 0.0, signed=self.signed)

    @abstractmethod
    def code(self, value: float) -> int:
        """Give the bits of a number of which `value` is log2."""

    @abstractmethod
    def multiply(self, a: str, b: str) -> str:
        """Multiply two numbers."""

    @abstractmethod
    def add(self, a: str, b: str) -> str:
        """Add two numbers."""

    @abstractmethod
    def log2(self, words: FloatArray) -> FloatArray:
        """Give log2 of results, from their bits."""


class Float32(Numbers):
    """Hold float32 without the sign: 8 bits of exponent, 23 of mantissa."""

    bits = 31

    def code(self, value: float) -> int:
        """Round to nearest; below the normal numbers is 0."""
        number = np.float32(2.0**value)
        return int(number.view(np.uint32)) if number >= np.float32(2.0**-126) else 0

    def log2(self, words: FloatArray) -> FloatArray:
        """Read the bits."""
        with np.errstate(divide="ignore"):
            return np.log2(words.astype(np.uint32).view(np.float32).astype(np.float64))

    def multiply(self, a: str, b: str) -> str:
        """Multiply by four multipliers of 18 x 18, normalise by one bit, round."""
        cell, both = self.add_cell, [a, b]
        low = {"a": "18'(@0)", "b": "18'(@1)"}
        high = {"a": "{1'b1, @0[22:18]}", "b": "{1'b1, @1[22:18]}"}
        ll = cell("ll", 36, f"36'({low['a']}) * 36'({low['b']})", both, MULTIPLIER)
        lh = cell("lh", 24, f"24'({low['a']}) * 24'({high['b']})", both, MULTIPLIER)
        hl = cell("hl", 24, f"24'({high['a']}) * 24'({low['b']})", both, MULTIPLIER)
        hh = cell("hh", 12, f"12'({high['a']}) * 12'({high['b']})", both, MULTIPLIER)
        mid = cell("mid", 25, "25'(@0) + 25'(@1)", [lh, hl], chain(25))
        product = cell("pr", 48, "{@0, @1} + (48'(@2) << 18)", [hh, ll, mid], chain(30))
        total = cell("se", 10, "10'(@0[30:23]) + 10'(@1[30:23])", both, chain(10))
        zero = cell("sz", 1, "@0[30:23] == 0 || @1[30:23] == 0", both, levels(16))
        kept = cell("pm", 24, "@0[47] ? @0[46:23] : @0[45:22]", [product], LEVEL + SPREAD)
        rest = cell("ps", 1, "(|@0[21:0]) || (@0[47] && @0[22])", [product], levels(24))
        # The last of the 24 bits is the guard; half is rounded to even.
        rounded = cell("pu", 24, "24'(@0[23:1]) + 24'(@0[0] && (@1 || @0[1]))", [kept, rest], chain(24) + LEVEL)
        power = cell(
            "px", 11, "11'(@0) + 11'(@1[47]) + 11'(@2[23]) - 11'sd127", [total, product, rounded], chain(11) + LEVEL,
            signed=True,
        )  # fmt: skip
        none = cell("pz", 1, "@0 || @1 <= 11'sd0", [zero, power], levels(12))
        return cell("f", 31, "@0 ? 31'd0 : {@1[7:0], @2[22:0]}", [none, power, rounded], LEVEL + SPREAD)

    def add(self, a: str, b: str) -> str:
        """Shift the smaller one, add, normalise by one bit, round."""
        cell, both = self.add_cell, [a, b]
        less = cell("lt", 1, "@0 < @1", both, chain(31))
        big = cell("bg", 31, "@2 ? @1 : @0", [*both, less], LEVEL + SPREAD)
        small = cell("sm", 31, "@2 ? @0 : @1", [*both, less], LEVEL + SPREAD)
        gap = cell("gp", 8, "@0[30:23] - @1[30:23]", [big, small], chain(8))
        far = cell("fr", 1, "@0 > 8'd26", [gap], levels(8))
        there = cell("th", 1, "@0[30:23] != 0", [small], levels(8))
        coarse = cell(
            "co", 50, "@2 && !@3 ? {1'b1, @0[22:0], 26'd0} >> {@1[4:2], 2'b00} : 50'd0", [small, gap, there, far],
            levels(16) + SPREAD,
        )  # fmt: skip
        fine = cell("fi", 50, "@0 >> @1[1:0]", [coarse, gap], LEVEL + SPREAD)
        lost = cell("lo", 1, "(|@0[23:0]) || (@1 && @2)", [fine, far, there], levels(26))
        total = cell("to", 28, "28'({1'b1, @0[22:0], 3'd0}) + 28'({@1[49:24], @2})", [big, fine, lost], chain(28))
        kept = cell("am", 24, "@0[27] ? @0[26:3] : @0[25:2]", [total], LEVEL + SPREAD)
        rest = cell("as", 1, "(|@0[1:0]) || (@0[27] && @0[2])", [total], LEVEL)
        rounded = cell("au", 24, "24'(@0[23:1]) + 24'(@0[0] && (@1 || @0[1]))", [kept, rest], chain(24) + LEVEL)
        power = cell("ax", 8, "@0[30:23] + 8'(@1[27]) + 8'(@2[23])", [big, total, rounded], chain(8) + LEVEL)
        some = cell("az", 1, "@0[30:23] != 0", [big], levels(8))
        return cell("f", 31, "@0 ? {@1, @2[22:0]} : 31'd0", [some, power, rounded], LEVEL + SPREAD)


class LogNumbers(Numbers):
    """Hold log2 of a number in two's complement."""

    signed = True

    def __init__(self, bits: int, least: float) -> None:
        """Take as few bits for whole numbers as reach `least`; the others are the fraction."""
        super().__init__()
        self.bits = bits
        self.fraction = bits - 1 - ceil(log2(-least + 2))

    def code(self, value: float) -> int:
        """Round to nearest."""
        return round(value * 2**self.fraction) & ((1 << self.bits) - 1)

    def log2(self, words: FloatArray) -> FloatArray:
        """Read the bits."""
        low = words.astype(np.int64) & ((1 << self.bits) - 1)
        return (low - ((low >> (self.bits - 1)) << self.bits)) / 2.0**self.fraction

    def multiply(self, a: str, b: str) -> str:
        """Add the logarithms."""
        return self.add_cell("l", self.bits, "@0 + @1", [a, b], chain(self.bits), signed=True)

    def add(self, a: str, b: str) -> str:
        """Add log2(1 + 2^-d) to the greater logarithm, d being their distance."""
        cell, bits, fraction = self.add_cell, self.bits, self.fraction
        wide = bits + 1
        gap = cell("gp", wide, f"{wide}'(@0) - {wide}'(@1)", [a, b], chain(wide), signed=True)
        big = cell("bg", bits, f"@2[{bits}] ? @1 : @0", [a, b, gap], LEVEL + SPREAD, signed=True)
        turned = f"@0[{bits}] ? {bits}'(-@0) : {bits}'(@0)"
        size = cell("sz", bits, turned, [gap], chain(wide))
        whole = ceil(log2(fraction + 2))  # beyond 2^whole the table would hold zeros
        far = cell("fr", 1, f"(@0 >> {fraction + whole}) != 0", [size], levels(bits - fraction - whole))
        below = fraction - STEP_BITS
        place = cell("pl", whole + STEP_BITS, f"{whole + STEP_BITS}'(@0 >> {below})", [size], 0.0)
        ends = np.log2(1 + 2.0 ** -(np.arange((1 << (whole + STEP_BITS)) + 1) / 2**STEP_BITS))
        values = np.round(ends * 2**fraction).astype(np.int64)
        slopes = np.round((ends[:-1] - ends[1:]) * 2 ** (fraction + SLOPE_BITS)).astype(np.int64)
        slope_bits = int(slopes.max()).bit_length()
        value = cell("tv", fraction + 1, "", [place], 0.0, entries=tuple(values[:-1].tolist()))
        slope = cell("ts", slope_bits, "", [place], 0.0, entries=tuple(slopes.tolist()))
        rest = cell("rs", below, f"{below}'(@0)", [size], 0.0)
        steep = slope_bits + below
        fall = cell("fl", steep, f"{steep}'(@0) * {steep}'(@1)", [slope, rest], MULTIPLIER)
        line = cell(
            "ln", fraction + 1, f"@0 - {fraction + 1}'(@1 >> {below + SLOPE_BITS})", [value, fall], chain(fraction + 1)
        )
        return cell("l", bits, f"@1 ? @0 : @0 + {bits}'(@2)", [big, far, line], chain(bits) + LEVEL, signed=True)


def unroll_float(circuit: Circuit, numbers: Numbers) -> list[Cell]:
    """Give the cells of a circuit's likelihood in a number format; the output is `value`."""
    walk = _Walk(circuit, numbers)
    (root,) = walk.units(len(circuit.layers) - 1)
    numbers.cells.append(Cell("value", numbers.bits, False, "@0", (root,), 0.0))
    return used(numbers.cells, ["value"])


def least_log2(circuit: Circuit) -> float:
    """Bound the least log2 of every product from below: the sum of the least of every leaf, missing symbols aside."""
    total = 0.0
    least: dict[int, float] = {}
    for layer in circuit.layers:
        if not isinstance(layer, (ProductLayer, SumLayer)):
            lowest = float(np.log2(np.maximum(layer.table, 2.0**FLOOR)).min())
            least[layer.variable] = min(least.get(layer.variable, 0.0), lowest)
    total = sum(least.values())
    return min(total, -1.0)


class _Walk:
    """Make the cells of a circuit, layer by layer; equal operations are made once."""

    def __init__(self, circuit: Circuit, numbers: Numbers) -> None:
        self.circuit, self.numbers = circuit, numbers
        self.made: dict[object, str] = {}
        self.symbols: list[str] = []
        place = 0
        for variable, cardinality in enumerate(circuit.cardinalities):
            bits = code_bits(cardinality)
            numbers.cells.append(Cell(f"symbol_{variable}", bits, False, f"in_record[{place}+:{bits}]", (), 0.0))
            place += bits
        self.record_bits = place

    def units(self, index: int) -> list[str]:
        """Give the names of a layer's units."""
        key = ("layer", index)
        layer = self.circuit.layers[index]
        if key in self.made:
            return self.made[key].split()
        scope = [v for v in range(len(self.circuit.cardinalities)) if self.circuit.scopes[index] >> v & 1]
        if len(scope) == 1 or sum(code_bits(self.circuit.cardinalities[v]) for v in scope) <= ADDRESS_BITS:
            names = self.tables(index, scope)
        elif isinstance(layer, ProductLayer):
            children = [self.units(child) for child in layer.children]
            names = [
                self.tree("multiply", [units[u] for units, u in zip(children, row, strict=True)])
                for row in layer.gather.tolist()
            ]
        else:
            assert isinstance(layer, SumLayer)
            below = [name for child in layer.children for name in self.units(child)]
            names = [self.mixture(below, row) for row in float_entries_dense(layer)]
        self.made[key] = " ".join(names)
        return names

    def mixture(self, below: list[str], weights: FloatArray) -> str:
        terms = []
        for name, weight in zip(below, weights.tolist(), strict=True):
            if weight:
                terms.append(name if weight == 1 else self.once("multiply", name, self.weight(weight)))
        return self.tree("add", terms)

    def weight(self, weight: float) -> str:
        key = ("weight", weight)
        if key not in self.made:
            self.made[key] = self.numbers.constant(log2(weight))
        return self.made[key]

    def tree(self, verb: str, names: list[str]) -> str:
        while len(names) > 1:
            pairs = [self.once(verb, *names[i : i + 2]) for i in range(0, len(names) - 1, 2)]
            names = pairs + names[2 * len(pairs) :]
        return names[0]

    def once(self, verb: str, a: str, b: str) -> str:
        key = (verb, frozenset((a, b)))
        if key not in self.made:
            self.made[key] = getattr(self.numbers, verb)(a, b)
        return self.made[key]

    def tables(self, index: int, scope: list[int]) -> list[str]:
        """Make the tables of a layer that few symbols decide."""
        sizes = [code_bits(self.circuit.cardinalities[v]) for v in scope]
        records = np.full((1 << sum(sizes), len(self.circuit.cardinalities)), -1)
        rest = np.arange(len(records))
        for variable, bits in zip(scope, sizes, strict=True):
            records[:, variable] = symbol_of(rest & ((1 << bits) - 1), self.circuit.cardinalities[variable])
            rest = rest >> bits
        logs = np.maximum(inside(self.circuit, records)[index] / np.log(2), FLOOR)
        if len(scope) == 1:
            address = f"symbol_{scope[0]}"
        else:
            names = [f"symbol_{variable}" for variable in reversed(scope)]
            fields = ", ".join(f"@{place}" for place in range(len(names)))
            address = self.numbers.add_cell("i", sum(sizes), f"{{{fields}}}", names, 0.0)
        made = []
        for column in logs.T.tolist():
            entries = tuple(self.numbers.code(value) for value in column)
            bits, signed = self.numbers.bits, self.numbers.signed
            if len(entries) > SMALL_TABLE:
                made.append(self.numbers.add_cell("t", bits, "", [address], 0.0, signed=signed, entries=entries))
                continue
            text = read_constant(entries, bits, "@0")
            text = f"$signed({text})" if signed else text
            made.append(self.numbers.add_cell("t", bits, text, [address], levels(len(entries) // 4), signed=signed))
        return made


def float_entries_dense(layer: SumLayer) -> FloatArray:
    """Give a sum's weights as rows."""
    weights = layer.weights
    return np.asarray(weights if isinstance(weights, np.ndarray) else weights.toarray(), dtype=np.float64)
