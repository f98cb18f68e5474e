"""Unrolled kernels of small circuits: a record a cycle (docs/unrolled.md)."""
