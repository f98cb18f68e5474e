"""Small classifiers whose class is a variable, for tests of queries."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from pcedge.circuit import MISSING, Circuit, InputLayer, Layer, ProductLayer, SumLayer
from pcedge.data.value_grid import Axis, ValueGrid


def naive_bayes(
    seed: int, classes: int = 3, features: int = 4, symbols: int = 5, labels: tuple[str | int, ...] | None = None
) -> Circuit:
    """Make a naive Bayes classifier on a grid of bins: the class is the last variable, of kind states."""
    rng = np.random.default_rng([seed, classes, features, symbols])
    layers: list[Layer] = [InputLayer(v, rng.dirichlet(np.ones(symbols), classes)) for v in range(features)]
    layers.append(InputLayer(features, np.eye(classes)))
    layers.append(ProductLayer(tuple(range(features + 1)), np.tile(np.arange(classes)[:, None], features + 1)))
    layers.append(SumLayer((features + 1,), rng.dirichlet(np.full(classes, 5.0), 1)))
    bins = [Axis(f"x{v}", v, "bins", tuple(np.arange(symbols + 1) / 2)) for v in range(features)]
    states = labels or tuple(f"kind {c}" for c in range(classes))
    return Circuit(tuple(layers), grid=ValueGrid((*bins, Axis("class", features, "states", states=states))))


def tree(seed: int, variables: int = 4, symbols: int = 3) -> Circuit:
    """Make a chain of variables, each given the one before, without latent states: a deterministic circuit."""
    rng = np.random.default_rng([seed, variables, symbols])
    layers: list[Layer] = [InputLayer(variables - 1, np.eye(symbols))]
    for variable in range(variables - 2, -1, -1):
        layers.append(SumLayer((len(layers) - 1,), rng.dirichlet(np.full(symbols, 0.5), symbols)))
        layers.append(InputLayer(variable, np.eye(symbols)))
        both = np.tile(np.arange(symbols)[:, None], 2)
        layers.append(ProductLayer((len(layers) - 1, len(layers) - 2), both))
    layers.append(SumLayer((len(layers) - 1,), rng.dirichlet(np.ones(symbols), 1)))
    return Circuit(tuple(layers))


def completions(record: NDArray[np.int64], cardinalities: tuple[int, ...]) -> NDArray[np.int64]:
    """List all completions of a record, the lowest symbols first."""
    choices = [range(size) if x == MISSING else [x] for x, size in zip(record.tolist(), cardinalities, strict=True)]
    return np.array(list(itertools.product(*choices)), dtype=np.int64)
