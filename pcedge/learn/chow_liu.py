"""The Chow–Liu tree: the maximum spanning tree of the pairwise mutual information."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import MISSING

#: columns of the one-hot matrix at most: more symbols than fit are put into bins of equal frequency
COLUMNS = 8192
#: records that the estimate looks at, evenly spaced over the data
RECORDS = 20_000
#: rows of the joint counts that are in memory at a time, and records that are one-hot at a time
ROWS, CHUNK = 2048, 2000


def chow_liu_tree(records: IntArray, cardinality: int, pseudocount: float = 1.0) -> list[int]:
    """Learn a tree over the variables, rooted at its centre so that it is as low as can be.

    Args:
        records: symbols of shape (N, variables), -1 where missing.
        cardinality: the number of symbols, the largest of all variables.
        pseudocount: records of independent variables that are added to every pair's counts.

    Returns:
        Every variable's parent, -1 for the root.

    Example:
        >>> x = np.array([[0, 1, 0], [1, 1, 1], [0, 0, 0], [1, 0, 1]])
        >>> chow_liu_tree(x, 2)
        [-1, 0, 0]
    """
    return root_at_centre(spanning_tree(mutual_information(records, cardinality, pseudocount)))


def mutual_information(records: IntArray, cardinality: int, pseudocount: float = 1.0) -> FloatArray:
    """Estimate the mutual information of all pairs of variables, in nats, shape (variables, variables).

    The estimate of a pair uses the records that have both symbols. The diagonal is 0.
    """
    # A ceiling division: the picked records reach over the whole data, however they are sorted.
    picked = records[:: max(1, -(-len(records) // RECORDS))]
    variables = picked.shape[1]
    symbols, bins = _bin(picked, cardinality, max(2, COLUMNS // variables))
    information = np.zeros((variables, variables))
    block = max(1, ROWS // bins)
    for first in range(0, variables, block):
        last = min(first + block, variables)
        joint = _joint_counts(symbols, bins, first, last)
        for offset in range(last - first):
            information[first + offset] = _information(joint[offset], pseudocount)
    information = (information + information.T) / 2
    np.fill_diagonal(information, 0.0)
    return np.maximum(information, 0.0)


def _bin(records: IntArray, cardinality: int, limit: int) -> tuple[IntArray, int]:
    """Map every variable's symbols to at most `limit` bins of about equal frequency."""
    if cardinality <= limit:
        return records, cardinality
    binned = np.full(records.shape, MISSING, dtype=np.int64)
    for variable in range(records.shape[1]):
        column = records[:, variable]
        seen = column != MISSING
        counts = np.bincount(column[seen], minlength=cardinality)
        middle = np.cumsum(counts) - counts / 2
        bin_of = np.minimum((middle * limit / max(1, counts.sum())).astype(np.int64), limit - 1)
        binned[seen, variable] = bin_of[column[seen]]
    return binned, limit


def _joint_counts(symbols: IntArray, bins: int, first: int, last: int) -> NDArray[np.float32]:
    """Count pairs of symbols: (last - first, bins, variables, bins)."""
    variables = symbols.shape[1]
    joint = np.zeros(((last - first) * bins, variables * bins), dtype=np.float32)
    for start in range(0, len(symbols), CHUNK):
        chunk = symbols[start : start + CHUNK]
        hot = (chunk[:, :, None] == np.arange(bins)).astype(np.float32).reshape(len(chunk), -1)
        # Whole numbers below 2^24: float32 is exact, whatever the order of the additions.
        joint += hot[:, first * bins : last * bins].T @ hot
    return joint.reshape(last - first, bins, variables, bins)


def _information(joint: NDArray[np.float32], pseudocount: float) -> FloatArray:
    """Compute the mutual information of one variable with all others from (bins, variables, bins) counts."""
    counts = joint.transpose(1, 0, 2).astype(np.float64)
    totals = np.maximum(counts.sum(axis=(1, 2), keepdims=True), 1.0)
    frequencies = counts / totals
    independent = frequencies.sum(axis=2, keepdims=True) * frequencies.sum(axis=1, keepdims=True)
    # Pseudocounts that follow the product of the marginals keep the marginals and only pull towards independence.
    joint_probability = (counts + pseudocount * independent) / (totals + pseudocount)
    used = joint_probability > 0
    ratio = np.divide(joint_probability, independent, out=np.ones_like(independent), where=used)
    return np.asarray((joint_probability * np.log(ratio)).sum(axis=(1, 2)))


def spanning_tree(weights: FloatArray) -> list[tuple[int, int]]:
    """Find the maximum spanning tree by Prim's algorithm; ties go to the lowest index."""
    count = len(weights)
    outside = np.ones(count, dtype=bool)
    outside[0] = False
    best, nearest = weights[0].astype(np.float64), np.zeros(count, dtype=np.int64)
    edges = []
    for _ in range(count - 1):
        new = int(np.argmax(np.where(outside, best, -np.inf)))
        edges.append((int(nearest[new]), new))
        outside[new] = False
        closer = weights[new] > best
        best = np.where(closer, weights[new], best)
        nearest[closer] = new
    return edges


def root_at_centre(edges: list[tuple[int, int]]) -> list[int]:
    """Root a tree of len(edges) + 1 variables in the middle of its longest path; give every variable's parent."""
    neighbours: list[list[int]] = [[] for _ in range(len(edges) + 1)]
    for a, b in edges:
        neighbours[a].append(b)
        neighbours[b].append(a)
    end, _ = _walk(neighbours, 0)
    end, parents = _walk(neighbours, end)
    path = [end]
    while parents[path[-1]] >= 0:
        path.append(parents[path[-1]])
    middle = {path[len(path) // 2], path[(len(path) - 1) // 2]}
    return _walk(neighbours, min(middle))[1]


def _walk(neighbours: list[list[int]], start: int) -> tuple[int, list[int]]:
    """Walk breadth first; give the last variable reached and every variable's parent."""
    parents = [-2] * len(neighbours)
    parents[start] = -1
    queue = [start]
    for variable in queue:
        for other in sorted(neighbours[variable]):
            if parents[other] == -2:
                parents[other] = variable
                queue.append(other)
    return queue[-1], parents
