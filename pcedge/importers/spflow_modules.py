"""Models of SPFlow 1.0 and later: torch modules, read by following what their `log_likelihood` computes.

Every module stands for an array of units, (features, channels, repetitions).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from pcedge.circuit.densities import Density
from pcedge.circuit.layers import Circuit
from pcedge.errors import CircuitError, UsageError
from pcedge.importers.collecting import ONE, Collected, Keys, kind_of, log_softmax, numbers
from pcedge.importers.gridding import Gridding
from pcedge.importers.normalise import normalise
from pcedge.importers.spflow_leaves import Content, histogram


def from_spflow(model: Any, gridding: Gridding | None = None) -> Circuit:
    """Make a circuit of an SPFlow model (1.0 or later).

    Args:
        model: a module with one output: sums, products, einsum and linsum layers over leaves, or a model that holds
            such a module, as RatSPN, Einet and NaiveBayes do.
        gridding: how real values become symbols; None takes 64 symbols by the leaves' quantiles.

    Returns:
        The circuit. Its variables are in the order of the scope; without real leaves, and for a scope 0, 1, …, it has
        no grid.

    Raises:
        UsageError: a module is of a kind that is not read, or has parameters from outside the model.
        CircuitError: a rule of circuits is broken.

    Example:
        >>> circuit = from_spflow(model)  # doctest: +SKIP
    """
    reader = _Reader(model)
    out = reader.units_of(model)
    if out.size != 1:
        raise UsageError(
            f"an SPFlow model must have one output, {type(model).__name__} has the shape {out.shape} of features, "
            "channels and repetitions: put a Sum over them, whose weights are those of the classes or repetitions"
        )
    return normalise(reader.collected.draft(int(out.ravel()[0]), gridding))


class _Reader:
    """Follow modules, each once."""

    def __init__(self, model: Any) -> None:
        self.collected = Collected(f"the SPFlow model {type(model).__name__}")
        #: modules are kept with their units, for a number of a module that is gone could be another's
        self.known: dict[int, tuple[Any, Keys]] = {}

    def units_of(self, module: Any) -> Keys:
        """Give a module's units, (features, channels, repetitions)."""
        if id(module) not in self.known:
            kind = kind_of(module, "spflow", (*_MODULES, *_LEAVES, *_HOLDERS))
            if kind in _HOLDERS:
                made = self.units_of(getattr(module, _HOLDERS[kind]))
            elif kind in _LEAVES:
                made = self._leaves(module, kind)
            elif kind in _MODULES:
                made = _MODULES[kind](self, module)
            elif kind == "CLTree":
                made = self._tree(module)
            else:
                known = ", ".join((*_MODULES, *_LEAVES, "CLTree", *_HOLDERS))
                raise UsageError(
                    f"a module of an SPFlow model must be one of {known}, "
                    f"got {type(module).__module__}.{type(module).__name__}"
                )
            self.known[id(module)] = module, made
        return self.known[id(module)][1]

    def parts_of(self, inputs: Any) -> list[Keys]:
        """Give the units of several inputs, or of the parts of a split one."""
        if hasattr(inputs, "num_splits") and type(inputs).__name__.startswith("Split"):
            return self._split(inputs)
        if len(inputs) == 1 and type(inputs[0]).__name__.startswith("Split"):
            return self._split(inputs[0])
        return [self.units_of(part) for part in inputs]

    def _split(self, module: Any) -> list[Keys]:
        whole, axis = self.units_of(module.inputs), int(module.dim) - 1
        count = whole.shape[axis]
        if type(module).__name__ == "SplitInterleaved":
            places = [np.arange(first, count, module.num_splits) for first in range(module.num_splits)]
        elif type(module).__name__ == "SplitConsecutive":
            places = list(
                np.split(np.arange(count), np.arange(count // module.num_splits, count, count // module.num_splits))
            )
        elif type(module).__name__ == "SplitByIndex":
            places = [np.asarray(part, dtype=np.int64) for part in module.indices]
        else:
            raise UsageError(
                f"a split of an SPFlow model must be by blocks, interleaved or by index, got {type(module).__name__}"
            )
        return [np.take(whole, part, axis=axis) for part in places]

    def _leaves(self, module: Any, kind: str) -> Keys:
        if module.is_conditional:
            raise UsageError(f"{kind} leaves must have parameters of their own, these take them from a network")
        shape = (module.out_shape.features, module.out_shape.channels, module.out_shape.repetitions)
        columns = list(module.scope.query)
        content = _LEAVES[kind](module)
        keys = np.empty(shape, dtype=np.int64)
        for place in np.ndindex(shape):
            name = f"{kind} leaf {list(place)} of variable {columns[place[0]]}"
            try:
                keys[place] = self.collected.leaf(name, int(columns[place[0]]), content(place, name))
            except CircuitError as error:
                raise CircuitError(f"{name}: {error}") from error
        return keys

    def _tree(self, module: Any) -> Keys:
        """Read Chow-Liu trees: of every variable and state of its parent a sum over its own states.

        The first feature is the tree; the others stand for nothing, as the zeros that SPFlow gives them.
        """
        table, parents, columns = numbers(module.log_cpt), module.parents.tolist(), list(module.scope.query)
        count, channels, repetitions, states = table.shape[:4]
        below: list[list[int]] = [[child for child in range(count) if parents[child] == node] for node in range(count)]
        keys = np.full((count, channels, repetitions), ONE, dtype=np.int64)
        for channel, repetition in np.ndindex(channels, repetitions):
            rows: dict[int, list[int]] = {}
            for node in module.post_order.tolist():
                column = int(columns[node])
                name = f"CLTree [{channel}, {repetition}] at variable {column}"
                chosen = [
                    self.collected.product(
                        name,
                        [
                            self.collected.leaf(name, column, np.eye(states)[state]),
                            *(rows[child][state] for child in below[node]),
                        ],
                    )
                    for state in range(states)
                ]
                logs = table[node, channel, repetition]
                rows[node] = [
                    self.collected.sum(name, chosen, logs[:, given].tolist())
                    for given in range(1 if parents[node] < 0 else states)
                ]
            roots = [rows[node][0] for node in range(count) if parents[node] < 0]
            keys[0, channel, repetition] = self.collected.product(f"CLTree [{channel}, {repetition}]", roots)
        return keys


def _sum(reader: _Reader, module: Any) -> Keys:
    inputs, logs = reader.units_of(module.inputs), numbers(module.log_weights)
    features, below, channels, repetitions = logs.shape
    inputs = np.broadcast_to(inputs, (features, below, repetitions))
    out = np.empty((features, channels, repetitions), dtype=np.int64)
    for f, c, r in np.ndindex(out.shape):
        out[f, c, r] = reader.collected.sum(f"Sum [{f}, {c}, {r}]", inputs[f, :, r].tolist(), logs[f, :, c, r].tolist())
    return out


def _elementwise_sum(reader: _Reader, module: Any) -> Keys:
    logs = numbers(module.log_weights)  # (features, channels below, channels, inputs, repetitions)
    features, below, channels, _, repetitions = logs.shape
    parts = np.stack([np.broadcast_to(reader.units_of(part), (features, below, repetitions)) for part in module.inputs])
    out = np.empty((features, below, channels, repetitions), dtype=np.int64)
    for f, i, c, r in np.ndindex(out.shape):
        name = f"ElementwiseSum [{f}, {i}, {c}, {r}]"
        out[f, i, c, r] = reader.collected.sum(name, parts[:, f, i, r].tolist(), logs[f, i, c, :, r].tolist())
    return out.reshape(features, below * channels, repetitions)


def _mixed_repetitions(reader: _Reader, module: Any) -> Keys:
    logs = numbers(module.log_weights)  # (features, channels, repetitions)
    inputs = np.broadcast_to(reader.units_of(module.inputs), logs.shape)
    out = np.empty((*logs.shape[:2], 1), dtype=np.int64)
    axis = int(module.sum_dim)
    if axis != 2:
        raise UsageError(f"a RepetitionMixingLayer must sum over repetitions, this one sums over axis {axis}")
    for f, c in np.ndindex(logs.shape[:2]):
        name = f"RepetitionMixingLayer [{f}, {c}]"
        out[f, c, 0] = reader.collected.sum(name, inputs[f, c].tolist(), logs[f, c].tolist())
    return out


def _product(reader: _Reader, module: Any) -> Keys:
    inputs = reader.units_of(module.inputs)
    out = np.empty((1, *inputs.shape[1:]), dtype=np.int64)
    for c, r in np.ndindex(inputs.shape[1:]):
        out[0, c, r] = reader.collected.product(f"Product [{c}, {r}]", inputs[:, c, r].tolist())
    return out


def _elementwise(reader: _Reader, module: Any) -> Keys:
    return _pairs(reader, "ElementwiseProduct", np.broadcast_arrays(*reader.parts_of(module.inputs)))


def _outer(reader: _Reader, module: Any) -> Keys:
    parts = reader.parts_of(module.inputs)
    picks = np.array(list(product(*(range(part.shape[1]) for part in parts))))
    spread = [part[:, picks[:, place]] for place, part in enumerate(parts)]
    return _pairs(reader, "OuterProduct", np.broadcast_arrays(*spread))


def _pairs(reader: _Reader, name: str, parts: Any) -> Keys:
    out = np.empty(parts[0].shape, dtype=np.int64)
    for place in np.ndindex(out.shape):
        out[place] = reader.collected.product(f"{name} {list(place)}", [int(part[place]) for part in parts])
    return out


def _einsum(reader: _Reader, module: Any) -> Keys:
    left, right = reader.parts_of(module.inputs)
    logs = numbers(module.log_weights)  # (features, channels, repetitions, left, right)
    features, channels, repetitions, lefts, rights = logs.shape
    left = np.broadcast_to(left, (features, lefts, repetitions))
    right = np.broadcast_to(right, (features, rights, repetitions))
    out = np.empty((features, channels, repetitions), dtype=np.int64)
    for f, r in np.ndindex(features, repetitions):
        name = f"EinsumLayer [{f}, {r}]"
        pairs = [reader.collected.product(name, [int(a), int(b)]) for a in left[f, :, r] for b in right[f, :, r]]
        for c in range(channels):
            out[f, c, r] = reader.collected.sum(name, pairs, logs[f, c, r].ravel().tolist())
    return out


def _linsum(reader: _Reader, module: Any) -> Keys:
    left, right = reader.parts_of(module.inputs)
    logs = numbers(module.log_weights)  # (features, channels, repetitions, channels below)
    features, channels, repetitions, below = logs.shape
    left, right = (np.broadcast_to(part, (features, below, repetitions)) for part in (left, right))
    out = np.empty((features, channels, repetitions), dtype=np.int64)
    for f, r in np.ndindex(features, repetitions):
        name = f"LinsumLayer [{f}, {r}]"
        pairs = [reader.collected.product(name, [int(left[f, i, r]), int(right[f, i, r])]) for i in range(below)]
        for c in range(channels):
            out[f, c, r] = reader.collected.sum(name, pairs, logs[f, c, r].tolist())
    return out


def _cat(reader: _Reader, module: Any) -> Keys:
    return np.concatenate([reader.units_of(part) for part in module.inputs], axis=int(module.dim) - 1)


def _factorize(reader: _Reader, module: Any) -> Keys:
    (inputs,) = reader.parts_of(module.inputs)
    chosen = numbers(module.indices)  # (features below, features, repetitions)
    out = np.empty((chosen.shape[1], inputs.shape[1], chosen.shape[2]), dtype=np.int64)
    for o, c, r in np.ndindex(out.shape):
        places = np.flatnonzero(chosen[:, o, r])
        found = inputs[places, c, r if inputs.shape[2] > 1 else 0]
        out[o, c, r] = reader.collected.product(f"Factorize [{o}, {c}, {r}]", found.tolist())
    return out


_MODULES: dict[str, Callable[[_Reader, Any], Keys]] = {
    "Sum": _sum, "ElementwiseSum": _elementwise_sum, "RepetitionMixingLayer": _mixed_repetitions, "Product": _product,
    "ElementwiseProduct": _elementwise, "OuterProduct": _outer, "EinsumLayer": _einsum, "LinsumLayer": _linsum,
    "Cat": _cat, "Factorize": _factorize,
}  # fmt: skip
#: models that hold a module, and under which name
_HOLDERS = {"RatSPN": "root_node", "Einet": "root_node", "NaiveBayes": "root_node", "ImageWrapper": "module"}

Contents = Callable[[tuple[int, ...], str], Content]


def _by(
    family: str, *names: str, own: Callable[..., tuple[float, ...]] = lambda *values: values
) -> Callable[[Any], Contents]:
    """Read leaves whose parameters are attributes of the shape of the units."""

    def read(module: Any) -> Contents:
        shape = (module.out_shape.features, module.out_shape.channels, module.out_shape.repetitions)
        tables = [np.broadcast_to(numbers(getattr(module, name)), shape) for name in names]
        return lambda place, name: Density(family, own(*(float(table[place]) for table in tables)))

    return read


def _bernoulli(module: Any) -> Contents:
    logits = numbers(module.logits)
    one = -np.logaddexp(0.0, -logits)
    return lambda place, name: np.exp([one[place] - logits[place], one[place]])


def _categorical(module: Any) -> Contents:
    logs = log_softmax(numbers(module.logits), -1)
    return lambda place, name: np.exp(logs[place])


def _histogram(module: Any) -> Contents:
    edges, shares = numbers(module.bin_edges), np.exp(log_softmax(numbers(module.logits), -1))
    heights = shares / np.diff(edges)
    return lambda place, name: replace(histogram(edges.tolist(), heights[place].tolist(), (), name), real=True)


def _hypergeometric(module: Any) -> Contents:
    marked, size, drawn = (numbers(getattr(module, name)) for name in ("K", "N", "n"))

    def content(place: tuple[int, ...], name: str) -> Content:
        k, n, total = int(marked[place]), int(drawn[place]), int(size[place])
        ways = [math.comb(k, x) * math.comb(total - k, n - x) for x in range(min(k, n) + 1)]
        return np.array([way / math.comb(total, n) for way in ways])

    return content


_LEAVES: dict[str, Callable[[Any], Contents]] = {
    "Normal": _by("gaussian", "loc", "scale"),
    "Laplace": _by("laplace", "loc", "scale"),
    "LogNormal": _by("lognormal", "loc", "scale"),
    "Uniform": _by("uniform", "low", "high"),
    "Exponential": _by("exponential", "rate", own=lambda rate: (0.0, 1 / rate)),
    "Gamma": _by("gamma", "concentration", "rate", own=lambda shape, rate: (shape, 1 / rate)),
    "Poisson": _by("poisson", "rate"),
    "Geometric": _by("geometric", "probs"),
    # torch counts the successes before so many failures
    "NegativeBinomial": _by("negative_binomial", "total_count", "probs", own=lambda n, p: (n, 1 - p)),
    "Binomial": _by("binomial", "total_count", "probs"),
    "Bernoulli": _bernoulli,
    "Categorical": _categorical,
    "Histogram": _histogram,
    "Hypergeometric": _hypergeometric,
}
