"""What tests of the engine in SystemVerilog demand of every job: the reference's results, and the model's cycles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.testing import assert_array_equal
from strategies import TREES, make_circuit, steep

from pcedge.arithmetic import score
from pcedge.drivers.contract import Job
from pcedge.drivers.device import Device
from pcedge.engines import ReferenceEngine
from pcedge.engines.lanes import decode_lanes, encode_lanes
from pcedge.export import RtlSize, write_rtl
from pcedge.export.rtl.cycles import CycleModel
from pcedge.export.rtl.lowering import lower_rtl
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.simulate.rtl import RtlProject


def drawn(seed: int, coder: str, tails: bool) -> IntegerCircuit:
    """Draw a circuit with steps of every kind: lists, gather lists, sums over several layers, many alphabets."""
    circuit = make_circuit(seed, 7, 5, 9, "random", 0.3)
    return quantize(circuit, QuantizationConfig(6, 10, 12, coder, tails=tails))


def with_tails() -> IntegerCircuit:
    """Make a circuit with tails of leaves and of sums."""
    circuit = steep(make_circuit(391, 6, 4, 6, TREES[391 % len(TREES)], 0.25), 12)
    made = quantize(circuit, QuantizationConfig(8, 11, 12, "small"))
    assert {layer.shape.kind for index, layer in enumerate(made.layers) if made.has_tails(index)} == {"input", "sum"}
    return made


def some_records(engine: ReferenceEngine, count: int) -> np.ndarray:
    """Draw records, one in four of them of any symbols."""
    dice = np.random.default_rng(5)
    any_symbols = dice.integers(0, engine.circuit.cardinalities, (count // 4, len(engine.circuit.order)))
    return np.concatenate([engine.sample(count - count // 4, seed=3), any_symbols])


def demand_jobs(device: Device, engine: ReferenceEngine, records: np.ndarray) -> int:
    """Demand the reference's results of every job of a device; give the cycles of encoding."""
    hidden = np.where(np.random.default_rng(0).random(records.shape) < 0.3, -1, records)
    assert_array_equal(device.likelihood(hidden), engine.likelihood(hidden))
    lanes = device.info.streams
    coded = encode_lanes(engine, records, lanes)
    assert device.encode_lanes(records, lanes) == coded
    cycles = device.cycles
    assert_array_equal(device.decode_lanes(coded, len(records)), records)
    dice = np.random.default_rng(7)
    noise = [dice.integers(0, 256, 400, dtype=np.uint8).tobytes() for _ in range(lanes)]
    found = device.decode_lanes(noise, 2 * lanes, job=Job.SAMPLE)
    assert_array_equal(found, decode_lanes(engine, noise, 2 * lanes, strict=False))
    return cycles


def all_jobs(project: RtlProject, engine: ReferenceEngine, records: np.ndarray, stalls: tuple[int, int] | None) -> int:
    """Demand the reference's results of every job; give the cycles of encoding."""
    with project.device(stalls) as device:
        assert device.info.digest == engine.circuit.digest
        return demand_jobs(device, engine, records)


def scores(project: RtlProject, engine: ReferenceEngine, records: np.ndarray) -> None:
    """Demand the reference's scores, also of records that are impossible or miss symbols."""
    hidden = np.where(np.random.default_rng(1).random(records.shape) < 0.3, -1, records)
    both = np.concatenate([records, hidden])
    expected = score(*engine.likelihood(both), engine.circuit.state_bits)
    for stalls in (None, (120, 2)):
        with project.device(stalls) as device:
            assert_array_equal(device.score(both), expected)


def demand_equal(circuit: IntegerCircuit, size: RtlSize, folder: Path, counts: tuple[int, ...]) -> None:
    """Demand the model's cycles of every job, one job after the other on one engine."""
    project = RtlProject(write_rtl(circuit, folder, size=size))
    model, engine, streams = CycleModel(lower_rtl(circuit, size)), ReferenceEngine(circuit), size.streams
    found, counted = {}, {}
    with project.device() as device:
        for count in counts:
            records = engine.sample(count, seed=count)
            shares = [len(range(stream, count, streams)) for stream in range(streams)]
            device.likelihood(records)
            found["likelihood", count] = device.cycles
            counted["likelihood", count] = model.count("likelihood", shares)
            lanes = device.encode_lanes(records, streams)
            found["encode", count] = device.cycles
            counted["encode", count] = model.count("encode", shares, records)
            device.decode_lanes(lanes, count)
            found["decode", count] = device.cycles
            counted["decode", count] = model.count("decode", shares, records, [len(lane) for lane in lanes])
            dice = np.random.default_rng(count)
            noise = [dice.integers(0, 256, 3 * records.size, dtype=np.uint8).tobytes() for _ in range(streams)]
            samples = device.decode_lanes(noise, count, job=Job.SAMPLE)
            found["sample", count] = device.cycles
            counted["sample", count] = model.count("sample", shares, samples, [len(lane) for lane in noise])
    assert counted == found
