"""The engine on a PYNQ board: its registers by MMIO, its streams by AXI DMAs (docs/engine.md, section Driver)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import numpy as np

from pcedge.drivers.device import Device
from pcedge.drivers.interface import Words
from pcedge.errors import ToolError, UsageError


@dataclass(frozen=True, eq=False)
class DmaPort:
    """Send and receive packets by the two channels of an AXI DMA in simple mode, one transfer a packet."""

    dma: Any
    #: gives a buffer of so many words that the DMA can reach, as `pynq.allocate` does
    allocate: Callable[[int], Any]

    #: the buffer of a packet that did not come: its transfer cannot be taken back, so the next packet comes into it
    standing: list[Any] = field(default_factory=list)

    def send(self, words: Words, stop: Event) -> None:
        """Send one packet; return when it was taken.

        Raises:
            ToolError: the DMA failed, or `stop` was set before.
        """
        buffer = self.allocate(len(words))
        buffer[:] = words
        _begin(self.dma.sendchannel, buffer)
        _finish(self.dma.sendchannel, stop)

    def receive(self, limit: int, stop: Event) -> Words:
        """Wait for one packet of at most so many words.

        Raises:
            ToolError: the DMA failed, it still waits for a shorter packet of another job, or `stop` was set before the
                packet came.
        """
        if not self.standing:
            buffer = self.allocate(limit)
            _begin(self.dma.recvchannel, buffer)
            self.standing.append(buffer)
        buffer = self.standing[0]
        if len(buffer) < limit:
            raise ToolError(
                f"the DMA must be free for a packet of {limit} words, it waits for one of {len(buffer)} that an "
                "earlier job did not give: load the overlay again"
            )
        _finish(self.dma.recvchannel, stop)
        self.standing.clear()
        words: Words = np.array(buffer[: self.dma.recvchannel.transferred // 4], dtype=np.uint32)
        return words


def _begin(channel: Any, buffer: Any) -> None:
    try:
        channel.transfer(buffer)
    except RuntimeError as error:
        raise ToolError(f"the DMA must take a transfer: {error}; load the overlay again") from error


def _finish(channel: Any, stop: Event) -> None:
    """Wait for a transfer; PYNQ's own `wait` has no limit, but reports errors and shows the processor what came."""
    # Older versions of PYNQ have no `error`.
    while not channel.idle and not getattr(channel, "error", False):
        if stop.is_set():
            raise ToolError("a transfer must end with its job, it did not")
        time.sleep(1e-5)
    try:
        channel.wait()
    except RuntimeError as error:
        raise ToolError(f"the DMA must end a transfer: {error}; load the overlay again") from error


def open_overlay(
    overlay: Any,
    engine: str = "pc_engine_0",
    dmas: Sequence[str] = ("axi_dma_0",),
    allocate: Callable[[int], Any] | None = None,
    timeout: float = 60.0,
) -> Device:
    """Open the engine of a loaded `pynq.Overlay`.

    Args:
        overlay: the overlay; its attributes are the IPs of the block design.
        engine: name of the engine in it.
        dmas: names of the AXI DMAs, that of stream k at place k.
        allocate: gives a buffer of so many words; None takes `pynq.allocate`.
        timeout: seconds that a job may take.

    Raises:
        UsageError: the overlay has no such IP.
        FormatError: the registers are not those of an engine.
        ImportError: `pynq` is not installed, and no `allocate` is given.
    """
    for name in (engine, *dmas):
        if not hasattr(overlay, name):
            raise UsageError(f"the overlay must have the IP {name}, it has none of that name")
    if allocate is None:
        from pynq import allocate as pynq_allocate

        def allocate(words: int) -> Any:
            return pynq_allocate(shape=(words,), dtype=np.uint32)

    ports = [DmaPort(getattr(overlay, name), allocate) for name in dmas]
    return Device(getattr(overlay, engine), ports, timeout)
