"""A predictor stage as the native engine reads it (docs/predictor.md)."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import IntArray
from pcedge.data.features import STARTS, parts_of
from pcedge.data.prediction import Plan
from pcedge.data.predictor import Feature, Predictor
from pcedge.native.library import PceStage

GROUP = np.dtype([
    ("low", "i8"), ("high", "i8"), ("constant", "i8"), ("wide", "i4"), ("first", "i4"), ("last", "i4"), ("spare", "i4"),
])  # fmt: skip
NODE = np.dtype([("threshold", "i8"), ("feature", "i4"), ("below", "i4"), ("above", "i4"), ("spare", "i4")])
PART = np.dtype([("distance", "i8"), ("other", "i8"), ("weight", "i8"), ("kind", "i4"), ("spare", "i4")])


@dataclass(frozen=True, eq=False)
class Stage:
    """Hold a stage for lanes of at most so many rows, and the arrays that it points at."""

    native: PceStage
    arrays: tuple[NDArray[Any], ...]


def lay_out_stage(predictor: Predictor, rows: int, bounds: IntArray) -> Stage:
    """Lay out a stage.

    Args:
        predictor: the stage.
        rows: of the longest lane.
        bounds: ends of the tokens' intervals, (classes, tokens + 1).
    """
    plan = Plan(predictor, rows)
    groups = np.zeros(len(predictor.groups), dtype=GROUP)
    distances: list[int] = []
    coefficients: list[int] = []
    for number, (group, (near, weights)) in enumerate(zip(predictor.groups, plan.used, strict=True)):
        # Those of wide groups count modulo 2^64.
        low, high = ((end - group.origin + 2**63) % 2**64 - 2**63 for end in (group.low, group.high))
        first = len(distances)
        distances += near.tolist()
        coefficients += weights.tolist()
        groups[number] = (low, high, group.constant, group.wide, first, len(distances), 0)
    adaptation = predictor.adaptation
    inputs = plan.distances(adaptation.neighbours) if adaptation else np.zeros(0, dtype=np.int64)
    starts, firsts, parts = _features(plan, predictor.features)
    nodes = np.array([(n.threshold, n.feature, n.below, n.above, 0) for n in predictor.tree], dtype=NODE)
    biases, shifts = plan.classes
    arrays: tuple[NDArray[Any], ...] = (
        plan.cells.astype(np.int64), plan.group_of.astype(np.int32), groups, np.array(coefficients, dtype=np.int64),
        np.array(distances, dtype=np.int64), inputs, starts, firsts, parts, nodes, biases, shifts.astype(np.int32),
        plan.listed, bounds.astype(np.uint32),
    )  # fmt: skip
    arrays = tuple(np.ascontiguousarray(array) for array in arrays)
    native = PceStage(
        plan.places, predictor.columns, len(groups), len(inputs), len(predictor.features), len(nodes),
        len(predictor.listed), predictor.centre, predictor.escapes, predictor.cardinalities[1],
        adaptation.gain if adaptation else 0,
        int(predictor.missing_token is not None), 0,
        *(ctypes.c_void_p(array.ctypes.data) for array in arrays),
    )  # fmt: skip
    return Stage(native, arrays)


def _features(plan: Plan, features: Sequence[Feature]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Give where features begin, their first parts, and all parts."""
    parts: list[tuple[int, int, int, int, int]] = []
    firsts = [0]
    for feature in features:
        parts += [
            (part.distance, part.other, part.weight, part.kind, 0)
            for part in parts_of(feature, lambda offset: int(plan.distances([offset])[0]))
        ]
        firsts.append(len(parts))
    starts = np.array([STARTS.get(feature.kind, 0) for feature in features], dtype=np.int32)
    return starts, np.array(firsts, dtype=np.int32), np.array(parts, dtype=PART)
