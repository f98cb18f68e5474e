"""Circuits with a grid on the command line: which column holds which variable, and what is said of missing values."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import click
import numpy as np

from pcedge.circuit import Circuit
from pcedge.cli.output import warn
from pcedge.cli.streams import say
from pcedge.data.axis import listed
from pcedge.data.reading import Reading
from pcedge.data.value_grid import Axis, ValueGrid
from pcedge.errors import UsageError
from pcedge.integer import IntegerCircuit

#: variables that are shown to people
SHOWN = 12


class Columns(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Take which column of the data holds which variable, as in t=0,p=3."""

    name = "name=column,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Give a dict; the last = divides, so that names may hold one."""
        if isinstance(value, dict):
            return value
        found = [part.strip().rpartition("=") for part in str(value).split(",") if part.strip()]
        if not found or not all(name.strip() and re.fullmatch(r" *[0-9]{1,9} *", column) for name, _, column in found):
            self.fail(
                f"it must be NAME=COLUMN,… with columns from 0 such as t=0,p=3, a variable's number where its name has "
                f"a comma, got {value!r}", param, ctx,
            )  # fmt: skip
        columns = {name.strip(): int(column) for name, _, column in found}
        if len(columns) < len(found) or len(set(columns.values())) < len(found):
            self.fail(f"it must name every variable and every column once, got {value!r}", param, ctx)
        return columns


def _keep_variables(ctx: click.Context, param: click.Parameter, value: dict[str, int] | None) -> None:
    ctx.meta[_VARIABLES] = value


#: where the option's value is kept: `reading_of` is the one that needs it
_VARIABLES = "pcedge.variables"

#: the option of every command that reads data of a circuit
variables_option = click.option(
    "--variables", type=Columns(), expose_value=False, callback=_keep_variables,
    help="Of a circuit with a grid, the columns of the data that hold these variables.  [default: by the names of a "
    "header, else the circuit's]",
)  # fmt: skip


def placed_grid(circuit: Circuit | IntegerCircuit) -> ValueGrid | None:
    """Give a circuit's grid, with the columns that the option of the command says.

    Raises:
        UsageError: columns are told for a circuit without a grid, or for variables that it does not have.
    """
    context = click.get_current_context(silent=True)
    columns = None if context is None else context.meta.get(_VARIABLES)
    if circuit.grid is None and columns is not None:
        raise UsageError("--variables must go with a circuit that has a grid, this one has none")
    return circuit.grid if circuit.grid is None or columns is None else circuit.grid.placed(columns)


def coded_reading(circuit: IntegerCircuit, reading: Reading) -> Reading:
    """Give the reading of data that are coded: as they are where their grid is of plain symbols."""
    return replace(reading, grid=None) if circuit.grid is not None and circuit.grid.plain else reading


def integer_mark(missing: float | None) -> int | None:
    """Give the integer that marks a missing symbol; NaN marks floats and tables' cells, which are read by it."""
    return None if missing is None or math.isnan(missing) else int(missing)


def said_missing(
    circuit: Circuit | IntegerCircuit, x: Any, missing: float | None, hidden: int | None = None
) -> dict[str, int]:
    """Count the symbols that are missing, and say so on stderr where nobody asked; none of a symbolizer's data."""
    if circuit.symbolizer is not None:
        return {}
    marked = np.asarray(x) == -1
    gone = int(marked.sum())
    if gone and missing is None:
        say(f"{gone} of {np.size(x)} values are missing, and are summed out")
    if circuit.grid is not None and gone:
        names = [name for place, name in enumerate(circuit.grid.names) if place != hidden]
        if absent := [name for name, lost in zip(names, marked.all(axis=0), strict=True) if lost]:
            warn(f"the data have no value of {listed(absent)}")
    return {"missing_symbols": gone} if gone or missing is not None else {}


def grid_in_words(grid: ValueGrid) -> str:
    """Say what the symbols of the first variables stand for."""
    shown = [f"{axis.name} (column {axis.column}): {_axis_in_words(axis)}" for axis in grid.axes[:SHOWN]]
    more = [f"… {len(grid.axes)} variables"] if len(grid.axes) > SHOWN else []
    return "; ".join(shown + more)


def _axis_in_words(axis: Axis) -> str:
    if axis.kind == "bins":
        return f"{axis.symbols} bins of {axis.edges[0]:g}..{axis.edges[-1]:g}"
    if axis.kind == "integers":
        return f"integers {axis.low}..{axis.low + axis.count - 1}"
    return ", ".join(map(str, axis.states[:8])) + (", …" if len(axis.states) > 8 else "")
