"""The constant tables of an unrolled kernel, and the vectors that are read from them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pcedge.arrays import IntArray
from pcedge.export.unrolled.adders import width
from pcedge.export.unrolled.operations import ADDRESS, Constant, Define, Join, Kind, Lookup, Operand, Symbol
from pcedge.export.unrolled.signals import Signals
from pcedge.export.unrolled.tables import ConstantTable, code_bits


class Lookups:
    """Write tables, each one and each address once."""

    def __init__(self, define: Define, fresh: Callable[[str], str], cardinalities: tuple[int, ...], bits: int) -> None:
        """Start with none; `bits` is A."""
        self.define, self.fresh = define, fresh
        self.cardinalities, self.bits = cardinalities, bits
        self.addresses: dict[tuple[int, ...], Operand] = {}
        self.tables: dict[object, str] = {}
        self.table_bits = 0

    def read(self, table: ConstantTable) -> Signals:
        """Make a vector from constant tables, addressed by the symbols below it."""
        address = self.address(table.variables)
        names = tuple(self.column(address, column, Kind(self.bits), 16) for column in table.mantissa)
        zero = ~table.mantissa.any(axis=0)
        alive = table.exponent[~zero] if not zero.all() else np.zeros(1, dtype=np.int64)
        low, high = int(alive.min()), int(alive.max())
        kind = Kind(width(min(low, -1), high), True)
        # What a zero vector's exponent is does not matter, as long as it is in range.
        exponents = np.where(zero, low, table.exponent)
        moving = "" if low == high else self.column(address, exponents, kind, 32)
        assert isinstance(moving, str)
        return Signals(
            names, tuple(table.mantissa.max(axis=1).tolist()), tuple(table.mantissa.min(axis=1).tolist()),
            moving, 0 if moving else low, low, high, bool(zero.any()),
        )  # fmt: skip

    def address(self, variables: tuple[int, ...]) -> Operand:
        """Name the address of a table: the variables' codes side by side."""
        if len(variables) < 2:
            return Symbol(variables[0]) if variables else Constant(0, ADDRESS)
        if variables not in self.addresses:
            fields, shift = [], 0
            for variable in variables:
                fields.append((Symbol(variable), shift))
                shift += code_bits(self.cardinalities[variable])
            self.addresses[variables] = self.define("i", ADDRESS, Join(tuple(fields)))
        return self.addresses[variables]

    def column(self, address: Operand, values: IntArray, kind: Kind, bits: int) -> Operand:
        """Read one constant table at an address; every table is read once, so that it needs one port."""
        if (values == values[0]).all():
            return Constant(int(values[0]), kind)
        key = (address, bits, values.tobytes())
        if key not in self.tables:
            lookup = Lookup(self.fresh("table"), tuple(values.tolist()), address, bits)
            self.tables[key] = self.define("t", kind, lookup)
            self.table_bits += len(values) * width(int(values.min()), int(values.max()))
        return self.tables[key]
