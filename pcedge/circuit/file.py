"""The float circuit's file: safetensors with the structure as JSON in its metadata. No pickle, nothing executed."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from pcedge.circuit.layers import Circuit, InputLayer, Layer, ProductLayer, SumLayer
from pcedge.circuit.parametric import Parametric, table_bytes, working_bytes
from pcedge.circuit.rows import SparseRows
from pcedge.data.maps import DataMap, map_from_dict
from pcedge.data.value_grid import ValueGrid
from pcedge.errors import FormatError, UsageError
from pcedge.files import is_safetensors, write_whole
from pcedge.limits import MemoryBudget, Source, read_source

FORMAT = "pcedge-circuit"
VERSION = 1

#: symbols of a parametric leaf in a file at most: a file of few bytes must not ask for the whole memory
MAX_CARDINALITY = 1 << 24


def save_circuit(circuit: Circuit, path: str | Path) -> None:
    """Write a float circuit; the same circuit gives the same bytes.

    Raises:
        FormatError: the tables of parametric leaves are too large for their file, so that nobody could read it.
    """
    write_whole(Path(path), circuit_bytes(circuit, str(path)))


def circuit_bytes(circuit: Circuit, where: str = "the circuit") -> bytes:
    """Give the bytes of a float circuit's file; `where` is its name, for the error of `save_circuit`."""
    from safetensors.numpy import save

    described, tensors = _describe(circuit)
    checksum = _checksum(described, tensors, circuit.log_constant, circuit.symbolizer, circuit.grid)
    header = {"format": FORMAT, "version": VERSION, "sha256": checksum, "layers": described}
    if circuit.log_constant:
        header["log_constant"] = circuit.log_constant
    if circuit.symbolizer is not None:
        header["symbolizer"] = circuit.symbolizer.as_dict()
    if circuit.grid is not None:
        header["grid"] = circuit.grid.as_dict()
    # One key: safetensors writes several in no fixed order, and equal circuits are to give equal bytes.
    data: bytes = save(tensors, {"pcedge": json.dumps(header, separators=(",", ":"))})
    _check_memory(described, tensors, len(data), where)
    return data


def circuit_checksum(circuit: Circuit) -> str:
    """Hash a circuit's structure and parameters, as its file does."""
    return _checksum(*_describe(circuit), circuit.log_constant, circuit.symbolizer, circuit.grid)


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


def load_circuit(path: Source) -> Circuit:
    """Read a float circuit; the name `digits` is the shipped one, where no file has that name.

    Args:
        path: the file, its bytes, or the open binary file.

    Raises:
        FormatError: the file is not a circuit file, of a newer version, or damaged, or would need too much memory
            (docs/circuit.md).
        CircuitError: the circuit in it breaks a rule.
        UsageError: `path` is none of the three.
        OSError: the file cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    if isinstance(path, str | Path) and str(path) == "digits" and not Path(path).exists():
        path = files("pcedge.data").joinpath("digits.pcedge").read_bytes()
    data, path = read_source(path)
    if _is_onnx(data):
        raise FormatError(
            "circuit-container",
            f"{path} must be a float circuit (.pcedge), it is an ONNX file: pcedge.export.read_onnx reads it",
        )
    try:
        tensors = load(data)
        outer = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise FormatError("circuit-container", f"{path} must be a safetensors file ({error})") from error
    size = len(data)
    del data
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
        symbolizer = map_from_dict(header["symbolizer"]) if "symbolizer" in header else None
    except UsageError as error:
        raise FormatError("circuit-symbolizer", f"{path}: {error}") from error
    try:
        grid = ValueGrid.from_dict(header["grid"]) if "grid" in header else None
    except UsageError as error:
        raise FormatError("circuit-grid", f"{path}: {error}") from error
    try:
        constant = header.get("log_constant", 0.0)
        if type(constant) is not float:
            raise TypeError(f"the log constant must be a float, got {constant!r}")
        if _checksum(header["layers"], tensors, constant, symbolizer, grid) != header["sha256"]:
            raise FormatError("circuit-checksum", f"{path} must have the numbers of its checksum: damaged file")
        _check_memory(header["layers"], tensors, size, path)
        layers = [_read_layer(index, entry, tensors) for index, entry in enumerate(header["layers"])]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise FormatError("circuit-layers", f"{path} must describe every layer with its tensors ({error!r})") from error
    return Circuit(tuple(layers), constant, symbolizer, grid)


def _is_onnx(data: bytes) -> bool:
    """Tell an ONNX file, which says its IR version first, from a safetensors file, which says a header's length."""
    return data[:1] == b"\x08" and not is_safetensors(data)


def _check_memory(described: list[dict[str, Any]], tensors: dict[str, Any], size: int, where: str) -> None:
    """Refuse a file whose parametric leaves stand for tables beyond the bound: a few bytes can name any size."""
    budget = MemoryBudget("circuit", size, where, _too_large)
    budget.take(3 * size)
    for index, entry in enumerate(described):
        if "leaves" in entry:
            cardinality = _integer(entry["cardinality"])
            budget.take(table_bytes(len(tensors[f"{index}.parameters"]), cardinality))
            budget.check(working_bytes(cardinality))


def _too_large(message: str) -> FormatError:
    return FormatError("circuit-size", f"{message}: the tables of parametric leaves with too many symbols")


def _checksum(
    described: object,
    tensors: dict[str, Any],
    constant: float = 0.0,
    symbolizer: DataMap | None = None,
    grid: ValueGrid | None = None,
) -> str:
    """Hash what a file means: layers, every tensor by name, and constant, symbolizer and grid if there are any."""
    hasher = hashlib.sha256(json.dumps(described, sort_keys=True, separators=(",", ":")).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        hasher.update(f"{name} {tensor.dtype.str} {tensor.shape}".encode())
        hasher.update(np.ascontiguousarray(tensor).data)
    if constant:
        hasher.update(f"log_constant {constant!r}".encode())
    if symbolizer is not None:
        hasher.update(f"symbolizer {symbolizer.to_json()}".encode())
    if grid is not None:
        hasher.update(f"grid {grid.to_json()}".encode())
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
