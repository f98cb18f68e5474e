"""Circuits of libcirkit, compiled to torch: read layer by layer, every fold of a layer by itself.

Every layer stands for an array of units, (folds, units); what it takes is (folds, inputs, units).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from pcedge.arrays import FloatArray
from pcedge.circuit.densities import Density
from pcedge.circuit.layers import Circuit
from pcedge.errors import CircuitError, UsageError
from pcedge.importers.collecting import Collected, Keys, kind_of, numbers
from pcedge.importers.gridding import Gridding
from pcedge.importers.normalise import normalise

_SEMIRINGS = ("LSESumSemiring", "SumProductSemiring")


def from_cirkit(circuit: Any, gridding: Gridding | None = None) -> Circuit:
    """Make a circuit of a compiled circuit of libcirkit.

    Args:
        circuit: what `compile` gives, folded and optimized or not: sum, Hadamard, Kronecker, Tucker, CP and tensor-dot
            layers over categorical, embedding, binomial and Gaussian inputs, with one output.
        gridding: how real values become symbols; None takes 64 symbols by the leaves' quantiles.

    Returns:
        The circuit, every unit normalised; its `log_constant` is the logarithm of the partition function. Its variables
        are in the order of the scope.

    Raises:
        UsageError: the circuit is not compiled, has several outputs, or a layer or semiring that is not read.
        CircuitError: a weight is negative, as in squared circuits, or a rule of circuits is broken.

    Example:
        >>> made = from_cirkit(cirkit.pipeline.compile(symbolic))  # doctest: +SKIP
    """
    if not hasattr(circuit, "address_book"):
        raise UsageError(
            f"a circuit of libcirkit must be compiled, by cirkit.pipeline.compile, got {type(circuit).__name__}"
        )
    collected = Collected("the circuit of libcirkit")
    outputs: list[Keys] = []
    for entry in circuit.address_book:
        inputs = _gathered(entry, outputs)
        if entry.module is None:
            if inputs is None or inputs.size != 1:
                shape = None if inputs is None else inputs.shape
                raise UsageError(
                    f"a circuit of libcirkit must have one output with one unit, this one has {shape}: build it with "
                    "num_classes=1"
                )
            return normalise(collected.draft(int(inputs.ravel()[0]), gridding))
        outputs.append(_layer(collected, entry.module, inputs))
    raise UsageError("a circuit of libcirkit must have an output, this one has none")


def _gathered(entry: Any, outputs: list[Keys]) -> Keys | None:
    """Give a layer's inputs, (folds, inputs, units); those of the circuit's output (outputs, units)."""
    if not entry.in_module_ids:
        return None
    joint = np.concatenate([outputs[place] for place in entry.in_module_ids[0]])
    index = entry.in_fold_idx[0]
    return np.asarray(joint[index.detach().cpu().numpy() if hasattr(index, "detach") else index], dtype=np.int64)


def _layer(collected: Collected, layer: Any, inputs: Keys | None) -> Keys:
    kind = kind_of(layer, "cirkit", (*_INNER, *_INPUTS))
    semiring = getattr(layer.semiring, "__name__", type(layer.semiring).__name__)
    if semiring not in _SEMIRINGS:
        raise UsageError(f"the semiring of a circuit must be one of {', '.join(_SEMIRINGS)}, got {semiring}")
    if kind in _INPUTS and inputs is None:
        return _INPUTS[kind](collected, layer)
    if kind in _INNER and inputs is not None:
        return _INNER[kind](collected, layer, inputs)
    raise UsageError(
        f"a layer of a circuit of libcirkit must be one of {', '.join((*_INNER, *_INPUTS))}, got {type(layer).__name__}"
    )


def _logs(parameter: Any, what: str) -> FloatArray:
    """Give the logarithms of a parameter's values, which must not be negative."""
    found = parameter().detach().cpu().numpy()
    if np.iscomplexobj(found):
        raise UsageError(f"{what}: the weights must be real numbers, they are complex")
    values = np.asarray(found, dtype=np.float64)
    if not (values >= 0).all():
        raise CircuitError(
            f"{what}: the weights must not be negative, the least is {values.min()}: circuits that are squared "
            "or subtract are no mixtures"
        )
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(values))


def _products(collected: Collected, name: str, inputs: Keys, picks: Keys) -> Keys:
    """Multiply unit picks[k, h] of every input h, (folds, products)."""
    out = np.empty((len(inputs), len(picks)), dtype=np.int64)
    for fold, of in np.ndindex(out.shape):
        factors = inputs[fold, np.arange(inputs.shape[1]), picks[of]].tolist()
        out[fold, of] = collected.product(f"{name} [{fold}, {of}]", factors)
    return out


def _sums(collected: Collected, name: str, children: Keys, logs: FloatArray) -> Keys:
    """Weigh the children, (folds, units), by the logarithms, (folds, sums, units)."""
    out = np.empty(logs.shape[:2], dtype=np.int64)
    for fold, unit in np.ndindex(out.shape):
        row = logs[fold, unit]
        out[fold, unit] = collected.sum(f"{name} [{fold}, {unit}]", children[fold].tolist(), row.tolist())
    return out


def _each(inputs: Keys) -> Keys:
    units = np.arange(inputs.shape[2])
    return np.repeat(units[:, None], inputs.shape[1], axis=1)


def _all_pairs(inputs: Keys) -> Keys:
    return np.array(list(product(range(inputs.shape[2]), repeat=inputs.shape[1])), dtype=np.int64)


def _hadamard(collected: Collected, layer: Any, inputs: Keys) -> Keys:
    return _products(collected, "Hadamard layer", inputs, _each(inputs))


def _kronecker(collected: Collected, layer: Any, inputs: Keys) -> Keys:
    return _products(collected, "Kronecker layer", inputs, _all_pairs(inputs))


def _sum(collected: Collected, layer: Any, inputs: Keys) -> Keys:
    logs = _logs(layer.weight, "sum layer")
    return _sums(collected, "sum layer", inputs.reshape(len(inputs), -1), logs)


def _tucker(collected: Collected, layer: Any, inputs: Keys) -> Keys:
    pairs = _products(collected, "Tucker layer", inputs, _all_pairs(inputs))
    return _sums(collected, "Tucker layer", pairs, _logs(layer.weight, "Tucker layer"))


def _cp(collected: Collected, layer: Any, inputs: Keys) -> Keys:
    units = _products(collected, "CP layer", inputs, _each(inputs))
    return _sums(collected, "CP layer", units, _logs(layer.weight, "CP layer"))


def _tensor_dot(collected: Collected, layer: Any, inputs: Keys) -> Keys:
    logs = _logs(layer.weight, "tensor-dot layer")  # (folds, sums, units summed over)
    blocks = inputs[:, 0].reshape(len(inputs), logs.shape[2], -1)
    made = [_sums(collected, "tensor-dot layer", blocks[:, :, place], logs) for place in range(blocks.shape[2])]
    return np.concatenate(made, axis=1)


_INNER: dict[str, Callable[[Collected, Any, Keys], Keys]] = {
    "TorchSumLayer": _sum, "TorchHadamardLayer": _hadamard, "TorchKroneckerLayer": _kronecker,
    "TorchTuckerLayer": _tucker, "TorchCPTLayer": _cp, "TorchTensorDotLayer": _tensor_dot,
}  # fmt: skip


def _columns(layer: Any, kind: str) -> list[int]:
    scope = layer.scope_idx.detach().cpu().numpy()
    if scope.shape[1] != 1:
        raise UsageError(f"{kind} inputs must be over one variable each, these are over {scope.shape[1]}")
    return [int(column) for column in scope[:, 0]]


def _tables(collected: Collected, kind: str, columns: list[int], tables: FloatArray) -> Keys:
    out = np.empty(tables.shape[:2], dtype=np.int64)
    for fold, unit in np.ndindex(out.shape):
        name = f"{kind} input [{fold}, {unit}] of variable {columns[fold]}"
        out[fold, unit] = collected.leaf(name, columns[fold], tables[fold, unit])
    return out


def _categorical(collected: Collected, layer: Any) -> Keys:
    if layer.logits is None:
        tables = np.exp(_logs(layer.probs, "categorical input"))
    else:
        # A table's total belongs to the circuit: what is not normalised goes to the constant.
        with np.errstate(over="ignore"):
            tables = np.exp(numbers(layer.logits()))
    return _tables(collected, "categorical", _columns(layer, "categorical"), tables)


def _embedding(collected: Collected, layer: Any) -> Keys:
    tables = np.exp(_logs(layer.weight, "embedding input"))
    return _tables(collected, "embedding", _columns(layer, "embedding"), tables)


def _binomial(collected: Collected, layer: Any) -> Keys:
    chances = numbers(layer.probs()) if layer.logits is None else np.exp(-np.logaddexp(0.0, -numbers(layer.logits())))
    count = int(layer.total_count)
    tables = np.stack(
        [
            np.stack([Density("binomial", (count, chance)).count_masses(0, count + 1, clip=False) for chance in row])
            for row in chances
        ]
    )
    return _tables(collected, "binomial", _columns(layer, "binomial"), tables)


def _gaussian(collected: Collected, layer: Any) -> Keys:
    means, stds, columns = numbers(layer.mean()), numbers(layer.stddev()), _columns(layer, "Gaussian")
    extra = np.zeros(means.shape) if layer.log_partition is None else numbers(layer.log_partition())
    out = np.empty(means.shape, dtype=np.int64)
    for fold, unit in np.ndindex(out.shape):
        name = f"Gaussian input [{fold}, {unit}] of variable {columns[fold]}"
        try:
            density = Density("gaussian", (float(means[fold, unit]), float(stds[fold, unit])))
        except CircuitError as error:
            raise CircuitError(f"{name}: {error}") from error
        out[fold, unit] = collected.leaf(name, columns[fold], density)
        if extra[fold, unit]:  # the leaf's total is not 1
            out[fold, unit] = collected.sum(name, [int(out[fold, unit])], [float(extra[fold, unit])])
    return out


_INPUTS: dict[str, Callable[[Collected, Any], Keys]] = {
    "TorchCategoricalLayer": _categorical, "TorchEmbeddingLayer": _embedding, "TorchBinomialLayer": _binomial,
    "TorchGaussianLayer": _gaussian,
}  # fmt: skip
