"""An output never replaces a file that the command reads or may read, by whatever name, and no two outputs are one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from strategies import make_circuit

from pcedge.circuit import sample, save_circuit
from pcedge.cli import group
from pcedge.export import write_onnx, write_project
from pcedge.quantize import quantize


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make one of every kind of file that a command reads."""
    circuit = make_circuit(7, 4, 2, 6, "hidden")
    model = quantize(circuit)
    save_circuit(circuit, tmp_path / "c.pcedge")
    write_onnx(model, tmp_path / "m.onnx")
    write_onnx(model, tmp_path / "n.onnx")
    x = sample(circuit, 30, seed=1).astype(np.uint8)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "z.npy", x[::-1])
    np.save(tmp_path / "y.npy", np.arange(30) % 2)
    (tmp_path / "images/test").mkdir(parents=True)
    for place, record in enumerate(x[:3]):
        (tmp_path / f"images/test/{place}.pgm").write_bytes(b"P5 2 2 255\n" + record.tobytes())
    (tmp_path / "board.toml").write_text(
        'name = "b"\nflow = "vitis-hls"\npart = "xc7a35ticsg324-1L"\nclock_ns = 10.0\n'
    )
    write_project(model, tmp_path / "p", reload=True)
    (tmp_path / "p/mine.onnx").write_bytes((tmp_path / "m.onnx").read_bytes())
    (tmp_path / "small.vtree").write_text("vtree 1\nL 0 1\n")
    (tmp_path / "small.psdd").write_text("psdd 1\nT 0 0 1 -0.6931471805599453\n")
    (tmp_path / "symbolic").symlink_to("x.npy")
    os.link(tmp_path / "x.npy", tmp_path / "hard")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(words: str) -> Result:
    return CliRunner().invoke(group, words.split())


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


TRAIN = "train --data x.npy --latents 2 --iterations 1"


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("encode m.onnx x.npy x.npy", "x.npy"),
        ("encode m.onnx x.npy ./images/../x.npy", "x.npy"),
        ("encode m.onnx x.npy symbolic", "x.npy"),
        ("encode m.onnx x.npy hard", "x.npy"),
        ("encode m.onnx hard x.npy", "hard"),
        ("encode m.onnx x.npy m.onnx", "m.onnx"),
        ("encode m.onnx images images/test/2.pgm", "images/test/2.pgm"),
        ("decode m.onnx x.npy x.npy", "x.npy"),
        ("loglik m.onnx x.npy --out x.npy", "x.npy"),
        ("quantize c.pcedge --out c.pcedge", "c.pcedge"),
        ("quantize c.pcedge --data x.npy --leaf-tables 2 --out x.npy", "x.npy"),
        ("quantize c.pcedge --data x.npy --budget-kbit 9 --checkpoint x.npy --out o", "x.npy"),
        ("prune c.pcedge --data x.npy --fraction 0.1 --out x.npy", "x.npy"),
        ("grow c.pcedge --out c.pcedge", "c.pcedge"),
        ("import small.psdd --out small.psdd", "small.psdd"),
        ("import small.psdd --out small.vtree", "small.vtree"),
        ("import small.psdd --vtree small.vtree --out small.vtree", "small.vtree"),
        ("image m.onnx --project p --out m.onnx", "m.onnx"),
        ("image m.onnx --project p --out p/manifest.json", "p/manifest.json"),
        ("image m.onnx --project p --out p/src/pcedge_engine.cpp", "p/src/pcedge_engine.cpp"),
        ("evaluate c.pcedge m.onnx --data x.npy --labels y.npy --ood z.npy --plot c.pcedge", "c.pcedge"),
        ("evaluate c.pcedge m.onnx --data x.npy --labels plot.png --plot plot.png", "plot.png"),
        ("evaluate c.pcedge m.onnx --data x.npy --ood plot.png --plot plot.png", "plot.png"),
        (f"{TRAIN} --out x.npy", "x.npy"),
        (f"{TRAIN} --init c.pcedge --out c.pcedge", "c.pcedge"),
        (f"{TRAIN} --checkpoint x.npy --out o", "x.npy"),
        (f"{TRAIN} --init c.pcedge --checkpoint c.pcedge --out o", "c.pcedge"),
        ("export p/model.onnx --out p", "p/model.onnx"),
        ("export m.onnx --data p/golden/symbols.i32 --dtype i4 --shape 4 --out p", "p/golden/symbols.i32"),
        ("export m.onnx --memories reload --fit p/model.onnx --out p", "p/model.onnx"),
    ],
)
def test_an_output_is_never_an_input(words: str, name: str, folder: Path) -> None:
    if words.startswith(TRAIN):
        pytest.importorskip("torch")
    if "plot.png" in words:
        pytest.importorskip("matplotlib")
        (folder / "plot.png").write_bytes((folder / "y.npy").read_bytes())
    before = contents(folder)
    result = run(words)
    assert result.exit_code == 2, result.output
    assert f"the output must be another file than the input {name}\n" in result.stderr
    assert contents(folder) == before


def test_a_file_that_is_read_implicitly_is_an_input(folder: Path) -> None:
    """The steps of a symbolizer are named in an option's text, which is no path."""
    pytest.importorskip("torch")
    from pcedge.data import load_data
    from pcedge.data.specification import symbolize

    steps, _ = symbolize("range=0..5", load_data(folder / "x.npy"))
    (folder / "s.json").write_text(steps.to_json())
    before = contents(folder)
    result = run(f"{TRAIN} --symbolizer s.json --out s.json")
    assert result.exit_code == 2 and "another file than the input s.json\n" in result.stderr
    assert contents(folder) == before


def test_a_file_of_a_folder_that_is_read_in_the_end(folder: Path) -> None:
    """The plot's place is looked at first, the folder is read later, and then the plot is not written."""
    pytest.importorskip("matplotlib")
    image = pytest.importorskip("PIL.Image")
    (folder / "other").mkdir()
    for name in ("a", "b"):
        image.fromarray(np.ones((2, 2), dtype=np.uint8)).save(folder / f"other/{name}.png")
    before = contents(folder)
    result = run("evaluate c.pcedge m.onnx --data x.npy --queries 2 --ood other --plot other/b.png")
    assert result.exit_code == 2 and "another file than the input other/b.png\n" in result.stderr
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (f"{TRAIN} --checkpoint o --out o", "--out must be another file than --checkpoint, both are o"),
        (f"{TRAIN} --checkpoint images/../o --out o", "--out must be another file than --checkpoint, both are o"),
        (
            "quantize c.pcedge --data x.npy --budget-kbit 9 --checkpoint o --out ./o",
            "--out must be another file than --checkpoint, both are o",
        ),
    ],
)
def test_two_outputs_are_two_files(words: str, text: str, folder: Path) -> None:
    before = contents(folder)
    result = run(words)
    assert result.exit_code == 2 and text in result.stderr
    assert contents(folder) == before


def test_other_files_of_folders_may_be_replaced(folder: Path) -> None:
    """What a command wrote beside its inputs it writes again."""
    for _ in range(2):
        assert run("image m.onnx --project p --out p/m.img").exit_code == 0
        assert run("encode m.onnx images images/x.pce").exit_code == 0
        assert run("export p/mine.onnx --memories reload --target board.toml --out p").exit_code == 0
        assert run("loglik m.onnx x.npy --out /dev/null").exit_code == 0
    assert json.loads((folder / "p/manifest.json").read_text())["target"]["name"] == "b"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder in which nobody makes a file")
@pytest.mark.parametrize(
    "words",
    [
        "encode m.onnx x.npy", "zoo digits --out", "export m.onnx --target program --out",
        "export m.onnx --out", "export m.onnx --target rtl --out",
        "export m.onnx --target c99 --out", "build m.onnx --target ecp5-25k --out",
    ],
)  # fmt: skip
def test_a_place_that_takes_nothing_is_no_wrong_usage(words: str, folder: Path) -> None:
    """Files and projects alike: the words are right, and the system refuses."""
    result = run(f"{words} /proc/nope")
    assert result.exit_code == 1
    assert "the folder /proc must take new files, it does not: " in result.stderr
    # A name that can be none is wrong usage, whatever the system says.
    result = run(f"{words} m.onnx/nope")
    assert result.exit_code == 2, result.stderr
