"""Circuit structures to be trained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcedge.circuit.layers import Circuit, InputLayer, Layer, ProductLayer, SumLayer
from pcedge.errors import UsageError


def hidden_chow_liu_tree(
    parents: Sequence[int], cardinalities: Sequence[int], latents: int = 16, seed: int = 0
) -> Circuit:
    """Make a hidden Chow–Liu tree with random parameters.

    Variable i gets a latent z_i with a leaf p(x_i | z_i); the latents form the tree, each edge being a sum layer
    p(z_child | z_parent), and the root sum is p(z_root).

    Args:
        parents: every variable's parent, -1 for the root.
        cardinalities: every variable's number of symbols; 2 makes Bernoulli leaves.
        latents: states of every latent.
        seed: seed of the parameters.

    Raises:
        UsageError: the parents make no tree, or a size is below 1.

    Example:
        >>> circuit = hidden_chow_liu_tree([-1, 0], [2, 3], latents=4)
        >>> [layer.shape.kind for layer in circuit.layers]
        ['input', 'sum', 'input', 'product', 'sum']
    """
    if len(parents) != len(cardinalities) or not parents:
        raise UsageError(f"a tree must have a parent a variable, got {len(parents)} for {len(cardinalities)} variables")
    if latents < 1:
        raise UsageError(f"latents must be at least 1, got {latents}")
    generator = np.random.default_rng(seed)
    children: list[list[int]] = [[] for _ in parents]
    for variable, parent in enumerate(parents):
        if not -1 <= parent < len(parents):
            raise UsageError(f"the parent of variable {variable} must be in -1..{len(parents) - 1}, got {parent}")
        if parent >= 0:
            children[parent].append(variable)
    layers: list[Layer] = []
    top: dict[int, int] = {}
    for variable in _children_first(parents, children):
        own = len(layers)
        layers.append(_leaf(variable, cardinalities[variable], latents, generator))
        if children[variable]:
            below = (own, *(top[child] for child in children[variable]))
            gather = np.tile(np.arange(latents, dtype=np.int64)[:, None], (1, len(below)))
            layers.append(ProductLayer(below, gather))
        units = 1 if parents[variable] < 0 else latents
        layers.append(SumLayer((len(layers) - 1,), generator.dirichlet(np.ones(latents), units)))
        top[variable] = len(layers) - 1
    return Circuit(tuple(layers))


def _children_first(parents: Sequence[int], children: list[list[int]]) -> list[int]:
    roots = [variable for variable, parent in enumerate(parents) if parent < 0]
    if len(roots) != 1:
        raise UsageError(f"a tree must have one root, whose parent is -1, got {len(roots)}")
    order = roots
    for variable in order:
        order.extend(children[variable])
    if len(order) != len(parents):
        raise UsageError(f"the parents must make one tree, {len(parents) - len(order)} variables are in cycles")
    return order[::-1]


def _leaf(variable: int, cardinality: int, latents: int, generator: np.random.Generator) -> InputLayer:
    if cardinality < 1:
        raise UsageError(f"variable {variable} must have at least one symbol, got {cardinality}")
    rows = generator.dirichlet(np.ones(cardinality), latents)
    return InputLayer(variable, rows[:, 1].copy() if cardinality == 2 else rows)
