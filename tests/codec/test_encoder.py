"""Streams that come piece by piece, and records that are appended: the bytes are those of all records at once."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import as_json, run
from helpers.messages import whole
from helpers.predictors import STAGE, circuit_of
from helpers.series import series, series_circuit
from helpers.streams import leaf, numbered, small_circuit
from numpy.testing import assert_array_equal

from pcedge.circuit import Circuit, InputLayer, ProductLayer
from pcedge.codec import Decoder, Encoder, decode, encode
from pcedge.codec.appending import append, append_file, joined
from pcedge.codec.container import parse
from pcedge.codec.decoder import StreamFile
from pcedge.codec.encoder import encode_to
from pcedge.codec.files import encode_file
from pcedge.data import Columns
from pcedge.data.forms import Form, load_file
from pcedge.data.reading import PLAIN
from pcedge.engines import ReferenceEngine
from pcedge.errors import DataError, MismatchError, UsageError
from pcedge.export import write_onnx
from pcedge.files import locked
from pcedge.integer import IntegerCircuit
from pcedge.quantize import quantize

ENGINE = ReferenceEngine(small_circuit())
DATA = numbered(37, (2, 2, 4)).astype(np.uint8)
CASES = {
    "symbols": (ENGINE, DATA),
    "series": (ReferenceEngine(quantize(series_circuit())), series(37)),
    "predicted": (
        ReferenceEngine(circuit_of(STAGE)), np.random.default_rng(2).integers(-9, 9, (37, 2)).astype(np.int16)
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pcedge.codec.stream.SEGMENT_RECORDS", 12)
    monkeypatch.setattr("pcedge.codec.stream.SEGMENT_NUMBERS", 24)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("lanes", "index"), [(None, None), (3, None), (2, 4), (None, 0)])
def test_pieces_give_the_stream_of_all(case: str, lanes: int | None, index: int | None) -> None:
    engine, x = CASES[case]
    expected = encode(engine, x, lanes, index=index)
    for pieces in ([1] * 37, [37], [0, 5, 30, 2], [12, 12, 12, 1], [13, 24]):
        out = io.BytesIO()
        with Encoder.of(engine, out, lanes, index=index) as encoder:
            first = 0
            for count in pieces:
                if count == 1:
                    encoder.put(x[first])
                else:
                    encoder.write(x[first : first + count])
                first += count
            assert out.getvalue() == b""
        assert out.getvalue() == expected
    out = io.BytesIO()
    written = encode_to(engine, x, out, lanes, None, None, index)
    assert out.getvalue() == expected and written.bytes == len(expected)
    segments = parse(expected).segments
    assert [size.payload_bytes for size in written.segments] == [segment.payload_bytes for segment in segments]


def in_pieces(engine: ReferenceEngine, x: np.ndarray, index: int) -> bytes:
    out = io.BytesIO()
    with Encoder.of(engine, out, 2, index=index) as encoder:
        for first in range(0, len(x), 7):
            encoder.write(x[first : first + 7])
    return out.getvalue()


def test_the_order_of_bytes_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """In pieces that are stored or given, and in records of several segments: numpy joins arrays in its own order."""
    monkeypatch.undo()
    leaves = tuple(leaf(v, 12, [4096, *[0] * 63]) for v in range(4))
    gather = np.zeros((1, 4), int)
    circuit = IntegerCircuit((*leaves, ProductLayer((0, 1, 2, 3), gather)), 8, 12, 16, 24, 48, 1, (0, 1, 2, 3))
    x = np.concatenate([np.zeros((24, 4)), (np.arange(144) * 7 % 61 + 1).reshape(36, 4)]).astype(">u2")
    for engine in (ReferenceEngine(circuit), ReferenceEngine(circuit).with_given([1])):
        stream = encode(engine, x, 2, index=24)
        assert [segment.stored is not None for segment in parse(stream).segments] == [False, True, True]
        assert in_pieces(engine, x, 24) == stream
        read = Decoder.of(engine, StreamFile(stream), x if engine.given else None)[9:55]
        assert read.dtype == x.dtype and read.tobytes() == x[9:55].tobytes()


def test_what_lies_between_fields_stays() -> None:
    kind = np.dtype({"names": ["a", "b"], "formats": [">i2", "<i2"], "offsets": [0, 4], "itemsize": 8})
    x = np.zeros(40, dtype=kind)
    for name in "ab":
        x[name] = np.random.default_rng(0).integers(-99, 99, 40)
    columns = Columns.of(x)
    groups = tuple(
        replace(group, low=low, high=high) for group, (low, high) in zip(STAGE.groups, columns.ranges, strict=True)
    )
    stage = replace(STAGE, dtype="int64", source=columns, groups=groups)
    engine = ReferenceEngine(circuit_of(stage))
    stream = encode(engine, x, 2, index=10)
    assert in_pieces(engine, x, 10) == stream
    read = Decoder.of(engine, StreamFile(stream))[3:37]
    assert read.dtype == kind and read.tobytes() == x[3:37].tobytes()


def test_what_an_encoder_refuses() -> None:
    for file in ("x.pce", io.StringIO()):
        text = f"a stream must be written to an open binary file, got {type(file).__name__}"
        with pytest.raises(UsageError, match=whole(text)):
            Encoder(ENGINE.circuit, file)  # type: ignore[arg-type]
    out = io.BytesIO()
    encoder = Encoder.of(ENGINE, out, 2)
    encoder.write(DATA[:5])
    with pytest.raises(DataError, match=r"^record 1, variable 1: a symbol must be in 0\.\.1, got 2$"):
        encoder.write(np.array([[0, 0, 0], [0, 2, 0]], dtype=np.uint8))
    text = r"^records must be uint8 of shape \(3,\) as those before, got int64 of shape \(3,\)$"
    with pytest.raises(DataError, match=text):
        encoder.write(DATA[5:].astype(np.int64))
    encoder.write(DATA[5:])
    encoder.close()
    assert out.getvalue() == encode(ENGINE, DATA, 2)
    for call in (lambda: encoder.write(DATA), encoder.close):
        with pytest.raises(UsageError, match=r"^an encoder must be (open to take records, it is closed|closed once)$"):
            call()
    text = "an encoder must get records, or an empty array of their type and shape"
    with pytest.raises(UsageError, match=whole(text)):
        Encoder.of(ENGINE, out).close()
    out = io.BytesIO()
    with pytest.raises(KeyboardInterrupt), Encoder.of(ENGINE, out) as encoder:
        encoder.write(DATA)
        raise KeyboardInterrupt
    assert out.getvalue() == b""
    with Encoder.of(ENGINE, out) as encoder:
        encoder.write(DATA[:0])
    assert out.getvalue() == encode(ENGINE, DATA[:0])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("lanes", "index"), [(3, None), (2, 4), (None, 0), (None, None)])
@pytest.mark.parametrize("first", [5, 30])
def test_appended_is_encoded_at_once(
    case: str, lanes: int | None, index: int | None, first: int, tmp_path: Path
) -> None:
    engine, x = CASES[case]
    path = tmp_path / "x.pce"
    path.write_bytes(encode(engine, x[:first], lanes, index=index))
    append_file(engine, path, x[first:33], lanes=lanes)
    assert path.read_bytes() == encode(engine, x[:33], lanes, index=index)
    append_file(engine, path, x[33:33], lanes=lanes)
    append_file(engine, path, x[33:], lanes=lanes)
    assert path.read_bytes() == encode(engine, x, lanes, index=index)
    assert os.listdir(tmp_path) == ["x.pce"]


def test_lanes_stay() -> None:
    for count, given, lanes in ((5, 2, 2), (20, 4, 4), (5, 5, 12)):
        out = io.BytesIO()
        append(ENGINE, StreamFile(encode(ENGINE, DATA[:count], given)), DATA[count:], out)
        assert out.getvalue() == encode(ENGINE, DATA, lanes)
    for stream in (encode(ENGINE, DATA[:20], 4), encode(ENGINE, DATA[:1], 4, index=10)):
        with pytest.raises(UsageError, match=r"^lanes must be those of the stream, 4, got 5$"):
            append(ENGINE, StreamFile(stream), DATA, io.BytesIO(), 5)
    with pytest.raises(DataError, match=r"^records must be uint8 of shape \(3,\) as those before, got int64"):
        append(ENGINE, StreamFile(encode(ENGINE, DATA)), DATA.astype(np.int64), io.BytesIO())


def test_forms_that_go_together() -> None:
    head = Form("csv crlf", b"a,b\r\n")
    assert joined(head, head) == joined(head, Form("csv crlf")) == head
    assert joined(None, Form("npy")) == Form("npy") == joined(Form("npy"), None)
    assert joined(Form("raw >i2"), Form("raw >i2", padding=b"x")) == Form("raw >i2", padding=b"x")
    for old, new in (
        (head, Form("csv crlf", b"c,d\r\n")), (head, Form("csv")), (Form("csv"), head), (None, Form("raw")),
        (Form("raw", padding=b"x"), Form("raw")),
        (Form("npy", b"head"), Form("npy", b"head")),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=r"^what is appended must be of the form of the stream's file \("):
            joined(old, new)


def test_commands(tmp_path: Path) -> None:
    model, out = tmp_path / "m.onnx", tmp_path / "x.pce"
    write_onnx(small_circuit(), model)
    lines = [",".join(map(str, row)) + "\n" for row in DATA.tolist()]
    (tmp_path / "a.csv").write_text("a,b,c\n" + "".join(lines[:15]))
    (tmp_path / "b.csv").write_text("a,b,c\n" + "".join(lines[15:]))
    (tmp_path / "all.csv").write_text("a,b,c\n" + "".join(lines))
    as_json("encode", model, tmp_path / "a.csv", out, "--index", 10, "--lanes", 2)
    said = as_json("encode", model, tmp_path / "b.csv", out, "--append")
    assert (said["records"], said["appended"], said["verified_records"], said["segments"]) == (37, 22, 22, 4)
    assert said["bytes"] == out.stat().st_size
    as_json("encode", model, tmp_path / "all.csv", tmp_path / "all.pce", "--index", 10, "--lanes", 2)
    assert out.read_bytes() == (tmp_path / "all.pce").read_bytes()
    before = out.read_bytes()
    for words, text in (
        ((tmp_path / "b.csv", out, "--append", "--index", 5), "--index must come without --append, which settles it"),
        (
            (tmp_path / "b.csv", tmp_path / "none.pce", "--append"),
            "records are appended to a stream in a file that is there",
        ),
        ((tmp_path / "b.csv", out, "--append", "--lanes", 3), "lanes must be those of the stream, 2, got 3"),
    ):
        result = run("encode", model, *words)
        assert result.exit_code == 2 and text in result.output, result.output
    np.save(tmp_path / "y.npy", DATA.astype(np.int8) * 2)
    assert run("encode", model, tmp_path / "y.npy", out, "--append").exit_code in (1, 2)
    with locked(out):
        result = run("encode", model, tmp_path / "b.csv", out, "--append")
    assert result.exit_code == 1 and "must not be written by two runs at once, another one has it" in result.output
    assert out.read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["a.csv", "all.csv", "all.pce", "b.csv", "m.onnx", "x.pce", "y.npy"]


def test_a_stream_that_does_not_give_back_what_was_appended_is_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.pce"
    path.write_bytes(before := encode(ENGINE, DATA[:20], 2))
    coder = ENGINE.encode_lanes
    monkeypatch.setattr(ENGINE, "encode_lanes", lambda records, *more: coder(records[::-1], *more))
    with pytest.raises(MismatchError, match=r"^records 20\.\.23 must decode to those appended$"):
        append_file(ENGINE, path, DATA[20:])
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["x.pce"]


#: appends, and is killed when the new stream is on the disk and not in its place
KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
import pcedge.files
from pcedge.codec.appending import append_file
from pcedge.native import open_engine
import pcedge
pcedge.files.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
append_file(open_engine(pcedge.load(sys.argv[1])), Path(sys.argv[2]), np.load(sys.argv[3]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_run_leaves_the_old_stream(tmp_path: Path) -> None:
    write_onnx(small_circuit(), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", DATA)
    path = tmp_path / "x.pce"
    path.write_bytes(before := encode(ENGINE, DATA[:5]))
    words = (tmp_path / "m.onnx", path, tmp_path / "x.npy")
    done = subprocess.run([sys.executable, "-c", KILLED, *map(str, words)], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert path.read_bytes() == before


def test_a_large_npy_file_is_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    variables = 4
    layers = [InputLayer(v, np.array([[0.999, 0.001]])) for v in range(variables)]
    layers.append(ProductLayer(tuple(range(variables)), np.zeros((1, variables), int)))  # type: ignore[arg-type]
    engine = ReferenceEngine(quantize(Circuit(tuple(layers))))
    x = np.zeros((1 << 19, variables), dtype=np.uint8)
    np.save(tmp_path / "x.npy", x)
    monkeypatch.setattr("pcedge.data.forms.LEAST_MAPPED", 1 << 20)
    tracemalloc.start()
    mapped, form, note = load_file(tmp_path / "x.npy", PLAIN)
    with (tmp_path / "x.pce").open("wb") as out:
        encode_to(engine, mapped, out, 4096)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(mapped, np.memmap) and form == Form("npy") and note is None
    # Of the whole array 8 bytes a symbol alone would be 16 MiB.
    assert most < 14 << 20
    data = (tmp_path / "x.pce").read_bytes()
    assert data == encode_file(engine, tmp_path / "x.npy", lanes=4096).stream
    assert_array_equal(decode(engine, data), x)
    with (tmp_path / "x.npy").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\2")
    with pytest.raises(DataError, match=r"^of the records from 458752 on: record 65535, variable 3: a "):
        encode_to(engine, load_file(tmp_path / "x.npy", PLAIN)[0], io.BytesIO(), 4096)
    for name, other in (("f", np.asfortranarray(np.ones((1 << 10, 2048), np.uint8))), ("d", np.ones((1 << 10, 2048)))):
        np.save(tmp_path / f"{name}.npy", other)
        assert not isinstance(load_file(tmp_path / f"{name}.npy", PLAIN)[0], np.memmap)
