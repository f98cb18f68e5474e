"""The command line on data of all kinds: raw sensor data through a symbolizer, tables, images, raw binary."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import as_json, run
from numpy.testing import assert_array_equal

from pcedge.circuit import Circuit, InputLayer, ProductLayer, SumLayer, load_circuit, log_likelihood, save_circuit
from pcedge.data import Symbolizer, make_symbolizer, specification
from pcedge.export import read_onnx, write_onnx
from pcedge.quantize import quantize

SPEC = "range=-500..500,difference:axis=0,offset=32,window=4,planes=4+6"
CANONICAL = "range=-500..500,difference=0,offset=32,window=4,planes=4+6"


def refusal(*words: object, status: int) -> str:
    result = run(*words)
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    return result.stderr


def walk(rows: int, seed: int) -> np.ndarray:  # type: ignore[type-arg]
    steps = np.random.default_rng(seed).normal(0, 9, size=(rows, 2)).round()
    return np.clip(np.cumsum(steps, axis=0), -500, 500).astype(np.int16)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train on a synthetic series of two int16 channels."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("series")
    np.save(folder / "train.npy", walk(1600, 0))
    np.save(folder / "x.npy", walk(501, 1))
    train = as_json("train", "--data", folder / "train.npy", "--symbolizer", SPEC, "--latents", 3, "--iterations", 4,
                    "--out", folder / "c.pcedge")  # fmt: skip
    assert train["symbolizer"] == CANONICAL and train["variables"] == 16
    as_json("quantize", folder / "c.pcedge", "--out", folder / "m.onnx")
    return folder


def test_wide_data_come_back(files: Path, tmp_path: Path) -> None:
    x = np.load(files / "x.npy")
    for lanes in (1, 20):
        result = as_json("encode", files / "m.onnx", files / "x.npy", tmp_path / "x.pce", "--lanes", lanes)
        assert result["records"] == 501
        assert result["bits_per_value"] == pytest.approx(8 * result["bytes"] / x.size)
        assert result["bits_per_variable"] == pytest.approx(8 * result["bytes"] / (126 * 16))
        assert result["bits_per_value"] < 10
        back = as_json("decode", files / "m.onnx", tmp_path / "x.pce", tmp_path / "y.npy")
        assert back == {"out": str(tmp_path / "y.npy"), "records": 501, "shape": [501, 2], "dtype": "int16"}
        y = np.load(tmp_path / "y.npy")
        assert y.dtype == x.dtype
        assert_array_equal(y, x)
    assert as_json("info", tmp_path / "x.pce")["shape"] == [501, 2]


def test_raw_binary_and_tables_are_the_same_data(files: Path, tmp_path: Path) -> None:
    x = np.load(files / "x.npy")
    (tmp_path / "x.dat").write_bytes(x.astype(">i2").tobytes())
    np.savetxt(tmp_path / "x.csv", x, fmt="%d", delimiter=",", header="left,right", comments="")
    sizes, sources = set(), []
    for name, options in (("x.dat", ("--dtype", ">i2", "--shape", "2")), ("x.csv", ())):
        packed = as_json("encode", files / "m.onnx", tmp_path / name, tmp_path / "x.pce", *options)
        sizes.add(packed["payload_bytes"])
        sources.append(packed["source"])
        as_json("decode", files / "m.onnx", tmp_path / "x.pce", tmp_path / "y.npy")
        y = np.load(tmp_path / "y.npy")
        assert y.dtype == np.int16
        assert_array_equal(y, x)
        as_json("decode", files / "m.onnx", tmp_path / "x.pce", tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == (tmp_path / name).read_bytes()
    assert len(sizes) == 1 and sources == ["raw >i2", "csv"]
    loglik = [as_json("loglik", files / model, tmp_path / "x.dat", "--dtype", ">i2", "--shape", "2")
              for model in ("c.pcedge", "m.onnx")]  # fmt: skip
    assert loglik[0]["records"] == loglik[1]["records"] == 126
    # Leaf tables of 12 bits may call a rare symbol impossible; the coder's floor does not.
    assert loglik[0]["impossible"] == 0 and loglik[1]["impossible"] < 126
    circuit = load_circuit(files / "c.pcedge")
    assert circuit.symbolizer is not None
    expected = log_likelihood(circuit, circuit.symbolizer.apply(x)).mean()
    assert loglik[0]["mean_nats"] == pytest.approx(expected)
    assert loglik[0]["bits_per_value"] == pytest.approx(-expected / np.log(2) * 126 / x.size)
    text = run("loglik", files / "c.pcedge", files / "x.npy").output
    assert f"{loglik[0]['bits_per_value']:.6f} bits a value, 126 records" in " ".join(text.split())


def test_info_shows_the_symbolizer(files: Path) -> None:
    for model in ("c.pcedge", "m.onnx"):
        assert as_json("info", files / model)["symbolizer"] == {"dtype": "int16", "shape": [2], "steps": CANONICAL}
        assert f"dtype int16, shape 2, steps {CANONICAL}" in " ".join(run("info", files / model).output.split())
    assert "symbolizer" not in as_json("info", "digits")
    assert read_onnx(files / "m.onnx").symbolizer == load_circuit(files / "c.pcedge").symbolizer


@pytest.mark.csim
def test_verify_and_export_take_raw_data(files: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    report = as_json("verify", files / "m.onnx", "--data", files / "x.npy", "--rungs", "ort", "--records", 9)
    assert report["mismatches"] == 0
    out = tmp_path / "project"
    as_json("export", files / "m.onnx", "--out", out, "--data", files / "x.npy", "--records", 5)
    symbols = np.frombuffer((out / "golden/symbols.i32").read_bytes(), dtype="<i4").reshape(5, 16)
    symbolizer = read_onnx(out / "model.onnx").symbolizer
    assert symbolizer is not None
    assert_array_equal(symbols, symbolizer.apply(np.load(files / "x.npy"))[:5])


def test_what_is_refused(files: Path, tmp_path: Path) -> None:
    x = np.load(files / "x.npy")
    x[7, 1] = 501
    np.save(tmp_path / "x.npy", x)
    text = "row 7, place (1,): a value must be in -500..500, got 501"
    out = tmp_path / "x.pce"
    assert text in refusal("encode", files / "m.onnx", tmp_path / "x.npy", out, status=1)
    assert text in refusal("loglik", files / "c.pcedge", tmp_path / "x.npy", status=1)
    assert text in refusal("verify", files / "m.onnx", "--data", tmp_path / "x.npy", "--rungs", "ort", status=1)
    assert not out.exists()
    text = "--missing must not be given for a circuit with a symbolizer"
    assert text in refusal("loglik", files / "m.onnx", files / "x.npy", "--missing", -1, status=2)
    train = ("train", "--data", files / "x.npy", "--out", tmp_path / "c.pcedge", "--symbolizer")
    assert text in refusal(*train, SPEC, "--missing", -1, status=2)
    assert "a step must be one of range, difference" in refusal(*train, "diff", status=2)
    assert "planes must have 10..64 bits together, got 4+4" in refusal(*train, "range=-500..500,planes=4+4", status=2)
    (tmp_path / "s.json").write_text("{}")
    assert "symbolizer: " in refusal(*train, tmp_path / "s.json", status=1)
    assert "No such file" in refusal(*train, tmp_path / "none.json", status=1)
    (tmp_path / "x.dat").write_bytes(b"abc")
    words = ("encode", files / "m.onnx", tmp_path / "x.dat", out)
    loglik = ("loglik", files / "m.onnx", tmp_path / "x.dat")
    assert "1 of its 3 bytes are left after 1" in refusal(*loglik, "--dtype", "i2", status=1)
    assert "the dtype must be an integer type" in refusal(*words, "--dtype", "float32", status=2)
    assert "which needs a dtype too" in refusal(*words, "--shape", "2", status=2)
    assert "be raw binary with --dtype, got .dat" in refusal(*words, status=1)


def test_auto_and_files_of_symbolizers(files: Path, tmp_path: Path) -> None:
    steps = np.random.default_rng(2).integers(-9, 10, size=(400, 12))
    np.save(tmp_path / "traces.npy", np.cumsum(steps, axis=1).astype(np.int16))
    traces = np.load(tmp_path / "traces.npy")
    assert specification(make_symbolizer("auto", traces)) == "range=-32768..32767,difference=0,offset=128,planes=8+8"
    result = as_json("train", "--data", tmp_path / "traces.npy", "--symbolizer", "auto", "--out", tmp_path / "a.pcedge")
    assert result["structure"] == "predictor"
    symbolizer = load_circuit(files / "c.pcedge").symbolizer
    assert isinstance(symbolizer, Symbolizer)
    (tmp_path / "s.json").write_text(symbolizer.to_json())
    result = as_json("train", "--data", files / "train.npy", "--symbolizer", tmp_path / "s.json", "--latents", 3,
                     "--iterations", 4, "--out", tmp_path / "b.pcedge")  # fmt: skip
    assert result["symbolizer"] == CANONICAL
    assert (tmp_path / "b.pcedge").read_bytes() == (files / "c.pcedge").read_bytes()


def test_folders_of_images_and_missing_cells(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    generator = np.random.default_rng(0)
    for name, count in (("train", 40), ("test", 5)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for place in range(count):
            pixels = generator.integers(0, 4, size=(2, 3), dtype=np.uint8)
            (tmp_path / "images" / name / f"{place:02}.pgm").write_bytes(b"P5 3 2 3\n" + pixels.tobytes())
    words = ("train", "--latents", 2, "--iterations", 2, "--out", tmp_path / "c.pcedge")
    result = as_json(*words, "--data", tmp_path / "images")
    assert result["variables"] == 6 and "test_bits_per_variable" in result
    as_json("quantize", tmp_path / "c.pcedge", "--out", tmp_path / "m.onnx")
    as_json("encode", tmp_path / "m.onnx", tmp_path / "images", tmp_path / "x.pce")
    as_json("decode", tmp_path / "m.onnx", tmp_path / "x.pce", tmp_path / "y.npy")
    assert np.load(tmp_path / "y.npy").shape == (5, 2, 3)
    (tmp_path / "x.csv").write_text("a,b,c,d,e,f\n0,,1,2,3,3\n1,1,1,,2,0\n")
    assert as_json("loglik", tmp_path / "c.pcedge", tmp_path / "x.csv", "--missing", -1)["records"] == 2
    assert as_json("loglik", tmp_path / "c.pcedge", tmp_path / "x.csv")["missing_symbols"] == 2
    text = (
        "line 2, column 'b': a cell must hold an integer, it is empty; loglik and score take it; train and encode do "
        "with --missing"
    )
    assert text in refusal("encode", tmp_path / "m.onnx", tmp_path / "x.csv", tmp_path / "z.pce", status=1)


TABLE = "left,right\n0,1\n1,1\n1,0\n0,0\n"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a circuit of two binary variables, and tables that are alike but for their first line."""
    folder = tmp_path_factory.mktemp("tables")
    leaves = tuple(InputLayer(variable, np.array([[0.25, 0.75], [0.6, 0.4]])) for variable in range(2))
    product = ProductLayer((0, 1), np.array([[0, 0], [1, 1]]))
    circuit = Circuit((*leaves, product, SumLayer((2,), np.array([[0.5, 0.5]]))))
    save_circuit(circuit, folder / "c.pcedge")
    write_onnx(quantize(circuit), folder / "m.onnx")
    lines = TABLE.split("\n", 1)
    for name, first in (("named", lines[0]), ("missing", "NA,"), ("record", "1,0")):
        (folder / f"{name}.csv").write_text(f"{first}\n{lines[1]}")
    (folder / "labels.csv").write_text("class\n0\n1\n1\n0\n")
    np.save(folder / "x.npy", np.zeros((3, 2), dtype=np.uint8))
    return folder


def reading_commands(folder: Path, out: Path, data: str) -> dict[str, tuple[object, ...]]:
    """Give every command that reads tables."""
    data, floats, model = str(folder / data), folder / "c.pcedge", folder / "m.onnx"
    return {
        "train": ("train", "--data", data, "--latents", 2, "--iterations", 1, "--out", out / "t.pcedge"),
        "quantize": ("quantize", floats, "--data", data, "--leaf-tables", 2, "--out", out / "q.onnx"),
        "prune": ("prune", floats, "--data", data, "--fraction", 0, "--out", out / "p.pcedge"),
        "grow": ("grow", floats, "--data", data, "--out", out / "g.pcedge"),
        "loglik": ("loglik", model, data),
        "score": ("score", model, data),
        "encode": ("encode", model, data, out / "x.pce"),
        "verify": ("verify", model, "--data", data, "--rungs", "ort"),
        "export": ("export", model, "--data", data, "--out", out / "project"),
        "evaluate": ("evaluate", floats, model, "--data", data, "--queries", 1),
    }


@pytest.mark.parametrize("command", list(reading_commands(Path(), Path(), "")))
def test_every_command_says_what_it_takes_as_a_header(tables: Path, tmp_path: Path, command: str) -> None:
    if command == "train":
        pytest.importorskip("torch")
    if command == "verify":
        pytest.importorskip("onnxruntime")
    words = reading_commands(tables, tmp_path, "named.csv")[command]
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["header"] == ["left", "right"]
    assert f"{tables / 'named.csv'}: line 1 is taken as the header: 'left', 'right'\n" in result.stderr
    kind = "a number" if command == "train" else "an integer"  # training takes decimals too
    assert f"line 1, column 1: a cell must hold {kind}, got 'left'" in refusal(*words, "--no-header", status=1)
    words = reading_commands(tables, tmp_path, "record.csv")[command]
    result = run(*words, "--json")
    assert json.loads(result.stdout)["header"] is None and "header" not in result.stderr
    assert as_json(*words, "--header")["header"] == ["1", "0"]
    if "records" in (plain := json.loads(result.stdout)):
        assert (plain["records"], as_json(*words, "--header")["records"]) == (5, 4)
    # A line of missing values is a record: refused by cell, or counted where missing values are marked.
    words = reading_commands(tables, tmp_path, "missing.csv")[command]
    if command in ("loglik", "score"):
        assert as_json(*words)["missing_symbols"] == 2
    else:
        assert f"missing.csv, line 1, column 1: a cell must hold {kind}, got 'NA'" in refusal(*words, status=1)
    if command in ("train", "quantize", "prune", "grow", "loglik", "score"):
        said = as_json(*words, "--missing", -1)
        assert said["header"] is None
        assert said.get("records", 5) == 5 and said.get("missing_symbols", 2) == 2
    # What is no table has no header.
    words = reading_commands(tables, tmp_path, "x.npy")[command]
    assert "header" not in as_json(*words)
    text = refusal(*words, "--header", status=2)
    assert "is no table" in text or "must go with a table, none of the data is one" in text


def test_a_header_is_for_the_tables_among_the_data(tables: Path, tmp_path: Path) -> None:
    words = ("evaluate", tables / "c.pcedge", tables / "m.onnx", "--queries", 1)
    np.save(tmp_path / "x.npy", np.zeros((4, 2), dtype=np.uint8))
    result = as_json(*words, "--data", tmp_path / "x.npy", "--labels", tables / "labels.csv",
                     "--ood", tables / "named.csv")  # fmt: skip
    assert (result["labels_header"], result["ood_header"]) == (["class"], ["left", "right"]) and "header" not in result
    (tmp_path / "labels.csv").write_text("0\n1\n1\n0\n1\n")
    result = as_json(*words, "--data", tmp_path / "x.npy", "--labels", tmp_path / "labels.csv", "--header")
    assert result["labels_header"] == ["0"] and len(result["classes"]) == 2
    for command in (("grow", tables / "c.pcedge"), ("quantize", tables / "c.pcedge"), ("export", tables / "m.onnx")):
        assert "--header must come with --data" in refusal(*command, "--no-header", "--out", tmp_path / "o", status=2)


def test_a_line_that_counts_the_columns_is_said(tables: Path, tmp_path: Path) -> None:
    """What pandas writes above columns without names is a record like any other, and nobody would see it."""
    leaves = tuple(InputLayer(variable, np.full((1, 3), 1 / 3)) for variable in range(3))
    model = quantize(Circuit((*leaves, ProductLayer((0, 1, 2), np.zeros((1, 3), dtype=np.int64)))))
    write_onnx(model, tmp_path / "m.onnx")
    (tmp_path / "x.csv").write_text("0,1,2\n2,2,2\n")
    result = run("loglik", tmp_path / "m.onnx", tmp_path / "x.csv")
    assert "2 records" in result.stdout
    text = "line 1 is taken as a record, though it counts the columns as a header may; --header passes over it"
    assert text in result.stderr
    result = run("loglik", tmp_path / "m.onnx", tmp_path / "x.csv", "--no-header")
    assert "2 records" in result.stdout and not result.stderr
    result = run("loglik", tmp_path / "m.onnx", tmp_path / "x.csv", "--header")
    assert "1 records" in result.stdout and "is taken as the header: '0', '1', '2'" in result.stderr
