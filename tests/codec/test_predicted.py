"""Streams of data with a predictor stage: they come back, whatever the data, and damage is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.paths import GOLDEN
from helpers.predictors import STAGE
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from pcedge.codec import check_stream
from pcedge.codec.container import Segment, parse
from pcedge.codec.predicted import lane_rows, token_bounds
from pcedge.codec.stream import decode, encode
from pcedge.data.predictor import Group, Predictor
from pcedge.engines import ReferenceEngine
from pcedge.errors import DataError, MismatchError, StreamError, UsageError
from pcedge.export import read_onnx
from pcedge.learn.classes import Mixture, to_circuit
from pcedge.quantize import quantize


def engine_of(stage: Predictor, seed: int = 0, states: int = 3) -> ReferenceEngine:
    generator = np.random.default_rng(seed)
    classes, tokens = len(stage.classes), stage.cardinalities[1]
    middle = np.exp(-np.abs(np.arange(tokens) - tokens / 2) / np.array([[2], [5], [20]])[:states])
    leaves = middle / middle.sum(axis=1, keepdims=True)
    return ReferenceEngine(quantize(to_circuit(Mixture(generator.dirichlet(np.ones(states), classes), leaves), stage)))


ENGINE = engine_of(STAGE)


def data(rows: int, seed: int = 0, stage: Predictor = STAGE) -> Any:
    generator = np.random.default_rng(seed)
    x = generator.integers(-9, 10, (rows, *stage.shape)).cumsum(axis=0)
    x = np.where(generator.random(x.shape) < 0.05, generator.integers(-(2**15), 2**15, x.shape), x)
    return np.clip(x, -(2**15), 2**15 - 1).astype(stage.dtype)


class TestRoundTrip:
    @settings(max_examples=25, deadline=None)
    @given(st.integers(0, 2**32), st.integers(0, 40), st.integers(1, 9))
    def test_any_lanes(self, seed: int, rows: int, lanes: int) -> None:
        x = data(rows, seed)
        stream = encode(ENGINE, x, lanes)
        back = decode(ENGINE, stream)
        assert back.dtype == x.dtype
        assert_array_equal(back, x)
        assert check_stream(ENGINE, x, stream, "all") == rows

    def test_extremes_of_every_width(self) -> None:
        for dtype in ("int8", "uint16", "int32", "uint64", "int64", "bool"):
            low, high = (0, 1) if dtype == "bool" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
            wide = high - low >= 2**32
            group = Group(low, high, low, (1, -1) if wide else (65536, -65536))
            stage = replace(
                STAGE, dtype=dtype, groups=(group,), group_of=(0, 0), escapes=64, classes=((0, 0), (3, 5), (-9, 1)),
                adaptation=None if wide else STAGE.adaptation,
            )  # fmt: skip
            x = np.array([[low, high], [high, low], [low, low], [high, high], [high // 2, low]], dtype=dtype)
            engine = engine_of(stage)
            assert_array_equal(decode(engine, encode(engine, x, 2)), x)

    def test_other_types_of_the_same_values(self) -> None:
        x = data(12).astype(">i4")
        back = decode(ENGINE, encode(ENGINE, x))
        assert back.dtype == x.dtype
        assert_array_equal(back, x)

    def test_segments_begin_anew(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in ("container", "stream"):
            monkeypatch.setattr(f"pcedge.codec.{module}.SEGMENT_NUMBERS", 16)
        x = data(21)
        stream = encode(ENGINE, x, 3)
        assert [segment.records for segment in parse(stream).segments] == [8, 8, 5]
        assert_array_equal(decode(ENGINE, stream), x)
        alone = parse(encode(ENGINE, x[8:16], 3)).segments[0]
        assert parse(stream).segments[1] == alone

    def test_lanes_share_rows_out(self) -> None:
        assert lane_rows(7, 3).tolist() == [3, 2, 2]
        assert lane_rows(3, 3).tolist() == [1, 1, 1]

    def test_tokens_alone_are_coded(self) -> None:
        bounds = token_bounds(ENGINE.circuit)
        assert bounds.shape == (3, STAGE.cardinalities[1] + 1)
        assert (bounds[:, 0] == 0).all() and (np.diff(bounds, axis=1) > 0).all()


class TestGolden:
    def test_decodes_for_ever(self) -> None:
        engine = ReferenceEngine(read_onnx(GOLDEN / "stream_predicted.onnx"))
        stream = (GOLDEN / "stream_predicted.bin").read_bytes()
        x = np.load(GOLDEN / "stream_predicted.npy")
        assert_array_equal(decode(engine, stream), x)
        assert encode(engine, x, 2) == stream


class TestErrors:
    def test_data_that_do_not_fit(self) -> None:
        with pytest.raises(DataError, match=r"a value must be in -32768\.\.32767, got 40000"):
            encode(ENGINE, np.full((2, 2), 40000))
        with pytest.raises(UsageError, match="lanes must be an integer of at least 1, got 0"):
            encode(ENGINE, data(3), 0)

    def test_lanes_in_turn(self) -> None:
        stream = parse(encode(ENGINE, data(3), 1))
        bare = replace(stream, fields=(), segments=tuple(Segment(s.records, s.lanes) for s in stream.segments))
        with pytest.raises(StreamError, match="lanes must be in turn, or contiguous with a predictor stage"):
            decode(ENGINE, bare.pack())

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            (lambda raw: raw[:-1], "raw bits for its numbers, got"),
            (lambda raw: raw + b"\0", "bytes of raw bits, got"),
            (lambda raw: raw[:-1] + bytes([raw[-1] | 1]), "must end its raw bits in zeros, it does not"),
        ],
    )
    def test_raw_bits(self, change: Any, text: str) -> None:
        stream = parse(encode(ENGINE, data(30), 1))
        (segment,) = stream.segments
        damaged = replace(stream, segments=(replace(segment, raw=(change(segment.raw[0]),)),))
        with pytest.raises(StreamError, match=text):
            decode(ENGINE, damaged.pack())

    def test_damaged_bytes_never_pass(self) -> None:
        stream = parse(encode(ENGINE, data(30), 2))
        (segment,) = stream.segments
        refused = 0
        for index in range(len(segment.lanes[0])):
            lane = bytearray(segment.lanes[0])
            lane[index] ^= 0x40
            damaged = replace(stream, segments=(replace(segment, lanes=(bytes(lane), segment.lanes[1])),))
            try:
                assert not np.array_equal(decode(ENGINE, damaged.pack()), data(30))
            except StreamError:
                refused += 1
        assert refused

    def test_another_stream_is_a_mismatch(self) -> None:
        with pytest.raises(MismatchError, match="row 0, column 0: must decode to the value coded"):
            check_stream(ENGINE, data(30, 1), encode(ENGINE, data(30)))
