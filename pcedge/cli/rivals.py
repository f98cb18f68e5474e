"""What xz makes of data, for the break-even of circuits."""

from __future__ import annotations

import lzma
import math
from pathlib import Path

#: bytes of data at most that xz is run on
COMPARED = 1 << 24


def packed_bytes(data: bytes, of: int) -> int:
    """Give the bytes that xz makes of data, going by their first part where there are more, `of` in all."""
    part = len(lzma.compress(data, preset=6))
    return part if len(data) >= of else math.ceil(part * of / len(data))


def packed_file_bytes(path: Path) -> int:
    """Give the bytes that xz makes of a file as it stands, going by its first part where it is large."""
    with path.open("rb") as file:
        return packed_bytes(file.read(COMPARED), path.stat().st_size)
