"""Structures other than the hidden Chow–Liu tree, and where they start from data."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers.messages import whole
from numpy.testing import assert_allclose, assert_array_equal

from pcedge.circuit import InputLayer, ProductLayer, SumLayer, log_likelihood
from pcedge.circuit.structure import region_tree, variables_of
from pcedge.codec.stream import decode, encode
from pcedge.data import load_data
from pcedge.engines import ReferenceEngine
from pcedge.errors import UsageError
from pcedge.learn import (
    STRUCTURES,
    balanced_binary_tree,
    chain,
    hidden_chow_liu_tree,
    independent,
    initial_circuit,
    quad_tree,
    region_tree_circuit,
)
from pcedge.learn.initial import joined_parts
from pcedge.quantize import quantize


def scopes(circuit):
    """Every region's variables."""
    return {tuple(variables_of(region.scope)) for region in region_tree(circuit.shapes)}


def check(circuit, sizes):
    """A circuit that is normalised, structured, and codes its records."""
    assert circuit.cardinalities == tuple(sizes)
    assert np.prod(sizes) <= 5000
    grid = np.stack([axis.reshape(-1) for axis in np.indices(sizes)], axis=1)
    assert np.exp(log_likelihood(circuit, grid)).sum() == pytest.approx(1)
    engine = ReferenceEngine(quantize(circuit))
    assert engine.circuit.structured
    some = grid[:: max(1, len(grid) // 20)].astype(np.uint8)
    assert_array_equal(decode(engine, encode(engine, some)), some)


def make(name, sizes, latents=3, seed=0):
    count = len(sizes)
    return {
        "hclt": lambda: hidden_chow_liu_tree([-1, *range(count - 1)], sizes, latents, seed),
        "chain": lambda: chain(list(range(count))[::-1], sizes, latents, seed),
        "binary": lambda: balanced_binary_tree(range(count), sizes, latents, seed),
        "quad": lambda: quad_tree((1, count), sizes, latents, seed),
        "independent": lambda: independent([range(1, count), [0]] if count > 1 else [[0]], sizes, latents, seed),
    }[name]()


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("sizes", [[2], [3, 2], [2, 3, 4], [2, 1, 2, 3, 2, 2, 3]])
@pytest.mark.parametrize("latents", [1, 4])
def test_structures_are_circuits_that_code(name, sizes, latents):
    circuit = make(name, sizes, latents)
    check(circuit, sizes)
    assert all(layer.shape.units <= latents for layer in circuit.layers)
    other = make(name, sizes, latents, seed=1)
    equal = [np.array_equal(a.probabilities, b.probabilities) for a, b in zip(circuit.layers, other.layers, strict=True)
             if isinstance(a, InputLayer) and a.shape.cardinality > 1]  # fmt: skip
    assert not any(equal)


def test_chain_is_a_hidden_markov_model():
    """The likelihood is the forward algorithm's, on the parameters that the layers hold."""
    order, sizes = [2, 0, 3, 1], [3, 4, 2, 5]
    circuit = chain(order, sizes, latents=3, seed=5)
    leaf = {layer.variable: layer.table for layer in circuit.layers if isinstance(layer, InputLayer)}
    # The first step comes last: its sum is the root, and the sums before it are the steps' transitions.
    sums = [layer.weights for layer in circuit.layers if isinstance(layer, SumLayer)][::-1]
    x = np.random.default_rng(0).integers(0, sizes, (50, 4))
    alpha = np.tile(sums[0], (50, 1)) * leaf[2][:, x[:, 2]].T
    for variable, transition in zip(order[1:], sums[1:], strict=True):
        alpha = (alpha @ transition) * leaf[variable][:, x[:, variable]].T
    assert_allclose(log_likelihood(circuit, x), np.log(alpha.sum(axis=1)), rtol=1e-12)
    assert scopes(circuit) == {(0,), (1,), (2,), (3,), (1, 3), (0, 1, 3), (0, 1, 2, 3)}


def test_long_chains_are_no_recursion():
    circuit = chain(range(3000), [2] * 3000, latents=1)
    assert np.isfinite(log_likelihood(circuit, np.zeros((1, 3000), dtype=int)))
    nested = 0
    for variable in range(1, 1500):
        nested = (variable, nested)
    assert len(region_tree_circuit(nested, [2] * 1500, latents=1).layers) == 1500 + 2 * 1499


def test_binary_tree_halves_the_order():
    circuit = balanced_binary_tree([4, 3, 2, 1, 0], [2] * 5, latents=2)
    assert scopes(circuit) == {(0,), (1,), (2,), (3,), (4,), (0, 1), (3, 4), (2, 3, 4), (0, 1, 2, 3, 4)}


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((2, 2), {(0, 1, 2, 3)}),
        ((1, 4), {(0, 1), (2, 3), (0, 1, 2, 3)}),
        ((3, 1), {(0, 1), (0, 1, 2)}),
        ((2, 3), {(0, 1), (3, 4), (0, 1, 2, 3, 4, 5)}),
        ((3, 3), {(0, 1, 3, 4), (2, 5), (6, 7), tuple(range(9))}),
        ((1, 1, 3), {(0, 1, 2)}),
        ((1, 2, 2), {(0, 1), (2, 3), (0, 1, 2, 3)}),
    ],
)
def test_quad_tree_quarters_images(shape, expected):
    count = int(np.prod(shape))
    circuit = quad_tree(shape, [2] * count, latents=2)
    assert scopes(circuit) == expected | {(v,) for v in range(count)}
    check(circuit, [2] * count)
    assert max(len(layer.children) for layer in circuit.layers if isinstance(layer, ProductLayer)) <= 4


def test_independent_parts_are_independent():
    circuit = independent([[0, 2], [1], [3, 4]], [2, 3, 2, 2, 2], latents=3, parents=[-1, -1, 0, 4, -1])
    grid = np.stack([axis.reshape(-1) for axis in np.indices((2, 3, 2, 2, 2))], axis=1)
    parts = [np.where(np.isin(np.arange(5), part), grid, -1) for part in ([0, 2], [1], [3, 4])]
    assert_allclose(log_likelihood(circuit, grid), sum(log_likelihood(circuit, part) for part in parts), rtol=1e-12)
    single = independent([[0], [1]], [2, 3])
    assert single.parameters == 4 and len(single.layers) == 3


# ---------------------------------------------------------------------------------------------------- from data


def joint(x, a, b):
    return np.histogram2d(x[:, a], x[:, b], bins=4)[0]


def test_joined_parts():
    information = np.array([[0.0, 9, 1, 0], [9, 0, 8, 0], [1, 8, 0, 7], [0, 0, 7, 0]])
    assert joined_parts(information, 1) == ([[0], [1], [2], [3]], [-1] * 4)
    assert joined_parts(information, 2) == ([[0, 1], [2, 3]], [-1, 0, -1, 2])
    assert joined_parts(information, 3) == ([[0, 1, 2], [3]], [1, -1, 1, -1])
    assert joined_parts(information, 9) == ([[0, 1, 2, 3]], [1, -1, 1, 2])
    assert joined_parts(np.zeros((3, 3)), 3)[0] == [[0], [1], [2]]  # nothing to gain by joining


@pytest.mark.parametrize("name", STRUCTURES)
def test_starts_beat_the_marginals(name):
    """The start from clusters is already better than independent variables, and not by chance."""
    splits = load_data("digits")
    x = splits.train.reshape(len(splits.train), -1).astype(np.int64)
    valid = splits.valid.reshape(len(splits.valid), -1)
    given = {"quad": {"shape": (8, 8)}, "independent": {"block": 8}}.get(name, {})
    start = initial_circuit(name, x, [17] * 64, latents=8, **given)
    marginals = initial_circuit("independent", x, [17] * 64)
    assert marginals.parameters == 64 * 17
    gained = (log_likelihood(start, valid) - log_likelihood(marginals, valid)).mean() / 64 / np.log(2)
    assert gained > 0.1
    again = initial_circuit(name, x, [17] * 64, latents=8, **given)
    assert_array_equal(log_likelihood(start, valid), log_likelihood(again, valid))


@pytest.mark.parametrize("name", STRUCTURES)
def test_starts_of_small_and_missing_data(name):
    for count, records in itertools.product((1, 2, 6), (1, 3)):
        x = np.random.default_rng(count).integers(-1, 3, (records, count))
        x[:, 0] = -1
        given = {"quad": {"shape": (count, 1)}, "independent": {"block": 3}}.get(name, {})
        circuit = initial_circuit(name, x, [3] * count, latents=5, **given)
        assert np.isfinite(log_likelihood(circuit, np.full((1, count), 2))).all()


def test_start_orders_and_leaves():
    x = np.random.default_rng(0).integers(0, 5, (200, 4))
    first = initial_circuit("chain", x, [5] * 4, latents=3, order=[3, 1, 0, 2])
    assert (1, 0, 2) in {tuple(sorted(s, key=[1, 0, 2].index)) for s in scopes(first) if len(s) == 3 and 3 not in s}
    for kind in ("logistic", "geometric"):
        made = initial_circuit("binary", x, [5] * 4, latents=3, leaves=kind)
        assert {layer.kind for layer in made.layers if isinstance(layer, InputLayer)} == {kind}


# ---------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: chain([0, 0], [2, 2]), "the order must name each of 2 variables once, got [0, 0]"),
        (lambda: chain([], []), "a circuit must have at least one variable, got none"),
        (lambda: chain([0, 1.0], [2, 2]), "a variable must be an integer, got 1.0"),
        (lambda: chain([0], [0]), "variable 0 must have at least one symbol, got 0"),
        (
            lambda: balanced_binary_tree([0, 1, 3], [2, 2, 2]),
            "the order must name each of 3 variables once, got [0, 1, 3]",
        ),
        (lambda: balanced_binary_tree([0, 1], [2, 2], latents=0), "latents must be at least 1, got 0"),
        (lambda: quad_tree((2, 2), [2] * 3), "an image of shape (2, 2) must have 4 variables, got 3"),
        (
            lambda: quad_tree((4,), [2] * 4),
            "an image must have the shape (height, width) or (height, width, channels), got (4,)",
        ),
        (
            lambda: quad_tree((0, 4), []),
            "an image must have the shape (height, width) or (height, width, channels), got (0, 4)",
        ),
        (lambda: quad_tree((2, "2"), [2] * 4), "a side of an image must be an integer, got '2'"),
        (lambda: region_tree_circuit((0, 2), [2, 2]), "parts must name variables of 0..1, got 2"),
        (lambda: region_tree_circuit((0, 0), [2, 2]), "parts must name each of 2 variables once, got [0, 0]"),
        (lambda: region_tree_circuit((0, (1,)), [2, 2]), "a region must have at least two parts, got 1"),
        (lambda: independent([[0], [0]], [2, 2]), "the order must name each of 2 variables once, got [0, 0]"),
        (lambda: independent([[0], []], [2]), "every part must have at least one variable, one has none"),
        (
            lambda: independent([[0, 1]], [2, 2], parents=[-1, -1]),
            "the parents must make one tree in every part, they do not in [0, 1]",
        ),
        (
            lambda: independent([[0], [1]], [2, 2], parents=[-1, 0]),
            "the parents must make one tree in every part, they do not in [0]",
        ),
        (lambda: independent([[0, 1]], [2, 2], parents=[-1]), "parents must be one for each of 2 variables, got 1"),
    ],
)
def test_structure_refusals(call, text):
    with pytest.raises(UsageError, match=whole(text)):
        call()


@pytest.mark.parametrize(
    ("name", "words", "text"),
    [
        ("hmm", {}, "structure must be one of hclt, chain, binary, quad, independent, got 'hmm'"),
        ("hclt", {"order": [0, 1]}, "order must be left out for the structure hclt, it is of chain and binary"),
        ("chain", {"shape": (1, 2)}, "shape must be left out for the structure chain, it is of quad"),
        ("quad", {}, "the structure quad must have the shape of the images, got none"),
        ("quad", {"shape": (3, 2)}, "an image of shape (3, 2) must have 6 variables, got 2"),
        ("independent", {"block": 0}, "block must be at least 1, got 0"),
        ("hclt", {"latents": 0}, "latents must be at least 1, got 0"),
        ("hclt", {"cardinalities": [2]}, "records must have shape (N, 1), got (4, 2)"),
        ("hclt", {"leaves": "gauss"}, "leaves must be one of categorical, logistic, geometric, got 'gauss'"),
    ],
)
def test_start_refusals(name, words, text):
    with pytest.raises(UsageError, match=whole(text)):
        initial_circuit(name, np.zeros((4, 2), dtype=np.int64), **{"cardinalities": [2, 2], **words})
