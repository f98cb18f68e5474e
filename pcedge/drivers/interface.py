"""What an engine is to its driver: registers, both ends of every stream, and what its info registers say."""

from __future__ import annotations

from dataclasses import dataclass, fields
from threading import Event
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pcedge.drivers.contract import DIGEST_WORDS, ENGINE_VERSION, INFO, INFO_NAMES, INFO_WORDS, MAGIC
from pcedge.errors import FormatError

Words = NDArray[np.uint32]


class Registers(Protocol):
    """Read and write 32-bit registers by their byte offset."""

    def read(self, offset: int) -> int:
        """Give a register's value."""

    def write(self, offset: int, value: int) -> None:
        """Set a register."""


class Port(Protocol):
    """Both ends of one stream of the engine; nothing waits any longer when `stop` is set, but raises `ToolError`."""

    def send(self, words: Words, stop: Event) -> None:
        """Send one packet; return when it was taken."""

    def receive(self, limit: int, stop: Event) -> Words:
        """Wait for one packet of at most so many words."""


@dataclass(frozen=True)
class Info:
    """Hold what the info registers say."""

    #: SHA-256 of the circuit
    digest: bytes
    #: whether the memories can be loaded
    reload: bool
    streams: int
    macs: int
    search_bits: int
    state_bits: int
    weight_bits: int
    leaf_bits: int
    scale_bits: int
    range_bits: int
    floor: int
    cardinality: int
    #: room for a record's variables, words and exponents of the state memory, and units of a step
    variables: int
    state_words: int
    exponent_slots: int
    max_units: int
    #: variables of the circuit that is loaded; 0 where there is none
    record: int


def read_info(registers: Registers) -> Info:
    """Read the info registers.

    Raises:
        FormatError: they are not those of an engine that this driver knows.
    """
    words = [registers.read(INFO + 4 * index) & 0xFFFFFFFF for index in range(INFO_WORDS)]
    if words[:2] != [MAGIC, ENGINE_VERSION]:
        raise FormatError(
            "engine-registers",
            f"info must begin with {MAGIC:#x} and version {ENGINE_VERSION}, got {words[0]:#x}, {words[1]}",
        )
    digest = np.array(words[-DIGEST_WORDS:], dtype="<u4").tobytes()
    named = dict(zip(INFO_NAMES, words, strict=False))
    numbers = {item.name: named[item.name] for item in fields(Info) if item.name not in ("digest", "reload")}
    return Info(digest, bool(named["reload"]), **numbers)
