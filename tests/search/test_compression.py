"""Chains of passes within a target: exact costs, refits, weights of records, checkpoints, teachers."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.learned import equal

from pcedge.circuit import Circuit, load_circuit, sample
from pcedge.compress import PASSES, Evidence, chain, expected_flows
from pcedge.compress.passes import count_weights, smallest_step
from pcedge.data import Splits, load_data
from pcedge.drivers.size import EngineSize, default_search_bits
from pcedge.errors import DataError, FormatError, UsageError
from pcedge.export.engine.cycles import estimate
from pcedge.export.program.lowering import lower
from pcedge.learn import hidden_chow_liu_tree
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.schedule.program import Program
from pcedge.search.compression import CompressConfig, compress, shared_anyhow
from pcedge.search.compression_checkpoint import MAGIC


@pytest.fixture(scope="module")
def circuit() -> Circuit:
    return hidden_chow_liu_tree([-1, 0, 0, 1, 1, 2], [4, 5, 3, 4, 6, 4], 6, 3)


@pytest.fixture(scope="module")
def data(circuit: Circuit) -> Splits:
    records = sample(circuit, 500, 0)
    return Splits(records[:400], records[400:])


def test_a_budget_of_weights_is_kept_after_the_fold(circuit: Circuit, data: Splits) -> None:
    made = compress(circuit, data, CompressConfig("merge,fold", "weights", 50, refit=3))
    assert made.weights == (count_weights(circuit), count_weights(made.circuit))
    assert made.weights[1] <= 50 < made.weights[0]
    assert made.cost == (made.weights[0], made.weights[1])
    # No more than one merge too many: the next larger circuit does not keep it.
    assert made.weights[1] > 35
    assert [step.name for step in made.steps] == ["merge", "fold"]
    assert made.steps[0].refit == 3 and made.steps[1].refit == 0
    assert made.steps[1].bits_after == pytest.approx(made.steps[1].bits_before, abs=1e-12)
    assert made.bits_after == made.steps[-1].bits_refitted


def test_a_budget_of_memory_is_what_the_export_counts(circuit: Circuit, data: Splits) -> None:
    widths = QuantizationConfig(4, 9)
    made = compress(circuit, data, CompressConfig("auto", "kbit", 3.0, refit=2, widths=widths))
    assert [step.name for step in made.steps] == ["fold", "merge", "fold", "share"]
    assert made.cost is not None
    assert made.cost[1] == lower(quantize(made.circuit, widths)).memory_bits()["rom"] / 1000 <= 3.0


def test_a_budget_of_cycles_is_what_the_model_counts(circuit: Circuit, data: Splits) -> None:
    made = compress(circuit, data, CompressConfig("merge,fold", "cycles", 12.0, macs=4, streams=2, refit=0, multiple=2))
    integers = quantize(made.circuit)
    size = EngineSize(4, 2, default_search_bits(integers, 4))
    assert made.cost is not None
    assert made.cost[1] == estimate(Program.of(integers), size, "encode").cycles_per_record / 6 <= 12.0


def test_a_limit_of_loss_is_kept_and_used() -> None:
    digits, records = load_circuit("digits"), load_data("digits").train.reshape(-1, 64)
    splits = Splits(records[:300], records[300:400])
    made = compress(digits, splits, CompressConfig("merge", "loss", 0.01, refit=0))
    assert made.cost is not None and 0 < made.cost[1] <= 0.01
    assert made.weights[1] < made.weights[0]
    more = compress(digits, splits, CompressConfig("merge", "loss", 0.04, refit=0))
    assert made.cost[1] < more.cost[1] <= 0.04  # type: ignore[index]
    assert more.weights[1] < made.weights[1]


def test_states_come_in_multiples(circuit: Circuit, data: Splits) -> None:
    made = compress(circuit, data, CompressConfig("merge", "weights", 80, refit=0, multiple=2))
    products = [layer.shape.units for layer in made.circuit.layers if layer.shape.kind == "product"]
    assert all(units == 1 or units % 2 == 0 for units in products)
    assert made.weights[1] <= 80


def test_the_same_seed_gives_the_same_circuit(circuit: Circuit, data: Splits) -> None:
    config = CompressConfig("grow,merge,fold", "weights", 60, refit=2, seed=4)
    assert equal(compress(circuit, data, config).circuit, compress(circuit, data, config).circuit)


@pytest.mark.parametrize("passes", ["prune:edges", "prune:states,fold", "prune:blocks", "prune:states=0.5"])
def test_pruning_is_a_pass(circuit: Circuit, data: Splits, passes: str) -> None:
    made = compress(circuit, data, CompressConfig(passes, "weights", 90, refit=1))
    assert made.weights[1] <= 90


def test_nested_tables_are_a_pass() -> None:
    circuit = hidden_chow_liu_tree([-1, 0], [8, 8], 3, 0)
    made = compress(circuit, sample(circuit, 200, 0), CompressConfig("nest:2", refit=0)).circuit
    inside = np.concatenate(
        [made.layers[index].table[:, 1:-1] for index in (0, 1) if made.layers[index].shape.kind == "input"]
    )
    shapes = np.unique((inside / inside.sum(axis=1, keepdims=True)).round(9), axis=0)
    assert len(shapes) <= 2


def test_without_data_records_are_drawn_from_the_teacher(circuit: Circuit) -> None:
    made = compress(circuit, None, CompressConfig("merge", "weights", 60, refit=1))
    assert made.drawn and made.records == (10_000, 1_000)
    other = hidden_chow_liu_tree([-1, 0], [2, 2], 2, 0)
    with pytest.raises(UsageError, match="the teacher must have the circuit's variables and symbols, it has others"):
        compress(circuit, None, CompressConfig("merge:2"), teacher=other)


def test_weights_of_records_steer_what_is_merged() -> None:
    digits = load_circuit("digits")
    train = load_data("digits").train.reshape(-1, 64)
    ones = train[:, 4] > 12
    config = CompressConfig("merge", "weights", 2000, refit=0)
    splits = Splits(train, train[ones])
    plain = compress(digits, splits, config)
    kept = compress(digits, splits, config, weights=np.where(ones, 8.0, 1.0))
    assert kept.bits_after < plain.bits_after


def test_weighted_flows_are_weighted_counts(circuit: Circuit, data: Splits) -> None:
    weights = np.tile([1.0, 3.0, 0.5, 1.0], 100)
    flows = Evidence(data.train, data.train, weights).flows(circuit)
    repeated = expected_flows(circuit, np.repeat(data.train, (2 * weights).astype(int), axis=0))
    for one, other in zip(flows, repeated, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_allclose(2 * one, other, rtol=1e-9, atol=1e-9)
    with pytest.raises(UsageError, match="weights must be one for each of 400 train records, got shape"):
        Evidence(data.train, data.train, weights[:3])
    with pytest.raises(UsageError, match="the weights of records must be finite and positive"):
        Evidence(data.train, data.train, 0 * weights)


def test_a_killed_run_goes_on_after_its_last_pass(circuit: Circuit, data: Splits, tmp_path: Path) -> None:
    config, file = CompressConfig("merge,fold,share:9", "weights", 60, refit=2), tmp_path / "c.checkpoint"
    whole = compress(circuit, data, config)
    seen: list[str] = []

    def kill(number: int, total: int, what: str) -> None:
        if what == "share":
            raise KeyboardInterrupt
        seen.append(what)

    with pytest.raises(KeyboardInterrupt):
        compress(circuit, data, config, checkpoint=file, watcher=kill)
    assert seen == ["merge", "refit", "fold"]
    seen.clear()
    again = compress(circuit, data, config, checkpoint=file, watcher=lambda n, t, what: seen.append(what))
    assert seen == ["share"]
    assert equal(again.circuit, whole.circuit)
    assert [replace(step, seconds=0.0) for step in again.steps] == [replace(step, seconds=0.0) for step in whole.steps]
    with pytest.raises(UsageError, match="must be of the same circuit, data, passes, target and settings"):
        compress(circuit, data, replace(config, seed=1), checkpoint=file)
    put: list[Path] = []
    compress(circuit, data, replace(config, seed=1), checkpoint=file, aside=put.append)
    assert put == [tmp_path / "c.checkpoint.old"]
    data_of = bytearray(file.read_bytes())
    data_of[-1] ^= 1
    file.write_bytes(data_of)
    with pytest.raises(FormatError, match="must be the whole checkpoint of a compression, it is not"):
        compress(circuit, data, replace(config, seed=1), checkpoint=file)
    for body in (b"{}\n", b"[1]\n", b"\xff\n", b'{"mark": "x", "steps": [{}]}\n'):
        file.write_bytes(MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
        with pytest.raises(FormatError, match="must hold the state of a compression"):
            compress(circuit, data, config, checkpoint=file)


def test_what_cannot_be_reached_is_said(circuit: Circuit, data: Splits) -> None:
    with pytest.raises(UsageError, match=r"the budget must be at least what this pass reaches, [\d.]+ weights, got 1"):
        compress(circuit, data, CompressConfig("merge", "weights", 1, refit=0))
    with pytest.raises(
        UsageError, match="merge must have a budget or the mean number of states a latent, as in merge:8"
    ):
        compress(circuit, data, CompressConfig("merge"))
    with pytest.raises(UsageError, match=r"prune must have a budget or the share to drop, as in prune:states=0\.5"):
        compress(circuit, data, CompressConfig("prune:states"))
    with pytest.raises(UsageError, match=r"merge:STATES must have a mean number of states of at least 1, got 'x'"):
        compress(circuit, data, CompressConfig("merge:x"))
    with pytest.raises(UsageError, match=r"a pass must be one of merge, fold, .*, or auto alone, got 'melt'"):
        CompressConfig("fold,melt")
    with pytest.raises(UsageError, match=r"a budget must be positive and at most 1e\+15, got -1"):
        CompressConfig("fold", "kbit", -1)
    with pytest.raises(DataError, match="a compression must have at least 2 records"):
        compress(circuit, data.train[:1], CompressConfig("fold"))


def test_a_shared_stand_in_has_as_many_tables(circuit: Circuit) -> None:
    layers = [layer for layer in shared_anyhow(circuit, 3).layers if layer.shape.kind == "input"]
    for symbols in {layer.table.shape[1] for layer in layers}:
        rows = np.concatenate([layer.table for layer in layers if layer.table.shape[1] == symbols])
        assert len(np.unique(rows, axis=0)) == 3


def test_every_pass_says_what_it_is() -> None:
    for name, each in PASSES.items():
        assert each.name == name and each.reduces and each.source
        assert each.keeps in ("distribution", "structure", "neither")
    assert [(each.name, told) for each, told in chain("auto", "kbit")] == [
        ("fold", None),
        ("merge", None),
        ("fold", None),
        ("share", None),
    ]


def test_the_least_steps_are_found() -> None:
    from pcedge.compress.passes import Target

    sizes = [10, 9, 9, 7, 4, 4, 2]
    for value in (10, 8.5, 7, 4, 2):
        found = smallest_step(lambda step: sizes[step], 6, Target("weights", value, float))  # type: ignore[arg-type,return-value]
        assert sizes[found] <= value and (found == 0 or sizes[found - 1] > value)
