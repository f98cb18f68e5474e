"""Growing: every latent state is cloned, and noise on the parameters lets the copies part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import Circuit, InputLayer, Layer, ProductLayer, SumLayer
from pcedge.circuit.parametric import Parametric
from pcedge.circuit.rows import SparseRows
from pcedge.compress.passes import Evidence, Outcome, Pass, Target, counted
from pcedge.errors import UsageError

#: the factor that noise multiplies by is at least this, so that no parameter becomes 0 or negative
LEAST = 0.01


def grow(circuit: Circuit, factor: int = 2, noise: float = 0.3, seed: int = 0) -> Circuit:
    """Clone every unit below a sum, and multiply every parameter by noise from N(1, noise²).

    A clone of a unit reads the clones of its children, and a sum shares an edge's weight among the clones of the
    child, so without noise the distribution is the same. Training goes on from the result: `fit(circuit=...)`.

    Args:
        circuit: any circuit.
        factor: units made of every unit.
        noise: spread of the factors; a mean is moved by its scale times the noise. 0 leaves clones that EM cannot part.
        seed: seed of the noise.

    Raises:
        UsageError: an argument is out of its range.

    Example:
        >>> circuit = Circuit((InputLayer(0, np.array([0.1, 0.9])), SumLayer((0,), np.array([[0.5, 0.5]]))))
        >>> grow(circuit, noise=0.0).layers[1].weights.tolist()
        [[0.25, 0.25, 0.25, 0.25]]
    """
    if factor < 1:
        raise UsageError(f"factor must be at least 1, got {factor}")
    if not 0 <= noise <= 1:
        raise UsageError(f"noise must be in 0..1, got {noise}")
    if seed < 0:
        raise UsageError(f"seed must not be negative, got {seed}")
    generator = np.random.default_rng([seed, 4])
    cloned = _below_sums(circuit)
    copies = [factor if cloned[index] else 1 for index in range(len(circuit.layers))]
    layers: list[Layer] = []
    for index, layer in enumerate(circuit.layers):
        if isinstance(layer, InputLayer):
            layers.append(_grow_leaves(layer, copies[index], noise, generator))
        elif isinstance(layer, ProductLayer):
            # Below a product that is not cloned the first copy is read, of a child that other layers had cloned.
            steps = np.array([circuit.layers[child].shape.units * (copies[child] > 1) for child in layer.children])
            gathers = [layer.gather + copy * steps for copy in range(copies[index])]
            layers.append(ProductLayer(layer.children, np.concatenate(gathers).astype(np.int64)))
        else:
            layers.append(_grow_sum(circuit, layer, copies, copies[index], noise, generator))
    return replace(circuit, layers=tuple(layers))


def _below_sums(circuit: Circuit) -> list[bool]:
    cloned = [False] * len(circuit.layers)
    for index in range(len(circuit.layers) - 1, -1, -1):
        layer = circuit.layers[index]
        if isinstance(layer, InputLayer):
            continue
        for child in layer.children:
            cloned[child] |= isinstance(layer, SumLayer) or cloned[index]
    return cloned


def _factors(shape: tuple[int, ...], noise: float, generator: np.random.Generator) -> FloatArray:
    return np.maximum(1 + noise * generator.standard_normal(shape), LEAST)


def _grow_leaves(layer: InputLayer, copies: int, noise: float, generator: np.random.Generator) -> InputLayer:
    if layer.parametric is not None:
        parametric = layer.parametric
        parameters = np.tile(parametric.parameters, (copies, 1))
        if parametric.kind == "logistic":
            parameters[:, 0] += noise * parameters[:, 1] * generator.standard_normal(len(parameters))
            parameters[:, 1] *= _factors((len(parameters),), noise, generator)
        else:
            parameters = np.minimum(parameters * _factors(parameters.shape, noise, generator), 1.0)
        return InputLayer.of(layer.variable, Parametric(parametric.kind, parameters, parametric.cardinality))
    if noise == 0:
        tiles = (copies,) if layer.kind == "bernoulli" else (copies, 1)
        return InputLayer(layer.variable, np.tile(layer.probabilities, tiles))
    table = np.tile(layer.table, (copies, 1)) * _factors(
        (copies * len(layer.table), layer.table.shape[1]), noise, generator
    )
    table /= table.sum(axis=1, keepdims=True)
    return InputLayer(layer.variable, table[:, 1].copy() if layer.kind == "bernoulli" else table)


def _grow_sum(
    circuit: Circuit, layer: SumLayer, copies: list[int], repeats: int, noise: float, generator: np.random.Generator
) -> SumLayer:
    """Repeat the rows, and every child's columns; the copies of a child share its weights."""
    sources: list[IntArray] = []
    start = 0
    for child in layer.children:
        units = circuit.layers[child].shape.units
        sources.append(np.tile(np.arange(start, start + units), copies[child]))
        start += units
    # All children of a sum have as many copies, so normalising the rows shares every weight among them.
    source = np.concatenate(sources)
    weights = layer.weights
    if not isinstance(weights, SparseRows):
        matrix = np.tile(weights[:, source], (repeats, 1))
        matrix = matrix * _factors(matrix.shape, noise, generator)
        return SumLayer(layer.children, matrix / matrix.sum(axis=1, keepdims=True))
    # Entry by entry: column c of a row becomes all columns whose source is c.
    order = np.argsort(source, kind="stable")
    firsts = np.searchsorted(source[order], np.arange(weights.columns + 1))
    counts = np.diff(firsts)[weights.indices]
    entry = np.repeat(np.arange(len(weights.indices)), counts)
    within = np.arange(len(entry)) - np.repeat(np.cumsum(counts) - counts, counts)
    column = order[firsts[weights.indices[entry]] + within]
    row = weights.row_of_entry[entry]
    sort = np.lexsort((column, row))
    row, column = row[sort], column[sort]
    value = weights.values[entry[sort]]
    rows = np.concatenate([row + copy * weights.shape[0] for copy in range(repeats)])
    value = np.tile(value, repeats) * _factors((repeats * len(value),), noise, generator)
    value = value / np.bincount(rows, weights=value)[rows]
    indptr = np.searchsorted(rows, np.arange(repeats * weights.shape[0] + 1)).astype(np.int64)
    return SumLayer(layer.children, SparseRows(indptr, np.tile(column, repeats).astype(np.int64), value, len(source)))


def _run(circuit: Circuit, evidence: Evidence, target: Target | None, argument: str | None) -> Outcome:
    GROW.check(argument)
    return Outcome(grow(circuit, int(argument or 2), seed=evidence.seed))


GROW = Pass(
    "grow", _run, "structure", (), "nothing: every state becomes several, for passes that choose among them",
    "how many units a unit becomes, by default 2", "Dang, Liu and Van den Broeck, 2022",
    counted("grow", "how many units a unit becomes"),
)  # fmt: skip
