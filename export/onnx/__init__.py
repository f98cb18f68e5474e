"""The ONNX form of an integer circuit (docs/onnx.md); each name is imported when it is first asked for."""

from typing import TYPE_CHECKING

from pcedge.lazy import lazy_names

if TYPE_CHECKING:
    from pcedge.export.onnx.reader import from_onnx, read_notes, read_onnx
    from pcedge.export.onnx.shipped import load_zoo, zoo
    from pcedge.export.onnx.writer import Placement, placements, to_onnx, write_onnx

__getattr__ = lazy_names(__name__, {
    "reader": ("from_onnx", "read_notes", "read_onnx"),
    "writer": ("Placement", "placements", "to_onnx", "write_onnx"),
    "shipped": ("load_zoo", "zoo"),
})  # fmt: skip

__all__ = [
    "Placement", "from_onnx", "load_zoo", "placements", "read_notes", "read_onnx", "to_onnx", "write_onnx", "zoo",
]  # fmt: skip


def __dir__() -> list[str]:
    """List the public names."""
    return list(__all__)
