"""The axis of one variable in a circuit's grid: what its symbols stand for, and which column of the data holds it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import FloatArray, IntArray
from pcedge.errors import DataError, UsageError

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

#: an integer as a text, which a float may not hold
_WHOLE = re.compile(r"[+-]?[0-9]{1,40}")

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
        texts = [self.name, *(state for state in self.states if isinstance(state, str))]
        if not all(map(_whole, texts)):
            raise UsageError("an axis must have a name and states of whole characters, some are not")
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
                raise UsageError(
                    f"{where}: the states must be texts or numbers, each once, got {list(self.states)[:8]}"
                )
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
            wrong, rule = symbols == len(self.states), f"one of {listed(self.states)}"
        else:
            numbers, gone = _numbers(column, self)
            held = np.where(gone, 0.0, numbers)
            if self.kind == "bins":
                edges = np.array(self.edges)
                symbols = np.searchsorted(edges, held, side="right") - 1
                symbols[held == edges[-1]] = self.symbols - 1
                wrong, rule = np.zeros(len(held), dtype=bool), f"in {self.edges[0]:g}..{self.edges[-1]:g}"
            else:
                places = np.clip(held - self.low, -1 if self.outside == "refuse" else 0, self.count)
                places = np.minimum(places, self.count - (self.outside == "clip"))
                wrong, rule = places != np.floor(places), "an integer"
                if not wrong[~gone].any():
                    rule = f"in {self.low}..{self.low + self.count - 1}"
                symbols = places.astype(np.int64)
            if self.outside == "refuse":
                wrong = wrong | (symbols < 0) | (symbols >= self.symbols)
            symbols = np.clip(symbols, 0, self.symbols - 1)
        wrong &= ~gone
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise DataError(
                f"row {row}, column {self.column} ({self.name!r}): a value must be {rule}, got {column[row]}"
            )
        if gone.any() and not allow_missing:
            row = int(np.flatnonzero(gone)[0])
            raise DataError(
                f"row {row}, column {self.column} ({self.name!r}): a value must be there, got {column[row]!r}; missing "
                "values are for likelihoods and queries"
            )
        return np.where(gone, MISSING, symbols).astype(np.int64)

    def as_dict(self) -> dict[str, Any]:
        """Give the JSON form."""
        entry = {key: getattr(self, key) for key in sorted(_KEYS[self.kind])}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in entry.items()}

    @staticmethod
    def from_dict(entry: object) -> Axis:
        """Read the JSON form.

        Raises:
            UsageError: it is not that of an axis.
        """
        if not isinstance(entry, dict) or entry.get("kind") not in KINDS or set(entry) != _KEYS[entry["kind"]]:
            raise UsageError(
                f"an axis must be an object of name, column, kind and its kind's entries, got {str(entry)[:80]}"
            )
        fields = dict(entry)
        for key in ("edges", "states"):
            if key in fields:
                if not isinstance(fields[key], list) or len(fields[key]) > MAX_SYMBOLS + 1:
                    raise UsageError(f"axis {str(entry['name'])[:40]!r}: {key} must be a list")
                fields[key] = tuple(fields[key])
        if not all(type(edge) in (int, float) for edge in fields.get("edges", ())):
            raise UsageError(f"axis {str(entry['name'])[:40]!r}: edges must be numbers")
        return Axis(**fields)


def _whole(text: str) -> bool:
    """Tell whether a text can be written; a damaged one has halves of characters."""
    try:
        return text.encode().decode() == text
    except UnicodeError:
        return False


def _key(state: object) -> object:
    """Give what tells states apart: the text of a text, the number of a number; booleans are numbers."""
    if isinstance(state, bytes):
        return state.decode("utf-8", "replace").strip()
    if isinstance(state, str):
        return state.strip()
    if isinstance(state, np.generic):
        state = state.item()
    if isinstance(state, bool):
        return int(state)
    return state


def _state_symbols(states: Sequence[object], column: NDArray[Any]) -> IntArray:
    """Find values among states; `MISSING` for what says that there is none, len(states) for what is none of them.

    Tables give numbers for texts of digits, and texts for numbers beside texts: a value is looked for as it is, then as
    the number that it spells.
    """
    texts = {_key(state): place for place, state in enumerate(states)}
    numbers: dict[float, int] = {}
    for key, place in texts.items():
        if (number := _spelled(key)) is not None:
            # A number that several states spell is none of them.
            numbers[number] = place if number not in numbers else len(states)
    spelled = [str(value) for value in column]
    first = {text: row for row, text in reversed(list(enumerate(spelled)))}
    found: dict[str, int] = {}
    for text, row in first.items():
        key = _key(column[row])
        number = _spelled(key)
        if key in texts:
            found[text] = texts[key]
        elif number in numbers:
            found[text] = numbers[number]
        else:
            found[text] = MISSING if _is_missing(column[row]) else len(states)
    return np.array([found[text] for text in spelled], dtype=np.int64)


def _spelled(key: object) -> float | None:
    """Give the number that a value is or spells, an integer exactly; None where it is none."""
    if isinstance(key, str) and _WHOLE.fullmatch(key):
        return int(key)
    if isinstance(key, int):
        return key
    try:
        number = float(key)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return None if math.isnan(number) else number


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


def listed(states: Sequence[object], most: int = 8) -> str:
    """Name some of a list, for messages."""
    return ", ".join(map(str, states[:most])) + (", …" if len(states) > most else "")
