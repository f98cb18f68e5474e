"""Readers of images, tables and raw binary: what they give, what they refuse by name, and damaged files."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from helpers.messages import whole
from numpy.testing import assert_array_equal

from pcedge.data import Reading, load_array, load_data, load_labels, table_head
from pcedge.data.table import DECIMALS, WORDS
from pcedge.errors import DataError, MissingToolError, UsageError


def refusal(path: Path, reading: Reading | None = None) -> str:
    with pytest.raises(DataError) as caught:
        load_array(path, reading or Reading())
    return str(caught.value)


def pgm(pixels: np.ndarray, most: int, text: bool = False) -> bytes:  # type: ignore[type-arg]
    height, width = pixels.shape
    head = f"P{2 if text else 5}\n# a comment\n{width} {height}\n{most}\n".encode()
    body = (
        " ".join(map(str, pixels.ravel())).encode() if text else pixels.astype(">u2" if most > 255 else "u1").tobytes()
    )
    return head + body


PIXELS = np.arange(12).reshape(3, 4)


# -- images -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [11, 255, 1000])
@pytest.mark.parametrize("text", [False, True])
def test_pgm_values_are_not_scaled(tmp_path: Path, most: int, text: bool) -> None:
    for name in ("b.pgm", "a.PGM"):
        (tmp_path / name).write_bytes(pgm(PIXELS + (name == "b.pgm") * 0, most, text))
    (tmp_path / "notes.txt").write_text("not an image")
    x = load_array(tmp_path)
    assert x.shape == (2, 3, 4) and x.dtype == ("uint8" if most < 256 else "uint16")
    assert (x == PIXELS).all()
    assert (load_array(tmp_path / "b.pgm") == PIXELS[None]).all()


@pytest.mark.parametrize(
    ("mode", "dtype", "shape"),
    [("1", "bool", ()), ("L", "uint8", ()), ("I;16", "uint16", ()), ("LA", "uint8", (2,)), ("RGB", "uint8", (3,)),
     ("RGBA", "uint8", (4,))],
)  # fmt: skip
def test_png_modes(tmp_path: Path, mode: str, dtype: str, shape: tuple[int, ...]) -> None:
    image = pytest.importorskip("PIL.Image")
    generator = np.random.default_rng(0)
    most = 2 if dtype == "bool" else int(np.iinfo(dtype).max) + 1
    pixels = generator.integers(0, most, size=(5, 3, *shape)).astype(dtype)
    made = image.fromarray(pixels) if mode != "1" else image.fromarray(pixels.astype(np.uint8) * 255).convert("1")
    assert made.mode == mode
    made.save(tmp_path / "a.png")
    x = load_array(tmp_path)
    assert x.dtype == dtype and (x == pixels[None]).all()


def test_folders_of_splits(tmp_path: Path) -> None:
    for name, count in (("train", 3), ("test", 2), ("valid", 1)):
        (tmp_path / name).mkdir()
        for place in range(count):
            (tmp_path / name / f"{place}.pgm").write_bytes(pgm(PIXELS + place, 255))
    splits = load_data(tmp_path)
    assert [len(part) for part in (splits.train, splits.valid, splits.test) if part is not None] == [3, 1, 2]
    assert [int(image[0, 0]) for image in splits.train] == [0, 1, 2]  # sorted by name
    assert len(load_array(tmp_path)) == 2
    (tmp_path / "x.pgm").write_bytes(pgm(PIXELS, 255))
    assert refusal(tmp_path) == f"{tmp_path} must hold images or the folders train, valid, test, it holds both"


def test_images_of_one_size_and_mode(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(pgm(PIXELS, 255))
    (tmp_path / "b.pgm").write_bytes(pgm(PIXELS.T, 255))
    text = f"all images must be of one size and mode, a.pgm is 4x3 PGM uint8, {tmp_path / 'b.pgm'} is 3x4 PGM uint8"
    assert refusal(tmp_path) == text
    (tmp_path / "b.pgm").write_bytes(pgm(PIXELS, 999))
    assert refusal(tmp_path).endswith("b.pgm is 4x3 PGM uint16")


def test_an_empty_folder(tmp_path: Path) -> None:
    text = f"{tmp_path} must hold .png or .pgm images, .wav or .flac recordings, or folders named train, valid, test "
    assert refusal(tmp_path) == f"{text}of images; it holds none"
    for name in ("a", "b"):
        (tmp_path / f"{name}.npy").write_bytes(b"")
    many = "of images; it holds 2 .npy files: join the arrays of such files in one (numpy.concatenate)"
    assert refusal(tmp_path) == text + many


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_a_decompression_bomb_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    for side in (9_500, 12_000, 60_000):
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
        data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
        (tmp_path / "a.png").write_bytes(data)
        text = refusal(tmp_path / "a.png")
        assert text.startswith(f"{tmp_path / 'a.png'} must be a whole PNG image (")
    (tmp_path / "a.pgm").write_bytes(b"P5 99999999 99999999 255\n")
    assert refusal(tmp_path / "a.pgm").endswith("must have at most 134217728 pixels, got 99999999x99999999")


def test_a_png_with_other_pixels_than_its_checksums_is_refused(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    image.fromarray(pixels).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    # Stored, not compressed: a changed byte is a changed pixel, which Pillow reads without a word.
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header, end = whole[:33], chunk(b"IEND", b"")
    stored = header + chunk(b"IDAT", zlib.compress(rows, 0)) + end
    (tmp_path / "a.png").write_bytes(stored)
    assert_array_equal(load_array(tmp_path / "a.png")[0], pixels)
    place = stored.index(bytes(pixels[1])) + 2
    (tmp_path / "a.png").write_bytes(stored[:place] + b"\x07" + stored[place + 1 :])
    text = refusal(tmp_path / "a.png")
    assert text.startswith(f"{tmp_path / 'a.png'}: the checksum of the chunk at byte 33 must be ")
    assert text.endswith(": damaged image")
    (tmp_path / "a.png").write_bytes(stored[: -len(end)])
    assert refusal(tmp_path / "a.png").endswith(f"it ends within the chunk at byte {len(stored) - len(end)}")
    (tmp_path / "a.png").write_bytes(b"P5 1 1 255\n.")
    assert refusal(tmp_path / "a.png").endswith("must be a whole PNG image, it does not start as one")
    # What follows the end is none of the image's.
    (tmp_path / "a.png").write_bytes(stored + b"more")
    assert_array_equal(load_array(tmp_path / "a.png")[0], pixels)


def test_palettes_and_animations_are_refused(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    image.fromarray(pixels).convert("P").save(tmp_path / "a.png")
    assert refusal(tmp_path / "a.png").endswith("must be of mode 1, L, LA, RGB, RGBA, I;16, I;16B, got P")
    frames = [image.fromarray(pixels + place) for place in range(2)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    assert refusal(tmp_path / "a.png").endswith("must hold one image, it holds 2")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "must start with a PGM header: P5 or P2, width, height and largest value"),
        (b"P6 1 1 255\n...", "must start with a PGM header: P5 or P2, width, height and largest value"),
        (b"P5 0 1 255\n", "must have a size and a largest value of 1..65535, got 0x1, 255"),
        (b"P5 1 1 65536\n..", "must have a size and a largest value of 1..65535, got 1x1, 65536"),
        (b"P5 2 2 255\nabc", "must hold 4 bytes of pixels, it holds 3"),
        (b"P5 1 1 300\nab\n", "must hold 2 bytes of pixels, it holds 3"),
        (b"P5 1 1 9\nA", "must hold values up to 9, got 65"),
        (b"P2 2 1 9\n1 -1", "must hold 2 numbers, it holds 2 words"),
        (b"P2 2 1 9\n1", "must hold 2 numbers, it holds 1 words"),
    ],
)
def test_pgm_refusals(tmp_path: Path, data: bytes, text: str) -> None:
    (tmp_path / "a.pgm").write_bytes(data)
    assert refusal(tmp_path / "a.pgm") == f"{tmp_path / 'a.pgm'} {text}"


def test_a_missing_pillow_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(MissingToolError, match=r"reading PNG images needs the package pillow.*pcedge\[images\]"):
        load_array(tmp_path / "a.png")


# -- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " "])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_tables(tmp_path: Path, delimiter: str, header: bool, ending: str) -> None:
    lines = [
        delimiter.join(row) for row in ([["a", '"b"', "c"]] if header else []) + [["1", "-2", "3"], ["4", "5", "+6"]]
    ]
    path = tmp_path / "a.csv"
    path.write_bytes(("\ufeff" * header + ending.join([*lines, "", ""])).encode())
    x = load_array(path)
    assert x.dtype == np.int8 and x.tolist() == [[1, -2, 3], [4, 5, 6]]
    assert load_data(path).train.tolist() == x.tolist()
    assert load_array(path, Reading("int32")).dtype == np.int32


@pytest.mark.parametrize(
    ("values", "dtype"),
    [("0,255", "uint8"), ("0,256", "uint16"), ("0,65536", "uint32"), (f"0,{2**64 - 1}", "uint64"), ("-1,127", "int8"),
     ("-1,128", "int16"), ("-1,32768", "int32"), (f"-1,{2**63 - 1}", "int64")],
)  # fmt: skip
def test_a_table_has_the_smallest_dtype(tmp_path: Path, values: str, dtype: str) -> None:
    (tmp_path / "a.csv").write_text(values)
    assert load_array(tmp_path / "a.csv").dtype == dtype
    assert load_array(tmp_path / "a.csv").tolist() == [[int(value) for value in values.split(",")]]


def test_empty_cells_are_missing_only_with_a_marker(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,y\n1,\n,4\n")
    text = f"{path}, line 2, column 'y': a cell must hold an integer, it is empty{MARK}"
    assert refusal(path) == text
    assert load_array(path, Reading(missing=-1)).tolist() == [[1, -1], [-1, 4]]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("", " must hold at least one line of integers, it is empty"),
        ("a,b\n1,2.5\n", ", line 2, column 'b': a cell must hold an integer, got the float '2.5'" + DECIMALS),
        ("1,2\n3,1e3\n", ", line 2, column 2: a cell must hold an integer, got the float '1e3'" + DECIMALS),
        ("1.5,2\n", ", line 1, column 1: a cell must hold an integer, got the float '1.5'" + DECIMALS),
        ("a,2\n", ", line 1, column 1: a cell must hold an integer, got 'a'; --header takes the line as names"),
        (
            "a,b\n1,nan\n",
            ", line 2, column 'b': a cell must hold an integer, got 'nan'; loglik and score take it; train and encode "
            "do with --missing",
        ),
        ("a,b\n1,-inf\n", ", line 2, column 'b': a cell must hold an integer, got the float '-inf'"),
        ("a,b\n1,1_000\n", ", line 2, column 'b': a cell must hold an integer, got '1_000'" + WORDS),
        ("1,2\n3\n", ", line 2: must have 2 cells like the first line, got 1"),
        ("1,2\n3,4,5\n", ", line 2: must have 2 cells like the first line, got 3"),
        ("-1,18446744073709551615\n", " must hold integers that fit int64, got -1..18446744073709551615"),
    ],
)
def test_table_refusals(tmp_path: Path, data: str, text: str) -> None:
    (tmp_path / "a.csv").write_text(data)
    assert refusal(tmp_path / "a.csv") == f"{tmp_path / 'a.csv'}{text}"


NAN_LINE = "it is empty; loglik and score take it; train and encode do with --missing; --header takes the line as names"
GOT = "a cell must hold an integer, got"
NAMES = "; --header takes the line as names"
MARK = "; loglik and score take it; train and encode do with --missing"


@pytest.mark.parametrize(
    ("data", "rows", "refused"),
    [
        (",\n0,1\n", [[-1, -1], [0, 1]], f", line 1, column 1: a cell must hold an integer, {NAN_LINE}"),
        ("NA,NA\n0,1\n", [[-1, -1], [0, 1]], f", line 1, column 1: {GOT} 'NA'{MARK}{NAMES}"),
        ("?,?\n0,1\n", [[-1, -1], [0, 1]], f", line 1, column 1: {GOT} '?'{MARK}{NAMES}"),
        ("?,\n0,1\n", [[-1, -1], [0, 1]], f", line 1, column 1: {GOT} '?'{MARK}{NAMES}"),
        ("a,b\n0,1\nNaN,2\n1,NA\n", [[0, 1], [-1, 2], [1, -1]], f", line 3, column 'a': {GOT} 'NaN'{MARK}"),
        ("1\nnull\nN/A\n<NA>\n-nan", [[1], [-1], [-1], [-1], [-1]], f", line 2, column 1: {GOT} 'null'{MARK}"),
        ("\t\n1\t2\n", [[-1, -1], [1, 2]], f", line 1, column 1: a cell must hold an integer, {NAN_LINE}"),
        ("\t1\n\t2\n", [[-1, 1], [-1, 2]], f", line 1, column 1: a cell must hold an integer, {NAN_LINE}"),
        ("\t\n", [[-1, -1]], f", line 1, column 1: a cell must hold an integer, {NAN_LINE}"),
        ('""\n1\n', [[-1], [1]], f", line 1, column 1: a cell must hold an integer, {NAN_LINE}"),
        ('x\n1\n""\n', [[1], [-1]], ", line 3, column 'x': a cell must hold an integer, it is empty; "
         "loglik and score take it; train and encode do with --missing"),
        ("x\n1\n\n3\n\n\n", [[1], [-1], [3]], ", line 3, column 'x': a cell must hold an integer, it is empty; "
         "loglik and score take it; train and encode do with --missing"),
        ("\n1\n", [[-1], [1]], f", line 1, column 1: a cell must hold an integer, {NAN_LINE}"[: -len(NAMES)]),
        ("NA\n\n1\n", [[-1], [-1], [1]], f", line 1, column 1: {GOT} 'NA'{MARK}{NAMES}"),
        ("1,2,\n3,4,\n", [[1, 2, -1], [3, 4, -1]], ", line 1, column 3: a cell must hold an integer, " + NAN_LINE),
    ],
)  # fmt: skip
def test_no_record_of_missing_values_is_lost(tmp_path: Path, data: str, rows: list[list[int]], refused: str) -> None:
    """A line of missing values alone is a record, wherever it stands and however missing is written."""
    path = tmp_path / "a.csv"
    path.write_text(data)
    assert load_array(path, Reading(missing=-1)).tolist() == rows
    assert refusal(path) == f"{path}{refused}"
    head = table_head(path, Reading(missing=-1))
    assert head is not None and (head.names is None) == (data[0] not in "ax")


@pytest.mark.parametrize(
    ("data", "names", "rows"),
    [
        ("a,b\n1,2\n", ("a", "b"), [[1, 2]]),
        ("\n\nx\n1\n", ("x",), [[1]]),  # blank lines before names are no values
        ('"","a"\n1,2\n', ("", "a"), [[1, 2]]),
        ("Na,K\n1,2\n", ("Na", "K"), [[1, 2]]),
        ("1st,2nd\n1,2\n", ("1st", "2nd"), [[1, 2]]),
        ('"a\n(cm)",b\n1,2\n', ("a\n(cm)", "b"), [[1, 2]]),
        ("ä;é\r\n1;2\r\n", ("ä", "é"), [[1, 2]]),
        ("a,b\r1,2\r3,4\r", ("a", "b"), [[1, 2], [3, 4]]),
        ("# a,b\n1,2\n", ("# a", "b"), [[1, 2]]),
        ("a,b\n", ("a", "b"), []),
        ("1,2\n3,4\n", None, [[1, 2], [3, 4]]),
        ('"1","2"\n"3","4"\n', None, [[1, 2], [3, 4]]),
        ('"1","2"\n', None, [[1, 2]]),
        ("1,2\n\n \n3,4\n", None, [[1, 2], [3, 4]]),
        ("1\t2\r\n3\t4", None, [[1, 2], [3, 4]]),
    ],
)
def test_what_is_a_header(tmp_path: Path, data: str, names: tuple[str, ...] | None, rows: list[list[int]]) -> None:
    path = tmp_path / "a.csv"
    path.write_text(data, newline="")
    assert load_array(path).tolist() == rows
    head = table_head(path)
    assert head is not None and head.names == names
    chosen = Reading(header=names is not None)
    assert load_array(path, chosen).tolist() == rows
    head = table_head(path, chosen)
    assert head is not None and head.names == names


@pytest.mark.parametrize("line", ["1.5,2.5", "1e3,2e3", "1_000,2_000", "2021-01-02,2021-01-03", "12:30,12:31", "5%,6%",
                                  "$5,$6", '"1,234","5,678"', "0x10,0x20", "-,-", "inf,-inf", "1 000,2 000", "1\0,2\0",
                                  "a\0,b\0", '"a\n1,2\n",b', "(5),(6)", ".,.", "NA NA,NA", '"NA\nNA",NA'])  # fmt: skip
def test_values_in_other_spellings_are_no_header(tmp_path: Path, line: str) -> None:
    """No first line is passed over that may be a record: it is refused, and the header's option decides."""
    path = tmp_path / "a.csv"
    path.write_text(f"{line}\n3,4\n")
    text = refusal(path)
    number = 1 + line.count("\n")
    assert text.startswith(f"{path}, line {number}, column 1: {GOT} "), text
    assert refusal(path, Reading(header=False)) == text.removesuffix(NAMES)
    assert load_array(path, Reading(header=True)).tolist() == [[3, 4]]


def test_numbers_in_quotes_alone_at_the_top_may_be_names(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('"2021","2022"\n5,6\n')
    assert refusal(path) == (
        f"{path}, line 1: its numbers are in quotes and no others are, so they may be names; "
        "--header takes them as names, --no-header as a record"
    )
    assert load_array(path, Reading(header=True)).tolist() == [[5, 6]]
    assert load_array(path, Reading(header=False)).tolist() == [[2021, 2022], [5, 6]]


def test_a_header_is_what_the_reading_says(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("0,1,2\n5,6,7\n")
    head = table_head(path)
    assert head is not None and head.counted and head.names is None
    assert load_array(path, Reading(header=True)).tolist() == [[5, 6, 7]]
    head = table_head(path, Reading(header=True))
    assert head is not None and head.names == ("0", "1", "2") and not head.counted
    path.write_text("a,b\n5,6\n")
    assert refusal(path, Reading(header=False)) == f"{path}, line 1, column 1: a cell must hold an integer, got 'a'"
    for text, counted in (("1,2,3", True), ("0,1", False), ("0,1,3", False), ("0,1,02", False)):
        path.write_text(text)
        head = table_head(path)
        assert head is not None and head.counted == counted
    path.write_text(" \n")
    assert table_head(path) is None
    assert refusal(path).endswith("must hold at least one line of integers, it is empty")
    np.save(tmp_path / "a.npy", PIXELS)
    assert table_head(tmp_path / "a.npy") is None
    for source in (tmp_path / "a.npy", "digits"):
        text = f"{source} is no table, whose first line could be a header: it takes neither yes nor no"
        with pytest.raises(UsageError, match=whole(text)):
            load_array(source, Reading(header=True))


def test_text_by_other_names(tmp_path: Path) -> None:
    """.data and .txt are tables; with a dtype and a shape they are raw binary, with a dtype alone what they hold."""
    for name in ("x.ts.data", "x.TXT"):
        path = tmp_path / name
        path.write_text("0,1,0,1\n1,0,1,1\n")
        assert load_array(path).tolist() == [[0, 1, 0, 1], [1, 0, 1, 1]]
        assert load_array(path, Reading("uint8", "16")).tolist() == [list(b"0,1,0,1\n1,0,1,1\n")]
        table = load_array(path, Reading("int16"))
        assert table.tolist() == [[0, 1, 0, 1], [1, 0, 1, 1]] and table.dtype == np.int16
        for text in (b"0,1,0,1\n1,0,1\n", b"0,1,x\n1,0,1\n", b"0,1,0,1,1,0,1,1", b"0,1;2\n0,1;2\n", bytes(8)):
            path.write_bytes(text)  # no table: its bytes
            assert load_array(path, Reading("uint8")).tolist() == [[byte] for byte in text]
        path.write_bytes(b"\x00\x01\x02\xff")
        assert refusal(path).startswith(f"{path} must be a whole table in UTF-8 (UnicodeDecodeError: ")
    labels = tmp_path / "y.csv"
    labels.write_text("class\n3\n1\n")
    assert load_labels(labels).tolist() == [3, 1]
    labels.write_text("3\n1\n")
    assert load_labels(labels, Reading(header=True)).tolist() == [1]


def test_tables_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xff\xfe1\0,\0")
    assert refusal(path).startswith(f"{path} must be a whole table in UTF-8 (UnicodeDecodeError: ")
    path.write_text('1,"2\n')
    assert refusal(path).startswith(f"{path} must be a whole table in UTF-8 (Error: ")
    path.write_text("300,1\n")
    assert refusal(path, Reading("uint8")) == f"{path} must hold integers that fit uint8, got 1..300"
    with pytest.raises(UsageError, match="is a table, whose lines are the records: it takes no shape"):
        load_array(path, Reading("int16", "2"))
    path.write_text("a,b\n")
    with pytest.raises(DataError, match=r"split train must hold at least one record, got shape \(0, 2\)"):
        load_data(path)


# -- raw binary -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int16", "<i2", ">i2", "uint8", "|u1", ">u8", "i4", "int64"])
@pytest.mark.parametrize("shape", [None, "2", "2x3"])
def test_raw_binary(tmp_path: Path, dtype: str, shape: str | None) -> None:
    expected = np.arange(12).reshape(-1, *([1] if shape is None else map(int, shape.split("x"))))
    path = tmp_path / "record.dat"
    stored = np.dtype(dtype) if dtype[0] == ">" else np.dtype(dtype).newbyteorder("<")
    path.write_bytes(expected.astype(stored).tobytes())
    x = load_array(path, Reading(dtype, shape))
    assert x.dtype.isnative and x.dtype.name == np.dtype(dtype).name
    assert x.shape == expected.shape and (x == expected).all()


def test_raw_refusals(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"\0" * 11)
    text = f"{path} must hold whole records of 4 bytes, 3 of its 11 bytes are left after 2"
    assert refusal(path, Reading("int16", "2")) == text
    assert refusal(path).endswith("or be raw binary with --dtype, got .bin")
    path.write_bytes(b"\0\1\2")
    assert refusal(path, Reading("bool")) == f"{path} must hold bytes 0 and 1 for bool, it holds others"
    for dtype in ("float32", "f4", "O", "i3", "int16 ", "=i2", "(2,)i2", "U4", "M8"):
        text = f"the dtype must be an integer type of numpy such as int16, <i2 or u1, got {dtype!r}"
        with pytest.raises(UsageError, match=whole(text)):
            Reading(dtype)
    for shape in ("", "0", "2x", "x2", "-1", "2,3", "9" * 10, "x".join("1" * 16)):
        text = f"the shape of a record must be sizes such as 64 or 64x2, got {shape!r}"
        with pytest.raises(UsageError, match=whole(text)):
            Reading("int16", shape)
    with pytest.raises(UsageError, match="the shape of a record is for raw binary, which needs a dtype too"):
        Reading(None, "2")
    np.save(tmp_path / "a.npy", PIXELS)
    for known in (tmp_path / "a.npy", tmp_path):
        with pytest.raises(UsageError, match="says itself of which dtype and shape its numbers are: it takes neither"):
            load_array(known, Reading("int16"))


# -- fuzz -------------------------------------------------------------------------------------------------------------


def test_damaged_files(tmp_path: Path) -> None:
    """Truncations and flipped bytes give a DataError or an integer array, and nothing else."""
    image = pytest.importorskip("PIL.Image")
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, size=(9, 7, 3)).astype(np.uint8)
    image.fromarray(pixels).save(tmp_path / "a.png")
    image.fromarray(pixels[:, :, 0]).convert("1").save(tmp_path / "b.png")
    (tmp_path / "a.pgm").write_bytes(pgm(PIXELS, 300))
    (tmp_path / "b.pgm").write_bytes(pgm(PIXELS, 11, text=True))
    (tmp_path / "a.csv").write_text("x;y\n1;2\n-3;400\n")
    readings = {"a.csv": Reading(missing=0)}
    for name in ("a.png", "b.png", "a.pgm", "b.pgm", "a.csv"):
        original = (tmp_path / name).read_bytes()
        refused = 0
        for trial in range(400):
            data = bytearray(original)
            if trial % 4 == 0:
                data = data[: generator.integers(len(data))]
            elif trial % 4 == 3:
                place = int(generator.integers(len(data)))
                data[place:place] = generator.bytes(int(generator.integers(1, 5)))
            else:
                for place in generator.integers(len(data), size=trial % 4):
                    data[place] ^= 1 << generator.integers(8)
            (tmp_path / f"x{name}").write_bytes(data)
            try:
                assert load_array(tmp_path / f"x{name}", readings.get(name, Reading())).dtype.kind in "iub"
            except DataError:
                refused += 1
        assert refused >= 100, name


def test_lines_of_empty_cells_are_records(tmp_path):
    path = tmp_path / "m.csv"
    path.write_text("1,2\n,\n\n3,4\n")
    assert_array_equal(load_array(path, Reading(missing=-1)), [[1, 2], [-1, -1], [3, 4]])
    with pytest.raises(DataError, match="line 2"):
        load_array(path)
    path.write_text("1 2 \n \n 3 4\n")
    assert_array_equal(load_array(path), [[1, 2], [3, 4]])


@pytest.mark.parametrize(("bits", "colour", "channels"), [(16, 2, 3), (16, 6, 4), (16, 4, 2), (4, 0, 1), (2, 0, 1)])
def test_png_depths_that_would_lose_bits_are_refused(tmp_path, bits, colour, channels):
    pytest.importorskip("PIL", reason="PNG needs Pillow")

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    row = b"\0" + bytes(8 * channels * bits // 8)
    header = (8).to_bytes(4, "big") + (1).to_bytes(4, "big") + bytes([bits, colour, 0, 0, 0])
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    with pytest.raises(DataError, match="must have 8 bits a channel, or 1 or 16 bits of grey alone, got"):
        load_array(tmp_path / "deep")
