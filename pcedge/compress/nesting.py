"""Leaf tables as shifts and scales of few masters, before rounding (docs/arithmetic.md, section Nested leaf tables)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pcedge.arrays import FloatArray
from pcedge.circuit.layers import Circuit, InputLayer, Layer
from pcedge.compress.passes import Evidence, Outcome, Pass, Target, counted
from pcedge.compress.sharing import cluster_tables, nearest_tables, table_groups, used_by
from pcedge.errors import UsageError

#: tables of fewer symbols than this have no shape between the first symbol and the last
LEAST_SYMBOLS = 4


def shapes_of(tables: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give the distributions between the first symbol and the last, (T, V − 2), and how much lies there."""
    inside = tables[:, 1:-1].sum(axis=1)
    even = np.full((1, tables.shape[1] - 2), 1 / (tables.shape[1] - 2))
    return np.where(inside[:, None] > 0, tables[:, 1:-1] / np.maximum(inside, 1e-300)[:, None], even), inside


def nested_again(tables: FloatArray, used: FloatArray, centres: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Bring tables that EM has moved back to masters: each takes its best, each master is the mean of its tables.

    Args:
        tables: (T, V).
        used: how often each is used, (T,).
        centres: the masters' shapes so far, (M, V − 2).

    Returns:
        The tables and the masters' shapes.
    """
    shapes, inside = shapes_of(tables)
    number = nearest_tables(shapes, centres)
    weights = np.zeros((len(centres), len(shapes)))
    weights[number, np.arange(len(shapes))] = used * inside
    totals = weights.sum(axis=1, keepdims=True)
    centres = np.where(totals > 0, weights @ shapes / np.where(totals > 0, totals, 1.0), centres)
    return np.concatenate([tables[:, :1], inside[:, None] * centres[number], tables[:, -1:]], axis=1), centres


def _check(told: str | None) -> None:
    if told is None:
        raise UsageError("nest must say how many masters, as in nest:48")
    counted("nest", "how many masters")(told)


def _run(circuit: Circuit, evidence: Evidence, target: Target | None, argument: str | None) -> Outcome:
    _check(argument)
    assert argument is not None
    flows = evidence.flows(circuit)
    layers: list[Layer] = list(circuit.layers)
    for symbols, group in table_groups(circuit).items():
        if symbols < LEAST_SYMBOLS:
            continue
        tables = np.concatenate([layers[index].table for index in group])  # type: ignore[union-attr]
        used = np.concatenate([used_by(flows[index], layers[index]) for index in group])
        shapes, inside = shapes_of(tables)
        nested, _ = nested_again(tables, used, cluster_tables(shapes, used * inside, int(argument), evidence.seed)[0])
        start = 0
        for index in group:
            layer = layers[index]
            assert isinstance(layer, InputLayer)
            layers[index] = InputLayer(layer.variable, nested[start : start + len(layer.table)])
            start += len(layer.table)
    return Outcome(replace(circuit, layers=tuple(layers), log_constant=0.0))


NEST = Pass(
    "nest", _run, "structure", ("data",), "leaf tables, to shifts and scales of masters", "how many masters",
    "docs/quantization.md; quantize with --leaf-masters MASTERS", _check, refits=False,
)  # fmt: skip
