"""Hardened engines: every job is the reference's, a bit flipped in a memory is told, one in a register is outvoted."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import as_json, run
from helpers.rtl_units import needs_verilator
from numpy.testing import assert_array_equal
from strategies import make_circuit

from pcedge.drivers.contract import STATUS_BITS, Status
from pcedge.engines import ReferenceEngine
from pcedge.engines.lanes import encode_lanes
from pcedge.errors import FormatError, UsageError
from pcedge.export import RtlSize, write_onnx, write_rtl
from pcedge.export.project.manifest import read_manifest
from pcedge.integer import IntegerCircuit
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.simulate.projects import simulators
from pcedge.simulate.rtl import RtlProject
from pcedge.simulate.upsets import Campaign, Fault, Outcome, UpsetProject, draw_faults, tasks_of
from pcedge.toolchain import building
from pcedge.toolchain.faults import Faults, FaultyMemory, Register
from pcedge.toolchain.hardening import level_of
from pcedge.verify import verify

pytestmark = [pytest.mark.rtl]

SIZE = RtlSize(macs=4, streams=2, lanes=2)

#: registers of 3, 30 and a memory's 5 bits; memories of 4 words of 5 bits and of 10 words of 2 bits
FEW = Faults(
    (Register("a", 0, 3, False), Register("m[0]", 3, 5, True), Register("b", 32, 30, False)),
    (FaultyMemory("m", 4, 5, True), FaultyMemory("n", 10, 2, False)),
    64,
)


def small() -> IntegerCircuit:
    """Draw a circuit with steps of every kind."""
    return quantize(make_circuit(3, 5, 3, 5, "random", 0.3), QuantizationConfig(6, 10, 12, "small"))


def test_a_status_bit_of_its_own() -> None:
    assert Status.UPSET == 128
    assert "hardened" in STATUS_BITS[Status.UPSET]


def test_faults_are_drawn_evenly() -> None:
    """All bits of registers and of memories come, as often as each other, and a seed gives the same ones."""
    drawn = draw_faults(FEW, [5, 7], (6000, 5000), 1)
    assert drawn == draw_faults(FEW, [5, 7], (6000, 5000), 1) != draw_faults(FEW, [5, 7], (6000, 5000), 2)
    registers = [fault for fault in drawn if not fault.in_memory]
    stored = [fault for fault in drawn if fault.in_memory]
    assert (len(registers), len(stored)) == (6000, 5000)
    places = np.bincount([fault.number for fault in registers], minlength=62)
    assert {*np.flatnonzero(places)} == {*range(3), *range(32, 62)}
    assert places[places > 0].min() > 120 and places.max() < 250  # 182 each
    words = {(fault.name, fault.word, fault.bit) for fault in stored}
    assert len(words) == 20 + 20 + 5
    assert {fault.number for fault in stored if fault.name == "m[0]"} == set(range(3, 8))
    for task, cycles in enumerate([5, 7]):
        assert {fault.cycle for fault in drawn if fault.task == task} == set(range(cycles))


def test_outcomes_are_counted_apart() -> None:
    faults = [Fault(0, 0, in_memory, 0, 0, 0, name) for in_memory, name in ((False, "a"), (True, "m"), (True, "n"))]
    campaign = Campaign("parity", FEW, tuple(faults), (Outcome.SILENT, Outcome.DETECTED, Outcome.SILENT))
    assert campaign.count(False) == {Outcome.MASKED: 0, Outcome.DETECTED: 0, Outcome.HANG: 0, Outcome.SILENT: 1}
    assert campaign.count(True)[Outcome.DETECTED] == campaign.count(True)[Outcome.SILENT] == 1
    assert [fault.name for fault in campaign.silent()] == ["a", "n"]
    assert (FEW.state_bits, FEW.memory_bits) == (33, 45)


def test_levels_of_a_project(tmp_path: Path) -> None:
    """A project says its level, and one that is hardened is no core of plain sources."""
    circuit = small()
    plain = read_manifest(write_rtl(circuit, tmp_path / "plain", size=SIZE))
    hardened = read_manifest(write_rtl(circuit, tmp_path / "hardened", size=SIZE, harden="tmr"))
    assert (level_of(plain), level_of(hardened)) == ("none", "tmr")
    assert "pcedge.core" in plain.files and "pcedge.core" not in hardened.files
    with pytest.raises(UsageError, match=r"^a level of hardening must be one of none, parity, tmr, got 'ecc'$"):
        write_rtl(circuit, tmp_path / "none", size=SIZE, harden="ecc")
    hardened.table["harden"] = "ecc"
    with pytest.raises(FormatError, match="harden must be one of none, parity, tmr, got 'ecc'"):
        level_of(hardened)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--target", "rtl", "--engine", "serial"], "--harden must go with --engine parallel"),
        (["--target", "rtl", "--kernel", "unrolled"], "--harden must go with --kernel engine"),
        (["--target", "zcu104"], "--harden must go with a target of RTL, zcu104 is of HLS"),
        (["--target", "c99"], "--harden must go with a target of hardware, c99 is none"),
        (["--target", "program"], "--harden must go with a project, --target program makes none"),
    ],
)
def test_where_there_is_no_hardening(words: list[str], text: str, tmp_path: Path) -> None:
    write_onnx(small(), tmp_path / "m.onnx")
    done = run("export", tmp_path / "m.onnx", "--out", tmp_path / "out", "--harden", "parity", *words)
    assert done.exit_code == 2 and text in " ".join(done.output.replace("│", " ").split())


def test_an_interrupt_leaves_no_project_without_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there is whole: the new project with its hardened source, the earlier one, or none."""
    write_onnx(small(), tmp_path / "m.onnx")
    out = tmp_path / "p"
    command = ("export", tmp_path / "m.onnx", "--target", "rtl", "--macs", 4, "--streams", 2, "--harden", "tmr")

    def interrupted(folder: Path) -> Path:
        (folder / "build/hardened").mkdir(parents=True)
        (folder / "build/hardened/plain.json").write_text("half")
        raise KeyboardInterrupt

    def whole(folder: Path) -> Path:
        source = folder.resolve() / "build/hardened/pcedge_top/pcedge_top.v"
        source.parent.mkdir(parents=True)
        source.write_text("module pcedge_top(); endmodule\n")
        return source

    monkeypatch.setattr(building, "hardened_top", interrupted)
    done = run(*command, "--out", out)
    assert done.exit_code != 0 and "hardening" in done.output and list(tmp_path.iterdir()) == [tmp_path / "m.onnx"]
    monkeypatch.setattr(building, "hardened_top", whole)
    for _ in range(2):  # the second one takes the place of the first
        said = as_json(*command, "--out", out)
        assert said["source"] == str(out / "build/hardened/pcedge_top/pcedge_top.v")
        assert Path(said["source"]).is_file() and level_of(read_manifest(out)) == "tmr"
        (out / "build/mine").write_text("stays")
    monkeypatch.setattr(building, "hardened_top", interrupted)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert run(*command[:-1], "parity", "--out", out).exit_code != 0
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert {path.name for path in tmp_path.iterdir()} == {"m.onnx", "p"}


@pytest.fixture(scope="module")
def engine() -> ReferenceEngine:
    """Give the reference of the small circuit."""
    return ReferenceEngine(small())


@pytest.fixture(scope="module", params=["parity", "tmr"])
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RtlProject]:
    """Give the small circuit's engine, hardened."""
    folder = tmp_path_factory.mktemp(request.param)
    yield RtlProject(write_rtl(small(), folder / "p", size=SIZE, harden=request.param))


@needs_verilator
@pytest.mark.nightly
def test_every_job_is_the_references(project: RtlProject, engine: ReferenceEngine) -> None:
    """Words and cycles are those of the engine without checks."""
    records = engine.sample(12, seed=3)
    hidden = np.where(np.random.default_rng(0).random(records.shape) < 0.3, -1, records)
    found = []
    plain = RtlProject(write_rtl(engine.program, project.folder.parent / "plain", size=SIZE))
    for each in (plain, project):
        with each.device((60, 1)) as device:
            assert_array_equal(device.likelihood(hidden), engine.likelihood(hidden))
            coded = encode_lanes(engine, records, SIZE.streams)
            assert device.encode_lanes(records, SIZE.streams) == coded
            assert_array_equal(device.decode_lanes(coded, len(records)), records)
            found.append((device.cycles, device.status))
    assert found[0] == found[1] and found[0][1] == 0
    (simulator,) = simulators(project.folder).values()
    assert ": equal;" in simulator.golden()
    assert verify(engine.circuit, records, ["rtl"], project=project.folder).mismatches == 0


@needs_verilator
@pytest.mark.nightly
def test_a_reloadable_engine(engine: ReferenceEngine, tmp_path: Path) -> None:
    """Memories that are loaded have parity of what the loader writes."""
    project = RtlProject(write_rtl(small(), tmp_path / "p", size=SIZE, reload=True, harden="parity"))
    records = engine.sample(6, seed=4)
    with project.device() as device:
        device.load(project.image())
        assert device.encode_lanes(records, SIZE.streams) == encode_lanes(engine, records, SIZE.streams)


@needs_verilator
@pytest.mark.nightly
@pytest.mark.parametrize("level", ["none", "parity", "tmr"])
def test_no_fault_is_silent_that_is_held(level: str, engine: ReferenceEngine, tmp_path: Path) -> None:
    """Without parity flips in memories are silent, and without votes those in registers."""
    project = UpsetProject(write_rtl(small(), tmp_path / "p", size=SIZE, harden=level))
    executable, faults = project.compile()
    tasks = tasks_of(engine, engine.sample(4, seed=5), SIZE.streams)
    campaign = project.run(tasks, (1000, 300), 1, executable, faults)
    registers, stored = campaign.count(False), campaign.count(True)
    assert (stored[Outcome.SILENT] > 0) == (level == "none"), stored
    assert (registers[Outcome.SILENT] > 0) == (level != "tmr"), registers
    assert level == "none" or stored[Outcome.DETECTED] > 20
    assert level != "tmr" or registers == {**registers, Outcome.MASKED: 1000}


@needs_verilator
@pytest.mark.nightly
def test_export_leaves_the_source_for_other_tools(tmp_path: Path) -> None:
    write_onnx(small(), tmp_path / "m.onnx")
    said = as_json("export", tmp_path / "m.onnx", "--target", "rtl", "--macs", 4, "--streams", 2, "--harden", "tmr",
                   "--out", tmp_path / "p")  # fmt: skip
    assert said["harden"] == "tmr"
    code = Path(said["source"]).read_text("utf-8")
    assert "module pcedge_top(" in code and "readmem" not in code and code.count("(* keep = ") > 1000
