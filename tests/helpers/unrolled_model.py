"""A reader of the C++ of unrolled kernels: it runs the statements on Python integers that wrap as a family does."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from pcedge.arithmetic import score_table
from pcedge.export.unrolled.kernel import Kernel

#: C++ names, and what stands for them here; template arguments come first
NAMES = {
    "pcedge::uint_t": "uint", "pcedge::sint_t": "sint", "pcedge::plus": "plus", "pcedge::minus": "minus",
    "pcedge::signed_plus": "signed_plus", "pcedge::signed_minus": "signed_minus", "pcedge::excess_length": "excess",
    "pcedge::scale_entry": "scale", "pcedge::alignment": "alignment", "pcedge::score_of": "score",
}  # fmt: skip
CALL = re.compile(rf"({'|'.join(NAMES)})<F, ([^<>]*)>\(")


def python(expression: str) -> str:
    """Rewrite a C++ expression."""
    expression = expression.replace("pcedge::LENGTH_BITS", "7").replace("F::select", "select")
    expression = CALL.sub(lambda found: f"{NAMES[found[1]]}({found[2]})(", expression)
    return expression.replace("unsigned(", "(").replace("result.", "result_")


class Model:
    """Run a kernel; `exact` wraps every cast as ap_uint and ap_int do, otherwise only at 64 bits."""

    def __init__(self, kernel: Kernel, exact: bool) -> None:
        self.kernel = kernel
        self.exact = exact
        self.statements: list[tuple[str, str, Any]] = []
        self.tables: dict[str, list[int]] = {}
        for line in kernel.body:
            if line.startswith("//"):
                continue
            if found := re.fullmatch(r"static const std::u?int\d+_t (\w+)\[(\d+)\] = \{(.*)\};", line):
                self.tables[found[1]] = [int(entry) for entry in found[3].split(",")]
                assert len(self.tables[found[1]]) == int(found[2])
                continue
            found = re.fullmatch(r"(?:const (.*?) )?([\w.]+) = (.*);", line)
            assert found, line
            name = found[2].replace(".", "_")
            # A definition converts to its type, as a call of it would.
            text = f"{found[1]}({found[3]})" if found[1] and found[1].startswith("pcedge") else found[3]
            self.statements.append((name, text, compile(python(text), line, "eval")))

    def uint(self, bits: int) -> Callable[[int], int]:
        return lambda value: value % (1 << (bits if self.exact else 64))

    def sint(self, bits: int) -> Callable[[int], int]:
        half = 1 << ((bits if self.exact else 64) - 1)
        return lambda value: (value + half) % (2 * half) - half

    def functions(self) -> dict[str, Any]:
        uint, sint = self.uint, self.sint

        def adder(kind: Any, sign: int) -> Any:
            def with_bits(bits: int) -> Any:
                cut = uint(bits)
                return lambda a, left, b, right: kind(bits)(cut(cut(cut(a) << left) + sign * cut(cut(b) << right)))

            return with_bits

        def excess(bits: int, least: int) -> Callable[[int], int]:
            def of(value: int) -> int:
                assert value == 0 or least <= value.bit_length() <= bits
                return max(0, value.bit_length() - least)

            return of

        def scale(bits: int, least: int, state_bits: int) -> Callable[[int, int], int]:
            def of(value: int, more: int) -> int:
                length = least + more
                assert value.bit_length() <= length <= bits or value == 0
                return value >> (length - state_bits) if length >= state_bits else value << (state_bits - length)

            return of

        def score(state_bits: int) -> Callable[[int, int], int]:
            def of(mantissa: int, exponent: int) -> int:
                if mantissa == 0:
                    return 2**32 - 1
                place = (mantissa >> (state_bits - 8)) & 127
                return min(max(-256 * (exponent + state_bits - 1) - int(score_table()[place]), 0), 2**32 - 2)

            return of

        return {
            "uint": uint, "sint": sint, "plus": adder(uint, 1), "minus": adder(uint, -1),
            "signed_plus": adder(sint, 1), "signed_minus": adder(sint, -1), "excess": excess, "scale": scale,
            "select": lambda condition, yes, no: yes if condition else no,
            "alignment": lambda bits, state_bits: lambda own, common: min(common - own, state_bits), "score": score,
        }  # fmt: skip

    def run(self, record: Sequence[int]) -> list[int]:
        """Give mantissa, exponent and score of one record; -1 is missing."""
        codes = [
            int(symbol) if symbol >= 0 else (1 << bits) - 1
            for symbol, (_, bits) in zip(record, self.kernel.record, strict=True)
        ]
        names = self.functions() | self.tables | {"codes": codes}
        for name, text, code in self.statements:
            value = eval(code, names)
            assert isinstance(value, int), text
            names[name] = int(value)
        return [names["result_mantissa"], names["result_exponent"], names["result_score"]]
