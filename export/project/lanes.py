"""Lanes of coded bytes as testbenches read and write them."""

from __future__ import annotations

from pcedge.errors import FormatError


def pack_lanes(lanes: list[bytes]) -> bytes:
    """Write lanes as the testbench reads them: a count, then a length and the bytes of each."""
    pieces = [len(lanes).to_bytes(4, "little")]
    for lane in lanes:
        pieces += [len(lane).to_bytes(4, "little"), lane]
    return b"".join(pieces)


def unpack_lanes(data: bytes) -> list[bytes]:
    """Read lanes as the testbenches write them.

    Raises:
        FormatError: the data end before the lanes that they count, or go on behind them.
    """
    count, offset = int.from_bytes(data[:4], "little"), 4
    lanes: list[bytes] = []
    while len(lanes) < count and offset + 4 <= len(data):
        size = int.from_bytes(data[offset : offset + 4], "little")
        lanes.append(data[offset + 4 : offset + 4 + size])
        offset += 4 + size
    if (len(lanes), offset) != (count, len(data)):
        raise FormatError("project-lanes", f"{count} lanes must end with the data, got {len(data)} bytes")
    return lanes
