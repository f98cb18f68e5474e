"""From a float circuit to a plain ONNX model: standard operators on float64, for any runtime and without pcedge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.inference import VANISHING
from pcedge.circuit.layers import MISSING, Circuit, InputLayer, ProductLayer, SumLayer
from pcedge.circuit.rows import SparseRows
from pcedge.errors import FormatError
from pcedge.files import write_whole

#: the least version of the operators that has all of these forms, and of the file
OPSET, IR_VERSION = 18, 8

#: bytes of parameters at most: a file is one message of less than 2 GiB
MAX_BYTES = (1 << 31) - (1 << 24)

#: weights of stacked dense sums up to which every weight is added in logarithms, record by record; more are a product
#: of matrices, which is faster
EXACT = 64

#: stands for minus infinity where something is subtracted from itself
_LEAST = -1e300

#: an index that no table has: runtimes refuse it
_NO_INDEX = 1 << 40


def write_float_onnx(circuit: Circuit, path: str | Path) -> None:
    """Write `float_onnx` of a circuit to a file; the same circuit gives the same bytes.

    Raises:
        FormatError: the circuit is too large for an ONNX file.
    """
    write_whole(Path(path), float_onnx(circuit).SerializeToString(deterministic=True))


def float_onnx(circuit: Circuit) -> onnx.ModelProto:
    """Make the ONNX model of a float circuit's log-likelihood.

    Its input `symbols` is int64 (records, variables), -1 where missing; a symbol out of range makes the runtime fail.
    Its output `log_likelihood` is float64 (records,), in nats, that of `pcedge.circuit.log_likelihood` up to rounding;
    the metadata have `log_constant`, to be added for an imported circuit's own, and `grid`, what the symbols stand for.
    Layers of one depth are stacked, so that their number, not that of regions, counts.

    Raises:
        FormatError: the circuit is too large for an ONNX file.

    Example:
        >>> model = float_onnx(Circuit((InputLayer(0, np.array([[0.25, 0.75]])),)))
        >>> {node.domain for node in model.graph.node}, [output.name for output in model.graph.output]
        ({''}, ['log_likelihood'])
    """
    graph = _Graph("t")
    found = _evaluate(graph, circuit)
    if graph.mixed:
        again = _Graph("e", graph, exact=True)
        again.operation("Identity", [_evaluate(again, circuit)], output="exact")
        same = helper.make_node("Identity", [found], ["fast"])
        branches = {
            key: helper.make_graph(nodes, key, [], [helper.make_tensor_value_info(name, TensorProto.DOUBLE, None)])
            for key, nodes, name in (("then_branch", again.nodes, "exact"), ("else_branch", [same], "fast"))
        }
        every = graph.operation("Concat", graph.mixed, axis=1) if len(graph.mixed) > 1 else graph.mixed[0]
        least = graph.operation("ReduceMin", [every], keepdims=0)
        some = graph.operation("Less", [least, graph.number(VANISHING)])
        found = graph.operation("If", [some], **branches)
    graph.operation("Identity", [found], output="log_likelihood")
    variables = len(circuit.cardinalities)
    made = helper.make_graph(
        graph.nodes, "circuit",
        [helper.make_tensor_value_info("symbols", TensorProto.INT64, ["records", variables])],
        [helper.make_tensor_value_info("log_likelihood", TensorProto.DOUBLE, ["records"])],
        graph.initializers,
    )  # fmt: skip
    model = helper.make_model(
        made, producer_name="pcedge", ir_version=IR_VERSION, opset_imports=[helper.make_opsetid("", OPSET)]
    )
    notes = {"log_constant": repr(circuit.log_constant)}
    if circuit.grid is not None:
        notes["grid"] = circuit.grid.to_json()
    helper.set_model_props(model, notes)
    return model


def _evaluate(graph: _Graph, circuit: Circuit) -> str:
    """Add a circuit's layers to a graph; give the name of the root's logarithm, (records,)."""
    #: of every layer, where its units are, (2, units): numbers of tensors (records, columns), and columns
    places: dict[int, IntArray] = {}
    for group in _groups(circuit):
        layers = {index: circuit.layers[index] for index in group}
        first = layers[group[0]]
        if isinstance(first, InputLayer):
            _inputs(graph, places, circuit, layers)  # type: ignore[arg-type]
        elif isinstance(first, ProductLayer):
            _products(graph, places, layers)  # type: ignore[arg-type]
        elif isinstance(first.weights, SparseRows):
            _sparse_sums(graph, places, layers)  # type: ignore[arg-type]
        else:
            _dense_sums(graph, places, layers)  # type: ignore[arg-type]
    root = graph.select(places[len(circuit.layers) - 1][:, :1])
    return graph.operation("Reshape", [root, graph.integers([-1])])


class _Graph:
    """Collect nodes and initializers; equal initializers are one.

    A branch has the initializers of its outer graph.
    """

    def __init__(self, prefix: str, outer: _Graph | None = None, *, exact: bool = False) -> None:
        self.prefix = prefix
        #: whether all sums are added in logarithms
        self.exact = exact
        self.nodes: list[onnx.NodeProto] = []
        #: products of matrices, (records, columns): a unit that is far below the record's best has vanished there
        self.mixed: list[str] = []
        if outer is not None:
            self.constant = outer.constant  # type: ignore[method-assign]
        self.initializers: list[onnx.TensorProto] = []
        self.tensors: list[tuple[str, int]] = []
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._bytes = 0
        self._count = 0

    def name(self) -> str:
        self._count += 1
        return f"{self.prefix}{self._count}"

    def constant(self, array: NDArray[Any]) -> str:
        """Keep an array as an initializer."""
        key = array.dtype.str, array.shape, array.tobytes()
        if key not in self._known:
            self._bytes += array.nbytes
            if self._bytes > MAX_BYTES:
                raise FormatError("onnx-size", f"parameters must take {MAX_BYTES} bytes at most in an ONNX file")
            self._known[key] = f"c{len(self._known)}"
            self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), self._known[key]))
        return self._known[key]

    def integers(self, values: Sequence[int]) -> str:
        return self.constant(np.array(values, dtype=np.int64))

    def number(self, value: float) -> str:
        return self.constant(np.array(value))

    def operation(self, kind: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        """Add a node; give its output's name."""
        output = output or self.name()
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def put(self, tensor: str, width: int) -> int:
        """Keep a tensor (records, width), in which units are; give its number."""
        self.tensors.append((tensor, width))
        return len(self.tensors) - 1

    def gather(self, tensor: str, width: int, indices: IntArray) -> str:
        """Take columns of a tensor (records, width): (records, *indices.shape)."""
        if indices.ndim == 1 and np.array_equal(indices, np.arange(width)):
            return tensor
        return self.operation("Gather", [tensor, self.constant(indices.astype(np.int64))], axis=1)

    def select(self, units: IntArray) -> str:
        """Take units by their places, (2, …), in this order: (records, …); of each tensor no more than is needed."""
        numbers = np.unique(units[0]).tolist()
        if len(numbers) == 1:
            tensor, held = self.tensors[numbers[0]]
            return self.gather(tensor, held, units[1])
        where, parts, width = np.empty_like(units[1]), [], 0
        for number in numbers:
            mine = units[0] == number
            needed, inverse = np.unique(units[1][mine], return_inverse=True)
            tensor, held = self.tensors[number]
            parts.append(self.gather(tensor, held, needed))
            where[mine] = width + inverse.ravel()
            width += len(needed)
        return self.gather(self.operation("Concat", parts, axis=1), width, where)

    def log_sum(self, joint: str, axis: int) -> str:
        """Sum exponentials of logarithms over an axis, which goes; -inf where all are."""
        axes = self.integers([axis])
        top = self.operation("ReduceMax", [joint, axes], keepdims=1)
        top = self.operation("Max", [top, self.number(_LEAST)])
        rest = self.operation("Exp", [self.operation("Sub", [joint, top])])
        total = self.operation("Log", [self.operation("ReduceSum", [rest, axes], keepdims=1)])
        return self.operation("Squeeze", [self.operation("Add", [total, top]), axes])


def _groups(circuit: Circuit) -> list[list[int]]:
    """Group the layers that are computed together: of one depth and form; children before parents."""
    depths: list[int] = []
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, layer in enumerate(circuit.layers):
        if isinstance(layer, InputLayer):
            depth, form = 0, ("input", *layer.table.shape)
        else:
            depth = 1 + max(depths[child] for child in layer.children)
            if isinstance(layer, ProductLayer):
                form = ("product", layer.gather.shape[1])
            else:
                form = ("sparse",) if isinstance(layer.weights, SparseRows) else ("dense", *layer.weights.shape)
        depths.append(depth)
        groups.setdefault((depth, *form), []).append(index)
    return [groups[key] for key in sorted(groups, key=lambda key: key[0])]  # type: ignore[arg-type, return-value]


def _inputs(graph: _Graph, places: dict[int, IntArray], circuit: Circuit, layers: dict[int, InputLayer]) -> None:
    """Look leaves up: a table's first row, log 1, is that of a missing symbol."""
    checked, variables = f"{graph.prefix}_checked", len(circuit.cardinalities)
    if not places:
        high = graph.operation("GreaterOrEqual", ["symbols", graph.integers(circuit.cardinalities)])
        low = graph.operation("Less", ["symbols", graph.integers([MISSING])])
        wrong = graph.operation("Or", [high, low])
        graph.operation("Where", [wrong, graph.integers([_NO_INDEX]), "symbols"], output=checked)
    tables: dict[bytes, int] = {}
    kept: list[FloatArray] = []
    offsets = []
    rows = 0
    for layer in layers.values():
        key = layer.table.tobytes()
        if key not in tables:
            tables[key] = rows
            kept.append(np.concatenate([np.zeros((1, len(layer.table))), _logs(layer.table.T)]))
            rows += len(kept[-1])
        offsets.append(tables[key] - MISSING)
    found = graph.gather(checked, variables, np.array([layer.variable for layer in layers.values()]))
    index = graph.operation("Add", [found, graph.integers(offsets)])
    picked = graph.operation("Gather", [graph.constant(np.concatenate(kept)), index], axis=0)
    _stacked(graph, places, list(layers), picked, kept[0].shape[1])


def _stacked(graph: _Graph, places: dict[int, IntArray], layers: list[int], tensor: str, units: int) -> None:
    """Place layers of as many units each, (records, layers, units)."""
    width = units * len(layers)
    number = graph.put(graph.operation("Reshape", [tensor, graph.integers([-1, width])]), width)
    _place(places, layers, [units] * len(layers), number)


def _place(places: dict[int, IntArray], layers: Sequence[int], units: Sequence[int], number: int) -> None:
    """Place layers one after the other in a tensor."""
    start = 0
    for index, count in zip(layers, units, strict=True):
        columns = np.arange(start, start + count)
        places[index] = np.stack([np.full(count, number), columns])
        start += count


def _products(graph: _Graph, places: dict[int, IntArray], layers: dict[int, ProductLayer]) -> None:
    factors = np.concatenate(
        [
            np.stack(
                [places[child][:, column] for child, column in zip(layer.children, layer.gather.T, strict=True)], 2
            )
            for layer in layers.values()
        ],
        axis=1,
    )
    product = graph.operation("ReduceSum", [graph.select(factors), graph.integers([2])], keepdims=0)
    number = graph.put(product, factors.shape[1])
    _place(places, list(layers), [len(layer.gather) for layer in layers.values()], number)


def _below(places: dict[int, IntArray], layer: SumLayer) -> IntArray:
    return np.concatenate([places[child] for child in layer.children], axis=1)


def _dense_sums(graph: _Graph, places: dict[int, IntArray], layers: dict[int, SumLayer]) -> None:
    weights = np.stack([np.asarray(layer.weights, dtype=np.float64) for layer in layers.values()])
    below = np.stack([_below(places, layer) for layer in layers.values()], axis=1)
    units = weights.shape[1]
    if graph.exact or units == 1 or weights.size <= EXACT:
        each = graph.operation("Unsqueeze", [graph.select(below), graph.integers([2])])
        out = graph.log_sum(graph.operation("Add", [each, graph.constant(_logs(weights))]), 3)
        _stacked(graph, places, list(layers), out, units)
    else:
        tensor, width = _mixed(graph, below, weights)
        _place(places, list(layers), [units] * len(layers), graph.put(tensor, width))


def _mixed(graph: _Graph, below: IntArray, weights: FloatArray) -> tuple[str, int]:
    """Multiply children (2, stack, columns) with the weights relative to each record's best child.

    Returns:
        The name of a tensor (records, stack times units), and its width. Units whose own children are all far below the
        best vanish.
    """
    count, units, _ = weights.shape
    alone = count == 1
    axes = graph.integers([1 if alone else 2])
    children = graph.select(below[:, 0] if alone else below)
    top = graph.operation("ReduceMax", [children, axes], keepdims=1)
    top = graph.operation("Max", [top, graph.number(_LEAST)])
    relative = graph.operation("Exp", [graph.operation("Sub", [children, top])])
    if alone:
        mixed = graph.operation("MatMul", [relative, graph.constant(np.ascontiguousarray(weights[0].T))])
    else:
        matrices = graph.constant(np.ascontiguousarray(weights.transpose(0, 2, 1)))
        swapped = graph.operation("Transpose", [relative], perm=[1, 0, 2])
        mixed = graph.operation("Transpose", [graph.operation("MatMul", [swapped, matrices])], perm=[1, 0, 2])
    logs = graph.operation("Add", [graph.operation("Log", [mixed]), top])
    shape = graph.integers([-1, count * units])
    graph.mixed.append(mixed if alone else graph.operation("Reshape", [mixed, shape]))
    return logs if alone else graph.operation("Reshape", [logs, shape]), count * units


def _sparse_sums(graph: _Graph, places: dict[int, IntArray], layers: dict[int, SumLayer]) -> None:
    """Add rows of lists in logarithms; rows of like length together, the shorter filled up with weights of 0."""
    rows = SparseRows.joined([layer.weights for layer in layers.values()])  # type: ignore[misc]
    below = np.concatenate([_below(places, layer) for layer in layers.values()], axis=1)
    lengths = np.diff(rows.indptr)
    logs = _logs(rows.values)
    padded = 1 << np.ceil(np.log2(lengths)).astype(np.int64)
    found = np.empty((2, len(lengths)), dtype=np.int64)
    for length in np.unique(padded).tolist():
        chosen = np.flatnonzero(padded == length)
        entry = rows.indptr[chosen][:, None] + np.minimum(np.arange(length), lengths[chosen][:, None] - 1)
        extra = np.arange(length) >= lengths[chosen][:, None]
        children = graph.select(below[:, rows.indices[entry]])
        joint = graph.operation("Add", [children, graph.constant(np.where(extra, -np.inf, logs[entry]))])
        if length == 1:
            total = graph.operation("Squeeze", [joint, graph.integers([2])])
        else:
            total = graph.log_sum(joint, 2)
        found[0, chosen] = graph.put(total, len(chosen))
        found[1, chosen] = np.arange(len(chosen))
    start = 0
    for index, layer in layers.items():
        count = layer.weights.shape[0]
        places[index] = found[:, start : start + count]
        start += count


def _logs(weights: NDArray[Any]) -> FloatArray:
    with np.errstate(divide="ignore"):
        logs: FloatArray = np.log(weights)
    return logs
