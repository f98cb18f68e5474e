"""The shipped circuits: what zoo.json says of them holds, and their names stand for files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.commands import run
from numpy.testing import assert_array_equal

from pcedge.circuit.inference import check_records
from pcedge.cli import group
from pcedge.codec import decode, encode
from pcedge.engines import ReferenceEngine
from pcedge.errors import UsageError
from pcedge.export import load_zoo
from pcedge.export.onnx import zoo
from pcedge.export.onnx.shipped import zoo_bytes

KEYS = {
    "data", "source", "command", "variables", "symbols", "states", "bytes", "weight_bits", "leaf_bits", "state_bits",
    "tables", "digest", "records", "lanes", "float_bits", "integer_bits", "file_bits",
}  # fmt: skip


@pytest.mark.parametrize("name", list(zoo()))
def test_a_shipped_circuit_is_what_the_list_says(name: str) -> None:
    entry = zoo()[name]
    circuit = load_zoo(name)
    assert set(entry) == KEYS
    assert (circuit.digest.hex(), len(circuit.order), max(circuit.cardinalities)) == (
        entry["digest"], entry["variables"], entry["symbols"],
    )  # fmt: skip
    assert circuit.structured
    assert len(zoo_bytes(name)) == entry["bytes"] < 1_500_000
    assert 0 < entry["integer_bits"] < entry["file_bits"] < entry["integer_bits"] * 1.1
    assert entry["float_bits"] is None or 0.99 < entry["integer_bits"] / entry["float_bits"] < 1.01
    assert entry["records"] > 0
    engine = ReferenceEngine(circuit)
    sizes = np.asarray(circuit.cardinalities)
    symbols = np.random.default_rng(0).integers(0, sizes, (6, len(sizes)))
    lo, hi = engine.intervals(check_records(symbols, circuit.cardinalities, allow_missing=False))
    assert (hi > lo).all()
    if circuit.symbolizer is None:
        assert_array_equal(decode(engine, encode(engine, symbols, 2)), symbols)
    else:
        raw = (
            np.random.default_rng(1)
            .integers(-300, 300, (40, *circuit.symbolizer.shape))
            .astype(circuit.symbolizer.dtype)
        )
        assert_array_equal(decode(engine, encode(engine, raw, 2)), raw)


def test_the_zoo_has_one_of_each_kind() -> None:
    assert {"digits", "mnist-16", "nltcs", "shuttle"} <= set(zoo())
    assert sum(entry["bytes"] for entry in zoo().values()) < 5_000_000  # the wheel has them


def test_names_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    listed = json.loads(run("zoo", "--json").stdout)
    assert [circuit["name"] for circuit in listed["circuits"]] == list(zoo())
    assert set(listed["circuits"][0]) == KEYS | {"name"}
    assert "nltcs" in run("zoo").stdout
    assert run("zoo", "nltcs", "--out", "m.onnx").exit_code == 0
    assert Path("m.onnx").read_bytes() == zoo_bytes("nltcs")
    np.save("x.npy", np.random.default_rng(0).integers(0, 2, (5, 16)).astype(np.uint8))
    assert run("encode", "nltcs", "x.npy", "x.pce").exit_code == 0
    assert run("decode", "m.onnx", "x.pce", "y.npy").exit_code == 0
    assert_array_equal(np.load("y.npy"), np.load("x.npy"))
    # A file of that name comes first.
    Path("nltcs").write_bytes(zoo_bytes("digits"))
    assert json.loads(run("info", "nltcs", "--json").stdout)["variables"] == 64
    # A folder of that name, such as one with somebody's data, does not.
    Path("shuttle").mkdir()
    assert json.loads(run("info", "shuttle", "--json").stdout)["kind"] == "integer circuit"


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a circuit of the zoo must be one of digits, .*, got 'lion'"):
        load_zoo("lion")
    done = run("zoo", "lion", "--out", tmp_path / "m.onnx")
    assert done.exit_code == 2 and "must be one of digits" in done.stderr
    done = run("zoo", "--out", tmp_path / "m.onnx")
    assert done.exit_code == 2 and "--out must come with the NAME of a circuit" in done.output + done.stderr
    assert not (tmp_path / "m.onnx").exists()


def test_nothing_is_broken_on_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = CliRunner().invoke(group, ["zoo"]).stdout
    assert max(map(len, said.splitlines())) <= 80
    for name, entry in zoo().items():
        (line,) = [line for line in said.splitlines() if line.startswith(f"│ {name} ")]
        cells = [cell.strip() for cell in line.split("│")[1:-1]]
        numbers = [str(entry[field]) for field in ("variables", "symbols", "states", "bytes")]
        assert cells == [
            name,
            *numbers,
            *("" if entry[f] is None else f"{entry[f]:.4f}" for f in ("float_bits", "integer_bits", "file_bits")),
        ]
        for text in (entry["data"], entry["source"], f"{entry['records']:,} test records"):
            assert all(word in said for word in text.split())


def test_doctor_fits_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = CliRunner().invoke(group, ["doctor"]).stdout
    rows = [line for line in said.splitlines() if line[:1] in "┏┃┡│└"]
    assert rows and {len(line) for line in rows} == {80}
    cells = {word for line in rows if line.startswith("│") for cell in line.split("│") for word in cell.split()}
    for tool in json.loads(CliRunner().invoke(group, ["doctor", "--json"]).stdout)["tools"]:
        for text in (tool["name"], tool["needed_for"], tool["override"]):
            assert set(text.split()) <= cells
        found = tool["found"] or ""
        assert found in said or set(found.split()) <= cells
