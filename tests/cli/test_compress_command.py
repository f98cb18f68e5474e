"""`pcedge compress` as scripts see it: fixed options, JSON keys, errors, what a stop leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.commands import as_json, run

from pcedge.circuit import load_circuit, log_likelihood, sample, save_circuit
from pcedge.circuit.layers import Circuit
from pcedge.compress import PASSES
from pcedge.data.axis import Axis
from pcedge.data.value_grid import ValueGrid
from pcedge.learn import hidden_chow_liu_tree


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    circuit = hidden_chow_liu_tree([-1, 0, 0, 1, 1], [4, 5, 3, 4, 6], 6, 3)
    save_circuit(circuit, folder / "c.pcedge")
    axes = tuple(Axis(name, place, "integers", count=size) for place, (name, size) in
                 enumerate(zip("abcde", circuit.cardinalities, strict=True)))  # fmt: skip
    save_circuit(Circuit(circuit.layers, grid=ValueGrid(axes)), folder / "g.pcedge")
    records = sample(circuit, 300, 0)
    np.save(folder / "x.npy", records)
    np.save(folder / "y.npy", (records[:, 0] > 1).astype(np.int64))
    return folder


def test_the_fixed_options_and_keys(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.pcedge"
    result = as_json(
        "compress", files / "c.pcedge", "--data", files / "x.npy", "--passes", "merge,fold", "--budget-weights", 60,
        "--refit", 2, "--seed", 0, "--out", out,
    )  # fmt: skip
    assert result["budget"] == {
        "unit": "weights", "value": 60, "before": result["weights_before"], "after": result["weights_after"],
        "kept": True,
    }  # fmt: skip
    assert [row["pass"] for row in result["passes"]] == ["merge", "fold"]
    assert set(result["passes"][0]) == {
        "pass", "argument", "keeps", "weights_before", "weights_after", "cost_before", "cost_after", "predicted_loss",
        "bits_before", "bits_after", "bits_refitted", "refit", "seconds", "trace",
    }  # fmt: skip
    assert result["out"] == str(out) and result["records"] == {"train": 270, "valid": 30, "drawn": False}
    made = load_circuit(out)
    assert made.parameters == result["parameters_after"]
    assert not list(tmp_path.glob("*.checkpoint"))


@pytest.mark.parametrize(
    "words", [["--budget-kbit", 2.5], ["--budget-cycles", 14, "--macs", 4, "--streams", 2], ["--max-loss", 0.05]]
)
def test_every_budget_can_be_named(files: Path, tmp_path: Path, words: list[object]) -> None:
    result = as_json(
        "compress", files / "c.pcedge", "--data", files / "x.npy", *words, "--refit", 1, "--out", tmp_path / "p"
    )
    assert result["budget"]["kept"] is True
    assert result["weights_after"] < result["weights_before"]


def test_without_data_records_are_drawn(files: Path, tmp_path: Path) -> None:
    result = as_json(
        "compress", files / "c.pcedge", "--budget-weights", 60, "--refit", 0, "--out", tmp_path / "p.pcedge"
    )
    assert result["records"]["drawn"] is True
    text = run(
        "compress", files / "c.pcedge", "--budget-weights", 60, "--refit", 0, "--out", tmp_path / "p.pcedge"
    ).output
    assert "60 allowed" in text and "records were drawn from the circuit" in text


@pytest.mark.parametrize(("circuit", "named"), [("c.pcedge", "0,3"), ("g.pcedge", "a,d")])
def test_a_marginal_takes_its_columns_of_the_data(files: Path, tmp_path: Path, circuit: str, named: str) -> None:
    out = tmp_path / "m.pcedge"
    result = as_json("compress", files / circuit, "--data", files / "x.npy", "--marginal", named, "--passes", "fold",
                     "--out", out)  # fmt: skip
    assert result["variables"] == 2
    whole, part = load_circuit(files / circuit), load_circuit(out)
    records = np.load(files / "x.npy")[:5]
    partial = np.full_like(records, -1)
    partial[:, [0, 3]] = records[:, [0, 3]]
    np.testing.assert_allclose(
        log_likelihood(part, records[:, [0, 3]]), log_likelihood(whole, partial), rtol=0, atol=1e-12
    )


def test_protected_records_count_more(files: Path, tmp_path: Path) -> None:
    words = ["compress", files / "c.pcedge", "--data", files / "x.npy", "--passes", "merge", "--budget-weights", 60,
             "--refit", 0, "--out", tmp_path / "p.pcedge"]  # fmt: skip
    as_json(*words, "--protect", f"{files / 'y.npy'}:1=4")
    protected = load_circuit(tmp_path / "p.pcedge")
    as_json(*words)
    plain = load_circuit(tmp_path / "p.pcedge")
    records = np.load(files / "x.npy")[np.load(files / "y.npy") == 1]
    assert log_likelihood(protected, records).mean() > log_likelihood(plain, records).mean()


def test_the_list_says_what_each_pass_does() -> None:
    result = as_json("compress", "--list")
    assert set(result["passes"]) == set(PASSES)
    assert set(result["passes"]["merge"]) == {"keeps", "needs", "reduces", "argument", "source"}
    assert result["auto"] == {"kbit": "fold,merge,fold,share", "other": "fold,merge,fold", "none": "fold"}
    text = run("compress", "--list").output
    assert all(name in text for name in PASSES)


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["--budget-weights", 60, "--max-loss", 0.1], 2, "one budget must be given, got --budget-weights and"),
        (["--passes", "melt"], 2, "a pass must be one of merge, fold,"),
        (["--passes", "merge"], 2, "merge must have a budget or the mean number of states a latent, as in merge:8"),
        (["--budget-weights", 1], 2, "the budget must be at least what this pass reaches"),
        (["--budget-weights", 60, "--macs", 4], 2, "--macs must come with --budget-kbit or --budget-cycles"),
        (["--budget-weights", 60, "--weight-bits", 4], 2, "--weight-bits must come with --budget-kbit or"),
        (["--budget-weights", 60, "--protect", "y.npy"], 2, "--protect must read LABELS.npy:LABEL=WEIGHT"),
        (["--passes", "fold", "--marginal", "9"], 2, "the variables of a marginal must be in 0..4"),
        (["--passes", "fold", "--marginal", "x"], 2, "--marginal must name variables by their numbers, got 'x'"),
        (["--passes", "fold", "--teacher", "digits"], 2, "--teacher must come without --data"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(files: Path, tmp_path: Path, words: list[object], status: int, text: str) -> None:
    out = tmp_path / "p.pcedge"
    result = run("compress", files / "c.pcedge", "--data", files / "x.npy", *words, "--out", out)
    assert result.exit_code == status
    assert text in result.output
    assert not out.exists()


def test_a_wrong_label_is_named(files: Path, tmp_path: Path) -> None:
    words = ["compress", files / "c.pcedge", "--data", files / "x.npy", "--passes", "merge:3", "--out", tmp_path / "p"]
    result = run(*words, "--protect", f"{files / 'y.npy'}:7=4")
    assert "a protected class must have records, got class 7 for labels 0, 1" in result.output
    np.save(tmp_path / "short.npy", np.zeros(3, dtype=np.int64))
    result = run(*words, "--protect", f"{tmp_path / 'short.npy'}:0=4")
    assert "must be one for each of 300 train records, got shape (3, 1)" in result.output
    assert "CIRCUIT must be given, or --list" in run("compress").output


@pytest.mark.parametrize(
    ("passes", "text"),
    [
        ("merge,share:abc", "share must say how many tables, 1 to 65536, as in share:64, got share:abc"),
        ("merge,nest:0", "nest must say how many masters, 1 to 65536, as in nest:64, got nest:0"),
        ("merge,nest", "nest must say how many masters, as in nest:48"),
        ("fold:all", "fold must stand alone or as fold:silent, got fold:all"),
        ("prune:junk", "prune must be told one of edges, states, blocks, got prune:junk"),
        ("prune:states=2", "must be followed by the share to drop, at least 0 and below 1, got '2'"),
        ("grow:99999999999999", "grow must say how many units a unit becomes, 1 to 65536"),
        ("sparsify:tiles", "sparsify:WHAT must be states or edges, or a number of records of at least 0, got 'tiles'"),
    ],
)
def test_what_a_pass_is_told_is_checked_before_the_first(files: Path, tmp_path: Path, passes: str, text: str) -> None:
    words = ["--data", files / "x.npy", "--passes", passes, "--budget-weights", 10**9, "--out", tmp_path / "p.pcedge"]
    result = run("compress", files / "c.pcedge", *words)
    assert result.exit_code == 2
    assert text in result.output
    assert "pass 1" not in result.output


def test_a_budget_that_is_not_kept_exits_with_1(files: Path, tmp_path: Path) -> None:
    words = ["compress", files / "c.pcedge", "--data", files / "x.npy", "--passes", "merge:5", "--refit", 0,
             "--budget-weights", 20, "--out", tmp_path / "p.pcedge"]  # fmt: skip
    result = as_json(*words, status=1)
    assert result["budget"]["kept"] is False and result["budget"]["after"] > 20
    assert (tmp_path / "p.pcedge").exists()
    assert "weights is not kept, it is" in run(*words).output


def test_a_refit_never_ends_worse_than_it_began(files: Path, tmp_path: Path) -> None:
    result = as_json("compress", files / "c.pcedge", "--data", files / "x.npy", "--passes", "merge", "--budget-weights",
                     10**6, "--refit", 40, "--out", tmp_path / "p.pcedge")  # fmt: skip
    step = result["passes"][0]
    assert step["bits_refitted"] <= step["bits_after"]
    loss = as_json("compress", files / "c.pcedge", "--data", files / "x.npy", "--passes", "merge", "--max-loss", 0.01,
                   "--refit", 3, "--out", tmp_path / "p.pcedge")  # fmt: skip
    assert loss["budget"]["before"] == 0
    assert loss["budget"]["after"] == loss["bits_per_variable_after"] - loss["bits_per_variable_before"] <= 0.01


def test_a_budget_of_memory_is_that_of_the_engine_named(files: Path, tmp_path: Path) -> None:
    words = ["compress", files / "c.pcedge", "--data", files / "x.npy", "--passes", "fold", "--refit", 0,
             "--budget-kbit", 100, "--out", tmp_path / "p.pcedge"]  # fmt: skip
    made = as_json(*words, "--macs", 16, "--streams", 4)["budget"]["after"]
    assert run("quantize", tmp_path / "p.pcedge", "--out", tmp_path / "m.onnx").exit_code == 0
    told = as_json("estimate", tmp_path / "m.onnx", "--macs", 16, "--streams", 4)
    assert told["memory_bits"]["rom"] / 1000 == made > as_json(*words)["budget"]["after"]
