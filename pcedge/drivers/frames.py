"""Frames of the bridge on a serial line: what they hold, and how they are told from garbage (docs/board.md)."""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from enum import IntEnum, IntFlag

#: first byte of every frame
SYNC = 0xA5

#: version of the protocol
VERSION = 1

#: bytes before the payload, and behind it
HEAD, TAIL = 4, 2

#: bytes of a payload at most
MOST_PAYLOAD = 255

#: words of four bytes that a frame has at most, and words that are bytes, of SEND and of the reply of RECEIVE
MOST_WIDE, MOST_SENT, MOST_RECEIVED = 63, 253, 254

#: seconds after which a bridge forgets a frame whose next byte did not come
QUIET_SECONDS = 0.05


class Command(IntEnum):
    """Number what a frame asks for."""

    RESET = 0
    READ = 1
    WRITE = 2
    SEND = 3
    RECEIVE = 4


class Result(IntEnum):
    """Number what a reply says."""

    DONE = 0
    DAMAGED = 1
    REFUSED = 2


class Flag(IntFlag):
    """Name the flags of words."""

    LAST = 1
    NARROW = 2
    WIDE = 4


@dataclass(frozen=True)
class Frame:
    """Hold a frame, or a reply, whose code is a result."""

    sequence: int
    code: int
    payload: bytes

    def as_bytes(self) -> bytes:
        """Give what goes over the line."""
        body = bytes([self.sequence, self.code, len(self.payload)]) + self.payload
        return bytes([SYNC]) + body + binascii.crc_hqx(body, 0xFFFF).to_bytes(TAIL, "big")


def first_frame(data: bytes) -> tuple[Frame | None, bytes]:
    """Find the first whole frame in bytes of a line.

    Returns:
        The frame, None where there is none yet, and what is left behind it; of garbage only what may be a beginning.
    """
    at = 0
    while (at := data.find(SYNC, at)) >= 0:
        if len(data) < at + HEAD:
            return None, data[at:]
        end = at + HEAD + data[at + HEAD - 1] + TAIL
        if len(data) >= end and binascii.crc_hqx(data[at + 1 : end], 0xFFFF) == 0:
            payload = data[at + HEAD : end - TAIL]
            return Frame(data[at + 1], data[at + 2], payload), data[end:]
        if len(data) < end:
            # It may be one that is still coming; a whole one behind it says that it is not.
            later, left = first_frame(data[at + 1 :])
            return (later, left) if later is not None else (None, data[at:])
        at += 1
    return None, b""
