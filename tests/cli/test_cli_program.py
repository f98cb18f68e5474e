"""A program file stands wherever an ONNX file may: every command says the same of both."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import as_json, run
from strategies import make_circuit

from pcedge.circuit import save_circuit
from pcedge.engines import ReferenceEngine
from pcedge.export import write_onnx
from pcedge.quantize import quantize


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("program")
    circuit = make_circuit(7, 6, 3, 4, "hidden")
    integers = quantize(circuit)
    save_circuit(circuit, place / "c.pcedge")
    write_onnx(integers, place / "m.onnx")
    x = np.random.default_rng(0).integers(0, 2, (40, 6)).astype(np.uint8)
    np.save(place / "x.npy", x)
    said = as_json("export", place / "m.onnx", "--target", "program", "--out", place / "m.pcp")
    assert said == {
        "out": str(place / "m.pcp"),
        "target": "program",
        "digest": ReferenceEngine(integers).circuit.digest.hex(),
        "bytes": (place / "m.pcp").stat().st_size,
    }
    return place


@pytest.mark.parametrize(
    "words",
    [
        ("info", "{m}"),
        ("info", "{m}", "--against", "c.pcedge"),
        ("loglik", "{m}", "x.npy"),
        ("estimate", "{m}"),
        ("verify", "{m}", "--data", "x.npy", "--rungs", "ort"),
        ("evaluate", "c.pcedge", "{m}", "--data", "x.npy"),
    ],
    ids=lambda words: words[0],
)
def test_commands_say_the_same(folder: Path, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    said = [as_json(*(word.format(m=model) for word in words)) for model in ("m.onnx", "m.pcp")]
    for one in said:
        for clock in ("seconds", "model"):
            one.pop(clock, None)
    assert said[0] == said[1]


def test_streams_are_the_same(folder: Path, tmp_path: Path) -> None:
    for model in ("m.onnx", "m.pcp"):
        as_json("encode", folder / model, folder / "x.npy", tmp_path / f"{model}.pce")
    assert (tmp_path / "m.onnx.pce").read_bytes() == (tmp_path / "m.pcp.pce").read_bytes()
    as_json("decode", folder / "m.pcp", tmp_path / "m.onnx.pce", tmp_path / "y.npy")
    assert np.array_equal(np.load(tmp_path / "y.npy"), np.load(folder / "x.npy"))


def test_projects_are_the_same(folder: Path, tmp_path: Path) -> None:
    for model in ("m.onnx", "m.pcp"):
        as_json("export", folder / model, "--out", tmp_path / model)
    files = {path.relative_to(tmp_path / "m.pcp"): path.read_bytes() for path in (tmp_path / "m.pcp").rglob("*.*")}
    assert len(files) > 30
    assert files == {path: (tmp_path / "m.onnx" / path).read_bytes() for path in files}


def test_coding_with_a_program_needs_no_onnx(folder: Path, tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from pcedge.cli import group\n"
        f"group.main(['encode', {str(folder / 'm.pcp')!r}, {str(folder / 'x.npy')!r}, {str(tmp_path / 'x.pce')!r}],"
        " standalone_mode=False)\n"
        "assert not {'onnx', 'torch', 'safetensors'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--macs", "4"], "--macs must go with a project, --target program makes none"),
        (["--memories", "baked"], "--memories must go with a project, --target program makes none"),
        (["--kernel", "engine"], "--kernel must go with a project, --target program makes none"),
    ],
)
def test_options_of_a_project_are_refused(folder: Path, tmp_path: Path, options: list[str], message: str) -> None:
    result = run("export", folder / "m.onnx", "--target", "program", "--out", tmp_path / "m.pcp", *options)
    assert result.exit_code == 2 and message in result.output
    assert not (tmp_path / "m.pcp").exists()


def test_a_damaged_program_is_refused_by_its_rule(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "m.pcp").write_bytes((folder / "m.pcp").read_bytes()[:-1])
    result = run("info", tmp_path / "m.pcp")
    assert result.exit_code == 1
    assert f"program-checksum: {tmp_path / 'm.pcp'} must be whole" in result.stderr
