"""What is possible without a value in an unrolled likelihood with tails (docs/arithmetic.md, section Tails)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pcedge.export.unrolled import operations as ops
from pcedge.export.unrolled.signals import Signals
from pcedge.tails import WEIGHT_TAIL_BITS

#: a row and its greatest value
Row = tuple[ops.Operand, int]


class Possible:
    """Make what mantissas weigh, and which entries are possible; equal signals are made once."""

    def __init__(self, define: ops.Define, bits: int) -> None:
        """Start with none; `bits` is A."""
        self.define = define
        self.bits = bits
        self.made: dict[object, str] = {}

    def once(self, key: object, letter: str, kind: ops.Kind, operation: ops.Operation) -> str:
        """Make a signal, or find the equal one."""
        if key not in self.made:
            self.made[key] = self.define(letter, kind, operation)
        return self.made[key]

    def live(self, vector: Signals) -> Signals:
        """Give what the mantissas of a vector weigh: 1 only says that an entry is possible."""
        kind = ops.Kind(self.bits)
        names = [
            name if least > 1 else self.once(("v", name), "v", kind, ops.Live(name))
            for name, least in zip(vector.names, vector.least, strict=True)
        ]
        least = tuple(value if value > 1 else 0 for value in vector.least)
        return replace(vector, names=tuple(names), least=least)

    def dropped(self, values: Signals) -> tuple[tuple[ops.Operand, ...], tuple[int, ...]]:
        """Give what mantissas count at a weight of 0 of a sum with tails, and the greatest values."""
        kind = ops.Kind(self.bits)
        names = [self.once(("d", name), "v", kind, ops.Dropped(name)) for name in values.names]
        return tuple(names), tuple(top >> WEIGHT_TAIL_BITS for top in values.top)

    def some(self, entries: Iterable[tuple[ops.Operand, int]], every: bool = False) -> ops.Operand:
        """Name the bit that tells whether one of some entries, or every one, is not zero; their least values say more.

        Returns:
            A signal; `TRUE` where no record makes it false.
        """
        left = dict(entries)
        open_names = tuple(name for name, least in left.items() if not least)
        if not open_names or (not every and len(open_names) < len(left)):
            return ops.TRUE
        tell = ops.Tell("all" if every else "any", open_names)
        return self.once((every, frozenset(open_names)), "z", ops.BIT, tell)

    def row(self, row: Row, least: int, some: ops.Operand) -> Row:
        """Make an accumulated entry 1 where it is zero and possible."""
        name, top = row
        if least > 1:
            return row
        kind = ops.Kind(max(1, top.bit_length()))
        return self.once(("q", name, some), "q", kind, ops.Revived(name, some)), max(top, 1)

    def shifted(
        self, whole: ops.Operand, moved: ops.Operand, least: int, beside: ops.Operand | None, cut: bool
    ) -> ops.Operand:
        """Keep a normalised or aligned entry possible, and one that only is possible at 1.

        Args:
            whole: the entry before the shift.
            moved: and after it.
            least: the least value of the entry before.
            beside: by how much the vector is longer than one bit, `TRUE` if it always is; None where the entry beside
                others cannot be 1.
            cut: whether the shift may leave nothing.
        """
        lone = beside is not None and least < 2
        if not cut and not lone:
            return moved
        excess = None if beside is ops.TRUE or not lone else beside
        return self.define("m", ops.Kind(self.bits), ops.Kept(whole, moved, cut, least > 0, lone, excess))
