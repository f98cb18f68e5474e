"""Streams with an index: what is read of them, one form, every error."""

from __future__ import annotations

import io
import json
import time
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import as_json, run
from helpers.messages import whole
from helpers.predictors import STAGE, circuit_of
from helpers.series import series, series_circuit
from helpers.streams import numbered, small_circuit
from numpy.testing import assert_array_equal

import pcedge
from pcedge.codec import Codec, Decoder, check_stream, decode, encode
from pcedge.codec.container import Segment, parse
from pcedge.codec.decoder import StreamFile
from pcedge.data.symbolizer import Symbolizer
from pcedge.engines import ReferenceEngine
from pcedge.errors import DataError, StreamError, UsageError
from pcedge.export import write_onnx
from pcedge.native import open_engine
from pcedge.quantize import quantize

CIRCUIT = small_circuit()
ENGINE = ReferenceEngine(CIRCUIT)
DATA = numbered(37, (2, 2, 4)).astype(np.uint8)


def predicted() -> tuple[ReferenceEngine, np.ndarray]:  # type: ignore[type-arg]
    return ReferenceEngine(circuit_of(STAGE)), np.random.default_rng(2).integers(-9, 9, (37, 2)).astype(np.int16)


CASES = {
    "symbols": lambda: (ENGINE, DATA),
    "series": lambda: (ReferenceEngine(quantize(series_circuit())), series(37)),
    "predicted": predicted,
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("rows", "lanes"), [(4, 1), (8, 3), (12, None), (20, 20), (36, 5), (40, 7)])
def test_every_part_of_an_indexed_stream(case: str, rows: int, lanes: int | None) -> None:
    engine, x = CASES[case]()
    stream = encode(engine, x, lanes, index=rows)
    parsed = parse(stream)
    assert parsed.version == 2 and parsed.indexed is not None and parsed.indexed[0] == rows
    assert [segment.records for segment in parsed.segments] == [*[rows] * (37 // rows), *[37 % rows] * (37 % rows > 0)]
    assert_array_equal(decode(engine, stream), x)
    assert parsed.pack() == stream
    assert check_stream(engine, x, stream, "all") == 37
    with Decoder(engine.circuit, stream, "numpy") as decoder:
        assert (len(decoder), decoder.shape, decoder.dtype) == (37, x.shape, x.dtype)
        for start in range(37):
            assert_array_equal(decoder[start], x[start])
            for stop in {start, start + 1, min(start + 9, 37), 37}:
                assert_array_equal(decoder[start:stop], x[start:stop])
        assert_array_equal(np.array(list(decoder)), x)
        assert_array_equal(np.concatenate(list(decoder.blocks(5, 31))), x[5:31])
    # A segment's bytes are those of its own rows, whatever is coded beside it.
    for number, segment in enumerate(parsed.segments):
        part = x[rows * number :][:rows]
        (alone,) = parse(encode(engine, part, parsed.indexed[1])).segments
        assert alone == segment


@pytest.mark.parametrize("case", CASES)
def test_parts_of_streams_without_an_index(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pcedge.codec.stream.SEGMENT_RECORDS", 12)
    monkeypatch.setattr("pcedge.codec.stream.SEGMENT_NUMBERS", 24)
    monkeypatch.setattr("pcedge.codec.decoder.CHUNK", 3)
    engine, x = CASES[case]()
    stream = encode(engine, x, 5)
    assert parse(stream).indexed is None and len(parse(stream).segments) == 4
    decoder = Decoder.of(engine, StreamFile(io.BytesIO(stream)))
    for start, stop in ((0, 37), (3, 4), (11, 13), (36, 37), (12, 24), (5, 30), (7, 7)):
        assert_array_equal(decoder.read(start, stop), x[start:stop])


def test_both_engines_write_the_same() -> None:
    native = open_engine(CIRCUIT)
    for rows, lanes in ((10, 3), (1, 1), (37, 64)):
        assert encode(native, DATA, lanes, index=rows) == encode(ENGINE, DATA, lanes, index=rows)


def test_what_the_index_costs() -> None:
    """Every byte of docs/stream.md: field, segments, index."""
    x = np.zeros((0, 3), dtype=np.uint8)
    assert len(encode(ENGINE, x, index=5)) == len(encode(ENGINE, x)) + 1 + 4 + 1 + 4
    stream = encode(ENGINE, DATA, 2, index=10)
    sizes = [len(segment.pack()) for segment in parse(stream).segments]
    body = bytes(sizes) + b"\x01"
    assert stream.endswith(body + zlib.crc32(body).to_bytes(4, "little"))
    assert dict(parse(stream).fields) == {9: b"\x0a\x02"}
    assert dict(parse(encode(ENGINE, DATA, index=0, stored=False)).fields) == {
        9: b"\xd6\x0a\x2a"
    }  # 1,366 rows of 3 numbers
    wide = ReferenceEngine(quantize(series_circuit(shape=(40,), text="range=-300..300,planes=4+6")))
    assert dict(parse(encode(wide, series(3, (40,)), index=0)).fields) == {9: b"\x80\x02\x08"}


def test_no_more_is_read_than_is_needed(tmp_path: Path) -> None:
    x = np.resize(DATA, (4000, 3))
    (tmp_path / "x.pce").write_bytes(encode(ENGINE, x, 1, index=50))
    read: list[int] = []

    class Counted(io.FileIO):
        def read(self, size: int = -1) -> bytes:  # type: ignore[override]
            data = super().read(size)
            read.append(len(data))
            return data

    with Counted(tmp_path / "x.pce") as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr("pcedge.codec.decoder.CHUNK", 64)
        assert_array_equal(Decoder(CIRCUIT, file)[2345], x[2345])
    assert sum(read) < 500 < len((tmp_path / "x.pce").read_bytes()) / 4


@pytest.mark.slow
def test_one_record_of_a_million_takes_a_thousandth_of_all() -> None:
    engine = open_engine(pcedge.to_integer(pcedge.load("digits")))
    if type(engine).__name__ != "NativeEngine":
        pytest.skip("numpy decodes one lane at 1/100 of the speed of many")
    x = np.resize(pcedge.load_array("digits"), (1_000_000, 8, 8))
    decoder = Decoder.of(engine, StreamFile(encode(engine, x, index=0)))
    began = time.process_time()
    for block in decoder.blocks():
        assert len(block)
    every = time.process_time() - began
    began = time.process_time()
    for number in range(0, 1_000_000, 10_101):
        assert_array_equal(decoder[number], x[number])
    one = (time.process_time() - began) / 100
    print(f"all {every:.2f} s, one {1e3 * one:.2f} ms: 1/{every / one:.0f}")
    assert one * 1000 <= every


def forged(stream: bytes, index: bytes | None = None, field: bytes | None = None) -> bytes:
    """Put another index, or field 9, into a stream of 4 segments with right checksums."""
    parsed = parse(stream)
    tail = 4 + 1 + 4
    body = stream[len(parsed.pack_head()) : -tail]
    head = parsed if field is None else replace(parsed, fields=((9, field),))
    end = stream[-tail:] if index is None else index + zlib.crc32(index).to_bytes(4, "little")
    return head.pack_head() + body + end


class TestErrors:
    stream = encode(ENGINE, DATA, 2, index=10)
    sizes = bytes(len(segment.pack()) for segment in parse(stream).segments)

    def refuse(self, data: bytes, text: str, lazy: str | None = None) -> None:
        with pytest.raises(StreamError, match=whole(text)):
            decode(ENGINE, data)
        with pytest.raises(StreamError, match=whole(lazy or text)):
            Decoder(CIRCUIT, data, "numpy").read(0, 37)

    def test_index(self) -> None:
        other = "the index must be that of the segments before it, it is another: damaged stream"
        swapped = bytes([self.sizes[0] + 1, self.sizes[1] - 1, *self.sizes[2:], 1])
        sized = f"segment 0 must have 10 records in {self.sizes[0] + 1} bytes, as the index says, got 10 in "
        self.refuse(forged(self.stream, swapped), other, sized + str(self.sizes[0]))
        fill = "the index must have the sizes of 4 segments that fill the stream, it has others"
        self.refuse(forged(self.stream, bytes([self.sizes[0] + 1, *self.sizes[1:], 1])), other, fill)
        least = "the index must be written in as few bytes as its largest size needs"
        wide = b"".join(bytes([size, 0]) for size in self.sizes) + b"\2"
        self.refuse(forged(self.stream, wide), other, least)
        summed = "the checksum of the index must be that of its bytes, it is another: damaged stream"
        damaged = self.stream[:-6] + bytes([self.stream[-6] ^ 1]) + self.stream[-5:]
        self.refuse(damaged, other, summed)
        end = "the stream must end with an index of 4 segments, it does not: truncated stream"
        self.refuse(forged(self.stream, self.sizes + b"\x09"), other, end)
        self.refuse(forged(self.stream, self.sizes + b"\xff"), other, end)
        for count in range(1, 9):
            with pytest.raises(StreamError, match=r"^(index must have|the (stream|index|checksum of the index) must)"):
                decode(ENGINE, self.stream[:-count])
            with pytest.raises(StreamError, match=r"^the (stream|index|checksum of the index) must"):
                Decoder(CIRCUIT, self.stream[:-count])
        with pytest.raises(StreamError, match=r"^the stream must end after its 37 records, 1 bytes follow$"):
            decode(ENGINE, self.stream + b"\0")
        with pytest.raises(StreamError, match="must"):
            Decoder(CIRCUIT, self.stream + b"\0")

    @pytest.mark.parametrize("field", [b"", b"\0\0", b"\x0a", b"\x0a\0", b"\x0a\x0b", b"\x0a\x02\0", b"\x81\x80\x04\1"])
    def test_field(self, field: bytes) -> None:
        with pytest.raises(StreamError, match=r"^field 9(:| must)"):
            decode(ENGINE, forged(self.stream, field=field))
        with pytest.raises(StreamError, match=r"^field 9(:| must)"):
            Decoder(CIRCUIT, forged(self.stream, field=field))

    def test_segments_are_those_of_the_field(self) -> None:
        text = "segment 0 must have 9 of the 37 records left, got 10"
        with pytest.raises(StreamError, match=whole(text)):
            decode(ENGINE, forged(self.stream, field=b"\x09\x02"))
        text = "segment 0 must have 3 lanes, as many as the others, got 2"
        self.refuse(forged(self.stream, field=b"\x0a\x03"), text)
        window = ReferenceEngine(quantize(series_circuit()))
        stream = encode(window, series(9), index=4, stored=False)
        text = "segments must have a multiple of the window's 4 rows, field 9 says 3"
        with pytest.raises(StreamError, match=whole(text)):
            decode(window, replace(parse(stream), fields=((9, b"\3\1"),)).pack())

    def test_a_damaged_segment_harms_its_own_records_only(self) -> None:
        place = len(self.stream) - 12
        data = self.stream[:place] + bytes([self.stream[place] ^ 1]) + self.stream[place + 1 :]
        decoder = Decoder(CIRCUIT, data, "numpy")
        assert_array_equal(decoder.read(0, 30), DATA[:30])
        with pytest.raises(StreamError, match=r"^the checksum of segment 3 must be"):
            decoder.read(29, 31)

    def test_a_count_that_asks_for_memory(self) -> None:
        parsed = parse(self.stream)
        huge = replace(parsed, shape=(2**60, 3), segments=()).pack_head() + self.stream[-9:]
        with pytest.raises(StreamError, match=r"^the stream must end with an index of \d+ segments, it does not"):
            Decoder(CIRCUIT, huge)

    def test_arguments(self) -> None:
        for index in (-1, 65537, True, 1.5):
            text = f"index must be the records of a segment, 1..65536, or 0, got {index!r}"
            with pytest.raises(UsageError, match=whole(text)):
                encode(ENGINE, DATA, index=index)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=r"^index must be a multiple of the window's 4 rows, got 6$"):
            encode(ReferenceEngine(quantize(series_circuit())), series(9), index=6)
        for kind in (9, 11):
            with pytest.raises(UsageError, match=rf"^field {kind} says how lanes are laid: encode writes it where"):
                encode(ENGINE, DATA, fields={kind: b""})
        decoder = Decoder(CIRCUIT, self.stream)
        with pytest.raises(UsageError, match=r"^records must be within 0:37, got 5:38$"):
            decoder.read(5, 38)
        with pytest.raises(UsageError, match=r"^records must be read by slices of step 1, got 2$"):
            _ = decoder[::2]
        for number in (37, -38):
            with pytest.raises(IndexError, match=rf"^a record must be among the 37 of the stream, got {number}$"):
                _ = decoder[number]
        assert decoder[30:99].shape == (7, 3) and decoder[9:2].shape == (0, 3)
        with pytest.raises(UsageError, match=r"^a stream must be bytes, a path or an open binary file, got StringIO$"):
            Decoder(CIRCUIT, io.StringIO())  # type: ignore[arg-type]

    def test_messages_name_the_record_and_the_lane(self) -> None:
        wrong = DATA.copy()
        wrong[31, 1] = 2
        with pytest.raises(DataError, match=r"^record 31, variable 1: a symbol must be in 0\.\.1, got 2$"):
            encode(ENGINE, wrong, index=10)
        parsed = parse(self.stream)
        third = parsed.segments[2]
        bad = Segment(10, (third.lanes[0], b"\xff" * len(third.lanes[1])))
        segments = (*parsed.segments[:2], bad, parsed.segments[3])
        with pytest.raises(StreamError, match=r"^lane 1 must "):
            decode(ENGINE, replace(parsed, segments=segments).pack())
        for engine in ("numpy", "auto"):
            decoder = Decoder(CIRCUIT, replace(parsed, segments=segments).pack(), engine)
            assert_array_equal(decoder[28], DATA[28])
            with pytest.raises(StreamError, match=r"^lane 1 must "):
                _ = decoder[29]


def test_a_slice_of_a_codec() -> None:
    codec = Codec(CIRCUIT, lanes=2, engine="numpy")
    for data in (codec.encode(DATA), codec.encode(DATA, index=5)):
        for part in (slice(3, 9), slice(-4, None), slice(None), slice(9, 3), slice(37, None)):
            assert_array_equal(codec.decode(data, records=part), DATA[part])
            assert_array_equal(pcedge.decode(CIRCUIT, io.BytesIO(data), records=part), DATA[part])
        with pytest.raises(UsageError, match=r"^records must be among the 37 of the stream, got 38$"):
            codec.decode(data, records=slice(3, 38))
        with pytest.raises(UsageError, match=r"^records must be a slice of step 1, got 3$"):
            codec.decode(data, records=slice(0, 9, 3))
        for odd in (5, (1, 2), slice("a", None)):
            text = f"records must be a slice of integers such as slice(5, 7), got {odd!r}"
            with pytest.raises(UsageError, match=whole(text)):
                codec.decode(data, records=odd)  # type: ignore[arg-type]
    assert pcedge.encode(CIRCUIT, DATA, 2, index=5) == codec.encode(DATA, index=5)


def test_commands(tmp_path: Path) -> None:
    model, data, out, back = (tmp_path / name for name in ("m.onnx", "x.csv", "x.pce", "y.csv"))
    write_onnx(CIRCUIT, model)
    lines = [",".join(map(str, row)) + "\r\n" for row in DATA.tolist()]
    data.write_text("a,b,c\r\n" + "".join(lines), newline="")
    said = as_json("encode", model, data, out, "--index", 10, "--lanes", 2)
    assert (said["index"], said["segments"], said["stored"], said["lanes"]) == (10, 4, 0, 2)
    told = as_json("info", out)
    assert (told["index"], told["stored"], told["segments"]) == (10, 0, 4)
    assert [entry["records"] for entry in told["segment_list"]] == [10, 10, 10, 7]
    assert [entry["number"] for entry in told["segment_list"]] == [0, 1, 2, 3]
    assert {entry["lanes"] for entry in told["segment_list"]} == {2}
    sizes = [len(segment.pack()) for segment in parse(out.read_bytes()).segments]
    assert [entry["bytes"] for entry in told["segment_list"]] == sizes
    assert "segment list: 10 records, " in run("info", out).stdout
    plain = as_json("encode", model, data, tmp_path / "p.pce")
    assert (plain["index"], plain["segments"]) == (None, 1)
    for stream in (out, tmp_path / "p.pce"):
        said = as_json("decode", model, stream, back, "--records", "12:14")
        assert (said["records"], said["range"], said["of_records"], said["format"]) == (2, [12, 14], 37, "csv")
        assert back.read_bytes().decode() == "a,b,c\r\n" + "".join(lines[12:14])
        as_json("decode", model, stream, tmp_path / "y.npy", "--records", "-3:")
        assert_array_equal(np.load(tmp_path / "y.npy"), DATA[-3:])
        as_json("decode", model, stream, tmp_path / "y.bin", "--format", "raw", "--records", ":2")
        assert (tmp_path / "y.bin").read_bytes() == DATA[:2].astype(np.uint8).tobytes()
        for wrong in ("5:2", "-1:3", "37:36"):
            said = as_json("decode", model, stream, back, "--records", wrong, status=2)
            assert said["message"] == f"--records must not end before its start, got {wrong}"
        said = as_json("decode", model, stream, back, "--records", "5:38", status=2)
        assert said["message"] == "records must be among the 37 of the stream, got 38"
    result = run("decode", model, out, back, "--records", "5")
    assert result.exit_code == 2 and "it must be START:STOP such as 5000:5001, 5: or -3:, got '5'" in result.output
    assert json.loads(run("encode", model, data, out, "--index", "--json").stdout)["index"] == 1366
    assert run("encode", model, data, out, "--index", 65537).exit_code == 2
    assert isinstance(quantize(series_circuit()).symbolizer, Symbolizer)
