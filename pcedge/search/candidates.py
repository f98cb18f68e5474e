"""The candidates of a search: the circuits that they are, what they cost exactly, and what they lose as measured."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.layers import Circuit, InputLayer, SumLayer
from pcedge.circuit.rows import float_entries, with_entries
from pcedge.compress import share_leaves
from pcedge.engines import ReferenceEngine
from pcedge.errors import UsageError
from pcedge.export.program.leaves import LeafMemories, leaf_memories
from pcedge.export.program.lowering import Arrangement, arrange
from pcedge.integer import IntegerCircuit, IntegerInput, IntegerSum
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.quantize.rows import round_rows, round_tables
from pcedge.quantize.tails import with_tails
from pcedge.schedule.program import Program
from pcedge.search.costs import stored_width
from pcedge.search.sensitivity import layer_losses

#: the least W, L and A that are tried
LEAST = {"weight": 2, "leaf": 8, "state": 8}

#: numbers of leaf tables that are tried
TABLES = (
    4, 8, 12, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 1024,
)  # fmt: skip


@dataclass(frozen=True)
class Candidate:
    """Hold one choice."""

    #: W of every sum layer, in their order
    weight_bits: tuple[int, ...]
    leaf_bits: int
    state_bits: int
    #: leaf tables of each number of symbols at most; None shares nothing
    tables: int | None


class _Shared(NamedTuple):
    """Hold leaf tables of one number of symbols: the different ones, and which each row has."""

    #: input layers, and where their rows end
    layers: list[int]
    ends: IntArray
    tables: FloatArray
    numbers: IntArray


@dataclass
class Choices:
    """Hold a circuit rounded at every level, and what each level of each layer costs and is expected to lose."""

    #: the float circuit as `quantize` lays it out, and its flows
    base: Circuit
    flows: list[FloatArray | None]
    limits: QuantizationConfig
    #: the most leaf tables
    most_tables: int | None
    #: seed of the clusters of leaf tables
    seed: int
    #: some integer circuit, and what all have in common
    plain: IntegerCircuit
    arrangement: Arrangement
    program: Program
    #: the sum layers
    sums: list[int]
    #: of every level and sum layer: integers, stored bits, and expected bits a record that rounding adds
    rounded: dict[int, list[IntArray]]
    stored: IntArray
    lost: FloatArray
    #: which part of the losses by rounded weights and shared tables a refinement leaves; 1 without one
    remains: float = 1.0
    _groups: dict[int | None, list[_Shared]] = field(default_factory=dict)
    _tables: dict[tuple[int | None, int], list[IntArray]] = field(default_factory=dict)
    #: leaf memories, and what else tails change: they hang on the leaf tables
    _leaves: dict[tuple[int | None, int], tuple[LeafMemories, Arrangement]] = field(default_factory=dict)
    #: bits of the greatest widths, by A and number of records
    _bits: dict[tuple[Candidate, int], float] = field(default_factory=dict)

    @staticmethod
    def of(
        base: Circuit, flows: list[FloatArray | None], records: IntArray, limits: QuantizationConfig,
        tables: int | None, seed: int,
    ) -> Choices:  # fmt: skip
        """Round every sum layer at every level, and measure what each loses alone on some records.

        Raises:
            NotStructuredError: the circuit cannot be coded by the kernels.
        """
        plain = quantize(base, limits)
        program = Program.of(plain)
        sums = [index for index, layer in enumerate(base.layers) if isinstance(layer, SumLayer)]
        levels = range(LEAST["weight"], limits.weight_bits + 1)
        rounded: dict[int, list[IntArray]] = {bits: [] for bits in levels}
        for index in sums:
            layer = base.layers[index]
            assert isinstance(layer, SumLayer)
            values = float_entries(layer.weights)
            for bits in levels:
                rounded[bits].append(round_rows(layer, values, limits, bits))
        shares = [[rounded[bits][column] / (1 << bits) for bits in levels] for column in range(len(sums))]
        stored = [[weights.size * stored_width(weights, bits) for weights in rounded[bits]] for bits in levels]
        return Choices(
            base, flows, limits, tables, seed, plain, arrange(program), program, sums, rounded,
            np.array(stored, dtype=np.int64).reshape(len(levels), -1),
            layer_losses(base, records, shares).reshape(len(levels), -1),
        )  # fmt: skip

    @property
    def levels(self) -> range:
        """Give the levels of W."""
        return range(LEAST["weight"], self.limits.weight_bits + 1)

    @property
    def whole(self) -> Candidate:
        """Give the candidate of the greatest widths."""
        limits = self.limits
        return Candidate((limits.weight_bits,) * len(self.sums), limits.leaf_bits, limits.state_bits, self.counts[-1])

    @property
    def counts(self) -> list[int | None]:
        """Give the numbers of leaf tables to try, the least first."""
        rows = sum(layer.shape.units for layer in self.base.layers if isinstance(layer, InputLayer))
        largest = rows if self.most_tables is None else min(self.most_tables, rows)
        return [*(count for count in TABLES if count < largest), None if self.most_tables is None else largest]

    def config(self, candidate: Candidate) -> QuantizationConfig:
        """Give the widths of a candidate; a layer at the greatest W is not named."""
        largest = max(candidate.weight_bits, default=self.limits.weight_bits)
        narrower = tuple((i, bits) for i, bits in zip(self.sums, candidate.weight_bits, strict=True) if bits < largest)
        return replace(
            self.limits, weight_bits=largest, leaf_bits=candidate.leaf_bits, state_bits=candidate.state_bits,
            layer_weight_bits=narrower,
        )  # fmt: skip

    def circuit(self, tables: int | None) -> Circuit:
        """Give the float circuit with so many leaf tables."""
        return self.base if tables is None else share_leaves(self.base, self.flows, tables=tables, seed=self.seed)

    def integers(self, candidate: Candidate) -> IntegerCircuit:
        """Give the integer circuit of a candidate, as `quantize` makes it."""
        config = self.config(candidate)
        layers: list[Any] = list(self.plain.layers)
        for index, leaf in self._round_inputs(candidate).items():
            layers[index] = leaf
        for column, (index, bits) in enumerate(zip(self.sums, candidate.weight_bits, strict=True)):
            layer = layers[index]
            values, rows = self.rounded[bits][column] << (config.weight_bits - bits), layer.weights
            layers[index] = IntegerSum(layer.children, with_entries(rows, values))
        plain = self.plain
        if plain.tails:
            base, widths = self.circuit(candidate.tables).layers, [config.weight_bits] * len(layers)
            for index, bits in zip(self.sums, candidate.weight_bits, strict=True):
                widths[index] = bits
            layers = list(with_tails(base, base, layers, config, widths, grid=plain.grid))
        return IntegerCircuit(
            tuple(layers), config.weight_bits, config.leaf_bits, config.state_bits, plain.scale_bits, plain.range_bits,
            plain.floor, plain.order, plain.symbolizer, log_constant=plain.log_constant, tails=plain.tails,
            grid=plain.grid,
        )  # fmt: skip

    def bits(self, candidate: Candidate, records: IntArray) -> float:
        """Measure the coding intervals of some records, in bits a variable."""
        # All candidates have one structure, and so one schedule.
        engine = ReferenceEngine(self.program.with_parameters(self.integers(candidate)))
        lo, hi = engine.intervals(records)
        return float(engine.circuit.scale_bits - np.log2(hi - lo).mean())

    def score(self, candidate: Candidate, records: IntArray) -> float:
        """Give the bits a variable that a candidate is expected to have in the end: as measured, less what is won back.

        Rounding of leaf tables and states comes last, and all of its loss remains: it is split off by measuring the
        candidate at the greatest L too.
        """
        full = self.bits(candidate, records)
        if self.remains == 1.0:
            return full
        widest = replace(self.whole, state_bits=candidate.state_bits)
        key = widest, len(records)
        if key not in self._bits:
            self._bits[key] = self.bits(widest, records)
        wide = replace(candidate, leaf_bits=widest.leaf_bits)
        trained = full if wide == candidate else self.bits(wide, records)
        return full - (1 - self.remains) * (trained - self._bits[key])

    def memory_bits(self, candidate: Candidate) -> int:
        """Count the bits of all read-only memories as they are exported."""
        key = candidate.tables, candidate.leaf_bits
        if key not in self._leaves:
            integers = self.integers(candidate)
            arranged = arrange(self.program.with_parameters(integers)) if integers.tails else self.arrangement
            self._leaves[key] = leaf_memories(integers), arranged
        leaves, arranged = self._leaves[key]
        largest = max(candidate.weight_bits, default=self.limits.weight_bits)
        columns = [self.sums.index(layer) for layer in self.arrangement.weighted]
        weights = [
            self.rounded[candidate.weight_bits[column]][column] << (largest - candidate.weight_bits[column])
            for column in columns
        ]
        return arranged.rom_bits(weights, largest, leaves)

    def estimated_bits(self, candidate: Candidate) -> int:
        """Estimate what choices change of the memory: weights without banks, and leaf tables once."""
        rows = np.array(candidate.weight_bits, dtype=np.int64) - LEAST["weight"]
        total = int(self.stored[rows, np.arange(len(self.sums))].sum())
        for group in self._share_tables(candidate.tables):
            count, symbols = group.tables.shape
            total += count * (symbols - 1) * candidate.leaf_bits
            total += len(group.numbers) * max(1, (count - 1).bit_length())
        return total

    def multiplier_bits(self, candidate: Candidate) -> int:
        """Count as `multiplier_bits` does."""
        largest = max(candidate.weight_bits, default=0)
        widest = max(
            (
                (int(self.rounded[bits][column].max()) << (largest - bits)).bit_length()
                for column, bits in enumerate(candidate.weight_bits)
            ),
            default=1,
        )
        return (widest + candidate.leaf_bits) * candidate.state_bits

    def fits(self, candidate: Candidate, multiplier: int | None) -> bool:
        """Tell whether a candidate keeps the budget of multipliers."""
        return multiplier is None or self.multiplier_bits(candidate) <= multiplier

    def weight_loss(self, candidate: Candidate) -> float:
        """Give the expected bits a record that rounded weights add, before any refinement."""
        rows = np.array(candidate.weight_bits, dtype=np.int64) - LEAST["weight"]
        return float(self.lost[rows, np.arange(len(self.sums))].sum())

    def check(self, candidate: Candidate) -> None:
        """Demand that a candidate that others made is one.

        Raises:
            UsageError: it is none.
        """
        known = len(candidate.weight_bits) == len(self.sums) and all(
            type(bits) is int and bits in self.levels for bits in candidate.weight_bits
        )
        widths = (
            (candidate.leaf_bits, LEAST["leaf"], self.limits.leaf_bits),
            (candidate.state_bits, LEAST["state"], self.limits.state_bits),
        )
        known = known and all(type(bits) is int and least <= bits <= largest for bits, least, largest in widths)
        if not known or type(candidate.tables) is float or candidate.tables not in self.counts:
            raise UsageError(f"a candidate must be one of this circuit and its greatest widths, got {candidate!r:.200}")

    def _share_tables(self, tables: int | None) -> list[_Shared]:
        if tables not in self._groups:
            shared = []
            layers = {i: layer for i, layer in enumerate(self.circuit(tables).layers) if isinstance(layer, InputLayer)}
            for symbols in sorted({layer.table.shape[1] for layer in layers.values()}):
                group = [index for index, layer in layers.items() if layer.table.shape[1] == symbols]
                rows = np.concatenate([layers[index].table for index in group])
                # As bytes: sorting rows of many symbols number by number takes ten times as long.
                keys = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.itemsize * symbols))).reshape(-1)
                _, first, numbers = np.unique(keys, return_index=True, return_inverse=True)
                ends = np.cumsum([len(layers[index].table) for index in group])[:-1]
                shared.append(_Shared(group, ends, rows[first], numbers.reshape(-1)))
            self._groups[tables] = shared
        return self._groups[tables]

    def _round_inputs(self, candidate: Candidate) -> dict[int, IntegerInput]:
        """Give the leaf tables of a candidate, each different one rounded once."""
        key = candidate.tables, candidate.leaf_bits
        groups = self._share_tables(candidate.tables)
        if key not in self._tables:
            config = replace(self.limits, leaf_bits=candidate.leaf_bits)
            self._tables[key] = [round_tables(InputLayer(0, group.tables), config).cumulative for group in groups]
        inputs = {}
        for group, tables in zip(groups, self._tables[key], strict=True):
            for index, table in zip(group.layers, np.split(tables[group.numbers], group.ends), strict=True):
                layer = self.base.layers[index]
                assert isinstance(layer, InputLayer)
                inputs[index] = IntegerInput(layer.variable, table)
        return inputs
