"""Parametric leaves: their tables, file, and M-step."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.messages import whole
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from pcedge.circuit import (
    Circuit,
    InputLayer,
    Parametric,
    SumLayer,
    load_circuit,
    log_likelihood,
    sample,
    save_circuit,
)
from pcedge.circuit.parametric import EVEN_SHARE, MEANS, SCALES
from pcedge.cli import group
from pcedge.compress import expected_flows
from pcedge.errors import CircuitError, FormatError, UsageError
from pcedge.learn import chain, fit_geometric, fit_logistic, refit_layer, with_leaves
from pcedge.learn.leaves import MIN_SCALE
from pcedge.quantize import quantize


def table(kind, *columns, symbols):
    return Parametric(kind, np.stack([np.asarray(c, dtype=float) for c in columns], axis=1), symbols).table


def value(counts, kind, *columns):
    return (counts * np.log(table(kind, *columns, symbols=counts.shape[1]))).sum(axis=1)


# ---------------------------------------------------------------------------------------------------- tables


@pytest.mark.parametrize(("mean", "scale"), [(3.2, 0.7), (-4.0, 2.0), (40.0, 0.5), (8.0, 1e-3), (8.0, 1e3)])
@pytest.mark.parametrize("symbols", [1, 2, 16, 256])
def test_logistic_is_the_definition(mean, scale, symbols):
    """Against numpy's own exponential, written as in the definition, the tail at either end with its symbol."""

    def distribution(t):
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp((mean - t) / scale))

    ends = distribution(np.arange(symbols + 1) - 0.5)
    ends[0], ends[-1] = 0, 1
    expected = (1 - EVEN_SHARE) * np.diff(ends) + EVEN_SHARE / symbols
    found = table("logistic", [mean], [scale], symbols=symbols)[0]
    assert_allclose(found, expected, atol=1e-14)
    assert found.sum() == pytest.approx(1, abs=1e-12) and (found > 0).all()


def test_logistic_tails_keep_their_digits():
    """Far above the mean as far below it: the table is symmetric to the last digits."""
    found = table("logistic", [15.5], [0.5], symbols=32)[0] - EVEN_SHARE / 32
    assert_allclose(found, found[::-1], rtol=0, atol=1e-16)


@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.99, 1.0])
def test_geometric_is_the_definition(ratio):
    powers = ratio ** np.arange(20.0)
    expected = (1 - EVEN_SHARE) * powers / powers.sum() + EVEN_SHARE / 20
    assert_allclose(table("geometric", [ratio], symbols=20)[0], expected, rtol=1e-12)


def test_tables_are_frozen():
    """These bits are the definition: files hold parameters, and every machine must make the same tables of them."""
    logistic = table("logistic", [3.25], [0.875], symbols=6)[0]
    geometric = table("geometric", [0.7], symbols=4)[0]
    assert [p.hex() for p in logistic] == LOGISTIC
    assert [p.hex() for p in geometric] == GEOMETRIC


LOGISTIC = [
    "0x1.52f2d82d82bf2p-5",
    "0x1.3ecb53b80455fp-4",
    "0x1.6e0bd78137ad1p-3",
    "0x1.178f7fd5a5e93p-2",
    "0x1.e2c6ec7b7d905p-3",
    "0x1.8bebdc709c159p-3",
]
GEOMETRIC = [
    "0x1.9442eed19c596p-2",
    "0x1.1afbf3f920a4fp-2",
    "0x1.8c2e225cc74d5p-3",
    "0x1.1554180dbeb61p-3",
]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: InputLayer.logistic(0, [1.0], [0.0], 4), "the scale of a logistic leaf must be above 0, got 0.0"),
        (
            lambda: InputLayer.logistic(0, [1.0, 2.0], [1.0], 4),
            "logistic leaves must have one scale a mean, got 1 for 2",
        ),
        (
            lambda: InputLayer.logistic(0, [1.0, -1e300], [1.0, 1.0], 4),
            "the mean of a logistic leaf must be in -1e+20..1e+20, got -1e+300",
        ),
        (
            lambda: InputLayer.logistic(0, [1.0], [5e-324], 4),
            "the scale of a logistic leaf must be in 1e-20..1e+20, got 5e-324",
        ),
        (
            lambda: InputLayer.logistic(0, [1.0], [1e300], 4),
            "the scale of a logistic leaf must be in 1e-20..1e+20, got 1e+300",
        ),
        (lambda: InputLayer.logistic(0, [np.nan], [1.0], 4), "the parameters of logistic leaves must be finite"),
        (lambda: InputLayer.geometric(0, [1.5], 4), "the ratio of a geometric leaf must be in 0..1, got 1.5"),
        (lambda: InputLayer.geometric(0, [0.5], 0), "a leaf must have at least one symbol, got 0"),
        (lambda: InputLayer.geometric(0, ["a"], 4), "ratio must be an array of numbers (got <U1)"),
        (
            lambda: Parametric("gauss", np.zeros((1, 2)), 4),
            "a parametric leaf must be one of logistic, geometric, got 'gauss'",
        ),
        (
            lambda: Parametric("logistic", np.zeros((1, 1)), 4),
            "the parameters of logistic leaves must have shape (units, 2) for mean and scale, got (1, 1)",
        ),
        (
            lambda: InputLayer(3, np.array([[0.5, 0.5]]), Parametric("geometric", np.array([[0.5]]), 2)),
            "the probabilities of geometric leaves (variable 3) must be the table of their parameters, they differ",
        ),
    ],
)
def test_refusals(call, text):
    with pytest.raises(CircuitError, match=whole(text)):
        call()


# ---------------------------------------------------------------------------------------------------- files


def parametric_circuit():
    leaves = (InputLayer.logistic(0, [2.0, 9.5], [0.7, 3.0], 16), InputLayer.geometric(0, [0.8], 16))
    return Circuit((*leaves, SumLayer((0, 1), np.array([[0.25, 0.25, 0.5]]))))


def test_files_keep_parameters_and_tables(tmp_path):
    circuit = parametric_circuit()
    save_circuit(circuit, tmp_path / "c.pcedge")
    loaded = load_circuit(tmp_path / "c.pcedge")
    for first, second in zip(circuit.layers[:2], loaded.layers[:2], strict=True):
        assert second.kind == first.kind
        assert_array_equal(second.parametric.parameters, first.parametric.parameters)
        assert_array_equal(second.probabilities, first.probabilities)
    assert circuit.parameters == loaded.parameters == 4 + 1 + 3
    save_circuit(loaded, tmp_path / "again.pcedge")
    assert (tmp_path / "again.pcedge").read_bytes() == (tmp_path / "c.pcedge").read_bytes()
    # A file of parameters is smaller than one of tables, and quantizes to the same integers.
    tables = with_leaves(circuit, "categorical")
    assert {layer.kind for layer in tables.layers[:2]} == {"categorical"}
    assert quantize(circuit).digest == quantize(tables).digest
    result = CliRunner().invoke(group, ["info", str(tmp_path / "c.pcedge"), "--json"])
    assert json.loads(result.stdout)["leaves"] == ["geometric", "logistic"]


def edited(path, change):
    """Write a file whose description was changed, with a checksum that fits."""
    from safetensors.numpy import load, save

    from pcedge.circuit.file import _checksum

    data = path.read_bytes()
    tensors = load(data)
    header = json.loads(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["pcedge"])
    change(header["layers"], tensors)
    header["sha256"] = _checksum(header["layers"], tensors)
    path.write_bytes(save(tensors, {"pcedge": json.dumps(header)}))


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda layers, tensors: layers[0].update(leaves="gauss"), CircuitError),
        (lambda layers, tensors: layers[0].update(leaves=[]), FormatError),
        (lambda layers, tensors: layers[0].update(cardinality=2**40), FormatError),
        (lambda layers, tensors: layers[0].update(cardinality="9"), FormatError),
        (lambda layers, tensors: layers[0].pop("cardinality"), FormatError),
        (lambda layers, tensors: tensors.pop("0.parameters"), FormatError),
        (lambda layers, tensors: tensors.update({"0.parameters": np.zeros((2, 3))}), CircuitError),
        (lambda layers, tensors: tensors.update({"0.parameters": -np.ones((2, 2))}), CircuitError),
        (lambda layers, tensors: tensors.update({"0.parameters": np.full((2, 2), 1e300)}), CircuitError),
        (lambda layers, tensors: tensors.update({"0.parameters": np.ones((2, 2), dtype=np.float32)}), FormatError),
    ],
)
def test_damaged_files(tmp_path, change, kind):
    save_circuit(parametric_circuit(), tmp_path / "c.pcedge")
    edited(tmp_path / "c.pcedge", change)
    with pytest.raises(kind):
        load_circuit(tmp_path / "c.pcedge")


# ---------------------------------------------------------------------------------------------------- fits


@st.composite
def some_counts(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    units, symbols = draw(st.integers(1, 6)), draw(st.sampled_from((1, 2, 3, 17, 300)))
    kind = draw(st.sampled_from(("even", "sparse", "one", "edges", "peaks")))
    counts = rng.random((units, symbols)) * 10.0 ** rng.integers(-6, 6, (units, 1))
    if kind == "sparse":
        counts[rng.random(counts.shape) < 0.8] = 0
    elif kind == "one":
        counts *= np.arange(symbols) == rng.integers(0, symbols, (units, 1))
    elif kind == "edges":
        counts[:, 1:-1] = 0
    elif kind == "peaks":
        counts **= 20
    counts[rng.random(units) < 0.2] = 0
    return counts, rng


@settings(max_examples=200, deadline=None)
@given(some_counts(), st.integers(0, 8))
def test_fits_never_lose(drawn, steps):
    counts, rng = drawn
    units, symbols = counts.shape
    start = rng.normal(symbols / 2, symbols, units), np.exp(rng.uniform(np.log(1e-3), np.log(3 * symbols), units))
    mean, scale = fit_logistic(counts, start, steps)
    slack = 1e-12 * counts.sum(axis=1)
    before = value(counts, "logistic", *start)
    assert (value(counts, "logistic", mean, scale) >= before - slack * (1 + np.abs(np.log(EVEN_SHARE / symbols)))).all()
    assert np.isfinite(mean).all() and (scale >= np.minimum(start[1], MIN_SCALE)).all()
    empty = counts.sum(axis=1) == 0
    assert_array_equal(mean[empty], start[0][empty])
    assert_array_equal(scale[empty], start[1][empty])
    ratio = fit_geometric(counts, rng.random(units))
    first = rng.random(units)
    ratio = fit_geometric(counts, first)
    assert (value(counts, "geometric", ratio) >= value(counts, "geometric", first)).all()
    assert_array_equal(ratio[empty], first[empty])


@pytest.mark.parametrize("symbols", [4, 17, 256])
def test_fits_find_the_maximum(symbols):
    """No point of a fine grid around is better, and the parameters that made exact counts come back."""
    rng = np.random.default_rng(symbols)
    mean, scale = rng.uniform(0, symbols, 6), np.exp(rng.uniform(np.log(0.3), np.log(symbols / 3), 6))
    exact = 1e6 * table("logistic", mean, scale, symbols=symbols)
    found = fit_logistic(exact)
    assert_allclose(found[0], mean, rtol=1e-3, atol=1e-3)
    assert_allclose(found[1], scale, rtol=1e-3)
    counts = rng.multinomial(300, exact / exact.sum(axis=1, keepdims=True)).astype(float)
    found = fit_logistic(counts)
    best = value(counts, "logistic", *found)
    for shift in (-0.1, -0.01, 0, 0.01, 0.1):
        for factor in (0.9, 0.99, 1, 1.01, 1.1):
            assert (value(counts, "logistic", found[0] + shift * found[1], found[1] * factor) <= best + 1e-5).all()
    ratio = rng.random(6)
    exact = 1e6 * table("geometric", ratio, symbols=symbols)
    assert_allclose(fit_geometric(exact), ratio, rtol=1e-5)
    counts = rng.multinomial(300, exact / exact.sum(axis=1, keepdims=True)).astype(float)
    best = value(counts, "geometric", fit_geometric(counts))
    for near in np.linspace(0, 1, 1001):
        assert (value(counts, "geometric", np.full(6, near)) <= best + 1e-4).all()


def test_fits_at_the_edges():
    counts = np.zeros((5, 8))
    counts[0, 0], counts[1, 7], counts[2, 3] = 5, 5, 1e-9
    counts[3] = 2.0
    mean, scale = fit_logistic(counts)
    found = table("logistic", mean, scale, symbols=8)
    assert found[0, 0] > 0.999 and found[1, 7] > 0.999 and found[2, 3] > 0.999
    assert (scale >= MIN_SCALE).all() and (scale <= 4 * 8).all()
    assert np.abs(found[3] - 1 / 8).max() < 0.05
    assert fit_geometric(counts)[[0, 1, 3, 4]].tolist() == [0.0, 1.0, 1.0, 1.0]
    assert fit_logistic(np.ones((2, 1)))[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("symbols", [2, 17])
@pytest.mark.parametrize("size", [1e-300, 1.0, 1e100])
def test_fits_from_the_ends_of_the_range(symbols, size):
    """Where rounding could take a scale out of its range, and where mean / scale is greatest."""
    for mean in (*MEANS, 0.0, 0.5, symbols / 2):
        for scale in (*SCALES, 1.0):
            layer = InputLayer.logistic(0, [mean], [scale], symbols)
            for counts in (np.ones((1, symbols)), np.eye(1, symbols), np.eye(1, symbols, symbols - 1)):
                fitted = refit_layer(layer, size * counts)
                before, after = ((counts * np.log(leaf.table)).sum() for leaf in (layer, fitted))
                assert after >= before - 1e-9 * abs(before)


def test_refit_layer_of_every_kind():
    counts = np.array([[6.0, 2, 0, 0], [0, 0, 0, 0]])
    categorical = refit_layer(InputLayer(0, np.full((2, 4), 0.25)), counts)
    assert categorical.probabilities.tolist() == [[0.75, 0.25, 0, 0], [0.25] * 4]
    smooth = refit_layer(InputLayer(0, np.full((2, 4), 0.25)), counts, np.full(4, 2.0))
    assert smooth.probabilities.tolist() == [[0.5, 0.25, 0.125, 0.125], [0.25] * 4]
    coins = refit_layer(InputLayer(0, np.array([0.5, 0.3])), counts[:, :2])
    assert coins.kind == "bernoulli" and coins.probabilities.tolist() == [0.25, 0.3]
    logistic = InputLayer.logistic(0, [1.0, 2.0], [1.0, 3.0], 4)
    fitted = refit_layer(logistic, counts)
    assert fitted.kind == "logistic" and fitted.parametric.parameters[1].tolist() == [2.0, 3.0]
    before, after = ((counts * np.log(layer.table)).sum() for layer in (logistic, fitted))
    assert after > before
    geometric = refit_layer(InputLayer.geometric(0, [0.9, 0.4], 4), counts)
    assert geometric.kind == "geometric" and geometric.parametric.parameters[1, 0] == 0.4
    assert geometric.parametric.parameters[0, 0] < 0.5


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        (np.ones(4), "counts must have shape (2, 4), got (4,)"),
        (np.ones((2, 3)), "counts must have shape (2, 4), got (2, 3)"),
        (-np.ones((2, 4)), "counts must be finite and not negative"),
        (np.full((2, 4), np.nan), "counts must be finite and not negative"),
    ],
)
def test_refit_refusals(counts, text):
    with pytest.raises(UsageError, match=whole(text)):
        refit_layer(InputLayer(0, np.full((2, 4), 0.25)), counts)
    with pytest.raises(UsageError, match=whole("counts must have shape (units, symbols), got (4,)")):
        fit_geometric(np.ones(4))


@pytest.mark.parametrize("kind", ["logistic", "geometric", "categorical"])
def test_em_with_these_leaves_never_loses(kind):
    """Full-batch EM in numpy: flows, rows of sums, and refitted leaves."""
    truth = with_leaves(chain(range(4), [12] * 4, latents=3, seed=1), "logistic")
    x = sample(truth, 400, seed=2)
    circuit = with_leaves(chain(range(4), [12] * 4, latents=3, seed=7), kind)
    scores = []
    for _ in range(12):
        scores.append(log_likelihood(circuit, x).mean())
        layers = []
        for layer, flow in zip(circuit.layers, expected_flows(circuit, x), strict=True):
            if isinstance(layer, InputLayer):
                layers.append(refit_layer(layer, flow))
            elif isinstance(layer, SumLayer):
                layers.append(SumLayer(layer.children, flow / flow.sum(axis=1, keepdims=True)))
            else:
                layers.append(layer)
        circuit = Circuit(tuple(layers))
    assert (np.diff(scores) > -1e-9).all() and scores[-1] > scores[0] + 0.1
    assert {layer.kind for layer in circuit.layers if isinstance(layer, InputLayer)} == {kind}
