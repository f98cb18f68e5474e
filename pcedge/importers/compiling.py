"""From a network to a circuit: buckets of an elimination order become units, one for each states of a separator.

The rule and its invariants are in docs/importers.md, section Networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import InputLayer, Layer, ProductLayer, SumLayer
from pcedge.circuit.rows import SparseRows
from pcedge.errors import CircuitError
from pcedge.importers.elimination import Bucket, check_size, plan
from pcedge.importers.networks import Network
from pcedge.importers.normalise import Draft

#: bytes of memory for a variable, and for an entry of a clique's table, at most, until there is a circuit
VARIABLE_BYTES, ENTRY_BYTES = 5000, 128

#: last bits of a float64 that two units may differ in and be one: it is what rounding makes of equal ones
_SAME_BITS = 4

BoolArray = NDArray[np.bool_]


@dataclass(eq=False)
class _Part:
    """Hold the units of a bucket: sums of products, or products, or leaves; the last that there is is the units."""

    variable: int
    #: (leaves, states), logarithms
    leaves: FloatArray
    #: (products, 1 + children), which leaf and which units of the children
    products: IntArray | None = None
    #: (units, products), logarithms
    sums: SparseRows | None = None
    #: parts below
    children: tuple[int, ...] = ()

    @property
    def units(self) -> int:
        if self.sums is not None:
            return self.sums.shape[0]
        return len(self.leaves if self.products is None else self.products)

    def keep(self, used: BoolArray) -> list[tuple[int, BoolArray]]:
        """Keep the units that are used; give which units of the children these use."""
        if self.sums is not None:
            rows = self.sums
            entries = used[rows.row_of_entry]
            starts = np.concatenate([[0], np.cumsum(np.diff(rows.indptr)[used])]).astype(np.int64)
            needed, columns = _numbered(rows.indices[entries], rows.columns)
            self.sums = SparseRows(starts, columns, rows.values[entries], int(needed.sum()))
            used = needed
        below = []
        if self.products is not None:
            self.products = self.products[used]
            for column, child in enumerate(self.children, 1):
                needed, self.products[:, column] = _numbered(
                    self.products[:, column], int(self.products[:, column].max()) + 1
                )
                below.append((child, needed))
            used, self.products[:, 0] = _numbered(self.products[:, 0], len(self.leaves))
        self.leaves = self.leaves[used]
        return below


def compile_network(network: Network, limit: int, where: str) -> Draft:
    """Make the layers of a network: smooth, structured-decomposable and deterministic.

    Args:
        network: the network.
        limit: entries of the tables of all cliques together, at most.
        where: the file's name, for messages.

    Raises:
        FormatError: the tables have more entries; the message names the largest clique.
        CircuitError: no record has a probability above 0.
    """
    sizes = network.sizes
    found = plan([factor.scope for factor in network.factors], sizes)
    check_size(found, network.names, limit, where)
    with np.errstate(divide="ignore", invalid="ignore"):
        constant = sum(float(np.log(factor.table)) for factor in network.factors if not factor.scope)
        tables = [np.log(factor.table) for factor in network.factors]
        parts: list[_Part] = []
        roots = []
        #: of every bucket the unit and the logarithm of the sum for each states of the separator
        sums: list[tuple[IntArray, FloatArray] | None] = []
        for place, bucket in enumerate(found.buckets):
            if not bucket.separator:
                roots.append(place)
            logs = _product(
                bucket,
                [tables[number] for number in bucket.factors],
                [network.factors[number].scope for number in bucket.factors],
                sizes,
            )
            children = []
            for child in bucket.children:
                given = sums[child]
                assert given is not None
                children.append((child, _aligned(given[0], found.buckets[child].separator, bucket, sizes)))
                logs = logs + _aligned(given[1], found.buckets[child].separator, bucket, sizes)
                sums[child] = None
            if not bucket.separator and len(roots) == 1:
                logs = logs + constant
            part, units, totals = _part(bucket, logs, children)
            shape = [sizes[variable] for variable in bucket.separator]
            if not np.isfinite(totals).any():
                raise CircuitError(f"{where} must give some record a probability above 0, it gives none any")
            parts.append(part)
            sums.append((units.reshape(shape), totals.reshape(shape)))
    _prune(parts, roots)
    layers, names = _layers(parts, roots, network.names)
    return Draft(layers, names, notes=network.notes, variables=network.names, grid=network.grid)


def _aligned(table: NDArray[Any], scope: Sequence[int], bucket: Bucket, sizes: Sequence[int]) -> NDArray[Any]:
    """View a table over some of a bucket's variables as one over all, the bucket's own the last."""
    axes = bucket.clique
    places = [axes.index(variable) for variable in scope]
    ordered = table.transpose(sorted(range(len(scope)), key=places.__getitem__))
    return ordered.reshape([sizes[variable] if variable in scope else 1 for variable in axes])


def _product(
    bucket: Bucket, tables: list[FloatArray], scopes: list[tuple[int, ...]], sizes: Sequence[int]
) -> FloatArray:
    """Multiply a bucket's factors, in logarithms."""
    total: FloatArray = np.zeros([sizes[variable] for variable in bucket.clique])
    for table, scope in zip(tables, scopes, strict=True):
        total += _aligned(table, scope, bucket, sizes)
    return total


def _part(
    bucket: Bucket, logs: FloatArray, children: list[tuple[int, NDArray[Any]]]
) -> tuple[_Part, IntArray, FloatArray]:
    """Make a bucket's units, and give the unit and the logarithm of the sum for each states of the separator."""
    states = logs.shape[-1]
    rows = logs.reshape(-1, states)
    live = np.isfinite(rows)
    top = rows.max(axis=1)
    totals = np.where(np.isfinite(top), top + np.log(np.exp(rows - top[:, None]).sum(axis=1)), -np.inf)
    # The root of a component keeps its total: normalising finds the constant there.
    weights = rows if not bucket.separator else rows - totals[:, None]
    alive = np.flatnonzero(np.isfinite(totals))
    units = np.full(len(rows), -1, dtype=np.int64)
    if not children:
        first, units[alive] = _different(_rounded(weights[alive], live[alive]))
        return _Part(bucket.variable, weights[alive][first]), units, totals
    inner = [np.broadcast_to(table, logs.shape).reshape(-1, states)[live] for _, table in children]
    first, inverse = _combined(inner)
    tuples = np.stack([column[first] for column in inner], axis=1).astype(np.int64)
    of_entry = np.full(rows.shape, -1, dtype=np.int64)
    of_entry[live] = inverse
    below = tuple(child for child, _ in children)
    highest = of_entry.max(axis=1)
    if ((of_entry == highest[:, None]) | ~live).all():  # the variable tells nothing about those below
        first, leaf = _different(_rounded(weights[alive], live[alive]))
        picked, units[alive] = _combined([leaf, highest[alive]])
        products = np.column_stack([leaf[picked], tuples[highest[alive]][picked]])
        return _Part(bucket.variable, weights[alive][first], products, None, below), units, totals
    symbol = np.broadcast_to(np.arange(states), rows.shape)[live]
    first, product = _combined([symbol, inverse])
    products = np.column_stack([symbol[first], tuples[inverse[first]]])
    with np.errstate(divide="ignore"):
        leaves = np.log(np.eye(states))
    part = _Part(bucket.variable, leaves, products, None, below)
    of_entry[live] = product
    if bucket.separator and (live[alive].sum(axis=1) == 1).all():  # given those above, it is certain
        units[alive] = of_entry[alive].max(axis=1)
        return part, units, totals
    key = np.concatenate([of_entry[alive], _rounded(weights[alive], live[alive])], axis=1)
    first, units[alive] = _different(key)
    kept = alive[first]
    entries = live[kept]
    starts = np.concatenate([[0], np.cumsum(entries.sum(axis=1))]).astype(np.int64)
    part.sums = SparseRows(starts, of_entry[kept][entries], weights[kept][entries], len(products))
    return part, units, totals


def _rounded(logs: FloatArray, live: BoolArray) -> IntArray:
    """Give numbers that are alike for weights that are equal up to rounding; -1 for those of zero."""
    weights = np.ascontiguousarray(np.exp(logs))
    return np.where(live, (weights.view(np.int64) + (1 << (_SAME_BITS - 1))) >> _SAME_BITS, -1)


def _different(rows: IntArray) -> tuple[IntArray, IntArray]:
    """Give the first place of every different row, in the order of these, and which of them each row is."""
    whole = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.shape[1] * rows.dtype.itemsize)))[:, 0]
    _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
    order = np.argsort(first)  # by bytes they would come in another order on another machine
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[inverse.reshape(-1)]


def _combined(columns: Sequence[NDArray[Any]]) -> tuple[IntArray, IntArray]:
    """Do the same with rows of several columns of small whole numbers; what is different comes in ascending order."""
    codes = np.zeros(len(columns[0]), dtype=np.int64)
    count = 1
    for column in columns:
        more = int(column.max()) + 1
        if count * more >= 1 << 62:
            different, codes = np.unique(codes, return_inverse=True)
            count = len(different)
        codes = codes * more + column.astype(np.int64)
        count *= more
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return first, inverse.reshape(-1)


def _numbered(indices: IntArray, count: int) -> tuple[BoolArray, IntArray]:
    """Tell which of so many things indices name, and number these anew."""
    used = np.zeros(count, dtype=bool)
    used[indices] = True
    return used, (np.cumsum(used) - 1)[indices]


def _prune(parts: list[_Part], roots: list[int]) -> None:
    """Leave out what no root reaches: what only impossible states of a separator would use."""
    used = {root: np.ones(1, dtype=bool) for root in roots}
    for place in range(len(parts) - 1, -1, -1):
        wanted = np.zeros(parts[place].units, dtype=bool)
        flags = used.pop(place)
        wanted[: len(flags)] = flags
        used.update(parts[place].keep(wanted))


def _layers(parts: list[_Part], roots: list[int], names: Sequence[str]) -> tuple[tuple[Layer, ...], tuple[str, ...]]:
    """Put the parts into layers, and multiply components that have nothing to do with each other."""
    layers: list[Layer] = []
    called: list[str] = []
    last: list[int] = []
    for part in parts:
        made: list[Layer] = [InputLayer(part.variable, part.leaves)]
        if part.products is not None:
            below = [last[child] for child in part.children]
            made.append(ProductLayer((*below, len(layers)), np.roll(part.products, -1, axis=1)))
        if part.sums is not None:
            made.append(SumLayer((len(layers) + 1,), part.sums))
        layers += made
        called += [f"variable {names[part.variable]}"] * len(made)
        last.append(len(layers) - 1)
    if len(roots) > 1:
        layers.append(ProductLayer(tuple(last[root] for root in roots), np.zeros((1, len(roots)), dtype=np.int64)))
        called.append("the root")
    return tuple(layers), tuple(called)
