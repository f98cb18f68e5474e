"""The engine's contract is written once: its copies are what is made of it, and the engine's source has the offsets."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from helpers.paths import ROOT
from strategies import make_circuit

from pcedge.drivers.contract import IMAGE_NAMES, INFO_NAMES, INFO_WORDS, JOBS, REGISTERS, STATUS_BITS, Job, Status
from pcedge.drivers.size import EngineSize
from pcedge.errors import ToolError
from pcedge.export import write_project, write_unrolled
from pcedge.export.engine.contract import COPIES, systemrdl
from pcedge.quantize import quantize
from pcedge.toolchain import tools


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


#: an exact integer has places too, its bits
PLAIN = "-DPCEDGE_PLAIN_INTEGERS"

#: what a pragma of HLS names, and of a partition or a new shape the dimension
NAMED = re.compile(r"^#pragma HLS (\w+) .*?\b(?:variable|port) = (?!return\b)([\w.]+)(?:.*\bdim = (\d))?.*$", re.M)


def use(pragma: re.Match[str]) -> str:
    """Write a statement that needs the name where the pragma stands, and as many dimensions."""
    kind, name, dimension = pragma.groups()
    places = "[0]" * max(1, int(dimension or 1)) if kind in ("ARRAY_PARTITION", "ARRAY_RESHAPE") else ""
    return f"static_cast<void>({name}{places});"


def names_resolve(project: Path, folder: Path) -> int:
    """Compile a project whose pragmas are statements that use what they name; give how many there were."""
    checked = 0
    for path in (path for path in project.rglob("*") if path.suffix in (".hpp", ".cpp", ".inc")):
        place = folder / path.relative_to(project)
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".hpp", ".cpp"):
            text, count = NAMED.subn(use, path.read_text(encoding="utf-8"))
            place.write_text(text, encoding="utf-8")
            checked += count
        else:
            shutil.copy(path, place)
    for source in sorted(path.name for path in folder.glob("src/*.cpp")):
        command = [*tools.compiler(), *tools.CXX_FLAGS, "-fsyntax-only", PLAIN, "-Isrc", "-Iinclude"]
        tools.run(
            [*command, "-isystem", str(tools.ap_types()), f"src/{source}"], folder, f"resolving names of {source}"
        )
    return checked


@pytest.mark.csim
@pytest.mark.parametrize(("kind", "least"), [("baked", 40), ("reload", 45), ("unrolled", 2)])
def test_every_variable_of_a_pragma_exists(kind: str, least: int, projects: Path, tmp_path: Path) -> None:
    """C simulation ignores pragmas: a renamed member would keep its name there and lose its partition."""
    assert names_resolve(projects / kind, tmp_path) > least


@pytest.mark.csim
@pytest.mark.parametrize(
    ("file", "line", "wrong"),
    [
        # These names are there, but not of this.
        ("src/pcedge_engine.cpp", "engine.mix_writer.lanes complete", "engine.mix.lanes complete"),
        ("src/pcedge_engine.cpp", "engine.rows complete dim = 0", "engine.mix complete dim = 0"),
        ("src/pcedge_engine.cpp", "engine.state complete dim = 3", "engine.state complete dim = 4"),
        ("include/pcedge/parallel/scheduler.hpp", "k.state inter", "k.rows.state inter"),
    ],
)
def test_a_wrong_variable_of_a_pragma_is_found(
    file: str, line: str, wrong: str, projects: Path, tmp_path: Path
) -> None:
    project = shutil.copytree(projects / "baked", tmp_path / "project")
    for source in ("pcedge_top.cpp", "pcedge_memories.cpp"):
        (project / "src" / source).unlink()
    text = (project / file).read_text(encoding="utf-8")
    assert text.count(line) == 1
    (project / file).write_text(text.replace(line, wrong), encoding="utf-8")
    with pytest.raises(ToolError, match=r"resolving names of pcedge_engine\.cpp"):
        names_resolve(project, tmp_path / "resolved")
