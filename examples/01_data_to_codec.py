"""From data to verified bytes: train on handwritten digits, quantize, compress, restore, compare."""

import lzma

import numpy as np

import pcedge

# 8×8 images of 17 grey values, uint8; the last fifth was kept from the training.
data = pcedge.load_data("digits")
train, test = data.train, data.test

circuit = pcedge.to_integer(pcedge.train(train, latents=8, iterations=10, cardinalities=17))
stream = pcedge.encode(circuit, test, lanes=1)
assert np.array_equal(pcedge.decode(circuit, stream), test)

packed = len(lzma.compress(test.tobytes(), preset=9 | lzma.PRESET_EXTREME))
print(f"{test.nbytes} bytes of images: {len(stream)} with the circuit, {packed} with xz -9e")
