"""What a codec is opened from: a circuit, its program, or a file of either form."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program
from pcedge.schedule.serialised import MAGIC, from_bytes

#: an integer circuit, or where one is read from
Source = IntegerCircuit | Program | str | Path | bytes | BinaryIO


def open_program(source: Source) -> Program:
    """Open an integer circuit.

    Args:
        source: a circuit, its program, or a file of one as path, bytes or binary file: a program (`.pcp`), which numpy
            alone reads, or an ONNX model, which needs onnx.

    Raises:
        FormatError: the file breaks its format.
        OSError: the file cannot be read.
    """
    if isinstance(source, IntegerCircuit | Program):
        return Program.of(source)
    data, where = read_source(source)
    if data.startswith(MAGIC):
        return from_bytes(data, where)
    # The one road from the codec to onnx, taken for such files only.
    from pcedge.export.onnx.reader import read_onnx_bytes

    return Program.of(read_onnx_bytes(data, where))


def read_source(source: str | Path | bytes | BinaryIO) -> tuple[bytes, str]:
    """Read a path, bytes or a binary file; give the bytes and how errors name them."""
    if isinstance(source, bytes):
        return source, "the circuit"
    if isinstance(source, str | Path):
        return Path(source).read_bytes(), str(source)
    return source.read(), str(getattr(source, "name", "the circuit"))
