"""The reference coder: schedules, their replay in numpy, the range coder and the stream."""

from pcedge.coder.interpreter import Engine
from pcedge.coder.stream import decode, encode

__all__ = ["Engine", "decode", "encode"]
