"""From an ONNX model back to the integer circuit, with every rule of the format checked (docs/onnx.md)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from pcedge.circuit.row_table import expand
from pcedge.data.maps import DataMap, map_from_json
from pcedge.data.value_grid import ValueGrid
from pcedge.errors import CircuitError, FormatError, UsageError, WidthError
from pcedge.export.onnx.equality import check_equal
from pcedge.export.onnx.initializers import MASTERS, NESTED, NUMBERS, ROWS, TABLES, TURNS, WEIGHTS, check_size
from pcedge.export.onnx.loop_reader import AN_ENTRY, MOMENT, loop_layers, structure_error
from pcedge.export.onnx.metadata import (
    FORMAT_VERSION,
    LOOP_VERSION,
    LOOPED,
    METADATA,
    VERSIONS,
    WIDTHS,
    WITH_ROWS,
    text_digest,
)
from pcedge.export.onnx.stack_reader import StoredParameters, initializer_error, integer, stacked_layers
from pcedge.export.onnx.writer import to_onnx
from pcedge.files import is_safetensors
from pcedge.integer.circuit import IntegerCircuit
from pcedge.integer.nested import NestedTables
from pcedge.limits import MemoryBudget, Source, read_source

#: element types of initializers
_TYPES = {
    TensorProto.UINT8: np.uint8, TensorProto.UINT16: np.uint16, TensorProto.INT32: np.int32, TensorProto.INT64: np.int64
}  # fmt: skip

#: bytes of memory that reading takes at most: for each byte of initializers, and of all else, which may be empty
#: messages
_OF_DATA, _A_BYTE = 8, 128


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
    metadata = _metadata(_parse(*read_source(path)))
    return {key: value for key, value in metadata.items() if key not in METADATA}


def read_onnx_bytes(data: bytes, name: str) -> IntegerCircuit:
    """Read an integer circuit from the bytes of an ONNX file, which messages call `name`."""
    return _circuit(_parse(data, name), len(data), name)


def _parse(data: bytes, name: str) -> onnx.ModelProto:
    if is_safetensors(data):
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
    budget = MemoryBudget("onnx", size, where, lambda message: FormatError("onnx-size", message))
    data = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    budget.take(_OF_DATA * data + _A_BYTE * (size - data))
    tensors = StoredParameters(_tensors(model), budget)
    version = metadata["pcedge.format"]
    described = _description(metadata["pcedge.circuit"], version)
    widths = _widths(described["widths"])
    nested = _nested(tensors, widths["leaf_bits"])
    if version in WITH_ROWS and version not in LOOPED:
        _take_rows(tensors)
    if version in LOOPED:
        layers, order = loop_layers(tensors.tensors, budget, size)
    else:
        layers, order = stacked_layers(described, tensors, size)
    symbolizer = _symbolizer(metadata.get("pcedge.symbolizer"))
    constant = _log_constant(metadata.get("pcedge.log_constant"))
    grid = _grid(metadata.get("pcedge.grid"))
    try:
        circuit = IntegerCircuit(
            layers, order=order, symbolizer=symbolizer, nested=nested, log_constant=constant,
            tails="tails" in described, grid=grid, row_lengths=_lengths(described), **widths,
        )  # fmt: skip
        expected = to_onnx(circuit, version=version)
    except (CircuitError, WidthError) as error:
        raise FormatError("onnx-parameters", str(error)) from error
    if metadata["pcedge.digest"] != circuit.digest.hex():
        raise FormatError(
            "onnx-digest",
            f"the digest must be that of the circuit, {circuit.digest.hex()}, got {metadata['pcedge.digest'][:80]!r}",
        )
    wanted = circuit.likelihood_digest.hex() if circuit.tails else None
    if metadata.get("pcedge.likelihood_digest") != wanted:
        raise FormatError(
            "onnx-digest",
            f"the digest of the likelihood must be {wanted or 'absent, as tails are'}, "
            f"got {str(metadata.get('pcedge.likelihood_digest'))[:80]}",
        )
    _check_text(metadata, "log_constant", circuit, "onnx-constant", "the log constant")
    _check_text(metadata, "grid", circuit, "onnx-grid", "the grid")
    _check_needed(metadata.get("pcedge.needed"), expected)
    check_equal(model, expected)
    return circuit


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
    metadata: dict[str, str] = {}
    for entry in model.metadata_props:
        if entry.key in metadata:
            raise FormatError("onnx-metadata", f"every key must stand once, {entry.key!r} is repeated")
        metadata[entry.key] = entry.value
    for key in ("pcedge.format", "pcedge.digest", "pcedge.circuit"):
        if key not in metadata:
            raise FormatError(
                "onnx-metadata", f"the model must have the metadata {key!r}, it has {sorted(metadata)[:8]}"
            )
    if metadata["pcedge.format"] not in VERSIONS:
        raise FormatError(
            "onnx-version",
            f"the format must be {FORMAT_VERSION!r}, got {metadata['pcedge.format'][:80]!r}; that of deep and large "
            f"circuits is {LOOP_VERSION!r}, with a row table {' and '.join(map(repr, WITH_ROWS))}",
        )
    return metadata


def _symbolizer(text: str | None) -> DataMap | None:
    if text is None:
        return None
    check_size(characters=len(text))
    try:
        return map_from_json(text)
    except UsageError as error:
        raise FormatError("onnx-symbolizer", str(error)) from error


def _grid(text: str | None) -> ValueGrid | None:
    if text is None:
        return None
    check_size(characters=len(text))
    try:
        grid = ValueGrid.from_json(text)
    except UsageError as error:
        raise FormatError("onnx-grid", str(error)) from error
    if grid.to_json() != text:
        raise FormatError("onnx-grid", "the grid must be written in its canonical form")
    return grid


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


def _check_text(metadata: Mapping[str, str], key: str, circuit: IntegerCircuit, rule: str, what: str) -> None:
    """Demand that an entry has its digest, and that neither stands alone."""
    given = metadata.get(f"pcedge.{key}"), metadata.get(f"pcedge.{key}_digest")
    wanted = None if given[0] is None else text_digest(circuit.digest, given[0])
    if given[1] != wanted:
        expected = wanted or f"absent, as the {what.split()[-1]} is"
        raise FormatError(rule, f"the digest of {what} must be {expected}, got {str(given[1])[:80]}")


def _check_needed(text: str | None, expected: onnx.ModelProto) -> None:
    """Demand that the needed widths are those of the circuit; files from before they existed have none."""
    if text is None:
        return
    check_size(characters=len(text))
    texts = [entry.value for entry in expected.metadata_props if entry.key == "pcedge.needed"]
    if not texts:
        raise FormatError("onnx-needed", "a model of loops must not say needed widths, it does")
    wanted = json.loads(texts[0])
    try:
        needed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError("onnx-needed", f"the needed widths must be JSON ({error})") from error
    if not isinstance(needed, dict) or set(needed) != set(wanted):
        raise FormatError("onnx-needed", f"the needed widths must be an object of {', '.join(wanted)}")
    for name, bits in wanted.items():
        if type(needed[name]) is not int or needed[name] != bits:
            raise FormatError("onnx-needed", f"the needed width of {name} must be {bits}, got {str(needed[name])[:40]}")


def _description(text: str, version: str) -> dict[str, Any]:
    check_size(characters=len(text))
    try:
        described = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise structure_error(f"the description must be JSON ({error})") from error
    keys = {"widths"} if version in LOOPED else {"widths", "order", "blocks", "layers"}
    more = "" if version in LOOPED else ", order, blocks and layers"
    if version in WITH_ROWS:
        keys, more = keys | {"rows"}, more + ", and of rows"
    if not isinstance(described, dict) or set(described) - {"tails"} != keys:
        raise structure_error(f"the description must be an object of widths{more}")
    if described.get("tails", True) is not True:
        raise structure_error(f"tails must be true where they are named, got {str(described['tails'])[:40]}")
    return described


def _lengths(described: dict[str, Any]) -> tuple[int, ...]:
    """Take the lengths of the row table; a format without one has none."""
    if "rows" not in described:
        return ()
    lengths = described["rows"]
    if not isinstance(lengths, list) or not lengths:
        raise structure_error(f"rows must be a list of lengths, got {str(lengths)[:40]}")
    return tuple(integer("rows: a length", length, 2**31) for length in lengths)


def _widths(widths: Any) -> dict[str, int]:
    if not isinstance(widths, dict) or set(widths) != set(WIDTHS):
        raise structure_error(f"widths must be an object of {', '.join(WIDTHS)}")
    return {name: integer(f"widths: {name}", widths[name], 2**31) for name in WIDTHS}


def _tensors(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    """Take the initializers; each must hold its own data, in an integer type."""
    tensors: dict[str, NDArray[Any]] = {}
    for tensor in model.graph.initializer:
        where = f"initializer {tensor.name[:80]!r}"
        if tensor.name in tensors:
            raise initializer_error(f"{where} must stand once, it is repeated")
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise initializer_error(f"{where} must hold its data itself, it names an external file")
        if tensor.data_type not in _TYPES or tensor.HasField("segment"):
            raise initializer_error(
                f"{where} must be whole and uint8, uint16, int32 or int64, got type {tensor.data_type}"
            )
        # A circuit of one layer has no edges.
        if any(size < (tensor.name != "edges") for size in tensor.dims):
            raise initializer_error(f"{where} must have no empty dimension, got {list(tensor.dims)}")
        try:
            tensors[tensor.name] = numpy_helper.to_array(tensor)
        except (ValueError, TypeError, OverflowError) as error:
            raise initializer_error(
                f"{where} must hold as many integers as its shape {list(tensor.dims)} says"
            ) from error
    return tensors


def _nested(tensors: StoredParameters, leaf_bits: int) -> tuple[NestedTables, ...]:
    """Take the tables that come from masters, and add them to the tensors as the graph computes them."""
    tables = []
    for name in sorted(tensors.tensors, key=lambda name: (len(name), name)):
        entries = name.removeprefix(MASTERS.format(""))
        if entries == name:
            continue
        where = f"nested tables of {entries[:20]} entries"
        masters, derived = tensors.tensor(where, name, 2), tensors.tensor(where, NESTED.format(entries), 2)
        # The tables, what makes them, and the circuit's own check that it has the same.
        tensors.budget.take(AN_ENTRY * len(masters) * derived.shape[1])
        tensors.budget.check(MOMENT * len(masters) * derived.shape[1])
        if not 8 <= leaf_bits <= 16:
            raise initializer_error(f"{where}: leaf_bits must be in 8..16, got {leaf_bits}")
        nested = NestedTables(*(np.ascontiguousarray(array.T).astype(np.int64) for array in (masters, derived)))
        try:
            tensors.tensors[TABLES.format(entries)] = nested.tables(leaf_bits).T
        except CircuitError as error:
            raise FormatError("onnx-parameters", str(error)) from error
        tables.append(nested)
    return tuple(tables)


def _take_rows(tensors: StoredParameters) -> None:
    """Take rows of a table by numbers and turns, and add them to the tensors as the graph computes them."""
    for name in sorted(tensors.tensors):
        shape = name.removeprefix(NUMBERS.split("{")[0])
        if shape == name:
            continue
        units, _, columns = shape.partition("x")
        where = f"rows of blocks {shape[:20]}"
        rows = tensors.tensor(where, ROWS.format(columns), 2)
        numbers, turns = (tensors.tensor(where, form.format(units, columns), 2) for form in (NUMBERS, TURNS))
        tensors.budget.take(AN_ENTRY * numbers.size * rows.shape[1])
        tensors.budget.check(MOMENT * numbers.size * rows.shape[1])
        try:
            whole = expand(rows, numbers.astype(np.int64), turns.astype(np.int64))
        except CircuitError as error:
            raise FormatError("onnx-parameters", str(error)) from error
        tensors.tensors[WEIGHTS.format(units, columns)] = whole
