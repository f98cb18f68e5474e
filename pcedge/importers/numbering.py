"""Variables as a file numbers them: any set of numbers, and the column of the data that each stands for."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import replace

from pcedge.circuit.layers import InputLayer
from pcedge.data.value_grid import Axis, ValueGrid
from pcedge.errors import FormatError
from pcedge.importers.graph import Leaf, Unit, layers_of
from pcedge.importers.normalise import Draft
from pcedge.limits import MemoryBudget

#: far above any file; it keeps scopes small
MAX_VARIABLES = 1 << 20


def check_variable(variable: int, at: str, rule: str) -> int:
    """Demand a variable's number, from 1 and not beyond all use; give it.

    Raises:
        FormatError: it is none.
    """
    if not 0 < variable <= MAX_VARIABLES:
        raise FormatError(rule, f"{at}: a variable must be in 1..{MAX_VARIABLES}, got {variable}")
    return variable


def numbered_layers(
    units: Mapping[Hashable, Unit], root: Hashable, budget: MemoryBudget, axes: Mapping[int, Axis] | None = None
) -> Draft:
    """Layer a graph whose leaves have the variables' numbers in the file, from 1 and with gaps.

    The circuit's variables are the file's in order of their numbers. Where these are not 1..D, the circuit gets a grid
    that keeps them: variable v is named `Vv`, and its values lie in column v - 1 of the data, as without a gap.

    Args:
        units: every unit by its key.
        root: the root's key.
        budget: of the file's memory.
        axes: by number, what is known of a variable; a circuit with one has a grid.

    Raises:
        FormatError: as `layers_of`.
        CircuitError: as `layers_of`.
    """
    known = axes or {}
    numbers = sorted({unit.variable for unit in units.values() if isinstance(unit, Leaf)})
    place = {number: index for index, number in enumerate(numbers)}
    moved: dict[Hashable, Unit] = {
        key: replace(unit, variable=place[unit.variable]) if isinstance(unit, Leaf) else unit
        for key, unit in units.items()
    }
    draft = layers_of(moved, root, len(numbers), budget)
    if not known and numbers[-1] == len(numbers):
        return draft
    inputs = [layer for layer in draft.layers if isinstance(layer, InputLayer)]
    symbols = {layer.variable: layer.probabilities.shape[1] for layer in inputs}
    grid = ValueGrid(tuple(known.get(number) or whole(number, symbols[place[number]]) for number in numbers))
    return replace(draft, variables=grid.names, grid=grid)


def whole(number: int, count: int) -> Axis:
    """Give the axis of variable `number`, from 1, whose symbols are the integers 0..count - 1."""
    return Axis(f"V{number}", number - 1, "integers", count=count, outside="refuse")
