"""Where EM starts: a circuit of a named structure, whose latents are clusters of the records."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import MISSING, Circuit, InputLayer, Layer, ProductLayer, SumLayer
from pcedge.circuit.structure import variables_of
from pcedge.errors import UsageError
from pcedge.learn.chow_liu import mutual_information, root_at_centre, spanning_tree
from pcedge.learn.leaves import with_leaves
from pcedge.learn.structures import balanced_binary_tree, chain, hidden_chow_liu_tree, independent, quad_tree

#: names of the structures that a circuit can start from
STRUCTURES = ("hclt", "chain", "binary", "quad", "independent")
#: how many other variables a clustering looks at
RELATIVES = 7
#: weight of the variable itself, as if it were there that many times
OWN = 4.0
#: variables that the clustering of a region without leaves of its own looks at, evenly spaced
WIDEST = 256
#: records clustered at most, and rounds of k-means: EM does the rest
RECORDS, ROUNDS = 4096, 12
#: records added to the counts that the first parameters are made of
LEAF_COUNT, SUM_COUNT = 1.0, 1.6
#: spread of the noise (in log) that tells equal clusters apart, which EM would keep equal for ever
NOISE = 0.1


def initial_circuit(
    structure: str,
    records: IntArray,
    cardinalities: Sequence[int],
    *,
    latents: int = 16,
    seed: int = 0,
    leaves: str = "categorical",
    shape: Sequence[int] | None = None,
    order: Sequence[int] | None = None,
    block: int = 1,
) -> Circuit:
    """Make a circuit of a named structure that starts at clusters of the records.

    Args:
        structure: `hclt` (hidden Chow–Liu tree), `chain`, `binary`, `quad` or `independent`.
        records: symbols of shape (N, variables), -1 where missing.
        cardinalities: every variable's number of symbols.
        latents: states of every latent.
        seed: seed of the clusterings.
        leaves: `categorical` (Bernoulli where there are two symbols), `logistic` or `geometric`.
        shape: of `quad`: (height, width) or (height, width, channels).
        order: of `chain` and `binary`: the variables, None for 0, 1, 2, …
        block: of `independent`: variables of a part at most. Parts join the variables that tell most about each other,
            and are hidden Chow–Liu trees; 1 makes every variable a single leaf.

    Raises:
        UsageError: an argument is out of its range, does not fit the variables, or is not of this structure.

    Example:
        >>> initial_circuit("chain", np.array([[0, 1], [1, 1]]), [2, 2], latents=2).cardinalities
        (2, 2)
    """
    if structure not in STRUCTURES:
        raise UsageError(f"structure must be one of {', '.join(STRUCTURES)}, got {structure!r}")
    if block < 1:
        raise UsageError(f"block must be at least 1, got {block}")
    for name, value, users in (("shape", shape, ("quad",)), ("order", order, ("chain", "binary"))):
        if value is not None and structure not in users:
            raise UsageError(f"{name} must be left out for the structure {structure}, it is of {' and '.join(users)}")
    sizes = tuple(cardinalities)
    if records.ndim != 2 or records.shape[1] != len(sizes):
        raise UsageError(f"records must have shape (N, {len(sizes)}), got {records.shape}")
    information = mutual_information(records, max(sizes))
    names = list(range(len(sizes))) if order is None else list(order)
    if structure == "hclt":
        circuit = hidden_chow_liu_tree(root_at_centre(spanning_tree(information)), sizes, latents, seed)
    elif structure == "chain":
        circuit = chain(names, sizes, latents, seed)
    elif structure == "binary":
        circuit = balanced_binary_tree(names, sizes, latents, seed)
    elif structure == "quad":
        if shape is None:
            raise UsageError("the structure quad must have the shape of the images, got none")
        circuit = quad_tree(shape, sizes, latents, seed)
    else:
        parts, parents = joined_parts(information, block)
        circuit = independent(parts, sizes, latents, seed, parents)
    started = clustered(circuit, records, information, seed)
    return started if leaves == "categorical" else with_leaves(started, leaves)


def joined_parts(information: FloatArray, limit: int) -> tuple[list[list[int]], list[int]]:
    """Join the variables that tell most about each other into parts of a limited size.

    Edges join parts from the most information to the least, as Kruskal's algorithm does, unless the part would be
    larger than the limit, or they add no information.

    Args:
        information: the mutual information of all pairs of variables.
        limit: variables of a part at most.

    Returns:
        The parts, and every variable's parent in its part's tree, rooted at the centre.

    Example:
        >>> joined_parts(np.array([[0, 2, 1], [2, 0, 3], [1, 3, 0]]), 2)
        ([[0], [1, 2]], [-1, -1, 1])
    """
    count = len(information)
    part_of = list(range(count))
    parts: dict[int, list[int]] = {variable: [variable] for variable in range(count)}
    edges: dict[int, list[tuple[int, int]]] = {variable: [] for variable in range(count)}
    first, second = np.triu_indices(count, 1)
    ranked: Sequence[int] | IntArray = np.argsort(-information[first, second], kind="stable") if limit > 1 else []
    for a, b in ((int(first[i]), int(second[i])) for i in ranked):
        into, gone = part_of[a], part_of[b]
        if into == gone or information[a, b] <= 0 or len(parts[into]) + len(parts[gone]) > limit:
            continue
        for variable in parts[gone]:
            part_of[variable] = into
        parts[into] += parts.pop(gone)
        edges[into] += [*edges.pop(gone), (a, b)]
    parents = [-1] * count
    for name, part in parts.items():
        part.sort()
        local = {variable: index for index, variable in enumerate(part)}
        rooted = root_at_centre([(local[a], local[b]) for a, b in edges[name]])
        for variable, parent in zip(part, rooted, strict=True):
            parents[variable] = -1 if parent < 0 else part[parent]
    return sorted(parts.values()), parents


def clustered(circuit: Circuit, records: IntArray, information: FloatArray, seed: int) -> Circuit:
    """Give a circuit of `structures` parameters from counts of clustered records.

    The layer below a sum is a latent, and its states are clusters of the records: by its own variables, those of the
    leaves that the latent chooses, together with the variables that tell most about them; a latent without leaves of
    its own goes by the variables below it. Symbols are compared by their distance, so names without an order start
    less well, and EM corrects it.

    Args:
        circuit: of a structure in `structures`, in which a sum layer has one child layer; its parameters are not used.
        records: symbols of shape (N, variables), -1 where missing.
        information: the mutual information of all pairs of variables.
        seed: seed of the clusterings.
    """
    generator = np.random.default_rng([seed, 3])
    picked = records[:: max(1, -(-len(records) // RECORDS))]
    filled = _fill_missing(picked)
    layers: list[Layer] = list(circuit.layers)
    # Every record's unit in every layer: parents come after their children, so from the root down.
    units: dict[int, IntArray] = {len(layers) - 1: np.zeros(len(picked), dtype=np.int64)}
    for index in range(len(layers) - 1, -1, -1):
        layer, unit = circuit.layers[index], units[index]
        if isinstance(layer, InputLayer):
            table = _leaf_counts(picked[:, layer.variable], unit, layer.table.shape)
            table = _normalise(table, generator)
            layers[index] = InputLayer(layer.variable, table[:, 1].copy() if layer.kind == "bernoulli" else table)
        elif isinstance(layer, ProductLayer):
            for column, child in enumerate(layer.children):
                units[child] = layer.gather[unit, column]
        else:
            child = layer.children[0]
            points = _features(circuit, child, filled, information)
            units[child] = _clusters(points, circuit.layers[child].shape.units, generator)
            counts = np.full(layer.weights.shape, SUM_COUNT / layer.weights.shape[1])
            np.add.at(counts, (unit, units[child]), 1.0)
            layers[index] = SumLayer(layer.children, _normalise(counts, generator))
    return Circuit(tuple(layers))


def _features(circuit: Circuit, index: int, filled: FloatArray, information: FloatArray) -> FloatArray:
    """Give the columns by which the records of a latent are clustered, the layer below a sum."""
    layer = circuit.layers[index]
    children = layer.children if isinstance(layer, ProductLayer) else (index,)
    variables = [
        leaf.variable for leaf in (circuit.layers[child] for child in children) if isinstance(leaf, InputLayer)
    ]
    if not variables:
        scope = variables_of(circuit.scopes[index])
        return filled[:, scope[:: -(-len(scope) // WIDEST)]]
    told = information[variables].sum(axis=0)
    relatives = np.argsort(-told, kind="stable")
    relatives = relatives[~np.isin(relatives, variables)][:RELATIVES]
    return np.concatenate([filled[:, variables] * np.sqrt(OWN), filled[:, relatives]], axis=1)


def _fill_missing(records: IntArray) -> FloatArray:
    """Put every variable's mean where a symbol is missing."""
    seen = records != MISSING
    means = np.where(seen, records, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    return np.where(seen, records, means)


def _clusters(points: FloatArray, count: int, generator: np.random.Generator) -> IntArray:
    """Run k-means from random points; give every point's cluster."""
    centres = points[generator.choice(len(points), count, replace=len(points) < count)]
    nearest = np.zeros(len(points), dtype=np.int64)
    for _ in range(ROUNDS):
        nearest = ((centres**2).sum(axis=1) - 2 * points @ centres.T).argmin(axis=1)
        sizes = np.bincount(nearest, minlength=count)
        sums = np.stack([np.bincount(nearest, weights=column, minlength=count) for column in points.T], axis=1)
        fresh = points[generator.integers(len(points), size=count)]
        centres = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], fresh)
    return nearest.astype(np.int64)


def _leaf_counts(column: IntArray, latents: IntArray, shape: tuple[int, ...]) -> FloatArray:
    seen = column != MISSING
    marginal = np.bincount(column[seen], minlength=shape[1]) + 1.0
    counts = np.tile(LEAF_COUNT * marginal / marginal.sum(), (shape[0], 1))
    np.add.at(counts, (latents[seen], column[seen]), 1.0)
    return counts


def _normalise(counts: FloatArray, generator: np.random.Generator) -> FloatArray:
    noisy = counts * np.exp(NOISE * generator.standard_normal(counts.shape))
    return np.asarray(noisy / noisy.sum(axis=1, keepdims=True), dtype=np.float64)
