"""Float circuits: structure, reference inference and file format."""

from pcedge.circuit.completion import Completion, most_probable
from pcedge.circuit.determinism import is_deterministic
from pcedge.circuit.file import load_circuit, save_circuit
from pcedge.circuit.inference import log_conditional, log_likelihood, sample
from pcedge.circuit.layers import MISSING, Circuit, InputLayer, Layer, ProductLayer, SumLayer
from pcedge.circuit.parametric import Parametric
from pcedge.circuit.posteriors import classify, expectation, posterior, responsibilities
from pcedge.circuit.rows import SparseRows

__all__ = [
    "MISSING", "Circuit", "Completion", "InputLayer", "Layer", "Parametric", "ProductLayer", "SparseRows", "SumLayer",
    "classify", "expectation", "is_deterministic", "load_circuit", "log_conditional", "log_likelihood", "most_probable",
    "posterior", "responsibilities", "sample", "save_circuit",
]  # fmt: skip
