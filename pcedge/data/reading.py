"""What a reader of data is told that a file does not say itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from pcedge.data.column_spec import ColumnSpec
from pcedge.data.value_grid import ValueGrid
from pcedge.errors import UsageError

#: numpy's names of dtypes that raw binary may have
_DTYPE = re.compile(r"[<>]?(b1|[iu][1248])|bool|u?int(8|16|32|64)|\|(b1|[iu]1)")


@dataclass(frozen=True)
class Reading:
    """Say what a file does not say itself.

    Raises:
        UsageError: the dtype is no integer type, the shape is none, or NaN marks missing integers.
    """

    #: numpy's name of the type of raw binary, or of a table's result, as `int16` or `>i2`; raw binary is little-endian
    #: where the name does not say
    dtype: str | None = None
    #: shape of a record of raw binary, as `64x2`; 1 where there is none
    shape: str | None = None
    #: what an empty cell of a table stands for, or one that says missing otherwise (NA, NaN, ?); None refuses them.
    #: NaN is for `typed` data only
    missing: float | None = None
    #: whether the first line of a table is a header; None takes it as one if it holds names and no number
    header: bool | None = None
    #: whether floats and records with fields are taken too, as `pcedge.data.columns.Columns` maps them
    typed: bool = False
    #: the columns of raw binary, one after the other, where there is no dtype
    columns: tuple[ColumnSpec, ...] = ()
    #: the type of the records of raw binary and of tables, where there is no dtype: that of the circuit's columns
    fields: np.dtype[Any] | None = None
    #: of a circuit with a grid: its data are then real values or states, and are read as symbols
    grid: ValueGrid | None = None
    #: with a grid, whether values may be missing; they become -1
    partial: bool = False
    #: with a grid, whether its columns were told, so that no header says others
    placed: bool = False

    def __post_init__(self) -> None:
        """Check the texts."""
        if self.dtype is not None and not _DTYPE.fullmatch(self.dtype):
            raise UsageError(f"the dtype must be an integer type of numpy such as int16, <i2 or u1, got {self.dtype!r}")
        if self.shape is not None and not re.fullmatch(r"[1-9][0-9]{0,8}(x[1-9][0-9]{0,8}){0,14}", self.shape):
            raise UsageError(f"the shape of a record must be sizes such as 64 or 64x2, got {self.shape!r}")
        if self.shape is not None and self.dtype is None:
            raise UsageError("the shape of a record is for raw binary, which needs a dtype too")
        if self.missing is not None and self.missing != self.missing and not self.typed and self.grid is None:
            raise UsageError("the mark of a missing value must be an integer for data of integers, got nan")

    @property
    def number(self) -> np.dtype[Any] | None:
        """Give the dtype with its byte order."""
        if self.dtype is None:
            return None
        dtype = np.dtype(self.dtype)
        return dtype if self.dtype[0] == ">" else dtype.newbyteorder("<")

    @property
    def record(self) -> tuple[int, ...]:
        """Give the shape of a record."""
        return tuple(int(size) for size in (self.shape or "1").split("x"))


PLAIN = Reading()
