"""Probabilistic circuits on edge hardware: integer circuits, ONNX, HLS kernels and a range coder, equal bit for bit.

The packages, from data to hardware: `pcedge.data`, `pcedge.circuit`, `pcedge.learn`, `pcedge.quantize`,
`pcedge.coder`, `pcedge.export`, `pcedge.simulate`, `pcedge.verify`.
"""

__version__ = "0.1.0"
