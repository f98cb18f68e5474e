"""What a user chooses when a circuit becomes integers."""

from __future__ import annotations

from dataclasses import dataclass

from pcedge.arithmetic import LIMITS
from pcedge.errors import WidthError

#: (scale_bits, range_bits) of the two coder sizes
CODERS = {"small": (16, 32), "wide": (24, 48)}

#: by default the floors of all symbols together take 2^-FLOOR_SHARE_BITS of the code space, as much as the reciprocal
FLOOR_SHARE_BITS = 15


@dataclass(frozen=True)
class QuantizationConfig:
    """Hold the widths of an integer circuit, the same for all its layers.

    Raises:
        WidthError: a width is outside its range.
    """

    #: W, 2..16: a sum unit's weights are integers that sum to 2^W. A weight below 2^-W of its row may become zero.
    weight_bits: int = 8
    #: L, 8..16: a leaf table's entries sum to 2^L. Dominates the memory: one table a unit.
    leaf_bits: int = 12
    #: A, 8..16: bits of a state vector's largest entry; entries below 2^-A of it vanish. Sets the multipliers' size.
    state_bits: int = 16
    #: `wide` (P 24, 48-bit range) or `small` (P 16, 32-bit range, one 18-bit multiplier; for small alphabets)
    coder: str = "wide"
    #: f: share of every symbol in 2^P, so that any input can be coded. None: the most that costs under 2^-15 together.
    floor: int | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("weight_bits", "leaf_bits", "state_bits"):
            low, high = LIMITS[name]
            value = getattr(self, name)
            if type(value) is not int:
                raise WidthError(f"{name} must be an integer in {low}..{high}, got {value!r}")
            if not low <= value <= high:
                raise WidthError(f"{name} must be in {low}..{high}, got {value}")
        if self.floor is not None and type(self.floor) is not int:
            raise WidthError(f"floor must be an integer, got {self.floor!r}")
        if not isinstance(self.coder, str) or self.coder not in CODERS:
            raise WidthError(f"coder must be one of {', '.join(CODERS)}, got {self.coder!r}")

    def floor_for(self, cardinality: int) -> int:
        """Give the floor for a circuit whose largest variable has `cardinality` symbols."""
        if self.floor is not None:
            return self.floor
        return max(1, (1 << CODERS[self.coder][0] >> FLOOR_SHARE_BITS) // cardinality)
