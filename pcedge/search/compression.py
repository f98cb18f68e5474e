"""Chains of compression passes within a target: exact costs, the same refit after each, and what was lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from pcedge.arrays import FloatArray, IntArray
from pcedge.circuit.inference import check_records, log_likelihood, sample
from pcedge.circuit.layers import Circuit, InputLayer, Layer
from pcedge.compress.flows import expected_flows
from pcedge.compress.fold import fold
from pcedge.compress.passes import Evidence, Flows, Pass, Target, Unit, count_weights
from pcedge.compress.sharing import LEAST_TABLES, table_groups, tables_for
from pcedge.compress.table import chain, has_value
from pcedge.data import Splits
from pcedge.drivers.size import EngineSize, default_search_bits
from pcedge.errors import DataError, MissingToolError, UsageError
from pcedge.export.engine.cycles import estimate
from pcedge.export.program.lowering import lower
from pcedge.integer import IntegerCircuit
from pcedge.learn.config import LearnConfig, by_default
from pcedge.learn.holdout import hold_out
from pcedge.learn.training import count_flows, evaluate, fit
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.schedule.program import Program
from pcedge.search.compression_checkpoint import Step, found, mark_of, write

#: train records at most whose flows a pass counts, and that its predicted loss is measured on
FLOW_RECORDS, PREDICT_RECORDS = 20_000, 2048

#: records that stand in for data that are not there, drawn from the teacher: train and valid
DRAWN = (10_000, 1_000)

#: the engine that cycles are of where none is named
MACS, STREAMS = 16, 4

#: share of a budget of memory or cycles that passes leave to what trained weights change of it
RESERVE = 0.005

#: the greatest budget, and the greatest multiple, seed and number of M-steps
MOST, MOST_COUNT = 1e15, 1 << 31

#: M-steps after each pass that does not keep the distribution
REFIT = 25

#: called before a pass with its number, the number of passes, and what it does: its name, or `refit`
Watcher = Callable[[int, int, str], None]


@dataclass(frozen=True)
class CompressConfig:
    """Hold what a compression is to reach, and how.

    Raises:
        UsageError: a setting is out of its range.
    """

    #: passes with commas between them, or `auto`
    passes: str = "auto"
    #: what is limited: `weights`, `kbit`, `cycles` or `loss`; None limits nothing
    unit: Unit | None = None
    #: the limit: stored weights, 1,000 bits of ROM, cycles a symbol while encoding, or bits a variable lost on valid
    value: float = 0.0
    #: the engine that cycles and memory are of; None takes 16 macs and 4 streams for cycles, and one mac for memory,
    #: which more macs lay out a little wider
    macs: int | None = None
    streams: int | None = None
    #: states of a latent come in multiples of so many
    multiple: int = 1
    #: M-steps after each pass that changes the distribution
    refit: int = REFIT
    seed: int = 0
    device: str = "cpu"
    #: the widths that memory and cycles are counted at; None takes the circuit's defaults
    widths: QuantizationConfig | None = None

    def __post_init__(self) -> None:
        """Check every setting."""
        for name, least in (("multiple", 1), ("refit", 0), ("seed", 0)):
            if not least <= getattr(self, name) <= MOST_COUNT:
                raise UsageError(f"{name} must be in {least}..{MOST_COUNT}, got {getattr(self, name)}")
        if self.unit is not None and not 0 < self.value <= MOST:
            raise UsageError(f"a budget must be positive and at most {MOST:g}, got {self.value:g}")
        EngineSize(self.macs or 1, self.streams or 1)
        chain(self.passes, self.unit)


@dataclass(frozen=True, eq=False)
class Compressed:
    """Hold a compressed circuit and how it came about."""

    circuit: Circuit
    #: bits a variable of the validation records before and after
    bits_before: float
    bits_after: float
    #: stored weights before and after, and the cost in the target's unit where there is one
    weights: tuple[int, int]
    cost: tuple[float, float] | None
    steps: tuple[Step, ...]
    #: train and validation records, and whether they were drawn from a teacher
    records: tuple[int, int]
    drawn: bool


def compress(
    circuit: Circuit,
    data: Splits | IntArray | None = None,
    config: CompressConfig | None = None,
    *,
    weights: FloatArray | None = None,
    teacher: Circuit | None = None,
    checkpoint: Path | None = None,
    aside: Callable[[Path], None] | None = None,
    watcher: Watcher | None = None,
) -> Compressed:
    """Run passes over a circuit until it keeps a budget, each followed by the same refit (docs/passes.md).

    A pass reduces the circuit until its cost, as it will be when the passes behind it have run that change no size,
    keeps the budget. Without data, records drawn from the teacher stand in for them; the test split is never looked at.

    Args:
        circuit: the float circuit.
        data: splits, or one array of train records, -1 where missing. Without a validation split some train records are
            held out, those that training with the seed holds out. None draws records from the teacher.
        config: passes, target, engine and refit; None takes the defaults.
        weights: of every train record in the flows, (N,) positive; the refit counts each once all the same.
        teacher: what records are drawn from where there are no data; None takes the circuit itself.
        checkpoint: a file that is written after every pass, and continued from where it exists.
        aside: told where a checkpoint of another run was put; None refuses such a checkpoint.
        watcher: told before every pass and refit.

    Raises:
        DataError: the data do not fit the circuit, or there are too few.
        UsageError: a pass does not apply to the circuit, the budget is below what the chain reaches, or the checkpoint
            is of another run.
        FormatError: the checkpoint is damaged.
        MissingToolError: a refit is asked for, and torch is not installed.

    Example:
        >>> from pcedge.circuit import load_circuit
        >>> from pcedge.data import load_data
        >>> small = compress(load_circuit("digits"), load_data("digits"), CompressConfig("fold"))
        >>> small.weights, abs(small.bits_after - small.bits_before) < 1e-9
        ((16144, 8720), True)
    """
    config = config or CompressConfig()
    train, valid, drawn = _records(circuit, data, teacher, config)
    if weights is not None and len(weights) > len(train):
        weights = weights[: len(train)] if data is None else _held_weights(weights, data, config)
    evidence = Evidence(
        train, valid, weights, config.seed, partial(_count, config), partial(_score, config),
        partial(_refit, config, Splits(train, valid)), FLOW_RECORDS,
    )  # fmt: skip
    bits_before = evidence.bits(circuit)
    if not np.isfinite(bits_before):
        raise DataError("the validation records must be possible in the circuit, at least one has probability 0")
    passes = chain(config.passes, config.unit)
    steps: list[Step] = []
    current = circuit
    mark = "" if checkpoint is None else mark_of(circuit, train, valid, weights, config)
    if checkpoint is not None and (state := found(checkpoint, mark, aside)) is not None:
        current, steps = state
    for number in range(len(steps), len(passes)):
        step, current = _one(current, evidence, config, number, bits_before, watcher)
        steps.append(step)
        if checkpoint is not None:
            write(checkpoint, mark, current, steps)
    costs, bits_after = None, evidence.bits(current)
    if config.unit == "loss":
        costs = 0.0, bits_after - bits_before
    elif config.unit is not None:
        target = _target(config, circuit, evidence, bits_before, ())
        costs = target.cost(circuit), target.cost(current)
    return Compressed(
        current, bits_before, bits_after, (count_weights(circuit), count_weights(current)), costs,
        tuple(steps), (len(train), len(valid)), drawn,
    )  # fmt: skip


def _one(
    circuit: Circuit, evidence: Evidence, config: CompressConfig, number: int, bits_before: float,
    watcher: Watcher | None,
) -> tuple[Step, Circuit]:  # fmt: skip
    """Run one pass of the chain and its refit."""
    passes = chain(config.passes, config.unit)
    each, told = passes[number]
    if watcher is not None:
        watcher(number, len(passes), each.name)
    start = time.monotonic()
    target, chosen = None, each.name == "share" and told is None
    if config.unit is not None:
        target = _target(config, circuit, evidence, bits_before, passes[number + 1 :])
        if chosen:
            told = str(_tables(circuit, config))
    # What keeps the budget already is left as it is; a limit of loss is kept by every circuit that did nothing yet.
    counted = None if target is None or config.unit == "loss" else target
    before = None if counted is None else counted.cost(circuit)
    limited = "target" in each.needs and not has_value(told)
    done = limited and counted is not None and before is not None and before <= counted.value
    outcome = None if done else each.run(circuit, evidence, target, told)
    if each.name == "share" and chosen and outcome is not None and config.unit == "kbit":
        # Which tables leaves share changes the memory a little: fewer, until the budget holds.
        assert target is not None and told is not None
        while int(told) > LEAST_TABLES and target.cost(outcome.circuit) > config.value:
            told = str(max(LEAST_TABLES, int(told) * 15 // 16))
            outcome = each.run(circuit, evidence, target, told)
    made = circuit if outcome is None else outcome.circuit
    some = evidence.train[:: max(1, len(evidence.train) // PREDICT_RECORDS)]
    predicted = evidence.bits(made, some) - evidence.bits(circuit, some)
    start_bits = evidence.bits(circuit)
    made_bits = start_bits if made is circuit else evidence.bits(made)
    last_bits, refitted = made_bits, 0
    if config.refit and each.refits and evidence.refit is not None:
        if watcher is not None:
            watcher(number, len(passes), "refit")
        trained, refitted = evidence.refit(made, config.refit), config.refit
        trained_bits = evidence.bits(trained)
        if trained_bits <= made_bits:  # or what the refit began with was better
            made, last_bits = trained, trained_bits
    after = None if counted is None else before if made is circuit else counted.cost(made)
    return Step(
        each.name, told, each.keeps, (count_weights(circuit), count_weights(made)), (before, after), predicted,
        start_bits, made_bits, last_bits, refitted, time.monotonic() - start,
        () if outcome is None else outcome.trace,
    ), made  # fmt: skip


def _records(
    circuit: Circuit, data: Splits | IntArray | None, teacher: Circuit | None, config: CompressConfig
) -> tuple[IntArray, IntArray, bool]:
    """Give train and validation records, and whether they were drawn."""
    if data is None:
        source = circuit if teacher is None else teacher
        if source.cardinalities != circuit.cardinalities:
            raise UsageError("the teacher must have the circuit's variables and symbols, it has others")
        records = sample(source, sum(DRAWN), config.seed)
        return records[: DRAWN[0]], records[DRAWN[0] :], True
    splits = data if isinstance(data, Splits) else Splits(np.asarray(data))
    train = check_records(splits.train, circuit.cardinalities, allow_missing=True)
    if splits.valid is not None and len(splits.valid):
        return train, check_records(splits.valid, circuit.cardinalities, allow_missing=True), False
    if len(train) < 2:
        raise DataError(f"a compression must have at least 2 records where none are for validation, got {len(train)}")
    return *hold_out(train, LearnConfig.holdout, config.seed), False


def _held_weights(weights: FloatArray, data: Splits | IntArray, config: CompressConfig) -> FloatArray:
    """Give the weights of the records that are not held out."""
    count = len(data.train if isinstance(data, Splits) else data)
    if len(weights) != count:
        raise UsageError(f"weights must be one for each of {count} train records, got {len(weights)}")
    numbers = hold_out(np.arange(count), LearnConfig.holdout, config.seed)[0]
    return weights[numbers]


def _count(config: CompressConfig, circuit: Circuit, records: IntArray) -> Flows:
    """Count flows by torch where it is installed."""
    try:
        return count_flows(circuit, records, LearnConfig(device=config.device))
    except MissingToolError:
        return expected_flows(circuit, records)


def _score(config: CompressConfig, circuit: Circuit, records: IntArray) -> FloatArray:
    try:
        return evaluate(circuit, records, LearnConfig(device=config.device))
    except MissingToolError:
        return log_likelihood(circuit, records)


def _refit(config: CompressConfig, splits: Splits, circuit: Circuit, steps: int) -> Circuit:
    """Go on training for some M-steps; the best parameters by the validation records stay."""
    settings = {**by_default(len(splits.train)), "iterations": steps, "patience": max(1, steps)}
    return fit(splits, LearnConfig(**settings, seed=config.seed, device=config.device), circuit=circuit)


def _widths(config: CompressConfig, circuit: Circuit) -> QuantizationConfig:
    """Give the widths that are counted at; nested tables are rounded as such."""
    widths = QuantizationConfig.of(circuit) if config.widths is None else config.widths
    masters = [told for each, told in chain(config.passes, config.unit) if each.name == "nest"]
    return replace(widths, leaf_masters=int(masters[-1])) if masters and masters[-1] is not None else widths


def _tables(circuit: Circuit, config: CompressConfig) -> int:
    budget = 1000 * config.value if config.unit == "kbit" else None
    return tables_for(circuit, budget, _widths(config, circuit).leaf_bits)


def _target(
    config: CompressConfig, circuit: Circuit, evidence: Evidence, bits_before: float,
    behind: tuple[tuple[Pass, str | None], ...],
) -> Target:  # fmt: skip
    """Make the target of a pass, whose cost is that at the end of the chain."""
    assert config.unit is not None
    widths = _widths(config, circuit)
    shared = next((told for each, told in behind if each.name == "share"), "")
    tables = None if shared == "" else int(shared) if shared is not None else _tables(circuit, config)

    def row_bits(symbols: int) -> float:
        if tables is not None and symbols > 2:
            return float(max(1, (tables - 1).bit_length()))
        return float((symbols - 1) * widths.leaf_bits)

    folds = any(each.name == "fold" for each, _ in behind)

    def cost(candidate: Circuit) -> float:
        if config.unit == "loss":
            plain = evidence.bits(candidate)
            if plain - bits_before <= config.value or not (evidence.refit and config.refit):
                return plain - bits_before
            return min(plain, evidence.bits(evidence.refit(candidate, config.refit))) - bits_before
        if folds:
            candidate = fold(candidate, row_bits, widths.weight_bits)
        if config.unit == "weights":
            return float(count_weights(candidate))
        if tables is not None:
            candidate = shared_anyhow(candidate, tables)
        if config.unit == "kbit":
            return memory_kbit(candidate, widths, config.macs or 1, config.streams or 1)
        return cycles_per_symbol(candidate, widths, config.macs or MACS, config.streams or STREAMS)

    value = config.value * (1 - RESERVE) if config.unit in ("kbit", "cycles") else config.value
    return Target(config.unit, value, cost, config.multiple, row_bits, widths.weight_bits, config.value)


def memory_kbit(circuit: Circuit, widths: QuantizationConfig, macs: int = 1, streams: int = 1) -> float:
    """Count the read-only memories of a float circuit's export, in 1,000 bits."""
    integers = quantize(circuit, widths)
    return lower(integers, shape=_engine(integers, macs, streams)).memory_bits()["rom"] / 1000


def cycles_per_symbol(circuit: Circuit, widths: QuantizationConfig, macs: int, streams: int) -> float:
    """Count the cycles a symbol of the parallel engine that encodes, all streams busy."""
    integers = quantize(circuit, widths)
    counted = estimate(Program.of(integers), _engine(integers, macs, streams), "encode")
    return counted.cycles_per_record / len(circuit.cardinalities)


def _engine(integers: IntegerCircuit, macs: int, streams: int) -> EngineSize:
    return EngineSize(macs, streams, default_search_bits(integers, macs))


def shared_anyhow(circuit: Circuit, tables: int) -> Circuit:
    """Let leaves share so many tables, whichever: memory counts how many there are, not which."""
    layers: list[Layer] = list(circuit.layers)
    for group in table_groups(circuit).values():
        rows = np.concatenate([layers[index].table for index in group])  # type: ignore[union-attr]
        few = rows[np.linspace(0, len(rows) - 1, min(tables, len(rows))).astype(np.int64)]
        # Drawn, for numbers in an order could be stored in fewer bits.
        number, start = np.random.default_rng(0).permutation(len(rows)) % len(few), 0
        for index in group:
            layer = layers[index]
            assert isinstance(layer, InputLayer)
            layers[index] = InputLayer(layer.variable, few[number[start : start + len(layer.table)]])
            start += len(layer.table)
    return replace(circuit, layers=tuple(layers))
