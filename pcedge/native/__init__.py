"""The native engine: a shared library of plain C, by ctypes, that gives the reference's integers (docs/native.md)."""

from pcedge.native.engine import NativeEngine
from pcedge.native.library import instruction_sets

__all__ = ["NativeEngine", "instruction_sets"]
