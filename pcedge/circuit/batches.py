"""Arrays of many layers, some at a time: a deep circuit has some hundred thousand layers of a few numbers each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: entries of a batch, unless one array alone has more: bounds the memory, and keeps a batch in the processor's cache
BATCH_ENTRIES = 1 << 17


def alike(arrays: Sequence[NDArray[Any]]) -> Iterator[list[int]]:
    """Give batches of the numbers of arrays of one shape and dtype, ascending; every array is in one batch."""
    kinds: dict[tuple[tuple[int, ...], np.dtype[Any]], list[int]] = {}
    for number, array in enumerate(arrays):
        kinds.setdefault((array.shape, array.dtype), []).append(number)
    for (shape, _), numbers in kinds.items():
        size = max(1, BATCH_ENTRIES // max(1, int(np.prod(shape))))
        yield from (numbers[first : first + size] for first in range(0, len(numbers), size))


def stacked(arrays: Sequence[NDArray[Any]]) -> Iterator[tuple[list[int], NDArray[Any]]]:
    """Put arrays of one shape and dtype together.

    Returns:
        For each batch the numbers of its arrays, ascending, and the arrays, (arrays, …); every array is in one batch.

    Example:
        >>> [(numbers, batch.shape) for numbers, batch in stacked([np.zeros(2), np.zeros(3), np.ones(2)])]
        [([0, 2], (2, 2)), ([1], (1, 3))]
    """
    for numbers in alike(arrays):
        first = arrays[numbers[0]]
        if len(numbers) == 1:
            yield numbers, first[None]
        else:
            flat = np.concatenate([arrays[number].reshape(-1) for number in numbers])
            yield numbers, flat.reshape(len(numbers), *first.shape)


def neighbours(sizes: Sequence[int]) -> Iterator[range]:
    """Cut a list of arrays of so many entries into batches of neighbours.

    Example:
        >>> list(neighbours([BATCH_ENTRIES, 1, 2]))
        [range(0, 1), range(1, 3)]
    """
    first, total = 0, 0
    for number, size in enumerate(sizes):
        if number > first and total + size > BATCH_ENTRIES:
            yield range(first, number)
            first, total = number, 0
        total += size
    if first < len(sizes):
        yield range(first, len(sizes))
