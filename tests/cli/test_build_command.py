"""`pcedge build` and `pcedge report` for RTL: which options go with what, and what they print."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from helpers.commands import as_json, run
from helpers.open_tools import rtl_project, stand_ins

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stand-ins are scripts that name their interpreter")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    stand_ins(tmp_path / "tools", monkeypatch)
    return rtl_project(tmp_path / "p")


def test_a_build_for_people(project: Path) -> None:
    done = run("build", project, "--seeds", 4)  # the manifest names the device
    assert done.exit_code == 0, done.output
    for line in (
        "120.2 MHz with seed 2, 100.0 asked: met", "seed 1: 80.5 MHz", "seed 4: 99.0 MHz",
        "encode: 2.5 cycles, 48,100,000 symbols a second", f"bitstream: {project}/build/ecp5-25k/bitstream.bit",
    ):  # fmt: skip
        assert line in done.output, line
    assert "seed 3: place and route of pcedge_top for ecp5-25k with seed 3 failed" in done.output
    assert "ecp5-25k: seed 2 is routed …" in done.stderr


def test_a_build_for_machines(project: Path) -> None:
    built = as_json("build", project, "--target", "ecp5-85k", "--seed", 4, "--frequency", 90)
    assert built["out"] == str(project) and built["target"] == "ecp5-85k"
    for name in ("lut", "ff", "dsp", "bram", "bram_kind", "jobs", "bitstream", "tools", "units", "critical_path"):
        assert name in built
    assert (built["seed"], built["fmax_mhz"], built["asked_mhz"], built["met"]) == (4, 99.0, 90.0, True)
    assert as_json("build", project, "--seed", 3, status=1)["error"] == "ToolError"


def test_a_build_of_a_circuit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_ins(tmp_path / "tools", monkeypatch)
    words = (
        "build",
        "digits",
        "--target",
        "ecp5-25k",
        "--macs",
        4,
        "--streams",
        2,
        "--out",
        tmp_path / "m",
        "--seed",
        2,
    )
    built = as_json(*words)
    assert (built["fmax_mhz"], built["target"], built["top"]) == (120.25, "ecp5-25k", "pcedge_top")
    manifest = json.loads((tmp_path / "m/manifest.json").read_bytes())
    assert (manifest["macs"], manifest["streams"], built["digest"]) == (4, 2, manifest["digest"])
    inputs = {path.name for path in (tmp_path / "m/build/ecp5-25k/inputs").iterdir()}
    assert {"pcedge_top.sv", "params.svh"} < inputs and any(name.endswith(".hex") for name in inputs)
    assert as_json(*words) == built  # the project is written again, and is the same
    assert [(tmp_path / "m/build/ecp5-25k" / name / "calls").read_text() for name in ("ports", ".", "seed-2")] == [
        "yosys ", "yosys ", "nextpnr ",
    ]  # fmt: skip
    assert as_json("build", tmp_path / "m", "--target", "ecp5-25k", "--seed", 2) == built


def test_a_project_for_no_device(tmp_path: Path) -> None:
    project = rtl_project(tmp_path / "p", target={"part": "any", "flow": "rtl"})
    done = run("build", project)
    assert done.exit_code == 2 and "a project that was exported for no device must come with --target" in done.output


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("PROJECT", "--macs", 4), "--macs must go with a circuit"),
        (("PROJECT", "--out", "x"), "--out must go with a circuit"),
        (("PROJECT", "--steps", "csim"), "--steps must go with an HLS project"),
        (("digits", "--target", "ecp5-25k"), "a circuit must come with --target, a device, and --out"),
        (("digits", "--out", "x"), "a circuit must come with --target, a device, and --out"),
        (("digits", "--top", "pc_encode"), "--top must go with a project"),
        (("digits", "--target", "kv260", "--out", "x"), "the device must be one of colorlight-i5, ecp5-25k, "),
        (("PROJECT", "--target", "kv260"), "the device must be one of colorlight-i5, ecp5-25k, "),
    ],
)
def test_options_that_do_not_go_together(words: tuple[object, ...], reason: str, project: Path) -> None:
    done = run("build", *(project if word == "PROJECT" else word for word in words))
    assert done.exit_code == 2 and reason in done.output


def test_reports(project: Path, tmp_path: Path) -> None:
    assert as_json("report", project, status=1)["message"] == (
        f"{project} must hold builds, it holds none; pcedge build {project} makes them"
    )
    first = as_json("build", project)
    second = as_json("build", project, "--target", "ecp5-85k", "--seed", 2)
    found = as_json("report", project)
    assert found == {"builds": [first, second], "html": None}
    pytest.importorskip("matplotlib", reason="the plot needs pcedge[plot]")
    other = rtl_project(tmp_path / "q")
    as_json("build", other)
    page = tmp_path / "page.html"
    done = run("report", project, other, "--html", page)
    assert done.exit_code == 0 and f"{page}: the page" in done.output
    text = page.read_text()
    assert [name in text for name in ("p · ecp5-25k", "p · ecp5-85k", "q · ecp5-25k")] == [True] * 3
    path = project / "build/ecp5-25k/build.json"
    path.write_text(json.dumps(first | {"digest": "f" * 64}))
    said = as_json("report", project, status=1)["message"]
    assert f"it must be of the project's circuit, {first['digest'][:16]}…, and is of 'ffff" in said
    path.write_text("{}")
    said = as_json("report", project, status=1)["message"]
    assert said.startswith("build-json: ") and "must be what pcedge build wrote" in said


def test_what_is_compared_must_be_rtl(project: Path, tmp_path: Path) -> None:
    path = tmp_path / "csynth.xml"
    path.write_text("<profile/>")
    done = run("report", project, path)
    assert done.exit_code == 2 and f"what is compared must be projects of RTL, {path} is none" in done.output
