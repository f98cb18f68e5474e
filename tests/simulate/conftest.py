"""Settings of the tests that simulate."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers.nightly import NIGHTLY


@pytest.fixture(scope="session", autouse=True)
def compiled_quickly() -> Iterator[None]:
    """Compile engines without optimising, which takes longer than most tests run; at night as users have them."""
    with pytest.MonkeyPatch.context() as patch:
        if not NIGHTLY:
            patch.setattr("pcedge.simulate.rtl.OPTIMISE", "-O0")
        yield
