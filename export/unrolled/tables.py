"""What an unrolled kernel looks up instead of computing: values that few symbols decide."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pcedge.arithmetic import Vector
from pcedge.arrays import IntArray
from pcedge.circuit.layers import MISSING
from pcedge.engines.reference import ReferenceEngine
from pcedge.schedule.steps import Interval, Leaf, Schedule, Step

#: bits of the symbols that address a table of several variables: a table of 64 entries is one LUT for each bit
ADDRESS_BITS = 6


@dataclass(frozen=True, eq=False)
class ConstantTable:
    """Hold a value of the schedule for all symbols that decide it."""

    #: the variables whose codes make the address, lowest bits first
    variables: tuple[int, ...]
    #: (units, addresses)
    mantissa: IntArray
    #: (addresses,)
    exponent: IntArray


def code_bits(cardinality: int) -> int:
    """Count the bits of a variable's symbol in a record; all ones say that it is missing."""
    return cardinality.bit_length()


def symbol_of(codes: IntArray, cardinality: int) -> IntArray:
    """Give the symbols that codes stand for, -1 for missing; what is above the alphabet is held at the last symbol."""
    missing = codes == (1 << code_bits(cardinality)) - 1
    return np.where(missing, MISSING, np.minimum(codes, cardinality - 1))


class FoldedTables:
    """Decide which values of a schedule become tables, and compute them by the numpy reference."""

    def __init__(self, engine: ReferenceEngine, schedule: Schedule) -> None:
        """Find for every value the variables that it depends on."""
        self.engine = engine
        self.schedule = schedule
        self.cardinalities = engine.circuit.cardinalities
        #: variables below every value
        self.support: dict[int, frozenset[int]] = {}
        for step in schedule.steps:
            assert not isinstance(step, Interval)
            supports = [self.support[source.value] for source in step.sources]
            variables = frozenset([step.variable]) if isinstance(step, Leaf) else frozenset()
            self.support[step.target] = variables.union(*supports)
        self._joint: dict[frozenset[int], dict[int, Vector]] = {}

    def is_table(self, value: int) -> bool:
        """Tell whether a value is looked up: at most one symbol decides it, or few bits of symbols."""
        support = self.support[value]
        return len(support) <= 1 or sum(code_bits(self.cardinalities[v]) for v in support) <= ADDRESS_BITS

    def table(self, value: int) -> ConstantTable:
        """Compute a value for all addresses."""
        variables = tuple(sorted(self.support[value]))
        if len(variables) <= 1:
            size = 1 << code_bits(self.cardinalities[variables[0]]) if variables else 1
            mantissa, exponent = self._single[value]
            return ConstantTable(variables, mantissa[:, :size], exponent[:size])
        support = self.support[value]
        if support not in self._joint:
            size = 1 << sum(code_bits(self.cardinalities[v]) for v in variables)
            symbols = np.full((len(self.cardinalities), size), MISSING, dtype=np.int64)
            rest = np.arange(size)
            for variable in variables:
                bits = code_bits(self.cardinalities[variable])
                symbols[variable] = symbol_of(rest & ((1 << bits) - 1), self.cardinalities[variable])
                rest = rest >> bits
            self._joint[support] = self._replay(symbols, support)
        mantissa, exponent = self._joint[support][value]
        return ConstantTable(variables, mantissa, exponent)

    @cached_property
    def _single(self) -> dict[int, Vector]:
        """Compute all values that one variable decides, all variables at the same code at a time."""
        codes = np.arange(1 << max(code_bits(v) for v in self.cardinalities))
        symbols = [symbol_of(codes & ((1 << code_bits(v)) - 1), v) for v in self.cardinalities]
        return self._replay(np.stack(symbols), None)

    def _replay(self, symbols: IntArray, support: frozenset[int] | None) -> dict[int, Vector]:
        """Run the reference; keep the values of one support, or those of at most one variable."""
        values: dict[int, Vector] = {}

        def observe(_: int, step: Step, result: Vector) -> None:
            assert not isinstance(step, Interval)
            variables = self.support[step.target]
            if variables == support if support is not None else len(variables) <= 1:
                values[step.target] = result

        self.engine.replay(self.schedule, symbols, None, observe)
        return values
