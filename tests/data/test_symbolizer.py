"""Symbolizers: exact inverses for every dtype and steps, refusals by name, and their places in files and streams."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from helpers.messages import whole
from helpers.series import SERIES, series, series_circuit
from hypothesis import example, given, reject, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from pcedge.circuit import Circuit, InputLayer, load_circuit, save_circuit
from pcedge.codec import stream as streams
from pcedge.codec.stream import decode, encode
from pcedge.data import Splits, Symbolizer, make_symbolizer, specification, symbolize
from pcedge.data.specification import read_symbolizer
from pcedge.data.steps import (
    NEIGHBOURS,
    Colour,
    Difference,
    Neighbour,
    Offset,
    Planes,
    Relation,
    Step,
    Window,
    Zigzag,
)
from pcedge.data.symbolizer import DTYPES, value_range
from pcedge.engines import ReferenceEngine
from pcedge.errors import CircuitError, DataError, FormatError, StreamError, UsageError
from pcedge.export import from_onnx, to_onnx
from pcedge.quantize import quantize


@st.composite
def chains(draw: st.DrawFn) -> tuple[str, tuple[int, ...], int, int, tuple[Step, ...]]:
    """Draw a dtype, a shape, a range and any steps in any order; most fit, and some chains do not."""
    dtype = draw(st.sampled_from(DTYPES))
    least, most = value_range(dtype)
    low, high = sorted(draw(st.tuples(st.integers(least, most), st.integers(least, most))))
    if draw(st.booleans()):
        low, high = least, most
    elif draw(st.booleans()):
        high = min(low + draw(st.integers(0, 300)), high)
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    count = draw(st.integers(0, 7))
    windowed = draw(st.integers(0, 2 * count))  # beyond the last place: none
    top = np.full((1, *shape) if windowed < count else shape, high - low, dtype=np.uint64)
    steps: list[Step] = []
    for place in range(count):
        dimensions = top.ndim
        axes = st.integers(0, dimensions - 1)
        kinds: list[st.SearchStrategy[Step]] = [
            st.builds(Difference, axes),
            st.builds(Zigzag),
            st.builds(Offset, st.integers(-(2**63), 2**64 - 1)),
            st.builds(Neighbour, st.sampled_from(NEIGHBOURS), axes),
            st.builds(Colour),
            st.builds(Planes, st.lists(st.integers(1, 16), min_size=1, max_size=5).map(tuple)),
        ]
        axis = draw(axes)
        channels = draw(st.permutations(range(top.shape[axis])))
        cut = draw(st.integers(1, len(channels)))
        kinds.append(st.just(Relation(channels[0], tuple(channels[1:cut]), tuple(channels[cut:]), axis)))
        if place == windowed:
            sizes = st.lists(st.integers(1, 4), min_size=1, max_size=dimensions)
            kinds = [st.builds(Window, sizes.map(tuple))]
        step = draw(st.one_of(kinds))
        try:
            top = step.plan(top)
        except UsageError:
            if draw(st.integers(0, 15)):
                continue
        steps.append(step)
    wide = int(top.max()).bit_length()
    if wide > 16 and draw(st.integers(0, 15)):
        steps.append(Planes((16,) * -(-wide // 16)))
    return dtype, shape, low, high, tuple(steps)


@st.composite
def symbolizers(draw: st.DrawFn) -> Symbolizer:
    """Draw a symbolizer of any dtype whose steps fit."""
    chain = draw(chains())
    try:
        return Symbolizer(*chain)
    except UsageError:
        reject()


@given(st.data())
def test_every_input_comes_back(data: st.DataObject) -> None:
    """All dtypes, any values of the range, any fitting steps: apply and invert are each other's inverse."""
    symbolizer = data.draw(symbolizers())
    rows = data.draw(st.integers(0, 9))
    elements = st.integers(symbolizer.low, symbolizer.high)
    if symbolizer.dtype == "bool":
        x = data.draw(hnp.arrays(np.uint8, (rows, *symbolizer.shape), elements=elements)).astype(bool)
    else:
        x = data.draw(hnp.arrays(symbolizer.dtype, (rows, *symbolizer.shape), elements=elements))
    records = symbolizer.apply(x)
    assert records.dtype == np.uint16
    assert records.shape == (symbolizer.records(rows), len(symbolizer.cardinalities))
    assert (records < np.array(symbolizer.cardinalities)).all()
    back = symbolizer.invert(records, rows)
    assert back.dtype == x.dtype
    assert_array_equal(back, x)
    assert Symbolizer.from_json(symbolizer.to_json()) == symbolizer
    probe = np.zeros((1, *symbolizer.shape), dtype=symbolizer.dtype)
    assert make_symbolizer(specification(symbolizer), probe) == symbolizer


@pytest.mark.parametrize("plus, minus", [((1,), ()), ((), (1,))])
def test_relation_wraps_on_the_whole_circle_of_64_bits(plus: tuple[int, ...], minus: tuple[int, ...]) -> None:
    """A record with one axis: the largest number is a scalar, and adding 1 to it must wrap without a warning."""
    low, high = value_range("int64")
    symbolizer = Symbolizer("int64", (2,), low, high, (Relation(0, plus, minus), Planes((16,) * 4)))
    x = np.array([[0, 0], [low, high], [high, low], [-1, 1]])
    assert_array_equal(symbolizer.invert(symbolizer.apply(x), len(x)), x)


PLANES_FIRST = ("int16", (2,), 0, 2047, (Planes((3, 8)), Window((32,))))
COLOUR_FIRST = ("uint8", (3,), 0, 255, (Colour(), Window((4,))))


@settings(max_examples=200)
@given(chains(), st.integers(0, 9), st.integers(0, 2**32))
@example(PLANES_FIRST, 3, 0)
@example(("int16", (2, 3), -5, 500, (Planes((4, 5)), Difference(0), Window((2, 3, 2)), Difference(0))), 5, 0)
@example(COLOUR_FIRST, 9, 0)
def test_a_chain_is_refused_when_made_or_gives_back_its_data(
    chain: tuple[str, tuple[int, ...], int, int, tuple[Step, ...]], rows: int, seed: int
) -> None:
    try:
        symbolizer = Symbolizer(*chain)
    except UsageError as error:
        assert "must give back" not in str(error), chain  # the rules of the steps find it before the trial does
        return
    generator = np.random.default_rng(seed)
    if symbolizer.dtype == "bool":
        x = generator.integers(symbolizer.low, symbolizer.high + 1, size=(rows, *symbolizer.shape)).astype(bool)
    else:
        x = generator.integers(
            symbolizer.low, symbolizer.high, size=(rows, *symbolizer.shape), dtype=symbolizer.dtype, endpoint=True
        )
    records = symbolizer.apply(x)
    assert records.shape == (symbolizer.records(rows), len(symbolizer.cardinalities))
    assert (records < np.array(symbolizer.cardinalities)).all()
    assert_array_equal(symbolizer.invert(records, rows), x)
    whole_windows = -(-rows // symbolizer.segment_rows) * symbolizer.segment_rows
    assert symbolizer.invert(symbolizer.apply(x[:1].repeat(whole_windows, axis=0))).shape[0] == whole_windows * bool(
        rows
    )


@given(symbolizers(), st.integers(1, 9), st.integers(0, 2**32), st.booleans())
@example(Symbolizer(*COLOUR_FIRST), 9, 0, False)
@example(Symbolizer(*PLANES_FIRST), 40, 0, False)
def test_any_symbols_are_those_of_some_data_or_refused(
    symbolizer: Symbolizer, rows: int, seed: int, near: bool
) -> None:
    """Nothing decodes to data that would have had other symbols, and nothing is refused by chance of an index."""
    generator = np.random.default_rng(seed)
    records = generator.integers(
        0, symbolizer.cardinalities, size=(symbolizer.records(rows), len(symbolizer.cardinalities))
    )
    if near:  # one symbol away from those of data
        x = np.full((rows, *symbolizer.shape), symbolizer.low, dtype=symbolizer.dtype)
        one, records = records, symbolizer.apply(x).astype(np.int64)
        place = tuple(generator.integers(records.shape))
        records[place] = one[place]
    try:
        data = symbolizer.invert(records, rows)
    except DataError:
        return
    assert_array_equal(symbolizer.apply(data), records)


@pytest.mark.parametrize(
    ("x", "records", "rows", "message"),
    [
        (COLOUR_FIRST, [[0, 255, 255] * 4, [255, 510, 510] * 4], 8,
         "record 0 must come from numbers up to 255 at (4, 0), got 256: these symbols belong to no data"),
        ((*PLANES_FIRST[:3], 1500, (Planes((3, 8)), Window((2,)))), [[0] * 8, [0] * 7 + [255], [5, 255] * 4], 5,
         "record 0 must come from numbers up to 1500 at (4, 0), got 1535: these symbols belong to no data"),
    ],
)  # fmt: skip
def test_numbers_of_no_data_before_a_window(x, records, rows, message) -> None:  # type: ignore[no-untyped-def]
    """What was an IndexError: before a window the largest numbers are those of one row, and any row may be wrong."""
    with pytest.raises(DataError, match=whole(message)):
        Symbolizer(*x).invert(records, rows)


def test_steps_that_do_not_give_back_what_they_map_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof of a new symbolizer runs the steps that there are: a wrong inverse, a wrong shape, a wrong range."""
    zigzag = ("int16", (2,), -5, 5, (Zigzag(), Window((2,))))
    Symbolizer(*zigzag)
    unfold = Zigzag.invert
    monkeypatch.setattr(Zigzag, "invert", lambda self, values, top: unfold(self, values, top) ^ np.uint64(1))
    with pytest.raises(UsageError, match="a symbolizer must give back the rows that it maps, its steps do not: record"):
        Symbolizer(*zigzag)
    monkeypatch.setattr(Zigzag, "invert", lambda self, values, top: unfold(self, values, top)[:, :1])
    with pytest.raises(UsageError, match="must give back the rows that it maps"):
        Symbolizer(*zigzag)
    monkeypatch.undo()
    monkeypatch.setattr(Symbolizer, "_whole", lambda self, rows: (rows, *self.shape))  # the shape of the data
    with pytest.raises(UsageError, match="must give back the rows that it maps, its steps do not: cannot reshape"):
        Symbolizer(*PLANES_FIRST)


def test_all_values_of_int16_in_two_directions() -> None:
    x = np.arange(-(2**15), 2**15, dtype=np.int16).reshape(-1, 2)
    for text in (
        "planes=8+8",
        "difference,zigzag,planes=8+8",
        "offset=-5,planes=2+14",
        "zigzag",
        "window=7,planes=8+8",
    ):
        symbolizer = make_symbolizer(text, x)
        assert_array_equal(symbolizer.invert(symbolizer.apply(x), len(x)), x)


def test_extremes_of_64_bits() -> None:
    for dtype in ("int64", "uint64"):
        least, most = value_range(dtype)
        x = np.array([[least, most, 0, most, least, 1]], dtype=dtype)
        symbolizer = make_symbolizer("difference=0,zigzag,offset=7,planes=16+16+16+16", x)
        assert_array_equal(symbolizer.invert(symbolizer.apply(x)), x)


def test_steps_by_hand() -> None:
    x = np.array([[10, 12, 11, 11]], dtype=np.uint8)
    assert make_symbolizer("difference", x).apply(x).tolist() == [[10, 2, 255, 0]]
    assert make_symbolizer("difference,zigzag", x).apply(x).tolist() == [[20, 4, 1, 0]]
    assert make_symbolizer("difference,offset=128", x).apply(x).tolist() == [[138, 130, 127, 128]]
    assert make_symbolizer("planes=4+4", x).apply(x).tolist() == [[0, 10, 0, 12, 0, 11, 0, 11]]
    assert make_symbolizer("range=10..12,difference", x).apply(x).tolist() == [[0, 2, 2, 0]]
    assert make_symbolizer("relation=3:plus=0+1:minus=2", x).apply(x).tolist() == [[10, 12, 11, 0]]
    assert make_symbolizer("relation=0:plus=1", x).apply(x).tolist() == [[254, 12, 11, 11]]
    picture = np.array([[[1, 2, 4], [3, 5, 9]]], dtype=np.uint8)
    expected = {"left": [1, 1, 2, 2, 2, 4], "above": [1, 1, 2, 2, 3, 5], "average": [1, 1, 2, 2, 3, 5],
                "median": [1, 1, 2, 2, 2, 4]}  # fmt: skip
    for kind, symbols in expected.items():
        assert make_symbolizer(f"neighbour={kind}", picture).apply(picture).tolist() == [symbols], kind


def test_the_median_is_that_of_jpeg_ls() -> None:
    picture = np.array([[[5, 9], [7, 0]], [[9, 5], [7, 0]], [[5, 3], [4, 0]], [[9, 9], [9, 0]]], dtype=np.uint8)
    # median(left, above, left + above - corner): (7, 9, 11), (7, 5, 3), (4, 3, 2), (9, 9, 9)
    symbols = make_symbolizer("neighbour=median", picture).apply(picture)[:, 3]
    assert symbols.tolist() == [256 - 9, 256 - 5, 256 - 3, 256 - 9]


def test_colour_by_hand() -> None:
    x = np.array([[[255, 0, 0]], [[0, 255, 0]], [[7, 7, 7]], [[0, 0, 255]]], dtype=np.uint8)
    symbolizer = make_symbolizer("colour", x)
    assert symbolizer.cardinalities == (256, 511, 511)
    # Co = R - B, t = B + Co // 2, Cg = G - t, Y = t + Cg // 2; 255 is added to Co and Cg
    assert symbolizer.apply(x).tolist() == [[63, 510, 128], [127, 255, 510], [7, 255, 255], [63, 0, 128]]
    with pytest.raises(DataError, match="must come from numbers up to 255"):
        symbolizer.invert([[255, 510, 510]])


def test_windows_pad_the_tail_and_drop_it_again() -> None:
    x = np.arange(14, dtype=np.int16).reshape(7, 2)
    symbolizer = make_symbolizer("range=0..255,window=3", x)
    assert symbolizer.apply(x).tolist() == [
        [0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11], [12, 13, 12, 13, 12, 13]
    ]  # fmt: skip
    assert_array_equal(symbolizer.invert(symbolizer.apply(x), 7), x)
    assert symbolizer.invert(symbolizer.apply(x)).shape == (9, 2)
    with pytest.raises(DataError, match="these belong to no data"):
        symbolizer.invert([[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11], [12, 13, 12, 13, 12, 14]], 7)
    tiles = make_symbolizer("range=0..255,window=2x1", x)
    assert tiles.apply(x).tolist()[:3] == [[0, 2], [1, 3], [4, 6]]
    assert tiles.records(7) == 8


@pytest.mark.parametrize(
    ("x", "text"),
    [
        ([[0, 1], [5, 300]], "row 1, place (1,): a value must be in -4..255, got 300"),
        ([[0, -5], [5, 300]], "row 0, place (1,): a value must be in -4..255, got -5"),
        ([[0, 2**63]], f"row 0, place (1,): a value must be in -4..255, got {2**63}"),
        ([[0, 1, 2]], "data must have shape (rows, 2) for this symbolizer, got (1, 3)"),
        ([[0.5, 1]], "data must be a plain array of integers, got float64"),
    ],
)
def test_what_apply_refuses(x: list[list[float]], text: str) -> None:
    symbolizer = Symbolizer("int16", (2,), -4, 255, ())
    with pytest.raises(DataError, match=whole(text)):
        symbolizer.apply(np.array(x, dtype=np.uint64) if x[0][1] == 2**63 else np.array(x))


def test_other_dtypes_are_taken_where_their_values_fit() -> None:
    symbolizer = Symbolizer("int16", (2,), 0, 255, ())
    for dtype in ("uint8", "int64", "uint64", ">i4", "bool"):
        x = np.array([[0, 1]], dtype=dtype)
        assert symbolizer.apply(x).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "differ",
            "a step must be one of range, difference, neighbour, relation, zigzag, offset, colour, planes, window",
        ),
        ("difference=2", "the axis of difference must be one of 0..1 of a record of shape (4, 3), got 2"),
        ("difference:axe=0", "step difference must have options of axis, got 'axe'"),
        ("difference=0:axis=0", "step difference must have options of axis, got 'axis'"),
        ("zigzag=3", "step zigzag must have options of no name, got '3'"),
        ("offset", "step offset must have a value"),
        ("offset=1.5", "step offset must have integers, got '1.5'"),
        ("planes=4+8", "planes must have 16..64 bits together, got 4+8"),
        ("planes=0+16", "planes must have 1..64 bits each, got 0+16"),
        ("planes", "step planes must have a value"),
        ("zigzag,range=0..3", "range must be the first step"),
        ("range=3", "range must be LOW..HIGH, or nothing for the range of the data, got '3'"),
        ("zigzag," * 99, "a step must be one of range"),
        ("zigzag" + ",zigzag" * 99, "a symbolizer must have at most 16 steps, got 100"),
        ("range=5..3", "the range must be in -32768..32767 and ascend, got 5..3"),
        ("range=0..70000", "the range must be in -32768..32767 and ascend, got 0..70000"),
        ("window=0", "window must have 1..3 sizes of at least 1 for rows of shape (4, 3), got 0"),
        ("window=1x1x1x1", "window must have 1..3 sizes of at least 1 for rows of shape (4, 3), got 1x1x1x1"),
        ("window=65537", "window must have at most 65536 rows, got 65537"),
        ("window=65536", "a record must have 1..1048576 numbers, got"),
        ("window=2,window=2", "a symbolizer must have at most one window"),
        ("relation=0:plus=1+4", "relation must have different channels of 0..3, got 0 and [1, 4]"),
        ("relation=0:plus=1:minus=0", "relation must have different channels of 0..3, got 0 and [1, 0]"),
        ("relation:plus=1", "step relation must have a value"),
        ("neighbour=right", "neighbour must be one of left, above, average, median, got 'right'"),
        ("neighbour=left:axis=1", "the axis of neighbour must be one of 0..0 of a record of shape (4, 3), got 1"),
        ("planes=8+8,difference=2", "difference must come before what gives the places of axis 2 different ranges"),
        ("planes=8+8,colour", "colour must have red, green and blue on the last axis, got record shape (4, 3, 2)"),
        ("none.json", "No such file"),
        ("zigzag:", "an option of step zigzag must be key=value, once, got ''"),
    ],
)
def test_what_a_specification_refuses(text: str, message: str) -> None:
    x = np.zeros((2, 4, 3), dtype=np.int16)
    if text == "planes=8+8,difference=2":
        text = "range=0..300,planes=8+8,difference=2"
    if text == "window=65536":
        x = np.zeros((2, 40), dtype=np.uint8)
    with pytest.raises((UsageError, OSError), match=re.escape(message)):
        make_symbolizer(text, x)


def test_wide_symbols_need_planes() -> None:
    text = "a symbolizer must end in at most 65536 symbols a variable, got 4294967296: split the numbers by planes"
    with pytest.raises(UsageError, match=whole(text)):
        make_symbolizer("zigzag", np.zeros((2, 2), dtype=np.int32))


def test_auto_finds_the_smooth_axis() -> None:
    generator = np.random.default_rng(0)
    walk = np.cumsum(generator.integers(-20, 21, size=(4000, 2)), axis=0).astype(np.int16)
    assert specification(make_symbolizer("auto", walk)) == (
        "range=-32768..32767,difference=0,offset=128,window=32,planes=8+8"
    )
    mono = walk[:, :1]
    assert "difference=0,offset=128,window=64" in specification(make_symbolizer("auto", mono))
    # A table of few columns whose rows have no order is no series.
    lines = generator.integers(-900, 900, size=(4000, 9)).astype(np.int16)
    assert specification(make_symbolizer("auto", lines)) == "range=-32768..32767,planes=8+8"
    noise = generator.integers(0, 256, size=(300, 40), dtype=np.uint8)
    assert specification(make_symbolizer("auto", noise)) == "range=0..255"
    traces = np.cumsum(generator.integers(-9, 10, size=(500, 40)), axis=1).astype(np.int32)
    assert "difference=0" in specification(make_symbolizer("auto", traces))
    low, high = generator.integers(0, 250, size=(2, 400, 1, 1))
    edges = generator.integers(0, 12, size=(2, 400, 1, 1))
    inside = (np.arange(12)[:, None] < edges[0]) & (np.arange(12) < edges[1])
    pictures = (np.where(inside, low, high) + generator.integers(0, 3, size=(400, 12, 12))).astype(np.uint8)
    assert "neighbour=median" in specification(make_symbolizer("auto", pictures))
    for x in (walk, mono, lines, noise, traces, pictures):
        symbolizer = make_symbolizer("auto", x)
        assert_array_equal(symbolizer.invert(symbolizer.apply(x), len(x)), x)
        assert (symbolizer.low, symbolizer.high) == value_range(x.dtype.name)


def test_a_bare_range_covers_all_splits() -> None:
    parts = [np.array([[low], [high]], dtype=np.int16) for low, high in ((3, 5), (2, 4), (4, 9))]
    symbolizer, mapped = symbolize("range", Splits(*parts))
    assert (symbolizer.low, symbolizer.high) == (2, 9)
    assert mapped.train.tolist() == [[1], [3]] and mapped.test is not None and mapped.test.tolist() == [[2], [7]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "a symbolizer must be of version 1, got 2"),
        ({"version": True}, "a symbolizer must be of version 1, got True"),
        ({"dtype": "float32"}, "the dtype of a symbolizer must be one of"),
        ({"dtype": 3}, "a symbolizer's dtype must be a text and its steps a list"),
        ({"shape": [0]}, "rows must have 1..15 dimensions of at least 1, got shape (0,)"),
        ({"shape": [2**40]}, "a record must have 1..1048576 numbers"),
        ({"shape": [1] * 16}, "rows must have 1..15 dimensions"),
        ({"shape": 2}, "shape must be a list of at most 64 integers, got 2"),
        ({"low": 1.0}, "low must be an integer of at most 64 bits, got 1.0"),
        ({"low": 2**70}, "low must be an integer of at most 64 bits"),
        ({"low": -40000}, "the range must be in -32768..32767 and ascend"),
        ({"steps": [{}] * 17}, "a symbolizer must have at most 16 steps, got 17"),
        ({"steps": [{"kind": "eval"}]}, "a step must be an object whose kind is one of difference"),
        ({"steps": [{"kind": "zigzag", "axis": 0}]}, "step zigzag must have the keys kind, got"),
        ({"steps": [{"kind": "difference"}]}, "step difference must have the keys kind, axis, got"),
        ({"steps": [{"kind": "difference", "axis": "0"}]}, "difference: axis must be an integer"),
        ({"steps": [{"kind": "neighbour", "kind ": "left", "axis": 0}]}, "step neighbour must have the keys"),
        ({"more": 1}, "a symbolizer must be an object of dtype, high, low, shape, steps, version"),
    ],
)
def test_what_the_json_form_refuses(change: dict[str, object], message: str) -> None:
    described = Symbolizer("int16", (2,), 0, 255, (Difference(0),)).as_dict() | change
    with pytest.raises(UsageError, match=re.escape(message)):
        Symbolizer.from_dict(described)


def test_the_json_form_of_a_neighbour_keeps_both_kinds(tmp_path) -> None:  # type: ignore[no-untyped-def]
    symbolizer = Symbolizer("uint8", (4, 4), 0, 255, (Neighbour("above", 0), Planes((4, 4))))
    (tmp_path / "s.json").write_text(json.dumps(symbolizer.as_dict(), indent=1))
    assert read_symbolizer(tmp_path / "s.json") == symbolizer
    assert make_symbolizer(str(tmp_path / "s.json"), np.zeros((1, 4, 4), dtype=np.uint8)) == symbolizer
    (tmp_path / "s.json").write_text("[" * 100_000)
    with pytest.raises(FormatError, match=r"symbolizer: .* must be JSON"):
        read_symbolizer(tmp_path / "s.json")


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 5, 29])
@pytest.mark.parametrize("lanes", [None, 1, 1000])
def test_streams_hold_data(rows: int, lanes: int | None) -> None:
    engine = ReferenceEngine(quantize(series_circuit()))
    x = series(rows)
    data = encode(engine, x, lanes)
    parsed = streams.parse(data)
    assert (parsed.shape, parsed.dtype) == ((rows, 2), x.dtype)
    back = decode(engine, data)
    assert back.dtype == x.dtype
    assert_array_equal(back, x)
    wide = x.astype(">i8")
    assert decode(engine, encode(engine, wide)).dtype == wide.dtype


def test_streams_of_several_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SEGMENT_RECORDS", 10)
    engine = ReferenceEngine(quantize(series_circuit()))
    x = series(37)
    data = encode(engine, x)
    assert [segment.records for segment in streams.parse(data).segments] == [8, 8, 8, 8, 5]
    assert_array_equal(decode(engine, data), x)
    tiles = ReferenceEngine(quantize(series_circuit("range=-300..300,neighbour=median,window=3x2,planes=4+6", (5,))))
    x = series(14, (5,))
    data = encode(tiles, x)
    assert [segment.records for segment in streams.parse(data).segments] == [9, 5]
    assert [len(segment.lanes) for segment in streams.parse(data).segments] == [9, 5]
    assert_array_equal(decode(tiles, data), x)


def test_what_streams_refuse() -> None:
    engine = ReferenceEngine(quantize(series_circuit()))
    data = streams.parse(encode(engine, series(8), 2))
    with pytest.raises(StreamError, match=re.escape("rows must have the symbolizer's shape (2,), the header says")):
        decode(engine, replace(data, shape=(8, 4)).pack())
    with pytest.raises(StreamError, match=re.escape("segment 0 must have 1..2 lanes, got 3")):
        lanes = (*data.segments[0].lanes, b"\0")
        decode(engine, replace(data, segments=(streams.Segment(8, lanes),)).pack())
    with pytest.raises(StreamError, match="values must fit uint8, got"):
        decode(engine, replace(data, dtype=np.dtype("u1")).pack())
    with pytest.raises(DataError, match=re.escape("row 1, place (0,): a value must be in -300..300, got 301")):
        encode(engine, np.array([[1, 1], [301, 0]]))
    # Ten bits hold more than the 601 values.
    assert engine.circuit.symbolizer is not None
    records = engine.circuit.symbolizer.apply(series(8)).astype(np.int64)
    records[1, :2] = 9, 63
    lanes = tuple(engine.encode_lanes(records, 2))
    text = "segment 0: record 1 must come from numbers up to 600 at (0, 0), got 639: these symbols belong to no data"
    with pytest.raises(StreamError, match=whole(text)):
        decode(engine, replace(data, segments=(streams.Segment(8, lanes),)).pack())


def test_padding_has_one_form() -> None:
    engine = ReferenceEngine(quantize(series_circuit()))
    symbolizer = engine.circuit.symbolizer
    assert symbolizer is not None
    x = series(7)
    records = symbolizer.apply(x).astype(np.int64)
    assert_array_equal(symbolizer.invert(records, 7), x)
    records[-1, -1] += 1
    lanes = tuple(engine.encode_lanes(records, 1))
    stream = streams.Stream(engine.circuit.digest, x.dtype, x.shape, (streams.Segment(7, lanes),))
    with pytest.raises(StreamError, match="segment 0: records must be those that this symbolizer gives for their data"):
        decode(engine, stream.pack())


def test_files_keep_symbolizers(tmp_path) -> None:  # type: ignore[no-untyped-def]
    circuit = series_circuit()
    save_circuit(circuit, tmp_path / "c.pcedge")
    assert load_circuit(tmp_path / "c.pcedge").symbolizer == circuit.symbolizer
    model = quantize(circuit)
    assert model.symbolizer == circuit.symbolizer
    assert from_onnx(to_onnx(model)).symbolizer == circuit.symbolizer
    assert model.digest != quantize(replace(circuit, symbolizer=None)).digest
    other = replace(circuit, symbolizer=make_symbolizer(SERIES.replace("=20", "=21"), series(1)))
    assert model.digest != quantize(other).digest


def test_tampering_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    circuit = series_circuit()
    path = tmp_path / "c.pcedge"
    save_circuit(circuit, path)
    data = path.read_bytes()
    # The header's JSON is escaped inside safetensors' own.
    amount = b'\\"amount\\":20'
    assert data.count(amount) == 1
    path.write_bytes(data.replace(amount, b'\\"amount\\":21'))
    with pytest.raises(FormatError, match="circuit-checksum"):
        load_circuit(path)
    path.write_bytes(data.replace(amount, b'\\"amount\\":[]'))
    with pytest.raises(FormatError, match=r"circuit-symbolizer: .* offset: amount must be an integer"):
        load_circuit(path)
    model = to_onnx(quantize(circuit))
    (entry,) = (entry for entry in model.metadata_props if entry.key == "pcedge.symbolizer")
    text = entry.value
    for value, rule in ((text.replace('"amount":20', '"amount":21'), "onnx-digest"), (text[:-1], "onnx-symbolizer"),
                        ("null", "onnx-symbolizer"), (text.replace("[4]", "[8]"), "onnx-parameters"),
                        (" " * 2**24 + text, "onnx-size")):  # fmt: skip
        entry.value = value
        with pytest.raises(FormatError, match=f"^{rule}: "):
            from_onnx(model)
    model.metadata_props.remove(entry)
    with pytest.raises(FormatError, match=r"^onnx-digest: "):
        from_onnx(model)


def test_a_symbolizer_of_another_circuit_is_refused() -> None:
    leaf = Circuit((InputLayer(0, np.full((1, 256), 1 / 256)),))
    assert replace(leaf, symbolizer=Symbolizer("uint8", (1,), 0, 255, ())).symbolizer is not None
    text = "the symbolizer must give the 256 symbols of variable 0, it gives 255"
    with pytest.raises(CircuitError, match=whole(text)):
        replace(leaf, symbolizer=Symbolizer("uint8", (1,), 0, 254, ()))
    with pytest.raises(CircuitError, match=whole("the symbolizer must give the circuit's 1 variables, it gives 2")):
        replace(leaf, symbolizer=Symbolizer("uint8", (2,), 0, 255, ()))
    with pytest.raises(CircuitError, match=whole("the symbolizer of a circuit must be a Symbolizer, got str")):
        replace(leaf, symbolizer="auto")  # type: ignore[arg-type]


def test_digests_without_a_symbolizer_stay() -> None:
    """The digest of docs/stream.md's worked example."""
    circuit = quantize(Circuit((InputLayer(0, np.array([[0.25, 0.75]])),)))
    changed = replace(circuit, symbolizer=Symbolizer("uint8", (1,), 0, 1, ()))
    assert changed.digest != circuit.digest == replace(changed, symbolizer=None).digest


def test_mutated_json_is_refused_or_means_something() -> None:
    generator = np.random.default_rng(0)
    steps = (
        Difference(0),
        Neighbour("average", 0),
        Relation(0, (1,), (), 1),
        Offset(-3),
        Window((2, 2)),
        Planes((4, 4)),
    )
    text = Symbolizer("uint8", (4,), 0, 255, steps).to_json()
    refused = 0
    for trial in range(2000):
        data = bytearray(text.encode())
        for _ in range(1 + trial % 3):
            place = int(generator.integers(len(data)))
            data[place] = generator.choice(np.frombuffer(b'0123456789-.,:{}[]"aez', dtype=np.uint8))
        try:
            symbolizer = Symbolizer.from_json(data.decode())
        except UsageError:
            refused += 1
            continue
        x = np.full((3, *symbolizer.shape), symbolizer.high, dtype=symbolizer.dtype)
        assert_array_equal(symbolizer.invert(symbolizer.apply(x), 3), x)
    assert 1000 < refused < 2000


@pytest.mark.parametrize(
    ("text", "shape"),
    [(SERIES, (2,)), ("range=0..255,colour,window=4", (3,)), ("range=0..1500,planes=3+8,window=2", (2,)),
     ("range=0..9,colour,window=2x1,planes=2+3", (2, 3))],
)  # fmt: skip
def test_random_lanes_are_data_or_refused(text: str, shape: tuple[int, ...]) -> None:
    """Right checksums around bytes of others: a StreamError, or data that these symbols belong to."""
    engine = ReferenceEngine(quantize(series_circuit(text, shape)))
    generator = np.random.default_rng(0)
    for trial in range(60):
        lanes = tuple(generator.bytes(int(generator.integers(1, 30))) for _ in range(1 + trial % 2))
        if trial % 3:  # symbols of the circuit, in a lane of the right length
            symbols = generator.integers(0, engine.circuit.cardinalities, (9, len(engine.circuit.cardinalities)))
            assert engine.circuit.symbolizer is not None
            lanes = tuple(engine.encode_lanes(symbols[: engine.circuit.symbolizer.records(5)], len(lanes)))
        stream = streams.Stream(engine.circuit.digest, np.dtype("<i2"), (5, *shape), (streams.Segment(5, lanes),))
        try:
            x = decode(engine, stream.pack())
        except StreamError:
            continue
        assert engine.circuit.symbolizer is not None
        assert encode(engine, x, len(lanes)) == stream.pack()


def test_a_range_that_the_dtype_does_not_reach():
    symbolizer = make_symbolizer("range=200..255", np.array([[200, 255]], dtype=np.uint8))
    with pytest.raises(DataError, match=r"row 0, place \(0,\): a value must be in 200..255, got 1"):
        symbolizer.apply(np.array([[1, 2]], dtype=np.int8))
