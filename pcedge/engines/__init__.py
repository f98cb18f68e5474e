"""Engines: what replays the program of a circuit. The numpy reference is the one that all others equal."""

from pcedge.engines.base import Engine, LaneCoder
from pcedge.engines.completion import IntegerCompletion, most_probable
from pcedge.engines.queries import classify, likelihoods, shares
from pcedge.engines.reference import ReferenceEngine

__all__ = [
    "Engine", "IntegerCompletion", "LaneCoder", "ReferenceEngine", "classify", "likelihoods", "most_probable", "shares",
]  # fmt: skip
