"""Hidden Markov models of hmmlearn as chains: `model.score`, and the same recursion over masses of bins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hmmlearn.hmm import GMMHMM, CategoricalHMM, GaussianHMM, MultinomialHMM, PoissonHMM
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

import pcedge
from pcedge import from_estimator, log_likelihood
from pcedge.errors import FormatError, UsageError
from pcedge.export import estimate_cost

STATES, STEPS = 3, 5
RNG = np.random.default_rng(0)
STARTS = np.array([0.5, 0.3, 0.2])
MOVES = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.05, 0.15, 0.8]])
MEANS = np.array([[0.0, 1.0], [3.0, -2.0], [-4.0, 5.0]])


def chain(model: Any, **attributes: Any) -> Any:
    model.n_features = 2
    for name, value in {"startprob_": STARTS, "transmat_": MOVES, **attributes}.items():
        setattr(model, name, value)
    return model


def forward(circuit: Any, emissions: Any, x: Any) -> float:
    """Recurse over masses: `emissions[state]` are weighted products of scipy's distributions."""
    symbols = circuit.grid.symbols_of(x.reshape(1, -1))[0].reshape(len(x), -1)
    alpha = STARTS
    for step, row in enumerate(symbols):
        if step:
            alpha = alpha @ MOVES
        mass = np.zeros(STATES)
        for state, parts in enumerate(emissions):
            for weight, distributions in parts:
                product = weight
                for column, distribution in enumerate(distributions):
                    edges = np.array(circuit.grid.axes[column].edges)
                    low = -np.inf if row[column] == 0 else edges[row[column]]
                    high = np.inf if row[column] == len(edges) - 2 else edges[row[column] + 1]
                    upper = distribution.sf(low) < 0.5
                    product *= (
                        distribution.sf(low) - distribution.sf(high)
                        if upper
                        else distribution.cdf(high) - distribution.cdf(low)
                    )
                mass[state] += product
        alpha = alpha * mass
    return float(np.log(alpha.sum()))


@pytest.mark.parametrize("steps", [1, 2, STEPS])
def test_categorical(steps: int) -> None:
    table = np.array([[0.7, 0.2, 0.1, 0.0], [0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.25, 0.25]])
    model = chain(CategoricalHMM(STATES), emissionprob_=table)
    model.n_features = 4
    circuit = from_estimator(model, steps=steps)
    x = RNG.integers(0, 4, (50, steps))
    assert_allclose(log_likelihood(circuit, x), [model.score(row[:, None]) for row in x], atol=1e-9)
    assert circuit.grid.names == tuple(f"x[{step}]" for step in range(steps)) and circuit.log_constant == pytest.approx(
        0
    )


def test_states_that_emit_alike_stay_apart() -> None:
    table = np.array([[0.7, 0.3], [0.2, 0.8], [0.7, 0.3]])
    model = chain(CategoricalHMM(STATES), emissionprob_=table)
    for steps in (1, 2, 4):
        circuit = from_estimator(model, steps=steps)
        x = np.array(np.meshgrid(*[[0, 1]] * steps)).reshape(steps, -1).T
        assert_allclose(log_likelihood(circuit, x), [model.score(row[:, None]) for row in x], atol=1e-12)


def test_poisson() -> None:
    model = chain(PoissonHMM(STATES), lambdas_=np.array([[1.0, 4.0], [6.0, 0.5], [2.0, 2.0]]))
    circuit = from_estimator(model, steps=STEPS, names=["calls", "faults"])
    x = RNG.poisson(3, (20, STEPS, 2))
    assert_allclose(log_likelihood(circuit, circuit.grid.symbols_of(x)), [model.score(row) for row in x], atol=1e-9)
    assert circuit.grid.names[:3] == ("calls[0]", "faults[0]", "calls[1]")
    assert [axis.column for axis in circuit.grid.axes] == list(range(2 * STEPS))


@pytest.mark.parametrize("kind", ["diag", "spherical"])
def test_gaussian(kind: str) -> None:
    covariances = np.array([[1.0, 0.25], [0.5, 2.0], [1.5, 1.0]]) if kind == "diag" else np.array([1.0, 0.25, 2.0])
    model = chain(GaussianHMM(STATES, covariance_type=kind), means_=MEANS)
    model.covars_ = covariances
    circuit = from_estimator(model, steps=STEPS)
    spread = np.sqrt(np.broadcast_to(covariances.reshape(STATES, -1), (STATES, 2)))
    emissions = [[(1.0, [stats.norm(*p) for p in zip(MEANS[k], spread[k], strict=True)])] for k in range(STATES)]
    for x in model.sample(40, random_state=1)[0].reshape(8, STEPS, 2):
        symbols = circuit.grid.symbols_of(x.reshape(1, -1))
        assert log_likelihood(circuit, symbols)[0] == pytest.approx(forward(circuit, emissions, x), abs=1e-9)
    fine = from_estimator(model, steps=STEPS, symbols=2048)
    widths = sum(np.log(axis.edges[1] - axis.edges[0]) for axis in fine.grid.axes)
    x = model.sample(STEPS, random_state=2)[0]
    assert log_likelihood(fine, fine.grid.symbols_of(x.reshape(1, -1)))[0] - widths == pytest.approx(
        model.score(x), abs=0.1
    )


@pytest.mark.parametrize("kind", ["diag", "spherical"])
@pytest.mark.parametrize("features", [1, 2])
def test_mixtures(kind: str, features: int) -> None:
    means = np.stack([MEANS, MEANS + 1], axis=1)[:, :, :features]
    weights = np.array([[0.5, 0.5], [0.9, 0.1], [1.0, 0.0]])
    covariances = np.full((STATES, 2, features), 0.75) if kind == "diag" else np.full((STATES, 2), 0.75)
    model = chain(GMMHMM(STATES, n_mix=2, covariance_type=kind), means_=means, weights_=weights, covars_=covariances)
    circuit = from_estimator(model, steps=STEPS)
    emissions = [
        [(weights[k, m], [stats.norm(mean, np.sqrt(0.75)) for mean in means[k, m]]) for m in range(2)]
        for k in range(STATES)
    ]
    x = RNG.normal(0, 3, (STEPS, features))
    symbols = circuit.grid.symbols_of(x.reshape(1, -1))
    assert log_likelihood(circuit, symbols)[0] == pytest.approx(forward(circuit, emissions, x), abs=1e-9)


def test_steps_share_their_memory() -> None:
    table = RNG.dirichlet(np.full(64, 0.3), 16)
    model = chain(
        CategoricalHMM(16),
        emissionprob_=table,
        startprob_=np.full(16, 1 / 16),
        transmat_=RNG.dirichlet(np.ones(16), 16),
    )
    rom = [
        estimate_cost(pcedge.to_integer(from_estimator(model, steps=steps)), target="zcu104").memory_bits
        for steps in (8, 128)
    ]
    assert rom[0]["tables"] == rom[1]["tables"] and rom[0]["weights"] == rom[1]["weights"] and rom[1]["rom"] < 30_000
    gaussian = chain(GaussianHMM(STATES, covariance_type="diag"), means_=MEANS)
    gaussian.covars_ = np.ones((STATES, 2))
    rom = [
        estimate_cost(pcedge.to_integer(from_estimator(gaussian, steps=steps)), target="zcu104").memory_bits
        for steps in (4, 32)
    ]
    assert rom[0]["tables"] == rom[1]["tables"] and rom[0]["weights"] == rom[1]["weights"]


def test_data_of_frames_or_of_windows_choose_one_grid() -> None:
    model = chain(GaussianHMM(STATES, covariance_type="diag"), means_=MEANS)
    model.covars_ = np.ones((STATES, 2))
    frames = np.tile(RNG.integers(-3, 4, (30, 2)), (1, STEPS)).astype(float)
    one, other = (
        from_estimator(model, steps=STEPS, data=frames),
        from_estimator(model, steps=STEPS, data=frames.reshape(-1, 2)),
    )
    assert one.grid == other.grid and one.cardinalities[0] == 9
    with pytest.raises(
        UsageError, match=r"the data of a grid must have 2 columns, or 10 of all steps, they have shape"
    ):
        from_estimator(model, steps=STEPS, data=frames[:, :3])


def test_sequences_are_coded() -> None:
    model = chain(PoissonHMM(STATES), lambdas_=np.array([[1.0, 4.0], [6.0, 0.5], [2.0, 2.0]]))
    circuit = pcedge.to_integer(from_estimator(model, steps=STEPS))
    x = model.sample(20 * STEPS, random_state=0)[0].reshape(20, STEPS, 2)
    back = pcedge.decode(circuit, pcedge.encode(circuit, x))
    assert_array_equal(back, x.reshape(20, -1))


def test_what_is_refused() -> None:
    model = chain(GaussianHMM(STATES, covariance_type="diag"), means_=MEANS)
    model.covars_ = np.ones((STATES, 2))
    with pytest.raises(UsageError, match=r"GaussianHMM is over sequences of any length: give steps=N"):
        from_estimator(model)
    full = chain(GaussianHMM(STATES, covariance_type="full"), means_=MEANS)
    full.covars_ = np.tile(np.eye(2), (STATES, 1, 1))
    with pytest.raises(FormatError, match=r"GaussianHMM must have covariance_type .*, got 'full'.*refit"):
        from_estimator(full, steps=2)
    with pytest.raises(UsageError, match="MultinomialHMM is over counts of several trials"):
        from_estimator(MultinomialHMM(2), steps=2)
    with pytest.raises(FormatError, match="CategoricalHMM must be fitted, it has no startprob_"):
        from_estimator(CategoricalHMM(2), steps=2)
    wrong = chain(CategoricalHMM(STATES), emissionprob_=np.full((STATES, 2), 0.5), transmat_=np.eye(3) * 0.5)
    with pytest.raises(FormatError, match=r"transmat_ must have rows that sum to 1, row 0 sums to 0\.5"):
        from_estimator(wrong, steps=2)
