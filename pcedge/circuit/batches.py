"""Arrays of many layers, some at a time: a deep circuit has some hundred thousand layers of a few numbers each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: entries of a batch, unless one array alone has more: bounds the memory, and keeps a batch in the processor's cache
BATCH_ENTRIES = 1 << 17


def stacked(arrays: Sequence[NDArray[Any]]) -> Iterator[tuple[list[int], NDArray[Any]]]:
    """Put arrays of one shape and dtype together.

    Returns:
        For each batch the numbers of its arrays, ascending, and the arrays, (arrays, …); every array is in one batch.

    Example:
        >>> [(numbers, batch.shape) for numbers, batch in stacked([np.zeros(2), np.zeros(3), np.ones(2)])]
        [([0, 2], (2, 2)), ([1], (1, 3))]
    """
    alike: dict[tuple[tuple[int, ...], np.dtype[Any]], list[int]] = {}
    for number, array in enumerate(arrays):
        alike.setdefault((array.shape, array.dtype), []).append(number)
    for (shape, _), numbers in alike.items():
        size = max(1, BATCH_ENTRIES // max(1, int(np.prod(shape))))
        for first in range(0, len(numbers), size):
            chosen = numbers[first : first + size]
            if len(chosen) == 1:
                yield chosen, arrays[chosen[0]][None]
            else:
                flat = np.concatenate([arrays[number].reshape(-1) for number in chosen])
                yield chosen, flat.reshape(len(chosen), *shape)


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
