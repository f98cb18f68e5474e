"""Folding and marginal circuits: the distribution stays, to the rounding of float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from strategies import float_circuits, unstructured_circuits

from pcedge.circuit import Circuit, InputLayer, ProductLayer, SumLayer, load_circuit, log_likelihood, sample
from pcedge.compress import expected_flows, fold, latent_information, marginal
from pcedge.compress.fold import silence
from pcedge.compress.passes import count_weights
from pcedge.data import load_data
from pcedge.data.axis import Axis
from pcedge.data.value_grid import ValueGrid
from pcedge.errors import UsageError
from pcedge.learn import hidden_chow_liu_tree


@settings(max_examples=60, deadline=None)
@given(float_circuits(), st.integers(0, 1000))
def test_folded_circuits_have_the_same_likelihoods(circuit: Circuit, seed: int) -> None:
    records = sample(circuit, 20, seed)
    records[::3, 0] = -1
    folded = fold(circuit)
    assert_allclose(log_likelihood(folded, records), log_likelihood(circuit, records), rtol=0, atol=1e-12 * 20)


def test_the_shipped_digits_lose_half_of_their_weights() -> None:
    circuit, test = load_circuit("digits"), load_data("digits").test.reshape(360, -1)
    folded = fold(circuit)
    assert (count_weights(circuit), count_weights(folded)) == (16144, 8720)
    assert abs(log_likelihood(folded, test) - log_likelihood(circuit, test)).max() < 1e-12


def test_a_sum_over_a_leaf_is_folded_only_where_that_is_smaller() -> None:
    leaves = InputLayer(0, np.array([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]]))
    other = InputLayer(1, np.full((8, 2), 0.5))
    rows = np.random.default_rng(0).dirichlet([1, 1], 8)
    pairs = ProductLayer((1, 2), np.repeat(np.arange(8)[:, None], 2, 1))
    wide = Circuit((leaves, SumLayer((0,), rows), InputLayer(1, np.linspace(0.1, 0.9, 8)), pairs,
                    SumLayer((3,), np.full((1, 8), 1 / 8))))  # fmt: skip
    assert other.shape.units == 8
    # 8 tables of 2 · 12 bits against 2 of them and 16 weights of 8: 192 > 176.
    assert count_weights(fold(wide)) == count_weights(wide)
    # Where tables are shared, 8 numbers of 6 bits against 2 of them and the weights: 48 < 140.
    assert count_weights(fold(wide, lambda symbols: 6.0)) == 8


def test_sums_of_sums_become_one_where_that_is_smaller() -> None:
    generator = np.random.default_rng(1)
    leaf = InputLayer(0, generator.dirichlet([1, 1, 1], 3))
    parametric = InputLayer.geometric(0, [0.2, 0.5, 0.7], 3)
    for first in (leaf, parametric):
        middle, top = generator.dirichlet([1] * 3, 2), generator.dirichlet([1] * 2, 1)
        circuit = Circuit((first, SumLayer((0,), middle), SumLayer((1,), top)))
        folded = fold(circuit)
        assert_allclose(log_likelihood(folded, [[0], [2]]), log_likelihood(circuit, [[0], [2]]), atol=1e-14)
        assert len(folded.layers) == (1 if first is leaf else 2)


def test_units_with_equal_rows_become_one() -> None:
    leaves = InputLayer(0, np.array([0.2, 0.6, 0.2]))
    others = InputLayer(1, np.array([0.1, 0.5, 0.9]))
    pairs = ProductLayer((0, 1), np.array([[0, 0], [1, 1], [2, 2]]))
    circuit = Circuit((leaves, others, pairs, SumLayer((2,), np.full((1, 3), 1 / 3))))
    folded = fold(circuit)
    assert_array_equal(folded.layers[0].probabilities, [0.2, 0.6])
    assert_array_equal(folded.layers[2].gather, [[0, 0], [1, 1], [0, 2]])


def test_latents_that_say_nothing_are_dropped() -> None:
    circuit = hidden_chow_liu_tree([-1, 0, 0], [2, 3, 3], 4, 0)
    layers = list(circuit.layers)
    silent = next(
        index for index, layer in enumerate(layers)
        if isinstance(layer, SumLayer) and isinstance(layers[layer.children[0]], InputLayer)
    )  # fmt: skip
    same = np.tile(layers[silent].weights.mean(axis=0), (4, 1))
    layers[silent] = SumLayer(layers[silent].children, same / same.sum(axis=1, keepdims=True))
    circuit = Circuit(tuple(layers))
    records = sample(circuit, 2000, 0)
    flows = expected_flows(circuit, records)
    information = latent_information(circuit, flows)
    assert information[silent] <= 0 < max(information.values())
    made = fold(silence(circuit, flows))
    leaf = [layer for layer in made.layers if isinstance(layer, InputLayer) and layer.shape.units == 1]
    assert len(leaf) == 1
    lost = log_likelihood(circuit, records).mean() - log_likelihood(made, records).mean()
    assert abs(lost) < 1e-3


@settings(max_examples=60, deadline=None)
@given(st.one_of(float_circuits(), unstructured_circuits()), st.data())
def test_marginal_circuits_sum_out_the_others(circuit: Circuit, data: st.DataObject) -> None:
    count = len(circuit.cardinalities)
    chosen = sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=1)))
    records = sample(circuit, 15, 3)
    partial = np.full_like(records, -1)
    partial[:, chosen] = records[:, chosen]
    small = marginal(circuit, chosen)
    assert small.cardinalities == tuple(circuit.cardinalities[variable] for variable in chosen)
    assert_allclose(log_likelihood(small, records[:, chosen]), log_likelihood(circuit, partial), rtol=0, atol=1e-11)


def test_a_marginal_keeps_the_grid_and_its_columns() -> None:
    circuit = hidden_chow_liu_tree([-1, 0, 0], [2, 3, 2], 2, 0)
    axes = [Axis(name, 2 * place, "states", states=tuple("abc"[:size]))
            for place, (name, size) in enumerate(zip("xyz", (2, 3, 2), strict=True))]  # fmt: skip
    small = marginal(Circuit(circuit.layers, grid=ValueGrid(tuple(axes))), [1, 2])
    assert small.grid is not None and small.grid.names == ("y", "z")
    assert [axis.column for axis in small.grid.axes] == [2, 4]


@pytest.mark.parametrize("variables", [[], [1, 0], [0, 0], [3], [-1]])
def test_wrong_variables_are_refused(variables: list[int]) -> None:
    circuit = hidden_chow_liu_tree([-1, 0, 0], [2, 2, 2], 2, 0)
    with pytest.raises(UsageError, match=r"the variables of a marginal must be in 0..2, each once and rising, got"):
        marginal(circuit, variables)
