"""On a board: the driver in front of an engine; here the engine is its own C simulation behind simulated registers."""

import tempfile
from pathlib import Path

import numpy as np

import pcedge
from pcedge.drivers.size import EngineSize
from pcedge.simulate.parallel import EngineCsim

circuit = pcedge.load("nltcs")
engine = pcedge.ReferenceEngine(circuit)
records = np.array([[0] * 16, [1] * 16, [0, 1] * 8, [1, 0] * 8], dtype=np.uint8)
with tempfile.TemporaryDirectory() as folder:
    pcedge.write_project(circuit, folder + "/engine", shape=EngineSize(macs=4, streams=2))
    # On a PYNQ board: device = pcedge.drivers.open_overlay(Overlay("engine.bit"), …)
    with EngineCsim(Path(folder, "engine")).device() as device:
        stream = device.encode(engine, records)
        assert stream == pcedge.encode(circuit, records)  # the bytes that numpy writes
        assert np.array_equal(device.decode(engine, stream), records)
        print(device.info)
