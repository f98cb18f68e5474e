"""The beats of an unrolled kernel's streams (docs/unrolled.md, Interface)."""

from __future__ import annotations

from pcedge.arithmetic import ceil_log2

#: bits of a result's beat: mantissa, exponent and score of 32 bits each, and as many zeros, for a DMA's width
RESULT_BITS = 128


def beat_bits(bits: int) -> int:
    """Give the width of a beat of so many bits: the least power of two of bytes, which DMAs and converters take."""
    return max(8, 1 << ceil_log2(bits))
