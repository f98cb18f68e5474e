"""Export: the ONNX form of an integer circuit, and the project directories of targets."""

from pcedge.export.onnx_reader import from_onnx, read_onnx
from pcedge.export.onnx_writer import Placement, placements, to_onnx, write_onnx

__all__ = ["Placement", "from_onnx", "placements", "read_onnx", "to_onnx", "write_onnx"]
