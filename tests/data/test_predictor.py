"""The predictor stage: equal to docs/predictor.md in plain integers, reversible, and refused where a rule is broken."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from pcedge.data.maps import map_from_json, symbols_of
from pcedge.data.prediction import Plan, centred, forward, restored
from pcedge.data.predictor import Adaptation, Feature, Group, Node, Predictor
from pcedge.data.tokens import join, raw_bits, split
from pcedge.errors import DataError, UsageError

NARROW = Group(-(2**15), 2**15 - 1, 10, (65536, -30000, 20000, 0), 5 << 16)
WIDE = Group(-(2**63), 2**63 - 1, -3, (1, 0, -1, 2))

STAGE = Predictor(
    "int16", (2, 3), (NARROW, replace(NARROW, coefficients=(0, 0, 0, 70000), origin=-4)), (0, 0, 1, 1, 0, 0),
    ((1, 0, 0), (2, 0, 0), (0, 1, -1), (0, 0, 1)), Adaptation(((1, 0, 0), (0, 0, 1), (0, 1, 1)), 6),
    (
        Feature("activity", ((1, 0, 0), (0, 0, 1)), (2, 1)), Feature("column"), Feature("slope", ((0, 0, 1),)),
        Feature("gradient", ((1, 0, 0), (1, 0, 1), (0, 0, 1), (1, 0, 1))), Feature("prediction"),
        Feature("value", ((1, 0, -1),), (-3,)), Feature("residual", ((1, 0, 0), (2, 0, 0)), (1, 1)),
    ),
    (
        Node(0, 100, 1, 2), Node(2, -5, -1, -2), Node(3, 60, 3, 4), Node(5, 7, -3, -4), Node(6, 0, -5, 5),
        Node(1, 2, 6, -6), Node(4, 0, -7, -8),
    ),
    tuple((bias, shift) for bias, shift in zip((0, 3, -2, 1, 0, 9, 0, 40), (0, 1, 2, 3, 0, 4, 0, 1), strict=True)),
    20, 16,
)  # fmt: skip


def length(number: int) -> int:
    return number.bit_length()


def held(number: int, low: int, high: int) -> int:
    return max(low, min(high, number))


def plain(stage: Predictor, x: Any) -> tuple[list[int], list[int]]:
    """Restate docs/predictor.md in plain integers: classes and residuals of all cells of one lane, in order."""
    sizes = x.shape
    values: dict[tuple[int, ...], int] = {}
    first: dict[tuple[int, ...], int] = {}
    residual: dict[tuple[int, ...], int] = {}
    limit, most = 2**31 - 1, 2**21 - 1
    inputs = stage.adaptation.neighbours if stage.adaptation else ()
    weights = {group: [0] * len(inputs) for group in range(len(stage.groups))}
    classes, residuals = [], []
    for column_of, cell in zip(
        itertools.cycle(range(stage.columns)), itertools.product(*map(range, sizes)), strict=False
    ):
        group = stage.groups[stage.group_of[column_of]]

        def seen(source: dict[tuple[int, ...], int], offset: tuple[int, ...], at: tuple[int, ...] = cell) -> int:
            return source.get(tuple(a - o for a, o in zip(at, offset, strict=True)), 0)

        def small(source: dict[tuple[int, ...], int], offset: tuple[int, ...]) -> int:
            return held(seen(source, offset), -limit, limit)

        low, high = group.low - group.origin, group.high - group.origin
        far = 2**63 if group.wide else 2**32 - 1
        around = [held(seen(values, o), -far, far) for o in stage.neighbours]
        p = sum(a * v for a, v in zip(group.coefficients, around, strict=True))
        number = int(x[cell]) - group.origin
        if group.wide:
            q = p
        else:
            q = p = held((p + group.constant + 2**15) >> 16, low, high)
            if stage.adaptation:
                w = weights[stage.group_of[column_of]]
                r = [small(first, o) for o in inputs]
                q = held(p + ((sum(a * b for a, b in zip(w, r, strict=True)) + 2**15) >> 16), low, high)
                e = number - q
                shift = length(sum(map(abs, r)))
                gain = 16 - stage.adaptation.rate + length(len(r) - 1)
                for j, entry in enumerate(r):
                    sign = (e > 0) - (e < 0), (entry > 0) - (entry < 0)
                    w[j] = held(w[j] + sign[0] * sign[1] * ((abs(entry) << gain) >> shift), -most, most)
        features = []
        for feature in stage.features:
            f = {
                "column": lambda _: column_of,  # noqa: B023
                "prediction": lambda _: held(q, -limit, limit),  # noqa: B023
                "slope": lambda f: held(q, -limit, limit) - small(values, f.neighbours[0]),  # noqa: B023
                "value": lambda f: sum(w * small(values, o) for o, w in zip(f.neighbours, f.weights, strict=True)),
                "residual": lambda f: sum(w * small(residual, o) for o, w in zip(f.neighbours, f.weights, strict=True)),
                "activity": lambda f: sum(
                    w * abs(small(residual, o)) for o, w in zip(f.neighbours, f.weights, strict=True)
                ),
                "gradient": lambda f: sum(
                    abs(small(values, a) - small(values, b))
                    for a, b in zip(f.neighbours[::2], f.neighbours[1::2], strict=True)
                ),
            }[feature.kind]
            features.append(f(feature))
        node = 0 if stage.tree else -1
        while node >= 0:
            entry = stage.tree[node]
            node = entry.below if features[entry.feature] <= entry.threshold else entry.above
        wrap = (number - q + 2**63) % 2**64 - 2**63
        values[cell], residual[cell] = (number + 2**63) % 2**64 - 2**63, wrap
        first[cell] = wrap if group.wide else number - p
        classes.append(-1 - node)
        residuals.append(wrap)
    return classes, residuals


def token(stage: Predictor, k: int, e: int) -> tuple[int, int, int]:
    """Restate the split of a residual: token, raw bits, how many."""
    bias, shift = stage.classes[k]
    v, low = (e - bias) >> shift, (e - bias) & ((1 << shift) - 1)
    if -stage.centre <= v < stage.centre:
        return stage.escapes + stage.centre + v, low, shift
    g = v - stage.centre + 1 if v >= stage.centre else -stage.centre - v
    n = length(g)
    at = stage.escapes + 2 * stage.centre + n - 1 if v >= stage.centre else stage.escapes - n
    return at, ((g & ((1 << (n - 1)) - 1)) << shift) | low, n - 1 + shift


def walk(seed: int, rows: int, stage: Predictor = STAGE) -> Any:
    generator = np.random.default_rng(seed)
    steps = generator.integers(-60, 61, (rows, *stage.shape)).cumsum(axis=0)
    jumps = np.where(generator.random(steps.shape) < 0.02, generator.integers(-30000, 30000, steps.shape), 0)
    return np.clip(steps + jumps, -(2**15), 2**15 - 1).astype(stage.dtype)


class TestArithmetic:
    @pytest.mark.parametrize("stage", [STAGE, replace(STAGE, adaptation=None)])
    def test_equals_plain_integers(self, stage: Predictor) -> None:
        x = walk(0, 40)
        classes, residuals = forward(stage, centred(stage, x)[None])
        expected = plain(stage, x)
        assert_array_equal(classes.ravel(), expected[0])
        assert_array_equal(residuals.ravel(), expected[1])
        assert len(set(expected[0])) > 5

    def test_numbers_of_64_bits_wrap(self) -> None:
        stage = Predictor(
            "int64", (2,), (WIDE, replace(NARROW, coefficients=(0, 65536, 0, 0))), (0, 1),
            ((1, 0), (1, 1), (2, 0), (2, 1)), Adaptation(((1, 0), (0, 1)), 5),
            (Feature("value", ((1, 0),), (1,)), Feature("activity", ((1, 0),), (1,))),
            (Node(0, 0, 1, -1), Node(1, 5, -2, -3)), ((0, 0), (5, 3), (0, 60)), 8, 63,
        )  # fmt: skip
        generator = np.random.default_rng(1)
        x = np.stack([generator.integers(-(2**63), 2**63, 50), generator.integers(-(2**15), 2**15, 50)], axis=1)
        x[:2, 0] = -(2**63), 2**63 - 1
        classes, residuals = forward(stage, centred(stage, x)[None])
        expected = plain(stage, x)
        assert_array_equal(classes.ravel(), expected[0])
        assert_array_equal(residuals.ravel(), expected[1])
        plan = Plan(stage, 0)
        tokens, raw, bits = split(plan, classes, residuals)
        assert_array_equal(join(plan, classes, tokens, raw), residuals)
        assert_array_equal(raw_bits(plan, classes, tokens), bits)

    @given(st.integers(0, 7), st.integers(-(2**16), 2**16))
    def test_tokens_equal_plain_integers(self, k: int, e: int) -> None:
        plan, classes = Plan(STAGE, 0), np.array([k])
        tokens, raw, bits = split(plan, classes, np.array([e]))
        assert (tokens[0], raw[0], bits[0]) == token(STAGE, k, e)
        assert_array_equal(join(plan, classes, tokens, raw), [e])

    def test_tokens_ascend_with_residuals(self) -> None:
        residuals = np.arange(-(2**16), 2**16)
        tokens, _, _ = split(Plan(STAGE, 0), np.full(len(residuals), 1), residuals)
        assert (np.diff(tokens) >= 0).all()
        assert 0 <= tokens.min() and tokens.max() < STAGE.cardinalities[1]

    @settings(max_examples=20)
    @given(st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 12))
    def test_lanes_are_apart(self, seed: int, lanes: int, rows: int) -> None:
        blocks = np.stack([centred(STAGE, walk(seed + lane, rows)) for lane in range(lanes)])
        together = forward(STAGE, blocks)
        for lane in range(lanes):
            alone = forward(STAGE, blocks[lane : lane + 1])
            assert_array_equal(together[0][lane], alone[0][0])
            assert_array_equal(together[1][lane], alone[1][0])

    def test_data_come_back(self) -> None:
        x = walk(3, 9)
        assert_array_equal(restored(STAGE, centred(STAGE, x)), x)
        unsigned = Predictor(
            "uint64", (1,), (Group(0, 2**64 - 1, 2**63, ()),), (0,), (), None, (), (), ((0, 0),), 8, 63
        )
        ends = np.array([[0], [2**64 - 1], [2**63]], dtype=np.uint64)
        assert_array_equal(restored(unsigned, centred(unsigned, ends)), ends)

    def test_symbols_are_classes_and_tokens(self) -> None:
        records = symbols_of(STAGE, walk(0, 4))
        assert records.shape == (24, 2)
        assert symbols_of(STAGE, walk(0, 4)[:0]).shape == (0, 2)


class TestForms:
    def test_json_comes_back(self) -> None:
        assert map_from_json(STAGE.to_json()) == STAGE
        described = json.loads(STAGE.to_json())
        assert described["group_of"] == [[0, 2], [1, 2], [0, 2]]

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            ({"kind": "other"}, "a predictor must be an object of"),
            ({"version": 3}, "a predictor must be of version 2, got 3"),
            ({"centre": "8"}, "centre must be an integer of at most 64 bits, got 8"),
            ({"tree": [[0]]}, "tree and classes must be columns of one length, 4 and 2 of them"),
            ({"group_of": [[0, 1 << 40]]}, "group_of must be runs of a group and how many columns it has"),
            ({"features": [{"kind": "column"}]}, "a predictor's feature must be an object of"),
            ({"groups": 3}, "groups must be a list, got 3"),
        ],
    )
    def test_damaged_json(self, change: dict[str, Any], text: str) -> None:
        described = json.loads(STAGE.to_json()) | change
        with pytest.raises(UsageError, match=text):
            map_from_json(json.dumps(described))


class TestErrors:
    @pytest.mark.parametrize(
        ("change", "text"),
        [
            ({"dtype": "float32"}, "the dtype of a predictor must be one of"),
            ({"neighbours": ((0, 0, 0),) * 4}, "neighbours must come before the number, at most 64"),
            ({"neighbours": ((0, -1, 1),) * 4}, "neighbours must come before the number, at most 64"),
            ({"groups": (NARROW,)}, "every one of 6 columns must have a group of 0..0, and every group one"),
            ({"groups": (replace(NARROW, coefficients=(1,)),) * 2}, "group 0 must have a coefficient for each of 4"),
            ({"groups": (replace(NARROW, high=2**15),) * 2}, "group 0: the range must ascend within -32768..32767"),
            ({"groups": (replace(NARROW, origin=2**16),) * 2}, "group 0: the origin must be in -32768..32767"),
            ({"groups": (replace(NARROW, constant=2**48),) * 2}, "group 0: the constant must be below 2\\^48"),
            ({"tree": (Node(0, 0, 0, -1),)}, "node 0 must lead to a later node or to a class, got 0"),
            ({"tree": (Node(9, 0, -1, -2),)}, "node 0 must compare a feature of 0..6, got 9"),
            ({"tree": ()}, "without a tree there must be one class"),
            ({"escapes": 3}, "the range of the data must have 16 escapes, got 3"),
            ({"classes": ((0, 61),) * 8}, "class 0 must have a bias below 2\\^40 and a shift in 0..60, got 0, 61"),
            ({"adaptation": Adaptation((), 6)}, "an adaptation must have neighbours and a rate in 1..16, got 0 and 6"),
            ({"features": (Feature("gradient", ((1, 0, 0),)),) * 7}, "feature gradient must have the neighbours"),
        ],
    )
    def test_rules(self, change: dict[str, Any], text: str) -> None:
        with pytest.raises(UsageError, match=text):
            replace(STAGE, **change)

    def test_data_that_do_not_fit(self) -> None:
        with pytest.raises(DataError, match=r"data must have shape \(rows, 2, 3\) for this predictor, got \(4, 6\)"):
            symbols_of(STAGE, np.zeros((4, 6), dtype=np.int16))
        with pytest.raises(DataError, match="data must be a plain array of integers, got float64"):
            symbols_of(STAGE, np.zeros((4, 2, 3)))
        narrow = replace(STAGE, groups=(replace(NARROW, low=0, origin=5), STAGE.groups[1]))
        x = np.zeros((4, 2, 3), dtype=np.int64)
        x[2, 1, 1] = -7
        with pytest.raises(DataError, match=r"row 2, column 4: a value must be in 0\.\.32767, got -7"):
            symbols_of(narrow, x)
