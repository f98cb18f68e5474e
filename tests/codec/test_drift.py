"""The drift monitor: what changes is found, what chance makes of records that stay alike is not."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from helpers.streams import leaf
from numpy.testing import assert_allclose

from pcedge.circuit import ProductLayer
from pcedge.codec import encode, expected_bits, measure_drift
from pcedge.codec.container import Segment, parse
from pcedge.codec.drift import _limit, _quantile
from pcedge.codec.encoder import SegmentSize
from pcedge.errors import UsageError
from pcedge.integer import IntegerCircuit
from pcedge.native import open_engine

#: four variables of four symbols
ENGINE = open_engine(
    IntegerCircuit(
        (*(leaf(v, 12, [3072, 512, 256, 256]) for v in range(4)), ProductLayer(tuple(range(4)), np.zeros((1, 4), int))),
        8, 12, 16, 24, 48, 1, tuple(range(4)),
    )
)  # fmt: skip

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]

#: bits of records as data have them: alike, in units of one, with a few that need ten times as many, with long tails
KINDS: dict[str, Draw] = {
    "normal": lambda rng, shape: np.maximum(0, rng.normal(120, 15, shape)),
    "few bits": lambda rng, shape: rng.choice([0.1, 5.0], shape, p=[0.9, 0.1]),
    "exponential": lambda rng, shape: rng.exponential(50, shape),
    "some dear": lambda rng, shape: np.where(rng.random(shape) < 0.02, 400.0, 30.0),
    "lognormal": lambda rng, shape: np.exp(rng.normal(3, 1, shape)),
}


def segments_of(bits: np.ndarray, lanes: int) -> list[SegmentSize]:
    """Make segments of so many bits a record, (segments, records), in lanes that end as those of a range coder."""
    count, records = bits.shape
    lanes = min(lanes, records)
    padded = np.pad(bits, ((0, 0), (0, -records % lanes))).reshape(count, -1, lanes).sum(axis=1)
    sizes = (padded // 8).astype(int) + 1
    return [SegmentSize.of(Segment(records, tuple(map(bytes, row)))) for row in sizes.tolist()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("records", "count", "lanes"), [(1, 3000, 1), (7, 600, 1), (64, 80, 2), (256, 40, 8), (1500, 3, 1), (5000, 4, 64)]
)
def test_records_that_stay_alike_do_not_drift(kind: str, records: int, count: int, lanes: int) -> None:
    """Of 1,000 such streams one may; the seed is such that none of these does."""
    rng = np.random.default_rng(7)
    streams = (segments_of(KINDS[kind](rng, (count, records)), lanes) for _ in range(20))
    assert [found for found in map(measure_drift, streams) if found.segments] == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("records", "count", "lanes"), [(64, 400, 2), (256, 100, 8), (5000, 12, 64), (20000, 4, 64)])
def test_a_change_is_found(kind: str, records: int, count: int, lanes: int) -> None:
    """The last quarter of the stream needs twice the bits."""
    rng = np.random.default_rng(8)
    bits = KINDS[kind](rng, (count, records))
    begin = count - max(1, count // 4)
    bits[begin:] *= 2
    found = measure_drift(segments_of(bits, lanes))
    # A block may begin before.
    assert found.segments and min(found.segments) >= begin - 1024 // records
    assert found.expected == pytest.approx(bits[:begin].mean(), rel=0.1)
    # Less than is told at least is no drift.
    bits[begin:] *= 1.04 / 2
    assert measure_drift(segments_of(bits, lanes)).segments == ()


def test_ends_of_lanes_are_none_of_the_records() -> None:
    """A last segment with as many lanes and fewer records needs more bytes a record, and no more bits."""
    rng = np.random.default_rng(9)
    bits = rng.normal(9, 2, (8, 4096))
    segments = [*segments_of(bits, 64), *segments_of(bits[:1, :1024], 64)]
    found = measure_drift(segments)
    assert found.segments == () and found.bits[-1] == pytest.approx(9, abs=0.3)
    assert 8 * segments[-1].payload_bytes / 1024 > 9.2


def test_a_byte_more_is_no_drift() -> None:
    usual, more, odd = (Segment(1024, (bytes(count),)) for count in (3, 4, 12))
    assert measure_drift([*[usual] * 20, more, *[usual] * 10]).segments == ()
    assert measure_drift([*[usual] * 20, odd, *[usual] * 10]).segments == (20,)


def test_the_spread_of_lanes_is_that_of_records() -> None:
    bits = np.random.default_rng(10).normal(200, 30, (200, 640))
    spread = sum(size.spread for size in segments_of(bits, 64)) / (200 * 640 * 63 / 64)
    assert 8 * math.sqrt(spread) == pytest.approx(30, rel=0.02)
    # Lanes of two records and of one, which need the same, spread by no more than their bytes are rounded.
    (uneven,) = segments_of(np.full((1, 96), 80.0), 64)
    assert uneven.spread < 64
    assert SegmentSize.of(Segment(3, (), (), b"abc")) == SegmentSize(3, 0, 3, True)


def test_quantiles_are_those_of_tables() -> None:
    """Student's t (five degrees of freedom, ten, thirty) and chi-squared (ten, four)."""
    for chance, freedom, value in ((1e-3, 5, 5.893), (1e-4, 10, 5.694), (1e-4, 30, 4.234), (1e-3, math.inf, 3.0902)):
        assert_allclose(_quantile(chance, freedom), value, rtol=0.02)
    for chance, freedom, value in ((1e-3, 10, 29.588), (1e-4, 4, 23.513)):
        far = _quantile(chance, math.inf)
        assert_allclose(_limit(freedom, math.sqrt(2 * freedom), far), value, rtol=0.03)
    assert _quantile(1e-3, 0) == math.inf == _limit(1.0, 0.5, math.inf) and _limit(3.0, 0.0, math.inf) == 3.0


def test_streams_of_a_circuit() -> None:
    usual, odd = ENGINE.sample(1200 * 6, 3).astype(np.uint8), np.full((1200, 4), 3, dtype=np.uint8)
    x = np.concatenate([usual[:6000], odd, usual[6000:], odd[:200]])
    segments = parse(encode(ENGINE, x, 20, index=1200)).segments
    found = measure_drift(segments)
    assert found.segments == (5, 7) and found.worst in (5, 7)
    assert measure_drift(segments[:1]).expected is None and measure_drift([]).worst is None
    assert measure_drift(segments[:5]).segments == ()
    mean, deviation = expected_bits(ENGINE, 200)
    assert 0 < mean < 8 and deviation > 0 and expected_bits(ENGINE, 200) == (mean, deviation)
    assert measure_drift(segments, (mean, deviation)).segments == (5, 7)
    for expected in ((float("nan"), 1.0), (1.0, -1.0)):
        with pytest.raises(UsageError, match=r"^what is expected must be a mean and a deviation of at least 0"):
            measure_drift(segments, expected)
    with pytest.raises(UsageError, match=r"^the number of records must be at least 1, got 0$"):
        expected_bits(ENGINE, 0)
