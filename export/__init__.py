"""Export: the ONNX form of an integer circuit, and the project directories of targets."""

from pcedge.export.engine.costs import Cost, estimate_cost
from pcedge.export.engine.project import write_project
from pcedge.export.hls4ml import append_to_hls4ml, to_hls4ml
from pcedge.export.onnx import (
    Placement,
    from_onnx,
    load_zoo,
    placements,
    read_notes,
    read_onnx,
    to_onnx,
    write_onnx,
    zoo,
)
from pcedge.export.target import Resources, Target, find_target, targets
from pcedge.export.unrolled.project import write_unrolled

__all__ = [
    "Cost", "Placement", "Resources", "Target", "append_to_hls4ml", "estimate_cost", "find_target", "from_onnx",
    "load_zoo", "placements", "read_notes", "read_onnx", "targets", "to_hls4ml", "to_onnx", "write_onnx",
    "write_project", "write_unrolled", "zoo",
]  # fmt: skip
