"""Anomaly scores of records and rows, and every variable's share of them (docs/unrolled.md, section Score)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pcedge.arithmetic import SCORE_FRACTION, SCORE_IMPOSSIBLE, score
from pcedge.arrays import IntArray
from pcedge.circuit.layers import MISSING
from pcedge.data.maps import numbers_of
from pcedge.data.predictor import Predictor
from pcedge.engines.base import Engine, Progress
from pcedge.evaluate.numbers import gaps_of, held, token_pairs


def record_scores(engine: Engine, x: ArrayLike) -> IntArray:
    """Compute every record's score: -log2 of its likelihood in parts of 2^-8 bit, rounded as the page says.

    Args:
        engine: of any kind, the scores are the same.
        x: records, (N, …); -1 is missing and summed out.

    Returns:
        Scores in 0..2^32 - 1, int64 of shape (N,); `SCORE_IMPOSSIBLE` where the integers call a record impossible.

    Raises:
        DataError: the data do not fit.
    """
    return score(*engine.likelihood(x), engine.circuit.state_bits)


def record_shares(engine: Engine, x: ArrayLike, progress: Progress | None = None) -> IntArray:
    """Compute every variable's share of every record's score: what the score falls by when the variable is summed out.

    The rule is in docs/unrolled.md, section Shares. A missing variable has the share 0.

    Args:
        engine: of any kind, the shares are the same.
        x: records, (N, …); -1 is missing and summed out.
        progress: told (variables done, variables in all).

    Returns:
        Shares, int64 of shape (N, variables); `SCORE_IMPOSSIBLE` where the variable alone makes a record impossible.

    Raises:
        DataError: the data do not fit.
    """
    records = engine.check(x, allow_missing=True)
    whole = record_scores(engine, records)
    shares = np.zeros_like(records)
    for variable in range(records.shape[1]):
        there = np.flatnonzero(records[:, variable] != MISSING)
        without = records[there]
        without[:, variable] = MISSING
        shares[there, variable] = _difference(whole[there], record_scores(engine, without))
        if progress:
            progress(variable + 1, records.shape[1])
    return shares


def row_shares(engine: Engine, x: ArrayLike, missing: float | None = None) -> IntArray:
    """Compute the score of every number of rows under a circuit with a predictor stage, given those before it.

    Args:
        engine: of any kind.
        x: data as the stage takes them, (rows, …).
        missing: as `row_log_likelihood` takes it; the score of a missing number is 0.

    Returns:
        Scores, int64 of shape (rows, columns), in the data's order of columns; `SCORE_IMPOSSIBLE` for a token that its
        class calls impossible.

    Raises:
        DataError: the data do not fit.
        UsageError: the data have fields, and the columns of the circuit mark no missing values.
    """
    predictor = engine.circuit.symbolizer
    assert isinstance(predictor, Predictor)
    gaps = None if missing is None else gaps_of(predictor, x, missing)
    classes, tokens, raw = numbers_of(predictor, x if gaps is None else held(predictor, x, gaps), gaps)
    table = record_shares(engine, token_pairs(engine.circuit))[:, 1].reshape(engine.circuit.cardinalities)
    shares = table[classes, tokens]
    shares[shares != SCORE_IMPOSSIBLE] += (raw << SCORE_FRACTION)[shares != SCORE_IMPOSSIBLE]
    if gaps is not None:
        shares[gaps.reshape(shares.shape)] = 0
    if predictor.source is not None:
        shares[:, predictor.source.cell_places] = shares.copy()
    return shares


def row_scores(shares: IntArray) -> IntArray:
    """Add up the scores of every row's numbers, (rows, columns) to (rows,), within the limits of a score."""
    impossible = (shares == SCORE_IMPOSSIBLE).any(axis=1)
    sums = np.clip(np.where(impossible[:, None], 0, shares).sum(axis=1), 0, SCORE_IMPOSSIBLE - 1)
    return np.where(impossible, SCORE_IMPOSSIBLE, sums)


def _difference(whole: IntArray, without: IntArray) -> IntArray:
    share = np.where(whole == SCORE_IMPOSSIBLE, SCORE_IMPOSSIBLE, whole - without)
    return np.where(without == SCORE_IMPOSSIBLE, 0, share)
