"""Columns: numbers of any type as integers and back bit for bit, what is found in data, and what is refused."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as some
from numpy.testing import assert_array_equal

from pcedge.data.column import Column, float_column
from pcedge.data.column_spec import ColumnSpec, parse_columns, source_of
from pcedge.data.columns import Columns
from pcedge.data.structs import check_padding
from pcedge.errors import DataError, UsageError

INTEGERS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def comes_back(x: np.ndarray, columns: Columns) -> None:
    cells = columns.apply(x)
    assert cells.dtype == np.int64 and cells.shape == (len(x), *columns.cell_shape)
    low, high = np.array(columns.ranges, dtype=np.int64).T.reshape(2, 1, *columns.cell_shape)
    plain = np.ma.getdata(cells)
    assert (low <= plain).all() and (plain <= high).all()
    back = columns.invert(cells)
    assert back.dtype == columns.source and back.shape == x.shape
    assert back.tobytes() == (x if x.dtype.names else x.astype(columns.source)).tobytes()
    assert Columns.from_dict(json.loads(columns.to_json())) == columns
    assert Columns.from_dict(json.loads(columns.to_json())).to_json() == columns.to_json()


def refused(columns: Columns, x: Any, text: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        columns.apply(x)


# -- integers ---------------------------------------------------------------------------------------------------------


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_integers_of_every_type_and_shape(data: st.DataObject) -> None:
    dtype = np.dtype(data.draw(st.sampled_from(INTEGERS))).newbyteorder(data.draw(st.sampled_from("<>")))
    shape = data.draw(some.array_shapes(min_dims=1, max_dims=4, max_side=5))
    x = data.draw(some.arrays(dtype, shape))
    columns = Columns.of(x)
    assert len(columns.columns) == 1 and columns.is_plain
    comes_back(x, columns)
    if dtype.kind != "b" and dtype.name != "uint64":
        assert_array_equal(columns.apply(x), x)
        assert columns.ranges[0] == (np.iinfo(dtype).min, np.iinfo(dtype).max)


def test_integers_of_another_type_are_taken_where_they_fit() -> None:
    columns = Columns.of(np.zeros((3, 2), np.uint8))
    for kind in INTEGERS:
        assert_array_equal(columns.apply(np.ones((2, 2), kind)), np.ones((2, 2)))
    refused(
        columns,
        np.array([[0, 1], [2, 256]]),
        "row 1, place (1,): a value must be in 0..255, got 256",
    )
    refused(columns, np.array([[0, -1]]), "row 0, place (1,): a value must be in 0..255, got -1")
    large = Columns.of(np.zeros((1, 1), np.uint64))
    assert large.apply(np.array([[5]], np.int8)).tolist() == [[5 - 2**63]]
    refused(large, np.array([[-5]]), "row 0, place (0,): a value must be in 0..18446744073709551615, got -5")
    signed = Columns.of(np.zeros((1, 1), np.int64))
    refused(
        signed,
        np.array([[2**63]], np.uint64),
        f"row 0, place (0,): a value must be in {-(2**63)}..{2**63 - 1}, got {2**63}",
    )
    refused(signed, np.zeros((1, 2), int), "data must have shape (rows, 1) for these columns, got (1, 2)")
    refused(signed, np.zeros((1, 1)), "data must be of type int64 for these columns, got float64")


def test_each_column_may_have_a_range_of_its_own() -> None:
    x = np.array([[0, -5, 300, 2**40], [255, 5, 0, 0]])
    columns = Columns.of(x, each=True)
    assert columns.ranges == ((0, 255), (-128, 127), (0, 65535), (0, 2**48 - 1))
    comes_back(x, columns)
    small = Columns.of(x.astype("i4") % 100, each=True)
    assert {column.dtype for column in small.columns} == {"int32"}


# -- floats -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", "<f2"])
def test_floats_that_are_integers(dtype: str) -> None:
    x = np.arange(-20, 400, dtype=dtype).reshape(-1, 2)
    columns = Columns.of(x)
    assert columns.ranges == ((-1024 if dtype == "<f2" else -32768, 1024 if dtype == "<f2" else 32767),) * 2
    assert_array_equal(columns.apply(x), x)
    comes_back(x, columns)


NUMBERS = np.random.default_rng(0).integers(-2000, 2000, 3000)


@pytest.mark.parametrize(
    ("make", "kind", "step", "places"),
    [
        (lambda k: k / 10, "decimal", 1, 1),
        (lambda k: k / 200, "decimal", 5, 3),
        (lambda k: (k * 25) / 10000, "decimal", 25, 4),
        (lambda k: (k * 195 / 1000).astype("f4"), "decimal", 195, 3),
        (lambda k: 1.6e9 + k / 1000, "decimal", 1, 3),
        (lambda k: k * 1000.0, "decimal", 1000, 0),
        (lambda k: k * 2.0**-40, "binary", 1, 40),
        (lambda k: k * 2.0**300, "binary", 1, -300),
        (lambda k: k * 5e-324, "binary", 1, 1074),  # denormals
        (lambda k: (k / 4096).astype("f2"), "binary", 1, 12),
        (lambda k: k * 0.1, "product", 1, 0),  # 3 * 0.1 is not 0.3
        (lambda k: k * (3.3 / 4096), "product", 1, 0),
        (lambda k: k * 1.1e-7, "product", 1, 0),
        (lambda k: (k * np.float32(0.1)).astype("f4"), "product", 1, 0),
    ],
)
def test_grids_are_found(make: Any, kind: str, step: int, places: int) -> None:
    x = make(NUMBERS if kind != "binary" or places != 12 else NUMBERS % 1000).reshape(-1, 3)
    x = np.where(x == 0, np.zeros_like(x), x)  # no -0.0
    columns = Columns.of(x)
    (column,) = columns.columns
    assert (column.kind, column.step, column.places) == (kind, step, places)
    comes_back(x, columns)


def test_a_divisor_needs_many_values() -> None:
    few = Columns.of(np.array([[0.4], [0.8], [1.2]])).columns[0]
    assert (few.step, few.places) == (1, 1)
    many = Columns.of((np.arange(100)[:, None] * 4 + 3) / 10).columns[0]
    assert (many.step, many.offset, many.places) == (4, 3, 1)


@given(
    st.integers(1, 10**6), st.integers(0, 12), st.sampled_from(["f4", "f8"]),
    st.lists(st.integers(-(2**22), 2**22), min_size=1, max_size=60),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_what_lies_on_a_decimal_grid_comes_back(step: int, places: int, dtype: str, cells: list[int]) -> None:
    numbers = np.array(cells, dtype=np.int64) * step
    x = (numbers / 10.0**places).astype(dtype)[:, None]
    column = float_column(x)
    if dtype == "f8":
        assert column is not None
    if column is not None:
        comes_back(x, Columns(x.dtype, (1,), (column,)))


@given(some.arrays(st.sampled_from(["<f2", "<f4", ">f4", "<f8"]), some.array_shapes(min_dims=2, max_dims=2)))
@settings(max_examples=200, deadline=None)
def test_all_floats_come_back_by_their_bits(x: np.ndarray) -> None:
    columns = Columns.of(x, bits=True)
    comes_back(x, columns)
    if "bits" in {column.kind for column in columns.columns} and len(x) > 1:
        column = next(number for number, c in enumerate(columns.columns) if c.kind == "bits")
        values, cells = x[:, column], columns.apply(x)[:, column]
        order = np.argsort(cells, kind="stable")
        kept = values[order][~np.isnan(values[order])]
        assert (np.diff(kept.astype(np.float64)[np.isfinite(kept)]) >= 0).all()  # the floats' order


BITS = [0, 1 << 63, 1, (1 << 63) | 1, 0x7FF8 << 48, 0xFFF8 << 48, 0x7FF0 << 48, 0xFFF0 << 48, (0x7FF0 << 48) | 1]


def test_odd_floats() -> None:
    x = np.array(BITS, dtype=np.uint64).view("<f8")[:, None]
    comes_back(x, Columns.of(x, parse_columns("v:bits")))
    for value, advice in (
        (np.nan, "--missing nan takes them as missing; --columns '*:bits' codes all floats by their bits"),
        (-0.0, "x + 0.0 makes them 0.0; --columns '*:bits' codes all floats by their bits"),
        (np.inf, "round or scale them to integers; --columns '*:bits' codes all floats by their bits"),
    ):
        with pytest.raises(DataError) as caught:
            Columns.of(np.array([[1.5, 2.5], [1.5, value]]))
        text = f"row 1, column 1: floats must be integers or lie on a grid, got {value}; {advice}"
        assert str(caught.value) == text
        # -0.0, which is mended by a sum, is not told before the others are.
        with pytest.raises(DataError) as caught:
            Columns.of(np.array([[-0.0, 2.5], [1.5, value]]))
        assert str(caught.value) == (text if value != 0 else text.replace("row 1, column 1", "row 0, column 0"))
    records = np.array([(1, -0.0), (2, np.inf)], dtype=[("n", "<i2"), ("v", "<f8")])
    with pytest.raises(DataError, match=r"^row 1, column 1: .* got inf; .*; --columns v:bits codes all floats by"):
        Columns.of(records, bits=False)
    with pytest.raises(DataError) as caught:
        Columns.of(np.random.default_rng(0).random((50, 2)))
    assert str(caught.value) == (
        "floats must be integers or lie on a decimal grid or one of a power of two, as those of a converter do, these "
        "lie on none (the first is 0.6369616873214543); round or scale them to integers; --columns '*:bits' codes all "
        "floats by their bits"
    )


def test_a_value_on_no_cell_is_refused_by_its_place() -> None:
    columns = Columns.of(np.arange(20).reshape(-1, 2) / 4)
    assert str(columns.columns[0]) == "*:scaled=25e-2:0..255"
    text = "row 1, place (1,): a value must lie on the grid *:scaled=25e-2:0..255 from 0.0 to 63.75, got "
    wider = "64.0; train --columns '*:scaled=25e-2:-999..999' makes a circuit that takes more"
    for value, shown in (
        (0.3, "0.3"),
        (64.0, wider),
        (64.1, "64.1"),
        (-0.0, "-0.0 (bits 8000000000000000)"),
        (1e300, "1e+300"),
    ):
        refused(columns, np.array([[0, 0.25], [0, value]]), text + shown)
    refused(columns, np.array([[0, 0.25], [0, np.nan]]), text + "nan (bits 7ff8000000000000)")


def test_columns_of_their_own_grids() -> None:
    x = np.stack([NUMBERS / 10, NUMBERS * 0.25, NUMBERS * 3.3e-9], axis=1)
    x += 0.0
    columns = Columns.of(x)
    assert [(c.kind, c.step, c.places) for c in columns.columns] == [("decimal", 1, 1), ("decimal", 25, 2),
                                                                     ("product", 1, 0)]  # fmt: skip
    comes_back(x, columns)


# -- missing values ---------------------------------------------------------------------------------------------------


def test_missing_values_are_masked() -> None:
    x = np.array([[1.5, np.nan], [np.nan, -2.25]])
    columns = Columns.of(x, missing=math.nan)
    cells = columns.apply(x)
    assert isinstance(cells, np.ma.MaskedArray)
    assert cells.mask.tolist() == [[False, True], [True, False]]
    assert cells[0, 0] == 150 and cells[1, 1] == -225
    comes_back(x, columns)
    negative = np.array([0xFFF8 << 48], np.uint64).view("f8")[0]  # what 0 / 0 is on many machines
    x[0, 1] = x[1, 0] = negative
    comes_back(x, Columns.of(x, missing=-1))
    both = np.array([[np.nan], [negative], [0.5]])
    with pytest.raises(DataError, match=r"^floats must be integers"):
        Columns.of(both, missing=math.nan)
    numbers = np.array([[5, -32768], [-32768, 7]], dtype=np.int16)
    columns = Columns.of(numbers, missing=-32768)
    assert columns.apply(numbers).mask.tolist() == [[False, True], [True, False]]
    comes_back(numbers, columns)
    assert not Columns.of(numbers.astype("u1"), missing=-1).marks_missing
    with pytest.raises(DataError, match=r"^cell -32768 stands for no value of its own$"):
        columns.invert(np.array([[-32768, 1]]))
    with pytest.raises(DataError, match=r"^cells must not be masked, for the column marks no missing values$"):
        Columns.of(numbers).invert(np.ma.MaskedArray([[1, 2]], [[True, False]]))


@pytest.mark.parametrize("dtype", ["u1", "f8", [("n", "<i2")]])
def test_records_without_numbers_are_bad_data(dtype: Any) -> None:
    with pytest.raises(DataError, match=r"^records must have at least one number, got shape \(8, 0\)$"):
        Columns.of(np.zeros((8, 0), dtype=dtype))


def test_what_is_missing_throughout() -> None:
    points = np.zeros(30, dtype=[("n", "<i2"), ("v", "<f8")])
    points["n"], points["v"] = -9, np.nan
    for x in (np.full((30, 2), np.nan), np.full((30, 2), -9, dtype=np.int16), points):
        with pytest.raises(DataError, match=r"^the train split must hold a number, all are missing$"):
            Columns.of(x, missing=-9)
    # One column of several is no reason: a channel may be dead.
    points["n"] = np.arange(30)
    comes_back(points, Columns.of(points, missing=-9))
    dead = np.stack([np.arange(30) * 3.3e-9, np.full(30, np.nan), np.arange(30) / 10], axis=1)
    columns = Columns.of(dead, missing=np.nan)
    assert np.ma.getmaskarray(columns.apply(dead)).all(axis=0).tolist() == [False, True, False]
    comes_back(dead, columns)
    assert Columns.of(dead[:0]).apply(dead[:0]).shape == (0, 3)


# -- records with fields ----------------------------------------------------------------------------------------------

POINT = np.dtype(
    [("p", [("x", ">i4"), ("v", "u1", (2, 2))]), ("t", "<f4"), ("u", "<u8"), ("c", "<c8"), ("d", "M8[ns]"), ("s", "S3"),
     ("ok", "?")],
    align=True,
)  # fmt: skip


def points(count: int) -> np.ndarray:
    dice = np.random.default_rng(1)
    x = np.zeros(count, POINT)
    x["p"]["x"], x["p"]["v"] = dice.integers(-(2**31), 2**31, count), dice.integers(0, 255, (count, 2, 2))
    x["t"], x["u"] = dice.integers(0, 99, count) / 100, dice.integers(0, 2**64, count, dtype=np.uint64)
    x["c"] = dice.random(count)
    x["d"], x["s"], x["ok"] = dice.integers(0, 2**60, count).astype("M8[ns]"), b"ab", dice.integers(0, 2, count)
    return x


def test_records_with_fields() -> None:
    x = points(40)
    columns = Columns.of(x)
    assert columns.cell_shape == (14,)
    assert [c.name for c in columns.columns] == [
        "p.x", "p.v[0,0]", "p.v[0,1]", "p.v[1,0]", "p.v[1,1]", "t", "u", "c.real", "c.imag", "d", "s[0]", "s[1]",
        "s[2]", "ok",
    ]  # fmt: skip
    assert columns.by_bits == ("c.real",)
    assert (columns.columns[5].kind, columns.columns[5].places) == ("decimal", 2)
    comes_back(x, columns)
    comes_back(x[:0], columns)
    comes_back(x.reshape(10, 4), Columns.of(x.reshape(10, 4)))
    assert Columns.of(x.reshape(10, 2, 2)).cell_shape == (2, 2, 14)


def kinds(draw: Any, depth: int) -> Any:
    """Draw a type of fields within fields."""
    fields = []
    for number in range(draw(st.integers(1, 3))):
        leaf = draw(st.sampled_from(["?", "<i2", ">i4", "u1", "<u8", "<f4", ">f8", "<f2", "S2", "<c8", "<m8[s]"]))
        base = kinds(draw, depth - 1) if depth and draw(st.booleans()) else leaf
        shape = draw(st.sampled_from([(), (), (2,), (1, 3)]))
        fields.append((f"f{number}", base, shape))
    return np.dtype(fields, align=draw(st.booleans()))


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_any_record_comes_back_or_is_refused(data: st.DataObject) -> None:
    dtype = data.draw(st.composite(lambda draw: kinds(draw, 2))())
    raw = data.draw(st.binary(min_size=3 * dtype.itemsize, max_size=3 * dtype.itemsize))
    x = np.frombuffer(raw, dtype)
    columns = Columns.of(np.zeros(3, dtype), parse_columns("*:auto"), bits=True)
    free = Columns(columns.source, columns.shape, Columns.of(x, bits=True).columns)
    try:
        check_padding(x)
        comes_back(x, free)
    except DataError as error:
        assert re.search("lies between its fields and must be 0|a bool must be a byte 0 or 1", str(error))


def test_what_of_records_is_refused() -> None:
    x = points(3)
    columns = Columns.of(x)
    raw = bytearray(x.tobytes())
    between = POINT.fields["t"][1] - 1 if POINT.fields["t"][1] > 8 else POINT.itemsize - 1
    raw[POINT.itemsize + between] = 7
    dirty = np.frombuffer(bytes(raw), POINT)
    check_padding(x)
    text = (
        f"row 1: byte {between} of a record lies between its fields and must be 0, got 7; a field of its own keeps it"
    )
    with pytest.raises(DataError, match=f"^{text}$"):
        check_padding(dirty)
    assert columns.invert(columns.apply(dirty)).tobytes() == x.tobytes()
    raw[POINT.itemsize + between] = 0
    raw[POINT.fields["ok"][1]] = 2
    refused(columns, np.frombuffer(bytes(raw), POINT), "row 0, column 'ok': a bool must be a byte 0 or 1, got 2")
    names = ", ".join(POINT.names)
    refused(columns, x["t"], f"data must be of type record of {names} ({POINT.itemsize} bytes) for these columns, "
                             "got float32")  # fmt: skip
    y = x.copy()
    y["t"][2] = 0.123
    refused(
        columns, y, "row 2, column 't': a value must lie on the grid t:scaled=1e-2:0..255 from 0.0 to 2.55, got 0.123"
    )
    for dtype, text in (
        (np.dtype([("a", "O")]), "field 'a' must hold numbers of at most 64 bits, got object"),
        (np.dtype([("a", "U3")]), "field 'a' must hold numbers of at most 64 bits, got <U3"),
        (np.dtype({"names": ["a", "b"], "formats": ["<i4", "<i4"], "offsets": [0, 2]}),
         "the fields of a record must not share bytes, 'b' does"),
        (np.dtype("<U3"), "field '' must hold numbers of at most 64 bits, got <U3"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
            Columns.of(np.zeros(2, dtype))


def test_cells_that_are_none() -> None:
    columns = Columns.of(np.array([(1, 0.25), (2, 0.5)], dtype=[("a", "u1"), ("b", "f8")]))
    for cells, text in (
        ([[1, 2, 3]], "cells must be integers of shape (rows, 2), got int64 (1, 3)"),
        ([[1.0, 2.0]], "cells must be integers of shape (rows, 2), got float64 (1, 2)"),
        ([[256, 0]], "column a: cells must be in 0..255, got 256..256"),
        ([[0, -1]], "column b: cells must be in 0..255, got -1..-1"),
    ):
        with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
            columns.invert(np.array(cells))


# -- the text of --columns --------------------------------------------------------------------------------------------


def test_the_text_of_columns() -> None:
    assert parse_columns("x:int32, t:scaled=0.001,flag:uint8=0..3,gps:bits,v[0,1]:u1,q:f4:scaled=.5:0..99,r:auto") == (
        ColumnSpec("x", "int32"), ColumnSpec("t", step="0.001"), ColumnSpec("flag", "uint8", low=0, high=3),
        ColumnSpec("gps", bits=True), ColumnSpec("v[0,1]", "u1"), ColumnSpec("q", "f4", ".5", low=0, high=99),
        ColumnSpec("r"),
    )  # fmt: skip
    assert source_of(parse_columns("x:int32,y:>u2,z:f8:bits")) == np.dtype([("x", "<i4"), ("y", ">u2"), ("z", "<f8")])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a column must be NAME:TYPE as in 'x:int32,t:scaled=0.001,flag:uint8=0..3,gps:bits', got ''"),
        ("x", "a column must be NAME:TYPE as in .*, got 'x'"),
        ("x:int32,", "a column must be NAME:TYPE as in .*, got ''"),
        ("x:int12", r"a column must be a type of numpy, TYPE=LOW\.\.HIGH, .*, got 'int12' in 'x:int12'"),
        ("x:object", "a column must be a type of numpy, .*, got 'object' in 'x:object'"),
        ("x:uint8=0", "a column must be a type of numpy, .*, got 'uint8=0' in 'x:uint8=0'"),
        ("x:scaled=0", "a column must be a type of numpy, .*, got 'scaled=0' in 'x:scaled=0'"),
        ("x:scaled=1e999", "a column must be a type of numpy, .*, got 'scaled=1e999' in 'x:scaled=1e999'"),
        ("x:uint8=3..0", r"a range must ascend, got 3\.\.0 in 'x:uint8=3\.\.0'"),
        ("x:int8:int16", "a column must have one type, one range and one of scaled and bits, got 'x:int8:int16'"),
        ("x:bits:scaled=1", "a column must have one type, one range and one of scaled and bits, got 'x:bits:scaled=1'"),
        ("x:int8,x:int8", "a column must be named once, 'x' is named twice"),
    ],
)
def test_texts_that_are_none(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}$"):
        parse_columns(text)


def test_columns_as_they_are_told() -> None:
    x = np.array(
        [(1, 0.5, 3, 0.1), (2, 0.75, 0, 0.7)], dtype=[("x", "<i8"), ("t", "<f8"), ("flag", "<i4"), ("g", "<f8")]
    )
    columns = Columns.of(x, parse_columns("x:int16,t:scaled=0.001:0..999999,flag:uint8=0..3,g:bits"))
    assert columns.ranges == ((-32768, 32767), (0, 999999), (0, 3), (-(2**63), 2**63 - 1))
    assert columns.apply(x)[:, :3].tolist() == [[1, 500, 3], [2, 750, 0]]
    comes_back(x, columns)
    x["flag"][1] = 4
    refused(columns, x, "row 1, column 'flag': a value must be in 0..3, got 4")
    plain = Columns.of(np.zeros((2, 3), np.int32), parse_columns("a:int32,b:uint8=0..3,c:int8"))
    assert [c.name for c in plain.columns] == ["a", "b", "c"] and plain.ranges[1:] == ((0, 3), (-128, 127))
    every = Columns.of(np.random.default_rng(0).random((3, 4)), parse_columns("*:bits"))
    assert {column.kind for column in every.columns} == {"bits"}


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("z:int8", UsageError, "--columns must name columns of the data, x, t; got 'z'"),
        ("x:bits", UsageError, "column 'x': scaled and bits must be of floats, the data hold int64"),
        ("x:float32", UsageError, "column 'x' must be of integers, as the data, got float32"),
        ("x:uint8=0..300", UsageError, r"column 'x': the range must be in 0\.\.255, got 0\.\.300"),
        ("t:float32", UsageError, "column 't' must be of float64, as the data, got float32"),
        (
            "t:scaled=0.1",
            DataError,
            r"column 't': its values must lie on the grid of 0\.1, they do not; t:bits takes all",
        ),
    ],
)
def test_columns_that_do_not_fit(text: str, error: type[Exception], message: str) -> None:
    x = np.array([(1, 0.25)], dtype=[("x", "<i8"), ("t", "<f8")])
    with pytest.raises(error, match=f"^{message}$"):
        Columns.of(x, parse_columns(text))


def test_plain_columns_need_a_word_each() -> None:
    with pytest.raises(UsageError, match=r"^--columns must have a word for each of the 3 columns, .*, got 2$"):
        Columns.of(np.zeros((2, 3), int), parse_columns("a:int32,b:int8"))


# -- the JSON form ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "columns must be of version 1, got 2"),
        ({"version": True}, "columns must be of version 1, got True"),
        ({"dtype": "|O"}, "field '' must hold numbers of at most 64 bits, got object"),
        ({"dtype": 5}, "a dtype must be a name or a list of fields, got 5 .*"),
        ({"dtype": [["a", "<i2"]], "shape": []}, "column 0 must be of type int16, got uint8"),
        ({"shape": [1, "2"]}, "the shape of columns must be a list of integers"),
        ({"shape": [0]}, r"rows must have at most 15 dimensions of at least 1, got \(0,\)"),
        ({"shape": [1 << 30]}, r"a record must have 1\.\.1048576 numbers, got 1073741824"),
        ({"columns": []}, "columns must be a list of at least one"),
        ({"columns": [{"low": 0}]}, "a column must be an object of dtype, low, .*"),
        ({"columns": [{"dtype": "uint8", "low": 0.5, "high": 3}]}, r"low of a column must be int, got 0\.5"),
        ({"columns": [{"dtype": "uint8", "low": 0, "high": 256}]},
         r"the range of a column of uint8 must be in 0\.\.255 and ascend, got 0\.\.256"),
        ({"columns": [{"dtype": "uint8", "low": 0, "high": 3, "kind": "bits"}]},
         "a column of uint8 must not be of kind bits"),
        ({"columns": [{"dtype": "uint8", "low": 0, "high": 3, "places": 2}]},
         "a step and places must be those of a grid, got 1, 2"),
        ({"columns": [{"dtype": "uint8", "low": 0, "high": 3, "step": 2, "offset": 2}]},
         "the offset must be below the step, got 2"),
        ({"order": [0]}, r"the order of columns must name every field of a record once, got \(0,\)"),
        ({"order": ["a"]}, "the order of columns must be a list of integers"),
        ({"columns": [{"dtype": "uint8", "low": 0, "high": 3, "offset": 1}]},
         "the offset must be below the step, got 1"),
        ({"columns": [{"dtype": "uint8", "low": 0, "high": 3, "missing": 256}]},
         "what marks missing values must be a value of uint8, got 256"),
        ({"more": 1}, "columns must be an object of columns, dtype, shape, version"),
    ],
)  # fmt: skip
def test_json_that_is_none(change: dict[str, Any], message: str) -> None:
    good = Columns.of(np.zeros((3, 2), np.uint8)).as_dict()
    assert Columns.from_dict(good).is_plain
    with pytest.raises(UsageError, match=f"^{message}$"):
        Columns.from_dict(good | change)


def test_a_column_of_a_grid_is_checked() -> None:
    good = {"dtype": "float64", "low": 0, "high": 9, "kind": "decimal"}
    Column(**good, step=3, offset=2, places=5)
    for change in ({"places": 23}, {"places": -1}, {"step": 0}, {"step": 2**51}, {"offset": 1}, {"offset": -1},
                   {"factor": "0x1.0000000000000p+0"}, {"missing": 5}, {"high": 2**48 + 1}):  # fmt: skip
        with pytest.raises(UsageError):
            Column(**(good | change))
    for factor in ("", "1.5", "nan", "0x1.8p+0", "-0x1.8000000000000p+0"):
        with pytest.raises(UsageError, match=r"^a factor must be a double above 0 in hexadecimal"):
            Column("float64", 0, 9, "product", factor=factor)


@pytest.mark.parametrize("dtype", ["int16", ">i2", "int64", "int8"])
def test_integers_with_a_common_step(dtype: str) -> None:
    most = np.iinfo(dtype).max // 16 - 1
    cells = np.random.default_rng(0).integers(-min(most, 2000), min(most, 2000), (600, 2))
    x = (16 * cells + 5).astype(dtype) if most > 9 else (2 * cells + 1).astype(dtype)
    step = 16 if most > 9 else 2
    columns = Columns.of(x)
    (column,) = columns.columns
    assert (column.step, column.offset) == ((step, 5 if most > 9 else 1) if column.dtype != "int8" else (1, 0))
    back = columns.invert(columns.apply(x))
    assert_array_equal(back, x)
    assert Columns.from_dict(json.loads(columns.to_json())) == columns
    if column.step > 1:
        assert_array_equal(columns.apply(x), cells)
        info = np.iinfo(column.dtype)
        assert column.high == (int(info.max) - 5) // 16 and column.low == -((5 - int(info.min)) // 16)
        x[7, 1] += 1
        with pytest.raises(
            DataError, match=rf"^row 7, place \(1,\): a value must be in .* in steps of 16, got {x[7, 1]}$"
        ):
            columns.apply(x)
        # What is said of the columns holds: all values of the type.
        assert Columns.of(x - np.array(1, x.dtype), parse_columns("*:" + column.dtype)).columns[0].step == 1


def test_few_integers_have_no_step() -> None:
    assert Columns.of(np.arange(0, 1000, 2, dtype=np.int16)[:, None]).is_plain
    assert Columns.of(np.tile(np.array([0, 64], dtype=np.int16), 2000)[:, None]).is_plain


def test_fields_in_another_order() -> None:
    x = np.zeros((4, 2), dtype=[("a", "<i4"), ("b", "u1"), ("c", "<f8")])
    x["a"], x["b"], x["c"] = np.arange(8).reshape(4, 2), 3, np.arange(8).reshape(4, 2) / 4
    plain = Columns.of(x)
    moved = replace(plain, order=(1, 2, 0))
    assert_array_equal(moved.apply(x), plain.apply(x)[..., [1, 2, 0]])
    assert moved.ranges == tuple(plain.ranges[3 * e + f] for e in range(2) for f in (1, 2, 0))
    assert moved.invert(moved.apply(x)).tobytes() == x.tobytes()
    assert Columns.from_dict(json.loads(moved.to_json())) == moved
