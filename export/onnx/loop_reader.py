"""The layers of a circuit from the initializers of format 3 (docs/onnx.md, section Loops)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray
from pcedge.circuit.layers import ProductLayer
from pcedge.circuit.rows import SparseRows
from pcedge.errors import FormatError
from pcedge.export.onnx.initializers import check_size
from pcedge.export.onnx.loop import COLUMNS, KINDS
from pcedge.integer.circuit import IntegerInput, IntegerLayer, IntegerSum
from pcedge.limits import MemoryBudget

#: bytes of memory that reading takes at most: for each layer, entry of a leaf table, of lists; and for a moment, for an
#: entry of a leaf table
A_LAYER, AN_ENTRY, OF_LISTS, MOMENT = 12_000, 8, 80, 64

#: dimensions of the initializers that hold a circuit
_DIMENSIONS = {"layers": 2, "edges": 2, "order": 1, "tables": 1, "states": 1, "weights": 1, "positions": 1}


def loop_layers(
    tensors: dict[str, NDArray[Any]], budget: MemoryBudget, size: int
) -> tuple[tuple[IntegerLayer, ...], tuple[int, ...]]:
    """Make the layers that the initializers of a model of format 3 describe, and the coding order.

    Args:
        tensors: the initializers by name.
        budget: counts the memory that is taken.
        size: bytes of the file.

    Raises:
        FormatError: an initializer is missing, or names what is not there.
    """
    initializers = {}
    for name, dimensions in _DIMENSIONS.items():
        if name not in tensors:
            raise FormatError("onnx-initializers", f"a model of format 3 must have the initializer {name!r}")
        if tensors[name].ndim != dimensions:
            raise FormatError(
                "onnx-initializers",
                f"initializer {name!r} must have {dimensions} dimensions, got {tensors[name].ndim}",
            )
        initializers[name] = tensors[name].astype(np.int64)
    if initializers["layers"].shape[1] != len(COLUMNS) or initializers["edges"].shape[1] != 2:
        raise structure_error(f"layers must have {len(COLUMNS)} columns and edges 2")
    budget.take(A_LAYER * len(initializers["layers"]) + OF_LISTS * initializers["edges"].size)
    reader = _Reader(initializers)
    return reader.layers(budget, size), tuple(initializers["order"].tolist())


def structure_error(message: str) -> FormatError:
    """Make the error of a description that breaks the form."""
    return FormatError("onnx-structure", message)


class _Reader:
    """Hold the initializers, checked, and what the layers are sized by."""

    def __init__(self, initializers: dict[str, IntArray]) -> None:
        self.initializers = initializers
        columns = dict(zip(COLUMNS, initializers["layers"].T, strict=True))
        self.kind, self.units, self.count = columns["kind"], columns["units"], columns["children"]
        self.variable, self.symbols = columns["variable"], columns["symbols"]
        self.data, self.sources, self.starts = columns["data"], columns["sources"], columns["starts"]
        self.child, self.lists = initializers["edges"].T
        count = len(initializers["layers"])
        self._each("kind", self.kind, 0, len(KINDS))
        self._each("units", self.units, 1, 2**31)
        self._each("children", self.count, 0, len(self.child) + 1)
        for name in ("data", "sources", "starts"):
            self._each(name, columns[name], 0, 2**31)
        #: inputs and dense sums that have tails
        self.tailed = ((self.kind == 0) | (self.kind == 2)) & (self.starts == 1)
        if int(self.count.sum()) != len(self.child) or (self.count[self.kind == 0] > 0).any():
            raise structure_error("the layers must have as many children as there are edges, and inputs none")
        if (self.count[self.kind > 0] < 1).any():
            raise structure_error("a product or a sum must have children")
        user = np.repeat(np.arange(count), self.count)
        if ((self.child < 0) | (self.child >= user)).any():
            raise structure_error("a layer must name only earlier layers as children")
        if (self.lists < 0).any():
            raise structure_error("a gather list must begin in the positions")
        leaf = self.kind == 0
        # No more variables than layers: scopes are bit masks, and one absurd variable would fill the memory.
        self._each("variable", self.variable[leaf], 0, count)
        self._each("symbols", self.symbols[leaf], 1, 2**31)
        self.first = np.cumsum(self.count) - self.count
        offsets = np.concatenate([[0], np.cumsum(self.units[self.child])])
        self.columns = offsets[self.first + self.count] - offsets[self.first]

    def _each(self, name: str, values: IntArray, low: int, high: int) -> None:
        wrong = np.flatnonzero((values < low) | (values >= high))
        if len(wrong):
            raise structure_error(f"{name} of a layer must be in {low}..{high - 1}, got {values[wrong[0]]}")

    def _within(self, name: str, starts: IntArray, sizes: IntArray | int) -> None:
        """Demand that parts of an initializer are there."""
        if (starts + sizes > len(self.initializers[name])).any():
            raise FormatError(
                "onnx-initializers", f"initializer {name!r} must hold what layers and edges name, it is too short"
            )

    def layers(self, budget: MemoryBudget, size: int) -> tuple[IntegerLayer, ...]:
        """Make all layers."""
        sparse = np.flatnonzero(self.kind == KINDS.index("sparse sum"))
        self._within("positions", self.starts[sparse], self.units[sparse] + 1)
        entries = np.zeros(len(self.kind), dtype=np.int64)
        entries[sparse] = self.initializers["positions"][self.starts[sparse] + self.units[sparse]]
        if (entries < 0).any():
            raise structure_error("the rows of a sparse sum must end behind their beginning")
        self._within("positions", self.sources[sparse], entries[sparse])
        self._within("weights", self.data[sparse], entries[sparse])
        tailed = self.tailed & (self.kind == 0)
        self._within("positions", self.sources[tailed], self.symbols[tailed])
        # As floats, which do not wrap; several layers may name the same entries: bounded before memory is taken.
        units = self.units.astype(np.float64)
        parameters = np.select(
            [self.kind == 0, self.kind == 1, self.kind == 2],
            [units * (self.symbols + 1), units * self.count, units * self.columns], entries,
        )  # fmt: skip
        tables, lists, _, rows = (int(parameters[self.kind == kind].sum()) for kind in range(len(KINDS)))
        check_size(parameters=int(parameters.sum()), size=size)
        budget.take(AN_ENTRY * tables + OF_LISTS * (lists + rows))
        budget.check(MOMENT * tables)
        sizes = parameters.astype(np.int64)
        layers: list[IntegerLayer | None] = [None] * len(self.kind)
        children = self.child.tolist()
        children_of = [
            tuple(children[at : at + size]) for at, size in zip(self.first.tolist(), self.count.tolist(), strict=True)
        ]
        for index, cumulative in self._inputs():
            layers[index] = IntegerInput(int(self.variable[index]), cumulative, self._tails(index))
        for index, gather in self._products():
            layers[index] = ProductLayer(children_of[index], gather)
        for index, weights in self._sums(sizes):
            layers[index] = IntegerSum(children_of[index], weights, bool(self.tailed[index]))
        return tuple(layers)  # type: ignore[arg-type]

    def _tails(self, index: int) -> IntArray | None:
        """Give the exponents of an input layer's tails."""
        if not self.tailed[index]:
            return None
        start, symbols = int(self.sources[index]), int(self.symbols[index])
        return self.initializers["positions"][start : start + symbols]

    def _alike(self, kind: int, sizes: IntArray) -> Iterator[tuple[IntArray, int]]:
        """Give the layers of one kind by their size."""
        indices = np.flatnonzero(self.kind == kind)
        for size in np.unique(sizes[indices]).tolist():
            yield indices[sizes[indices] == size], size

    def _inputs(self) -> Iterator[tuple[int, IntArray]]:
        states, tables = self.initializers["states"], self.initializers["tables"]
        leaf = self.kind == 0
        self._within("states", self.data[leaf], self.units[leaf])
        for indices, symbols in self._alike(0, self.symbols):
            for units in np.unique(self.units[indices]).tolist():
                layers = indices[self.units[indices] == units]
                begins = states[self.data[layers][:, None] + np.arange(units)]
                if (begins < 0).any():
                    raise structure_error("a leaf table must begin in the tables")
                self._within("tables", begins, symbols + 1)
                yield from zip(layers.tolist(), tables[begins[:, :, None] + np.arange(symbols + 1)], strict=True)

    def _products(self) -> Iterator[tuple[int, IntArray]]:
        positions = self.initializers["positions"]
        for indices, units in self._alike(1, self.units):
            for count in np.unique(self.count[indices]).tolist():
                layers = indices[self.count[indices] == count]
                begins = self.lists[self.first[layers][:, None] + np.arange(count)]
                self._within("positions", begins, units)
                yield from zip(layers.tolist(), positions[begins[:, None, :] + np.arange(units)[:, None]], strict=True)

    def _sums(self, sizes: IntArray) -> Iterator[tuple[int, IntArray | SparseRows]]:
        positions, weights = self.initializers["positions"], self.initializers["weights"]
        dense = np.flatnonzero(self.kind == KINDS.index("sum"))
        self._within("weights", self.data[dense], sizes[dense])
        rows = zip(*(column[dense].tolist() for column in (self.data, sizes, self.units)), strict=True)
        for index, (first, size, units) in zip(dense.tolist(), rows, strict=True):
            yield index, weights[first : first + size].reshape(units, -1)
        for index in np.flatnonzero(self.kind == KINDS.index("sparse sum")).tolist():
            first, source, start, entries = (int(p[index]) for p in (self.data, self.sources, self.starts, sizes))
            yield index, SparseRows(
                positions[start : start + int(self.units[index]) + 1], positions[source : source + entries],
                weights[first : first + entries], int(self.columns[index]),
            )  # fmt: skip
