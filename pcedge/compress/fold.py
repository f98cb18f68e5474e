"""Folding: exact products of sums, of sums into leaves, and of equal units (docs/passes.md, section fold)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pcedge.circuit.layers import Circuit, InputLayer, Layer, ProductLayer, SumLayer
from pcedge.circuit.rows import SparseRows, float_entries
from pcedge.compress.passes import Evidence, Flows, Outcome, Pass, Target
from pcedge.compress.rebuilding import taken
from pcedge.compress.sparsity import latent_information
from pcedge.errors import UsageError

#: what a row of a leaf costs by default, and a weight: bits of a table of L 12 and of W 8
ROW_BITS, WEIGHT_BITS = 12.0, 8.0


def fold(
    circuit: Circuit,
    row_bits: Callable[[int], float] = lambda symbols: ROW_BITS * (symbols - 1),
    weight_bits: float = WEIGHT_BITS,
) -> Circuit:
    """Multiply out what is linear wherever that takes fewer bits; the distribution stays the same.

    - A sum over a leaf of its own becomes a leaf with a table for each of its units: the weights times the tables. Of
      a hidden Chow–Liu tree these are the latents without children.
    - A sum over a sum of its own becomes one sum, the product of the weights.
    - Units of a leaf or sum with equal parameters become one, which products gather where they gathered the others.

    Args:
        circuit: any circuit; sparse rows and parametric leaves are not multiplied out.
        row_bits: bits that one row of a leaf takes, by its number of symbols: its table, or the number of its table
            where leaves share tables.
        weight_bits: bits that one weight takes.

    Returns:
        The circuit; of its log-likelihoods all digits but the rounding of float64 stay.

    Example:
        >>> leaves = InputLayer(0, np.array([[0.8, 0.2], [0.2, 0.8]]))
        >>> circuit = Circuit((leaves, SumLayer((0,), np.array([[0.5, 0.5]]))))
        >>> fold(circuit).layers[0].table.tolist()
        [[0.5, 0.5]]
    """
    layers: dict[int, Layer] = dict(enumerate(circuit.layers))
    while True:
        users = _users(layers)
        changed = _join_equal(layers, users)
        for index in sorted(layers):
            users = _users(layers)
            changed |= index in layers and _fold_one(layers, index, users, row_bits, weight_bits)
        if not changed:
            return _renumbered(circuit, layers)


def silence(circuit: Circuit, flows: Flows) -> Circuit:
    """Make sums whose states say nothing of their parent's independent of it.

    A sum layer has a row for each state of the parent. Where it says nothing of the parent (`latent_information`, which
    takes off what few records feign), all rows become their mean by flow: then they are equal, and `fold` makes one of
    them.

    Args:
        circuit: any circuit.
        flows: its expected counts.
    """
    layers: list[Layer] = list(circuit.layers)
    for index, information in latent_information(circuit, flows).items():
        layer, flow = layers[index], flows[index]
        if information > 0 or not isinstance(layer, SumLayer) or isinstance(layer.weights, SparseRows) or flow is None:
            continue
        mean = flow.sum(axis=0) + 1e-12 * float_entries(layer.weights).mean(axis=0)
        layers[index] = SumLayer(layer.children, np.tile(mean / mean.sum(), (len(flow), 1)))
    return replace(circuit, layers=tuple(layers))


def _users(layers: dict[int, Layer]) -> dict[int, list[int]]:
    users: dict[int, list[int]] = {index: [] for index in layers}
    for index, layer in layers.items():
        if not isinstance(layer, InputLayer):
            for child in layer.children:
                users[child].append(index)
    return users


def _fold_one(
    layers: dict[int, Layer], index: int, users: dict[int, list[int]], row_bits: Callable[[int], float],
    weight_bits: float,
) -> bool:  # fmt: skip
    """Multiply a sum with its only child, if it is that child's only user and it pays."""
    layer = layers[index]
    if not isinstance(layer, SumLayer) or len(layer.children) != 1 or isinstance(layer.weights, SparseRows):
        return False
    below = layers[layer.children[0]]
    if users[layer.children[0]] != [index] or isinstance(below, ProductLayer):
        return False
    rows, columns = layer.weights.shape
    if isinstance(below, InputLayer):
        if below.parametric is not None:
            return False
        cost = row_bits(below.table.shape[1])
        if rows * cost >= columns * cost + rows * columns * weight_bits:
            return False
        table = layer.weights @ below.table
        table /= table.sum(axis=1, keepdims=True)
        layers[index] = InputLayer(below.variable, table[:, 1].copy() if below.kind == "bernoulli" else table)
    else:
        if isinstance(below.weights, SparseRows):
            return False
        inner = below.weights.shape[1]
        if rows * inner > rows * columns + columns * inner:
            return False
        weights = layer.weights @ below.weights
        layers[index] = SumLayer(below.children, weights / weights.sum(axis=1, keepdims=True))
    del layers[layer.children[0]]
    return True


def _join_equal(layers: dict[int, Layer], users: dict[int, list[int]]) -> bool:
    """Make units of equal parameters one, where only products use them."""
    changed = False
    for index, layer in list(layers.items()):
        gathered = users[index] and all(isinstance(layers[user], ProductLayer) for user in users[index])
        if not gathered or isinstance(layer, ProductLayer):
            continue
        if isinstance(layer, SumLayer) and isinstance(layer.weights, SparseRows):
            continue
        if isinstance(layer, InputLayer):
            rows = layer.table if layer.parametric is None else layer.parametric.parameters
        else:
            rows = float_entries(layer.weights)
        _, first, numbers = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        if len(first) == len(rows):
            continue
        changed = True
        # In the order of their first units, so that nothing moves that need not.
        order = np.argsort(first)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        kept, of = first[order], rank[numbers.reshape(-1)]
        layers[index] = (
            taken(layer, kept) if isinstance(layer, InputLayer) else SumLayer(layer.children, rows[kept])
        )  # fmt: skip
        for user in set(users[index]):
            product = layers[user]
            assert isinstance(product, ProductLayer)
            gather = product.gather.copy()
            column = product.children.index(index)
            gather[:, column] = of[gather[:, column]]
            layers[user] = ProductLayer(product.children, gather)
    return changed


def _renumbered(circuit: Circuit, layers: dict[int, Layer]) -> Circuit:
    """Make a circuit of what is left, in the order that was."""
    place = {index: number for number, index in enumerate(sorted(layers))}
    renamed: list[Layer] = []
    for index in sorted(layers):
        layer = layers[index]
        if not isinstance(layer, InputLayer):
            layer = replace(layer, children=tuple(place[child] for child in layer.children))
        renamed.append(layer)
    return replace(circuit, layers=tuple(renamed))


def _check(told: str | None) -> None:
    if told not in (None, "silent"):
        raise UsageError(f"fold must stand alone or as fold:silent, got fold:{told}")


def _run(circuit: Circuit, evidence: Evidence, target: Target | None, argument: str | None) -> Outcome:
    _check(argument)
    before = circuit
    if argument == "silent":
        circuit = silence(circuit, evidence.flows(circuit))
    folded = fold(circuit) if target is None else fold(circuit, target.row_bits, target.weight_bits)
    row = {name: sum(isinstance(layer, kind) for layer in made.layers)
           for made, when in ((before, "before"), (folded, "after"))
           for kind, name in ((SumLayer, f"sum_layers_{when}"), (InputLayer, f"input_layers_{when}"))}  # fmt: skip
    return Outcome(folded, (row,))


FOLD = Pass(
    "fold", _run, "distribution", (), "sums that are linear over one leaf or sum",
    "silent: first make latents independent of their parents that say nothing of them; this changes the distribution",
    "after bundling in SNNK (Sehanobish et al., 2024), here exact", _check, refits=False,
)  # fmt: skip
