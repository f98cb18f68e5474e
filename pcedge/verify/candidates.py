"""The candidates of a search: what they cost, what they are expected to lose, and the circuits that they are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pcedge.circuit.layers import Circuit, FloatArray, InputLayer, IntArray, SparseRows, SumLayer
from pcedge.coder import Engine
from pcedge.compress import share_leaves
from pcedge.errors import UsageError
from pcedge.export.lowering import lower
from pcedge.export.parameters import lay_in_banks, leaf_memories
from pcedge.quantize import IntegerCircuit, IntegerInput, IntegerSum, QuantizationConfig, quantize
from pcedge.quantize.post_training import round_rows
from pcedge.quantize.rounding import ZERO_BITS

#: the least W, L and A that are tried
LEAST = {"weight": 2, "leaf": 8, "state": 8}

#: numbers of leaf tables that are tried, as shares of the different ones that there are
TABLE_SHARES = tuple(2.0 ** (-step / 2) for step in range(20))

#: layers that change at a time, at most
CHANGES = 24


@dataclass(frozen=True)
class Candidate:
    """Hold one choice."""

    #: W of every sum layer, in their order
    weight_bits: tuple[int, ...]
    leaf_bits: int
    state_bits: int
    #: leaf tables of each number of symbols at most; None shares nothing
    tables: int | None


def multiplier_bits(integers: IntegerCircuit) -> int:
    """Count the partial products of a multiply-accumulate unit and of a unit for intervals: weight x A and A x leaf."""
    weights = max(int(_values(layer).max()) for layer in integers.layers if isinstance(layer, IntegerSum))
    return (weights.bit_length() + integers.leaf_bits) * integers.state_bits


@dataclass
class Choices:
    """Hold a circuit rounded at every level, and what each level of each layer costs and is expected to lose."""

    #: the float circuit as `quantize` lays it out, and its flows a record
    base: Circuit
    flows: list[FloatArray | None]
    limits: QuantizationConfig
    #: the most leaf tables
    most_tables: int | None
    #: seed of the clusters of leaf tables
    seed: int
    #: the sum layers
    sums: list[int] = field(default_factory=list)
    #: of every level and sum layer: integers, stored bits, and expected bits a record that rounding adds
    rounded: dict[int, list[IntArray]] = field(default_factory=dict)
    stored: IntArray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))
    lost: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    #: bits of the memories that no choice changes, so far as the count of the others is exact
    fixed: int = 0
    steps: Any = None
    shared: dict[int | None, Circuit] = field(default_factory=dict)
    tables: dict[tuple[int | None, int], list[IntegerInput]] = field(default_factory=dict)

    @staticmethod
    def of(
        base: Circuit, flows: list[FloatArray | None], limits: QuantizationConfig, tables: int | None, seed: int
    ) -> Choices:
        """Round every sum layer at every level.

        Args:
            base: the circuit with one input layer a variable and products' children in coding order.
            flows: expected counts of some records.
            limits: the greatest widths.
            tables: the most leaf tables; None for as many as there are.
            seed: seed of the clusters of leaf tables.

        Raises:
            NotStructuredError: the circuit cannot be coded by the kernels.
        """
        made = Choices(base, flows, limits, tables, seed)
        made.sums = [index for index, layer in enumerate(base.layers) if isinstance(layer, SumLayer)]
        records = max(float(sum(flow.sum() for flow in flows[-1:] if flow is not None)), 1e-300)
        stored, lost = [], []
        for bits in made.levels:
            made.rounded[bits] = []
            for index in made.sums:
                layer, flow = base.layers[index], flows[index]
                assert isinstance(layer, SumLayer) and flow is not None
                values = _float_values(layer)
                integers = round_rows(layer, values, limits, bits, flow)
                made.rounded[bits].append(integers)
                stored.append(integers.size * stored_width(integers, bits))
                lost.append(_expected_loss(values, integers / (1 << bits), flow) / records)
        made.stored = np.array(stored, dtype=np.int64).reshape(len(made.levels), -1)
        made.lost = np.array(lost).reshape(len(made.levels), -1)
        start = Candidate((limits.weight_bits,) * len(made.sums), limits.leaf_bits, limits.state_bits, None)
        integers_ = made.integers(start)
        memory = lower(integers_).memory_bits()
        made.fixed = memory["rom"] - made._changing(start)
        made.steps = Engine(integers_).code_steps
        return made

    @property
    def levels(self) -> range:
        """Give the levels of W."""
        return range(LEAST["weight"], self.limits.weight_bits + 1)

    def config(self, candidate: Candidate) -> QuantizationConfig:
        """Give the widths of a candidate; a layer at the greatest W is not named."""
        most = max(candidate.weight_bits, default=self.limits.weight_bits)
        own = tuple((i, bits) for i, bits in zip(self.sums, candidate.weight_bits, strict=True) if bits < most)
        return replace(
            self.limits, weight_bits=most, leaf_bits=candidate.leaf_bits, state_bits=candidate.state_bits,
            layer_weight_bits=own,
        )  # fmt: skip

    def circuit(self, candidate: Candidate) -> Circuit:
        """Give the float circuit with a candidate's leaf tables."""
        if candidate.tables not in self.shared:
            self.shared[candidate.tables] = (
                self.base if candidate.tables is None
                else share_leaves(self.base, self.flows, tables=candidate.tables, seed=self.seed)
            )  # fmt: skip
        return self.shared[candidate.tables]

    def integers(self, candidate: Candidate) -> IntegerCircuit:
        """Give the integer circuit of a candidate, as `quantize` makes it."""
        config = self.config(candidate)
        inputs = iter(self._inputs(candidate))
        weights = iter(
            self.rounded[bits][place] << (config.weight_bits - bits) for place, bits in enumerate(candidate.weight_bits)
        )
        layers: list[Any] = []
        for layer in self.base.layers:
            if isinstance(layer, InputLayer):
                layers.append(next(inputs))
            elif isinstance(layer, SumLayer):
                rows, values = layer.weights, next(weights)
                layers.append(
                    IntegerSum(
                        layer.children,
                        SparseRows(rows.indptr, rows.indices, values, rows.columns)
                        if isinstance(rows, SparseRows)
                        else values,
                    )
                )
            else:
                layers.append(layer)
        plain = self._plain
        return IntegerCircuit(
            tuple(layers), config.weight_bits, config.leaf_bits, config.state_bits, plain.scale_bits, plain.range_bits,
            plain.floor, plain.order, plain.symbolizer,
        )  # fmt: skip

    def bits(self, candidate: Candidate, records: IntArray) -> float:
        """Measure the coding intervals of some records, in bits a variable."""
        engine = Engine(self.integers(candidate))
        # All candidates have one structure, and so one schedule.
        engine.__dict__["code_steps"] = self.steps
        lo, hi = engine.intervals(records)
        return float(engine.circuit.scale_bits - np.log2(hi - lo).mean())

    def memory_bits(self, candidate: Candidate) -> int:
        """Estimate the bits of all read-only memories; the parts that no choice changes are those of the start."""
        return self.fixed + self._changing(candidate)

    def multiplier_bits(self, candidate: Candidate) -> int:
        """Count as `multiplier_bits` does."""
        widest = max(
            (int(self.rounded[bits][place].max()) << (max(candidate.weight_bits) - bits)).bit_length()
            for place, bits in enumerate(candidate.weight_bits)
        )
        return (widest + candidate.leaf_bits) * candidate.state_bits

    def _changing(self, candidate: Candidate) -> int:
        rows = np.array(candidate.weight_bits) - LEAST["weight"]
        weights = int(self.stored[rows, np.arange(len(self.sums))].sum())
        groups: dict[int, list[IntegerInput]] = {}
        for layer in self._inputs(candidate):
            groups.setdefault(layer.cumulative.shape[1], []).append(layer)
        leaves = 0
        for entries, layers in groups.items():
            whole = np.concatenate([layer.cumulative for layer in layers])
            count = len(np.unique(whole, axis=0))
            leaves += count * (entries - 2) * candidate.leaf_bits + len(whole) * max(1, (count - 1).bit_length())
        return weights + leaves
