"""Hidden Markov models of a number of steps: a chain of products of emissions and sums over the next state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.densities import Density
from pcedge.circuit.layers import InputLayer, Layer, ProductLayer, SumLayer
from pcedge.errors import CircuitError, FormatError, UsageError
from pcedge.importers.estimators.assembling import LeafForm, alike, described, variable_of
from pcedge.importers.estimators.mixtures import floats_of_simplex, full_covariances
from pcedge.importers.estimators.parameters import RULE, Choices, Described, logarithms
from pcedge.importers.graph import MAX_TABLE
from pcedge.importers.gridding import SYMBOLS
from pcedge.importers.normalise import Draft


@dataclass(frozen=True, eq=False)
class Chain:
    """Hold a hidden Markov model: every state emits a mixture of products of leaves."""

    #: logarithms of the first state's probabilities, (states,)
    starts: FloatArray
    #: of the transitions, (states, states)
    moves: FloatArray
    #: of what a sequence's last state counts, (states,); None where all count alike
    ends: FloatArray | None
    #: of each state the logarithm of a weight and the leaves, one a feature
    emissions: Sequence[Sequence[tuple[float, Sequence[LeafForm]]]]


def categorical(estimator: Described, choices: Choices) -> Draft:
    """Map hmmlearn's CategoricalHMM; its symbols are the integers from 0."""
    states = _states(estimator)
    table = estimator.floats("emissionprob_", states, None, low=0.0)
    return chain_draft(estimator, choices, _chain(estimator, [[(0.0, [row])] for row in table]))


def gaussian(estimator: Described, choices: Choices) -> Draft:
    """Map hmmlearn's GaussianHMM with diagonal or spherical covariances."""
    states = _states(estimator)
    means = estimator.floats("means_", states, None)
    kind = _covariances(estimator)
    shape = means.shape if kind == "diag" else (states,)
    given = (
        estimator.floats("_covars_", *shape, positive=True)
        if np.ndim(estimator.need("_covars_")) == len(shape)
        else (estimator.floats("_covars_", states, None, positive=True))
    )
    deviations = np.sqrt(np.broadcast_to(given.reshape(states, -1), means.shape))
    leaves = [
        [(0.0, [Density("gaussian", pair) for pair in zip(mean, deviation, strict=True)])]
        for mean, deviation in zip(means.tolist(), deviations.tolist(), strict=True)
    ]
    return chain_draft(estimator, choices, _chain(estimator, leaves))


def mixtures(estimator: Described, choices: Choices) -> Draft:
    """Map hmmlearn's GMMHMM with diagonal or spherical covariances."""
    states = _states(estimator)
    weights = estimator.floats("weights_", states, None, low=0.0)
    means = estimator.floats("means_", states, weights.shape[1], None)
    kind = _covariances(estimator)
    given = estimator.floats("covars_", *(means.shape if kind == "diag" else weights.shape), positive=True)
    deviations = np.sqrt(np.broadcast_to(given.reshape(*weights.shape, -1), means.shape))
    leaves = [
        [
            (float(weight), [Density("gaussian", pair) for pair in zip(mean, deviation, strict=True)])
            for weight, mean, deviation in zip(logarithms(row), some, spread, strict=True)
        ]
        for row, some, spread in zip(weights, means.tolist(), deviations.tolist(), strict=True)
    ]
    return chain_draft(estimator, choices, _chain(estimator, leaves))


def poisson(estimator: Described, choices: Choices) -> Draft:
    """Map hmmlearn's PoissonHMM; its symbols are counts."""
    states = _states(estimator)
    means = estimator.floats("lambdas_", states, None, low=0.0)
    leaves = [[(0.0, [Density("poisson", (mean,)) for mean in row])] for row in means.tolist()]
    return chain_draft(estimator, choices, _chain(estimator, leaves))


def chain_draft(estimator: Described, choices: Choices, chain: Chain) -> Draft:
    """Give the circuit of `steps` steps: the variable of feature f at step t is number t · features + f, `f[t]`.

    All steps have equal tables and weights, so what keeps equal tables once needs one step's memory.

    Raises:
        UsageError: nobody says how many steps, or the data do not fit.
    """
    steps = choices.steps
    if steps is None:
        raise UsageError(f"{estimator.kind} is over sequences of any length: give steps=N for the circuit of N steps")
    states = len(chain.starts)
    components = [component for emission in chain.emissions for component in emission]
    features = len(components[0][1])
    if any(len(leaves) != features for _, leaves in components):
        raise FormatError(RULE, f"the emissions of {estimator.kind} must have one number of features")
    names = choices.names_for(estimator, features) if features > 1 or choices.names else ("x",)
    widest = max(SYMBOLS if isinstance(leaf, Density) else len(leaf) for _, leaves in components for leaf in leaves)
    choices.room(len(components), features, widest)
    shares = np.exp([weight for weight, _ in components])
    gridding = replace(choices.gridding, data=_frames(choices, features, steps))
    made = [
        variable_of(name, column, [leaves[column] for _, leaves in components], shares, gridding)
        for column, name in enumerate(names)
    ]
    if steps * sum(variable.tables.size for variable in made) > MAX_TABLE:
        raise FormatError("import-size", f"all leaf tables together must hold {MAX_TABLE} numbers at most")
    variables = [
        replace(
            variable, axis=replace(variable.axis, name=f"{variable.axis.name}[{step}]", column=step * features + column)
        )
        for step in range(steps)
        for column, variable in enumerate(made)
    ]
    tables, gathers = zip(*(alike(variable.tables) for variable in made), strict=True)
    layers: list[Layer] = []
    layers_names: list[str] = []
    mixed = _mixing(chain)
    # What the states of the step above lead to: a layer, the states that lead anywhere, and the unit of each.
    below, alive, units, extra = -1, np.arange(states), np.arange(states), np.zeros(states)

    def add(layer: Layer, name: str) -> int:
        layers.append(layer)
        layers_names.append(f"{estimator.kind}, step {step}: {name}")
        return len(layers) - 1

    for step in reversed(range(steps)):
        # The emissions of all components: (layer, unit of every component)
        factors = [
            (add(InputLayer(step * features + column, logarithms(table)), name), gather)
            for column, (name, table, gather) in enumerate(zip(names, tables, gathers, strict=True))
        ]
        if features > 1 and (mixed is not None or step == steps - 1):
            gather = np.stack([gather for _, gather in factors], axis=1)
            factors = [
                (add(ProductLayer(tuple(layer for layer, _ in factors), gather), "emissions"), np.arange(len(gather)))
            ]
        if mixed is not None:
            layer, gather = factors[0]
            factors = [(add(SumLayer((layer,), _merged(mixed, gather)), "mixtures"), np.arange(states))]
        if step == steps - 1:
            ends = np.zeros(states) if chain.ends is None else chain.ends
            alive = np.flatnonzero(~np.isneginf(ends))
            below, units, extra = factors[0][0], factors[0][1][alive], ends[alive]
            continue
        moves = chain.moves[:, alive] + extra
        alive = np.flatnonzero(~np.isneginf(moves).all(axis=1))
        if not len(alive):
            raise CircuitError(f"{estimator.kind} must have a way of {steps} steps, it has none")
        factors.append((add(SumLayer((below,), _merged(moves[alive], units)), "next states"), np.arange(states)))
        rows = [gather[alive] for _, gather in factors[:-1]]
        units, extra = np.arange(len(alive)), np.zeros(len(alive))
        below = add(ProductLayer(tuple(layer for layer, _ in factors), np.stack([*rows, units], axis=1)), "states")
    step = 0
    add(SumLayer((below,), _merged((chain.starts[alive] + extra)[None, :], units)), "first states")
    return Draft(tuple(layers), tuple(layers_names), (), *described(variables))


def _merged(log_weights: FloatArray, units: IntArray) -> FloatArray:
    """Give the weights of units from those of columns, where column c is the unit `units[c]`."""
    merged = np.full((len(log_weights), int(units.max()) + 1), -np.inf)
    np.logaddexp.at(merged.T, units, log_weights.T)
    return merged


def _mixing(chain: Chain) -> FloatArray | None:
    """Give the weights of all states' components, (states, components); None where a state has one that counts 1."""
    if all(len(emission) == 1 and emission[0][0] == 0.0 for emission in chain.emissions):
        return None
    total = sum(len(emission) for emission in chain.emissions)
    weights = np.full((len(chain.emissions), total), -np.inf)
    first = 0
    for state, emission in enumerate(chain.emissions):
        weights[state, first : first + len(emission)] = [weight for weight, _ in emission]
        first += len(emission)
    return weights


def _frames(choices: Choices, features: int, steps: int) -> FloatArray | None:
    """Give data as rows of features, of steps one below the other or of windows of all steps."""
    data = choices.gridding.data
    if data is None:
        return None
    if data.ndim == 2 and data.shape[1] == features:
        return data
    if data.ndim == 2 and data.shape[1] == features * steps:
        return data.reshape(-1, features)
    raise UsageError(
        f"the data of a grid must have {features} columns, or {features * steps} of all steps, they have shape "
        f"{data.shape}"
    )


def _states(estimator: Described) -> int:
    return len(floats_of_simplex(estimator, "startprob_"))


def _chain(estimator: Described, emissions: Sequence[Sequence[tuple[float, Sequence[LeafForm]]]]) -> Chain:
    states = _states(estimator)
    moves = estimator.floats("transmat_", states, states, low=0.0)
    wrong = np.flatnonzero(np.abs(moves.sum(axis=1) - 1) > 1e-6)
    if len(wrong):
        raise FormatError(
            RULE,
            f"{estimator.kind}.transmat_ must have rows that sum to 1, row {wrong[0]} sums to "
            f"{moves[wrong[0]].sum():.9g}",
        )
    return Chain(logarithms(estimator.floats("startprob_", states, low=0.0)), logarithms(moves), None, emissions)


def _covariances(estimator: Described) -> str:
    kind = estimator.get("covariance_type")
    if kind in ("full", "tied"):
        raise FormatError(RULE, full_covariances(estimator.kind, kind))
    if kind not in ("diag", "spherical"):
        raise FormatError(RULE, f"{estimator.kind}.covariance_type must be diag or spherical, got {str(kind)[:40]!r}")
    return str(kind)
