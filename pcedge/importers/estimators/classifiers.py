"""scikit-learn's naive Bayes classifiers as joint densities of features and class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcedge.arrays import FloatArray
from pcedge.circuit.densities import Density
from pcedge.data.value_grid import Axis
from pcedge.errors import FormatError, UsageError
from pcedge.importers.estimators.assembling import Variable, class_variable, mixture_draft, variable_of
from pcedge.importers.estimators.parameters import RULE, Choices, Described, floats, logarithms
from pcedge.importers.normalise import Draft


def gaussian_nb(estimator: Described, choices: Choices) -> Draft:
    """Map GaussianNB: a component a class, a Gaussian leaf a feature."""
    choices.no_steps(estimator)
    labels = estimator.labels()
    priors = estimator.floats("class_prior_", len(labels), low=0.0)
    means = estimator.floats("theta_", len(labels), None)
    name = "var_" if "var_" in estimator.attributes else "sigma_"
    deviations = np.sqrt(estimator.floats(name, *means.shape, positive=True))
    choices.room(len(labels), means.shape[1])
    names = choices.names_for(estimator, means.shape[1])
    variables = [
        variable_of(
            names[column], column, [Density("gaussian", pair) for pair in zip(mean, deviation, strict=True)], priors,
            choices.gridding,
        )
        for column, (mean, deviation) in enumerate(zip(means.T.tolist(), deviations.T.tolist(), strict=True))
    ]  # fmt: skip
    return _joint(estimator, choices, labels, logarithms(priors), variables)


def bernoulli_nb(estimator: Described, choices: Choices) -> Draft:
    """Map BernoulliNB: a feature is whether its value is above `binarize`; without one it is 0 or 1."""
    choices.no_steps(estimator)
    labels = estimator.labels()
    ones = np.exp(estimator.floats("feature_log_prob_", len(labels), None))
    if (ones > 1 + 1e-9).any():
        raise FormatError(RULE, f"{estimator.kind}.feature_log_prob_ must be logarithms of probabilities")
    choices.room(len(labels), ones.shape[1], 2)
    names = choices.names_for(estimator, ones.shape[1])
    threshold = estimator.get("binarize")
    edges: tuple[float, ...] = ()
    if threshold is not None:
        edge = above(float(floats(threshold, f"{estimator.kind}.binarize")))
        edges = (edge - max(1.0, abs(edge)), edge, edge + max(1.0, abs(edge)))
    variables = []
    for column, name in enumerate(names):
        table = np.minimum(ones[:, column], 1.0)
        axis = Axis(name, column, "integers", count=2, outside="refuse")
        if edges:
            axis = Axis(name, column, "bins", edges, outside=choices.gridding.outside)
        variables.append(Variable(axis, np.stack([1 - table, table], axis=1)))
    return _joint(estimator, choices, labels, _log_priors(estimator, len(labels)), variables)


def above(threshold: float) -> float:
    """Give the edge of a bin that holds what is above a threshold: the least float32 that is.

    A grid's bins hold their lower edges, while `x > threshold` does not hold at the threshold. Below 2^-126 float32
    has numbers that devices take for 0; the least edge above 0 is that.
    """
    edge = np.float32(threshold)
    if float(edge) <= threshold:
        edge = np.nextafter(edge, np.float32(np.inf), dtype=np.float32)
    return 2.0**-126 if 0 < float(edge) < 2.0**-126 else float(edge)


def categorical_nb(estimator: Described, choices: Choices) -> Draft:
    """Map CategoricalNB: a table a feature and class over its categories, the integers from 0."""
    choices.no_steps(estimator)
    labels = estimator.labels()
    given = estimator.need("feature_log_prob_")
    if not isinstance(given, list | tuple) or not given:
        raise FormatError(RULE, f"{estimator.kind}.feature_log_prob_ must be a list of tables, one a feature")
    choices.room(len(labels), len(given), max(np.shape(table)[-1] if np.ndim(table) else 1 for table in given))
    names = choices.names_for(estimator, len(given))
    variables = [
        variable_of(
            name, column, list(np.exp(floats(table, f"{estimator.kind}.feature_log_prob_", len(labels), None))),
            np.ones(len(labels)), choices.gridding,
        )
        for column, (name, table) in enumerate(zip(names, given, strict=True))
    ]  # fmt: skip
    return _joint(estimator, choices, labels, _log_priors(estimator, len(labels)), variables)


def multinomial_nb(estimator: Described, choices: Choices) -> Draft:
    """Map MultinomialNB to documents of `steps` tokens: every token is drawn from its class's table.

    A vector of counts is no product over the vocabulary, for its sum is the number of tokens; the tokens one by one
    are. The joint log-probability of tokens is that of their counts, as scikit-learn tells it.
    """
    if choices.steps is None:
        raise UsageError(
            f"{estimator.kind} is over counts of words, which are no product of leaves: give steps=N for the circuit "
            "of N tokens, whose data are the words' numbers, one a column"
        )
    labels = estimator.labels()
    table = np.exp(estimator.floats("feature_log_prob_", len(labels), None))
    axis = Axis("token", 0, "integers", count=table.shape[1], outside="refuse")
    variables = [
        Variable(Axis(f"token[{step}]", step, axis.kind, count=axis.count, outside=axis.outside), table)
        for step in range(choices.steps)
    ]
    return _joint(estimator, choices, labels, _log_priors(estimator, len(labels)), variables)


def _joint(
    estimator: Described, choices: Choices, labels: Sequence[str | int | float], log_priors: FloatArray,
    variables: list[Variable],
) -> Draft:  # fmt: skip
    """Give the mixture over classes, with the class as the last variable."""
    choices.room(len(labels), 1, len(labels))
    variables = [*variables, class_variable(len(variables), labels, np.eye(len(labels)))]
    return mixture_draft(estimator.kind, log_priors, variables)


def _log_priors(estimator: Described, classes: int) -> FloatArray:
    return estimator.floats("class_log_prior_", classes)
