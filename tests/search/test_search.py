"""The search under a budget: kept exactly, the same for any number of workers, resumable, better than one width."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.nightly import NIGHTLY, WAITS
from strategies import make_circuit

from pcedge.circuit import Circuit, InputLayer, SumLayer, load_circuit, sample, save_circuit
from pcedge.circuit.inference import log_likelihood
from pcedge.circuit.rows import SparseRows
from pcedge.cli import group
from pcedge.data import load_data
from pcedge.engines import ReferenceEngine
from pcedge.errors import DataError, FormatError, UsageError
from pcedge.export import read_onnx
from pcedge.export.program.lowering import lower
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.quantize.calibration import calibration_flows
from pcedge.quantize.post_training import aligned_layers
from pcedge.search.candidates import Candidate, Choices
from pcedge.search.checkpoint import checksum_of, read_rounds
from pcedge.search.choosing import Limits, mutated, spent
from pcedge.search.costs import multiplier_bits
from pcedge.search.search import Budget, SearchConfig, search
from pcedge.search.sensitivity import layer_losses

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
    lo, hi = ReferenceEngine(integers).intervals(records)
    return float(-np.log2(hi - lo).mean())


def test_keeps_the_budget_as_it_is_exported(found) -> None:
    assert found.memory_bits == lower(found.integers).memory_bits()
    assert 0.9 * 140_000 < found.memory_bits["rom"] <= 140_000
    assert len(found.history) == 3 and list(found.history) == sorted(found.history, reverse=True)
    # The circuit and the widths that it names give the same integers.
    assert quantize(found.circuit, found.config, order=found.integers.order).digest == found.integers.digest


@WAITS
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


@pytest.mark.parametrize("sparse", [False, True])
def test_losses_of_layers_alone_are_exact(circuit: Circuit, records: np.ndarray, sparse: bool) -> None:
    layers = list(circuit.layers)
    for index, layer in enumerate(layers):
        if sparse and isinstance(layer, SumLayer):
            layers[index] = replace(layer, weights=SparseRows.from_dense(np.asarray(layer.weights)))
    circuit, few = replace(circuit, layers=tuple(layers)), records[:40]
    rng = np.random.default_rng(3)
    sums = [index for index, layer in enumerate(layers) if isinstance(layer, SumLayer)]

    def values(layer) -> np.ndarray:
        return layer.weights.values if sparse else layer.weights

    def shuffled(layer):
        """Give other rows on the same columns."""
        rows = np.asarray(layer.weights.toarray() if sparse else layer.weights)
        rows = rows * rng.uniform(0.1, 2, rows.shape)
        rows /= rows.sum(axis=1, keepdims=True)
        return replace(layer, weights=SparseRows.from_dense(rows) if sparse else rows)

    changed = {index: shuffled(layers[index]) for index in sums}
    found = layer_losses(circuit, few, [[values(layer)] for layer in changed.values()])
    assert found.shape == (1, len(sums)) and (found >= 0).all()
    before = log_likelihood(circuit, few)
    for place in (0, len(sums) // 2, len(sums) - 1):
        other = [*layers]
        other[sums[place]] = changed[sums[place]]
        x = np.exp(log_likelihood(replace(circuit, layers=tuple(other)), few) - before) - 1
        assert found[0, place] == pytest.approx((x / np.log(2) - np.log2(1 + x)).mean(), rel=1e-6, abs=1e-9)
    assert found.max() > 1e-3


def test_memory_is_counted_as_it_is_exported(circuit: Circuit, records: np.ndarray) -> None:
    base = replace(circuit, layers=aligned_layers(circuit.layers, quantize(circuit).order))
    flows = calibration_flows(base, records)
    choices = Choices.of(base, flows, records, QuantizationConfig(), None, 0)
    budget = 136_800
    dice, limits = np.random.default_rng(5), Limits(budget, None)
    for tables, leaf in ((32, 9), (None, 8), (64, 12)):
        bits = tuple(int(b) for b in dice.integers(2, 9, len(choices.sums)))
        candidate = Candidate(bits, leaf, 16, tables)
        assert choices.memory_bits(candidate) == lower(choices.integers(candidate)).memory_bits()["rom"]
    start = Candidate((3,) * len(choices.sums), 9, 16, 48)
    left = budget - choices.memory_bits(start)
    assert left > 0
    for child in [spent(choices, start, limits), *(mutated(choices, start, limits, dice) for _ in range(8))]:
        assert choices.memory_bits(child) <= budget
    assert budget - choices.memory_bits(spent(choices, start, limits)) < min(left, 1_000)


def test_workers_and_interruptions_change_nothing(tmp_path: Path) -> None:
    circuit, budget = make_circuit(3, 8, 4, 6, "hidden"), Budget(memory_bits=11_300)
    records = sample(circuit, 60, seed=1)
    found = search(circuit, records, budget, settings=QUICK)
    parallel = search(circuit, records, budget, settings=replace(QUICK, workers=2))
    assert parallel.candidate == found.candidate and parallel.history == found.history
    kept = tmp_path / "s.json"

    def stop(generation: int, total: int, bits: float) -> None:
        if generation == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(circuit, records, budget, settings=QUICK, checkpoint=kept, progress=stop)
    seen: list[int] = []
    resumed = search(
        circuit,
        records,
        budget,
        settings=QUICK,
        checkpoint=kept,
        progress=lambda generation, *_: seen.append(generation),
    )
    assert seen == [1, 2]
    assert resumed.candidate == found.candidate and resumed.history == found.history
    with pytest.raises(UsageError, match=r"must be of the same circuit, data, budget, widths and settings$"):
        search(circuit, records, Budget(memory_bits=11_400), settings=QUICK, checkpoint=kept)
    kept.write_text('{"version": 1}')
    with pytest.raises(FormatError, match=r"^checkpoint: .* must hold the state of a search \(KeyError\('search'\)\)$"):
        search(circuit, records, budget, settings=QUICK, checkpoint=kept)


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
    held = 180
    assert result["search"] == {
        "generations": 0, "resumed_at": None, "held_out_records": held, "compared_records": held,
    }  # fmt: skip
    records = load_data("digits").valid.reshape(held, -1)
    source, engine = load_circuit("digits"), ReferenceEngine(read_onnx(tmp_path / "m.onnx"))
    expected = {"bits_per_record": 64 * bits(engine.circuit, records) + 64 * 24}
    expected["float_bits_per_record"] = -log_likelihood(source, records).mean() / np.log(2)
    assert {name: result["held_out"][name] for name in expected} == pytest.approx(expected)
    assert (result["held_out"]["records"], result["held_out"]["impossible"]) == (held, 0)
    for more, text in (
        (("--budget-kbit", 100), "a budget must come with --data, the records that the search measures"),
        (("--data", "digits"), "--data must come with --refine, --leaf-tables, --row-table or a budget"),
        (("--checkpoint", "s.json"), "--checkpoint must come with a budget"),
        (("--generations", 10), "--generations must come with a budget"),
        (("--workers", 1), "--workers must come with a budget"),
    ):
        done = run(*more)
        assert done.exit_code == 2 and text in done.output + done.stderr


def test_the_command_says_how_far_it_is_and_where_it_goes_on(tmp_path: Path) -> None:
    def run(generations: int, *more: str):
        words = ["quantize", "digits", "--data", "digits", "--budget-kbit", "120", "--leaf-tables", "64"]
        words += ["--generations", str(generations), "--checkpoint", str(tmp_path / "c.json")]
        done = CliRunner().invoke(group, [*words, *more, "--out", str(tmp_path / "m.onnx")])
        assert done.exit_code == 0, done.output
        return done

    first = run(1)
    assert re.search(r"^generation 0 of 1, best \d+\.\d\d bits a record …$", first.stderr, re.M)
    assert re.search(r"^generation 1 of 1, best \d+\.\d\d bits a record …$", first.stderr, re.M)
    assert "going on" not in first.stderr
    assert "\nsearch: 1 generations, candidates compared on 180 of 180 held-out records\n" in first.stdout
    assert re.search(r"^chosen: sum layers: \d+ of 2 bits, .*; leaf bits \d+; state bits 16; ", first.stdout, re.M)
    second = run(2, "--json")
    assert f"going on from generation 1 of {tmp_path / 'c.json'} …" in second.stderr
    assert json.loads(second.stdout)["search"]["resumed_at"] == 1


def test_impossible_held_out_records_are_warned_of(tmp_path: Path) -> None:
    # The second child is needed for the symbol 3, and its weight rounds to 0.
    leaves = InputLayer(0, np.array([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]))
    save_circuit(Circuit((leaves, SumLayer((0,), np.array([[1 - 1e-6, 1e-6]])))), tmp_path / "c.pcedge")
    np.savez(tmp_path / "x.npz", train=np.zeros((9, 1), np.uint8), valid=np.array([[0], [3], [1]], np.uint8))
    words = ["quantize", str(tmp_path / "c.pcedge"), "--data", str(tmp_path / "x.npz"), "--budget-kbit", "5"]
    words += ["--generations", "0", "--out", str(tmp_path / "m.onnx")]
    done = CliRunner().invoke(group, words)
    assert done.exit_code == 0, done.output
    assert "; impossible: 0, to the float circuit 0" in done.stdout
    done = CliRunner().invoke(group, [*words, "--no-tails"])
    assert done.exit_code == 0, done.output
    assert "pcedge: warning: 1 of 3 held-out records are impossible to the integers (likelihood 0), 0 to" in done.stderr
    assert re.search(
        r"^held out: 3 records: .* by intervals, .*; impossible: 1, to the float circuit 0$", done.stdout, re.M
    )


def test_a_changed_checkpoint_is_refused(tmp_path: Path) -> None:
    # A single number that would still be a candidate, and texts that no reader may fail on.
    run = CliRunner()
    path, out = tmp_path / "c.json", tmp_path / "m.onnx"
    circuit = make_circuit(7, 4, 2, 6, "hidden")
    save_circuit(circuit, tmp_path / "small.pcedge")
    x = sample(circuit, 40, seed=1).astype(np.uint8)
    np.savez(tmp_path / "x.npz", train=x, valid=x)
    arguments = ["quantize", str(tmp_path / "small.pcedge"), "--data", str(tmp_path / "x.npz"), "--budget-kbit", "3"]
    arguments += ["--generations", "0", "--checkpoint", str(path), "--out", str(out)]
    path.write_text("[" * 200_000)
    done = run.invoke(group, arguments)
    assert done.exit_code == 1 and "must hold the state of a search" in done.output + done.stderr
    path.write_text(json.dumps({"version": 4, "search": "", "rounds": [], "checksum": ""}))
    done = run.invoke(group, arguments)
    assert done.exit_code == 1 and "its checksum is wrong" in done.output + done.stderr
    np.save(tmp_path / "x.npy", np.full(20_000, 255, dtype=np.uint8))
    done = run.invoke(group, [str(tmp_path / "x.npy") if word == str(path) else word for word in arguments])
    assert done.exit_code == 1 and len(done.stderr.splitlines()[-1]) < 500
    assert "x.npy must hold the state of a search, it is no text: byte 0 is no UTF-8" in done.stderr
    assert not out.exists()


def test_every_flipped_bit_of_a_checkpoint_is_refused(tmp_path: Path) -> None:
    circuit = make_circuit(7, 4, 2, 6, "hidden")
    records = sample(circuit, 40, seed=1)
    path, budget = tmp_path / "s.json", Budget(memory_bits=3_000)
    expected = search(circuit, records, budget, settings=replace(QUICK, generations=3))
    search(circuit, records, budget, settings=replace(QUICK, generations=1), checkpoint=path)
    whole = path.read_bytes()
    mark = json.loads(whole)["search"]
    assert len(read_rounds(path, mark)) == 2
    places = np.random.default_rng(0).permutation(8 * len(whole))
    assert len(places) > 500
    for place in places if NIGHTLY else places[:1000]:
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(FormatError, match=r"^checkpoint: .* must hold the state of a search"):
            read_rounds(path, mark)
    # Another way to write the same state is none that a search writes.
    for damaged in (whole + b" ", whole.replace(b", ", b",")):
        path.write_bytes(damaged)
        with pytest.raises(FormatError, match="its checksum is wrong"):
            read_rounds(path, mark)
    path.write_bytes(whole)
    resumed = search(circuit, records, budget, settings=replace(QUICK, generations=3), checkpoint=path)
    assert (resumed.candidate, resumed.history) == (expected.candidate, expected.history)
    # With a right checksum, so that it is the values that are looked at.
    state = json.loads(whole)
    first, second = state["rounds"]
    for change in (
        {"version": 3}, {"rounds": []}, {"rounds": 3}, {"rounds": [second]}, {"rounds": [first, first]},
        {"rounds": [first | {"many": []}]}, {"rounds": [first | {"many": ["1.5"]}]},
        {"rounds": [first | {"many": [None]}]}, {"rounds": [first | {"many": [float("nan")]}]},
        {"rounds": [first | {"candidates": 3}]}, {"rounds": [first | {"more": 3}]},
        {"rounds": [first, second | {"many": second["few"] * 2}]}, {"rounds": [first, second | {"few": 1.5}]},
    ):  # fmt: skip
        changed = {name: value for name, value in (state | change).items() if name != "checksum"}
        path.write_text(json.dumps({**changed, "checksum": checksum_of(changed)}))
        with pytest.raises(FormatError, match=r"^checkpoint: .* must hold the state of a search"):
            read_rounds(path, mark)


@pytest.mark.parametrize(
    "more, text",
    [
        (("--budget-kbit", "nan"), "--budget-kbit must be a finite number, got nan"),
        (
            ("--budget-kbit", "100", "--checkpoint", "none/c.json"),
            "the folder of --checkpoint must exist, none does not",
        ),
        (("--refine", "em", "--device", "meta"), "device must be cpu or a torch device that works here, got 'meta'"),
    ],
)
def test_wrong_usage(more: tuple[str, ...], text: str, tmp_path: Path) -> None:
    arguments = ["quantize", "digits", "--data", "digits", *more, "--out", str(tmp_path / "m.onnx")]
    done = CliRunner().invoke(group, arguments)
    assert done.exit_code == 2 and text in done.output + done.stderr
