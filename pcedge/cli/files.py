"""Reading of circuits by what a file holds, not by its name."""

from __future__ import annotations

from pathlib import Path

from pcedge.circuit import Circuit, load_circuit
from pcedge.errors import UsageError
from pcedge.export import read_onnx
from pcedge.quantize import IntegerCircuit


def is_float_file(path: str) -> bool:
    """Tell a float circuit (safetensors: eight bytes of length, then JSON) from an ONNX file."""
    if path == "digits" and not Path(path).exists():
        return True
    with open(path, "rb") as file:
        return file.read(9)[8:] == b"{"


def read_float(path: str) -> Circuit:
    """Read a float circuit; refuse an integer one by name."""
    if not is_float_file(path):
        raise UsageError(f"{path} must be a float circuit (.pcedge), it is none; only these can be quantized")
    return load_circuit(path)


def read_integer(path: str) -> IntegerCircuit:
    """Read an integer circuit; refuse a float one by name."""
    if is_float_file(path):
        raise UsageError(f"{path} must be an integer circuit (.onnx), it is a float one: run pcedge quantize first")
    return read_onnx(path)
