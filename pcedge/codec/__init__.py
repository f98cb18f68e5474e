"""The codec: lanes, their range coder, and the stream. Needs numpy only."""

from pcedge.codec.codec import Codec
from pcedge.codec.stream import decode, encode

__all__ = ["Codec", "decode", "encode"]
