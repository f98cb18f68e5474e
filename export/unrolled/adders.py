"""Constant matrices as graphs of adders: shift-and-add, rows made from rows near them, and da4ml's common terms."""

from __future__ import annotations

import heapq
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray
from pcedge.errors import missing_extra
from pcedge.extras import needing, unfit

#: a multiple of a node: (node, left shift, negative); a negative shift of an output drops bits that are zero
Term = tuple[int, int, bool]

#: the node of an output that is always zero
ZERO = -1

#: entries of one block that da4ml takes at a time; its time grows faster than its input
BLOCK_ENTRIES = 1024


@dataclass(frozen=True)
class Add:
    """Compute `(a << shift_a) + (b << shift_b)`, or minus where `subtract`; `ZERO` for a is the number 0."""

    a: int
    shift_a: int
    b: int
    shift_b: int
    subtract: bool


@dataclass(frozen=True, eq=False)
class AdderGraph:
    """Multiply a vector by a constant matrix with adders and shifts alone.

    Nodes 0..inputs-1 are the vector, node `inputs + k` is `adds[k]`.
    """

    inputs: int
    adds: tuple[Add, ...]
    #: for each row its node (or `ZERO`) and a left shift; a negative one drops bits that are zero
    outputs: tuple[tuple[int, int], ...]

    @cached_property
    def forms(self) -> NDArray[np.object_]:
        """Give every node as a multiple of each input, (nodes, inputs) of Python integers."""
        forms = np.zeros((self.inputs + len(self.adds), self.inputs), dtype=object)
        forms[np.arange(self.inputs), np.arange(self.inputs)] = 1
        for node, add in enumerate(self.adds, self.inputs):
            second = forms[add.b] * (1 << add.shift_b)
            forms[node] = -second if add.subtract else second
            if add.a != ZERO:
                forms[node] = forms[node] + forms[add.a] * (1 << add.shift_a)
        return forms

    def matrix(self) -> NDArray[np.object_]:
        """Give the matrix that the graph multiplies by, (rows, inputs) of Python integers.

        Raises:
            ValueError: an output drops bits that are not zero.
        """
        rows = np.zeros((len(self.outputs), self.inputs), dtype=object)
        for row, (node, shift) in enumerate(self.outputs):
            if node == ZERO:
                continue
            if shift < 0 and any(value % (1 << -shift) for value in self.forms[node]):
                raise ValueError(f"row {row} must be a multiple of {1 << -shift} before its bits are dropped")
            rows[row] = self.forms[node] * (1 << shift) if shift >= 0 else self.forms[node] // (1 << -shift)
        return rows

    def ranges(self, top: Sequence[int]) -> list[tuple[int, int]]:
        """Give the least and the greatest value of every node where input i is in 0..top[i]."""
        tops = np.array(list(top), dtype=object)
        products = self.forms * tops
        low, high = np.where(products < 0, products, 0).sum(axis=1), np.where(products > 0, products, 0).sum(axis=1)
        return [(int(a), int(b)) for a, b in zip(low, high, strict=True)]

    def bits(self, top: Sequence[int]) -> int:
        """Add up the widths of all adders' results."""
        return sum(width(*span) for span in self.ranges(top)[self.inputs :])


def width(low: int, high: int) -> int:
    """Count the bits of an integer in low..high: two's complement where low is negative."""
    return max(high.bit_length(), (-low - 1).bit_length()) + 1 if low < 0 else max(1, high.bit_length())


def signed_digits(value: int) -> list[tuple[int, bool]]:
    """Give the canonical signed digits of an integer: (shift, negative) of each, lowest first."""
    rest, sign = abs(value), value < 0
    digits = []
    shift = 0
    while rest:
        if rest & 1:
            negative = rest & 3 == 3
            rest += 1 if negative else -1
            digits.append((shift, negative != sign))
        rest >>= 1
        shift += 1
    return digits


def plain_adders(matrix: IntArray) -> int:
    """Count the adders of the plain form: one less than the signed digits of each row."""
    return sum(max(0, _digits(row) - 1) for row in matrix)


def _digits(row: IntArray) -> int:
    # An integer's canonical form has a digit where it and three times it differ, one place up.
    return int(_digit_counts(row).sum())


def _digit_counts(values: IntArray) -> IntArray:
    marks = np.abs(values) ^ (3 * np.abs(values))
    octets = np.ascontiguousarray(marks, dtype="<i8")[..., None].view(np.uint8)
    return np.asarray(np.unpackbits(octets, axis=-1).sum(axis=-1), dtype=np.int64)


def plain(matrix: IntArray) -> AdderGraph:
    """Add up the shifted inputs of every row by itself: the plain form."""
    builder = _Builder(matrix.shape[1])
    return builder.finish([builder.row(row) for row in matrix])


def shared(matrix: IntArray, top: Sequence[int]) -> AdderGraph:
    """Find a graph with few adders: the best of the plain form and three that share.

    Tried are rows made from near rows (a minimum spanning tree over row differences), the matrix through da4ml, and
    the tree's differences through da4ml.

    Args:
        matrix: non-negative weights, (rows, inputs).
        top: the greatest value of every input.

    Returns:
        The graph with the fewest adders; of several the one with the fewest bits. Never more than the plain form.

    Raises:
        MissingToolError: the extra `da` is not installed.
    """
    if not has_da4ml():
        with needing("da4ml", "da", "sharing adders (--adders shared)"):
            raise missing_extra("da4ml", "da", "sharing adders (--adders shared)")
    ways = (plain(matrix), spanning(matrix, _plain_terms), through_da4ml(matrix, top))
    tried = [*ways, spanning(matrix, lambda builder, rows: builder.merge(*_da4ml_terms(rows, top)))]
    return min(tried, key=lambda graph: (len(graph.adds), graph.bits(top)))


def has_da4ml() -> bool:
    """Tell whether the extra `da` is installed, in a version that it asks for."""
    return importlib.util.find_spec("da4ml") is not None and unfit("da4ml", "da") is None


def through_da4ml(matrix: IntArray, top: Sequence[int]) -> AdderGraph:
    """Let da4ml find the terms that the rows of a matrix have in common."""
    builder = _Builder(matrix.shape[1])
    return builder.finish(builder.merge(*_da4ml_terms(matrix, top)))


def spanning(matrix: IntArray, solve: Callable[[_Builder, IntArray], list[Term]]) -> AdderGraph:
    """Make every row from the row nearest to it, or from nothing, by a minimum spanning tree over row differences.

    `solve` makes the changes. A change costs its signed digits, and a row from nothing one less.
    """
    parents = _tree(matrix)
    rows = len(matrix)
    changes = np.array([matrix[r] - matrix[p] if p >= 0 else matrix[r] for r, p in enumerate(parents)])
    builder = _Builder(matrix.shape[1])
    terms = solve(builder, changes.reshape(rows, -1))
    finished: dict[int, Term] = {}
    for row in range(rows):
        path = [row]
        while path[-1] not in finished and parents[path[-1]] >= 0:
            path.append(parents[path[-1]])
        for index in reversed(path):
            if index not in finished:
                parent = parents[index]
                finished[index] = builder.sum([terms[index]] + ([finished[parent]] if parent >= 0 else []))
    return builder.finish([finished[row] for row in range(rows)])


def _plain_terms(builder: _Builder, rows: IntArray) -> list[Term]:
    return [builder.row(row) for row in rows]


def _tree(matrix: IntArray) -> list[int]:
    """Find each row's parent in the tree, -1 for a row from nothing (Prim's algorithm; nothing is the root)."""
    best = np.array([max(0, _digits(row) - 1) for row in matrix])
    parent = np.full(len(matrix), -1)
    left = np.ones(len(matrix), dtype=bool)
    for _ in range(len(matrix)):
        row = int(np.flatnonzero(left)[best[left].argmin()])
        left[row] = False
        cost = _digit_counts(matrix - matrix[row]).sum(axis=1)
        nearer = left & (cost < best)
        best[nearer], parent[nearer] = cost[nearer], row
    return [int(p) for p in parent]


class _Builder:
    """Append adders over numbered nodes."""

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self.adds: list[Add] = []
        self.depth = [0] * inputs

    def finish(self, terms: list[Term]) -> AdderGraph:
        outputs = [self._positive(term) for term in terms]
        return AdderGraph(self.inputs, tuple(self.adds), tuple(outputs))

    def _positive(self, term: Term) -> tuple[int, int]:
        node, shift, negative = term
        return (self.add(Add(ZERO, 0, node, 0, True)), shift) if negative and node != ZERO else (node, shift)

    def add(self, add: Add) -> int:
        self.adds.append(add)
        self.depth.append(1 + max(self.depth[add.b], self.depth[add.a] if add.a != ZERO else 0))
        return len(self.depth) - 1

    def row(self, row: IntArray) -> Term:
        return self.sum([(i, *digit) for i, value in enumerate(row.tolist()) for digit in signed_digits(value)])

    def sum(self, terms: list[Term]) -> Term:
        """Add up terms, the shallowest first, so that the tree is as shallow as it can be."""
        numbers = count()
        heap = [
            (self.depth[node], shift, next(numbers), negative, node) for node, shift, negative in terms if node != ZERO
        ]
        if not heap:
            return ZERO, 0, False
        heapq.heapify(heap)
        while len(heap) > 1:
            first, second = heapq.heappop(heap), heapq.heappop(heap)
            node, shift, negative = self._pair((first[4], first[1], first[3]), (second[4], second[1], second[3]))
            heapq.heappush(heap, (self.depth[node], shift, next(numbers), negative, node))
        _, shift, _, negative, node = heap[0]
        return node, shift, negative

    def _pair(self, first: Term, second: Term) -> Term:
        """Add two terms; the sign that both have, and the shift that both have, stay outside."""
        if first[2] and not second[2]:
            first, second = second, first
        least = min(first[1], second[1])
        add = Add(first[0], first[1] - least, second[0], second[1] - least, first[2] != second[2])
        return self.add(add), least, first[2] and second[2]

    def merge(self, inputs: int, adds: list[Add], outputs: list[Term]) -> list[Term]:
        """Take over another graph of the same inputs; give its outputs here."""
        node_of = list(range(inputs))
        for add in adds:
            first = node_of[add.a] if add.a != ZERO else ZERO
            node_of.append(self.add(Add(first, add.shift_a, node_of[add.b], add.shift_b, add.subtract)))
        return [(node_of[node] if node != ZERO else ZERO, shift, negative) for node, shift, negative in outputs]


def _blocks(matrix: IntArray) -> list[NDArray[np.int64]]:
    """Split rows into groups that share no columns with others, and those into blocks that da4ml takes at a time."""
    group = np.arange(len(matrix))
    owner: dict[int, int] = {}

    def find(row: int) -> int:
        while group[row] != row:
            group[row] = group[group[row]]
            row = int(group[row])
        return row

    for row, column in np.argwhere(matrix):
        other = owner.setdefault(int(column), int(row))
        group[find(int(row))] = find(other)
    roots = np.array([find(row) for row in range(len(matrix))])
    blocks = []
    for root in np.unique(roots):
        rows = np.flatnonzero(roots == root)
        entries = max(1, int(np.count_nonzero(matrix[rows].any(axis=0))))
        size = max(1, BLOCK_ENTRIES // entries)
        blocks += [rows[start : start + size] for start in range(0, len(rows), size)]
    return blocks


def _da4ml_terms(matrix: IntArray, top: Sequence[int]) -> tuple[int, list[Add], list[Term]]:
    """Run da4ml's solver on each block of rows; give its operations in integers."""
    adds: list[Add] = []
    outputs: list[Term] = [(ZERO, 0, False)] * len(matrix)
    inputs = matrix.shape[1]
    for rows in _blocks(matrix):
        columns = np.flatnonzero(matrix[rows].any(axis=0))
        if not len(columns):
            continue
        for row, term in zip(rows, _solve(matrix[np.ix_(rows, columns)], columns, top, inputs, adds), strict=True):
            outputs[row] = term
    return inputs, adds, outputs


def _solve(block: IntArray, columns: NDArray[np.int64], top: Sequence[int], inputs: int, adds: list[Add]) -> list[Term]:
    """Append the operations that da4ml finds for one block; give the rows.

    da4ml's buffers are numbers with a step that may be a fraction: buffer = node * 2**scale, with a scale for each, so
    that nodes are integers and shift to the left only.
    """
    from da4ml.cmvm import solve

    spans = [(0.0, float(top[column]), 1.0) for column in columns]
    stages = solve(np.ascontiguousarray(block.T.astype(np.float32)), qintervals=spans).solutions
    terms: list[Term] = [(int(column), 0, False) for column in columns]
    for stage in stages:
        # (node, scale, negative): the scale may be negative here
        buffer: list[Term] = []
        for op in stage.ops:
            if op.opcode == -1:
                node, scale, negative = terms[op.id0]
                buffer.append((node, scale + stage.inp_shifts[op.id0], negative))
                continue
            if op.opcode not in (0, 1):
                raise ValueError(f"da4ml must make additions and subtractions only, got operation {op.opcode}")
            first, other = buffer[op.id0], buffer[op.id1]
            second = (other[0], other[1] + op.data, other[2] != (op.opcode == 1))
            buffer.append(_exact_pair(first, second, inputs, adds))
        terms = [
            (ZERO, 0, False)
            if index < 0
            else (buffer[index][0], buffer[index][1] + shift, buffer[index][2] != bool(negative))
            for index, shift, negative in zip(stage.out_idxs, stage.out_shifts, stage.out_negs, strict=True)
        ]
    return terms


def _exact_pair(first: Term, second: Term, inputs: int, adds: list[Add]) -> Term:
    if first[0] == ZERO or second[0] == ZERO:
        return second if first[0] == ZERO else first
    if first[2] and not second[2]:
        first, second = second, first
    least = min(first[1], second[1])
    adds.append(Add(first[0], first[1] - least, second[0], second[1] - least, first[2] != second[2]))
    return inputs + len(adds) - 1, least, first[2] and second[2]
