"""Settings of all tests."""

from __future__ import annotations

import os
import shutil
import sys

import pytest
from hypothesis import HealthCheck, settings

# Each worker has a core: threads of torch and of numpy's libraries would wait for each other, each turning on its core.
# At night they run as users have them. Set before either is imported.
if not os.environ.get("PCEDGE_NIGHTLY"):
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")

# Images of containers forbid to keep byte code: each of the hundreds of commands that tests start would translate all
# that it imports of this package, which takes as long as everything else that most of them do.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Of asserts in what tests share, failures show the values too.
pytest.register_assert_rewrite("helpers", "strategies")

from helpers import headers  # noqa: E402
from helpers.nightly import NIGHTLY  # noqa: E402
from helpers.paths import ROOT  # noqa: E402

# derandomize: a run is the same everywhere; the seeds that failed are in hypothesis' own report.
settings.register_profile(
    "pcedge",
    max_examples=200 if NIGHTLY else 50,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("pcedge")

# Most of the time goes into C++ that has not changed since the last run: a compiler cache takes it where there is one.
if "PCEDGE_CXX" not in os.environ and shutil.which("g++"):
    command = "ccache g++" if shutil.which("ccache") else "g++"
    os.environ["PCEDGE_CXX"] = headers.words(command, ROOT / ".pytest_cache/headers")
    os.environ.setdefault("CCACHE_SLOPPINESS", "pch_defines,time_macros")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only `make nightly` runs."""
    left = [] if NIGHTLY else [item for item in items if item.get_closest_marker("nightly")]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if not item.get_closest_marker("nightly")]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let what is compiled find its headers parsed."""
    if item.get_closest_marker("csim"):
        headers.parse()
