"""The ONNX form of an integer circuit (docs/onnx.md)."""

from pcedge.export.onnx.reader import from_onnx, read_notes, read_onnx
from pcedge.export.onnx.writer import Placement, placements, to_onnx, write_onnx
from pcedge.export.onnx.zoo import load_zoo, zoo

__all__ = [
    "Placement", "from_onnx", "load_zoo", "placements", "read_notes", "read_onnx", "to_onnx", "write_onnx", "zoo",
]  # fmt: skip
