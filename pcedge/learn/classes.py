"""The circuit of a predictor stage: a mixture of token distributions, whose weights the class chooses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit import Circuit, InputLayer, ProductLayer, SumLayer
from pcedge.data.predictor import Predictor

#: records added to a class, spread as the mean class is; and to a leaf, spread as the marginal of tokens is
CLASS_PRIOR, LEAF_PRIOR = 2.0, 4.0

#: share of a leaf's prior that is spread evenly
EVEN = 0.05

#: shares of a token's counts that go to its two neighbours, of which the search takes one
BLURS = (0.0, 0.04, 0.2)

ITERATIONS = 150


@dataclass(frozen=True, eq=False)
class Mixture:
    """Hold p(token | class) as a sum over states: weights (classes, states) and leaves (states, tokens)."""

    weights: FloatArray
    leaves: FloatArray

    def bits(self, counts: FloatArray) -> float:
        """Compute the bits of counted tokens, (classes, tokens), given their classes."""
        table = self.weights @ self.leaves
        seen = counts > 0
        return float(-(counts[seen] * np.log2(table[seen])).sum())


def fit_mixture(
    counts: FloatArray, states: int, blur: float, seed: int = 0, iterations: int = ITERATIONS, apart: int = 0
) -> Mixture:
    """Fit a mixture to counts by EM (Hofmann, "Probabilistic latent semantic analysis", 1999).

    Leaves are drawn to the marginal of tokens, and classes to the mean class, by pseudocounts.

    Args:
        counts: tokens of each class, (classes, tokens).
        states: states of the mixture.
        blur: share of a token's counts that goes to its two neighbours, half to each.
        seed: seed of the start.
        iterations: M-steps.
        apart: tokens at the end that have no neighbours: those of listed residuals and missing numbers.
    """
    generator = np.random.default_rng(seed)
    classes, tokens = counts.shape
    marginal = counts.sum(axis=0) + 0.5 / tokens
    marginal = _blurred(marginal[None], max(blur, BLURS[1]), apart)[0]
    prior = (1 - EVEN) * marginal / marginal.sum() + EVEN / tokens
    leaves = _start(counts, states, prior, generator)
    weights = np.full((classes, states), 1 / states) + generator.random((classes, states)) * 0.1 / states
    weights /= weights.sum(axis=1, keepdims=True)
    for _ in range(iterations):
        ratio = counts / np.maximum(weights @ leaves, 1e-300)
        flows, drawn = weights * (ratio @ leaves.T), leaves * (weights.T @ ratio)
        share = (flows.sum(axis=0) + 1e-9) / (flows.sum() + states * 1e-9)
        weights = flows + CLASS_PRIOR * share
        weights /= weights.sum(axis=1, keepdims=True)
        leaves = _blurred(drawn, blur, apart) + LEAF_PRIOR * prior
        leaves /= leaves.sum(axis=1, keepdims=True)
    return Mixture(weights, leaves)


def _start(counts: FloatArray, states: int, prior: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Begin with leaves of classes that differ: each next one where the others tell least (k-means++ on counts)."""
    totals = counts.sum(axis=1)
    shares = (counts + 10 * prior) / (totals + 10)[:, None]
    worst = np.full(len(counts), np.inf)
    leaves = [counts.sum(axis=0) / max(counts.sum(), 1) + 1e-9]
    for _ in range(states - 1):
        lost = (shares * np.log(shares / np.maximum(leaves[-1], 1e-12))).sum(axis=1)
        worst = np.minimum(worst, lost)
        chances = totals * np.maximum(worst, 0) + 1e-12
        pick = int(generator.choice(len(counts), p=chances / chances.sum()))
        leaves.append(0.9 * shares[pick] + 0.1 * prior * (1 + 0.1 * generator.random(len(prior))))
    stacked = np.stack(leaves)
    start: FloatArray = stacked / stacked.sum(axis=1, keepdims=True)
    return start


def _blurred(counts: FloatArray, blur: float, apart: int) -> FloatArray:
    if apart:
        return np.concatenate([_blurred(counts[:, :-apart], blur, 0), counts[:, -apart:]], axis=1)
    spread = np.pad(counts, ((0, 0), (1, 1)), mode="edge")
    out: FloatArray = (1 - blur) * counts + blur / 2 * (spread[:, :-2] + spread[:, 2:])
    return out


def to_circuit(mixture: Mixture, predictor: Predictor) -> Circuit:
    """Make the circuit over (class, token): the classes are given, so all of them count alike."""
    classes, tokens = predictor.cardinalities
    weights = np.ones((classes, mixture.weights.shape[1])) / mixture.weights.shape[1]
    weights[: len(mixture.weights)] = mixture.weights
    joint = weights / classes
    share = joint.sum(axis=0)
    kept = np.flatnonzero(share > 0)
    joint, share = joint[:, kept], share[kept]
    choice = (joint / share).T
    leaves = mixture.leaves[kept]
    states = np.arange(len(kept))
    layers = (
        InputLayer(0, choice if classes > 2 else choice[:, 1].copy()),
        InputLayer(1, leaves if tokens > 2 else leaves[:, 1].copy()),
        ProductLayer((0, 1), np.stack([states, states], axis=1)),
        SumLayer((2,), (share / share.sum())[None]),
    )
    return Circuit(layers, symbolizer=predictor)


def count_tokens(predictor: Predictor, classes: IntArray, tokens: IntArray) -> FloatArray:
    """Count the tokens of each class, (classes, tokens)."""
    size = (len(predictor.classes), predictor.cardinalities[1])
    keys = classes.ravel() * size[1] + tokens.ravel()
    return np.bincount(keys, minlength=size[0] * size[1]).reshape(size).astype(np.float64)
