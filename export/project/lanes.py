"""Lanes of coded bytes as testbenches read and write them."""

from __future__ import annotations


def pack_lanes(lanes: list[bytes]) -> bytes:
    """Write lanes as the testbench reads them: a count, then a length and the bytes of each."""
    pieces = [len(lanes).to_bytes(4, "little")]
    for lane in lanes:
        pieces += [len(lane).to_bytes(4, "little"), lane]
    return b"".join(pieces)


def unpack_lanes(data: bytes) -> list[bytes]:
    """Read lanes as the testbenches write them."""
    count, offset = int.from_bytes(data[:4], "little"), 4
    lanes = []
    for _ in range(count):
        size = int.from_bytes(data[offset : offset + 4], "little")
        lanes.append(data[offset + 4 : offset + 4 + size])
        offset += 4 + size
    return lanes
