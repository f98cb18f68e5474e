"""Settings of all tests."""

from __future__ import annotations

import os
import shutil

import pytest
from hypothesis import HealthCheck, settings

# Of asserts in what tests share, failures show the values too.
pytest.register_assert_rewrite("helpers", "strategies")

# derandomize: a run is the same everywhere; the seeds that failed are in hypothesis' own report.
settings.register_profile(
    "pcedge", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("pcedge")

# Most of the time goes into C++ that has not changed since the last run: a compiler cache takes it where there is one.
if shutil.which("ccache") and shutil.which("g++"):
    os.environ.setdefault("PCEDGE_CXX", "ccache g++")
