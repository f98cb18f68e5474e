"""Merging of latent states: which pair loses least, what the merged circuit is, where it does not apply."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from pcedge.circuit import Circuit, InputLayer, ProductLayer, SumLayer, load_circuit, log_likelihood, sample
from pcedge.compress import expected_flows, merge_path
from pcedge.compress.latents import find_latents
from pcedge.compress.merge import PRIOR
from pcedge.compress.passes import count_weights
from pcedge.data import load_data
from pcedge.errors import UsageError
from pcedge.learn import balanced_binary_tree, chain, hidden_chow_liu_tree


def doubled(seed: int = 0) -> tuple[Circuit, Circuit]:
    """A hidden tree of 3 variables, and the same with every state of every latent there twice."""
    small = hidden_chow_liu_tree([-1, 0, 1], [3, 4, 2], 2, seed)
    layers = []
    for index, layer in enumerate(small.layers):
        last = index == len(small.layers) - 1
        if isinstance(layer, InputLayer):
            layers.append(InputLayer(layer.variable, np.repeat(layer.probabilities, 2, axis=0)))
        elif isinstance(layer, ProductLayer):
            layers.append(ProductLayer(layer.children, np.repeat(np.arange(4)[:, None], len(layer.children), 1)))
        else:
            rows = layer.weights if last else np.repeat(layer.weights, 2, axis=0)
            layers.append(SumLayer(layer.children, np.repeat(rows, 2, axis=1) / 2))
    return small, Circuit(tuple(layers))


def test_states_that_are_there_twice_are_merged_without_loss() -> None:
    small, twice = doubled()
    records = sample(small, 500, seed=1)
    path = merge_path(twice, expected_flows(twice, records))
    merged = path.after(6)
    assert_array_equal(path.sizes(6), [2, 2, 2])
    assert_allclose(path.losses[:6], 0, atol=1e-9)
    assert path.losses[6] > 1e-3
    assert_allclose(log_likelihood(merged, records), log_likelihood(twice, records), atol=1e-9)


def loss_by_definition(circuit: Circuit, flows: list, layer: int, first: int, second: int) -> float:
    """What merging two states of a latent loses, by the formula of the docstring, one neighbour after the other."""
    latent = next(each for each in find_latents(circuit) if each.layer == layer)
    tables = []
    for child, column in latent.rows:
        counts = flows[child] + PRIOR * (
            circuit.layers[child].table if isinstance(circuit.layers[child], InputLayer)
            else circuit.layers[child].weights
        )  # fmt: skip
        order = np.arange(latent.states) if column < 0 else circuit.layers[layer].gather[:, column]
        tables.append(counts[order])
    for user, start in latent.columns:
        counts = flows[user] + PRIOR * circuit.layers[user].weights
        tables.append(counts[:, start : start + latent.states].T)

    def surprise(row: np.ndarray) -> float:
        shares = row[row > 0] / row.sum()
        return float(-row.sum() * (shares * np.log(shares)).sum())

    return sum(surprise(t[first] + t[second]) - surprise(t[first]) - surprise(t[second]) for t in tables)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["hidden", "chain", "binary"]))
def test_every_step_loses_what_the_definition_says_and_least_of_all(seed: int, kind: str) -> None:
    make = {
        "hidden": lambda: hidden_chow_liu_tree([-1, 0, 0, 1], [3, 2, 4, 3], 3, seed),
        "chain": lambda: chain([0, 1, 2], [3, 3, 2], 3, seed),
        "binary": lambda: balanced_binary_tree([0, 1, 2, 3], [3, 2, 3, 2], 3, seed),
    }
    circuit = make[kind]()
    flows = expected_flows(circuit, sample(circuit, 60, seed))
    path = merge_path(circuit, flows)
    number, first, second = path.steps[0]
    assert path.losses[0] == pytest.approx(
        max(0.0, loss_by_definition(circuit, flows, path.latents[number].layer, first, second)), abs=1e-9
    )
    every = [
        loss_by_definition(circuit, flows, latent.layer, a, b)
        for latent in path.latents
        for a in range(latent.states)
        for b in range(a + 1, latent.states)
    ]
    assert path.losses[0] == pytest.approx(max(0.0, min(every)), abs=1e-9)
    # The losses that the neighbours' tables are updated for are those of a start from the merged circuit's counts.
    assert len(path.steps) == sum(latent.states - 1 for latent in path.latents)
    assert count_weights(path.last) < count_weights(circuit)
    assert np.isfinite(log_likelihood(path.last, sample(circuit, 20, seed))).all()


def test_later_losses_are_those_of_the_merged_counts() -> None:
    circuit = hidden_chow_liu_tree([-1, 0, 1], [3, 3, 3], 3, 4)
    flows = expected_flows(circuit, sample(circuit, 200, 2))
    path = merge_path(circuit, flows)
    number, keeps, joins = path.steps[0]
    latent = path.latents[number]
    # Merge by hand: rows and columns of the counts are added, and the second step is the first of what is left.
    counts = [None if flow is None else flow + PRIOR * _values(layer)
              for layer, flow in zip(circuit.layers, flows, strict=True)]  # fmt: skip
    for child, _ in latent.rows:
        counts[child][keeps] += counts[child][joins]
        counts[child] = np.delete(counts[child], joins, axis=0)
    for user, start in latent.columns:
        counts[user][:, start + keeps] += counts[user][:, start + joins]
        counts[user] = np.delete(counts[user], start + joins, axis=1)
    merged = path.after(1)
    again = merge_path(merged, [None if c is None else c - PRIOR * _values(layer)
                                for c, layer in zip(counts, merged.layers, strict=True)])  # fmt: skip
    assert again.losses[0] == pytest.approx(path.losses[1], abs=1e-6)


def _values(layer: object) -> np.ndarray:
    return layer.table if isinstance(layer, InputLayer) else layer.weights  # type: ignore[attr-defined]


def test_digits_keep_their_bits_where_half_of_the_weights_goes() -> None:
    circuit, data = load_circuit("digits"), load_data("digits")
    train, test = (part.reshape(len(part), -1) for part in (data.train, data.test))
    path = merge_path(circuit, expected_flows(circuit, train))
    merged = path.after(6 * 64)
    assert count_weights(merged) == 8914
    lost = (log_likelihood(circuit, test) - log_likelihood(merged, test)).mean() / np.log(2) / 64
    assert 0 < lost < 0.012
    assert path.cut(6 * 64).last.layers[0].table.shape == merged.layers[0].table.shape


def test_sizes_can_be_bounded_below() -> None:
    circuit = hidden_chow_liu_tree([-1, 0, 1], [3, 3, 3], 5, 1)
    path = merge_path(circuit, expected_flows(circuit, sample(circuit, 50, 0)), [2, 5, 3])
    assert_array_equal(path.sizes(), [2, 5, 3])


def test_parametric_leaves_stay_parametric() -> None:
    leaves = InputLayer.logistic(0, [1.0, 5.0, 1.1], [0.5, 1.0, 0.5], 8)
    other = InputLayer(1, np.array([0.4, 0.9, 0.4]))
    pairs = ProductLayer((0, 1), np.array([[0, 0], [1, 1], [2, 2]]))
    circuit = Circuit((leaves, other, pairs, SumLayer((2,), np.array([[0.3, 0.4, 0.3]]))))
    merged = merge_path(circuit, expected_flows(circuit, sample(circuit, 300, 0))).after(1)
    layer = merged.layers[0]
    assert layer.kind == "logistic"
    assert 1.0 < layer.parametric.parameters[0, 0] < 1.1
    assert layer.parametric.parameters[1, 0] == pytest.approx(5.0)


def test_it_says_where_it_does_not_apply() -> None:
    lonely = Circuit((InputLayer(0, np.array([[0.5, 0.5, 0.0]])),))
    with pytest.raises(UsageError, match="merge must have latents: layers of two units and more that only dense sums"):
        merge_path(lonely, expected_flows(lonely, [[0]]))
    pairs = ProductLayer((0, 1), np.array([[0, 0], [1, 1]]))
    labels = Circuit(
        (InputLayer(0, np.eye(2)), InputLayer(1, np.array([0.3, 0.6])), pairs, SumLayer((2,), np.array([[0.5, 0.5]])))
    )
    with pytest.raises(UsageError, match="merge must not have a deterministic circuit"):
        merge_path(labels, expected_flows(labels, [[0, 1]]))
    circuit = hidden_chow_liu_tree([-1, 0], [2, 2], 2, 0)
    with pytest.raises(UsageError, match=r"the flows of layer 0 must have shape \(2, 2\), got None"):
        merge_path(circuit, [None] * len(circuit.layers))
