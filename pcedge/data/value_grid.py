"""The grid of a circuit: what the symbols of all variables stand for (docs/grids.md)."""

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
from pcedge.data.axis import MISSING, Axis, listed
from pcedge.errors import DataError, UsageError

__all__ = ["Axis", "ValueGrid"]

VERSION = 1

#: what must be said where values are coded
CODED = "what is coded are the symbols of the circuit's grid; decoding gives the grid's values"


def field_columns(records: NDArray[Any]) -> NDArray[Any]:
    """Put the fields of records side by side, (records, fields) of objects."""
    return np.stack([records[name].astype(object).ravel() for name in records.dtype.names or ()], axis=1)


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

    @property
    def dtype(self) -> np.dtype[Any]:
        """Give the least unsigned type that holds every symbol."""
        return np.min_scalar_type(max(self.cardinalities) - 1)

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

    @cached_property
    def ordered(self) -> frozenset[int]:
        """Give the variables over bins or counts, whose ends take what lies beyond: what is rare of them lies there."""
        axes = enumerate(self.axes)
        return frozenset(place for place, axis in axes if axis.kind != "states" and axis.outside == "clip")

    def variable(self, name: str | int) -> int:
        """Find a variable by its name or number.

        Raises:
            UsageError: there is none.
        """
        if isinstance(name, str) and name in self.names:
            return self.names.index(name)
        if str(name).isdecimal() and int(name) < len(self.axes):
            return int(name)
        raise UsageError(f"a variable must be one of {listed(self.names)}, or its number, got {name!r}")

    def placed(self, columns: Mapping[str, int]) -> ValueGrid:
        """Give the grid with other columns for some variables.

        Raises:
            UsageError: a variable is not the grid's.
        """
        numbers = {self.variable(name): column for name, column in columns.items()}
        return ValueGrid(
            tuple(replace(axis, column=numbers.get(place, axis.column)) for place, axis in enumerate(self.axes))
        )

    def matched(self, header: Sequence[str], *, allow_missing: bool = True) -> ValueGrid:
        """Give the grid with the columns that a header names; itself where it names none of the variables.

        Args:
            header: the names of the data's columns.
            allow_missing: whether variables may be named nowhere; their columns are then none of the data's.

        Raises:
            DataError: the header names one of the variables twice, or some and others not, where they must all be
                there or most of its names are no variables; or it names none, and its first column, as that of an
                index, has no name.
        """
        names = [name.strip() for name in header]
        found = {name: [place for place, other in enumerate(names) if other == name] for name in self.names}
        absent = [name for name, places in found.items() if not places]
        told = "; NAME=COLUMN,… (--variables) says which column holds which"
        if len(absent) == len(found):
            if names and not names[0] and len(names) > max(axis.column for axis in self.axes) + 1:
                raise DataError(
                    f"a header must name the circuit's variables, {listed(absent)}, it names none, and its first "
                    f"column has no name, as that of an index{told}"
                )
            return self
        known = len(found) - len(absent)
        if absent and (not allow_missing or len(names) - known > known):
            raise DataError(
                f"a header must name the circuit's variables, it names {known} of {len(found)}, and not "
                f"{listed(absent)}{told}"
            )
        if twice := next((name for name, places in found.items() if len(places) > 1), None):
            raise DataError(f"a header must name a variable once, it has {twice!r} in columns {found[twice]}")
        # A column that is not there is summed out.
        return self.placed({name: places[0] if places else len(names) for name, places in found.items()})

    def symbols_of(self, x: ArrayLike, *, allow_missing: bool = False) -> IntArray:
        """Map data to records of symbols, int64 of shape (records, variables).

        Args:
            x: numbers or texts of shape (records, columns), or (records, …), which is flattened; records with fields,
                or a DataFrame, whose columns go by their names.
            allow_missing: take NaN, masked values, None and the marks of tables such as NA and empty cells as values
                that were not observed, `MISSING`; a variable whose column is not in the data is missing too.

        Raises:
            DataError: the data do not fit; the message names row and column.
        """
        if hasattr(x, "columns") and hasattr(x, "to_numpy"):
            named = self.matched([str(name) for name in x.columns], allow_missing=allow_missing)
            return named.symbols_of(x.to_numpy(), allow_missing=allow_missing)
        if (fields := getattr(getattr(x, "dtype", None), "names", None)) is not None:
            named = self.matched(fields, allow_missing=allow_missing)
            return named.symbols_of(field_columns(np.asarray(x)), allow_missing=allow_missing)
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
                        f"data must have column {axis.column} ({axis.name!r}), they have {rows.shape[1]} columns; "
                        "likelihoods and queries sum it out (allow_missing=True)"
                    )
                continue
            column = rows[:, axis.column]
            if gone is not None and gone[:, axis.column].any():
                column = column.astype(object)
                column[gone[:, axis.column]] = None
            out[:, place] = axis.find(column, allow_missing=allow_missing)
        return out

    def log_widths(self, symbols: ArrayLike) -> FloatArray:
        """Give the logarithm of the volume of every record's bins, (records,), in nats; integers and states count 0.

        The circuit's log-likelihood less this is the mean log density within the bins: what `score_samples` of a
        library tells, up to what the bins forget.
        """
        records = np.asarray(symbols)
        total: FloatArray = np.zeros(len(records))
        for place, axis in enumerate(self.axes):
            if axis.kind == "bins":
                seen = records[:, place] != MISSING
                total[seen] += np.log(np.diff(axis.edges))[records[seen, place]]
        return total

    def values_of(self, symbols: ArrayLike) -> NDArray[Any]:
        """Give values for symbols, (records, variables): bins' middles, integers, states; objects if some are texts.

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
        return ValueGrid(tuple(Axis.from_dict(entry) for entry in described["axes"]))

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
