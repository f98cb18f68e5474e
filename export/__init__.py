"""Export: the ONNX form of an integer circuit, and the project directories of targets.

Each name is imported when it is first asked for: what reads no ONNX file needs no onnx.
"""

from typing import TYPE_CHECKING

from pcedge.lazy import lazy_names

if TYPE_CHECKING:
    from pcedge.export.c99.project import write_c99
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
    from pcedge.export.onnx.float_graph import float_onnx, write_float_onnx
    from pcedge.export.pyjuice.jpc import write_jpc
    from pcedge.export.rtl.project import write_rtl
    from pcedge.export.rtl.serial.project import write_serial
    from pcedge.export.rtl.size import RtlSize
    from pcedge.export.target import Resources, Target, find_target, targets
    from pcedge.export.unrolled.project import write_unrolled
    from pcedge.export.unrolled.rtl import write_unrolled_rtl

__getattr__ = lazy_names(__name__, {
    "c99.project": ("write_c99",),
    "engine.costs": ("Cost", "estimate_cost"),
    "engine.project": ("write_project",),
    "pyjuice.jpc": ("write_jpc",),
    "rtl.project": ("write_rtl",),
    "rtl.serial.project": ("write_serial",),
    "rtl.size": ("RtlSize",),
    "onnx.float_graph": ("float_onnx", "write_float_onnx"),
    "hls4ml": ("append_to_hls4ml", "to_hls4ml"),
    "onnx": (
        "Placement", "from_onnx", "load_zoo", "placements", "read_notes", "read_onnx", "to_onnx", "write_onnx", "zoo",
    ),
    "target": ("Resources", "Target", "find_target", "targets"),
    "unrolled.project": ("write_unrolled",),
    "unrolled.rtl": ("write_unrolled_rtl",),
})  # fmt: skip

__all__ = [
    "Cost", "Placement", "Resources", "RtlSize", "Target", "append_to_hls4ml", "estimate_cost", "find_target",
    "float_onnx", "from_onnx",
    "load_zoo", "placements", "read_notes", "read_onnx", "targets", "to_hls4ml", "to_onnx", "write_c99",
    "write_float_onnx", "write_jpc", "write_onnx",
    "write_project", "write_rtl", "write_serial", "write_unrolled", "write_unrolled_rtl", "zoo",
]  # fmt: skip


def __dir__() -> list[str]:
    """List the public names."""
    return list(__all__)
