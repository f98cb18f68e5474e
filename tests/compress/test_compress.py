"""Circuit flows, pruning and growing."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from helpers.commands import run
from helpers.messages import whole
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import float_circuits, make_circuit, records_for, unstructured_circuits

from pcedge.circuit import (
    Circuit,
    InputLayer,
    ProductLayer,
    SparseRows,
    SumLayer,
    load_circuit,
    log_likelihood,
    sample,
    save_circuit,
)
from pcedge.compress import expected_flows, grow, loss_bound, prune
from pcedge.data import load_data
from pcedge.errors import CircuitError, DataError, UsageError
from pcedge.learn import balanced_binary_tree, chain, hidden_chow_liu_tree, independent, initial_circuit
from pcedge.quantize import quantize

SHAPES = ("edges", "states", "blocks")


def values_of(layer):
    if isinstance(layer, InputLayer):
        return layer.table
    return layer.weights.values if isinstance(layer.weights, SparseRows) else layer.weights


def with_values(circuit, index, values):
    """The circuit with one layer's parameters replaced; rows need not be normalised."""
    layers = list(circuit.layers)
    layer = layers[index]
    if isinstance(layer, InputLayer):
        layers[index] = InputLayer(layer.variable, values)
    elif isinstance(layer.weights, SparseRows):
        old = layer.weights
        layers[index] = SumLayer(layer.children, SparseRows(old.indptr, old.indices, values, old.columns))
    else:
        layers[index] = SumLayer(layer.children, values)
    loose = object.__new__(Circuit)  # the checks would refuse what a derivative needs
    object.__setattr__(loose, "layers", tuple(layers))
    return loose


def total(circuit, index, values, x, sizes):
    loose = with_values(circuit, index, values)
    loose.__dict__["cardinalities"] = sizes
    return log_likelihood(loose, x).sum()


# ---------------------------------------------------------------------------------------------------- flows


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_flows_are_the_derivatives(data):
    """The flow of a parameter is the parameter times the derivative of the log-likelihood by it."""
    circuit = data.draw(st.one_of(float_circuits(5, 3, 4), unstructured_circuits(4, 3)))
    x = data.draw(records_for(circuit, 4, missing=True, min_records=1))
    x = x[np.isfinite(log_likelihood(circuit, x))]
    flows = expected_flows(circuit, x)
    sizes = circuit.cardinalities
    for index, layer in enumerate(circuit.layers):
        if isinstance(layer, ProductLayer):
            assert flows[index] is None
            continue
        values = values_of(layer)
        assert flows[index].shape == values.shape
        for place in np.ndindex(values.shape):
            if values[place] < 1e-3:
                continue
            up, down = values.copy(), values.copy()
            step = 1e-4
            up[place] *= 1 + step
            down[place] *= 1 - step
            slope = (total(circuit, index, up, x, sizes) - total(circuit, index, down, x, sizes)) / (2 * step)
            assert flows[index][place] == pytest.approx(slope, abs=1e-6)
        assert (flows[index][values == 0] == 0).all()


def test_flows_are_kept():
    circuit = hidden_chow_liu_tree([-1, 0, 0, 1], [3, 2, 4, 3], latents=4)
    x = sample(circuit, 1100, seed=2)  # more than two batches
    x[::3, 1] = -1
    flows = expected_flows(circuit, x)
    for layer, flow in zip(circuit.layers, flows, strict=True):
        if isinstance(layer, SumLayer):
            assert flow.sum() == pytest.approx(1100)
        elif isinstance(layer, InputLayer):
            assert flow.sum() == pytest.approx((x[:, layer.variable] >= 0).sum())
    np.testing.assert_allclose(flows[-1][0].sum(), 1100)
    parts = [expected_flows(circuit, x[:500]), expected_flows(circuit, x[500:])]
    for flow, first, second in zip(flows, *parts, strict=True):
        if flow is not None:
            np.testing.assert_allclose(flow, first + second, rtol=1e-10)


@pytest.mark.parametrize("sparse", [False, True])
def test_flows_of_far_children(sparse):
    """A unit whose child is 1,000 nats below the layer's best child still gets its flow."""
    tiny = 1e-300
    leaves = [InputLayer(v, np.array([[1 - tiny, tiny], [0.5, 0.5]])) for v in range(3)]
    product = ProductLayer((0, 1, 2), np.array([[0, 0, 0], [1, 1, 1]]))
    rows = np.array([[1.0, 0.0], [0.0, 1.0]])
    lower = SumLayer((3,), SparseRows.from_dense(rows) if sparse else rows)
    circuit = Circuit((*leaves, product, lower, SumLayer((4,), np.array([[1.0, 0.0]]))))
    flows = expected_flows(circuit, [[1, 1, 1]])
    assert flows[0].tolist() == [[0.0, 1.0], [0.0, 0.0]]
    np.testing.assert_allclose(flows[4], [1.0, 0.0] if sparse else rows * [[1], [0]])
    mask = [None] * 4 + [np.array([True, False]) if sparse else rows > 0] + [np.zeros((1, 2), dtype=bool)]
    assert loss_bound(circuit, mask, [[1, 1, 1]]) == math.inf


def test_impossible_records_flow_nowhere():
    circuit = Circuit((InputLayer(0, np.array([[1.0, 0.0], [0.5, 0.5]])), SumLayer((0,), np.array([[1.0, 0.0]]))))
    flows = expected_flows(circuit, [[1], [0]])
    assert flows[1].tolist() == [[1.0, 0.0]]
    assert expected_flows(circuit, np.zeros((0, 1), dtype=int))[0].tolist() == [[0, 0], [0, 0]]


def test_flow_refusals():
    circuit = chain([0, 1], [2, 2], 2)
    with pytest.raises(DataError, match=whole("record 0, variable 1: a symbol must be in -1..1, got 2")):
        expected_flows(circuit, [[0, 2]])
    with pytest.raises(UsageError, match=whole("dropped must have an entry for each of 5 layers, got 1")):
        loss_bound(circuit, [None], [[0, 1]])
    with pytest.raises(UsageError, match=whole("the dropped edges of layer 1 must have shape (2, 2), got (1, 2)")):
        loss_bound(circuit, [None, np.zeros((1, 2), dtype=bool), None, None, None], [[0, 1]])


# ---------------------------------------------------------------------------------------------------- pruning


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_pruning_keeps_a_circuit_and_the_bound(data):
    circuit = data.draw(st.one_of(float_circuits(8, 6, 5), unstructured_circuits()))
    x = data.draw(records_for(circuit, 6, missing=True, min_records=1))
    x = x[np.isfinite(log_likelihood(circuit, x))]
    shape = data.draw(st.sampled_from(SHAPES))
    fraction = data.draw(st.sampled_from((0.0, 0.1, 0.5, 0.9, 0.999)))
    block = data.draw(st.sampled_from(((1, 1), (2, 2), (4, 3), (1, 4))))
    pruned = prune(circuit, expected_flows(circuit, x), fraction, shape, block=block, even=data.draw(st.booleans()))
    after = pruned.circuit  # its rules were checked when it was made
    assert after.cardinalities == circuit.cardinalities
    assert len(pruned.dropped) == len(circuit.layers)
    bound = loss_bound(circuit, pruned.dropped, x)
    if len(x):
        assert log_likelihood(circuit, x).mean() - log_likelihood(after, x).mean() <= bound + 1e-9
    every = after.cardinalities
    if np.prod(every) <= 3000:
        grid = np.stack([axis.reshape(-1) for axis in np.indices(every)], axis=1)
        assert np.exp(log_likelihood(after, grid)).sum() == pytest.approx(1, abs=1e-5)
    if fraction == 0:
        assert pruned.edges == 0
        np.testing.assert_allclose(log_likelihood(after, x), log_likelihood(circuit, x), atol=1e-9)


def test_edges_by_hand():
    """The least flow goes, also from a row of large weights; every row keeps its best; rows add up to 1."""
    weights = np.array([[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.4, 0.1]])
    leaf = InputLayer(0, np.array([0.1, 0.4, 0.6, 0.9]))
    circuit = Circuit((leaf, SumLayer((0,), weights), SumLayer((1,), np.array([[0.5, 0.25, 0.25]]))))
    flows = [None, np.array([[1.0, 9, 8, 7], [2, 3, 10, 11], [0, 0, 0, 0]]), np.array([[20.0, 20, 20]])]
    pruned = prune(circuit, flows, 0.4)  # 6 of 15: three without flow (the fourth is its row's best), then 1, 2, 3
    assert pruned.edges == 6
    expected = np.array([[0, 0.3, 0.2, 0.1], [0, 0, 0.3, 0.4], [0, 0, 0.4, 0]])
    # The first state lost all its edges, so it goes too: three columns are left.
    expected = expected[:, 1:] / expected.sum(axis=1, keepdims=True)
    found = pruned.circuit.layers[1].weights
    np.testing.assert_allclose(found.toarray() if isinstance(found, SparseRows) else found, expected)
    assert pruned.circuit.layers[0].probabilities.tolist() == [0.4, 0.6, 0.9]
    assert pruned.flow == 6.0
    assert prune(circuit, [f if f is None else f.reshape(-1) for f in flows], 0.4).edges == 6  # flat counts do too


def test_sparse_where_smaller():
    circuit = hidden_chow_liu_tree([-1, 0, 1], [3, 3, 3], latents=16)
    flows = expected_flows(circuit, sample(circuit, 300))
    few, many = (prune(circuit, flows, fraction).circuit for fraction in (0.1, 0.9))
    assert not any(isinstance(layer.weights, SparseRows) for layer in few.layers if isinstance(layer, SumLayer))
    assert any(isinstance(layer.weights, SparseRows) for layer in many.layers if isinstance(layer, SumLayer))
    folder_free = [sum(values_of(layer).size for layer in c.layers if isinstance(layer, SumLayer)) for c in (few, many)]
    assert folder_free[1] < 0.2 * folder_free[0]


@pytest.mark.parametrize(
    "make", [lambda: chain(range(5), [4] * 5, 8), lambda: balanced_binary_tree(range(5), [4] * 5, 8)]
)
def test_states_get_fewer_and_stay_dense(make):
    circuit = make()
    flows = expected_flows(circuit, sample(circuit, 500))
    after = prune(circuit, flows, 0.25, "states").circuit
    assert [layer.shape.kind for layer in after.layers] == [layer.shape.kind for layer in circuit.layers]
    assert {layer.shape.units for layer in after.layers[:-1]} == {6}
    assert not any(isinstance(layer.weights, SparseRows) for layer in after.layers if isinstance(layer, SumLayer))
    # The states that stay are those of most flow: the root's columns tell.
    kept = np.sort(np.argsort(flows[-1][0], kind="stable")[2:])
    expected = circuit.layers[-1].weights[:, kept]
    np.testing.assert_allclose(after.layers[-1].weights, expected / expected.sum())


def test_states_of_the_whole_circuit():
    circuit = chain(range(5), [4] * 5, 8, seed=3)
    flows = expected_flows(circuit, sample(circuit, 500))
    after = prune(circuit, flows, 0.5, "states", even=False).circuit
    columns = [layer.weights.shape[1] for layer in after.layers if isinstance(layer, SumLayer)]
    assert sum(columns) == 20 and len(set(columns)) > 1 and min(columns) >= 1
    least = prune(circuit, flows, 0.99, "states", even=False).circuit
    assert max(layer.shape.units for layer in least.layers) < 8


@pytest.mark.parametrize("block", [(4, 4), (2, 8), (1, 3), (64, 2)])
def test_blocks_are_a_regular_pattern(block):
    circuit = hidden_chow_liu_tree([-1, 0, 1], [3, 3, 3], latents=16)
    flows = expected_flows(circuit, sample(circuit, 300))
    pruned = prune(circuit, flows, 0.5, "blocks", block=block)
    for mask in pruned.dropped:
        if mask is None:
            continue
        for top in range(0, mask.shape[0], block[0]):
            band = mask[top : top + block[0]]
            assert (band == band[:1]).all()
            edges = [band[0, left : left + block[1]] for left in range(0, mask.shape[1], block[1])]
            assert all(len(set(edge.tolist())) == 1 for edge in edges)
            assert sum(edge[0] for edge in edges) == min(len(edges) // 2, len(edges) - 1)
    # Of the root the states that it dropped are gone, so its row is dense again.
    sums = [layer.weights for layer in pruned.circuit.layers if isinstance(layer, SumLayer)]
    assert not isinstance(sums[-1], SparseRows)
    assert all(isinstance(rows, SparseRows) for rows in sums[:-1]) or block[0] == 64


def test_blocks_list_zeros_too():
    """A weight of 0 in a block that stays is an entry, so that the pattern is the block's."""
    weights = np.full((6, 4), 0.25)
    weights[0] = [0.5, 0.0, 0.3, 0.2]
    weights[2] = [0.1, 0.2, 0.3, 0.4]
    leaf = InputLayer(0, np.array([0.1, 0.4, 0.6, 0.9]))
    circuit = Circuit((leaf, SumLayer((0,), weights), SumLayer((1,), np.full((1, 6), 1 / 6))))
    flows = [None, np.ones((6, 4)), np.array([[5.0, 5, 5, 5, 1, 1]])]
    flows[1][0, 0] = flows[1][3, 3] = 9.0
    after = prune(circuit, flows, 0.5, "blocks", block=(2, 2)).circuit.layers[1].weights
    assert after.indices.tolist() == [0, 1, 0, 1, 2, 3, 2, 3]
    np.testing.assert_allclose(after.values, [1.0, 0.0, 0.5, 0.5, 3 / 7, 4 / 7, 0.5, 0.5])


def test_a_row_without_weight_in_the_blocks_keeps_its_best():
    weights = np.array([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]])
    leaf = InputLayer(0, np.array([0.1, 0.4, 0.6, 0.9]))
    circuit = Circuit((leaf, SumLayer((0,), weights), SumLayer((1,), np.array([[0.5, 0.5]]))))
    flows = [None, weights * [[9], [1]], np.array([[9.0, 1.0]])]
    for shape in ("blocks", "states"):
        after = prune(circuit, flows, 0.5, shape, block=(2, 2)).circuit
        assert np.isfinite(log_likelihood(after, [[0], [1]])).all()


def test_pruned_circuits_quantize():
    circuit = hidden_chow_liu_tree([-1, 0, 1, 1], [3, 3, 3, 2], latents=8)
    flows = expected_flows(circuit, sample(circuit, 300))
    for shape in SHAPES:
        assert quantize(prune(circuit, flows, 0.6, shape).circuit).structured


def test_unused_layers_go():
    """A sum that drops all columns of a child layer drops the child, and what only the child used."""
    leaves = (InputLayer(0, np.array([0.2])), InputLayer(0, np.array([0.9, 0.8])))
    circuit = Circuit((*leaves, SumLayer((0, 1), np.array([[0.8, 0.1, 0.1]]))))
    after = prune(circuit, [None, None, np.array([[8.0, 1.0, 1.0]])], 0.67).circuit
    assert [layer.shape.kind for layer in after.layers] == ["input", "sum"]
    assert after.layers[0].probabilities.tolist() == [0.2]


def test_pruning_keeps_parametric_leaves():
    leaves = InputLayer.logistic(0, [1.0, 2.0, 3.0], [0.5, 0.6, 0.7], 5)
    circuit = Circuit((leaves, SumLayer((0,), np.array([[0.25, 0.5, 0.25]]))))
    after = prune(circuit, [None, np.array([[5.0, 1.0, 4.0]])], 0.4, "states").circuit
    assert after.layers[0].kind == "logistic"
    assert after.layers[0].parametric.parameters.tolist() == [[1.0, 0.5], [3.0, 0.7]]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"fraction": 1.0}, "fraction must be at least 0 and below 1, got 1.0"),
        ({"fraction": float("nan")}, "fraction must be at least 0 and below 1, got nan"),
        ({"shape": "rows"}, "shape must be one of edges, states, blocks, got 'rows'"),
        ({"block": (0, 4)}, "a block must have at least 1 row and 1 column, got (0, 4)"),
        ({"flows": []}, "flows must have an entry for each of 2 layers, got 0"),
        ({"flows": [None, None]}, "the flows of layer 1 (sum) must be one for each of its 2 edges, got None"),
        ({"flows": [None, np.ones(3)]}, "the flows of layer 1 (sum) must be one for each of its 2 edges, got (3,)"),
        ({"flows": [None, -np.ones(2)]}, "the flows of layer 1 (sum) must be finite and not negative"),
    ],
)
def test_prune_refusals(words, text):
    circuit = Circuit((InputLayer(0, np.array([0.2, 0.5])), SumLayer((0,), np.array([[0.5, 0.5]]))))
    given = {"flows": [None, np.ones((1, 2))], "fraction": 0.5, **words}
    with pytest.raises(UsageError, match=whole(text)):
        prune(circuit, given.pop("flows"), given.pop("fraction"), **given)


# ---------------------------------------------------------------------------------------------------- growing


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_growing_without_noise_changes_nothing(data):
    circuit = data.draw(st.one_of(float_circuits(6, 4, 4), unstructured_circuits()))
    factor = data.draw(st.integers(1, 3))
    grown = grow(circuit, factor, noise=0.0)
    x = data.draw(records_for(circuit, 8, missing=True))
    np.testing.assert_allclose(log_likelihood(grown, x), log_likelihood(circuit, x), rtol=1e-9, atol=1e-9)
    assert sum(layer.shape.units for layer in grown.layers) <= factor * sum(s.units for s in circuit.shapes)
    noisy = grow(circuit, factor, noise=0.5, seed=1)
    assert [layer.shape.units for layer in noisy.layers] == [layer.shape.units for layer in grown.layers]


def test_growing_clones_states_and_keeps_independent_parts():
    circuit = grow(hidden_chow_liu_tree([-1, 0, 1], [3, 3, 3], latents=4))
    assert [layer.shape.units for layer in circuit.layers] == [8] * 6 + [8, 1]
    parts = grow(independent([[0], [1, 2]], [3, 3, 3], latents=2), 3)
    assert [layer.shape.units for layer in parts.layers] == [1, 6, 6, 6, 6, 1, 1]
    leaves = Circuit((InputLayer.geometric(0, [0.5, 0.9], 4), SumLayer((0,), np.array([[0.5, 0.5]]))))
    assert grow(leaves).layers[0].kind == "geometric" and grow(leaves).layers[0].shape.units == 4
    logistic = Circuit((InputLayer.logistic(0, [1.0], [0.5], 4), SumLayer((0,), np.array([[1.0]]))))
    found = grow(logistic, noise=0.2).layers[0].parametric.parameters
    assert len(np.unique(found)) == 4 and np.abs(found[:, 0] - 1).max() < 0.5


def test_growing_is_seeded():
    circuit = hidden_chow_liu_tree([-1, 0], [3, 3], latents=4)
    first, same, other = (grow(circuit, seed=seed).layers[-1].weights for seed in (1, 1, 2))
    assert np.array_equal(first, same) and not np.array_equal(first, other)
    assert (grow(circuit, noise=1.0).layers[-1].weights > 0).all()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ({"factor": 0}, "factor must be at least 1, got 0"),
        ({"noise": -0.1}, "noise must be in 0..1, got -0.1"),
        ({"noise": float("nan")}, "noise must be in 0..1, got nan"),
        ({"seed": -1}, "seed must not be negative, got -1"),
    ],
)
def test_grow_refusals(words, text):
    with pytest.raises(UsageError, match=whole(text)):
        grow(chain([0, 1], [2, 2], 2), **words)


def test_growing_lets_training_gain():
    torch = pytest.importorskip("torch", reason="training needs torch")
    assert torch
    from pcedge.learn import LearnConfig, fit

    splits = load_data("digits")
    records = splits.train.reshape(len(splits.train), -1).astype(np.int64)
    config = LearnConfig(iterations=12)
    small = fit(splits, config, circuit=initial_circuit("hclt", records, [17] * 64, latents=4))
    grown = fit(splits, config, circuit=grow(small))
    again = fit(splits, config, circuit=grow(small, noise=0.0))
    scores = [log_likelihood(c, splits.valid).mean() for c in (small, again, grown)]
    assert scores[2] > scores[0] + 1 and scores[2] > scores[1] + 0.5, scores


# ---------------------------------------------------------------------------------------------------- command line


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compress")
    circuit = hidden_chow_liu_tree([-1, 0, 1, 1], [3] * 4, latents=6)
    save_circuit(circuit, folder / "c.pcedge")
    np.save(folder / "x.npy", sample(circuit, 200, seed=1).astype(np.uint8))
    return folder


@pytest.mark.parametrize("shape", SHAPES)
def test_cli_prune(files, tmp_path, shape):
    words = ("prune", files / "c.pcedge", "--data", files / "x.npy", "--fraction", "0.5", "--shape", shape)
    out = tmp_path / "p.pcedge"
    done = run(*words, "--block", "2x3", "--out", out, "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    before, after = load_circuit(files / "c.pcedge"), load_circuit(out)
    x = np.load(files / "x.npy")
    assert list(result) == [
        "out", "shape", "fraction", "records", "dropped_edges", "dropped_flow", "parameters_before", "parameters_after",
        "bits_per_variable_before", "bits_per_variable_after", "loss_bound",
    ]  # fmt: skip
    assert (result["parameters_before"], result["parameters_after"]) == (before.parameters, after.parameters)
    assert result["parameters_after"] < result["parameters_before"]
    for name, circuit in (("before", before), ("after", after)):
        bits = -log_likelihood(circuit, x).mean() / np.log(2) / 4
        assert result[f"bits_per_variable_{name}"] == pytest.approx(bits)
    plain = run(*words, "--out", out)
    assert plain.exit_code == 0 and "parameters before" in plain.output


def test_cli_grow(files, tmp_path):
    words = ("grow", files / "c.pcedge", "--factor", 3, "--noise", 0, "--out", tmp_path / "g.pcedge")
    result = json.loads(run(*words, "--data", files / "x.npy", "--json").stdout)
    assert result["bits_per_variable_after"] == pytest.approx(result["bits_per_variable_before"])
    assert result["parameters_after"] == load_circuit(tmp_path / "g.pcedge").parameters
    assert "bits_per_variable_after" not in json.loads(run(*words, "--json").stdout)


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (("--fraction", "1.5"), 2, "fraction must be at least 0 and below 1, got 1.5"),
        (("--fraction", "0.5", "--shape", "rows"), 2, "shape must be one of edges, states, blocks, got 'rows'"),
        (("--fraction", "0.5", "--block", "4"), 2, "it must be sizes with x between them such as 4x4, got '4'"),
        (("--fraction", "0.5", "--block", "0x4"), 2, "it must be sizes with x between them such as 4x4, got '0x4'"),
    ],
)
def test_cli_refusals(files, tmp_path, words, status, text):
    out = tmp_path / "p.pcedge"
    result = run("prune", files / "c.pcedge", "--data", files / "x.npy", *words, "--out", out)
    assert result.exit_code == status and text in result.output and not out.exists()


def test_cli_refuses_other_files(files, tmp_path):
    save_circuit(make_circuit(1, 3, 2, 2, "chain"), tmp_path / "o.pcedge")
    words = ("--data", files / "x.npy", "--fraction", "0.5", "--out", tmp_path / "p.pcedge")
    assert run("prune", tmp_path / "o.pcedge", *words).exit_code == 1
    impossible = Circuit((InputLayer(0, np.array([[1.0, 0.0]])),))
    save_circuit(impossible, tmp_path / "i.pcedge")
    np.save(tmp_path / "y.npy", np.array([[1]], dtype=np.uint8))
    result = run("prune", tmp_path / "i.pcedge", "--data", tmp_path / "y.npy", *words[2:])
    assert result.exit_code == 1 and "must be possible in" in result.output
    assert CircuitError.exit_code == 1
    same = files / "c.pcedge"
    assert run("grow", same, "--out", same).exit_code == 2
