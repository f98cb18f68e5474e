"""PyJuice's `.jpc`: a pickle of a list of vectors of nodes, read without PyJuice, torch or pickle's own loader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import InputLayer, Layer, ProductLayer, SumLayer
from pcedge.circuit.rows import SparseRows
from pcedge.circuit.structure import variables_of
from pcedge.errors import CircuitError, FormatError
from pcedge.importers.arrays import NAMES, to_array
from pcedge.importers.graph import LAYER_BYTES, MAX_SYMBOLS, MAX_TABLE, MOMENT_BYTES, TABLE_BYTES
from pcedge.importers.normalise import Draft
from pcedge.importers.pickles import Call, replay
from pcedge.limits import MemoryBudget

RULE = "jpc-nodes"
_DISTRIBUTIONS = "pyjuice.nodes.distributions."
#: bytes of memory at most: for each child of a vector, edge of a node of a product, weight of a sum, and for a moment;
#: for each node
_CHILD_BYTES, _EDGE_BYTES, _WEIGHT_BYTES, _WEIGHT_MOMENT, _NODE_BYTES = 200, 32, 40, 80, 40


@dataclass(frozen=True, eq=False, slots=True)
class _Vector:
    """Hold a vector of nodes that is placed: unit i is unit `units[i]` of a layer."""

    layer: int
    units: IntArray
    block: int
    scope: int


def read(data: bytes, where: str, budget: MemoryBudget) -> Draft:
    """Read a PyJuice circuit; a vector of nodes becomes a layer, a product of one factor gives way to it.

    Raises:
        FormatError: the pickle is damaged, mentions what arrays do not need, or its vectors do not fit together; the
            message has the vector's number in the file. Or the file needs too much memory.
        CircuitError: a vector is not smooth or not decomposable, or a leaf is of a type that has no table.
    """
    nodes = replay(data, lambda name: name in NAMES, where, budget)
    if type(nodes) is not list or not nodes or not all(type(node) is dict for node in nodes):
        raise FormatError(RULE, f"{where} must hold a list of vectors of nodes")
    layers: list[Layer] = []
    names: list[str] = []
    vectors: list[_Vector] = []
    # Narrow leaves are widened, but to no more numbers than the file has bytes.
    tables = _tables(nodes, max(MAX_TABLE, len(data)), where, budget)
    for number, node in enumerate(nodes):
        kind = node.get("type")
        at = f"{where}, {_name(nodes, number)}"
        blocks, block = _sizes(node, at)
        budget.take(LAYER_BYTES + _NODE_BYTES * blocks * block)
        if kind == "Input":
            variable, table = tables[number]
            layers.append(InputLayer(variable, table))
            vector = _Vector(len(layers) - 1, np.arange(len(table)), block, 1 << variable)
        elif kind in ("Product", "Sum"):
            children = [vectors[child] for child in _children(node, number, at, budget)]
            edges = _integers(node.get("edge_ids"), at, budget)
            if kind == "Product":
                scope = _disjoint(children, at)
                budget.take(scope.bit_length() // 3 + _EDGE_BYTES * blocks * block * len(children))
                vector = _product(layers, children, edges, (blocks, block, scope), at)
            else:
                _smooth(children, at)
                if "external_params" in node:
                    raise FormatError(RULE, f"{at}: weights must be in the file, these are external")
                weights = to_array(_parameters(nodes, number, at), f"{at}: params", budget)
                budget.take(_WEIGHT_BYTES * weights.size)
                budget.check(_WEIGHT_MOMENT * weights.size)
                mask = node.get("zero_param_mask")
                zeros = None if mask is None else to_array(mask, f"{at}: zero_param_mask", budget)
                child_layers = {child.layer for child in children}
                budget.take(_NODE_BYTES * sum(len(child.units) for child in children))
                budget.take(_NODE_BYTES * sum(layers[layer].shape.units for layer in child_layers))
                layers.append(_sum(layers, children, edges, (blocks, block), _mask_weights(weights, zeros, at), at))
                vector = _Vector(len(layers) - 1, np.arange(blocks * block), block, children[0].scope)
        else:
            raise FormatError(RULE, f"{at}: the type must be Input, Product or Sum, got {_text(kind)!r}")
        if len(layers) > len(names):
            names.append(at)
        vectors.append(vector)
    last = vectors[-1]
    if len(last.units) != 1:
        raise FormatError(RULE, f"{where}: the last vector is the root and must have 1 node, it has {len(last.units)}")
    return _drop_unreached(layers, names, last)


def _name(nodes: list[dict[str, Any]], number: int) -> str:
    return f"{_text(nodes[number].get('type'))}Nodes_{number}"


def _text(value: Any) -> str:
    """Give a text for messages; anything else could be nested so that writing it takes for ever."""
    return value[:40] if type(value) is str else type(value).__name__


def _sizes(node: dict[str, Any], at: str) -> tuple[int, int]:
    """Give the numbers of blocks and of nodes a block; older files say groups, the oldest have neither."""
    blocks: int = node.get("num_node_blocks", node.get("num_node_groups", node.get("num_nodes", 0)))
    block: int = node.get("block_size", node.get("group_size", 1))
    for size in (blocks, block):
        if type(size) is not int or not 0 < size <= MAX_TABLE:
            raise FormatError(RULE, f"{at}: numbers of blocks and nodes must be in 1..{MAX_TABLE}")
    if blocks * block > MAX_TABLE:
        raise FormatError("import-size", f"{at} must have {MAX_TABLE} nodes at most, got {blocks * block}")
    return blocks, block


def _children(node: dict[str, Any], number: int, at: str, budget: MemoryBudget) -> list[int]:
    children = node.get("chs")
    if type(children) not in (tuple, list) or not children:
        raise FormatError(RULE, f"{at} must name its children")
    budget.take(_CHILD_BYTES * len(children))  # one list may be the children of many
    for child in children:
        if type(child) is not int or not 0 <= child < number:
            raise FormatError(
                "import-undefined", f"{at}: children must be vectors before it, 0..{number - 1}: undefined, or a cycle"
            )
    return list(children)


def _parameters(nodes: list[dict[str, Any]], number: int, at: str) -> Any:
    """Find a vector's parameters, its own or those of the vector that it is tied to."""
    source = nodes[number].get("source_node", number)
    kind = nodes[number]["type"]
    if type(source) is not int or not 0 <= source < len(nodes) or _text(nodes[source].get("type")) != kind:
        raise FormatError("import-undefined", f"{at} must be tied to a vector of its type")
    if "params" not in nodes[source]:
        raise FormatError(RULE, f"{at} must have parameters; initialise or train the circuit before it is saved")
    return nodes[source]["params"]


def _integers(value: Any, at: str, budget: MemoryBudget) -> IntArray:
    edges = to_array(value, f"{at}: edge_ids", budget)
    budget.take(8 * edges.size)
    if edges.dtype.kind not in "iu" or edges.ndim != 2 or not edges.size or edges.min() < 0 or edges.max() > MAX_TABLE:
        raise FormatError(RULE, f"{at}: edge_ids must be integers of at least 0 in 2 dimensions, got {edges.shape}")
    return edges.astype(np.int64)


def _tables(
    nodes: list[dict[str, Any]], limit: int, where: str, budget: MemoryBudget
) -> dict[int, tuple[int, FloatArray]]:
    """Read every vector of leaves: its variable, and logarithms of probabilities as wide as the variable's widest."""
    tables: dict[int, tuple[int, FloatArray]] = {}
    widest: dict[int, int] = {}
    for number, node in enumerate(nodes):
        if node.get("type") != "Input":
            continue
        at = f"{where}, {_name(nodes, number)}"
        blocks, block = _sizes(node, at)
        scope = node.get("scope")
        if type(scope) is not list or len(scope) != 1 or type(scope[0]) is not int or not 0 <= scope[0] <= len(nodes):
            raise FormatError(RULE, f"{at}: the scope must be one variable, and every variable must have leaves")
        table = _leaf_table(nodes, number, blocks * block, at, budget)
        if not (np.isfinite(table).all() and (table >= 0).all() and (table.sum(axis=1) > 0).all()):
            raise CircuitError(f"{at}: probabilities must be finite, not negative and not all zero")
        widest[scope[0]] = max(widest.get(scope[0], 0), table.shape[1])
        tables[number] = scope[0], table
    sizes = [len(table) * widest[variable] for variable, table in tables.values()]
    if sum(sizes) > limit:
        raise FormatError("import-size", f"{where}: all leaf tables must hold {limit} numbers at most")
    budget.take(TABLE_BYTES * sum(sizes))
    budget.check(MOMENT_BYTES * max(sizes, default=0))
    with np.errstate(divide="ignore"):
        return {
            number: (variable, np.log(np.pad(table, ((0, 0), (0, widest[variable] - table.shape[1])))))
            for number, (variable, table) in tables.items()
        }


def _leaf_table(nodes: list[dict[str, Any]], number: int, count: int, at: str, budget: MemoryBudget) -> FloatArray:
    packed = nodes[number].get("dist")
    if type(packed) is not bytes:
        raise FormatError(RULE, f"{at} must have a distribution")
    distribution = replay(packed, lambda name: name in NAMES or name.startswith(_DISTRIBUTIONS), at, budget)
    kind = distribution.function.text.rpartition(".")[2] if isinstance(distribution, Call) else "nothing"
    state = distribution.state if isinstance(distribution, Call) and type(distribution.state) is dict else {}
    if kind == "Literal":
        symbol = state.get("lit")
        if type(symbol) is not int or not 0 <= symbol < MAX_SYMBOLS or count * (symbol + 2) > MAX_TABLE:
            raise FormatError(RULE, f"{at}: the symbol of a literal must be in 0..{MAX_SYMBOLS - 1}")
        budget.take(16 * count * (symbol + 2))
        return np.tile(np.arange(max(2, symbol + 1)) == symbol, (count, 1)).astype(np.float64)
    if kind not in ("Categorical", "Bernoulli"):
        raise FormatError(
            "import-leaf",
            f"{at}: the distribution must be Categorical, Bernoulli or Literal, got {kind[:40]}; a leaf of another "
            "type has to be turned into a Categorical first",
        )
    values = to_array(_parameters(nodes, number, at), f"{at}: params", budget)
    budget.take(16 * values.size)
    width = state.get("num_cats") if kind == "Categorical" else 1
    if (
        type(width) is not int
        or not 0 < width <= MAX_SYMBOLS
        or values.dtype.kind != "f"
        or values.size != count * width
    ):
        raise FormatError(RULE, f"{at}: params must be {count} distributions of its {kind} type, got {values.shape}")
    table = _float64(values).reshape(count, width)
    return table if kind == "Categorical" else np.concatenate([1.0 - table, table], axis=1)


def _disjoint(children: list[_Vector], at: str) -> int:
    scope = 0
    for child in children:
        if scope & child.scope:
            raise CircuitError(
                f"{at} is not decomposable: its children must have disjoint scopes, "
                f"variables {variables_of(scope & child.scope)[:8]} are in two"
            )
        scope |= child.scope
    return scope


def _smooth(children: list[_Vector], at: str) -> None:
    for child in children:
        if child.scope != children[0].scope:
            raise CircuitError(
                f"{at} is not smooth: its children must have one scope, got variables {variables_of(child.scope)[:8]} "
                f"and {variables_of(children[0].scope)[:8]}"
            )


def _product(
    layers: list[Layer], children: list[_Vector], edges: IntArray, size: tuple[int, int, int], at: str
) -> _Vector:
    """Place a vector of products: edges name the children's blocks, or, with a row a node, their nodes."""
    blocks, block, scope = size
    if edges.shape[1] != len(children) or len(edges) not in (blocks, blocks * block):
        raise FormatError(
            RULE, f"{at}: edge_ids must be {blocks} or {blocks * block} rows of {len(children)}, got {edges.shape}"
        )
    if len(edges) == blocks and block > 1:
        if any(child.block != block for child in children):
            raise FormatError(RULE, f"{at}: edges between blocks need children of its block size, {block}")
        if edges.max() * block > MAX_TABLE:
            raise FormatError(RULE, f"{at}: edge_ids must name blocks of the children, got {edges.max()}")
        edges = (edges[:, None, :] * block + np.arange(block)[None, :, None]).reshape(blocks * block, -1)
    for column, child in enumerate(children):
        if edges[:, column].max() >= len(child.units):
            raise FormatError(RULE, f"{at}: child {column} has the nodes 0..{len(child.units) - 1}, edge_ids name more")
    gather = np.stack([child.units[edges[:, column]] for column, child in enumerate(children)], axis=1)
    if len(children) == 1:
        return _Vector(children[0].layer, gather[:, 0], block, scope)
    layers.append(ProductLayer(tuple(child.layer for child in children), gather))
    return _Vector(len(layers) - 1, np.arange(blocks * block), block, scope)


def _float64(values: NDArray[Any]) -> FloatArray:
    """Give float64 numbers; numpy warns of a signalling NaN, which is refused like any other or hidden by a mask."""
    with np.errstate(invalid="ignore"):
        return values.astype(np.float64)


def _mask_weights(weights: NDArray[Any], zeros: NDArray[Any] | None, at: str) -> FloatArray:
    if weights.dtype.kind != "f" or weights.ndim != 3:
        raise FormatError(RULE, f"{at}: params must be floats in 3 dimensions, got {weights.dtype} in {weights.ndim}")
    values = _float64(weights)
    if zeros is not None:
        if zeros.dtype.kind != "b" or zeros.shape != values.shape:
            raise FormatError(RULE, f"{at}: zero_param_mask must have the shape of params, {values.shape}")
        values[zeros] = 0.0
    if not np.isfinite(values).all() or (values < 0).any():
        raise FormatError("import-weight", f"{at}: weights must be finite and not negative, got {values.min()}")
    return values


def _sum(
    layers: list[Layer], children: list[_Vector], edges: IntArray, size: tuple[int, int], weights: FloatArray, at: str
) -> SumLayer:
    """Make the layer of a vector of sums: edge e links block edges[0, e] with block edges[1, e] of the children."""
    blocks, block = size
    child_block = children[0].block
    if any(child.block != child_block for child in children):
        raise FormatError(RULE, f"{at}: the children of sums must have one block size")
    if edges.shape[0] != 2 or weights.shape != (edges.shape[1], block, child_block):
        raise FormatError(
            RULE,
            f"{at}: params must be ({edges.shape[-1]}, {block}, {child_block}) for its edge_ids, got {weights.shape}",
        )
    count = sum(len(child.units) for child in children)
    if edges[0].max() >= blocks or edges[1].max() * child_block >= count:
        raise FormatError(RULE, f"{at}: edge_ids must name blocks 0..{blocks - 1} and of its children's {count} nodes")
    used = list(dict.fromkeys(child.layer for child in children))
    starts: dict[int, int] = {}
    columns = 0
    for layer in used:
        starts[layer] = columns
        columns += layers[layer].shape.units
    column_of = np.concatenate([child.units + starts[child.layer] for child in children])
    rows = np.broadcast_to(edges[0][:, None, None] * block + np.arange(block)[None, :, None], weights.shape)
    child_units = np.broadcast_to(
        edges[1][:, None, None] * child_block + np.arange(child_block)[None, None, :], weights.shape
    )
    positive = weights > 0
    numbers = rows[positive] * columns + column_of[child_units[positive]]
    with np.errstate(divide="ignore"):
        logs = np.log(weights[positive])
    keys, inverse = np.unique(numbers, return_inverse=True)
    merged = logs[np.argsort(inverse)] if len(keys) == len(logs) else np.full(len(keys), -np.inf)
    if len(keys) != len(logs):
        np.logaddexp.at(merged, inverse, logs)
    indptr = np.searchsorted(keys // columns, np.arange(blocks * block + 1)).astype(np.int64)
    if (np.diff(indptr) == 0).any():
        empty = int(np.flatnonzero(np.diff(indptr) == 0)[0])
        raise CircuitError(f"{at}: every sum must have a positive weight, node {empty} has none")
    return SumLayer(tuple(used), SparseRows(indptr, keys % columns, merged, columns))


def _drop_unreached(layers: list[Layer], names: list[str], root: _Vector) -> Draft:
    """Leave out layers that the root does not reach, and put the root last."""
    used = {root.layer}
    for index in range(root.layer, -1, -1):
        layer = layers[index]
        if index in used and not isinstance(layer, InputLayer):
            used.update(layer.children)
    reached = sorted(used)
    new = {old: position for position, old in enumerate(reached)}
    remaining: list[Layer] = []
    for old in reached:
        layer = layers[old]
        if isinstance(layer, ProductLayer):
            layer = ProductLayer(tuple(new[child] for child in layer.children), layer.gather)
        elif isinstance(layer, SumLayer):
            layer = SumLayer(tuple(new[child] for child in layer.children), layer.weights)
        remaining.append(layer)
    dropped = len(layers) - len(reached)
    notes = (f"{dropped} vectors of nodes that the root does not reach were left out",) if dropped else ()
    return Draft(tuple(remaining), tuple(names[old] for old in reached), notes)
