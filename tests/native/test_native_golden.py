"""The golden streams, by the native engine with every instruction set that the machine has: its self-test."""

from __future__ import annotations

import numpy as np
import pytest
from codec.test_stream import FILES
from helpers.paths import GOLDEN
from numpy.testing import assert_array_equal

import pcedge
from pcedge.codec import decode, encode
from pcedge.native import NativeEngine, instruction_sets


@pytest.mark.parametrize("isa", instruction_sets())
@pytest.mark.parametrize("name", FILES)
def test_streams_of_records(name: str, isa: str) -> None:
    circuit, data, lanes = FILES[name]()
    engine = NativeEngine(circuit, isa)
    stored = (GOLDEN / f"{name}.bin").read_bytes()
    assert encode(engine, data, lanes) == stored
    assert_array_equal(decode(engine, stored), data)


@pytest.mark.parametrize("isa", instruction_sets())
def test_stream_with_a_predictor_stage(isa: str) -> None:
    engine = NativeEngine(pcedge.load(GOLDEN / "stream_predicted.onnx"), isa)
    stored, data = (GOLDEN / "stream_predicted.bin").read_bytes(), np.load(GOLDEN / "stream_predicted.npy")
    assert encode(engine, data, 2) == stored
    assert_array_equal(decode(engine, stored), data)
