"""The initializers of an ONNX model: every parameter of a circuit once, in the smallest type (docs/onnx.md)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from pcedge.arrays import IntArray
from pcedge.circuit.layers import ProductLayer
from pcedge.circuit.rows import SparseRows, entries
from pcedge.errors import FormatError
from pcedge.integer.circuit import IntegerCircuit, IntegerInput, IntegerLayer
from pcedge.schedule.steps import identity

#: the most parameters, shared ones counted as often as they are used, and the longest description in characters:
#: a hostile file of some kilobytes could otherwise name one block a million times
MAX_PARAMETERS = 2**28
MAX_DESCRIPTION = 2**24
#: in a file, no more parameters than this for each byte, or so many in a small one: reading takes its time for each use
PARAMETERS_A_BYTE, FREE_PARAMETERS = 64, 2**24

#: name of the initializer that holds the weights of all sparse sums
SPARSE_WEIGHTS = "weights"

#: names of the initializers of leaf tables with some entries, of the rows that units have there, and of what the graph
#: makes of both; and the names of those of a layer
TABLES, STATES, WHOLE_TABLES = "tables_{}", "states_{}x{}", "tables_{}x{}"

#: names of the initializers of masters with some entries, and of master, shift and scale of the tables made of them
MASTERS, NESTED = "masters_{}", "nested_{}"

#: names of the initializers of the row table's rows of one length, and of the numbers and turns of blocks of one shape
ROWS, NUMBERS, TURNS = "rows_{}", "numbers_{}x{}", "turns_{}x{}"

#: name of the initializers of weights of dense sums
WEIGHTS = "weights_{}x{}"

#: name of the initializer of the tails of leaves with so many symbols
TAILS = "tails_{}"


def parameters_of(layer: IntegerLayer) -> int:
    """Count the entries of a layer's table, lists or weights."""
    if isinstance(layer, IntegerInput):
        return layer.cumulative.size
    if isinstance(layer, ProductLayer):
        return layer.gather.size
    return entries(layer.weights).size


def check_size(parameters: int = 0, characters: int = 0, size: int | None = None) -> None:
    """Refuse what is too large to be read safely; `size` is that of the file, where there is one.

    Raises:
        FormatError: it is.
    """
    limit = MAX_PARAMETERS
    if size is not None:
        limit = min(limit, max(FREE_PARAMETERS, PARAMETERS_A_BYTE * size))
    if parameters > limit or characters > MAX_DESCRIPTION:
        of_file = "" if size is None else f" in a file of {size} bytes"
        raise FormatError(
            "onnx-size",
            f"a circuit must have at most {limit} parameters{of_file} and {MAX_DESCRIPTION} characters of description, "
            f"got {max(parameters, characters)}",
        )


@dataclass
class _Blocks:
    """Collect parameters of one shape, each different block once."""

    dtype: type[np.generic]
    blocks: list[NDArray[np.generic]] = field(default_factory=list)
    starts: dict[bytes, int] = field(default_factory=dict)
    size: int = 0

    def put(self, block: IntArray, size: int = 1) -> int:
        # A hash instead of the bytes: they would double the memory of every block.
        key = hashlib.blake2b(np.ascontiguousarray(block, dtype=np.int64).data, digest_size=32).digest()
        if key not in self.starts:
            self.starts[key] = self.size
            self.blocks.append(block.astype(self.dtype))
            self.size += size
        return self.starts[key]


class Parameters:
    """Place the parameters of a circuit's layers in initializers, and the indices that nodes need."""

    def __init__(self, circuit: IntegerCircuit) -> None:
        """Place every layer's parameters."""
        self._families: dict[str, _Blocks] = {}
        self._indices: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        #: of every layer with parameters the initializer, and its row there (for sparse sums: the first entry)
        self.blocks: dict[int, tuple[str, int]] = {}
        #: of every input layer with tails the initializer that holds them, and its row there
        self.tails: dict[int, tuple[str, int]] = {}
        #: of the leaf tables that the graph puts together the two initializers that they come from
        self.states: dict[str, list[str]] = {}
        #: of the tables that come from masters, which the graph computes too, the two initializers of theirs
        self.nested: dict[str, list[str]] = {}
        #: of the weights that the graph takes from the row table the three initializers that they come from
        self.turned: dict[str, list[str]] = {}
        self._masters: dict[str, NDArray[np.generic]] = {}
        #: numbers and turns of the blocks of such weights
        self._parts: dict[str, list[tuple[IntArray, IntArray]]] = {}
        largest_value = {
            "tables": 1 << circuit.leaf_bits,
            "weights": 1 << circuit.weight_bits,
            "gathers": max(shape.units for shape in circuit.shapes) - 1,
        }
        for index, layer in enumerate(circuit.layers):
            size = 1
            if isinstance(layer, IntegerInput):
                self._leaves(index, layer.cumulative, largest_value["tables"])
                if layer.tails is not None:
                    name = TAILS.format(len(layer.tails))
                    self.tails[index] = name, self._families.setdefault(name, _Blocks(np.uint8)).put(layer.tails)
                continue
            if isinstance(layer, ProductLayer):
                if _plain(layer, [circuit.layers[child].shape.units for child in layer.children]):
                    continue
                kind, block = "gathers", layer.gather
            elif isinstance(layer.weights, SparseRows):
                kind, block, size = SPARSE_WEIGHTS, layer.weights.values.astype(np.int64), layer.weights.values.size
            else:
                kind, block = "weights", layer.weights
            name = kind if block.ndim == 1 else f"{kind}_{block.shape[0]}x{block.shape[1]}"
            family = self._families.setdefault(name, _Blocks(smallest(largest_value[kind])))
            self.blocks[index] = (name, family.put(block, size))
        self._row_table(circuit, smallest(largest_value["weights"]))

        for nested in circuit.nested:
            entries = nested.symbols + 1
            names = [MASTERS.format(entries), NESTED.format(entries)]
            self.nested[TABLES.format(entries)] = names
            arrays = (nested.masters.T, nested.parts.T)
            largest = (largest_value["tables"], max(largest_value["tables"], len(nested.masters) - 1))
            for name, values, top in zip(names, arrays, largest, strict=True):
                self._masters[name] = np.ascontiguousarray(values).astype(smallest(top))

    def _row_table(self, circuit: IntegerCircuit, dtype: type[np.generic]) -> None:
        """Place the rows of the table, and the numbers and turns of each different block that takes its rows there."""
        for length, table in circuit.row_tables.items():
            self._masters[ROWS.format(length)] = table.rows.astype(dtype)
        for index, part in circuit.row_parts().items():
            units, columns = circuit.layers[index].weights.shape  # type: ignore[union-attr]
            name, row = self.blocks[index]
            self.turned[name] = [ROWS.format(columns), NUMBERS.format(units, columns), TURNS.format(units, columns)]
            parts = self._parts.setdefault(name, [])
            if row == len(parts):
                parts.append(part)

    def _leaves(self, index: int, cumulative: IntArray, largest: int) -> None:
        """Place the tables of an input layer, each different one once, and the rows that its units have there."""
        units, entries = cumulative.shape
        family = self._families.setdefault(TABLES.format(entries), _Blocks(smallest(largest)))
        rows = np.array([family.put(table) for table in cumulative], dtype=np.int64)
        # How many tables there will be is not known yet: `initializers` chooses the type.
        states = self._families.setdefault(STATES.format(entries, units), _Blocks(np.int64))
        self.blocks[index] = (WHOLE_TABLES.format(entries, units), states.put(rows))
        self.states[WHOLE_TABLES.format(entries, units)] = [TABLES.format(entries), STATES.format(entries, units)]

    def index(self, values: object, dtype: type[np.generic] = np.int32) -> str:
        """Give the name of the initializer that holds some indices; equal ones share one."""
        array = np.asarray(values, dtype=dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        return self._indices.setdefault(key, f"i{len(self._indices)}")

    def initializers(self) -> list[TensorProto]:
        """Make the tensors."""
        tensors = []
        # A column for each table, so that a symbol's entries of all units lie side by side in what the graph gathers.
        sizes = {states: self._families[tables].size for tables, states in self.states.values()}
        for name, values in self._masters.items():
            tensors.append(numpy_helper.from_array(values, name))
        for name, family in self._families.items():
            if name in self.nested:
                continue
            if name in self.turned:
                tensors += self._turned_blocks(name)
                continue
            values = np.concatenate(family.blocks) if name == SPARSE_WEIGHTS else np.stack(family.blocks)
            if name in sizes:
                values = values.astype(smallest(sizes[name] - 1))
            elif name in {tables for tables, _ in self.states.values()}:
                values = values.T
            tensors.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        for (dtype, shape, data), name in self._indices.items():
            tensors.append(numpy_helper.from_array(np.frombuffer(data, dtype=dtype).reshape(shape), name))
        return tensors

    def _turned_blocks(self, name: str) -> Iterator[TensorProto]:
        """Make the tensors of numbers and turns that stand for the blocks of one shape."""
        rows, *own = self.turned[name]
        for tensor, parts, most in zip(
            own, zip(*self._parts[name], strict=True), self._masters[rows].shape, strict=True
        ):
            yield numpy_helper.from_array(np.stack(parts).astype(smallest(most - 1)), tensor)


def _plain(layer: ProductLayer, units: list[int]) -> bool:
    """Tell whether unit u of a product layer multiplies unit u of every child, so that it needs no lists."""
    return all(identity(layer.gather[:, column], count) for column, count in enumerate(units))


def smallest(largest: int) -> type[np.generic]:
    """Choose the element type of an initializer whose greatest allowed entry is `largest`."""
    for dtype in (np.uint8, np.uint16, np.int32):
        if largest <= np.iinfo(dtype).max:
            return dtype
    return np.int64
