"""Refinement by rounded EM: exact integers, shared tables that stay shared, nothing lost, refusals; and the command."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.testing import assert_array_equal

from pcedge.circuit import Circuit, InputLayer, SparseRows, SumLayer, load_circuit, log_likelihood
from pcedge.cli import group
from pcedge.cli.measuring import refinement_in_words
from pcedge.compress import expected_flows, share_leaves
from pcedge.data import load_data
from pcedge.engines import ReferenceEngine
from pcedge.errors import DataError, UsageError
from pcedge.evaluate import statistics
from pcedge.export import read_onnx
from pcedge.integer import IntegerInput, IntegerSum
from pcedge.quantize import QuantizationConfig, RefineConfig, quantize, refine

CONFIG = QuantizationConfig(3, 12, 12)
FEW = RefineConfig(passes=3, gradual=1, holdout=0.1)


@pytest.fixture(scope="module")
def digits():
    splits = load_data("digits")
    return tuple(part.reshape(len(part), -1).astype(np.int64) for part in (splits.train, splits.test))


@pytest.fixture(scope="module")
def circuit() -> Circuit:
    return load_circuit("digits")


@pytest.fixture(scope="module")
def refined(circuit: Circuit, digits) -> Circuit:
    return refine(circuit, digits[0], CONFIG, replace(FEW, passes=6, gradual=3))


def tables(integers) -> np.ndarray:
    return np.concatenate([layer.cumulative for layer in integers.layers if isinstance(layer, IntegerInput)])


def test_what_is_exported_is_what_was_trained(refined: Circuit) -> None:
    integers = quantize(refined, CONFIG)
    for rounding in ("code-length", "largest-remainder"):
        assert quantize(refined, replace(CONFIG, rounding=rounding)).digest == integers.digest
    rows = [np.asarray(layer.weights) for layer in refined.layers if isinstance(layer, SumLayer)]
    made = [layer.weights for layer in integers.layers if isinstance(layer, IntegerSum)]
    for row, values in zip(rows, made, strict=True):
        assert_array_equal(row * 8, values)


def test_loses_less_than_rounding(circuit: Circuit, refined: Circuit, digits) -> None:
    losses = {}
    for name, rounding in (("remainder", "largest-remainder"), ("length", "code-length")):
        integers = quantize(circuit, replace(CONFIG, rounding=rounding))
        losses[name] = statistics(circuit, ReferenceEngine(integers), digits[1]).loss
    losses["refined"] = statistics(circuit, ReferenceEngine(quantize(refined, CONFIG)), digits[1]).loss
    assert losses["refined"] < losses["length"] < 0.8 * losses["remainder"]


def test_says_which_pass_it_keeps(circuit: Circuit, digits) -> None:
    told: list[int] = []
    after: list[float] = []
    refine(
        circuit,
        digits[0][:300],
        CONFIG,
        FEW,
        kept=told.append,
        progress=lambda index, total, before, now: after.append(now),
    )
    full = [index for index, share in enumerate(FEW.shares()) if share == 1.0]
    assert told == [min(full, key=lambda index: after[index - 1])]
    refine(circuit, np.zeros((9, 64), np.int64), CONFIG, FEW, valid=digits[1], kept=told.append)
    assert told[1] == 0


def test_is_deterministic_and_never_worse_than_its_start(circuit: Circuit, digits) -> None:
    train, valid = digits[0][:300], digits[0][300:400]
    once = refine(circuit, train, CONFIG, FEW, valid=valid)
    again = refine(circuit, train, CONFIG, FEW, valid=valid)
    assert quantize(once, CONFIG).digest == quantize(again, CONFIG).digest
    # A hopeless set of train records must not make it worse than rounding alone.
    noise = np.random.default_rng(0).integers(0, 17, (50, 64))
    spoilt = refine(circuit, noise, CONFIG, FEW, valid=valid)
    assert quantize(spoilt, CONFIG).digest == quantize(circuit, CONFIG).digest


def test_shared_tables_stay_shared(circuit: Circuit, digits) -> None:
    flows = expected_flows(circuit, digits[0][:500])
    shared = share_leaves(circuit, flows, tables=40)
    integers = quantize(refine(shared, digits[0][:800], CONFIG, FEW), CONFIG)
    assert len(np.unique(tables(integers), axis=0)) <= 40
    plain = statistics(circuit, ReferenceEngine(quantize(shared, CONFIG)), digits[1]).loss
    assert statistics(circuit, ReferenceEngine(integers), digits[1]).loss <= plain


def test_a_weight_of_its_own_in_single_layers(circuit: Circuit, digits) -> None:
    sums = [index for index, layer in enumerate(circuit.layers) if isinstance(layer, SumLayer)]
    config = QuantizationConfig(6, 12, 16, layer_weight_bits=((sums[0], 2), (sums[3], 4)))
    integers = quantize(refine(circuit, digits[0][:300], config, FEW), config)
    assert (integers.layers[sums[0]].weights % 16 == 0).all()
    assert (integers.layers[sums[3]].weights % 4 == 0).all() and (integers.layers[sums[3]].weights % 8 != 0).any()


def test_sparse_sums_and_bernoulli_leaves() -> None:
    rng = np.random.default_rng(1)
    coins = InputLayer(0, np.array([0.2, 0.7, 0.9]))
    rows = SparseRows(np.array([0, 2, 4]), np.array([0, 1, 1, 2]), np.array([0.31, 0.69, 0.52, 0.48]), 3)
    circuit = Circuit((coins, SumLayer((0,), rows), SumLayer((1,), np.array([[0.41, 0.59]]))))
    fitted = refine(circuit, rng.integers(0, 2, (60, 1)), QuantizationConfig(4), FEW)
    assert fitted.layers[0].kind == "bernoulli"
    assert_array_equal(fitted.layers[1].weights.values * 16 % 1, 0)
    assert np.isfinite(log_likelihood(fitted, [[0], [1]])).all()


def test_refusals(circuit: Circuit, digits) -> None:
    with pytest.raises(UsageError, match=r"^refine must have a circuit of categorical or Bernoulli leaves, it has par"):
        refine(Circuit((InputLayer.geometric(0, [0.5], 4),)), [[1], [2]])
    with pytest.raises(DataError, match=r"^refining must have at least 2 records where none are for valid.*, got 1$"):
        refine(circuit, digits[0][:1], CONFIG)
    with pytest.raises(DataError, match=r"^refining must have at least one record, got none$"):
        refine(circuit, digits[0][:0], CONFIG, valid=digits[1])
    with pytest.raises(UsageError, match=r"^gradual must be below passes, 3, got 3$"):
        RefineConfig(passes=3, gradual=3)
    with pytest.raises(UsageError, match=r"^anchor must be a finite number of at least 0, got -1$"):
        RefineConfig(anchor=-1)
    with pytest.raises(UsageError, match=r"^passes must be an integer of at least 1, got 2\.5$"):
        RefineConfig(passes=2.5)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^anchor must be a finite number of at least 0, got nan$"):
        RefineConfig(anchor=math.nan)
    with pytest.raises(UsageError, match=r"^layer_weight_bits must name a layer once$"):
        QuantizationConfig(8, layer_weight_bits=((2, 4), (2, 5)))
    with pytest.raises(UsageError, match=r"^cycle must be an integer of at least 2, got 1$"):
        RefineConfig(cycle=1)
    with pytest.raises(UsageError, match=r"^holdout must be between 0 and 1, got 1$"):
        RefineConfig(holdout=1)


def test_shares_grow_to_one_and_open_again() -> None:
    assert RefineConfig(passes=4, gradual=2, first_share=0.5).shares() == [0.5, 0.75, 1.0, 1.0, 1.0]
    assert RefineConfig(passes=1, gradual=0).shares() == [1.0, 1.0]
    shares = RefineConfig().shares()
    assert (len(shares), shares[-1], shares[0]) == (41, 1.0, pytest.approx(0.1))
    assert shares[20:24] == [1.0, 0.75, 0.75, 0.75]


def test_opened_rows_find_more(circuit: Circuit, digits) -> None:
    settings = RefineConfig(passes=60, gradual=4, cycle=80)
    closed = refine(circuit, digits[0], CONFIG, settings)
    opened = refine(circuit, digits[0], CONFIG, replace(settings, cycle=4))
    losses = [statistics(circuit, ReferenceEngine(quantize(made, CONFIG)), digits[1]).loss for made in (closed, opened)]
    assert losses[1] < losses[0]


class TestCommand:
    def run(self, *arguments: object):
        return CliRunner().invoke(group, [str(argument) for argument in arguments])

    def test_refines_and_shares(self, tmp_path: Path) -> None:
        out = tmp_path / "m.onnx"
        done = self.run(
            "quantize", "digits", "--data", "digits", "--weight-bits", 3, "--refine", "em", "--passes", 2,
            "--leaf-tables", 50, "--out", out, "--json",
        )  # fmt: skip
        assert done.exit_code == 0, done.output
        result = json.loads(done.stdout)
        integers = read_onnx(out)
        assert integers.weight_bits == 3 and result["digest"] == integers.digest.hex()
        assert len(np.unique(tables(integers), axis=0)) <= 50
        told = result["refinement"]
        assert (told["held_out_records"], told["passes"], told["left_out"]) == (180, 2, False)
        assert told["pass_kept"] in (0, 1, 2) and told["bits_per_record_after"] <= told["bits_per_record_before"]
        assert told["bits_per_record_after"] == result["held_out"]["bits_per_record"]

    def test_what_a_refinement_does_is_said(self, tmp_path: Path) -> None:
        # Train records that have nothing of the data: with a validation split rounding alone is kept.
        splits = load_data("digits")
        noise = np.random.default_rng(0).integers(0, 17, (50, 8, 8)).astype(np.uint8)
        np.savez(tmp_path / "x.npz", train=noise, valid=splits.valid)
        np.save(tmp_path / "x.npy", noise)
        words = "quantize", "digits", "--weight-bits", 4, "--refine", "em", "--passes", 1, "--out", tmp_path / "m.onnx"
        done = self.run(*words, "--data", tmp_path / "x.npz")
        assert done.exit_code == 0, done.output
        found = re.search(
            r"^refinement: (\S+) bits a record before, (\S+) after, rounding alone kept$", done.stdout, re.M
        )
        assert found is not None and found[1] == found[2]
        assert re.search(rf"^held out: 180 records: {found[1]} bits a record by intervals, float", done.stdout, re.M)
        # Held out of train, the noise is what the refinement is told by.
        done = self.run(*words, "--data", tmp_path / "x.npy")
        assert re.search(r"^refinement: \S+ bits a record before, \S+ after, pass 1 of 1 kept$", done.stdout, re.M)

    def test_a_loss_on_held_out_records_is_warned_of(self, capsys: pytest.CaptureFixture[str]) -> None:
        found = {"bits_per_record_before": 8.0, "bits_per_record_after": 9.0, "pass_kept": 3, "passes": 4}
        text = refinement_in_words(found | {"left_out": False})
        assert text == "refinement: 8.0000 bits a record before, 9.0000 after, pass 3 of 4 kept"
        warned = "--refine made the held-out records longer, 9.0000 bits a record after 8.0000"
        assert capsys.readouterr().err == f"pcedge: warning: {warned}\n"

    def test_missing_symbols_are_measured_by_likelihood(self, tmp_path: Path) -> None:
        x = load_data("digits").train[:100].astype(np.int16)
        x[::2, 0, 0] = -1
        np.save(tmp_path / "x.npy", x)
        done = self.run(
            "quantize", "digits", "--data", tmp_path / "x.npy", "--missing", -1, "--refine", "em", "--passes", 1,
            "--out", tmp_path / "m.onnx", "--json",
        )  # fmt: skip
        found = json.loads(done.stdout)["held_out"]
        assert (found["code"], found["records"]) == ("likelihood", 10)

    def test_the_device_is_tried_before_the_work(self, tmp_path: Path) -> None:
        done = self.run(
            "quantize", "digits", "--data", "digits", "--refine", "em", "--device", "blah", "--out", tmp_path / "m.onnx"
        )
        assert done.exit_code == 2 and done.stderr.startswith("pcedge: device must be cpu or a torch device that works")

    def test_rounding(self, tmp_path: Path) -> None:
        digests = set()
        for more in ((), ("--rounding", "largest-remainder")):
            out = tmp_path / f"{len(digests)}.onnx"
            assert self.run("quantize", "digits", "--weight-bits", 4, *more, "--out", out).exit_code == 0
            digests.add(read_onnx(out).digest)
        assert len(digests) == 2

    @pytest.mark.parametrize(
        "more, text",
        [
            (("--refine", "em"), "--refine, --leaf-tables, --row-table and --missing must come with --data"),
            (("--leaf-tables", 4), "--refine, --leaf-tables, --row-table and --missing must come with --data"),
            (("--data", "digits", "--passes", 4), "--passes must come with --refine"),
            (("--rounding", "up"), "'up' is not one of 'code-length', 'largest-remainder'"),
        ],
    )
    def test_wrong_usage(self, tmp_path: Path, more: tuple[object, ...], text: str) -> None:
        done = self.run("quantize", "digits", *more, "--out", tmp_path / "m.onnx")
        assert done.exit_code == 2 and text in done.output + done.stderr
        assert not (tmp_path / "m.onnx").exists()


def test_code_length_follows_the_flows() -> None:
    circuit = Circuit((InputLayer(0, np.array([0.1, 0.9])), SumLayer((0,), np.array([[0.5, 0.5]]))))
    made = quantize(circuit, QuantizationConfig(4), flows=[np.ones((2, 2)), np.array([[3e7, 1e7]])])
    assert made.layers[1].weights.tolist() == [[12, 4]]
    with pytest.raises(UsageError, match=r"^the flows of layer 1 must have shape \(1, 2\), got \(2,\)$"):
        quantize(circuit, flows=[np.ones((2, 2)), np.ones(2)])
    with pytest.raises(UsageError, match=r"^flows must have an entry for each of 2 layers, got 1$"):
        quantize(circuit, flows=[np.ones((2, 2))])
    assert math.isfinite(statistics(circuit, ReferenceEngine(made), [[0], [1]]).loss)
