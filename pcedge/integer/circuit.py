"""The integer circuit: the exact meaning that every backend implements."""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pcedge.arithmetic import Widths
from pcedge.arrays import IntArray
from pcedge.circuit.batches import stacked
from pcedge.circuit.layers import ProductLayer
from pcedge.circuit.row_table import RowTable, check_lengths
from pcedge.circuit.rows import SparseRows, batches, entries, joined
from pcedge.circuit.structure import (
    Region,
    Regions,
    Shape,
    Spans,
    check_grid,
    check_shapes,
    check_symbolizer,
    child_lists,
    find_regions,
    region_tree,
)
from pcedge.data.maps import DataMap
from pcedge.data.value_grid import ValueGrid
from pcedge.errors import CircuitError
from pcedge.integer.nested import NestedTables
from pcedge.integer.weights import check_integers, check_rows
from pcedge.tails import TAIL_BITS

#: version of the meaning of an integer circuit; part of its digest
SEMANTICS_VERSION = 1

#: a number of what the digest is over
_WORD = np.dtype("<i8")


@dataclass(frozen=True, eq=False)
class IntegerInput:
    """Leaves over one variable, as cumulative tables.

    Row u of `cumulative`, (units, cardinality + 1), starts at 0, ends at 2^L, and never falls.
    """

    variable: int
    cumulative: IntArray
    #: e, (cardinality,) of 0..`TAIL_BITS`, where counts of 0 are tails: to the likelihood 2^-e of a count of 1
    tails: IntArray | None = None

    @property
    def shape(self) -> Shape:
        """Give what the structure checks need to know."""
        return Shape("input", len(self.cumulative), (), self.variable, self.cumulative.shape[1] - 1)


@dataclass(frozen=True, eq=False)
class IntegerSum:
    """Mixtures whose rows are integers that sum to 2^W; dense (units, child units) or sparse."""

    children: tuple[int, ...]
    weights: IntArray | SparseRows
    #: whether weights of 0, of a dense block, are tails: to the likelihood 2^-`WEIGHT_TAIL_BITS` of a weight of 1
    tails: bool = False

    @property
    def shape(self) -> Shape:
        """Give what the structure checks need to know."""
        return Shape("sum", self.weights.shape[0], self.children, columns=self.weights.shape[1])


IntegerLayer = IntegerInput | ProductLayer | IntegerSum


@dataclass(frozen=True, eq=False)
class IntegerCircuit:
    """Hold a quantized circuit: layers, widths, and the order in which its variables are coded.

    Products list their children in coding order, and every variable has one input layer. A circuit that is not
    structured-decomposable is coded by the numpy reference only; `tree` raises the reason.

    Args:
        layers: children before parents, the root last.
        weight_bits: W.
        leaf_bits: L.
        state_bits: A.
        scale_bits: P.
        range_bits: B.
        floor: f.
        order: the coding order of the variables.
        symbolizer: how data become symbols; None where they are symbols already.
        nested: how leaf tables come from masters, ascending in their symbols; a way to store them, not a part of the
            meaning or the digest.
        log_constant: the float circuit's, the nats that importing it took out; told beside a log-likelihood, added
            nowhere, and not a part of the digest.
        tails: whether no entry of the likelihood becomes 0 by truncation, and layers may have tails
            (docs/arithmetic.md, section Tails); no part of the digest, for coding is the same.
        grid: what the symbols stand for; no part of the digest, for streams hold symbols.
        row_lengths: dense sums of so many columns, ascending, are stored as turned rows of one table; a way to store
            them, not a part of the meaning or the digest (docs/arithmetic.md, section Row tables).

    Raises:
        CircuitError: a rule of the structure or of the parameters is broken.
        WidthError: a width is out of range, or a signal would not fit.
    """

    layers: tuple[IntegerLayer, ...]
    weight_bits: int
    leaf_bits: int
    state_bits: int
    scale_bits: int
    range_bits: int
    floor: int
    order: tuple[int, ...]
    symbolizer: DataMap | None = None
    nested: tuple[NestedTables, ...] = ()
    log_constant: float = 0.0
    tails: bool = False
    grid: ValueGrid | None = None
    row_lengths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check every rule."""
        if type(self.tails) is not bool:
            raise CircuitError(f"tails must be true or false, got {self.tails!r}")
        if type(self.log_constant) is not float or not math.isfinite(self.log_constant):
            raise CircuitError(f"the log constant must be a finite float, got {self.log_constant!r}")
        _ = self.spans
        _ = self.widths
        _check_tables(self.layers, self.leaf_bits)
        _check_sums(self.layers, self.weight_bits)
        seen: dict[int, int] = {}
        for index, layer in enumerate(self.layers):
            if isinstance(layer, IntegerInput):
                if seen.setdefault(layer.variable, index) != index:
                    raise CircuitError(
                        f"layer {index} (input): an integer circuit must have one input layer a variable, variable "
                        f"{layer.variable} has layer {seen[layer.variable]} too"
                    )
        if sorted(self.order) != list(range(len(self.cardinalities))):
            raise CircuitError(f"the coding order must name each of the {len(self.cardinalities)} variables once")
        check_symbolizer(self.symbolizer, self.cardinalities)
        check_grid(self.grid, self.symbolizer, self.cardinalities)
        self._check_nested()
        check_lengths(self.row_lengths, [layer.weights.shape[1] for layer in self.dense_sums.values()])
        self._check_tails()
        if self.structured:
            _ = self.regions
            self._check_order()

    def _check_nested(self) -> None:
        leaves = [layer.cumulative for layer in self.layers if isinstance(layer, IntegerInput)]
        symbols = [nested.symbols for nested in self.nested]
        if symbols != sorted(set(symbols)) or not set(symbols) <= set(self.cardinalities):
            raise CircuitError(f"nested tables must be of the circuit's numbers of symbols, ascending, got {symbols}")
        for nested in self.nested:
            rows = [table for table in leaves if table.shape[1] == nested.symbols + 1]
            nested.check(np.concatenate(rows), self.leaf_bits)

    def _check_tails(self) -> None:
        for index, layer in enumerate(self.layers):
            if isinstance(layer, ProductLayer) or layer.tails is None or layer.tails is False:
                continue
            where = f"layer {index} ({layer.shape.kind})"
            if not self.tails:
                raise CircuitError(f"{where}: no layer must have tails in a circuit without, this one has")
            if isinstance(layer, IntegerInput):
                size, tails = layer.shape.cardinality, layer.tails
                whole = tails.dtype == np.int64 and tails.shape == (size,)
                if not whole or tails.min() < 0 or tails.max() > TAIL_BITS:
                    raise CircuitError(f"{where}: tails must be {size} int64 in 0..{TAIL_BITS}, they are not")
            elif layer.tails is not True or isinstance(layer.weights, SparseRows):
                raise CircuitError(f"{where}: tails must be true, and of a dense block, got {layer.tails!r}")

    def _check_order(self) -> None:
        starts, children = self.edges
        user = np.repeat(np.arange(len(self.layers)), np.diff(starts))
        first = self.regions.first[self.regions.of_layer[children]]
        falls = np.flatnonzero((first[1:] < first[:-1]) & (user[1:] == user[:-1]))
        if len(falls):
            raise CircuitError(f"layer {user[falls[0]]} (product) must list its children in coding order")

    @cached_property
    def spans(self) -> Spans | None:
        """Check the structure, and give its layers' spans; None where the circuit is not structured."""
        return check_shapes(self.shapes)

    @cached_property
    def shapes(self) -> tuple[Shape, ...]:
        """Give the structure without the parameters."""
        return tuple(layer.shape for layer in self.layers)

    @cached_property
    def cardinalities(self) -> tuple[int, ...]:
        """Give the number of symbols of every variable."""
        symbols = {s.variable: s.cardinality for s in self.shapes if s.kind == "input"}
        return tuple(symbols[variable] for variable in sorted(symbols))

    @cached_property
    def widths(self) -> Widths:
        """Compute the width of every signal."""
        starts, children = self.edges
        units = np.array([shape.units for shape in self.shapes], dtype=np.int64)
        offsets = np.concatenate([[0], np.cumsum(units[children])])[starts]
        # A layer's contexts come from all units of all layers that use it.
        used = np.bincount(children, weights=np.repeat(units, np.diff(starts)))
        terms = max(int(units.max()), int(np.diff(offsets).max()), int(used.max(initial=0)))
        tailed = any(isinstance(layer, IntegerInput) and layer.tails is not None for layer in self.layers)
        return Widths(
            self.weight_bits, self.leaf_bits, self.state_bits, self.scale_bits, self.range_bits, self.floor,
            max(self.cardinalities), terms, TAIL_BITS if tailed else 0,
        )  # fmt: skip

    @cached_property
    def dense_sums(self) -> dict[int, IntegerSum]:
        """Give the sum layers whose rows are dense, by their index."""
        return {
            index: layer
            for index, layer in enumerate(self.layers)
            if isinstance(layer, IntegerSum) and not isinstance(layer.weights, SparseRows)
        }

    @cached_property
    def row_tables(self) -> dict[int, RowTable]:
        """Give for every length in `row_lengths` its part of the row table, with the rows of the layers in order."""
        return {
            length: RowTable.of(np.concatenate([w for w in self._dense_weights() if w.shape[1] == length]))
            for length in self.row_lengths
        }

    def row_parts(self) -> dict[int, tuple[IntArray, IntArray]]:
        """Give the numbers and turns of every layer that takes its rows from the table, by its index."""
        parts: dict[int, tuple[IntArray, IntArray]] = {}
        ends = dict.fromkeys(self.row_lengths, 0)
        for index, layer in self.dense_sums.items():
            units, length = layer.weights.shape
            if length in ends:
                first = ends[length]
                ends[length] = last = first + units
                table = self.row_tables[length]
                parts[index] = table.numbers[first:last], table.turns[first:last]
        return parts

    def _dense_weights(self) -> Iterator[IntArray]:
        for layer in self.dense_sums.values():
            assert not isinstance(layer.weights, SparseRows)
            yield layer.weights

    @cached_property
    def edges(self) -> tuple[IntArray, IntArray]:
        """Give where the list of each layer's children begins, and all lists."""
        return child_lists(self.shapes)

    @cached_property
    def regions(self) -> Regions:
        """Give the regions of the layers in coding order.

        Raises:
            NotStructuredError: the circuit is not structured-decomposable.
        """
        return find_regions(self.shapes, self.order, self.spans)

    @cached_property
    def tree(self) -> tuple[Region, ...]:
        """Give the tree of regions in coding order.

        Raises:
            NotStructuredError: the circuit is not structured-decomposable.
        """
        return region_tree(self.shapes, self.order, self.spans)

    @property
    def structured(self) -> bool:
        """Tell whether the circuit is structured-decomposable, so that every implementation can code with it."""
        return self.spans is not None

    def has_tails(self, index: int) -> bool:
        """Tell whether a layer has tails."""
        layer = self.layers[index]
        return not isinstance(layer, ProductLayer) and layer.tails is not None and layer.tails is not False

    @cached_property
    def digest(self) -> bytes:
        """Hash everything that coding hangs on; 32 bytes of SHA-256 (docs/stream.md says over what)."""
        hasher = hashlib.sha256(b"pcedge integer circuit")
        for piece in self._meaning():
            hasher.update(piece)
        return hasher.digest()

    @cached_property
    def likelihood_digest(self) -> bytes:
        """Hash everything that likelihoods hang on, 32 bytes: the digest, where there are tails with them."""
        if not self.tails:
            return self.digest
        hasher = hashlib.sha256(b"pcedge likelihood with tails" + self.digest)
        for index, layer in enumerate(self.layers):
            if isinstance(layer, IntegerInput) and layer.tails is not None:
                hasher.update(_numbers(index, *layer.tails.tolist()))
            elif isinstance(layer, IntegerSum) and layer.tails:
                hasher.update(_numbers(index))
        return hasher.digest()

    def _meaning(self) -> Iterator[bytes]:
        yield _numbers(SEMANTICS_VERSION, self.weight_bits, self.leaf_bits, self.state_bits, self.scale_bits,
                       self.range_bits, self.floor, len(self.layers))  # fmt: skip
        yield _numbers(*self.order)
        full: dict[tuple[int, ...], bytes] = {}
        for layer in self.layers:
            if isinstance(layer, IntegerInput):
                table = layer.cumulative
                yield _numbers(0, layer.variable, *table.shape) + _listed(table)
            elif isinstance(layer, ProductLayer):
                yield _numbers(1, *layer.children) + _listed(layer.gather)
            else:
                weights = layer.weights
                dense = int(not isinstance(weights, SparseRows))
                yield _numbers(2, dense, weights.shape[1], *layer.children)
                if isinstance(weights, SparseRows):
                    yield _listed(weights.indptr) + _listed(weights.indices) + _listed(weights.values)
                elif np.count_nonzero(weights) == weights.size:
                    # A block without zeros has the lists of its size.
                    if weights.shape not in full:
                        rows = SparseRows.from_dense(np.ones(weights.shape))
                        full[weights.shape] = _listed(rows.indptr) + _listed(rows.indices)
                    yield full[weights.shape] + _listed(weights)
                else:
                    rows = SparseRows.from_dense(weights)
                    yield _listed(rows.indptr) + _listed(rows.indices) + _listed(rows.values)
        if self.symbolizer is not None:
            yield _numbers(3) + _numbers(*self.symbolizer.to_json().encode())


def _numbers(*values: int) -> bytes:
    """Write a list: how many numbers, then the numbers, each in 8 bytes."""
    return struct.pack(f"<{len(values) + 1}q", len(values), *values)


def _listed(values: NDArray[np.generic]) -> bytes:
    """Write the list of an array's entries."""
    entries = values if values.dtype == _WORD else values.astype(_WORD)
    return values.size.to_bytes(8, "little") + entries.tobytes()


def _check_tables(layers: tuple[IntegerLayer, ...], leaf_bits: int) -> None:
    """Check all leaf tables: those of one size together, and one by one where something is wrong, to name it."""
    inputs = [(index, layer) for index, layer in enumerate(layers) if isinstance(layer, IntegerInput)]
    for numbers, tables in stacked([layer.cumulative for _, layer in inputs]):
        try:
            check_table("", IntegerInput(0, tables.reshape(-1, *tables.shape[2:])), leaf_bits)
        except CircuitError:
            for number in numbers:
                index, layer = inputs[number]
                check_table(f"layer {index} (input)", layer, leaf_bits)


def _check_sums(layers: tuple[IntegerLayer, ...], weight_bits: int) -> None:
    """Check the rows of all sums, as `_check_tables` does."""
    sums = [(index, layer) for index, layer in enumerate(layers) if isinstance(layer, IntegerSum)]
    weights = [layer.weights for _, layer in sums]
    for numbers in batches(weights):
        batch = [weights[number] for number in numbers]
        try:
            for block in batch:
                check_integers("", entries(block))
            check_rows("", joined(batch), weight_bits)
        except CircuitError:
            for number in numbers:
                check_rows(f"layer {sums[number][0]} (sum)", weights[number], weight_bits)


def check_table(layer_name: str, layer: IntegerInput, leaf_bits: int) -> None:
    """Check that cumulative leaf tables begin at 0, end at 2^L and never fall.

    Raises:
        CircuitError: one does not.
    """
    where = f"{layer_name}: leaf table of variable {layer.variable}, unit"
    table = layer.cumulative
    if table.dtype != np.int64 or table.ndim != 2:  # differences of unsigned numbers would wrap
        raise CircuitError(f"{layer_name}: leaf tables must be int64 (units, symbols + 1), got {table.dtype}")
    for unit in np.flatnonzero((table[:, 0] != 0) | (table[:, -1] != 1 << leaf_bits)):
        raise CircuitError(f"{where} {unit} must sum to {1 << leaf_bits}, got {table[unit, -1] - table[unit, 0]}")
    for unit in np.flatnonzero((np.diff(table, axis=1) < 0).any(axis=1)):
        raise CircuitError(f"{where} {unit} must never fall, it does")
