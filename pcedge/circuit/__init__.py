"""Float circuits: structure, reference inference and file format."""

from pcedge.circuit.file import load_circuit, save_circuit
from pcedge.circuit.inference import log_conditional, log_likelihood, sample
from pcedge.circuit.layers import MISSING, Circuit, InputLayer, Layer, ProductLayer, SumLayer
from pcedge.circuit.parametric import Parametric
from pcedge.circuit.rows import SparseRows

__all__ = [
    "MISSING", "Circuit", "InputLayer", "Layer", "Parametric", "ProductLayer", "SparseRows", "SumLayer", "load_circuit",
    "log_conditional", "log_likelihood", "sample", "save_circuit",
]  # fmt: skip
