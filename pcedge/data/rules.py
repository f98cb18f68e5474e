"""Rules of a predictor stage: the ranges of its groups, its tree, its listed residuals (docs/predictor.md)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pcedge.data.symbolizer import MAX_SYMBOLS
from pcedge.errors import DataError, UsageError

if TYPE_CHECKING:
    from pcedge.data.predictor import Group, Node

MAX_NODES = 1 << 12
#: residuals that have tokens of their own
MAX_LISTED = 1 << 12


def check_ranges(array: NDArray[Any], groups: Sequence[Group], group_of: Sequence[int]) -> None:
    """Check that numbers, (rows, …), are in the ranges of their columns.

    Raises:
        DataError: one is not; the message says which.
    """
    if not array.size:
        return
    flat = array.reshape(len(array), -1)
    of = np.array(group_of)
    for number, group in enumerate(groups):
        part = flat[:, of == number]
        if group.low <= int(part.min()) and int(part.max()) <= group.high:
            continue
        for row, column in itertools.product(range(len(flat)), np.flatnonzero(of == number)):
            if not group.low <= int(flat[row, column]) <= group.high:
                raise DataError(
                    f"row {row}, column {column}: a value must be in {group.low}..{group.high}, "
                    f"got {int(flat[row, column])}"
                )


def check_tree(tree: Sequence[Node], features: int, classes: int) -> None:
    """Check that a tree over so many features leads to every one of so many classes.

    Raises:
        UsageError: it does not.
    """
    if not 1 <= classes <= MAX_SYMBOLS or len(tree) > MAX_NODES:
        raise UsageError(
            f"a predictor must have 1..{MAX_SYMBOLS} classes and at most {MAX_NODES} nodes, "
            f"got {classes} and {len(tree)}"
        )
    if not tree and classes > 1:
        raise UsageError("without a tree there must be one class")
    reached = []
    for number, node in enumerate(tree):
        if not 0 <= node.feature < features:
            raise UsageError(f"node {number} must compare a feature of 0..{features - 1}, got {node.feature}")
        for child in (node.below, node.above):
            if not (number < child < len(tree) or -classes <= child < 0):
                raise UsageError(f"node {number} must lead to a later node or to a class, got {child}")
            reached.append(child)
    if sorted(child for child in reached if child >= 0) != list(range(1, len(tree))):
        raise UsageError("every node but the first must be reached once")
    if tree and {-1 - child for child in reached if child < 0} != set(range(classes)):
        raise UsageError("every class must be reached")


def check_listed(listed: Sequence[int]) -> None:
    """Check residuals that have tokens of their own: ascending, signed numbers of 64 bits.

    Raises:
        UsageError: they are not.
    """
    ascending = all(a < b for a, b in itertools.pairwise(listed))
    if len(listed) > MAX_LISTED or not ascending or any(not -(1 << 63) <= entry < 1 << 63 for entry in listed):
        raise UsageError(f"listed residuals must ascend, be of 64 bits, and at most {MAX_LISTED}, got {len(listed)}")
