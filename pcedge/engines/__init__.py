"""Engines: what replays the program of a circuit. The numpy reference is the one that all others equal."""

from pcedge.engines.base import Engine, LaneCoder
from pcedge.engines.reference import ReferenceEngine

__all__ = ["Engine", "LaneCoder", "ReferenceEngine"]
