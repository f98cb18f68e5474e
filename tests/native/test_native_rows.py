"""Lanes of numbers with a predictor stage: the native engine's bytes and numbers are numpy's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import as_json, run
from helpers.predictors import circuit_of, random_predictor
from numpy.testing import assert_array_equal

from pcedge.codec import check_stream, decode, encode
from pcedge.codec.predicted import decode_rows, encode_rows
from pcedge.data.columns import Columns
from pcedge.data.prediction import centred
from pcedge.data.predictor import CELLS
from pcedge.engines import ReferenceEngine
from pcedge.errors import StreamError
from pcedge.export import write_onnx
from pcedge.export.project.prediction import draw_rows
from pcedge.native import NativeEngine, instruction_sets


@pytest.mark.parametrize("case", range(12))
def test_random_stages(case: int) -> None:
    stage = random_predictor(case)
    circuit = circuit_of(stage)
    numbers = centred(stage, draw_rows(stage, 70, seed=case))
    for isa in instruction_sets():
        engine = NativeEngine(circuit, isa, threads=1 + case % 3)
        for lanes in (1, 6, 70):
            coded, raw = encode_rows(circuit, numbers, lanes)
            assert encode_rows(engine, numbers, lanes) == (coded, raw)
            assert_array_equal(decode_rows(engine, coded, raw, 70), numbers)


def test_missing_numbers() -> None:
    generator = np.random.default_rng(1)
    x = generator.integers(-50, 50, (200, 3)).cumsum(axis=0).astype(np.int16)
    x[generator.random(x.shape) < 0.2] = -32768
    plain = random_predictor(6)
    groups = tuple(replace(group, low=-32768, high=32767, origin=7) for group in plain.groups)
    stage = replace(plain, dtype=CELLS, groups=groups, source=Columns.of(x, missing=-32768), escapes=64)
    engine = NativeEngine(circuit_of(stage))
    packed = encode(engine, x, 3)
    assert packed == encode(ReferenceEngine(engine.circuit), x, 3)
    assert_array_equal(decode(engine, packed), x)
    assert check_stream(engine, x, packed) == 200


def test_damaged_lanes_are_refused_in_the_same_words() -> None:
    stage = random_predictor(1)
    circuit = circuit_of(stage)
    engine = NativeEngine(circuit)
    (lane,), (raw,) = encode_rows(circuit, centred(stage, draw_rows(stage, 40)), 1)
    generator = np.random.default_rng(0)
    damaged = [(lane[:-1], raw), (lane + b"\0", raw), (lane, raw[:-1]), (lane, raw + b"\0"), (b"", raw)]
    for _ in range(40):
        place = int(generator.integers(len(lane)))
        damaged.append((lane[:place] + bytes([lane[place] ^ int(generator.integers(1, 256))]) + lane[place + 1 :], raw))
    refused = 0
    for coded, bits in damaged:
        said: list[object] = []
        for who in (circuit, engine):
            try:
                said.append(decode_rows(who, [coded], [bits], 40).tolist())
            except StreamError as error:
                said.append(str(error))
        assert said[0] == said[1]
        refused += isinstance(said[0], str)
    assert refused > 20


def test_engines_of_the_commands(tmp_path: Path) -> None:
    stage = random_predictor(0)
    write_onnx(circuit_of(stage), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", draw_rows(stage, 90))
    for engine in ("auto", "native", "numpy"):
        words = ("--engine", engine, "--threads", 2)
        as_json("encode", tmp_path / "m.onnx", tmp_path / "x.npy", tmp_path / f"{engine}.pce", *words)
        as_json("decode", tmp_path / "m.onnx", tmp_path / f"{engine}.pce", tmp_path / f"{engine}.npy", *words)
        assert (tmp_path / f"{engine}.npy").read_bytes() == (tmp_path / "x.npy").read_bytes()
    assert len({(tmp_path / f"{engine}.pce").read_bytes() for engine in ("auto", "native", "numpy")}) == 1
    assert run("encode", tmp_path / "m.onnx", tmp_path / "x.npy", tmp_path / "y.pce", "--engine", "c").exit_code == 2
