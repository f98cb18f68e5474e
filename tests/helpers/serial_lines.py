"""Lines of boards in tests: one that damages what goes over it, and one that only answers as it is told."""

from __future__ import annotations

import random
from typing import Any


class NoisyLine:
    """Flip, drop and add bytes of another line, in both directions."""

    def __init__(self, line: Any, share: float, seed: int) -> None:
        self.line, self.share, self.dice = line, share, random.Random(seed)
        #: bytes that were damaged
        self.hits = 0
        self.timeout: float | None = None

    @property
    def in_waiting(self) -> int:
        waiting: int = self.line.in_waiting
        return waiting

    def write(self, data: bytes) -> None:
        self.line.write(self._damaged(data))

    def read(self, size: int) -> bytes:
        self.line.timeout = self.timeout
        return self._damaged(self.line.read(size))

    def reset_input_buffer(self) -> None:
        self.line.reset_input_buffer()

    def _damaged(self, data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            if self.dice.random() >= self.share:
                out.append(byte)
                continue
            self.hits += 1
            kind = self.dice.randrange(3)  # the byte is gone, another, or two
            out += bytes([[], [byte ^ 1 << self.dice.randrange(8)], [byte, self.dice.randrange(256)]][kind])
        return bytes(out)


class DeafLine:
    """Give the same bytes to whatever is asked."""

    def __init__(self, answer: bytes = b"") -> None:
        self.answer, self.waiting = answer, b""
        self.timeout: float | None = None
        self.written: list[bytes] = []

    @property
    def in_waiting(self) -> int:
        return len(self.waiting)

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self.waiting += self.answer

    def read(self, size: int) -> bytes:
        taken, self.waiting = self.waiting[:size], self.waiting[size:]
        return taken

    def reset_input_buffer(self) -> None:
        self.waiting = b""
