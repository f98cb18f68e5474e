"""Stored segments: when, what they cost, every error, and what the command tells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import as_json, run
from helpers.messages import whole
from helpers.predictors import STAGE, circuit_of
from helpers.series import series, series_circuit
from helpers.streams import leaf, small_circuit
from numpy.testing import assert_array_equal

from pcedge.circuit import ProductLayer
from pcedge.codec import Decoder, check_stream, decode, encode
from pcedge.codec.container import Segment, parse
from pcedge.data import Columns
from pcedge.engines import ReferenceEngine
from pcedge.errors import MismatchError, StreamError
from pcedge.export import write_onnx
from pcedge.integer import IntegerCircuit
from pcedge.quantize import quantize

#: eight variables of 256 symbols, of which the first has nearly all the mass
SKEWED = IntegerCircuit(
    (*(leaf(v, 12, [4096 - 255, *[1] * 254]) for v in range(8)), ProductLayer(tuple(range(8)), np.zeros((1, 8), int))),
    8, 12, 16, 24, 48, 1, tuple(range(8)),
)  # fmt: skip
ENGINE = ReferenceEngine(SKEWED)
NOISE = np.random.default_rng(1).integers(1, 256, (100, 8)).astype(np.uint8)
USUAL = np.zeros((100, 8), dtype=np.uint8)


def test_only_what_coding_makes_larger_is_stored() -> None:
    x = np.concatenate([USUAL, NOISE, USUAL, NOISE[:30]])
    stream = encode(ENGINE, x, 2, index=100)
    parsed = parse(stream)
    assert [segment.stored is not None for segment in parsed.segments] == [False, True, False, True]
    assert parsed.segments[1].stored == NOISE.tobytes() and dict(parsed.fields)[11] == b""
    assert_array_equal(decode(ENGINE, stream), x)
    assert parsed.pack() == stream
    assert len(stream) < len(encode(ENGINE, x, 2, index=100, stored=False))
    decoder = Decoder(SKEWED, stream, "numpy")
    for start, stop in ((99, 101), (150, 151), (0, 330), (310, 330), (100, 200)):
        assert_array_equal(decoder.read(start, stop), x[start:stop])
    assert check_stream(ENGINE, x, stream, "all") == 330


@pytest.mark.parametrize("lanes", [1, 100])
def test_the_worst_case_is_the_data_and_40_bytes_a_segment(lanes: int) -> None:
    stream = encode(ENGINE, NOISE, lanes)
    assert parse(stream).version == 2 and dict(parse(stream).fields) == {11: b""}
    assert len(stream) <= len(parse(stream).pack_head()) + NOISE.nbytes + 40
    # Where coding pays, and where storing saves less than it costs, not a byte is another.
    for x in (USUAL, NOISE[:1, :] * 0):
        assert encode(ENGINE, x, lanes) == encode(ENGINE, x, lanes, stored=False)
        assert parse(encode(ENGINE, x, lanes)).version == 1


@pytest.mark.parametrize("dtype", ["u1", ">u2", "<i4"])
def test_rows_are_stored_as_the_header_says(dtype: str) -> None:
    for x in (NOISE.astype(dtype).reshape(100, 2, 4), np.asfortranarray(NOISE.astype(dtype))):
        back = decode(ENGINE, encode(ENGINE, x, 100, index=50))
        assert (back.dtype, back.shape) == (x.dtype, x.shape)
        assert_array_equal(back, x)


def test_series_and_rows_with_a_predictor_stage() -> None:
    windowed, staged = ReferenceEngine(quantize(series_circuit())), ReferenceEngine(circuit_of(STAGE))
    noise = np.random.default_rng(3).integers(-(2**15), 2**15, (140, 2)).astype(np.int16)
    for engine, x in ((windowed, series(37)), (staged, noise)):
        stream = encode(engine, x, 37, index=20)
        if engine is windowed:  # which needs fewer bits than int16 has, whatever the data
            parsed = parse(stream)
            plain = tuple(Segment(len(part), (), (), part.tobytes()) for part in (x[:20], x[20:]))
            stream = replace(parsed, segments=(parsed.segments[0], plain[1]), fields=(*parsed.fields, (11, b""))).pack()
        assert any(segment.stored is not None for segment in parse(stream).segments)
        assert_array_equal(decode(engine, stream), x)
        assert check_stream(engine, x, stream, "all") == len(x)
        for start in range(len(x)):
            assert_array_equal(Decoder(engine.circuit, stream, "numpy")[start], x[start])
    assert Columns.of(noise).is_plain


def forged(rows: bytes, records: int = 100, fields: tuple[tuple[int, bytes], ...] = ((11, b""),)) -> bytes:
    stream = parse(encode(ENGINE, NOISE))
    return replace(stream, segments=(Segment(records, (), (), rows),), fields=fields).pack()


def test_errors() -> None:
    good = NOISE.tobytes()
    for data, text in (
        (forged(b"", fields=((300, b""),)), "segment 0 must have 1..100 lanes, got 0"),
        (forged(good, fields=((11, b"x"),)), "field 11 must have no bytes, it has some"),
        (forged(good[:-1]), "checksum of segment 0 must have 4 bytes, 3 are left: truncated stream"),
        (forged(good, 1000), "segment 0 must have 8000 bytes, 804 are left: truncated stream"),
        (forged(b"", 0), "segment 0 must have 1..100 records, got 0"),
        (forged(good[:80], 10), "segment 1 must have 1 bytes, 0 are left: truncated stream"),
    ):
        with pytest.raises(StreamError, match=whole(text)):
            decode(ENGINE, data)
    coded = parse(encode(ENGINE, USUAL, 2))
    with pytest.raises(
        StreamError, match=whole("a stream with field 11 must have a segment that is stored, it has none")
    ):
        decode(ENGINE, replace(coded, fields=((11, b""),)).pack())
    small = ReferenceEngine(small_circuit())
    x = np.ones((50, 3), dtype=np.uint8)
    stream = parse(encode(small, x, 50, index=1))
    segments = (*stream.segments[:7], Segment(1, (), (), b"\1\1\4"), *stream.segments[8:])
    bad = replace(stream, segments=segments, fields=((9, b"\1\1"), (11, b"")))
    text = "segment 7, which is stored: record 0, variable 2: a symbol must be in 0..3, got 4"
    with pytest.raises(StreamError, match=whole(text)):
        decode(small, bad.pack())
    flags = parse(encode(small, x.astype(bool), 50, index=1))
    bad = replace(
        flags, segments=(Segment(1, (), (), b"\1\2\1"), *flags.segments[1:]), fields=((9, b"\1\1"), (11, b""))
    )
    with pytest.raises(StreamError, match=whole("segment 0, which is stored: a bool must be 0 or 1, got 2")):
        decode(small, bad.pack())
    with pytest.raises(MismatchError, match=r"^rows from 0 on must be stored as they are, they are not$"):
        check_stream(ENGINE, NOISE, forged(NOISE[::-1].tobytes()), "all")


def test_the_command_tells_both(tmp_path: Path) -> None:
    write_onnx(SKEWED, tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", np.repeat([USUAL, USUAL, NOISE, USUAL], 11, axis=1).reshape(-1, 8))
    words = ("encode", tmp_path / "m.onnx", tmp_path / "x.npy", tmp_path / "x.pce", "--index", 1100, "--lanes", 20)
    said = as_json(*words)
    assert (said["stored"], said["segments"], said["drifted_segments"], said["worst_segment"]) == (1, 4, [2], 2)
    assert said["worst_bits_per_record"] == 64 and 0 < said["expected_bits_per_record"] < 8
    result = run(*words)
    assert "1 of 4 segments are stored, which coding would make larger" in result.stdout
    assert "1 of 4 segments need far more bits than the others, segment 2 64.0 a record where " in result.stderr
    told = as_json("info", tmp_path / "x.pce")
    assert told["stored"] == 1 and [entry["stored"] for entry in told["segment_list"]] == [False, False, True, False]
    assert ", 8807 bytes, stored;" in run("info", tmp_path / "x.pce").stdout
    said = as_json("decode", tmp_path / "m.onnx", tmp_path / "x.pce", tmp_path / "y.npy")
    assert (tmp_path / "x.npy").read_bytes() == (tmp_path / "y.npy").read_bytes()
