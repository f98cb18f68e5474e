"""A classifier that you fitted, without a float on the device: classes before and after quantization, and a completion.

Needs scikit-learn: pip install 'pcedge[models]'.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.naive_bayes import GaussianNB

import pcedge
from pcedge.circuit import classify, most_probable
from pcedge.engines import ReferenceEngine, shares
from pcedge.engines import classify as classify_integers

x, y = load_digits(return_X_y=True)
train, test = slice(0, 1200), slice(1200, None)
fitted = GaussianNB(var_smoothing=0.1).fit(x[train], y[train])

circuit = pcedge.from_estimator(fitted, data=x[train])  # the class is the last variable
engine = ReferenceEngine(pcedge.to_integer(circuit))
records = circuit.grid.symbols_of(np.column_stack([x, y]))[test]  # what a record says of its class is not used
labels = fitted.classes_
right = {
    "scikit-learn": np.mean(fitted.predict(x[test]) == y[test]),
    "float circuit": np.mean(labels[classify(circuit, records, "class")] == y[test]),
    "integers": np.mean(labels[classify_integers(engine, records, "class")] == y[test]),
}
print("accuracy:", ", ".join(f"{name} {share:.4f}" for name, share in right.items()))
assert right["integers"] > right["scikit-learn"] - 0.01

sure = shares(engine, records[:1], "class")[0] / 2**16
print(f"the first one is a {labels[sure.argmax()]} with {sure.max():.3f}, and a {y[test][0]}")

broken = records.copy()
broken[:, 32:] = -1  # the lower half and the class are unknown
found = most_probable(circuit, broken)
print(f"upper halves: {np.mean(labels[found.records[:, -1]] == y[test]):.4f}; exact: {found.exact.all()}")
assert found.exact.all()
