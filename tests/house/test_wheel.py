"""The built wheel, installed in a fresh environment, runs the C simulation: no file of the checkout is needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from helpers.nightly import NIGHTLY
from helpers.paths import ROOT

from pcedge.toolchain import tools

SCRIPT = """
import sys
import pcedge, pcedge.export, pcedge.hls
home = sys.argv[1]
assert all(module.__file__.startswith(home) for module in (pcedge, pcedge.export, pcedge.hls)), pcedge.__file__
"""


@pytest.mark.slow
@pytest.mark.csim
def test_wheel_in_a_fresh_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A copy, because setuptools writes build/ and egg-info beside the sources.
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (tmp_path / "src" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "src" / name).write_bytes((ROOT / name).read_bytes())
    if shutil.which("cc") and not NIGHTLY:  # the last of two counts: this environment's engine was built with -O3
        monkeypatch.setenv("PCEDGE_CC", """sh -c 'exec cc "$@" -O0' cc""")
    tools.run([sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, tmp_path / "src"], tmp_path, "build")
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/"))]
    # This environment's pip installs there, and only what is imported is translated.
    tools.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], tmp_path, "venv")
    python = tmp_path / "venv" / "bin" / "python"
    install = ["pip", "--python", python, "install", "--quiet", "--no-compile", wheel]
    tools.run([sys.executable, "-m", *install], tmp_path, "pip install")
    tools.run([python, "-c", SCRIPT, tmp_path / "venv"], tmp_path, "importing from the wheel")
    # Only the headers of hls4ml are used: they may lie anywhere.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"PCEDGE_AP_TYPES": str(tools.ap_types())}
    if tools.compiler()[0] == sys.executable:  # the ziglang wheel of this environment, found from the fresh one
        env["PCEDGE_CXX"] = " ".join(tools.compiler())
    pcedge = tmp_path / "venv" / "bin" / "pcedge"
    for command in (
        ["quantize", "digits", "--out", "m.onnx"],
        ["export", "m.onnx", "--data", "digits", "--records", "2", "--out", "project"],
        ["simulate", "project"],
    ):
        done = subprocess.run([pcedge, *command], cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert "2 records: likelihood, encode and decode equal the golden vectors" in done.stdout
