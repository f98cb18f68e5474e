"""The sizes of the engine in SystemVerilog (docs/rtl.md, Sizes)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pcedge.drivers.contract import MOST_STREAMS
from pcedge.drivers.size import tile_of
from pcedge.errors import UsageError
from pcedge.export.open_target import is_open_target

#: levels of hardening, and what each protects (docs/hardening.md)
LEVELS = {
    "none": "nothing",
    "parity": "every memory, by a bit of parity a word",
    "tmr": "the same, and every register, by two copies more and a vote",
}


@dataclass(frozen=True)
class RtlSize:
    """Hold the sizes of an engine.

    Raises:
        UsageError: a size is out of its range.
    """

    #: multiply-accumulates a cycle of all cores' mixing units, of each a power of two
    macs: int = 16
    #: records in flight, of all cores
    streams: int = 4
    #: entries of a row: what every unit takes in a cycle, a power of two, at most `macs`
    lanes: int = 4
    #: leaf tables that are read in a cycle, a power of two, at most `lanes`
    table_lanes: int = 2
    #: whether one wide multiplier does intervals and range coders, with passes at least 8 cycles apart; None shares it
    #: where passes take that long anyway
    shared_product: bool | None = None
    #: cores beside each other, which share macs and streams out, and read one image of the program and the weights
    cores: int = 1

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("macs", "streams", "lanes", "table_lanes", "cores"):
            if type(getattr(self, name)) is not int:
                raise UsageError(f"{name} must be a whole number, got {getattr(self, name)!r}")
        if not (self.shared_product is None or isinstance(self.shared_product, bool)):
            raise UsageError(f"shared_product must be True, False or None, got {self.shared_product!r}")
        if not 1 <= self.cores <= MOST_STREAMS:
            raise UsageError(f"cores must be in 1..{MOST_STREAMS}, got {self.cores}")
        if not 1 <= self.streams <= MOST_STREAMS:
            raise UsageError(f"streams must be in 1..{MOST_STREAMS}, got {self.streams}")
        for name in ("macs", "streams"):
            if getattr(self, name) % self.cores:
                raise UsageError(f"{name} must be a multiple of the {self.cores} cores, got {getattr(self, name)}")
        macs = self.macs // self.cores
        of_each = "" if self.cores == 1 else f" for each of {self.cores} cores"
        # a tile has no more rows than lanes
        for name, value, least, most in (
            ("macs", macs, 1, 4096), ("lanes", self.lanes, 1 << macs.bit_length() // 2, macs),
            ("table_lanes", self.table_lanes, 1, self.lanes),
        ):  # fmt: skip
            if not (least <= value <= most and value & (value - 1) == 0):
                raise UsageError(f"{name} must be a power of two in {least}..{most}{of_each}, got {value}")

    @property
    def core(self) -> RtlSize:
        """Give the sizes of one core."""
        return replace(self, macs=self.macs // self.cores, streams=self.streams // self.cores, cores=1)

    @property
    def tile_rows(self) -> int:
        """Give the rows of a tile, whose columns are the lanes."""
        return self.macs // self.cores // self.lanes


def size_for(
    macs: int | None = None, streams: int | None = None, lanes: int | None = None, table_lanes: int | None = None,
    cores: int | None = None,
) -> RtlSize:  # fmt: skip
    """Choose what is not given of an engine: tiles as square as they can be, two tables a cycle.

    Of neither macs nor streams, every core has those of `RtlSize`; where one is given, the other is 1 for each core.

    Raises:
        UsageError: a size is out of its range.
    """
    cores = 1 if cores is None else cores
    if macs is None and streams is None:
        macs, streams = RtlSize.macs * cores, RtlSize.streams * cores
    macs, streams = (cores if number is None else number for number in (macs, streams))
    if lanes is None:
        lanes = tile_of(max(1, macs // max(1, cores)))[1]
    return RtlSize(macs, streams, lanes, min(2, lanes) if table_lanes is None else table_lanes, cores=cores)


def is_rtl_target(target: str) -> bool:
    """Tell whether a target is `rtl`, or a device of the open flow, which implies it."""
    return target == "rtl" or is_open_target(target)
