"""The check of numbers against the ranges of the groups of a predictor stage."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pcedge.errors import DataError

if TYPE_CHECKING:
    from pcedge.data.predictor import Group


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
