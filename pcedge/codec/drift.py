"""The drift monitor: which segments of a stream need far more bits a record than expected (docs/stream.md)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, median

import numpy as np

from pcedge.codec.container import Segment
from pcedge.codec.encoder import SegmentSize
from pcedge.engines.base import Engine
from pcedge.errors import UsageError

#: how often a stream whose records do not change may be told to drift
CHANCE = 1e-3

#: what is told is at least such a share above what is expected: smaller changes are no matter
SHARE = 0.1

#: segments are taken together until they hold so many records, whose mean leans by 1/32 of what a record does
RECORDS = 1024

#: bits that the end of a lane takes: its last byte is full or nearly empty, one as often as the other
END = 4.0

#: of the median deviation from the median to the standard deviation, where numbers are normal, and how many
#: observations make one of their standard deviation as certain (Hampel et al., Robust Statistics, 1986: 37 %)
_NORMAL, _EFFICIENCY = 1.4826, 0.37


@dataclass(frozen=True)
class Drift:
    """Compare the segments of a stream with what a record should need."""

    #: bits a record of every segment, of its lanes without what their ends take, or of what is stored
    bits: tuple[float, ...]
    #: bits a record that are expected; None where nothing tells
    expected: float | None
    #: numbers of the segments that need far more
    segments: tuple[int, ...]

    @property
    def worst(self) -> int | None:
        """Give the number of the segment that needs most bits a record; None where there is none."""
        return max(range(len(self.bits)), key=self.bits.__getitem__, default=None)


@dataclass(frozen=True)
class _Block:
    """Hold segments that follow each other and are judged together."""

    numbers: tuple[int, ...]
    records: int
    #: bits a record
    mean: float
    #: standard deviation that the bits of a record seem to have by those of the lanes, and what makes it certain
    deviation: float
    freedom: int
    #: that of `mean` by the bytes that lanes are rounded to
    rounding: float
    stored: bool


def measure_drift(segments: Sequence[Segment | SegmentSize], expected: tuple[float, float] | None = None) -> Drift:
    """Find the segments that need far more bits than expected, and more than chance makes of records that stay alike.

    Args:
        segments: of a stream.
        expected: mean and standard deviation of the bits of a record, as `expected_bits` gives them. None compares
            segments with each other: median, and deviation from it. Stored ones tell nothing of what is usual. Of less
            than two blocks of `RECORDS` nothing is expected.

    Raises:
        UsageError: the deviation is negative, or a number is not finite.

    Example:
        >>> usual, odd = Segment(1200, (bytes(150),) * 4), Segment(1200, (bytes(240),) * 4)
        >>> measure_drift([usual, usual, odd, usual]).segments
        (2,)
    """
    sizes = [segment if isinstance(segment, SegmentSize) else SegmentSize.of(segment) for segment in segments]
    bits = tuple(_bits(size) / size.records for size in sizes)
    blocks = [_block(numbers, sizes) for numbers in _together(sizes)]
    if expected is not None:
        mean, deviation = expected
        if not (math.isfinite(mean) and math.isfinite(deviation) and deviation >= 0):
            raise UsageError(f"what is expected must be a mean and a deviation of at least 0, got {expected}")
        freedom = math.inf
    else:
        usual = [block for block in blocks if not block.stored]
        if len(blocks) < 2 or not usual:
            return Drift(bits, None, ())
        mean = median(block.mean for block in usual)
        # Of each kind the usual size: those that drift are few.
        between = _NORMAL * median(abs(block.mean - mean) * math.sqrt(block.records) for block in usual)
        deviation = max(between, median(block.deviation for block in usual))
        freedom = _EFFICIENCY * (len(usual) - 1) + sum(block.freedom for block in usual)
    if mean <= 0:
        return Drift(bits, mean, ())
    far = _quantile(CHANCE / max(1, len(blocks)), freedom)
    least = (1 + SHARE) * mean
    drifted = [
        number
        for block in blocks
        if block.mean > max(least, _limit(mean, max(deviation / math.sqrt(block.records), block.rounding), far))
        for number in block.numbers
        if bits[number] > least
    ]
    return Drift(bits, mean, tuple(drifted))


def _bits(size: SegmentSize) -> float:
    return max(0.0, 8 * size.payload_bytes - END * size.lanes)


def _together(sizes: Sequence[SegmentSize]) -> list[list[int]]:
    """Take segments together until they hold `RECORDS`; what is left at the end goes with those before."""
    blocks: list[list[int]] = []
    count = RECORDS
    for number, size in enumerate(sizes):
        if count >= RECORDS:
            blocks.append([])
            count = 0
        blocks[-1].append(number)
        count += size.records
    if count < RECORDS and len(blocks) > 1:
        last = blocks.pop()
        blocks[-1] += last
    return blocks


def _block(numbers: Sequence[int], sizes: Sequence[SegmentSize]) -> _Block:
    held = [sizes[number] for number in numbers]
    records, lanes = sum(size.records for size in held), sum(size.lanes for size in held)
    # The lanes of a segment have alike records, so what they differ by is chance.
    freedom = sum(max(0, size.lanes - 1) for size in held)
    known = sum(size.records * (size.lanes - 1) / size.lanes for size in held if size.lanes > 1)
    spread = sum(size.spread for size in held)
    return _Block(
        tuple(numbers), records, sum(map(_bits, held)) / records, 8 * math.sqrt(spread / known) if known else 0.0,
        freedom, 8 * math.sqrt(lanes / 12) / records, any(size.stored for size in held),
    )  # fmt: skip


def _quantile(chance: float, freedom: float) -> float:
    """Give how many estimated deviations above the mean a normal number is so seldom, after Wallace (1959)."""
    normal = NormalDist().inv_cdf(1 - chance)
    if freedom > 1000:
        return normal
    if freedom <= 0:
        return math.inf
    scaled = (normal * (8 * freedom + 3) / (8 * freedom + 1)) ** 2 / freedom
    return math.sqrt(freedom * math.expm1(scaled)) if scaled < 100 else math.inf


def _limit(mean: float, deviation: float, far: float) -> float:
    """Give what a sum of positive numbers exceeds as seldom: they lean to the right, as a gamma distribution.

    The cube root of such a number is nearly normal (Wilson and Hilferty, 1931).
    """
    if deviation == 0:
        return mean
    share = deviation / mean
    return mean * (1 - share**2 / 9 + far * share / 3) ** 3


def expected_bits(engine: Engine, count: int = 256, seed: int = 0) -> tuple[float, float]:
    """Estimate the bits that a record drawn from the circuit itself needs: mean and standard deviation.

    Data that the circuit was trained on need about as many, others more.

    Args:
        engine: the circuit's engine; of circuits with a predictor stage, records are its tokens.
        count: records that are drawn.
        seed: of the drawing.

    Raises:
        UsageError: count is not positive.
    """
    if count < 1:
        raise UsageError(f"the number of records must be at least 1, got {count}")
    # Whole records, of which an engine with given variables codes the others.
    lo, hi = engine.intervals(engine.with_given(()).sample(count, seed))
    sizes = (hi - lo)[:, engine.program.coded]
    bits = (engine.circuit.scale_bits - np.log2(sizes.astype(np.float64))).sum(axis=1)
    return float(bits.mean()), float(bits.std())
