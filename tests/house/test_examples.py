"""Every example runs, and does what it asserts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from helpers.paths import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
COMPILED = ("04_project.py", "06_board.py")


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.csim] if path.name in COMPILED else [], id=path.stem) for path in EXAMPLES],
)
def test_example(path: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-W", "error", path], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_they_are_numbered() -> None:
    assert [path.name[:2] for path in EXAMPLES] == [f"{number:02}" for number in range(1, len(EXAMPLES) + 1)]
