"""Streams of data whose predictor stage has columns, missing numbers, or listed residuals."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from pcedge.arrays import unmasked
from pcedge.codec import check_stream
from pcedge.codec.container import parse
from pcedge.codec.stream import decode, encode
from pcedge.data import Columns
from pcedge.data.prediction import Plan, centred, forward
from pcedge.data.predictor import Adaptation, Feature, Group, Node, Predictor
from pcedge.data.tokens import join, raw_bits, split
from pcedge.engines import ReferenceEngine
from pcedge.errors import DataError, MismatchError, StreamError, UsageError
from pcedge.evaluate.numbers import gaps_of, row_log_likelihood, token_logs
from pcedge.learn.classes import Mixture, to_circuit
from pcedge.quantize import quantize

MARK = -32768
GAPS = Columns.of(np.zeros((1, 2), np.int16), missing=MARK)
GROUP = Group(-(2**15), 2**15 - 1, 4, (60000, 5000), -70000)
STAGE = Predictor(
    "int64", (2,), (GROUP, replace(GROUP, origin=0, coefficients=(65536, 0))), (0, 1), ((1, 0), (1, -1)),
    Adaptation(((1, 0), (2, 0)), 6),
    (Feature("activity", ((1, 0), (0, 1)), (2, 1)), Feature("column")),
    (Node(0, 20, 1, -1), Node(1, 0, -2, -3)), ((0, 0), (1, 2), (0, 1)), 12, 16, source=GAPS,
)  # fmt: skip


def engine_of(stage: Predictor) -> ReferenceEngine:
    generator = np.random.default_rng(0)
    classes, tokens = len(stage.classes), stage.cardinalities[1]
    leaves = np.exp(-np.abs(np.arange(tokens) - tokens / 2) / np.array([[2], [5], [20]])) + 1e-3
    leaves /= leaves.sum(axis=1, keepdims=True)
    return ReferenceEngine(quantize(to_circuit(Mixture(generator.dirichlet(np.ones(3), classes), leaves), stage)))


def with_gaps(rows: int, seed: int = 0, share: float = 0.2) -> Any:
    generator = np.random.default_rng(seed)
    x = generator.integers(-9, 10, (rows, 2)).cumsum(axis=0)
    x = np.where(generator.random(x.shape) < 0.05, generator.integers(-(2**15) + 1, 2**15, x.shape), x)
    return np.where(generator.random(x.shape) < share, MARK, x).astype(np.int16)


ENGINE = engine_of(STAGE)


class TestMissing:
    @settings(max_examples=20, deadline=None)
    @given(st.integers(0, 2**32), st.integers(0, 30), st.integers(1, 7), st.booleans())
    def test_streams_come_back(self, seed: int, rows: int, lanes: int, adaptive: bool) -> None:
        engine = ENGINE if adaptive else engine_of(replace(STAGE, adaptation=None))
        x = with_gaps(rows, seed)
        stream = encode(engine, x, lanes)
        assert_array_equal(decode(engine, stream), x)
        assert check_stream(engine, x, stream, "all") == rows

    @pytest.mark.parametrize("adaptive", [True, False])
    def test_a_missing_number_counts_as_its_prediction(self, adaptive: bool) -> None:
        stage = STAGE if adaptive else replace(STAGE, adaptation=None)
        numbers = centred(stage, stage.cells(with_gaps(60)))[None]
        gone = np.ma.getmaskarray(numbers)
        classes, residuals = forward(stage, numbers)
        assert gone.sum() > 10 and (np.ma.getmaskarray(residuals) == gone).all()
        left, _ = unmasked(residuals)
        assert not left[gone].any()
        # Put in its place, one after the other, what each was predicted to be: nothing else may change.
        filled = np.ma.getdata(numbers).copy()
        for row, column in np.argwhere(gone[0]):
            filled[0, row, column] = 0
            filled[0, row, column] = -forward(stage, filled)[1][0, row, column]
        whole = forward(stage, filled)
        assert_array_equal(whole[0], classes)
        assert_array_equal(whole[1], left)

    def test_tokens_of_missing_numbers(self) -> None:
        assert STAGE.missing_token == 56 and STAGE.cardinalities == (3, 57)
        assert replace(STAGE, source=None, dtype="int16").cardinalities == (3, 56)
        plan = Plan(STAGE, 0)
        tokens, _, sizes = split(plan, np.array([1, 1]), np.ma.MaskedArray([999, 999], [True, False]))
        assert tokens[0] == 56 and sizes[0] == 0 and tokens[1] < 56 and sizes[1] > 0
        assert raw_bits(plan, np.array([1]), np.array([56])) == 0
        assert join(plan, np.array([1]), np.array([56]), np.zeros(1, np.uint64)) == 0

    def test_a_damaged_gap_is_noticed(self) -> None:
        x = with_gaps(40)
        stream = encode(ENGINE, x, 2)
        row, column = np.argwhere(x != MARK)[9]
        other = x.copy()
        other[row, column] = MARK
        with pytest.raises(MismatchError, match=rf"^row {row}, column {column}: must decode to the value coded$"):
            check_stream(ENGINE, other, stream, "all")

    def test_log_likelihoods(self) -> None:
        x = with_gaps(50)
        logs, summed = row_log_likelihood(ENGINE.circuit, x), row_log_likelihood(ENGINE.circuit, x, MARK)
        gone = x == MARK
        assert_array_equal(gaps_of(STAGE, x, MARK), gone)
        classes = forward(STAGE, centred(STAGE, STAGE.cells(x))[None])[0][0]
        lost = np.where(gone, token_logs(ENGINE.circuit)[classes, STAGE.missing_token], 0).sum(axis=1)
        np.testing.assert_allclose(summed + lost, logs)
        # A circuit whose columns mark none follows the same rule for numbers that are summed out.
        plain = replace(STAGE, source=None, dtype="int16")
        engine = engine_of(plain)
        expected = token_logs(engine.circuit)[forward(plain, centred(STAGE, STAGE.cells(x))[None])[0][0]]
        assert row_log_likelihood(engine.circuit, x, MARK).shape == (50,) and np.isfinite(expected).all()


class TestColumns:
    def test_floats_and_their_gaps(self) -> None:
        x = with_gaps(80) / 100
        x[x == MARK / 100] = np.nan
        columns = Columns.of(x, missing=np.nan)
        ends = columns.ranges[0]
        groups = tuple(replace(group, low=ends[0], high=ends[1]) for group in STAGE.groups)
        engine = engine_of(replace(STAGE, source=columns, groups=groups, escapes=20))
        back = decode(engine, encode(engine, x))
        assert back.dtype == x.dtype and back.tobytes() == x.tobytes()
        summed = row_log_likelihood(engine.circuit, x, np.nan)
        assert (summed >= row_log_likelihood(engine.circuit, x)).all()
        text = r"^row 3, place \(1,\): a value must lie on the grid"
        x[3, 1] = np.pi
        with pytest.raises(DataError, match=text):
            encode(engine, x)

    def test_json_has_columns_only_where_there_are_some(self) -> None:
        plain = replace(STAGE, source=None, dtype="int16")
        assert not {"source", "listed"} & set(plain.as_dict())
        for stage in (plain, STAGE, replace(STAGE, listed=(-5, 700))):
            assert Predictor.from_dict(json.loads(stage.to_json())) == stage

    def test_what_does_not_fit(self) -> None:
        with pytest.raises(UsageError, match=r"^a predictor of columns must be of int64 and their shape \(2,\), got"):
            replace(STAGE, dtype="int16")
        with pytest.raises(UsageError, match=r"^the group of column 1 must have its range -32768\.\.32767, got \(0, 9"):
            replace(STAGE, groups=(GROUP, replace(GROUP, low=0, high=9)))
        with pytest.raises(UsageError, match=r"^--missing must go with a circuit that was trained with it"):
            gaps_of(replace(STAGE, source=None, dtype="int16"), np.zeros(3, dtype=[("a", "i4")]), -1)


class TestListed:
    STAGE = replace(STAGE, source=None, dtype="int16", listed=(-900, 20, 700))

    def test_streams_come_back(self) -> None:
        engine = engine_of(self.STAGE)
        generator = np.random.default_rng(0)
        x = generator.choice([-900, 20, 700, 0, 3], (90, 2)).cumsum(axis=0).clip(-30000, 30000).astype(np.int16)
        stream = encode(engine, x, 3)
        assert_array_equal(decode(engine, stream), x)
        _, residuals = forward(self.STAGE, centred(self.STAGE, x)[None])
        tokens, _, sizes = split(Plan(self.STAGE, 0), np.zeros_like(residuals), residuals)
        listed = np.isin(residuals, self.STAGE.listed)
        assert listed.any() and ((tokens >= 56) == listed).all() and not sizes[listed].any()
        assert_array_equal(np.array(self.STAGE.listed)[tokens[listed] - 56], residuals[listed])

    def test_a_listed_residual_has_one_token(self) -> None:
        """Others would decode to the same number: a stream has one form."""
        longer = replace(self.STAGE, listed=(-901, 21, 701))
        engine, forger = engine_of(self.STAGE), engine_of(longer)
        x = np.array([[23, 0]], dtype=np.int16)  # 20 above the origin and the constant
        assert forward(self.STAGE, centred(self.STAGE, x)[None])[1][0, 0, 0] == 20
        stream = replace(parse(encode(forger, x, 1)), digest=engine.circuit.digest[:16])
        with pytest.raises(
            StreamError, match=r"^row \d of a lane, column \d: a listed residual must have its own token$"
        ):
            decode(engine, stream.pack())

    def test_lists_that_are_none(self) -> None:
        for listed in ((5, 5), (7, 3), (1 << 63,), tuple(range(5000))):
            with pytest.raises(
                UsageError, match=r"^listed residuals must ascend, be of 64 bits, and at most 4096, got"
            ):
                replace(self.STAGE, listed=listed)
