"""The candidates of a search: what they cost, what they are expected to lose, and the circuits that they are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np

from pcedge.circuit.layers import Circuit, FloatArray, InputLayer, IntArray, SparseRows, SumLayer
from pcedge.coder import Engine
from pcedge.compress import share_leaves
from pcedge.errors import UsageError
from pcedge.export.lowering import lower
from pcedge.quantize import IntegerCircuit, IntegerInput, IntegerSum, QuantizationConfig, quantize
from pcedge.quantize.post_training import round_rows, round_tables
from pcedge.verify.costs import expected_loss, float_values, stored_width

#: the least W, L and A that are tried
LEAST = {"weight": 2, "leaf": 8, "state": 8}

#: numbers of leaf tables that are tried
TABLES = (4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)

#: the part of the memory that a start may give to leaf tables
WORTH = (0.1, 0.55)

#: bits a variable that A = 8 was seen to cost, and by which factor each further bit lowers them: for the start only
STATE_LOSS, STATE_FALL = 0.009, 0.67

#: candidates of either kind that a search starts with
STARTS = 6

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
    records: float = 1.0
    #: measured over expected bits of rounded weights and of shared tables
    factors: tuple[float, float] = (1.0, 1.0)
    _first: IntegerCircuit | None = None
    tables: dict[tuple[int | None, int], list[IntegerInput]] = field(default_factory=dict)

    @staticmethod
    def of(
        base: Circuit, flows: list[FloatArray | None], limits: QuantizationConfig, tables: int | None, seed: int
    ) -> Choices:
        """Round every sum layer at every level; the arguments are the fields.

        Raises:
            NotStructuredError: the circuit cannot be coded by the kernels.
        """
        made = Choices(base, flows, limits, tables, seed)
        made.sums = [index for index, layer in enumerate(base.layers) if isinstance(layer, SumLayer)]
        made.records = max(float(sum(flow.sum() for flow in flows[-1:] if flow is not None)), 1.0)
        stored, lost = [], []
        for bits in made.levels:
            made.rounded[bits] = []
            for index in made.sums:
                layer, flow = base.layers[index], flows[index]
                assert isinstance(layer, SumLayer) and flow is not None
                values = float_values(layer)
                integers = round_rows(layer, values, limits, bits)
                made.rounded[bits].append(integers)
                stored.append(integers.size * stored_width(integers, bits))
                lost.append(expected_loss(values, integers / (1 << bits), flow) / made.records)
        made.stored = np.array(stored, dtype=np.int64).reshape(len(made.levels), -1)
        made.lost = np.array(lost).reshape(len(made.levels), -1)
        start = Candidate((limits.weight_bits,) * len(made.sums), limits.leaf_bits, limits.state_bits, None)
        integers_ = made.integers(start)
        made.fixed = lower(integers_).memory_bits()["rom"] - made._changing(start)
        made.steps = Engine(integers_).code_steps
        return made

    @property
    def levels(self) -> range:
        """Give the levels of W."""
        return range(LEAST["weight"], self.limits.weight_bits + 1)

    def calibrate(self, records: IntArray) -> None:
        """Compare expected with measured bits once: hidden states that are uncertain make rounding cost less."""
        names, limits, sums = self._tables(), self.limits, len(self.sums)
        whole = Candidate((limits.weight_bits,) * sums, limits.leaf_bits, limits.state_bits, None)
        least = self.bits(whole, records)
        rounded = replace(whole, weight_bits=(max(LEAST["weight"], limits.weight_bits // 2),) * sums)
        shared = replace(whole, tables=names[len(names) // 2])
        variables = len(self.base.cardinalities)
        found = []
        for candidate, expected in (
            (rounded, self._weight_loss(rounded) - self._weight_loss(whole)),
            (shared, self.leaf_loss(shared) - self.leaf_loss(whole)),
        ):
            measured = (self.bits(candidate, records) - least) * variables
            found.append(min(max(measured / expected, 0.02), 50.0) if expected > 0 else 1.0)
        self.factors = (found[0], found[1])

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
                if isinstance(rows, SparseRows):
                    layers.append(IntegerSum(layer.children, replace(rows, values=values)))
                else:
                    layers.append(IntegerSum(layer.children, values))
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

    def _inputs(self, candidate: Candidate) -> list[IntegerInput]:
        """Give the leaf tables of a candidate, rounded."""
        key = (candidate.tables, candidate.leaf_bits)
        if key not in self.tables:
            config = replace(self.limits, leaf_bits=candidate.leaf_bits)
            made: dict[int, IntegerInput] = {}
            layers = {
                index: layer
                for index, layer in enumerate(self.circuit(candidate).layers)
                if isinstance(layer, InputLayer)
            }
            for symbols in {layer.table.shape[1] for layer in layers.values()}:
                group = {index: layer for index, layer in layers.items() if layer.table.shape[1] == symbols}
                rows = np.concatenate([layer.table for layer in group.values()])
                # Shared tables are rounded once.
                tables, number = np.unique(rows, axis=0, return_inverse=True)
                rounded = round_tables(InputLayer(0, tables), config).cumulative[number.reshape(-1)]
                ends = np.cumsum([len(layer.table) for layer in group.values()])[:-1]
                for (index, layer), part in zip(group.items(), np.split(rounded, ends), strict=True):
                    made[index] = IntegerInput(layer.variable, part)
            self.tables[key] = [made[index] for index in layers]
        return self.tables[key]

    @property
    def _plain(self) -> IntegerCircuit:
        """Give some integer circuit, for what no choice changes."""
        if self._first is None:
            self._first = quantize(self.base, self.limits)
        return self._first

    def leaf_loss(self, candidate: Candidate) -> float:
        """Give the expected bits a record that shared and rounded leaf tables add."""
        total = 0.0
        inputs = iter(self._inputs(candidate))
        for layer, flow in zip(self.base.layers, self.flows, strict=True):
            if isinstance(layer, InputLayer) and flow is not None:
                table = next(inputs)
                shares = np.diff(table.cumulative, axis=1) / table.cumulative[:, -1:]
                # By the circuit's own tables: single symbols are rare among the records.
                used = flow.sum(axis=1, keepdims=True) * layer.table
                total += expected_loss(layer.table, shares, used)
        return total / self.records

    def starts(self, memory: int | None, multiplier: int | None) -> list[Candidate]:
        """Give candidates to begin with: of those with the least expected loss some, and for each with one W for all.

        Raises:
            UsageError: the budget is below the least that there is.
        """
        states = range(LEAST["state"], self.limits.state_bits + 1)
        leaves = range(LEAST["leaf"], self.limits.leaf_bits + 1)
        least = Candidate((LEAST["weight"],) * len(self.sums), leaves[0], states[0], self._tables()[0])
        for limit, count, what in (
            (memory, self.memory_bits(least), "memory"), (multiplier, self.multiplier_bits(least), "multiplier"),
        ):  # fmt: skip
            if limit is not None and count > limit:
                raise UsageError(f"the budget must be at least {count} bits of {what} for this circuit, got {limit}")
        found: list[tuple[float, Candidate]] = []
        for tables, leaf in product(self._worth(memory), leaves):
            lowest = Candidate(least.weight_bits, leaf, states[-1], tables)
            if memory is not None and self.memory_bits(lowest) > memory:
                continue
            loss = self.factors[1] * self.leaf_loss(lowest)
            for state in states if multiplier is not None else states[-1:]:
                fall = loss + STATE_LOSS * STATE_FALL ** (state - 8) * len(self.base.cardinalities)
                candidate = self.filled(replace(lowest, state_bits=state), memory, multiplier)
                even = [replace(lowest, state_bits=state, weight_bits=(bits,) * len(self.sums)) for bits in self.levels]
                even = [other for other in even if self._fits(other, memory, multiplier)]
                for other in [candidate, *even[-1:]]:
                    if other is not None:
                        found.append((fall + self.factors[0] * self._weight_loss(other), other))
        found.sort(key=lambda pair: pair[0])
        even = [other for _, other in found if len(set(other.weight_bits)) == 1]
        mixed = [other for _, other in found if len(set(other.weight_bits)) > 1]
        return [*mixed[:STARTS], *even[:STARTS]] or [least]

    def _tables(self) -> list[int | None]:
        """Give the numbers of leaf tables to try, the least first."""
        rows = sum(layer.shape.units for layer in self.base.layers if isinstance(layer, InputLayer))
        most = rows if self.most_tables is None else min(self.most_tables, rows)
        found: list[int | None] = [count for count in TABLES if count < most]
        return [*found, None if self.most_tables is None else most]

    def _worth(self, memory: int | None) -> list[int | None]:
        """Give the numbers of leaf tables that a start tries: those that take some of the memory, and not most."""
        known = self._tables()
        if memory is None:
            return known[-1:]
        sizes = {layer.table.shape[1] for layer in self.base.layers if isinstance(layer, InputLayer)}
        bits = sum(symbols - 1 for symbols in sizes) * self.limits.leaf_bits
        some = [
            count for count in known if count is not None and WORTH[0] * memory <= count * bits <= WORTH[1] * memory
        ]
        return [*(some or known[:-1]), known[-1]]

    def _weight_loss(self, candidate: Candidate) -> float:
        rows = np.array(candidate.weight_bits) - LEAST["weight"]
        return float(self.lost[rows, np.arange(len(self.sums))].sum())

    def filled(
        self, candidate: Candidate, memory: int | None, multiplier: int | None,
        dice: np.random.Generator | None = None,
    ) -> Candidate | None:  # fmt: skip
        """Give the layers of a candidate the W that lose least within the budget; None if there are none.

        With dice every loss is multiplied by a random factor, so that offspring differ.
        """
        if not self.sums:
            return candidate if memory is None or self.memory_bits(candidate) <= memory else None
        lost = self.lost if dice is None else self.lost * dice.lognormal(0.0, 0.2, self.lost.shape[1])
        top = len(self.levels)
        if multiplier is not None:
            # A certain child needs one bit more than W.
            top = min(top, multiplier // candidate.state_bits - candidate.leaf_bits - LEAST["weight"])
            if top < 1:
                return None
        base = replace(candidate, weight_bits=(LEAST["weight"],) * len(self.sums))
        room = None if memory is None else memory - (self.memory_bits(base) - int(self.stored[0].sum()))
        columns = np.arange(len(self.sums))

        def chosen(price: float) -> IntArray:
            return np.asarray(np.argmin(lost[:top] + price * self.stored[:top], axis=0))

        pick = chosen(0.0)
        if room is not None and int(self.stored[pick, columns].sum()) > room:
            low, high = -60.0, 40.0  # log2 of the bits lost for a stored bit
            for _ in range(60):
                middle = (low + high) / 2
                fits = int(self.stored[chosen(2.0**middle), columns].sum()) <= room
                low, high = (low, middle) if fits else (middle, high)
            pick = chosen(2.0**high)
            if int(self.stored[pick, columns].sum()) > room:
                return None
        return replace(candidate, weight_bits=tuple(int(bits) for bits in pick + LEAST["weight"]))

    def mutated(
        self, parent: Candidate, memory: int | None, multiplier: int | None, dice: np.random.Generator
    ) -> Candidate:
        """Make an offspring: another L or number of tables with W to match, or some layers' W raised for others'."""
        if dice.random() < 0.3:
            counts = self._tables()
            place = counts.index(parent.tables) + int(dice.integers(-1, 2))
            leaf = parent.leaf_bits + int(dice.integers(-1, 2))
            state = parent.state_bits + (int(dice.integers(-1, 2)) if multiplier is not None else 0)
            moved = replace(
                parent, tables=counts[min(max(place, 0), len(counts) - 1)],
                leaf_bits=min(max(leaf, LEAST["leaf"]), self.limits.leaf_bits),
                state_bits=min(max(state, LEAST["state"]), self.limits.state_bits),
            )  # fmt: skip
            return self.filled(moved, memory, multiplier, dice) or parent
        if not self.sums:
            return parent
        bits = np.array(parent.weight_bits)
        count = int(dice.integers(1, CHANGES + 1))
        up = dice.permutation(len(bits))[:count]
        bits[up] = np.minimum(bits[up] + 1, self.limits.weight_bits)
        for layer in dice.permutation(len(bits)):
            child = replace(parent, weight_bits=tuple(int(value) for value in bits))
            if self._fits(child, memory, multiplier):
                return child
            if layer not in up:
                bits[layer] = max(bits[layer] - 1, LEAST["weight"])
        return parent

    def _fits(self, candidate: Candidate, memory: int | None, multiplier: int | None) -> bool:
        return (memory is None or self.memory_bits(candidate) <= memory) and (
            multiplier is None or self.multiplier_bits(candidate) <= multiplier
        )

    def check(self, candidate: Candidate) -> None:
        """Demand that a candidate read from a file is one.

        Raises:
            ValueError: it is none.
        """
        known = len(candidate.weight_bits) == len(self.sums) and all(
            bits in self.levels for bits in candidate.weight_bits
        )
        if not known or candidate.tables not in self._tables():
            raise ValueError("the candidate must be of this circuit")
