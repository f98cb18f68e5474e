"""The pages: their Python runs, the reference has every public name, examples are shown whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers.paths import ROOT

import pcedge

DOCS = ROOT / "docs"


@pytest.mark.parametrize("page", ["how-to/in-python.md", "how-to/when-outputs-differ.md"])
def test_python_of_the_pages_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.S)
    assert blocks
    for block in blocks:
        exec(compile(block, page, "exec"), {})


def test_six_lines_of_the_readme_run(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    before, block = re.split(r"```python\n", text, maxsplit=1)
    assert before.strip() == "# pcedge"
    lines = [line for line in block.split("```")[0].splitlines() if line]
    assert len(lines) == 6 and lines[-1].startswith("assert ")
    found: dict[str, object] = {}
    exec(compile("\n".join(lines), "README.md", "exec"), found)
    assert isinstance(found["stream"], bytes) and len(found["stream"]) < 6000


def test_the_reference_has_every_public_name() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md"))
    named = set(re.findall(r"^::: ([\w.]+)$", text, re.M))
    for name in pcedge.__all__:
        found = getattr(pcedge, name)
        assert found.__doc__, name
        assert {found.__module__, f"{found.__module__}.{found.__name__}"} & named, f"{name} is in no page of reference"


def test_every_example_is_shown() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in DOCS.rglob("*.md"))
    for path in sorted((ROOT / "examples").glob("*.py")):
        assert f'--8<-- "examples/{path.name}"' in text, path.name


def test_links_of_the_readme_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (ROOT / target).exists(), f"{page.name}: {target}"
