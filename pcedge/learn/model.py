"""A circuit's parameters as torch tensors: log-likelihood, expected counts and M-step, for any circuit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from pcedge.circuit.layers import Circuit, FloatArray, InputLayer, IntArray, Layer, ProductLayer, SparseRows, SumLayer
from pcedge.learn.config import LearnConfig

#: a torch tensor; torch's own types are not checked, because it is an optional package
Tensor = Any


@dataclass
class _Sum:
    """Hold a sum layer's weights; a sparse layer keeps where its entries are."""

    weights: Tensor
    shape: tuple[int, int]
    rows: Tensor
    flat: Tensor | None


class Model:
    """Run EM's two steps on a circuit. No random numbers, and the same additions in the same order every time."""

    def __init__(self, circuit: Circuit, priors: list[FloatArray], config: LearnConfig) -> None:
        """Copy the parameters.

        Args:
            circuit: structure and initial parameters.
            priors: every variable's distribution that the leaf pseudocounts follow.
            config: device, dtype, pseudocounts and blur.
        """
        self.circuit = circuit
        self.config = config
        self.dtype = getattr(torch, config.dtype)
        self.parameters: list[Any] = []
        self.priors = [self._tensor(prior) for prior in priors]
        # A probability of 0 becomes the smallest normal number: its logarithm and its gradient stay finite.
        self.tiny = float(torch.finfo(self.dtype).tiny)
        for layer in circuit.layers:
            self.parameters.append(self._of_layer(layer))

    def _tensor(self, values: Any) -> Tensor:
        return torch.tensor(np.asarray(values), dtype=self.dtype, device=self.config.device)

    def _of_layer(self, layer: Layer) -> Any:
        if isinstance(layer, InputLayer):
            return self._tensor(layer.table)
        if isinstance(layer, ProductLayer):
            return torch.tensor(layer.gather, device=self.config.device)
        shape = layer.weights.shape
        if isinstance(layer.weights, SparseRows):
            rows = np.repeat(np.arange(shape[0]), np.diff(layer.weights.indptr))
            flat = torch.tensor(rows * shape[1] + layer.weights.indices, device=self.config.device)
            values = layer.weights.values
        else:
            rows, flat, values = np.repeat(np.arange(shape[0]), shape[1]), None, layer.weights.reshape(-1)
        return _Sum(self._tensor(values), shape, torch.tensor(rows, device=self.config.device), flat)

    def log_likelihood(self, records: IntArray) -> Tensor:
        """Compute log p of every record."""
        with torch.no_grad():
            return self._forward(records)[0]

    def counts(self, records: IntArray) -> tuple[list[Any], float]:
        """Compute the expected counts of every layer's parameters (None for products), and the sum of log p."""
        symbols = torch.tensor(records, device=self.config.device)
        result, leaves, sums = self._forward(records, gradients=True)
        total = result.sum()
        total.backward()
        counts: list[Any] = [None] * len(self.parameters)
        with torch.no_grad():
            for index, values in leaves.items():
                layer = self.circuit.layers[index]
                if values.grad is None or not isinstance(layer, InputLayer):
                    continue
                # A product with one-hot symbols instead of an indexed addition, whose order is not fixed.
                names = torch.arange(self.parameters[index].shape[1], device=self.config.device)
                hot = (symbols[:, layer.variable, None] == names).to(self.dtype)
                counts[index] = values.grad.T @ hot
            for index, weights in sums.items():
                counts[index] = weights.detach() * weights.grad
        return counts, float(total.detach())

    def _forward(
        self, records: IntArray, gradients: bool = False
    ) -> tuple[Tensor, dict[int, Tensor], dict[int, Tensor]]:
        """Give log p of every record, and the leaf values and weights that gradients are kept for."""
        symbols = torch.tensor(records, device=self.config.device)
        values: list[Tensor] = []
        leaves: dict[int, Tensor] = {}
        sums: dict[int, Tensor] = {}
        for index, (layer, parameter) in enumerate(zip(self.circuit.layers, self.parameters, strict=True)):
            if isinstance(layer, InputLayer):
                # One more column, which -1 picks: log 1 sums the missing symbol out.
                table = torch.nn.functional.pad(parameter.clamp_min(self.tiny).log(), (0, 1))
                leaves[index] = table.T[symbols[:, layer.variable]].requires_grad_(gradients)
                values.append(leaves[index])
            elif isinstance(layer, ProductLayer):
                # A gather that keeps the order skips the copy and its slow gradient.
                parts = [
                    _picked(values[child], layer.gather[:, c], parameter[:, c])
                    for c, child in enumerate(layer.children)
                ]
                value = parts[0]
                for part in parts[1:]:
                    value = value + part
                values.append(value)
            else:
                weights = parameter.weights.detach().requires_grad_(gradients)
                sums[index] = weights
                below = [values[child] for child in layer.children]
                values.append(self._mix(parameter, weights, torch.cat(below, dim=1) if len(below) > 1 else below[0]))
        return values[-1][:, 0], leaves, sums

    def _mix(self, layer: _Sum, weights: Tensor, below: Tensor) -> Tensor:
        if layer.flat is None:
            matrix = weights.view(layer.shape)
        else:
            zeros = torch.zeros(layer.shape[0] * layer.shape[1], dtype=self.dtype, device=self.config.device)
            matrix = zeros.scatter(0, layer.flat, weights).view(layer.shape)
        top = below.detach().amax(dim=1, keepdim=True)
        return ((below - top).exp() @ matrix.T).clamp_min(self.tiny).log() + top

    def update(self, counts: list[Any]) -> None:
        """Set the parameters that are most likely for the expected counts plus the pseudocounts."""
        for index, (layer, count) in enumerate(zip(self.circuit.layers, counts, strict=True)):
            if count is None:
                continue
            if isinstance(layer, InputLayer):
                prior = self.config.leaf_pseudocount * self.priors[layer.variable]
                table = _blurred(count, self.config.blur) + prior
                totals = table.sum(dim=1, keepdim=True)
                # A unit that no record reaches keeps what it has.
                self.parameters[index] = torch.where(
                    totals > 0, table / totals.clamp_min(self.tiny), self.parameters[index]
                )
            else:
                held = self.parameters[index]
                fan = torch.bincount(held.rows, minlength=held.shape[0]).to(self.dtype)
                smoothed = count + (self.config.sum_pseudocount / fan)[held.rows]
                totals = torch.zeros(held.shape[0], dtype=self.dtype, device=self.config.device)
                totals = _row_sums(smoothed, held, totals)[held.rows]
                held.weights = torch.where(totals > 0, smoothed / totals.clamp_min(self.tiny), held.weights)

    def snapshot(self) -> list[Any]:
        """Give the parameters as they are now; `update` replaces tensors and never writes into them."""
        return [held.weights if isinstance(held, _Sum) else held for held in self.parameters]

    def to_circuit(self, snapshot: list[Any]) -> Circuit:
        """Make a circuit of float64 parameters whose rows are normalised once more."""
        layers: list[Layer] = []
        for layer, values in zip(self.circuit.layers, snapshot, strict=True):
            if isinstance(layer, ProductLayer):
                layers.append(layer)
                continue
            array = values.detach().cpu().numpy().astype(np.float64)
            if isinstance(layer, InputLayer):
                table = array / array.sum(axis=1, keepdims=True)
                layers.append(InputLayer(layer.variable, table[:, 1].copy() if layer.kind == "bernoulli" else table))
            elif isinstance(layer.weights, SparseRows):
                old = layer.weights
                totals = np.add.reduceat(array, old.indptr[:-1])
                array = array / np.repeat(totals, np.diff(old.indptr))
                layers.append(SumLayer(layer.children, SparseRows(old.indptr, old.indices, array, old.columns)))
            else:
                matrix = array.reshape(layer.weights.shape)
                layers.append(SumLayer(layer.children, matrix / matrix.sum(axis=1, keepdims=True)))
        return Circuit(tuple(layers))


def _picked(values: Tensor, gather: IntArray, indices: Tensor) -> Tensor:
    if len(gather) == values.shape[1] and (gather == np.arange(len(gather))).all():
        return values
    # One-hot columns: an indexed gather's gradient adds in an order that is not fixed on a GPU.
    hot = torch.nn.functional.one_hot(indices, values.shape[1]).to(values.dtype)
    return values @ hot.T


def _row_sums(values: Tensor, held: _Sum, zeros: Tensor) -> Tensor:
    if held.flat is None:
        return values.view(held.shape).sum(dim=1)
    matrix = torch.zeros(held.shape[0] * held.shape[1], dtype=values.dtype, device=values.device)
    return matrix.scatter(0, held.flat, values).view(held.shape).sum(dim=1)


def _blurred(counts: Tensor, share: float) -> Tensor:
    """Move a share of every column's counts to its neighbours; the borders keep what would fall off."""
    if share == 0 or counts.shape[1] < 2:
        return counts
    left = torch.cat([counts[:, 1:], counts[:, -1:]], dim=1)
    right = torch.cat([counts[:, :1], counts[:, :-1]], dim=1)
    return (1 - share) * counts + share / 2 * (left + right)
