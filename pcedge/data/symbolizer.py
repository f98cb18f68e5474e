"""The symbolizer: a reversible map between integers of any width and symbols of small alphabets (docs/data.md)."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.data.steps import STEPS, Step, Window
from pcedge.data.words import Words, check_below, check_variables
from pcedge.errors import DataError, UsageError

VERSION = 1

#: symbols of a variable at most: a leaf has a table entry for each
MAX_SYMBOLS = 1 << 16

MAX_STEPS = 16
MAX_DIMENSIONS = 15

#: numbers of the rows with which a new symbolizer is tried, at most: windows of large pictures may have far more
TRIED_NUMBERS = 1 << 18

#: the dtypes of data
DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


@dataclass(frozen=True)
class Symbolizer:
    """Map rows of integers to records of symbols and back, exactly.

    A symbolizer is made only if its steps give back what they map: shapes and ranges are composed forward and back, on
    rows of the range's ends.

    Args:
        dtype: numpy's name of the data's type; `invert` gives it.
        shape: shape of a row: the data's without the first axis.
        low: the least value.
        high: the largest value.
        steps: what is done, in this order, to the values less `low`.

    Raises:
        UsageError: the steps do not fit the values or each other, end in alphabets that are too large, or do not give
            back the rows that they map.

    Example:
        >>> from pcedge.data.steps import Difference, Planes, Zigzag
        >>> steps = (Difference(0), Zigzag(), Planes((8, 8)))
        >>> symbolizer = Symbolizer("int16", (3,), -(2**15), 2**15 - 1, steps)
        >>> x = np.array([[-2, -1, 300]], dtype=np.int16)
        >>> symbolizer.apply(x)
        array([[255, 252,   0,   2,   2,  90]], dtype=uint16)
        >>> symbolizer.invert(symbolizer.apply(x)).tolist()
        [[-2, -1, 300]]
    """

    dtype: str
    shape: tuple[int, ...]
    low: int
    high: int
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        """Take lists too, and check that every step fits."""
        object.__setattr__(self, "shape", tuple(self.shape))
        object.__setattr__(self, "steps", tuple(self.steps))
        if self.dtype not in DTYPES:
            raise UsageError(f"the dtype of a symbolizer must be one of {', '.join(DTYPES)}, got {self.dtype!r}")
        least, largest = value_range(self.dtype)
        if not least <= self.low <= self.high <= largest:
            raise UsageError(f"the range must be in {least}..{largest} and ascend, got {self.low}..{self.high}")
        if not 1 <= len(self.shape) <= MAX_DIMENSIONS or min(self.shape) < 1:
            raise UsageError(f"rows must have 1..{MAX_DIMENSIONS} dimensions of at least 1, got shape {self.shape}")
        check_variables(math.prod(self.shape))
        if len(self.steps) > MAX_STEPS:
            raise UsageError(f"a symbolizer must have at most {MAX_STEPS} steps, got {len(self.steps)}")
        if sum(isinstance(step, Window) for step in self.steps) > 1:
            raise UsageError("a symbolizer must have at most one window")
        if max(self.cardinalities) > MAX_SYMBOLS:
            raise UsageError(
                f"a symbolizer must end in at most {MAX_SYMBOLS} symbols a variable, got {max(self.cardinalities)}: "
                "split the numbers by planes"
            )
        self._prove()

    def _prove(self) -> None:
        """Map rows forward and back, a window and a row more or one row, and demand that they return."""
        limit = TRIED_NUMBERS // len(self.cardinalities)
        rows = next((rows for rows in (self.segment_rows + 1, 1) if self.records(rows) <= limit), 0)
        ends = np.array([self.low, self.high, (self.low + self.high) // 2, self.high, self.low], dtype=self.dtype)
        data = np.resize(ends, (rows, *self.shape))
        try:
            differs = not np.array_equal(self.invert(self.apply(data), rows), data)
        except (DataError, ValueError, IndexError) as error:
            raise UsageError(f"a symbolizer must give back the rows that it maps, its steps do not: {error}") from error
        if differs:
            raise UsageError("a symbolizer must give back the rows that it maps, its steps give others")

    @cached_property
    def tops(self) -> list[Words]:
        """Give the largest numbers before every step, and after the last one."""
        windowed = any(isinstance(step, Window) for step in self.steps)
        top = np.full((1, *self.shape) if windowed else self.shape, self.high - self.low, dtype=np.uint64)
        tops = [top]
        for step in self.steps:
            tops.append(step.plan(tops[-1]))
        return tops

    @cached_property
    def cardinalities(self) -> tuple[int, ...]:
        """Give the number of symbols of every variable of a record, at least 2."""
        return tuple(max(2, int(top) + 1) for top in self.tops[-1].ravel())

    @cached_property
    def window(self) -> Window | None:
        """Give the step that cuts rows into records, if there is one; else every row is a record."""
        return next((step for step in self.steps if isinstance(step, Window)), None)

    @property
    def segment_rows(self) -> int:
        """Give the rows of which a stream's segment must have a multiple, unless it is the last."""
        return self.window.sizes[0] if self.window else 1

    def records(self, rows: int) -> int:
        """Give the number of records of so many rows."""
        return math.prod(self.window.counts(self._whole(rows))) if self.window else rows

    def _whole(self, rows: int) -> tuple[int, ...]:
        """Give the shape that so many rows have where the window cuts them: steps before it may have changed it."""
        index = next(index for index, step in enumerate(self.steps) if isinstance(step, Window))
        return (rows, *self.tops[index].shape[1:])

    def apply(self, x: ArrayLike) -> NDArray[np.uint16]:
        """Map data to records of symbols.

        Args:
            x: integers or booleans of shape (rows, *shape), in any dtype.

        Returns:
            Symbols of shape (records, variables).

        Raises:
            DataError: wrong dtype or shape, or a value out of range; the message names value and place.
        """
        array = self.check(x)
        if not len(array):
            return np.zeros((0, len(self.cardinalities)), dtype=np.uint16)
        values = array.astype(np.uint64) - np.full(1, self.low % 2**64, dtype=np.uint64)
        if self.window:
            values = values[None]
        for step, top in zip(self.steps, self.tops, strict=False):
            values = step.apply(values, top)
        return values.reshape(len(values), -1).astype(np.uint16)

    def check(self, x: ArrayLike) -> NDArray[Any]:
        """Check that data can be mapped.

        Raises:
            DataError: wrong dtype or shape, or a value out of range; the message names value and place.
        """
        array = np.asarray(x)
        if isinstance(x, np.ma.MaskedArray) or array.dtype.kind not in "iub":
            raise DataError(f"data must be a plain array of integers, got {array.dtype}")
        if array.shape[1:] != self.shape or not array.ndim:
            raise DataError(
                f"data must have shape (rows, {', '.join(map(str, self.shape))}) for this symbolizer, got {array.shape}"
            )
        if array.size and not self.low <= int(array.min()) <= int(array.max()) <= self.high:
            # In the array's own type: a comparison of int64 with uint64 would go through floats.
            least, largest = self._bounds(array.dtype.name)
            wrong = np.ones(array.shape, dtype=bool)  # where the dtype reaches no value of the range
            if least <= largest:
                low, high = (np.array(bound).astype(array.dtype) for bound in (least, largest))
                wrong = (array < low) | (array > high)
            row, *index = (int(i) for i in np.argwhere(wrong)[0])
            raise DataError(
                f"row {row}, place {tuple(index)}: a value must be in {self.low}..{self.high}, "
                f"got {int(array[(row, *index)])}"
            )
        return array

    def _bounds(self, dtype: str) -> tuple[int, int]:
        """Give the least and the largest value, or those of another dtype where they do not reach."""
        least, largest = value_range(dtype)
        return max(least, self.low), min(largest, self.high)

    def invert(self, records: ArrayLike, rows: int | None = None) -> NDArray[Any]:
        """Map records of symbols back to data.

        Args:
            records: symbols of shape (records, variables), as `apply` gives them.
            rows: rows of the data; None takes as many as the records can hold, which is only wrong where the last
                record is padded.

        Returns:
            The data, of shape (rows, *shape) and the symbolizer's dtype.

        Raises:
            DataError: the records are not those of any data with so many rows.
        """
        given = np.asarray(records)
        if rows is None:
            rows = self._most_rows(len(given)) if given.ndim else 0
        if given.dtype.kind not in "iub" or given.shape != (self.records(rows), len(self.cardinalities)):
            raise DataError(
                f"records must be integers of shape ({self.records(rows)}, {len(self.cardinalities)}) for {rows} rows, "
                f"got {given.dtype} of shape {given.shape}"
            )
        if given.size and int(given.min()) < 0:
            raise DataError(f"symbols must not be negative, got {given.min()}")
        if not rows:
            return np.zeros((0, *self.shape), dtype=self.dtype)
        values = given.astype(np.uint64).reshape(len(given), *self.tops[-1].shape)
        check_below(values, self.tops[-1])
        for step, top in zip(reversed(self.steps), reversed(self.tops[:-1]), strict=True):
            if isinstance(step, Window):
                values = step.join(values, self._whole(rows))
            else:
                values = step.invert(values, top)
            check_below(values, top)
        if self.window:
            values = values[0]
        data: NDArray[Any] = (values + np.full(1, self.low % 2**64, dtype=np.uint64)).astype(self.dtype)
        # One array has one form: padding, and planes or colours that no value has, would otherwise be a second one.
        if not np.array_equal(self.apply(data), given):
            raise DataError("records must be those that this symbolizer gives for their data, these belong to no data")
        return data

    def _most_rows(self, records: int) -> int:
        if not self.window:
            return records
        across = self.records(1)
        if records % across:
            raise DataError(f"records must come in groups of {across}, one for each part of a row, got {records}")
        return records // across * self.window.sizes[0]

    def as_dict(self) -> dict[str, Any]:
        """Give the JSON form."""
        names = {kind: name for name, kind in STEPS.items()}
        steps = [{"kind": names[type(step)]} | asdict(step) for step in self.steps]
        return {
            "version": VERSION, "dtype": self.dtype, "shape": list(self.shape), "low": self.low, "high": self.high,
            "steps": [{key: list(v) if isinstance(v, tuple) else v for key, v in step.items()} for step in steps],
        }  # fmt: skip

    def to_json(self) -> str:
        """Write the JSON form; equal symbolizers give equal texts."""
        return json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"))

    @staticmethod
    def from_dict(described: object) -> Symbolizer:
        """Read the JSON form.

        Raises:
            UsageError: it is not that of a symbolizer; the caller says which file.
        """
        keys = {"version", "dtype", "shape", "low", "high", "steps"}
        if not isinstance(described, dict) or set(described) != keys:
            raise UsageError(f"a symbolizer must be an object of {', '.join(sorted(keys))}")
        if type(described["version"]) is not int or described["version"] != VERSION:
            raise UsageError(f"a symbolizer must be of version {VERSION}, got {str(described['version'])[:40]}")
        if not isinstance(described["dtype"], str) or not isinstance(described["steps"], list):
            raise UsageError("a symbolizer's dtype must be a text and its steps a list")
        if len(described["steps"]) > MAX_STEPS:
            raise UsageError(f"a symbolizer must have at most {MAX_STEPS} steps, got {len(described['steps'])}")
        low, high = (integer(name, described[name]) for name in ("low", "high"))
        steps = tuple(_step(entry) for entry in described["steps"])
        return Symbolizer(described["dtype"], integers("shape", described["shape"]), low, high, steps)

    @staticmethod
    def from_json(text: str) -> Symbolizer:
        """Read the JSON form from a text.

        Raises:
            UsageError: it is not that of a symbolizer.
        """
        try:
            described = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"a symbolizer must be JSON ({error})") from error
        return Symbolizer.from_dict(described)


def value_range(dtype: str) -> tuple[int, int]:
    """Give the least and the largest value of a dtype."""
    if dtype == "bool":
        return 0, 1
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def _step(entry: object) -> Step:
    if not isinstance(entry, dict) or not isinstance(entry.get("kind"), str) or entry["kind"] not in STEPS:
        raise UsageError(f"a step must be an object whose kind is one of {', '.join(STEPS)}, got {str(entry)[:80]}")
    kind = STEPS[entry["kind"]]
    fields = kind.__dataclass_fields__
    if set(entry) != {"kind", *fields}:
        raise UsageError(f"step {entry['kind']} must have the keys {', '.join(('kind', *fields))}, got {sorted(entry)}")
    values: dict[str, Any] = {}
    for name, field in fields.items():
        where = f"{entry['kind']}: {name}"
        if field.type == "str":
            if not isinstance(entry[name], str):
                raise UsageError(f"{where} must be a text, got {str(entry[name])[:40]}")
            values[name] = entry[name]
        else:
            values[name] = (integer if field.type == "int" else integers)(where, entry[name])
    step: Step = kind(**values)
    return step


def integer(where: str, value: object) -> int:
    """Take an integer of a JSON form; `where` names it."""
    # A bool is an int in Python, not in JSON.
    if type(value) is not int or not -(2**64) < value < 2**64:
        raise UsageError(f"{where} must be an integer of at most 64 bits, got {str(value)[:40]}")
    return value


def integers(where: str, values: object, most: int = 64) -> tuple[int, ...]:
    """Take a list of integers of a JSON form, of at most so many."""
    if not isinstance(values, list) or len(values) > most:
        raise UsageError(f"{where} must be a list of at most {most} integers, got {str(values)[:40]}")
    return tuple(integer(where, value) for value in values)
