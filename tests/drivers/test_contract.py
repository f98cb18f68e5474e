"""The engine's contract is written once: its copies are what is made of it, and the engine's source has the offsets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers.paths import ROOT
from strategies import make_circuit

from pcedge.drivers.contract import IMAGE_NAMES, INFO_NAMES, INFO_WORDS, JOBS, REGISTERS, STATUS_BITS, Job, Status
from pcedge.drivers.size import EngineSize
from pcedge.export import write_project, write_unrolled
from pcedge.export.engine.contract import COPIES, systemrdl
from pcedge.quantize import quantize


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_what_is_made(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == COPIES[name](), (
        f"{name} differs: run python -m pcedge.export.engine.contract"
    )


def test_the_table_is_whole() -> None:
    assert list(JOBS) == list(Job) and list(STATUS_BITS) == list(Status)
    assert len(INFO_NAMES) <= INFO_WORDS - 8 and len(IMAGE_NAMES) == 17
    ends = [register.offset + 4 * register.words for register in REGISTERS]
    assert all(end <= after.offset for end, after in zip(ends, REGISTERS[1:], strict=False))


def test_the_source_has_the_offsets() -> None:
    text = (ROOT / "hls/tops/pcedge_engine.cpp").read_text(encoding="utf-8")
    found = {name: int(offset, 16) for name, offset in re.findall(r"port = (\w+) offset = (0x[0-9a-f]+)", text)}
    # The vendor's tool places control.
    assert found == {register.name: register.offset for register in REGISTERS if register.name != "control"}


def test_no_other_place_defines_them() -> None:
    for path in (ROOT / "hls/include/pcedge").rglob("*.hpp"):
        text = path.read_text(encoding="utf-8")
        if path.name != "registers.hpp":
            assert not re.search(r"_LATENCY = |INFO_WORDS = |0x31454350|enum (job|status)_t", text), path.name


def test_systemrdl_is_valid(tmp_path: Path) -> None:
    systemrdl_compiler = pytest.importorskip("systemrdl", reason="systemrdl-compiler is not installed")
    (tmp_path / "engine.rdl").write_text(systemrdl())
    compiler = systemrdl_compiler.RDLCompiler()
    compiler.compile_file(str(tmp_path / "engine.rdl"))
    found = {node.inst_name: node.raw_address_offset for node in compiler.elaborate().top.children()}
    assert found == {register.name: register.offset for register in REGISTERS}


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a project of every kind: its memories and bodies have pragmas of their own."""
    folder, circuit = tmp_path_factory.mktemp("projects"), quantize(make_circuit(7, 6, 3, 4, "hidden"))
    write_project(circuit, folder / "baked", shape=EngineSize(4, 2))
    write_project(circuit, folder / "reload", shape=EngineSize(4, 2), reload=True)
    write_unrolled(circuit, folder / "unrolled")
    return folder


def test_every_variable_of_a_pragma_exists(projects: Path) -> None:
    """C simulation ignores pragmas: a renamed member would keep its name there and lose its partition."""
    sources = [path for folder in (ROOT / "hls", projects) for path in folder.rglob("*.[hc]pp")]
    texts = {path: path.read_text(encoding="utf-8") for path in sources}
    code = {path: re.sub(r"^\s*#pragma.*$|//.*$", "", text, flags=re.M) for path, text in texts.items()}
    everything = "\n".join(code.values())
    checked = 0
    for path, text in texts.items():
        for name in re.findall(r"#pragma HLS .*?\b(?:variable|port) = ([\w.]+)", text):
            first, *members = name.split(".")
            if first != "return":
                assert re.search(rf"\b{first}\b", code[path]), f"{path.name}: {name}"
            for member in members:
                assert re.search(rf"[\w>\],] \*?{member}(\[|;|,)", everything), f"{path.name}: {name}"
            checked += 1
    assert checked > 60
