"""The engine on a PYNQ board: its registers by MMIO, its streams by AXI DMAs (docs/engine.md, section Driver)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np

from pcedge.errors import ToolError, UsageError
from pcedge.export.drivers.device import Device, Words


@dataclass(frozen=True, eq=False)
class DmaPort:
    """Send and receive packets by the two channels of an AXI DMA in simple mode, one transfer a packet."""

    dma: Any
    #: gives a buffer of so many words that the DMA can reach, as `pynq.allocate` does
    allocate: Callable[[int], Any]

    def send(self, words: Words, stop: Event) -> None:
        """Send one packet; return when it was taken.

        Raises:
            ToolError: `stop` was set before.
        """
        buffer = self.allocate(len(words))
        buffer[:] = words
        self.dma.sendchannel.transfer(buffer)
        _finish(self.dma.sendchannel, stop)

    def receive(self, limit: int, stop: Event) -> Words:
        """Wait for one packet of at most so many words.

        Raises:
            ToolError: `stop` was set before it came.
        """
        buffer = self.allocate(limit)
        self.dma.recvchannel.transfer(buffer)
        _finish(self.dma.recvchannel, stop)
        words: Words = np.array(buffer[: self.dma.recvchannel.transferred // 4], dtype=np.uint32)
        return words


def _finish(channel: Any, stop: Event) -> None:
    """Wait for a transfer; a channel that is stopped is started again, for the next one."""
    while not (channel.idle or channel.error):
        if stop.is_set():
            channel.stop()
            channel.start()
            raise ToolError("a transfer must end with its job, it did not")
        time.sleep(1e-4)
    # Reports an error, and makes what came visible to the processor.
    channel.wait()


def open_overlay(
    overlay: Any,
    engine: str = "pc_engine_0",
    dmas: Sequence[str] = ("axi_dma_0",),
    allocate: Callable[[int], Any] | None = None,
) -> Device:
    """Open the engine of a loaded `pynq.Overlay`.

    Args:
        overlay: the overlay; its attributes are the IPs of the block design.
        engine: name of the engine in it.
        dmas: names of the AXI DMAs, that of stream k at place k.
        allocate: gives a buffer of so many words; None takes `pynq.allocate`.

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

    return Device(getattr(overlay, engine), [DmaPort(getattr(overlay, name), allocate) for name in dmas])
