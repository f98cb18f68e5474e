"""Packets of equal size on the engine in SystemVerilog, in Verilator: the reference's bytes and symbols."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.nightly import cases
from helpers.rtl_units import needs_verilator
from numpy.testing import assert_array_equal
from strategies import make_circuit

from pcedge.arrays import IntArray
from pcedge.codec import packets as reference
from pcedge.codec.packets import PacketLayout
from pcedge.drivers.contract import MISSING_WORD, Job, Status
from pcedge.drivers.packets import decode_packets, encode_packets
from pcedge.engines import ReferenceEngine
from pcedge.engines.lanes import encode_lanes
from pcedge.errors import MismatchError, ToolError, UsageError
from pcedge.export import RtlSize, load_zoo, write_rtl
from pcedge.export.project.manifest import BUILT_JOBS, EVERY_JOB, PACKET_JOBS
from pcedge.export.rtl.costs import estimate_rtl
from pcedge.export.rtl.project import needed_sources
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.simulate.rtl import RtlProject
from pcedge.verify import verify

pytestmark = [pytest.mark.rtl, needs_verilator]

#: coder, and size of the engine
BUILDS = (("small", (4, 2, 2, 2)), ("wide", (4, 3, 4, 1, True)), ("wide", (8, 1, 4, 4, False)))


@pytest.fixture(scope="module", autouse=True)
def plain_compiler() -> Iterator[None]:
    """Take the compiler without the headers that tests of HLS compile ahead."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PCEDGE_CXX", raising=False)
        yield


@pytest.fixture(scope="module", params=cases([0], range(len(BUILDS))))
def built(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RtlProject, ReferenceEngine]:
    """Compile the engine of a drawn circuit with lists, gather lists and many alphabets, for all jobs."""
    coder, size = BUILDS[request.param]
    circuit = quantize(make_circuit(5, 7, 5, 9, "random", 0.3), QuantizationConfig(6, 10, 12, coder))
    folder = write_rtl(circuit, tmp_path_factory.mktemp("packets") / "project", size=RtlSize(*size), jobs=EVERY_JOB)
    return RtlProject(folder), ReferenceEngine(circuit)


def any_records(engine: ReferenceEngine, count: int) -> IntArray:
    """Draw records of any symbols, whose packets rule 1 may say."""
    return np.random.default_rng(3).integers(0, engine.circuit.cardinalities, (count, len(engine.circuit.order)))


@pytest.mark.parametrize(
    ("payload", "stalls"), cases([(None, (90, 3))], [(None, (90, 3)), (None, None), (19, (90, 3)), (60, None)])
)
def test_packets_are_the_references(
    payload: int | None, stalls: tuple[int, int] | None, built: tuple[RtlProject, ReferenceEngine]
) -> None:
    """From the smallest payload on; one of them lost; each alone."""
    project, engine = built
    records = engine.sample(30, seed=1) if payload else any_records(engine, 20)
    least = engine.circuit.scale_bits // 8 + 1
    place = PacketLayout.for_symbols(100, records.size, 16).place_bytes
    layout = PacketLayout((payload or least) + place + 2, place, 16)
    expected = reference.encode_packets(engine, records, layout)
    assert payload or {packet[0] & 1 for packet in expected} == {0, 1}  # both rules
    with project.device(stalls) as device:
        assert encode_packets(device, engine, records, layout) == expected
        for some in (expected, [*expected[:1], *expected[2:]], expected[-1:]):
            found = decode_packets(device, engine, some, layout, len(records))
            assert_array_equal(found.records, reference.decode_packets(engine, some, layout, len(records)).records)
        assert device.encode_lanes(records, 2) == encode_lanes(engine, records, 2)


def test_any_bytes_say_the_same_symbols(built: tuple[RtlProject, ReferenceEngine]) -> None:
    """Packets that no encoder wrote, of either rule, whatever their place."""
    project, engine = built
    dice = np.random.default_rng(11)
    layout = PacketLayout.of(engine, 24, 20, 0)
    numbers = dice.integers(0, 256, (6, layout.payload), dtype=np.uint8)
    places = dice.integers(0, 2 * 20 * len(engine.circuit.order), len(numbers)).tolist()
    with project.device() as device:
        for place, payload in zip(places, numbers, strict=True):
            packet = place.to_bytes(layout.place_bytes, "little") + payload.tobytes()
            known = reference.decode_packets(engine, [packet], layout, 20).records
            assert_array_equal(decode_packets(device, engine, [packet], layout, 20).records, known)


def test_packets_that_are_framed_wrongly(built: tuple[RtlProject, ReferenceEngine]) -> None:
    """What stands behind the word before a packet of records is dropped, and the status says so."""
    project, engine = built
    records = engine.sample(2, seed=3).astype(np.uint32)
    head = np.array([12], dtype=np.uint32)
    with project.device() as device:
        right = device.run(Job.PACK, [2], [[head, *records]], [[13]])
        assert device.status == 0
        packets = [[np.concatenate([head, records[0]]), *records]]
        wrong = device.run(Job.PACK, [2], packets, [[13]], allowed=Status.BAD_FRAME)
        assert device.status == Status.BAD_FRAME
        assert_array_equal(wrong[0][0], right[0][0])
        # a payload without bytes holds nothing
        empty = device.run(Job.UNPACK, [2], [[np.array([1], dtype=np.uint32)]], [[2 * records.shape[1]]])
        assert device.status == 0
        assert_array_equal(empty[0][0], np.full(records.shape[1], MISSING_WORD, dtype=np.uint32))


def test_a_build_without_the_jobs(tmp_path: Path) -> None:
    """They are built where they are named, each beside the job that it is like."""
    circuit = quantize(make_circuit(3, 4, 2, 3, "hidden"), QuantizationConfig(6, 10, 12))
    for jobs, beside in ((("likelihood", "pack"), "encode"), (("encode", "unpack"), "decode")):
        with pytest.raises(UsageError, match=f"{jobs[1]} must go with {beside}, got"):
            write_rtl(circuit, tmp_path / "none", jobs=jobs)
    costs = [estimate_rtl(circuit, RtlSize(4, 1, 2, 2), jobs=jobs).multipliers for jobs in (BUILT_JOBS, EVERY_JOB)]
    assert costs[1] == {**costs[0], "packets": 4}
    assert not {"pc_packets.sv", "pc_packers.sv"} & needed_sources("pc_axi", BUILT_JOBS).keys()
    assert {"pc_packets.sv", "pc_packers.sv"} <= needed_sources("pc_axi", EVERY_JOB).keys()


def test_golden_packets(built: tuple[RtlProject, ReferenceEngine]) -> None:
    project, _ = built
    assert " packets: equal" in project.golden()
    place = project.folder / "golden/packets.bin"
    right = place.read_bytes()
    place.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    with pytest.raises(MismatchError, match="packets must be those that the reference wrote"):
        project.golden()
    place.write_bytes(right)


#: source, code there, other code
BROKEN = (
    ("pc_packers.sv", "if (first >= last)", "if (first > last)"),
    ("pc_packers.sv", "now.safe <= now.count", "now.safe <= '0"),
    ("pc_packers.sv", "now.upper_says <= now.count", "now.upper_says <= now.upper_says"),
    ("pc_decoders.sv", "after < {1'b0, range_1}", "1'b1"),
    ("pc_packets.sv", "count[32*s+:32] - 1'b1", "count[32*s+:32]"),
)


@pytest.mark.nightly
@pytest.mark.parametrize(("source", "rule", "broken"), BROKEN)
def test_a_broken_source_is_found(
    source: str, rule: str, broken: str, built: tuple[RtlProject, ReferenceEngine], tmp_path: Path
) -> None:
    project, engine = built
    folder = shutil.copytree(project.folder, tmp_path / "project", ignore=shutil.ignore_patterns("build"))
    path = folder / "rtl" / source
    code = path.read_text()
    assert code.count(rule) == 1
    path.write_text(code.replace(rule, broken))
    records = any_records(engine, 40)
    least = engine.circuit.scale_bits // 8 + 1
    with RtlProject(folder).device() as device, pytest.raises((AssertionError, ToolError)):
        for payload in (least, least + 1, 12):
            layout = PacketLayout(payload + 2, 2, 0)
            expected = reference.encode_packets(engine, records, layout)
            assert encode_packets(device, engine, records, layout) == expected
            known = reference.decode_packets(engine, expected[1:2], layout, len(records)).records
            assert_array_equal(decode_packets(device, engine, expected[1:2], layout, len(records)).records, known)


@pytest.mark.nightly
def test_jobs_that_are_not_built_are_refused(tmp_path: Path) -> None:
    circuit = quantize(make_circuit(3, 4, 2, 3, "hidden"), QuantizationConfig(6, 10, 12))
    project = RtlProject(write_rtl(circuit, tmp_path / "project", size=RtlSize(4, 1, 2, 2)))
    with project.device() as device:
        device.built_jobs = None  # else the driver refuses them
        for job in (Job.PACK, Job.UNPACK):
            with pytest.raises(ToolError, match=f"end {job.name} with status 0, it says <Status.BAD_JOB"):
                device.run(job, [], [], [])


@pytest.mark.nightly
def test_digits_and_the_rung(tmp_path: Path) -> None:
    circuit = load_zoo("digits")
    records = ReferenceEngine(circuit).sample(16, seed=1)
    jobs = (*BUILT_JOBS, *PACKET_JOBS)
    folder = write_rtl(circuit, tmp_path / "project", size=RtlSize(16, 8, 4, 2), jobs=jobs)
    report = verify(circuit, records, ("rtl",), project=folder)
    assert report.mismatches == 0
    assert {"packets = reference bytes", "symbols of each packet alone"} <= {c.output for c in report.comparisons}
