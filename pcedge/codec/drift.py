"""The drift monitor: which segments of a stream need far more bits a record than expected (docs/stream.md)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from pcedge.codec.container import Segment
from pcedge.codec.encoder import SegmentSize
from pcedge.engines.base import Engine
from pcedge.errors import UsageError

#: a segment drifts that is so many deviations above what is expected, and such a share of it
DEVIATIONS, SHARE = 6.0, 0.1

#: of the median deviation from the median to the standard deviation, where numbers are normal
_NORMAL = 1.4826


@dataclass(frozen=True)
class Drift:
    """Compare the segments of a stream with what a record should need."""

    #: bits a record of every segment, lanes' and stored bytes
    bits: tuple[float, ...]
    #: bits a record that are expected; None where nothing tells
    expected: float | None
    #: numbers of the segments that need far more
    segments: tuple[int, ...]

    @property
    def worst(self) -> int | None:
        """Give the number of the segment that needs most bits a record; None where there is none."""
        return max(range(len(self.bits)), key=self.bits.__getitem__, default=None)


def measure_drift(segments: Sequence[Segment | SegmentSize], expected: tuple[float, float] | None = None) -> Drift:
    """Find the segments that need far more bits than expected: `DEVIATIONS` and `SHARE` above it.

    Args:
        segments: of a stream.
        expected: mean and standard deviation of the bits of a record, as `expected_bits` gives them. None compares
            segments with each other: median, and median deviation from it. Those of less than a quarter of the
            records of the largest are left out, for their lanes' ends weigh too much, and stored ones tell nothing of
            what is usual; below two segments nothing is expected.

    Raises:
        UsageError: the deviation is negative, or a number is not finite.

    Example:
        >>> usual, odd = Segment(100, (bytes(50),)), Segment(100, (bytes(80),))
        >>> measure_drift([usual, usual, odd, usual]).segments
        (2,)
    """
    bits = tuple(8 * segment.payload_bytes / segment.records for segment in segments)
    most = max((segment.records for segment in segments), default=0)
    whole = [number for number, segment in enumerate(segments) if 4 * segment.records >= most]
    if expected is not None:
        mean, deviation = expected
        if not (math.isfinite(mean) and math.isfinite(deviation) and deviation >= 0):
            raise UsageError(f"what is expected must be a mean and a deviation of at least 0, got {expected}")
        limits = {number: _limit(mean, deviation / math.sqrt(segments[number].records)) for number in whole}
    else:
        usual = [bits[number] for number in whole if segments[number].stored in (None, False)]
        if len(whole) < 2 or not usual:
            return Drift(bits, None, ())
        mean = median(usual)
        limit = _limit(mean, _NORMAL * median(abs(value - mean) for value in usual))
        limits = dict.fromkeys(whole, limit)
    return Drift(bits, mean, tuple(number for number in whole if bits[number] > limits[number]))


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


def _limit(mean: float, deviation: float) -> float:
    return mean + max(DEVIATIONS * deviation, SHARE * mean)
