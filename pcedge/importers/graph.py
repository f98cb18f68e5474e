"""A foreign circuit as a graph of named units, its checks, and its layering into few layers of many units."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np

from pcedge.arrays import FloatArray
from pcedge.circuit.densities import Density
from pcedge.circuit.layers import InputLayer, Layer, ProductLayer, SumLayer
from pcedge.circuit.rows import SparseRows
from pcedge.errors import CircuitError, FormatError
from pcedge.importers.normalise import Draft
from pcedge.limits import MemoryBudget

#: symbols of one variable at most; a number in a file must not choose how much memory is taken
MAX_SYMBOLS = 1 << 16
#: numbers in all leaf tables together at most (128 MiB)
MAX_TABLE = 1 << 24
#: bytes of memory at most: for each layer, each unit, each number of a layer's tables, and for a moment while they are
#: normalised
LAYER_BYTES, UNIT_BYTES, TABLE_BYTES, MOMENT_BYTES = 1500, 100, 24, 32


@dataclass(frozen=True, eq=False, slots=True)
class Leaf:
    """Hold a leaf: `table` weighs the symbols 0, 1, … of `variable`, normalised or not."""

    name: str
    variable: int
    table: FloatArray


@dataclass(frozen=True, eq=False, slots=True)
class DensityLeaf:
    """Hold a leaf over real or whole numbers; `gridding.grid_units` makes a `Leaf` of it."""

    name: str
    variable: int
    density: Density


@dataclass(frozen=True, eq=False, slots=True)
class Product:
    """Hold a product of the units with the keys `children`."""

    name: str
    children: tuple[Hashable, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Sum:
    """Hold a sum of the units with the keys `children`, weighed by the exponentials of `log_weights`."""

    name: str
    children: tuple[Hashable, ...]
    log_weights: tuple[float, ...]


Unit = Leaf | Product | Sum
Units = Mapping[Hashable, Unit]
#: a layer's number while layers are collected, and a unit in it
Place = tuple[int, int]


def layers_of(units: Units, root: Hashable, variables: int, budget: MemoryBudget) -> Draft:
    """Check a graph of units and put units of one scope and depth into one layer each.

    Leaves of a variable share one layer. Products of a scope share a layer if their factors lie in the same layers;
    sums of a scope share one if the longest chain of sums below them, within the scope, is equally long. So a
    structured circuit gets one layer of products and one of sums a vtree node. Equal leaves and equal products
    become one unit, products of one factor give way to it, and edges of weight zero are left out.

    Args:
        units: every unit by its key.
        root: the root's key.
        variables: how many variables there are.
        budget: of the file's memory.

    Returns:
        The layers, not yet normalised.

    Raises:
        FormatError: a unit is not defined, or its own descendant, or the circuit needs too much memory.
        CircuitError: a product is not decomposable, a sum is not smooth or has no positive weight, a leaf is not a
            distribution, or a variable is missing. The message has the unit's name in the file.
    """
    leaves = sum(isinstance(unit, Leaf) for unit in units.values())
    if leaves < variables:  # also keeps the bit masks of scopes small
        raise CircuitError(f"{variables} variables need as many leaves or more, got {leaves}")
    order = _children_first(units, root)
    masks = Masks(budget)
    scopes = _scopes(units, order, masks)
    missing = ((1 << variables) - 1) & ~masks.of[scopes[root]]
    if missing:
        raise CircuitError(
            f"{units[root].name}, the root, must cover all {variables} variables, variable "
            f"{(missing & -missing).bit_length() - 1} is missing"
        )
    used = {root}
    for key in reversed(order):
        if key in used:
            used.update(child for child, _ in _edges(units[key]))
    reached = [key for key in order if key in used]
    return _collect(units, reached, scopes, masks, root, len(units) - len(order))


def _children_first(units: Units, root: Hashable) -> list[Hashable]:
    """List what the root reaches, children before parents; an explicit stack, for files nest without limit."""
    order: list[Hashable] = []
    state: dict[Hashable, bool] = {}  # False while a unit's children are being visited
    stack = [root]
    parent = "the file"
    while stack:
        key = stack[-1]
        if state.get(key) is None:
            unit = units.get(key)
            if unit is None:
                raise FormatError("import-undefined", f"{parent} must name units that are defined, {key} is not")
            state[key] = False
            if not isinstance(unit, Leaf):
                parent = unit.name
                for child in reversed(unit.children):
                    if state.get(child) is False:
                        name = units[child].name
                        raise FormatError("import-cycle", f"{unit.name} must not be above itself, {name} is its child")
                    if child not in units:
                        raise FormatError(
                            "import-undefined", f"{unit.name} must name units that are defined, {child} is not"
                        )
                    if child not in state:
                        stack.append(child)
        else:
            stack.pop()
            if state[key] is False:
                state[key] = True
                order.append(key)
    return order


class Masks:
    """Hold every scope once, as a bit mask, under a number: with many variables they are what takes the memory."""

    def __init__(self, budget: MemoryBudget) -> None:
        """Start with none."""
        self.budget = budget
        self.of: list[int] = []
        self._numbers: dict[bytes, int] = {}

    def number(self, mask: int) -> int:
        """Give a scope's number."""
        # Python's hashes of integers are those modulo a Mersenne prime: single bits and runs of bits would all collide.
        key = hashlib.blake2b(mask.to_bytes((mask.bit_length() + 7) // 8, "little"), digest_size=16).digest()
        if key not in self._numbers:
            self.budget.take(_mask_bytes(mask))
            self._numbers[key] = len(self.of)
            self.of.append(mask)
        return self._numbers[key]


def _scopes(units: Units, order: list[Hashable], masks: Masks) -> dict[Hashable, int]:
    """Give the number of every unit's scope, and refuse what is not smooth and decomposable."""
    scopes: dict[Hashable, int] = {}
    for key in order:
        unit = units[key]
        if isinstance(unit, Leaf):
            _check_leaf(unit)
            scopes[key] = masks.number(1 << unit.variable)
            continue
        if not unit.children:
            raise CircuitError(f"{unit.name} must have at least one child, it has none")
        first = scopes[unit.children[0]]
        if isinstance(unit, Sum):
            for child in unit.children:
                if scopes[child] != first:
                    raise CircuitError(
                        f"{unit.name} is not smooth: its children must have one scope, {units[child].name} has "
                        f"{_brief(masks.of[scopes[child]])}, {units[unit.children[0]].name} has "
                        f"{_brief(masks.of[first])}"
                    )
            _check_sum(unit)
            scopes[key] = first
            continue
        scope = 0
        for child in unit.children:
            child_scope = masks.of[scopes[child]]
            if child_scope & scope:
                raise CircuitError(
                    f"{unit.name} is not decomposable: its children must have disjoint scopes, "
                    f"{units[child].name} repeats {_brief(child_scope & scope)}"
                )
            scope |= child_scope
        scopes[key] = masks.number(scope) if len(unit.children) > 1 else first
    return scopes


def _mask_bytes(scope: int) -> int:
    return 200 + scope.bit_length() // 7


def _check_leaf(leaf: Leaf) -> None:
    if not (np.isfinite(leaf.table).all() and (leaf.table >= 0).all()):
        raise CircuitError(f"{leaf.name}: probabilities must be finite and not negative, got {leaf.table.min()}")
    if not leaf.table.sum() > 0:
        raise CircuitError(f"{leaf.name} must have a symbol of positive probability, it has none")


def _check_sum(unit: Sum) -> None:
    weights = np.asarray(unit.log_weights)
    if np.isnan(weights).any() or np.isposinf(weights).any():
        raise CircuitError(f"{unit.name}: weights must be finite, got {np.exp(weights.max())}")
    if len(weights) != len(unit.children):
        raise CircuitError(f"{unit.name} must have one weight a child, {len(unit.children)}, got {len(weights)}")
    if np.isneginf(weights).all():
        raise CircuitError(f"{unit.name} must have a positive weight, all are zero")


def _edges(unit: Unit) -> list[tuple[Hashable, float]]:
    """List children and log weights, without the edges of weight zero."""
    if isinstance(unit, Leaf):
        return []
    if isinstance(unit, Product):
        return [(child, 0.0) for child in unit.children]
    pairs = zip(unit.children, unit.log_weights, strict=True)
    return [(child, weight) for child, weight in pairs if weight != -np.inf]


@dataclass(eq=False, slots=True)
class _Group:
    """Collect one layer's units."""

    scope: int
    rank: int
    children: tuple[int, ...] = ()
    #: the units: a leaf's table, a product's gather row, a sum's row of (layer, unit, log weight)
    rows: list[object] = None  # type: ignore[assignment]
    known: dict[object, int] = None  # type: ignore[assignment]
    name: str = ""


def _collect(
    units: Units, reached: list[Hashable], scopes: dict[Hashable, int], masks: Masks, root: Hashable, dropped: int
) -> Draft:
    """Group checked units into layers."""
    budget = masks.budget
    symbols: dict[int, int] = {}
    leaves: dict[int, int] = {}
    for key in reached:
        unit = units[key]
        if isinstance(unit, Leaf):
            symbols[unit.variable] = max(symbols.get(unit.variable, 0), len(unit.table))
            leaves[unit.variable] = leaves.get(unit.variable, 0) + 1
    sizes = [count * symbols[variable] for variable, count in leaves.items()]
    if sum(sizes) > MAX_TABLE:
        raise FormatError("import-size", f"all leaf tables together must hold {MAX_TABLE} numbers at most")
    budget.take(UNIT_BYTES * len(reached) + TABLE_BYTES * sum(sizes))
    budget.check(MOMENT_BYTES * max(sizes))
    groups: list[_Group] = []
    numbers: dict[object, int] = {}
    positions: dict[Hashable, Place] = {}
    depths: dict[Hashable, int] = {}

    def group_of(label: object, scope: int, rank: int, children: tuple[int, ...], name: str) -> int:
        if label not in numbers:
            mask = masks.of[scope]
            budget.take(LAYER_BYTES + _mask_bytes(mask))  # the circuit's own layers have masks too
            numbers[label] = len(groups)
            groups.append(_Group(mask, rank, children, [], {}, name))
        return numbers[label]

    def add(number: int, row: object, same: object) -> Place:
        group = groups[number]
        if same not in group.known:
            group.known[same] = len(group.rows)
            group.rows.append(row)
        return number, group.known[same]

    for key in reached:
        unit, scope = units[key], scopes[key]
        depths[key] = 0
        if isinstance(unit, Leaf):
            table = np.zeros(symbols[unit.variable])
            table[: len(unit.table)] = unit.table
            number = group_of(("leaf", unit.variable), scope, 0, (), unit.name)
            positions[key] = add(number, table, hashlib.blake2b(table.data, digest_size=32).digest())
        elif isinstance(unit, Product):
            factors = sorted(positions[child] for child in unit.children)
            if len(factors) == 1:
                positions[key], depths[key] = factors[0], depths[unit.children[0]]
                continue
            children, gather = tuple(layer for layer, _ in factors), tuple(index for _, index in factors)
            number = group_of(("product", scope, children), scope, 1, children, unit.name)
            positions[key] = add(number, gather, gather)
        else:
            edges = _edges(unit)
            depth = 1 + max(depths[child] for child, _ in edges)
            depths[key] = depth
            number = group_of(("sum", scope, depth), scope, 1 + depth, (), unit.name)
            row = [(*positions[child], weight) for child, weight in edges]
            positions[key] = add(number, row, key)
    notes = (f"{dropped} units that the root does not reach were left out",) if dropped else ()
    if groups[positions[root][0]].rank == 0 and len(groups) > 1:
        raise CircuitError(f"{units[root].name}, the root, must be above every other unit")
    return Draft(*_emit(groups), notes=notes)


def _emit(groups: list[_Group]) -> tuple[tuple[Layer, ...], tuple[str, ...]]:
    """Order the groups, children first, and make their layers with logarithms of weights."""
    order = sorted(range(len(groups)), key=lambda n: (groups[n].scope.bit_count(), groups[n].scope, groups[n].rank, n))
    final = {number: index for index, number in enumerate(order)}
    layers: list[Layer] = []
    for number in order:
        group = groups[number]
        if group.rank == 0:
            with np.errstate(divide="ignore"):
                layers.append(InputLayer(group.scope.bit_length() - 1, np.log(np.array(group.rows, dtype=np.float64))))
        elif group.rank == 1:
            rank = np.argsort([final[child] for child in group.children])
            gather = np.array(group.rows, dtype=np.int64)[:, rank]
            layers.append(ProductLayer(tuple(final[group.children[i]] for i in rank), gather))
        else:
            layers.append(_sum_layer(group, groups, final))
    return tuple(layers), tuple(groups[number].name for number in order)


def _sum_layer(group: _Group, groups: list[_Group], final: dict[int, int]) -> SumLayer:
    rows: list[list[tuple[int, int, float]]] = group.rows  # type: ignore[assignment]
    children = sorted({layer for row in rows for layer, _, _ in row}, key=final.__getitem__)
    starts: dict[int, int] = {}
    columns = 0
    for child in children:
        starts[child] = columns
        columns += len(groups[child].rows)
    final_children = tuple(final[child] for child in children)
    if len(rows) == len(rows[0]) == 1:  # a chain has many such layers, and numpy's calls take their time
        _, unit, weight = rows[0][0]
        one = np.array([unit], dtype=np.int64), np.array([weight])
        return SumLayer(final_children, SparseRows(np.array([0, 1], dtype=np.int64), *one, columns))
    number = np.repeat(np.arange(len(rows), dtype=np.int64), [len(row) for row in rows])
    column = np.array([starts[layer] + unit for row in rows for layer, unit, _ in row], dtype=np.int64)
    weights = np.array([entry[2] for row in rows for entry in row], dtype=np.float64)
    # Two edges to one unit, also where equal units became one, are one edge.
    keys, inverse = np.unique(number * columns + column, return_inverse=True)
    merged = np.full(len(keys), -np.inf)
    np.logaddexp.at(merged, inverse, weights)
    indptr = np.searchsorted(keys // columns, np.arange(len(rows) + 1)).astype(np.int64)
    return SumLayer(final_children, SparseRows(indptr, keys % columns, merged, columns))


def _brief(scope: int) -> str:
    from pcedge.circuit.structure import variables_of

    variables = variables_of(scope)
    return f"variables {variables[:8]}…" if len(variables) > 8 else f"variables {variables}"
