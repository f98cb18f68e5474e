"""pomegranate's models, against its own log_probability: float32, so within 1e-5 of a log-probability near 10."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

pytest.importorskip("pomegranate", reason="needs pomegranate 1, which no extra has")
import torch
from pomegranate import distributions as d
from pomegranate.bayes_classifier import BayesClassifier
from pomegranate.bayesian_network import BayesianNetwork
from pomegranate.factor_graph import FactorGraph
from pomegranate.gmm import GeneralMixtureModel
from pomegranate.hmm import DenseHMM, SparseHMM

from pcedge import from_estimator, log_likelihood
from pcedge.errors import FormatError, UsageError

torch.manual_seed(0)
WORDS = torch.randint(0, 3, (100, 4))
COUNTS = torch.poisson(torch.rand(100, 3) * 4)
REAL = torch.rand(200, 2) + 0.1
SEQUENCES = torch.randint(0, 3, (20, 7, 2))


def check(model: Any, x: Any, **choices: Any) -> Any:
    circuit = from_estimator(model, **choices)
    symbols = circuit.grid.symbols_of(x.reshape(len(x), -1).numpy(), allow_missing=True)
    expected = model.log_probability(x).detach().numpy()
    assert_allclose(log_likelihood(circuit, symbols) + circuit.log_constant, expected, atol=1e-5)
    return circuit


def test_discrete() -> None:
    check(d.Categorical().fit(WORDS), WORDS)
    check(d.Bernoulli().fit((WORDS > 0).float()), (WORDS > 0).float())
    check(GeneralMixtureModel([d.Categorical(), d.Categorical()], random_state=0).fit(WORDS), WORDS)
    check(GeneralMixtureModel([d.Poisson(), d.Poisson()], random_state=0).fit(COUNTS), COUNTS)
    mixed = torch.stack([WORDS[:, 0], COUNTS[:, 0]], dim=1).int()
    check(d.IndependentComponents([d.Categorical(), d.Poisson()]).fit(mixed), mixed)


def test_classifier() -> None:
    labels = torch.randint(0, 2, (100,))
    model = BayesClassifier([d.Categorical(), d.Categorical()]).fit(WORDS, labels)
    circuit = check(model, WORDS)
    symbols = circuit.grid.symbols_of(WORDS.numpy(), allow_missing=True)
    joint = []
    for number in range(2):
        symbols[:, -1] = number
        joint.append(log_likelihood(circuit, symbols))
    posterior = np.exp(joint - np.logaddexp(*joint)).T
    assert_allclose(posterior, model.predict_proba(WORDS).detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("ends", [None, [0.1, 0.2]])
@pytest.mark.parametrize("fitted", [False, True])
def test_dense_chain(ends: Any, fitted: bool) -> None:
    parts = [d.Categorical([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8]]), d.Categorical([[0.6, 0.3, 0.1], [0.3, 0.3, 0.4]])]
    model = DenseHMM(parts, edges=[[0.7, 0.2], [0.3, 0.5]], starts=[0.5, 0.5], ends=ends)
    check(model.fit(SEQUENCES) if fitted else model, SEQUENCES, steps=7)
    check(model, SEQUENCES[:, :1], steps=1)


def test_sparse_chain_with_a_state_that_ends() -> None:
    parts = [d.Categorical([[0.2, 0.3, 0.5]]), d.Categorical([[0.6, 0.3, 0.1]]), d.Categorical([[0.5, 0.4, 0.1]])]
    edges = [(parts[0], parts[1], 0.4), (parts[0], parts[0], 0.5), (parts[1], parts[1], 0.9), (parts[1], parts[2], 0.1)]
    model = SparseHMM(parts, edges=edges, starts=[0.5, 0.5, 0.0], ends=[0.1, 0.1, 1.0])
    x = SEQUENCES[:, :, :1]
    model.log_probability(x)
    check(model, x, steps=7)


def test_network() -> None:
    parts = [
        d.Categorical([[0.3, 0.7]]), d.Categorical([[0.2, 0.3, 0.5]]),
        d.ConditionalCategorical([torch.rand(2, 3, 2).softmax(dim=-1)]),
        d.ConditionalCategorical([torch.rand(2, 4).softmax(dim=-1)]),
    ]  # fmt: skip
    model = BayesianNetwork(parts)
    for above, below in ((0, 2), (1, 2), (2, 3)):
        model.add_edge(parts[above], parts[below])
    x = torch.stack([torch.randint(0, count, (60,)) for count in (2, 3, 2, 4)], dim=1)
    circuit = check(model, x, names=list("abcd"))
    assert circuit.grid.names == ("a", "b", "c", "d") and circuit.log_constant == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("made", [
    lambda: d.Normal(covariance_type="diag"), lambda: d.Normal(covariance_type="sphere"), d.Exponential,
    d.Gamma, d.Uniform,
])  # fmt: skip
def test_real(made: Any) -> None:
    model = made().fit(REAL)
    circuit = from_estimator(model, symbols=512)
    symbols = circuit.grid.symbols_of(REAL.numpy())
    widths = sum(np.log(np.diff(axis.edges))[symbols[:, place]] for place, axis in enumerate(circuit.grid.axes))
    middles = torch.as_tensor(circuit.grid.values_of(symbols).astype(np.float32))
    assert_allclose(
        log_likelihood(circuit, symbols) - widths, model.log_probability(middles).detach().numpy(), atol=2e-3
    )


def test_what_is_refused() -> None:
    full = d.Normal().fit(REAL)
    with pytest.raises(FormatError, match=r"pomegranate's Normal must have covariance_type .*, got 'full'"):
        from_estimator(full)
    with pytest.raises(UsageError, match="FactorGraph is not normalised and has cycles"):
        from_estimator(FactorGraph())
    with pytest.raises(FormatError, match=r"a distribution of pomegranate must be one of .*, got StudentT"):
        from_estimator(GeneralMixtureModel([d.StudentT(2).fit(REAL)] * 2))
