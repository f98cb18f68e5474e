"""The tree that chooses a number's class: grown on a sample of residuals, by what a split saves in bits."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np

from pcedge.arrays import FloatArray, IntArray

#: thresholds that are tried for a feature
THRESHOLDS = 31

#: groups of residuals whose counts say what a split saves
BUCKETS = 40

#: parameters that a class adds at most: it mixes the states that all classes share
WEIGHTS = 6


@dataclass(eq=False)
class Branch:
    """Hold a node while the tree grows."""

    rows: IntArray
    gain: float
    feature: int = -1
    threshold: int = 0
    below: Branch | None = None
    above: Branch | None = None
    #: when the node was split, counted from 0; never for a leaf
    order: int = -1
    number: int = field(default=-1)


@dataclass(frozen=True, eq=False)
class Growth:
    """Hold a grown tree, from which every smaller one is cut: the first splits are worth most."""

    root: Branch
    splits: int

    def cut(self, splits: int) -> list[tuple[int, int, int, int]]:
        """Give the nodes of the tree of so many splits as (feature, threshold, below, above), classes as -1 - c."""
        nodes: list[list[int]] = []
        classes = 0

        def place(branch: Branch) -> int:
            nonlocal classes
            if not 0 <= branch.order < splits:
                classes += 1
                return -classes
            index = len(nodes)
            nodes.append([branch.feature, branch.threshold, 0, 0])
            assert branch.below is not None and branch.above is not None
            nodes[index][2] = place(branch.below)
            nodes[index][3] = place(branch.above)
            return index

        place(self.root)
        return [(node[0], node[1], node[2], node[3]) for node in nodes]


def buckets(residuals: IntArray) -> IntArray:
    """Group residuals by their quantiles, so that every scale has about as many groups."""
    edges = np.unique(np.quantile(residuals, np.linspace(0, 1, BUCKETS + 1)[1:-1], method="lower"))
    return np.searchsorted(edges, residuals)


def grow(features: IntArray, symbols: IntArray, price: float, most: int, scale: float = 1.0) -> Growth:
    """Grow a tree, the best split first.

    A split saves the entropy of the two parts' symbols, less what it costs: half a logarithm of the records for every
    parameter that it adds (Rissanen 1978), and `price`.

    Args:
        features: of every record, (features, records).
        symbols: of every record, small integers.
        price: bits that a class costs.
        most: splits at most.
        scale: records that each record of the sample stands for.
    """
    edges, binned = [], []
    for row in features:
        cuts = np.unique(np.quantile(row, np.linspace(0, 1, THRESHOLDS + 2)[1:-1], method="lower"))
        cuts = cuts[cuts < row.max()] if len(cuts) else cuts
        edges.append(cuts)
        binned.append(np.searchsorted(cuts, row, side="left").astype(np.int64))
    logs = _log(np.arange(len(symbols) + 1, dtype=np.float64))

    def bits(counts: IntArray) -> FloatArray:
        """Give the bits of all records of some counts under their own shares."""
        total: FloatArray = logs[counts.sum(axis=1)] - logs[counts].sum(axis=1)
        return total

    def best(rows: IntArray) -> Branch:
        branch = Branch(rows, 0.0)
        drawn = symbols[rows]
        whole = np.bincount(drawn, minlength=1)
        # Numbered anew without gaps: every feature counts all of them.
        drawn = (np.cumsum(whole > 0) - 1)[drawn]
        whole = whole[whole > 0]
        kinds = len(whole)
        parameter = 0.5 * np.log2(len(rows) + 1)
        for feature, cuts in enumerate(edges):
            if not len(cuts):
                continue
            keys = binned[feature][rows] * kinds + drawn
            counts = np.bincount(keys, minlength=(len(cuts) + 1) * kinds).reshape(-1, kinds)
            below = counts.cumsum(axis=0)[:-1]
            above = whole - below
            saved = scale * (bits(whole[None]) - bits(below) - bits(above))
            added = (below > 0).sum(axis=1) + (above > 0).sum(axis=1) - (whole > 0).sum()
            saved -= parameter * np.clip(added, 1, WEIGHTS) + price
            saved[(below.sum(axis=1) == 0) | (above.sum(axis=1) == 0)] = -np.inf
            cut = int(np.argmax(saved))
            if saved[cut] > branch.gain:
                branch.gain, branch.feature, branch.threshold = float(saved[cut]), feature, int(cuts[cut])
        return branch

    # The best of many cuts looks good by chance too.
    price += 2 * np.log2(1 + sum(map(len, edges)))
    root = best(np.arange(features.shape[1]))
    heap = [(-root.gain, 0, root)]
    made = splits = 0
    while heap and splits < most:
        gain, _, branch = heapq.heappop(heap)
        if gain >= 0:
            break
        branch.order, splits = splits, splits + 1
        low = features[branch.feature, branch.rows] <= branch.threshold
        branch.below, branch.above = best(branch.rows[low]), best(branch.rows[~low])
        branch.rows = branch.rows[:0]
        for child in (branch.below, branch.above):
            made += 1
            heapq.heappush(heap, (-child.gain, made, child))
    return Growth(root, splits)


def _log(numbers: FloatArray) -> FloatArray:
    return numbers * np.log2(np.maximum(numbers, 1))
