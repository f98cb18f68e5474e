"""What is possible without a value in an unrolled likelihood with tails (docs/arithmetic.md, section Tails)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from pcedge.export.unrolled.signals import Signals
from pcedge.tails import WEIGHT_TAIL_BITS

#: makes a variable of (letter, type, text) and gives its name
Define = Callable[[str, str, str], str]

#: the name and the greatest value of a row
Row = tuple[str, int]


class Possible:
    """Write what mantissas weigh, and which entries are possible; equal signals are made once."""

    def __init__(self, define: Define, bits: int) -> None:
        """Start with none; `bits` is A."""
        self.define = define
        self.bits = bits
        self.made: dict[object, str] = {}

    def once(self, key: object, letter: str, kind: str, text: str) -> str:
        """Make a signal, or find the equal one."""
        if key not in self.made:
            self.made[key] = self.define(letter, kind, text)
        return self.made[key]

    def live(self, vector: Signals) -> Signals:
        """Give what the mantissas of a vector weigh: 1 only says that an entry is possible."""
        kind = f"pcedge::uint_t<F, {self.bits}>"
        names = [
            name if least > 1 else self.once(("v", name), "v", kind, f"F::select({name} == 1, {kind}(0), {name})")
            for name, least in zip(vector.names, vector.least, strict=True)
        ]
        least = tuple(value if value > 1 else 0 for value in vector.least)
        return replace(vector, names=tuple(names), least=least)

    def dropped(self, values: Signals) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Give what mantissas count at a weight of 0 of a sum with tails, and the greatest values."""
        kind = f"pcedge::uint_t<F, {self.bits}>"
        names = [self.once(("d", name), "v", kind, f"{kind}({name} >> {WEIGHT_TAIL_BITS})") for name in values.names]
        return tuple(names), tuple(top >> WEIGHT_TAIL_BITS for top in values.top)

    def some(self, entries: Iterable[tuple[str, int]], every: bool = False) -> str:
        """Name the bit that tells whether one of some entries, or every one, is not zero; their least values say more.

        Returns:
            An expression; `true` where no record makes it false.
        """
        left = dict(entries)
        open_names = [name for name, least in left.items() if not least]
        if not open_names or (not every and len(open_names) < len(left)):
            return "true"
        if every and len(open_names) > 1:
            text = " & ".join(f"({name} != 0)" for name in open_names)
        else:
            text = f"({' | '.join(open_names)}) != 0"
        return self.once((every, frozenset(open_names)), "z", "F::bit", text)

    def row(self, row: Row, least: int, some: str) -> Row:
        """Make an accumulated entry 1 where it is zero and possible."""
        name, top = row
        if least > 1:
            return row
        kind = f"pcedge::uint_t<F, {max(1, top.bit_length())}>"
        condition = f"{name} == 0" if some == "true" else f"({name} == 0) & {some}"
        text = f"F::select({condition}, {kind}(1), {kind}({name}))"
        return self.once(("q", name, some), "q", kind, text), max(top, 1)

    def shifted(self, whole: str, moved: str, least: int, excess: str | None, cut: bool) -> str:
        """Keep a normalised or aligned entry possible, and one that only is possible at 1.

        Args:
            whole: the entry before the shift.
            moved: and after it.
            least: the least value of the entry before.
            excess: by how much the vector may be longer than one bit; None where the entry beside others cannot be 1.
            cut: whether the shift may be to the right.
        """
        conditions = [f"({whole} != 0) & ({moved} == 0)"] if cut else []
        if excess is not None and least < 2:
            conditions.append(f"({whole} == 1){excess}")
        if not conditions:
            return moved
        kind = f"pcedge::uint_t<F, {self.bits}>"
        condition = " | ".join(f"({text})" for text in conditions) if len(conditions) > 1 else conditions[0]
        return self.define("m", kind, f"F::select({condition}, {kind}(1), {moved})")
