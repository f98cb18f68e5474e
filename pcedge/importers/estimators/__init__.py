"""Fitted estimators as circuits: mixtures, classifiers, trees and hidden Markov models, by their plain parameters."""

from __future__ import annotations

from collections.abc import Callable

from pcedge.errors import UsageError
from pcedge.importers.estimators import classifiers, hmms, mixtures, pomegranate, trees
from pcedge.importers.estimators.parameters import Choices, Described
from pcedge.importers.estimators.scaling import folded
from pcedge.importers.normalise import Draft

__all__ = ["KNOWN", "Choices", "Described", "estimator_draft"]

Mapper = Callable[[Described, Choices], Draft]


def _refused(why: str) -> Mapper:
    def refuse(estimator: Described, choices: Choices) -> Draft:
        raise UsageError(f"{estimator.kind} {why}")

    return refuse


_REGRESSOR = _refused(
    "tells a value, and no density: take a classifier of the same data, or a mixture of features and value"
)

#: by package and class: what maps it. The place for a new class (docs/importers.md, section Estimators)
KNOWN: dict[tuple[str, str], Mapper] = {
    ("sklearn", "GaussianMixture"): mixtures.gaussian_mixture,
    ("sklearn", "BayesianGaussianMixture"): mixtures.gaussian_mixture,
    ("sklearn", "KernelDensity"): mixtures.kernel_density,
    ("sklearn", "GaussianNB"): classifiers.gaussian_nb,
    ("sklearn", "BernoulliNB"): classifiers.bernoulli_nb,
    ("sklearn", "CategoricalNB"): classifiers.categorical_nb,
    ("sklearn", "MultinomialNB"): classifiers.multinomial_nb,
    ("sklearn", "DecisionTreeClassifier"): trees.classifier,
    ("sklearn", "ExtraTreeClassifier"): trees.classifier,
    ("sklearn", "RandomForestClassifier"): trees.classifier,
    ("sklearn", "ExtraTreesClassifier"): trees.classifier,
    ("sklearn", "IsolationForest"): trees.isolation_forest,
    ("hmmlearn", "CategoricalHMM"): hmms.categorical,
    ("hmmlearn", "GaussianHMM"): hmms.gaussian,
    ("hmmlearn", "GMMHMM"): hmms.mixtures,
    ("hmmlearn", "PoissonHMM"): hmms.poisson,
    ("pomegranate", "GeneralMixtureModel"): pomegranate.mixture,
    ("pomegranate", "BayesClassifier"): pomegranate.classifier,
    ("pomegranate", "DenseHMM"): pomegranate.hidden_markov,
    ("pomegranate", "SparseHMM"): pomegranate.hidden_markov,
    ("pomegranate", "BayesianNetwork"): pomegranate.network,
    ("pomegranate", "IndependentComponents"): pomegranate.mixture,
    **{("pomegranate", name): pomegranate.mixture for name in pomegranate.LEAVES},
}

#: classes that have no circuit, and why
_REFUSED: dict[tuple[str, str], Mapper] = {
    ("sklearn", "ComplementNB"): _refused("has weights that are no probabilities; MultinomialNB has"),
    ("sklearn", "DecisionTreeRegressor"): _REGRESSOR,
    ("sklearn", "RandomForestRegressor"): _REGRESSOR,
    ("sklearn", "ExtraTreesRegressor"): _REGRESSOR,
    ("hmmlearn", "MultinomialHMM"): _refused(
        "is over counts of several trials, which are no product of leaves; CategoricalHMM has one trial a step"
    ),
    ("pomegranate", "FactorGraph"): _refused("is not normalised and has cycles; make a BayesianNetwork of it"),
}


def estimator_draft(estimator: Described, choices: Choices) -> Draft:
    """Map a fitted estimator to the layers of a circuit, with names, grid and losses.

    Args:
        estimator: its class and attributes, from memory or from a file.
        choices: symbols, steps, components, names.

    Raises:
        UsageError: the class is not known, or has no circuit; the message says which are known. Or a choice does not
            fit.
        FormatError: an attribute is not what the library gives.
    """
    chain, last = folded(estimator)
    mapping = _mapping(last)
    if chain is None:
        return mapping(last, choices)
    return chain.draft(lambda inner: mapping(last, inner), choices)


def _mapping(estimator: Described) -> Mapper:
    for name in (estimator.name, *estimator.bases):
        key = (name.partition(".")[0], name.rpartition(".")[2])
        if found := KNOWN.get(key) or _REFUSED.get(key):
            return found
    libraries = sorted({library for library, _ in KNOWN})
    names = [", ".join(kind for library, kind in KNOWN if library == wanted) for wanted in libraries]
    listed = "; ".join(f"{library}: {kinds}" for library, kinds in zip(libraries, names, strict=True))
    raise UsageError(f"an estimator must be one of {listed}, got {estimator.name[:80]}")
