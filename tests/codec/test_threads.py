"""Threads that share an engine, a codec or an open stream get what one thread gets."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers.streams import numbered, small_circuit
from numpy.testing import assert_array_equal

from pcedge.codec import Codec, Decoder, decode, encode
from pcedge.native import open_engine

CIRCUIT = small_circuit()
DATA = numbered(3000, (2, 2, 4)).astype(np.uint8)
ROUNDS, THREADS = 6, 8


@pytest.fixture(autouse=True)
def _often() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def together(work: Callable[[int], None]) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(ROUNDS * THREADS)))


@pytest.mark.parametrize("name", ["native", "numpy"])
def test_one_engine(name: str) -> None:
    engine = open_engine(CIRCUIT, name, threads=2)
    parts = [DATA[start : start + 70].astype(np.int64) for start in range(0, 420, 70)]
    expected = [(engine.likelihood(part), engine.encode_lanes(part, 7)) for part in parts]

    def work(number: int) -> None:
        part, (likelihood, lanes) = parts[number % 6], expected[number % 6]
        for got, whole in zip(engine.likelihood(part), likelihood, strict=True):
            assert_array_equal(got, whole)
        assert engine.encode_lanes(part, 7) == lanes
        assert_array_equal(engine.decode_lanes(lanes, len(part)), part)

    together(work)


def test_one_codec() -> None:
    codec = Codec(CIRCUIT, lanes=5)
    streams = [codec.encode(DATA[start : start + 100]) for start in range(0, 600, 100)]

    def work(number: int) -> None:
        part = DATA[100 * (number % 6) :][:100]
        assert codec.encode(part) == streams[number % 6]
        assert_array_equal(codec.decode(streams[number % 6]), part)

    together(work)


def test_a_codec_goes_to_another_process() -> None:
    codec = Codec(CIRCUIT, lanes=5, engine="numpy", given=(1,))
    there = pickle.loads(pickle.dumps(codec))
    assert there.encode(DATA[:50]) == codec.encode(DATA[:50])
    assert (there.lanes, there.engine.given, type(there.engine)) == (5, (1,), type(codec.engine))


@pytest.mark.parametrize("index", [16, None])
def test_one_open_stream(index: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where parts lie is found on the way, and the file is at one place at a time."""
    for module in ("container", "stream"):
        monkeypatch.setattr(f"pcedge.codec.{module}.SEGMENT_RECORDS", 16)
    monkeypatch.setattr("pcedge.codec.decoder.CHUNK", 16)
    (tmp_path / "x.pce").write_bytes(encode(open_engine(CIRCUIT), DATA, 4, index=index))
    assert_array_equal(decode(open_engine(CIRCUIT), (tmp_path / "x.pce").read_bytes()), DATA)
    for _ in range(3):
        with Decoder(CIRCUIT, tmp_path / "x.pce") as decoder:

            def work(number: int, decoder: Decoder = decoder) -> None:
                start = int(np.random.default_rng(number).integers(0, 2900))
                assert_array_equal(decoder.read(start, start + 60), DATA[start : start + 60])

            together(work)
