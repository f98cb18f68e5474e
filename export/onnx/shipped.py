"""The circuits that come with the package, as ONNX files with their measured figures (benchmarks/make_zoo.py)."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from pcedge.errors import UsageError
from pcedge.integer.circuit import IntegerCircuit


def zoo() -> dict[str, dict[str, Any]]:
    """List the shipped circuits by name, with what they are of and what was measured.

    Example:
        >>> "digits" in zoo()
        True
    """
    entries: dict[str, dict[str, Any]] = json.loads(_folder().joinpath("zoo.json").read_text(encoding="utf-8"))
    return entries


def is_shipped(name: object) -> bool:
    """Tell whether a name is that of a shipped circuit; a file of that name goes first."""
    return isinstance(name, str) and name in zoo() and not Path(name).is_file()


def zoo_bytes(name: str) -> bytes:
    """Give a shipped circuit's ONNX file.

    Raises:
        UsageError: there is no circuit of that name.
    """
    if name not in zoo():
        raise UsageError(f"a circuit of the zoo must be one of {', '.join(zoo())}, got {name!r}")
    return bytes(_folder().joinpath(f"{name}.onnx").read_bytes())


def load_zoo(name: str) -> IntegerCircuit:
    """Load a shipped circuit.

    Raises:
        UsageError: there is no circuit of that name.
    """
    from pcedge.export.onnx.reader import read_onnx_bytes  # with onnx, which the names of the zoo do not need

    return read_onnx_bytes(zoo_bytes(name), name)


def _folder() -> Any:
    return files("pcedge.data") / "zoo"
