"""The native engine: a shared library of plain C, by ctypes, that gives the reference's integers (docs/native.md)."""

from pcedge.native.choice import ENGINES, EngineName, open_engine
from pcedge.native.engine import NativeEngine
from pcedge.native.library import instruction_sets

__all__ = ["ENGINES", "EngineName", "NativeEngine", "instruction_sets", "open_engine"]
