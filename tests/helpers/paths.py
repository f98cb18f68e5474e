"""Where the repository, its sources and the files of the tests lie."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HLS = ROOT / "hls"
DATA = ROOT / "tests/data"
GOLDEN = ROOT / "tests/golden"
VECTORS = ROOT / "tests/vectors"

#: data sets that are not in the repository; tests that need one are skipped without it
SHARED = Path(os.environ.get("PCEDGE_SHARED_DATA") or ROOT.parent / "shared/data")
