"""The vendor's flow without the vendor: targets, scripts, `build` with a stand-in for the tools, reports."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from helpers.commands import as_json, run
from helpers.paths import DATA
from strategies import make_circuit

from pcedge.errors import FormatError, MissingToolError, ToolError, UsageError
from pcedge.export import find_target, targets, write_project
from pcedge.export.target import FAMILIES, Resources, read_target
from pcedge.export.unrolled.project import write_unrolled
from pcedge.export.vitis.files import ENGINE_TOPS, KERNEL_TOPS, STEPS, with_needed
from pcedge.quantize import quantize
from pcedge.simulate.csim import Csim
from pcedge.toolchain import tools, vitis
from pcedge.toolchain.reports import parse_synthesis, parse_timing, parse_utilization, read_report

VENDOR = DATA / "vendor"
PARTS = {
    "vitis-hls": "xczu7ev-ffvc1156-2-e", "zcu104": "xczu7ev-ffvc1156-2-e", "kv260": "xck26-sfvc784-2LV-c",
    "pynq-z2": "xc7z020clg400-1", "arty-a7": "xc7a35ticsg324-1L", "alveo-u50": "xcu50-fsvh2104-2-e",
}  # fmt: skip

#: stands for all three tools: notes how it was called, and leaves the reports that the real one would
TOOL = """#!/bin/sh
name=$(basename "$0")
echo "$name $*|$(basename "$PWD")|$PCEDGE_STEPS|$PCEDGE_TOPS" >> "$FAKE_CALLS"
echo "$name says hello"
[ -z "$FAKE_FAIL" ] || { echo "ERROR: no licence"; exit "$FAKE_FAIL"; }
[ -z "$FAKE_SILENT" ] || exit 0
case "$name" in
  v++) mkdir -p work/hls/syn/report
       sed "s/pc_encode/$(basename "$PWD")/" "$FAKE_DATA/csynth.xml" > work/hls/syn/report/csynth.xml ;;
  vitis_hls) for top in $PCEDGE_TOPS; do
         mkdir -p "build_$top/solution/syn/report"
         sed "s/pc_encode/$top/" "$FAKE_DATA/csynth.xml" > "build_$top/solution/syn/report/${top}_csynth.xml"
       done ;;
esac
case "$*" in *--impl*)
  mkdir -p work/hls/impl/verilog/report
  for kind in utilization timing; do
    cp "$FAKE_DATA/$kind.rpt" "work/hls/impl/verilog/report/$(basename "$PWD")_${kind}_routed.rpt"
  done
esac
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(
        quantize(make_circuit(7, 6, 3, 4, "hidden")), tmp_path_factory.mktemp("vendor") / "project", target="kv260"
    )


@pytest.fixture
def project(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "project"))


@pytest.fixture(autouse=True)
def no_vendor(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PCEDGE_VITIS", "XILINX_VITIS", "XILINX_HLS", "PCEDGE_STEPS", "PCEDGE_TOPS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, *names: str) -> Path:
    """Put stand-ins into a folder; give the file that notes their calls."""
    (folder / "bin").mkdir(parents=True)
    for name in names:
        (folder / "bin" / name).write_text(TOOL)
        (folder / "bin" / name).chmod(0o755)
    monkeypatch.setenv("FAKE_CALLS", str(folder / "calls"))
    monkeypatch.setenv("FAKE_DATA", str(VENDOR))
    return folder / "calls"


def on_path(monkeypatch: pytest.MonkeyPatch, folder: Path, *names: str) -> Path:
    calls = install(monkeypatch, folder, *names)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}/usr/bin:/bin")
    return calls


# Targets


def test_shipped_targets_name_their_part_and_all_they_hold() -> None:
    assert {name: target.part for name, target in targets().items()} == PARTS
    assert next(iter(targets())) == "vitis-hls"
    for target in targets().values():
        assert target.family in FAMILIES and target.resources is not None
        assert (target.resources.uram > 0) == (target.family == "ultrascale-plus")
        assert target.resources.ff == 2 * target.resources.lut  # both families have two flip-flops for a LUT
    assert targets()["arty-a7"].resources == Resources(20800, 41600, 90, 50, 0)
    assert targets()["pynq-z2"].resources == Resources(53200, 106400, 220, 140, 0)
    assert targets()["kv260"].resources == Resources(117120, 234240, 1248, 144, 64)
    assert targets()["zcu104"].resources == Resources(230400, 460800, 1728, 312, 96)
    assert targets()["alveo-u50"].resources == Resources(871680, 1743360, 5952, 1344, 640)
    assert targets()["arty-a7"].resources.bram18 == 100
    assert targets()["arty-a7"].resources.memory_bits == 50 * 36864
    for entry in files("pcedge.export").joinpath("targets").iterdir():
        assert tomllib.loads(entry.read_text(encoding="utf-8"))["name"] == entry.name.removesuffix(".toml")


def test_a_target_with_the_first_four_fields(tmp_path: Path) -> None:
    path = tmp_path / "board.toml"
    path.write_text('name = "board"\nflow = "vitis-hls"\npart = "xc7a35ticsg324-1L"\nclock_ns = 10\n')
    target = find_target(str(path))
    assert (target.part, target.clock_ns, target.family, target.resources) == ("xc7a35ticsg324-1L", 10, None, None)
    assert set(target.as_dict()) == {"name", "flow", "part", "clock_ns"}


COUNTS = "[resources]\nlut = 1\nff = 2\ndsp = 3\nbram36 = 4\n"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ('part = "x} ; exec rm"', "part must be letters, digits, dots and dashes, got 'x} ; exec rm'"),
        ('part = "x\\nclock=1ns"', "part must be letters, digits, dots and dashes"),
        ("part = 3", "flow must be vitis-hls, part a text and clock_ns a number"),
        ('flow = "vivado"', "flow must be vitis-hls, part a text and clock_ns a number"),
        ("clock_ns = true", "flow must be vitis-hls, part a text and clock_ns a number"),
        ("clock_ns = 0", "clock_ns must be in 0.001 to 1000000 nanoseconds, got 0"),
        ("clock_ns = nan", "clock_ns must be in 0.001 to 1000000 nanoseconds, got nan"),
        ("clock_ns = inf", "clock_ns must be in 0.001 to 1000000 nanoseconds, got inf"),
        ('name = ""', "name must be a text of one line, got ''"),
        ("family = 'gowin'", "family must be one of 7-series, ultrascale-plus, got 'gowin'"),
        ("family = []", r"family must be one of 7-series, ultrascale-plus, got \[\]"),
        ("resources = 3", r"must be a TOML file with name, flow, part and clock_ns \(resources must be a table\)"),
        (COUNTS, "must be a TOML file with name, flow, part and clock_ns .*uram"),
        (COUNTS + "uram = -1", "uram of resources must be a whole number in 0..1000000000, got -1"),
        (COUNTS + "uram = 1.0", "uram of resources must be a whole number in 0..1000000000, got 1.0"),
        ("speed = 3", r"must be a TOML file .* clock_ns \(it must hold nothing else, got speed\)"),
    ],
)
def test_a_target_file_that_says_something_else(change: str, text: str) -> None:
    lines = {"name": 'name = "b"', "flow": 'flow = "vitis-hls"', "part": 'part = "x-1"', "clock_ns": "clock_ns = 5.0"}
    lines[change.split(" ")[0]] = change
    with pytest.raises(UsageError, match=f"b.toml:? {text}"):
        read_target("\n".join(lines.values()), "b.toml")


def test_a_target_file_that_says_too_little() -> None:
    with pytest.raises(UsageError, match=r"^b.toml must be a TOML file with .* \(it lacks part, clock_ns\)$"):
        read_target('name = "b"\nflow = "vitis-hls"', "b.toml")


# What a project holds for the tools

#: a reset keeps loaded memories, and pipelines stall but where the source says otherwise
RESET = ("syn.rtl.reset=control", "syn.compile.pipeline_style=stp")

#: loops, by their file, that take from one stream and give to another: what they hold goes out though nothing comes in
FLUSHING = {"include/pcedge/parallel/service.hpp": 2, "src/pcedge_unrolled.cpp": 1}


def test_pipelines_between_streams_flush(exported: Path, tmp_path: Path) -> None:
    unrolled = write_unrolled(quantize(make_circuit(5, 6, 3, 4, "hidden")), tmp_path / "project", adders="plain")
    found: dict[str, int] = {}
    for project in (exported, unrolled):
        for path in [*project.rglob("*.hpp"), *project.rglob("*.cpp")]:
            styles = re.findall(r"^#pragma HLS PIPELINE .*style = (\w+)$", path.read_text(), re.M)
            assert set(styles) <= {"flp"}
            if styles:
                found[path.relative_to(project).as_posix()] = len(styles)
    assert found == FLUSHING


def test_each_top_has_a_component(exported: Path) -> None:
    manifest = json.loads((exported / "manifest.json").read_text())
    assert manifest["target"]["resources"]["bram36"] == 144 and manifest["tops"] == [*KERNEL_TOPS, *ENGINE_TOPS]
    for top in (*KERNEL_TOPS, *ENGINE_TOPS):
        folder = exported / "components" / top
        assert f"components/{top}/hls_config.cfg" in manifest["files"]
        lines = (folder / "hls_config.cfg").read_text().splitlines()
        settings = [line for line in lines if line and not line.startswith(("#", "["))]
        assert "part=xck26-sfvc784-2LV-c" in lines[: lines.index("[hls]")]
        assert {"clock=5.0ns", f"syn.top={top}", "package.output.syn=false", *RESET} <= set(settings)
        paths = [line.split("=")[1] for line in settings if line.startswith(("syn.file=", "tb.file="))]
        assert len(paths) == 4 and all((folder / path).exists() for path in paths)
        flags = [word[2:] for line in settings if "cflags=" in line for word in line.split("=")[1].split()]
        assert len(flags) == 4 and all((folder / flag).is_dir() for flag in flags)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ["csim_design", "csynth_design"]),
        (
            {"PCEDGE_STEPS": " ".join(STEPS)},
            ["csim_design", "csynth_design", "cosim_design", "export_design", "export_design"],
        ),
        ({"PCEDGE_STEPS": "synthesis ip"}, ["csynth_design", "export_design"]),
    ],
)  # fmt: skip
def test_the_tcl_runs_the_steps_that_are_asked_for(
    variables: dict[str, str], expected: list[str], project: Path, request: pytest.FixtureRequest
) -> None:
    tkinter = pytest.importorskip("tkinter")
    tcl = tkinter.Tcl()
    calls: list[tuple[str, ...]] = []
    for name in (
        "open_project", "set_top", "add_files", "open_solution", "set_part", "create_clock", "config_rtl",
        "config_compile", "csim_design", "csynth_design", "cosim_design", "export_design", "close_project", "exit",
    ):  # fmt: skip
        tcl.createcommand(name, lambda *words, name=name: calls.append((name, *words)))
    # Tcl writes to the environment of this process.
    request.addfinalizer(lambda: tcl.eval("array unset ::env PCEDGE_*"))
    for name, value in {**variables, "PCEDGE_TOPS": "pc_decode pc_engine"}.items():
        tcl.setvar(f"env({name})", value)
    tcl.eval((project / "run_hls.tcl").read_text())
    assert [call[0] for call in calls if call[0].endswith("_design")] == expected * 2
    added = [next(word for word in call[1:] if word != "-tb") for call in calls if call[0] == "add_files"]
    assert added[:2] == ["src/pcedge_top.cpp", "src/pcedge_memories.cpp"] and "testbench/engine.cpp" in added[4:]
    assert ("set_top", "pc_decode") in calls and ("set_part", "xck26-sfvc784-2LV-c") in calls
    assert ("create_clock", "-period", "5.0", "-name", "default") in calls
    names = [call[0] for call in calls]
    assert calls.count(("config_rtl", "-reset", "control")) == names.count("config_rtl") == 2
    assert calls.count(("config_compile", "-pipeline_style", "stp")) == names.count("config_compile") == 2
    if "csynth_design" in names:
        assert max(names.index("config_rtl"), names.index("config_compile")) < names.index("csynth_design")
    assert calls[-1] == ("exit",)
    for call in calls:
        if call[0] == "add_files":
            assert (project / next(w for w in call[1:] if not w.startswith("-"))).exists()
    tcl.setvar("env(PCEDGE_STEPS)", "csim place")
    with pytest.raises(tkinter.TclError, match="PCEDGE_STEPS must be some of: csim synthesis cosim ip impl, got place"):
        tcl.eval((project / "run_hls.tcl").read_text())


def test_the_shell_script_runs_what_build_runs(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = on_path(monkeypatch, tmp_path / "tools", "vitis-run", "v++")
    script = ["sh", str(project / "run_vitis.sh")]
    subprocess.run([*script, *STEPS], check=True, capture_output=True)
    by_script = calls.read_text()
    calls.unlink()
    as_json("build", project, "--steps", ",".join(STEPS))
    assert calls.read_text() == by_script and len(by_script.splitlines()) == 20
    calls.unlink()
    subprocess.run(script, check=True, capture_output=True)
    assert [line.split(" ")[0] for line in calls.read_text().splitlines()] == ["vitis-run", "v++"] * 4
    done = subprocess.run([*script, "place"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "a step must be one of: csim synthesis cosim ip impl, got place" in done.stderr


@pytest.mark.csim
def test_the_testbench_compares_outputs_alone(project: Path) -> None:
    executable = Csim(project).compile()
    done = subprocess.run([executable, "outputs", "golden"], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout == (
        "16 records: likelihood, encode and decode equal the golden vectors\n"
        "compared: 16 records, 0 steps, 17 bytes, 96 symbols\n"
    )
    # A wrong hash of a step is no matter for outputs, a wrong likelihood is.
    for name, expected in (("code_hashes.u32", 0), ("likelihood.i64", 1)):
        path = project / "golden" / name
        path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
        done = subprocess.run([executable, "outputs", "golden"], cwd=project, capture_output=True, text=True)
        assert done.returncode == expected, done.stdout
    assert done.stdout.startswith("MISMATCH record 0, likelihood: expected")


# pcedge build


def test_build_without_a_tool_says_what_it_would_run(project: Path) -> None:
    before = sorted(project.rglob("*"))
    result = run("build", project, "--top", "pc_encode", "--steps", "csim,cosim")
    assert result.exit_code == 3
    assert "pcedge: no vendor tool was found: vitis-run must be on PATH, or PCEDGE_VITIS must name" in result.stderr
    assert result.stdout.splitlines() == [
        f"nothing was run; in {project} this would have been:",
        "(cd components/pc_encode && vitis-run --mode hls --csim --config hls_config.cfg --work_dir work)",
        "(cd components/pc_encode && v++ -c --mode hls --config hls_config.cfg --work_dir work)",
        "(cd components/pc_encode && vitis-run --mode hls --cosim --config hls_config.cfg --work_dir work)",
    ]
    said = as_json("build", project, status=3)
    assert (said["error"], said["exit"], said["tool"]) == ("MissingToolError", 3, None)
    assert set(said) == {"out", "steps", "tops", "error", "message", "exit", "tool", "commands"}
    assert len(said["commands"]) == 8 and said["steps"] == ["csim", "synthesis"]
    assert set(said["commands"][0]) == {"step", "top", "command", "folder", "variables", "log"}
    older = run("build", project, "--tool", "vitis_hls", "--steps", "ip")
    line = (
        "PCEDGE_STEPS='synthesis ip' PCEDGE_TOPS='pc_likelihood pc_encode pc_decode pc_engine' vitis_hls -f run_hls.tcl"
    )
    assert older.exit_code == 3 and older.stdout.splitlines()[1] == line
    assert sorted(project.rglob("*")) == before


def test_build_of_an_unrolled_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_unrolled(quantize(make_circuit(5, 6, 3, 4, "hidden")), tmp_path / "project", adders="plain")
    said = as_json("build", folder, status=3)
    assert [command["top"] for command in said["commands"]] == ["pc_unrolled"] * 2
    assert run("report", folder).exit_code == 1
    on_path(monkeypatch, tmp_path / "tools", "vitis-run", "v++")
    assert set(as_json("build", folder)["reports"]) == {"pc_unrolled"} == set(as_json("report", folder)["reports"])
    (folder / "manifest.json").write_text('{"format": "pcedge-project", "kernel": "unrolled"}')
    assert run("build", folder).exit_code == 1


def test_build_with_components(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = on_path(monkeypatch, tmp_path / "my tools", "vitis-run", "v++", "vitis_hls")
    said = as_json("build", project, "--steps", "impl", "--top", "pc_encode")
    assert (said["tool"], said["steps"], said["tops"]) == ("vitis", ["synthesis", "impl"], ["pc_encode"])
    assert calls.read_text().splitlines() == [
        "v++ -c --mode hls --config hls_config.cfg --work_dir work|pc_encode||",
        "vitis-run --mode hls --impl --config hls_config.cfg --work_dir work|pc_encode||",
    ]
    found = said["reports"]["pc_encode"]
    assert found["synthesis"]["used"] == {"lut": 7654, "ff": 4321, "dsp": 9, "bram18": 21, "uram": 2}
    assert found["synthesis"]["file"] == "components/pc_encode/work/hls/syn/report/csynth.xml"
    assert found["utilization"]["used"]["bram18"] == 21 and found["timing"]["period_ns"] == 4.176
    assert not any(one["outdated"] for one in found.values())
    for command in said["commands"]:
        assert "says hello" in (project / command["log"]).read_text()
    shown = run("build", project)
    assert shown.exit_code == 0
    assert "pc_decode: synthesis, log in" in shown.stderr and "7654" in shown.stdout


def test_build_with_the_older_tool(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = install(monkeypatch, tmp_path / "Vitis_HLS", "vitis_hls")
    monkeypatch.setenv("PCEDGE_VITIS", str(tmp_path / "Vitis_HLS"))
    said = as_json("build", project, "--steps", "cosim", "--top", "pc_encode", "--top", "pc_decode")
    assert said["tool"] == "vitis_hls" and set(said["reports"]) == {"pc_encode", "pc_decode"}
    assert calls.read_text() == "vitis_hls -f run_hls.tcl|project|synthesis cosim|pc_encode pc_decode\n"
    result = run("build", project, "--tool", "vitis")
    assert result.exit_code == 3
    assert "PCEDGE_VITIS must name the folder of an installation with vitis-run, got" in result.stderr


def test_build_when_the_tool_fails(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path(monkeypatch, tmp_path / "tools", "vitis-run", "v++")
    monkeypatch.setenv("FAKE_FAIL", "7")
    result = run("build", project)
    assert result.exit_code == 1
    assert "csim of pc_likelihood failed with exit status 7; its log is" in result.stderr
    assert "ERROR: no licence" in result.stderr
    monkeypatch.delenv("FAKE_FAIL")
    monkeypatch.setenv("FAKE_SILENT", "1")
    said = as_json("build", project, status=1)
    assert said["error"] == "ToolError"
    assert said["message"] == "vitis must leave the report of C synthesis of pc_likelihood, it left none"
    (tmp_path / "tools/bin/v++").write_text("no program")
    assert "v++ must be a program that can be started" in run("build", project, "--steps", "synthesis").stderr
    monkeypatch.delenv("FAKE_SILENT")
    shutil.rmtree(project / "components")
    result = run("build", project)
    assert result.exit_code == 1 and "export the project again" in result.stderr


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["--steps", "csim,place"], 2, "--steps must name some of csim, synthesis, cosim, ip, impl, got 'csim,place'"),
        (["--steps", ","], 2, "--steps must name some of"),
        (["--top", "pc_x"], 2, "--top must be one of pc_likelihood, pc_encode, pc_decode, pc_engine, got pc_x"),
        (["--tool", "vivado_hls"], 2, "'vivado_hls' is not one of 'auto', 'vitis', 'vitis_hls'"),
    ],
)
def test_build_used_wrongly(words: list[str], status: int, text: str, project: Path) -> None:
    result = run("build", project, *words)
    assert result.exit_code == status and text in result.stderr


@pytest.mark.parametrize("tops", [None, [], ["../x"], [3], "pc_encode", ["pc_encode", "a" * 201], ["a" * 100_000]])
def test_a_manifest_without_tops(tops: object, project: Path) -> None:
    manifest = json.loads((project / "manifest.json").read_text()) | {"tops": tops}
    (project / "manifest.json").write_text(json.dumps(manifest))
    result = run("build", project)
    assert result.exit_code == 1 and "must hold tops, the names of functions, of at most 200 letters" in result.stderr


def test_the_longest_name_of_a_top(project: Path) -> None:
    manifest = json.loads((project / "manifest.json").read_text()) | {"tops": ["a" * 200]}
    (project / "manifest.json").write_text(json.dumps(manifest))
    assert vitis.tops_of(project) == ["a" * 200] and vitis.reports(project) == {}


def test_what_a_step_needs() -> None:
    assert with_needed(("impl", "csim")) == ("csim", "synthesis", "impl")
    assert with_needed(("csim",)) == ("csim",)


def test_doctor_names_the_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("vitis-run", "v++", "vitis_hls")
    assert {t.name: t.found for t in tools.survey() if t.name in names} == dict.fromkeys(names)
    install(monkeypatch, tmp_path / "Vitis", *names[:2])
    monkeypatch.setenv("XILINX_VITIS", str(tmp_path / "Vitis"))
    found = {t.name: (t.found, t.override, t.required) for t in tools.survey() if t.name in names}
    assert found["v++"] == (str(tmp_path / "Vitis/bin/v++"), "PCEDGE_VITIS or PATH", False)
    assert found["vitis_hls"][0] is None
    with pytest.raises(MissingToolError, match=r"^vitis_hls must be on PATH, or PCEDGE_VITIS must name the folder"):
        tools.vendor_tool("vitis_hls")


# Reports


def put(project: Path, top: str = "pc_encode") -> Path:
    folder = project / "components" / top / "work" / "hls"
    (folder / "syn/report").mkdir(parents=True)
    (folder / "impl/verilog/report").mkdir(parents=True)
    shutil.copyfile(VENDOR / "csynth.xml", folder / "syn/report/csynth.xml")
    for kind in ("utilization", "timing"):
        shutil.copyfile(VENDOR / f"{kind}.rpt", folder / f"impl/verilog/report/{top}_{kind}_routed.rpt")
    return folder


def test_report_of_a_project(project: Path) -> None:
    result = run("report", project)
    assert result.exit_code == 1
    assert f"{project} must hold reports of a vendor's tool, it holds none; pcedge build" in result.stderr
    folder = put(project)
    found = as_json("report", project)["reports"]
    assert set(found) == {"pc_encode"} and set(found["pc_encode"]) == {"synthesis", "utilization", "timing"}
    text = re.sub(r"\s+", " ", run("report", project).stdout)
    assert "older than the project" not in text and "4.176" in text
    assert "│ device │ xck26-sfvc784-2LV-c │ 117120 │ 234240 │ 1248 │ 288 │ 64 │" in text and "12 to ?" in text
    os.utime(folder / "syn/report/csynth.xml", (1, 1))
    assert as_json("report", project)["reports"]["pc_encode"]["synthesis"]["outdated"] is True
    text = re.sub(r"\s+", " ", run("report", project).stdout)
    assert "csynth.xml: older than the project, or of another part: build again" in text


def test_reports_of_another_part_or_top(project: Path) -> None:
    path = put(project) / "syn/report/csynth.xml"
    text = path.read_text()
    path.write_text(text.replace("xck26-sfvc784-2LV-c", "xc7z020-clg400-1"))
    assert vitis.reports(project)["pc_encode"]["synthesis"].outdated
    path.write_text(text.replace("xck26-sfvc784-2LV-c", "xck26sfvc7842lvc"))
    assert not vitis.reports(project)["pc_encode"]["synthesis"].outdated
    path.write_text(text.replace("pc_encode", "pc_decode"))
    with pytest.raises(FormatError, match="must be of the top pc_encode, it is of pc_decode"):
        vitis.reports(project)
    shutil.copyfile(VENDOR / "timing.rpt", path)
    with pytest.raises(FormatError, match="must be a report of synthesis"):
        vitis.reports(project)


def test_the_three_kinds_of_files() -> None:
    said = as_json("report", VENDOR / "csynth.xml")
    assert said["kind"] == "synthesis"
    expected = {
        "top": "pc_encode", "part": "xck26-sfvc784-2LV-c", "target_ns": 5.0, "estimated_ns": 3.65,
        "latency_min": 12, "latency_max": None, "interval_min": 13, "interval_max": None,
        "used": {"lut": 7654, "ff": 4321, "dsp": 9, "bram18": 21, "uram": 2},
        "available": {"lut": 117120, "ff": 234240, "dsp": 1248, "bram18": 288, "uram": 64},
    }  # fmt: skip
    assert said["report"] == expected
    said = as_json("report", VENDOR / "utilization.rpt")
    assert (said["kind"], said["report"]["design"], said["report"]["state"]) == (
        "utilization",
        "bd_0_wrapper",
        "Routed",
    )
    assert said["report"]["used"] == {"lut": 6543, "ff": 4200, "dsp": 8, "bram18": 21, "uram": 2}
    assert said["report"]["available"] == expected["available"]
    said = as_json("report", VENDOR / "timing.rpt")
    assert said["report"] == {
        "design": "bd_0_wrapper", "setup_slack_ns": 0.824, "hold_slack_ns": 0.012, "failing_endpoints": 0,
        "clocks": [{"name": "ap_clk", "period_ns": 5.0}], "met": True, "period_ns": 4.176,
    }  # fmt: skip


def test_tables_of_the_7_series() -> None:
    text = (VENDOR / "utilization.rpt").read_text().replace("CLB LUTs*", "Slice LUTs").replace("CLB Reg", "Slice Reg")
    text = "\n".join(line for line in text.splitlines() if not line.startswith("| URAM "))
    # Before Vivado 2021 there was no column of prohibited sites.
    text = re.sub(r"^(\|[^|]*\|[^|]*\|[^|]*)\|[^|]*(\|[^|]*\|[^|]*\|)$", r"\1\2", text, flags=re.MULTILINE)
    found = parse_utilization(text, "u")
    assert (found.used.lut, found.used.ff, found.used.bram18, found.used.uram) == (6543, 4200, 21, None)


def test_timing_that_fails_and_timing_without_constraints() -> None:
    text = (VENDOR / "timing.rpt").read_text()
    failed = parse_timing(text.replace("0.824        0.000                      0", "-0.300  -1.200  7"), "t")
    assert (failed.met, failed.failing_endpoints, failed.period_ns) == (False, 7, 5.3)
    row = next(line for line in text.splitlines() if "0.824" in line)
    nothing = parse_timing(text.replace(row, " ".join(["NA"] * 12)), "t")
    assert (nothing.met, nothing.setup_slack_ns, nothing.period_ns) == (False, None, None)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("</profile>", "", "csynth-xml: c: must be XML"),
        ("<profile>", '<!DOCTYPE p [<!ENTITY a "b">]><profile>', "must have no document type and no entities"),
        ("<LUT>7654</LUT>", "", "Resources must count LUT"),
        ("<LUT>7654</LUT>", "<LUT>-1</LUT>", "LUT of Resources must be a whole number, got '-1'"),
        ("<LUT>7654</LUT>", "<LUT>٣</LUT>", "LUT of Resources must be a whole number, got '٣'"),
        ("<LUT>7654</LUT>", "<LUT></LUT>", "LUT of Resources must be a whole number, got ''"),
        (">12<", ">many<", "Best-caseLatency must be a number of cycles or undef, got 'many'"),
        (">3.650<", ">nan<", "must be a number of nanoseconds, got 'nan'"),
        ("<TopModelName>pc_encode</TopModelName>", "", "must have a text at UserAssignments/TopModelName"),
        ("<Part>xck26-sfvc784-2LV-c</Part>", "<Part> </Part>", "must have a text at UserAssignments/Part"),
        ("<unit>ns</unit>\n    <Prod", "<unit>ps</unit>\n    <Prod", "UserAssignments/unit must be ns, got 'ps'"),
    ],
)
def test_damaged_synthesis_reports(old: str, new: str, text: str) -> None:
    whole = (VENDOR / "csynth.xml").read_text()
    assert old in whole
    with pytest.raises(FormatError, match=re.escape(text)):
        parse_synthesis(whole.replace(old, new), "c")


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("| DSPs ", "| DSQs ", "must have rows of LUTs, registers, DSPs and block RAM tiles, dsp is missing"),
        ("| 10.5 |", "| 10.4 |", "a count of bram must be a whole number, of tiles also a half, got '10.4'"),
        ("| 6543 |", "| 65.5 |", "a count of lut must be a whole number, of tiles also a half, got '65.5'"),
        ("| 6543 |", "| 6543 ", "the row CLB LUTs* must have 6 cells, it has 5"),
        ("| Design State : Routed", "|", "must name its design state in the head"),
    ],
)
def test_damaged_utilization_reports(old: str, new: str, text: str) -> None:
    whole = (VENDOR / "utilization.rpt").read_text()
    assert old in whole
    with pytest.raises(FormatError, match=re.escape(text)):
        parse_utilization(whole.replace(old, new), "u")


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("WNS(ns)", "WNS", "must have the design timing summary"),
        ("      0.824 ", "", "the row of the summary must have 12 numbers, it has 11"),
        ("0.824", "fine!", "WNS(ns) must be a number or NA, got 'fine!'"),
        ("THS Failing", "THS Falling", "THS Failing Endpoints must be a whole number or NA, got None"),
        ("| Design       : bd_0_wrapper", "", "must name its design in the head"),
    ],
)
def test_damaged_timing_reports(old: str, new: str, text: str) -> None:
    whole = (VENDOR / "timing.rpt").read_text()
    assert old in whole
    with pytest.raises(FormatError, match=re.escape(text)):
        parse_timing(whole.replace(old, new), "t")


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xfe\x00", b"{}"])
def test_files_that_are_no_reports(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(content)
    result = run("report", tmp_path / "r")
    assert result.exit_code == 1 and "report-kind: " in result.stderr


@pytest.mark.parametrize("name", ["csynth.xml", "utilization.rpt", "timing.rpt"])
def test_any_damage_gives_a_report_or_a_typed_error(name: str, tmp_path: Path) -> None:
    data = (VENDOR / name).read_bytes()
    rng = random.Random(name)
    refused = 0
    for _ in range(400):
        cut = bytearray(data)
        for _ in range(rng.randint(1, 6)):
            place = rng.randrange(len(cut) - 1)
            kind = rng.randrange(4)
            if kind == 0:
                cut[place] = rng.randrange(256)
            elif kind == 1:
                del cut[place : place + rng.randrange(1, 80)]
            elif kind == 2:
                cut[place:place] = bytes(rng.choice(b"|<>&-+.0123456789 \nNA") for _ in range(rng.randrange(1, 9)))
            else:
                start = rng.randrange(len(cut))
                cut[place:place] = cut[start : start + rng.randrange(200)]
        path = tmp_path / "r"
        path.write_bytes(cut)
        try:
            read_report(path)
        except FormatError:
            refused += 1
    assert 40 < refused < 400


def test_deep_and_wide_reports_end_soon(tmp_path: Path) -> None:
    for text in (
        "<a>" * 200_000,
        "<a>" * 20_000 + "</a>" * 20_000,
        "| Site Type " * 50_000,
        "WNS(ns) TNS(ns)\n" + " " * 500_000,
    ):
        (tmp_path / "r").write_text(text)
        with pytest.raises(FormatError):
            read_report(tmp_path / "r")


def test_the_end_of_a_log_is_told(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path(monkeypatch, tmp_path / "tools", "vitis-run")
    (tmp_path / "tools/bin/vitis-run").write_text("#!/bin/sh\nseq 1 9999\nexit 2\n")
    (command,) = vitis.plan(["pc_encode"], ("csim",), "vitis")
    with pytest.raises(ToolError, match="csim of pc_encode failed with exit status 2") as error:
        vitis.execute(project, command)
    assert str(error.value).endswith("\n9999") and len(str(error.value)) < 4400
