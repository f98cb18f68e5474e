"""Expectation maximisation on the quantized circuit: counts with rounded weights, maximisation, rounding."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import Circuit, InputLayer, Layer, SumLayer
from pcedge.circuit.rows import SparseRows
from pcedge.compress.nesting import LEAST_SYMBOLS, nested_again, shapes_of
from pcedge.compress.rows import tied_sums
from pcedge.compress.sharing import cluster_tables
from pcedge.errors import DataError
from pcedge.learn.em import records_at_a_time
from pcedge.learn.holdout import hold_out
from pcedge.learn.model import Model
from pcedge.learn.plan import LeafStack
from pcedge.learn.priors import leaf_priors, tree_shrunk
from pcedge.learn.workers import own_device
from pcedge.quantize.config import QuantizationConfig
from pcedge.quantize.post_training import weight_bits_of
from pcedge.quantize.refine_config import Progress, RefineConfig
from pcedge.quantize.rows import round_rows
from pcedge.quantize.tied_rows import TiedRows

#: a dropped weight counts as this much in the likelihood, so that a record which needs it keeps a finite gradient
DROPPED = 1e-6

#: what every weight of an opened row is given, so that a dropped one may come back
OPENED = 0.01


def fit_integers(
    circuit: Circuit, train: IntArray, valid: IntArray | None, config: QuantizationConfig, settings: RefineConfig,
    progress: Progress | None = None,
) -> tuple[Circuit, int]:  # fmt: skip
    """Do what `refine` says, with checked records; give the pass that was kept too, 0 for rounding alone."""
    given = valid is not None and len(valid) > 0
    train, valid = _split(train, valid, settings)
    run = _Run(circuit, train, config, settings)
    shares = settings.shares()
    start = run.model.parameters.clone()
    best_parameters, best, of = start, -math.inf, 0
    if given:
        # Rounding alone is a candidate too. Records held out of train do not tell: the circuit may know them.
        run.put(start, 1.0)
        best_parameters, best = run.model.parameters.clone(), -run.bits(valid)
    run.put(start, shares[0])
    for index, share in enumerate(shares[1:], start=1):
        if share < shares[index - 1]:
            run.open(share)
        before = run.step(share)
        after = run.bits(valid)
        if progress is not None:
            progress(index, settings.passes, before, after)
        if share == 1.0 and -after > best:
            best_parameters, best, of = run.model.parameters.clone(), -after, index
    return run.to_circuit(best_parameters), of


def _split(train: IntArray, valid: IntArray | None, settings: RefineConfig) -> tuple[IntArray, IntArray]:
    if valid is None or not len(valid):
        if len(train) < 2:
            raise DataError(f"refining must have at least 2 records where none are for validation, got {len(train)}")
        train, valid = hold_out(train, settings.holdout, settings.seed)
    if settings.records is not None:
        chosen = np.random.default_rng([settings.seed, 13]).permutation(len(train))[: settings.records]
        train = train[np.sort(chosen)]
    if not len(train):
        raise DataError("refining must have at least one record, got none")
    return train, valid


class _Run:
    """Hold the model with its rounded parameters."""

    def __init__(self, circuit: Circuit, train: IntArray, config: QuantizationConfig, settings: RefineConfig) -> None:
        self.circuit, self.config = circuit, config
        self.model = Model(
            circuit,
            leaf_priors(train, circuit.cardinalities, settings.learn),
            settings.learn,
            own_device(settings.learn),
        )
        self.train = train
        self.part = records_at_a_time(self.model)
        self.bits_of = dict(zip(range(len(circuit.layers)), weight_bits_of(circuit, config), strict=True))
        self.generator = np.random.default_rng([settings.seed, 3])
        #: the table of dense sums' rows; without one every row is rounded by itself
        self.rows = TiedRows(circuit, self.model, config, DROPPED) if config.row_table else None
        self.turn = self._turns()
        self.positive = self.model.parameters > 0
        self.settings = settings
        self.pull: Any = None
        self.leaves = torch.zeros_like(self.model.parameters)
        for stack in (stack for level in self.model.plan.levels for stack in level if isinstance(stack, LeafStack)):
            self.leaves[_slice(stack)] = self.model.parameters[_slice(stack)]
        self.tied = [
            tied for tied in _ties(self.model, config.leaf_masters) if tied.masters or len(tied.tables) < len(tied.of)
        ]

    def _turns(self) -> dict[int, FloatArray]:
        """Draw when each row of a sum layer is rounded, 0..1; of a table when its rows are."""
        layers = enumerate(self.circuit.layers)
        of_table = {} if self.rows is None else tied_sums(self.circuit)
        if self.rows is not None:
            self.rows.draw(self.generator)
        return {
            index: self.generator.random(layer.shape.units)
            for index, layer in layers
            if isinstance(layer, SumLayer) and index not in of_table
        }

    def open(self, share: float) -> None:
        """Draw new turns, and loosen the rows that this share leaves free."""
        self.turn = self._turns()
        values = self.model.parameters
        loose = (values + OPENED * self.positive).to(values.dtype)
        loose /= self.model.row_totals(loose)
        free = np.zeros(len(values))
        for index, array in enumerate(self.model.by_layer(free)):
            if array is not None and index in self.turn:
                array[...] = _by_entry(self.turn[index] >= share, self.circuit.layers[index])
        values.copy_(torch.where(torch.tensor(free > 0, device=values.device), loose, values))
        if self.rows is not None:
            self.rows.open(self.model, share, OPENED)

    def step(self, share: float) -> float:
        """Make one pass; give the train bits a variable before its M-step."""
        total: Any = None
        for start in range(0, len(self.train), self.part):
            counts = self.model.counts(self.model.load(self.train[start : start + self.part])).double()
            total = counts if total is None else total + counts
        bits = -float(total[-1]) / (self.train.size * math.log(2))
        if not math.isfinite(bits):
            raise DataError(f"the train likelihood must stay finite, it is {bits} bits a variable")
        counts = total[:-1].to(self.model.dtype)
        if self.pull is None:
            # The leaves are used as often now as by the trained circuit, nearly.
            self.pull = self.settings.anchor / len(self.train) * self.model.row_totals(counts) * self.leaves
        counts += self.pull
        self.model.update(counts)
        for tied in self.tied:
            tied.update(self.model, counts)
        if self.rows is not None:
            self.rows.update(self.model, counts)
        self.put(self.model.parameters, share)
        return bits

    def put(self, parameters: Any, share: float) -> None:
        """Round the rows of sums whose turn has come, and use the result."""
        values = parameters.detach().cpu().numpy().astype(np.float64)
        # by_layer gives views: what is written there is in `values`.
        layers = {index: array for index, array in enumerate(self.model.by_layer(values))
                 if array is not None and index in self.turn}  # fmt: skip
        # Dense rows of one length and W are rounded together.
        groups: dict[tuple[int, int], list[int]] = {}
        for index, array in layers.items():
            groups.setdefault((self.bits_of[index], array.shape[1] if array.ndim == 2 else -index), []).append(index)
        for (bits, _), group in groups.items():
            stacked = np.concatenate([layers[index] for index in group])
            layer = self.circuit.layers[group[0]]
            assert isinstance(layer, SumLayer)
            rounded = np.maximum(round_rows(layer, stacked, self.config, bits) / (1 << bits), DROPPED)
            ends = np.cumsum([len(layers[index]) for index in group])[:-1]
            for index, new in zip(group, np.split(rounded, ends), strict=True):
                now = _by_entry(self.turn[index] < share, self.circuit.layers[index])
                layers[index][...] = np.where(now, new, layers[index])
        self.model.parameters.copy_(torch.tensor(values, dtype=self.model.dtype, device=self.model.device))
        if self.rows is not None:
            self.rows.put(self.model, share)

    def bits(self, records: IntArray) -> float:
        """Give the bits a variable of some records."""
        total = 0.0
        for start in range(0, len(records), self.part):
            total += float(
                self.model.log_likelihood(self.model.load(records[start : start + self.part])).double().sum()
            )
        return -total / (records.size * math.log(2))

    def to_circuit(self, parameters: Any) -> Circuit:
        """Make the circuit of exact multiples of 2^-W and 2^-L."""
        values = parameters.detach().cpu().numpy().astype(np.float64)
        layers = list(self.circuit.layers)
        for index, array in enumerate(self.model.by_layer(values)):
            layer = layers[index]
            if isinstance(layer, SumLayer) and array is not None:
                exact = np.where(array <= DROPPED, 0.0, array)
                exact = exact.astype(np.float32).astype(np.float64)
                weights = layer.weights
                layers[index] = replace(layer, weights=exact if array.ndim == 2 else replace(weights, values=exact))  # type: ignore[type-var]
            elif isinstance(layer, InputLayer) and array is not None:
                table = array
                if self.config.leaf_masters is None or array.shape[1] < LEAST_SYMBOLS:
                    table = round_rows(layer, array, self.config, self.config.leaf_bits) / (1 << self.config.leaf_bits)
                layers[index] = InputLayer(layer.variable, table[:, 1] if layer.kind == "bernoulli" else table)
        return replace(self.circuit, layers=tuple(layers), log_constant=0.0)


def _by_entry(rows: NDArray[np.bool_], layer: Layer) -> NDArray[np.bool_]:
    """Spread what is said of a sum layer's rows over its entries."""
    weights = layer.weights if isinstance(layer, SumLayer) else None
    return rows[weights.row_of_entry] if isinstance(weights, SparseRows) else rows[:, None]


@dataclass
class _Tied:
    """Hold the leaf tables of one number of symbols, and which leaf has which."""

    #: the stacks and their rows, one behind the other
    stacks: list[LeafStack]
    #: (tables, symbols)
    tables: Any
    #: the table of every row
    of: Any
    #: how many masters the tables come from, and their shapes; None where they are free
    masters: int | None
    shapes: FloatArray | None = None

    def update(self, model: Model, counts: Any) -> None:
        """Give every leaf its best table and every table the mean of its leaves' counts."""
        symbols = self.tables.shape[1]
        used = torch.cat([counts[_slice(stack)].view(-1, symbols) for stack in self.stacks])
        centres = torch.cat(
            [model.centres[s.first].expand(-1, s.shape[1], -1).reshape(-1, symbols) for s in self.stacks]
        )
        # A leaf that no record reaches chooses by its table.
        seen = used + 1e-3 * self.tables[self.of]
        self.of = (seen @ self.tables.clamp_min(model.tiny).log().T).argmax(dim=1)
        sums = torch.zeros_like(self.tables).index_add_(0, self.of, used)
        drawn = torch.zeros_like(self.tables).index_add_(0, self.of, centres * seen.sum(dim=1, keepdim=True))
        drawn = drawn / drawn.sum(dim=1, keepdim=True).clamp_min(model.tiny)
        config = model.config
        if config.leaf_prior == "tree":
            fresh = tree_shrunk(sums, drawn, config.leaf_pseudocount, config.leaf_growth)
        else:
            fresh = sums + config.leaf_pseudocount * drawn
            fresh = fresh / fresh.sum(dim=1, keepdim=True).clamp_min(model.tiny)
        # A table that no leaf took stays, for the next pass.
        taken = torch.bincount(self.of, minlength=len(self.tables)) > 0
        self.tables = torch.where(taken[:, None], fresh, self.tables)
        if self.masters is not None:
            self._nest(self.masters, sums.sum(dim=1))
        start = 0
        for stack in self.stacks:
            rows = stack.shape[0] * stack.shape[1]
            model.parameters[_slice(stack)] = self.tables[self.of[start : start + rows]].flatten()
            start += rows

    def _nest(self, masters: int, used: Any) -> None:
        tables = self.tables.cpu().numpy().astype(np.float64)
        weights = used.cpu().numpy().astype(np.float64)
        if self.shapes is None:
            shapes, inside = shapes_of(tables)
            self.shapes = cluster_tables(shapes, weights * inside, masters, 0)[0]
        nested, self.shapes = nested_again(tables, weights, self.shapes)
        self.tables = torch.tensor(nested, dtype=self.tables.dtype, device=self.tables.device)


def _slice(stack: LeafStack) -> slice:
    return slice(stack.first, stack.first + int(np.prod(stack.shape)))


def _ties(model: Model, masters: int | None) -> list[_Tied]:
    """Find which leaves have equal tables."""
    groups: dict[int, list[LeafStack]] = {}
    for stack in (stack for level in model.plan.levels for stack in level):
        if isinstance(stack, LeafStack):
            groups.setdefault(stack.shape[2], []).append(stack)
    ties = []
    for symbols, stacks in groups.items():
        rows = torch.cat([model.parameters[_slice(stack)].view(-1, symbols) for stack in stacks])
        tables, of = np.unique(rows.cpu().numpy(), axis=0, return_inverse=True)
        device = model.device
        count = masters if symbols >= LEAST_SYMBOLS else None
        ties.append(
            _Tied(stacks, torch.tensor(tables, device=device), torch.tensor(of.reshape(-1), device=device), count)
        )
    return ties
