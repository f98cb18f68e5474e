"""The sizes of the parallel engine (docs/engine.md)."""

from __future__ import annotations

from dataclasses import dataclass

from pcedge.arithmetic import ceil_log2
from pcedge.drivers.contract import MOST_STREAMS
from pcedge.errors import UsageError
from pcedge.integer.circuit import IntegerCircuit


@dataclass(frozen=True)
class EngineSize:
    """Hold the sizes of an engine.

    Raises:
        UsageError: a size is out of its range.
    """

    #: multiply-accumulates a cycle of the matrix-vector unit, a power of two
    macs: int = 1
    #: records in flight
    streams: int = 1
    #: bits of a symbol that a decoder finds in one round, with 2^bits − 1 probes for each lane
    search_bits: int = 1

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not (1 <= self.macs <= 4096 and self.macs & (self.macs - 1) == 0):
            raise UsageError(f"macs must be a power of two in 1..4096, got {self.macs}")
        if not 1 <= self.streams <= MOST_STREAMS:
            raise UsageError(f"streams must be in 1..{MOST_STREAMS}, got {self.streams}")
        if not 1 <= self.search_bits <= 4:
            raise UsageError(f"search_bits must be in 1..4, got {self.search_bits}")

    @property
    def tile(self) -> tuple[int, int]:
        """Give the rows and columns of weights that are multiplied in one cycle."""
        return tile_of(self.macs)

    @property
    def lanes(self) -> int:
        """Give the entries that the other units take in one cycle."""
        return self.tile[1]

    @property
    def multipliers(self) -> dict[str, int]:
        """Count the multipliers of each unit: only those of `mix` are `macs`."""
        return {"mix": self.macs, "vector": self.lanes, "interval": self.lanes * max(2, (1 << self.search_bits) - 1)}


def tile_of(macs: int) -> tuple[int, int]:
    """Give the rows and columns of a tile of so many weights, a power of two, that is as square as can be."""
    bits = macs.bit_length() - 1
    return 1 << bits // 2, 1 << (bits + 1) // 2


def default_search_bits(circuit: IntegerCircuit, macs: int) -> int:
    """Give the bits that a decoder finds in a round where the user names none.

    One mac hides rounds of one bit in the matrix-vector unit's work, up to 16 hide rounds of 2 bits. Beyond, a symbol
    takes two rounds, of up to 4 bits, so that decoding 256 symbols takes at most 1.5 times the cycles of encoding.
    """
    bits = ceil_log2(max(circuit.cardinalities))
    limit = 1 if macs == 1 else 2 if macs <= 16 else 4
    return max(1, min(limit, -(-bits // 2)))
