"""Write the estimators of the tests: python tests/data/estimators/make.py, with the extra `models` and joblib."""

import pickle
from pathlib import Path

import joblib
import numpy as np
import skops.io
from hmmlearn.hmm import CategoricalHMM
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.mixture import GaussianMixture
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent

x, y = load_iris(return_X_y=True)
x, y = x[::5], y[::5]
mixture = make_pipeline(StandardScaler(), GaussianMixture(2, covariance_type="diag", random_state=0)).fit(x)
skops.io.dump(mixture, HERE / "mixture.skops")
bayes = GaussianNB().fit(x, np.array(["setosa", "versicolor", "virginica"])[y])
(HERE / "bayes.pkl").write_bytes(pickle.dumps(bayes, 4))
kernels = KernelDensity(bandwidth=0.4).fit(x[:10, :2])
(HERE / "kernels.pickle").write_bytes(pickle.dumps(kernels, 0))
forest = RandomForestClassifier(2, max_depth=2, random_state=0).fit(x, y)
joblib.dump(forest, HERE / "forest.joblib")
chain = CategoricalHMM(2, random_state=0)
chain.n_features = 3
chain.startprob_ = np.array([0.75, 0.25])
chain.transmat_ = np.array([[0.9, 0.1], [0.4, 0.6]])
chain.emissionprob_ = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
joblib.dump(chain, HERE / "chain.joblib", compress=3)
