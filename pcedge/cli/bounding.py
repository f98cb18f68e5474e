"""What `pcedge info` says of widths and bounds."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pcedge.bounds.extra import NOTE, ExtraBits, extra_bits
from pcedge.cli.files import is_program_file, read_float
from pcedge.export.onnx.shipped import is_shipped
from pcedge.integer import IntegerCircuit
from pcedge.schedule.program import Program
from pcedge.schedule.ranges import declared_widths


def bounds_of(model: str, integers: IntegerCircuit, against: str | None) -> tuple[dict[str, Any], dict[str, str]]:
    """Give what a file's circuit needs and costs at most: for machines by key, and the same in words.

    Args:
        model: the file, or the name of a shipped circuit.
        integers: its circuit.
        against: the float circuit that it was made of; None takes the bounds that the file holds.

    Raises:
        UsageError: the circuits do not belong together.
    """
    needed, declared = Program.of(integers).needed, declared_widths(integers)
    text = {"needed": ", ".join(f"{name} {bits} of {declared[name]}" for name, bits in needed.items())}
    bounds: ExtraBits | None = None
    if against is not None:
        bounds = extra_bits(read_float(against), integers)
    else:
        note = _notes(model)
        if NOTE in note:
            bounds = ExtraBits.from_note(note[NOTE])
            text["extra_bits"] = f"the file's note {NOTE} cannot be read; --against FLOAT computes the bounds"
        else:
            text["extra_bits"] = "the file holds no bounds; --against FLOAT computes them"
    if bounds is not None:
        text["extra_bits"] = bounds.describe()
    if against is not None and NOTE in _notes(model):
        text["extra_bits"] += "\nnote: the file holds these bounds already; --against computed them anew"
    return {"needed": needed, "extra_bits": asdict(bounds) if bounds else None}, text


def _notes(model: str) -> dict[str, str]:
    """Read the notes of an ONNX file; nothing else has any."""
    if is_shipped(model) or is_program_file(model):
        return {}
    from pcedge.export import read_notes

    return read_notes(model)
