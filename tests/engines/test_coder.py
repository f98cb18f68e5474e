"""The range coder and the coding of records: an oracle without carries, constriction, round trips, and bounds."""

from __future__ import annotations

import constriction
import numpy as np
import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st

from pcedge import arithmetic
from pcedge.arithmetic import Widths
from pcedge.circuit import Circuit, InputLayer, sample
from pcedge.engines import ReferenceEngine
from pcedge.engines.lanes import decode_lanes, encode_lanes
from pcedge.engines.range_coder import RangeDecoder, RangeEncoder
from pcedge.errors import StreamError
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.schedule.steps import Op, Step

CODERS = (16, 24)


class BigCoder:
    """Encode with a low end of unlimited width: no digit ever leaves it, so there is no carry to get wrong."""

    def __init__(self, word_bits: int, state_bits: int, scale_bits: int) -> None:
        self.word_bits, self.state_bits, self.scale_bits = word_bits, state_bits, scale_bits
        self.low, self.width, self.words = 0, 2**state_bits - 1, 0

    def encode(self, start: int, end: int) -> None:
        unit = self.width >> self.scale_bits
        self.low += unit * start
        self.width = unit * (end - start)
        while self.width < 1 << (self.state_bits - self.word_bits):
            self.low <<= self.word_bits
            self.width <<= self.word_bits
            self.words += 1

    def finish(self) -> bytes:
        """Give the low end, rounded up to one word more than what is settled."""
        below = self.state_bits - self.word_bits
        return (-(-self.low >> below)).to_bytes((self.words + 1) * self.word_bits // 8, "big")


def intervals_to_a_carry(
    rng: np.random.Generator,
    word_bits: int,
    state_bits: int,
    scale_bits: int,
    words: int,
    carry: bool,
    narrow: float = 0.2,
) -> list[tuple[int, int]]:
    """Find intervals that keep a boundary inside the range while `words` words leave, all pending, then settle it.

    The words that leave are all ones until the last interval lies above the boundary (a carry through all of them) or
    below it. The share `narrow` of the intervals is as small as can be, so that each moves many bytes.
    """
    coder = BigCoder(word_bits, state_bits, scale_bits)
    below = state_bits - word_bits
    ahead = 1 << (state_bits - 1)  # from low to the boundary; stays small while low itself would grow
    found: list[tuple[int, int]] = []
    left, whole = words, 1 << scale_bits
    while True:
        unit = coder.width >> scale_bits
        place = ahead // unit  # the part with the boundary
        if left <= 0:
            interval = (place + 1, whole) if carry else (0, place)
        else:
            back, on = (0, 0) if rng.random() < narrow else (int(v) for v in rng.integers(0, 3, 2))
            interval = (max(0, place - back), min(whole, place + 1 + on))
        start, end = interval
        width, shifted, rest = unit * (end - start), 0, ahead - unit * start
        while 0 < width < 1 << below:
            width, rest, shifted = width << word_bits, rest << word_bits, shifted + 1
        # The next boundary must be well inside the parts: retry where it would fall into what rounding leaves over.
        if left > 0 and not (1 <= rest // (width >> scale_bits) < whole - 1):
            continue
        assert 0 <= start < end <= whole
        found.append(interval)
        if left <= 0:
            return found
        coder.width, ahead, left = width, rest, left - shifted


def random_intervals(rng: np.random.Generator, count: int, scale_bits: int) -> list[tuple[int, int]]:
    """Draw intervals of very different sizes."""
    whole = 1 << scale_bits
    sizes = np.maximum(1, (whole * rng.random(count) ** rng.choice([1, 4, 30], count)).astype(np.int64))
    starts = (rng.random(count) * (whole - sizes + 1)).astype(np.int64)
    return [(int(a), int(a + s)) for a, s in zip(starts, sizes, strict=True)]


def big_bytes(intervals: list[tuple[int, int]], scale_bits: int) -> bytes:
    coder = BigCoder(8, 2 * scale_bits, scale_bits)
    for start, end in intervals:
        coder.encode(start, end)
    return coder.finish()


def widths(scale_bits: int) -> Widths:
    return Widths(8, 12, 16, scale_bits, 2 * scale_bits, 1, cardinality=2, terms=1)


def encoded(lanes: list[list[tuple[int, int]]], scale_bits: int) -> list[bytes]:
    """Encode lanes of one length."""
    encoder = RangeEncoder(len(lanes), widths(scale_bits))
    for step in np.array(lanes, dtype=np.int64).transpose(1, 2, 0):
        encoder.encode(step[0], step[1])
    return encoder.finish()


def constriction_words(intervals: list[tuple[int, int]]) -> bytes:
    """Encode with constriction: 32-bit words, a 64-bit state, 24 bits of precision."""
    encoder = constriction.stream.queue.RangeEncoder()
    for start, end in intervals:
        parts = [start, end - start, (1 << 24) - end]
        counts = np.array([part for part in parts if part], dtype=np.float64)
        # constriction gives every symbol one part of 2^24 and shares out the rest in proportion.
        if len(counts) == 1:
            continue
        model = constriction.stream.model.Categorical(counts - 1, perfect=False)
        encoder.encode(int(start > 0), model)
    return encoder.get_compressed().astype(">u4").tobytes()


class TestOracle:
    """The oracle is right: with constriction's parameters it gives constriction's words."""

    @pytest.mark.parametrize("seed", range(20))
    def test_equals_constriction_on_random_intervals(self, seed):
        rng = np.random.default_rng(seed)
        self.check(random_intervals(rng, 300, 24))

    @pytest.mark.parametrize("carry", [True, False])
    @pytest.mark.parametrize("words", [1, 2, 3, 50, 1000])
    def test_equals_constriction_where_carries_run_far(self, words, carry):
        rng = np.random.default_rng(words)
        intervals = intervals_to_a_carry(rng, 32, 64, 24, words, carry)
        run = self.check(intervals)
        middle = b"\x80" + bytes(4 * words - 4) if carry else b"\x7f" + b"\xff" * (4 * words - 4)
        assert run.startswith(middle)

    @staticmethod
    def check(intervals: list[tuple[int, int]]) -> bytes:
        coder = BigCoder(32, 64, 24)
        for start, end in intervals:
            coder.encode(start, end)
        ours, theirs = coder.finish(), constriction_words(intervals)
        # constriction adds a word of zeros where words that follow could push its point out of the range.
        assert theirs in (ours, ours + bytes(4))
        return ours


class TestRangeCoder:
    @settings(max_examples=60)
    @given(st.sampled_from(CODERS), st.integers(1, 5), st.integers(0, 120), st.integers(0, 2**32 - 1))
    def test_equals_the_oracle(self, scale_bits, lanes, count, seed):
        rng = np.random.default_rng(seed)
        intervals = [random_intervals(rng, count, scale_bits) for _ in range(lanes)]
        found = encoded(intervals, scale_bits) if count else RangeEncoder(lanes, widths(scale_bits)).finish()
        assert found == [big_bytes(lane, scale_bits) for lane in intervals]

    @pytest.mark.parametrize("scale_bits", CODERS)
    @pytest.mark.parametrize("words", [1, 2, 3, 4, 5, 7, 255, 256, 257, 5000])
    def test_equals_the_oracle_where_carries_run_far(self, scale_bits, words):
        for carry in (True, False):
            for seed in range(3 if words < 1000 else 1):
                rng = np.random.default_rng([words, seed])
                lane = intervals_to_a_carry(rng, 8, 2 * scale_bits, scale_bits, words, carry)
                (found,) = encoded([lane], scale_bits)
                assert found == big_bytes(lane, scale_bits)
                self.check_decodes([found], [lane], scale_bits)

    @pytest.mark.parametrize("scale_bits", CODERS)
    def test_more_than_65535_bytes_wait_for_a_carry(self, scale_bits):
        """A 16-bit counter of pending bytes wraps here."""
        words = 70_000
        rng = np.random.default_rng(0)
        carried = intervals_to_a_carry(rng, 8, 2 * scale_bits, scale_bits, words, carry=True, narrow=0.9)
        kept = [*carried[:-1], (0, carried[-1][0] - 1)]
        with_carry, without = encoded([carried, kept], scale_bits)
        assert with_carry[:words] == b"\x80" + bytes(words - 1)
        assert without[:words] == b"\x7f" + b"\xff" * (words - 1)
        assert [with_carry, without] == [big_bytes(carried, scale_bits), big_bytes(kept, scale_bits)]
        self.check_decodes([with_carry, without], [carried, kept], scale_bits)

    @staticmethod
    def check_decodes(data: list[bytes], lanes: list[list[tuple[int, int]]], scale_bits: int) -> None:
        decoder = RangeDecoder(data, widths(scale_bits))
        for start, end in np.array(lanes, dtype=np.int64).transpose(1, 2, 0):
            unit, position = decoder.units(len(lanes))
            assert (unit * start <= position).all()
            assert (position < unit * end).all()
            decoder.consume(start, end)
        decoder.finish()

    @pytest.mark.parametrize("scale_bits", CODERS)
    def test_flush_is_one_byte_a_lane(self, scale_bits):
        assert RangeEncoder(3, widths(scale_bits)).finish() == [b"\0"] * 3
        rng = np.random.default_rng(7)
        for count in range(1, 40):
            lane = random_intervals(rng, count, scale_bits)
            coder = BigCoder(8, 2 * scale_bits, scale_bits)
            for interval in lane:
                coder.encode(*interval)
            assert len(encoded([lane], scale_bits)[0]) == coder.words + 1

    @pytest.mark.parametrize("scale_bits", CODERS)
    def test_a_position_outside_the_intervals_is_an_error(self, scale_bits):
        decoder = RangeDecoder([b"\xff" * 8, b"\0"], widths(scale_bits))
        text = r"^lane 0 must stay inside the coded intervals, it leaves them: damaged payload$"
        with pytest.raises(StreamError, match=text):
            decoder.consume(np.array([0, 0]), np.array([1, 1]))


def interval_bits(engine: ReferenceEngine, records: np.ndarray) -> np.ndarray:
    """Give -log2 of the integer conditionals, before the floor, in float64."""
    bits = np.zeros(len(records))

    def observe(_: int, step: Step, result) -> None:
        if step.op is Op.INTERVAL:
            context, table = result[0], engine.table(step.layer)
            symbols = records[:, step.variable]
            counts = np.einsum("un,un->n", context, table[:, symbols + 1] - table[:, symbols])
            assert (counts > 0).all()
            bits[:] -= np.log2(counts / (context.sum(axis=0) * 2.0**engine.circuit.leaf_bits))

    engine.intervals(records, observe)
    return bits


class TestRecords:
    @given(strategies.integer_circuits(), st.data())
    def test_come_back_whatever_they_are(self, circuit, data):
        """Impossible records too, at any number of lanes."""
        records = data.draw(strategies.records_for(circuit, max_records=12, min_records=1))
        lanes = data.draw(st.integers(1, len(records)))
        engine = ReferenceEngine(circuit)
        payload = encode_lanes(engine, records, lanes)
        assert len(payload) == lanes
        assert (decode_lanes(engine, payload, len(records)) == records).all()

    @settings(max_examples=30)
    @given(strategies.integer_circuits(), st.data())
    def test_lane_k_is_every_record_k_mod_s(self, circuit, data):
        records = data.draw(strategies.records_for(circuit, max_records=12, min_records=1))
        lanes = data.draw(st.integers(1, len(records)))
        engine = ReferenceEngine(circuit)
        payload = encode_lanes(engine, records, lanes)
        assert payload == [encode_lanes(engine, records[k::lanes], 1)[0] for k in range(lanes)]

    @settings(max_examples=30)
    @given(strategies.integer_circuits(), st.data())
    def test_bytes_are_those_of_the_oracle(self, circuit, data):
        records = data.draw(strategies.records_for(circuit, max_records=5, min_records=1))
        engine = ReferenceEngine(circuit)
        lo, hi = engine.intervals(records)
        lane = list(zip(lo.ravel().tolist(), hi.ravel().tolist(), strict=True))
        assert encode_lanes(engine, records, 1) == [big_bytes(lane, circuit.scale_bits)]

    @pytest.mark.parametrize("tree", strategies.TREES)
    @pytest.mark.parametrize("sharpness", strategies.SHARPNESS)
    def test_payload_is_near_the_entropy_of_the_integers(self, tree, sharpness):
        """One lane takes at most 0.1 % and 16 bits more than the conditionals say, with the wide coder."""
        for seed in range(3):
            circuit = strategies.make_circuit(seed, 8, 4, 6, tree, sharpness)
            engine = ReferenceEngine(quantize(circuit, QuantizationConfig(8, 16, 16)))
            records = sample(circuit, 400, seed=seed)
            possible = engine.likelihood(records)[0] > 0
            records = records[possible]
            ideal = interval_bits(engine, records).sum()
            (lane,) = encode_lanes(engine, records, 1)
            assert ideal - 1 <= 8 * len(lane) <= 1.001 * ideal + 16, (seed, ideal)

    def test_certain_symbols_cost_nothing(self):
        engine = ReferenceEngine(quantize(Circuit((InputLayer(0, np.array([[0.0, 1.0]])),))))
        records = np.ones((4000, 1), dtype=np.int64)
        (lane,) = encode_lanes(engine, records, 1)
        assert len(lane) <= 2
        assert (decode_lanes(engine, [lane], 4000) == 1).all()

    def test_wide_alphabets(self):
        """V = 256 and V = 1, both coders, every symbol."""
        for coder in ("small", "wide"):
            for cardinality in (1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 255, 256):
                table = np.random.default_rng(cardinality).dirichlet(np.full(cardinality, 0.1), 3)
                leaf = InputLayer(0, table[:1])
                engine = ReferenceEngine(quantize(Circuit((leaf,)), QuantizationConfig(leaf_bits=12, coder=coder)))
                records = np.arange(cardinality)[:, None].repeat(2, axis=0)
                for lanes in (1, 2, len(records)):
                    payload = encode_lanes(engine, records, lanes)
                    assert (decode_lanes(engine, payload, len(records)) == records).all()

    def test_lanes_of_wrong_length(self):
        engine = ReferenceEngine(quantize(strategies.make_circuit(0, 4, 3, 5, "chain")))
        records = np.random.default_rng(0).integers(0, engine.circuit.cardinalities, (40, 4))
        first, second = encode_lanes(engine, records, 2)
        text = rf"^lane 1 must have {len(second)} bytes for its records, got {len(second) + 1}$"
        with pytest.raises(StreamError, match=text):
            decode_lanes(engine, [first, second + b"\0"], 40)
        with pytest.raises(StreamError, match=r"^lane 0 must have at least \d+ bytes for its records, got 0$"):
            decode_lanes(engine, [b"", second], 40)

    def test_a_flush_that_is_not_the_least(self):
        """Every byte inside the range decodes to the same records; one of them is the encoder's."""
        engine = ReferenceEngine(quantize(Circuit((InputLayer(0, np.array([[0.25, 0.75]])),))))
        records = np.array([[1], [0]])
        first, second = encode_lanes(engine, records, 2)
        assert (len(first), len(second)) == (1, 1)
        inside = 0
        for byte in range(first[0] + 1, 256):
            above = byte - first[0]
            text = rf"^lane 0 must end with the least byte inside its range, its last byte is {above} above it$"
            with pytest.raises(StreamError) as caught:
                decode_lanes(engine, [bytes([byte]), second], 2)
            if "least" in str(caught.value):
                inside += 1
                assert caught.match(text)
            assert (decode_lanes(engine, [bytes([byte]), second], 2, strict=False) == records).all()
        assert inside == 255 - first[0]

    def test_random_bytes_decode_to_samples(self):
        """Without strictness any bytes decode, and random ones are distributed as the circuit says."""
        table = np.array([[0.1, 0.2, 0.3, 0.4]])
        engine = ReferenceEngine(quantize(Circuit((InputLayer(0, table),))))
        lanes = [np.random.default_rng(lane).bytes(30) for lane in range(1000)]
        drawn = decode_lanes(engine, lanes, 50_000, strict=False)[:, 0]
        assert np.abs(np.bincount(drawn, minlength=4) / 50_000 - table[0]).max() < 0.01

    def test_a_short_lane_ends_the_work_early(self):
        engine = ReferenceEngine(quantize(Circuit((InputLayer(0, np.array([[0.5, 0.5]])),))))
        with pytest.raises(StreamError, match=r"^lane 0 must have at least 2 bytes for its records, got 1$"):
            decode_lanes(engine, [b"\0"], 2**16)

    def test_one_long_lane_does_not_pad_the_others(self):
        lanes = [bytes(1 << 20)] + [b"\0"] * 65535
        decoder = RangeDecoder(lanes, widths(24))
        assert decoder._bytes.size < 2**21
        assert arithmetic.ceil_log2(len(lanes)) == 16

    def test_progress_is_told(self):
        engine = ReferenceEngine(quantize(strategies.make_circuit(0, 3, 2, 3, "chain")))
        records = np.zeros((10, 3), dtype=np.int64)
        told: list[tuple[int, int]] = []
        payload = encode_lanes(engine, records, 4, lambda *done: told.append(done))
        assert told == [(10, 10)]
        told.clear()
        decode_lanes(engine, payload, 10, lambda *done: told.append(done))
        assert told == [(4, 10), (8, 10), (10, 10)]
