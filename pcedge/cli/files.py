"""Reading of circuits by what a file holds, not by its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pcedge.circuit import Circuit, load_circuit
from pcedge.codec.container import MAGIC, parse
from pcedge.codec.fields import Field
from pcedge.errors import UsageError
from pcedge.export import zoo
from pcedge.integer import IntegerCircuit
from pcedge.schedule import serialised


def is_zoo_name(path: str) -> bool:
    """Tell whether a path is the name of a shipped circuit; a file of that name goes first."""
    return path in zoo() and not Path(path).is_file()


def describe_stream(path: str) -> dict[str, Any] | None:
    """Describe a compressed stream; None for any other file."""
    if is_zoo_name(path):
        return None
    with open(path, "rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return None
    data = Path(path).read_bytes()
    stream = parse(data)
    return {
        "kind": "stream",
        "version": stream.version,
        "digest": stream.digest.hex(),
        "dtype": str(stream.dtype),
        "shape": list(stream.shape),
        "segments": len(stream.segments),
        "lanes": max((len(segment.lanes) for segment in stream.segments), default=0),
        "bytes": len(data),
        "payload_bytes": stream.payload_bytes,
        "fields": [kind for kind, _ in stream.fields],
        # A stream that names no source is such a file, and comes back as one (docs/stream.md).
        "source": dict(stream.fields).get(Field.SOURCE, b"npy").decode("ascii", "backslashreplace") or None,
    }


def is_program_file(path: str) -> bool:
    """Tell a program file, which numpy alone reads, from an ONNX file."""
    if is_zoo_name(path):
        return False
    with open(path, "rb") as file:
        return file.read(len(serialised.MAGIC)) == serialised.MAGIC


def is_float_file(path: str) -> bool:
    """Tell a float circuit (safetensors: eight bytes of length, then JSON) from an ONNX file."""
    if is_zoo_name(path):
        return path == "digits"
    with open(path, "rb") as file:
        return file.read(9)[8:] == b"{"


def read_float(path: str, why: str = "") -> Circuit:
    """Read a float circuit; refuse an integer one by name, and say why."""
    if not is_float_file(path):  # the name digits is the float circuit wherever one will do
        raise UsageError(f"{path} must be a float circuit (.pcedge), it is none{why}")
    return load_circuit(path)


def read_integer(path: str) -> IntegerCircuit:
    """Read an integer circuit; refuse a float one by name."""
    if is_zoo_name(path):
        from pcedge.export import load_zoo

        return load_zoo(path)
    if is_float_file(path):
        raise UsageError(f"{path} must be an integer circuit (.onnx), it is a float one: run pcedge quantize first")
    if is_program_file(path):
        return serialised.read_program(path).circuit
    from pcedge.export import read_onnx

    return read_onnx(path)
