"""From a float circuit to an integer one within a budget: search, refine, and fall back where refining breaks it."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from numpy.typing import ArrayLike

from pcedge.arrays import IntArray
from pcedge.circuit.layers import Circuit
from pcedge.compress.rows import renumber, share_rows
from pcedge.compress.sharing import share_leaves
from pcedge.errors import UsageError
from pcedge.export.program.lowering import lower
from pcedge.integer.circuit import IntegerCircuit
from pcedge.quantize.calibration import calibration_flows
from pcedge.quantize.config import QuantizationConfig
from pcedge.quantize.post_training import quantize
from pcedge.quantize.refine_config import RefineConfig, refine
from pcedge.search.costs import multiplier_bits
from pcedge.search.search import Budget, SearchConfig, SearchResult, search
from pcedge.search.strategies import Strategy, evolve

#: train records whose flows say which leaf tables may be shared, at most
CALIBRATION = 4096

#: share of a budget of memory that a search leaves to the refinement of what it finds
RESERVE = 0.005

#: what takes its time: comparing candidates, counting flows, fitting parameters
Stage = Literal["search", "flows", "refine"]


class Watcher(Protocol):
    """Be told how far the work is."""

    def begin(self, stage: Stage, records: int) -> None:
        """Be told that a stage begins, on so many records."""

    def step(self, done: int, total: int, bits: float | None = None) -> None:
        """Be told of a generation or pass; of a search, with the bits a variable of the best candidate."""


@dataclass(frozen=True, eq=False)
class Quantized:
    """Hold an integer circuit and how it came about."""

    integers: IntegerCircuit
    #: the circuit before refining; `integers` itself where nothing was refined, or where that was left out
    unrefined: IntegerCircuit
    #: what the search found; None without a budget
    chosen: SearchResult | None
    #: the pass of the refinement that was kept, 0 for rounding alone; None without a refinement
    pass_kept: int | None
    #: whether the refined circuit did not keep the budget, so that the unrefined one is given
    left_out: bool
    #: the float circuit with states in the order of the integers: another one than was given with a row table
    source: Circuit


def keeps_budget(circuit: IntegerCircuit, budget: Budget) -> bool:
    """Tell whether a circuit keeps a budget."""
    memory, multipliers = budget.memory_bits, budget.multiplier_bits
    return (memory is None or lower(circuit).memory_bits()["rom"] <= memory) and (
        multipliers is None or multiplier_bits(circuit) <= multipliers
    )


def quantize_within(
    circuit: Circuit,
    config: QuantizationConfig | None = None,
    *,
    train: IntArray | None = None,
    valid: ArrayLike | None = None,
    held_out: IntArray | None = None,
    budget: Budget | None = None,
    settings: SearchConfig | None = None,
    tables: int | None = None,
    rows: int | None = None,
    refinement: RefineConfig | None = None,
    seed: int = 0,
    device: str = "cpu",
    checkpoint: Path | None = None,
    watcher: Watcher | None = None,
    strategy: Strategy = evolve,
    executor: Executor | None = None,
) -> Quantized:
    """Round a circuit to integers: within a budget the widths are searched, and with a refinement parameters fitted.

    Args:
        circuit: the float circuit.
        config: the widths; with a budget the greatest ones. None takes the defaults.
        train: records of shape (N, variables), for shared tables and the refinement.
        valid: records that choose the best pass of the refinement; None holds out a part of `train`.
        held_out: records that a search compares candidates on.
        budget: the limits; None searches nothing.
        settings: how long and how widely to search.
        tables: leaf tables that all leaves may share at most.
        rows: rows that all dense sums may share at most, each turned; not with a budget.
        refinement: how parameters are fitted; None leaves them.
        seed: of what is drawn.
        device: `cpu` or a torch device, for the flows.
        checkpoint: a file that a killed search goes on from.
        watcher: told how far the work is.
        strategy: what proposes a search's candidates.
        executor: what measures them; None takes the settings' `workers` processes.

    Raises:
        UsageError: records are missing that the work needs, or the budget is below the least that there is.
        DataError: the records do not fit.
        FormatError: the checkpoint is damaged.
        NotStructuredError: there is a budget, and the circuit cannot be coded by the kernels.

    Example:
        >>> from pcedge.circuit import load_circuit
        >>> from pcedge.data import load_array
        >>> x = load_array("digits")[:32].reshape(32, -1).astype("int64")
        >>> budget, settings = Budget(memory_bits=300_000), SearchConfig(generations=0)
        >>> found = quantize_within(load_circuit("digits"), held_out=x, budget=budget, settings=settings)
        >>> keeps_budget(found.integers, budget), found.left_out
        (True, False)
    """
    config = config or QuantizationConfig()
    source, fitted, chosen = circuit, circuit, None
    if train is None and (refinement is not None or rows is not None or (tables is not None and budget is None)):
        raise UsageError("a refinement and shared tables must have train records, got none")
    if budget is not None and (rows is not None or config.row_table):
        raise UsageError("a budget must come without a row table, which a search does not count")
    if rows is not None:
        config = replace(config, row_table=True)
    if budget is not None:
        if held_out is None:
            raise UsageError("a budget must have held-out records, got none")
        chosen = _search(circuit, config, held_out, budget, settings, tables, train, refinement, device, checkpoint,
                         watcher, strategy, executor)  # fmt: skip
        fitted, config = chosen.circuit, chosen.config
    elif train is not None and (tables is not None or rows is not None):
        some = train[:CALIBRATION]
        if watcher is not None:
            watcher.begin("flows", len(some))
        flows = calibration_flows(circuit, some, device)
        if tables is not None:
            fitted = share_leaves(fitted, flows, tables=tables, seed=seed)
        if rows is not None:  # last: it renumbers states, which flows do not follow
            source, fitted = renumber(circuit, flows), share_rows(fitted, flows, rows, seed)
    before = quantize(fitted, config) if chosen is None else chosen.integers
    if refinement is None or train is None:
        return Quantized(before, before, chosen, None, False, source)
    best_pass: list[int] = []
    if watcher is not None:
        watcher.begin("refine", len(train))

    def tell(index: int, total: int, *_: object) -> None:
        if watcher is not None:
            watcher.step(index, total)

    refined = refine(fitted, train, config, refinement, valid=valid, progress=tell, kept=best_pass.append)
    model = quantize(refined, config, possible=fitted)
    if chosen is not None and budget is not None and not keeps_budget(model, budget):
        return Quantized(before, before, chosen, best_pass[0], True, source)
    return Quantized(model, before, chosen, best_pass[0], False, source)


def _search(
    circuit: Circuit, config: QuantizationConfig, held_out: IntArray, budget: Budget, settings: SearchConfig | None,
    tables: int | None, train: IntArray | None, refinement: RefineConfig | None, device: str, checkpoint: Path | None,
    watcher: Watcher | None, strategy: Strategy, executor: Executor | None,
) -> SearchResult:  # fmt: skip
    reduced = budget
    if refinement is not None and budget.memory_bits is not None:
        # Refined weights may need another bank of the ROM.
        reduced = replace(budget, memory_bits=max(1, round(budget.memory_bits * (1 - RESERVE))))
    if watcher is not None:
        watcher.begin("search", len(held_out))
    return search(
        circuit, held_out, reduced, config, settings, tables=tables, device=device,
        refining=None if refinement is None or train is None else (train, refinement), checkpoint=checkpoint,
        progress=None if watcher is None else watcher.step, strategy=strategy, executor=executor,
    )  # fmt: skip
