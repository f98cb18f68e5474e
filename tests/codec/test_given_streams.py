"""Streams without their given variables: what comes back, what it costs, every error, and the commands."""

from __future__ import annotations

import io
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import as_json, run
from helpers.messages import whole
from helpers.paths import GOLDEN
from helpers.predictors import STAGE, circuit_of
from helpers.series import series, series_circuit
from helpers.streams import leaf, numbered, small_circuit
from numpy.testing import assert_array_equal

import pcedge
from pcedge.circuit import ProductLayer
from pcedge.codec import Codec, Decoder, Encoder, check_stream, decode, encode, expected_bits
from pcedge.codec.appending import append, append_file
from pcedge.codec.container import Segment, parse, varint
from pcedge.codec.decoder import StreamFile
from pcedge.codec.packet_stream import encode_packet_stream
from pcedge.drivers.device import _OnDevice
from pcedge.engines import ReferenceEngine
from pcedge.errors import DataError, MismatchError, StreamError, UsageError
from pcedge.export import write_onnx
from pcedge.integer import IntegerCircuit
from pcedge.native import NativeEngine, instruction_sets, open_engine
from pcedge.quantize import quantize

CIRCUIT = small_circuit()
ENGINE = ReferenceEngine(CIRCUIT)
DATA = numbered(37, (2, 2, 4)).astype(np.uint8)
ENGINES = [ReferenceEngine, *([NativeEngine] if instruction_sets() else [])]

#: eight variables of 256 symbols, of which the first has nearly all the mass, in the order of their variables and not
SKEWED = IntegerCircuit(
    (*(leaf(v, 12, [4096 - 255, *[1] * 254]) for v in range(8)), ProductLayer(tuple(range(8)), np.zeros((1, 8), int))),
    8, 12, 16, 24, 48, 1, tuple(range(8)),
)  # fmt: skip


def write_golden() -> None:
    """Write the file anew: only for a new version of the format."""
    (GOLDEN / "stream_given.bin").write_bytes(encode(ENGINE.with_given((0, 2)), DATA, 3, index=10))


@pytest.mark.parametrize("make", ENGINES)
def test_the_golden_file_decodes_and_is_written_again(make: type) -> None:
    stored = (GOLDEN / "stream_given.bin").read_bytes()
    engine = make(CIRCUIT)
    assert_array_equal(decode(engine, stored, given=DATA[:, [0, 2]]), DATA)
    assert encode(engine.with_given((2, 0)), DATA, 3, index=10) == stored
    parsed = parse(stored)
    assert parsed.pack() == stored and parsed.version == 2
    # Variables 0 and 2: the first, and the distance to the next.
    assert dict(parsed.fields)[13] == b"\x00\x02" and parsed.given == (0, 2)
    wanted = zlib.crc32(DATA[10:20, [0, 2]].tobytes()).to_bytes(4, "little")
    assert parsed.segments[1].given == wanted and stored.count(wanted) == 1


@pytest.mark.parametrize("make", ENGINES)
@pytest.mark.parametrize("given", [(0,), (1,), (2,), (0, 2), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize(("lanes", "index"), [(1, None), (5, None), (64, None), (3, 10), (1, 1), (None, 0)])
def test_every_part_comes_back(make: type, given: tuple[int, ...], lanes: int | None, index: int | None) -> None:
    engine = make(CIRCUIT).with_given(given)
    stream = encode(engine, DATA, lanes, index=index)
    assert stream == encode(ENGINE.with_given(given), DATA, lanes, index=index)
    own = DATA[:, given]
    for known in (own, own.astype(">i8"), DATA, own.tolist()):
        back = decode(make(CIRCUIT), stream, given=known)
        assert back.dtype == np.uint8
        assert_array_equal(back, DATA)
    assert check_stream(engine, DATA, stream, "all") == 37
    assert 0 < check_stream(engine, DATA, stream, "sample") <= 37
    name = "native" if make is NativeEngine else "numpy"
    with Decoder(CIRCUIT, stream, name, given=own) as decoder:
        for start in range(0, len(DATA), 6):
            assert_array_equal(decoder[start], DATA[start])
        for start, stop in ((0, 37), (9, 21), (30, 37), (5, 5)):
            assert_array_equal(decoder.read(start, stop), DATA[start:stop])
    out = io.BytesIO()
    with Encoder(CIRCUIT, out, lanes, name, index=index, given=given) as encoder:
        encoder.put(DATA[0])
        encoder.write(DATA[1:])
    assert out.getvalue() == stream


def test_the_bytes_are_the_conditional_bits() -> None:
    """A lane has the bits of the intervals given what is given, rounded up to the next byte or the one after it."""
    circuit = pcedge.load("nltcs")
    x = open_engine(circuit).sample(2000, 5).astype(np.uint8)
    for given in ((3,), (0, 7, 8, 15)):
        engine = open_engine(circuit).with_given(given)
        lo, hi = engine.intervals(x)
        sizes = (hi - lo)[:, ~np.isin(circuit.order, given)]
        bits = float((circuit.scale_bits - np.log2(sizes)).sum())
        stream = pcedge.encode(circuit, x, 1, given=given)
        payload = parse(stream).payload_bytes
        assert bits / 8 <= payload <= bits / 8 * 1.0001 + 2
        assert payload < parse(pcedge.encode(circuit, x, 1)).payload_bytes
        assert_array_equal(pcedge.decode(circuit, stream, given=x[:, given]), x)


@pytest.mark.parametrize("make", ENGINES)
def test_stored_segments_are_without_given_variables(make: type) -> None:
    noise = np.random.default_rng(1).integers(1, 256, (100, 8))
    x = np.concatenate([np.zeros((100, 8)), noise, np.zeros((100, 8)), noise[:30]]).astype(np.uint8)
    engine = make(SKEWED).with_given((1, 6))
    stream = encode(engine, x.reshape(-1, 2, 4), 2, index=100)
    parsed = parse(stream)
    assert [segment.stored is not None for segment in parsed.segments] == [False, True, False, True]
    rest = [0, 2, 3, 4, 5, 7]
    assert parsed.segments[1].stored == x[100:200][:, rest].tobytes()
    assert check_stream(engine, x.reshape(-1, 2, 4), stream, "all") == 330
    decoder = Decoder.of(make(SKEWED), StreamFile(stream), x[:, [1, 6]])
    for start, stop in ((0, 330), (99, 101), (150, 151), (310, 330)):
        assert_array_equal(decoder.read(start, stop), x[start:stop].reshape(-1, 2, 4))
    # With everything given there is nothing to store, and the ends of lanes are more than that.
    everything = encode(make(SKEWED).with_given(range(8)), x, 64)
    assert parse(everything).segments[0].stored == b"" and len(everything) < 60
    assert_array_equal(decode(make(SKEWED), everything, given=x), x)


def test_expected_bits_are_those_of_what_is_coded() -> None:
    plain, deviation = expected_bits(ENGINE, 300)
    given, other = expected_bits(ENGINE.with_given((0, 2)), 300)
    assert 0 < given < plain and np.isfinite(deviation) and np.isfinite(other)


@pytest.mark.parametrize(("lanes", "index"), [(3, None), (2, 4), (None, 0)])
@pytest.mark.parametrize("first", [5, 8, 30])
def test_appended_is_encoded_at_once(lanes: int | None, index: int | None, first: int, tmp_path: Path) -> None:
    engine, path, given = ENGINE.with_given((1, 2)), tmp_path / "x.pce", [1, 2]
    path.write_bytes(encode(engine, DATA[:first], lanes, index=index))
    # The engine at hand has nothing given: the stream says what is.
    append_file(ENGINE, path, DATA[first:33], lanes=lanes, known=DATA[:first, given])
    assert path.read_bytes() == encode(engine, DATA[:33], lanes, index=index)
    append_file(ENGINE, path, DATA[33:], lanes=lanes, known=DATA[:33])
    assert path.read_bytes() == encode(engine, DATA, lanes, index=index)


def test_values_of_whole_segments_are_not_needed_to_append(tmp_path: Path) -> None:
    engine, path = ENGINE.with_given((1, 2)), tmp_path / "x.pce"
    path.write_bytes(encode(engine, DATA[:20], 2, index=10))
    append_file(ENGINE, path, DATA[20:35])
    assert path.read_bytes() == (before := encode(engine, DATA[:35], 2, index=10))
    text = (
        "the values of variables 1, 2 of the 35 records that are there must be given (--known FILE, known= in Python): "
        "the last segment is not full, and is encoded anew with what comes"
    )
    with pytest.raises(UsageError, match=whole(text)):
        append_file(ENGINE, path, DATA[35:])
    with pytest.raises(DataError, match=r"^the given values of segment 3 must be those that it was encoded with"):
        append_file(ENGINE, path, DATA[35:], known=DATA[:35] ^ 1)
    with pytest.raises(UsageError, match=r"^given values must go with a stream that names given variables"):
        append(ENGINE, StreamFile(encode(ENGINE, DATA)), DATA, io.BytesIO(), known=DATA)
    assert path.read_bytes() == before


class TestWrong:
    STREAM = encode(ENGINE.with_given((0, 2)), DATA, 3, index=10)

    SHAPES = "given values must be integers of shape (37, 2), those of variables 0, 2, or (37, 3), those of all, got {}"

    @pytest.mark.parametrize(
        ("known", "error", "text"),
        [
            (
                None, UsageError, "the values of variables 0, 2 must be given, the stream was encoded without them "
                "(--given FILE, given= in Python): integers of shape (37, 2), or (37, 3) of all",
            ),
            (DATA[:36], DataError, SHAPES.format("uint8 of shape (36, 3)")),
            (DATA[:, 0], DataError, SHAPES.format("uint8 of shape (37,)")),
            (DATA / 2, DataError, SHAPES.format("float64 of shape (37, 3)")),
            (DATA.astype(int) - 1, DataError, "given values must fit uint8, as the stream, got -1..2"),
        ],
    )  # fmt: skip
    def test_values(self, known: object, error: type, text: str) -> None:
        for wrong in (lambda: decode(ENGINE, self.STREAM, given=known),
                      lambda: Decoder(CIRCUIT, self.STREAM, "numpy", given=known)):  # fmt: skip
            with pytest.raises(error, match=whole(text)):
                wrong()

    @pytest.mark.parametrize("make", ENGINES)
    def test_one_wrong_value(self, make: type) -> None:
        """Whatever the engine would decode with it, the checksum tells of it first, and of no other segment."""
        for row, column in ((0, 0), (14, 1), (36, 0)):
            known = DATA[:, [0, 2]].copy()
            known[row, column] ^= 1
            text = f"the given values of segment {row // 10} must be those that it was encoded with, of checksum "
            with pytest.raises(DataError, match=f"^{text}"):
                decode(make(CIRCUIT), self.STREAM, given=known)
            decoder = Decoder.of(make(CIRCUIT), StreamFile(self.STREAM), known)
            for record in range(37):
                if record // 10 == row // 10:
                    with pytest.raises(DataError, match=f"^{text}"):
                        decoder[record]
                else:
                    assert_array_equal(decoder[record], DATA[record])
        with pytest.raises(DataError, match=r"^the given values of segment 0 must be those"):
            decode(make(CIRCUIT), self.STREAM, given=DATA[:, [2, 0]])

    def test_where_nothing_is_given(self) -> None:
        text = "given values must go with a stream that names given variables, this one names none"
        with pytest.raises(UsageError, match=whole(text)):
            decode(ENGINE, encode(ENGINE, DATA), given=DATA)
        # An engine that has given variables reads a stream without.
        assert_array_equal(decode(ENGINE.with_given((1,)), encode(ENGINE, DATA)), DATA)

    @pytest.mark.parametrize(
        ("fields", "text"),
        [
            ({13: b"\0\3"}, "field 13 must have ascending variables of a record, 0..2, it has others"),
            ({13: b"\0\0"}, "field 13 must have ascending variables of a record, 0..2, it has others"),
            ({13: b"\3"}, "field 13 must have ascending variables of a record, 0..2, it has others"),
            ({13: b""}, "field 13 must have 1 bytes, 0 are left: truncated stream"),
            ({13: b"\x80\0"}, "field 13: a count must be written in as few bytes as it needs"),
            ({7: b"", 13: b"\1"}, "field 13 must stand beside neither field 7 nor 15, it does"),
            ({13: b"\1", 15: varint(50) + b"\1\x10"}, "field 13 must stand beside neither field 7 nor 15, it does"),
        ],
    )
    def test_fields(self, fields: dict[int, bytes], text: str) -> None:
        forged = replace(parse(self.STREAM), fields=tuple(fields.items()), segments=(), shape=(0, 3)).pack_head()
        for read in (decode, lambda engine, stream, given: Decoder.of(engine, StreamFile(stream), given)):
            with pytest.raises(StreamError, match=whole(text)):
                read(ENGINE, forged, given=DATA[:0])

    def test_stored_rows(self) -> None:
        good = parse(encode(ENGINE.with_given((0, 2)), DATA, 1, index=37))
        crc = good.segments[0].given
        for rows, text in (
            (b"\1" * 36 + b"\2", "segment 0, which is stored: record 36, variable 1: a symbol must be in 0..1, got 2"),
            (bytes(38), "the checksum of segment 0 must be "),
        ):  # fmt: skip
            forged = replace(good, segments=(Segment(37, (), (), rows, crc),), fields=(*good.fields[:1], (11, b""),
                             *good.fields[1:]))  # fmt: skip
            with pytest.raises(StreamError, match=f"^{text}"):
                decode(ENGINE, forged.pack(), given=DATA)

    def test_what_has_no_given_variables(self) -> None:
        windowed, staged = ReferenceEngine(quantize(series_circuit())), ReferenceEngine(circuit_of(STAGE))
        for engine, stage in ((windowed, "symbolizer"), (staged, "predictor stage")):
            text = f"given variables must be numbers of the data, this circuit's are not, for it has a {stage}: got 0"
            with pytest.raises(UsageError, match=whole(text)):
                encode(engine.with_given((0,)), series(8), 1)
            with pytest.raises(UsageError, match=whole(text)):
                Codec(engine.circuit, 1, given=(0,)).encode(series(8))
        text = (
            "packets must be of all variables, variables 1 are given: encode without one of --packet-bytes and --given"
        )
        with pytest.raises(UsageError, match=whole(text)):
            encode_packet_stream(ENGINE.with_given((1,)), DATA, 64)
        stream = parse(encode(windowed, series(8), 1))
        forged = replace(stream, fields=((13, b"\1"),), segments=())
        with pytest.raises(
            StreamError, match=r"^field 13 must go with a circuit without a symbolizer, this one has one$"
        ):
            decode(windowed, replace(forged, shape=(0, 2)).pack(), given=series(0))
        for given, text in (
            ((3,), "given variables must be 0..2, got 3"),
            ((1, 1), "given variables must each be named"),
        ):
            with pytest.raises(UsageError, match=f"^{text}"):
                pcedge.encode(CIRCUIT, DATA, given=given)
        with pytest.raises(
            UsageError, match=r"^a device codes every variable of its circuit, the variables given here are"
        ):
            decode(_OnDevice(CIRCUIT, None), self.STREAM, given=DATA)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=r"^field 13 says how lanes are laid"):
            encode(ENGINE, DATA, fields={13: b"\1"})

    def test_verification_finds_another_checksum(self) -> None:
        parsed = parse(self.STREAM)
        forged = replace(parsed, segments=(*parsed.segments[:3], replace(parsed.segments[3], given=b"abcd"))).pack()
        for stream in (
            forged,
            replace(parse(encode(ENGINE.with_given((0, 2)), DATA, 3)), fields=((13, b"\0\1"),)).pack(),
        ):
            with pytest.raises(MismatchError, match=r"^records \d+\.\.36 must decode: the given values of segment "):
                check_stream(ENGINE, DATA, stream, "all")


def test_files_and_codecs(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b,c\n" + "".join(",".join(map(str, row)) + "\n" for row in DATA.tolist()))
    stream = pcedge.encode_file(CIRCUIT, tmp_path / "x.csv", given=[1])
    assert pcedge.decode_file(CIRCUIT, stream, given=DATA[:, [1]]) == (tmp_path / "x.csv").read_bytes()
    codec = Codec(CIRCUIT, 3, given=(2, 1))
    assert codec.get_config()["given"] == [1, 2] and "given" not in Codec(CIRCUIT).get_config()
    again = Codec.from_config(codec.get_config(), CIRCUIT)
    assert again.encode(DATA, 10) == codec.encode(DATA, 10) == pcedge.encode(CIRCUIT, DATA, 3, index=10, given=[1, 2])
    assert_array_equal(codec.decode(codec.encode(DATA), records=slice(5, 7), given=DATA), DATA[5:7])
    # A program with given variables writes no stream that nobody can read.
    assert pcedge.encode(pcedge.Program.of(CIRCUIT).with_given((1, 2)), DATA, 3) == codec.encode(DATA)


def test_the_commands(tmp_path: Path) -> None:
    model, table, out = tmp_path / "m.onnx", tmp_path / "x.csv", tmp_path / "x.pce"
    write_onnx(CIRCUIT, model)
    lines = [",".join(map(str, row)) + "\n" for row in DATA.tolist()]
    table.write_text("age,site,last\n" + "".join(lines))
    (tmp_path / "known.csv").write_text("site,last\n" + "".join(line[2:] for line in lines))
    np.save(tmp_path / "known.npy", DATA[:, 1:])
    np.save(tmp_path / "wrong.npy", DATA[:, 1:] ^ 1)
    words = ("encode", model, table, out, "--lanes", 3, "--index", 10)
    plain = as_json(*words)
    said = as_json(*words, "--given", "last, 1")
    assert said["given"] == [1, 2] and said["verified_records"] == 37 and "given" not in plain
    assert said["bits_per_variable"] == 8 * said["bytes"] / 37
    assert " bits a variable given 2 of 3; 37 records decoded and compared" in run(*words, "--given", "site,2").output
    assert as_json("info", out)["given"] == [1, 2] and as_json("info", out)["fields"] == [1, 2, 9, 13]
    for known in ("known.csv", "known.npy", "x.csv"):
        for engine in ("numpy", "auto"):
            back = tmp_path / "back.csv"
            as_json("decode", model, out, back, "--given", tmp_path / known, "--engine", engine)
            assert back.read_bytes() == table.read_bytes()
    as_json("decode", model, out, tmp_path / "part.csv", "--given", tmp_path / "known.npy", "--records", "5:7")
    assert (tmp_path / "part.csv").read_text() == "age,site,last\n" + "".join(lines[5:7])
    for more, status, text in (
        (("--given", tmp_path / "wrong.npy"), 1, "the given values of segment 0 must be those that it was"),
        (("--given", tmp_path / "wrong.npy", "--records", "15:16"), 1, "the given values of segment 1 must be those"),
        ((), 2, "the values of variables 1, 2 must be given, the stream was encoded without them (--given FILE"),
    ):  # fmt: skip
        result = run("decode", model, out, tmp_path / "none.csv", *more)
        assert result.exit_code == status and text in result.output, result.output
        assert not (tmp_path / "none.csv").exists()
    before = out.read_bytes()
    for more, text in (
        (("--given", "height"), "--given must name columns of "), (("--given", "3"), "or numbers 0..2, got '3'"),
        (("--given", "site,1"), "--given must name every variable once, got site,1"), (("--given", ""), "got ''"),
        (("--given", "1", "--append"), "--given must come without --append"),
        (("--known", table), "--known must come with --append"),
        (("--append",), "of the 37 records that are there must be given (--known FILE"),
    ):  # fmt: skip
        result = run("encode", model, table, out, *more)
        assert result.exit_code == 2 and text in result.output, result.output
    result = run("encode", model, table, out, "--given", "1", "--packet-bytes", 64)
    assert result.exit_code == 2 and "packets must be of all variables" in result.output
    assert out.read_bytes() == before
    appended = as_json("encode", model, table, out, "--append", "--known", tmp_path / "known.csv")
    assert (appended["appended"], appended["records"], appended["given"]) == (37, 74, [1, 2])
    (tmp_path / "both.csv").write_text("site,last\n" + "".join(line[2:] for line in lines * 2))
    as_json("decode", model, out, tmp_path / "both_back.csv", "--given", tmp_path / "both.csv")
    assert (tmp_path / "both_back.csv").read_text() == "age,site,last\n" + "".join(lines * 2)
    as_json("encode", model, table, out, "--packet-bytes", 64)
    result = run("decode", model, out, tmp_path / "none.csv", "--given", table)
    assert result.exit_code == 2 and "--given must go with a stream of which variables are given" in result.output


class TestNames:
    """Where the table that was encoded had names, and the one with the known values has, columns go by them."""

    @pytest.fixture
    def model(self, tmp_path: Path) -> Path:
        write_onnx(CIRCUIT, tmp_path / "m.onnx")
        return tmp_path / "m.onnx"

    @staticmethod
    def table(path: Path, columns: list[int], names: str | None) -> Path:
        rows = "".join(",".join(map(str, row)) + "\n" for row in DATA[:, columns].tolist())
        path.write_text(("" if names is None else names + "\n") + rows)
        return path

    @pytest.mark.parametrize(
        ("encoded", "columns", "names"),
        [
            ("age,site,last", [2, 1], "last, site"),
            ("age,site,last", [2, 0, 1], "last,age,site"),  # not the order of the whole records
            ("age,site,last", [0, 2, 0, 1], "more,last,other,site"),
            ("age,site,last", [1, 2], None),
            ("age,site,last", [0, 1, 2], None),
            (None, [1, 2], "any,thing"),
            ("age,site,site", [1, 2], "x,y"),  # names that do not tell which is which
        ],
    )
    def test_columns_go_by_names(
        self, model: Path, tmp_path: Path, encoded: str | None, columns: list[int], names: str | None
    ) -> None:
        table = self.table(tmp_path / "x.csv", [0, 1, 2], encoded)
        known = self.table(tmp_path / "known.csv", columns, names)
        as_json("encode", model, table, tmp_path / "x.pce", "--given", "1,2")
        as_json("decode", model, tmp_path / "x.pce", tmp_path / "y.csv", "--given", known)
        assert (tmp_path / "y.csv").read_bytes() == table.read_bytes()
        as_json("encode", model, table, tmp_path / "x.pce", "--append", "--known", known)
        assert as_json("info", tmp_path / "x.pce")["shape"] == [74, 3]

    @pytest.mark.parametrize(
        ("columns", "names", "count"),
        [([1, 2], "a,b", "0 of 'site' among 'a', 'b'"), ([1, 2], "site,lasT", "0 of 'last' among 'site', 'lasT'"),
         ([1, 1, 2], "site,site,last", "2 of 'site' among 'site', 'site', 'last'")],
    )  # fmt: skip
    def test_other_names_are_refused(
        self, model: Path, tmp_path: Path, columns: list[int], names: str, count: str
    ) -> None:
        table = self.table(tmp_path / "x.csv", [0, 1, 2], "age,site,last")
        known = self.table(tmp_path / "known.csv", columns, names)
        as_json("encode", model, table, out := tmp_path / "x.pce", "--given", "1,2")
        before = out.read_bytes()
        text = (
            f"{known} must have one column of each given variable's name, 'site', 'last', it has {count}; without a "
            "header columns are taken in the order of the variables"
        )
        for words in (
            ("decode", model, out, tmp_path / "y.csv", "--given", known),
            ("encode", model, table, out, "--append", "--known", known),
        ):
            assert as_json(*words, status=1)["message"] == text
        assert not (tmp_path / "y.csv").exists() and out.read_bytes() == before

    def test_floats_are_what_they_are_as_data(self, model: Path, tmp_path: Path) -> None:
        """A file's floats that are integers are integers, an array of floats is refused: of data and known values."""
        np.save(tmp_path / "x.npy", DATA.astype(float))
        np.save(tmp_path / "known.npy", DATA[:, 1:].astype(float))
        as_json("encode", model, tmp_path / "x.npy", out := tmp_path / "x.pce", "--given", "1,2")
        as_json("decode", model, out, tmp_path / "y.npy", "--given", tmp_path / "known.npy")
        assert (tmp_path / "y.npy").read_bytes() == (tmp_path / "x.npy").read_bytes()
        with pytest.raises(DataError, match=r"^data must be integers, got float64$"):
            pcedge.encode(CIRCUIT, DATA.astype(float))
        with pytest.raises(DataError, match=r"^given values must be integers of shape "):
            pcedge.decode(CIRCUIT, out.read_bytes(), given=DATA[:, 1:].astype(float))
        known = pcedge.load_array(tmp_path / "known.npy")
        assert_array_equal(pcedge.decode(CIRCUIT, out.read_bytes(), given=known), DATA)


@pytest.mark.parametrize("given", [[1.5], ["hour"], "hour", 3, np.array([[0, 1]])])
def test_what_is_no_list_of_variables_is_refused(given: object) -> None:
    with pytest.raises(UsageError, match=r"^given variables must be a list of integers, got "):
        pcedge.encode(pcedge.load("nltcs"), np.zeros((2, 16), dtype=np.uint8), given=given)  # type: ignore[arg-type]
