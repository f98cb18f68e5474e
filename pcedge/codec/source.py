"""What a codec is opened from: a circuit, its program, or a file of either form."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pcedge import limits
from pcedge.circuit import Circuit
from pcedge.errors import MissingToolError, UsageError
from pcedge.files import is_safetensors
from pcedge.integer.circuit import IntegerCircuit
from pcedge.schedule.program import Program
from pcedge.schedule.serialised import MAGIC, from_bytes

#: an integer circuit, or where one is read from
Source = IntegerCircuit | Program | limits.Source


def open_program(source: Source, given: Sequence[int] | None = None) -> Program:
    """Open an integer circuit.

    Args:
        source: a circuit, its program, or a file of one as path, bytes or binary file: a program (`.pcp`), which numpy
            alone reads, or an ONNX model, which needs onnx; or the name of a shipped circuit, see `pcedge zoo`, where
            there is no such file.
        given: variables that encoder and decoder know; None takes those of the program, files have none.

    Raises:
        FormatError: the file breaks its format.
        UsageError: the source is none of these, or one that is given is no variable of the circuit.
        MissingToolError: it is an ONNX model, and only `pcedge-device` is installed.
        OSError: the file cannot be read.
    """
    if isinstance(source, Circuit):
        raise UsageError(
            "the circuit must be an integer circuit, this is a float one: pcedge.to_integer makes one of it"
        )
    if isinstance(source, IntegerCircuit | Program):
        program = Program.of(source)
    else:
        named = _named(source)
        program = program_of(*(limits.read_source(source) if named is None else (named, str(source))))
    return program if given is None else program.with_given(given)


def shipped(digest: str) -> Program | None:
    """Open the shipped circuit whose digest begins with some hexadecimal digits; None where there is none."""
    try:
        from pcedge.export.onnx.shipped import zoo, zoo_bytes
    except ModuleNotFoundError:  # pcedge-device ships none
        return None
    name = next((name for name, entry in zoo().items() if entry["digest"].startswith(digest)), None)
    return None if name is None else program_of(zoo_bytes(name), name)


def _named(source: limits.Source) -> bytes | None:
    """Give the file of a shipped circuit that is meant by its name; None for everything else."""
    if not isinstance(source, str) or Path(source).is_file():
        return None
    try:
        from pcedge.export.onnx.shipped import is_shipped, zoo_bytes
    except ModuleNotFoundError:
        return None
    return zoo_bytes(source) if is_shipped(source) else None


def program_of(data: bytes, where: str) -> Program:
    """Open an integer circuit from the bytes of a file of either form, which messages call `where`."""
    if data.startswith(MAGIC):
        return from_bytes(data, where)
    if is_safetensors(data):
        raise UsageError(f"{where} must be an integer circuit, it is a float one: pcedge quantize makes one of it")
    # The one road from the codec to onnx, taken for such files only.
    try:
        from pcedge.export.onnx.reader import read_onnx_bytes
    except ModuleNotFoundError as error:  # pcedge-device has no such module, and needs no onnx
        raise MissingToolError(
            f"{where} must be a program file (pcedge export --target program) where {error.name} is not installed; "
            "pip install pcedge brings it"
        ) from error

    return Program.of(read_onnx_bytes(data, where))
