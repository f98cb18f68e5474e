"""Bounds on the extra code length of the integers against the float circuit (docs/bounds.md)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from pcedge.arithmetic import Widths
from pcedge.bounds.parameters import (
    ROUNDED,
    Flows,
    counterparts,
    floor_bits,
    greatest_probability,
    interval_loss,
    mean_bits,
    worst_ratio,
)
from pcedge.circuit.layers import Circuit
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program

#: name of the note that holds the bounds in an ONNX file
NOTE = "pcedge.extra_bits"

#: no bound is as large
FINITE = 1e300


@dataclass(frozen=True)
class ExtraBits:
    """Hold bounds on the extra code length of an integer circuit, in bits a record.

    Code lengths are those of a range coder without its flush; the float circuit's is -log2 p.
    """

    #: no record costs more
    worst: float
    #: `floor`: every symbol at its floor; `ratios`: the largest ratios of the parameters
    worst_from: str
    #: what records cost in the mean, at most
    typical: float
    #: where the flows come from: `model` (records that the float circuit draws) or `data`
    flows: str
    #: the part of `typical` of rounded weights and leaf tables, floors and intervals
    parameters: float
    #: the part of state vectors of A bits
    truncation: float
    #: the part of the range coder's remainders
    coder: float

    def note(self) -> str:
        """Write the bounds as JSON, with enough digits and the same everywhere."""
        return json.dumps(
            {name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(self).items()},
            separators=(",", ":"),
        )

    @staticmethod
    def from_note(text: str) -> ExtraBits | None:
        """Read what `note` wrote; None for any other text, for notes of a file are free."""
        try:
            entries = json.loads(text)
        except (ValueError, RecursionError):
            return None
        kinds = {field.name: field.type for field in fields(ExtraBits)}
        if not isinstance(entries, dict) or entries.keys() != kinds.keys():
            return None
        for name, kind in kinds.items():
            value = entries[name]
            number = type(value) in (int, float) and -FINITE < value < FINITE
            if not (isinstance(value, str) if kind == "str" else number):
                return None
        values: dict[str, Any] = {
            name: entries[name] if kind == "str" else float(entries[name]) for name, kind in kinds.items()
        }
        return ExtraBits(**values)

    def describe(self) -> str:
        """Say the bounds in words."""
        terms = f"parameters {self.parameters:z.4f}, truncation {self.truncation:z.4f}, coder {self.coder:z.4f}"
        worst = f"at most {self.worst:z.4f} a record (by {self.worst_from})"
        return f"{worst}, typically at most {self.typical:z.4f} ({self.flows}: {terms})"


def extra_bits(circuit: Circuit, integers: IntegerCircuit | Program, flows: Flows | None = None) -> ExtraBits:
    """Bound the extra code length of an integer circuit against the float circuit that it was made of.

    Args:
        circuit: the float circuit.
        integers: the integer circuit.
        flows: of `circuit`, summed over records (`pcedge.compress.expected_flows`), for the typical bound of those
            records; None takes the records that the circuit itself draws.

    Returns:
        The worst-case and the typical bound; the rules and their proofs are in docs/bounds.md.

    Raises:
        UsageError: the integer circuit was not made of the float circuit, or the flows are not its own.

    Example:
        >>> from pcedge.circuit import InputLayer
        >>> from pcedge.quantize import quantize
        >>> circuit = Circuit((InputLayer(0, np.array([[0.25, 0.75]])),))
        >>> bounds = extra_bits(circuit, quantize(circuit))
        >>> bounds.worst_from, bounds.worst < 0.001
        ('ratios', True)
    """
    program = Program.of(integers)
    integers = program.circuit
    counterparts(circuit, integers)
    widths = integers.widths
    variables = len(integers.cardinalities)
    _, analysis = program.analyses
    # The remainder of the range is below 2^P, the range at least 2^(B-8).
    short = 2.0 ** (widths.scale_bits + 8 - widths.range_bits)
    coder = -variables * np.log2(1 - short)
    floor = float(floor_bits(integers).sum()) + greatest_probability(circuit) + coder
    ratios = worst_ratio(circuit, integers) + analysis.loss + _interval_bits(integers) + coder
    worst = max(min(floor, ratios), 0.0)
    parameters = mean_bits(circuit, integers, flows)
    truncation = truncation_bits(analysis.truncated, widths)
    # Half a remainder in the mean, over a range whose logarithm is spread evenly over its eight bits.
    remainders = float(variables * short / (16 * np.log(2) ** 2))
    typical = parameters + truncation + remainders
    return ExtraBits(
        float(worst), "floor" if floor <= ratios else "ratios", float(min(typical, worst)),
        "model" if flows is None else "data", float(parameters), float(truncation), remainders,
    )  # fmt: skip


def bounds_notes(circuit: Circuit, integers: IntegerCircuit | Program, flows: Flows | None = None) -> dict[str, str]:
    """Give the notes that `write_onnx` puts into a file beside the circuit."""
    return {NOTE: extra_bits(circuit, integers, flows).note()}


def truncation_bits(entries: int, widths: Widths) -> float:
    """Estimate the bits that truncation of so many entries costs (docs/bounds.md, section Truncation)."""
    if not entries:
        return 0.0
    unit = 2.0**-widths.state_bits
    each = unit / (widths.state_bits * np.log(2) ** 3) * (1 / 3 + 1)
    # One entry at its worst: averages over entries say little of circuits that have few.
    return float(entries * each + 2 * unit * (widths.scale_bits - np.log2(widths.floor)))


def _interval_bits(integers: IntegerCircuit) -> float:
    """Bound the bits that rounding of the intervals and the floors of others take from a record, over all records."""
    widths = integers.widths
    free_share = 1 - np.asarray(integers.cardinalities) * widths.floor / 2.0**widths.scale_bits
    loss = -np.log2(free_share * (1 - interval_loss(widths)))
    # With a floor of 1 the roundings can take half a part more than the floor gives: at worst 1.5 parts become 1.
    return float(loss.sum() + (len(loss) * np.log2(ROUNDED) if widths.floor < ROUNDED else 0.0))
