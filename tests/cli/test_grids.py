"""Circuits with a grid on the command line: values in, values out, columns by names, what is missing or wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import as_json, run

import pcedge
from pcedge.circuit import Circuit, InputLayer, ProductLayer, SumLayer, load_circuit, log_likelihood, save_circuit
from pcedge.data.axis import Axis
from pcedge.data.value_grid import ValueGrid
from pcedge.errors import CircuitError, FormatError
from pcedge.export import read_onnx, write_onnx
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.schedule.serialised import read_program, write_program

GRID = ValueGrid(
    (Axis("t", 0, "bins", (0.0, 0.5, 1.0)), Axis("on", 1, "states", states=("no", "yes")),
     Axis("n", 2, "integers", low=-1, count=3))
)  # fmt: skip
CIRCUIT = Circuit(
    (
        InputLayer(0, [[0.1, 0.9], [0.7, 0.3]]), InputLayer(1, [[0.2, 0.8], [0.6, 0.4]]),
        InputLayer(2, [[0.2, 0.3, 0.5], [0.6, 0.2, 0.2]]), ProductLayer((0, 1, 2), [[0, 0, 0], [1, 1, 1]]),
        SumLayer((3,), [[0.4, 0.6]]),
    ),
    grid=GRID,
)  # fmt: skip
SYMBOLS = np.array([[1, 1, 0], [0, 0, 2], [1, 0, 1]])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_circuit(CIRCUIT, tmp_path / "c.pcedge")
    write_onnx(quantize(CIRCUIT), tmp_path / "m.onnx")
    (tmp_path / "x.csv").write_text("t,on,n\n0.7,yes,-1\n0.2,no,1\n9,no,0\n")
    (tmp_path / "turned.csv").write_text("n,spare,on,t\n-1,0,yes,0.7\n1,0,no,0.2\n0,0,no,9\n")
    (tmp_path / "bare.csv").write_text("-1,0.7,yes\n1,0.2,no\n0,9,no\n")
    (tmp_path / "gaps.csv").write_text("t,on,n\nNA,yes,-1\n0.2,,1\n")
    return tmp_path


def test_the_grid_is_in_every_file(folder: Path) -> None:
    assert load_circuit(folder / "c.pcedge").grid == GRID
    circuit = read_onnx(folder / "m.onnx")
    assert (
        circuit.grid == GRID
        and circuit.digest == quantize(Circuit(CIRCUIT.layers), QuantizationConfig.of(CIRCUIT)).digest
    )
    write_program(circuit, folder / "m.pcp")
    assert read_program(folder / "m.pcp").circuit.grid == GRID
    shown = as_json("info", folder / "c.pcedge")["grid"]
    assert [(axis["name"], axis["column"], axis["symbols"]) for axis in shown] == [
        ("t", 0, 2),
        ("on", 1, 2),
        ("n", 2, 3),
    ]
    assert "grid: t (column 0): 2 bins of 0..1; on (column 1): no, yes; n" in run("info", folder / "m.onnx").output


def test_a_changed_grid_is_noticed(folder: Path) -> None:
    for name, rule in (("c.pcedge", "circuit-checksum"), ("m.onnx", "onnx-grid")):
        data = (folder / name).read_bytes()
        assert data.count(b"yes") == 1
        (folder / name).write_bytes(data.replace(b"yes", b"yet"))
        with pytest.raises(FormatError) as caught:
            pcedge.load(folder / name)
        assert caught.value.rule == rule
    with pytest.raises(CircuitError, match=r"the grid must have the 3 symbols of variable 2 \('n'\), it has 4"):
        Circuit(CIRCUIT.layers, grid=ValueGrid((*GRID.axes[:2], Axis("n", 2, "integers", count=4))))
    with pytest.raises(CircuitError, match="the grid must have the circuit's 3 variables, it has 2"):
        Circuit(CIRCUIT.layers, grid=ValueGrid(GRID.axes[:2]))


def test_columns_go_by_names_or_as_they_are_told(folder: Path) -> None:
    expected = pytest.approx(log_likelihood(CIRCUIT, SYMBOLS).mean(), rel=1e-12)
    assert as_json("loglik", folder / "c.pcedge", folder / "x.csv")["mean_nats"] == expected
    assert as_json("loglik", folder / "c.pcedge", folder / "turned.csv")["mean_nats"] == expected
    said = ("--variables", "t=1,on=2,n=0")
    assert as_json("loglik", folder / "c.pcedge", folder / "bare.csv", *said)["mean_nats"] == expected
    # What is told goes before a header.
    result = run("loglik", folder / "c.pcedge", folder / "turned.csv", "--variables", "t=2")
    assert result.exit_code == 1 and "row 0, column 2 ('t'): a value must be a number, got 'yes'" in result.output
    result = run("loglik", folder / "c.pcedge", folder / "bare.csv", "--variables", "z=2")
    assert result.exit_code == 2 and "a variable must be one of t, on, n, or its number, got 'z'" in result.output
    result = run("loglik", "digits", "digits", "--variables", "z=2")
    assert result.exit_code == 2 and "--variables must go with a circuit that has a grid" in result.output
    result = run("loglik", folder / "c.pcedge", folder / "bare.csv", "--variables", "z")
    assert result.exit_code == 2 and "it must be NAME=COLUMN,… with columns from 0" in result.output


def test_missing_values_are_summed_out_or_refused(folder: Path) -> None:
    result = run("loglik", folder / "c.pcedge", folder / "gaps.csv", "--json")
    assert json.loads(result.stdout)["missing_symbols"] == 2
    assert "2 of 6 values are missing, and are summed out" in result.stderr
    scores = as_json("score", folder / "m.onnx", folder / "gaps.csv", "--per-variable")
    assert scores["columns"] == ["t", "on", "n"] and scores["missing_symbols"] == 2
    marked = as_json("loglik", folder / "c.pcedge", folder / "x.csv", "--missing", 9)
    assert marked["missing_symbols"] == 1
    result = run("encode", folder / "m.onnx", folder / "gaps.csv", folder / "x.pce")
    assert result.exit_code == 1 and "row 0, column 0 ('t'): a value must be there, got 'NA'" in result.output
    assert not (folder / "x.pce").exists()


def test_streams_hold_symbols_and_give_values(folder: Path) -> None:
    result = run("encode", folder / "m.onnx", folder / "x.csv", folder / "x.pce")
    assert "what is coded are the symbols of the circuit's grid" in result.stderr
    as_json("decode", folder / "m.onnx", folder / "x.pce", folder / "y.csv")
    assert (folder / "y.csv").read_text() == "t,on,n\n0.75,yes,-1\n0.25,no,1\n0.75,no,0\n"
    as_json("encode", folder / "m.onnx", folder / "y.csv", folder / "again.pce")
    assert (folder / "again.pce").read_bytes() == (folder / "x.pce").read_bytes()
    result = run("decode", folder / "m.onnx", folder / "x.pce", folder / "y.npy")
    assert result.exit_code == 2 and "the states of 'on' are texts, which a .npy file does not hold" in result.output
    result = run("decode", folder / "m.onnx", folder / "x.pce", folder / "y.raw", "--format", "raw")
    assert "the values of a grid must be written as npy, csv or tsv, got raw" in result.output
    as_json("decode", folder / "m.onnx", folder / "x.pce", folder / "one.csv", "--records", "1:2")
    assert (folder / "one.csv").read_text() == "t,on,n\n0.25,no,1\n"
    as_json("sample", folder / "m.onnx", "--count", 5, "--out", folder / "s.csv")
    assert (folder / "s.csv").read_text().startswith("t,on,n\n")


def test_training_goes_on_with_the_grid(folder: Path) -> None:
    pytest.importorskip("torch")
    words = ("train", "--data", folder / "gaps.csv", "--init", folder / "c.pcedge", "--iterations", 2)
    as_json(*words, "--out", folder / "t.pcedge")
    assert load_circuit(folder / "t.pcedge").grid == GRID


def test_the_front_door_takes_values(folder: Path) -> None:
    model = quantize(CIRCUIT)
    x = np.array([[0.7, "yes", -1], [0.2, "no", 1], [9, "no", 0]], dtype=object)
    stream = pcedge.encode(model, x)
    assert pcedge.decode(model, stream).tolist() == [[0.75, "yes", -1], [0.25, "no", 1], [0.75, "no", 0]]
    numbers = quantize(
        Circuit((InputLayer(0, [[0.5, 0.5]]),), grid=ValueGrid((Axis("t", 0, "bins", (0.0, 1.0, 2.0)),)))
    )
    assert pcedge.decode(numbers, pcedge.encode(numbers, np.array([[0.1], [7.0]]))).tolist() == [[0.5], [1.5]]


def test_headers_that_do_not_fit_are_refused_or_told(folder: Path) -> None:
    (folder / "h.csv").write_text("a,b,on\n0.7,5,yes\n")
    result = run("loglik", folder / "c.pcedge", folder / "h.csv")
    text = "a header must name the circuit's variables, it names 1 of 3, and not t, n; NAME=COLUMN,… (--variables) says"
    assert result.exit_code == 1 and text in result.output
    (folder / "h.csv").write_text(",a,b,c\n0,0.7,yes,1\n")
    result = run("score", folder / "m.onnx", folder / "h.csv")
    assert (
        result.exit_code == 1
        and "it names none, and its first column has no name, as that of an index" in result.output
    )
    (folder / "h.csv").write_text("t,on\n0.7,yes\n")
    assert "the data have no value of n" in run("loglik", folder / "c.pcedge", folder / "h.csv").stderr
    result = run("encode", folder / "m.onnx", folder / "h.csv", folder / "x.pce")
    assert result.exit_code == 1 and "it names 2 of 3, and not n" in result.output
    # A line without a number is a header where a variable is over numbers.
    (folder / "h.csv").write_text("one,two,three\n0.7,yes,1\n")
    assert as_json("loglik", folder / "c.pcedge", folder / "h.csv")["records"] == 1


def test_archives_give_values_too(folder: Path) -> None:
    as_json("pack", folder / "m.onnx", folder / "x.csv", folder / "x.pcz")
    as_json("unpack", folder / "x.pcz", folder / "y.csv")
    assert (folder / "y.csv").read_text() == "t,on,n\n0.75,yes,-1\n0.25,no,1\n0.75,no,0\n"


def test_options_without_use_are_refused(folder: Path) -> None:
    (folder / "c.spn").write_text("A Bernoulli(V0|p=0.25)\n")
    for words, text in (
        (("--limit", 3), "a limit belongs to the formats bif, xml, uai, net, got one for spn"),
        (("--components", 3), "components belong to the formats skops, pkl, pickle, joblib, got them for spn"),
        (("--variables", "V0=1,V0=2"), "it must name every variable and every column once"),
    ):
        result = run("import", folder / "c.spn", "--out", folder / "d.pcedge", *words)
        assert result.exit_code == 2 and text in result.output


def test_symbols_that_are_data_stay_as_they_are(tmp_path: Path) -> None:
    plain = ValueGrid(tuple(Axis(f"v{v}", v, "integers", count=2, outside="refuse") for v in range(2)))
    circuit = Circuit((*(InputLayer(v, [[0.5, 0.5]]) for v in range(2)), ProductLayer((0, 1), [[0, 0]])), grid=plain)
    write_onnx(quantize(circuit), tmp_path / "m.onnx")
    (tmp_path / "x.csv").write_text("a;b\r\n1;0\r\n")
    as_json("encode", tmp_path / "m.onnx", tmp_path / "x.csv", tmp_path / "x.pce")
    as_json("decode", tmp_path / "m.onnx", tmp_path / "x.pce", tmp_path / "y.csv")
    assert (tmp_path / "y.csv").read_bytes() == b"a;b\r\n1;0\r\n"
    x = np.array([[1, 0], [0, 1]], dtype=np.uint8)
    assert pcedge.decode(quantize(circuit), pcedge.encode(quantize(circuit), x)).dtype == np.uint8


def test_names_of_a_file_find_the_columns(tmp_path: Path) -> None:
    (tmp_path / "c.spn").write_text(
        "P ProductNode(A, B){\n A Bernoulli(sepal length (cm)|p=0.25)\n B Categorical(größe-2|p=[0.5, 0.25, 0.25])\n}\n"
        "# sepal length (cm);größe-2\n"
    )
    as_json("import", tmp_path / "c.spn", "--out", tmp_path / "c.pcedge")
    for text in ("sepal length (cm),größe-2\n1,2\n", "größe-2,sepal length (cm)\n2,1\n"):
        (tmp_path / "x.csv").write_text(text)
        said = as_json("loglik", tmp_path / "c.pcedge", tmp_path / "x.csv")
        assert said["mean_nats"] == pytest.approx(2 * np.log(0.25))
