"""The check of what `encode` wrote: how much it decodes, what it finds, and that nothing wrong takes its place."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.commands import run
from helpers.messages import whole
from helpers.series import series, series_circuit
from helpers.streams import numbered, small_circuit

from pcedge.codec import check_stream, checking, encode
from pcedge.codec import stream as streams
from pcedge.codec.checking import default_verify
from pcedge.codec.container import Segment, parse
from pcedge.data import Symbolizer
from pcedge.engines import ReferenceEngine
from pcedge.engines.lanes import encode_lanes
from pcedge.errors import DataError, MismatchError, UsageError
from pcedge.export import write_onnx
from pcedge.native import open_engine
from pcedge.quantize import quantize


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SEGMENT_RECORDS", 10)


DATA = numbered(35, (2, 2, 4)).astype(np.uint8)
ENGINE = ReferenceEngine(small_circuit())


@pytest.mark.parametrize("lanes", [1, 3, 10])
def test_how_much_is_decoded(lanes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All; the first and the last segment; of these a record a lane at least; nothing."""
    data = encode(ENGINE, DATA, lanes)
    told: list[tuple[int, int]] = []
    assert check_stream(ENGINE, DATA, data, "all", lambda *done: told.append(done)) == 35
    assert told[-1] == (35, 35)
    assert check_stream(ENGINE, DATA, data, "sample") == check_stream(ENGINE, DATA, data) == 10 + 5
    assert check_stream(ENGINE, DATA, data, "sample", seconds=0) == lanes + min(lanes, 5)
    assert check_stream(ENGINE, DATA, data, "none") == 0
    assert check_stream(ENGINE, DATA[:7], encode(ENGINE, DATA[:7], lanes), "sample") == 7
    assert check_stream(ENGINE, DATA[:0], encode(ENGINE, DATA[:0], lanes), "all") == 0
    # Of many lanes a sample decodes some after the others.
    monkeypatch.setattr(checking, "DEFAULT_LANES", 2)
    assert check_stream(ENGINE, DATA, data, "sample", seconds=0) == min(lanes, 2) * 2
    assert check_stream(ENGINE, DATA, data, "sample") == 15
    assert check_stream(ENGINE, DATA, data, "all", seconds=0) == 35
    with pytest.raises(UsageError, match=whole("verify must be one of all, sample, none, got 'some'")):
        check_stream(ENGINE, DATA, data, "some")


def test_rows_count_when_all_their_records_are_decoded() -> None:
    text = "range=-300..300,neighbour=median,window=3x2,planes=4+6"  # three records a window of rows
    engine = ReferenceEngine(quantize(series_circuit(text, (5,))))
    x = series(14, (5,))
    data = encode(engine, x, 2)
    assert [segment.records for segment in parse(data).segments] == [9, 5]
    assert check_stream(engine, x, data, "all") == 14
    assert check_stream(engine, x, data, "sample", seconds=0) == 0  # two of a window's three records in each
    assert check_stream(engine, x, encode(engine, x, 5), "sample", seconds=0) == 3 + 3
    assert check_stream(engine, x, encode(engine, x, 6), "sample", seconds=0) == 6 + 3  # five lanes of five rows


def changed(segment: int, record: int, symbol: int) -> bytes:
    """Encode the data with another last symbol of one record."""
    wrong = DATA.copy()
    wrong[10 * segment + record, 2] = symbol
    return encode(ENGINE, wrong, 4)


def test_what_is_found() -> None:
    text = "record 3, variable 2: must decode to 0, got 3"
    assert DATA[3, 2] == 0
    for verify in ("sample", "all"):
        with pytest.raises(MismatchError, match=whole(text)):
            check_stream(ENGINE, DATA, changed(0, 3, 3), verify)
        with pytest.raises(MismatchError, match=f"record 34, variable 2: must decode to {DATA[34, 2]}, got "):
            check_stream(ENGINE, DATA, changed(3, 4, (DATA[34, 2] + 1) % 4), verify)
    middle = changed(1, 3, (DATA[13, 2] + 1) % 4)
    assert check_stream(ENGINE, DATA, middle, "sample") == 15
    with pytest.raises(MismatchError, match="record 13, variable 2: must decode to"):
        check_stream(ENGINE, DATA, middle, "all")
    stream = parse(encode(ENGINE, DATA, 4))
    first = stream.segments[0]
    for lanes, text in (
        ((first.lanes[0] + b"\0", *first.lanes[1:]), "the lanes must end with record 9: lane 0 must have"),
        ((b"", *first.lanes[1:]), "records 0..3 must decode: lane 0 must have at least"),
    ):
        damaged = replace(stream, segments=(Segment(10, lanes), *stream.segments[1:]))
        with pytest.raises(MismatchError, match=text):
            check_stream(ENGINE, DATA, damaged.pack())
    with pytest.raises(MismatchError, match="what was written must be a stream, it is none: the checksum of segment"):
        check_stream(ENGINE, DATA, stream.pack()[:-50] + b"\0" * 50)
    with pytest.raises(MismatchError, match=r"must be of the circuit and have the data's dtype and shape, got .*uint8"):
        check_stream(ENGINE, DATA.astype(np.int64), stream.pack())


def test_the_command_says_what_it_compared(tmp_path: Path) -> None:
    write_onnx(small_circuit(), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", DATA)
    words = ("encode", tmp_path / "m.onnx", tmp_path / "x.npy", tmp_path / "x.pce", "--lanes", 4)
    # The native engine decodes all, for it does so in little time.
    usual = ("all", 35) if default_verify(open_engine(small_circuit())) == "all" else ("sample", 15)
    for options, verify, count in (
        (("--engine", "numpy"), "sample", 15),
        ((), *usual),
        (("--verify", "sample"), "sample", 15),
        (("--verify", "all"), "all", 35),
        (("--verify", "none"), "none", 0),
        (("--no-verify",), "none", 0),
    ):
        said = json.loads(run(*words, *options, "--json").stdout)
        assert (said["verify"], said["verified_records"], said["records"]) == (verify, count, 35)
        text = run(*words, *options).stdout
        assert text.endswith(f"; {count} records decoded and compared\n" if count else "; not decoded\n")
    assert run(*words, "--verify", "some").exit_code == 2


@pytest.mark.parametrize("old", [None, b"an older file"])
def test_a_stream_that_does_not_give_back_the_data_is_not_left(
    old: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Coders and symbolizers that are wrong end in a typed error; the output is absent, or what it was before."""
    write_onnx(small_circuit(), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", DATA)
    out = tmp_path / "x.pce"
    if old is not None:
        out.write_bytes(old)
    names = sorted(path.name for path in tmp_path.iterdir())
    words = ("encode", tmp_path / "m.onnx", tmp_path / "x.npy", out)

    def refused(text: str) -> None:
        result = run(*words, "--engine", "numpy", "--json")
        assert result.exit_code == 1
        said = json.loads(result.stdout)
        assert said["error"] == "MismatchError" and text in said["message"], said
        assert sorted(path.name for path in tmp_path.iterdir()) == names
        assert old is None or out.read_bytes() == old

    def wrong_lanes(engine: ReferenceEngine, records: Any, *more: Any) -> list[bytes]:
        return encode_lanes(engine, np.roll(records, 1, axis=0), *more)

    monkeypatch.setattr("pcedge.engines.reference.encode_lanes", wrong_lanes)
    refused("record 0, variable 0: must decode to 0, got 1")
    monkeypatch.undo()
    write_onnx(quantize(series_circuit()), tmp_path / "m.onnx")
    x = series(11)
    np.save(tmp_path / "x.npy", x)
    invert = Symbolizer.invert

    def wrong_rows(self: Symbolizer, records: Any, rows: int | None = None) -> Any:
        data = invert(self, records, rows)
        if len(data) == 11:  # not those of the trial when it is made
            data[7, 1] += 1
        return data

    monkeypatch.setattr(Symbolizer, "invert", wrong_rows)
    refused("row 7, place (1,): the value must come back from its symbols")

    def no_rows(self: Symbolizer, records: Any, rows: int | None = None) -> Any:
        if rows == 11:
            raise DataError("records must be others")
        return invert(self, records, rows)

    monkeypatch.setattr(Symbolizer, "invert", no_rows)
    refused("rows 0..10 must come back from their symbols: records must be others")


def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_onnx(small_circuit(), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", DATA)

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pcedge.engines.reference.decode_rounds", interrupted)
    words = ("encode", tmp_path / "m.onnx", tmp_path / "x.npy", tmp_path / "x.pce", "--engine", "numpy")
    assert run(*words).exit_code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.onnx", "x.npy"]


def test_planes_before_a_window_come_back_from_a_stream(tmp_path: Path) -> None:
    """What trained, quantized and encoded, and could not be decoded."""
    model = quantize(series_circuit("range=0..2047,planes=3+8,window=4"))
    write_onnx(model, tmp_path / "m.onnx")
    x = np.random.default_rng(0).integers(0, 2048, size=(35, 2), dtype=np.int16)
    np.save(tmp_path / "x.npy", x)
    said = run("encode", tmp_path / "m.onnx", tmp_path / "x.npy", tmp_path / "x.pce", "--verify", "all", "--json")
    assert json.loads(said.stdout)["verified_records"] == 35
    assert run("decode", tmp_path / "m.onnx", tmp_path / "x.pce", tmp_path / "y.npy").exit_code == 0
    y = np.load(tmp_path / "y.npy")
    assert y.dtype == np.int16
    np.testing.assert_array_equal(y, x)
