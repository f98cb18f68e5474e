"""Rows of weights that are mostly zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray
from pcedge.errors import CircuitError


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Rows of a matrix as lists of (column, value), one after the other.

    Row r holds the entries `indptr[r]:indptr[r + 1]` of `indices` (columns) and `values`.
    """

    indptr: IntArray
    indices: IntArray
    values: NDArray[np.generic]
    columns: int

    def __post_init__(self) -> None:
        """Hold integers in the one type that numpy reckons in; what is none is left to the check of the layer."""
        for name in ("indptr", "indices", "values"):
            array = np.asarray(getattr(self, name))
            if name != "values" and array.dtype.kind in "iu" and array.dtype != np.int64:
                array = array.astype(np.int64)
            object.__setattr__(self, name, array)

    @property
    def shape(self) -> tuple[int, int]:
        """Give (rows, columns)."""
        return len(self.indptr) - 1, self.columns

    def toarray(self) -> NDArray[np.generic]:
        """Give the same matrix as a dense array."""
        dense = np.zeros(self.shape, dtype=self.values.dtype)
        rows = np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))
        dense[rows, self.indices] = self.values
        return dense

    @staticmethod
    def from_dense(matrix: NDArray[np.generic]) -> SparseRows:
        """Keep the nonzero entries of a dense matrix, in row-major order."""
        rows, columns = np.nonzero(matrix)
        indptr = np.searchsorted(rows, np.arange(matrix.shape[0] + 1)).astype(np.int64)
        return SparseRows(indptr, columns.astype(np.int64), matrix[rows, columns], matrix.shape[1])

    @staticmethod
    def joined(parts: Sequence[SparseRows]) -> SparseRows:
        """Put matrices along the diagonal of a larger one: the rows of all, one after the other.

        Raises:
            CircuitError: row pointers or columns of a part are not its own; the text does not say which.
        """
        for rows in parts:
            whole = rows.indptr.ndim == rows.indices.ndim == rows.values.ndim == 1 and len(rows.indptr) > 0
            if not whole or rows.indptr[0] != 0 or not rows.indptr[-1] == len(rows.indices) == len(rows.values):
                raise CircuitError("row pointers must run from 0 to the number of entries")
        entries = np.cumsum([0, *(len(rows.values) for rows in parts)])
        columns = np.cumsum([0, *(rows.columns for rows in parts)])
        starts = [rows.indptr[:-1] + start for rows, start in zip(parts, entries, strict=False)]
        indices = np.concatenate([rows.indices for rows in parts])
        lengths = np.diff(entries)
        if indices.dtype.kind not in "iu" or ((indices < 0) | (indices >= np.repeat(np.diff(columns), lengths))).any():
            raise CircuitError("columns must be those of the matrix")
        return SparseRows(
            np.concatenate([*starts, entries[-1:]]), indices + np.repeat(columns[:-1], lengths),
            np.concatenate([rows.values for rows in parts]), int(columns[-1]),
        )  # fmt: skip

    def transposed(self) -> SparseRows:
        """Give the lists of the transposed matrix: for each column the rows that use it, ascending."""
        rows = np.repeat(np.arange(self.shape[0], dtype=np.int64), np.diff(self.indptr))
        order = np.argsort(self.indices, kind="stable")
        indptr = np.searchsorted(self.indices[order], np.arange(self.columns + 1)).astype(np.int64)
        return SparseRows(indptr, rows[order], self.values[order], self.shape[0])
