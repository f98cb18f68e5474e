"""From float to integer circuits."""

from pcedge.quantize.config import QuantizationConfig
from pcedge.quantize.integer import IntegerCircuit, IntegerInput, IntegerLayer, IntegerSum
from pcedge.quantize.nested import NestedTables, nest
from pcedge.quantize.post_training import quantize
from pcedge.quantize.refine_config import RefineConfig, refine

__all__ = [
    "IntegerCircuit", "IntegerInput", "IntegerLayer", "IntegerSum", "NestedTables", "QuantizationConfig",
    "RefineConfig", "nest", "quantize", "refine",
]  # fmt: skip
