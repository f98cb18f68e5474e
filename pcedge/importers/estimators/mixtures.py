"""Mixtures of Gaussians and of kernels: scikit-learn's GaussianMixture, BayesianGaussianMixture, KernelDensity."""

from __future__ import annotations

import math

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.densities import Density
from pcedge.errors import FormatError
from pcedge.extras import needing
from pcedge.importers.estimators.assembling import Variable, mixture_draft, variable_of
from pcedge.importers.estimators.parameters import COMPONENTS, RULE, Choices, Described, floats, logarithms
from pcedge.importers.graph import MAX_TABLE
from pcedge.importers.normalise import Draft

#: points at which the loss of fewer kernels is measured, at most
_MEASURED = 2000

#: the kernels of one dimension that are families of densities
_KERNELS = ("gaussian", "tophat", "exponential")


def gaussian_mixture(estimator: Described, choices: Choices) -> Draft:
    """Map a mixture of Gaussians with diagonal or spherical covariances: a sum over products of Gaussian leaves."""
    choices.no_steps(estimator)
    weights = floats_of_simplex(estimator, "weights_")
    means = estimator.floats("means_", len(weights), None)
    kind = estimator.get("covariance_type")
    if kind in ("full", "tied"):
        raise FormatError(RULE, full_covariances(estimator.kind, kind))
    if kind not in ("diag", "spherical"):
        raise FormatError(RULE, f"{estimator.kind}.covariance_type must be diag or spherical, got {str(kind)[:40]!r}")
    shape = (len(weights), means.shape[1]) if kind == "diag" else (len(weights),)
    spread = estimator.floats("covariances_", *shape, low=0.0).reshape(len(weights), -1)
    deviations = np.sqrt(np.broadcast_to(spread, means.shape))
    counts = logarithms(weights)
    if "mean_precision_" in estimator.attributes:
        counts = _expected(estimator, *means.shape)
    return mixture_draft(estimator.kind, counts, _gaussians(estimator, choices, weights, means, deviations))


def _expected(estimator: Described, components: int, features: int) -> FloatArray:
    """Give what a component counts in `score_samples` of a BayesianGaussianMixture, (components,) logarithms.

    The library does not take the density at the mean parameters, but the expectation of its logarithm under the
    posterior of weights and precisions: a constant a component more (Bishop, Pattern Recognition and Machine Learning,
    10.64 to 10.67). The constants sum to less than one; the circuit's `log_constant` has what is missing.
    """
    with needing("scipy", "models", "reading a BayesianGaussianMixture"):
        from scipy.special import digamma
    freedom = estimator.floats("degrees_of_freedom_", components, positive=True)
    precision = estimator.floats("mean_precision_", components, positive=True)
    steps = 0.5 * (freedom - np.arange(features)[:, None])
    if not (steps > 0).all():
        raise FormatError(
            RULE, f"{estimator.kind}.degrees_of_freedom_ must be {features} or more, got {freedom.min():g}"
        )
    spread = features * (math.log(2) - np.log(freedom)) + digamma(steps).sum(axis=0) - features / precision
    given = estimator.need("weight_concentration_")
    if isinstance(given, list | tuple):  # of a Dirichlet process: the sticks' two parameters
        if len(given) != 2:
            raise FormatError(RULE, f"{estimator.kind}.weight_concentration_ must be two arrays, got {len(given)}")
        first, second = (
            floats(part, f"{estimator.kind}.weight_concentration_", components, positive=True) for part in given
        )
        both = digamma(first + second)
        left = np.concatenate([[0.0], np.cumsum(digamma(second) - both)[:-1]])
        return np.asarray(digamma(first) - both + left + 0.5 * spread)
    held = floats(given, f"{estimator.kind}.weight_concentration_", components, positive=True)
    return np.asarray(digamma(held) - digamma(held.sum()) + 0.5 * spread)


def full_covariances(what: str, kind: str) -> str:
    """Say what to do about covariances between variables."""
    return (
        f"{what} must have covariance_type 'diag' or 'spherical', got {kind!r}: a product of leaves has no "
        "covariances; refit with covariance_type='diag' and more components, or rotate the data first (PCA with "
        "whiten=True) and grid what that gives"
    )


def floats_of_simplex(estimator: Described, name: str) -> FloatArray:
    """Give probabilities that sum to one, (any,).

    Raises:
        FormatError: they do not.
    """
    values = estimator.floats(name, None, low=0.0)
    if abs(values.sum() - 1) > 1e-6:
        raise FormatError(RULE, f"{estimator.kind}.{name} must sum to 1, they sum to {values.sum():.9g}")
    return values


def kernel_density(estimator: Described, choices: Choices) -> Draft:
    """Map a kernel density: one leaf in one dimension; else Gaussian kernels, reduced to a number of components.

    In one dimension all kernels are integrated over the grid, and summed, exactly. In more, a tophat and an
    exponential kernel are no products of leaves. Gaussian ones beyond `components` are put together by k-means: a
    group is a Gaussian with the mean and, in every dimension, the variance of its kernels together.
    """
    choices.no_steps(estimator)
    points, weights = _points(estimator)
    width = float(
        estimator.floats("bandwidth_" if "bandwidth_" in estimator.attributes else "bandwidth", 1, positive=True)[0]
    )
    kernel = estimator.get("kernel")
    count, features = points.shape
    if kernel not in _KERNELS or (kernel != "gaussian" and features > 1):
        one = "gaussian, or in one dimension tophat or exponential" if features > 1 else ", ".join(_KERNELS)
        raise FormatError(
            RULE, f"the kernel of a {estimator.kind} of {features} features must be {one}, got {kernel!r}"
        )
    if estimator.get("metric", "euclidean") not in ("euclidean", "minkowski", "l2") and features > 1:
        raise FormatError(
            RULE, f"the metric of {estimator.kind} must be euclidean, got {str(estimator.get('metric'))[:40]!r}"
        )
    names = choices.names_for(estimator, features)
    if features == 1:
        choices.room(count, 1)
        places, inverse = np.unique(points[:, 0], return_inverse=True)
        shares: FloatArray = np.bincount(inverse.ravel(), weights).astype(np.float64)
        leaves = [_kernel(str(kernel), place, width) for place in places.tolist()]
        made = variable_of(names[0], 0, leaves, shares, choices.gridding)
        joint = Variable(made.axis, (shares @ made.tables)[None, :], made.loss)
        return mixture_draft(estimator.kind, np.zeros(1), [joint])
    wanted = choices.components or COMPONENTS
    group = _groups(points, weights, wanted)
    shares = np.bincount(group, weights).astype(np.float64)
    centres = np.stack([np.bincount(group, weights * column) / shares for column in points.T], axis=1)
    within = np.stack(
        [np.bincount(group, weights * np.square(column - centre[group])) / shares
         for column, centre in zip(points.T, centres.T, strict=True)], axis=1,
    )  # fmt: skip
    deviations = np.sqrt(width**2 + within)
    notes: tuple[str, ...] = ()
    if len(shares) < count:
        loss = _reduction_loss(points, weights, width, centres, deviations, shares)
        notes = (
            f"{count} kernels became {len(shares)} components: the mean log-density at the kernels' centres changes by "
            f"{-loss:+.4f} nats",
        )
    return mixture_draft(
        estimator.kind, logarithms(shares), _gaussians(estimator, choices, shares, centres, deviations), notes
    )


def _gaussians(
    estimator: Described, choices: Choices, weights: FloatArray, means: FloatArray, deviations: FloatArray
) -> list[Variable]:
    """Give the variables of Gaussian components, means and deviations of (components, features)."""
    if not (deviations > 0).all():
        raise FormatError(RULE, f"the covariances of {estimator.kind} must be above 0, got {deviations.min() ** 2:g}")
    choices.room(*means.shape)
    names = choices.names_for(estimator, means.shape[1])
    return [
        variable_of(
            name, column, [Density("gaussian", pair) for pair in zip(mean.tolist(), deviation.tolist(), strict=True)],
            weights, choices.gridding,
        )
        for column, (name, mean, deviation) in enumerate(zip(names, means.T, deviations.T, strict=True))
    ]  # fmt: skip


def _kernel(kind: str, place: float, width: float) -> Density:
    if kind == "tophat":
        return Density("uniform", (place - width, place + width))
    return Density("gaussian" if kind == "gaussian" else "laplace", (place, width))


def _points(estimator: Described) -> tuple[FloatArray, FloatArray]:
    """Give the kernels' centres and their shares, from the state of the tree that holds them."""
    tree = estimator.need("tree_")
    state = tree.get("state") if isinstance(tree, Described) else None
    if not isinstance(state, tuple | list) or len(state) < 12:
        raise FormatError(RULE, f"{estimator.kind}.tree_ must hold the points of a KDTree or BallTree")
    points = floats(state[0], f"the points of {estimator.kind}", None, None)
    given = state[-1]
    if isinstance(given, np.ndarray):
        weights = floats(given, f"the weights of {estimator.kind}", len(points), low=0.0)
    else:
        weights = np.ones(len(points))
    if not weights.sum() > 0:
        raise FormatError(RULE, f"the weights of {estimator.kind} must not all be 0")
    if points.size > MAX_TABLE:
        raise FormatError("import-size", f"a density must have {MAX_TABLE} numbers in its kernels at most")
    return points, weights / weights.sum()


def _groups(points: FloatArray, weights: FloatArray, wanted: int) -> IntArray:
    """Put points into at most so many groups by k-means, started far apart; the same points give the same groups."""
    if len(points) <= wanted:
        return np.arange(len(points))
    generator = np.random.default_rng(0)
    centres = points[[int(weights.argmax())]]
    nearest = np.square(points - centres[0]).sum(axis=1)
    while len(centres) < wanted and (nearest * weights).max() > 0:
        chances = nearest * weights
        centres = np.vstack([centres, points[generator.choice(len(points), p=chances / chances.sum())]])
        nearest = np.minimum(nearest, np.square(points - centres[-1]).sum(axis=1))
    group = np.zeros(len(points), dtype=np.int64)
    for _ in range(30):
        distances = np.square(centres).sum(axis=1) - 2 * points @ centres.T
        new = distances.argmin(axis=1)
        if (new == group).all():
            break
        group = new
        used = np.bincount(group, weights, len(centres)) > 0
        share = np.bincount(group, weights, len(centres))[used]
        moved = np.stack(
            [np.bincount(group, weights * column, len(centres))[used] / share for column in points.T], axis=1
        )
        centres[used] = moved
    _, dense = np.unique(group, return_inverse=True)
    return np.asarray(dense.ravel(), dtype=np.int64)


def _reduction_loss(
    points: FloatArray,
    weights: FloatArray,
    width: float,
    centres: FloatArray,
    deviations: FloatArray,
    shares: FloatArray,
) -> float:
    """Give by how much the mean log-density at some of the points falls, in nats."""
    some = np.unique(np.linspace(0, len(points) - 1, min(len(points), _MEASURED)).astype(int))
    full = _log_density(points[some], points, np.full_like(points, width), weights)
    fewer = _log_density(points[some], centres, deviations, shares)
    return float(np.average(full - fewer, weights=weights[some]))


def _log_density(x: FloatArray, means: FloatArray, deviations: FloatArray, weights: FloatArray) -> FloatArray:
    out = np.empty(len(x))
    constant = logarithms(weights) - np.log(deviations).sum(axis=1) - 0.5 * math.log(2 * math.pi) * x.shape[1]
    for row, values in enumerate(x):
        logs = constant - 0.5 * np.square((values - means) / deviations).sum(axis=1)
        top = logs.max()
        out[row] = top + np.log(np.exp(logs - top).sum())
    return out
