"""The scopes of a circuit's layers, the regions of one scope, and the order in which these are coded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray
from pcedge.errors import CircuitError, NotStructuredError


class Shape(NamedTuple):
    """Describe one layer: its kind, its size, and whom it reads.

    A tuple, which is made several times as fast as a dataclass: deep circuits have some hundred thousand layers.
    """

    #: `input`, `product` or `sum`
    kind: str
    #: number of units
    units: int
    #: indices of the child layers, all smaller than the layer's own
    children: tuple[int, ...]
    #: the variable of an input layer
    variable: int = -1
    #: the number of symbols of an input layer
    cardinality: int = 0
    #: columns of a sum layer's weights
    columns: int = 0
    #: a product layer's gather lists, (units, children)
    gather: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class Spans:
    """Place the variables of a structured circuit so that every layer's scope is a span of places.

    That proves the circuit smooth, decomposable and structured without a set of variables for each layer.
    """

    #: the variables by their places
    order: tuple[int, ...]
    #: of every layer the place of its first variable
    firsts: list[int]
    #: of every layer the number of its variables
    sizes: list[int]


@dataclass(frozen=True, eq=False)
class Regions:
    """Hold the regions of a structured circuit as arrays: children before parents, siblings in coding order."""

    #: the variables in coding order; those of a region stand side by side
    order: IntArray
    #: of every region the place of its first variable there
    first: IntArray
    #: of every region the number of its variables
    size: IntArray
    #: of every region the one that it is a part of; -1 for the root, which is the last
    parent: IntArray
    #: of every layer its region
    of_layer: IntArray

    def largest_first(self) -> IntArray:
        """Number the regions by a walk that comes to the largest child first: the fewest of them wait for siblings."""
        first = _places(self.size, self.parent, -self.size, self.first)
        numbers = np.empty_like(first)
        numbers[np.lexsort((self.size, first + self.size))] = np.arange(len(first))
        return numbers


@dataclass(frozen=True, slots=True)
class Region:
    """Hold the layers of one scope, and the regions that partition it."""

    #: the coding order of all variables: those of a region stand side by side
    order: tuple[int, ...]
    #: place of its first variable there
    first: int
    #: number of its variables
    size: int
    #: layers with this scope, children before parents
    layers: tuple[int, ...]
    #: indices of the child regions in the list of regions, in coding order; empty for one variable
    children: tuple[int, ...]

    @property
    def scope(self) -> int:
        """Give the bit mask over the variables; masks of all regions together take quadratic memory."""
        return sum(1 << variable for variable in self.order[self.first : self.first + self.size])


def variables_of(scope: int) -> list[int]:
    """List the variables of a scope, ascending."""
    return [bit for bit in range(scope.bit_length()) if scope >> bit & 1]


def layer_scopes(shapes: Sequence[Shape]) -> tuple[int, ...]:
    """Give every layer's scope as a bit mask."""
    scopes: list[int] = []
    for shape in shapes:
        scope = 1 << shape.variable if shape.kind == "input" else 0
        for child in shape.children:
            scope |= scopes[child]
        scopes.append(scope)
    return tuple(scopes)


def first_places(shapes: Sequence[Shape], order: Sequence[int]) -> tuple[int, ...]:
    """Give for every layer the place in the coding order of the first variable of its scope."""
    ranks = {variable: rank for rank, variable in enumerate(order)}
    firsts: list[int] = []
    for shape in shapes:
        child_firsts = [firsts[child] for child in shape.children]
        firsts.append(ranks[shape.variable] if shape.kind == "input" else min(child_firsts))
    return tuple(firsts)


def depth(shapes: Sequence[Shape]) -> int:
    """Count the layers on the longest way from a leaf to the root."""
    depths: list[int] = []
    for shape in shapes:
        depths.append(1 + max([depths[child] for child in shape.children], default=0))
    return depths[-1]


def child_lists(shapes: Sequence[Shape]) -> tuple[IntArray, IntArray]:
    """Give the children of all layers in one list, and where the list of each layer begins there."""
    lists = [shape.children for shape in shapes]
    starts = np.concatenate([[0], np.cumsum(np.fromiter(map(len, lists), dtype=np.int64, count=len(lists)))])
    return starts, np.fromiter(chain.from_iterable(lists), dtype=np.int64, count=int(starts[-1]))


def layer_spans(shapes: Sequence[Shape]) -> Spans | None:
    """Find the spans of a circuit's layers, in time that grows with their number alone.

    One layer stands for each region from the root down; its walk finds the places. Of a structured circuit every other
    layer then has a span too, for all products of one scope partition it alike.

    Returns:
        The spans; None where a circuit is not structured, or breaks the rules of scopes.
    """
    positions: dict[int, int] = {}
    stack = [len(shapes) - 1]
    while stack:
        kind, _, children, variable, *_ = shapes[stack.pop()]
        if kind == "product":
            stack.extend(reversed(children))
        elif kind == "sum":
            stack.append(children[0])
        elif variable in positions:
            return None
        else:
            positions[variable] = len(positions)
    firsts: list[int] = []
    sizes: list[int] = []
    splits: dict[tuple[int, int], tuple[int, ...]] = {}
    for kind, _, children, variable, *_ in shapes:
        if kind == "input":
            if variable not in positions:
                return None
            first, size = positions[variable], 1
        elif kind == "sum":
            first, size = firsts[children[0]], sizes[children[0]]
            for child in children:
                if firsts[child] != first or sizes[child] != size:
                    return None
        else:
            child_spans = sorted([(firsts[child], sizes[child]) for child in children])
            first = after = child_spans[0][0]
            for begin, count in child_spans:
                if begin != after:
                    return None
                after += count
            size = after - first
            split = tuple([begin for begin, _ in child_spans])
            if splits.setdefault((first, size), split) != split:
                return None
        firsts.append(first)
        sizes.append(size)
    if max(positions) != len(positions) - 1 or sizes[-1] != len(positions):
        return None
    return Spans(tuple(positions), firsts, sizes)


def find_regions(shapes: Sequence[Shape], order: Sequence[int] | None = None, spans: Spans | None = None) -> Regions:
    """Group the layers of a structured-decomposable circuit into regions.

    Args:
        shapes: the layers.
        order: the coding order of the variables. None chooses one that visits the largest child last, because the
            last child often needs no way up (docs/program.md).
        spans: those of the layers, if they are known.

    Raises:
        NotStructuredError: two products of one scope partition it differently.
        CircuitError: the order is no permutation, or leaves a region before it is done.
    """
    spans = spans or layer_spans(shapes)
    if spans is None:
        raise _not_structured(shapes)
    count = len(spans.order)
    if order is not None and sorted(order) != list(range(count)):
        raise CircuitError(f"the coding order must name each of the {count} variables once, got {list(order)[:8]}…")
    firsts, sizes = np.array(spans.firsts, dtype=np.int64), np.array(spans.sizes, dtype=np.int64)
    keys, some, of_layer = np.unique(firsts * (count + 1) + sizes, return_index=True, return_inverse=True)
    first, size = firsts[some], sizes[some]
    parent = np.full(len(keys), -1, dtype=np.int64)
    starts, children = child_lists(shapes)
    products = np.array([shape.kind == "product" for shape in shapes])
    inner = np.repeat(products, np.diff(starts))
    parent[of_layer[children[inner]]] = np.repeat(of_layer, np.diff(starts))[inner]
    variables = np.array(spans.order, dtype=np.int64)
    if order is None:
        begin = _places(size, parent, size, _least(variables, first, size))
    else:
        rank = np.empty(count, dtype=np.int64)
        rank[np.array(order, dtype=np.int64)] = np.arange(count)
        begin = _least(rank[variables], first, size)
        if (-_least(-rank[variables], first, size) - begin + 1 != size).any():
            raise CircuitError(
                "the coding order must finish a region before it enters the next; it leaves one in between"
            )
    # Children before parents: by the place of the last variable, then by size.
    numbers = np.lexsort((size, begin + size))
    new = np.empty_like(numbers)
    new[numbers] = np.arange(len(numbers))
    leaves = size == 1
    coded = np.empty(count, dtype=np.int64)
    coded[begin[leaves]] = variables[first[leaves]]
    parents = parent[numbers]
    return Regions(coded, begin[numbers], size[numbers], np.where(parents < 0, -1, new[parents]), new[of_layer])


def _least(values: IntArray, first: IntArray, size: IntArray) -> IntArray:
    """Give the least of the values from `first` on, so many as `size`, for many pairs, by tables of spans of 2^k."""
    level = np.frexp(size.astype(np.float64))[1] - 1
    least = np.empty_like(first)
    table = values
    for bits in range(int(level.max()) + 1):
        if bits:
            half = 1 << (bits - 1)
            table = np.minimum(table[:-half], table[half:])
        chosen = level == bits
        begin = first[chosen]
        least[chosen] = np.minimum(table[begin], table[begin + size[chosen] - (1 << bits)])
    return least


def _places(size: IntArray, parent: IntArray, rank: IntArray, other: IntArray) -> IntArray:
    """Give every region its first place in an order: siblings by their ranks, then by the other number."""
    siblings = np.lexsort((other, rank, parent))
    ahead = np.cumsum(size[siblings]) - size[siblings]
    opens = np.concatenate([[True], np.diff(parent[siblings]) != 0])
    position = np.empty_like(size)
    position[siblings] = ahead - np.maximum.accumulate(np.where(opens, ahead, 0))
    # Add up along the way to the root, twice as far each time: a chain is too deep for one level at a time.
    ancestor = np.where(parent < 0, np.arange(len(parent)), parent)
    while (parent[ancestor] >= 0).any():
        position += position[ancestor]
        ancestor = ancestor[ancestor]
    return position


def region_tree(
    shapes: Sequence[Shape], order: Sequence[int] | None = None, spans: Spans | None = None
) -> tuple[Region, ...]:
    """Give the regions of `find_regions` one by one: children before parents, the root last, children in coding order.

    Raises:
        NotStructuredError: two products of one scope partition it differently.
        CircuitError: the order is no permutation, or leaves a region before it is done.
    """
    regions = find_regions(shapes, order, spans)
    coded = tuple(regions.order.tolist())
    layers: list[list[int]] = [[] for _ in regions.first]
    for index, number in enumerate(regions.of_layer.tolist()):
        layers[number].append(index)
    children: list[list[int]] = [[] for _ in regions.first]
    for number, parent in enumerate(regions.parent[:-1].tolist()):
        children[parent].append(number)
    columns = zip(regions.first.tolist(), regions.size.tolist(), layers, children, strict=True)
    return tuple(Region(coded, first, size, tuple(members), tuple(inner)) for first, size, members, inner in columns)


def _not_structured(shapes: Sequence[Shape]) -> NotStructuredError:
    """Name two products that partition their scope differently."""
    scopes = layer_scopes(shapes)
    partitions: dict[int, tuple[int, frozenset[int]]] = {}
    for index, shape in enumerate(shapes):
        if shape.kind != "product":
            continue
        parts = frozenset(scopes[child] for child in shape.children)
        first, others = partitions.setdefault(scopes[index], (index, parts))
        if others != parts:
            return NotStructuredError(
                f"layers {first} and {index} (product) partition the scope {_brief(scopes[index])} differently: "
                "it is not structured-decomposable, so only the numpy reference can code with it"
            )
    raise AssertionError("a circuit whose products partition every scope alike has spans")


def coding_order(tree: Sequence[Region]) -> tuple[int, ...]:
    """List the variables in the order in which a depth-first walk codes them."""
    return tuple(region.order[region.first] for region in tree if not region.children)


def clustered_order(shapes: Sequence[Shape]) -> tuple[int, ...]:
    """Order the variables of a circuit without a tree so that those below the same layers stand together.

    Variables are compared by the layers of the largest scope first: whether they lie below them. So what was evaluated
    for one variable serves the next ones (docs/program.md, section Re-evaluation).
    """
    scopes = sorted(set(layer_scopes(shapes)), key=lambda scope: (-scope.bit_count(), scope))
    variables = range(scopes[0].bit_length())
    return tuple(sorted(variables, key=lambda v: [-(scope >> v & 1) for scope in scopes]))


def _brief(scope: int) -> str:
    variables = variables_of(scope)
    return str(variables) if len(variables) <= 8 else f"{variables[:8]}… ({len(variables)} variables)"
