"""The grid of a circuit: what the symbols of each variable stand for, and which column of the data holds it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.arrays import FloatArray, IntArray
from pcedge.errors import DataError, UsageError

VERSION = 1

#: symbols of a variable at most: a leaf has a table entry for each
MAX_SYMBOLS = 1 << 16

#: what an axis's symbols may stand for
KINDS = ("bins", "integers", "states")

#: what becomes of a value beyond the grid's ends
OUTSIDE = ("clip", "refuse")

#: a value that was not observed, as a symbol
MISSING = -1

#: cells of a table that say that there is no value
EMPTY = frozenset({"", "?", "na", "n/a", "nan", "none", "null"})

_KEYS = {
    "bins": {"name", "column", "kind", "edges", "outside"},
    "integers": {"name", "column", "kind", "low", "count", "outside"},
    "states": {"name", "column", "kind", "states"},
}


@dataclass(frozen=True)
class Axis:
    """Say what the symbols of one variable stand for.

    - `bins`: symbol k is edges[k] <= x < edges[k + 1], the last bin with its upper end; with `clip` the first and the
      last take what lies beyond too.
    - `integers`: symbol k is the integer low + k; with `clip` the ends take what lies beyond.
    - `states`: symbol k is states[k], a text or a number.

    Raises:
        UsageError: the edges do not ascend, states repeat, there are none or too many symbols.
    """

    #: the variable's name
    name: str
    #: the data's column, from 0
    column: int
    #: one of `KINDS`
    kind: str
    #: of bins, one more than there are symbols
    edges: tuple[float, ...] = ()
    #: of integers: the first
    low: int = 0
    #: of integers: how many
    count: int = 0
    #: of states: texts or numbers
    states: tuple[str | int | float, ...] = ()
    #: one of `OUTSIDE`
    outside: str = "clip"

    def __post_init__(self) -> None:
        """Check every rule."""
        where = f"axis {self.name!r}"
        if not isinstance(self.name, str) or not self.name:
            raise UsageError(f"an axis must have a name, got {self.name!r}")
        if type(self.column) is not int or self.column < 0:
            raise UsageError(f"{where}: the column must be an integer of at least 0, got {self.column!r}")
        if self.kind not in KINDS:
            raise UsageError(f"{where}: the kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        if self.outside not in OUTSIDE:
            raise UsageError(f"{where}: values outside must be one of {', '.join(OUTSIDE)}, got {self.outside!r}")
        if self.kind == "bins":
            edges = np.asarray(self.edges, dtype=np.float64)
            object.__setattr__(self, "edges", tuple(edges.tolist()))
            if not np.isfinite(edges).all() or not (np.diff(edges) > 0).all():
                raise UsageError(f"{where}: the edges must be finite and ascend, they do not")
        if self.kind == "integers" and (type(self.low) is not int or type(self.count) is not int):
            raise UsageError(f"{where}: low and count must be integers, got {self.low!r} and {self.count!r}")
        if self.kind == "integers" and abs(self.low) > 1 << 52:
            raise UsageError(f"{where}: low must be within 2^52, got {self.low}")
        if self.kind == "states":
            keys = [_key(state) for state in self.states]
            if not all(type(state) in (str, int, float) for state in self.states) or len(set(keys)) != len(keys):
                raise UsageError(f"{where}: the states must be texts or numbers, each once, got {list(self.states)[:8]}")
        if not 1 <= self.symbols <= MAX_SYMBOLS:
            raise UsageError(f"{where}: there must be 1..{MAX_SYMBOLS} symbols, got {self.symbols}")

    @staticmethod
    def linear(name: str, column: int, offset: float, scale: float, count: int, outside: str = "clip") -> Axis:
        """Make bins of one width: symbol k is offset + scale k <= x < offset + scale (k + 1)."""
        return Axis(name, column, "bins", tuple((offset + scale * np.arange(count + 1)).tolist()), outside=outside)

    @property
    def symbols(self) -> int:
        """Count the symbols."""
        return {"bins": len(self.edges) - 1, "integers": self.count, "states": len(self.states)}[self.kind]

    @cached_property
    def values(self) -> NDArray[Any]:
        """Give a value of every symbol: a bin's middle, the integer, the state."""
        if self.kind == "bins":
            edges = np.array(self.edges)
            return np.asarray((edges[:-1] + edges[1:]) / 2)
        if self.kind == "integers":
            return np.arange(self.low, self.low + self.count, dtype=np.int64)
        return np.array(self.states, dtype=None if len({type(state) for state in self.states}) == 1 else object)

    def find(self, column: NDArray[Any], *, allow_missing: bool) -> IntArray:
        """Map a column's values to symbols, int64 of its shape; what is missing becomes `MISSING`.

        Raises:
            DataError: a value is missing and must not be, is none of the states, no integer, or outside; the message
                names row and column.
        """
        if self.kind == "states":
            symbols = _state_symbols(self.states, column)
            gone = symbols == MISSING
            wrong, rule = symbols == len(self.states), f"one of {_listed(self.states)}"
        else:
            numbers, gone = _numbers(column, self)
            held = np.where(gone, 0.0, numbers)
            if self.kind == "bins":
                edges = np.array(self.edges)
                symbols = np.searchsorted(edges, held, side="right") - 1
                symbols[held == edges[-1]] = self.symbols - 1
                wrong, rule = np.zeros(len(held), dtype=bool), f"in {self.edges[0]:g}..{self.edges[-1]:g}"
            else:
                wrong, rule = held != np.floor(held), "an integer"
                if not wrong[~gone].any():
                    rule = f"in {self.low}..{self.low + self.count - 1}"
                symbols = np.clip(held - self.low, -1, self.count).astype(np.int64)
            if self.outside == "refuse":
                wrong = wrong | (symbols < 0) | (symbols >= self.symbols)
            symbols = np.clip(symbols, 0, self.symbols - 1)
        wrong &= ~gone
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise DataError(f"row {row}, column {self.column} ({self.name!r}): a value must be {rule}, got {column[row]}")
        if gone.any() and not allow_missing:
            row = int(np.flatnonzero(gone)[0])
            raise DataError(
                f"row {row}, column {self.column} ({self.name!r}): a value must be there, got {column[row]!r}; missing "
                "values are for likelihoods and queries"
            )
        return np.where(gone, MISSING, symbols).astype(np.int64)

    def as_dict(self) -> dict[str, Any]:
        """Give the JSON form."""
        entry = {key: getattr(self, key) for key in _KEYS[self.kind]}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in entry.items()}


@dataclass(frozen=True)
class ValueGrid:
    """Map rows of values to records of symbols: what each variable's symbols stand for (docs/grids.md).

    Unlike a symbolizer it forgets: of a real value it keeps its bin. Streams of a circuit with a grid hold symbols.

    Args:
        axes: one a variable, in the circuit's order.

    Raises:
        UsageError: a name is given twice.

    Example:
        >>> grid = ValueGrid((Axis("t", 0, "bins", (0.0, 0.5, 1.0)), Axis("on", 1, "states", states=("no", "yes"))))
        >>> grid.symbols_of(np.array([[0.7, "yes"], [-3, "no"]], dtype=object)).tolist()
        [[1, 1], [0, 0]]
    """

    axes: tuple[Axis, ...]

    def __post_init__(self) -> None:
        """Take a list too."""
        object.__setattr__(self, "axes", tuple(self.axes))
        names = [axis.name for axis in self.axes]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise UsageError(f"the variables of a grid must have a name each, {twice!r} is given twice")

    @cached_property
    def cardinalities(self) -> tuple[int, ...]:
        """Give the number of symbols of every variable."""
        return tuple(axis.symbols for axis in self.axes)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Give the variables' names."""
        return tuple(axis.name for axis in self.axes)

    @cached_property
    def plain(self) -> bool:
        """Tell whether symbols are the data: integers from 0, of columns in the variables' order."""
        return all(
            axis.kind == "integers" and axis.low == 0 and axis.outside == "refuse" and axis.column == place
            for place, axis in enumerate(self.axes)
        )

    def variable(self, name: str | int) -> int:
        """Find a variable by its name or number.

        Raises:
            UsageError: there is none.
        """
        if isinstance(name, str) and name in self.names:
            return self.names.index(name)
        if str(name).isdecimal() and int(name) < len(self.axes):
            return int(name)
        raise UsageError(f"a variable must be one of {_listed(self.names)}, or its number, got {name!r}")

    def placed(self, columns: Mapping[str, int]) -> ValueGrid:
        """Give the grid with other columns for some variables.

        Raises:
            UsageError: a variable is not the grid's.
        """
        numbers = {self.variable(name): column for name, column in columns.items()}
        return ValueGrid(
            tuple(replace(axis, column=numbers.get(place, axis.column)) for place, axis in enumerate(self.axes))
        )

    def matched(self, header: Sequence[str]) -> ValueGrid:
        """Give the grid with the columns that a header names; itself where it names none of the variables.

        Raises:
            DataError: the header names some of the variables and others not, or one of them twice.
        """
        names = [name.strip() for name in header]
        found = {name: [place for place, other in enumerate(names) if other == name] for name in self.names}
        if not any(found.values()):
            return self
        if twice := next((name for name, places in found.items() if len(places) > 1), None):
            raise DataError(f"a header must name a variable once, it has {twice!r} in columns {found[twice]}")
        absent = len(names)  # a column that is not there: `symbols_of` says so, or sums it out
        return self.placed({name: places[0] if places else absent for name, places in found.items()})

    def symbols_of(self, x: ArrayLike, *, allow_missing: bool = False) -> IntArray:
        """Map data to records of symbols, int64 of shape (records, variables).

        Args:
            x: numbers or texts of shape (records, columns), or (records, …), which is flattened.
            allow_missing: take NaN, masked values, None and the marks of tables such as NA and empty cells as values
                that were not observed, `MISSING`; a variable whose column is not in the data is missing too.

        Raises:
            DataError: the data do not fit; the message names row and column.
        """
        mask = np.ma.getmaskarray(x) if isinstance(x, np.ma.MaskedArray) else None
        try:
            array = np.asarray(np.ma.getdata(x) if mask is not None else x)
        except ValueError as error:
            raise DataError(f"data must have records of one length ({error})") from error
        if array.ndim < 2:
            raise DataError(f"data must have shape (records, columns), got {array.shape}")
        if array.dtype.kind not in "biufOUS":
            raise DataError(f"data must be numbers or texts, got {array.dtype}")
        rows = array.reshape(len(array), math.prod(array.shape[1:]))
        gone = None if mask is None else mask.reshape(rows.shape)
        out = np.full((len(rows), len(self.axes)), MISSING, dtype=np.int64)
        for place, axis in enumerate(self.axes):
            if axis.column >= rows.shape[1]:
                if not allow_missing:
                    raise DataError(
                        f"data must have column {axis.column} ({axis.name!r}), they have {rows.shape[1]} columns"
                    )
                continue
            column = rows[:, axis.column]
            if gone is not None and gone[:, axis.column].any():
                column = column.astype(object)
                column[gone[:, axis.column]] = None
            out[:, place] = axis.find(column, allow_missing=allow_missing)
        return out

    def values_of(self, symbols: ArrayLike) -> NDArray[Any]:
        """Give values for symbols: bins' middles, integers, states; float64 of (records, variables), objects with texts.

        Missing symbols become NaN, or None beside texts.
        """
        records = np.asarray(symbols)
        columns = [axis.values[np.maximum(records[:, place], 0)] for place, axis in enumerate(self.axes)]
        missing = records == MISSING
        if any(column.dtype.kind not in "iuf" for column in columns):
            out = np.stack([column.astype(object) for column in columns], axis=1)
            out[missing] = None
            return out
        values: FloatArray = np.stack([column.astype(np.float64) for column in columns], axis=1)
        if missing.any() or any(column.dtype.kind == "f" for column in columns):
            values[missing] = np.nan
            return values
        return values.astype(np.int64)

    def as_dict(self) -> dict[str, Any]:
        """Give the JSON form."""
        return {"version": VERSION, "axes": [axis.as_dict() for axis in self.axes]}

    def to_json(self) -> str:
        """Write the JSON form; equal grids give equal texts."""
        return json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @staticmethod
    def from_dict(described: object) -> ValueGrid:
        """Read the JSON form.

        Raises:
            UsageError: it is not that of a grid; the caller says which file.
        """
        if not isinstance(described, dict) or set(described) != {"version", "axes"}:
            raise UsageError("a grid must be an object of axes, version")
        if type(described["version"]) is not int or described["version"] != VERSION:
            raise UsageError(f"a grid must be of version {VERSION}, got {str(described['version'])[:40]}")
        if not isinstance(described["axes"], list):
            raise UsageError("a grid's axes must be a list")
        return ValueGrid(tuple(_axis(entry) for entry in described["axes"]))

    @staticmethod
    def from_json(text: str) -> ValueGrid:
        """Read the JSON form from a text.

        Raises:
            UsageError: it is not that of a grid.
        """
        try:
            described = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"a grid must be JSON ({error})") from error
        return ValueGrid.from_dict(described)


def _axis(entry: object) -> Axis:
    if not isinstance(entry, dict) or entry.get("kind") not in KINDS or set(entry) != _KEYS[entry["kind"]]:
        raise UsageError(f"an axis must be an object of name, column, kind and its kind's entries, got {str(entry)[:80]}")
    fields = dict(entry)
    for key in ("edges", "states"):
        if key in fields:
            if not isinstance(fields[key], list) or len(fields[key]) > MAX_SYMBOLS + 1:
                raise UsageError(f"axis {str(entry['name'])[:40]!r}: {key} must be a list")
            fields[key] = tuple(fields[key])
    if not all(type(edge) in (int, float) for edge in fields.get("edges", ())):
        raise UsageError(f"axis {str(entry['name'])[:40]!r}: edges must be numbers")
    return Axis(**fields)


def _key(state: object) -> object:
    """Give what tells states apart: the text of a text, the number of a number; booleans are numbers."""
    if isinstance(state, bytes):
        return state.decode("utf-8", "replace").strip()
    if isinstance(state, str):
        return state.strip()
    if isinstance(state, int | float | np.number | np.bool_):
        return float(state)  # type: ignore[arg-type]
    return state


def _state_symbols(states: Sequence[object], column: NDArray[Any]) -> IntArray:
    """Find values among states; `MISSING` for what says that there is none, len(states) for what is none of them."""
    known = {_key(state): place for place, state in enumerate(states)}
    # Tables give numbers for texts of digits, and texts for numbers beside texts.
    spelled = {str(key): place for key, place in known.items()}
    for key, place in known.items():
        if isinstance(key, float) and key == math.floor(key) and abs(key) < 1 << 53:
            spelled.setdefault(str(int(key)), place)
        if isinstance(key, str):
            try:
                known.setdefault(float(key), place)
            except ValueError:
                pass
    values, inverse = np.unique([str(value) for value in column], return_inverse=True)
    first = {text: place for place, text in reversed(list(enumerate(str(value) for value in column)))}
    found = np.empty(len(values), dtype=np.int64)
    for index, text in enumerate(values.tolist()):
        value = column[first[text]]
        key = _key(value)
        if key in known:
            found[index] = known[key]
        elif text.strip() in spelled:
            found[index] = spelled[text.strip()]
        else:
            found[index] = MISSING if _is_missing(value) else len(states)
    return np.asarray(found[inverse.ravel()] if len(column) else np.zeros(0, dtype=np.int64))


def _is_missing(value: object) -> bool:
    if value is None or value is np.ma.masked:
        return True
    if isinstance(value, float | np.floating):
        return bool(np.isnan(value))
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return isinstance(value, str) and value.strip().lower() in EMPTY


def _numbers(column: NDArray[Any], axis: Axis) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Give a column as floats, and what of it is missing."""
    if column.dtype.kind in "biuf":
        numbers = column.astype(np.float64)
        return numbers, np.isnan(numbers)
    numbers = np.full(len(column), np.nan)
    gone = np.zeros(len(column), dtype=bool)
    for row, value in enumerate(column):
        if _is_missing(value):
            gone[row] = True
            continue
        try:
            numbers[row] = float(value)
        except (TypeError, ValueError) as error:
            raise DataError(
                f"row {row}, column {axis.column} ({axis.name!r}): a value must be a number, got {str(value)[:40]!r}"
            ) from error
    return numbers, gone


def _listed(states: Sequence[object], most: int = 8) -> str:
    return ", ".join(map(str, states[:most])) + (", …" if len(states) > most else "")
