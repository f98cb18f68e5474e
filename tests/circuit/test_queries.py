"""Queries of float circuits against enumeration: completions, determinism, posteriors, expectations, draws."""

import numpy as np
import pytest
from helpers.classifiers import completions, naive_bayes, tree
from helpers.messages import whole
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import float_circuits, make_circuit, records_for, unstructured_circuits

from pcedge.circuit import (
    MISSING,
    Circuit,
    InputLayer,
    ProductLayer,
    SparseRows,
    SumLayer,
    classify,
    expectation,
    is_deterministic,
    log_likelihood,
    most_probable,
    posterior,
    responsibilities,
    sample,
)
from pcedge.circuit.inference import inside
from pcedge.errors import DataError, UsageError

SMALL = {"max_variables": 5, "max_states": 3, "max_symbols": 3}


def possible(circuit, records):
    """Leave the records of which something is possible."""
    return records[np.isfinite(log_likelihood(circuit, records))]


def overlaps(circuit):
    """Tell by enumeration whether two weighted children of a sum over several variables are both positive."""
    whole_space = completions(np.full(len(circuit.cardinalities), MISSING), circuit.cardinalities)
    values = inside(circuit, whole_space)
    for index, layer in enumerate(circuit.layers):
        if isinstance(layer, SumLayer) and circuit.scopes[index].bit_count() > 1:
            weights = layer.weights.toarray() if isinstance(layer.weights, SparseRows) else layer.weights
            children = np.concatenate([values[child] for child in layer.children], axis=1)
            if ((np.isfinite(children) @ (weights > 0).astype(int).T) > 1).any():
                return True
    return False


class TestCompletion:
    @settings(max_examples=60)
    @given(st.data())
    def test_is_the_best_of_all_where_it_is_exact_and_between_the_bounds_elsewhere(self, data):
        circuit = data.draw(float_circuits(**SMALL))
        evidence = possible(circuit, data.draw(records_for(circuit, missing=True)))
        found = most_probable(circuit, evidence)
        for row, record in enumerate(evidence):
            best = log_likelihood(circuit, completions(record, circuit.cardinalities)).max()
            known = record != MISSING
            assert (found.records[row][known] == record[known]).all() and (found.records[row] != MISSING).all()
            assert found.log_likelihood[row] <= best + 1e-9 and best <= found.log_bound[row] + 1e-9
            if found.exact[row]:
                assert abs(found.log_likelihood[row] - best) < 1e-8
            if (~known).sum() < 2 or is_deterministic(circuit):
                assert found.exact[row]

    @pytest.mark.parametrize("make", [naive_bayes, tree])
    def test_of_a_deterministic_circuit_is_exact(self, make):
        for seed in range(5):
            circuit = make(seed)
            rng = np.random.default_rng(seed)
            evidence = sample(circuit, 12, seed)
            evidence[rng.random(evidence.shape) < 0.6] = MISSING
            found = most_probable(circuit, evidence)
            assert found.exact.all()
            best = [log_likelihood(circuit, completions(r, circuit.cardinalities)).max() for r in evidence]
            np.testing.assert_allclose(found.log_likelihood, best, atol=1e-9)

    def test_takes_the_lowest_symbol_and_the_first_child_of_equals(self):
        fair = InputLayer(0, np.array([[0.25, 0.25, 0.25, 0.25]]))
        other = InputLayer(1, np.array([[0.0, 0.5, 0.5]]))
        assert most_probable(Circuit((fair, other, ProductLayer((0, 1), [[0, 0]]))), [[-1, -1]]).records.tolist() == [
            [0, 1]
        ]

    @pytest.mark.parametrize("query", [most_probable, responsibilities, lambda c, e: posterior(c, e, 1)])
    def test_refuses_impossible_evidence_by_its_record(self, query):
        layers = (InputLayer(0, [[1.0, 0.0]]), InputLayer(1, [[0.5, 0.5]]), ProductLayer((0, 1), [[0, 0]]))
        circuit = Circuit((*layers, SumLayer((2,), np.array([[1.0]]))))
        text = "the evidence of every record must have a positive probability, record 1 has 0"
        with pytest.raises(DataError, match=whole(text)):
            query(circuit, [[0, 1], [1, -1]])

    def test_no_records_have_no_completions(self):
        assert most_probable(tree(0), np.zeros((0, 4), dtype=int)).records.shape == (0, 4)


class TestDeterminism:
    @settings(max_examples=80)
    @given(float_circuits(**SMALL))
    def test_is_what_enumeration_finds_in_structured_circuits(self, circuit):
        assert is_deterministic(circuit) == (not overlaps(circuit))

    @settings(max_examples=40)
    @given(unstructured_circuits(max_variables=4, max_states=3))
    def test_yes_is_proved_in_all_circuits(self, circuit):
        if is_deterministic(circuit):
            assert not overlaps(circuit)

    def test_children_told_apart_by_no_variable_alone(self):
        # Even and odd pairs: each variable has both symbols under both.
        literals = [InputLayer(v, np.eye(2)) for v in (0, 1)]
        pairs = ProductLayer((0, 1), [[0, 0], [1, 1], [0, 1], [1, 0]])
        even_odd = SumLayer((2,), np.array([[0.5, 0.5, 0, 0], [0, 0, 0.25, 0.75]]))
        assert is_deterministic(Circuit((*literals, pairs, even_odd, SumLayer((3,), np.array([[0.5, 0.5]])))))
        both = SumLayer((2,), np.array([[0.5, 0.5, 0, 0], [0, 0.5, 0.25, 0.25]]))
        assert not is_deterministic(Circuit((*literals, pairs, both, SumLayer((3,), np.array([[0.5, 0.5]])))))

    def test_what_is_too_large_is_not_looked_at(self, monkeypatch):
        monkeypatch.setattr("pcedge.circuit.determinism.MOST_OVERLAPS", 10)
        assert not is_deterministic(tree(0))


class TestPosterior:
    @settings(max_examples=60)
    @given(st.data())
    def test_equals_enumeration(self, data):
        circuit = data.draw(st.one_of(float_circuits(**SMALL), unstructured_circuits(max_variables=4, max_states=3)))
        evidence = data.draw(records_for(circuit, missing=True))
        variable = data.draw(st.integers(0, len(circuit.cardinalities) - 1))
        rest = evidence.copy()
        rest[:, variable] = MISSING
        evidence = evidence[np.isfinite(log_likelihood(circuit, rest))]
        wanted = []
        for symbol in range(circuit.cardinalities[variable]):
            asked = evidence.copy()
            asked[:, variable] = symbol
            wanted.append(np.exp(log_likelihood(circuit, asked)))
        joint = np.stack(wanted, axis=1)
        np.testing.assert_allclose(
            posterior(circuit, evidence, variable), joint / joint.sum(axis=1, keepdims=True), atol=1e-10
        )

    def test_of_far_tails_is_no_nan(self):
        circuit = make_circuit(3, 40, 4, 9, "balanced")
        layers = tuple(
            InputLayer(layer.variable, np.where(layer.table < 0.2, 1e-30, layer.table) / np.where(
                layer.table < 0.2, 1e-30, layer.table).sum(axis=1, keepdims=True))
            if isinstance(layer, InputLayer) else layer
            for layer in circuit.layers
        )  # fmt: skip
        records = np.random.default_rng(0).integers(0, circuit.cardinalities, (50, 40))
        shares = posterior(Circuit(layers), records, 7)
        np.testing.assert_allclose(shares.sum(axis=1), 1.0)

    def test_a_variable_has_the_name_of_the_grid(self):
        circuit = naive_bayes(1)
        records = sample(circuit, 20)
        np.testing.assert_array_equal(classify(circuit, records, "class"), classify(circuit, records, 4))
        text = "a variable must be one of x0, x1, x2, x3, class, or its number, got 'kind'"
        with pytest.raises(UsageError, match=whole(text)):
            classify(circuit, records, "kind")

    def test_without_a_grid_a_variable_is_a_number(self):
        text = "a variable must be a number in 0..3, got 'class'; names are those of a circuit with a grid"
        with pytest.raises(UsageError, match=whole(text)):
            posterior(tree(0), [[0, 0, 0, 0]], "class")


class TestResponsibilities:
    def test_of_a_mixture_are_those_of_its_components(self):
        circuit = naive_bayes(2)
        records = sample(circuit, 30)
        records[:, 4] = MISSING
        np.testing.assert_allclose(responsibilities(circuit, records), posterior(circuit, records, "class"))

    @settings(max_examples=40)
    @given(st.data())
    def test_of_every_sum_are_what_a_changed_weight_changes(self, data):
        circuit = data.draw(float_circuits(**SMALL))
        sums = [index for index, layer in enumerate(circuit.layers) if isinstance(layer, SumLayer)]
        if not sums:
            return
        index = data.draw(st.sampled_from(sums))
        evidence = possible(circuit, data.draw(records_for(circuit, missing=True)))
        found = responsibilities(circuit, evidence, index)
        layer = circuit.layers[index]
        weights = layer.weights.toarray() if isinstance(layer.weights, SparseRows) else layer.weights
        whole_logs = log_likelihood(circuit, evidence)
        for column in range(weights.shape[1]):
            # What passes through a child is what is lost without its weights.
            values = inside(circuit, evidence, mix=lambda one, below, c=column: _without(one, below, layer, c))
            lost = 1 - np.exp(values[-1][:, 0] - whole_logs)
            np.testing.assert_allclose(found[:, column], lost, atol=1e-9)

    def test_must_be_of_a_sum_layer(self):
        with pytest.raises(UsageError, match=whole("responsibilities must be of a sum layer, layer 0 is none")):
            responsibilities(naive_bayes(0), [[0, 0, 0, 0, 0]], 0)
        with pytest.raises(UsageError, match=whole("responsibilities must be of a sum layer, layer 99 is none")):
            responsibilities(naive_bayes(0), [[0, 0, 0, 0, 0]], 99)


def _without(layer, below, changed, column):
    weights = layer.weights.toarray() if isinstance(layer.weights, SparseRows) else layer.weights
    if layer is changed:
        weights = weights.copy()
        weights[:, column] = 0
    with np.errstate(divide="ignore"):
        top = np.where(np.isneginf(below.max(axis=1, keepdims=True)), 0.0, below.max(axis=1, keepdims=True))
        return np.log(np.exp(below - top) @ weights.T) + top


class TestExpectation:
    def test_is_over_the_values_of_the_grid(self):
        circuit = naive_bayes(3)
        records = sample(circuit, 20)
        shares = posterior(circuit, records, "x1")
        middles = (np.arange(5) + 0.5) / 2
        mean, variance = expectation(circuit, records, "x1")
        np.testing.assert_allclose(mean, shares @ middles)
        np.testing.assert_allclose(variance, shares @ middles**2 - (shares @ middles) ** 2, atol=1e-12)

    def test_without_a_grid_is_over_symbols(self):
        mean, variance = expectation(Circuit((InputLayer(0, np.array([[0.25, 0.75]])),)), [[-1]], 0)
        assert (mean.tolist(), variance.tolist()) == ([0.75], [0.1875])

    def test_texts_have_none(self):
        with pytest.raises(UsageError, match="an expectation must be of numbers, variable 'class' has states"):
            expectation(naive_bayes(0), [[0, 0, 0, 0, 0]], "class")


class TestDraws:
    def test_one_evidence_for_each_draw(self):
        circuit = make_circuit(5, 6, 3, 4, "balanced")
        one = np.array([1, -1, -1, 0, -1, -1])
        other = np.array([-1, 0, -1, -1, 1, -1])
        evidence = np.tile([one, other], (4000, 1))
        drawn = sample(circuit, len(evidence), 0, evidence)
        assert (drawn[evidence != MISSING] == evidence[evidence != MISSING]).all()
        for start, record in enumerate((one, other)):
            variable = int(np.flatnonzero(record == MISSING)[0])
            shares = posterior(circuit, [record], variable)[0]
            seen = np.bincount(drawn[start::2, variable], minlength=len(shares)) / 4000
            assert np.abs(seen - shares).max() < 0.03

    def test_must_be_one_or_one_for_each_draw(self):
        text = "evidence must be one record, or one for each of the 3 draws, got 2"
        with pytest.raises(DataError, match=whole(text)):
            sample(tree(0), 3, 0, np.full((2, 4), -1))

    def test_impossible_evidence_is_named_by_its_record(self):
        circuit = Circuit((InputLayer(0, np.array([[1.0, 0.0]])),))
        text = "the evidence of record 1 must have a positive probability, it has 0"
        with pytest.raises(DataError, match=whole(text)):
            sample(circuit, 2, 0, [[0], [1]])

    def test_draws_from_a_float_circuit(self):
        text = "sample must have a float circuit, got str; the job sample of an engine draws from an integer one"
        with pytest.raises(UsageError, match=whole(text)):
            sample("digits", 5)
