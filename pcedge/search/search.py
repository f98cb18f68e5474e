"""Mixed precision under a budget: which layer gets how many bits (docs/search.md)."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from uuid import uuid4

import numpy as np

from pcedge.arrays import IntArray
from pcedge.circuit.file import circuit_checksum
from pcedge.circuit.inference import check_records
from pcedge.circuit.layers import Circuit
from pcedge.errors import DataError, ToolError, UsageError
from pcedge.export.program.lowering import lower
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, RefineConfig, quantize
from pcedge.quantize.calibration import calibration_flows
from pcedge.quantize.post_training import aligned_layers
from pcedge.search.candidates import Candidate, Choices
from pcedge.search.checkpoint import Round, name_of, read_rounds, write_rounds
from pcedge.search.choosing import Limits, Losses, spent, starts
from pcedge.search.costs import multiplier_bits
from pcedge.search.recovery import remaining
from pcedge.search.strategies import Observed, Space, Strategy, evolve

#: called after a generation with (generation, generations, expected bits of the best on the many records)
Progress = Callable[[int, int, float], None]

#: records whose flows leaf tables are clustered by, and those that say what a layer loses alone, at most
FLOW_RECORDS, LOSS_RECORDS = 2048, 1024


@dataclass(frozen=True)
class Budget:
    """Hold the limits of a search; at least one must be set.

    Raises:
        UsageError: none is set, or one is not positive.
    """

    #: bits of all read-only memories of the exported project
    memory_bits: int | None = None
    #: bits of the multipliers of a multiply-accumulate unit and of the intervals, see `multiplier_bits`
    multiplier_bits: int | None = None

    def __post_init__(self) -> None:
        """Check the limits."""
        if self.memory_bits is None and self.multiplier_bits is None:
            raise UsageError("a budget must limit memory bits, multiplier bits or both")
        for name, value in asdict(self).items():
            if value is not None and value < 1:
                raise UsageError(f"the budget of {name} must be at least 1, got {value}")


@dataclass(frozen=True)
class SearchConfig:
    """Hold the settings of a search.

    Raises:
        UsageError: a setting is out of its range.
    """

    #: generations; 0 takes the start, which the expected code lengths of the single layers give
    generations: int = 10
    #: candidates made of the best one in each generation
    offspring: int = 6
    #: candidates that go on from the few records to the many
    survivors: int = 2
    #: records that all offspring are compared on, and those that choose the best of a generation
    few: int = 128
    many: int = 512
    seed: int = 0
    #: processes that measure; the result does not depend on their number
    workers: int = 1

    def __post_init__(self) -> None:
        """Check every setting."""
        for name, least in (
            ("generations", 0), ("offspring", 1), ("survivors", 1), ("few", 1), ("many", 1), ("seed", 0),
            ("workers", 1),
        ):  # fmt: skip
            if getattr(self, name) < least:
                raise UsageError(f"{name} must be at least {least}, got {getattr(self, name)}")


@dataclass(frozen=True, eq=False)
class SearchResult:
    """Hold what a search chose."""

    #: the float circuit, with shared leaf tables if the choice says so
    circuit: Circuit
    #: the widths
    config: QuantizationConfig
    integers: IntegerCircuit
    candidate: Candidate
    #: bits of the exported memories by kind, `rom` the sum
    memory_bits: dict[str, int]
    multiplier_bits: int
    #: bits a variable on the many records, expected in the end, of the start and after every generation
    history: tuple[float, ...]
    #: which part of the losses by rounded weights and shared tables is expected to remain after a refinement
    remains: float


def search(
    circuit: Circuit,
    records: IntArray,
    budget: Budget,
    limits: QuantizationConfig | None = None,
    settings: SearchConfig | None = None,
    *,
    tables: int | None = None,
    refining: tuple[IntArray, RefineConfig] | None = None,
    device: str = "cpu",
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    strategy: Strategy = evolve,
    executor: Executor | None = None,
) -> SearchResult:
    """Choose W of every sum layer, A, L and the number of leaf tables for the fewest bits within a budget.

    The start is the best by the expected code lengths of the single layers; then the candidates that a strategy
    proposes are compared on few records and the survivors on more, all as the integer circuits that they are.
    docs/search.md says what is counted and how candidates are made.

    Args:
        circuit: a trained circuit.
        records: records of shape (N, variables) without missing symbols, which some are drawn of with the seed: best
            ones that the circuit was not trained on, for it codes those too well and with too many leaf tables.
        budget: the limits.
        limits: the greatest widths, coder and floor; None takes the defaults.
        settings: how long and how widely to search; None takes the defaults.
        tables: the most leaf tables that leaves may share; None leaves them free.
        refining: records and settings of a refinement that will follow: a short one says which part of the losses it
            leaves, and candidates are compared by what is left. None compares them as they are.
        device: `cpu` or a torch device, for the flows.
        checkpoint: a file that is written after every generation, and continued from where it exists.
        progress: called after the start and every generation.
        strategy: what proposes candidates, see `pcedge.search.strategies`.
        executor: what measures candidates, such as a thread or process pool, or a Dask client's `get_executor()`; it
            is not shut down. None takes `workers` processes. The result does not depend on it.

    Raises:
        DataError: the records do not fit, have missing symbols, or there are none.
        UsageError: the budget is below the least that there is, the checkpoint is of another search, or a strategy
            proposes nothing, or what is none of the candidates or breaks the budget.
        FormatError: the checkpoint is damaged.
        NotStructuredError: the circuit cannot be coded by the kernels.
    """
    settings = settings or SearchConfig()
    limits = limits or QuantizationConfig()
    if limits.leaf_masters is not None:
        raise UsageError("a search must be without leaf_masters, which it does not count")
    records = check_records(records, circuit.cardinalities, allow_missing=False)
    if not len(records):
        raise DataError("a search must have at least one record, got none")
    plain = quantize(circuit, limits)
    base = replace(circuit, layers=aligned_layers(circuit.layers, plain.order))
    flows = calibration_flows(base, records[:FLOW_RECORDS], device)
    generator = np.random.default_rng([settings.seed, 7])
    drawn = records[generator.permutation(len(records))[: settings.few + settings.many]]
    few, many = drawn[: settings.few], drawn[-settings.many :]
    choices = Choices.of(base, flows, records[:LOSS_RECORDS], limits, tables, settings.seed)
    bounds = Limits(budget.memory_bits, budget.multiplier_bits)
    losses = Losses.measured(choices, bounds, many)
    first = starts(choices, bounds, losses)
    if refining is not None:
        choices.remains = remaining(choices, first[0], *refining, many)
        first = list(dict.fromkeys([*starts(choices, bounds, losses), *first]))
    mark = _fingerprint(
        circuit, np.concatenate([drawn, records[:FLOW_RECORDS]]), budget, limits, settings, tables, refining
    )
    rounds = read_rounds(checkpoint, mark) if checkpoint is not None and checkpoint.exists() else []
    known, history = len(rounds), list[float]()
    best, told = first[0], None
    space = Space(choices, bounds, tuple(first), settings.offspring, settings.seed)
    with _Measuring(choices, settings.workers, executor) as measure, closing(strategy(space)) as proposals:
        while len(history) <= settings.generations:
            try:
                # A generator that has not begun takes None only.
                candidates = proposals.send(told)  # type: ignore[arg-type]
            except StopIteration:
                break
            _check(candidates, choices, bounds)
            if len(history) == len(rounds):
                few_scores = measure(candidates, few) if history else []
                survivors = _survivors(candidates, few_scores, settings.survivors)
                rounds.append(Round(name_of(candidates), tuple(few_scores), tuple(measure(survivors, many))))
                if checkpoint is not None and history:
                    write_rounds(checkpoint, mark, rounds)
            one = rounds[len(history)]
            survivors = _survivors(candidates, one.few, settings.survivors)
            if one.candidates != name_of(candidates) or len(one.many) != len(survivors):
                raise UsageError(f"the checkpoint {checkpoint} must be of the same strategy")
            index = int(np.argmin(one.many))
            if not history or one.many[index] < history[-1]:
                best = survivors[index]
            history.append(min([one.many[index], *history[-1:]]))
            told = Observed(one.few or one.many, best, history[-1])
            if progress is not None and len(history) >= known:
                progress(len(history) - 1, settings.generations, history[-1])
    if not history:
        raise UsageError("a strategy must propose at least one candidate, it proposed none")
    best = spent(choices, best, bounds)
    integers = choices.integers(best)
    return SearchResult(
        choices.circuit(best.tables), choices.config(best), integers, best, lower(integers).memory_bits(),
        multiplier_bits(integers), tuple(history), choices.remains,
    )  # fmt: skip


def _survivors(candidates: list[Candidate], scores: Sequence[float], most: int) -> list[Candidate]:
    """Give those of the best scores; all where there are none."""
    return [candidates[i] for i in np.argsort(scores, kind="stable")[:most]] if len(scores) else candidates


def _check(candidates: list[Candidate], choices: Choices, bounds: Limits) -> None:
    """Demand that a strategy proposes what can be measured and keeps the budget."""
    if not candidates:
        raise UsageError("a strategy must propose at least one candidate, it proposed none")
    for candidate in candidates:
        choices.check(candidate)
        for what, limit, bits_of in (
            ("memory", bounds.memory, choices.memory_bits), ("multiplier", bounds.multiplier, choices.multiplier_bits)
        ):  # fmt: skip
            if limit is not None and (bits := bits_of(candidate)) > limit:
                raise UsageError(f"a strategy must propose at most {limit} bits of {what}, it proposed {bits}")


class _Measuring:
    """Measure candidates in this process, or by an executor that is given the choices as often as it lacks them."""

    def __init__(self, choices: Choices, workers: int, executor: Executor | None) -> None:
        self.choices, self.executor = choices, executor
        self.token, self.pickled = uuid4().hex, b""
        self.pool = None
        if executor is None and workers > 1:
            # A fresh interpreter each: a fork of a process with threads may hang.
            context = get_context("spawn")
            self.executor = self.pool = ProcessPoolExecutor(workers, context, _take, (self.token, choices))

    def __enter__(self) -> Callable[[list[Candidate], IntArray], list[float]]:
        return self._measure

    def __exit__(self, *_: object) -> None:
        if self.pool is not None:
            self.pool.shutdown(wait=True, cancel_futures=True)

    def _measure(self, candidates: list[Candidate], records: IntArray) -> list[float]:
        if self.executor is None:
            return [self.choices.score(candidate, records) for candidate in candidates]
        try:
            jobs = [self.executor.submit(_score, self.token, None, one, records) for one in candidates]
            scores = dict(enumerate(job.result() for job in jobs))
            lacking = [index for index, score in scores.items() if score is None]
            if lacking and not self.pickled:
                self.pickled = pickle.dumps(self.choices)
            again = [self.executor.submit(_score, self.token, self.pickled, candidates[i], records) for i in lacking]
            scores |= zip(lacking, (job.result() for job in again), strict=True)
        except BrokenExecutor as error:
            raise ToolError(f"the processes of the search must live, one was ended from outside ({error})") from error
        return [score for score in scores.values() if score is not None]


#: of the search that this process measured for last
_taken: dict[str, Choices] = {}


def _take(token: str, choices: Choices) -> None:
    _taken.clear()
    _taken[token] = choices


def _score(token: str, pickled: bytes | None, candidate: Candidate, records: IntArray) -> float | None:
    """Give the score of a candidate; None where this process lacks the choices and was not sent them."""
    choices = _taken.get(token)
    if choices is None:
        if pickled is None:
            return None
        choices = pickle.loads(pickled)
        _take(token, choices)
    return choices.score(candidate, records)


def _fingerprint(
    circuit: Circuit, records: IntArray, budget: Budget, limits: QuantizationConfig, settings: SearchConfig,
    tables: int | None, refining: tuple[IntArray, RefineConfig] | None,
) -> str:  # fmt: skip
    free = replace(settings, generations=0, workers=1)
    values = [asdict(source) for source in (budget, limits, free)]
    text = json.dumps([*values, tables], sort_keys=True) + circuit_checksum(circuit)
    hasher = hashlib.sha256(text.encode() + np.ascontiguousarray(records).tobytes())
    if refining is not None:
        hasher.update(repr(refining[1]).encode() + np.ascontiguousarray(refining[0]).tobytes())
    return hasher.hexdigest()
