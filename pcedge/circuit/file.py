"""The float circuit's file: safetensors with the structure as JSON in its metadata. No pickle, nothing executed."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from pcedge.circuit.layers import Circuit, InputLayer, Layer, ProductLayer, SumLayer
from pcedge.circuit.parametric import Parametric
from pcedge.circuit.rows import SparseRows
from pcedge.data.symbolizer import Symbolizer
from pcedge.errors import FormatError, UsageError

FORMAT = "pcedge-circuit"
VERSION = 1

#: symbols of a parametric leaf in a file at most: a file of few bytes must not ask for the whole memory
MAX_CARDINALITY = 1 << 24


def save_circuit(circuit: Circuit, path: str | Path) -> None:
    """Write a float circuit; the same circuit gives the same bytes."""
    from safetensors.numpy import save

    described, tensors = _describe(circuit)
    checksum = _checksum(described, tensors, circuit.log_constant, circuit.symbolizer)
    header = {"format": FORMAT, "version": VERSION, "sha256": checksum, "layers": described}
    if circuit.log_constant:
        header["log_constant"] = circuit.log_constant
    if circuit.symbolizer is not None:
        header["symbolizer"] = circuit.symbolizer.as_dict()
    # One key: safetensors writes several in no fixed order, and equal circuits are to give equal bytes.
    Path(path).write_bytes(save(tensors, {"pcedge": json.dumps(header, separators=(",", ":"))}))


def circuit_checksum(circuit: Circuit) -> str:
    """Hash a circuit's structure and parameters, as its file does."""
    return _checksum(*_describe(circuit), circuit.log_constant, circuit.symbolizer)


def _describe(circuit: Circuit) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Describe every layer, and name its tensors."""
    tensors: dict[str, Any] = {}
    described: list[dict[str, Any]] = []
    for index, layer in enumerate(circuit.layers):
        if isinstance(layer, InputLayer) and layer.parametric is not None:
            tensors[f"{index}.parameters"] = layer.parametric.parameters
            described.append(
                {
                    "kind": "input",
                    "variable": int(layer.variable),
                    "leaves": layer.parametric.kind,
                    "cardinality": layer.parametric.cardinality,
                }
            )
        elif isinstance(layer, InputLayer):
            tensors[f"{index}.probabilities"] = layer.probabilities
            described.append({"kind": "input", "variable": int(layer.variable)})
        elif isinstance(layer, ProductLayer):
            tensors[f"{index}.gather"] = layer.gather
            described.append({"kind": "product", "children": [int(c) for c in layer.children]})
        elif isinstance(layer.weights, SparseRows):
            for name in ("indptr", "indices", "values"):
                tensors[f"{index}.{name}"] = getattr(layer.weights, name)
            described.append(
                {"kind": "sum", "children": [int(c) for c in layer.children], "columns": layer.weights.columns}
            )
        else:
            tensors[f"{index}.weights"] = layer.weights
            described.append({"kind": "sum", "children": [int(c) for c in layer.children]})
    return described, {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}


def load_circuit(path: str | Path) -> Circuit:
    """Read a float circuit; the name `digits` is the shipped one, where no file has that name.

    Raises:
        FormatError: the file is not a circuit file, of a newer version, or damaged.
        CircuitError: the circuit in it breaks a rule.
        OSError: the file cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    shipped = str(path) == "digits" and not Path(path).exists()
    data = files("pcedge.data").joinpath("digits.pcedge").read_bytes() if shipped else Path(path).read_bytes()
    try:
        tensors = load(data)
        size = int.from_bytes(data[:8], "little")
        outer = json.loads(data[8 : 8 + size])
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise FormatError("circuit-container", f"{path} must be a safetensors file ({error})") from error
    try:
        header = json.loads(outer["__metadata__"]["pcedge"])
        kind, version = header["format"], header["version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FormatError("circuit-format", f"{path} must hold a pcedge circuit ({error!r})") from error
    if kind != FORMAT:
        raise FormatError("circuit-format", f"{path} must say format {FORMAT!r}, got {kind!r}")
    if type(version) is not int or version != VERSION:
        raise FormatError("circuit-version", f"{path} must be of version {VERSION}, got {version!r}")
    try:
        symbolizer = Symbolizer.from_dict(header["symbolizer"]) if "symbolizer" in header else None
    except UsageError as error:
        raise FormatError("circuit-symbolizer", f"{path}: {error}") from error
    try:
        constant = header.get("log_constant", 0.0)
        if type(constant) is not float:
            raise TypeError(f"the log constant must be a float, got {constant!r}")
        if _checksum(header["layers"], tensors, constant, symbolizer) != header["sha256"]:
            raise FormatError("circuit-checksum", f"{path} must have the numbers of its checksum: damaged file")
        layers = [_read_layer(index, entry, tensors) for index, entry in enumerate(header["layers"])]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise FormatError("circuit-layers", f"{path} must describe every layer with its tensors ({error!r})") from error
    return Circuit(tuple(layers), constant, symbolizer)


def _checksum(
    described: object, tensors: dict[str, Any], constant: float = 0.0, symbolizer: Symbolizer | None = None
) -> str:
    """Hash what a file means: layers, every tensor by name, and constant and symbolizer if there are any."""
    hasher = hashlib.sha256(json.dumps(described, sort_keys=True, separators=(",", ":")).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        hasher.update(f"{name} {tensor.dtype.str} {tensor.shape}".encode() + tensor.tobytes())
    if constant:
        hasher.update(f"log_constant {constant!r}".encode())
    if symbolizer is not None:
        hasher.update(f"symbolizer {symbolizer.to_json()}".encode())
    return hasher.hexdigest()


def _read_layer(index: int, entry: dict[str, Any], tensors: dict[str, Any]) -> Layer:
    kind = entry["kind"]
    if kind == "input" and "leaves" in entry:
        parameters = _tensor(tensors, f"{index}.parameters", np.float64, 2)
        cardinality = _integer(entry["cardinality"])
        if cardinality > MAX_CARDINALITY:
            raise ValueError(f"a parametric leaf must have at most {MAX_CARDINALITY} symbols, got {cardinality}")
        return InputLayer.of(_integer(entry["variable"]), Parametric(entry["leaves"], parameters, cardinality))
    if kind == "input":
        return InputLayer(_integer(entry["variable"]), _tensor(tensors, f"{index}.probabilities", np.float64))
    children = tuple(_integer(child) for child in entry["children"])
    if kind == "product":
        return ProductLayer(children, _tensor(tensors, f"{index}.gather", np.int64, 2))
    if kind != "sum":
        raise ValueError(f"layer {index} must be input, product or sum, got {kind!r}")
    if "columns" in entry:
        rows = SparseRows(
            _tensor(tensors, f"{index}.indptr", np.int64, 1),
            _tensor(tensors, f"{index}.indices", np.int64, 1),
            _tensor(tensors, f"{index}.values", np.float64, 1),
            _integer(entry["columns"]),
        )
        return SumLayer(children, rows)
    return SumLayer(children, _tensor(tensors, f"{index}.weights", np.float64, 2))


def _integer(value: object) -> int:
    if type(value) is not int:
        raise ValueError(f"an index must be an integer, got {value!r}")
    return value


def _tensor(tensors: dict[str, Any], name: str, dtype: type, dimensions: int | None = None) -> Any:
    tensor = tensors[name]
    if tensor.dtype != dtype:
        raise ValueError(f"tensor {name} must be {np.dtype(dtype)}, got {tensor.dtype}")
    if dimensions is not None and tensor.ndim != dimensions:
        raise ValueError(f"tensor {name} must have {dimensions} dimensions, got {tensor.ndim}")
    return tensor
