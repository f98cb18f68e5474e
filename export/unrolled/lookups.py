"""The constant tables of an unrolled kernel, and the vectors that are read from them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pcedge.arrays import IntArray
from pcedge.export.unrolled.adders import width
from pcedge.export.unrolled.possible import Define
from pcedge.export.unrolled.signals import Signals
from pcedge.export.unrolled.tables import ConstantTable, code_bits


class Lookups:
    """Write tables, each one and each address once."""

    def __init__(
        self, define: Define, fresh: Callable[[str], str], lines: list[str], cardinalities: tuple[int, ...], bits: int
    ) -> None:
        """Start with none; `lines` are the statements so far, and `bits` is A."""
        self.define, self.fresh, self.lines = define, fresh, lines
        self.cardinalities, self.bits = cardinalities, bits
        self.addresses: dict[tuple[int, ...], str] = {}
        self.tables: dict[object, str] = {}
        self.table_bits = 0

    def read(self, table: ConstantTable) -> Signals:
        """Make a vector from constant tables, addressed by the symbols below it."""
        address = self.address(table.variables)
        names = tuple(self.column(address, column, f"pcedge::uint_t<F, {self.bits}>", 16) for column in table.mantissa)
        zero = ~table.mantissa.any(axis=0)
        alive = table.exponent[~zero] if not zero.all() else np.zeros(1, dtype=np.int64)
        low, high = int(alive.min()), int(alive.max())
        kind = f"pcedge::sint_t<F, {width(min(low, -1), high)}>"
        # What a zero vector's exponent is does not matter, as long as it is in range.
        exponents = np.where(zero, low, table.exponent)
        exponent = "" if low == high else self.column(address, exponents, kind, 32)
        return Signals(
            names, tuple(table.mantissa.max(axis=1).tolist()), tuple(table.mantissa.min(axis=1).tolist()),
            exponent, 0 if exponent else low, low, high, bool(zero.any()),
        )  # fmt: skip

    def address(self, variables: tuple[int, ...]) -> str:
        """Name the address of a table: the variables' codes side by side."""
        if len(variables) < 2:
            return f"codes[{variables[0]}]" if variables else "0"
        if variables not in self.addresses:
            fields, shift = [], 0
            for variable in variables:
                fields.append(f"unsigned(codes[{variable}]) << {shift}")
                shift += code_bits(self.cardinalities[variable])
            self.addresses[variables] = self.define("i", "unsigned", " | ".join(f"({code})" for code in fields))
        return self.addresses[variables]

    def column(self, address: str, values: IntArray, kind: str, bits: int) -> str:
        """Read one constant table at an address; every table is read once, so that it needs one port."""
        if (values == values[0]).all():
            return f"{kind}({values[0]})"
        key = (address, bits, values.tobytes())
        if key not in self.tables:
            signed = "std::int32_t" if bits == 32 else "std::uint16_t"
            name = self.fresh("table")
            entries = ", ".join(map(str, values.tolist()))
            self.lines.append(f"static const {signed} {name}[{len(values)}] = {{{entries}}};")
            self.tables[key] = self.define("t", kind, f"{kind}({name}[unsigned({address})])")
            self.table_bits += len(values) * width(int(values.min()), int(values.max()))
        return self.tables[key]
