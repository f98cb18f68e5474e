"""A circuit that SPFlow wrote: counts of words in papers, scored and compressed by integers."""

from pathlib import Path

import numpy as np

import pcedge

files = Path(__file__).resolve().parents[1] / "tests/data/spn"
made = pcedge.import_circuit(files / "NIPS5.spn")  # of a live model: pcedge.importers.from_spflow(model)
counts = np.loadtxt(files / "NIPS5_input.txt.gz", delimiter=";").astype(np.int64)
of_spflow = np.loadtxt(files / "NIPS5_loglikelihood.txt.gz")
assert np.abs(pcedge.log_likelihood(made.circuit, counts) + made.log_constant - of_spflow).max() < 1e-9

integers = pcedge.to_integer(made.circuit)
mantissa, exponent = pcedge.ReferenceEngine(integers).likelihood(counts)
nats = (np.log2(mantissa) + exponent) * np.log(2) + made.log_constant
print(f"nats a record of {', '.join(made.names)}: {of_spflow.mean():.4f} by SPFlow, {nats.mean():.4f} by integers")

stream = pcedge.encode(integers, counts[:2000], lanes=1)
assert np.array_equal(pcedge.decode(integers, stream), counts[:2000])
print(f"{2000 * 5} counts: {len(stream)} bytes")
