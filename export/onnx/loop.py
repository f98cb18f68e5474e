"""Format 3: a deep circuit as an ONNX model of few nodes, which loops over its steps (docs/onnx.md, section Loops)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from pcedge.arithmetic import Vector
from pcedge.arrays import IntArray
from pcedge.circuit.batches import stacked
from pcedge.circuit.layers import ProductLayer
from pcedge.circuit.rows import SparseRows
from pcedge.errors import FormatError
from pcedge.export.onnx.functions import onnx_functions
from pcedge.export.onnx.initializers import MASTERS, NESTED, smallest
from pcedge.export.onnx.loop_graph import FIELDS, Branch, branches, loop_graph
from pcedge.integer.circuit import IntegerCircuit, IntegerSum
from pcedge.schedule.steps import Op
from pcedge.schedule.tables import Layers, Table, likelihood_table, merging, scattering
from pcedge.schedule.walk import code_table

#: kinds of layers in the initializer `layers`, and its columns
KINDS = ("input", "product", "sum", "sparse sum")
COLUMNS = ("kind", "units", "children", "variable", "symbols", "data", "sources", "starts")

#: initializers of int64, the others but tables and weights are int32
_LONG = ("likelihood_memory", "likelihood_exponents", "likelihood_result", "likelihood_slot", "code_memory",
         "code_exponents", "intervals")  # fmt: skip

#: bytes of all initializers at most: protobuf holds no message of 2 GiB
MAX_BYTES = 2**31 - 2**24

#: function of a step by its operation; a sum's where its rows are lists
_FUNCTIONS = {
    Op.LEAF: "Leaf", Op.UP: "Sum", Op.DOWN: "Context", Op.LIST: "ListSum", Op.MULTIPLY: "Product", Op.ALIGN: "Align",
    Op.INTERVAL: "Interval",
}  # fmt: skip


#: the same in a likelihood with tails
_KEPT = {Op.LEAF: "KeptLeaf", Op.UP: "KeptSum", Op.MULTIPLY: "KeptProduct", Op.ALIGN: "KeptAlign"}


@dataclass(frozen=True, eq=False)
class LoopMemory:
    """Say where a schedule's values lie: the address of their first mantissa, and the slot of their exponent."""

    address: IntArray
    slot: IntArray
    #: mantissas and exponents that are held
    size: int
    slots: int


def allocate(table: Table) -> LoopMemory:
    """Give addresses to the values of a schedule; what no later step reads makes room.

    Values of one number of units share places: a new value takes the place that was freed last, or a new one.
    """
    makes = np.flatnonzero(table.target >= 0)
    count, units = len(makes), table.units[makes]
    last = makes.copy()
    reads, step = table.values.ravel(), np.repeat(np.arange(len(table.op)), 2)
    np.maximum.at(last, reads[reads >= 0], step[reads >= 0])
    if table.result >= 0:
        last[table.result] = len(table.op)
    sizes, group = np.unique(units, return_inverse=True)
    # A place is taken when a step begins, and freed when it ends.
    time = np.concatenate([2 * makes, 2 * last + 1])
    change = np.repeat([-1, 1], count)
    value, kind = np.tile(np.arange(count), 2), np.tile(group, 2)
    order = np.lexsort((time, kind))
    change, value, kind = change[order], value[order], kind[order]
    # The height of a stack of free places, of each kind; taking from an empty one makes a new place.
    height = np.cumsum(change)
    begins = np.concatenate([[True], kind[1:] != kind[:-1]])
    height -= np.repeat((height - change)[begins], np.diff(np.append(np.flatnonzero(begins), len(kind))))
    lowest = np.minimum(_running_least(height, kind), 0)
    before = height - change - np.minimum(np.where(begins, 0, np.roll(lowest, 1)), 0)
    level = np.where(change > 0, before + 1, before)
    source = np.arange(count)
    moves = np.flatnonzero(level > 0)
    moves = moves[np.lexsort((moves, level[moves], kind[moves]))]
    # On a level what was put there last is taken next.
    taken = np.flatnonzero(change[moves] < 0)
    source[value[moves[taken]]] = value[moves[taken - 1]]
    while (source != source[source]).any():
        source = source[source]
    fresh = source == np.arange(count)
    number = np.zeros(count, dtype=np.int64)
    counts = np.bincount(group[fresh], minlength=len(sizes))
    by_group = np.flatnonzero(fresh)[np.argsort(group[fresh], kind="stable")]
    number[by_group] = np.arange(len(by_group)) - np.repeat(np.cumsum(counts) - counts, counts)
    number = number[source]
    first_address, first_slot = np.cumsum(counts * sizes) - counts * sizes, np.cumsum(counts) - counts
    return LoopMemory(
        first_address[group] + number * units,
        first_slot[group] + number,
        int((counts * sizes).sum()),
        int(counts.sum()),
    )


def _running_least(height: IntArray, kind: IntArray) -> IntArray:
    """Give the least height so far, of each kind."""
    span = int(height.max(initial=0) - height.min(initial=0)) + 1
    return np.minimum.accumulate(height - kind * span) + kind * span


@dataclass
class _Lists:
    """Collect lists of positions in one initializer; equal ones once, and at its front the numbers from 0 on."""

    counting: int
    lists: list[IntArray] = field(default_factory=list)
    starts: dict[bytes, int] = field(default_factory=dict)
    size: int = 0

    def put(self, values: IntArray) -> int:
        """Give where a list begins."""
        if (values == np.arange(len(values))).all():
            self.counting = max(self.counting, len(values))
            return 0
        key = values.astype(np.int64).tobytes()
        if key not in self.starts:
            self.starts[key] = self.size
            self.lists.append(values)
            self.size += len(values)
        # Known when all lists are: `whole` puts the numbers before them.
        return -1 - self.starts[key]

    def whole(self) -> IntArray:
        return np.concatenate([np.arange(self.counting), *self.lists])

    def resolve(self, starts: IntArray) -> IntArray:
        """Turn what `put` gave into offsets in `whole`."""
        return np.where(starts < 0, self.counting - 1 - starts, starts)


class _Writer:
    """Hold the initializers of a circuit while they grow."""

    def __init__(self, circuit: IntegerCircuit) -> None:
        self.circuit = circuit
        self.layers = Layers.of(circuit)
        self.lists = _Lists(counting=int(max(self.layers.units.max(), self.layers.symbols.max() + 1)))
        self.sparse = np.zeros(len(circuit.layers), dtype=bool)
        #: of every layer where its weights begin, or its units' tables; and of sparse rows their lists
        self.data, self.sources, self.starts = np.zeros((3, len(circuit.layers)), dtype=np.int64)
        #: of every edge of a product where its gather list begins
        self.gathers = np.zeros(len(self.layers.child), dtype=np.int64)
        self.tensors: dict[str, NDArray[np.generic]] = {}
        self.tails = np.array([circuit.has_tails(index) for index in range(len(circuit.layers))], dtype=bool)
        for index in np.flatnonzero(self.tails & self.layers.leaf).tolist():
            self.sources[index] = self.lists.put(circuit.layers[index].tails)  # type: ignore[union-attr, arg-type]
        self._tables()
        self._weights()
        self._gather_lists()

    def _tables(self) -> None:
        """Place each different leaf table once, and for every unit where its table begins."""
        inputs = np.flatnonzero(self.layers.leaf)
        units = self.layers.units[inputs]
        self.data[inputs] = np.cumsum(units) - units
        # By unit: its table among those of its size, which is the first unit that has the same.
        first = np.empty(int(units.sum()), dtype=np.int64)
        size = np.repeat(self.layers.symbols[inputs] + 1, units)
        cumulative = [self.circuit.layers[index].cumulative for index in inputs]  # type: ignore[union-attr]
        for symbols in np.unique(size):
            indices = np.flatnonzero(size == symbols)
            rows = np.concatenate([table for table in cumulative if table.shape[1] == symbols])
            keys = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.itemsize * int(symbols)))).ravel()
            _, some, same = np.unique(keys, return_index=True, return_inverse=True)
            first[indices] = indices[some[same]]
        distinct = first == np.arange(len(first))
        begins = np.cumsum(np.where(distinct, size, 0)) - size
        flat = np.concatenate([table.ravel() for table in cumulative])
        self.tensors["tables"] = flat[np.repeat(distinct, size)].astype(smallest(1 << self.circuit.leaf_bits))
        self.tensors["states"] = begins[first]

    def _weights(self) -> None:
        """Place each different block of weights once, and the lists of sparse rows."""
        blocks: list[NDArray[np.generic]] = [np.zeros(1, dtype=np.int64)]
        starts: dict[bytes, int] = {}
        size = 1
        for index in np.flatnonzero(self.layers.sum).tolist():
            weights: Any = self.circuit.layers[index].weights  # type: ignore[union-attr]
            if isinstance(weights, SparseRows):
                self.sparse[index] = True
                self.sources[index], self.starts[index] = (
                    self.lists.put(weights.indices),
                    self.lists.put(weights.indptr),
                )
                weights = weights.values
            start = starts.setdefault(weights.tobytes(), size)
            self.data[index] = start
            if start == size:
                blocks.append(weights.ravel())
                size += weights.size
        self.tensors["weights"] = np.concatenate(blocks).astype(smallest(1 << self.circuit.weight_bits))

    def _gather_lists(self) -> None:
        """Place the gather lists of products; one that counts from 0 needs no place."""
        products = np.flatnonzero(self.layers.product).tolist()
        for numbers, gathers in stacked([self.circuit.layers[index].gather for index in products]):  # type: ignore[union-attr]
            counts = np.arange(gathers.shape[1])[:, None]
            for number, column in np.argwhere((gathers != counts).any(axis=1)[...]).tolist():
                edge = self.layers.starts[products[numbers[number]]] + column
                self.gathers[edge] = self.lists.put(gathers[number, :, column])

    def program(self, name: str, table: Table) -> list[Branch]:
        """Place the rows of a schedule, but for the root's context, which is there from the start."""
        memory = allocate(table)
        self.lists.counting = max(self.lists.counting, int(table.units.max()))
        keep = self.circuit.tails and name == "likelihood"
        functions = self._functions(table, keep)
        used = [branch for branch in branches(name == "code", keep) if (functions == _code(branch)).any()]
        numbers = np.zeros(2 * len(_NAMES), dtype=np.int32)
        numbers[[_code(branch) for branch in used]] = np.arange(len(used))
        # The root's context is there from the start.
        steps = np.flatnonzero(table.op != Op.INIT)
        program = np.zeros((len(steps), len(FIELDS)), dtype=np.int32)
        rows = dict(zip(FIELDS, program.T, strict=True))
        op, layer, units = table.op[steps], table.layer[steps], table.units[steps]
        codes = op == Op.INTERVAL
        rows["branch"][:] = numbers[functions[steps]]
        # What an interval writes has no place; its exponent goes where nothing is read.
        rows["units"][:] = np.where(codes, 0, units)
        rows["target"][:] = np.where(codes, 0, memory.address[table.target[steps]])
        rows["target_exponent"][:] = np.where(codes, memory.slots, memory.slot[table.target[steps]])
        for side, letter in enumerate("ab"):
            value = table.values[steps, side]
            there = value >= 0
            rows[letter][:] = np.where(there, memory.address[value] + table.offsets[steps, side], 0)
            rows[f"{letter}_exponent"][:] = np.where(there, memory.slot[value], 0)
            rows[f"{letter}_units"][:] = np.where(there, table.source_units[steps, side], 0)
        tables = codes | (op == Op.LEAF)
        sums = (op == Op.UP) | (op == Op.DOWN)
        rows["data"][:] = np.where(tables | sums, self.data[layer], 0)
        rows["variable"][:] = np.where(tables, table.variable[steps], 0)
        rows["count"][:] = np.where(tables, self.layers.symbols[layer] + 1, np.where(sums, units * rows["a_units"], 0))
        tailed = (op == Op.LEAF) & self.tails[layer] & keep
        rows["sources"][:] = np.where(tailed, self.sources[layer], 0)
        self._place_lists(table, steps, rows)
        self.tensors[name] = program
        self.tensors[f"{name}_memory"] = np.array([memory.size])
        self.tensors[f"{name}_exponents"] = np.array([memory.slots + 1])
        if name == "code":
            self.tensors["intervals"] = np.flatnonzero(codes)
        else:
            self.tensors["likelihood_result"] = memory.address[[table.result]]
            self.tensors["likelihood_slot"] = memory.slot[[table.result]]
        return used

    def _functions(self, table: Table, keep: bool) -> IntArray:
        """Give the number of every step's function, twice, and one more where it revives."""
        if keep:
            lists, tails = self.sparse[table.layer], self.tails[table.layer]
            kept = np.array([_NAMES.index(_KEPT.get(op, "KeptLeaf")) for op in Op])[table.op]
            kept = np.where((table.op == Op.LEAF) & tails, _NAMES.index("TailLeaf"), kept)
            kept = np.where((table.op == Op.UP) & tails, _NAMES.index("TailSum"), kept)
            return 2 * np.where((table.op == Op.UP) & lists, _NAMES.index("KeptLists"), kept)
        names = np.array([_NAMES.index(_FUNCTIONS.get(op, "Leaf")) for op in Op])
        sums = (table.op == Op.UP) | (table.op == Op.DOWN)
        lists = sums & self.sparse[table.layer]
        return 2 * np.where(lists, _NAMES.index("WeightedLists"), names[table.op]) + table.revive

    def _place_lists(self, table: Table, steps: IntArray, rows: dict[str, NDArray[np.int32]]) -> None:
        """Place what steps read through lists."""
        op, layer, columns = table.op[steps], table.layer[steps], table.columns[steps]
        for side, field_name in enumerate(("sources", "entries")):
            bent = np.flatnonzero((op == Op.MULTIPLY) & (columns[:, side] >= 0))
            rows[field_name][bent] = self.gathers[self.layers.starts[layer[bent]] + columns[bent, side]]
        known: dict[tuple[int, ...], tuple[int, ...]] = {}
        listed = (op == Op.LIST) | (((op == Op.UP) | (op == Op.DOWN)) & self.sparse[layer])
        for row in np.flatnonzero(listed).tolist():
            step = steps[row]
            merged = int(table.parts[step])
            # Contexts of one size are added up alike in all layers.
            index = -1 if merged else int(layer[row])
            key = (int(op[row]), index, int(columns[row, 0]), merged, int(table.units[step]))
            if key not in known:
                known[key] = self._lists(*key)
            for field_name, value in zip(("entries", "sources", "starts", "count"), known[key], strict=True):
                rows[field_name][row] = value

    def _lists(self, op: int, index: int, column: int, merged: int, units: int) -> tuple[int, ...]:
        """Give where entries, sources and starts of a step's lists begin, and how many entries there are."""
        layer = self.circuit.layers[index]
        if op == Op.LIST:
            if not merged:
                assert isinstance(layer, ProductLayer)
            lists = merging(merged, units) if merged else scattering(layer.gather[:, column], units)  # type: ignore[union-attr]
            return 0, self.lists.put(lists.indices), self.lists.put(lists.indptr), len(lists.indices)
        assert isinstance(layer, IntegerSum) and isinstance(layer.weights, SparseRows)
        rows = layer.weights
        if op == Op.UP:
            every = self.lists.put(np.arange(len(rows.values)))
            return every, self.sources[index], self.starts[index], len(rows.values)
        placed = SparseRows(rows.indptr, rows.indices, np.arange(len(rows.values)), rows.columns).transposed()
        order: IntArray = placed.values  # type: ignore[assignment]
        return self.lists.put(order), self.lists.put(placed.indices), self.lists.put(placed.indptr), len(order)

    def finish(self, programs: Iterable[str]) -> None:
        """Describe the layers, now that all lists have their places, and give all initializers their types."""
        layers, lists = self.layers, self.lists
        kind = np.where(layers.leaf, 0, np.where(layers.product, 1, np.where(self.sparse, 3, 2)))
        # An input and a dense sum have no lists of their own.
        self.starts[self.tails] = 1
        columns = (kind, layers.units, layers.children, layers.variable, layers.symbols, self.data,
                   lists.resolve(self.sources), lists.resolve(self.starts))  # fmt: skip
        for name in programs:
            for column_index in (FIELDS.index(field_name) for field_name in ("sources", "entries", "starts")):
                column = self.tensors[name][:, column_index]
                column[:] = lists.resolve(column.astype(np.int64))
        self.tensors |= {
            "layers": np.stack(columns, axis=1),
            "edges": np.stack([layers.child, lists.resolve(self.gathers)], axis=1),
            "order": np.array(self.circuit.order), "positions": lists.whole(),
        }  # fmt: skip
        for name, tensor in self.tensors.items():
            if name not in ("tables", "weights", *_LONG):
                self.tensors[name] = tensor.astype(np.int32)
        for nested in self.circuit.nested:
            entries = nested.symbols + 1
            self.tensors[MASTERS.format(entries)] = nested.masters.T.astype(np.int32)
            self.tensors[NESTED.format(entries)] = nested.parts.T.astype(np.int32)


_NAMES = (
    "Leaf", "Sum", "Context", "WeightedLists", "ListSum", "Product", "Align", "Interval", "KeptLeaf", "TailLeaf",
    "KeptSum", "TailSum", "KeptLists", "KeptProduct", "KeptAlign",
)  # fmt: skip


def _code(branch: Branch) -> int:
    return 2 * _NAMES.index(branch[0]) + branch[1]


def loop_model(circuit: IntegerCircuit, *, traced: bool = False) -> onnx.ModelProto:
    """Write an integer circuit as a model of format 3, without metadata.

    Args:
        circuit: the circuit.
        traced: let the model give the values of all steps too.

    Raises:
        FormatError: the circuit is too large for an ONNX file.
    """
    writer = _Writer(circuit)
    programs = {"likelihood": writer.program("likelihood", likelihood_table(circuit, writer.layers, by_regions=True))}
    if circuit.structured:
        programs["code"] = writer.program("code", code_table(circuit, writer.layers))
    writer.finish(programs)
    widest = max(int(writer.tensors[name][:, FIELDS.index("units")].max()) for name in programs) if traced else 0
    model = loop_graph(circuit, programs, widest)
    model.functions.extend(onnx_functions(circuit, {function for used in programs.values() for function, _ in used}))
    size = sum(tensor.nbytes for tensor in writer.tensors.values())
    if size > MAX_BYTES:
        raise FormatError("onnx-size", f"the initializers of a model must have at most {MAX_BYTES} bytes, got {size}")
    for name, tensor in writer.tensors.items():
        model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(tensor), name))
    return model


def traced_steps(circuit: IntegerCircuit, tensors: Mapping[str, NDArray[Any]]) -> dict[str, list[Vector | None]]:
    """Give the value of every step of the schedules out of what a traced model gives.

    Returns:
        For `likelihood` and, of a structured circuit, `code`: mantissas (units, N) and exponents (N,) by the index of
        the step; None for INTERVAL, which makes no value.
    """
    looped = likelihood_table(circuit, by_regions=True)
    # The loop takes the same steps region by region: those of a layer follow each other in either order.
    order = np.argsort(looped.layer, kind="stable")
    values = {"likelihood": _take_values(tensors, "likelihood", order, looped.units[order])}
    if circuit.structured:
        table = code_table(circuit)
        records = tensors["code_scales"].shape[1]
        half, start = 1 << (circuit.state_bits - 1), 1 - circuit.state_bits
        # The root's context has no row.
        root = (np.full((1, records), half), np.full(records, start))
        rest = _take_values(tensors, "code", np.arange(len(table.op) - 1), table.units[1:])
        coded = table.op[1:] == Op.INTERVAL
        values["code"] = [root, *(None if skip else value for skip, value in zip(coded, rest, strict=True))]
    return values


def _take_values(
    tensors: Mapping[str, NDArray[Any]], name: str, rows: IntArray, units: IntArray
) -> list[Vector | None]:
    values, scales = tensors[f"{name}_values"], tensors[f"{name}_scales"]
    return [(values[row][:count], scales[row]) for row, count in zip(rows.tolist(), units.tolist(), strict=True)]
