"""A circuit of your own: build one by hand, quantize it, and compare its integers with its floats."""

import numpy as np

import pcedge
from pcedge.circuit import InputLayer, ProductLayer, SumLayer

# Two kinds of days, each with its own weather (4 values) and traffic (3 values): layers from the leaves to the root.
weather = InputLayer(0, np.array([[0.6, 0.3, 0.1, 0.0], [0.1, 0.2, 0.3, 0.4]]))
traffic = InputLayer(1, np.array([[0.7, 0.2, 0.1], [0.1, 0.4, 0.5]]))
days = ProductLayer((0, 1), np.array([[0, 0], [1, 1]]))
root = SumLayer((2,), np.array([[0.75, 0.25]]))
circuit = pcedge.Circuit((weather, traffic, days, root))

integers = pcedge.to_integer(circuit)
engine = pcedge.ReferenceEngine(integers)

# A likelihood is mantissa · 2^exponent; -1 is a value that was not observed, and is summed out.
records = np.array([[0, 0], [3, 2], [-1, 2], [-1, -1]])
mantissa, exponent = engine.likelihood(records)
exact = pcedge.log_likelihood(circuit, records)
for record, bits, nats in zip(records, np.log2(mantissa) + exponent, exact, strict=True):
    print(record, f"integers {bits * np.log(2):.4f} nats, floats {nats:.4f}")
    assert abs(bits * np.log(2) - nats) < 0.01
assert np.array_equal(pcedge.decode(integers, pcedge.encode(integers, records[:2])), records[:2])
