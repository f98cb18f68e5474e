"""Settings of all tests."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

# Of asserts in what tests share, failures show the values too.
pytest.register_assert_rewrite("helpers", "strategies")

# derandomize: a run is the same everywhere; the seeds that failed are in hypothesis' own report.
settings.register_profile(
    "pcedge", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("pcedge")
