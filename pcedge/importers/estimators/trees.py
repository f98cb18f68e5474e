"""Trees and forests as densities: a leaf is a box of the features with a share of the data and of every class.

A tree is a deterministic circuit: one component a leaf, which no other overlaps. A forest is the mixture of its trees
(Correia, Peharz and de Campos, "Joints in random forests", NeurIPS 2020).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcedge.arrays import FloatArray, IntArray
from pcedge.data.value_grid import Axis, ValueGrid
from pcedge.errors import FormatError, UsageError
from pcedge.importers.estimators.assembling import Variable, class_variable, mixture_draft
from pcedge.importers.estimators.classifiers import above
from pcedge.importers.estimators.parameters import RULE, Choices, Described, floats, logarithms
from pcedge.importers.graph import MAX_TABLE
from pcedge.importers.normalise import Draft

#: the fields of a node that are read
_FIELDS = ("left_child", "right_child", "feature", "threshold", "weighted_n_node_samples")

#: records that the boxes' uniform densities weigh as much as, beside those of the data
_PRIOR = 1.0


@dataclass(frozen=True, eq=False)
class _Boxes:
    """Hold the leaves of one tree: the box of each, its share of the data, and its values."""

    #: what lies in a box: low < x <= high of each feature, (leaves, features)
    low: FloatArray
    high: FloatArray
    #: (leaves,), sum to one
    share: FloatArray
    #: of each class, (leaves, classes)
    value: FloatArray


def classifier(estimator: Described, choices: Choices) -> Draft:
    """Map a tree, or a forest of trees, that classifies: p(features, class)."""
    labels = estimator.labels()
    trees = estimator.children("estimators_") if "estimators_" in estimator.attributes else [estimator]
    features = _features(estimator)
    boxes = [_boxes(tree, choices, features, None, len(labels)) for tree in trees]
    return _draft(estimator, choices, boxes, features, labels)


def isolation_forest(estimator: Described, choices: Choices) -> Draft:
    """Map an isolation forest: each leaf's share of the sample over its box's volume, the mean of all trees.

    The forest's own score tells how deep a record's leaves lie; this tells how dense they are.
    """
    features = _features(estimator)
    trees = estimator.children("estimators_")
    places = estimator.get("estimators_features_") or [np.arange(features)] * len(trees)
    if len(places) != len(trees):
        raise FormatError(RULE, f"{estimator.kind} must name the features of each of its {len(trees)} trees")
    boxes = [_boxes(tree, choices, features, np.asarray(place), 1) for tree, place in zip(trees, places, strict=True)]
    choices.no_steps(estimator)
    names = choices.names_for(estimator, features)
    data = _data(choices, features)
    low, high, weights = _joined(boxes)
    variables = []
    for column, name in enumerate(names):
        thresholds = _thresholds(low[:, column], high[:, column])
        first, last = _ends(thresholds, None if data is None else data[np.isfinite(data[:, column]), column])
        edges = np.linspace(first, last, choices.gridding.symbols + 1)
        axis = Axis(name, column, "bins", tuple(edges.tolist()), outside=choices.gridding.outside)
        box = np.clip(np.stack([low[:, column], high[:, column]]), first, last)
        # A box of no width within the ends is a point at one of them.
        held = np.minimum(box[1][:, None], edges[1:]) - np.maximum(box[0][:, None], edges[:-1])
        tables = np.maximum(held, 0.0)
        flat = np.flatnonzero(~(tables.sum(axis=1) > 0))
        tables[flat, np.clip(np.searchsorted(edges, box[0][flat]) - 1, 0, axis.symbols - 1)] = 1.0
        variables.append(Variable(axis, tables / tables.sum(axis=1, keepdims=True)))
    _within(len(weights), [variable.axis for variable in variables])
    return mixture_draft(estimator.kind, logarithms(weights), variables)


def _features(estimator: Described) -> int:
    features = estimator.whole("n_features_in_")
    if not 1 <= features <= 1 << 20:
        raise FormatError(RULE, f"{estimator.kind}.n_features_in_ must be in 1..{1 << 20}, got {features}")
    return features


def _boxes(
    estimator: Described, choices: Choices, features: int, places: NDArray[np.generic] | None, classes: int
) -> _Boxes:
    """Walk a tree and give its leaves."""
    tree = estimator.need("tree_")
    nodes = tree.get("nodes") if isinstance(tree, Described) else None
    if not isinstance(nodes, np.ndarray) or nodes.ndim != 1 or not set(_FIELDS) <= set(nodes.dtype.names or ()):
        raise FormatError(RULE, f"{estimator.kind}.tree_ must have nodes with the fields {', '.join(_FIELDS)}")
    count = len(nodes)
    left, right, feature = (nodes[name].astype(np.int64) for name in _FIELDS[:3])
    threshold, weight = (floats(nodes[name], f"{name} of {estimator.kind}", count) for name in _FIELDS[3:])
    values = floats(tree.get("values"), f"values of {estimator.kind}", count, None, None)
    if values.shape[1] != 1:
        raise FormatError(RULE, f"{estimator.kind} must have one output, it has {values.shape[1]}")
    if classes > 1 and values.shape[2] != classes:
        raise FormatError(RULE, f"{estimator.kind} must have values of {classes} classes, got {values.shape[2]}")
    used = feature if places is None else _mapped(places, feature, left, features, estimator.kind)
    if count * features > MAX_TABLE:
        raise FormatError("import-size", f"the boxes of a tree must hold {MAX_TABLE} numbers at most")
    choices.room(count, features)
    low, high = np.full((count, features), -np.inf), np.full((count, features), np.inf)
    reached = np.zeros(count, dtype=bool)
    reached[0] = True
    leaves = []
    for node in range(count):  # children stand behind their parents
        if not reached[node]:
            continue
        if left[node] < 0:
            leaves.append(node)
            continue
        for child in (left[node], right[node]):
            if not node < child < count or reached[child] or not 0 <= used[node] < features:
                raise FormatError(RULE, f"node {node} of {estimator.kind} must have a feature and two nodes behind it")
            reached[child] = True
            low[child], high[child] = low[node], high[node]
        place = used[node]
        high[left[node], place] = min(high[node, place], threshold[node])
        low[right[node], place] = max(low[node, place], threshold[node])
    share = np.maximum(weight[leaves], 0.0)
    if not share.sum() > 0:
        raise FormatError(RULE, f"the leaves of {estimator.kind} must hold data")
    value = np.maximum(values[leaves, 0, :classes], 0.0)
    sums = value.sum(axis=1, keepdims=True)
    value = np.where(sums > 0, value / np.where(sums > 0, sums, 1.0), 1 / classes)
    return _Boxes(low[leaves], high[leaves], share / share.sum(), value)


def _mapped(places: NDArray[np.generic], feature: IntArray, left: IntArray, features: int, kind: str) -> IntArray:
    """Give the forest's features for a tree's."""
    if places.ndim != 1 or places.dtype.kind not in "iu" or (places.astype(np.int64) >= features).any():
        raise FormatError(RULE, f"the features of a tree of {kind} must be in 0..{features - 1}")
    inner = left >= 0
    if (feature[inner] < 0).any() or (feature[inner] >= len(places)).any():
        raise FormatError(RULE, f"a tree of {kind} must split {len(places)} features")
    mapped = np.full(len(feature), -1)
    mapped[inner] = places.astype(np.int64)[feature[inner]]
    return mapped


def _draft(
    estimator: Described, choices: Choices, trees: list[_Boxes], features: int, labels: Sequence[str | int | float]
) -> Draft:
    choices.no_steps(estimator)
    names = choices.names_for(estimator, features)
    data = _data(choices, features)
    low, high, weights = _joined(trees)
    axes = []
    for column, name in enumerate(names):
        values = None if data is None else data[np.isfinite(data[:, column]), column]
        edges = _edges(_thresholds(low[:, column], high[:, column]), values, choices.gridding.symbols, name)
        axes.append(Axis(name, column, "bins", tuple(edges.tolist()), outside=choices.gridding.outside))
    _within(len(weights), axes)
    records = None if data is None else ValueGrid(tuple(axes)).symbols_of(data[:, :features], allow_missing=True)
    spans = [_spans(axis, low[:, column], high[:, column]) for column, axis in enumerate(axes)]
    inside = None if records is None else _members(records, spans)
    variables = [
        Variable(axis, _tables(axis, span, None if records is None else records[:, column], inside))
        for column, (axis, span) in enumerate(zip(axes, spans, strict=True))
    ]
    if labels:
        variables.append(class_variable(features, labels, np.concatenate([tree.value for tree in trees])))
    notes = (
        ("within a leaf's box the density is uniform; with data it is that of the data in it",) if data is None else ()
    )
    return mixture_draft(estimator.kind, logarithms(weights), variables, notes)


def _data(choices: Choices, features: int) -> FloatArray | None:
    data = choices.gridding.data
    if data is not None and (data.ndim != 2 or data.shape[1] < features):
        raise UsageError(f"the data of a grid must have {features} columns, they have shape {data.shape}")
    return data


def _joined(trees: list[_Boxes]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Give the boxes of all trees, and what each weighs in the mixture."""
    low, high = (np.concatenate([getattr(tree, end) for tree in trees]) for end in ("low", "high"))
    return low, high, np.concatenate([tree.share for tree in trees]) / len(trees)


def _within(boxes: int, axes: Sequence[Axis]) -> None:
    if boxes * sum(axis.symbols for axis in axes) > MAX_TABLE:
        raise FormatError("import-size", f"all leaf tables together must hold {MAX_TABLE} numbers at most")


def _thresholds(low: FloatArray, high: FloatArray) -> FloatArray:
    bounds = np.concatenate([low, high])
    return np.unique(bounds[np.isfinite(bounds)])


def _ends(thresholds: FloatArray, values: FloatArray | None) -> tuple[float, float]:
    """Give the ends of a feature's grid: as far beyond the thresholds as they span, and all data."""
    ends = np.zeros(0) if values is None else values
    if len(thresholds):
        span = float(thresholds[-1] - thresholds[0]) or max(1.0, abs(float(thresholds[0])))
        ends = np.concatenate([ends, [thresholds[0] - span, thresholds[-1] + span]])
    if not len(ends):
        return -1.0, 1.0  # no tree looks at it: it says nothing
    first, last = float(ends.min()), float(ends.max())
    return (first, last) if first < last else (first - max(1.0, abs(first)), last + max(1.0, abs(last)))


def _edges(thresholds: FloatArray, values: FloatArray | None, symbols: int, name: str) -> FloatArray:
    """Give a feature's edges: its thresholds, ends beyond, and with data their quantiles between."""
    inner = np.unique([above(threshold) for threshold in thresholds.tolist()])
    if len(inner) + 1 > symbols:
        raise UsageError(
            f"feature {name!r} has {len(inner)} different thresholds: the symbols of a grid must be {len(inner) + 1} "
            f"or more, got {symbols}"
        )
    first, last = _ends(inner, values)
    # A feature that no tree looks at has two symbols: they say nothing of it, but that it was there.
    edges = np.concatenate([[first], inner if len(inner) else [(first + last) / 2], [last]])
    room = symbols - (len(edges) - 1)
    if values is not None and len(values) and room > 0:
        between = np.quantile(values, np.linspace(0, 1, room + 2)[1:-1])
        apart = 1e-6 * (last - first)
        between = np.unique(between[(np.abs(between[:, None] - edges).min(axis=1) > apart)])
        edges = np.unique(np.concatenate([edges, between]))
    return edges


def _spans(axis: Axis, low: FloatArray, high: FloatArray) -> IntArray:
    """Give the symbols that each box holds of a feature: the first, and one behind the last, (boxes, 2)."""
    edges = np.asarray(axis.edges)
    first = np.array([0 if np.isinf(end) else np.searchsorted(edges, above(float(end))) for end in low.tolist()])
    last = np.array(
        [axis.symbols if np.isinf(end) else np.searchsorted(edges, above(float(end))) for end in high.tolist()]
    )
    return np.stack([first, last], axis=1).astype(np.int64)


def _members(records: IntArray, spans: list[IntArray]) -> NDArray[np.bool_]:
    """Tell which records lie in which box, (boxes, records); a missing value lies in every box."""
    inside = np.ones((len(spans[0]), len(records)), dtype=bool)
    for column, span in zip(records.T, spans, strict=True):
        inside &= (column < 0) | ((column >= span[:, :1]) & (column < span[:, 1:]))
    return inside


def _tables(axis: Axis, span: IntArray, column: IntArray | None, inside: NDArray[np.bool_] | None) -> FloatArray:
    """Give the probabilities of the symbols in every box: by their widths, and by the data in the box."""
    widths = np.diff(np.asarray(axis.edges))
    numbers = np.arange(axis.symbols)
    held = (numbers >= span[:, :1]) & (numbers < span[:, 1:])
    uniform = np.where(held, widths, 0.0)
    sums = uniform.sum(axis=1, keepdims=True)
    uniform = uniform / np.where(sums > 0, sums, 1.0)
    if column is None or inside is None:
        return uniform
    there = column >= 0
    one_hot = (column[there, None] == numbers).astype(np.float64)
    counts = inside[:, there].astype(np.float64) @ one_hot
    tables: FloatArray = counts + _PRIOR * uniform
    return np.asarray(tables / tables.sum(axis=1, keepdims=True))
