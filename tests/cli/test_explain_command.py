"""The command that explains records: JSON, table, files, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.commands import as_json, run
from helpers.predictors import STAGE, circuit_of
from numpy.testing import assert_array_equal

import pcedge
from pcedge.circuit import Circuit, InputLayer, ProductLayer, SumLayer, save_circuit
from pcedge.data.axis import Axis
from pcedge.data.value_grid import ValueGrid
from pcedge.export import write_onnx
from pcedge.export.project.prediction import draw_rows
from pcedge.quantize import quantize
from pcedge.schedule.serialised import write_program

GRID = ValueGrid(
    (Axis("t", 0, "bins", (0.0, 0.5, 1.0)), Axis("on", 1, "states", states=("no", "yes")),
     Axis("n", 2, "integers", low=-1, count=3))
)  # fmt: skip
CIRCUIT = Circuit(
    (
        InputLayer(0, [[0.1, 0.9], [0.7, 0.3]]), InputLayer(1, [[0.02, 0.98], [0.0, 1.0]]),
        InputLayer(2, [[0.2, 0.3, 0.5], [0.6, 0.2, 0.2]]), ProductLayer((0, 1, 2), [[0, 0, 0], [1, 1, 1]]),
        SumLayer((3,), [[0.4, 0.6]]),
    ),
    grid=GRID,
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_circuit(CIRCUIT, tmp_path / "c.pcedge")
    write_onnx(quantize(CIRCUIT), tmp_path / "m.onnx")
    write_program(quantize(CIRCUIT), tmp_path / "m.pcp")
    (tmp_path / "x.csv").write_text("t,on,n\n0.7,yes,-1\n0.2,no,1\n0.9,yes,0\n0.1,,1\n")
    return tmp_path


def test_json_of_an_integer_circuit(folder: Path) -> None:
    found = pcedge.explain(quantize(CIRCUIT), np.array([[0.7, "yes", -1], [0.2, "no", 1]], dtype=object), [1, 0])
    for model in ("m.onnx", "m.pcp"):
        for engine in ("numpy", "native"):
            said = as_json("explain", folder / model, folder / "x.csv", "--records", "1,0", "--engine", engine)
            records = said.pop("explained")
            assert said == {
                "records": 4, "variables": 3, "header": ["t", "on", "n"], "missing_symbols": 1,
                "columns": ["t", "on", "n"], "coding_order": list(quantize(CIRCUIT).order), "scale_bits": 24,
                "floor": quantize(CIRCUIT).floor,
            }  # fmt: skip
            for place, record in enumerate(records):
                assert set(record) == {
                    "record", "bits", "likelihood_bits", "top", "missing", "shares", "given_others", "widths",
                }  # fmt: skip
                for key in ("shares", "given_others", "widths"):
                    assert_array_equal(record[key], getattr(found, key)[place])
                assert record["bits"] == sum(record["shares"]) and record["missing"] == []
                assert [entry["share"] for entry in record["top"]] == sorted(record["shares"], reverse=True)
            assert [record["record"] for record in records] == [1, 0]
            first = records[0]["top"][0]
            assert (first["variable"], first["name"], first["value"]) == (1, "on", "no")
            assert first == {
                "variable": 1, "name": "on", "value": "no", "share": records[0]["shares"][1],
                "given_others": records[0]["given_others"][1], "width": records[0]["widths"][1],
            }  # fmt: skip


def test_what_is_missing_has_no_share(folder: Path) -> None:
    for model in ("m.onnx", "c.pcedge"):
        (record,) = as_json("explain", folder / model, folder / "x.csv", "--records", "3:")["explained"]
        assert (record["record"], record["missing"]) == (3, [1])
        assert record["shares"][1] == record["given_others"][1] == 0
        assert [entry["name"] for entry in record["top"]] == ["t", "n"] or record["top"][0]["name"] == "n"
        assert all(entry["variable"] != 1 for entry in record["top"]) and len(record["top"]) == 2


def test_float_circuits_and_what_they_exclude(tmp_path: Path) -> None:
    save_circuit(Circuit((InputLayer(0, [[0.5, 0.5, 0.0]]),)), tmp_path / "c.pcedge")
    np.save(tmp_path / "x.npy", np.array([[0], [2]], dtype=np.uint8))
    said = as_json("explain", tmp_path / "c.pcedge", tmp_path / "x.npy", "--out", tmp_path / "s.npy")
    assert "scale_bits" not in said and said["columns"] is None
    assert said["explained"] == [
        {"record": 1, "bits": None, "likelihood_bits": None, "missing": [], "shares": [None], "given_others": [None],
         "top": [{"variable": 0, "value": 2, "share": None, "given_others": None}]},
        {"record": 0, "bits": 1.0, "likelihood_bits": 1.0, "missing": [], "shares": [1.0], "given_others": [1.0],
         "top": [{"variable": 0, "value": 0, "share": 1.0, "given_others": 1.0}]},
    ]  # fmt: skip
    assert np.load(tmp_path / "s.npy").tolist() == [[np.inf], [1.0]]
    assert "∞" in run("explain", tmp_path / "c.pcedge", tmp_path / "x.npy").stdout


def test_table_and_files(folder: Path) -> None:
    said = run("explain", folder / "m.onnx", folder / "x.csv", "--top", 2, "--most", 1).stdout
    rows = [line.split("│")[1:-1] for line in said.splitlines() if line.startswith("│")]
    assert "2 of 4 records, in bits" in said and len(rows) == 2
    assert [cell.strip() for cell in rows[0]][:4:2] == ["1", "on"] and "no" in rows[0][3]
    run("explain", folder / "m.onnx", folder / "x.csv", "--records", ":", "--out", folder / "s.csv")
    every = as_json("explain", folder / "m.onnx", folder / "x.csv", "--records", "0:,2", "--most", 9)["explained"]
    assert [record["record"] for record in every] == [0, 1, 2, 3]
    assert_array_equal(np.loadtxt(folder / "s.csv", delimiter=","), [record["shares"] for record in every])
    alone = as_json("explain", folder / "m.onnx", folder / "x.csv", "--records", "1", "--chain-only")["explained"][0]
    assert "given_others" not in alone and alone["shares"] == every[1]["shares"]


def test_which_bits_order_the_list() -> None:
    listed = {}
    for by, key in (("share", "share"), ("given-others", "given_others")):
        (record,) = as_json("explain", "digits", "digits", "--records", "293", "--by", by, "--most", 9)["explained"]
        bits = [entry[key] for entry in record["top"]]
        assert bits == sorted(bits, reverse=True) and len(bits) == 9
        listed[by] = [entry["variable"] for entry in record["top"]]
    assert listed["share"] != listed["given-others"]


def test_rows_with_a_predictor_stage(tmp_path: Path) -> None:
    write_onnx(circuit_of(STAGE), tmp_path / "m.onnx")
    x = draw_rows(STAGE, 40)
    np.save(tmp_path / "x.npy", x)
    found = pcedge.explain(circuit_of(STAGE), x, top=2)
    said = as_json("explain", tmp_path / "m.onnx", tmp_path / "x.npy", "--top", 2)
    assert said["records"] == 40 and said["coding_order"] is None
    for place, record in enumerate(said["explained"]):
        assert record["record"] == found.records[place] and "given_others" not in record
        for key in ("shares", "widths", "raw_bits"):
            assert_array_equal(record[key], getattr(found, key)[place])
        first = record["top"][0]
        assert first["value"] == x[record["record"], first["variable"]]
    done = as_json("explain", tmp_path / "m.onnx", tmp_path / "x.npy", "--by", "given-others", status=2)
    assert done["message"].startswith("--by given-others must go with a circuit of records, this one has a predictor")


def test_the_name_digits_is_the_integer_circuit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = as_json("explain", "digits", "digits", "--chain-only")
    assert said["scale_bits"] == 24 and said == as_json("explain", "digest:ccdbf743", "digits", "--chain-only")
    assert len(said["explained"]) == 5
    save_circuit(CIRCUIT, tmp_path / "digits")
    (tmp_path / "x.csv").write_text("t,on,n\n0.7,yes,-1\n")
    assert "scale_bits" not in as_json("explain", "digits", "x.csv")


def test_refusals(folder: Path) -> None:
    words = ("explain", folder / "m.onnx", folder / "x.csv")
    assert as_json(*words, "--records", "4", status=2)["message"] == "the number of a record must be in 0..3, got 4"
    assert as_json(*words, "--records", "9:", status=2)["message"] == (
        "--records must name some of the 4 records, it names none"
    )
    for text in ("a", "1,", "-1", "1:2:3", ""):
        done = run(*words, "--records", text)
        assert done.exit_code == 2 and "it must be numbers of records such as 0,5,7 or 3:9, from 0" in done.output
    assert "--top must come without --records" in run(*words, "--records", "1", "--top", "2").output
    assert "--by must come without --chain-only" in run(*words, "--chain-only", "--by", "share").output
    done = run("explain", folder / "c.pcedge", folder / "x.csv", "--threads", "2")
    assert done.exit_code == 2 and "--threads must go with an integer circuit" in done.output
    (folder / "none.csv").write_text("t,on,n\n")
    assert run("explain", folder / "m.onnx", folder / "none.csv").exit_code == 1
    assert run(*words, "--out", folder / "s.wav").exit_code == 2
