"""The engine in SystemVerilog, in Verilator: every job is the reference's, whatever sizes, circuit and stalls."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import run
from helpers.nightly import cases
from helpers.rtl_jobs import all_jobs, drawn, scores, some_records, with_tails
from helpers.rtl_units import needs_verilator
from numpy.testing import assert_array_equal

from pcedge.data import load_data
from pcedge.drivers.contract import Job, Status
from pcedge.engines import ReferenceEngine
from pcedge.engines.lanes import encode_lanes
from pcedge.errors import DataError, MismatchError, StreamError, ToolError, UsageError
from pcedge.export import RtlSize, load_zoo, write_onnx, write_rtl
from pcedge.export.project.manifest import EVERY_JOB
from pcedge.simulate.projects import simulators
from pcedge.simulate.rtl import RtlProject
from pcedge.verify import verify

pytestmark = [pytest.mark.rtl, needs_verilator]


@pytest.fixture(scope="module", autouse=True)
def plain_compiler() -> Iterator[None]:
    """Take the compiler without the headers that tests of HLS compile ahead."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PCEDGE_CXX", raising=False)
        yield


@pytest.fixture(scope="class")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RtlProject, ReferenceEngine]]:
    """Compile the engine of the shipped digits as users have it: it is run for long."""
    circuit = load_zoo("digits")
    folder = write_rtl(circuit, tmp_path_factory.mktemp("rtl") / "digits", size=RtlSize(16, 8, 4, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pcedge.simulate.rtl.OPTIMISE", "-O1")
        project = RtlProject(folder)
        project.compile()
        yield project, ReferenceEngine(circuit)


class TestDigits:
    def test_every_job_is_the_references(self, digits: tuple[RtlProject, ReferenceEngine]) -> None:
        project, engine = digits
        test = load_data("digits").test
        assert test is not None
        records = test.reshape(len(test), -1).astype(np.int64)
        cycles = all_jobs(project, engine, records, None)
        assert cycles / records.size < 30

    def test_stalls_change_no_bit(self, digits: tuple[RtlProject, ReferenceEngine]) -> None:
        project, engine = digits
        all_jobs(project, engine, some_records(engine, 24), (100, 3))

    def test_golden_vectors(self, digits: tuple[RtlProject, ReferenceEngine]) -> None:
        project, _ = digits
        assert list(simulators(project.folder)) == ["rtl"]
        assert project.golden().startswith("16 records, 1024 symbols, ")
        place = project.folder / "golden/likelihood.i64"
        right = place.read_bytes()
        place.write_bytes(right[:16] + bytes([right[16] ^ 1]) + right[17:])
        with pytest.raises(MismatchError, match="rtl: likelihood of record 1 must be "):
            project.golden()
        place.write_bytes(right)

    def test_damage_is_said(self, digits: tuple[RtlProject, ReferenceEngine]) -> None:
        project, engine = digits
        records = some_records(engine, 16)
        coded = encode_lanes(engine, records, 8)
        with project.device() as device:
            for wrong in (coded[2] + b"\0", coded[2][:-1], b"\xff" * len(coded[2])):
                with pytest.raises(StreamError, match="lanes 0 to 7 must be what an encoder writes, one is not"):
                    device.decode_lanes([*coded[:2], wrong, *coded[3:]], len(records))
            # What was wrong is over with its job.
            assert_array_equal(device.decode_lanes(coded, len(records)), records)

    def test_broken_records_keep_their_places(self, digits: tuple[RtlProject, ReferenceEngine]) -> None:
        project, engine = digits
        records = some_records(engine, 8)
        packets = [[row.astype(np.uint32)] for row in records]
        packets[1] = [packets[1][0][:40]]
        packets[2] = [np.concatenate([packets[2][0], packets[2][0][:9]])]
        allowed = Status.BAD_FRAME
        with project.device() as device:
            replies = device.run(Job.LIKELIHOOD, [1] * 8, packets, [[2]] * 8, allowed=allowed)
            assert device.status == allowed
            assert_array_equal(device.likelihood(records), engine.likelihood(records))
            assert device.status == 0
            packets = [[row.astype(np.uint32)] for row in records]
            packets[3][0][5] = 17
            with pytest.raises(DataError, match="symbols must be within the alphabets of their variables"):
                device.run(Job.ENCODE, [1] * 8, packets, [[400]] * 8)
        records[1, 40:] = -1
        expected = np.stack(engine.likelihood(records), axis=1)
        assert_array_equal(np.array([reply[0] for reply in replies]), expected & (1 << 32) - 1)

    def test_refuses_to_score(self, digits: tuple[RtlProject, ReferenceEngine]) -> None:
        project, engine = digits
        built = "^the engine must be built for score, it is built for likelihood, encode, decode, sample$"
        with project.device() as device, pytest.raises(UsageError, match=built):
            device.score(some_records(engine, 8))

    def test_refuses_jobs_that_it_does_not_have(self, digits: tuple[RtlProject, ReferenceEngine]) -> None:
        project, _ = digits
        with (
            project.device() as device,
            pytest.raises(ToolError, match="the engine must end READ with status 0, it says <Status"),
        ):
            device.run(Job.READ, [], [], [])


class TestCircuits:
    @pytest.mark.parametrize(
        ("seed", "coder", "tails", "size"),
        cases(
            [(4, "wide", True, (8, 3, 4, 1))],
            [
                *((seed, "wide", True, (8, 3, 4, 1)) for seed in range(4, 7)),
                (4, "small", False, (1, 1, 1, 1)),
                (5, "small", True, (4, 5, 2, 2)),
                (1, "wide", False, (64, 2, 8, 4)),
                (2, "small", True, (32, 4, 32, 2)),
            ],
        ),
    )
    def test_steps_of_every_kind(
        self, tmp_path: Path, seed: int, coder: str, tails: bool, size: tuple[int, int, int, int]
    ) -> None:
        circuit = drawn(seed, coder, tails)
        project = RtlProject(write_rtl(circuit, tmp_path / "project", size=RtlSize(*size), jobs=EVERY_JOB))
        engine = ReferenceEngine(circuit)
        scores(project, engine, some_records(engine, 40))
        all_jobs(project, engine, some_records(engine, 40), None)
        all_jobs(project, engine, some_records(engine, 24), (90, 1))

    @pytest.mark.parametrize(
        "names",
        cases(
            ["encode,sample"],
            ["encode,sample", "encode", "encode,decode", "likelihood", "sample", "decode", "encode,decode,unpack"],
        ),
    )
    def test_builds_of_chosen_jobs(self, tmp_path: Path, names: str) -> None:
        """With one multiplier for all coding, and passes so short that they wait for it."""
        jobs = tuple(names.split(","))
        circuit = drawn(4, "wide", True)
        size = RtlSize(4, 2, 4, 2, shared_product=True)
        project = RtlProject(write_rtl(circuit, tmp_path / "project", size=size, jobs=jobs))
        assert project.manifest.built_jobs == jobs
        said = project.golden()
        assert said.startswith("16 records, ") and all(f"{job} " in said for job in jobs if job != "unpack")
        engine = ReferenceEngine(circuit)
        records = some_records(engine, 24)
        coded = encode_lanes(engine, records, 2)
        row = [records[0].astype(np.uint32)]
        for stalls in (None, (90, 1)):
            with project.device(stalls) as device:
                works = {
                    "likelihood": lambda: device.likelihood(records),
                    "encode": lambda: device.encode_lanes(records, 2),
                    "decode": lambda: device.decode_lanes(coded, len(records)),
                    "sample": lambda: device.decode_lanes(coded, len(records), job=Job.SAMPLE),
                }
                right = {"likelihood": engine.likelihood(records), "encode": coded}
                others = {
                    "score": lambda: device.score(records),
                    "pack": lambda: device.run(Job.PACK, [1], [[row[0][:1], *row]], []),
                    "unpack": lambda: device.run(Job.UNPACK, [0, 4], [[], row], []),
                }
                built = f"^the engine must be built for {{}}, it is built for {', '.join(jobs)}$"
                for job, work in (works | others).items():
                    if job in works and job in jobs:
                        np.testing.assert_equal(work(), right.get(job, records))
                    elif job not in jobs:
                        with pytest.raises(UsageError, match=built.format(job)):
                            work()
                # Where nobody knows what was built, the engine takes the packets of what it refuses.
                device.built_jobs = None
                others["load"] = lambda: device.run(Job.LOAD, [9, 9], [row], [])
                for job, work in (works | others).items():
                    if job not in jobs:
                        text = rf"^the engine must end {job.upper()} with status 0, it says <Status\.BAD_JOB: 16>$"
                        with pytest.raises(ToolError, match=text):
                            work()
                        assert device.cycles == 0
                        known = next(name for name in jobs if name in works)
                        np.testing.assert_equal(works[known](), right.get(known, records))


class TestCommands:
    def test_from_export_to_verify(self, tmp_path: Path) -> None:
        circuit = with_tails()
        model, folder = tmp_path / "m.onnx", tmp_path / "project"
        write_onnx(circuit, model)
        command = ("export", model, "--target", "rtl", "--macs", 4, "--streams", 2, "--out", folder)
        done = run(*command, "--jobs", "encode,guess")
        assert done.exit_code == 2
        assert (
            "jobs must be some of likelihood, encode, decode, sample, score, pack, unpack, got encode, guess"
            in " ".join(done.output.split())
        )
        done = run(*command)
        assert (done.exit_code, done.exception) == (0, None)
        assert "SystemVerilog for rtl; next: pcedge simulate" in done.output
        told = json.loads(run(*command, "--json").stdout)
        assert told["engine"] == "parallel" and set(told["jobs"]) == {"likelihood", "encode", "decode"}
        done = run("simulate", folder)
        assert (done.exit_code, done.exception) == (0, None)
        assert "equal; cycles a symbol: likelihood" in done.output
        cycles = json.loads(run("simulate", folder, "--json").stdout)["cycles_per_symbol"]
        assert set(cycles) > set(told["jobs"]) and min(cycles.values()) >= 1
        report = verify(circuit, some_records(ReferenceEngine(circuit), 120), ["rtl"], project=folder)
        assert report.mismatches == 0
        assert {comparison.rung for comparison in report.comparisons} == {"rtl"}

    def test_an_image_that_is_gone_is_said(self, tmp_path: Path) -> None:
        model, folder = tmp_path / "m.onnx", tmp_path / "project"
        write_onnx(drawn(4, "wide", True), model)
        done = run("export", model, "--target", "rtl", "--jobs", "likelihood, score", "--out", folder)
        assert (done.exit_code, done.exception) == (0, None)
        assert RtlProject(str(folder)).manifest.built_jobs == ("likelihood", "score")  # type: ignore[arg-type]
        (folder / "rtl/weights.hex").unlink()
        done = run("simulate", folder)
        assert done.exit_code == 1
        assert "rtl/weights.hex must be there: export the project again" in " ".join(done.output.split())

    def test_refuses_what_rtl_has_not(self, tmp_path: Path) -> None:
        model = tmp_path / "m.onnx"
        write_onnx(load_zoo("nltcs"), model)
        done = run("export", model, "--target", "ecp5-25k", "--search-bits", "2", "--out", tmp_path / "p")
        assert done.exit_code == 2
        assert "--search-bits must go with a target of HLS" in " ".join(done.output.split())
