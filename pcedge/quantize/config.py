"""What a user chooses when a circuit becomes integers."""

from __future__ import annotations

import operator
from dataclasses import dataclass

from pcedge.arithmetic import LIMITS
from pcedge.circuit import Circuit
from pcedge.data.predictor import Predictor
from pcedge.errors import UsageError, WidthError

#: (scale_bits, range_bits) of the two coder sizes
CODERS = {"small": (16, 32), "wide": (24, 48)}

#: what becomes of positive weights below 2^-W of their row
SMALL_WEIGHTS = ("auto", "keep", "round")

#: how rows become integers
ROUNDINGS = ("code-length", "largest-remainder")

#: by default the floors of all symbols together take 2^-FLOOR_SHARE_BITS of the code space, as much as the reciprocal
FLOOR_SHARE_BITS = 15


@dataclass(frozen=True)
class QuantizationConfig:
    """Hold the widths of an integer circuit.

    Raises:
        WidthError: a width is outside its range.
        UsageError: small_weights or rounding is none of its names.
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
    #: whether a positive weight becomes at least 1 of 2^W, where its row leaves room. `keep` does so, `round` lets it
    #: vanish, `auto` keeps those of sparse rows: an entry of a learned PSDD is often the only way to some records,
    #: while in dense mixtures, which overlap, rounding loses fewer bits (docs/arithmetic.md, section Weights); and with
    #: tails those of dense rows that would call possible records impossible.
    small_weights: str = "auto"
    #: `code-length` (the shortest expected code) or `largest-remainder` (the least error of every entry)
    rounding: str = "code-length"
    #: W of single sum layers, as (layer, bits) with the layers of the float circuit; at most weight_bits. Their weights
    #: are multiples of 2^(weight_bits - bits), so nothing but the memory changes.
    layer_weight_bits: tuple[tuple[int, int], ...] = ()
    #: leaf tables of 4 symbols and more are shifts and scales of at most so many masters; None nests none
    leaf_masters: int | None = None
    #: whether the likelihood has tails: no record that the float circuit calls possible becomes impossible in integers
    #: (docs/quantization.md, section Tails). Coding does not change, but for weights that `auto` keeps.
    tails: bool = True
    #: whether rows of dense sums are stored as turned rows of one table, of each length where that takes fewer bits.
    #: Rows that are equal but for their turn are rounded alike; `share_rows` makes a circuit with few different ones.
    row_table: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("weight_bits", "leaf_bits", "state_bits"):
            low, high = LIMITS[name]
            value = getattr(self, name)
            if type(value) is not int:
                raise WidthError(f"{name} must be an integer in {low}..{high}, got {value!r}")
            if not low <= value <= high:
                raise WidthError(f"{name} must be in {low}..{high}, got {value}")
        if self.leaf_masters is not None and (type(self.leaf_masters) is not int or self.leaf_masters < 1):
            raise UsageError(f"leaf_masters must be at least 1, got {self.leaf_masters!r}")
        for name in ("tails", "row_table"):
            if type(getattr(self, name)) is not bool:
                raise UsageError(f"{name} must be true or false, got {getattr(self, name)!r}")
        if self.row_table and self.layer_weight_bits:
            raise UsageError("a row table must come without layer_weight_bits: its rows have one W")
        if self.floor is not None and type(self.floor) is not int:
            raise WidthError(f"floor must be an integer, got {self.floor!r}")
        if not isinstance(self.coder, str) or self.coder not in CODERS:
            raise WidthError(f"coder must be one of {', '.join(CODERS)}, got {self.coder!r}")
        if not isinstance(self.small_weights, str) or self.small_weights not in SMALL_WEIGHTS:
            raise UsageError(f"small_weights must be one of {', '.join(SMALL_WEIGHTS)}, got {self.small_weights!r}")

        if not isinstance(self.rounding, str) or self.rounding not in ROUNDINGS:
            raise UsageError(f"rounding must be one of {', '.join(ROUNDINGS)}, got {self.rounding!r}")
        try:
            named = [(operator.index(layer), operator.index(bits)) for layer, bits in self.layer_weight_bits]
        except TypeError as error:
            raise UsageError(f"layer_weight_bits must be pairs of integers, got {self.layer_weight_bits!r}") from error
        if len(dict(named)) < len(named):
            raise UsageError("layer_weight_bits must name a layer once")
        for layer, bits in named:
            if not LIMITS["weight_bits"][0] <= bits <= self.weight_bits:
                raise WidthError(
                    f"weight_bits of layer {layer} must be in {LIMITS['weight_bits'][0]}..{self.weight_bits}, the "
                    f"weight_bits of the circuit, got {bits}"
                )

    @staticmethod
    def of(circuit: Circuit) -> QuantizationConfig:
        """Give the widths that a circuit has by default."""
        weight_bits, leaf_bits = default_widths(circuit)
        return QuantizationConfig(weight_bits, leaf_bits)

    def floor_for(self, cardinality: int) -> int:
        """Give the floor for a circuit whose largest variable has `cardinality` symbols."""
        if self.floor is not None:
            return self.floor
        return max(1, (1 << CODERS[self.coder][0] >> FLOOR_SHARE_BITS) // cardinality)


def default_widths(circuit: Circuit) -> tuple[int, int]:
    """Give W and L where nobody chooses them: more for densities, and for leaves that hold the weights of a mixture.

    The first are circuits over a grid that clips, whose scores tell outliers, and which may mix hundreds of components;
    the second those of a predictor stage.
    """
    density = circuit.grid is not None and bool(circuit.grid.ordered)
    wide = density or isinstance(circuit.symbolizer, Predictor)
    return 12 if density else QuantizationConfig.weight_bits, 15 if wide else QuantizationConfig.leaf_bits
