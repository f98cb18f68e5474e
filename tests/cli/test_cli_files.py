"""Files that are encoded come back byte for byte, or as what OUT and --format say; nothing is another thing's name."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import as_json, run
from numpy.testing import assert_array_equal
from strategies import make_circuit

from pcedge.circuit import Circuit, InputLayer, ProductLayer
from pcedge.codec.fields import Field
from pcedge.codec.files import decode_file, encode_file
from pcedge.codec.stream import encode, parse
from pcedge.data import Reading, Symbolizer
from pcedge.data.sounds import packed, wav_header
from pcedge.data.steps import Planes
from pcedge.engines import ReferenceEngine
from pcedge.errors import DataError, StreamError, UsageError
from pcedge.export import write_onnx
from pcedge.quantize import quantize

DICE = np.random.default_rng(0)


def engine_of(dtype: str, columns: int, low: int, high: int) -> ReferenceEngine:
    """Make a circuit over rows of integers of some range, each independent and even."""
    bits = (high - low).bit_length()
    groups = [8] * (bits // 8) + [bits % 8] * (bits % 8 > 0)
    symbolizer = Symbolizer(dtype, (columns,), low, high, (Planes(tuple(groups)),))
    leaves = [InputLayer(v, np.full((1, k), 1 / k)) for v, k in enumerate(symbolizer.cardinalities)]
    product = ProductLayer(tuple(range(len(leaves))), np.zeros((1, len(leaves)), dtype=np.int64))
    return ReferenceEngine(quantize(Circuit((*leaves, product), symbolizer=symbolizer)))


@pytest.fixture(scope="module")
def two() -> ReferenceEngine:
    """Take two columns of int16."""
    return engine_of("int16", 2, -(2**15), 2**15 - 1)


@pytest.fixture(scope="module")
def model(two: ReferenceEngine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "m.onnx"
    write_onnx(two.circuit, path)
    return path


X = DICE.integers(-2000, 2000, (30, 2)).astype("<i2")


def npy(array: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **options)  # type: ignore[arg-type]
    return file.getvalue()


def wav(samples: np.ndarray, number: str) -> bytes:
    data = packed(samples, number)
    return wav_header(8000, samples.shape[1], number, len(data)) + data


def lines(ending: str = "\n", delimiter: str = ",", head: str = "", last: bool = True) -> bytes:
    text = ending.join(delimiter.join(map(str, row)) for row in X.tolist())
    return (head + text + (ending if last else "")).encode()


LIST = b"LIST\4\0\0\0abcd"
RAW = Reading("int16", "2")

#: name: bytes of the file, how it is read, and the source that the stream names
FILES: dict[str, tuple[bytes, Reading, str]] = {
    "plain.npy": (npy(X), Reading(), "npy"),
    "big.npy": (npy(X.astype(">i2")), Reading(), "npy"),
    "fortran.npy": (npy(np.asfortranarray(X)), Reading(), "npy fortran"),
    "floats.npy": (npy(X.astype("<f8")), Reading(), "npy <f8"),
    "other.npy": (npy(X, version=(2, 0)), Reading(), "npy"),
    "old.npy": (npy(X).replace(b" " * 30 + b"\n", b"\t" * 30 + b"\n"), Reading(), "npy"),
    "a.csv": (lines(), Reading(), "csv"),
    "head.csv": (lines(head="left,right\n"), Reading(), "csv"),
    "dos.csv": (lines("\r\n", ";", "\ufeffleft;right\r\n", last=False), Reading(), "csv semicolon crlf open"),
    "bom.csv": (lines(head="\ufeff"), Reading(), "csv"),
    "blank.txt": (lines(delimiter=" "), Reading(), "csv blank"),
    "a.tsv": (lines(delimiter="\t"), Reading(), "tsv"),
    "a.dat": (X.tobytes(), RAW, "raw"),
    "big.dat": (X.astype(">i2").tobytes(), Reading(">i2", "2"), "raw >i2"),
    "odd.dat": (X.tobytes() + b"abc", RAW, "raw"),
    "short.dat": (b"abc", RAW, "raw"),
    "empty.dat": (b"", RAW, "raw"),
    "a.wav": (wav(X, "<i2"), Reading(), "wav"),
    "more.wav": (wav(X, "<i2") + LIST, Reading(), "wav"),
    "three.wav": (wav(X, "<i3"), Reading(), "wav <i3"),
    "bytes.wav": (wav(np.abs(X) % 200, "u1"), Reading(), "wav"),
    "floats.wav": (wav(X, "<f4"), Reading(), "wav <f4"),
    "cut.wav": (wav(X, "<i2")[:-1], Reading(), "wav"),
    "a.idx": (bytes([0, 0, 0x0B, 2, 0, 0, 0, 30, 0, 0, 0, 2]) + X.astype(">i2").tobytes(), Reading(), "idx >i2"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_comes_back_byte_for_byte(two: ReferenceEngine, tmp_path: Path, name: str) -> None:
    data, reading, source = FILES[name]
    (tmp_path / name).write_bytes(data)
    made = encode_file(two, tmp_path / name, reading)
    assert made.note is None and made.form is not None and made.form.text == source
    parsed = parse(made.stream)
    if name in ("plain.npy", "big.npy"):
        assert not set(dict(parsed.fields)) - {Field.STORED} and made.stream == encode(two, np.load(tmp_path / name))
    else:
        assert parsed.version == 2
    back = decode_file(two, made.stream)
    assert back.data == data
    assert back.format == source.split()[0]
    assert_array_equal(back.array, made.array)
    values = decode_file(two, made.stream, "npy")
    assert_array_equal(np.load(io.BytesIO(values.data)), made.array)


def test_one_column_of_npy(tmp_path: Path) -> None:
    one = engine_of("int16", 1, -(2**15), 2**15 - 1)
    for array in (X[:, 0].copy(), X[:, 0].astype(">i2"), X[:, 0].astype("f4")):
        data = npy(array)
        (tmp_path / "x.npy").write_bytes(data)
        made = encode_file(one, tmp_path / "x.npy")
        assert made.form is not None and made.form.text.endswith("flat") and not made.form.head
        assert decode_file(one, made.stream).data == data


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("spaces.csv", b"1, 2\n3, 4\n"),
        ("zeros.csv", b"1,02\n3,4\n"),
        ("plus.csv", b"1,+2\n3,4\n"),
        ("quotes.csv", b'1,2\n3,"4"\n'),
        ("gaps.csv", b"1,2\n\n3,4\n"),
        ("mixed.csv", b"1,2\r\n3,4\n"),
        ("a.pgm", b"P5 2 2 255\n\1\2\3\4"),
    ],
)
def test_what_cannot_come_back_is_said_and_gives_its_values(
    two: ReferenceEngine, tmp_path: Path, name: str, data: bytes
) -> None:
    engine = two if name != "a.pgm" else None
    if engine is None:
        leaves = [InputLayer(v, np.full((1, 256), 1 / 256)) for v in range(4)]
        engine = ReferenceEngine(quantize(Circuit((*leaves, ProductLayer((0, 1, 2, 3), np.zeros((1, 4), int))))))
    path = tmp_path / name
    path.write_bytes(data)
    made = encode_file(engine, path)
    assert made.form is None and parse(made.stream).version == 1
    assert made.note == f"{path} cannot be written again byte for byte: decoding gives its values"
    assert_array_equal(np.load(io.BytesIO(decode_file(engine, made.stream).data)).ravel(), [1, 2, 3, 4])


def test_flac_comes_back_as_wav(two: ReferenceEngine, tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile", reason="the extra audio")
    path = tmp_path / "x.flac"
    soundfile.write(path, X, 16000, subtype="PCM_16")
    made = encode_file(two, path)
    assert made.note == f"{path} comes back as a WAV file of the same samples"
    (tmp_path / "y.wav").write_bytes(decode_file(two, made.stream).data)
    samples, rate = soundfile.read(tmp_path / "y.wav", dtype="int16")
    assert rate == 16000
    assert_array_equal(samples, X)


# -- the commands -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files")
    for name, (data, _, _) in FILES.items():
        (path / name).write_bytes(data)
    return path


def test_a_suffix_says_what_a_file_holds(model: Path, folder: Path, tmp_path: Path) -> None:
    as_json("encode", model, folder / "head.csv", tmp_path / "x.pce")
    decode = ("decode", model, tmp_path / "x.pce")
    result = as_json(*decode, tmp_path / "y.csv")
    assert result["format"] == "csv" and result["dtype"] == "int16" and result["shape"] == [30, 2]
    assert (tmp_path / "y.csv").read_bytes() == FILES["head.csv"][0]
    as_json(*decode, tmp_path / "y")
    assert (tmp_path / "y").read_bytes() == FILES["head.csv"][0]
    assert "format" not in as_json(*decode, tmp_path / "y.npy")
    assert_array_equal(np.load(tmp_path / "y.npy"), X)
    as_json(*decode, tmp_path / "y.tsv")
    assert (tmp_path / "y.tsv").read_bytes() == FILES["a.tsv"][0]
    as_json(*decode, tmp_path / "y.bin", "--format", "raw")
    assert (tmp_path / "y.bin").read_bytes() == X.tobytes()
    as_json(*decode, tmp_path / "y.bin", "--format", "npy")
    assert_array_equal(np.load(tmp_path / "y.bin"), X)
    for out, words, text in (
        ("z.wav", (), "a WAV file must have a sample rate, which only a stream of a WAV or FLAC file carries"),
        ("z.idx", (), "an IDX file must have its header, which only a stream of an IDX file carries, for all "
                      "its records; .npy holds any array"),
        ("z.png", (), "the output must have a suffix of what can be written, .npy, .csv, .tsv, .idx, .wav, .wave, or "
                      "one that says nothing, got z.png"),
        ("z.h5", (), "got z.h5"),
        ("z.csv", ("--format", "npy"), "the output must hold what its suffix says, csv, not npy: z.csv"),
        ("z", ("--format", "flac"), "'flac' is not one of 'npy', 'csv', 'tsv', 'raw', 'wav', 'idx'"),
    ):  # fmt: skip
        done = run(*decode, tmp_path / out, *words)
        assert done.exit_code == 2 and text in " ".join(done.stderr.split())
        assert not (tmp_path / out).exists()


def test_what_is_said_of_a_source(model: Path, folder: Path, tmp_path: Path) -> None:
    result = as_json("encode", model, folder / "odd.dat", tmp_path / "x.pce", "--dtype", "int16", "--shape", "2",
                     "--verify", "all")  # fmt: skip
    assert result["source"] == "raw" and result["records"] == result["verified_records"] == 30
    info = as_json("info", tmp_path / "x.pce")
    assert (info["version"], info["source"], info["fields"]) == (2, "raw", [1, 3, 11])
    as_json("decode", model, tmp_path / "x.pce", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == FILES["odd.dat"][0]
    (tmp_path / "x.csv").write_bytes(b"1, 2\n")
    done = run("encode", model, tmp_path / "x.csv", tmp_path / "x.pce", "--json")
    assert json.loads(done.stdout)["source"] is None
    assert (
        f"warning: {tmp_path / 'x.csv'} cannot be written again byte for byte: decoding gives its values" in done.stderr
    )
    # Old ones: a stream that names no source gives .npy where nothing says another format.
    as_json("encode", model, folder / "plain.npy", tmp_path / "x.pce")
    info = as_json("info", tmp_path / "x.pce")
    assert info["source"] == "npy" and 1 not in info["fields"]
    as_json("decode", model, tmp_path / "x.pce", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == FILES["plain.npy"][0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs /dev/stdin")
def test_a_dash_is_stdin_and_stdout(model: Path, folder: Path) -> None:
    def pcedge(*words: object, given: bytes) -> bytes:
        done = subprocess.run([sys.executable, "-m", "pcedge", *map(str, words)], input=given, capture_output=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    for name, words in (("a.wav", ()), ("plain.npy", ()), ("odd.dat", ("--dtype", "int16", "--shape", "2"))):
        data = FILES[name][0]
        stream = pcedge("encode", model, "-", "-", *words, given=data)
        assert parse(stream).shape == (30, 2)
        assert pcedge("decode", model, "-", "-", given=stream) == data
    assert_array_equal(np.load(io.BytesIO(pcedge("decode", model, "-", "-", "--format", "npy", given=stream))), X)


# -- forged streams ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({Field.SOURCE: b"png"}, "the source of the data must be a form that can be written, got 'png'"),
        ({Field.SOURCE: b"csv of mine"}, ".* must be a form that can be written, got 'csv of mine'"),
        ({Field.SOURCE: b"csv missing=1e3:"}, ".* must be a form that can be written, got 'csv missing=1e3:'"),
        ({Field.SOURCE: b"npy <u3"}, "the source of the data must be a form that can be written, got 'npy <u3'"),
        ({Field.SOURCE: b"\xff"}, r"field 1 must be ASCII, got b'\\xff'"),
        ({Field.SOURCE: b"raw", Field.FRAME: b"\1\0\0"},
         "field 2 must have 4 bytes of a length and 1 more, it has 3"),
        ({Field.SOURCE: b"raw", Field.FRAME: b"\2\0\0\0a"},
         "field 2 must have 4 bytes of a length and 2 more, it has 5"),
    ],
)  # fmt: skip
def test_sources_that_are_none(two: ReferenceEngine, fields: dict[int, bytes], text: str) -> None:
    stream = encode(two, X, fields=fields)
    assert_array_equal(parse(stream).shape, X.shape)
    with pytest.raises(StreamError, match=f"^{text}$"):
        decode_file(two, stream)


@pytest.mark.parametrize("source", [b"npy <u1", b"raw <i1", b"wav u1", b"npy b1"])
def test_numbers_that_do_not_fit_the_form(two: ReferenceEngine, source: bytes) -> None:
    stream = encode(two, X, fields={Field.SOURCE: source, Field.FRAME: b"\1\0\0\0a"})
    with pytest.raises(DataError, match=r"^the numbers must fit .*, they do not$"):
        decode_file(two, stream)


def test_the_front_door(two: ReferenceEngine, folder: Path) -> None:
    import pcedge

    stream = pcedge.encode_file(two.circuit, folder / "more.wav", lanes=2)
    assert pcedge.decode_file(two.circuit, stream) == FILES["more.wav"][0]
    assert_array_equal(np.load(io.BytesIO(pcedge.decode_file(two.circuit, stream, "npy"))), X)
    assert_array_equal(pcedge.decode(two.circuit, stream), X)
    with pytest.raises(UsageError, match=r"^the format must be one of npy, csv, .*, got 'png'$"):
        pcedge.decode_file(two.circuit, stream, "png")


def test_a_table_by_its_suffix_never_holds_numpys_bytes(tmp_path: Path) -> None:
    circuit = quantize(make_circuit(1, 3, 2, 4, "chain"))
    write_onnx(circuit, tmp_path / "m.onnx")
    x = np.random.default_rng(0).integers(0, circuit.cardinalities, (9, 3)).astype(np.uint8)
    np.save(tmp_path / "x.npy", x)
    assert run("encode", tmp_path / "m.onnx", tmp_path / "x.npy", tmp_path / "x.pce").exit_code == 0
    for name in ("y.txt", "y.data"):
        said = run("decode", tmp_path / "m.onnx", tmp_path / "x.pce", tmp_path / name)
        assert said.exit_code == 2 and "--format csv writes one" in " ".join(said.stderr.split())
        assert not (tmp_path / name).exists()
        assert run("decode", tmp_path / "m.onnx", tmp_path / "x.pce", tmp_path / name, "--format", "csv").exit_code == 0
        assert (tmp_path / name).read_text().splitlines()[0] == ",".join(map(str, x[0]))
