"""A mixture that you fitted, as a detector on integers: scikit-learn's scores, and those of every engine."""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.mixture import GaussianMixture

import pcedge
from pcedge.evaluate.roc import auroc
from pcedge.evaluate.scores import record_scores

x, benign = load_breast_cancer(return_X_y=True)
normal = np.flatnonzero(benign)
train, test = x[normal[::2]], np.concatenate([x[normal[1::2]], x[benign == 0]])
strange = np.arange(len(test)) >= len(normal) // 2

mixture = GaussianMixture(4, covariance_type="diag", random_state=0).fit(train)
circuit = pcedge.from_estimator(mixture, data=train)  # 64 bins a feature
engine = pcedge.ReferenceEngine(pcedge.to_integer(circuit))
scores = record_scores(engine, circuit.grid.symbols_of(test))  # bits · 256, the same on every device

floats, integers = (auroc(some[~strange], some[strange]) for some in (mixture.score_samples(test), -scores))
print(f"AUROC of malignant cells: scikit-learn {floats:.4f}, integers {integers:.4f}")
assert abs(floats - integers) < 0.002
