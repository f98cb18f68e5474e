"""The weights of a sum layer: a dense matrix, or rows of it that are mostly zero as lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.batches import alike, neighbours
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

    @property
    def row_of_entry(self) -> IntArray:
        """Give the row of every entry."""
        return np.repeat(np.arange(self.shape[0], dtype=np.int64), np.diff(self.indptr))

    def toarray(self) -> NDArray[np.generic]:
        """Give the same matrix as a dense array."""
        dense = np.zeros(self.shape, dtype=self.values.dtype)
        dense[self.row_of_entry, self.indices] = self.values
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
            well_formed = rows.indptr.ndim == rows.indices.ndim == rows.values.ndim == 1 and len(rows.indptr) > 0
            if not well_formed or rows.indptr[0] != 0 or not rows.indptr[-1] == len(rows.indices) == len(rows.values):
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
        rows = self.row_of_entry
        order = np.argsort(self.indices, kind="stable")
        indptr = np.searchsorted(self.indices[order], np.arange(self.columns + 1)).astype(np.int64)
        return SparseRows(indptr, rows[order], self.values[order], self.shape[0])


#: a sum layer's weights, (units, columns)
Weights = NDArray[Any] | SparseRows


def entries(weights: Weights) -> NDArray[Any]:
    """Give the entries as they are stored: (units, columns), or (entries,) of sparse rows."""
    return weights.values if isinstance(weights, SparseRows) else weights


def float_entries(weights: Weights) -> FloatArray:
    """Give `entries` as float64."""
    return np.asarray(entries(weights), dtype=np.float64)


def with_entries(weights: Weights, values: NDArray[Any]) -> Any:
    """Give weights of the same places with other entries."""
    return replace(weights, values=values) if isinstance(weights, SparseRows) else values.reshape(weights.shape)


def dense(weights: Weights) -> NDArray[Any]:
    """Give the whole matrix."""
    return weights.toarray() if isinstance(weights, SparseRows) else weights


def positions(weights: Weights) -> tuple[IntArray, IntArray]:
    """Give the rows and the columns of all entries, one after the other, (entries,) each."""
    if isinstance(weights, SparseRows):
        return weights.row_of_entry, weights.indices
    rows, columns = np.indices(weights.shape)
    return rows.reshape(-1), columns.reshape(-1)


def row_entries(weights: Weights, row: int) -> tuple[slice | int, IntArray, NDArray[Any]]:
    """Give where a row lies in `entries`, its columns and its entries."""
    if isinstance(weights, SparseRows):
        index = slice(weights.indptr[row], weights.indptr[row + 1])
        return index, weights.indices[index], weights.values[index]
    return row, np.arange(weights.shape[1]), weights[row]


def dense_rows(weights: Weights, rows: IntArray) -> FloatArray:
    """Give some rows as a dense array."""
    if not isinstance(weights, SparseRows):
        return weights[rows]
    matrix = np.zeros((len(rows), weights.columns))
    for target, row in enumerate(rows):
        _, columns, values = row_entries(weights, row)
        matrix[target, columns] = values
    return matrix


def row_sums(weights: Weights) -> NDArray[Any]:
    """Add up every row; sparse rows must hold at least one entry each."""
    if isinstance(weights, SparseRows):
        return np.asarray(np.add.reduceat(weights.values, weights.indptr[:-1]))
    return np.asarray(weights.sum(axis=1))


def matvec(weights: Weights, vector: FloatArray) -> FloatArray:
    """Multiply a vector of one number a column by the weights."""
    if isinstance(weights, SparseRows):
        return np.asarray(np.add.reduceat(float_entries(weights) * vector[weights.indices], weights.indptr[:-1]))
    return np.asarray(weights @ vector)


def transposed(weights: Weights) -> Weights:
    """Give the weights by columns."""
    return weights.transposed() if isinstance(weights, SparseRows) else weights.T


def batches(weights: Sequence[Weights]) -> Iterator[list[int]]:
    """Give batches of the numbers of weights that `joined` puts together: what is done for each of many costs too much.

    Dense ones of one size come together, and sparse ones; no batch is much larger than `BATCH_ENTRIES`.
    """
    forms = [isinstance(matrix, SparseRows) for matrix in weights]
    blocks = [number for number, sparse in enumerate(forms) if not sparse]
    for chosen in alike([dense(weights[number]) for number in blocks]):
        yield [blocks[number] for number in chosen]
    lists = [number for number, sparse in enumerate(forms) if sparse]
    for batch in neighbours([entries(weights[number]).size for number in lists]):
        yield [lists[number] for number in batch]


def joined(batch: Sequence[Weights]) -> Any:
    """Put the rows of a batch one after the other; the columns of sparse ones too.

    Raises:
        CircuitError: row pointers or columns of sparse rows are not their own; the text does not say whose.
    """
    if isinstance(batch[0], SparseRows):
        return SparseRows.joined([rows for rows in batch if isinstance(rows, SparseRows)])
    return np.concatenate([dense(block).reshape(-1, block.shape[-1]) for block in batch])
