"""Evaluation of circuits with a predictor stage: a record is a row of numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers.predictors import random_predictor
from numpy.testing import assert_allclose

from pcedge.codec import decode, encode
from pcedge.engines import ReferenceEngine
from pcedge.errors import DataError
from pcedge.evaluate import evaluate
from pcedge.evaluate.numbers import row_bits, row_log_likelihood
from pcedge.export.project.prediction import draw_rows
from pcedge.learn.classes import Mixture, to_circuit
from pcedge.quantize import quantize

STAGE = random_predictor(1)
GENERATOR = np.random.default_rng(0)
CIRCUIT = to_circuit(
    Mixture(
        GENERATOR.dirichlet(np.ones(3), len(STAGE.classes)),
        GENERATOR.dirichlet(np.full(STAGE.cardinalities[1], 0.5), 3),
    ),
    STAGE,
)
ENGINE = ReferenceEngine(quantize(CIRCUIT))


def test_bits_of_rows() -> None:
    x = draw_rows(STAGE, 60)
    found = evaluate(CIRCUIT, ENGINE, x, ood=draw_rows(STAGE, 40, seed=5), lanes=1)
    assert (found.records, found.variables, found.queries) == (60, STAGE.columns, None)
    assert_allclose(found.bits.float_bits, -row_log_likelihood(CIRCUIT, x) / math.log(2))
    assert_allclose(found.bits.likelihood_bits, -row_log_likelihood(ENGINE.circuit, x) / math.log(2))
    # An ideal coder of the intervals, whose raw bits are whole, and the file but for what frames it.
    assert 0 <= 8 * found.payload_bytes - found.bits.interval_bits.sum() < 64
    assert found.file_bytes == len(encode(ENGINE, x, 1, stored=False))
    assert (decode(ENGINE, encode(ENGINE, x, 1)) == x).all()
    assert set(found.as_dict()["ood"]["auroc"]) == {"float", "likelihood", "intervals"}


def test_the_first_rows_only() -> None:
    x = draw_rows(STAGE, 30)
    some = evaluate(CIRCUIT, ENGINE, x, records=7)
    assert_allclose(some.bits.interval_bits, row_bits(CIRCUIT, ENGINE.circuit, x[:7]).interval_bits)
    with pytest.raises(DataError, match="there must be at least one row, got none"):
        evaluate(CIRCUIT, ENGINE, x[:0])
    with pytest.raises(DataError, match="there must be a label for each of the 30 records, got 3"):
        evaluate(CIRCUIT, ENGINE, x, labels=[1, 2, 3])
