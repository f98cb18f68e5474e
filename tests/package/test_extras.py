"""Packages that are missing, of another version, or damaged: one line says which is needed and what brings it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from strategies import make_circuit

from pcedge import to_hls4ml
from pcedge.errors import MissingToolError
from pcedge.export import write_onnx
from pcedge.export.onnx.shipped import zoo_bytes
from pcedge.export.unrolled import adders
from pcedge.extras import needing, unfit, unfit_core
from pcedge.quantize import quantize

#: what an old package does with a new numpy
BROKEN = "raise AttributeError('_ARRAY_API not found')\n"


def install(folder: Path, package: str, version: str, module: str = "", code: str = BROKEN) -> None:
    """Make a package that is found before the installed one."""
    module = module or package
    (folder / module).mkdir(parents=True)
    (folder / module / "__init__.py").write_text(code)
    (folder / f"{package}-{version}.dist-info").mkdir()
    text = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
    (folder / f"{package}-{version}.dist-info/METADATA").write_text(text)
    (folder / f"{package}-{version}.dist-info/RECORD").write_text(f"{module}/__init__.py,,\n")


def run(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pcedge", *map(str, words)], capture_output=True, text=True, cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "packages")},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("package", "version", "words", "text"),
    [
        (
            "onnxruntime", "1.16.3", "verify m.onnx --data digits --records 1 --rungs ort",
            "the onnxruntime rung needs onnxruntime>=1.20, version 1.16.3 is installed; "
            "pip install --upgrade 'pcedge[ort]' brings it",
        ),
        (
            "torch", "2.1.0+cpu", "train --data x.npy --out t.pcedge",
            "training needs torch>=2.4, version 2.1.0+cpu is installed; "
            "pip install --upgrade 'pcedge[train]' brings it",
        ),
        (
            "torch", "2.1.0", "quantize digits --data digits --refine em --out q.onnx",
            "training needs torch>=2.4, version 2.1.0 is installed; pip install --upgrade 'pcedge[train]' brings it",
        ),
        (
            "matplotlib", "3.5", "evaluate digits m.onnx --data digits --plot p.png",
            "drawing a plot needs matplotlib>=3.8, version 3.5 is installed; "
            "pip install --upgrade 'pcedge[plot]' brings it",
        ),
        (
            "onnx", "1.10.0", "info m.onnx",
            "pcedge needs onnx>=1.17, version 1.10.0 is installed; pip install --upgrade 'onnx>=1.17' brings it",
        ),
    ],
)  # fmt: skip
def test_a_package_that_is_too_old(package: str, version: str, words: str, text: str, tmp_path: Path) -> None:
    install(tmp_path / "packages", package, version)
    np.save(tmp_path / "x.npy", np.zeros((4, 2), dtype=np.uint8))
    (tmp_path / "m.onnx").write_bytes(zoo_bytes("digits"))
    done = run(tmp_path, *words.split())
    assert done.returncode == 3 and done.stderr.endswith(f"pcedge: {text}\n"), done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_says_what_is_too_old(tmp_path: Path) -> None:
    install(tmp_path / "packages", "onnxruntime", "1.16.3")
    done = run(tmp_path, "doctor", "--json")
    assert done.returncode == 3
    report = json.loads(done.stdout)
    assert "onnxruntime" in report["missing"]
    found = next(tool for tool in report["tools"] if tool["name"] == "onnxruntime")
    assert found["found"] is None
    assert found["override"] == "extra ort (onnxruntime>=1.20, version 1.16.3 is installed)"


@pytest.mark.parametrize(
    ("version", "fits"),
    [("0.5.9", False), ("0.6.0", True), ("0.6.3rc1", True), ("0.7", False), ("0.7.0.dev1", False), ("unknown", True)],
)
def test_a_range_has_two_ends(version: str, fits: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    expected = None if fits else f"da4ml<0.7,>=0.6, version {version} is installed"
    assert unfit("da4ml", "da") == expected


def test_a_package_of_another_name_brings_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name != "onnxruntime-gpu":
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.18.0"

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: {"onnxruntime": ["onnxruntime-gpu"]})
    assert unfit("onnxruntime", "ort") == "onnxruntime>=1.20, version 1.18.0 is installed"


def test_the_core_is_there() -> None:
    assert unfit_core() is None


def test_a_missing_package_of_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: ["nosuch>=3", 'other; extra == "ort"'])
    text = "nosuch>=3, which is not installed; pip install --upgrade 'nosuch>=3' brings it"
    assert unfit_core() == text


def test_what_cannot_be_imported_is_no_missing_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "onnxruntime", "1.21.0", code="import nosuch_part\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    text = (
        r"^runs needs the package onnxruntime, which is installed and cannot be imported "
        r"\(No module named 'nosuch_part'\); pip install --force-reinstall onnxruntime mends it$"
    )
    with pytest.raises(MissingToolError, match=text), needing("onnxruntime", "ort", "runs"):
        import onnxruntime
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingToolError, match="which is not installed"), needing("onnxruntime", "ort", "runs"):
        import onnxruntime  # noqa: F401


@pytest.mark.parametrize(
    ("package", "version", "module", "words", "text"),
    [
        ("pillow", "9.5", "PIL", "loglik digits images", r"reading PNG images needs pillow>=10, version 9\.5 is"),
        ("pycapnp", "1.3", "capnp", "import a.bin --out a.pcedge", r"\(\.bin\) needs pycapnp>=2, version 1\.3 is"),
    ],
)  # fmt: skip
def test_a_package_that_reads_an_input(
    package: str, version: str, module: str, words: str, text: str, tmp_path: Path
) -> None:
    install(tmp_path / "packages", package, version, module)
    write_onnx(quantize(make_circuit(3, 2, 2, 3, "hidden")), tmp_path / "m.onnx")
    (tmp_path / "a.bin").write_bytes(bytes(64))
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.png").write_bytes(b"")
    done = run(tmp_path, *words.split())
    assert done.returncode == 3 and re.search(f"{text} installed; pip install --upgrade", done.stderr), done.stderr


def test_hls4ml_that_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "hls4ml", "0.8.1")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingToolError, match=r"needs hls4ml>=1\.2, version 0\.8\.1 is installed"):
        to_hls4ml(quantize(make_circuit(3, 2, 2, 3, "hidden")))


def test_adders_are_not_shared_by_a_package_that_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert adders.has_da4ml()
    install(tmp_path, "da4ml", "0.5")
    monkeypatch.syspath_prepend(tmp_path)
    assert not adders.has_da4ml()
    text = r"sharing adders \(--adders shared\) needs da4ml<0\.7,>=0\.6, version 0\.5 is installed"
    with pytest.raises(MissingToolError, match=text):
        adders.shared(np.ones((1, 2), dtype=np.int64), [1, 1])
