"""From float to integers within a budget, without a command line."""

from __future__ import annotations

from dataclasses import replace

import pytest
from strategies import make_circuit

from pcedge.circuit import sample
from pcedge.compress import share_leaves
from pcedge.errors import UsageError
from pcedge.export.program.lowering import lower
from pcedge.integer import IntegerCircuit, IntegerInput
from pcedge.quantize import QuantizationConfig, RefineConfig, quantize
from pcedge.quantize.calibration import calibration_flows
from pcedge.search import budget as budgets
from pcedge.search.budget import Stage, keeps_budget, quantize_within
from pcedge.search.search import Budget, SearchConfig

CIRCUIT = make_circuit(3, 8, 4, 6, "hidden")
TRAIN = sample(CIRCUIT, 200, seed=0)
HELD_OUT = sample(CIRCUIT, 60, seed=1)
NO_GENERATIONS = SearchConfig(generations=0)


class Heard:
    """Keep what a watcher is told."""

    def __init__(self) -> None:
        self.stages: list[tuple[Stage, int]] = []
        self.steps: list[tuple[int, int, bool]] = []

    def begin(self, stage: Stage, records: int) -> None:
        self.stages.append((stage, records))

    def step(self, done: int, total: int, bits: float | None = None) -> None:
        self.steps.append((done, total, bits is not None))


def tables_of(circuit: IntegerCircuit) -> int:
    """Count the different leaf tables."""
    return len(
        {row.tobytes() for layer in circuit.layers if isinstance(layer, IntegerInput) for row in layer.cumulative}
    )


def test_without_a_budget_it_rounds() -> None:
    config = QuantizationConfig(weight_bits=5)
    found = quantize_within(CIRCUIT, config)
    assert found.integers.digest == quantize(CIRCUIT, config).digest
    assert found.unrefined is found.integers and (found.chosen, found.pass_kept, found.left_out) == (None, None, False)


def test_a_search_keeps_its_budget() -> None:
    whole = lower(quantize(CIRCUIT)).memory_bits()["rom"]
    budget, heard = Budget(memory_bits=whole * 19 // 20), Heard()
    found = quantize_within(CIRCUIT, held_out=HELD_OUT, budget=budget, settings=NO_GENERATIONS, watcher=heard)
    assert keeps_budget(found.integers, budget) and not keeps_budget(quantize(CIRCUIT), budget)
    assert found.chosen is not None and found.chosen.integers is found.integers
    assert heard.stages == [("search", 60)] and heard.steps == [(0, 0, True)]


def test_shared_tables() -> None:
    heard = Heard()
    found = quantize_within(CIRCUIT, train=TRAIN, tables=3, watcher=heard)
    shared = share_leaves(CIRCUIT, calibration_flows(CIRCUIT, TRAIN, "cpu"), tables=3, seed=0)
    assert found.integers.digest == quantize(shared).digest
    assert tables_of(found.integers) < tables_of(quantize(CIRCUIT))
    assert heard.stages == [("flows", 200)]


def test_what_breaks_the_budget_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="refining needs the extra train")
    refinement = replace(RefineConfig(seed=0), passes=1, gradual=0)
    whole = lower(quantize(CIRCUIT)).memory_bits()["rom"]
    budget, heard = Budget(memory_bits=whole), Heard()
    options = {"train": TRAIN, "held_out": HELD_OUT, "budget": budget, "settings": NO_GENERATIONS}
    found = quantize_within(CIRCUIT, refinement=refinement, watcher=heard, **options)  # type: ignore[arg-type]
    assert keeps_budget(found.integers, budget) and found.pass_kept in (0, 1)
    assert [stage for stage, _ in heard.stages] == ["search", "refine"]
    # A refinement that leaves the budget: the circuit with the widest rows instead of the refined one.
    monkeypatch.setattr(budgets, "keeps_budget", lambda *_: False)
    broken = quantize_within(CIRCUIT, refinement=refinement, **options)  # type: ignore[arg-type]
    assert broken.left_out and broken.integers is broken.unrefined
    assert broken.chosen is not None and broken.integers is broken.chosen.integers


def test_what_is_missing_is_said() -> None:
    with pytest.raises(UsageError, match="a budget must have held-out records, got none"):
        quantize_within(CIRCUIT, budget=Budget(memory_bits=10**6))
    with pytest.raises(UsageError, match="a refinement and shared tables must have train records, got none"):
        quantize_within(CIRCUIT, tables=3)
    with pytest.raises(UsageError, match="a refinement and shared tables must have train records, got none"):
        quantize_within(CIRCUIT, refinement=RefineConfig())
