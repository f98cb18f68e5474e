"""From the signals of an unrolled kernel to cells of SystemVerilog, with the score at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from pcedge.arithmetic import SCORE_TABLE_BITS, ZERO_EXPONENT, score_table
from pcedge.export.unrolled import operations as ops
from pcedge.export.unrolled.cells import LEVEL, MULTIPLIER, SPREAD, Cell, chain, constant, levels, read_constant
from pcedge.export.unrolled.kernel import Kernel
from pcedge.tails import WEIGHT_TAIL_BITS

#: entries of a table that is made of look-up tables and read at once; larger ones are read at a clock edge
SMALL_TABLE = 64

#: places that are looked at together, for the highest one bit
GROUP = 4

#: bits of a score, and of its fraction
SCORE_BITS, SCORE_FRACTION = 32, 8

#: the outputs of a kernel
OUTPUTS = ("mantissa", "exponent", "score")


def lower(kernel: Kernel) -> list[Cell]:
    """Give the cells of a kernel in the order of their operands: symbols, signals, and the three of `OUTPUTS`."""
    lowering = _Lowering(kernel)
    for statement in kernel.statements:
        if isinstance(statement, ops.Remark):
            lowering.remark = statement.text
        else:
            lowering.signal(statement)
    lowering.result()
    return used(lowering.cells, OUTPUTS)


def used(cells: Sequence[Cell], outputs: Sequence[str]) -> list[Cell]:
    """Leave out cells that no output needs."""
    needed = set(outputs)
    for cell in reversed(cells):
        if cell.name in needed:
            needed.update(cell.operands)
    return [cell for cell in cells if cell.name in needed]


class _Lowering:
    """Append cells."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.bits = kernel.circuit.state_bits
        self.cells: list[Cell] = []
        self.widths: dict[str, tuple[int, bool]] = {}
        self.remark = ""
        for variable, (lowest, count) in enumerate(kernel.record):
            self.add(f"symbol_{variable}", count, f"in_record[{lowest}+:{count}]", [], 0.0)

    def add(
        self, name: str, bits: int, text: str, operands: Sequence[str], delay: float, *,
        signed: bool = False, entries: tuple[int, ...] = (),
    ) -> None:  # fmt: skip
        self.cells.append(Cell(name, bits, signed, text, tuple(operands), delay, entries, self.remark))
        self.widths[name] = (bits, signed)
        self.remark = ""

    def signal(self, signal: ops.Signal) -> None:
        text, operands, delay = self.text(signal)
        entries: tuple[int, ...] = ()
        if isinstance(signal.operation, ops.Lookup) and not text:
            entries = signal.operation.entries
        bits = signal.kind.bits
        if isinstance(signal.operation, ops.Join):
            bits = sum(self.widths[name][0] for name in operands)
        self.add(signal.name, bits, text, operands, delay, signed=signal.kind.signed, entries=entries)

    def text(self, signal: ops.Signal) -> tuple[str, list[str], float]:
        """Give a signal's expression, its operands, and its delay."""
        operation, bits, signed = signal.operation, signal.kind.bits, signal.kind.signed
        given = _Operands(self.widths)
        take = given.take
        match operation:
            case ops.Join():
                text = "{" + ", ".join(take(symbol) for symbol, _ in reversed(operation.fields)) + "}"
                return text, given.names, 0.0
            case ops.Lookup():
                return self.lookup(operation, bits, signed)
            case ops.Live():
                value = take(operation.value)
                if isinstance(operation.value, str):
                    text = f"{{{value}[{bits - 1}:1], {value}[0] && {value}[{bits - 1}:1] != 0}}"
                    return text, given.names, levels(bits)
                return f"{value} == {constant(1, bits)} ? {constant(0, bits)} : {value}", given.names, levels(bits)
            case ops.Dropped():
                return f"{bits}'({take(operation.value)} >> {WEIGHT_TAIL_BITS})", given.names, 0.0
            case ops.Tell():
                return self.tell(operation, given)
            case ops.Revived():
                row, some = given.wide(operation.row, bits), take(operation.some)
                text = f"{row} | {bits}'({take(operation.row)} == 0 && {some})"
                return text, given.names, levels(bits + 1) + LEVEL
            case ops.Kept():
                return self.kept(operation, given, bits)
            case ops.Product():
                text = f"{given.wide(operation.first, bits)} * {given.wide(operation.second, bits)}"
                return text, given.names, MULTIPLIER
            case ops.ShiftAdd():
                first, second = given.wide(operation.a, bits), given.wide(operation.b, bits)
                sign = "-" if operation.subtract else "+"
                text = f"({first} << {operation.shift_a}) {sign} ({second} << {operation.shift_b})"
                return text, given.names, chain(bits)
            case ops.Shifted():
                left = operation.left
                if left < 0:
                    return f"{bits}'({take(operation.value)} >> {-left})", given.names, 0.0
                return f"{given.wide(operation.value, bits)} << {left}", given.names, 0.0
            case ops.Union():
                text = " | ".join(given.wide(entry, bits) for entry in operation.entries)
                return text, given.names, levels(len(operation.entries))
            case ops.Excess():
                return self.excess(signal.name, operation, given, bits)
            case ops.Scaled():
                return self.scaled(signal.name, operation)
            case ops.Plus():
                if not operation.first:
                    return given.wide(operation.second, bits), given.names, 0.0
                text = f"{given.wide(operation.first, bits)} + {given.wide(operation.second, bits)}"
                return text, given.names, chain(bits)
            case ops.Ranked():
                text = self.exponent(operation.exponent, given, bits)
                delay = chain(bits) if operation.exponent.name and operation.exponent.offset else 0.0
                if operation.zero is None:
                    return text, given.names, delay
                text = f"{take(operation.zero)} ? {constant(operation.low, bits, True)} : {text}"
                return text, given.names, delay + LEVEL
            case ops.Larger():
                first, second = take(operation.first), take(operation.second)
                return f"{first} < {second} ? {second} : {first}", given.names, chain(bits) + LEVEL + SPREAD / 2
            case ops.Gap():
                wide = operation.bits + 1
                self.add(
                    f"{signal.name}_whole", wide,
                    f"{wide}'({take(operation.common)}) - {wide}'({take(operation.own)})", given.names, chain(wide),
                    signed=True,
                )  # fmt: skip
                text = f"@0 > {constant(self.bits, wide, True)} ? {constant(self.bits, bits)} : {bits}'(unsigned'(@0))"
                return text, [f"{signal.name}_whole"], levels(wide) + LEVEL
            case ops.Right():
                return self.right(signal.name, take(operation.value), take(operation.gap), given.names)
            case _:
                assert_never(operation)

    def lookup(self, lookup: ops.Lookup, bits: int, signed: bool) -> tuple[str, list[str], float]:
        given = _Operands(self.widths)
        assert not isinstance(lookup.address, ops.Constant), "a table with one entry is a constant"
        address = given.take(lookup.address)
        if len(lookup.entries) > SMALL_TABLE:
            return "", given.names, 0.0
        text = read_constant(lookup.entries, bits, address)
        return (f"$signed({text})" if signed else text), given.names, levels(len(lookup.entries) // 4)

    def tell(self, tell: ops.Tell, given: _Operands) -> tuple[str, list[str], float]:
        names = [f"{given.take(entry)} != 0" for entry in tell.entries]
        total = sum(self.width(entry) for entry in tell.entries)
        text = (" && " if tell.which == "all" else " || ").join(f"({name})" for name in names)
        return (f"!({text})" if tell.which == "none" else text), given.names, levels(total)

    def kept(self, kept: ops.Kept, given: _Operands, bits: int) -> tuple[str, list[str], float]:
        moved = given.take(kept.moved)
        conditions = []
        if kept.cut:
            conditions.append(f"({moved} == 0)" if kept.sure else f"({given.take(kept.whole)} != 0 && {moved} == 0)")
        if kept.lone:
            whole = given.take(kept.whole)
            beside = "" if kept.excess is None else f" && {given.take(kept.excess)} != 0"
            conditions.append(f"({whole} == 1{beside})")
        condition = " || ".join(conditions)
        # What is cut has left nothing, so one bit changes; an entry of 1 may have become another number.
        text = f"({condition}) ? {constant(1, bits)} : {moved}" if kept.lone else f"{moved} | {bits}'({condition})"
        return text, given.names, levels(self.width(kept.whole) + bits) + LEVEL

    def excess(self, name: str, excess: ops.Excess, given: _Operands, bits: int) -> tuple[str, list[str], float]:
        """Find the highest of the bits that a vector may have beyond its shortest length."""
        union, most = given.take(excess.union), excess.long - excess.short
        beyond = {place: f"1'({union} >> {excess.short - 1 + place})" for place in range(1, most + 1)}
        if most <= GROUP:
            choices = [f"{beyond[place]} ? {constant(place, bits)} : " for place in range(most, 0, -1)]
            return "".join(choices) + constant(0, bits), given.names, levels(most + 1)
        groups = []
        for first in range(0, most + 1, GROUP):
            places = [place for place in range(first, first + GROUP) if place in beyond]
            rest = "".join(f"{beyond[place]} ? 2'd{place - first} : " for place in reversed(places)) + "2'd0"
            groups.append(f"{{{' | '.join(beyond[place] for place in places)}, {rest}}}")
        name = f"{name}_groups"
        self.add(name, 3 * len(groups), f"{{{', '.join(reversed(groups))}}}", given.names, levels(2 * GROUP))
        text = "".join(
            f"@0[{3 * group + 2}] ? {{{bits - 2}'d{group}, @0[{3 * group + 1}:{3 * group}]}} : "
            for group in range(len(groups) - 1, -1, -1)
        )
        return text + constant(0, bits), [name], levels(2 * len(groups))

    def scaled(self, name: str, scaled: ops.Scaled) -> tuple[str, list[str], float]:
        """Shift by a constant, then by fours, then by ones."""
        given = _Operands(self.widths)
        left, right = max(0, self.bits - scaled.short), max(0, scaled.short - self.bits)
        wide, most = scaled.long + left - right, scaled.long - scaled.short
        value = given.take(scaled.value)
        moved = f"{wide}'(({scaled.long + left}'({value}) << {left}) >> {right})"
        if not most:
            return f"{self.bits}'({moved})", given.names, 0.0
        excess = given.take(scaled.excess)
        return self.shift(name, moved, excess, most, given.names)

    def right(self, name: str, value: str, gap: str, names: list[str]) -> tuple[str, list[str], float]:
        return self.shift(name, value, gap, self.bits, names)

    def shift(self, name: str, value: str, amount: str, most: int, names: list[str]) -> tuple[str, list[str], float]:
        """Shift to the right by at most so many bits; a long one in two cells, between which a register may stand."""
        bits = self.bits
        if most < 4:
            return f"{bits}'({value} >> {amount})", names, LEVEL + SPREAD
        self.add(
            f"{name}_coarse", bits + 3, f"{bits + 3}'({value} >> {{{amount}[6:2], 2'b00}})", names,
            levels(2 * (most // 4 + 1)) + SPREAD,
        )  # fmt: skip
        return f"{bits}'(@0 >> @1[1:0])", [f"{name}_coarse", names[int(amount[1:])]], LEVEL + SPREAD

    def exponent(self, exponent: ops.Exponent, given: _Operands, bits: int) -> str:
        if not exponent.name:
            return constant(exponent.offset, bits, True)
        name = given.wide(exponent.name, bits)
        return f"{name} + {constant(exponent.offset, bits, True)}" if exponent.offset else name

    def width(self, operand: ops.Operand) -> int:
        if isinstance(operand, ops.Constant):
            return operand.kind.bits
        return self.widths[f"symbol_{operand.variable}" if isinstance(operand, ops.Symbol) else operand][0]

    def result(self) -> None:
        """Add the three outputs (docs/unrolled.md, Score)."""
        root, bits = self.kernel.result, self.bits
        given = _Operands(self.widths)
        self.add("mantissa", bits, given.take(root.mantissa), given.names, 0.0)
        self.add("none", 1, "@0 == 0", ["mantissa"], levels(bits))
        given = _Operands(self.widths)
        kind = root.exponent.kind
        text = self.exponent(root.exponent, given, kind.bits)
        self.add("power", kind.bits, text, given.names, chain(kind.bits), signed=True)
        low = constant(ZERO_EXPONENT, 32, True)
        self.add("exponent", 32, f"@0 ? {low} : 32'(@1)", ["none", "power"], LEVEL, signed=True)
        entries = tuple(int(entry) for entry in score_table())
        place = bits - 1 - SCORE_TABLE_BITS
        self.add("score_place", SCORE_TABLE_BITS, f"{SCORE_TABLE_BITS}'(@0 >> {place})", ["mantissa"], 0.0)
        text = read_constant(entries, SCORE_FRACTION, "@0")
        self.add("score_entry", SCORE_FRACTION, text, ["score_place"], levels(len(entries)))
        # In parts: whole bits less the first of the table, which is never more than one.
        wide = max(kind.bits + 1, 6)
        parts = wide + SCORE_FRACTION + 1
        first = constant(1 - bits, wide, True)
        self.add("score_whole", wide, f"{first} - {wide}'(@0)", ["power"], chain(wide), signed=True)
        text = f"({parts}'(@0) << {SCORE_FRACTION}) - $signed({parts}'(@1))"
        self.add("score_parts", parts, text, ["score_whole", "score_entry"], chain(parts), signed=True)
        most = (1 << SCORE_BITS) - 2
        bounded = f"{SCORE_BITS}'(unsigned'(@1))"
        if parts > SCORE_BITS + 1:
            bounded = f"@1 > {constant(most, parts, True)} ? {constant(most, SCORE_BITS)} : {bounded}"
        text = f"@0 ? {SCORE_BITS}'hffffffff : @1[{parts - 1}] ? {constant(0, SCORE_BITS)} : {bounded}"
        self.add("score", SCORE_BITS, text, ["none", "score_parts"], LEVEL * 2)


class _Operands:
    """Number the operands of an expression."""

    def __init__(self, widths: dict[str, tuple[int, bool]]) -> None:
        self.widths = widths
        self.names: list[str] = []

    def take(self, operand: ops.Operand) -> str:
        """Give what stands for an operand."""
        if isinstance(operand, ops.Constant):
            return constant(operand.value, operand.kind.bits, operand.kind.signed)
        name = f"symbol_{operand.variable}" if isinstance(operand, ops.Symbol) else operand
        if name not in self.names:
            self.names.append(name)
        return f"@{self.names.index(name)}"

    def wide(self, operand: ops.Operand, bits: int) -> str:
        """Give an operand in a number of bits: cut, or extended with its sign if it has one."""
        if isinstance(operand, ops.Constant):
            signed = operand.kind.signed
            return (
                constant(operand.value, bits, signed) if signed else constant(operand.value & ((1 << bits) - 1), bits)
            )
        return f"{bits}'({self.take(operand)})"
