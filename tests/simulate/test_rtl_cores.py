"""Engines of several cores: every job is the reference's, whatever the share of a core, and cycles are the model's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import as_json, run
from helpers.nightly import cases
from helpers.open_tools import needs
from helpers.rtl_jobs import all_jobs, demand_equal, drawn, scores, some_records
from helpers.rtl_units import needs_verilator
from numpy.testing import assert_array_equal

from pcedge.engines import ReferenceEngine
from pcedge.engines.lanes import encode_lanes
from pcedge.errors import FormatError, StreamError, UsageError
from pcedge.export import RtlSize, write_onnx, write_rtl
from pcedge.export.project.manifest import EVERY_JOB, MANIFEST, read_manifest
from pcedge.export.rtl.fitting import lower_for
from pcedge.export.rtl.lowering import RtlImage
from pcedge.export.rtl.size import size_for
from pcedge.simulate.rtl import RtlProject

pytestmark = pytest.mark.rtl

SHARED = "cores must be a whole number that macs and streams are multiples of"

#: two cores share one image, the third has one of its own
THREE = RtlSize(12, 6, 2, 2, cores=3)


def damage_is_said(project: RtlProject, engine: ReferenceEngine, records: np.ndarray) -> None:
    """Demand that one wrong lane of any core is said, and that the next job is right."""
    coded = encode_lanes(engine, records, THREE.streams)
    with project.device() as device:
        for lane in range(THREE.streams):
            damaged = [*coded[:lane], coded[lane] + b"\0", *coded[lane + 1 :]]
            with pytest.raises(StreamError, match="lanes 0 to 5 must be what an encoder writes, one is not"):
                device.decode_lanes(damaged, len(records))
            assert_array_equal(device.decode_lanes(coded, len(records)), records)


@needs_verilator
class TestJobs:
    def test_every_job_is_the_references(self, tmp_path: Path) -> None:
        circuit = drawn(4, "wide", True)
        project = RtlProject(write_rtl(circuit, tmp_path / "project", size=THREE, jobs=EVERY_JOB))
        engine = ReferenceEngine(circuit)
        assert project.golden().startswith("16 records, ")
        scores(project, engine, some_records(engine, 40))
        all_jobs(project, engine, some_records(engine, 40), None)
        all_jobs(project, engine, some_records(engine, 24), (90, 1))
        # cores without work, and one with less than the others
        for count in (1, 3):
            all_jobs(project, engine, some_records(engine, count), None)
        damage_is_said(project, engine, some_records(engine, 12))

    @pytest.mark.parametrize("to_a_power", [False, True])
    def test_tiles_in_logic_are_those_of_block_ram(
        self, to_a_power: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of the memory that two cores read, and of the third's own; the end of the tiles is read in every record.

        Where the words before them are a power of two, these have one bit less of address.
        """

        def beside(*given: object, **named: object) -> RtlImage:
            image = lower_for(*given, **named)
            tiles = len(image.tiles)
            words = tiles % 16 if not to_a_power else tiles - (1 << (tiles.bit_length() - 1))
            assert words
            return replace(image, tiles_beside=words)

        monkeypatch.setattr("pcedge.export.rtl.project.lower_for", beside)
        circuit, jobs = drawn(4, "wide", True), ("likelihood", "encode")
        project = RtlProject(write_rtl(circuit, tmp_path / "project", size=THREE, jobs=jobs))
        assert (project.folder / "rtl/weights_beside.hex").is_file()
        engine = ReferenceEngine(circuit)
        records = some_records(engine, 24)
        # stalls, so that no two cores are at the same tile all the time
        with project.device((120, 2)) as device:
            assert_array_equal(device.likelihood(records), engine.likelihood(records))
            assert device.encode_lanes(records, THREE.streams) == encode_lanes(engine, records, THREE.streams)

    @pytest.mark.parametrize(
        ("seed", "coder", "size"),
        cases(
            [(4, "wide", RtlSize(16, 6, 4, 1, cores=2))],
            [
                (4, "wide", RtlSize(16, 6, 4, 1, cores=2)),
                (5, "small", RtlSize(12, 15, 2, 2, cores=3)),
                (2, "small", RtlSize(4, 4, 1, 1, cores=4)),
                (4, "wide", RtlSize(16, 6, 4, 2, shared_product=True, cores=2)),
            ],
        ),
    )
    def test_cycles_are_the_models(self, seed: int, coder: str, size: RtlSize, tmp_path: Path) -> None:
        demand_equal(drawn(seed, coder, True), size, tmp_path / "project", (1, 5, 23))


class TestSize:
    @pytest.mark.parametrize(
        ("values", "text"),
        [
            ((16, 6, 2, 2, None, 4), "streams must be a multiple of the 4 cores, got 6"),
            ((16, 6, 2, 2, None, 3), "macs must be a multiple of the 3 cores, got 16"),
            ((18, 6, 2, 2, None, 3), "macs must be a power of two in 1..4096 for each of 3 cores, got 6"),
            ((16, 6, 16, 2, None, 2), "lanes must be a power of two in 4..8 for each of 2 cores, got 16"),
            ((16, 6, 2, 2, None, 2), "lanes must be a power of two in 4..8 for each of 2 cores, got 2"),
            ((16, 6, 2, 2, None, 0), "cores must be in 1..64, got 0"),
            ((16, 6, 2, 2, None, True), "cores must be a whole number, got True"),
            ((16.0, 6, 2, 2, None, 1), "macs must be a whole number, got 16.0"),
            ((16, 6, 2, 2, "no", 1), "shared_product must be True, False or None, got 'no'"),
        ],
    )
    def test_refuses(self, values: tuple[int, int, int, int, None, int], text: str) -> None:
        with pytest.raises(UsageError, match=text):
            RtlSize(*values)

    def test_no_core(self) -> None:
        with pytest.raises(UsageError, match=r"^cores must be in 1\.\.64, got 0$"):
            size_for(cores=0)

    @pytest.mark.parametrize(
        ("given", "chosen"),
        [
            ({}, (16, 4, 4, 2, 1)), ({"cores": 3}, (48, 12, 4, 2, 3)), ({"cores": 2, "macs": 16}, (16, 2, 4, 2, 2)),
            ({"cores": 2, "streams": 4}, (2, 4, 1, 1, 2)), ({"macs": 8}, (8, 1, 4, 2, 1)),
        ],
    )  # fmt: skip
    def test_what_is_not_given(self, given: dict[str, int], chosen: tuple[int, ...]) -> None:
        size = size_for(**given)
        assert (size.macs, size.streams, size.lanes, size.table_lanes, size.cores) == chosen

    def test_a_core_has_its_share(self) -> None:
        assert THREE.core == RtlSize(4, 2, 2, 2) and THREE.tile_rows == THREE.core.tile_rows == 2

    def test_a_reloadable_engine_has_one(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="a reloadable engine must have one core, got 3"):
            write_rtl(drawn(4, "wide", True), tmp_path / "project", size=THREE, reload=True)


class TestCommands:
    def test_a_project_is_the_one_that_was_estimated(self, tmp_path: Path) -> None:
        model = tmp_path / "m.onnx"
        write_onnx(drawn(4, "wide", True), model)
        words = ("--target", "rtl", "--macs", 24, "--streams", 6, "--cores", 3)
        told = as_json("estimate", model, *words)
        done = as_json("export", model, *words, "--out", tmp_path / "p")
        sizes = {"macs": 24, "streams": 6, "cores": 3, "lanes": 4, "table_lanes": 2}
        assert sizes.items() <= told.items() and sizes.items() <= done.items()
        table = read_manifest(tmp_path / "p").table
        assert sizes.items() <= table.items()
        assert {job: entry["cycles_per_symbol"] for job, entry in told["jobs"].items()}.items() <= {
            job: entry["cycles_per_symbol"] for job, entry in table["jobs"].items()
        }.items()
        assert told["memory_map"]["weights"]["reads"] == 3 and told["memory_map"]["rows"]["copies"] == 3
        assert told["multipliers"]["mix"] == 24 and told["multipliers"]["vector"] == 12
        shown = run("estimate", model, *words).output
        assert "24 macs, 6 streams, 4 lanes, 2 table lanes; 3 cores share macs and streams out" in shown

    def test_refusals(self, tmp_path: Path) -> None:
        model = tmp_path / "m.onnx"
        write_onnx(drawn(4, "wide", True), model)
        for words, text in (
            (
                ("--target", "rtl", "--macs", 8, "--streams", 3, "--cores", 2),
                "streams must be a multiple of the 2 cores",
            ),
            (("--target", "zcu104", "--cores", 2), "--cores must go with a target of RTL, zcu104 is of HLS"),
            (("--target", "rtl", "--engine", "serial", "--cores", 2), "--cores must go with --engine parallel"),
            (
                ("--target", "rtl", "--cores", 2, "--memories", "reload"),
                "a reloadable engine must have one core, got 2",
            ),
        ):
            done = run("export", model, *words, "--out", tmp_path / "p")
            assert done.exit_code == 2 and text in " ".join(done.output.split())
            assert not (tmp_path / "p").exists()

    @needs_verilator
    @needs("yosys")
    @pytest.mark.nightly
    def test_a_hardened_engine_has_one_guard(self, tmp_path: Path) -> None:
        circuit = drawn(4, "wide", True)
        size = RtlSize(8, 4, 2, 2, cores=2)
        project = RtlProject(write_rtl(circuit, tmp_path / "p", size=size, harden="parity"))
        engine = ReferenceEngine(circuit)
        all_jobs(project, engine, some_records(engine, 9), None)

    def test_a_manifest_whose_cores_do_not_share(self, tmp_path: Path) -> None:
        folder = write_rtl(drawn(4, "wide", True), tmp_path / "p", size=THREE)
        text = (folder / MANIFEST).read_text()
        for was, wrong, said in (
            (
                '"streams": 6',
                '"streams": 5',
                f"{SHARED}, got 3",
            ),
            ('"streams": 6,', "", "streams must be a whole number in 1"),
            ('"lanes": 2', '"lanes": "x"', "lanes must be a whole number in 1"),
            ('"lanes": 2', '"lanes": 8', "lanes must be at most 4, got 8"),
            ('"macs": 12', '"macs": 9', "macs must be a power of two in 1..4096, got 3, of each of 3 cores"),
            ('"version": 1', '"version": 2', "its version must be at most 1, which this pcedge reads, got 2"),
        ):
            assert was in text
            (folder / MANIFEST).write_text(text.replace(was, wrong, 1))
            with pytest.raises(FormatError, match=said):
                read_manifest(folder)
        for wrong in ("5", "0", '"2"'):
            (folder / MANIFEST).write_text(text.replace('"cores": 3', f'"cores": {wrong}'))
            with pytest.raises(FormatError, match=SHARED):
                read_manifest(folder)
