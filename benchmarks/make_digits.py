"""Make pcedge/data/digits.npz from scikit-learn's copy of the UCI digits: python benchmarks/make_digits.py [FILE].

Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository,
https://doi.org/10.24432/C50P49, CC BY 4.0. scikit-learn ships the 1797 records of its test part.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

SEED = 0
TRAIN, VALID = 1257, 180


def main() -> None:
    images = load_digits().images.astype(np.uint8)
    # The legacy generator: NumPy promises that its stream never changes.
    images = images[np.random.RandomState(SEED).permutation(len(images))]
    train, valid, test = np.split(images, [TRAIN, TRAIN + VALID])
    default = Path(__file__).resolve().parent.parent / "pcedge" / "data" / "digits.npz"
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else default
    np.savez_compressed(path, train=train, valid=valid, test=test)
    print(f"{path}: train {train.shape}, valid {valid.shape}, test {test.shape}, {train.dtype}")


if __name__ == "__main__":
    main()
