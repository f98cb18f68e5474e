"""The layers of a circuit from the description and the initializers of format 2 (docs/onnx.md)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.circuit.layers import ProductLayer
from pcedge.circuit.rows import SparseRows
from pcedge.errors import FormatError
from pcedge.export.onnx.initializers import SPARSE_WEIGHTS, TABLES, TAILS, check_size, parameters_of
from pcedge.export.onnx.loop_reader import A_LAYER, AN_ENTRY, MOMENT, OF_LISTS, structure_error
from pcedge.integer.circuit import IntegerInput, IntegerLayer, IntegerSum
from pcedge.limits import MemoryBudget

#: keys of a layer's description by its kind and form
_KEYS: dict[tuple[str, ...], set[str]] = {
    ("input", "block"): {"kind", "variable", "block"},
    ("input", "block", "tails"): {"kind", "variable", "block", "tails"},
    ("product", "block"): {"kind", "children", "block"},
    ("product", ""): {"kind", "children"},
    ("sum", "block"): {"kind", "children", "block"},
    ("sum", "block", "tails"): {"kind", "children", "block", "tails"},
    ("sum", "lists"): {"kind", "children", "lists", "row"},
}

#: bytes of memory for each entry of a block: the layer's, and two of float64 for the needed widths
_OF_BLOCK = 24


class StoredParameters:
    """Hold the initializers by name, and the blocks taken of them; layers of one block share it."""

    def __init__(self, tensors: dict[str, NDArray[Any]], budget: MemoryBudget) -> None:
        """Start with no blocks taken."""
        self.budget = budget
        self.tensors = tensors
        self.blocks: dict[tuple[str, int], NDArray[np.int64]] = {}

    def block(self, where: str, name: str, row: int) -> NDArray[np.int64]:
        """Take one row of a stacked initializer."""
        tensor = self.tensor(where, name, 3)
        if (name, row) not in self.blocks:
            self.budget.take(_OF_BLOCK * math.prod(tensor.shape[1:]))
            self.blocks[name, row] = _row(where, tensor, row)
        return self.blocks[name, row]

    def tensor(self, where: str, name: Any, dimensions: int) -> NDArray[Any]:
        """Give an initializer of so many dimensions."""
        if not isinstance(name, str) or name not in self.tensors:
            raise initializer_error(f"{where} must name an initializer, got {str(name)[:80]!r}")
        tensor = self.tensors[name]
        if tensor.ndim != dimensions:
            raise initializer_error(
                f"{where}: initializer {name!r} must have {dimensions} dimensions, got {tensor.ndim}"
            )
        return tensor


def stacked_layers(
    described: dict[str, Any], tensors: StoredParameters, size: int
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


def _fields(described: dict[str, Any]) -> tuple[tuple[int, ...], list[str], list[dict[str, Any]]]:
    order, blocks, entries = (described[key] for key in ("order", "blocks", "layers"))
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise structure_error("layers must be a list of objects")
    if not isinstance(blocks, list) or not all(isinstance(name, str) for name in blocks):
        raise structure_error("blocks must be a list of names")
    return _integers("order", order, len(entries)), blocks, entries


def _layer(
    index: int,
    entry: dict[str, Any],
    count: int,
    layers: Sequence[IntegerLayer],
    blocks: list[str],
    tensors: StoredParameters,
) -> IntegerLayer:
    kind = entry.get("kind")
    form = next((key for key in ("block", "lists") if key in entry), "")
    tailed = ("tails",) if "tails" in entry else ()
    if not isinstance(kind, str) or set(entry) != _KEYS.get((kind, form, *tailed)):
        allowed = "; ".join(f"{kind}: {', '.join(sorted(keys))}" for (kind, *_), keys in _KEYS.items())
        raise structure_error(
            f"layer {index} must have the keys of its kind ({allowed}), got {str(sorted(entry))[:120]}"
        )
    where = f"layer {index} ({kind})"
    name, row = _place(where, entry["block"], blocks) if form == "block" else ("", 0)
    if kind == "input":
        # No more variables than layers: scopes are bit masks, and one absurd variable would fill the memory.
        variable = integer(f"{where}: variable", entry["variable"], count)
        tables = _leaves(where, name, row, tensors)
        if not tailed:
            return IntegerInput(variable, tables)
        tails = tensors.tensor(where, TAILS.format(tables.shape[1] - 1), 2)
        return IntegerInput(variable, tables, _row(where, tails, entry["tails"]))
    children = _integers(f"{where}: children", entry["children"], max(index, 1))
    if any(child >= index for child in children):
        raise structure_error(f"{where} must name only earlier layers as children")
    units = [layers[child].shape.units for child in children]
    if kind == "product":
        if form:
            return ProductLayer(children, tensors.block(where, name, row))
        if not children or len(set(units)) != 1:
            raise structure_error(f"{where} must have lists, or children of one number of units, got {units[:8]}")
        tensors.budget.take(_OF_BLOCK * units[0] * len(units))
        same = np.arange(units[0], dtype=np.int64)[:, None]
        return ProductLayer(children, np.broadcast_to(same, (units[0], len(units))))
    if form == "block":
        if tailed and entry["tails"] is not True:
            raise structure_error(f"{where}: tails must be true where they are named, got {str(entry['tails'])[:40]}")
        return IntegerSum(children, tensors.block(where, name, row), bool(tailed))
    return IntegerSum(children, _sparse(where, entry, sum(units), tensors))


def _place(where: str, block: Any, blocks: list[str]) -> tuple[str, int]:
    """Take the initializer of a layer's parameters and their row there."""
    if not isinstance(block, list) or len(block) != 2:
        raise structure_error(f"{where}: block must be a number in the list of blocks and a row, got {str(block)[:40]}")
    return blocks[integer(f"{where}: block", block[0], len(blocks))], integer(f"{where}: row", block[1], 2**31)


def _row(where: str, tensor: NDArray[Any], row: int) -> NDArray[np.int64]:
    return np.asarray(tensor[integer(f"{where}: row", row, len(tensor))].astype(np.int64))


def _leaves(where: str, name: str, row: int, tensors: StoredParameters) -> NDArray[np.int64]:
    """Take the tables of a layer's units."""
    states = tensors.tensor(where, name, 2)
    entries = name.removeprefix("states_").partition("x")[0]
    tables = tensors.tensor(where, TABLES.format(entries), 2)
    rows = _row(where, states, row)
    # A few bytes of rows may name a long table many times: bounded before memory is taken.
    tensors.budget.take(AN_ENTRY * len(rows) * len(tables))
    tensors.budget.check(MOMENT * len(rows) * len(tables))
    if ((rows < 0) | (rows >= tables.shape[1])).any():
        raise initializer_error(f"{where}: the tables of its units must be in 0..{tables.shape[1] - 1}")
    return np.asarray(tables[:, rows].T.astype(np.int64))


def _sparse(where: str, entry: dict[str, Any], columns: int, tensors: StoredParameters) -> SparseRows:
    """Take the lists of one sum from those of its stack."""
    if not isinstance(entry["lists"], list) or len(entry["lists"]) != 3:
        raise structure_error(f"{where}: lists must name three initializers: entries, sources, starts")
    entries, sources, starts = (
        tensors.tensor(where, name, 1 + (position == 2)) for position, name in enumerate(entry["lists"])
    )
    values = tensors.tensor(where, SPARSE_WEIGHTS, 1)
    row = integer(f"{where}: row", entry["row"], len(starts))
    pointers = starts[row].astype(np.int64)
    first, last = int(pointers[0]), int(pointers[-1])
    if not 0 <= first <= last <= len(sources) or len(entries) != len(sources) or (np.diff(pointers) < 0).any():
        raise initializer_error(f"{where}: starts must ascend within the {len(sources)} entries of the lists")
    tensors.budget.take(OF_LISTS * (last - first + len(pointers)))
    positions = entries[first:last].astype(np.int64)
    if ((positions < 0) | (positions >= len(values))).any():
        raise initializer_error(f"{where}: entries must be in 0..{len(values) - 1}")
    indices = sources[first:last].astype(np.int64) - row * columns
    return SparseRows(pointers - first, indices, values[positions].astype(np.int64), columns)


def integer(where: str, value: Any, below: int) -> int:
    """Take an integer of a description.

    Raises:
        FormatError: it is none, or out of range.
    """
    # A bool is an int in Python, not in JSON.
    if type(value) is not int or not 0 <= value < below:
        raise structure_error(f"{where} must be an integer in 0..{below - 1}, got {str(value)[:40]}")
    return value


def _integers(where: str, values: Any, end: int) -> tuple[int, ...]:
    if not isinstance(values, list):
        raise structure_error(f"{where} must be a list of integers")
    return tuple(integer(where, value, end) for value in values)


def initializer_error(message: str) -> FormatError:
    """Make the error of an initializer that breaks a rule."""
    return FormatError("onnx-initializers", message)
