"""Bounds on the extra code length of integers against the float circuit (docs/bounds.md)."""

from pcedge.bounds.extra import ExtraBits, bounds_notes, extra_bits

__all__ = ["ExtraBits", "bounds_notes", "extra_bits"]
