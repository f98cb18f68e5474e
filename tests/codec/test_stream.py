"""The stream: golden files, what comes back, every error, and damage."""

from __future__ import annotations

import random
import re
import tracemalloc
import zlib

import numpy as np
import pytest
import strategies
from helpers.paths import GOLDEN, ROOT
from helpers.streams import leaf, numbered, pairs, small_circuit
from hypothesis import given, settings
from hypothesis import strategies as st

from pcedge.circuit import ProductLayer
from pcedge.codec import decode, encode
from pcedge.codec.container import SEGMENT_RECORDS, Segment, Stream, parse, varint
from pcedge.engines import ReferenceEngine
from pcedge.errors import DataError, StreamError, UsageError
from pcedge.integer import IntegerCircuit, IntegerSum
from pcedge.quantize import QuantizationConfig, quantize


def wide_circuit() -> IntegerCircuit:
    """Four variables, two product layers over one region, wide coder, widest leaf tables."""
    layers = (
        leaf(0, 16, [40000, 20000], [1, 2]),
        leaf(1, 16, [30000, 30000], [65536, 0]),
        leaf(2, 16, [1000, 2000], [30000, 5]),
        leaf(3, 16, [32768, 16384], [0, 0]),
        ProductLayer((0, 1), pairs((0, 0), (1, 1))),
        ProductLayer((0, 1), pairs((0, 1))),
        IntegerSum((4, 5), np.array([[100, 100, 56], [0, 256, 0]])),
        ProductLayer((2, 3), pairs((0, 0), (1, 1), (0, 1))),
        ProductLayer((6, 7), pairs((0, 0), (1, 1), (0, 2), (1, 0))),
        IntegerSum((8,), np.array([[64, 64, 120, 8]])),
    )
    return IntegerCircuit(layers, 8, 16, 16, 24, 48, 170, (0, 1, 2, 3))


#: name: circuit, data, lanes. The files must decode for ever; a change of format is a new version and new files.
FILES = {
    "stream_small": lambda: (small_circuit(), numbered(37, (2, 2, 4)).astype(np.uint8), 5),
    "stream_wide": lambda: (wide_circuit(), numbered(50, (3, 3, 3, 3)).astype(">u2").reshape(50, 2, 2), 1),
    "stream_bool": lambda: (wide_bool(), (numbered(16, (2, 2, 2)) > 0).reshape(16, 3, 1), None),
    "stream_empty": lambda: (small_circuit(), np.zeros((0, 3), dtype=np.int64), None),
}


def wide_bool() -> IntegerCircuit:
    layers = (*(leaf(v, 12, [1 << (9 + v)]) for v in range(3)), ProductLayer((2, 0, 1), pairs((0, 0, 0))))
    return IntegerCircuit(layers, 8, 12, 16, 24, 48, 256, (2, 0, 1))


def write_golden() -> None:
    """Write the files anew: only for a new version of the format."""
    for name, make in FILES.items():
        circuit, data, lanes = make()
        (GOLDEN / f"{name}.bin").write_bytes(encode(ReferenceEngine(circuit), data, lanes))


class TestGolden:
    @pytest.mark.parametrize("name", FILES)
    def test_decodes_and_is_written_again_byte_for_byte(self, name):
        circuit, data, lanes = FILES[name]()
        stored = (GOLDEN / f"{name}.bin").read_bytes()
        engine = ReferenceEngine(circuit)
        back = decode(engine, stored)
        assert back.dtype.str == data.dtype.str
        assert back.shape == data.shape
        assert (back == data).all()
        assert encode(engine, data, lanes) == stored

    def test_worked_example_of_the_page(self):
        """The bytes in docs/stream.md."""
        circuit = IntegerCircuit((leaf(0, 8, [64]),), 8, 8, 16, 24, 48, 256, (0,))
        stream = encode(ReferenceEngine(circuit), np.array([[1], [0], [1]], dtype=np.uint8), lanes=2)
        page = (ROOT / "docs/stream.md").read_text(encoding="utf-8")
        example = page[page.index("## Worked example") :]
        shown = "".join(re.findall(r"^\| `([0-9a-f ]+)` \|", example, flags=re.MULTILINE))
        assert shown.replace(" ", "") == stream.hex()


DTYPES = ("bool", "i1", "u1", "<i2", ">i2", "<u2", ">u4", "<i4", "<i8", ">i8", "<u8", ">u8")


class TestRoundTrip:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("shape", [(9, 64), (9, 8, 8), (1, 4, 4, 4), (0, 8, 8), (2, 1, 64, 1)])
    def test_dtype_and_shape_come_back(self, dtype, shape):
        leaves = [leaf(v, 8, [100]) for v in range(64)]
        circuit = IntegerCircuit((*leaves, ProductLayer(tuple(range(64)), np.zeros((1, 64), np.int64))),
                                 8, 8, 8, 24, 48, 1, tuple(range(64)))  # fmt: skip
        rng = np.random.default_rng(0)
        data = rng.integers(0, 2, shape).astype(dtype)
        back = decode(ReferenceEngine(circuit), encode(ReferenceEngine(circuit), data))
        assert (back.dtype, back.shape) == (data.dtype, shape)
        assert back.dtype.str == data.dtype.str
        assert (back == data).all()

    @settings(max_examples=30)
    @given(strategies.integer_circuits(), st.data())
    def test_any_records_in_any_lanes(self, circuit, data):
        records = data.draw(strategies.records_for(circuit))
        engine = ReferenceEngine(circuit)
        stream = encode(engine, records, data.draw(st.integers(1, 10)))
        assert (decode(engine, stream) == records).all()
        assert encode(engine, records.tolist() or records) == encode(engine, records)

    def test_segments(self, monkeypatch):
        monkeypatch.setattr("pcedge.codec.stream.SEGMENT_RECORDS", 10)
        engine = ReferenceEngine(small_circuit())
        data = numbered(35, (2, 2, 4))
        told: list[tuple[int, int]] = []
        stream = encode(engine, data, 4, lambda *done: told.append(done))
        parsed = parse(stream)
        assert [segment.records for segment in parsed.segments] == [10, 10, 10, 5]
        assert [len(segment.lanes) for segment in parsed.segments] == [4] * 4
        assert parsed.payload_bytes == sum(len(lane) for segment in parsed.segments for lane in segment.lanes)
        assert told[-1] == (35, 35)
        told.clear()
        assert (decode(engine, stream, lambda *done: told.append(done)) == data).all()
        assert told[-1] == (35, 35)
        assert told == sorted(told)
        for number, segment in enumerate(parsed.segments):
            part = data[10 * number : 10 * number + 10]
            assert segment.lanes == parse(encode(engine, part, 4)).segments[0].lanes


def repaired(header: bytes, *segments: bytes) -> bytes:
    return b"".join(part + zlib.crc32(part).to_bytes(4, "little") for part in (header, *segments))


def header_of(dtype: bytes = b"|u1", shape: tuple[int, ...] = (3, 3), dimensions: int | None = None,
              digest: bytes | None = None) -> bytes:  # fmt: skip
    digest = small_circuit().digest[:16] if digest is None else digest
    sizes = b"".join(varint(size) for size in shape)
    count = bytes([len(shape) if dimensions is None else dimensions])
    return b"\x8ePCE\x01" + digest + bytes([len(dtype)]) + dtype + count + sizes


def segment_of(records: int = 3, lanes: tuple[bytes, ...] = (b"\0",)) -> bytes:
    return Segment(records, lanes).pack()[:-4]


class TestErrors:
    engine = ReferenceEngine(small_circuit())
    good = encode(engine, numbered(3, (2, 2, 4)).astype(np.uint8), 1)

    def refuse(self, stream: bytes, text: str) -> None:
        with pytest.raises(StreamError, match=f"^{text}$"):
            decode(self.engine, stream)

    def test_magic(self):
        self.refuse(b"", "magic must have 4 bytes, 0 are left: truncated stream")
        self.refuse(b"\x8ePC", "magic must have 4 bytes, 3 are left: truncated stream")
        self.refuse(b"PK\3\4" + self.good[4:], "a stream must start with 8e504345, got 504b0304")

    def test_version(self):
        self.refuse(self.good[:4], "version must have 1 bytes, 0 are left: truncated stream")
        self.refuse(self.good[:4] + b"\3" + self.good[5:], "the stream must be of version 1 or 2, got 3")

    def test_header(self):
        self.refuse(self.good[:9], "digest must have 16 bytes, 4 are left: truncated stream")
        self.refuse(self.good[:23], "dtype must have 3 bytes, 1 are left: truncated stream")
        self.refuse(self.good[:25], "shape must have 1 bytes, 0 are left: truncated stream")
        end = len(header_of())
        self.refuse(self.good[: end + 2], "checksum of header must have 4 bytes, 2 are left: truncated stream")
        damaged = self.good[:6] + bytes([self.good[6] ^ 1]) + self.good[7:]
        self.refuse(damaged, "the checksum of header must be [0-9a-f]{8}, got [0-9a-f]{8}: damaged stream")

    @pytest.mark.parametrize("name", [b"", b"<f8", b"|O", b"u1", b"=u2", b">u1", b"i4,i4", b"(2,3)i4", b"|V8", b"M8",
                                      b"\xff\xfe", b"int8", b"a", b"(99999999999999999999,)i4", b"<U9"])  # fmt: skip
    def test_dtype(self, name):
        self.refuse(
            repaired(header_of(name), segment_of()),
            re.escape(f"the dtype must be an integer type of numpy, got {name!r}"),
        )

    def test_shape(self):
        self.refuse(repaired(header_of(shape=(3,))), "the shape must have 2..16 dimensions, got 1")
        self.refuse(repaired(header_of(shape=())), "the shape must have 2..16 dimensions, got 0")
        self.refuse(repaired(header_of(shape=(1,) * 16, dimensions=17)), "the shape must have 2..16 dimensions, got 17")
        self.refuse(
            repaired(header_of(shape=(3, 4)), segment_of()),
            r"records must have 3 symbols, the header says shape \(3, 4\)",
        )
        # Two sizes with the product 3 modulo 2^64: a product in 64 bits would take them for 3 symbols.
        one, two = next((a, b) for a in range(5, 99, 2) if (b := 3 * pow(a, -1, 2**64) % 2**64) < 2**63)
        assert int(np.prod((one, two))) == 3
        self.refuse(
            repaired(header_of(shape=(0, one, two))),
            rf"records must have 3 symbols, the header says shape \(0, {one}, {two}\)",
        )

    def test_counts(self):
        head = header_of()
        self.refuse(
            repaired(head, b"\x83\x00\x01\x01\x00"),
            "segment 0: a count must be written in as few bytes as it needs",
        )
        self.refuse(repaired(head, b"\xff" * 9), "segment 0: a count must have at most 9 bytes")
        self.refuse(
            repaired(head, varint(3) + varint(1000)),
            "segment 0 must have a length byte for each of its 1000 lanes: truncated or damaged",
        )
        self.refuse(repaired(head, segment_of(4)), r"segment 0 must have 1\.\.3 records, got 4")
        self.refuse(repaired(head, segment_of(0)), r"segment 0 must have 1\.\.3 records, got 0")
        self.refuse(repaired(head, segment_of(1, ())), r"segment 0 must have 1\.\.1 lanes, got 0")
        self.refuse(repaired(head, segment_of(1, (b"\0", b"\0"))), r"segment 0 must have 1\.\.1 lanes, got 2")
        many = header_of(shape=(2 * SEGMENT_RECORDS, 3))
        self.refuse(
            repaired(many, segment_of(SEGMENT_RECORDS + 1)), r"segment 0 must have 1\.\.65536 records, got 65537"
        )

    def test_segments(self):
        self.refuse(self.good[:-5], "segment 0, lane 0 must have [0-9]+ bytes, [0-9]+ are left: truncated stream")
        self.refuse(self.good[:-1], "checksum of segment 0 must have 4 bytes, 3 are left: truncated stream")
        self.refuse(
            self.good[:-6] + bytes([self.good[-6] ^ 1]) + self.good[-5:],
            "the checksum of segment 0 must be [0-9a-f]{8}, got [0-9a-f]{8}: damaged stream",
        )
        self.refuse(self.good + b"\0", "the stream must end after its 3 records, 1 bytes follow")
        self.refuse(self.good + self.good, r"the stream must end after its 3 records, [0-9]+ bytes follow")
        self.refuse(repaired(header_of()), "segment 0 must have 1 bytes, 0 are left: truncated stream")

    def test_another_circuit(self):
        other = ReferenceEngine(wide_bool())
        ours, theirs = other.circuit.digest[:16].hex(), small_circuit().digest[:16].hex()
        with pytest.raises(StreamError, match=f"^the stream must be of this circuit, {ours}, it was made by {theirs}$"):
            decode(other, self.good)

    def test_symbols_that_do_not_fit_the_dtype(self):
        stream = encode(self.engine, np.array([[1, 1, 3]]))
        parsed = parse(stream)
        forged = Stream(parsed.digest, np.dtype(bool), parsed.shape, parsed.segments).pack()
        self.refuse(forged, "symbols must fit bool, got 3")

    def test_payload(self):
        parsed = parse(self.good)
        (lane,) = parsed.segments[0].lanes
        longer = Stream(parsed.digest, parsed.dtype, parsed.shape, (Segment(3, (lane + b"\0",)),)).pack()
        self.refuse(longer, f"lane 0 must have {len(lane)} bytes for its records, got {len(lane) + 1}")
        other = Stream(parsed.digest, parsed.dtype, parsed.shape, (Segment(3, (b"\xff" * len(lane),)),)).pack()
        self.refuse(other, "lane 0 must (stay inside|have) .*")

    @pytest.mark.parametrize(
        ("data", "text"),
        [
            (np.zeros((2, 3)), "data must be integers, got float64"),
            (np.full((2, 3), np.nan), "data must be integers, got float64 with NaN; write missing symbols as -1"),
            (np.array([["a"] * 3]), "data must be integers, got <U1"),
            (np.zeros((2, 4), int), "data must have shape (records, …) with 3 symbols a record, got (2, 4)"),
            (np.zeros(3, int), "data must have shape (records, …) with 3 symbols a record, got (3,)"),
            (
                np.zeros((2, 3, 1, 2), int),
                "data must have shape (records, …) with 3 symbols a record, got (2, 3, 1, 2)",
            ),
            (np.array([[0, 0, 0], [0, 2, 0]]), "record 1, variable 1: a symbol must be in 0..1, got 2"),
            (np.array([[0, 0, -1]]), "record 0, variable 2: a symbol must be in 0..3, got -1"),
            (np.array([[0, 0, 2**64 - 1]], dtype=np.uint64), "symbols must be below 4, got 18446744073709551615"),
            (np.zeros((1, 3, *[1] * 15), int), "data must have at most 16 dimensions, got 17"),
        ],
    )
    def test_data(self, data, text):
        with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
            encode(self.engine, data)

    def test_lanes(self):
        with pytest.raises(UsageError, match=r"^lanes must be an integer of at least 1, got 0$"):
            encode(self.engine, np.zeros((1, 3), int), 0)

    @settings(max_examples=5)
    @given(strategies.unstructured_circuits())
    def test_unstructured_circuits(self, circuit):
        engine = ReferenceEngine(quantize(circuit, QuantizationConfig()))
        x = np.zeros((3, len(circuit.cardinalities)), int)
        assert (decode(engine, encode(engine, x)) == x).all()


def mutated(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """Damage a string of bytes in one of seven ways, or in two of them."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2))):
        if not out:
            return bytes(out)
        kind, place = rng.randrange(7), rng.randrange(len(out))
        if kind == 0:
            out[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[place] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
        elif kind == 2:
            del out[place:]
        elif kind == 3:
            out[place:place] = rng.randbytes(rng.randint(1, 9))
        elif kind == 4:
            del out[place : place + rng.randint(1, 9)]
        elif kind == 5:
            second = rng.randrange(len(out))
            out[place], out[second] = out[second], out[place]
        else:
            out[place:] = other[rng.randrange(len(other)) :]
    return bytes(out)


def encoded_again(engine: ReferenceEngine, data: np.ndarray, stream: bytes) -> bytes:
    """Encode what a stream gave, in as many lanes."""
    segments = parse(stream).segments
    return encode(engine, data, len(segments[0].lanes) if segments else None)


def forged_lanes(rng: random.Random, lanes: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Change the last bytes of some lanes."""
    out = [bytearray(lane) for lane in lanes]
    for lane in out if rng.random() < 0.5 else [rng.choice(out)]:
        lane[-1] = (lane[-1] + rng.choice((1, 1, 2, 3, 5, 20, 255, rng.randrange(256)))) % 256
    return tuple(bytes(lane) for lane in out)


class TestOneForm:
    """What decodes is what `encode` writes for it: no stream has a second form."""

    def test_forged_flushes(self):
        seed = 9
        print(f"seed {seed}")
        rng = random.Random(seed)
        streams = []
        for name in ("stream_small", "stream_wide", "stream_bool"):
            circuit, data, _ = FILES[name]()
            engine = ReferenceEngine(circuit)
            streams += [(engine, data, parse(encode(engine, data, lanes))) for lanes in (3, 5, 16)]
        refused = 0
        for trial in range(500):
            engine, data, good = rng.choice(streams)
            lanes = forged_lanes(rng, good.segments[0].lanes)
            forged = Stream(good.digest, good.dtype, good.shape, (Segment(len(data), lanes),)).pack()
            try:
                back = decode(engine, forged)
            except StreamError as error:
                refused += "must end with the least byte inside its range" in str(error)
                continue
            assert encoded_again(engine, back, forged) == forged, trial
        print(f"{refused} refused for their flush alone")
        assert refused > 50

    @settings(max_examples=40)
    @given(strategies.integer_circuits(), st.data())
    def test_any_lanes_that_decode(self, circuit, data):
        records = data.draw(strategies.records_for(circuit, max_records=8, min_records=1))
        engine = ReferenceEngine(circuit)
        good = parse(encode(engine, records, data.draw(st.integers(1, 4))))
        lanes = [bytearray(lane) for lane in good.segments[0].lanes]
        for lane in lanes:
            lane[-1] = (lane[-1] + data.draw(st.integers(0, 255))) % 256
        forged = Stream(good.digest, good.dtype, good.shape, (Segment(len(records), tuple(map(bytes, lanes))),)).pack()
        try:
            back = decode(engine, forged)
        except StreamError:
            return
        assert encoded_again(engine, back, forged) == forged

    def test_segments_are_full(self, monkeypatch):
        monkeypatch.setattr("pcedge.codec.stream.SEGMENT_RECORDS", 10)
        engine = ReferenceEngine(small_circuit())
        data = numbered(25, (2, 2, 4))
        good = parse(encode(engine, data, 4))
        parts = {count: parse(encode(engine, data[:count], 4)).segments for count in (5, 10)}

        def refuse(segments: tuple[Segment, ...], text: str) -> None:
            stream = Stream(good.digest, good.dtype, (sum(segment.records for segment in segments), 3), segments)
            with pytest.raises(StreamError, match=f"^{text}$"):
                decode(engine, stream.pack())

        refuse(parts[5] + parts[10], "segment 0 must have 10 of the 15 records left, got 5")
        refuse(parts[5] * 2, "segment 0 must have 10 of the 10 records left, got 5")
        refuse(parts[10] + parts[5] * 2, "segment 1 must have 10 of the 10 records left, got 5")
        assert len(decode(engine, Stream(good.digest, good.dtype, (15, 3), parts[10] + parts[5]).pack())) == 15

    def test_segments_have_one_number_of_lanes(self, monkeypatch):
        monkeypatch.setattr("pcedge.codec.stream.SEGMENT_RECORDS", 10)
        engine = ReferenceEngine(small_circuit())
        data = numbered(13, (2, 2, 4))
        by_lanes = {lanes: parse(encode(engine, data, lanes)) for lanes in (2, 3, 7)}
        assert [len(segment.lanes) for segment in by_lanes[7].segments] == [7, 3]

        def mixed(first: int, last: int) -> bytes:
            good = by_lanes[2]
            segments = (by_lanes[first].segments[0], by_lanes[last].segments[1])
            return Stream(good.digest, good.dtype, good.shape, segments).pack()

        for first, last, wanted, got in ((2, 3, 3, 2), (7, 2, 3, 2), (3, 2, 3, 2)):
            number = 0 if first < last else 1
            text = f"^segment {number} must have {wanted} lanes, as many as the others, got {got}$"
            with pytest.raises(StreamError, match=text):
                decode(engine, mixed(first, last))
        # The last segment has no more records than 3.
        assert mixed(7, 3) == encode(engine, data, 7)
        assert (decode(engine, mixed(7, 3)) == data).all()


class TestDamage:
    engine = ReferenceEngine(small_circuit())
    data = numbered(37, (2, 2, 4)).astype(np.uint8)
    stream = encode(engine, data, 5)
    other = encode(engine, data[::-1], 3)

    def test_is_found(self):
        """10,000 damaged streams: an error, or the original data."""
        seed = 2024
        print(f"seed {seed}")
        rng = random.Random(seed)
        wrong = 0
        for number in range(10_000):
            damaged = mutated(rng, self.stream, self.other)
            if damaged in (self.stream, self.other):
                continue
            try:
                back = decode(self.engine, damaged)
            except StreamError:
                wrong += 1
                continue
            assert back.dtype == self.data.dtype, number
            assert (back == self.data).all(), number
        assert wrong > 9000

    def test_with_good_checksums_never_crashes(self):
        """Damage that a forger hides behind right checksums: an error, or some data of the shape in the header."""
        seed = 7
        print(f"seed {seed}")
        rng = random.Random(seed)
        first = len(header_of(shape=(37, 3)))
        head, body = self.stream[:first], self.stream[first + 4 : -4]
        assert repaired(head, body) == self.stream
        decoded = 0
        for _ in range(1500):
            parts = [head, body]
            for place in rng.choice(((0,), (1,), (1,), (0, 1))):
                parts[place] = mutated(rng, parts[place], self.other)
            forged = repaired(*parts)
            try:
                back = decode(self.engine, forged)
            except StreamError:
                continue
            decoded += 1
            assert back[0].size == 3
            assert encoded_again(self.engine, back, forged) == forged
        print(f"{decoded} decoded")
        assert decoded > 0

    def test_random_lanes_give_an_error_or_data(self):
        rng = random.Random(11)
        records = len(self.data)
        for _ in range(300):
            lanes = tuple(rng.randbytes(rng.randint(1, 12)) for _ in range(rng.randint(1, 6)))
            forged = Stream(self.engine.circuit.digest, np.dtype("u1"), (records, 3), (Segment(records, lanes),))
            try:
                back = decode(self.engine, forged.pack())
            except StreamError as error:
                assert re.match(r"lane \d+ must ", str(error))
                continue
            assert back.shape == (records, 3)
            assert encoded_again(self.engine, back, forged.pack()) == forged.pack()


class TestCallers:
    """What is given in another form than the usual."""

    def test_integers_of_numpy_are_lanes(self) -> None:
        engine = ReferenceEngine(quantize(strategies.make_circuit(1, 3, 2, 3, "hidden")))
        x = np.zeros((7, 3), dtype=np.uint8)
        assert encode(engine, x, np.int64(3)) == encode(engine, x, 3)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match=r"^lanes must be an integer of at least 1, got True$"):
            encode(engine, x, True)

    @pytest.mark.parametrize("data", [None, "abc", [300], 7])
    def test_a_stream_is_bytes(self, data: object) -> None:
        engine = ReferenceEngine(quantize(strategies.make_circuit(1, 3, 2, 3, "hidden")))
        with pytest.raises(StreamError, match=rf"^a stream must be bytes, got {type(data).__name__}$"):
            decode(engine, data)  # type: ignore[arg-type]

    def test_any_view_of_bytes_is_read(self) -> None:
        engine = ReferenceEngine(quantize(strategies.make_circuit(1, 3, 2, 3, "hidden")))
        x = np.zeros((7, 3), dtype=np.uint8)
        data = encode(engine, x)
        words = memoryview(np.frombuffer(data + bytes(-len(data) % 2), np.uint16))
        np.testing.assert_array_equal(decode(engine, bytearray(data)), x)  # type: ignore[arg-type]
        if len(data) % 2 == 0:
            np.testing.assert_array_equal(decode(engine, words), x)  # type: ignore[arg-type]
        else:
            with pytest.raises(StreamError, match=r"1 bytes follow$"):
                decode(engine, words)  # type: ignore[arg-type]

    def test_an_engine_is_that_of_an_integer_circuit(self) -> None:
        text = "^a program must be that of an integer circuit, which quantize makes, got "
        for source in (None, strategies.make_circuit(1, 3, 2, 3, "hidden")):
            with pytest.raises(UsageError, match=text + type(source).__name__):
                ReferenceEngine(source)  # type: ignore[arg-type]


def test_decoding_takes_the_records_and_little_for_a_segment() -> None:
    variables, segments = 4, 3
    layers = [strategies.InputLayer(v, [[1.0, 0.0]]) for v in range(variables)]
    layers.append(ProductLayer(tuple(range(variables)), np.zeros((1, variables), int)))
    engine = ReferenceEngine(quantize(strategies.Circuit(tuple(layers))))
    data = encode(engine, np.zeros((segments * SEGMENT_RECORDS, variables), np.uint8), 8192)
    tracemalloc.start()
    decode(engine, data)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # SECURITY.md: the records in their type, 16 bytes a symbol of a segment, and what a round of the lanes takes.
    assert most < variables * SEGMENT_RECORDS * (segments + 16) + 64 * len(data)
