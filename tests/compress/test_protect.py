"""Protected classes: weights of records, and the weight that a limit needs."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.messages import whole
from numpy.testing import assert_array_equal

from pcedge.circuit import Circuit, InputLayer
from pcedge.compress.passes import Evidence
from pcedge.compress.protect import protect, record_weights
from pcedge.errors import DataError, UsageError

COIN = Circuit((InputLayer(0, np.array([[0.25, 0.75]])),))


def test_weights_follow_the_labels_and_flows_the_weights() -> None:
    labels = np.array([1, 8, 8, 3], dtype=np.uint8)
    weights = record_weights(labels, {8: 4.0, 3: 0.5})
    assert_array_equal(weights, [1.0, 4.0, 4.0, 0.5])
    x = np.array([[0], [1], [1], [0]])
    counted = Evidence(x, x, weights=weights).flows(COIN)[0]
    assert counted is not None
    assert_array_equal(counted, [[1.5, 8.0]])


@pytest.mark.parametrize(("labels", "weights", "error", "text"), [
    ([[1]], {1: 2.0}, DataError, "labels must be integers of shape (records,), got int64 of shape (1, 1)"),
    ([0.5], {1: 2.0}, DataError, "labels must be integers of shape (records,), got float64 of shape (1,)"),
    ([1, 3], {8: 2.0}, DataError, "a protected class must have records, got class 8 for labels 1, 3"),
    (np.zeros(0, dtype=int), {8: 2.0}, DataError,
     "a protected class must have records, got class 8 for labels of no record"),
    ([8], {8: 0.0}, UsageError, "the weight of class 8 must be positive and at most 1e+06, got 0"),
    ([8], {8: float("inf")}, UsageError, "the weight of class 8 must be positive and at most 1e+06, got inf"),
    ([8], {8: float("nan")}, UsageError, "the weight of class 8 must be positive and at most 1e+06, got nan"),
])  # fmt: skip
def test_wrong_weights_are_refused(
    labels: object, weights: dict[int, float], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=whole(text)):
        record_weights(labels, weights)  # type: ignore[arg-type]


def maker(losses: dict[int, float], made: list[int]):
    """Circuits that remember their weight, and a score by which class 1 loses what is said, and class 0 two bits."""

    def make(weight: int) -> Circuit:
        made.append(weight)
        return Circuit((InputLayer(0, np.array([[1.0, weight]]) / (1 + weight)),))

    def score(circuit: Circuit) -> np.ndarray:
        weight = round(float(circuit.layers[0].table[0, 1] / circuit.layers[0].table[0, 0]))  # type: ignore[union-attr]
        return -np.log(2) * np.array([2.0, losses[weight], losses[weight] + 1.0])

    return make, score


@pytest.mark.parametrize(("most", "weight", "made"), [
    (9.5, 1, [1]),
    (6.5, 4, [1, 2, 4, 3]),
    (5.5, 5, [1, 2, 4, 8, 6, 5]),
    # 16 is worse than 8, as heavy classes can be; it is not looked at
    (2.5, 8, [1, 2, 4, 8, 6, 7]),
])  # fmt: skip
def test_the_least_weight_that_holds_the_limit_is_found(most: float, weight: int, made: list[int]) -> None:
    losses = {n: 9.5 - n for n in range(1, 9)} | {16: 5.0}
    asked: list[int] = []
    make, score = maker({n: loss for n, loss in losses.items()}, asked)
    found = protect(make, score, np.zeros(3), [0, 1, 1], 1, most)
    assert (found.weight, asked) == (weight, made)
    assert found.loss == pytest.approx(losses[weight] + 0.5)
    assert found.worst == pytest.approx(losses[weight] + 0.99)
    assert found.others == pytest.approx(2.0)
    assert_array_equal(found.circuit.layers[0].table, make(weight).layers[0].table)  # type: ignore[union-attr]


def test_a_limit_that_no_weight_holds_says_what_the_best_loses() -> None:
    make, score = maker({1: 4.0, 2: 3.0, 4: 2.0, 8: 2.5, 16: 3.5}, [])
    text = "class 1 must lose at most 1 bits a record, the least is 2.5 at the weight 4: a larger budget is needed"
    with pytest.raises(UsageError, match=whole(text)):
        protect(make, score, np.zeros(3), [0, 1, 1], 1, 1.0)


def test_labels_of_other_records_are_refused() -> None:
    make, score = maker({1: 1.0}, [])
    with pytest.raises(DataError, match=whole("there must be a label for each of 3 records, got 2")):
        protect(make, score, np.zeros(3), [0, 1], 1, 1.0)


def test_without_other_records_their_loss_is_not_a_number() -> None:
    make, score = maker({1: 1.0}, [])
    assert np.isnan(protect(make, score, np.zeros(3), [1, 1, 1], 1, 9.0).others)
