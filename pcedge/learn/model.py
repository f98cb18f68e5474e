"""A circuit's parameters as one torch vector: log-likelihood, expected counts and M-step, for any circuit."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import MISSING, Circuit, InputLayer, Layer, parameters_of
from pcedge.learn.config import LearnConfig
from pcedge.learn.leaves import refit_layer
from pcedge.learn.parameters import packed, with_parameters
from pcedge.learn.plan import Bags, LeafStack, ProductStack, Pull, Rows, SumStack, make_plan
from pcedge.learn.priors import neighbours, tree_shrunk

#: a torch tensor; torch's own types are not checked, because it is an optional package
Tensor = Any

#: entries of the one-hot symbols that a GPU holds at a time
HOT_ENTRIES = 2**26


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Hold all parameters, and the parametric leaves that some of the tables follow from."""

    parameters: Tensor
    leaves: dict[int, InputLayer]


class Model:
    """Run EM's two steps on a circuit. No random numbers, and the same additions in the same order every time."""

    def __init__(self, circuit: Circuit, priors: list[FloatArray], config: LearnConfig, device: str = "cpu") -> None:
        """Copy the parameters.

        Args:
            circuit: structure and initial parameters.
            priors: every variable's distribution that the leaf pseudocounts follow.
            config: dtype, pseudocounts and blur.
            device: where to compute, such as `cpu` or `cuda:1`.
        """
        self.circuit = circuit
        self.config = config
        self.device = torch.device(device)
        self.dtype = getattr(torch, config.dtype)
        # A probability of 0 becomes the smallest normal number: its logarithm and what is divided by it stay finite.
        self.tiny = float(torch.finfo(self.dtype).tiny)
        self.plan = make_plan(circuit)
        self.stacks = [[_OnDevice(stack, self.device) for stack in level] for level in self.plan.levels]
        self.pulls = [None if pull is None else _PullOnDevice(pull, self.device) for pull in self.plan.pulls]
        self.lengths = self._tensor(self.plan.lengths)
        self.parameters = self._tensor(packed(circuit, self.plan.levels), self.dtype)
        self.fans = self.lengths.repeat_interleave(self.lengths).to(self.dtype)
        self.centres = self._centres(priors)
        #: parametric leaves by layer, whose tables follow from their parameters
        self.leaves = {
            index: layer
            for index, layer in enumerate(circuit.layers)
            if isinstance(layer, InputLayer) and layer.parametric is not None
        }
        self.graphs: dict[tuple[int, ...], Any] = {}

    def _tensor(self, values: Any, dtype: Any = None) -> Tensor:
        return torch.tensor(np.asarray(values), dtype=dtype, device=self.device)

    def _centres(self, priors: list[FloatArray]) -> dict[int, Tensor]:
        """Give every leaf stack the distributions that its rows are drawn to, (layers, 1, symbols)."""
        return {
            stack.first: self._tensor(np.stack([priors[variable] for variable in stack.variables])[:, None], self.dtype)
            for level in self.plan.levels
            for stack in level
            if isinstance(stack, LeafStack)
        }

    def load(self, records: IntArray) -> Tensor:
        """Put records on the device as (variables, N), where the symbol after a variable's last one means missing."""
        sizes = np.asarray(self.circuit.cardinalities, dtype=np.int64)
        marked = np.where(records == MISSING, sizes, records)
        return torch.tensor(np.ascontiguousarray(marked.T), device=self.device)

    def log_likelihood(self, symbols: Tensor) -> Tensor:
        """Compute log p of every loaded record."""
        with torch.no_grad():
            return self._up(symbols, keep=False)[0][self.plan.starts[-1]]

    def counts(self, symbols: Tensor) -> Tensor:
        """Compute the expected counts of all parameters, followed by the sum of log p, as one vector."""
        with torch.no_grad():
            if self.device.type != "cuda":
                return self._counts(symbols)
            # A recorded graph saves the launches of some thousand small operations; the first batches warm up.
            key = tuple(symbols.shape)
            graph_or_count = self.graphs.setdefault(key, 0)
            if isinstance(graph_or_count, int):
                self.graphs[key] = graph_or_count + 1
                if graph_or_count < 2:
                    return self._counts(symbols)
                graph_or_count = self._record(symbols)
                self.graphs[key] = graph_or_count
            graph, fixed, result = graph_or_count
            fixed.copy_(symbols)
            graph.replay()
            return result.clone()

    def _record(self, symbols: Tensor) -> tuple[Any, Tensor, Tensor]:
        fixed = symbols.clone()
        torch.cuda.synchronize(self.device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = self._counts(fixed)
        return graph, fixed, result

    def _up(self, symbols: Tensor, keep: bool) -> tuple[Tensor, dict[int, tuple[Tensor, Tensor]]]:
        """Give the logarithms of all rows' values, and for every sum stack its scaled columns and their mixtures."""
        values = torch.empty((self.plan.rows, symbols.shape[1]), dtype=self.dtype, device=self.device)
        mixtures: dict[int, tuple[Tensor, Tensor]] = {}
        for level in self.stacks:
            for on in level:
                stack = on.stack
                if isinstance(stack, LeafStack):
                    # One more column, which a missing symbol picks: log 1 sums it out.
                    table = torch.nn.functional.pad(self._table(stack).clamp_min(self.tiny).log(), (0, 1))
                    picked = symbols[on.variables][:, None].expand(-1, stack.shape[1], -1)
                    values[on.rows] = table.gather(2, picked).flatten(0, 1)
                elif isinstance(stack, ProductStack):
                    values[on.rows] = _bag_sums(values, on.bags)
                else:
                    layers, _, columns = stack.shape
                    child_logs = _rows(values, on.below).view(layers, columns, -1)
                    top = child_logs.amax(dim=1, keepdim=True)
                    scaled = (child_logs - top).exp_()
                    mixed = self._mix(on, scaled).clamp_min_(self.tiny)
                    if keep:
                        mixtures[stack.start] = (scaled, mixed)
                    values[on.rows] = (mixed.log() + top).flatten(0, 1)
        return values, mixtures

    def _counts(self, symbols: Tensor) -> Tensor:
        values, mixtures = self._up(symbols, keep=True)
        result = torch.zeros(self.plan.parameters + 1, dtype=self.dtype, device=self.device)
        result[-1] = values[self.plan.starts[-1]].sum()
        del values
        # Rows that nothing uses are never written and stay 0.
        flows = torch.zeros((self.plan.flow_rows, symbols.shape[1]), dtype=self.dtype, device=self.device)
        flows[self.plan.starts[-1]] = 1
        for level in reversed(range(len(self.stacks))):
            pull = self.pulls[level]
            if pull is not None:
                flows[pull.rows] = _bag_sums(flows, pull.bags)
            for on in self.stacks[level]:
                stack = on.stack
                if isinstance(stack, LeafStack):
                    layers, units, cardinality = stack.shape
                    size = layers * units * cardinality
                    flow = flows[on.rows].view(layers, units, -1)
                    counted = self._symbol_counts(flow, symbols[on.variables], cardinality)
                    result[stack.first : stack.first + size] = counted.flatten()
                elif isinstance(stack, SumStack):
                    layers, units, columns = stack.shape
                    scaled, mixed = mixtures.pop(stack.start)
                    share = flows[on.rows].view(layers, units, -1) / mixed
                    entries = slice(stack.first, stack.first + stack.entries)
                    result[entries] = self._entry_counts(on, share, scaled)
                    into = slice(stack.flows, stack.flows + layers * columns)
                    flows[into] = (self._spread(on, share) * scaled).flatten(0, 1)
        return result

    def _symbol_counts(self, flow: Tensor, symbols: Tensor, cardinality: int) -> Tensor:
        """Add the flows (layers, units, N) of each symbol; a missing one is left out."""
        layers, units, count = flow.shape
        if self.device.type == "cpu":
            sums = torch.zeros((layers, units, cardinality + 1), dtype=self.dtype)
            return sums.scatter_add_(2, symbols[:, None].expand(-1, units, -1), flow)[:, :, :-1]
        # A product with one-hot symbols: additions by index have no fixed order on a GPU.
        names = torch.arange(cardinality, device=self.device)
        step = max(1, HOT_ENTRIES // (count * cardinality))
        products = []
        for start in range(0, layers, step):
            hot = (symbols[start : start + step, :, None] == names).to(self.dtype)
            products.append(torch.bmm(flow[start : start + step], hot))
        return torch.cat(products)

    def _table(self, stack: LeafStack) -> Tensor:
        size = int(np.prod(stack.shape))
        return self.parameters[stack.first : stack.first + size].view(stack.shape)

    def _dense(self, on: _OnDevice) -> Tensor:
        stack = on.stack
        weights = self.parameters[stack.first : stack.first + stack.entries]
        if stack.places is None:
            return weights.view(stack.shape)
        zeros = torch.zeros(int(np.prod(stack.shape)), dtype=self.dtype, device=self.device)
        return zeros.scatter_(0, on.places, weights).view(stack.shape)

    def _mix(self, on: _OnDevice, scaled: Tensor) -> Tensor:
        if not on.stack.listed:
            return torch.bmm(self._dense(on), scaled)
        weights = self.parameters[on.stack.first : on.stack.first + on.stack.entries]
        return _bag_sums(scaled.flatten(0, 1), on.by_row, weights).view(*on.stack.shape[:2], -1)

    def _spread(self, on: _OnDevice, share: Tensor) -> Tensor:
        layers, _, columns = on.stack.shape
        if not on.stack.listed:
            return torch.bmm(self._dense(on).transpose(1, 2), share)
        weights = self.parameters[on.stack.first : on.stack.first + on.stack.entries][on.column_order]
        return _bag_sums(share.flatten(0, 1), on.by_column, weights).view(layers, columns, -1)

    def _entry_counts(self, on: _OnDevice, share: Tensor, scaled: Tensor) -> Tensor:
        stack = on.stack
        weights = self.parameters[stack.first : stack.first + stack.entries]
        if not stack.listed:
            sums = torch.bmm(share, scaled.transpose(1, 2)).flatten()
            return weights * (sums if stack.places is None else sums[on.places])
        first, second = share.flatten(0, 1), scaled.flatten(0, 1)
        step = max(1, HOT_ENTRIES // share.shape[2])
        sums = [
            (first[on.entry_rows[at : at + step]] * second[on.by_row[0][at : at + step]]).sum(dim=1)
            for at in range(0, stack.entries, step)
        ]
        return weights * torch.cat(sums)

    def update(self, counts: Tensor) -> None:
        """Set the parameters that are most likely for the expected counts and the priors."""
        smoothed = counts + self.config.sum_pseudocount / self.fans
        for on in (on for level in self.stacks for on in level if isinstance(on.stack, LeafStack)):
            entries = slice(on.stack.first, on.stack.first + int(np.prod(on.stack.shape)))
            table = counts[entries].view(on.stack.shape)
            if self.config.blur:
                table = table + self.config.blur * (neighbours(table) - table)
            centre = self.centres[on.stack.first]
            if self.config.leaf_prior == "tree":
                smoothed[entries] = tree_shrunk(
                    table, centre, self.config.leaf_pseudocount, self.config.leaf_growth
                ).flatten()
            else:
                smoothed[entries] = (table + self.config.leaf_pseudocount * centre).flatten()
        totals = self.row_totals(smoothed)
        # A unit that no record reaches keeps what it has.
        fresh = torch.where(totals > 0, smoothed / totals.clamp_min(self.tiny), self.parameters)
        self.parameters.copy_(fresh)
        for stack in (stack for level in self.plan.levels for stack in level if isinstance(stack, LeafStack)):
            if stack.layers[0] in self.leaves:
                self._refit(stack, counts)

    def _refit(self, stack: LeafStack, counts: Tensor) -> None:
        """Give parametric leaves the parameters for their counts, and the tables that follow from them."""
        size = stack.shape[1] * stack.shape[2]
        for position, index in enumerate(stack.layers):
            entries = slice(stack.first + position * size, stack.first + (position + 1) * size)
            table = counts[entries].view(stack.shape[1:]).cpu().numpy().astype(np.float64)
            centre = self.centres[stack.first][position].cpu().numpy().astype(np.float64)
            layer = refit_layer(self.leaves[index], table, self.config.leaf_pseudocount * centre)
            self.leaves[index] = layer
            self.parameters[entries] = self._tensor(layer.table.ravel(), self.dtype)

    def row_totals(self, values: Tensor) -> Tensor:
        """Give every entry the sum of its row."""
        totals = torch.segment_reduce(values, "sum", lengths=self.lengths, unsafe=True)
        return totals.repeat_interleave(self.lengths, output_size=len(values))

    def snapshot(self) -> Snapshot:
        """Give the parameters as they are now."""
        return Snapshot(self.parameters.clone(), dict(self.leaves))

    def restore(self, held: Snapshot) -> None:
        """Take parameters that were kept."""
        self.parameters.copy_(held.parameters)
        self.leaves = dict(held.leaves)

    def by_layer(self, values: FloatArray) -> list[FloatArray | None]:
        """Cut a vector like the parameters into layers: (units, symbols), (units, columns) or (entries,)."""
        layers: list[FloatArray | None] = [None] * len(self.circuit.layers)
        for stack in (stack for level in self.plan.levels for stack in level):
            if isinstance(stack, ProductStack):
                continue
            first = stack.first
            for index in stack.layers:
                shape = parameters_of(self.circuit.layers[index]).shape
                size = math.prod(shape)
                layers[index] = values[first : first + size].reshape(shape)
                first += size
        return layers

    def to_circuit(self, held: Snapshot) -> Circuit:
        """Make a circuit of float64 parameters whose rows are normalised once more."""
        array = held.parameters.detach().cpu().numpy().astype(np.float64)
        starts = np.cumsum(self.plan.lengths) - self.plan.lengths
        array = array / np.repeat(np.add.reduceat(array, starts), self.plan.lengths)
        layers: list[Layer] = list(self.circuit.layers)
        for index, values in enumerate(self.by_layer(array)):
            if values is not None:
                layers[index] = held.leaves.get(index) or with_parameters(layers[index], values)
        # What was learned is another distribution: an importer's constant is not its own.
        return replace(self.circuit, layers=tuple(layers), log_constant=0.0)


class _OnDevice:
    """Hold a stack with its indices on the device."""

    def __init__(self, stack: LeafStack | ProductStack | SumStack, device: Any) -> None:
        self.stack: Any = stack
        if isinstance(stack, LeafStack):
            self.rows = slice(stack.start, stack.start + stack.shape[0] * stack.shape[1])
            self.variables = torch.tensor(stack.variables, device=device)
        elif isinstance(stack, ProductStack):
            self.rows = slice(stack.start, stack.start + stack.count)
            self.bags = _bags(stack.bags, device)
        else:
            self.rows = slice(stack.start, stack.start + stack.shape[0] * stack.shape[1])
            self.below = _place(stack.below, device)
            if stack.places is not None:
                self.places = torch.tensor(stack.places, device=device)
            if stack.listed:
                self._list(stack, device)

    def _list(self, stack: SumStack, device: Any) -> None:
        """Make the lists of entries by row and by column."""
        layers, units, columns = stack.shape
        assert stack.places is not None
        rows = stack.places // columns
        across = rows // units * columns + stack.places % columns
        order = np.argsort(across, kind="stable")
        self.entry_rows = torch.tensor(rows, device=device)
        self.column_order = torch.tensor(order, device=device)
        row_starts = np.searchsorted(rows, np.arange(layers * units))
        column_starts = np.searchsorted(across[order], np.arange(layers * columns))
        self.by_row = _bags(Bags(across, row_starts.astype(np.int64)), device)
        self.by_column = _bags(Bags(rows[order], column_starts.astype(np.int64)), device)


class _PullOnDevice:
    """Hold a level's pull with its indices on the device."""

    def __init__(self, pull: Pull, device: Any) -> None:
        self.rows = _place(pull.rows, device)
        self.bags = _bags(pull.bags, device)


def _bags(bags: Bags, device: Any) -> tuple[Tensor, Tensor]:
    return torch.tensor(bags.indices, device=device), torch.tensor(bags.offsets, device=device)


def _place(rows: Rows, device: Any) -> Any:
    if rows.indices is None:
        return slice(rows.start, rows.start + rows.count)
    return torch.tensor(rows.indices, device=device)


def _rows(values: Tensor, rows: Any) -> Tensor:
    return values[rows] if isinstance(rows, slice) else values.index_select(0, rows)


def _bag_sums(values: Tensor, bags: tuple[Tensor, Tensor], weights: Tensor = None) -> Tensor:
    """Add the rows of every bag, times their weights if there are any."""
    indices, offsets = bags
    return torch.nn.functional.embedding_bag(indices, values, offsets, mode="sum", per_sample_weights=weights)
