"""The figures of the shipped circuits: those that the whole test sets give, and no float figure of other records."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.nightly import WAITS
from helpers.paths import SHARED

import pcedge
from pcedge.errors import DataError
from pcedge.export import load_zoo, write_onnx, zoo
from pcedge.quantize import quantize

#: all figures that are measured
FIGURES = ("records", "lanes", "float_bits", "integer_bits", "file_bits")


@pytest.fixture
def make_zoo(script: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    module = script("make_zoo")
    monkeypatch.setattr(script("learning"), "DATA", SHARED)
    return module


def test_every_shipped_circuit_has_an_entry(make_zoo: Any) -> None:
    assert list(zoo()) == list(make_zoo.ENTRIES)
    for name, entry in zoo().items():
        said = make_zoo.described(name, load_zoo(name))
        assert entry == said | {figure: entry[figure] for figure in FIGURES}
        assert entry["records"] == make_zoo.ENTRIES[name].set.records


def test_figures_of_digits_are_those_of_all_test_records(make_zoo: Any) -> None:
    entry = zoo()["digits"]
    assert entry["records"] == len(pcedge.load_array("digits")) == 360
    found = make_zoo.measured("digits", load_zoo("digits"), pcedge.load("digits"))
    assert found == {figure: pytest.approx(entry[figure], rel=1e-12) for figure in FIGURES}
    assert found["file_bits"] == entry["file_bits"]


@WAITS
@pytest.mark.parametrize("name", [name for name in zoo() if name != "digits"])
def test_figures_are_those_of_whole_test_sets(make_zoo: Any, script: Callable[[str], Any], name: str) -> None:
    try:
        make_zoo.ENTRIES[name].set.load()
    except (DataError, FileNotFoundError, script("telemetry").Missing) as error:
        pytest.skip(f"{error}; PCEDGE_SHARED_DATA names the folder of the data")
    entry = zoo()[name]
    found = make_zoo.measure(name, None, entry)
    assert found == entry | {"integer_bits": pytest.approx(entry["integer_bits"], rel=1e-12)}


def test_a_float_figure_is_kept_of_the_same_circuit_and_records_only(make_zoo: Any) -> None:
    entry = zoo()["digits"]
    assert make_zoo.measure("digits", None, entry)["float_bits"] == entry["float_bits"]
    for other in ({"records": 359}, {"digest": "0" * 64}):
        assert make_zoo.measure("digits", None, entry | other)["float_bits"] is None


def test_a_circuit_of_another_budget_is_an_entry_and_a_file(
    make_zoo: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(make_zoo, "FOLDER", tmp_path)
    monkeypatch.setitem(make_zoo.ENTRIES, "digits-small", make_zoo.Entry(make_zoo.DIGITS, "pcedge quantize"))
    write_onnx(quantize(pcedge.load("digits")), tmp_path / "m.onnx")
    monkeypatch.setattr("sys.argv", ["make_zoo.py", f"digits-small={tmp_path / 'm.onnx'}"])
    make_zoo.main()
    written = json.loads((tmp_path / "zoo.json").read_text(encoding="utf-8"))
    assert list(written) == [*zoo(), "digits-small"] and written["digits-small"]["records"] == 360
    assert written["digits-small"]["float_bits"] is None
    assert (tmp_path / "digits-small.onnx").read_bytes() == (tmp_path / "m.onnx").read_bytes()
    assert {name: written[name] for name in zoo()} == zoo()
    for words, text in (
        (["lion"], "must come as NAME=FILE"),
        (["--measure", "lion"], "must be one of digits, mnist-16"),
    ):
        monkeypatch.setattr("sys.argv", ["make_zoo.py", *words])
        with pytest.raises(SystemExit):
            make_zoo.main()
        assert text in capsys.readouterr().err
