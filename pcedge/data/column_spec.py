"""The text of `--columns`: what single columns of data are, in the user's words (docs/data.md)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.data.column import SIGN, TYPES, Column, bits_column, cells_of, float_column, integer_column
from pcedge.errors import DataError, UsageError

Array = NDArray[Any]

_EXAMPLE = "x:int32,t:scaled=0.001,flag:uint8=0..3,gps:bits"

_NUMBER = re.compile(r"[0-9]{0,19}\.?[0-9]{0,19}(e[+-]?[0-9]{1,2})?", re.IGNORECASE)
_RANGE = re.compile(r"([+-]?[0-9]{1,20})\.\.([+-]?[0-9]{1,20})")
_TYPE = re.compile(r"[<>|]?(b1|[iu][1248]|f[248])")


@dataclass(frozen=True)
class ColumnSpec:
    """Say what one column is: what is None is found in the data."""

    name: str
    #: numpy's name of a type, with the byte order of raw binary where that is not little-endian
    dtype: str | None = None
    #: the step of a decimal grid
    step: str | None = None
    #: whether floats are coded by their bits
    bits: bool = False
    #: the range: of values of integers, of cells of floats
    low: int | None = None
    high: int | None = None

    @property
    def number(self) -> np.dtype[Any]:
        """Give the type that raw binary has here; little-endian where it does not say."""
        if self.dtype is None:
            raise UsageError(
                f"column {self.name!r} must have a type, for raw binary says none: {self.name}:float32:bits, say"
            )
        dtype = np.dtype(self.dtype)
        return dtype if self.dtype[0] == ">" else dtype.newbyteorder("<")

    def column(self, values: Array, name: str, mark: int | None) -> Column:
        """Make the column for values of some type.

        Raises:
            UsageError: it does not fit the type.
            DataError: floats do not lie on the grid.
        """
        if values.dtype.kind == "f":
            return self._of_floats(values, name, mark)
        if self.step is not None or self.bits:
            raise UsageError(f"column {name!r}: scaled and bits must be of floats, the data hold {values.dtype}")
        column = integer_column(values.dtype, name, mark)
        if self.dtype is not None and np.dtype(self.dtype).kind == "f":
            raise UsageError(f"column {name!r} must be of integers, as the data, got {self.dtype}")
        low, high = column.low + column.offset, column.high + column.offset
        if self.dtype is not None:
            kind = np.dtype(self.dtype).newbyteorder("=").name
            shift = SIGN if kind == "uint64" else 0
            ends = cells_of(kind, "integer", 1, 0)
            low, high = max(low, ends[0] + shift), min(high, ends[1] + shift)
        if self.low is not None and self.high is not None:
            if not low <= self.low <= self.high <= high:
                raise UsageError(f"column {name!r}: the range must be in {low}..{high}, got {self.low}..{self.high}")
            low, high = self.low, self.high
        return replace(column, low=low - column.offset, high=high - column.offset)

    def _of_floats(self, values: Array, name: str, mark: int | None) -> Column:
        if self.dtype is not None and np.dtype(self.dtype).newbyteorder("=") != values.dtype:
            raise UsageError(f"column {name!r} must be of {values.dtype}, as the data, got {self.dtype}")
        if self.bits:
            column: Column | None = bits_column(values.dtype, name, mark)
        else:
            column = float_column(values, name, mark, self.step)
        if column is None:
            grid = f"the grid of {self.step}" if self.step else "a grid"
            raise DataError(f"column {name!r}: its values must lie on {grid}, they do not; {name}:bits takes all")
        if self.low is None or self.high is None:
            return column
        return replace(column, low=self.low, high=self.high)


def parse_columns(text: str) -> tuple[ColumnSpec, ...]:
    """Read the text of `--columns`: words NAME:PART with commas between them; several parts with colons.

    A part is a type (`int32`, `>f4`), a type with a range of values (`uint8=0..3`), `scaled=STEP`, `bits`, `auto`, or a
    range of cells (`0..4095`).

    Raises:
        UsageError: it is no such text; the message shows the word.

    Example:
        >>> parse_columns("flag:uint8=0..3,gps:bits")[0]
        ColumnSpec(name='flag', dtype='uint8', step=None, bits=False, low=0, high=3)
    """
    specs: list[ColumnSpec] = []
    for word in re.split(r",(?![^\[]*\])", text):  # not within the brackets of an element's name
        name, *parts = word.strip().split(":")
        if not name or not parts:
            raise UsageError(f"a column must be NAME:TYPE as in {_EXAMPLE!r}, got {word.strip()[:40]!r}")
        spec = ColumnSpec(name)
        for part in parts:
            spec = _with(spec, part, word.strip())
        if any(other.name == name for other in specs):
            raise UsageError(f"a column must be named once, {name!r} is named twice")
        specs.append(spec)
    return tuple(specs)


def _with(spec: ColumnSpec, part: str, word: str) -> ColumnSpec:
    head, equals, value = part.partition("=")
    changed: dict[str, Any] = {}
    span = _RANGE.fullmatch(value if equals else part)
    if head == "scaled" and equals and _NUMBER.fullmatch(value) and re.search("[1-9]", value.lower().split("e")[0]):
        changed["step"] = value
    elif part == "bits":
        changed["bits"] = True
    elif part == "auto":
        return spec
    elif (head in TYPES or _TYPE.fullmatch(head)) and (span or not equals):
        changed["dtype"] = head
    elif not span or equals:
        raise UsageError(
            f"a column must be a type of numpy, TYPE=LOW..HIGH, scaled=STEP, bits or auto, as in {_EXAMPLE!r}, "
            f"got {part[:40]!r} in {word[:60]!r}"
        )
    if span:
        changed |= {"low": int(span[1]), "high": int(span[2])}
        if changed["low"] > changed["high"]:
            raise UsageError(f"a range must ascend, got {span[0]} in {word[:60]!r}")
    given = [key for key in changed if getattr(spec, key) not in (None, False)]
    if given or (changed.get("bits") and spec.step) or (changed.get("step") and spec.bits):
        raise UsageError(f"a column must have one type, one range and one of scaled and bits, got {word[:60]!r}")
    return replace(spec, **changed)


def choose(specs: Sequence[ColumnSpec], names: Sequence[str]) -> list[ColumnSpec | None]:
    """Give each place its spec: by its name, that of the field it is an element of, or, without names, by its number.

    Raises:
        UsageError: a name is none of them; without names there must be a word for each place, or for `*`, all.
    """
    chosen: list[ColumnSpec | None] = [None] * len(names)
    if not specs:
        return chosen
    if len(specs) == 1 and specs[0].name == "*":
        return [specs[0]] * len(names)
    if not any(names):
        if len(specs) != len(names):
            raise UsageError(
                f"--columns must have a word for each of the {len(names)} columns, which have no names, or *:… for "
                f"all, got {len(specs)}"
            )
        return list(specs)
    for spec in specs:
        found = [place for place, name in enumerate(names) if _means(spec.name, name)]
        if not found:
            known = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
            raise UsageError(f"--columns must name columns of the data, {known}; got {spec.name!r}")
        for place in found:
            chosen[place] = spec
    return chosen


def _means(wanted: str, name: str) -> bool:
    inner = re.sub(r"^\[[0-9,]*\]\.", "", name)  # of records in a row the name starts with their place
    return wanted in (name, inner, "*") or (inner.startswith(wanted) and inner[len(wanted)] in "[.")


def source_of(specs: Sequence[ColumnSpec]) -> np.dtype[Any]:
    """Give the type of the records of raw binary: the columns one after the other, nothing between them."""
    return np.dtype([(spec.name, spec.number) for spec in specs])
