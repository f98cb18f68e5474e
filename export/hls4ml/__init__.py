"""A circuit as a layer of an hls4ml model (docs/hls4ml.md)."""

from pcedge.export.hls4ml.model import append_to_hls4ml, to_hls4ml

__all__ = ["append_to_hls4ml", "to_hls4ml"]
