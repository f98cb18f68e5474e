"""The search under a budget: kept exactly, the same for any number of workers, resumable, better than one width."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pcedge.circuit import Circuit, load_circuit
from pcedge.cli import group
from pcedge.coder import Engine
from pcedge.data import load_data
from pcedge.errors import DataError, FormatError, UsageError
from pcedge.export import read_onnx
from pcedge.export.lowering import lower
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.verify.costs import multiplier_bits
from pcedge.verify.search import Budget, SearchConfig, search

QUICK = SearchConfig(generations=2, offspring=3, survivors=2, few=16, many=48)
BUDGET = Budget(memory_bits=140_000)


@pytest.fixture(scope="module")
def records() -> np.ndarray:
    held = load_data("digits").valid
    return held.reshape(len(held), -1).astype(np.int64)


@pytest.fixture(scope="module")
def circuit() -> Circuit:
    return load_circuit("digits")


@pytest.fixture(scope="module")
def found(circuit: Circuit, records: np.ndarray):
    return search(circuit, records, BUDGET, settings=QUICK)


def bits(integers, records) -> float:
    lo, hi = Engine(integers).intervals(records)
    return float(-np.log2(hi - lo).mean())


def test_keeps_the_budget_as_it_is_exported(found) -> None:
    assert found.memory_bits == lower(found.integers).memory_bits()
    assert 0.9 * 140_000 < found.memory_bits["rom"] <= 140_000
    assert len(found.history) == 3 and list(found.history) == sorted(found.history, reverse=True)
    # The circuit and the widths that it names give the same integers.
    assert quantize(found.circuit, found.config, order=found.integers.order).digest == found.integers.digest


def test_beats_one_width_for_all(circuit: Circuit, records: np.ndarray, found) -> None:
    test = load_data("digits").test
    best = min(
        bits(quantize(found.circuit, config), test)
        for weight in range(2, 9)
        for leaf in range(8, 13)
        for config in [QuantizationConfig(weight, leaf, 16)]
        if lower(quantize(found.circuit, config)).memory_bits()["rom"] <= 140_000
    )
    assert bits(found.integers, test) <= best + 0.002


def test_workers_and_interruptions_change_nothing(circuit: Circuit, records: np.ndarray, found, tmp_path: Path) -> None:
    parallel = search(circuit, records, BUDGET, settings=replace(QUICK, workers=2))
    assert parallel.candidate == found.candidate and parallel.history == found.history
    kept = tmp_path / "s.json"

    def stop(generation: int, total: int, bits: float) -> None:
        if generation == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(circuit, records, BUDGET, settings=QUICK, checkpoint=kept, progress=stop)
    seen: list[int] = []
    resumed = search(
        circuit,
        records,
        BUDGET,
        settings=QUICK,
        checkpoint=kept,
        progress=lambda generation, *_: seen.append(generation),
    )
    assert seen == [1, 2]
    assert resumed.candidate == found.candidate and resumed.history == found.history
    with pytest.raises(UsageError, match=r"must be of the same circuit, data, budget, widths and settings$"):
        search(circuit, records, Budget(memory_bits=150_000), settings=QUICK, checkpoint=kept)
    kept.write_text('{"version": 1}')
    with pytest.raises(FormatError, match=r"^checkpoint: .* must hold the state of a search \(KeyError\('search'\)\)$"):
        search(circuit, records, BUDGET, settings=QUICK, checkpoint=kept)


def test_multipliers(circuit: Circuit, records: np.ndarray) -> None:
    found = search(circuit, records, Budget(multiplier_bits=180), settings=replace(QUICK, generations=1), tables=100)
    assert multiplier_bits(found.integers) == found.multiplier_bits <= 180
    widest = max(int(np.max(layer.weights)) for layer in found.integers.layers if hasattr(layer, "weights"))
    expected = (widest.bit_length() + found.integers.leaf_bits) * found.integers.state_bits
    assert found.multiplier_bits == expected
    tables = {
        row.tobytes() for layer in found.integers.layers if hasattr(layer, "cumulative") for row in layer.cumulative
    }
    assert len(tables) <= 100


def test_refusals(circuit: Circuit, records: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"^the budget must be at least \d+ bits of memory for this circuit, got 9"):
        search(circuit, records, Budget(memory_bits=9), settings=QUICK)
    with pytest.raises(UsageError, match=r"^the budget must be at least 88 bits of multiplier for this .*, got 50$"):
        search(circuit, records, Budget(multiplier_bits=50), settings=QUICK)
    with pytest.raises(DataError, match=r"^a search must have at least one record, got none$"):
        search(circuit, records[:0], BUDGET, settings=QUICK)
    with pytest.raises(DataError, match="-1"):
        search(circuit, np.where(records == 3, -1, records), BUDGET, settings=QUICK)
    with pytest.raises(UsageError, match=r"^a budget must limit memory bits, multiplier bits or both$"):
        Budget()
    with pytest.raises(UsageError, match=r"^the budget of memory_bits must be at least 1, got 0$"):
        Budget(memory_bits=0)
    with pytest.raises(UsageError, match=r"^workers must be at least 1, got 0$"):
        SearchConfig(workers=0)


def test_command(tmp_path: Path) -> None:
    def run(*arguments: object):
        return CliRunner().invoke(
            group, ["quantize", "digits", *map(str, arguments), "--out", str(tmp_path / "m.onnx")]
        )

    done = run("--data", "digits", "--budget-kbit", 130, "--generations", 0, "--refine", "em", "--passes", 2, "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert result["memory_bits"]["rom"] == lower(read_onnx(tmp_path / "m.onnx")).memory_bits()["rom"] <= 130_000
    assert set(result["chosen"]) == {"weight_bits", "leaf_bits", "state_bits", "leaf_tables"}
    for more, text in (
        (("--budget-kbit", 100), "a budget must come with --data, the records that the search measures"),
        (("--data", "digits"), "--data must come with --refine, --leaf-tables or a budget"),
        (("--checkpoint", "s.json"), "--checkpoint must come with a budget"),
    ):
        done = run(*more)
        assert done.exit_code == 2 and text in done.output + done.stderr
