"""Candidates of a predictor stage: which neighbours may predict a number, and which features may choose its class."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from pcedge.data.predictor import Feature, Offset

#: how far back along one axis a neighbour is tried
FAR = 32
#: neighbours in a box: steps in all, along all axes
NEAR = 3
#: columns of the same row that come before
COLUMNS = 8

MOST = 60


def pool(rows: int, shape: Sequence[int]) -> list[Offset]:
    """List the neighbours that are tried for data of some rows of a shape, the nearest first."""
    sizes = (rows, *shape)
    axes = [axis for axis, size in enumerate(sizes) if size > 1]
    found: dict[Offset, float] = {}

    def add(steps: dict[int, int], cost: float) -> None:
        offset = tuple(steps.get(axis, 0) for axis in range(len(sizes)))
        first = next((step for step in offset if step), 0)
        if first > 0 and all(abs(step) < size for step, size in zip(offset, sizes, strict=True)):
            found.setdefault(offset, cost)

    for axis in axes:
        for step in range(1, FAR + 1):
            add({axis: step}, step)
    box = range(-NEAR, NEAR + 1)
    for steps in itertools.product(box, repeat=min(len(axes), 4)):
        distance = sum(map(abs, steps))
        if 1 < distance <= NEAR:
            add(dict(zip(axes, steps, strict=False)), distance + 0.5)
    if len(axes) == 2 and shape and max(shape) <= 4 * COLUMNS:
        # Few channels: every other channel, now and before.
        for lag, step in itertools.product(range(4), range(-COLUMNS, COLUMNS + 1)):
            add({axes[0]: lag, axes[1]: step}, lag + min(abs(step), 3) + 0.75)
    nearest = sorted(found, key=lambda offset: (found[offset], offset))
    return nearest[:MOST]


def features(rows: int, shape: Sequence[int]) -> list[Feature]:
    """List the features that are tried."""
    sizes = (rows, *shape)
    axes = [axis for axis, size in enumerate(sizes) if size > 1]

    def unit(axis: int, step: int = 1) -> Offset:
        return tuple(step if a == axis else 0 for a in range(len(sizes)))

    listed = [Feature("prediction")]
    if len(axes) > 1 or (axes and axes[0] > 0):
        listed.append(Feature("column"))
    every: list[Offset] = []
    for axis in axes:
        reach = min(sizes[axis] - 1, 16)
        along = [unit(axis, step) for step in range(1, reach + 1)]
        every += along[:2]
        listed += [Feature("slope", (along[0],)), Feature("residual", (along[0],), (1,))]
        if axis or len(axes) == 1:
            listed += [Feature("residual", tuple(along[:3]), (1,) * len(along[:3]))]
        listed += [Feature("value", (offset,), (1,)) for offset in along[: COLUMNS if axis else 2]]
        if axis:
            listed += [Feature("residual", (offset,), (1,)) for offset in along[1:COLUMNS]]
            listed += [Feature("value", (offset,), (1,)) for offset in along[COLUMNS - 1 :: COLUMNS]]
        listed.append(Feature("activity", tuple(along[:2]), (2, 1)[: len(along[:2])]))
        listed.append(Feature("activity", tuple(along[:6]), (3, 2, 2, 1, 1, 1)[: len(along[:6])]))
        if reach > 6:
            listed.append(Feature("activity", tuple(along), (1,) * len(along)))
        if reach > 1:
            listed.append(Feature("gradient", (along[0], along[1])))
    if len(axes) > 1:
        listed += _mixed(sizes, axes, every)
    unique: dict[tuple[object, ...], Feature] = {}
    for feature in listed:
        unique.setdefault((feature.kind, feature.neighbours, feature.weights), feature)
    return list(unique.values())[:MOST]


def _mixed(sizes: Sequence[int], axes: Sequence[int], every: Sequence[Offset]) -> list[Feature]:
    """List features of several axes: what is around a number in every direction."""
    around = []
    for steps in itertools.product((-1, 0, 1), repeat=min(len(axes), 3)):
        offset = [0] * len(sizes)
        for axis, step in zip(axes, steps, strict=False):
            offset[axis] = step
        if next((step for step in offset if step), 0) > 0:
            around.append(tuple(offset))
    around.sort(key=lambda offset: (sum(map(abs, offset)), offset))
    first = [offset for offset in every if sum(map(abs, offset)) == 1]
    listed = [
        Feature("activity", tuple(first), (1,) * len(first)),
        Feature("activity", tuple(every), (2, 1) * len(first) if len(every) == 2 * len(first) else (1,) * len(every)),
        Feature("activity", tuple(around), tuple(2 if sum(map(abs, o)) == 1 else 1 for o in around)),
        Feature("residual", tuple(first), (1,) * len(first)),
    ]
    for a, b in itertools.combinations(first[:3], 2):
        corner = tuple(x + y for x, y in zip(a, b, strict=True))
        listed.append(Feature("gradient", (a, corner)))
        listed.append(Feature("gradient", (b, corner)))
        listed.append(Feature("gradient", (a, corner, b, corner)))
        # The slope from one to the other, as the tree compares signed numbers too.
        listed.append(Feature("value", (a, corner), (1, -1)))
        listed.append(Feature("value", (b, corner), (1, -1)))
    return listed
