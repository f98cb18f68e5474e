"""A hidden Markov model that you fitted, as a codec: hmmlearn's states predict, integers code."""

import lzma

import numpy as np
from hmmlearn.hmm import CategoricalHMM
from sklearn.datasets import load_digits

import pcedge

# Pictures of digits, read column by column: sequences of 64 grey values of 0 to 16, in 4 levels.
pixels = load_digits().images.transpose(0, 2, 1).reshape(-1, 64).astype(int) // 5
train, test = pixels[:1200], pixels[1200:]
model = CategoricalHMM(16, n_iter=10, tol=0, random_state=0).fit(train.reshape(-1, 1), [64] * len(train))

circuit = pcedge.from_estimator(model, steps=64)
exact = model.score(test[:1].T)
assert abs(pcedge.log_likelihood(circuit, test[:1])[0] - exact) < 1e-9

integers = pcedge.to_integer(circuit)
stream = pcedge.encode(integers, test, lanes=1)
assert np.array_equal(pcedge.decode(integers, stream), test)
rom = pcedge.estimate_cost(integers, target="zcu104").memory_bits["rom"]
packed = len(lzma.compress(test.astype(np.uint8).tobytes(), preset=9 | lzma.PRESET_EXTREME))
print(f"{test.size} values: {len(stream)} bytes with the model of {rom / 1000:.0f} kbit, {packed} with xz -9e")
