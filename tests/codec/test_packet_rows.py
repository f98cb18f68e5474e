"""Packets of circuits with a predictor stage: all numbers come back, engines agree, damage stays where it is."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from codec.test_predicted_columns import ENGINE, with_gaps
from helpers import predictors
from helpers.commands import as_json, run
from hypothesis import given, settings
from hypothesis import strategies as st

from pcedge.codec.checking import differ
from pcedge.codec.complete import is_complete
from pcedge.codec.container import parse
from pcedge.codec.packet_rows import (
    MOST_NUMBERS,
    check_layout,
    decode_packet_rows,
    encode_packet_rows,
    layout_rows,
    raw_pieces,
)
from pcedge.codec.packet_stream import decode_packet_stream, encode_packet_stream, whole
from pcedge.codec.packets import PacketLayout, fill_packet
from pcedge.codec.predicted import token_bounds
from pcedge.data.columns import Columns
from pcedge.data.prediction import Plan, centred, forward
from pcedge.data.predictor import Group, Predictor
from pcedge.data.tokens import split
from pcedge.engines import ReferenceEngine
from pcedge.engines.base import Engine
from pcedge.errors import DataError, StreamError, UsageError
from pcedge.export import write_onnx
from pcedge.export.project.prediction import draw_rows
from pcedge.integer import IntegerCircuit
from pcedge.learn.classes import Mixture, to_circuit
from pcedge.native import NativeEngine, instruction_sets
from pcedge.quantize import quantize

SMALL = predictors.circuit_of(predictors.STAGE)


def of_any_bytes() -> IntegerCircuit:
    """Quantize a stage for which any bytes are numbers, most of them with 12 raw bits."""
    group = Group(-(2**63), 2**63 - 1, 0, (1,))
    stage = Predictor("int64", (1,), (group,), (0,), ((1, 0),), None, (), (), ((0, 12),), 12, 52)
    tokens = stage.cardinalities[1]
    leaf = np.exp(-np.abs(np.arange(tokens) - tokens / 2) / 3) + 1e-5
    return quantize(to_circuit(Mixture(np.ones((1, 1)), leaf[None] / leaf.sum()), stage))


@cache
def engines_of(case: int) -> tuple[Engine, ...]:
    """Give the engines of a random stage: numpy, and the native one where there is a library."""
    circuit = predictors.circuit_of(predictors.random_predictor(case), seed=case)
    return (ReferenceEngine(circuit), *([NativeEngine(circuit, threads=2)] if instruction_sets() else []))


def rows_of(case: int, rows: int, gaps: bool = False) -> np.ndarray:
    stage = predictors.random_predictor(case)
    numbers = centred(stage, draw_rows(stage, rows))
    return np.ma.MaskedArray(numbers, np.random.default_rng(case).random(numbers.shape) < 0.1) if gaps else numbers


def least_of(circuit, rows):
    """Give the least bytes of a packet."""
    layout = PacketLayout.for_symbols(100, rows * circuit.symbolizer.columns, 0)
    return next(size for size in range(1, 40) if fits(circuit, replace(layout, size=size)))


def fits(circuit, layout) -> bool:
    try:
        check_layout(circuit, layout)
    except UsageError:
        return False
    return True


class TestRoundTrip:
    @settings(max_examples=25)
    @given(st.integers(0, 89), st.integers(1, 12), st.integers(0, 40))
    def test_any_stage_at_any_size_by_every_engine(self, case, rows, more):
        engines, numbers = engines_of(case), rows_of(case, rows)
        layout = layout_rows(engines[0].circuit, least_of(engines[0].circuit, rows) + more, rows)
        packets = encode_packet_rows(engines[0], numbers, layout)
        assert {len(packet) for packet in packets} == {layout.size}
        for engine in engines:
            assert encode_packet_rows(engine, numbers, layout) == packets
            back = decode_packet_rows(engine, packets[::-1], layout, rows)
            np.testing.assert_array_equal(back.numbers, numbers)
            assert back.here.all() and not back.damaged

    @settings(max_examples=15)
    @given(st.integers(0, 29), st.integers(0, 2**32 - 1))
    def test_engines_read_the_same_from_any_bytes(self, case, seed):
        engines, generator = engines_of(case), np.random.default_rng(seed)
        columns = engines[0].circuit.symbolizer.columns
        layout = layout_rows(engines[0].circuit, int(generator.integers(18, 40)), 9)
        for _ in range(6):
            place = int(generator.integers(2 * 9 * columns)).to_bytes(layout.place_bytes, "little")
            packet = place + generator.integers(0, 256, layout.size - layout.place_bytes, dtype=np.uint8).tobytes()
            found = [decode_packet_rows(engine, [packet], layout, 9) for engine in engines]
            for other in found[1:]:
                np.testing.assert_array_equal(other.here, found[0].here)
                np.testing.assert_array_equal(other.numbers, found[0].numbers)

    @pytest.mark.parametrize(("case", "size"), [(3, 24), (0, 20), (0, 26), (0, 60)])
    def test_packets_follow_each_other_and_begin_with_a_row_where_they_hold_enough(self, case, size):
        engine, numbers = engines_of(case)[-1], rows_of(case, 60)
        layout, columns = layout_rows(engine.circuit, size, 60), numbers.shape[1]
        packets = encode_packet_rows(engine, numbers, layout)
        places = [int.from_bytes(packet[: layout.place_bytes], "little") >> 1 for packet in packets]
        here = [decode_packet_rows(engine, [packet], layout, 60).here.ravel() for packet in packets]
        for place, own, following in zip(places, here, [*places[1:], None], strict=True):
            assert own[place : place + own.sum()].all()
            behind = place + int(own.sum())
            if following is not None:
                aligned = behind - behind % columns if own.sum() >= 4 * columns else behind
                assert place < following == aligned
        assert any(place % columns for place in places) == (size < 60) and np.any(here, axis=0).all()

    @pytest.mark.parametrize("zeros", [0, 1, 2])
    def test_what_lies_behind_the_payload_carries_into_it(self, zeros):
        """The last number's interval holds the border below a cell of so many bytes 0: of the cells at it, the upper.

        The number is the one that a reader finds at the border. Its interval begins far less than a cell before, with
        bytes of ff; that of one a little below has a carry, which does not come as far.
        """
        circuit, generator, upper = of_any_bytes(), np.random.default_rng(zeros), 0
        engines, layout = (ReferenceEngine(circuit), *natives(circuit)), layout_rows(circuit, 17, 40)
        for _ in range(40):
            cell = generator.integers(0, 256, 16 - zeros, dtype=np.uint8).tobytes() + bytes(zeros)
            held = decode_packet_rows(engines[0], [b"\0" + cell], layout, 40).here.sum()
            for below in (0, 128 << 8 * 38):
                border = int.from_bytes(cell + bytes(40), "big") - below
                longer = b"\0" + border.to_bytes(56, "big")
                numbers = decode_packet_rows(engines[0], [longer], replace(layout, size=57), 40).numbers[: held + 1]
                found = [encode_packet_rows(engine, numbers, layout) for engine in engines]
                assert all(packets == found[0] for packets in found)
                upper += not below and found[0][0] == b"\0" + cell
        assert upper > 1

    def test_both_rules_are_taken(self):
        engine, numbers = engines_of(29)[-1], rows_of(29, 40)
        packets = encode_packet_rows(engine, numbers, layout_rows(engine.circuit, 40, 40))
        assert {packet[0] & 1 for packet in packets} == {0, 1}

    def test_what_lies_before_the_packet_is_outside_of_its_rows(self):
        """The stage's own rule for a part of a row, where the first numbers are those of zeros that were predicted."""
        for case in range(9):
            stage, numbers = predictors.random_predictor(case), rows_of(case, 6)
            if stage.columns < 2:
                continue
            other = numbers.copy()
            other[0, : stage.columns // 2] ^= 1
            first, second = (forward(stage, x[None], stage.columns // 2) for x in (numbers, other))
            for left, right in zip(first, second, strict=True):
                np.testing.assert_array_equal(left.ravel()[stage.columns // 2 :], right.ravel()[stage.columns // 2 :])
            with_gaps = np.ma.MaskedArray(numbers, np.zeros(numbers.shape, dtype=bool))
            with_gaps[-1, -1] = np.ma.masked
            third = forward(stage, with_gaps[None], stage.columns // 2)[0]
            np.testing.assert_array_equal(third.ravel()[stage.columns // 2 :], first[0].ravel()[stage.columns // 2 :])

    def test_no_more_than_so_many_numbers_are_in_a_packet(self, monkeypatch):
        """Numbers that cost nearly nothing: their packets end by the count."""
        stage = replace(predictors.STAGE, adaptation=None)
        circuit, numbers = predictors.circuit_of(stage), np.zeros((100, 2), dtype=np.int64)
        monkeypatch.setattr("pcedge.codec.packet_rows.MOST_NUMBERS", 30)
        layout = layout_rows(circuit, 200, 100)
        packets = [
            encode_packet_rows(engine, numbers, layout) for engine in (ReferenceEngine(circuit), *natives(circuit))
        ]
        assert len(packets[0]) == 7 and all(other == packets[0] for other in packets)
        for engine in (ReferenceEngine(circuit), *natives(circuit)):
            back = decode_packet_rows(engine, packets[0], layout, 100)
            assert back.here.all() and not back.numbers.any()
        monkeypatch.setattr("pcedge.codec.packet_rows.MOST_NUMBERS", 20)
        for engine in (ReferenceEngine(circuit), *natives(circuit)):
            assert decode_packet_rows(engine, packets[0][:1], layout, 100).here.sum() == 20

    def test_a_listed_residual_under_another_token_ends_the_packet(self):
        stage = replace(predictors.STAGE, listed=(6,), source=None)
        circuit = predictors.circuit_of(stage)
        plain = Plan(replace(stage, listed=()), 0)
        numbers = np.full((1, 1, 2), 5)
        classes, residuals = forward(stage, numbers)
        assert residuals[0, 0, 0] == 6
        token, *raw = (part[0, 0, 0].item() for part in split(plain, classes, residuals))
        bounds, layout = token_bounds(circuit)[classes[0, 0, 0]], layout_rows(circuit, 30, 1)
        for name, which, bits in (("own", stage.first_listed, (0, 0)), ("other", token, raw)):
            token_item = int(bounds[which]), int(bounds[which + 1]), circuit.floor
            item = (token_item, *raw_pieces(*bits, circuit.scale_bits))
            body = fill_packet([item], layout.payload, circuit.widths)[2]
            for engine in (ReferenceEngine(circuit), *natives(circuit)):
                found = decode_packet_rows(engine, [b"\0" * layout.place_bytes + body], layout, 1)
                assert found.here[0, 0] == (name == "own") and found.numbers[0, 0] == 5 * (name == "own")

    def test_a_missing_number_of_a_wide_group_may_be_predicted_out_of_its_range(self):
        x = np.array([0.5, 2e12, np.nan, np.nan, 2.5e12, np.nan, 3.25])[:, None]
        stage = of_columns(x, np.nan, 3).circuit.symbolizer
        high = stage.source.ranges[0][1]
        assert stage.groups[0].wide and 3 * stage.source.apply(x)[1, 0] > high
        circuit = predictors.circuit_of(stage)
        for size in (17, 60):
            streams = [
                encode_packet_stream(engine, x, size) for engine in (ReferenceEngine(circuit), *natives(circuit))
            ]
            assert all(stream == streams[0] for stream in streams)
            for engine in (ReferenceEngine(circuit), *natives(circuit)):
                received = decode_packet_stream(engine, streams[0])
                assert received.here.all()
                np.testing.assert_array_equal(whole(received), x)

    def test_no_rows(self):
        for engine in engines_of(1):
            layout, numbers = layout_rows(engine.circuit, 24, 0), rows_of(1, 3)[:0]
            assert encode_packet_rows(engine, numbers, layout) == []
            assert decode_packet_rows(engine, [b"0" * 24], layout, 0).damaged == (0,)


def natives(circuit) -> list[NativeEngine]:
    return [NativeEngine(circuit)] if instruction_sets() else []


class TestLossAndDamage:
    ROWS = rows_of(0, 60)
    ENGINE = engines_of(0)[-1]

    def test_a_lost_packet_loses_its_numbers(self):
        layout = layout_rows(self.ENGINE.circuit, 24, 60)
        packets = encode_packet_rows(self.ENGINE, self.ROWS, layout)
        alone, rest = (decode_packet_rows(self.ENGINE, some, layout, 60).here for some in ([packets[2]], [packets[3]]))
        alone &= ~rest
        back = decode_packet_rows(self.ENGINE, packets[:2] + packets[3:], layout, 60)
        np.testing.assert_array_equal(back.here, ~alone)
        np.testing.assert_array_equal(back.numbers, np.where(alone, 0, self.ROWS))

    @pytest.mark.parametrize("bits", [16, 32])
    def test_every_flipped_bit_is_noticed(self, bits):
        layout = layout_rows(self.ENGINE.circuit, 24, 60, bits)
        packet = encode_packet_rows(self.ENGINE, self.ROWS, layout)[1]
        for bit in range(8 * layout.size):
            flipped = bytearray(packet)
            flipped[bit // 8] ^= 1 << bit % 8
            back = decode_packet_rows(self.ENGINE, [bytes(flipped)], layout, 60)
            assert back.damaged == (0,) and not back.here.any()

    def test_other_numbers_are_in_the_range_of_their_columns(self):
        """Without a checksum damage is not noticed, and harms nothing but the numbers of its packet."""
        engine, x = best_of(SMALL), draw_rows(predictors.STAGE, 50)
        stream = encode_packet_stream(engine, x, 20, 0)
        flipped = bytearray(stream)
        flipped[-70:-60] = b"\x55" * 10
        received, first = (decode_packet_stream(engine, bytes(data)) for data in (flipped, stream))
        assert (received.array != first.array).any() and first.here.all()
        far = len(x) * 2 // 3
        np.testing.assert_array_equal(received.array[:far][received.here[:far]], x[:far][received.here[:far]])


def best_of(circuit) -> Engine:
    return (*natives(circuit), ReferenceEngine(circuit))[0]


def of_columns(x, missing=None, coefficient=60000):
    """Give the engine of a stage for an array's columns, each predicted by the row before."""
    source = Columns.of(x, missing=missing)
    source = source if source.places is None else replace(source, order=(2, 0, 3, 1))
    groups = tuple(Group(low, high, min(max(0, low), high), (coefficient,)) for low, high in source.ranges)
    shape = source.cell_shape
    stage = Predictor(
        "int64", shape, groups, tuple(range(len(groups))), ((1,) + (0,) * len(shape),), None, (), (), ((0, 0),), 12, 64,
        source=source,
    )  # fmt: skip
    return best_of(predictors.circuit_of(stage))


def fields(rows: int):
    x = np.zeros(rows, dtype=[("t", "<i4"), ("flag", "?"), ("v", "<f4", (2,))])
    generator = np.random.default_rng(0)
    x["t"], x["flag"] = np.arange(rows) * 10 + 7, generator.random(rows) < 0.3
    x["v"] = generator.integers(-40, 40, (rows, 2)) / 4
    return x


def floats(rows: int):
    generator = np.random.default_rng(1)
    x = generator.integers(-400, 400, (rows, 3)) / 10 + 0.0
    x[generator.random(x.shape) < 0.2] = np.nan
    return x


class TestColumns:
    @pytest.mark.parametrize("x", [fields(90), floats(90)])
    def test_no_rows(self, x):
        engine = of_columns(x, np.nan if x.dtype.names is None else None)
        stream = encode_packet_stream(engine, x[:0], 40)
        back = whole(decode_packet_stream(engine, stream))
        assert (back.dtype, back.shape) == (x.dtype, x[:0].shape)

    @pytest.mark.parametrize(("x", "missing"), [(fields(90), None), (floats(90), np.nan)])
    def test_data_come_back_and_what_is_lost_is_named(self, x, missing):
        engine = of_columns(x, missing)
        stream = encode_packet_stream(engine, x, 26)
        back = whole(decode_packet_stream(engine, stream))
        assert back.dtype == x.dtype and not differ(back, x).any()
        damaged = bytearray(stream)
        damaged[-120] ^= 1
        received = decode_packet_stream(engine, bytes(damaged))
        lost = ~received.here
        assert received.damaged and 0 < lost.sum() < 40
        if x.dtype.names:
            names = ("t", "flag", "v", "v")
            for number, name in enumerate(names):
                values, old = (a[name].reshape(len(x), -1)[:, max(0, number - 2)] for a in (received.array, x))
                np.testing.assert_array_equal(values, np.where(lost[:, number], 0, old))
        else:
            np.testing.assert_array_equal(received.array, np.where(lost, 0, x))
        with pytest.raises(StreamError, match=f"{lost.sum()} of {lost.size} numbers did not come"):
            whole(received)

    def test_missing_numbers(self):
        x = with_gaps(60)
        streams = [encode_packet_stream(engine, x, 32) for engine in (ENGINE, *natives(ENGINE.circuit))]
        assert all(stream == streams[0] for stream in streams)
        for engine in (ENGINE, *natives(ENGINE.circuit)):
            np.testing.assert_array_equal(whole(decode_packet_stream(engine, streams[0])), x)
            received = decode_packet_stream(engine, streams[0][:-64])
            assert not received.here.all()
            np.testing.assert_array_equal(received.array, np.where(received.here, x, 0))

    def test_cells_that_stand_for_no_value_did_not_come(self, monkeypatch):
        """What bytes without a checksum may say."""
        x = fields(20)
        engine = of_columns(x)
        stream = encode_packet_stream(engine, x, 60, 0)
        plain = Columns.invert

        def refuse(columns, cells):
            if (np.ma.getdata(cells)[:, 1] == columns.apply(x)[3, 1]).any():
                raise DataError("cell 3 stands for no value of its own")
            return plain(columns, cells)

        monkeypatch.setattr(Columns, "invert", refuse)
        received = decode_packet_stream(engine, stream)
        assert (~received.here).any(axis=1).nonzero()[0].tolist() == [3]


class TestWrong:
    def test_packets_need_room_for_a_number(self):
        """The token, the most raw bits behind it, and a cell."""
        stage = SMALL.symbolizer
        most = max(shift for _, shift in stage.classes) + stage.escapes - 1
        least = 1 + 2 + -(-(SMALL.scale_bits + most + 2) // 8)
        with pytest.raises(UsageError, match=rf"checksum of 16 bits must have {least}\.\.65535 bytes, got {least - 1}"):
            layout_rows(SMALL, least - 1, 3, 16)
        assert layout_rows(SMALL, least, 3, 16).size == least

    def test_no_memory_for_a_hostile_header(self):
        stream = parse(encode_packet_stream(best_of(SMALL), draw_rows(predictors.STAGE, 5), 40))
        with pytest.raises(
            StreamError, match=f"{2 << 50} numbers must come in packets, at most {MOST_NUMBERS} in each"
        ):
            decode_packet_stream(best_of(SMALL), replace(stream, shape=(1 << 50, 2)).pack())

    def test_the_header_names_a_layout_that_fits(self):
        stream = encode_packet_stream(best_of(SMALL), draw_rows(predictors.STAGE, 5), 40, 0)
        head = parse(stream)
        kinds = tuple((kind, b"\x05\x01\x00" if kind == 15 else data) for kind, data in head.fields)
        with pytest.raises(StreamError, match="field 15: packets of this circuit"):
            decode_packet_stream(best_of(SMALL), replace(head, fields=kinds).pack())


class TestCommands:
    def test_encode_info_decode(self, tmp_path):
        write_onnx(SMALL, tmp_path / "m.onnx")
        x = draw_rows(predictors.STAGE, 60)
        np.savetxt(tmp_path / "x.csv", x, delimiter=",", fmt="%d")
        paths = tmp_path / "m.onnx", tmp_path / "x.csv", tmp_path / "x.pce"
        done = as_json("encode", *paths, "--packet-bytes", 32)
        assert done["packet_crc"] == 16 and done["verified_records"] == 60
        assert done["bits_per_value"] == pytest.approx(8 * done["bytes"] / 120)
        info = as_json("info", paths[2])
        assert (info["packets"], info["fields"], info["damaged_packets"]) == (done["packets"], [1, 7, 15], [])
        as_json("decode", paths[0], paths[2], tmp_path / "y.csv")
        assert (tmp_path / "y.csv").read_bytes() == paths[1].read_bytes()
        assert is_complete(best_of(SMALL), paths[2], packet_bytes=32)
        assert not is_complete(best_of(SMALL), paths[2], packet_bytes=33)
        damaged = bytearray(paths[2].read_bytes())
        damaged[-40] ^= 1
        paths[2].write_bytes(damaged)
        refused = run("decode", paths[0], paths[2], tmp_path / "z.npy")
        assert refused.exit_code == 1 and "--lost FILE" in refused.stderr
        done = as_json("decode", paths[0], paths[2], tmp_path / "z.npy", "--lost", tmp_path / "lost.npy")
        lost = np.load(tmp_path / "lost.npy")
        assert lost.shape == x.shape and 0 < done["lost"] == lost.sum() and done["numbers"] == 120
        np.testing.assert_array_equal(np.load(tmp_path / "z.npy"), np.where(lost, 0, x))
