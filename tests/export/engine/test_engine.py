"""The engine: the reference's results for every size and job, and the cycles that the model counts; estimates."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from helpers.engine import run_all
from helpers.nightly import NIGHTLY
from helpers.special import in_rows, special
from numpy.testing import assert_array_equal
from strategies import make_circuit

from pcedge.circuit import load_circuit, sample
from pcedge.cli import group
from pcedge.codec import encode
from pcedge.compress import expected_flows, share_rows
from pcedge.data import load_data
from pcedge.drivers.size import EngineSize
from pcedge.engines import ReferenceEngine
from pcedge.engines.lanes import decode_lanes, encode_lanes
from pcedge.errors import UsageError
from pcedge.export import write_onnx, write_project
from pcedge.export.engine.cycles import JOBS, busy_cycles, count_cycles, estimate, smallest
from pcedge.export.program.lowering import lower, stored_weights
from pcedge.integer import IntegerCircuit, IntegerSum
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.schedule.program import Program
from pcedge.schedule.steps import Op
from pcedge.simulate.parallel import EngineCsim

#: the others are compared by benchmarks/engine.py: a compilation takes long
SHAPES = [EngineSize(16, 4, 1), EngineSize(128, 8, 3)]


@pytest.fixture(scope="module")
def digits() -> IntegerCircuit:
    return quantize(load_circuit("digits"), QuantizationConfig(8, 12, 16))


@pytest.fixture(scope="module")
def held_out() -> np.ndarray:
    test = load_data("digits").test
    return test.reshape(len(test), -1).astype(np.int64)


def compare(
    circuit: IntegerCircuit, records: np.ndarray, shape: EngineSize, folder: Path, *, exact: bool = False
) -> None:
    """Demand the reference's results of every job, and the model's cycles."""
    engine = ReferenceEngine(circuit)
    csim = EngineCsim(write_project(circuit, folder, records=records[:1], shape=shape), exact)
    assert "1 records: likelihoods, bytes and symbols equal" in csim.golden()
    with csim.device() as device:
        assert run_all(device, engine, records) == [count_cycles(circuit, shape, job, len(records)) for job in JOBS]
    with csim.device(stalls=(180, 5)) as device:
        assert run_all(device, engine, records) != [count_cycles(circuit, shape, job, len(records)) for job in JOBS]


@pytest.mark.csim
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.macs}x{shape.streams}")
def test_every_size_gives_the_same_bytes(
    digits: IntegerCircuit, held_out: np.ndarray, shape: EngineSize, tmp_path: Path
) -> None:
    # Records that leave no stream without work, and not all with as many; all 360 at night.
    count = 41 if shape.macs == 16 else len(held_out) if NIGHTLY else 85
    compare(digits, held_out[:count], shape, tmp_path / "p")


@pytest.mark.csim
@pytest.mark.parametrize("name", ["sparse sums", "nested tables", "unequal latents", "row table"])
def test_special_circuits(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pcedge.export.engine.project.cheapest_rows", lambda program, shape: program)
    circuit = special(name)
    records = np.random.default_rng(1).integers(0, circuit.cardinalities, (23, len(circuit.cardinalities)))
    compare(circuit, records, EngineSize(8, 3), tmp_path / "p")


@pytest.mark.csim
@pytest.mark.parametrize("macs, exact", [(1, True), (2, False), (16, True), (64, False)])
def test_rows_of_a_table_by_tiles_of_any_size(
    macs: int, exact: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows shorter and longer than a tile, of no whole number of tiles, zeros that are tails, and sums by lists."""
    monkeypatch.setattr("pcedge.export.engine.project.cheapest_rows", lambda program, shape: program)
    made = make_circuit(2, 6, 7, 5, "hidden", 0.25)
    flows = expected_flows(made, sample(made, 300))
    circuit = quantize(share_rows(made, flows, rows=8), QuantizationConfig(4, 9, 12))
    layers = tuple(
        replace(layer, tails=True) if index in circuit.dense_sums else layer
        for index, layer in enumerate(circuit.layers)
    )
    circuit = in_rows(replace(circuit, layers=layers))
    assert len(circuit.row_lengths) > 1
    assert sum(int((table.turns > 0).sum()) for table in circuit.row_tables.values()) > 5
    records = np.random.default_rng(1).integers(0, circuit.cardinalities, (9, len(circuit.cardinalities)))
    compare(circuit, records, EngineSize(macs, 2), tmp_path / "p", exact=exact)


@pytest.mark.csim
@pytest.mark.parametrize("exact", [False, True], ids=["plain", "exact"])
def test_weights_as_wide_as_mantissas(exact: bool, tmp_path: Path) -> None:
    """Where a sum has one term and W >= A, the accumulator is as narrow as the product of the largest weight, 2^W."""
    circuit = quantize(make_circuit(4, 1, 1, 5, "random"), QuantizationConfig(16, 9, 8))
    assert circuit.widths.accumulator == 24
    records = np.random.default_rng(1).integers(0, circuit.cardinalities, (9, len(circuit.cardinalities)))
    compare(circuit, records, EngineSize(8, 2), tmp_path / "p", exact=exact)


@pytest.mark.csim
def test_writers_of_one_stream_take_turns(tmp_path: Path) -> None:
    """Steps of VECTOR come right behind independent ones of MIX, whose vectors take several cycles to write."""
    circuit = quantize(make_circuit(3, 6, 5, 8, "hidden"))
    records = np.random.default_rng(1).integers(0, circuit.cardinalities, (11, len(circuit.cardinalities)))
    compare(circuit, records, EngineSize(2, 2), tmp_path / "p")


@pytest.mark.csim
@pytest.mark.parametrize("seed", [2])
def test_any_structure_with_exact_widths(seed: int, tmp_path: Path) -> None:
    circuit = quantize(make_circuit(seed, 9, 5, 7, "random", 0.25), QuantizationConfig(6, 9, 12, leaf_masters=seed))
    records = np.random.default_rng(1).integers(0, circuit.cardinalities, (17, len(circuit.cardinalities)))
    compare(circuit, records, EngineSize(32, 5), tmp_path / "p", exact=True)


@pytest.mark.csim
def test_lanes_take_turns_and_streams_may_idle(digits: IntegerCircuit, held_out: np.ndarray, tmp_path: Path) -> None:
    csim = EngineCsim(write_project(digits, tmp_path / "p", records=held_out[:1], shape=EngineSize(64, 4)))
    engine = ReferenceEngine(digits)
    coded = encode_lanes(engine, held_out[:10], 6)
    with csim.device() as device:
        assert device.encode_lanes(held_out[:10], 6) == coded
        assert_array_equal(device.decode_lanes(coded, 10), held_out[:10])
        assert_array_equal(device.likelihood(held_out[:2]), engine.likelihood(held_out[:2]))
        # Marginals of many evidence patterns, from nothing observed to all.
        rng = np.random.default_rng(2)
        masked = np.where(rng.random((1000, 64)) < rng.random((1000, 1)), -1, held_out[rng.integers(0, 360, 1000)])
        assert_array_equal(device.likelihood(masked), engine.likelihood(masked))
        # A sample is what random bytes decode to, in the reference too.
        drawn = device.sample(9, seed=4)
        size = 3 * 64 * digits.scale_bits // 8 + digits.range_bits // 8
        rng = np.random.default_rng(4)
        lanes = [rng.integers(0, 256, size, dtype=np.uint8).tobytes() for _ in range(4)]
        assert_array_equal(drawn, decode_lanes(engine, lanes, 9, strict=False))
        assert len(np.unique(drawn, axis=0)) == 9
        stream = device.encode(engine, held_out[:10])
        assert stream == encode(engine, held_out[:10])
        assert_array_equal(device.decode(engine, stream), held_out[:10])


def test_tiles_hold_the_weights(digits: IntegerCircuit) -> None:
    rows, columns = EngineSize(128).tile
    assert (rows, columns) == (8, 16)
    index = next(i for i, layer in enumerate(digits.layers) if isinstance(layer, IntegerSum))
    block = stored_weights(digits, index)
    tiles = stored_weights(digits, index, (rows, columns)).reshape(-1, rows, columns)
    across = -(-block.shape[1] // columns)
    for row, column in np.ndindex(block.shape):
        tile = tiles[row // rows * across + column // columns]
        assert tile[row % rows, column % columns] == block[row, column]
    assert tiles.sum() == block.sum()
    plain, tiled = (lower(digits, shape=EngineSize(macs)).memory_bits()["weights"] for macs in (1, rows * columns))
    assert tiled >= plain


def test_units_do_every_step(digits: IntegerCircuit) -> None:
    steps = Program.of(digits).code.steps
    busy = busy_cycles(digits, EngineSize(1), "encode")
    products = [s.units * s.sources[0].units for s in steps if s.op in (Op.UP, Op.DOWN)]
    assert busy["mix"] == sum(products)
    assert busy["interval"] == sum(s.sources[0].units for s in steps if s.op is Op.INTERVAL)
    assert busy_cycles(digits, EngineSize(1), "decode")["interval"] > busy["interval"]
    up = busy_cycles(digits, EngineSize(1), "likelihood")
    assert up["mix"] == sum(s.units * s.sources[0].units for s in Program.of(digits).likelihood.steps if s.op is Op.UP)


def test_more_streams_hide_latency(digits: IntegerCircuit) -> None:
    cycles = [estimate(digits, EngineSize(64, streams), "encode").cycles_per_record for streams in (1, 4, 8)]
    assert cycles[0] > 2 * cycles[1] > 2 * cycles[2]
    assert cycles[2] >= max(busy_cycles(digits, EngineSize(64), "encode").values())


def test_finds_the_smallest_engine(digits: IntegerCircuit) -> None:
    found = smallest(digits, "encode", 64 * 40.0)
    assert found is not None
    assert estimate(digits, found, "encode").cycles_per_record <= 64 * 40
    less = EngineSize(found.macs // 2, 32)
    assert max(busy_cycles(digits, less, "encode").values()) > 64 * 40
    assert smallest(digits, "encode", 10.0) is None


@pytest.mark.parametrize(
    "sizes, text",
    [
        ({"macs": 3}, r"^macs must be a power of two in 1\.\.4096, got 3$"),
        ({"streams": 0}, r"^streams must be in 1\.\.64, got 0$"),
        ({"search_bits": 5}, r"^search_bits must be in 1\.\.4, got 5$"),
    ],
)
def test_wrong_sizes(sizes: dict[str, int], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        EngineSize(**sizes)


def test_wrong_jobs(digits: IntegerCircuit) -> None:
    with pytest.raises(UsageError, match=r"^the job must be one of likelihood, encode, decode, got 'sample'$"):
        count_cycles(digits, EngineSize(), "sample", 1)
    with pytest.raises(UsageError, match=r"^records must be one number for each of 2 streams, got 1$"):
        count_cycles(digits, EngineSize(1, 2), "encode", [1])


class TestCommand:
    def run(self, *arguments: object):
        return CliRunner().invoke(group, [str(argument) for argument in arguments])

    def test_estimates(self, digits: IntegerCircuit, tmp_path: Path) -> None:
        model = tmp_path / "m.onnx"
        write_onnx(digits, model)
        done = self.run("estimate", model, "--macs", 64, "--streams", 8, "--json")
        assert done.exit_code == 0, done.output
        result = json.loads(done.stdout)
        expected = estimate(digits, EngineSize(64, 8, 3), "encode")
        assert result["jobs"]["encode"]["cycles_per_record"] == expected.cycles_per_record
        assert result["multipliers"] == {"mix": 64, "vector": 8, "interval": 56}
        assert result["initiation_interval"]["encode"] == expected.cycles_per_record
        assert result["resources"]["calibrated"] is False and result["resources"]["device"]["dsp"] == 1728
        shown = self.run("estimate", model).output
        assert "cycles/symbol" in shown and "nothing was synthesised" in shown
        assert "xczu7ev-ffvc1156-2-e" in shown and "too little" not in shown

    def test_estimates_resources(self, digits: IntegerCircuit, tmp_path: Path) -> None:
        model, target = tmp_path / "m.onnx", tmp_path / "t.toml"
        write_onnx(digits, model)
        done = self.run("estimate", model, "--macs", 128, "--streams", 8, "--target", "arty-a7")
        assert done.exit_code == 0 and "by this estimate xc7a35ticsg324-1L has too little of: " in done.output
        target.write_text('name = "t"\nflow = "vitis-hls"\npart = "x-1"\nclock_ns = 5.0\n')
        done = self.run("estimate", model, "--target", target)
        assert done.exit_code == 0 and "no resources are estimated: the target t says no family" in done.output

    def test_finds_a_rate(self, digits: IntegerCircuit, tmp_path: Path) -> None:
        model = tmp_path / "m.onnx"
        write_onnx(digits, model)
        result = json.loads(self.run("estimate", model, "--rate", 5e6, "--json").stdout)
        assert result["reached"] and result["jobs"]["encode"]["symbols_per_second"] >= 5e6
        done = self.run("estimate", model, "--rate", 1e12)
        assert done.exit_code == 1 and "no engine reaches 1e+12 symbols a second" in done.output

    def test_exports(self, digits: IntegerCircuit, tmp_path: Path) -> None:
        model, out = tmp_path / "m.onnx", tmp_path / "p"
        write_onnx(digits, model)
        assert self.run("export", model, "--macs", 16, "--streams", 2, "--out", out).exit_code == 0
        manifest = json.loads((out / "manifest.json").read_text())
        assert (manifest["macs"], manifest["streams"], manifest["tops"][-1]) == (16, 2, "pc_engine")
        done = self.run("export", model, "--macs", 5, "--out", tmp_path / "q")
        assert done.exit_code == 2 and not (tmp_path / "q").exists()
