"""The rooms of the tests: each is a room of the package or named here, and no test module imports another."""

from __future__ import annotations

import re

from helpers.paths import ROOT

#: folders of tests that are no room of `pcedge` or `export`
OTHERS = {"benchmarks", "hls", "house", "package"}
MODULES = sorted((ROOT / "tests").rglob("test_*.py"))


def test_modules_lie_in_rooms_and_have_names_of_their_own() -> None:
    rooms = {path.parent.relative_to(ROOT / "pcedge").as_posix() for path in ROOT.glob("pcedge/*/__init__.py")}
    rooms |= {path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("export/*/__init__.py")}
    used = {path.parent.relative_to(ROOT / "tests").as_posix() for path in MODULES}
    assert used - rooms - OTHERS == set()
    assert OTHERS <= used
    assert len({path.name for path in MODULES}) == len(MODULES)


def test_no_test_module_imports_another() -> None:
    assert [
        path.name for path in MODULES if re.search(r"^\s*(from|import) (tests\b|test_)", path.read_text(), re.M)
    ] == []
