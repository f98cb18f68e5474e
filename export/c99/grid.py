"""The grid of a circuit in C99: one header that turns values, or codes of an ADC, into symbols."""

from __future__ import annotations

import math
from string import Template

from pcedge.data.axis import Axis
from pcedge.data.value_grid import ValueGrid
from pcedge.export.c99.arrays import structs
from pcedge.export.project.directory import template

_INT32 = 1 << 31
#: numbers on a line
_COLUMNS = 6


def grid_text(grid: ValueGrid, digest: str) -> str:
    """Write pcedge_grid.h; variables with the same table have it once."""
    places: dict[tuple[float, ...], int] = {}
    values: list[float] = []
    codes: list[int] = []
    rows: list[list[int | str]] = []
    for axis in grid.axes:
        table = _values(axis)
        if table not in places:
            places[table] = len(values)
            values += table
            codes += _codes(axis, table)
        low = float(axis.low).hex() if axis.kind == "integers" else "0.0"
        kind = f"PCEDGE_GRID_{axis.kind.upper()}"
        rows.append([kind, int(axis.outside == "refuse"), axis.symbols - 1, places[table], low])
    lines = ["Edges of bins, integers, and states.", f"static const double PCEDGE_GRID[{len(values)}] = {{"]
    lines += _lines([value.hex() for value in values])
    lines.append("// The least integer of each bin and the greatest of the last, integers, and states.")
    lines += [f"static const int32_t PCEDGE_CODES_OF[{len(codes)}] = {{", *_lines([_literal(code) for code in codes])]
    lines += structs("pcedge_axis_t", "PCEDGE_AXES", rows)
    return Template(template("c99", "grid.h.in")).substitute(tables="\n".join(lines), digest=digest)


def _values(axis: Axis) -> tuple[float, ...]:
    if axis.kind == "bins":
        return axis.edges
    if axis.kind == "integers":
        return tuple(float(value) for value in axis.values)
    texts = any(isinstance(state, str) for state in axis.states)
    return tuple(float(place) if texts else float(state) for place, state in enumerate(axis.states))


def _codes(axis: Axis, table: tuple[float, ...]) -> list[int]:
    codes = [math.ceil(value) if axis.kind == "bins" or value == math.ceil(value) else -_INT32 for value in table]
    if axis.kind == "bins":
        codes[-1] = math.floor(table[-1])
    return [min(max(code, -_INT32), _INT32 - 1) for code in codes]


def _literal(code: int) -> str:
    return "INT32_MIN" if code == -_INT32 else str(code)


def _lines(texts: list[str]) -> list[str]:
    return [*(f"  {', '.join(texts[at : at + _COLUMNS])}," for at in range(0, len(texts), _COLUMNS)), "};"]
