"""Golden files of packets, an index, stored segments and an archive, by numpy and every native engine."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from codec.test_stream import wide_circuit
from helpers.paths import GOLDEN
from helpers.streams import leaf, numbered, small_circuit
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from pcedge.circuit import ProductLayer
from pcedge.codec import Decoder, decode, encode
from pcedge.codec.appending import append
from pcedge.codec.archive import pack, unpack
from pcedge.codec.checking import differ
from pcedge.codec.container import parse
from pcedge.codec.decoder import StreamFile
from pcedge.codec.packet_stream import decode_packet_stream, encode_packet_stream, whole
from pcedge.data import Columns
from pcedge.data.predictor import Adaptation, Group, Predictor
from pcedge.engines import ReferenceEngine
from pcedge.engines.base import Engine
from pcedge.export import read_onnx
from pcedge.integer import IntegerCircuit
from pcedge.native import NativeEngine, instruction_sets

SMALL = numbered(37, (2, 2, 4)).astype(np.uint8)
WIDE = numbered(50, (3, 3, 3, 3)).astype(">u2").reshape(50, 2, 2)
PREDICTED = np.load(GOLDEN / "stream_predicted.npy")
FIELDS = np.zeros(50, dtype=[("t", "<i4"), ("v", "<f4")])
FIELDS["t"], FIELDS["v"] = np.arange(50) * 100 + np.arange(50) % 7 // 6 * 9, np.arange(50) * 37 % 64 / 4
FIELDS["v"][::11] = np.nan
#: rows that the circuit of `skewed` codes in few bits, and rows that it would enlarge
NOISE = (np.arange(96) * 7 % 61 + 1).reshape(24, 4)
MIXED = np.concatenate([np.zeros((24, 4)), NOISE, np.zeros((3, 4))]).astype(np.uint8)


def skewed() -> IntegerCircuit:
    """Four variables of 64 symbols, of which the first has nearly all the mass."""
    leaves = tuple(leaf(v, 12, [4096 - 63, *[1] * 62]) for v in range(4))
    return IntegerCircuit(
        (*leaves, ProductLayer((0, 1, 2, 3), np.zeros((1, 4), int))), 8, 12, 16, 24, 48, 1, (0, 1, 2, 3)
    )


def predicted() -> IntegerCircuit:
    return read_onnx(GOLDEN / "stream_predicted.onnx")


def columns() -> IntegerCircuit:
    """A stage of records with fields, whose float may be missing, with a listed residual."""
    source = Columns.of(FIELDS, missing=np.nan)
    groups = tuple(Group(low, high, low, (65536,)) for low, high in source.ranges)
    stage = Predictor(
        "int64", (2,), groups, (0, 1), ((1, 0),), Adaptation(((1, 0), (0, 1)), 7), (), (), ((0, 3),), 8, 64,
        listed=(100,), source=source,
    )  # fmt: skip
    tokens = stage.cardinalities[1]
    weights = 1 + np.minimum(np.arange(tokens), tokens - np.arange(tokens)) ** 2
    whole = weights * (4096 - tokens) // weights.sum() + 1
    whole[tokens // 2] += 4096 - whole.sum()
    layers = leaf(0, 12, [2048]), leaf(1, 12, whole[:-1].tolist()), ProductLayer((0, 1), np.zeros((1, 2), int))
    return IntegerCircuit(layers, 8, 12, 16, 24, 48, 1, (0, 1), stage)


Make = Callable[[Engine], bytes]

#: file: circuit, data, how it is written. They must decode for ever; another format is a new version and new files.
FILES: dict[str, tuple[Callable[[], IntegerCircuit], NDArray[np.generic], Make]] = {
    "packets_16": (small_circuit, SMALL, lambda engine: encode_packet_stream(engine, SMALL, 9, 16)),
    "packets_0": (wide_circuit, WIDE, lambda engine: encode_packet_stream(engine, WIDE, 14, 0)),
    "packets_32": (wide_circuit, WIDE, lambda engine: encode_packet_stream(engine, WIDE, 17, 32)),
    "packets_predicted": (predicted, PREDICTED, lambda engine: encode_packet_stream(engine, PREDICTED, 9, 16)),
    "packets_columns": (columns, FIELDS, lambda engine: encode_packet_stream(engine, FIELDS, 21, 32)),
    "stream_index": (small_circuit, SMALL, lambda engine: encode(engine, SMALL, 2, index=8)),
    "stream_stored": (skewed, MIXED, lambda engine: encode(engine, MIXED, 2, index=24)),
}  # fmt: skip
ISAS = ("numpy", *instruction_sets())


def engine_of(circuit: IntegerCircuit, isa: str) -> Engine:
    return ReferenceEngine(circuit) if isa == "numpy" else NativeEngine(circuit, isa)


def write_golden() -> None:
    """Write the files anew: only for a new version of the format."""
    for name, (circuit, _, make) in FILES.items():
        (GOLDEN / f"{name}.bin").write_bytes(make(ReferenceEngine(circuit())))
    stream = (GOLDEN / "stream_stored.bin").read_bytes()
    (GOLDEN / "archive.pcz").write_bytes(pack(skewed(), stream))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", FILES)
def test_is_read_and_written_again_byte_for_byte(name: str, isa: str) -> None:
    circuit, data, make = FILES[name]
    engine, stored = engine_of(circuit(), isa), (GOLDEN / f"{name}.bin").read_bytes()
    back = whole(decode_packet_stream(engine, stored)) if name.startswith("packets") else decode(engine, stored)
    assert back.dtype.str == data.dtype.str
    assert not differ(back, data).any()
    assert make(engine) == stored


def test_the_files_hold_what_they_are_for() -> None:
    """Records over borders of packets, both of their rules, segments of both kinds."""
    for name in ("packets_predicted", "packets_columns"):
        stage = FILES[name][0]().symbolizer
        assert isinstance(stage, Predictor)
        stream = parse((GOLDEN / f"{name}.bin").read_bytes())
        places = [packet[0] >> 1 for packet in stream.packets]
        assert len(places) > 4 and stage.adaptation
        assert any(place % stage.columns for place in places) == (name == "packets_predicted")
    for name in ("packets_16", "packets_0", "packets_32"):
        stream = parse((GOLDEN / f"{name}.bin").read_bytes())
        variables = 3 if name == "packets_16" else 4
        places = [packet[0] >> 1 for packet in stream.packets]
        assert len(places) > 3 and any(place % variables for place in places)
    stored = parse((GOLDEN / "stream_stored.bin").read_bytes())
    assert [segment.stored is not None for segment in stored.segments] == [False, True, False]
    assert parse((GOLDEN / "stream_index.bin").read_bytes()).indexed == (8, 2)


@pytest.mark.parametrize("isa", ISAS)
def test_parts_are_read_by_the_index(isa: str) -> None:
    with Decoder.of(engine_of(small_circuit(), isa), StreamFile((GOLDEN / "stream_index.bin").read_bytes())) as decoder:
        assert_array_equal(decoder.read(13, 29), SMALL[13:29])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("rows", [8, 21])
def test_what_is_appended_to_is_the_stream_of_all_records(isa: str, rows: int) -> None:
    engine, out = engine_of(small_circuit(), isa), io.BytesIO()
    append(engine, StreamFile(encode(engine, SMALL[:rows], 2, index=8)), SMALL[rows:], out)
    assert out.getvalue() == (GOLDEN / "stream_index.bin").read_bytes()


def test_the_archive_is_read() -> None:
    """It is not compared with what is written today: another liblzma may pack the same circuit into other bytes."""
    held = unpack((GOLDEN / "archive.pcz").read_bytes())
    assert held.program.circuit.digest == skewed().digest
    assert held.stream == (GOLDEN / "stream_stored.bin").read_bytes()
    for isa in ISAS:
        assert_array_equal(decode(engine_of(held.program.circuit, isa), held.stream), MIXED)
