"""Which names a file of an estimator may mention; nothing that they name is imported or called."""

from __future__ import annotations

from pcedge.importers.estimators import KNOWN

#: classes of scikit-learn and hmmlearn that lie within estimators
_INNER = {
    "sklearn": {
        "Pipeline", "StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler", "Tree", "DecisionTreeRegressor",
        "ExtraTreeRegressor", "KDTree", "BallTree", "KDTree64", "BallTree64", "newObj", "EuclideanDistance",
        "EuclideanDistance64", "MinkowskiDistance", "MinkowskiDistance64", "ManhattanDistance", "ManhattanDistance64",
        "ChebyshevDistance", "ChebyshevDistance64", "DistanceMetric", "DistanceMetric64",
        # refused by what says why
        "ComplementNB", "RandomForestRegressor", "ExtraTreesRegressor",
    },
    "hmmlearn": {"ConvergenceMonitor", "MultinomialHMM"},
}  # fmt: skip


def mentioned(name: str) -> bool:
    """Tell whether a file may mention a class, "sklearn.naive_bayes.GaussianNB"."""
    library, kind = name.partition(".")[0], name.rpartition(".")[2]
    if library not in _INNER or not all(part.isidentifier() for part in name.split(".")):
        return False
    return (library, kind) in KNOWN or kind in _INNER[library]
