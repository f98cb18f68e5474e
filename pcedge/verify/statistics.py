"""Statistics of the integer circuit against the float circuit: never a test of equality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pcedge.circuit.inference import log_likelihood
from pcedge.circuit.layers import Circuit
from pcedge.coder.interpreter import Engine
from pcedge.errors import DataError
from pcedge.verify.project import log_of


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


def statistics(circuit: Circuit, engine: Engine, x: ArrayLike) -> Statistics:
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
    integer = log_of(*engine.likelihood(records))
    possible = integer[np.isfinite(integer)]
    lo, hi = engine.intervals(records)
    shares = np.log2(hi - lo) - engine.circuit.scale_bits
    return Statistics(
        len(records),
        float(-log_likelihood(circuit, records).mean() / np.log(2) / variables),
        float(-possible.mean() / np.log(2) / variables) if possible.size else float("inf"),
        float(-shares.mean()),
        len(integer) - len(possible),
    )
