"""Lanes of coded bytes as testbenches read and write them."""

from __future__ import annotations


def pack_lanes(lanes: list[bytes]) -> bytes:
    """Write lanes as the testbench reads them: a count, then a length and the bytes of each."""
    parts = [len(lanes).to_bytes(4, "little")]
    for lane in lanes:
        parts += [len(lane).to_bytes(4, "little"), lane]
    return b"".join(parts)


def unpack_lanes(data: bytes) -> list[bytes]:
    """Read lanes as the testbenches write them."""
    count, place = int.from_bytes(data[:4], "little"), 4
    lanes = []
    for _ in range(count):
        size = int.from_bytes(data[place : place + 4], "little")
        lanes.append(data[place + 4 : place + 4 + size])
        place += 4 + size
    return lanes
