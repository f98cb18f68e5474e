"""From float to integer circuits."""

from pcedge.quantize.config import QuantizationConfig
from pcedge.quantize.nested import nest
from pcedge.quantize.post_training import quantize
from pcedge.quantize.refine_config import RefineConfig, refine

__all__ = ["QuantizationConfig", "RefineConfig", "nest", "quantize", "refine"]
