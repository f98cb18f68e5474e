"""The engine on a PYNQ board: its registers by MMIO, its streams by AXI DMAs (docs/engine.md, section Driver)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pcedge.errors import UsageError
from pcedge.export.drivers.device import Device, Words


@dataclass(frozen=True, eq=False)
class DmaPort:
    """Send and receive packets by the two channels of an AXI DMA in simple mode, one transfer a packet."""

    dma: Any
    #: gives a buffer of so many words that the DMA can reach, as `pynq.allocate` does
    allocate: Callable[[int], Any]

    def send(self, words: Words) -> None:
        """Send one packet; return when it was taken."""
        buffer = self.allocate(len(words))
        buffer[:] = words
        self.dma.sendchannel.transfer(buffer)
        self.dma.sendchannel.wait()

    def receive(self, limit: int) -> Words:
        """Wait for one packet of at most so many words."""
        buffer = self.allocate(limit)
        self.dma.recvchannel.transfer(buffer)
        self.dma.recvchannel.wait()
        words: Words = np.array(buffer[: self.dma.recvchannel.transferred // 4], dtype=np.uint32)
        return words


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
