"""The reference coder: schedules, their replay in numpy, the range coder and the stream."""

from pcedge.coder.bounds import needed_widths
from pcedge.coder.checking import check_stream
from pcedge.coder.extra import ExtraBits, bounds_notes, extra_bits
from pcedge.coder.interpreter import Engine
from pcedge.coder.stream import decode, encode

__all__ = ["Engine", "ExtraBits", "bounds_notes", "check_stream", "decode", "encode", "extra_bits", "needed_widths"]
