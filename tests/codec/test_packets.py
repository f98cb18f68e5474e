"""Packets: every size and structure comes back, each packet alone, with losses and damage where they were."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import strategies
from helpers.commands import as_json, run
from helpers.series import series, series_circuit
from hypothesis import given, settings
from hypothesis import strategies as st

from pcedge.codec import Codec, decode
from pcedge.codec.container import parse
from pcedge.codec.packet_stream import decode_packet_stream, encode_packet_stream, whole
from pcedge.codec.packets import PacketLayout, decode_packets, encode_packets
from pcedge.engines import ReferenceEngine
from pcedge.errors import StreamError, UsageError
from pcedge.export import write_onnx
from pcedge.native import NativeEngine, instruction_sets
from pcedge.quantize import QuantizationConfig, quantize


def engine_of(seed: int = 5) -> ReferenceEngine:
    return ReferenceEngine(quantize(strategies.make_circuit(seed, 7, 3, 5, "random")))


def drawn(engine: ReferenceEngine, count: int) -> np.ndarray:
    return engine.sample(count, seed=1)


@st.composite
def engines(draw: st.DrawFn) -> ReferenceEngine:
    if draw(st.booleans()):
        return ReferenceEngine(draw(strategies.integer_circuits(max_variables=8)))
    return ReferenceEngine(quantize(draw(strategies.unstructured_circuits(5, 3)), draw(strategies.configs())))


class TestRoundTrip:
    @settings(max_examples=40)
    @given(engines(), st.data())
    def test_any_records_at_any_size(self, engine, data):
        """Records of any probability, which few packets hold; all come back, from each packet what it says."""
        records = data.draw(strategies.records_for(engine.circuit, min_records=1))
        bits = data.draw(st.sampled_from([0, 16, 32]))
        least = 1 + engine.circuit.scale_bits // 8 + 1 + bits // 8
        layout = PacketLayout.of(engine, least + data.draw(st.integers(1, 20)), len(records), bits)
        packets = encode_packets(engine, records, layout)
        assert {len(packet) for packet in packets} == {layout.size}
        order = np.random.default_rng(0).permutation(len(packets))
        back = decode_packets(engine, [packets[i] for i in order], layout, len(records))
        np.testing.assert_array_equal(back.records, records)
        assert back.here.all() and not back.damaged

    def test_engines_write_the_same_packets(self):
        if not instruction_sets():
            pytest.skip("there is no library of the native engine")
        engine = engine_of()
        records = drawn(engine, 90)
        records[20:30] = np.random.default_rng(0).integers(0, engine.circuit.cardinalities, (10, 7))
        native = NativeEngine(engine.circuit, threads=2)
        for size in (6, 7, 12, 40):
            layout = PacketLayout.of(engine, size, len(records))
            packets = encode_packets(engine, records, layout)
            assert encode_packets(native, records, layout) == packets
            np.testing.assert_array_equal(decode_packets(native, packets, layout, 90).records, records)

    @settings(max_examples=30)
    @given(engines(), st.integers(0, 2**32 - 1))
    def test_engines_read_the_same_from_any_bytes(self, engine, seed):
        if not instruction_sets():
            pytest.skip("there is no library of the native engine")
        rng = np.random.default_rng(seed)
        layout = PacketLayout.of(engine, int(rng.integers(6, 20)), 20)
        native = NativeEngine(engine.circuit)
        # One at a time: what overlaps may be either's.
        for _ in range(12):
            packet = rng.integers(0, 256, layout.size, dtype=np.uint8).tobytes()
            found = [decode_packets(e, [packet], layout, 20) for e in (engine, native)]
            np.testing.assert_array_equal(found[0].records, found[1].records)
            assert found[0].damaged == found[1].damaged

    def test_each_packet_is_decodable_alone_and_none_says_what_another_does(self):
        engine = engine_of()
        records = drawn(engine, 60)
        layout = PacketLayout.of(engine, 10, len(records))
        packets = encode_packets(engine, records, layout)
        counts = np.zeros(records.shape, dtype=int)
        for packet in packets:
            here = decode_packets(engine, [packet], layout, len(records)).here
            counts += here
        assert (counts == 1).all()

    def test_symbols_of_little_probability(self):
        """The second rule holds more where what comes costs as much as a symbol can."""
        circuit = strategies.make_circuit(0, 6, 2, 9, "chain", 0.6)
        engine = ReferenceEngine(quantize(circuit, QuantizationConfig(8, 12, 16, floor=1)))
        records = np.random.default_rng(0).integers(0, engine.circuit.cardinalities, (200, 6))
        layout = PacketLayout(6, 2)
        packets = encode_packets(engine, records, layout)
        assert {packet[0] & 1 for packet in packets} == {0, 1}
        np.testing.assert_array_equal(decode_packets(engine, packets, layout, 200).records, records)

    def test_no_records(self):
        engine = engine_of()
        layout = PacketLayout.of(engine, 12, 0)
        assert encode_packets(engine, np.zeros((0, 7), dtype=np.int64), layout) == []
        assert decode_packets(engine, [], layout, 0).records.shape == (0, 7)


class TestLoss:
    def test_a_lost_packet_loses_its_own_symbols(self):
        engine = engine_of()
        records = drawn(engine, 200)
        layout = PacketLayout.of(engine, 16, len(records))
        packets = encode_packets(engine, records, layout)
        lost = [2, 3, len(packets) - 1]
        back = decode_packets(engine, [p for i, p in enumerate(packets) if i not in lost], layout, len(records))
        missing = np.zeros(records.shape, dtype=bool)
        for i in lost:
            missing |= decode_packets(engine, [packets[i]], layout, len(records)).here
        np.testing.assert_array_equal(back.here, ~missing)
        np.testing.assert_array_equal(back.records, np.where(missing, -1, records))

    @pytest.mark.parametrize("bits", [16, 32])
    def test_every_flipped_bit_is_noticed_and_stays_in_its_packet(self, bits):
        engine = engine_of()
        records = drawn(engine, 30)
        layout = PacketLayout.of(engine, 14, len(records), bits)
        packets = encode_packets(engine, records, layout)
        for bit in range(8 * layout.size):
            flipped = bytearray(packets[0])
            flipped[bit // 8] ^= 1 << bit % 8
            back = decode_packets(engine, [bytes(flipped)], layout, len(records))
            assert back.damaged == (0,) and not back.here.any()
        whole = decode_packets(engine, packets[1:], layout, len(records))
        back = decode_packets(engine, [bytes(flipped), *packets[1:]], layout, len(records))
        np.testing.assert_array_equal(back.records, whole.records)

    def test_any_bytes_are_read_without_a_checksum(self):
        engine = engine_of()
        layout = PacketLayout.of(engine, 12, 50)
        rng = np.random.default_rng(0)
        packets = [rng.integers(0, 256, 12, dtype=np.uint8).tobytes() for _ in range(300)] + [b"", b"1" * 11]
        back = decode_packets(engine, packets, layout, 50)
        assert set(back.damaged) >= {300, 301}
        for column, cardinality in enumerate(engine.circuit.cardinalities):
            assert back.records[:, column].max() < cardinality


class TestWrong:
    @pytest.mark.parametrize(
        ("size", "bits", "text"),
        [
            (5, 16, "packets of this circuit with a checksum of 16 bits must have 8..65535 bytes, got 5"),
            (65536, 0, r"must have 6\.\.65535 bytes, got 65536"),
            (20, 8, "a packet's checksum must have 0, 16 or 32 bits, got 8"),
        ],
    )
    def test_layout(self, size, bits, text):
        with pytest.raises(UsageError, match=text):
            PacketLayout.of(engine_of(), size, 1000, bits)


class TestStream:
    ENGINE = engine_of()
    DATA = ENGINE.sample(80, seed=3).astype(np.uint8)

    def test_data_come_back_in_their_type(self):
        data = encode_packet_stream(self.ENGINE, self.DATA, 20)
        received = decode_packet_stream(self.ENGINE, data)
        assert received.array.dtype == np.uint8
        np.testing.assert_array_equal(whole(received), self.DATA)
        head = parse(data)
        assert {len(packet) for packet in head.packets} == {20} and head.payload_bytes == 20 * len(head.packets)

    def test_codecs_decode_them(self):
        data = encode_packet_stream(self.ENGINE, self.DATA, 20, 32)
        for codec in (Codec(self.ENGINE.circuit), Codec(self.ENGINE.circuit, engine="numpy")):
            np.testing.assert_array_equal(codec.decode(data), self.DATA)
            with pytest.raises(StreamError, match="of 560 numbers did not come"):
                codec.decode(data[:-5])
            with pytest.raises(UsageError, match="this one names none"):
                codec.decode(data, given=self.DATA)

    def test_more_records_than_a_packet_may_hold(self, monkeypatch):
        monkeypatch.setattr("pcedge.codec.packet_stream.MOST_RECORDS", 20)
        with pytest.raises(UsageError, match=r"at most 20 records each, 1 of 200 bytes would hold 80: choose smaller"):
            encode_packet_stream(self.ENGINE, self.DATA, 200)

    def test_what_is_lost_is_said(self):
        data = encode_packet_stream(self.ENGINE, self.DATA, 20, 32)
        received = decode_packet_stream(self.ENGINE, data[:-5] + b"")
        assert received.damaged == (received.packets - 1,)
        np.testing.assert_array_equal(received.array, np.where(received.here, self.DATA, 0))
        lost = int((~received.here).sum())
        told = f": packet {received.damaged[0]} of {received.packets} is damaged, {lost} of 560 numbers"
        with pytest.raises(StreamError, match=told):
            whole(received)
        with pytest.raises(StreamError, match=r"it has packets: pcedge\.codec\.decode_packet_stream takes it"):
            decode(self.ENGINE, data)

    def test_a_symbolizer_needs_all(self):
        circuit = quantize(series_circuit())
        engine, data = ReferenceEngine(circuit), series(50)
        stream = encode_packet_stream(engine, data, 40)
        np.testing.assert_array_equal(whole(decode_packet_stream(engine, stream)), data)
        with pytest.raises(StreamError, match="a circuit with a symbolizer must have all packets"):
            decode_packet_stream(engine, stream[:-40])

    def test_no_memory_for_a_hostile_header(self):
        stream = parse(encode_packet_stream(self.ENGINE, self.DATA, 20))
        with pytest.raises(StreamError, match="must come in packets, at most 65536 in each"):
            decode_packet_stream(self.ENGINE, replace(stream, shape=(1 << 50, 7)).pack())


class TestCommands:
    @pytest.fixture
    def files(self, tmp_path):
        write_onnx(TestStream.ENGINE.circuit, tmp_path / "m.onnx")
        np.save(tmp_path / "x.npy", TestStream.DATA)
        return tmp_path

    def test_encode_info_decode(self, files):
        done = as_json("encode", files / "m.onnx", files / "x.npy", files / "x.pce", "--packet-bytes", 24)
        assert done["packet_bytes"] == 24 and done["packet_crc"] == 16 and done["verified_records"] == 80
        assert done["payload_bytes"] == 24 * done["packets"]
        info = as_json("info", files / "x.pce")
        assert (info["packets"], info["packet_bytes"], info["segments"]) == (done["packets"], 24, 0)
        back = as_json("decode", files / "m.onnx", files / "x.pce", files / "y.npy")
        assert back["lost"] == 0 and (files / "y.npy").read_bytes() == (files / "x.npy").read_bytes()
        some = run("decode", files / "m.onnx", files / "x.pce", files / "y.npy", "--records", "0:2")
        assert some.exit_code == 1 and "it has packets" in some.stderr

    def test_losses_are_refused_or_named(self, files):
        as_json("encode", files / "m.onnx", files / "x.npy", files / "x.pce", "--packet-bytes", 24)
        damaged = bytearray((files / "x.pce").read_bytes())
        damaged[-30] ^= 4
        (files / "z.pce").write_bytes(damaged)
        refused = run("decode", files / "m.onnx", files / "z.pce", files / "z.npy")
        assert refused.exit_code == 1 and "--lost FILE" in refused.stderr and not (files / "z.npy").exists()
        done = as_json("decode", files / "m.onnx", files / "z.pce", files / "z.npy", "--lost", files / "lost.npy")
        lost = np.load(files / "lost.npy")
        assert done["damaged_packets"] == [done["packets"] - 2] and done["lost"] == lost.sum() > 0
        np.testing.assert_array_equal(np.load(files / "z.npy"), np.where(lost, 0, TestStream.DATA))

    @pytest.mark.parametrize(
        ("words", "text"),
        [
            (("--packet-crc", "16"), "--packet-crc must come with --packet-bytes"),
            (("--packet-bytes", "64", "--lanes", "2"), "--lanes must come without --packet-bytes"),
            (("--packet-bytes", "64", "--append"), "--append must come without --packet-bytes"),
            (("--packet-bytes", "5"), "must have 8..65535 bytes, got 5"),
        ],
    )
    def test_wrong_use(self, files, words, text):
        done = run("encode", files / "m.onnx", files / "x.npy", files / "w.pce", *words)
        assert done.exit_code == 2 and text in done.stderr and not (files / "w.pce").exists()
