"""scikit-learn's estimators as circuits: their densities integrated over the grid, by scipy's own distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.datasets import load_iris
from sklearn.ensemble import ExtraTreesClassifier, IsolationForest, RandomForestClassifier, RandomForestRegressor
from sklearn.feature_selection import SelectKBest
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import pcedge
from pcedge import from_estimator, log_likelihood
from pcedge.errors import FormatError, UsageError

X, Y = load_iris(return_X_y=True)
LABELS = np.array(["setosa", "versicolor", "virginica"])[Y]


def masses(axis: Any, distribution: Any) -> Any:
    """Integrate a distribution of scipy over an axis's bins, the first and the last with what lies beyond."""
    edges = np.array([-np.inf, *axis.edges[1:-1], np.inf])
    below, above = distribution.cdf(edges), distribution.sf(edges)
    return np.where(above[:-1] < 0.5, above[:-1] - above[1:], below[1:] - below[:-1])


def mixture(circuit: Any, weights: Any, parts: Any, x: Any) -> Any:
    """Compute log sum_k w_k prod_d mass: `parts` has a distribution of every component and feature."""
    symbols = circuit.grid.symbols_of(x, allow_missing=True)
    total = np.zeros(len(x))
    for weight, row in zip(weights, parts, strict=True):
        product = np.full(len(x), weight)
        for column, distribution in enumerate(row):
            product *= masses(circuit.grid.axes[column], distribution)[symbols[:, column]]
        total += product
    return np.log(total)


def symbols_with_class(circuit: Any, x: Any, number: int) -> Any:
    symbols = circuit.grid.symbols_of(x, allow_missing=True)
    symbols[:, -1] = number
    return symbols


def class_posterior(circuit: Any, x: Any, classes: int = 3) -> Any:
    joint = np.stack([log_likelihood(circuit, symbols_with_class(circuit, x, k)) for k in range(classes)], axis=1)
    return np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))


@pytest.mark.parametrize("kind", ["diag", "spherical"])
@pytest.mark.parametrize("made", [GaussianMixture, BayesianGaussianMixture])
def test_gaussian_mixtures(made: Any, kind: str) -> None:
    model = made(n_components=3, covariance_type=kind, random_state=0, max_iter=500).fit(X)
    check_mixture(model)


def test_bayesian_mixture_of_finite_weights() -> None:
    prior = "dirichlet_distribution"
    model = BayesianGaussianMixture(
        n_components=3, covariance_type="diag", weight_concentration_prior_type=prior, random_state=0, max_iter=500
    )  # fmt: skip
    check_mixture(model.fit(X))


def check_mixture(model: Any) -> None:
    circuit = from_estimator(model)
    spread = np.sqrt(np.broadcast_to(np.reshape(model.covariances_, (3, -1)), (3, 4)))
    parts = [[stats.norm(*pair) for pair in zip(*rows, strict=True)] for rows in zip(model.means_, spread, strict=True)]
    far = np.concatenate([X, X * 3 - 20])  # beyond the ends too
    # What each component counts, by the library itself at the components' means.
    at_means = model._estimate_weighted_log_prob(model.means_)
    weights = np.exp([
        at_means[k, k] - sum(part.logpdf(mean) for part, mean in zip(parts[k], model.means_[k], strict=True))
        for k in range(3)
    ])  # fmt: skip
    expected = mixture(circuit, weights, parts, far)
    given = log_likelihood(circuit, circuit.grid.symbols_of(far)) + circuit.log_constant
    assert_allclose(given, expected, rtol=1e-9, atol=1e-9)
    # With more symbols it comes to the library's own density.
    fine = from_estimator(model, symbols=4096)
    widths = sum(np.log(axis.edges[1] - axis.edges[0]) for axis in fine.grid.axes)
    symbols = fine.grid.symbols_of(X)
    score = log_likelihood(fine, symbols) - widths + fine.log_constant
    assert_allclose(score, model.score_samples(fine.grid.values_of(symbols)), atol=1e-3)
    assert circuit.grid.names == ("x0", "x1", "x2", "x3")


def test_full_covariances_say_what_to_do() -> None:
    for kind in ("full", "tied"):
        model = GaussianMixture(2, covariance_type=kind, random_state=0).fit(X)
        with pytest.raises(
            FormatError, match=rf"GaussianMixture must have .*, got '{kind}'.*refit with covariance_type='diag'"
        ):
            from_estimator(model)


def test_gaussian_naive_bayes() -> None:
    model = GaussianNB().fit(X, LABELS)
    circuit = from_estimator(model, names=list("abcd"))
    assert circuit.grid.names == ("a", "b", "c", "d", "class")
    assert circuit.grid.axes[4].states == ("setosa", "versicolor", "virginica") and circuit.grid.axes[4].column == 4
    records = np.concatenate([X.astype(object), LABELS[:, None].astype(object)], axis=1)
    spread = np.sqrt(model.var_)
    joint = np.stack([
        mixture(
            circuit, [model.class_prior_[k]],
            [[stats.norm(*p) for p in zip(model.theta_[k], spread[k], strict=True)]], X,
        ) for k in range(3)
    ], axis=1)  # fmt: skip
    assert_allclose(log_likelihood(circuit, circuit.grid.symbols_of(records)), joint[np.arange(150), Y], atol=1e-9)
    assert_array_equal(class_posterior(circuit, X).argmax(axis=1), joint.argmax(axis=1))


@pytest.mark.parametrize("binarize", [0.0, 1.5, None])
def test_bernoulli_naive_bayes(binarize: float | None) -> None:
    x = X.round() - 3 if binarize == 0.0 else X if binarize else (X > 2).astype(float)
    model = BernoulliNB(binarize=binarize).fit(x, Y)
    circuit = from_estimator(model)
    joint = log_likelihood(circuit, circuit.grid.symbols_of(np.column_stack([x, Y])))
    assert_allclose(joint, model.predict_joint_log_proba(x)[np.arange(150), Y], atol=1e-12)


def test_categorical_naive_bayes() -> None:
    x = X.astype(int)
    model = CategoricalNB().fit(x, Y)
    circuit = from_estimator(model)
    joint = log_likelihood(circuit, circuit.grid.symbols_of(np.column_stack([x, Y])))
    assert_allclose(joint, model.predict_joint_log_proba(x)[np.arange(150), Y], atol=1e-12)


def test_multinomial_naive_bayes_of_tokens() -> None:
    generator = np.random.default_rng(0)
    tokens = generator.integers(0, 6, (40, 9)) // generator.integers(1, 4, (40, 1))
    counts = np.stack([np.bincount(row, minlength=6) for row in tokens])
    labels = generator.integers(0, 2, 40)
    model = MultinomialNB().fit(counts, labels)
    with pytest.raises(UsageError, match=r"MultinomialNB is over counts of words, .*: give steps=N"):
        from_estimator(model)
    circuit = from_estimator(model, steps=9)
    joint = log_likelihood(circuit, circuit.grid.symbols_of(np.column_stack([tokens, labels])))
    assert_allclose(joint, model.predict_joint_log_proba(counts)[np.arange(40), labels], atol=1e-10)
    assert circuit.grid.names[0] == "token[0]"


@pytest.mark.parametrize("kernel, made", [("gaussian", stats.norm), ("exponential", stats.laplace), ("tophat", None)])
def test_kernel_density_of_one_feature_is_exact(kernel: str, made: Any) -> None:
    x, weights = X[:, :1], np.arange(1.0, 151)
    model = KernelDensity(bandwidth=0.25, kernel=kernel).fit(x, sample_weight=weights)
    circuit = from_estimator(model)
    (axis,) = circuit.grid.axes
    parts = [[made(c, 0.25) if made else stats.uniform(c - 0.25, 0.5)] for c in x[:, 0]]
    expected = mixture(circuit, weights / weights.sum(), parts, x)
    assert_allclose(log_likelihood(circuit, circuit.grid.symbols_of(x)), expected, atol=1e-9)
    assert len(circuit.layers) == 1
    middles = axis.values[(axis.values > x.min()) & (axis.values < x.max())][:, None]
    symbols = circuit.grid.symbols_of(middles)
    density = log_likelihood(circuit, symbols) - np.log(np.diff(axis.edges))[symbols[:, 0]]
    assert_allclose(density, model.score_samples(middles), atol=0.2 if made else 1e-9)


def test_kernel_density_of_more_is_exact_or_reduced() -> None:
    model = KernelDensity(bandwidth=0.4).fit(X[::5])
    circuit = from_estimator(model)
    parts = [[stats.norm(c, 0.4) for c in row] for row in X[::5]]
    assert_allclose(
        log_likelihood(circuit, circuit.grid.symbols_of(X)), mixture(circuit, np.full(30, 1 / 30), parts, X), atol=1e-9
    )
    whole, few = from_estimator(model, symbols=32), from_estimator(model, symbols=32, components=6)
    assert [layer.gather.shape for layer in few.layers[4:-1]] == 6 * [(1, 4)]
    assert log_likelihood(few, few.grid.symbols_of(X)).mean() == pytest.approx(
        log_likelihood(whole, whole.grid.symbols_of(X)).mean(), abs=0.5
    )
    for kernel in ("tophat", "exponential", "cosine"):
        with pytest.raises(
            FormatError, match=r"the kernel of a KernelDensity of 4 features must be gaussian, or in one"
        ):
            from_estimator(KernelDensity(kernel=kernel).fit(X))


def test_the_reduction_of_kernels_says_what_it_loses() -> None:
    from pcedge.importers.estimators import Choices
    from pcedge.importers.live import draft_of

    draft = draft_of(KernelDensity(bandwidth=0.4).fit(X), Choices(components=10))
    assert draft.notes[0].startswith(
        "150 kernels became 10 components: the mean log-density at the kernels' centres changes by -"
    )
    assert not draft_of(KernelDensity(bandwidth=0.4).fit(X), Choices(components=150)).notes


@pytest.mark.parametrize("data", [None, X])
def test_a_tree_gives_its_own_probabilities(data: Any) -> None:
    model = DecisionTreeClassifier(min_samples_leaf=3, random_state=0).fit(X, LABELS)
    circuit = from_estimator(model, data=data)
    assert_allclose(class_posterior(circuit, X), model.predict_proba(X), atol=1e-12)
    # On a threshold x goes left, as in the library; every leaf has its share of the data.
    place = int(np.flatnonzero(model.tree_.feature >= 0)[0])
    edge = np.tile(X.mean(axis=0), (2, 1))
    edge[0, model.tree_.feature[place]] = np.float32(model.tree_.threshold[place])
    edge[1, model.tree_.feature[place]] = np.nextafter(np.float32(model.tree_.threshold[place]), np.float32(9))
    assert_allclose(class_posterior(circuit, edge), model.predict_proba(edge), atol=1e-12)
    root = circuit.layers[-1].weights
    assert_allclose(np.sort(root[0]), np.sort(model.tree_.n_node_samples[model.tree_.children_left < 0] / 150))


def test_a_forest_is_the_mixture_of_its_trees() -> None:
    for made in (RandomForestClassifier, ExtraTreesClassifier):
        model = made(4, max_depth=3, random_state=0).fit(X, Y)
        circuit = from_estimator(model, data=X)
        symbols = [symbols_with_class(circuit, X, k) for k in range(3)]
        joint = np.exp(np.stack([log_likelihood(circuit, part) for part in symbols], axis=1))
        boxes = circuit.layers[-1].weights.shape[1]
        assert boxes == sum(tree.tree_.n_leaves for tree in model.estimators_)
        assert_allclose(
            joint.sum(axis=1), np.exp(log_likelihood(circuit, circuit.grid.symbols_of(X, allow_missing=True)))
        )
        assert (joint.argmax(axis=1) == model.predict(X)).mean() > 0.94


def test_isolation_forest_integrates_its_boxes() -> None:
    model = IsolationForest(n_estimators=3, max_samples=32, max_features=2, random_state=0).fit(X)
    circuit = from_estimator(model, symbols=32)
    expected = np.zeros(len(X))
    symbols = circuit.grid.symbols_of(X)
    ends = [(axis.edges[0], axis.edges[-1]) for axis in circuit.grid.axes]
    for estimator, places in zip(model.estimators_, model.estimators_features_, strict=True):
        tree = estimator.tree_

        def walk(node: int, box: list[tuple[float, float]], tree: Any = tree, places: Any = places) -> None:
            if tree.children_left[node] < 0:
                product = np.full(len(X), tree.n_node_samples[node] / tree.n_node_samples[0] / 3)
                for column, (low, high) in enumerate(box):
                    edges = np.clip(circuit.grid.axes[column].edges, low, high)
                    product *= (np.diff(edges) / (high - low))[symbols[:, column]]
                expected[:] += product
                return
            place, threshold = places[tree.feature[node]], tree.threshold[node]
            low, high = box[place]
            walk(tree.children_left[node], [*box[:place], (low, threshold), *box[place + 1 :]], tree, places)
            walk(tree.children_right[node], [*box[:place], (threshold, high), *box[place + 1 :]], tree, places)

        walk(0, ends, tree, places)
    assert_allclose(log_likelihood(circuit, symbols), np.log(expected), atol=1e-9)


@pytest.mark.parametrize("scaler", [StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler])
def test_a_scaler_moves_into_the_edges(scaler: Any) -> None:
    model = make_pipeline(scaler(), GaussianMixture(2, covariance_type="diag", random_state=0)).fit(X)
    circuit = from_estimator(model, data=X)
    inner = from_estimator(model[-1], data=model[0].transform(X))
    for mine, other in zip(circuit.grid.axes, inner.grid.axes, strict=True):
        back = np.tile(np.array(other.edges)[:, None], (1, 4))
        assert_allclose(mine.edges, model[0].inverse_transform(back)[:, mine.column], rtol=1e-9, atol=1e-12)
    assert_allclose(circuit.layers[0].table, inner.layers[0].table)


def test_two_scalers_and_passthrough() -> None:
    model = make_pipeline(MinMaxScaler((-1, 3)), "passthrough", StandardScaler(), GaussianNB()).fit(X, Y)
    circuit = from_estimator(model)
    inner = from_estimator(model[-1])
    back = model[0].inverse_transform(
        model[2].inverse_transform(np.tile(np.array(inner.grid.axes[0].edges)[:, None], (1, 4)))
    )
    assert_allclose(circuit.grid.axes[0].edges, back[:, 0])
    assert circuit.grid.axes[4] == inner.grid.axes[4]


def test_what_is_refused() -> None:
    for model, text in (
        (
            make_pipeline(SelectKBest(k=2), GaussianNB()).fit(X, Y),
            r"before the last must be StandardScaler.*got SelectKBest",
        ),
        (make_pipeline(StandardScaler(), GaussianNB()), "StandardScaler must be fitted, it has no n_features_in_"),
        (RandomForestRegressor(2).fit(X, Y), "RandomForestRegressor tells a value, and no density"),
        (ComplementNB().fit(X, Y), "ComplementNB has weights that are no probabilities"),
        (StandardScaler().fit(X), r"an estimator must be one of hmmlearn: CategoricalHMM.*got sklearn\.preprocessing"),
        (GaussianNB(), "GaussianNB must be fitted, it has no classes_"),
        (object(), r"an estimator must be of sklearn, .*, got builtins\.object"),
        (
            DecisionTreeClassifier().fit(X, np.column_stack([Y, Y])),
            "DecisionTreeClassifier must have one output, it has 2",
        ),
    ):
        with pytest.raises((UsageError, FormatError), match=text):
            from_estimator(model)
    model = GaussianNB().fit(X, Y)
    for choice, text in (
        ({"steps": 3}, "steps belong to models of sequences, GaussianNB is none"),
        ({"steps": 0}, r"steps must be an integer in 1\.\.65536, got 0"),
        ({"names": ["a"]}, "GaussianNB has 4 features, got 1 names"),
        ({"outside": "wrap"}, "outside must be clip or refuse, got 'wrap'"),
        ({"data": [["a"]]}, "the data of a grid must be numbers"),
        ({"data": X[:, :2]}, r"the data of a grid must have column 2, they have shape \(150, 2\)"),
        ({"bins": "odd"}, "the bins of a grid must be one of even, least-loss"),
    ):
        with pytest.raises(UsageError, match=text):
            from_estimator(model, **choice)
    deep = RandomForestClassifier(30, random_state=0).fit(X, Y)
    with pytest.raises(UsageError, match=r"feature 'x0' has \d+ different thresholds: the symbols of a grid must be"):
        from_estimator(deep, symbols=8)
    scaled = make_pipeline(StandardScaler(), CategoricalNB(min_categories=9))
    scaled.steps[0][1].fit(X), scaled.steps[1][1].fit(X.astype(int), Y)
    with pytest.raises(FormatError, match="StandardScaler is before a model whose 'x0' is over whole numbers"):
        from_estimator(scaled)


def test_subclasses_and_names_of_the_fit() -> None:
    pandas = pytest.importorskip("pandas")

    class Mine(GaussianMixture):
        pass

    frame = pandas.DataFrame(X, columns=["a", "b", "c", "d"])
    model = make_pipeline(StandardScaler(), Mine(2, covariance_type="diag", random_state=0)).fit(frame)
    assert from_estimator(model).grid.names == ("a", "b", "c", "d")


def test_values_are_coded_and_kept(tmp_path: Any) -> None:
    circuit = from_estimator(GaussianNB().fit(X, LABELS), symbols=32)
    integers = pcedge.to_integer(circuit)
    records = np.concatenate([X.astype(object), LABELS[:, None].astype(object)], axis=1)
    back = pcedge.decode(integers, pcedge.encode(integers, records))
    assert_array_equal(circuit.grid.symbols_of(back), circuit.grid.symbols_of(records))
    pcedge.save_circuit(circuit, tmp_path / "c.pcedge")
    assert pcedge.load(tmp_path / "c.pcedge").grid == circuit.grid
