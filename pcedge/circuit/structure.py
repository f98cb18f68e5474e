"""Structure of a circuit without its parameters: scopes, rules, the region tree and the coding order.

Float and integer circuits share these functions: both describe their layers by `Shape`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcedge.data.symbolizer import Symbolizer
from pcedge.errors import CircuitError, NotStructuredError


@dataclass(frozen=True, eq=False)
class Shape:
    """Describe one layer: its kind, its size, and whom it reads."""

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


@dataclass(frozen=True)
class Region:
    """Hold the layers of one scope, and the regions that partition it."""

    #: bit mask over the variables
    scope: int
    #: layers with this scope, children before parents
    layers: tuple[int, ...]
    #: indices of the child regions in the list of regions, in coding order; empty for one variable
    children: tuple[int, ...]


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
    place = {variable: rank for rank, variable in enumerate(order)}
    places: list[int] = []
    for shape in shapes:
        below = [places[child] for child in shape.children]
        places.append(place[shape.variable] if shape.kind == "input" else min(below))
    return tuple(places)


def check_shapes(shapes: Sequence[Shape]) -> None:
    """Check order, sizes, smoothness, decomposability, coverage and reachability.

    Raises:
        CircuitError: a rule is broken; the message names the layer.
    """
    if not shapes:
        raise CircuitError("a circuit must have at least one layer, got none")
    if shapes[-1].units != 1:
        raise CircuitError(f"the last layer is the root and must have 1 unit, got {shapes[-1].units}")
    for index, shape in enumerate(shapes):
        _check_one(index, shape, shapes)
    scopes = layer_scopes(shapes)
    for index, shape in enumerate(shapes):
        _check_scope(index, shape, scopes)
    count = scopes[-1].bit_length()
    if scopes[-1] != (1 << count) - 1 or any(scope.bit_length() > count for scope in scopes):
        absent = next(v for v in range(max(s.bit_length() for s in scopes)) if not scopes[-1] >> v & 1)
        raise CircuitError(f"the root must cover every variable, variable {absent} is missing from its scope")
    _check_cardinalities(shapes)
    used = {child for shape in shapes for child in shape.children} | {len(shapes) - 1}
    for index in range(len(shapes)):
        if index not in used:
            raise CircuitError(f"layer {index} ({shapes[index].kind}) must be used by a later layer, nothing uses it")


def _check_one(index: int, shape: Shape, shapes: Sequence[Shape]) -> None:
    where = f"layer {index} ({shape.kind})"
    if shape.units < 1:
        raise CircuitError(f"{where} must have at least one unit, got {shape.units}")
    if shape.kind == "input":
        if shape.variable < 0:
            raise CircuitError(f"{where}: variable must not be negative, got {shape.variable}")
        # Every variable has an input layer, so a larger number leaves one out; this keeps the bit masks small.
        if shape.variable > len(shapes):
            raise CircuitError(f"{where}: variable must be at most the number of layers, got {shape.variable}")
        if shape.cardinality < 1:
            raise CircuitError(f"{where}: a leaf must have at least one symbol, got {shape.cardinality}")
        return
    for child in shape.children:
        if not 0 <= child < index:
            raise CircuitError(
                f"{where} must name only earlier layers as children, got layer {child}: a cycle, or a wrong order"
            )
    if len(set(shape.children)) != len(shape.children):
        raise CircuitError(f"{where} must name each child layer once, got {list(shape.children)}")
    if shape.kind == "sum":
        total = sum(shapes[child].units for child in shape.children)
        if not shape.children or shape.columns != total:
            raise CircuitError(f"{where}: weights must have one column a child unit, {total}, got {shape.columns}")
        return
    if len(shape.children) < 2:
        raise CircuitError(f"{where} must have at least two children, got {len(shape.children)}")
    gather = shape.gather
    if gather is None or gather.shape != (shape.units, len(shape.children)):
        got = None if gather is None else gather.shape
        raise CircuitError(f"{where}: gather must have shape {(shape.units, len(shape.children))}, got {got}")
    for column, child in enumerate(shape.children):
        units = gather[:, column]
        if (units < 0).any() or (units >= shapes[child].units).any():
            bad = units[(units < 0) | (units >= shapes[child].units)][0]
            raise CircuitError(f"{where}: layer {child} has units 0..{shapes[child].units - 1}, gather names {bad}")


def _check_scope(index: int, shape: Shape, scopes: Sequence[int]) -> None:
    if shape.kind == "sum":
        for child in shape.children:
            if scopes[child] != scopes[shape.children[0]]:
                raise CircuitError(
                    f"layer {index} (sum) is not smooth: its children must have one scope, layer {child} has "
                    f"{variables_of(scopes[child])}, layer {shape.children[0]} has "
                    f"{variables_of(scopes[shape.children[0]])}"
                )
    if shape.kind == "product":
        seen = 0
        for child in shape.children:
            if seen & scopes[child]:
                raise CircuitError(
                    f"layer {index} (product) is not decomposable: its children must have disjoint scopes, layer "
                    f"{child} repeats {variables_of(seen & scopes[child])}"
                )
            seen |= scopes[child]


def _check_cardinalities(shapes: Sequence[Shape]) -> None:
    found: dict[int, tuple[int, int]] = {}
    for index, shape in enumerate(shapes):
        if shape.kind != "input":
            continue
        first, cardinality = found.setdefault(shape.variable, (index, shape.cardinality))
        if cardinality != shape.cardinality:
            raise CircuitError(
                f"layer {index} (input): all leaves of variable {shape.variable} must have the same symbols, "
                f"{cardinality} in layer {first}, got {shape.cardinality}"
            )


def check_symbolizer(symbolizer: Symbolizer | None, cardinalities: Sequence[int]) -> None:
    """Check that every symbol that a symbolizer can give has its place in the circuit.

    Raises:
        CircuitError: numbers of variables or of symbols differ.
    """
    if symbolizer is None:
        return
    if not isinstance(symbolizer, Symbolizer):
        raise CircuitError(f"the symbolizer of a circuit must be a Symbolizer, got {type(symbolizer).__name__}")
    given = symbolizer.cardinalities
    if len(given) != len(cardinalities):
        raise CircuitError(
            f"the symbolizer must give the circuit's {len(cardinalities)} variables, it gives {len(given)}"
        )
    for variable, (symbols, cardinality) in enumerate(zip(given, cardinalities, strict=True)):
        if symbols != cardinality:
            raise CircuitError(
                f"the symbolizer must give the {cardinality} symbols of variable {variable}, it gives {symbols}"
            )


def region_tree(shapes: Sequence[Shape], order: Sequence[int] | None = None) -> tuple[Region, ...]:
    """Group the layers of a structured-decomposable circuit into its tree of regions.

    Args:
        shapes: the layers.
        order: the coding order of the variables. None chooses one that visits the largest child last, because the
            last child often needs no way up (docs/program.md).

    Returns:
        The regions, children before parents, the root last; every region's children in coding order.

    Raises:
        NotStructuredError: two products of one scope partition it differently.
        CircuitError: the order is no permutation, or leaves a region before it is done.
    """
    scopes = layer_scopes(shapes)
    partitions: dict[int, tuple[int, int]] = {}
    members: dict[int, list[int]] = {}
    parts_of: dict[int, frozenset[int]] = {}
    for index, shape in enumerate(shapes):
        members.setdefault(scopes[index], []).append(index)
        if shape.kind != "product":
            continue
        parts = frozenset(scopes[child] for child in shape.children)
        first, _ = partitions.setdefault(scopes[index], (index, 0))
        if parts_of.setdefault(scopes[index], parts) != parts:
            raise NotStructuredError(
                f"layers {first} and {index} (product) partition the scope {_brief(scopes[index])} differently: "
                "it is not structured-decomposable, so only the numpy reference can code with it"
            )
    if order is not None and sorted(order) != list(range(scopes[-1].bit_length())):
        raise CircuitError(
            f"the coding order must name each of the {scopes[-1].bit_length()} variables once, got {list(order)[:8]}…"
        )
    places = None if order is None else dict(zip(scopes, first_places(shapes, order), strict=True))
    regions: list[Region] = []
    number: dict[int, int] = {}

    def children_in_order(scope: int) -> list[int]:
        parts = list(parts_of.get(scope, ()))
        if places is None:
            return sorted(parts, key=lambda part: (part.bit_count(), part & -part))
        return sorted(parts, key=places.__getitem__)

    # An explicit stack: a chain of some thousand variables is deeper than the interpreter's recursion limit.
    stack: list[tuple[int, bool]] = [(scopes[-1], False)]
    while stack:
        scope, done = stack.pop()
        inner = children_in_order(scope)
        if not done:
            stack.append((scope, True))
            stack.extend((part, False) for part in reversed(inner))
            continue
        number[scope] = len(regions)
        regions.append(Region(scope, tuple(members[scope]), tuple(number[part] for part in inner)))
    tree = tuple(regions)
    if order is not None and coding_order(tree) != tuple(order):
        raise CircuitError("the coding order must finish a region before it enters the next; it leaves one in between")
    return tree


def coding_order(tree: Sequence[Region]) -> tuple[int, ...]:
    """List the variables in the order in which a depth-first walk codes them."""
    return tuple(region.scope.bit_length() - 1 for region in tree if not region.children)


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
