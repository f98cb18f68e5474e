"""Probabilistic circuits on edge hardware: integer circuits, ONNX, HLS kernels and a range coder, equal bit for bit.

The packages, from data to hardware: `pcedge.data`, `pcedge.circuit`, `pcedge.learn`, `pcedge.quantize`,
`pcedge.codec`, `pcedge.export`, `pcedge.simulate`, `pcedge.verify`.
"""

import importlib

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Find `to_hls4ml` when it is asked for: importing pcedge imports nothing else."""
    if name != "to_hls4ml":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Not an import statement: the layers below export would then import export through this module.
    return importlib.import_module("pcedge.export.hls4ml").to_hls4ml
