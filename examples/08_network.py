"""A Bayesian network: from the tables that you have to integers that every engine computes alike."""

from pathlib import Path

import numpy as np

import pcedge
from pcedge.circuit import log_conditional
from pcedge.importers import import_circuit

# The chest clinic of Lauritzen and Spiegelhalter (1988). A row in parentheses is for states of the parents.
NETWORK = """
network asia { }
variable asia { type discrete [ 2 ] { yes, no }; }     variable tub { type discrete [ 2 ] { yes, no }; }
variable smoke { type discrete [ 2 ] { yes, no }; }    variable lung { type discrete [ 2 ] { yes, no }; }
variable bronc { type discrete [ 2 ] { yes, no }; }    variable either { type discrete [ 2 ] { yes, no }; }
variable xray { type discrete [ 2 ] { yes, no }; }     variable dysp { type discrete [ 2 ] { yes, no }; }
probability ( asia ) { table 0.01, 0.99; }
probability ( tub | asia ) { (yes) 0.05, 0.95; (no) 0.01, 0.99; }
probability ( smoke ) { table 0.5, 0.5; }
probability ( lung | smoke ) { (yes) 0.1, 0.9; (no) 0.01, 0.99; }
probability ( bronc | smoke ) { (yes) 0.6, 0.4; (no) 0.3, 0.7; }
probability ( either | lung, tub ) { default 1.0, 0.0; (no, no) 0.0, 1.0; }
probability ( xray | either ) { (yes) 0.98, 0.02; (no) 0.05, 0.95; }
probability ( dysp | bronc, either ) { (yes, yes) 0.9, 0.1; (no, yes) 0.7, 0.3; (yes, no) 0.8, 0.2; (no, no) 0.1, 0.9; }
"""
Path("asia.bif").write_text(NETWORK)
circuit = import_circuit("asia.bif").circuit

# A patient who smokes, with a shadow on the X-ray; what was not asked is None. How likely is lung cancer?
patient = circuit.grid.symbols_of([[None, None, "yes", None, None, None, "yes", None]], allow_missing=True)
cancer = circuit.grid.symbols_of([[None, None, None, "yes", None, None, None, None]], allow_missing=True)
exact = np.exp(log_conditional(circuit, cancer, patient))[0]

# 16 bits a weight and leaf entry in place of 8 and 12: probabilities given what is rarely seen are of small ones.
integers = pcedge.to_integer(circuit, weight_bits=16, leaf_bits=16)
engine = pcedge.ReferenceEngine(integers)
mantissa, exponent = engine.likelihood(np.concatenate([np.where(cancer >= 0, cancer, patient), patient]))
bits = np.log2(mantissa) + exponent
print(f"p(lung cancer | smokes, shadow): floats {exact:.4f}, integers {np.exp2(bits[0] - bits[1]):.4f}")
assert abs(np.exp2(bits[0] - bits[1]) - exact) < 1e-3

patients = circuit.grid.values_of(pcedge.sample(circuit, 10_000))  # texts: yes, no
stream = pcedge.encode(integers, patients, lanes=1)
print(f"10,000 patients, 8 answers each: {len(stream):,} bytes, {8 * len(stream) / len(patients):.2f} bits a patient")
assert np.array_equal(pcedge.decode(integers, stream), patients)
