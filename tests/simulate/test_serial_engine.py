"""The serial engine in SystemVerilog, in Verilator: every job is the reference's, after its model was loaded."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import run
from helpers.nightly import cases
from helpers.rtl_units import needs_verilator
from numpy.testing import assert_array_equal
from strategies import make_circuit

from pcedge.codec.stream import decode
from pcedge.data import load_data
from pcedge.drivers.contract import Job, Status
from pcedge.engines import ReferenceEngine
from pcedge.engines.lanes import decode_lanes, encode_lanes
from pcedge.errors import DataError, StreamError, ToolError
from pcedge.export import load_zoo, write_onnx, write_serial
from pcedge.export.rtl.serial.cycles import cycles_of
from pcedge.export.rtl.serial.image import lower_serial
from pcedge.export.rtl.serial.project import MODEL
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.simulate.rtl import FLAGS, RtlProject
from pcedge.simulate.serial import SerialBoard
from pcedge.toolchain.building import rtl_sources
from pcedge.toolchain.verilator import build

pytestmark = [pytest.mark.rtl, needs_verilator]


def drawn(seed: int, coder: str) -> IntegerCircuit:
    """Draw a circuit with steps of every kind: lists, gather lists, sums over several layers, many alphabets."""
    return quantize(make_circuit(seed, 7, 5, 9, "random", 0.3), QuantizationConfig(6, 10, 12, coder, tails=False))


def some_records(engine: ReferenceEngine, count: int) -> np.ndarray:
    """Draw records, one in four of them of any symbols."""
    dice = np.random.default_rng(5)
    any_symbols = dice.integers(0, engine.circuit.cardinalities, (count // 4, len(engine.circuit.order)))
    return np.concatenate([engine.sample(count - count // 4, seed=3), any_symbols])


def all_jobs(
    project: RtlProject, engine: ReferenceEngine, records: np.ndarray, stalls: tuple[int, int] | None
) -> dict[str, float]:
    """Demand the reference's results of every job; give the cycles of a symbol."""
    hidden = np.where(np.random.default_rng(0).random(records.shape) < 0.3, -1, records)
    cycles = {}
    with project.device(stalls) as device:
        assert (device.info.streams, device.info.digest) == (1, engine.circuit.digest)
        assert_array_equal(device.likelihood(hidden), engine.likelihood(hidden))
        cycles["likelihood"] = device.cycles / records.size
        coded = encode_lanes(engine, records, 3)
        assert device.encode_lanes(records, 3) == coded
        cycles["encode"] = device.cycles / records.size
        assert_array_equal(device.decode_lanes(coded, len(records)), records)
        cycles["decode"] = device.cycles / records.size
        # the highest offsets leave the range
        for noise in (np.random.default_rng(7).integers(0, 256, 400, dtype=np.uint8).tobytes(), b"\xff" * 400):
            found = device.decode_lanes([noise], 2, job=Job.SAMPLE)
            assert_array_equal(found, decode_lanes(engine, [noise], 2, strict=False))
    return cycles


@pytest.fixture(scope="module", autouse=True)
def plain_compiler() -> Iterator[None]:
    """Take the compiler without the headers that tests of HLS compile ahead."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PCEDGE_CXX", raising=False)
        yield


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[RtlProject, ReferenceEngine]:
    """Compile the engine of a small circuit with steps of every kind."""
    circuit = drawn(4, "wide")
    return RtlProject(write_serial(circuit, tmp_path_factory.mktemp("serial") / "p")), ReferenceEngine(circuit)


class TestJobs:
    def test_every_job_is_the_references(self, small: tuple[RtlProject, ReferenceEngine]) -> None:
        project, engine = small
        all_jobs(project, engine, some_records(engine, 40), None)

    def test_cycles_are_counted_without_a_simulator(self, small: tuple[RtlProject, ReferenceEngine]) -> None:
        project, engine = small
        records = engine.sample(9, seed=3)
        image = lower_serial(engine.circuit)
        with project.device() as device:
            device.likelihood(records)
            assert device.cycles == 9 * cycles_of(image, "likelihood") + 1
            device.encode_lanes(records, 1)
            # this small circuit's steps wait for the coder here and there
            assert 0 <= device.cycles - 9 * cycles_of(image, "encode") < 0.01 * device.cycles
            device.decode_lanes(device.encode_lanes(records, 1), 9)
            assert device.cycles == pytest.approx(9 * cycles_of(image, "decode"), rel=0.05)

    def test_stalls_change_no_bit(self, small: tuple[RtlProject, ReferenceEngine]) -> None:
        project, engine = small
        all_jobs(project, engine, some_records(engine, 24), (90, 1))

    def test_golden_vectors(self, small: tuple[RtlProject, ReferenceEngine]) -> None:
        project, _ = small
        assert project.golden().startswith("16 records, ")

    def test_damage_is_said(self, small: tuple[RtlProject, ReferenceEngine]) -> None:
        project, engine = small
        records = some_records(engine, 8)
        (coded,) = encode_lanes(engine, records, 1)
        with project.device() as device:
            for wrong in (coded + b"\0", coded[:-1], b"\xff" * len(coded)):
                with pytest.raises(StreamError, match="lanes 0 to 0 must be what an encoder writes, one is not"):
                    device.decode_lanes([wrong], len(records))
            assert_array_equal(device.decode_lanes([coded], len(records)), records)

    def test_broken_records_keep_their_places(self, small: tuple[RtlProject, ReferenceEngine]) -> None:
        project, engine = small
        records = some_records(engine, 4)
        packets = [row.astype(np.uint32) for row in records]
        packets[1] = packets[1][:3]
        packets[2] = np.concatenate([packets[2], packets[2][:9]])
        with project.device() as device:
            (replies,) = device.run(Job.LIKELIHOOD, [4], [packets], [[2] * 4], allowed=Status.BAD_FRAME)
            assert device.status == Status.BAD_FRAME
            broken = records.astype(np.uint32)
            broken[3, 2] = 200
            with pytest.raises(DataError, match="symbols must be within the alphabets of their variables"):
                device.run(Job.ENCODE, [4], [list(broken)], [[400]])
        records[1, 3:] = -1
        assert_array_equal(np.stack(replies), np.stack(engine.likelihood(records), axis=1) & (1 << 32) - 1)

    def test_needs_its_own_model(self, small: tuple[RtlProject, ReferenceEngine]) -> None:
        project, engine = small
        records = some_records(engine, 4)
        words = np.fromfile(project.folder / MODEL, "<u4").astype(np.uint32)
        other = words.copy()
        other[0] ^= 1
        with project.device() as device:
            with pytest.raises(ToolError, match=r"the engine must end LOAD with status 0, it says <Status\.BAD_IMAGE"):
                device.run(Job.LOAD, [], [[other]], [])
            with pytest.raises(
                ToolError, match=r"the engine must end LIKELIHOOD with status 0, it says <Status\.NOT_LO"
            ):
                device.likelihood(records)
            with pytest.raises(ToolError, match=r"the engine must end READ with status 0, it says <Status\.BAD_JOB"):
                device.run(Job.READ, [], [], [])
            device.run(Job.LOAD, [], [[words]], [])
            assert_array_equal(device.likelihood(records), engine.likelihood(records))


class TestCircuits:
    @pytest.mark.parametrize(
        ("seed", "coder"), cases([(5, "small")], [(5, "small"), (6, "wide"), (1, "wide"), (2, "small")])
    )
    def test_steps_of_every_kind(self, tmp_path: Path, seed: int, coder: str) -> None:
        circuit = drawn(seed, coder)
        project = RtlProject(write_serial(circuit, tmp_path / "project"))
        engine = ReferenceEngine(circuit)
        all_jobs(project, engine, some_records(engine, 40), None)

    @pytest.mark.nightly
    def test_digits(self, tmp_path: Path) -> None:
        circuit = load_zoo("digits")
        test = load_data("digits").test
        assert test is not None
        records = test.reshape(len(test), -1).astype(np.int64)
        project = RtlProject(write_serial(circuit, tmp_path / "project"))
        cycles = all_jobs(project, ReferenceEngine(circuit), records, None)
        image = lower_serial(circuit)
        # three lanes, each with its flush
        assert cycles["encode"] == pytest.approx(cycles_of(image, "encode") / 64, rel=1e-3)
        assert cycles["decode"] == pytest.approx(cycles_of(image, "decode") / 64, rel=0.05)


@pytest.mark.nightly
def test_a_board_is_loaded_by_its_host(tmp_path: Path, small: tuple[RtlProject, ReferenceEngine]) -> None:
    pytest.importorskip("serial", reason="needs pyserial (pcedge[device])")
    project, engine = small
    np.save(tmp_path / "x.npy", engine.sample(5, seed=2))
    folder, model = project.folder, project.folder / MODEL
    with SerialBoard(folder).port() as port:
        done = run("device", folder, "--port", port, "--encode", tmp_path / "x.npy", "--out", tmp_path / "x.pce")
        assert done.exit_code != 0
        assert "NOT_LOADED" in done.output
        done = run("device", folder, "--port", port, "--load", model)
        assert (done.exit_code, done.exception) == (0, None)
        done = run("device", folder, "--port", port, "--encode", tmp_path / "x.npy", "--out", tmp_path / "x.pce")
        assert (done.exit_code, done.exception) == (0, None)
        assert_array_equal(decode(engine, (tmp_path / "x.pce").read_bytes()), np.load(tmp_path / "x.npy"))
        done = run("device", folder, "--port", port, "--load", folder / "golden/lanes.bin", "--info")
        assert done.exit_code != 0


def test_a_flash_memory_gives_the_model(tmp_path: Path, small: tuple[RtlProject, ReferenceEngine]) -> None:
    project, engine = small
    harness = Path(__file__).parents[1] / "export/rtl/flash.cpp"
    executable = build(rtl_sources(project.folder), "pcedge_flash", [harness], tmp_path, flags=(*FLAGS, "-Wno-fatal"))
    record = engine.sample(1, seed=4)
    model = project.folder / MODEL
    command = [str(executable), str(model), "0x100000", *map(str, record[0])]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    cycles, status, *found = map(int, said)
    assert 64 * model.stat().st_size // 4 < cycles < 65 * model.stat().st_size // 4 + 1000
    assert status == 0
    assert found == [int(part[0]) for part in engine.likelihood(record)]


class TestCommands:
    def test_export_chooses_it_for_ice40(self, tmp_path: Path) -> None:
        model, folder = tmp_path / "m.onnx", tmp_path / "project"
        write_onnx(drawn(4, "wide"), model)
        done = run("export", model, "--target", "ice40-up5k", "--out", folder)
        assert (done.exit_code, done.exception) == (0, None)
        assert "serial engine for ice40-up5k, its model of " in done.output
        done = run("export", model, "--target", "ice40-up5k", "--macs", 4, "--out", tmp_path / "parallel")
        assert "SystemVerilog for ice40-up5k" in done.output

    @pytest.mark.parametrize(
        ("words", "text"),
        [
            (["--target", "zcu104", "--engine", "serial"], "--engine must go with --kernel engine and a target of RTL"),
            (["--target", "rtl", "--engine", "serial", "--macs", "4"], "--macs must go with --engine parallel"),
        ],
    )
    def test_refuses(self, tmp_path: Path, words: list[str], text: str) -> None:
        model = tmp_path / "m.onnx"
        write_onnx(drawn(4, "wide"), model)
        done = run("export", model, *words, "--out", tmp_path / "project")
        assert done.exit_code == 2
        assert text in " ".join(done.output.split())
