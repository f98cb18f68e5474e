"""The sizes of the engine in SystemVerilog (docs/rtl.md, Sizes)."""

from __future__ import annotations

from dataclasses import dataclass

from pcedge.drivers.size import EngineSize
from pcedge.errors import UsageError
from pcedge.export.open_target import find_open_target

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

    #: multiply-accumulates a cycle of the mixing unit, a power of two
    macs: int = 16
    #: records in flight
    streams: int = 4
    #: entries of a row: what every unit takes in a cycle, a power of two, at most `macs`
    lanes: int = 4
    #: leaf tables that are read in a cycle, a power of two, at most `lanes`
    table_lanes: int = 2
    #: whether one wide multiplier does intervals and range coders, with passes at least 8 cycles apart; None shares it
    #: where passes take that long anyway
    shared_product: bool | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, least, most in (("macs", 1, 4096), ("lanes", 1, self.macs), ("table_lanes", 1, self.lanes)):
            value = getattr(self, name)
            if not (least <= value <= most and value & (value - 1) == 0):
                raise UsageError(f"{name} must be a power of two in {least}..{most}, got {value}")
        if self.lanes**2 < self.macs:
            raise UsageError(f"lanes must be at least {self.macs // self.lanes}, rows of a tile, got {self.lanes}")
        if not 1 <= self.streams <= 64:
            raise UsageError(f"streams must be in 1..64, got {self.streams}")

    @property
    def tile_rows(self) -> int:
        """Give the rows of a tile, whose columns are the lanes."""
        return self.macs // self.lanes


def size_for(engine: EngineSize | None, lanes: int | None = None, table_lanes: int | None = None) -> RtlSize:
    """Choose what is not given of an engine: tiles as square as they can be, two tables a cycle."""
    macs, streams = (RtlSize.macs, RtlSize.streams) if engine is None else (engine.macs, engine.streams)
    if lanes is None:
        lanes = EngineSize(macs, streams).lanes
    return RtlSize(macs, streams, lanes, min(2, lanes) if table_lanes is None else table_lanes)


def is_rtl_target(target: str) -> bool:
    """Tell whether a target is `rtl`, or a device of the open flow, which implies it."""
    if target == "rtl":
        return True
    try:
        find_open_target(target)
    except UsageError:
        return False
    return True
