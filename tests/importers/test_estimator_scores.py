"""Detectors on integers: nothing that the floats call possible is impossible, and what is strange is told as well."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.mixture import GaussianMixture

import pcedge
from pcedge.arithmetic import SCORE_IMPOSSIBLE
from pcedge.evaluate.roc import auroc
from pcedge.evaluate.scores import record_scores
from pcedge.quantize.config import QuantizationConfig


def areas(model: Any, x: Any, normal: Any, **choices: Any) -> tuple[float, float]:
    places = np.flatnonzero(normal)
    train, test = x[places[::2]], np.concatenate([x[places[1::2]], x[~normal]])
    strange = np.arange(len(test)) >= len(places) // 2
    model.fit(train)
    circuit = pcedge.from_estimator(model, data=train, **choices)
    scores = record_scores(pcedge.ReferenceEngine(pcedge.to_integer(circuit)), circuit.grid.symbols_of(test))
    assert (scores != SCORE_IMPOSSIBLE).all()
    floats = model.score_samples(test)
    return auroc(floats[~strange], floats[strange]), auroc(-scores[~strange], -scores[strange])


def test_pixels_that_are_constant() -> None:
    digits = load_digits().data
    shuffled = np.random.default_rng(1).permuted(digits[:600], axis=1)
    model = GaussianMixture(10, covariance_type="diag", random_state=0)
    floats, integers = areas(model, np.concatenate([digits, shuffled]), np.arange(len(digits) + 600) < len(digits))
    assert floats == pytest.approx(1, abs=1e-4) and integers == pytest.approx(floats, abs=1e-3)


def test_bins_of_one_width_tell_densities() -> None:
    x, benign = load_breast_cancer(return_X_y=True)
    model = GaussianMixture(4, covariance_type="diag", random_state=0)
    floats, integers = areas(model, x, benign == 1)
    assert integers == pytest.approx(floats, abs=1e-3)
    assert areas(model, x, benign == 1, bins="least-loss")[1] < floats - 0.01


def test_leaves_over_a_grid_that_clips_have_more_bits_and_tails_of_their_own() -> None:
    x = load_breast_cancer().data
    circuit = pcedge.from_estimator(GaussianMixture(4, covariance_type="diag", random_state=0).fit(x))
    assert QuantizationConfig.of(circuit).leaf_bits == 15
    integers = pcedge.to_integer(circuit, leaf_bits=12)
    assert integers.leaf_bits == 12 and len({tuple(layer.tails) for layer in integers.layers[:30]}) == 30
    refusing = pcedge.from_estimator(
        GaussianMixture(2, covariance_type="diag", random_state=0).fit(x), outside="refuse"
    )
    assert QuantizationConfig.of(refusing).leaf_bits == 12
