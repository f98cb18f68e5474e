"""From an ONNX model back to the integer circuit, with every rule of the format checked (docs/onnx.md)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from pcedge.circuit.layers import ProductLayer, SparseRows
from pcedge.data.symbolizer import Symbolizer
from pcedge.errors import CircuitError, FormatError, UsageError, WidthError
from pcedge.export.onnx_equality import check_equal
from pcedge.export.onnx_loop_reader import A_LAYER, AN_ENTRY, MOMENT, OF_LISTS, loop_layers
from pcedge.export.onnx_parameters import MASTERS, NESTED, SPARSE_WEIGHTS, TABLES, check_size, parameters_of
from pcedge.export.onnx_writer import FORMAT_VERSION, LOOP_VERSION, METADATA, WIDTHS, to_onnx
from pcedge.limits import Budget, Source, read_source
from pcedge.quantize.integer import IntegerCircuit, IntegerInput, IntegerLayer, IntegerSum
from pcedge.quantize.nested import NestedTables

#: element types of initializers
_TYPES = {
    TensorProto.UINT8: np.uint8, TensorProto.UINT16: np.uint16, TensorProto.INT32: np.int32, TensorProto.INT64: np.int64
}  # fmt: skip

_KEYS = {
    ("input", "block"): {"kind", "variable", "block"},
    ("product", "block"): {"kind", "children", "block"},
    ("product", ""): {"kind", "children"},
    ("sum", "block"): {"kind", "children", "block"},
    ("sum", "lists"): {"kind", "children", "lists", "row"},
}

#: bytes of memory that reading takes at most: for each byte of initializers, and of all else, which may be empty
#: messages; for each entry of a block (the layer's, and two of float64 for the needed widths)
_OF_DATA, _A_BYTE, _OF_BLOCK = 8, 128, 24


class _Parameters:
    """Hold the initializers by name, and the blocks taken of them; layers of one block share it."""

    def __init__(self, model: onnx.ModelProto, budget: Budget) -> None:
        self.budget = budget
        self.tensors: dict[str, NDArray[Any]] = _tensors(model)
        self.blocks: dict[tuple[str, int], NDArray[np.int64]] = {}

    def block(self, where: str, name: str, row: int) -> NDArray[np.int64]:
        """Take one row of a stacked initializer."""
        tensor = self.tensor(where, name, 3)
        if (name, row) not in self.blocks:
            self.budget.take(_OF_BLOCK * math.prod(tensor.shape[1:]))
            self.blocks[name, row] = _row(where, tensor, row)
        return self.blocks[name, row]

    def tensor(self, where: str, name: Any, dimensions: int) -> NDArray[Any]:
        if not isinstance(name, str) or name not in self.tensors:
            raise _parameters(f"{where} must name an initializer, got {str(name)[:80]!r}")
        tensor = self.tensors[name]
        if tensor.ndim != dimensions:
            raise _parameters(f"{where}: initializer {name!r} must have {dimensions} dimensions, got {tensor.ndim}")
        return tensor


def read_onnx(path: Source) -> IntegerCircuit:
    """Read an integer circuit from an ONNX file.

    Args:
        path: the file, its bytes, or the open binary file.

    Raises:
        FormatError: a rule of the format is broken; the error names it.
        UsageError: `path` is none of the three.
        OSError: the file cannot be read.
    """
    return read_onnx_bytes(*read_source(path))


def read_notes(path: Source) -> dict[str, str]:
    """Read the entries of a file's metadata that the format leaves free; arguments are those of `read_onnx`.

    Raises:
        FormatError: the file is no ONNX model with metadata of the format.
    """
    metadata = _metadata(_parsed(*read_source(path)))
    return {key: value for key, value in metadata.items() if key not in METADATA}


def read_onnx_bytes(data: bytes, name: str) -> IntegerCircuit:
    """Read an integer circuit from the bytes of an ONNX file, which messages call `name`."""
    return _circuit(_parsed(data, name), len(data), name)


def _parsed(data: bytes, name: str) -> onnx.ModelProto:
    if data[8:9] == b"{":  # a safetensors file: eight bytes of length, then JSON
        raise FormatError(
            "onnx-container",
            f"{name} must be an ONNX file, it is a float circuit (.pcedge): pcedge.circuit.load_circuit reads it",
        )
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise FormatError("onnx-container", f"{name} must be an ONNX file, it cannot be parsed ({error})") from error
    return model


def from_onnx(model: onnx.ModelProto) -> IntegerCircuit:
    """Read an integer circuit from an ONNX model.

    The circuit's structure comes from the metadata and its parameters from the initializers. Then the model is written
    anew, and whatever a runtime executes must be the same: so the graph means the circuit, and nothing else.

    Raises:
        FormatError: a rule of the format is broken; the error names it.
    """
    return _circuit(model, model.ByteSize(), "the model")


def _circuit(model: onnx.ModelProto, size: int, where: str) -> IntegerCircuit:
    _check_texts(model)
    metadata = _metadata(model)
    budget = Budget("onnx", size, where, lambda message: FormatError("onnx-size", message))
    data = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    budget.take(_OF_DATA * data + _A_BYTE * (size - data))
    tensors = _Parameters(model, budget)
    version = metadata["pcedge.format"]
    described = _description(metadata["pcedge.circuit"], version)
    widths = _widths(described["widths"])
    nested = _nested(tensors, widths["leaf_bits"])
    if version == LOOP_VERSION:
        layers, order = loop_layers(tensors.tensors, budget, size)
    else:
        layers, order = _stacked_layers(described, tensors, size)
    symbolizer = _symbolizer(metadata.get("pcedge.symbolizer"))
    constant = _log_constant(metadata.get("pcedge.log_constant"))
    try:
        circuit = IntegerCircuit(
            layers, order=order, symbolizer=symbolizer, nested=nested, log_constant=constant, **widths
        )
        expected = to_onnx(circuit, version=version)
    except (CircuitError, WidthError) as error:
        raise FormatError("onnx-parameters", str(error)) from error
    if metadata["pcedge.digest"] != circuit.digest.hex():
        raise FormatError(
            "onnx-digest",
            f"the digest must be that of the circuit, {circuit.digest.hex()}, got {metadata['pcedge.digest'][:80]!r}",
        )
    _check_needed(metadata.get("pcedge.needed"), expected)
    check_equal(model, expected)
    return circuit


def _stacked_layers(
    described: dict[str, Any], tensors: _Parameters, size: int
) -> tuple[tuple[IntegerLayer, ...], tuple[int, ...]]:
    """Make the layers that a description of format 2 names, and the coding order."""
    order, blocks, entries = _fields(described)
    tensors.budget.take(A_LAYER * len(entries))
    layers: list[IntegerLayer] = []
    parameters = 0
    for index, entry in enumerate(entries):
        layer = _layer(index, entry, len(entries), layers, blocks, tensors)
        parameters += parameters_of(layer)
        check_size(parameters=parameters, size=size)
        layers.append(layer)
    return tuple(layers), order


def _check_texts(model: onnx.ModelProto) -> None:
    """Demand UTF-8 where texts are read; protobuf gives bytes for what is not, or fails, by its version."""
    try:
        texts = [text for entry in model.metadata_props for text in (entry.key, entry.value)]
        texts += [tensor.name for tensor in model.graph.initializer]
        texts += [entry.domain for entry in model.opset_import]
        sound = all(isinstance(text, str) for text in texts)
    except UnicodeDecodeError:
        sound = False
    if not sound:
        raise FormatError("onnx-container", "every text must be UTF-8, it is not")


def _metadata(model: onnx.ModelProto) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in model.metadata_props:
        if entry.key in found:
            raise FormatError("onnx-metadata", f"every key must stand once, {entry.key!r} is repeated")
        found[entry.key] = entry.value
    for key in ("pcedge.format", "pcedge.digest", "pcedge.circuit"):
        if key not in found:
            raise FormatError("onnx-metadata", f"the model must have the metadata {key!r}, it has {sorted(found)[:8]}")
    if found["pcedge.format"] not in (FORMAT_VERSION, LOOP_VERSION):
        raise FormatError(
            "onnx-version",
            f"the format must be {FORMAT_VERSION!r}, got {found['pcedge.format'][:80]!r}; that of deep and large "
            f"circuits is {LOOP_VERSION!r}",
        )
    return found


def _symbolizer(text: str | None) -> Symbolizer | None:
    if text is None:
        return None
    check_size(characters=len(text))
    try:
        return Symbolizer.from_json(text)
    except UsageError as error:
        raise FormatError("onnx-symbolizer", str(error)) from error


def _log_constant(text: str | None) -> float:
    """Read the constant of an import; files of circuits that have none have no entry."""
    if text is None:
        return 0.0
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or repr(value) != text:
        raise FormatError(
            "onnx-constant", f"the log constant must be a finite number as Python writes it, got {text[:40]!r}"
        )
    return value


def _check_needed(text: str | None, expected: onnx.ModelProto) -> None:
    """Demand that the needed widths are those of the circuit; files from before they existed have none."""
    if text is None:
        return
    check_size(characters=len(text))
    wanted = json.loads(next(entry.value for entry in expected.metadata_props if entry.key == "pcedge.needed"))
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError("onnx-needed", f"the needed widths must be JSON ({error})") from error
    if not isinstance(found, dict) or set(found) != set(wanted):
        raise FormatError("onnx-needed", f"the needed widths must be an object of {', '.join(wanted)}")
    for name, bits in wanted.items():
        if type(found[name]) is not int or found[name] != bits:
            raise FormatError("onnx-needed", f"the needed width of {name} must be {bits}, got {str(found[name])[:40]}")


def _description(text: str, version: str) -> dict[str, Any]:
    check_size(characters=len(text))
    try:
        described = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _structure(f"the description must be JSON ({error})") from error
    keys = {"widths"} if version == LOOP_VERSION else {"widths", "order", "blocks", "layers"}
    if not isinstance(described, dict) or set(described) != keys:
        more = "" if version == LOOP_VERSION else ", order, blocks and layers"
        raise _structure(f"the description must be an object of widths{more}")
    return described


def _widths(widths: Any) -> dict[str, int]:
    if not isinstance(widths, dict) or set(widths) != set(WIDTHS):
        raise _structure(f"widths must be an object of {', '.join(WIDTHS)}")
    return {name: _integer(f"widths: {name}", widths[name], 2**31) for name in WIDTHS}


def _fields(described: dict[str, Any]) -> tuple[tuple[int, ...], list[str], list[dict[str, Any]]]:
    order, blocks, entries = (described[key] for key in ("order", "blocks", "layers"))
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _structure("layers must be a list of objects")
    if not isinstance(blocks, list) or not all(isinstance(name, str) for name in blocks):
        raise _structure("blocks must be a list of names")
    return _integers("order", order, len(entries)), blocks, entries


def _integer(where: str, value: Any, below: int) -> int:
    # A bool is an int in Python, not in JSON.
    if type(value) is not int or not 0 <= value < below:
        raise _structure(f"{where} must be an integer in 0..{below - 1}, got {str(value)[:40]}")
    return value


def _integers(where: str, values: Any, below: int) -> tuple[int, ...]:
    if not isinstance(values, list):
        raise _structure(f"{where} must be a list of integers")
    return tuple(_integer(where, value, below) for value in values)


def _structure(message: str) -> FormatError:
    return FormatError("onnx-structure", message)


def _parameters(message: str) -> FormatError:
    return FormatError("onnx-initializers", message)


def _tensors(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    """Take the initializers; each must hold its own data, in an integer type."""
    found: dict[str, NDArray[Any]] = {}
    for tensor in model.graph.initializer:
        where = f"initializer {tensor.name[:80]!r}"
        if tensor.name in found:
            raise _parameters(f"{where} must stand once, it is repeated")
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise _parameters(f"{where} must hold its data itself, it names an external file")
        if tensor.data_type not in _TYPES or tensor.HasField("segment"):
            raise _parameters(f"{where} must be whole and uint8, uint16, int32 or int64, got type {tensor.data_type}")
        if any(size < 1 for size in tensor.dims):
            raise _parameters(f"{where} must have no empty dimension, got {list(tensor.dims)}")
        try:
            found[tensor.name] = numpy_helper.to_array(tensor)
        except (ValueError, TypeError, OverflowError) as error:
            raise _parameters(f"{where} must hold as many integers as its shape {list(tensor.dims)} says") from error
    return found


def _layer(
    index: int,
    entry: dict[str, Any],
    count: int,
    layers: Sequence[IntegerLayer],
    blocks: list[str],
    tensors: _Parameters,
) -> IntegerLayer:
    kind = entry.get("kind")
    form = next((key for key in ("block", "lists") if key in entry), "")
    if not isinstance(kind, str) or set(entry) != _KEYS.get((kind, form)):
        allowed = "; ".join(f"{kind}: {', '.join(sorted(keys))}" for (kind, _), keys in _KEYS.items())
        raise _structure(f"layer {index} must have the keys of its kind ({allowed}), got {str(sorted(entry))[:120]}")
    where = f"layer {index} ({kind})"
    name, row = _place(where, entry["block"], blocks) if form == "block" else ("", 0)
    if kind == "input":
        # No more variables than layers: scopes are bit masks, and one absurd variable would fill the memory.
        variable = _integer(f"{where}: variable", entry["variable"], count)
        return IntegerInput(variable, _leaves(where, name, row, tensors))
    children = _integers(f"{where}: children", entry["children"], max(index, 1))
    if any(child >= index for child in children):
        raise _structure(f"{where} must name only earlier layers as children")
    units = [layers[child].shape.units for child in children]
    if kind == "product":
        if form:
            return ProductLayer(children, tensors.block(where, name, row))
        if not children or len(set(units)) != 1:
            raise _structure(f"{where} must have lists, or children of one number of units, got {units[:8]}")
        tensors.budget.take(_OF_BLOCK * units[0] * len(units))
        same = np.arange(units[0], dtype=np.int64)[:, None]
        return ProductLayer(children, np.broadcast_to(same, (units[0], len(units))))
    if form == "block":
        return IntegerSum(children, tensors.block(where, name, row))
    return IntegerSum(children, _sparse(where, entry, sum(units), tensors))


def _place(where: str, place: Any, blocks: list[str]) -> tuple[str, int]:
    """Take the initializer of a layer's parameters and their row there."""
    if not isinstance(place, list) or len(place) != 2:
        raise _structure(f"{where}: block must be a number in the list of blocks and a row, got {str(place)[:40]}")
    return blocks[_integer(f"{where}: block", place[0], len(blocks))], _integer(f"{where}: row", place[1], 2**31)


def _row(where: str, tensor: NDArray[Any], row: int) -> NDArray[np.int64]:
    return np.asarray(tensor[_integer(f"{where}: row", row, len(tensor))].astype(np.int64))


def _leaves(where: str, name: str, row: int, tensors: _Parameters) -> NDArray[np.int64]:
    """Take the tables of a layer's units."""
    states = tensors.tensor(where, name, 2)
    entries = name.removeprefix("states_").partition("x")[0]
    tables = tensors.tensor(where, TABLES.format(entries), 2)
    rows = _row(where, states, row)
    # A few bytes of rows may name a long table many times: bounded before memory is taken.
    tensors.budget.take(AN_ENTRY * len(rows) * len(tables))
    tensors.budget.check(MOMENT * len(rows) * len(tables))
    if ((rows < 0) | (rows >= tables.shape[1])).any():
        raise _parameters(f"{where}: the tables of its units must be in 0..{tables.shape[1] - 1}")
    return np.asarray(tables[:, rows].T.astype(np.int64))


def _nested(tensors: _Parameters, leaf_bits: int) -> tuple[NestedTables, ...]:
    """Take the tables that come from masters, and add them to the tensors as the graph computes them."""
    found = []
    for name in sorted(tensors.tensors, key=lambda name: (len(name), name)):
        entries = name.removeprefix(MASTERS.format(""))
        if entries == name:
            continue
        where = f"nested tables of {entries[:20]} entries"
        masters, parts = tensors.tensor(where, name, 2), tensors.tensor(where, NESTED.format(entries), 2)
        # The tables, what makes them, and the circuit's own check that it has the same.
        tensors.budget.take(AN_ENTRY * len(masters) * parts.shape[1])
        tensors.budget.check(MOMENT * len(masters) * parts.shape[1])
        if not 8 <= leaf_bits <= 16:
            raise _parameters(f"{where}: leaf_bits must be in 8..16, got {leaf_bits}")
        nested = NestedTables(*(np.ascontiguousarray(part.T).astype(np.int64) for part in (masters, parts)))
        try:
            tensors.tensors[TABLES.format(entries)] = nested.tables(leaf_bits).T
        except CircuitError as error:
            raise FormatError("onnx-parameters", str(error)) from error
        found.append(nested)
    return tuple(found)


def _sparse(where: str, entry: dict[str, Any], columns: int, tensors: _Parameters) -> SparseRows:
    """Take the lists of one sum from those of its stack."""
    if not isinstance(entry["lists"], list) or len(entry["lists"]) != 3:
        raise _structure(f"{where}: lists must name three initializers: entries, sources, starts")
    entries, sources, starts = (
        tensors.tensor(where, name, 1 + (place == 2)) for place, name in enumerate(entry["lists"])
    )
    values = tensors.tensor(where, SPARSE_WEIGHTS, 1)
    row = _integer(f"{where}: row", entry["row"], len(starts))
    pointers = starts[row].astype(np.int64)
    first, last = int(pointers[0]), int(pointers[-1])
    if not 0 <= first <= last <= len(sources) or len(entries) != len(sources) or (np.diff(pointers) < 0).any():
        raise _parameters(f"{where}: starts must ascend within the {len(sources)} entries of the lists")
    tensors.budget.take(OF_LISTS * (last - first + len(pointers)))
    places = entries[first:last].astype(np.int64)
    if ((places < 0) | (places >= len(values))).any():
        raise _parameters(f"{where}: entries must be in 0..{len(values) - 1}")
    indices = sources[first:last].astype(np.int64) - row * columns
    return SparseRows(pointers - first, indices, values[places].astype(np.int64), columns)
