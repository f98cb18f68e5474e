"""Unrolling a small circuit: its likelihood and score as one C++ function without loops (docs/unrolled.md)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pcedge.circuit.rows import entries
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import UsageError
from pcedge.export.unrolled.adders import has_da4ml
from pcedge.export.unrolled.body import write_body
from pcedge.export.unrolled.cpp import write_cpp
from pcedge.export.unrolled.operations import Result, Statement
from pcedge.export.unrolled.signals import Counts
from pcedge.export.unrolled.tables import code_bits
from pcedge.integer.circuit import IntegerCircuit, IntegerSum
from pcedge.schedule.program import Program

#: edges of an unrolled circuit at most: beyond, synthesis and C simulation take too long
MAX_EDGES = 20_000

#: bits of one record at most, all symbols side by side
MAX_RECORD_BITS = 4096

#: ways to make the sums; auto is shared where the extra `da` is installed, else plain
ADDERS = ("auto", "shared", "plain")


@dataclass(frozen=True, eq=False)
class Kernel:
    """Hold an unrolled kernel."""

    circuit: IntegerCircuit
    #: how the sums are made: shared or plain
    adders: str
    #: its signals in order, and the root
    statements: tuple[Statement, ...]
    result: Result
    counts: Counts
    #: weights that are not zero, and inputs of products
    edges: int

    @cached_property
    def body(self) -> tuple[str, ...]:
        """Give the lines of the C++ function's body."""
        return write_cpp(self.statements, self.result, self.circuit.state_bits)

    @property
    def record(self) -> list[tuple[int, int]]:
        """Give the place of every variable's symbol in a record: lowest bit and number of bits."""
        bits = [code_bits(cardinality) for cardinality in self.circuit.cardinalities]
        starts = np.concatenate([[0], np.cumsum(bits)[:-1]])
        return [(int(start), count) for start, count in zip(starts, bits, strict=True)]


def edges(circuit: IntegerCircuit) -> int:
    """Count the weights that are not zero and the inputs of products."""
    total = 0
    for layer in circuit.layers:
        if isinstance(layer, IntegerSum):
            total += int(np.count_nonzero(entries(layer.weights)))
        elif layer.shape.kind == "product":
            total += layer.shape.units * len(layer.shape.children)
    return total


def unroll(source: IntegerCircuit | Program, adders: str = "auto") -> Kernel:
    """Unroll a circuit's likelihood schedule.

    Args:
        source: any integer circuit of at most `MAX_EDGES` edges, or its program; it need not be structured.
        adders: `shared` computes once what rows have in common, with the extra `da`; `plain` makes each row by itself;
            `auto` is `shared` where the extra is installed.

    Returns:
        The kernel: its mantissa, exponent and score are those of the numpy reference.

    Raises:
        UsageError: the circuit is too large, or `adders` is not of `ADDERS`.
        MissingToolError: `shared` without the extra `da`.
    """
    if adders not in ADDERS:
        raise UsageError(f"adders must be one of {', '.join(ADDERS)}, got {adders!r}")
    program = Program.of(source)
    circuit = program.circuit
    count = edges(circuit)
    if count > MAX_EDGES:
        raise UsageError(
            f"an unrolled kernel must have at most {MAX_EDGES} edges, got {count}; the engine has no limit"
        )
    record = sum(code_bits(cardinality) for cardinality in circuit.cardinalities)
    if record > MAX_RECORD_BITS:
        raise UsageError(
            f"an unrolled kernel must have records of at most {MAX_RECORD_BITS} bits, got {record} bits for "
            f"{len(circuit.order)} variables; the engine has no limit"
        )
    if adders == "auto":
        adders = "shared" if has_da4ml() else "plain"
    statements, result, counts = write_body(ReferenceEngine(program), adders)
    return Kernel(circuit, adders, statements, result, counts, count)
