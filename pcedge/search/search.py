"""Mixed precision under a budget: which layer gets how many bits (docs/search.md)."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from pcedge.arrays import IntArray
from pcedge.circuit.file import circuit_checksum
from pcedge.circuit.inference import check_records
from pcedge.circuit.layers import Circuit
from pcedge.errors import DataError, FormatError, ToolError, UsageError
from pcedge.export.program.lowering import lower
from pcedge.files import write_whole
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, RefineConfig, quantize
from pcedge.quantize.calibration import calibration_flows
from pcedge.quantize.post_training import aligned_layers
from pcedge.search.candidates import Candidate, Choices
from pcedge.search.choosing import Limits, Losses, mutated, spent, starts
from pcedge.search.costs import multiplier_bits
from pcedge.search.recovery import remaining

#: called after a generation with (generation, generations, expected bits of the best on the many records)
Progress = Callable[[int, int, float], None]

VERSION = 3

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
) -> SearchResult:
    """Choose W of every sum layer, A, L and the number of leaf tables for the fewest bits within a budget.

    The start is the best by the expected code lengths of the single layers; then offspring of the best are compared on
    few records and the survivors on more, all as the integer circuits that they are (Sieberling et al., "EvoPress",
    2024). docs/search.md says what is counted and how offspring are made.

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

    Raises:
        DataError: the records do not fit, have missing symbols, or there are none.
        UsageError: the budget is below the least that there is, or the checkpoint is of another search.
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
    history: list[float] = []
    best = first[0]
    mark = _fingerprint(
        circuit, np.concatenate([drawn, records[:FLOW_RECORDS]]), budget, limits, settings, tables, refining
    )
    with _Measuring(choices, settings.workers) as measure:
        if checkpoint is not None and checkpoint.exists():
            best, history = _read(checkpoint, mark, choices)
        else:
            scores = measure(first, many)
            best = first[int(np.argmin(scores))]
            history.append(min(scores))
        while True:
            if progress is not None:
                progress(len(history) - 1, settings.generations, history[-1])
            if len(history) > settings.generations:
                break
            dice = np.random.default_rng([settings.seed, 11, len(history)])
            offspring = [mutated(choices, best, bounds, dice) for _ in range(settings.offspring)]
            scores = measure(offspring, few)
            survivors = [offspring[index] for index in np.argsort(scores, kind="stable")[: settings.survivors]]
            scores = measure(survivors, many)
            index = int(np.argmin(scores))
            if scores[index] < history[-1]:
                best = survivors[index]
            history.append(min(scores[index], history[-1]))
            if checkpoint is not None:
                _write(checkpoint, mark, best, history)
    best = spent(choices, best, bounds)
    integers = choices.integers(best)
    return SearchResult(
        choices.circuit(best.tables), choices.config(best), integers, best, lower(integers).memory_bits(),
        multiplier_bits(integers), tuple(history), choices.remains,
    )  # fmt: skip


class _Measuring:
    """Measure candidates in this process or in several; the records go to each once a call."""

    def __init__(self, choices: Choices, workers: int) -> None:
        self.choices = choices
        self.pool = None
        if workers > 1:
            # A fresh interpreter each: a fork of a process with threads may hang.
            self.pool = ProcessPoolExecutor(workers, get_context("spawn"), _take, (choices,))

    def __enter__(self) -> Callable[[list[Candidate], IntArray], list[float]]:
        return self._measure

    def __exit__(self, *_: object) -> None:
        if self.pool is not None:
            self.pool.shutdown(wait=True, cancel_futures=True)

    def _measure(self, candidates: list[Candidate], records: IntArray) -> list[float]:
        if self.pool is None:
            return [self.choices.score(candidate, records) for candidate in candidates]
        try:
            return list(self.pool.map(_score, candidates, [records] * len(candidates)))
        except BrokenProcessPool as error:
            raise ToolError(f"the processes of the search must live, one was ended from outside ({error})") from error


_taken: Choices


def _take(choices: Choices) -> None:
    global _taken
    _taken = choices


def _score(candidate: Candidate, records: IntArray) -> float:
    return _taken.score(candidate, records)


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


def _write(path: Path, mark: str, best: Candidate, history: list[float]) -> None:
    """Write in one move: a search that is killed meanwhile leaves the file before."""
    state = {"version": VERSION, "search": mark, "best": asdict(best), "history": history}
    write_whole(path, json.dumps({**state, "checksum": _checksum(state)}).encode())


def _checksum(state: dict[str, object]) -> str:
    text = json.dumps({key: value for key, value in state.items() if key != "checksum"}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _read(path: Path, mark: str, choices: Choices) -> tuple[Candidate, list[float]]:
    try:
        data = path.read_bytes()
        state = json.loads(data.decode())
        version, other = state["version"], state["search"]
        # The checksum is of what the text says; that it says so in no other way makes it one of all bytes.
        if state["checksum"] != _checksum(state) or data != json.dumps(state).encode():
            raise ValueError("its checksum is wrong")
        if version != VERSION:
            raise ValueError(f"version must be {VERSION}, got {version}")
        best = Candidate(**{**state["best"], "weight_bits": tuple(state["best"]["weight_bits"])})
        history = state["history"]
        if not history or not all(type(bits) is float and math.isfinite(bits) for bits in history):
            raise ValueError("history must hold finite numbers")
        choices.check(best)
    except UnicodeDecodeError as error:
        # The error itself holds the whole file.
        why = f"byte {error.start} is no UTF-8"
        raise FormatError("checkpoint", f"{path} must hold the state of a search, it is no text: {why}") from error
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise FormatError("checkpoint", f"{path} must hold the state of a search ({error!r:.200})") from error
    if other != mark:
        raise UsageError(f"the checkpoint {path} must be of the same circuit, data, budget, widths and settings")
    return best, history
