"""One engine for eleven circuits, and what a device must give for every job."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal
from strategies import make_circuit

from helpers.special import special
from pcedge.codec.packets import PacketLayout, decode_packets, encode_packets
from pcedge.drivers import Device
from pcedge.drivers import packets as device_packets
from pcedge.drivers.size import EngineSize
from pcedge.engines import ReferenceEngine
from pcedge.engines.lanes import encode_lanes
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize

SHAPE = EngineSize(16, 3)


def small(seed: int, variables: int, states: int, weight_bits: int) -> IntegerCircuit:
    """Draw a circuit whose tables have 10 bits and whose states have 12."""
    circuit = make_circuit(seed, variables, states, 3 + seed, "random", 0.2)
    return quantize(circuit, QuantizationConfig(weight_bits, 10, 12, "small"))


#: of different structures, sizes, alphabets, floors and weight bits; lists, certain children, nested tables
CIRCUITS = [
    *(small(seed, 3 + 2 * seed, 1 + seed, 4 + seed) for seed in range(5)),
    *(
        special(name)
        for name in (
            "mixed cardinalities",
            "sparse sums",
            "certain children",
            "nested tables",
            "one table",
            "row table",
        )
    ),
]


def run_all(device: Device, engine: ReferenceEngine, records: np.ndarray) -> list[int]:
    """Demand the reference's results of every job; give their cycles."""
    partial = np.where(np.random.default_rng(0).random(records.shape) < 0.3, -1, records)
    assert_array_equal(device.likelihood(partial), engine.likelihood(partial))
    cycles = [device.cycles]
    coded = encode_lanes(engine, records, device.info.streams)
    assert device.encode_lanes(records, device.info.streams) == coded
    cycles.append(device.cycles)
    assert_array_equal(device.decode_lanes(coded, len(records)), records)
    cycles.append(device.cycles)
    same_packets(device, engine, records[:8], 9)
    return cycles


def same_packets(device: Device, engine: ReferenceEngine, records: np.ndarray, size: int) -> list[bytes]:
    """Demand the reference's packets, and of each alone what the reference finds in it; give them."""
    layout = PacketLayout.of(engine, size, len(records))
    packets = encode_packets(engine, records, layout)
    assert device_packets.encode_packets(device, engine, records, layout) == packets
    found = device_packets.decode_packets(device, engine, packets[::-1], layout, len(records))
    assert_array_equal(found.records, records)
    for packet in packets[:3]:
        alone = device_packets.decode_packets(device, engine, [packet], layout, len(records))
        assert_array_equal(alone.records, decode_packets(engine, [packet], layout, len(records)).records)
    return packets
