"""Settings of all tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# derandomize: a run is the same everywhere; the seeds that failed are in hypothesis' own report.
settings.register_profile(
    "pcedge", deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("pcedge")
