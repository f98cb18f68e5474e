"""Statistics of the integer circuit against the float circuit: never a test of equality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pcedge.arithmetic import log_of
from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.inference import log_likelihood
from pcedge.circuit.layers import Circuit
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import DataError

#: records measured at a time, which bounds the memory of their intervals
BLOCK = 1024

#: told (records done, records in all)
Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class RecordBits:
    """Hold what each record costs, in bits; float64 of shape (N,)."""

    #: −log2 p of the float circuit; inf where it calls a record impossible
    float_bits: FloatArray
    #: −log2 of the integer likelihood; inf where it calls a record impossible
    likelihood_bits: FloatArray
    #: −log2 of the product of the coding intervals' shares of 2^P; always finite
    interval_bits: FloatArray
    #: symbols whose interval is the floor f alone, int64 of shape (N,)
    floor_symbols: IntArray

    @property
    def loss(self) -> FloatArray:
        """Give what integers cost a record: interval bits less float bits; -inf where the float circuit has p = 0."""
        return self.interval_bits - self.float_bits


@dataclass(frozen=True)
class Statistics:
    """Hold mean code lengths in bits per variable over some records."""

    #: records measured
    records: int
    #: −log2 p of the float circuit
    float_bits: float
    #: −log2 of the integer likelihood, over the records that it calls possible
    likelihood_bits: float
    #: −log2 of the coding intervals' shares: what an ideal coder would spend on them
    interval_bits: float
    #: records whose integer likelihood is zero
    impossible: int

    @property
    def loss(self) -> float:
        """Give the bits per variable that integers cost: interval bits less float bits."""
        return self.interval_bits - self.float_bits


def statistics(circuit: Circuit, engine: ReferenceEngine, x: ArrayLike) -> Statistics:
    """Measure an integer circuit against the float circuit that it came from.

    Args:
        circuit: the float circuit.
        engine: the engine of the integer circuit.
        x: records without missing symbols, (N, …), N > 0.

    Raises:
        DataError: the data do not fit, or there are none.
    """
    records = engine.check(x, allow_missing=False)
    if not len(records):
        raise DataError("statistics must have at least one record, got none")
    variables = records.shape[1]
    bits = record_bits(circuit, engine, records)
    possible = bits.likelihood_bits[np.isfinite(bits.likelihood_bits)]
    return Statistics(
        len(records),
        float(bits.float_bits.mean() / variables),
        float(possible.mean() / variables) if possible.size else float("inf"),
        float(bits.interval_bits.mean() / variables),
        len(records) - len(possible),
    )


def record_bits(
    circuit: Circuit, engine: ReferenceEngine, records: IntArray, progress: Progress | None = None
) -> RecordBits:
    """Measure the cost of every record in the float circuit, the integer likelihood, and the coding intervals.

    Args:
        circuit: the float circuit.
        engine: the engine of the integer circuit.
        records: checked records without missing symbols, (N, variables).
        progress: told after every block of records.
    """
    count = len(records)
    floats, likelihoods, intervals = (np.zeros(count) for _ in range(3))
    floors = np.zeros(count, dtype=np.int64)
    for first in range(0, count, BLOCK):
        block = slice(first, min(first + BLOCK, count))
        floats[block], likelihoods[block] = (-logs for logs in log2_pair(circuit, engine, records[block]))
        lo, hi = engine.intervals(records[block])
        intervals[block] = interval_bits(hi - lo, engine.circuit.scale_bits).sum(axis=1)
        floors[block] = (hi - lo == engine.circuit.floor).sum(axis=1)
        if progress:
            progress(block.stop, count)
    return RecordBits(floats, likelihoods, intervals, floors)


def interval_bits(width: IntArray, scale_bits: int) -> FloatArray:
    """Give the bits of coding intervals, of any shape: P − log2 of the width; 0 where it is 0, for nothing is coded.

    Example:
        >>> interval_bits(np.array([1 << 24, 1 << 21, 0]), 24).tolist()
        [0.0, 3.0, 0.0]
    """
    return np.asarray(np.where(width > 0, scale_bits - np.log2(np.maximum(width, 1)), 0.0), dtype=np.float64)


def log2_pair(circuit: Circuit, engine: ReferenceEngine, records: IntArray) -> tuple[FloatArray, FloatArray]:
    """Give log2 p of the float circuit and of the integer likelihood, (N,) each; -1 is missing, -inf impossible."""
    return (
        log_likelihood(circuit, records) / np.log(2),
        log_of(*engine.likelihood(records)) / np.log(2),
    )
