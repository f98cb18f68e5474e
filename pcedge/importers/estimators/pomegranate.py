"""pomegranate's mixtures, classifiers, hidden Markov models and networks, from the tensors of live objects."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from pcedge.arrays import FloatArray
from pcedge.circuit.densities import Density
from pcedge.errors import FormatError
from pcedge.importers.compiling import compile_network
from pcedge.importers.estimators.assembling import LeafForm, class_variable, mixture_draft, variable_of
from pcedge.importers.estimators.hmms import Chain, chain_draft
from pcedge.importers.estimators.mixtures import full_covariances
from pcedge.importers.estimators.parameters import RULE, Choices, Described, logarithms
from pcedge.importers.graph import MAX_TABLE
from pcedge.importers.networks import Factor, Network
from pcedge.importers.normalise import Draft

#: a mixture of products: of each component the logarithm of its weight and its leaves
Components = list[tuple[float, list[LeafForm]]]


def mixture(estimator: Described, choices: Choices) -> Draft:
    """Map GeneralMixtureModel, or a single distribution, to a sum over products of leaves."""
    choices.no_steps(estimator)
    return _draft(estimator, choices, components(estimator))


def classifier(estimator: Described, choices: Choices) -> Draft:
    """Map BayesClassifier: a mixture whose parts are the classes, integers from 0."""
    choices.no_steps(estimator)
    parts = [components(part) for part in estimator.children("distributions")]
    priors = logarithms(estimator.floats("priors", len(parts), low=0.0))
    joint = [
        (float(prior) + weight, leaves) for prior, part in zip(priors, parts, strict=True) for weight, leaves in part
    ]
    which = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return _draft(estimator, choices, joint, which)


def hidden_markov(estimator: Described, choices: Choices) -> Draft:
    """Map DenseHMM and SparseHMM of a number of steps; the last state's `ends` count, as in the library."""
    emissions = [components(part) for part in estimator.children("distributions")]
    states = len(emissions)
    starts = _edges(estimator, "starts", states)
    if estimator.kind == "SparseHMM":
        moves = np.full((states, states), -np.inf)
        heads, tails = (
            np.asarray(estimator.need(name)).astype(np.int64) for name in ("_edge_idx_starts", "_edge_idx_ends")
        )
        values = _edges(estimator, "edges", len(heads))
        if (
            heads.shape != tails.shape
            or (np.stack([heads, tails]) >= states).any()
            or (np.stack([heads, tails]) < 0).any()
        ):
            raise FormatError(RULE, f"the edges of {estimator.kind} must lie between its {states} states")
        moves[heads, tails] = values
    else:
        moves = _edges(estimator, "edges", states, states)
    ends = _edges(estimator, "ends", states)
    if np.isneginf(ends).all():  # no state is a last one, and the library calls every sequence impossible
        ends = np.zeros(states)
    return chain_draft(estimator, choices, Chain(starts, moves, ends, emissions))


def network(estimator: Described, choices: Choices) -> Draft:
    """Map BayesianNetwork of categorical distributions, compiled as networks of files are."""
    choices.no_steps(estimator)
    parts = estimator.children("distributions")
    parents = estimator.get("_parents") or [()] * len(parts)
    if len(parents) != len(parts):
        raise FormatError(RULE, f"{estimator.kind} must name the parents of its {len(parts)} distributions")
    factors = []
    for place, (part, above) in enumerate(zip(parts, parents, strict=True)):
        given = part.need("probs")
        table = np.asarray(given[0] if isinstance(given, list | tuple) else given, dtype=np.float64)
        if part.kind not in ("Categorical", "ConditionalCategorical") or table.ndim != len(above) + (1 if above else 2):
            raise FormatError(
                RULE,
                f"distribution {place} of {estimator.kind} must be categorical, one of one variable, got "
                f"{part.kind[:40]}",
            )
        factors.append(Factor((*above, place), table if above else table[0]))
    names = choices.names_for(estimator, len(parts))
    made = Network(names, tuple(factor.table.shape[-1] for factor in factors), tuple(factors))
    return compile_network(made, MAX_TABLE, estimator.kind)


def components(part: Described) -> Components:
    """Give a distribution as a mixture of products of leaves.

    Raises:
        FormatError: it is none, or not known.
    """
    if part.kind == "GeneralMixtureModel":
        inner = [components(child) for child in part.children("distributions")]
        priors = logarithms(part.floats("priors", len(inner), low=0.0))
        return [
            (float(prior) + weight, leaves) for prior, few in zip(priors, inner, strict=True) for weight, leaves in few
        ]
    if part.kind == "IndependentComponents":
        leaves: list[LeafForm] = []
        for child in part.children("distributions"):
            if child.kind not in LEAVES:
                raise FormatError(RULE, _unknown(child))
            leaves += LEAVES[child.kind](child)
        return [(0.0, leaves)]
    if part.kind not in LEAVES:
        raise FormatError(RULE, _unknown(part))
    return [(0.0, LEAVES[part.kind](part))]


def _unknown(part: Described) -> str:
    known = ", ".join([*LEAVES, "IndependentComponents", "GeneralMixtureModel"])
    return f"a distribution of pomegranate must be one of {known}, got {part.kind[:60]}"


def _categorical(part: Described) -> list[LeafForm]:
    table = part.floats("probs", None, None, low=0.0)
    return [row / row.sum() if row.sum() > 0 else row for row in table]


def _bernoulli(part: Described) -> list[LeafForm]:
    ones = part.floats("probs", None, low=0.0)
    if (ones > 1).any():
        raise FormatError(RULE, f"{part.kind}.probs must be probabilities, got {ones.max():g}")
    return [np.array([1 - one, one]) for one in ones.tolist()]


def _normal(part: Described) -> list[LeafForm]:
    means, deviations = _gauss(part)
    return [Density("gaussian", pair) for pair in zip(means, deviations, strict=True)]


def _lognormal(part: Described) -> list[LeafForm]:
    means, deviations = _gauss(part)
    return [Density("lognormal", pair) for pair in zip(means, deviations, strict=True)]


def _gauss(part: Described) -> tuple[list[float], list[float]]:
    kind = part.get("covariance_type")
    if kind not in ("diag", "sphere"):
        raise FormatError(RULE, full_covariances(f"pomegranate's {part.kind}", str(kind)))
    means = part.floats("means", None)
    given = np.asarray(part.need("covs"), dtype=np.float64)
    spread = np.broadcast_to(given, means.shape) if kind == "sphere" else part.floats("covs", len(means), positive=True)
    if not (spread > 0).all():
        raise FormatError(RULE, f"{part.kind}.covs must be above 0, got {spread.min():g}")
    return means.tolist(), np.sqrt(spread).tolist()


def _one(family: str, name: str) -> Callable[[Described], list[LeafForm]]:
    return lambda part: [Density(family, (value,)) for value in part.floats(name, None).tolist()]


def _exponential(part: Described) -> list[LeafForm]:
    return [Density("exponential", (0.0, scale)) for scale in part.floats("scales", None).tolist()]


def _gamma(part: Described) -> list[LeafForm]:
    shapes = part.floats("shapes", None, positive=True)
    rates = part.floats("rates", len(shapes), positive=True)
    return [Density("gamma", pair) for pair in zip(shapes.tolist(), (1 / rates).tolist(), strict=True)]


def _uniform(part: Described) -> list[LeafForm]:
    lows = part.floats("mins", None)
    return [
        Density("uniform", ends) for ends in zip(lows.tolist(), part.floats("maxs", len(lows)).tolist(), strict=True)
    ]


#: the distributions that are leaves
LEAVES: dict[str, Callable[[Described], list[LeafForm]]] = {
    "Categorical": _categorical, "Bernoulli": _bernoulli, "Normal": _normal, "LogNormal": _lognormal,
    "Poisson": _one("poisson", "lambdas"), "Exponential": _exponential, "Gamma": _gamma, "Uniform": _uniform,
}  # fmt: skip


def _draft(
    estimator: Described,
    choices: Choices,
    parts: Components,
    which: np.ndarray[tuple[int, ...], np.dtype[np.int64]] | None = None,
) -> Draft:
    """Give a mixture, with the class as the last variable where components belong to classes."""
    features = len(parts[0][1])
    if any(len(leaves) != features for _, leaves in parts):
        raise FormatError(RULE, f"the distributions of {estimator.kind} must have one number of features")
    weights = np.array([weight for weight, _ in parts])
    names = choices.names_for(estimator, features)
    variables = [
        variable_of(name, column, [leaves[column] for _, leaves in parts], np.exp(weights), choices.gridding)
        for column, name in enumerate(names)
    ]
    if which is not None:
        classes = int(which[-1]) + 1
        variables.append(class_variable(features, tuple(range(classes)), np.eye(classes)[which]))
    return mixture_draft(estimator.kind, weights, variables)


def _edges(estimator: Described, name: str, *shape: int) -> FloatArray:
    """Give logarithms of probabilities; where nobody gave any the library takes all alike."""
    what = f"{estimator.kind}.{name}"
    given = estimator.get(name)
    if given is None and len(shape) == 1:
        return np.full(shape, -math.log(shape[0]))
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise FormatError(
            RULE, f"{what} must be numbers; fit the model, or compute a log_probability, first"
        ) from error
    if values.shape != shape or np.isnan(values).any() or (values > math.log(1 + 1e-5)).any():
        raise FormatError(
            RULE, f"{what} must be {'×'.join(map(str, shape))} logarithms of probabilities, got {values.shape}"
        )
    return values
