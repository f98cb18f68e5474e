"""What makes a record unlikely: the bits of each of its variables, which sum to the record's (docs/explain.md)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcedge.arithmetic import SCORE_FRACTION, SCORE_IMPOSSIBLE, log_of
from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit import MISSING, Circuit, log_likelihood
from pcedge.circuit.chain import log_given_others, log_shares
from pcedge.circuit.inference import check_records
from pcedge.codec.predicted import token_bounds
from pcedge.data.maps import numbers_of
from pcedge.data.predictor import Predictor
from pcedge.engines.base import Engine, Progress
from pcedge.errors import UsageError
from pcedge.evaluate.numbers import gaps_of, held, row_log_likelihood, token_logs
from pcedge.evaluate.scores import record_shares
from pcedge.evaluate.statistics import BLOCK, interval_bits
from pcedge.quantize.post_training import default_order


@dataclass(frozen=True, eq=False)
class Explanation:
    """Hold the shares of some records' variables; n records of D variables, in the data's order of columns."""

    #: the records' numbers in the data, int64 of shape (n,)
    records: IntArray
    #: bits of each variable given those coded before it, float64 of shape (n, D); inf of what a float circuit excludes
    shares: FloatArray
    #: which values are missing, bool of shape (n, D): their shares are 0
    missing: NDArray[np.bool_]
    #: bits of each variable given all others, of the same shape; None where they were not asked for, or of rows
    given_others: FloatArray | None
    #: −log2 of the likelihood, (n,); an integer circuit's is rounded otherwise than its shares
    likelihood_bits: FloatArray
    #: of an integer circuit, hi − lo of each coding interval, int64 of shape (n, D), 0 of a missing variable; else None
    widths: IntArray | None
    #: of an integer circuit, P: intervals lie within 2^P
    scale_bits: int | None
    #: with a predictor stage, the raw bits behind each token, int64 of shape (n, D); else None
    raw_bits: IntArray | None
    #: the coding order of the variables; None with a predictor stage, whose numbers have an order of their own
    order: tuple[int, ...] | None

    @property
    def bits(self) -> FloatArray:
        """Give what each record costs, (n,): the sum of its shares."""
        total: FloatArray = self.shares.sum(axis=1)
        return total


def explain_records(
    model: Circuit | Engine, x: ArrayLike, records: Sequence[int] | None = None, top: int = 5, *,
    others: bool = True, progress: Progress | None = None,
) -> Explanation:  # fmt: skip
    """Share the bits of records out to their variables, by the chain rule in coding order.

    Args:
        model: a float circuit, or an engine of an integer one; every engine gives the same.
        x: records of symbols, (N, …); -1 is missing and summed out.
        records: numbers of the records that are explained; None takes those that cost most, the lower of equals first.
        top: how many these are, at most.
        others: whether to give the bits of each variable given all others, too.
        progress: told (variables done, variables in all), of an integer circuit.

    Raises:
        DataError: the data do not fit.
        UsageError: a number is that of no record, or `top` is below 1.
    """
    cardinalities = model.cardinalities if isinstance(model, Circuit) else model.circuit.cardinalities
    known = check_records(x, cardinalities, allow_missing=True)
    chosen = _chosen(lambda: _costs(model, known), len(known), records, top)
    some = known[chosen]
    if isinstance(model, Circuit):
        order = default_order(model)
        shares = -log_shares(model, some, order) / math.log(2)
        given = -log_given_others(model, some) / math.log(2) if others else None
        likelihood = -log_likelihood(model, some) / math.log(2)
        return Explanation(chosen, shares, some == MISSING, given, likelihood, None, None, None, order)
    circuit = model.circuit
    widths = np.zeros_like(some)
    for first in range(0, len(some), BLOCK):
        widths[first : first + BLOCK] = interval_widths(model, some[first : first + BLOCK])
    given = None
    if others:
        drop = record_shares(model, some, progress)
        given = np.where(drop == SCORE_IMPOSSIBLE, np.inf, drop / (1 << SCORE_FRACTION))
    likelihood = -log_of(*model.likelihood(some)) / math.log(2)
    shares = interval_bits(widths, circuit.scale_bits)
    gone = some == MISSING
    return Explanation(chosen, shares, gone, given, likelihood, widths, circuit.scale_bits, None, circuit.order)


def explain_rows(
    model: Circuit | Engine, x: ArrayLike, records: Sequence[int] | None = None, top: int = 5,
    missing: float | None = None,
) -> Explanation:  # fmt: skip
    """Share the bits of rows out to their numbers, under a circuit with a predictor stage.

    Args:
        model: a float circuit, or an engine of an integer one.
        x: all data as the stage takes them, (rows, …): what came before a number decides its class.
        records: as in `explain_records`.
        top: as in `explain_records`.
        missing: as `row_log_likelihood` takes it; a missing number has 0 bits.

    Raises:
        DataError: the data do not fit.
        UsageError: as in `explain_records`; or the data have fields, and the circuit's columns mark no missing values.
    """
    circuit = model if isinstance(model, Circuit) else model.circuit
    predictor = circuit.symbolizer
    assert isinstance(predictor, Predictor)
    gaps = None if missing is None else gaps_of(predictor, x, missing)
    classes, tokens, raw = numbers_of(predictor, x if gaps is None else held(predictor, x, gaps), gaps)
    widths = None
    if isinstance(model, Circuit):
        shares = -token_logs(model)[classes, tokens] / math.log(2) + raw
    else:
        bounds = token_bounds(model.circuit)
        widths = bounds[classes, tokens + 1] - bounds[classes, tokens]
        shares = interval_bits(widths, model.circuit.scale_bits) + raw
    gone = np.zeros(shares.shape, dtype=bool) if gaps is None else gaps.reshape(shares.shape).copy()
    arrays: list[NDArray[Any]] = [shares, raw] if widths is None else [shares, raw, widths]
    for array in arrays:
        array[gone] = 0
    for array in [*arrays, gone]:
        if predictor.source is not None:
            array[:, predictor.source.cell_places] = array.copy()
    chosen = _chosen(lambda: shares.sum(axis=1), len(shares), records, top)
    engine = None if isinstance(model, Circuit) else model
    likelihood = -row_log_likelihood(circuit, x, missing, engine)[chosen] / math.log(2)
    scale = None if isinstance(circuit, Circuit) else circuit.scale_bits
    return Explanation(
        chosen, shares[chosen], gone[chosen], None, likelihood, None if widths is None else widths[chosen], scale,
        raw[chosen], None,
    )  # fmt: skip


def interval_widths(engine: Engine, records: IntArray) -> IntArray:
    """Compute hi − lo of every variable's coding interval, (N, variables), in the order of the variables."""
    lo, hi = engine.intervals(records)
    widths = np.empty_like(lo)
    widths[:, list(engine.circuit.order)] = hi - lo
    return widths


def _costs(model: Circuit | Engine, records: IntArray) -> FloatArray:
    """Compute the bits of every record, a block at a time."""
    if isinstance(model, Circuit):
        return -log_likelihood(model, records) / math.log(2)
    costs = np.zeros(len(records))
    for first in range(0, len(records), BLOCK):
        lo, hi = model.intervals(records[first : first + BLOCK])
        costs[first : first + BLOCK] = interval_bits(hi - lo, model.circuit.scale_bits).sum(axis=1)
    return costs


def _chosen(costs: Callable[[], FloatArray], count: int, records: Sequence[int] | None, top: int) -> IntArray:
    """Give the numbers of the records that are explained."""
    if records is None:
        if top < 1:
            raise UsageError(f"top must be at least 1, got {top}")
        return np.argsort(-costs(), kind="stable")[:top].astype(np.int64)
    chosen = np.asarray(records, dtype=np.int64)
    wrong = chosen[(chosen < 0) | (chosen >= count)]
    if wrong.size:
        raise UsageError(f"the number of a record must be in 0..{count - 1}, got {wrong[0]}")
    return chosen
