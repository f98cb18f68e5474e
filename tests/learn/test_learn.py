"""Learning: the Chow–Liu tree, the hidden Chow–Liu circuit and EM."""

import builtins
import itertools
import sys

import numpy as np
import pytest
from helpers.learned import equal, parameters
from helpers.messages import whole

from pcedge.circuit import Circuit, InputLayer, ProductLayer, SparseRows, SumLayer, log_likelihood, sample
from pcedge.circuit.structure import region_tree
from pcedge.data import Splits, load_data
from pcedge.errors import DataError, MissingToolError, UsageError
from pcedge.learn import LearnConfig, chow_liu_tree, fit, hidden_chow_liu_tree, train
from pcedge.learn.chow_liu import mutual_information, root_at_centre, spanning_tree

try:
    import torch
except ModuleNotFoundError:
    torch = None
needs_torch = pytest.mark.skipif(torch is None, reason="training needs torch")


def edges(parents):
    return {frozenset((child, parent)) for child, parent in enumerate(parents) if parent >= 0}


def tree_data(parents, count, symbols=3, flip=0.2, seed=0):
    """Draw from a tree: the root is even, a child repeats its parent or takes any symbol."""
    generator = np.random.default_rng(seed)
    x = np.zeros((count, len(parents)), dtype=np.int64)
    for variable, parent in enumerate(parents):
        fresh = generator.integers(symbols, size=count)
        new = (generator.random(count) < flip) | (parent < 0)
        x[:, variable] = np.where(new, fresh, x[:, parent])
    return x


# ---------------------------------------------------------------------------------------------------- Chow–Liu


def test_generating_tree_is_recovered():
    parents = [-1, 0, 0, 1, 1, 2, 5, 6]
    x = tree_data(parents, 4000)
    found = chow_liu_tree(x, 3)
    assert edges(found) == edges(parents)
    x[np.random.default_rng(1).random(x.shape) < 0.2] = -1
    assert edges(chow_liu_tree(x, 3)) == edges(parents)


def test_mutual_information_is_the_textbook_sum():
    x = np.random.default_rng(0).integers(0, 3, (50, 3))
    x[:, 1] = (x[:, 0] + (np.arange(50) % 4 == 0)) % 3
    found = mutual_information(x, 3, pseudocount=0.0)
    for a, b in itertools.permutations(range(3), 2):
        joint = np.zeros((3, 3))
        np.add.at(joint, (x[:, a], x[:, b]), 1 / 50)
        outer = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
        used = joint > 0
        assert found[a, b] == pytest.approx((joint[used] * np.log(joint[used] / outer[used])).sum(), abs=1e-12)
    assert (np.diag(found) == 0).all()


def test_many_symbols_are_binned(monkeypatch):
    monkeypatch.setattr("pcedge.learn.chow_liu.COLUMNS", 64)
    monkeypatch.setattr("pcedge.learn.chow_liu.ROWS", 20)
    monkeypatch.setattr("pcedge.learn.chow_liu.CHUNK", 300)
    parents = [-1, 0, 1, 2, 3, 4, 5, 6]
    assert edges(chow_liu_tree(tree_data(parents, 3000, symbols=200), 200)) == edges(parents)


def test_missing_pairs_and_constants_have_no_information():
    x = np.array([[0, -1, 1], [1, -1, 1], [-1, 0, 1], [-1, 1, 1]])
    assert (mutual_information(x, 2) == 0).all()
    assert sorted(chow_liu_tree(x, 2)) == [-1, 0, 0]


def test_root_is_the_centre():
    assert root_at_centre([(0, 1), (1, 2), (2, 3), (3, 4)]) == [1, 2, -1, 2, 3]
    assert root_at_centre([(0, 1), (1, 2), (2, 3)]) == [1, -1, 1, 2]
    assert root_at_centre([]) == [-1]
    assert spanning_tree(np.zeros((1, 1))) == []


# ---------------------------------------------------------------------------------------------------- structure


@pytest.mark.parametrize("latents", [1, 2, 5])
@pytest.mark.parametrize("parents", [[-1], [-1, 0], [2, 2, -1], [1, -1, 1, 2, 2, 4]])
@pytest.mark.parametrize("cardinality", [2, 4])
def test_hidden_chow_liu_tree(parents, latents, cardinality):
    circuit = hidden_chow_liu_tree(parents, [cardinality] * len(parents), latents, seed=3)
    count = len(parents)
    inner = len(set(parents) - {-1})
    kinds = [layer.shape.kind for layer in circuit.layers]
    assert (kinds.count("input"), kinds.count("product"), kinds.count("sum")) == (count, inner, count)
    assert circuit.cardinalities == (cardinality,) * count
    assert {layer.kind for layer in circuit.layers if isinstance(layer, InputLayer)} == {
        "bernoulli" if cardinality == 2 else "categorical"
    }
    assert all(layer.shape.units == latents for layer in circuit.layers[:-1])
    region_tree(circuit.shapes)
    everything = list(itertools.product(range(cardinality), repeat=count)) if cardinality**count < 5000 else None
    if everything:
        assert np.exp(log_likelihood(circuit, everything)).sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("parents", "sizes", "latents", "text"),
    [
        ([], [], 2, "a tree must have a parent a variable, got 0 for 0 variables"),
        ([-1], [2, 2], 2, "a tree must have a parent a variable, got 1 for 2 variables"),
        ([-1, -1], [2, 2], 2, "a tree must have one root, whose parent is -1, got 2"),
        ([-1, 2, 1], [2, 2, 2], 2, "the parents must make one tree, 2 variables are in cycles"),
        ([-1, 7], [2, 2], 2, "the parent of variable 1 must be in -1..1, got 7"),
        ([-1], [0], 2, "variable 0 must have at least one symbol, got 0"),
        ([-1], [2], 0, "latents must be at least 1, got 0"),
    ],
)
def test_structure_refusals(parents, sizes, latents, text):
    with pytest.raises(UsageError, match=whole(text)):
        hidden_chow_liu_tree(parents, sizes, latents)


# ---------------------------------------------------------------------------------------------------- EM


def mixed_circuit():
    """A circuit with shared layers, a sparse sum, both leaf kinds, and products that gather out of order."""
    generator = np.random.default_rng(5)

    def rows(units, columns):
        return generator.dirichlet(np.ones(columns), units)

    sparse = SparseRows.from_dense(np.array([[0.5, 0, 0.5, 0], [0, 0.25, 0.25, 0.5], [0, 0, 0, 1.0]]))
    return Circuit(
        (
            InputLayer(0, generator.random(3)),
            InputLayer(1, rows(4, 3)),
            InputLayer(2, rows(3, 4)),
            ProductLayer((0, 1), np.array([[2, 3], [0, 0], [1, 1], [2, 0]])),
            SumLayer((3,), sparse),
            ProductLayer((4, 2), np.array([[0, 1], [1, 0], [2, 2]])),
            SumLayer((3,), rows(2, 4)),
            ProductLayer((6, 2), np.array([[1, 1], [0, 2]])),
            SumLayer((5, 7), rows(1, 5)),
        )
    )


NO_PRIOR = {"sum_pseudocount": 0.0, "leaf_pseudocount": 0.0, "patience": 0}


@needs_torch
def test_torch_forward_is_the_reference():
    from pcedge.learn.model import Model
    from pcedge.learn.priors import leaf_priors

    circuit = mixed_circuit()
    x = sample(circuit, 100, seed=1)
    x[::3, 1] = -1
    x[::7] = -1
    config = LearnConfig()
    model = Model(circuit, leaf_priors(x, circuit.cardinalities, config), config)
    symbols = model.load(x)
    found = model.log_likelihood(symbols).numpy()
    np.testing.assert_allclose(found, log_likelihood(circuit, x), rtol=1e-12, atol=1e-12)
    counts = model.counts(symbols)
    assert float(counts[-1]) == pytest.approx(log_likelihood(circuit, x).sum())
    by_layer = {}
    for stack in (stack for level in model.plan.levels for stack in level if hasattr(stack, "first")):
        by_layer[stack.layers] = float(counts[stack.first : stack.first + np.prod(stack.shape)].sum())
    assert by_layer[(8,)] == pytest.approx(100)  # every record passes the root once
    assert by_layer[(1,)] == pytest.approx((x[:, 1] >= 0).sum())  # and one leaf of each observed variable


@needs_torch
@pytest.mark.parametrize("start", ["mixed", "tree", "zeros"])
def test_full_batch_em_never_loses(start):
    if start == "mixed":
        circuit, x = mixed_circuit(), sample(mixed_circuit(), 300, seed=9)
        x[::5, 2] = -1
    else:
        x = tree_data([-1, 0, 1, 1], 300)
        circuit = hidden_chow_liu_tree([-1, 0, 1, 1], [3] * 4, latents=3)
    if start == "zeros":
        layers = list(circuit.layers)
        layers[1] = SumLayer(layers[1].children, np.array([[1.0, 0, 0], [0, 0.5, 0.5], [1 / 3] * 3]))
        circuit = Circuit(tuple(layers))
    seen = []
    trained = fit(
        Splits(x, x),
        LearnConfig(iterations=25, **NO_PRIOR),
        circuit=circuit,
        progress=lambda *values: seen.append(values),
    )
    bits = [values[2] for values in seen]
    assert [values[:2] for values in seen] == [(i + 1, 25) for i in range(25)]
    assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(bits))
    assert bits[-1] < bits[0] - 0.001
    # The validation figure is of the parameters after the M-step, here of the same records.
    assert [values[3] for values in seen[:-1]] == pytest.approx(bits[1:])
    final = -log_likelihood(trained, x).mean() / np.log(2) / x.shape[1]
    assert final == pytest.approx(seen[-1][3])
    if start == "zeros":
        assert (trained.layers[1].weights[0, 1:] == 0).all()


@needs_torch
def test_one_em_step_by_hand():
    """Two coins: posteriors, counts and M-step as written on paper."""
    circuit = Circuit((InputLayer(0, np.array([0.25, 0.75])), SumLayer((0,), np.array([[0.5, 0.5]]))))
    x = np.array([[1], [1], [1], [0]])
    trained = fit(Splits(x, x), LearnConfig(iterations=1, **NO_PRIOR), circuit=circuit)
    # A head is the second coin's with 3/4, a tail with 1/4: 3 * 3/4 + 1/4 = 2.5 of 4 records, 2.25 of them heads.
    np.testing.assert_allclose(trained.layers[1].weights, [[1.5 / 4, 2.5 / 4]])
    np.testing.assert_allclose(trained.layers[0].probabilities, [0.75 / 1.5, 2.25 / 2.5])
    smoothed = fit(
        Splits(x, x),
        LearnConfig(
            iterations=1, patience=0, sum_pseudocount=2.0, leaf_pseudocount=1.0, uniform_share=0.5, leaf_prior="even"
        ),
        circuit=circuit,
    )
    # The leaf pseudocount is half the marginal (3/4) and half even (1/2): 0.625 heads.
    np.testing.assert_allclose(smoothed.layers[1].weights, [[2.5 / 6, 3.5 / 6]])
    np.testing.assert_allclose(smoothed.layers[0].probabilities, [(0.75 + 0.625) / 2.5, (2.25 + 0.625) / 3.5])


@needs_torch
def test_blur_moves_counts_to_neighbours():
    circuit = Circuit((InputLayer(0, np.full((1, 4), 0.25)),))
    x = np.array([[0], [0], [2], [2]])
    trained = fit(Splits(x, x), LearnConfig(iterations=1, blur=0.5, **NO_PRIOR), circuit=circuit)
    np.testing.assert_allclose(trained.layers[0].probabilities, [[1.5 / 4, 1 / 4, 1 / 4, 0.5 / 4]])


@needs_torch
@pytest.mark.parametrize(("batch", "dtype"), [(4096, "float64"), (64, "float64"), (64, "float32")])
def test_same_seed_same_parameters(batch, dtype):
    x = tree_data([-1, 0, 1, 1, 3], 400)
    config = LearnConfig(latents=4, iterations=20, batch=batch, dtype=dtype, seed=7)
    first, second = fit(x, config), fit(x, config)
    assert equal(first, second)
    assert not equal(first, fit(x, LearnConfig(latents=4, iterations=20, batch=batch, dtype=dtype, seed=8)))


@needs_torch
def test_parts_add_up(monkeypatch):
    x = tree_data([-1, 0, 1, 1, 3], 200)
    config = LearnConfig(latents=4, iterations=5)
    once = fit(x, config)
    monkeypatch.setattr("pcedge.learn.em.VALUES", 1000)
    for first, second in zip(parameters(once), parameters(fit(x, config)), strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-9)


@needs_torch
@pytest.mark.parametrize("batch", [4096, 128])
def test_training_comes_near_the_truth(batch):
    parents = [-1, 0, 1, 1, 3, 3]
    truth_known = tree_data(parents, 3000, flip=0.3)
    test = tree_data(parents, 2000, flip=0.3, seed=1)
    circuit = train(Splits(truth_known), latents=6, batch=batch, iterations=150)
    # The root is even over 3 symbols; a child repeats with 0.7 + 0.1, and is each other symbol with 0.1.
    step = -(0.8 * np.log2(0.8) + 0.2 * np.log2(0.1))
    entropy = (np.log2(3) + 5 * step) / 6
    bits = -log_likelihood(circuit, test).mean() / np.log(2) / 6
    assert bits < entropy + 0.03


@needs_torch
@pytest.mark.parametrize("variables", [1, 2])
@pytest.mark.parametrize("latents", [1, 3])
def test_small_sizes(variables, latents):
    x = np.array([[0, 1], [1, 1], [2, 0], [0, 0]])[:, :variables]
    circuit = train(x, latents=latents, iterations=3)
    assert circuit.cardinalities == (3,) * variables
    assert np.isfinite(log_likelihood(circuit, x)).all()


@needs_torch
def test_missing_symbols_are_summed_out():
    x = tree_data([-1, 0, 1], 500)
    hidden = x.copy()
    hidden[np.random.default_rng(0).random(x.shape) < 0.3] = -1
    hidden[:5] = -1
    circuit = train(Splits(hidden, x), latents=4, iterations=50)
    full = train(Splits(x, x), latents=4, iterations=50)
    assert log_likelihood(circuit, x).mean() > log_likelihood(full, x).mean() - 0.1


@needs_torch
def test_cardinalities():
    x = np.zeros((10, 2), dtype=np.uint8)
    assert train(x, latents=2, iterations=1).cardinalities == (2, 2)
    assert train(Splits(x, x, x + 5), latents=2, iterations=1).cardinalities == (6, 6)
    assert train(x, latents=2, iterations=1, cardinalities=[3, 1]).cardinalities == (3, 1)
    circuit = train(x, latents=2, iterations=2, cardinalities=4)
    assert np.isfinite(log_likelihood(circuit, [[3, 2]])).all()  # never seen, and possible all the same


@needs_torch
def test_test_split_is_not_looked_at():
    x = tree_data([-1, 0, 1], 100)
    config = LearnConfig(latents=2, iterations=5)
    assert equal(fit(Splits(x, x[:20], x), config), fit(Splits(x, x[:20], x[::-1] * 0), config))


@needs_torch
def test_early_stopping_keeps_the_best():
    x, seen = tree_data([-1, 0, 0], 60, flip=0.9), []
    valid = tree_data([-1, 0, 0], 60, flip=0.9, seed=4)
    config = LearnConfig(latents=8, iterations=300, patience=5, leaf_pseudocount=0.01, sum_pseudocount=0.01)
    circuit = fit(Splits(x, valid), config, progress=lambda *values: seen.append(values[3]))
    assert len(seen) < 300 and len(seen) == np.argmin(seen) + 6
    assert -log_likelihood(circuit, valid).mean() / np.log(2) / 3 == pytest.approx(min(seen))


@needs_torch
@pytest.mark.parametrize(("patience", "every"), [(5, 7), (1, 25), (5, 5), (6, 4), (0, 7)])
def test_training_never_stops_before_a_second_look(patience, every):
    x, seen = tree_data([-1, 0, 0], 60, flip=0.9), {}
    valid = tree_data([-1, 0, 0], 60, flip=0.9, seed=4)
    config = LearnConfig(latents=4, iterations=60, patience=patience, validate_every=every, sum_pseudocount=0.01)
    circuit = fit(Splits(x, valid), config, progress=lambda now, _, train, bits: seen.update({now: bits}))
    looks = {now: bits for now, bits in seen.items() if now % every == 0 or now == 60}
    assert len(looks) >= 2
    if not patience:
        assert len(seen) == 60
        return
    # It stops when nothing was better for so many M-steps, and never without a look since the best.
    best = min(looks, key=looks.get)
    assert len(seen) == min(best + max(patience, every), 60)
    assert -log_likelihood(circuit, valid).mean() / np.log(2) / 3 == pytest.approx(looks[best])


@needs_torch
def test_refusals():
    x = np.zeros((4, 2), dtype=np.int64)
    cases = [
        (DataError, "split train must hold integers, got float64", lambda: train(x / 2)),
        (DataError, "records must have at least one variable, got shape (4, 0)", lambda: train(x[:, :0])),
        (
            DataError,
            "record 0, variable 0: a symbol must be in -1..1, got 2",
            lambda: train(x + 2, cardinalities=2, iterations=1),
        ),
        (
            DataError,
            "training must have at least 2 records when there is no validation split, got 1",
            lambda: train(x[:1]),
        ),
        (
            UsageError,
            "cardinalities must be one number or one for each of 2 variables, got 3",
            lambda: train(x, cardinalities=[2, 2, 2]),
        ),
        (
            DataError,
            "symbols must be below 65536, got 70000: a symbolizer makes wide numbers small (docs/data.md), "
            "and cardinalities says what is meant if it is not",
            lambda: train(x + 70_000),
        ),
        (UsageError, "cardinalities must be at least 1, got 0", lambda: train(x, cardinalities=0)),
        (UsageError, "latents must be at least 1, got 0", lambda: train(x, latents=0)),
    ]
    for kind, text, call in cases:
        with pytest.raises(kind, match=whole(text)):
            call()


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"iterations": 0}, "iterations must be at least 1, got 0"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        ({"sum_pseudocount": -0.5}, "sum_pseudocount must not be negative, got -0.5"),
        ({"blur": 1.5}, "blur must be in 0..1, got 1.5"),
        ({"uniform_share": float("nan")}, "uniform_share must be finite, got nan"),
        ({"holdout": 1.0}, "holdout must be between 0 and 1, got 1.0"),
        ({"window": 0.5}, "window must be at least 1, got 0.5"),
        ({"leaf_prior": "flat"}, "leaf_prior must be even or tree, got flat"),
        ({"leaf_growth": -1.0}, "leaf_growth must not be negative, got -1.0"),
        ({"validate_every": 0}, "validate_every must be at least 1, got 0"),
        ({"dtype": "float16"}, "dtype must be float32 or float64, got float16"),
    ],
)
def test_config_refusals(setting, text):
    with pytest.raises(UsageError, match=whole(text)):
        LearnConfig(**setting)


def test_without_torch(monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "torch" or name.startswith("pcedge.learn.")]:
        if name.split(".")[0] == "torch" or name in ("pcedge.learn.em", "pcedge.learn.model"):
            monkeypatch.delitem(sys.modules, name)
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    text = "training needs the package torch, which is not installed; pip install 'pcedge[train]' brings it, "
    text += "or in a clone pip install -e '.[train]'"
    with pytest.raises(MissingToolError, match=whole(text)):
        train(np.zeros((4, 2), dtype=np.int64))


@needs_torch
def test_digits_train_in_seconds():
    circuit = train(load_data("digits"), iterations=12)
    bits = -log_likelihood(circuit, load_data("digits").valid).mean() / np.log(2) / 64
    assert circuit.cardinalities == (17,) * 64
    assert bits < 2.05
