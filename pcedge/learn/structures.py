"""Circuit structures to be trained: hidden trees, chains, binary and quad trees, and independent parts."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from pcedge.circuit.layers import Circuit, InputLayer, Layer, ProductLayer, SumLayer
from pcedge.errors import UsageError

#: nested parts of the variables: a variable, or a tuple of parts
Parts = int | tuple[Any, ...]


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
    _check_latents(latents)
    children = _children_of(parents)
    roots = [variable for variable, parent in enumerate(parents) if parent < 0]
    if len(roots) != 1:
        raise UsageError(f"a tree must have one root, whose parent is -1, got {len(roots)}")
    layers: list[Layer] = []
    order = _children_first(roots, children)
    if len(order) != len(parents):
        raise UsageError(f"the parents must make one tree, {len(parents) - len(order)} variables are in cycles")
    _hidden_tree(layers, order, children, cardinalities, latents, np.random.default_rng(seed))
    return Circuit(tuple(layers))


def chain(order: Sequence[int], cardinalities: Sequence[int], latents: int = 16, seed: int = 0) -> Circuit:
    """Make a hidden Markov model with random parameters that are its own at every step.

    Args:
        order: the variables from the first step to the last.
        cardinalities: every variable's number of symbols.
        latents: states of every step's latent.
        seed: seed of the parameters.

    Raises:
        UsageError: the order does not name every variable once, or a size is below 1.

    Example:
        >>> circuit = chain([0, 1, 2], [2, 2, 2], latents=4)
        >>> [layer.shape.kind for layer in circuit.layers]
        ['input', 'sum', 'input', 'product', 'sum', 'input', 'product', 'sum']
    """
    _check_order(order, len(cardinalities))
    parents = [-1] * len(order)
    for before, after in itertools.pairwise(order):
        parents[after] = int(before)
    return hidden_chow_liu_tree(parents, cardinalities, latents, seed)


def balanced_binary_tree(
    order: Sequence[int], cardinalities: Sequence[int], latents: int = 16, seed: int = 0
) -> Circuit:
    """Make a circuit that halves the variables again and again, with random parameters.

    Args:
        order: the variables; those beside each other stay together longest. Of an odd count the first half is larger.
        cardinalities: every variable's number of symbols.
        latents: states of every region.
        seed: seed of the parameters.

    Raises:
        UsageError: the order does not name every variable once, or a size is below 1.

    Example:
        >>> circuit = balanced_binary_tree([0, 1, 2], [2, 2, 2], latents=4)
        >>> [layer.shape.kind for layer in circuit.layers]
        ['input', 'input', 'product', 'sum', 'input', 'product', 'sum']
    """
    _check_order(order, len(cardinalities))

    def halves(variables: Sequence[int]) -> Parts:
        if len(variables) == 1:
            return int(variables[0])
        middle = (len(variables) + 1) // 2
        return halves(variables[:middle]), halves(variables[middle:])

    return region_tree_circuit(halves(order), cardinalities, latents, seed)


def quad_tree(shape: Sequence[int], cardinalities: Sequence[int], latents: int = 16, seed: int = 0) -> Circuit:
    """Make a circuit that quarters an image again and again, with random parameters.

    A side of odd length has its larger half first, and one of length 1 is not split. A pixel of several channels is
    split into them last.

    Args:
        shape: (height, width) or (height, width, channels); variables number the image in row-major order.
        cardinalities: every variable's number of symbols.
        latents: states of every region.
        seed: seed of the parameters.

    Raises:
        UsageError: the shape is no image's, it does not fit the variables, or a size is below 1.

    Example:
        >>> quad_tree((2, 2), [2] * 4, latents=4).layers[4].children
        (0, 1, 2, 3)
    """
    sizes = [_integer(size, "a side of an image") for size in shape]
    if len(sizes) not in (2, 3) or min(sizes) < 1:
        raise UsageError(f"an image must have the shape (height, width) or (height, width, channels), got {shape}")
    if int(np.prod(sizes)) != len(cardinalities):
        raise UsageError(
            f"an image of shape {tuple(sizes)} must have {np.prod(sizes)} variables, got {len(cardinalities)}"
        )
    names = np.arange(len(cardinalities)).reshape(sizes[0], sizes[1], -1)

    def quarters(top: int, bottom: int, left: int, right: int) -> Parts:
        if bottom - top == 1 and right - left == 1:
            channels = tuple(int(name) for name in names[top, left])
            return channels if len(channels) > 1 else channels[0]
        rows, columns = _halve(top, bottom), _halve(left, right)
        return tuple(quarters(*row, *column) for row in rows for column in columns)

    return region_tree_circuit(quarters(0, sizes[0], 0, sizes[1]), cardinalities, latents, seed)


def region_tree_circuit(parts: Parts, cardinalities: Sequence[int], latents: int = 16, seed: int = 0) -> Circuit:
    """Make a circuit over nested parts of the variables (a vtree, or one of more than two parts a node).

    Every tuple is a region with one latent: a product layer over its parts, and above it the sum layer
    p(z | z of the region around it). A variable's leaf is p(x | z of the region around it).

    Args:
        parts: a variable, or a tuple of at least two parts.
        cardinalities: every variable's number of symbols.
        latents: states of every region.
        seed: seed of the parameters.

    Raises:
        UsageError: the parts do not name every variable once, one is empty, or a size is below 1.

    Example:
        >>> region_tree_circuit((0, (1, 2)), [2, 2, 2], latents=4).layers[-2].children
        (2, 4)
    """
    _check_latents(latents)
    generator = np.random.default_rng(seed)
    layers: list[Layer] = []
    seen: list[int] = []
    # An explicit stack, because parts may nest as deep as a chain; `done` holds the tops of finished parts.
    stack: list[tuple[Parts, bool]] = [(parts, False)]
    done: list[int] = []
    while stack:
        part, finished = stack.pop()
        if not isinstance(part, tuple):
            variable = _integer(part, "a variable")
            if not 0 <= variable < len(cardinalities):
                raise UsageError(f"parts must name variables of 0..{len(cardinalities) - 1}, got {variable}")
            seen.append(variable)
            layers.append(_leaf(variable, cardinalities[variable], latents, generator))
            done.append(len(layers) - 1)
        elif not finished:
            if len(part) < 2:
                raise UsageError(f"a region must have at least two parts, got {len(part)}")
            stack.append((part, True))
            stack.extend((inner, False) for inner in reversed(part))
        else:
            children = tuple(done[len(done) - len(part) :])
            del done[len(done) - len(part) :]
            gather = np.tile(np.arange(latents, dtype=np.int64)[:, None], (1, len(part)))
            layers.append(ProductLayer(children, gather))
            if stack:
                layers.append(SumLayer((len(layers) - 1,), generator.dirichlet(np.ones(latents), latents)))
            done.append(len(layers) - 1)
    if sorted(seen) != list(range(len(cardinalities))):
        raise UsageError(f"parts must name each of {len(cardinalities)} variables once, got {_brief(seen)}")
    layers.append(SumLayer((len(layers) - 1,), generator.dirichlet(np.ones(latents), 1)))
    return Circuit(tuple(layers))


def independent(
    parts: Sequence[Sequence[int]],
    cardinalities: Sequence[int],
    latents: int = 16,
    seed: int = 0,
    parents: Sequence[int] | None = None,
) -> Circuit:
    """Make a product of independent parts with random parameters, for very small devices.

    A part of one variable is a single leaf, one of several a hidden tree of its own.

    Args:
        parts: the variables of every part.
        cardinalities: every variable's number of symbols.
        latents: states of every latent in parts of several variables.
        seed: seed of the parameters.
        parents: every variable's parent in its own part, -1 for the part's root; None makes every part a chain.

    Raises:
        UsageError: the parts do not name every variable once, the parents make no tree in a part, or a size is
            below 1.

    Example:
        >>> circuit = independent([[0], [1]], [2, 3])
        >>> [layer.shape.units for layer in circuit.layers]
        [1, 1, 1]
    """
    _check_latents(latents)
    names = [variable for part in parts for variable in part]
    _check_order(names, len(cardinalities))
    if parents is None:
        parents = [-1] * len(names)
        for part in parts:
            for before, after in itertools.pairwise(part):
                parents[after] = before
    if len(parents) != len(names):
        raise UsageError(f"parents must be one for each of {len(names)} variables, got {len(parents)}")
    children = _children_of(parents)
    generator = np.random.default_rng(seed)
    layers: list[Layer] = []
    tops: list[int] = []
    for part in parts:
        if not part:
            raise UsageError("every part must have at least one variable, one has none")
        roots = [variable for variable in part if parents[variable] < 0]
        order = _children_first(roots, children)
        if len(roots) != 1 or sorted(order) != sorted(part):
            raise UsageError(f"the parents must make one tree in every part, they do not in {_brief(part)}")
        if len(part) == 1:
            layers.append(_leaf(part[0], cardinalities[part[0]], 1, generator))
        else:
            _hidden_tree(layers, order, children, cardinalities, latents, generator)
        tops.append(len(layers) - 1)
    if len(tops) > 1:
        layers.append(ProductLayer(tuple(tops), np.zeros((1, len(tops)), dtype=np.int64)))
    return Circuit(tuple(layers))


def _hidden_tree(
    layers: list[Layer],
    order: Sequence[int],
    children: Sequence[Sequence[int]],
    cardinalities: Sequence[int],
    latents: int,
    generator: np.random.Generator,
) -> None:
    """Add the layers of a hidden tree whose variables come children first."""
    top: dict[int, int] = {}
    for variable in order:
        leaf = len(layers)
        layers.append(_leaf(variable, cardinalities[variable], latents, generator))
        if children[variable]:
            factors = (leaf, *(top[child] for child in children[variable]))
            gather = np.tile(np.arange(latents, dtype=np.int64)[:, None], (1, len(factors)))
            layers.append(ProductLayer(factors, gather))
        units = 1 if variable == order[-1] else latents
        layers.append(SumLayer((len(layers) - 1,), generator.dirichlet(np.ones(latents), units)))
        top[variable] = len(layers) - 1


def _children_of(parents: Sequence[int]) -> list[list[int]]:
    children: list[list[int]] = [[] for _ in parents]
    for variable, parent in enumerate(parents):
        if not -1 <= parent < len(parents):
            raise UsageError(f"the parent of variable {variable} must be in -1..{len(parents) - 1}, got {parent}")
        if parent >= 0:
            children[parent].append(variable)
    return children


def _children_first(roots: Sequence[int], children: Sequence[Sequence[int]]) -> list[int]:
    order = list(roots)
    for variable in order:
        order.extend(children[variable])
    return order[::-1]


def _halve(first: int, last: int) -> list[tuple[int, int]]:
    middle = first + (last - first + 1) // 2
    return [(first, last)] if last - first == 1 else [(first, middle), (middle, last)]


def _leaf(variable: int, cardinality: int, latents: int, generator: np.random.Generator) -> InputLayer:
    if cardinality < 1:
        raise UsageError(f"variable {variable} must have at least one symbol, got {cardinality}")
    rows = generator.dirichlet(np.ones(cardinality), latents)
    return InputLayer(int(variable), rows[:, 1].copy() if cardinality == 2 else rows)


def _check_latents(latents: int) -> None:
    if latents < 1:
        raise UsageError(f"latents must be at least 1, got {latents}")


def _check_order(order: Sequence[int], variables: int) -> None:
    if variables < 1:
        raise UsageError("a circuit must have at least one variable, got none")
    if sorted(_integer(name, "a variable") for name in order) != list(range(variables)):
        raise UsageError(f"the order must name each of {variables} variables once, got {_brief(order)}")


def _integer(value: object, what: str) -> int:
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError as error:
        raise UsageError(f"{what} must be an integer, got {value!r}") from error


def _brief(names: Sequence[int]) -> str:
    return str(list(names)) if len(names) <= 8 else f"{list(names)[:8]}…"
