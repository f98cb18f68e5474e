"""Leaf tables that all leaves share: clusters by the code length that each symbol would cost more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import Circuit, InputLayer, Layer
from pcedge.compress.passes import Evidence, Outcome, Pass, Target, counted
from pcedge.errors import UsageError

#: rounds of clustering at most
ROUNDS = 40
#: share of every table that is spread evenly before logarithms are taken
EVEN = 1e-6


def share_leaves(circuit: Circuit, flows: Sequence[FloatArray | None], tables: int = 256, seed: int = 0) -> Circuit:
    """Give all leaves with one number of symbols at most `tables` different tables.

    Leaves are clustered by the Kullback–Leibler divergence to their cluster's table, weighted by how often they are
    used: this is the code length that sharing costs. A cluster's table is the weighted mean of its members.

    Args:
        circuit: any circuit; leaves of two symbols and parametric ones stay as they are.
        flows: from `expected_flows` or `count_flows`; entries of sums are not used.
        tables: how many tables there may be for each number of symbols.
        seed: seed of the first tables.

    Raises:
        UsageError: a number out of its range, or flows that do not fit the circuit.

    Example:
        >>> from pcedge.circuit import SumLayer
        >>> leaves = InputLayer(0, np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]]))
        >>> circuit = Circuit((leaves, SumLayer((0,), np.array([[0.5, 0.5]]))))
        >>> share_leaves(circuit, [np.ones((2, 3)), None], tables=1).layers[0].table.tolist()
        [[0.375, 0.375, 0.25], [0.375, 0.375, 0.25]]
    """
    if tables < 1:
        raise UsageError(f"tables must be at least 1, got {tables}")
    if len(flows) != len(circuit.layers):
        raise UsageError(f"flows must have an entry for each of {len(circuit.layers)} layers, got {len(flows)}")
    layers: list[Layer] = list(circuit.layers)
    for group in table_groups(circuit).values():
        members = [layer for index in group if isinstance(layer := layers[index], InputLayer)]
        rows = np.concatenate([layer.table for layer in members])
        used = np.concatenate([used_by(flows[index], layers[index]) for index in group])
        centres, nearest = cluster_tables(rows, used, tables, seed)
        shared = centres[nearest]
        first = 0
        for index, layer in zip(group, members, strict=True):
            layers[index] = InputLayer(layer.variable, shared[first : first + len(layer.table)])
            first += len(layer.table)
    return replace(circuit, layers=tuple(layers))


def table_groups(circuit: Circuit) -> dict[int, list[int]]:
    """Give the layers of leaves whose tables can be shared, by their number of symbols, 3 and more."""
    groups: dict[int, list[int]] = {}
    for index, layer in enumerate(circuit.layers):
        if isinstance(layer, InputLayer) and layer.parametric is None and layer.table.shape[1] > 2:
            groups.setdefault(layer.table.shape[1], []).append(index)
    return groups


def used_by(flow: FloatArray | None, layer: Layer) -> FloatArray:
    """Give how many records use each leaf of a layer."""
    assert isinstance(layer, InputLayer)
    if flow is None or flow.shape != layer.table.shape:
        got = None if flow is None else flow.shape
        raise UsageError(f"the flows of variable {layer.variable} must have shape {layer.table.shape}, got {got}")
    return np.asarray(flow.sum(axis=1), dtype=np.float64)


def cluster_tables(rows: FloatArray, used: FloatArray, count: int, seed: int) -> tuple[FloatArray, IntArray]:
    """Cluster distributions (rows, symbols) by their code length; give the clusters' tables and every row's cluster."""
    generator = np.random.default_rng([seed, 5])
    used = np.maximum(used, 1e-9 * max(used.max(), 1e-300))
    entropy = np.einsum("rs,rs->r", rows, np.log(np.maximum(rows, 1e-300)))
    # Far rows are likelier to be the next first table, as in k-means++ (Arthur and Vassilvitskii, 2007).
    centres = rows[[int(np.argmax(used))]]
    distance = entropy - rows @ _logs(centres)[0]
    while len(centres) < min(count, len(rows)):
        chance = used * np.maximum(distance, 0.0)
        if chance.sum() <= 0:
            break
        chosen = int(generator.choice(len(rows), p=chance / chance.sum()))
        centres = np.concatenate([centres, rows[[chosen]]])
        distance = np.minimum(distance, entropy - rows @ _logs(rows[[chosen]])[0])
    nearest = np.full(len(rows), -1, dtype=np.int64)
    for _ in range(ROUNDS):
        closest = nearest_tables(rows, centres)
        if (closest == nearest).all():
            break
        nearest = closest
        weights = np.zeros((len(centres), len(rows)))
        weights[nearest, np.arange(len(rows))] = used
        totals = weights.sum(axis=1, keepdims=True)
        means = weights @ rows / np.where(totals > 0, totals, 1.0)
        centres = np.where(totals > 0, means, centres)
    return centres / centres.sum(axis=1, keepdims=True), nearest


def nearest_tables(rows: FloatArray, tables: FloatArray) -> IntArray:
    """Find for every distribution the table that codes it best."""
    return np.asarray(np.argmax(rows @ _logs(tables).T, axis=1), dtype=np.int64)


def _logs(tables: FloatArray) -> FloatArray:
    return np.asarray(np.log((1 - EVEN) * tables + EVEN / tables.shape[1]))


#: the part of a budget of memory that shared tables take where nobody says how many there are
SHARE = 0.2
#: tables where there is no budget, and the least
TABLES, LEAST_TABLES = 256, 4


def tables_for(circuit: Circuit, budget_bits: float | None, leaf_bits: int) -> int:
    """Choose how many tables leaves share: so many as take a fifth of the budget, in each number of symbols."""
    groups = table_groups(circuit)
    if budget_bits is None or not groups:
        return TABLES
    bits = sum((symbols - 1) * leaf_bits for symbols in groups)
    return max(LEAST_TABLES, int(SHARE * budget_bits / bits))


def _run(circuit: Circuit, evidence: Evidence, target: Target | None, argument: str | None) -> Outcome:
    SHARE_PASS.check(argument)
    tables = TABLES if argument is None else int(argument)
    return Outcome(share_leaves(circuit, evidence.flows(circuit), tables, evidence.seed), ({"tables": tables},))


SHARE_PASS = Pass(
    "share", _run, "structure", ("data",), "leaf tables, which leaves share", "how many tables",
    "k-means by code length; Guo et al., learnable vector storage, 2023", counted("share", "how many tables"),
    refits=False,
)  # fmt: skip
