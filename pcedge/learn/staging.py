"""Pieces of a predictor stage's search: lanes to look at, stages with new parts, and what they cost."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import FloatArray, IntArray, unmasked
from pcedge.data.columns import Columns
from pcedge.data.prediction import NARROW, Lanes, Plan, observe
from pcedge.data.predictor import (
    COEFFICIENT_BITS,
    MAX_COEFFICIENT,
    NARROW_BITS,
    Group,
    Node,
    Offset,
    Predictor,
)
from pcedge.data.tokens import split
from pcedge.learn.classes import Mixture, count_tokens
from pcedge.learn.contexts import Branch, Growth
from pcedge.learn.peaks import shift_of
from pcedge.learn.regression import Samples, fit, quantized, whole_coefficients

#: records that the order of fields is chosen by, and fields of a record that is ordered
ORDERED, MOST_ORDERED = 1 << 17, 64

#: numbers of a lane, and lanes, in which numbers are looked at
LANE, LANES = 1 << 13, 256

#: products of numbers and neighbours that a regression holds, and numbers of a group that it draws
HELD, DRAWN = 1 << 24, 40_000

#: bytes of an integer circuit's file without tables and stage
BASE_BYTES = 16_500


def ordered(source: Columns, array: NDArray[Any]) -> Columns:
    """Order the fields of records so that those which change least come first: they tell of the others."""
    if source.places is None or len(source.places) > MOST_ORDERED:
        return source
    cells = np.ma.getdata(source.apply(array[:ORDERED])).reshape(-1, len(source.places))
    bits = []
    for column in np.diff(cells, axis=0).T:
        counts = np.unique(column, return_counts=True)[1]
        bits.append(float((counts * np.log2(len(column) / counts)).sum()))
    order = tuple(int(field) for field in np.argsort(bits, kind="stable"))
    return source if order == tuple(range(len(order))) else replace(source, order=order)


def held(cells: NDArray[Any]) -> NDArray[Any]:
    """Put the last number of its column under the mask of every missing one, for what looks at neighbours only."""
    flat, gone = unmasked(cells)
    if gone is None or not gone.any():
        return cells
    flat, lost = flat.reshape(len(flat), -1), gone.reshape(len(flat), -1)
    last = np.maximum.accumulate(np.where(lost, 0, np.arange(len(flat))[:, None]), axis=0)
    return np.ma.MaskedArray(np.take_along_axis(flat, last, axis=0).reshape(cells.shape), gone)


def cut_lanes(numbers: IntArray, most: int, columns: int) -> IntArray:
    """Cut contiguous lanes out of numbers, evenly spread, of at most so many numbers in all; (S, rows, columns).

    Masked numbers stay so.
    """
    rows = len(numbers)
    length = min(rows, max(1, LANE // columns, -(-most // (LANES * columns))))
    count = max(1, min(rows // length, LANES, most // (length * columns)))
    starts = np.linspace(0, rows - length, count).astype(np.int64)
    flat, gone = unmasked(numbers)
    lanes, *masks = (
        np.stack([part[start : start + length] for start in starts]) for part in (flat, gone) if part is not None
    )
    return np.ma.MaskedArray(lanes, masks[0]) if masks else lanes


def with_zeros(groups: Sequence[Group], count: int) -> tuple[Group, ...]:
    """Give groups so many coefficients, all 0."""
    return tuple(replace(group, coefficients=(0,) * count) for group in groups)


def drawn(
    empty: Predictor, numbers: IntArray, offsets: Sequence[Offset], rows: int, generator: np.random.Generator
) -> Samples:
    """Draw numbers of every group of a stage without neighbours, with what lies around them at some offsets.

    Args:
        empty: the stage.
        numbers: (lanes, rows, columns) with the origins off; masked ones are not drawn.
        offsets: where to look.
        rows: rows that the draw stands for.
        generator: draws.
    """
    plan = Plan(
        replace(empty, neighbours=tuple(offsets), groups=with_zeros(empty.groups, len(offsets))), numbers.shape[1]
    )
    distances = plan.distances(offsets)
    lanes = Lanes(plan, len(numbers))
    flat, gone = unmasked(numbers)
    lanes.values[:, plan.cells] = flat
    size = min(max(200, HELD // (len(empty.groups) * (len(offsets) + 1))), DRAWN)
    targets, inputs, counts = [], [], []
    whole_ones: dict[int, tuple[IntArray, IntArray]] = {}
    for group in range(len(empty.groups)):
        of = plan.group_of == group
        places = plan.cells[:, of].ravel()
        there = None if gone is None else np.flatnonzero(~gone[:, :, of].ravel())
        # Each number as often as the others: with replacement a draw leaves out a third of a small set, and what is
        # found hangs on which third.
        every = len(places) * len(numbers) if there is None or not len(there) else there
        picks = np.resize(generator.permutation(every), size)
        lane, place = picks // len(places), places[picks % len(places)]
        targets.append(lanes.values[lane, place])
        around = lanes.values[lane[:, None], place[:, None] - distances]
        if empty.groups[group].wide:
            whole_ones[group] = targets[-1], around
        inputs.append(around if empty.groups[group].wide else np.clip(around, -NARROW, NARROW))
        counts.append(rows * np.count_nonzero(of))
    return Samples(
        np.array(targets, dtype=float), np.array(inputs, dtype=float), np.array(counts, dtype=float), whole_ones
    )


def with_neighbours(empty: Predictor, samples: Samples, offsets: Sequence[Offset], chosen: Sequence[int]) -> Predictor:
    """Give a stage the neighbours that were chosen, and coefficients."""
    found = fit(samples, chosen)
    doubled = {offset: tuple(2 * step for step in offset) for offset in offsets}
    pairs = [(place, list(offsets).index(doubled[o])) for place, o in enumerate(offsets) if doubled[o] in offsets]
    groups = []
    for number, (group, coefficients, constant) in enumerate(
        zip(empty.groups, found.coefficients, found.constants, strict=True)
    ):
        if group.wide:
            targets, inputs = samples.whole[number]
            whole = whole_coefficients(targets, inputs[:, list(chosen)], pairs)
            groups.append(replace(group, coefficients=tuple(whole.tolist()), constant=0))
            continue
        steps = quantized(coefficients, COEFFICIENT_BITS, MAX_COEFFICIENT)
        middle = int(quantized(np.array([constant]), COEFFICIENT_BITS, 1 << (NARROW_BITS + COEFFICIENT_BITS))[0])
        groups.append(replace(group, coefficients=tuple(steps.tolist()), constant=middle))
    return replace(empty, neighbours=tuple(offsets), groups=tuple(groups))


def with_tree(stage: Predictor, entries: Sequence[tuple[int, int, int, int]]) -> Predictor:
    """Give a stage a tree, with the features that it compares."""
    used = sorted({entry[0] for entry in entries})
    place = {feature: index for index, feature in enumerate(used)}
    tree = tuple(Node(place[feature], *rest) for feature, *rest in entries)
    classes = ((0, 0),) * (len(tree) + 1)
    return replace(
        stage, features=tuple(stage.features[index] for index in used), tree=tree, classes=classes,
        escapes=escapes_of(stage.groups, stage.centre),
    )  # fmt: skip


def with_classes(stage: Predictor, classes: IntArray, residuals: IntArray) -> Predictor:
    """Give every class its bias and shift: a residual's middle, and so many low bits that they say nothing."""
    flat, gone = unmasked(residuals)
    of, flat = classes.ravel(), flat.ravel()
    if gone is not None:
        of, flat = of[~gone.ravel()], flat[~gone.ravel()]
    if stage.listed:
        others = ~np.isin(flat, stage.listed)
        of, flat = of[others], flat[others]
    order = np.argsort(of, kind="stable")
    sorted_residuals = flat[order]
    ends = np.cumsum(np.bincount(of, minlength=len(stage.classes)))
    found: list[tuple[int, int]] = []
    spreads = []
    for part in np.split(sorted_residuals, ends[:-1]):
        if not len(part):
            found.append((0, 0))
            continue
        bias = int(np.median(part))
        shift = shift_of(part - bias)
        found.append((max(min(bias, (1 << 40) - 1), 1 - (1 << 40)), min(shift, 60)))
        spreads.append((part.astype(np.float64) - bias) / 2.0**shift)
    beyond = np.abs(np.concatenate(spreads)) if spreads else np.ones(1)
    centre = int(min(128, max(4, math.ceil(float(np.quantile(beyond, 0.998)) + 1))))
    fresh = replace(stage, centre=centre, escapes=64)
    needed = max(fresh.escapes_needed(shift, bias) for bias, shift in found)
    return replace(fresh, classes=tuple(found), escapes=needed)


def escapes_of(groups: Sequence[Group], centre: int) -> int:
    """Give the escapes that the ranges of groups need, with any bias and shift."""
    most = max((1 << 63) if group.wide else group.high - group.low for group in groups)
    return max(0, (most + 2 - centre).bit_length()) if most + 1 >= centre else 0


def merged_classes(growth: Growth, splits: int) -> IntArray:
    """Give the class in the tree of so many splits of every class of the whole tree."""
    merged: list[int] = []
    classes = itertools.count()

    def visit(branch: Branch, inside: int | None) -> None:
        if inside is None and not 0 <= branch.order < splits:
            inside = next(classes)
        if branch.below is None or branch.above is None:
            assert inside is not None
            merged.append(inside)
            return
        visit(branch.below, inside)
        visit(branch.above, inside)

    visit(growth.root, None)
    return np.array(merged, dtype=np.int64)


def described(stage: Predictor, numbers: IntArray) -> tuple[IntArray, IntArray]:
    """Give the features of all numbers that are there, (features, numbers), and their residuals."""
    lanes, predictions = observe(stage, numbers)
    plan = lanes.plan
    places, columns = plan.cells.ravel(), np.tile(np.arange(plan.predictor.columns), plan.rows)
    flat = predictions.reshape(len(predictions), -1)
    table = lanes.describe(columns, places, flat)
    described, residuals = table.reshape(-1, table.shape[-1]).T.astype(np.int64), lanes.residuals[:, places].ravel()
    gone = unmasked(numbers)[1]
    if gone is None or not gone.any():
        return described, residuals
    there = ~gone.ravel()
    return described[:, there], residuals[there]


def class_bits(root: Branch, tokens: IntArray) -> float:
    """Add up the entropies of the leaves of a tree, with what their parameters cost."""
    total = 0.0
    stack = [root]
    while stack:
        branch = stack.pop()
        if branch.below is not None and branch.above is not None:
            stack += [branch.below, branch.above]
            continue
        counts = np.bincount(tokens[branch.rows]).astype(np.float64)
        counts = counts[counts > 0]
        total += float((counts * np.log2(counts.sum() / counts)).sum()) + 0.5 * len(counts) * math.log2(
            len(branch.rows) + 1
        )
    return total


def file_bytes(stage: Predictor, states: int) -> int:
    """Estimate the bytes of the integer circuit's file: its graph, its tables, the stage's text."""
    classes, tokens = stage.cardinalities
    return BASE_BYTES + 2 * states * (classes + tokens + 2) + len(stage.to_json())


@dataclass(frozen=True, eq=False)
class Counted:
    """Hold a stage, and the tokens of its classes in both parts of the data."""

    stage: Predictor
    train: FloatArray
    valid: FloatArray
    #: raw bits of the held-out part, and its numbers
    raw: float
    numbers: int

    @staticmethod
    def of(stage: Predictor, merge: IntArray, parts: Sequence[tuple[IntArray, IntArray]]) -> Counted:
        """Count tokens; `merge` gives the stage's class of the classes of `parts`."""
        (classes, residuals), (judged, left) = ((merge[classes], residuals) for classes, residuals in parts)
        stage = with_classes(stage, classes, residuals)
        drawn, _, raw = split(Plan(stage, 0), judged, left)
        tokens, _, _ = split(Plan(stage, 0), classes, residuals)
        return Counted(
            stage, count_tokens(stage, classes, tokens), count_tokens(stage, judged, drawn), float(raw.sum()), left.size
        )

    def bits(self, mixture: Mixture) -> float:
        """Give the bits a number of the held-out part."""
        return (mixture.bits(self.valid) + self.raw) / self.numbers
