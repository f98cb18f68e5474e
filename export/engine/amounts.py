"""Amounts of what a device has, by block of an engine."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from pcedge.export.target import Resources


@dataclass(frozen=True)
class Amounts:
    """Count look-up tables of six inputs, flip-flops, DSP slices, and block RAMs of 18 Kbit."""

    lut: int = 0
    ff: int = 0
    dsp: int = 0
    bram18: int = 0

    def __add__(self, other: Amounts) -> Amounts:
        """Add each kind."""
        return Amounts(
            self.lut + other.lut, self.ff + other.ff, self.dsp + other.dsp, self.bram18 + other.bram18
        )  # fmt: skip

    def __mul__(self, count: int) -> Amounts:
        """Take something several times."""
        return Amounts(self.lut * count, self.ff * count, self.dsp * count, self.bram18 * count)


@dataclass(frozen=True)
class ResourceEstimate:
    """Hold the amounts of every block of an engine."""

    family: str
    blocks: dict[str, Amounts]

    @property
    def total(self) -> Amounts:
        """Add up all blocks."""
        return sum(self.blocks.values(), Amounts())

    def missing(self, held: Resources) -> list[str]:
        """Name what a device has too little of."""
        total = asdict(self.total)
        return [name for name, used in total.items() if used > int(getattr(held, name))]

    def shares(self, held: Resources) -> dict[str, float | None]:
        """Give the percentage of what a device holds; None of what it does not have."""
        total = asdict(self.total)
        return {name: 100 * used / getattr(held, name) if getattr(held, name) else None for name, used in total.items()}

    def as_dict(self) -> dict[str, object]:
        """Give all numbers, with the word that they are not calibrated."""
        blocks = {name: asdict(amounts) for name, amounts in self.blocks.items()}
        return {"calibrated": False, "family": self.family, "total": asdict(self.total), "blocks": blocks}
