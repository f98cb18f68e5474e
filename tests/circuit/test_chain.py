"""Shares of a record's log-likelihood: what the definition says, by whole likelihoods of partial records."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from strategies import make_circuit, make_unstructured

from pcedge.circuit import MISSING, Circuit, InputLayer, ProductLayer, SumLayer, log_likelihood
from pcedge.circuit.chain import log_given_others, log_shares
from pcedge.errors import DataError, UsageError
from pcedge.quantize import quantize
from pcedge.quantize.post_training import default_order

CIRCUITS = {
    "hidden": make_circuit(1, 6, 3, 4, "hidden"),
    "balanced": make_circuit(2, 6, 3, 4, "balanced"),
    "sharp": make_circuit(3, 7, 3, 5, "random", 0.6),
    "unstructured": make_unstructured(6, 5, 3, 0.3),
}


def records_of(circuit: Circuit) -> np.ndarray:  # type: ignore[type-arg]
    generator = np.random.default_rng(5)
    records = np.stack([generator.integers(0, size, 60) for size in circuit.cardinalities], axis=1)
    records[generator.random(records.shape) < 0.15] = MISSING
    return records


@pytest.mark.parametrize("kind", CIRCUITS)
def test_shares_are_the_chain_rule(kind: str) -> None:
    circuit = CIRCUITS[kind]
    records, count = records_of(circuit), len(circuit.cardinalities)
    for order in (default_order(circuit), tuple(reversed(range(count)))):
        shares = log_shares(circuit, records, order)
        past = np.full_like(records, MISSING)
        before = np.zeros(len(records))
        for variable in order:
            past[:, variable] = records[:, variable]
            now = log_likelihood(circuit, past)
            with np.errstate(invalid="ignore"):
                expected = np.where(np.isfinite(before), now - before, 0.0)
            assert_allclose(shares[:, variable], expected, rtol=0, atol=1e-12)
            before = now
        assert_allclose(shares.sum(axis=1), log_likelihood(circuit, records), rtol=0, atol=1e-12)
        assert_array_equal(shares[records == MISSING], 0.0)
    assert np.isneginf(log_likelihood(circuit, records)).any() == (kind in ("sharp", "unstructured"))


@pytest.mark.parametrize("kind", CIRCUITS)
def test_given_others_is_what_is_left_out(kind: str) -> None:
    circuit = CIRCUITS[kind]
    records = records_of(circuit)
    found, whole = log_given_others(circuit, records), log_likelihood(circuit, records)
    for variable in range(records.shape[1]):
        without = records.copy()
        without[:, variable] = MISSING
        rest = log_likelihood(circuit, without)
        with np.errstate(invalid="ignore"):
            assert_allclose(found[:, variable], np.where(np.isfinite(rest), whole - rest, 0.0), rtol=0, atol=1e-12)
    assert_array_equal(found[records == MISSING], 0.0)


def test_an_impossible_record_ends_with_the_variable_that_makes_it_so() -> None:
    leaves = (
        InputLayer(0, np.array([[0.5, 0.5]])),
        InputLayer(1, np.array([[1.0, 0.0]])),
        InputLayer(2, [[0.25, 0.75]]),
    )
    circuit = Circuit((*leaves, ProductLayer((0, 1, 2), [[0, 0, 0]]), SumLayer((3,), [[1.0]])))
    shares = log_shares(circuit, [[0, 1, 1]], (0, 1, 2))
    assert shares.tolist() == [[np.log(0.5), -np.inf, 0.0]]
    assert log_given_others(circuit, [[0, 1, 1]]).tolist() == [[0.0, -np.inf, 0.0]]


def test_the_order_is_that_of_the_integers() -> None:
    for circuit in CIRCUITS.values():
        assert default_order(circuit) == quantize(circuit).order


def test_refusals() -> None:
    circuit = CIRCUITS["hidden"]
    with pytest.raises(UsageError, match=r"^the order must name each of the 6 variables once, got \[0, 0\]$"):
        log_shares(circuit, np.zeros((1, 6), dtype=int), (0, 0))
    with pytest.raises(DataError, match=r"^record 0, variable 0: a symbol must be in -1\.\."):
        log_given_others(circuit, np.full((1, 6), 99))
    assert log_shares(circuit, np.zeros((0, 6), dtype=int), range(6)).shape == (0, 6)
