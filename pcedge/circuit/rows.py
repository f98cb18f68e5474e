"""Rows of weights that are mostly zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Rows of a matrix as lists of (column, value), one after the other.

    Row r holds the entries `indptr[r]:indptr[r + 1]` of `indices` (columns) and `values`.
    """

    indptr: IntArray
    indices: IntArray
    values: NDArray[np.generic]
    columns: int

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

    def transposed(self) -> SparseRows:
        """Give the lists of the transposed matrix: for each column the rows that use it, ascending."""
        rows = np.repeat(np.arange(self.shape[0], dtype=np.int64), np.diff(self.indptr))
        order = np.argsort(self.indices, kind="stable")
        indptr = np.searchsorted(self.indices[order], np.arange(self.columns + 1)).astype(np.int64)
        return SparseRows(indptr, rows[order], self.values[order], self.shape[0])
