"""Evaluation beyond the average: its figures against brute force, its command, and what it refuses."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.commands import as_json, run
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from strategies import CircuitMaker, make_circuit

from pcedge.arithmetic import log_of
from pcedge.circuit import MISSING, Circuit, InputLayer, ProductLayer, SumLayer, log_likelihood, sample, save_circuit
from pcedge.codec import encode
from pcedge.data import load_labels, make_symbolizer
from pcedge.engines import ReferenceEngine
from pcedge.errors import DataError, UsageError
from pcedge.evaluate import evaluate, statistics
from pcedge.evaluate.evaluation import QUANTILES, Distribution
from pcedge.evaluate.queries import Answers, compared, conditional_queries, marginal_queries, query_errors
from pcedge.evaluate.roc import auroc, roc
from pcedge.export import write_onnx
from pcedge.quantize import QuantizationConfig, quantize

CIRCUIT = make_circuit(7, 6, 3, 4, "hidden")
ENGINE = ReferenceEngine(quantize(CIRCUIT, QuantizationConfig(4, 8, 8)))


def log2_float(circuit: Circuit, records: Any) -> Any:
    return log_likelihood(circuit, records) / np.log(2)


def unstructured() -> Circuit:
    """Make a circuit whose root mixes two partitions, so that only the numpy reference codes with it."""
    maker = CircuitMaker(3, 4, 2, 3, "random", 0.0)
    names = [0, 1, 2, 3]
    return maker.finish(maker.region(names, [[0], [1, 2, 3]]) + maker.region(names, [[0, 1], [2, 3]]))


def narrow(*chances: float) -> Circuit:
    """Make a circuit of binary variables whose symbol 1 has the given chances."""
    leaves = tuple(InputLayer(v, np.array([[1 - p, p]])) for v, p in enumerate(chances))
    if len(leaves) == 1:
        return Circuit(leaves)
    children = tuple(range(len(leaves)))
    return Circuit((*leaves, ProductLayer(children, np.zeros((1, len(leaves)), dtype=np.int64)),
                    SumLayer((len(leaves),), np.ones((1, 1)))))  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a small float circuit, its integer circuit, data, labels and other data."""
    folder = tmp_path_factory.mktemp("files")
    save_circuit(CIRCUIT, folder / "c.pcedge")
    write_onnx(ENGINE.circuit, folder / "m.onnx")
    x = sample(CIRCUIT, 60, seed=1)
    np.save(folder / "x.npy", x.astype(np.uint8).reshape(60, 2, 3))
    np.save(folder / "y.npy", x[:, 0])
    np.save(folder / "z.npy", np.random.default_rng(0).integers(0, CIRCUIT.cardinalities, (40, 6)))
    return folder


# AUROC


@given(
    st.lists(st.sampled_from((-np.inf, -2.0, -1.0, 0.5, 3.0, np.inf)), min_size=1, max_size=12),
    st.lists(st.sampled_from((-np.inf, -2.0, -1.0, 0.5, 3.0, np.inf)), min_size=1, max_size=12),
)
def test_auroc_counts_pairs(inliers: list[float], outliers: list[float]) -> None:
    pairs = list(itertools.product(inliers, outliers))
    halves = sum(2 * (mine > other) + (mine == other) for mine, other in pairs)
    assert auroc(inliers, outliers) == halves / (2 * len(pairs))
    # The trapezoids under the curve are the same area.
    x, y = roc(np.array(inliers), np.array(outliers))
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2) == pytest.approx(halves / (2 * len(pairs)))


@pytest.mark.parametrize("scores", [[], [1.0, np.nan]])
def test_auroc_needs_numbers(scores: list[float]) -> None:
    with pytest.raises(DataError, match="scores must be at least one number and no NaN"):
        auroc([1.0], scores)


def test_impossible_data_and_impossible_others_are_ties() -> None:
    # The integers' tables of 2^8 have no room for 2^-12: they call every record that starts with 1 impossible.
    circuit = narrow(2.0**-12, 0.5)
    engine = ReferenceEngine(quantize(circuit, QuantizationConfig(8, 8, 8, tails=False)))
    found = evaluate(circuit, engine, [[1, 0], [0, 0]], ood=[[1, 1]], queries=0).as_dict()
    assert (found["impossible"], found["ood"]["impossible"], found["float_impossible"]) == (1, 1, 0)
    assert found["ood"]["auroc"] == {"float": 0.75, "likelihood": 0.75, "intervals": 0.75}
    assert found["ood"]["bits_per_record"]["likelihood"] is None
    assert found["floor_symbols"] == 1
    assert found["worst"]["record"] == 0 and found["worst"]["likelihood_bits"] is None


# Records and classes


@pytest.mark.parametrize(("circuit", "seed"), [(CIRCUIT, 1), (unstructured(), 2), (narrow(0.3), 3)])
def test_bits_and_quantiles_of_the_loss(circuit: Circuit, seed: int) -> None:
    engine = ReferenceEngine(quantize(circuit, QuantizationConfig(3, 8, 8)))
    x = sample(circuit, 70, seed=seed)
    found = evaluate(circuit, engine, x, queries=0, lanes=8)
    lo, hi = engine.intervals(x)
    floats = -log2_float(circuit, x)
    loss = np.array([sum(engine.circuit.scale_bits - np.log2(b - a)) for a, b in zip(lo, hi, strict=True)]) - floats
    integers = -log_of(*engine.likelihood(x)) / np.log(2)
    result = found.as_dict()
    assert result["bits_per_record"]["float"] == pytest.approx(floats.mean())
    assert result["bits_per_record"]["likelihood"] == pytest.approx(integers[np.isfinite(integers)].mean())
    assert result["bits_per_record"]["intervals"] == pytest.approx((loss + floats).mean())
    packed = encode(engine, x, 8)
    assert (result["file"]["bytes"], result["file"]["lanes"]) == (len(packed), 8)
    assert result["bits_per_record"]["file"] == 8 * len(packed) / 70
    assert result["bits_per_variable"]["intervals"] == result["bits_per_record"]["intervals"] / x.shape[1]
    assert list(result["loss"]["quantiles"]) == ["min", "1", "5", "25", "50", "75", "95", "99", "99.9", "max"]
    for name in QUANTILES:
        # Linear interpolation between the two records beside the place, written out.
        place = {"min": 0.0, "max": 100.0}.get(name, float(name) if name[0].isdigit() else 0.0) / 100 * 69
        low, high = np.sort(loss)[[int(np.floor(place)), int(np.ceil(place))]]
        assert result["loss"]["quantiles"][name] == pytest.approx(low + (place - int(place)) * (high - low), abs=1e-9)
    assert result["loss"]["mean"] == pytest.approx(loss.mean(), abs=1e-9)
    assert result["loss"]["standard_deviation"] == pytest.approx(np.sqrt(((loss - loss.mean()) ** 2).mean()))
    assert result["worst"]["loss"] == pytest.approx(loss.max())
    # A record may come twice: its first place is told.
    assert result["worst"]["record"] == int(np.flatnonzero((x == x[int(loss.argmax())]).all(axis=1))[0])
    both = np.isfinite(integers)
    assert result["likelihood_loss"]["records"] == both.sum()
    assert result["likelihood_loss"]["mean"] == pytest.approx((integers - floats)[both].mean())
    assert result["loss_per_variable"] == pytest.approx(loss.mean() / x.shape[1], abs=1e-9)
    assert result["above_1_percent"] == int((loss > 0.01 * floats).sum())
    assert result["floor_symbols"] == int((hi - lo == engine.circuit.floor).sum())
    means = statistics(circuit, engine, x)
    assert means.interval_bits == pytest.approx(result["bits_per_variable"]["intervals"])
    assert means.float_bits == pytest.approx(result["bits_per_variable"]["float"])
    assert means.impossible == result["impossible"] == int(np.isinf(integers).sum())


def test_classes_are_the_parts_of_the_whole() -> None:
    x = sample(CIRCUIT, 200, seed=4)
    labels = np.array([-3, 70_000, 5])[np.arange(200) % 3]
    found = evaluate(CIRCUIT, ENGINE, x, labels=labels, queries=0)
    classes = found.as_dict()["classes"]
    assert [one["label"] for one in classes] == [-3, 5, 70_000]
    for one in classes:
        part = evaluate(CIRCUIT, ENGINE, x[labels == one["label"]], queries=0).as_dict()
        assert one["records"] == part["records"]
        assert one["loss"] == part["loss"]
        assert one["float_bits"] == pytest.approx(part["bits_per_record"]["float"])
        assert one["impossible"] == part["impossible"]
        assert one["worst_record"] == np.flatnonzero(labels == one["label"])[part["worst"]["record"]]
    assert max(one["loss"]["quantiles"]["max"] for one in classes) == found.as_dict()["worst"]["loss"]
    assert found.as_dict()["worst"]["label"] in (-3, 5, 70_000)


def test_records_that_the_float_circuit_calls_impossible_have_no_loss() -> None:
    circuit = Circuit((InputLayer(0, np.array([[0.5, 0.5, 0.0]])),))
    engine = ReferenceEngine(quantize(circuit))
    some = evaluate(circuit, engine, [[2], [0]], labels=[1, 2], queries=10).as_dict()
    assert (some["float_impossible"], some["loss"]["records"], some["worst"]["record"]) == (1, 1, 1)
    assert some["bits_per_record"]["float"] == pytest.approx(1.0)
    assert some["classes"][0]["loss"]["mean"] is None and some["classes"][0]["worst_record"] is None
    # An integer circuit that comes from elsewhere may call possible what the float one does not.
    other = ReferenceEngine(quantize(Circuit((InputLayer(0, np.array([[0.25, 0.5, 0.25]])),))))
    apart = evaluate(circuit, other, [[2], [0]], queries=0).as_dict()
    assert (apart["impossible"], apart["likelihood_loss"]["records"]) == (0, 1)
    assert apart["likelihood_loss"]["mean"] == pytest.approx(1.0)
    alone = evaluate(circuit, engine, [[2]], queries=0).as_dict()
    assert alone["worst"] is None and alone["bits_per_record"]["float"] is None
    json.dumps([some, alone], allow_nan=False)


def test_a_distribution_of_nothing() -> None:
    assert Distribution.of(np.zeros(0)).as_dict()["quantiles"] == dict.fromkeys(QUANTILES)


# Queries


def brute(circuit: Circuit, evidence: Any) -> float:
    """Sum the probabilities of all complete records that agree with the evidence."""
    choices = [range(size) if symbol == MISSING else [symbol]
               for symbol, size in zip(evidence, circuit.cardinalities, strict=True)]  # fmt: skip
    return float(np.exp(log_likelihood(circuit, np.array(list(itertools.product(*choices))))).sum())


@pytest.mark.parametrize("circuit", [make_circuit(7, 4, 2, 3, "hidden"), unstructured()])
def test_query_errors_equal_enumeration(circuit: Circuit) -> None:
    engine = ReferenceEngine(quantize(circuit, QuantizationConfig(4, 8, 8)))
    x = sample(circuit, 20, seed=0)
    found = query_errors(circuit, engine, x, 25, seed=5)
    generator = np.random.default_rng(5)

    def integer(evidence: Any) -> float:
        mantissa, exponent = engine.likelihood(evidence[None])
        return float(mantissa[0]) * 2.0 ** int(exponent[0])

    (evidence,) = marginal_queries(x, 25, generator)
    bits = [abs(np.log2(integer(known)) - np.log2(brute(circuit, known))) for known in evidence]
    assert found.marginal == pytest.approx(bits, abs=1e-9)
    ((evidence, variable, symbol),) = conditional_queries(x, circuit.cardinalities, 25, generator)
    shares = []
    for known, v, s in zip(evidence, variable, symbol, strict=True):
        joint = known.copy()
        joint[v] = s
        shares.append(abs(integer(joint) / integer(known) - brute(circuit, joint) / brute(circuit, known)))
    assert found.conditional == pytest.approx(shares, abs=1e-9)
    assert max(shares) > 1e-4


def test_queries_are_drawn_as_the_page_says() -> None:
    x = sample(CIRCUIT, 30, seed=0)
    known = np.concatenate(list(marginal_queries(x, 700, np.random.default_rng(1))))
    counts = (known != MISSING).sum(axis=1)
    assert known.shape == (700, 6) and set(counts) == set(range(1, 7))
    assert all(((x == row) | (row == MISSING)).all(axis=1).any() for row in known)
    parts = list(conditional_queries(x, CIRCUIT.cardinalities, 700, np.random.default_rng(1)))
    assert [len(part[0]) for part in parts] == [512, 188]
    evidence, variable, symbol = (np.concatenate(column) for column in zip(*parts, strict=True))
    assert set((evidence != MISSING).sum(axis=1)) == set(range(6))
    assert (evidence[np.arange(700), variable] == MISSING).all()
    assert set(variable) == set(range(6))
    assert (symbol < np.array(CIRCUIT.cardinalities)[variable]).all() and (symbol >= 0).all()
    # Of one record's own symbols, one half and what the other half hits by chance.
    one = list(conditional_queries(x[:1], CIRCUIT.cardinalities, 4000, np.random.default_rng(1)))
    own = np.concatenate([symbol == x[0, variable] for _, variable, symbol in one])
    expected = 0.5 + 0.5 * np.mean(1 / np.array(CIRCUIT.cardinalities))
    assert abs(own.mean() - expected) < 0.04
    again = evaluate(CIRCUIT, ENGINE, x, queries=700, seed=1).as_dict()["queries"]
    assert again == evaluate(CIRCUIT, ENGINE, x, queries=700, seed=1).as_dict()["queries"]
    assert again != evaluate(CIRCUIT, ENGINE, x, queries=700, seed=2).as_dict()["queries"]


def test_answers_of_one_circuit_alone_are_counted() -> None:
    zero, none = -np.inf, np.nan
    marginal = Answers(np.array([-1.0, -1.0, zero, zero]), np.array([-3.0, zero, -1.0, zero]))
    conditional = Answers(
        np.array([-1.0, -1.0, -1.0, zero, zero, none, none]), np.array([-2.0, zero, none, -1.0, none, -1.0, none])
    )
    found = compared(marginal, conditional)
    assert_array_equal(found.marginal, [2.0, 0.0])
    assert found.marginal_impossible == {"impossible": 1, "float_impossible": 1, "undefined": 2}
    assert_array_equal(found.conditional, [0.25, 0.5, 0.5])
    assert found.conditional_impossible == {"impossible": 2, "float_impossible": 2, "undefined": 4}


def test_queries_with_impossible_answers() -> None:
    circuit = narrow(2.0**-20, 0.5)
    engine = ReferenceEngine(quantize(circuit, QuantizationConfig(8, 8, 8, tails=False)))
    found = evaluate(circuit, engine, [[1, 0]], queries=200).as_dict()["queries"]
    assert found["marginal"]["queries"] == found["conditional"]["queries"] == 200
    assert 0 < found["marginal"]["impossible"] == found["marginal"]["undefined"] < 200
    assert 0 < found["conditional"]["undefined"] <= found["conditional"]["impossible"] < 200
    assert found["conditional"]["max_error"] < 0.01


# The command


def test_the_command_reports_what_the_function_finds(files: Path) -> None:
    x = np.load(files / "x.npy")
    found = as_json(
        "evaluate", files / "c.pcedge", files / "m.onnx", "--data", files / "x.npy", "--labels", files / "y.npy",
        "--ood", files / "z.npy", "--queries", 50, "--seed", 3, "--lanes", 7, "--records", 45,
    )  # fmt: skip
    direct = evaluate(
        CIRCUIT, ENGINE, x, labels=np.load(files / "y.npy"), ood=np.load(files / "z.npy"), queries=50, seed=3, lanes=7,
        records=45,
    ).as_dict()  # fmt: skip
    assert found == json.loads(json.dumps(direct)) | {"digest": ENGINE.circuit.digest.hex()}
    assert set(found) == {
        "records", "variables", "bits_per_record", "bits_per_variable", "file", "loss", "loss_per_variable",
        "likelihood_loss", "worst", "above_1_percent", "impossible", "float_impossible", "floor_symbols", "classes",
        "queries", "ood", "digest",
    }  # fmt: skip
    assert (found["records"], found["ood"]["records"], found["queries"]["marginal"]["queries"]) == (45, 40, 50)
    assert sum(one["records"] for one in found["classes"]) == 45
    assert found["ood"]["auroc"]["float"] > 0.5


def test_the_command_in_words(files: Path) -> None:
    said = run(
        "evaluate", files / "c.pcedge", files / "m.onnx", "--data", files / "x.npy", "--labels", files / "y.npy",
        "--ood", files / "z.npy", "--queries", 5,
    )  # fmt: skip
    assert said.exit_code == 0, said.output
    for text in ("coding intervals", "99.9 %", "worst record: ", "AUROC", "classes: ", "symbols coded at the floor: "):
        assert text in said.stdout
    assert "measuring: queries" in said.stderr
    assert " lanes, which is not written, " in " ".join(said.stdout.split())
    areas = as_json(
        "evaluate", files / "c.pcedge", files / "m.onnx", "--data", files / "x.npy", "--ood", files / "z.npy"
    )["ood"]["auroc"]
    assert all(f"{area:.5f}" in said.stdout for area in areas.values())


def test_names_of_shipped_circuits_and_data_will_do() -> None:
    found = as_json("evaluate", "digits", "digits", "--data", "digits", "--records", 20, "--queries", 4)
    assert (found["records"], found["variables"]) == (20, 64)
    assert abs(found["loss"]["mean"]) < 1


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf", ".PNG"])
def test_a_plot_is_drawn(suffix: str, files: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    starts = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    drawn = []
    for name in ("a", "b"):
        out = tmp_path / f"{name}{suffix}"
        found = as_json(
            "evaluate", files / "c.pcedge", files / "m.onnx", "--data", files / "x.npy", "--labels", files / "y.npy",
            "--ood", files / "z.npy", "--queries", 0, "--plot", out,
        )  # fmt: skip
        assert found["plot"] == str(out)
        drawn.append(out.read_bytes())
    assert drawn[0].startswith(starts[suffix.lower()])
    assert drawn[0] == drawn[1]


def test_a_plot_of_nothing_possible(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from pcedge.evaluate.plot import draw

    circuit = Circuit((InputLayer(0, np.array([[1.0, 0.0]])),))
    found = evaluate(circuit, ReferenceEngine(quantize(circuit)), [[1]], labels=[0], ood=[[1]], queries=0)
    draw(found, tmp_path / "a.png", ".png")
    assert (tmp_path / "a.png").stat().st_size


def test_means_over_possible_records_are_marked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    circuit = Circuit((InputLayer(0, np.array([[0.5, 0.5, 0.0]])),))
    save_circuit(circuit, tmp_path / "c.pcedge")
    write_onnx(quantize(circuit), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", np.array([[0], [1], [2]]))
    np.save(tmp_path / "y.npy", np.zeros(3, dtype=int))
    said = run(
        "evaluate", tmp_path / "c.pcedge", tmp_path / "m.onnx", "--data", tmp_path / "x.npy", "--labels",
        tmp_path / "y.npy", "--ood", tmp_path / "x.npy",
    )  # fmt: skip
    text = " ".join(said.stdout.split())
    assert "less float, of 2 possible to the float circuit" in text
    assert "then the loss, of 2 possible to the float" in text
    assert text.count("bits of 2 and 2 possible") == 2


def test_the_folder_of_a_plot_is_looked_for_first(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    data = "--data", files / "x.npy"
    said = run("evaluate", files / "c.pcedge", files / "m.onnx", *data, "--plot", tmp_path / "no" / "a.png")
    assert said.exit_code == 2 and "the folder of" in said.stderr


def test_without_matplotlib_the_extra_is_named(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    said = run(
        "evaluate", files / "c.pcedge", files / "m.onnx", "--data", files / "x.npy", "--plot", tmp_path / "a.png"
    )
    assert said.exit_code == 3
    assert "drawing a plot needs the package matplotlib" in said.stderr and "'pcedge[plot]'" in said.stderr
    assert os.listdir(tmp_path) == []


# Labels


def test_labels_of_every_kind_of_file(tmp_path: Path) -> None:
    labels = np.array([3, 1, 2], dtype=np.uint8)
    np.save(tmp_path / "a.npy", labels)
    np.save(tmp_path / "column.npy", labels[:, None])
    (tmp_path / "a.csv").write_text("label\n3\n1\n2\n")
    idx = struct.pack(">HBBI", 0, 8, 1, 3) + labels.tobytes()
    (tmp_path / "a-idx1-ubyte").write_bytes(idx)
    (tmp_path / "a-idx1-ubyte.gz").write_bytes(gzip.compress(idx))
    for name in ("a.npy", "column.npy", "a.csv", "a-idx1-ubyte", "a-idx1-ubyte.gz"):
        assert_array_equal(load_labels(tmp_path / name), labels)


@pytest.mark.parametrize(
    ("labels", "status", "text"),
    [
        (np.zeros(59, dtype=int), 1, "there must be a label for each of the 60 records, got 59 labels"),
        (np.zeros(60), 1, "must hold labels that are integers, got float64"),
        (np.full(60, np.nan), 1, "must hold labels that are integers, got float64"),
        (np.array(["a"] * 60), 1, "must hold labels that are integers, got <U1"),
        (np.zeros((60, 2), dtype=int), 1, "must hold a label a record, shape (records,), got (60, 2)"),
        (np.array(3), 1, "must hold a label a record, shape (records,), got ()"),
    ],
)
def test_wrong_labels(labels: Any, status: int, text: str, files: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "y.npy", labels)
    said = run(
        "evaluate", files / "c.pcedge", files / "m.onnx", "--data", files / "x.npy", "--labels", tmp_path / "y.npy",
        "--records", 59,
    )  # fmt: skip
    assert said.exit_code == status
    assert text in " ".join(said.stderr.split()) and "Traceback" not in said.output


def test_wrong_labels_in_python() -> None:
    for labels, text in (([0.5], "labels must be integers, got float64"), ([[1]], "labels must have shape")):
        with pytest.raises(DataError, match=text):
            evaluate(CIRCUIT, ENGINE, np.zeros((1, 6), dtype=int), labels=labels)


# Symbolizers


def tabled(specification: str, x: Any) -> tuple[Circuit, ReferenceEngine]:
    """Make a circuit of independent variables for the data that a symbolizer takes."""
    steps = make_symbolizer(specification, x)
    rng = np.random.default_rng(0)
    leaves = tuple(InputLayer(v, rng.dirichlet(np.ones(size), 1)) for v, size in enumerate(steps.cardinalities))
    product = ProductLayer(tuple(range(len(leaves))), np.zeros((1, len(leaves)), dtype=np.int64))
    root = SumLayer((len(leaves),), np.ones((1, 1)))
    circuit = Circuit((*leaves, product, root), symbolizer=steps)
    return circuit, ReferenceEngine(quantize(circuit))


SAMPLES = np.random.default_rng(0).integers(-40, 40, (50, 2)).astype(np.int16)


def test_rows_that_are_records_may_have_labels() -> None:
    circuit, engine = tabled("range=-64..63", SAMPLES)
    found = evaluate(circuit, engine, SAMPLES, labels=np.arange(50) % 2, ood=SAMPLES[::-1] // 2, records=30, queries=9)
    assert (found.records, found.rows, len(found.classes())) == (30, 30, 2)
    symbols = circuit.symbolizer.apply(SAMPLES[:30]) if circuit.symbolizer else None
    assert found.bits.float_bits == pytest.approx(-log2_float(circuit, symbols))
    assert found.file_bytes == len(encode(engine, SAMPLES[:30], 100))


@pytest.mark.parametrize(
    ("limit", "rows", "records"), [(None, 50, 13), (13, 50, 13), (12, 48, 12), (5, 20, 5), (1, 4, 1)]
)
def test_windows_are_cut_whole(limit: int | None, rows: int, records: int) -> None:
    circuit, engine = tabled("range=-64..63,window=4x2", SAMPLES)
    found = evaluate(circuit, engine, SAMPLES, records=limit, queries=0)
    assert (found.rows, found.records, found.variables) == (rows, records, 8)
    assert found.file_bytes == len(encode(engine, SAMPLES[:rows], 100))


def test_a_block_of_tiles_is_the_least() -> None:
    circuit, engine = tabled("range=-64..63,window=4x1", SAMPLES)
    assert evaluate(circuit, engine, SAMPLES, records=1, queries=0).records == 2
    assert evaluate(circuit, engine, SAMPLES, records=5, queries=0).records == 4


def test_the_command_maps_data(tmp_path: Path) -> None:
    circuit, engine = tabled("range=-64..63,window=4x2", SAMPLES)
    save_circuit(circuit, tmp_path / "c.pcedge")
    write_onnx(engine.circuit, tmp_path / "m.onnx")
    SAMPLES.tofile(tmp_path / "x.bin")
    words = ("evaluate", tmp_path / "c.pcedge", tmp_path / "m.onnx", "--data", tmp_path / "x.bin", "--dtype", "int16",
             "--shape", "2", "--queries", 10)  # fmt: skip
    found = as_json(*words, "--ood", tmp_path / "x.bin")
    assert found["records"] == 13 and found["ood"]["auroc"]["float"] == 0.5
    assert found["file"]["bits_per_value"] == 8 * found["file"]["bytes"] / 100
    assert as_json(*words, "--records", 5)["file"]["bits_per_value"] > found["file"]["bits_per_value"]
    np.save(tmp_path / "y.npy", np.zeros(50, dtype=int))
    said = run(*words, "--labels", tmp_path / "y.npy")
    assert said.exit_code == 2
    assert "makes 13 records of 50 rows" in said.stderr


# What is refused


def test_circuits_that_do_not_belong_together() -> None:
    plain, engine = tabled("range=-64..63", SAMPLES)
    bare = Circuit(plain.layers)
    for circuit, other, text in (
        (CIRCUIT, engine, "over the same variables, the float one has 6, the integer one 2"),
        (narrow(0.5, 0.5), engine, "over the same symbols, variable 0 has 2 in the float one, 128 in the integer one"),
        (bare, engine, "the same symbolizer, the float one has none, the integer one range=-64..63 for int16 rows of"),
        (plain, ReferenceEngine(quantize(bare)), "the integer one none"),
    ):
        with pytest.raises(UsageError, match=text):
            evaluate(circuit, other, SAMPLES)


@pytest.mark.parametrize("settings", [{"records": 0}, {"queries": -1}, {"seed": -1}, {"lanes": 0}, {"lanes": 1.5}])
def test_settings_out_of_range(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"{next(iter(settings))} must be an integer of at least"):
        evaluate(CIRCUIT, ENGINE, np.zeros((1, 6), dtype=int), **settings)


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.zeros((0, 6), dtype=int), "there must be at least one record, got none"),
        (np.zeros((3, 5), dtype=int), "with 6 symbols a record, got (3, 5)"),
        (np.full((3, 6), -1), "record 0, variable 0: a symbol must be in 0.."),
        (np.full((3, 6), np.nan), "must hold integers, got float64"),
    ],
)
def test_wrong_data(array: Any, text: str, files: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "bad.npy", array)
    good, bad = ("--data", files / "x.npy"), tmp_path / "bad.npy"
    words = ("evaluate", files / "c.pcedge", files / "m.onnx", "--plot", tmp_path / "a.png")
    for more, where in ((("--data", bad), "data: "), ((*good, "--ood", bad), "out-of-distribution data: ")):
        said = run(*words, *more)
        assert said.exit_code == 1
        found = " ".join(said.stderr.split())
        assert text in found and "Traceback" not in said.output
        assert where in found or "bad.npy" in found
    assert os.listdir(tmp_path) == ["bad.npy"]


def test_wrong_use(files: Path, tmp_path: Path) -> None:
    model, data = files / "m.onnx", ("--data", files / "x.npy")
    for words, text in (
        ((model, model, *data), "must be a float circuit"),
        ((files / "c.pcedge", files / "c.pcedge", *data), "must be an integer circuit"),
        ((files / "c.pcedge", model), "Missing option '--data'"),
        (("digits", model, *data), "over the same variables, the float one has 64, the integer one 6"),
        ((files / "c.pcedge", model, *data, "--plot", tmp_path / "a.txt"), "a plot must end in .png, .svg, .pdf"),
        ((files / "c.pcedge", model, *data, "--plot", tmp_path / "no" / "a.png"), "the folder of"),
        ((files / "c.pcedge", model, *data, "--records", 0), "--records"),
    ):
        said = run("evaluate", *words)
        assert said.exit_code == 2, said.output
        assert text in said.output
