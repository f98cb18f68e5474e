"""The steps of the predictor stage in numpy: equal to the conformance vectors, which the C++ reads too."""

from __future__ import annotations

from collections.abc import Iterator

import make_vectors as oracle
import numpy as np
from numpy.testing import assert_array_equal

from pcedge.data.prediction import Lanes, Plan
from pcedge.data.predictor import Adaptation, Group, Predictor
from pcedge.data.tokens import join, raw_bits, split

#: the second group makes the stage one of numbers of 64 bits; its column is never looked at
BESIDE = Group(-(2**63), 2**63 - 1, 0, ())


def rows_of(name: str) -> Iterator[dict[str, list[int]]]:
    """Read a file of vectors: every field is a list."""
    header, *lines = (oracle.FOLDER / f"{name}.csv").read_text(encoding="ascii").splitlines()
    for line in lines:
        fields = zip(header.split(","), line.split(","), strict=True)
        yield {key: [int(part) for part in text.split()] for key, text in fields}


def lanes_of(group: Group, adaptation: Adaptation | None, numbers: list[int]) -> tuple[Lanes, int]:
    """Give one lane whose rows before the last hold numbers, the first just before it; and the last's place."""
    many = len(numbers)
    neighbours = tuple((back + 1, 0) for back in range(len(group.coefficients)))
    beside = Group(BESIDE.low, BESIDE.high, 0, (0,) * len(neighbours))
    stage = Predictor("int64", (2,), (group, beside), (0, 1), neighbours, adaptation, (), (), ((0, 0),), 8, 63)
    plan = Plan(stage, many + 1)
    lanes = Lanes(plan, 1)
    buffer = lanes.first if adaptation else lanes.values
    buffer[0, plan.cells[:many, 0]] = numbers[::-1]
    return lanes, int(plan.cells[many, 0])


def test_files_are_of_the_predictor_stage() -> None:
    assert {"prediction", "adaptation", "token"} <= set(oracle.FILES)


def test_predictions() -> None:
    for row in rows_of("prediction"):
        low, high = (-(2**63), 2**63 - 1) if row["wide"][0] else (row["low"][0], row["high"][0])
        group = Group(low, high, 0, tuple(row["coefficients"]), row["constant"][0])
        lanes, place = lanes_of(group, None, row["numbers"])
        assert lanes.predict(0, np.array([place])).ravel().tolist() == row["result"]


def test_adaptations() -> None:
    for row in rows_of("adaptation"):
        inputs = tuple((back + 1, 0) for back in range(len(row["inputs"])))
        group = Group(row["low"][0], row["high"][0], 0, ())
        lanes, place = lanes_of(group, Adaptation(inputs, row["rate"][0]), row["inputs"])
        lanes._weights[0, 0] = row["weights"]
        corrected, history = lanes.adapt(0, place, np.array(row["prediction"]))
        assert corrected.tolist() == row["corrected"]
        lanes.learn(0, history, np.array(row["number"]) - corrected)
        assert lanes._weights[0, 0].tolist() == row["new_weights"]


def test_tokens() -> None:
    for row in rows_of("token"):
        group = Group(-(2**63), 2**63 - 1, 0, ())
        bias, shift = row["bias"][0], row["shift"][0]
        stage = Predictor(
            "int64", (1,), (group,), (0,), (), None, (), (), ((bias, shift),), row["centre"][0], row["escapes"][0]
        )
        plan, classes = Plan(stage, 0), np.zeros(1, dtype=np.int64)
        tokens, raw, count = split(plan, classes, np.array(row["residual"]))
        assert [tokens[0], raw[0], count[0]] == [row["token"][0], row["raw"][0], row["count"][0]]
        assert_array_equal(join(plan, classes, tokens, raw), row["residual"])
        assert_array_equal(raw_bits(plan, classes, tokens), count)
