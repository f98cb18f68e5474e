"""Every example runs, and does what it asserts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.paths import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*"))
COMPILED = ("04_project.py", "06_board.py")


def code_of(notebook: Path) -> str:
    """Give the code of a notebook's cells. A figure that no window shows is closed, and none says so."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    return code.replace("plt.show()", "plt.close()")


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.csim] if path.name in COMPILED else [], id=path.stem) for path in EXAMPLES],
)
def test_example(path: Path, tmp_path: Path) -> None:
    program = [path] if path.suffix == ".py" else ["-c", code_of(path)]
    done = subprocess.run(
        [sys.executable, "-W", "error", *program], cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"MPLBACKEND": "agg"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_they_are_numbered() -> None:
    assert [path.name[:2] for path in EXAMPLES] == [f"{number:02}" for number in range(1, len(EXAMPLES) + 1)]
