"""EM under a prior that lets states and edges die."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from helpers.messages import whole
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from strategies import float_circuits, records_for, unstructured_circuits

from pcedge.circuit import (
    Circuit,
    InputLayer,
    ProductLayer,
    SparseRows,
    SumLayer,
    log_likelihood,
    sample,
)
from pcedge.compress.latents import find_latents
from pcedge.compress.passes import Evidence, Target, count_weights
from pcedge.compress.pruning import prune
from pcedge.compress.sparsify import SPARSIFY, sparsify
from pcedge.data import load_data
from pcedge.errors import UsageError
from pcedge.learn import initial_circuit

TABLE = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
#: 24 pixels of digits, and a circuit of them that starts at clusters: 3,324 weights
SPLITS = load_data("digits")
TRAIN, VALID = (
    np.asarray(part).reshape(len(part), -1)[:, 18:42].astype(np.int64) for part in (SPLITS.train, SPLITS.valid)
)
CIRCUIT = initial_circuit("hclt", TRAIN, [17] * 24, latents=12)


def weights_target(value: float, multiple: int = 1) -> Target:
    return Target("weights", value, count_weights, multiple)


def evidence(records: int = 200) -> Evidence:
    return Evidence(TRAIN, VALID, max_flow_records=records)


def mixture(weights: list[list[float]]) -> Circuit:
    return Circuit((InputLayer(0, TABLE), SumLayer((0,), np.array(weights))))


def fixed(*flows: np.ndarray | None) -> Evidence:
    """Evidence whose counts are always the same."""
    x = np.zeros((1, 1), dtype=np.int64)
    return Evidence(x, x, count=lambda circuit, records: list(flows))


def test_an_m_step_takes_tau_from_every_state_but_the_best() -> None:
    leaf_flows = np.array([[27.0, 3.0], [6.0, 6.0], [2.0, 2.0]])
    shown = fixed(leaf_flows, np.array([[30.0, 12.0, 4.0]]))
    found = sparsify(mixture([[0.5, 0.25, 0.25]]), shown, 10.0).circuit
    left = np.array([[30.0 + 0.15, 12.0 * (1 - 10.0 / 12.0) + 0.15]])
    assert_array_equal(found.layers[1].weights, left / left.sum())
    # Tables are drawn to the first ones, not to those of the step before.
    table = leaf_flows + 30.0 * TABLE
    assert_array_equal(found.layers[0].table, (table / table.sum(axis=1, keepdims=True))[:2])


def test_a_state_dies_by_what_it_is_reached_from_all_rows() -> None:
    """Each row gives state 1 six records, which is less than tau, but together they are more."""
    circuit = Circuit((
        InputLayer(0, TABLE), SumLayer((0,), np.full((2, 3), 1 / 3)), InputLayer(1, TABLE),
        ProductLayer((1, 2), np.array([[0, 0], [1, 1]])), SumLayer((3,), np.array([[0.5, 0.5]])),
    ))  # fmt: skip
    flows = np.array([[20.0, 6.0, 4.0], [20.0, 6.0, 4.0]])
    shown = fixed(np.ones((3, 2)), flows, np.ones((3, 2)), None, np.array([[30.0, 30.0]]))
    assert sparsify(circuit, shown, 8.0).circuit.layers[1].weights.shape == (2, 2)
    assert sparsify(circuit, shown, 12.0).circuit.layers[1].weights.shape == (2, 1)


def test_the_best_edge_of_a_row_keeps_its_state() -> None:
    """State 2 explains too little, but is all that the second row has."""
    circuit = Circuit((
        InputLayer(0, TABLE), SumLayer((0,), np.array([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])), InputLayer(1, TABLE),
        ProductLayer((1, 2), np.array([[0, 0], [1, 1]])), SumLayer((3,), np.array([[0.9, 0.1]])),
    ))  # fmt: skip
    shown = fixed(
        np.ones((3, 2)), np.array([[40.0, 9.0, 0.0], [0.0, 0.0, 5.0]]), np.ones((3, 2)), None, np.array([[49.0, 45.0]])
    )
    found = sparsify(circuit, shown, 10.0).circuit
    assert_array_equal(found.layers[1].weights, [[1.0, 0.0], [0.0, 1.0]])
    assert_array_equal(found.layers[0].table.argmax(axis=1), [0, 0])


@pytest.mark.parametrize("budget", [2_500, 1_250, 600])
@pytest.mark.parametrize("level", ["states", "edges"])
def test_a_budget_is_met_within_three_percent(level: str, budget: int) -> None:
    found = sparsify(CIRCUIT, evidence(), weights_target(budget), level)
    assert 0.97 * budget <= count_weights(found.circuit) <= budget
    assert found.trace[-1]["cost"] == count_weights(found.circuit)
    assert np.isfinite(log_likelihood(found.circuit, TRAIN)).all()
    taus = [row["tau"] for row in found.trace[:-1]]
    assert taus == sorted(taus)
    live = [row["live"] for row in found.trace]
    assert live == sorted(live, reverse=True)


@pytest.mark.parametrize(("level", "fraction"), [("states", 0.4), ("edges", 0.8)])
def test_it_loses_less_than_dropping_by_flow(level: str, fraction: float) -> None:
    shown = Evidence(TRAIN, VALID)
    dropped = prune(CIRCUIT, shown.flows(CIRCUIT), fraction, level, even=False).circuit
    found = sparsify(CIRCUIT, shown, weights_target(count_weights(dropped)), level).circuit
    assert count_weights(found) <= count_weights(dropped)
    assert shown.bits(found) < shown.bits(dropped) - 0.05


@pytest.mark.parametrize("multiple", [3, 4])
def test_states_come_in_multiples_of_the_lanes(multiple: int) -> None:
    found = sparsify(CIRCUIT, evidence(), weights_target(1_250, multiple)).circuit
    sizes = {latent.states for latent in find_latents(found)}
    assert sizes <= {1, *range(multiple, 13, multiple)} and len(sizes) > 1
    assert count_weights(found) <= 1_250


@pytest.mark.parametrize("most", [0.02, 0.1])
def test_a_loss_is_not_exceeded(most: float) -> None:
    shown = evidence(400)
    before = shown.bits(CIRCUIT)
    target = Target("loss", most, lambda circuit: shown.bits(circuit) - before)
    found = sparsify(CIRCUIT, shown, target)
    assert shown.bits(found.circuit) - before <= most
    assert count_weights(found.circuit) < 2_500
    assert found.trace[-1]["cost"] == shown.bits(found.circuit) - before


def test_without_a_loss_to_spend_the_circuit_stays() -> None:
    def cost(circuit: Circuit) -> float:
        return 0.0 if np.array_equal(circuit.layers[0].table, CIRCUIT.layers[0].table) else 1.0  # type: ignore[union-attr]

    found = sparsify(CIRCUIT, evidence(), Target("loss", 0.0, cost)).circuit
    assert count_weights(found) == count_weights(CIRCUIT)
    assert_array_equal(found.layers[0].table, CIRCUIT.layers[0].table)  # type: ignore[union-attr]


def test_a_circuit_that_is_small_enough_stays() -> None:
    assert sparsify(CIRCUIT, evidence(), weights_target(3_324)).circuit is CIRCUIT


def test_edges_become_sparse_rows_that_training_gives_nothing_back() -> None:
    found = sparsify(CIRCUIT, evidence(), weights_target(600), "edges").circuit
    sums = [layer.weights for layer in found.layers if isinstance(layer, SumLayer)]
    rows = [weights for weights in sums if isinstance(weights, SparseRows)]
    assert len(rows) > 15 and all((weights.values > 0).all() for weights in rows)
    assert all((np.diff(weights.indptr) > 0).all() for weights in rows)


def test_parametric_leaves_stay_as_they_are() -> None:
    leaves = InputLayer.logistic(0, [1.0, 2.0, 6.0], [0.5, 1.0, 0.7], 8)
    circuit = Circuit((leaves, SumLayer((0,), np.array([[0.5, 0.3, 0.2]]))))
    shown = fixed(np.ones((3, 8)), np.array([[30.0, 20.0, 4.0]]))
    found = sparsify(circuit, shown, 10.0).circuit.layers[0]
    assert isinstance(found, InputLayer) and found.kind == "logistic"
    assert leaves.parametric is not None and found.parametric is not None
    assert_array_equal(found.parametric.parameters, leaves.parametric.parameters[:2])


def test_bernoulli_leaves_stay_bernoulli_and_a_constant_is_not_kept() -> None:
    circuit = replace(
        Circuit((InputLayer(0, np.array([0.1, 0.9])), SumLayer((0,), np.array([[0.5, 0.5]])))), log_constant=1.0
    )
    shown = fixed(np.array([[9.0, 1.0], [1.0, 9.0]]), np.array([[10.0, 10.0]]))
    found = sparsify(circuit, shown, 1.0).circuit
    assert isinstance(found.layers[0], InputLayer) and found.layers[0].kind == "bernoulli"
    assert found.log_constant == 0.0


@settings(max_examples=30, deadline=None)
@given(data=st.data(), circuit=float_circuits() | unstructured_circuits(), level=st.sampled_from(["states", "edges"]))
def test_any_circuit_stays_a_circuit_that_explains_its_records(
    data: st.DataObject, circuit: Circuit, level: str
) -> None:
    x = data.draw(records_for(circuit))
    try:
        found = sparsify(circuit, Evidence(x, x), weights_target(max(1, count_weights(circuit) // 2)), level).circuit
    except UsageError as error:
        assert any(text in str(error) for text in ("it has none", "what this pass reaches"))
        return
    assert count_weights(found) <= max(1, count_weights(circuit) // 2)
    explained = np.isfinite(log_likelihood(circuit, x))
    assert np.isfinite(log_likelihood(found, x))[explained].all()


@pytest.mark.parametrize(("call", "text"), [
    (partial(sparsify, target=-1.0), "tau must be at least 0 and finite, got -1.0"),
    (partial(sparsify, target=float("inf")), "tau must be at least 0 and finite, got inf"),
    (partial(sparsify, target=1.0, level="tiles"), "level must be one of states, edges, got 'tiles'"),
    (partial(sparsify, target=weights_target(0)),
     "the budget must be at least what this pass reaches, 1 weights, got 0"),
    (partial(SPARSIFY.run, target=None, argument=None),
     "sparsify must have a budget or the records that a state must explain, as in sparsify:20"),
    (partial(SPARSIFY.run, target=None, argument="edges"),
     "sparsify must have a budget or the records that a state must explain, as in sparsify:20"),
    (partial(SPARSIFY.run, target=None, argument="many"),
     "sparsify:WHAT must be states or edges, or a number of records of at least 0, got 'many'"),
    (partial(SPARSIFY.run, target=None, argument="-1"),
     "sparsify:WHAT must be states or edges, or a number of records of at least 0, got '-1'"),
])  # fmt: skip
def test_wrong_arguments_are_refused(call: partial, text: str) -> None:  # type: ignore[type-arg]
    x = sample(mixture([[0.5, 0.25, 0.25]]), 20, seed=0)
    with pytest.raises(UsageError, match=whole(text)):
        call(mixture([[0.5, 0.25, 0.25]]), Evidence(x, x))


@pytest.mark.parametrize(("circuit", "level", "text"), [
    (Circuit((InputLayer(0, np.array([[0.5, 0.5]])),)), "states",
     "sparsify must have a circuit with latents, layers of two units or more that only sums use; it has none"),
    (Circuit((InputLayer(0, np.array([[0.5, 0.5]])),)), "edges", "sparsify must have a circuit with sums; it has none"),
])  # fmt: skip
def test_circuits_with_nothing_to_drop_are_refused(circuit: Circuit, level: str, text: str) -> None:
    x = np.zeros((2, 1), dtype=np.int64)
    with pytest.raises(UsageError, match=whole(text)):
        sparsify(circuit, Evidence(x, x), 1.0, level)


def test_the_pass_takes_its_argument() -> None:
    shown, target = evidence(50), weights_target(2_000)
    by_edges = SPARSIFY.run(CIRCUIT, shown, target, "edges").circuit
    assert any(isinstance(layer.weights, SparseRows) for layer in by_edges.layers if isinstance(layer, SumLayer))
    for argument in (None, "states"):
        found = SPARSIFY.run(CIRCUIT, shown, target, argument).circuit
        assert not any(isinstance(layer.weights, SparseRows) for layer in found.layers if isinstance(layer, SumLayer))
    assert len(SPARSIFY.run(CIRCUIT, shown, None, "1").trace) == 40
