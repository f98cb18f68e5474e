"""Version 2 of the stream: its fields, what may be passed over, and every error."""

from __future__ import annotations

import io
import re
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.paths import GOLDEN
from helpers.streams import numbered, small_circuit
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from pcedge.codec import check_stream, decode, encode
from pcedge.codec.container import Stream, parse
from pcedge.codec.fields import Field
from pcedge.codec.files import decode_file, encode_file
from pcedge.data import Columns, Reading, load_array, parse_columns
from pcedge.data.predictor import Group, Predictor
from pcedge.engines import ReferenceEngine
from pcedge.errors import DataError, StreamError, UsageError
from pcedge.learn.classes import Mixture, to_circuit
from pcedge.quantize import quantize

ENGINE = ReferenceEngine(small_circuit())
DATA = numbered(7, (2, 2, 4)).astype(np.uint8)
PLAIN = encode(ENGINE, DATA, 2)
#: what the golden file carries: all fields that stand beside the records, and one that no version defines
FIELDS = {
    Field.SOURCE: b"raw >i2",
    Field.FRAME: b"\x04\0\0\0headtail",
    Field.PADDING: b"\1\2\3",
    Field.INDEX: b"",
    1000: b"?",
}


def head_end(stream: bytes) -> int:
    """Find the end of the header: its shape is that of DATA."""
    return stream.index(b"\x02\x07\x03") + 3


def forged(*fields: bytes, count: int | None = None, version: int = 2) -> bytes:
    """Put fields in a stream, whatever they are, with a right checksum."""
    end = head_end(PLAIN)
    header = PLAIN[:4] + bytes([version]) + PLAIN[5:end]
    header += bytes([len(fields) if count is None else count]) + b"".join(fields)
    return header + zlib.crc32(header).to_bytes(4, "little") + PLAIN[end + 4 :]


def refuse(stream: bytes, text: str) -> None:
    with pytest.raises(StreamError, match=f"^{re.escape(text)}$"):
        decode(ENGINE, stream)


def write_golden() -> None:
    """Write the file anew: only for a new version of the format."""
    (GOLDEN / "stream_fields.bin").write_bytes(encode(ENGINE, DATA, 2, fields=FIELDS))


def test_the_golden_file_decodes_and_is_written_again() -> None:
    stored = (GOLDEN / "stream_fields.bin").read_bytes()
    assert_array_equal(decode(ENGINE, stored), DATA)
    assert dict(parse(stored).fields) == FIELDS
    assert encode(ENGINE, DATA, 2, fields=FIELDS) == stored
    assert parse(stored).pack() == stored
    assert check_stream(ENGINE, DATA, stored, "all") == 7


def test_without_fields_a_stream_is_of_version_1() -> None:
    assert PLAIN[4] == 1 == parse(PLAIN).version
    assert encode(ENGINE, DATA, 2, fields={}) == PLAIN
    one = encode(ENGINE, DATA, 2, fields={1: b"csv"})
    # A byte for each of number, type and length, and the field.
    assert one[4] == 2 and len(one) == len(PLAIN) + 6
    assert one[head_end(one) :][:6] == b"\x01\x01\x03csv"
    assert one[-len(PLAIN) + head_end(PLAIN) + 4 :] == PLAIN[head_end(PLAIN) + 4 :]
    refuse(forged(), "a stream that version 1 can hold must be of it, got 2")


@given(st.dictionaries(st.sampled_from([1, 2, 3, 6, 8, 10, 65536]), st.binary(max_size=300), max_size=7))
@settings(max_examples=30, deadline=None)
def test_fields_come_back_and_change_no_record(fields: dict[int, bytes]) -> None:
    stream = encode(ENGINE, DATA, 2, fields=fields)
    assert dict(parse(stream).fields) == fields
    assert_array_equal(decode(ENGINE, stream), DATA)
    assert parse(stream).segments == parse(PLAIN).segments


@pytest.mark.parametrize("kind", [4, 5, 17, 65535])
def test_what_may_not_be_passed_over_is_refused(kind: int) -> None:
    text = (
        f"the stream must have no field of type {kind}, which this version of pcedge does not understand and may not "
        "pass over: a later version reads it"
    )
    refuse(encode(ENGINE, DATA, 2, fields={kind: b""}), text)


def test_damaged_fields() -> None:
    refuse(forged(b"\1\0", b"\1\0"), "the next field must have a type of 2..65536, got 1")
    refuse(forged(b"\2\0", b"\1\0"), "the next field must have a type of 3..65536, got 1")
    refuse(forged(b"\0\0"), "the next field must have a type of 1..65536, got 0")
    refuse(forged(b"\x81\x80\x04\0"), "the next field must have a type of 1..65536, got 65537")
    refuse(forged(count=65), "a stream must have at most 64 fields, got 65")
    refuse(forged(b"\x81\0\0"), "fields: a count must be written in as few bytes as it needs")
    stream = encode(ENGINE, DATA, 2, fields=FIELDS)
    for end in range(head_end(stream), stream.index(b"?") + 5):
        with pytest.raises(StreamError, match=r"truncated stream|damaged stream"):
            decode(ENGINE, stream[:end])
    long = forged(b"\1\xff\xff\xff\xff\x0f")
    refuse(long, f"field 1 must have 4294967295 bytes, {len(PLAIN) - head_end(PLAIN)} are left: truncated stream")
    with pytest.raises(StreamError, match=r"^the stream must be of version 1 or 2, got 3$"):
        parse(forged(version=3))


@pytest.mark.parametrize("fields", [{0: b""}, {-1: b""}, {65537: b""}, dict.fromkeys(range(1, 66), b"")])
def test_fields_that_are_none(fields: dict[int, bytes]) -> None:
    with pytest.raises(UsageError, match=r"^a stream must have at most 64 fields of types 1\.\.65536, got \["):
        encode(ENGINE, DATA, fields=fields)


@pytest.mark.parametrize("name", [b"|V0", b"|V1000000", b"<f16", b"|O", b"<U9", b"<c8", b"M8"])
def test_types_of_version_2(name: bytes) -> None:
    header = b"\x8ePCE\x02" + small_circuit().digest[:16] + bytes([len(name)]) + name + b"\x01\x07\0"
    text = f"the dtype must be an integer or float type of numpy, or |V and a size, got {name!r}"
    refuse(header + zlib.crc32(header).to_bytes(4, "little"), text)


def test_data_of_another_type_than_the_circuits() -> None:
    digest, segments = small_circuit().digest[:16], parse(PLAIN).segments
    for dtype in (np.dtype("<f4"), np.dtype("V34")):
        text = f"the data must be integers, as the circuit's, the header says {dtype.str}"
        refuse(Stream(digest, dtype, (7, 3), segments).pack(), text)


# -- data of other types, through columns -----------------------------------------------------------------------------


def typed_engine(columns: Columns) -> ReferenceEngine:
    """Make an engine over cells, each predicted as the one above it."""
    ranges = list(dict.fromkeys(columns.ranges))
    groups = tuple(
        Group(low, high, low, (1 if high - low >= 1 << 32 else 1 << 16,)) for low, high in ranges
    )  # fmt: skip
    shape = columns.cell_shape
    stage = Predictor(
        "int64", shape, groups, tuple(ranges.index(span) for span in columns.ranges), ((1, *(0,) * len(shape)),), None,
        (), (), ((0, 0),), 8, 64, source=columns,
    )  # fmt: skip
    tokens = stage.cardinalities[1]
    return ReferenceEngine(quantize(to_circuit(Mixture(np.ones((1, 1)), np.full((1, tokens), 1 / tokens)), stage)))


GRID = np.arange(60, dtype=np.int64).reshape(20, 3)


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", ">f4"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_floats_in_files(tmp_path: Path, dtype: str, order: str) -> None:
    x = np.asarray(GRID / 10, dtype=dtype, order=order)
    engine = typed_engine(Columns.of((GRID / 10).astype(np.dtype(dtype).newbyteorder("<"))))
    np.save(tmp_path / "x.npy", x)
    made = encode_file(engine, tmp_path / "x.npy", Reading(typed=True))
    stream = parse(made.stream)
    assert stream.version == 2 and stream.dtype.str == dtype and stream.shape == (20, 3)
    assert len(stream.fields) == 1 + (order == "F")
    back = decode_file(engine, made.stream)
    assert back.data == (tmp_path / "x.npy").read_bytes()
    assert back.array.dtype.str == dtype and back.array.tobytes() == x.tobytes()
    for of, said in ((GRID.astype(np.uint8), "integers"), ((GRID / 10).astype("<f2"), "of type <f2")):
        other = typed_engine(Columns.of(of, bits=True, each=of.dtype.kind == "f"))
        forged = replace(stream, digest=other.circuit.digest[:16]).pack()
        with pytest.raises(StreamError, match=rf"^the data must be {said}, as the circuit's, the header says {dtype}$"):
            decode(other, forged)


def test_records_with_fields_in_files(tmp_path: Path) -> None:
    points = np.zeros(20, dtype=np.dtype([("a", ">u2"), ("b", "<f4"), ("c", "u1", 2)], align=True))
    points["a"], points["b"], points["c"] = GRID[:, 0], GRID[:, 1] / 4, GRID[:, :2]
    columns = Columns.of(points, parse_columns("a:u2=0..255"))
    engine = typed_engine(columns)
    np.save(tmp_path / "x.npy", points)
    made = encode_file(engine, tmp_path / "x.npy", Reading(typed=True))
    stream = parse(made.stream)
    assert stream.dtype == np.dtype("V12") and stream.shape == (20,) and len(stream.fields) == 1
    back = decode_file(engine, made.stream)
    assert back.data == (tmp_path / "x.npy").read_bytes()
    assert back.array.dtype == points.dtype
    dirty = bytearray((tmp_path / "x.npy").read_bytes())
    dirty[-12 * 7 + 2] = 9  # between a and b of record 13
    (tmp_path / "x.npy").write_bytes(dirty)
    text = r"^row 13: byte 2 of a record lies between its fields and must be 0, got 9; a field of its own keeps it$"
    with pytest.raises(DataError, match=text):
        encode_file(engine, tmp_path / "x.npy", Reading(typed=True))


def test_raw_binary_by_its_columns(tmp_path: Path) -> None:
    specs = parse_columns("a:>u2=0..255,b:float32,c:uint8")
    points = np.zeros(20, dtype=[("a", ">u2"), ("b", "<f4"), ("c", "u1")])
    points["a"], points["b"], points["c"] = GRID[:, 0], GRID[:, 1] / 4, GRID[:, 2]
    (tmp_path / "x.bin").write_bytes(points.tobytes())
    reading = Reading(typed=True, columns=specs)
    x = load_array(tmp_path / "x.bin", reading)
    assert x.dtype == points.dtype and x.tobytes() == points.tobytes()
    engine = typed_engine(Columns.of(x, specs))
    made = encode_file(engine, tmp_path / "x.bin", reading)
    assert dict(parse(made.stream).fields) == {1: b"raw", 7: b""}
    assert decode_file(engine, made.stream).data == points.tobytes()
    (tmp_path / "x.bin").write_bytes(points.tobytes() + b"abc")
    with pytest.raises(DataError, match=r"must hold whole records of 7 bytes, 3 of its 143 bytes are left after 20$"):
        load_array(tmp_path / "x.bin", reading)
    # A circuit knows its columns: nothing has to be told again.
    told = Reading(typed=True, fields=points.dtype)
    made = encode_file(engine, tmp_path / "x.bin", told)
    assert dict(parse(made.stream).fields) == {1: b"raw", 3: b"abc", 7: b""}
    assert decode_file(engine, made.stream).data == points.tobytes() + b"abc"
    np.save(tmp_path / "x.npy", points)
    assert load_array(tmp_path / "x.npy", told).tobytes() == points.tobytes()


def test_tables_of_decimals_come_back(tmp_path: Path) -> None:
    rows = "".join(f"{a},{b / 4:.2f},{c / 10:.1f}\n" for a, b, c in GRID.tolist())
    for head, ending in (("n,volt,temp\n", "\n"), ("", "\r\n")):
        data = (head + rows).replace("\n", ending).encode()
        (tmp_path / "x.csv").write_bytes(data)
        reading = Reading(typed=True)
        engine = typed_engine(Columns.of(load_array(tmp_path / "x.csv", reading), each=True))
        made = encode_file(engine, tmp_path / "x.csv", reading)
        assert made.form is not None and made.form.text == "csv" + " crlf" * (ending != "\n") + " places=0,2,1"
        assert decode_file(engine, made.stream).data == data
        assert decode_file(engine, made.stream, "tsv").data.count(b"\t") == 40 + 2
    # Cells of a column with other numbers of decimals: the values come back, their spelling does not.
    (tmp_path / "x.csv").write_text(rows.replace("0.25,", "0.250,", 1))
    made = encode_file(engine, tmp_path / "x.csv", reading)
    assert made.form is None and "cannot be written again byte for byte" in str(made.note)


@pytest.mark.parametrize("cell", ["", "NA", "?", "-9999"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("rows", "mark", "places"),
    [
        ([(1, 2), (None, 4), (500, None), (-7, -8)], -9999, ""),
        ([(1, 2), (None, 4), (500, None), (-7, -8)], np.nan, " places=0,0"),
        ([(None, 0.25), (1, None), (3, -1.5), (None, None)], -9999, " places=0,2"),
        ([(None, 0.25), (1, None), (3, -1.5), (None, None)], np.nan, " places=0,2"),
    ],
)
def test_tables_with_missing_cells_come_back(
    rows: list[tuple[float | None, ...]], mark: float, places: str, cell: str, ending: str, tmp_path: Path
) -> None:
    """What trained a circuit, an empty cell, say, is encoded with it: its columns know the mark."""
    path = tmp_path / "x.csv"

    def text(gap: str, ending: str) -> bytes:
        cells = [[gap if c is None else f"{c:.2f}" if isinstance(c, float) else str(c) for c in row] for row in rows]
        return ("".join(",".join(row) + ending for row in [["a", "b"], *cells])).encode()

    path.write_bytes(text("", "\n"))
    x = load_array(path, Reading(typed=True, missing=mark))
    engine = typed_engine(Columns.of(x, missing=mark, each=places != ""))
    path.write_bytes(text(cell, ending))
    # Where only floats are marked, a number that says missing has to be told.
    told = Reading(typed=True, missing=-9999) if cell == "-9999" else Reading()
    made = encode_file(engine, path, told)
    assert made.array.dtype == x.dtype and made.array.tobytes() == x.tobytes()
    assert made.form is not None and made.note is None and made.form.text.startswith(
        f"csv{' crlf' * (ending != chr(10))}{places}"
    )  # fmt: skip
    assert decode_file(engine, made.stream).data == path.read_bytes()
    assert check_stream(engine, made.array, made.stream, "all") == 4


@pytest.mark.parametrize(
    ("kind", "shape", "text"),
    [
        ([("n", "<i2"), ("v", "<f8", (2,))], (5,), "float64 of shape (2,) in field 'v'"),
        ([("n", "<i2"), ("p", [("a", "u1"), ("b", "u1")])], (5,), "[('a', 'u1'), ('b', 'u1')] in field 'p'"),
        ([("n", "<i2"), ("z", "<c8")], (5,), "complex64 in field 'z'"),
        ([("n", "<i2"), ("v", "<f8")], (5, 2), "records of shape (2,) a row"),
    ],
)
def test_records_that_no_table_holds(kind: Any, shape: tuple[int, ...], text: str) -> None:
    points = np.zeros(shape, dtype=kind)
    points["n"] = np.arange(points.size).reshape(shape)
    engine = typed_engine(Columns.of(points))
    stream = encode(engine, points)
    told = f"a table must be of records whose fields are numbers, got {text}: an output that ends in .npy holds it"
    with pytest.raises(UsageError, match=f"^{re.escape(told)}$"):
        decode_file(engine, stream, "csv")
    assert_array_equal(np.load(io.BytesIO(decode_file(engine, stream, "npy").data)), points)


def test_tables_with_missing_cells_of_two_spellings_give_their_values(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("1,2\n,NA\n3,4\n")
    engine = typed_engine(Columns.of(load_array(path, Reading(typed=True, missing=-1)), missing=-1))
    made = encode_file(engine, path)
    assert made.form is None and made.array.tolist() == [[1, 2], [-1, -1], [3, 4]]
    assert decode_file(engine, made.stream, "csv").data == b"1,2\n-1,-1\n3,4\n"


def test_a_table_has_the_types_of_the_circuit_it_is_for(tmp_path: Path) -> None:
    """The least type of a later table's values is another one: fewer digits, no decimals, no missing cell."""
    path = tmp_path / "x.csv"
    path.write_text("n,volt\n300,0.25\n,1.50\n-4,\n")
    columns = Columns.of(load_array(path, Reading(typed=True, missing=-9999)), missing=-9999)
    assert columns.source == [("n", "<i2"), ("volt", "<f8")]
    engine = typed_engine(columns)
    for rows in ("7,0.50\n8,0.75\n", "1,2\n3,1\n", ",1\n,2\n", ""):
        path.write_text("n,volt\n" + rows)
        made = encode_file(engine, path)
        assert made.array.dtype == columns.source
        assert decode_file(engine, made.stream).data == path.read_bytes()
    for rows, text in (
        (
            "7,0.5\n40000,1\n",
            ", column 'n', record 1: must fit int16, as the data that the circuit was trained on, got 40",
        ),
        ("7.5,0.5\n", ", column 'n': must hold integers, as in the data that the circuit was trained on, got floats"),
    ):
        path.write_text("n,volt\n" + rows)
        with pytest.raises(DataError, match=re.escape(f"{path}{text}")):
            encode_file(engine, path)
    path.write_text("volt,n\n1,2\n")
    with pytest.raises(
        DataError, match="data must have the columns n, volt in this order, got volt, n: bring them into it"
    ):
        encode_file(engine, path)
