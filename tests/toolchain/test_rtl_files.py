"""Projects of RTL whose files do not go together: it is said before a tool reads them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.commands import run
from strategies import make_circuit

from pcedge.errors import FormatError
from pcedge.export import RtlSize, write_rtl
from pcedge.export.onnx.writer import write_onnx
from pcedge.export.open_target import find_open_target
from pcedge.export.project.manifest import read_manifest
from pcedge.export.rtl.serial.project import write_serial
from pcedge.export.unrolled.rtl import write_unrolled_rtl
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.simulate.projects import check_golden
from pcedge.simulate.rtl import RtlProject
from pcedge.toolchain.building import build_project
from pcedge.toolchain.rtl_files import PARAMETERS, check_sizes, copy_images

CIRCUIT = quantize(make_circuit(3, 4, 2, 3, "hidden"), QuantizationConfig(6, 10, 12, "wide", tails=False))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_rtl(CIRCUIT, tmp_path / "p", size=RtlSize(8, 4, 2, 2, cores=2))


def change(folder: Path, **sizes: object) -> None:
    """Give a manifest other sizes."""
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | sizes))


class TestSizes:
    @pytest.mark.parametrize(
        ("sizes", "said"),
        [
            ({"streams": 2}, "streams must be that of rtl/params.svh, which has 4, got 2: export the project again"),
            ({"macs": 16}, "macs must be that of rtl/params.svh, which has 8, got 16"),
            ({"lanes": 4}, "lanes must be that of rtl/params.svh, which has 2, got 4"),
            ({"table_lanes": 1}, "table_lanes must be that of rtl/params.svh, which has 2, got 1"),
            ({"cores": 1}, "cores must be that of rtl/params.svh, which has 2, got 1"),
        ],
    )
    def test_another_one(self, sizes: dict[str, int], said: str, project: Path) -> None:
        change(project, **sizes)
        for work in (RtlProject(project).compile, lambda: build_project(project, find_open_target("ecp5-25k"))):
            with pytest.raises(FormatError, match=rf"manifest.json: {said}"):
                work()

    def test_of_the_serial_engine(self, tmp_path: Path) -> None:
        folder = write_serial(CIRCUIT, tmp_path / "s")
        check_sizes(folder, read_manifest(folder))
        change(folder, streams=2)
        with pytest.raises(FormatError, match=r"streams must be that of rtl/params\.svh, which has 1, got 2"):
            check_sizes(folder, read_manifest(folder))

    def test_sources_that_say_none(self, project: Path) -> None:
        (project / PARAMETERS).write_text("// nothing\n")
        with pytest.raises(FormatError, match=r"which must have ALL_STREAMS, got 4"):
            check_sizes(project, read_manifest(project))
        (project / PARAMETERS).unlink()
        with pytest.raises(FormatError, match=r"params\.svh must be there: export the project again"):
            check_sizes(project, read_manifest(project))


class TestImages:
    @pytest.mark.parametrize(
        ("damage", "line"),
        [(lambda data: b"q" + data[1:], 1), (lambda _: bytes(40), 1), (lambda data: data + b"-\n", 5)],
    )
    def test_damaged(self, damage: object, line: int, project: Path, tmp_path: Path) -> None:
        path = project / "rtl/variables.hex"
        assert len(path.read_bytes().splitlines()) == 4
        copy_images(project, read_manifest(project), tmp_path)
        assert (tmp_path / "variables.hex").read_bytes() == path.read_bytes()
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(FormatError, match=rf"variables\.hex must hold a word .* line {line} is none"):
            copy_images(project, read_manifest(project), tmp_path)
        path.unlink()
        with pytest.raises(FormatError, match=r"variables\.hex must be there"):
            copy_images(project, read_manifest(project), tmp_path)


def test_an_unrolled_kernel_of_another_circuit(tmp_path: Path) -> None:
    circuit = quantize(make_circuit(4, 7, 5, 9, "random", 0.3), QuantizationConfig(6, 10, 12, "wide", tails=True))
    assert circuit.likelihood_digest != circuit.digest
    folder = write_unrolled_rtl(circuit, tmp_path / "u")
    check_golden(folder)
    other = quantize(make_circuit(4, 4, 2, 3, "hidden"), QuantizationConfig(6, 10, 12, "wide"))
    write_onnx(other, folder / "model.onnx")
    done = run("simulate", folder)
    assert done.exit_code == 1
    assert f"must be the circuit {circuit.likelihood_digest.hex()} of the manifest" in " ".join(done.output.split())
