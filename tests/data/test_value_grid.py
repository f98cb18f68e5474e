"""The grid of a circuit: values to symbols and back, by every kind of axis, with what is missing or wrong."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from pcedge.data.axis import Axis
from pcedge.data.value_grid import ValueGrid
from pcedge.errors import DataError, UsageError

BINS = Axis("t", 0, "bins", (0.0, 0.5, 1.0, 4.0))
COUNTS = Axis("n", 1, "integers", low=-2, count=5)
STATES = Axis("on", 2, "states", states=("no", "yes", "7"))
GRID = ValueGrid((BINS, COUNTS, STATES))


def test_bins_hold_their_lower_edges_and_the_last_one_its_upper() -> None:
    column = np.array([-9.0, 0.0, 0.49, 0.5, 1.0, 3.9, 4.0, 5.0, np.inf, -np.inf])
    assert BINS.find(column, allow_missing=False).tolist() == [0, 0, 0, 1, 2, 2, 2, 2, 2, 0]
    strict = Axis("t", 0, "bins", BINS.edges, outside="refuse")
    assert strict.find(column[1:7], allow_missing=False).tolist() == [0, 0, 1, 2, 2, 2]
    for wrong in (column[:1], column[7:8]):
        with pytest.raises(DataError, match=r"row 0, column 0 \('t'\): a value must be in 0\.\.4, got"):
            strict.find(wrong, allow_missing=False)


def test_integers_come_as_floats_and_texts_too() -> None:
    assert COUNTS.find(np.array([-3, -2, 0, 2, 9]), allow_missing=False).tolist() == [0, 0, 2, 4, 4]
    assert COUNTS.find(np.array(["1", "2.0", " -1 "], dtype=object), allow_missing=False).tolist() == [3, 4, 1]
    with pytest.raises(DataError, match=r"row 1, column 1 \('n'\): a value must be an integer, got 0\.5"):
        COUNTS.find(np.array([0, 0.5]), allow_missing=False)
    strict = Axis("n", 1, "integers", low=-2, count=5, outside="refuse")
    with pytest.raises(DataError, match=r"a value must be in -2\.\.2, got 3"):
        strict.find(np.array([3]), allow_missing=False)
    with pytest.raises(DataError, match=r"a value must be a number, got 'x'"):
        strict.find(np.array(["x"], dtype=object), allow_missing=False)


def test_states_are_found_as_texts_and_as_numbers() -> None:
    assert STATES.find(np.array(["yes", "no ", "7", 7, 7.0], dtype=object), allow_missing=False).tolist() == [
        1, 0, 2, 2, 2,
    ]  # fmt: skip
    labels = Axis("class", 0, "states", states=(3, 5, -1))
    assert labels.find(np.array([5, 3, -1]), allow_missing=False).tolist() == [1, 0, 2]
    assert labels.find(np.array(["5", "3.0", "-1"]), allow_missing=False).tolist() == [1, 0, 2]
    with pytest.raises(DataError, match=r"row 0, column 0 \('class'\): a value must be one of 3, 5, -1, got 4"):
        labels.find(np.array([4]), allow_missing=False)
    with pytest.raises(DataError, match="must be one of no, yes, 7, got maybe"):
        STATES.find(np.array(["maybe"]), allow_missing=False)


def test_what_is_missing_becomes_minus_1_where_it_may_be() -> None:
    x = np.array([[0.7, None, "?"], [np.nan, 1, "yes"], ["NA", "", "no"]], dtype=object)
    assert GRID.symbols_of(x, allow_missing=True).tolist() == [[1, -1, -1], [-1, 3, 1], [-1, -1, 0]]
    with pytest.raises(DataError, match=r"row 1, column 0 \('t'\): a value must be there, got nan"):
        GRID.symbols_of(x)
    masked = np.ma.MaskedArray([[0.7, 1.0]], [[False, True]])
    two = ValueGrid((BINS, COUNTS))
    assert two.symbols_of(masked, allow_missing=True).tolist() == [[1, -1]]
    # A column that the data do not have is missing in every row.
    assert two.symbols_of(np.array([[0.7]]), allow_missing=True).tolist() == [[1, -1]]
    with pytest.raises(DataError, match=r"data must have column 1 \('n'\), they have 1 columns"):
        two.symbols_of(np.array([[0.7]]))


def test_columns_are_found_by_names() -> None:
    turned = GRID.matched(["on", "spare", "n", " t "])
    assert [axis.column for axis in turned.axes] == [3, 2, 0]
    assert GRID.matched(["a", "b", "c"]) is GRID
    with pytest.raises(DataError, match=r"a header must name a variable once, it has 't' in columns \[0, 1\]"):
        GRID.matched(["t", "t", "n", "on"])
    with pytest.raises(DataError, match=r"data must have column 1 \('n'\), they have 1 columns"):
        GRID.matched(["t"]).symbols_of(np.array([[0.5]]))
    assert [axis.column for axis in GRID.placed({"n": 7, "0": 9}).axes] == [9, 7, 2]
    with pytest.raises(UsageError, match="a variable must be one of t, n, on, or its number, got 'x'"):
        GRID.placed({"x": 1})


def test_frames_and_records_with_fields_go_by_their_names() -> None:
    records = np.array([(1, 0.7), (-1, 2.0)], dtype=[("n", "i4"), ("t", "f8")])
    two = ValueGrid((BINS, COUNTS))
    assert two.symbols_of(records).tolist() == [[1, 3], [2, 1]]

    class Frame:
        columns = ("spare", "n", "t")

        def to_numpy(self) -> np.ndarray:
            return np.array([[9.0, 1.0, 0.7]])

    assert two.symbols_of(Frame()).tolist() == [[1, 3]]  # type: ignore[arg-type]


def test_integers_that_floats_do_not_tell_apart_are_states() -> None:
    axis = Axis("s", 0, "states", states=(2**53, 2**53 + 1, 2**64))
    column = np.array([2**53 + 1, str(2**53), f"+{2**53 + 1}", 2**64], dtype=object)
    assert axis.find(column, allow_missing=False).tolist() == [1, 0, 1, 2]
    assert axis.find(np.array([2**53, 2**53 + 1]), allow_missing=False).tolist() == [0, 1]
    with pytest.raises(DataError, match=f"got {2**64 + 1}"):
        axis.find(np.array([2**64 + 1], dtype=object), allow_missing=False)


def test_a_number_that_two_states_spell_is_neither() -> None:
    axis = Axis("s", 0, "states", states=("1", "1.00", "x"))
    assert axis.find(np.array(["1.00", "1"]), allow_missing=False).tolist() == [1, 0]
    with pytest.raises(DataError, match=r"must be one of 1, 1\.00, x, got 1"):
        axis.find(np.array([1]), allow_missing=False)


def test_widths_turn_masses_into_densities() -> None:
    assert GRID.log_widths([[0, 0, 0], [2, 1, -1], [-1, 0, 0]]).tolist() == [np.log(0.5), np.log(3.0), 0.0]


def test_values_give_back_the_symbols() -> None:
    symbols = np.array([[0, 4, 2], [2, 0, 1], [-1, 1, -1]])
    values = GRID.values_of(symbols)
    assert values.tolist() == [[0.25, 2, "7"], [2.5, -2, "yes"], [None, -1, None]]
    assert_array_equal(GRID.symbols_of(values, allow_missing=True), symbols)
    numbers = ValueGrid((COUNTS,)).values_of([[0], [3]])
    assert numbers.dtype == np.int64 and numbers.tolist() == [[-2], [1]]
    assert np.isnan(ValueGrid((COUNTS,)).values_of([[-1]])).all()


@given(st.lists(st.floats(-1e300, 1e300), min_size=2, max_size=40, unique=True), st.sampled_from(["clip", "refuse"]))
def test_middles_lie_in_their_bins(edges: list[float], outside: str) -> None:
    axis = Axis("x", 0, "bins", tuple(sorted(edges)), outside=outside)
    assert axis.find(axis.values, allow_missing=False).tolist() == list(range(axis.symbols))


def test_json_gives_the_grid_back() -> None:
    again = ValueGrid.from_json(GRID.to_json())
    assert again == GRID and again.to_json() == GRID.to_json()
    assert Axis.linear("v", 0, -1.0, 0.25, 4).edges == (-1.0, -0.75, -0.5, -0.25, 0.0)


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("[]", "a grid must be an object of axes, version"),
        ("{", "a grid must be JSON"),
        ('{"axes": [], "version": 2}', "a grid must be of version 1, got 2"),
        ('{"axes": 1, "version": 1}', "a grid's axes must be a list"),
        ('{"axes": [{"kind": "x"}], "version": 1}', "an axis must be an object of name, column, kind"),
    ],
)
def test_json_refusals(text: str, refused: str) -> None:
    with pytest.raises(UsageError, match=refused):
        ValueGrid.from_json(text)


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"edges": [1.0, 1.0]}, "axis 't': the edges must be finite and ascend, they do not"),
        ({"edges": [1.0, float("inf")]}, "the edges must be finite and ascend"),
        ({"edges": [1.0]}, "axis 't': there must be 1..65536 symbols, got 0"),
        ({"edges": ["a", "b"]}, "axis 't': edges must be numbers"),
        ({"column": -1}, "axis 't': the column must be an integer of at least 0, got -1"),
        ({"column": True}, "the column must be an integer"),
        ({"name": ""}, "an axis must have a name, got ''"),
        ({"outside": "wrap"}, "values outside must be one of clip, refuse, got 'wrap'"),
    ],
)
def test_axes_are_checked(change: dict[str, object], refused: str) -> None:
    described = BINS.as_dict() | change
    with pytest.raises(UsageError, match=refused):
        ValueGrid.from_json(json.dumps({"axes": [described], "version": 1}))


def test_names_and_states_are_there_once() -> None:
    with pytest.raises(UsageError, match="the variables of a grid must have a name each, 't' is given twice"):
        ValueGrid((BINS, BINS))
    with pytest.raises(UsageError, match="axis 'on': the states must be texts or numbers, each once"):
        Axis("on", 0, "states", states=("a", " a"))
