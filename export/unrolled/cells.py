"""Cells of an unrolled kernel in SystemVerilog: its signals as expressions, and about how long each takes.

Delays are rough, of an ECP5 of speed 6 with its wires; they only say where registers stand, never what is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log2

#: nanoseconds of a look-up table and the wire to it, and of a carry chain: its ends, and each bit
LEVEL, CHAIN, CHAIN_BIT = 1.2, 2.0, 0.04

#: nanoseconds of a multiplier and the wires around it
MULTIPLIER = 6.2

#: nanoseconds that a signal takes which many tables wait for
SPREAD = 0.8

#: nanoseconds from the clock to a register's output and to a block RAM's, and before the clock at an input
REGISTER, MEMORY, SETUP = 0.6, 5.7, 0.3


@dataclass(frozen=True)
class Cell:
    """Hold one signal in SystemVerilog."""

    name: str
    bits: int
    signed: bool
    #: an expression in which @0, @1 … stand for the operands; of a table that is read at a clock edge none
    text: str
    operands: tuple[str, ...]
    #: nanoseconds from the operands to the result
    delay: float
    #: of a table that is read at a clock edge its entries; the only operand is the address
    entries: tuple[int, ...] = ()
    #: what is said of it above the first cell of a step
    remark: str = ""


def levels(inputs: int) -> float:
    """Give the nanoseconds of a function of so many bits that look-up tables of four inputs make as a tree."""
    return LEVEL * max(1, ceil(log2(max(2, inputs)) / 2))


def chain(bits: int) -> float:
    """Give the nanoseconds of an adder or a comparison."""
    return CHAIN + CHAIN_BIT * bits


def constant(value: int, bits: int, signed: bool = False) -> str:
    """Write a number."""
    if not signed:
        return f"{bits}'d{value}"
    return f"-{bits}'sd{-value}" if value < 0 else f"{bits}'sd{value}"


def read_constant(entries: Sequence[int], bits: int, address: str) -> str:
    """Write a constant table that is read at an address: for each bit the column of the table, as a look-up table."""
    columns = [sum((entry >> bit & 1) << place for place, entry in enumerate(entries)) for bit in range(bits)]
    words = [f"1'({len(entries)}'h{column:x} >> {address})" for column in reversed(columns)]
    return f"{{{', '.join(words)}}}"
