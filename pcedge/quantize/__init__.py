"""From float to integer circuits."""

from pcedge.quantize.config import QuantizationConfig
from pcedge.quantize.integer import IntegerCircuit, IntegerInput, IntegerLayer, IntegerSum
from pcedge.quantize.post_training import quantize

__all__ = ["IntegerCircuit", "IntegerInput", "IntegerLayer", "IntegerSum", "QuantizationConfig", "quantize"]
