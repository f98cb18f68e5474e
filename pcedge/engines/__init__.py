"""Engines: what replays the program of a circuit. The numpy reference is the one that all others equal."""

from pcedge.engines.base import Engine, LaneCoder
from pcedge.engines.reference import ReferenceEngine
from pcedge.lazy import lazy_names

__all__ = [
    "Engine", "IntegerCompletion", "LaneCoder", "ReferenceEngine", "classify", "likelihoods", "most_probable", "shares",
]  # fmt: skip

__getattr__ = lazy_names(
    __name__,
    {"completion": ("IntegerCompletion", "most_probable"), "queries": ("classify", "likelihoods", "shares")},
)
