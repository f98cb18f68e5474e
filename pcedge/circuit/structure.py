"""The rules of a circuit's structure, without its parameters: order, sizes, smoothness, decomposability, coverage.

Float and integer circuits share these functions: both describe their layers by `Shape`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcedge.circuit.regions import (
    Region,
    Regions,
    Shape,
    Spans,
    child_lists,
    clustered_order,
    coding_order,
    depth,
    find_regions,
    first_places,
    layer_scopes,
    layer_spans,
    region_tree,
    variables_of,
)
from pcedge.data.maps import DataMap
from pcedge.data.value_grid import ValueGrid
from pcedge.errors import CircuitError

__all__ = [
    "Region", "Regions", "Shape", "Spans", "check_grid", "check_shapes", "check_symbolizer", "child_lists",
    "clustered_order", "coding_order", "depth", "find_regions", "first_places", "layer_scopes", "layer_spans",
    "region_tree", "variables_of",
]  # fmt: skip


def check_shapes(shapes: Sequence[Shape]) -> Spans | None:
    """Check order, sizes, smoothness, decomposability, coverage and reachability.

    Returns:
        The spans of the layers; None where the circuit is not structured.

    Raises:
        CircuitError: a rule is broken; the message names the layer.
    """
    if not shapes:
        raise CircuitError("a circuit must have at least one layer, got none")
    if shapes[-1].units != 1:
        raise CircuitError(f"the last layer is the root and must have 1 unit, got {shapes[-1].units}")
    for index, shape in enumerate(shapes):
        _check_one(index, shape, shapes)
    _check_gathers(shapes)
    spans = layer_spans(shapes)
    if spans is None:
        _check_scopes(shapes)
    _check_cardinalities(shapes)
    unused = np.flatnonzero(np.bincount(child_lists(shapes)[1], minlength=len(shapes))[:-1] == 0)
    if len(unused):
        index = int(unused[0])
        raise CircuitError(f"layer {index} ({shapes[index].kind}) must be used by a later layer, nothing uses it")
    return spans


def _check_scopes(shapes: Sequence[Shape]) -> None:
    """Check smoothness, decomposability and coverage by sets of variables: of what is not structured, or wrong."""
    scopes = layer_scopes(shapes)
    for index, shape in enumerate(shapes):
        _check_scope(index, shape, scopes)
    count = scopes[-1].bit_length()
    if scopes[-1] != (1 << count) - 1 or any(scope.bit_length() > count for scope in scopes):
        absent = next(v for v in range(max(s.bit_length() for s in scopes)) if not scopes[-1] >> v & 1)
        raise CircuitError(f"the root must cover every variable, variable {absent} is missing from its scope")


def _check_one(index: int, shape: Shape, shapes: Sequence[Shape]) -> None:
    if shape.units < 1:
        raise _wrong(index, shape, f" must have at least one unit, got {shape.units}")
    if shape.kind == "input":
        if shape.variable < 0:
            raise _wrong(index, shape, f": variable must not be negative, got {shape.variable}")
        # Every variable has an input layer, so a larger number leaves one out; this keeps the bit masks small.
        if shape.variable > len(shapes):
            raise _wrong(index, shape, f": variable must be at most the number of layers, got {shape.variable}")
        if shape.cardinality < 1:
            raise _wrong(index, shape, f": a leaf must have at least one symbol, got {shape.cardinality}")
        return
    for child in shape.children:
        if not 0 <= child < index:
            raise _wrong(
                index, shape,
                f" must name only earlier layers as children, got layer {child}: a cycle, or a wrong order",
            )  # fmt: skip
    if len(set(shape.children)) != len(shape.children):
        raise _wrong(index, shape, f" must name each child layer once, got {list(shape.children)}")
    if shape.kind == "sum":
        total = sum([shapes[child].units for child in shape.children])
        if not shape.children or shape.columns != total:
            raise _wrong(index, shape, f": weights must have one column a child unit, {total}, got {shape.columns}")
        return
    if len(shape.children) < 2:
        raise _wrong(index, shape, f" must have at least two children, got {len(shape.children)}")
    gather = shape.gather
    if gather is None or gather.shape != (shape.units, len(shape.children)):
        got = None if gather is None else gather.shape
        raise _wrong(index, shape, f": gather must have shape {(shape.units, len(shape.children))}, got {got}")


def _wrong(index: int, shape: Shape, text: str) -> CircuitError:
    return CircuitError(f"layer {index} ({shape.kind}){text}")


def _check_gathers(shapes: Sequence[Shape]) -> None:
    """Check that products name units that their children have: all gather lists of one size at once."""
    alike: dict[tuple[tuple[int, ...], np.dtype[np.int64]], list[int]] = {}
    for index, shape in enumerate(shapes):
        if shape.gather is not None:
            alike.setdefault((shape.gather.shape, shape.gather.dtype), []).append(index)
    for (size, _), indices in alike.items():
        lists = np.concatenate([shapes[index].gather for index in indices]).reshape(-1, *size)
        units = np.array([[shapes[child].units for child in shapes[index].children] for index in indices])
        wrong = np.argwhere((lists < 0) | (lists >= units[:, None, :]))
        if len(wrong):
            row, _, column = min(wrong.tolist(), key=lambda entry: (entry[0], entry[2], entry[1]))
            index = indices[row]
            named = lists[row, :, column]
            bad = named[(named < 0) | (named >= units[row, column])][0]
            child = shapes[index].children[column]
            raise _wrong(
                index, shapes[index], f": layer {child} has units 0..{shapes[child].units - 1}, gather names {bad}"
            )


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
    symbols: dict[int, tuple[int, int]] = {}
    for index, shape in enumerate(shapes):
        if shape.kind != "input":
            continue
        first, cardinality = symbols.setdefault(shape.variable, (index, shape.cardinality))
        if cardinality != shape.cardinality:
            raise CircuitError(
                f"layer {index} (input): all leaves of variable {shape.variable} must have the same symbols, "
                f"{cardinality} in layer {first}, got {shape.cardinality}"
            )


def check_symbolizer(symbolizer: DataMap | None, cardinalities: Sequence[int]) -> None:
    """Check that every symbol that a symbolizer can give has its place in the circuit.

    Raises:
        CircuitError: numbers of variables or of symbols differ.
    """
    if symbolizer is None:
        return
    if not isinstance(symbolizer, DataMap):
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


def check_grid(grid: ValueGrid | None, symbolizer: DataMap | None, cardinalities: Sequence[int]) -> None:
    """Check that a grid has the circuit's variables and symbols, and that no symbolizer is beside it.

    Raises:
        CircuitError: numbers of variables or of symbols differ, or there is a symbolizer too.
    """
    if grid is None:
        return
    if not isinstance(grid, ValueGrid):
        raise CircuitError(f"the grid of a circuit must be a ValueGrid, got {type(grid).__name__}")
    if symbolizer is not None:
        raise CircuitError("a circuit must have a grid or a symbolizer, this one has both")
    if len(grid.axes) != len(cardinalities):
        raise CircuitError(f"the grid must have the circuit's {len(cardinalities)} variables, it has {len(grid.axes)}")
    for variable, (axis, cardinality) in enumerate(zip(grid.axes, cardinalities, strict=True)):
        if axis.symbols != cardinality:
            raise CircuitError(
                f"the grid must have the {cardinality} symbols of variable {variable} ({axis.name!r}), it has "
                f"{axis.symbols}"
            )
