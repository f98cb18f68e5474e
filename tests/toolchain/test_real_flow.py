"""The open flow with its real tools on a design of two units: one build for ECP5, at night also other families."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.commands import as_json
from helpers.nightly import cases
from helpers.open_tools import UNIT, needs, rtl_project, stand_ins

from pcedge.errors import ToolError
from pcedge.export.open_target import find_open_target
from pcedge.toolchain.open_flow import pack, place_and_route, synthesize

pytestmark = [pytest.mark.rtl, needs("yosys", "nextpnr-ecp5", "ecppack")]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rtl_project(tmp_path_factory.mktemp("real") / "a project")


@pytest.fixture(scope="module")
def built(project: Path) -> dict[str, Any]:
    return as_json("build", project, "--target", "ecp5-25k", "--frequency", 60)


def test_a_build(built: dict[str, Any], project: Path) -> None:
    # registers of the sum and of the product; what is read of the memory is held in it
    assert (built["ff"], built["dsp"], built["bram"], built["bram_kind"]) == (8 + 24, 1, 1, "DP16KD")
    assert 20 <= built["lut"] <= 60 and built["cells"]["MULT18X18D"] == 1
    assert 60 < built["fmax_mhz"] < 200 and built["asked_mhz"] == 60 and built["met"] and built["seed"] == 1
    rate = built["jobs"]["encode"]
    assert rate["cycles_per_symbol"] == 2.5
    assert rate["symbols_per_second"] == pytest.approx(built["fmax_mhz"] / 2.5 * 1e6, abs=1000)
    assert Path(built["bitstream"]).read_bytes()[:2] == b"\xff\x00" and not built["fenced"]
    assert Path(built["bitstream"]).stat().st_size > 10_000
    assert set(built["tools"]) == {"yosys", "nextpnr", "packer"} and all(built["tools"].values())


def test_units_of_a_build(built: dict[str, Any]) -> None:
    units = built["units"]
    assert set(units) == {"pcedge_top", "pcedge_product"}
    product, top = units["pcedge_product"], units["pcedge_top"]
    # the memory and the product lie in one unit, the sum with its carries in the other
    assert (product["dsp"], product["bram"], product["ff"]) == (1, 1, 24)
    assert (top["dsp"], top["bram"], top["ff"]) == (0, 0, 8) and top["lut"] >= 8
    assert product["fmax_mhz"] == pytest.approx(built["fmax_mhz"], rel=0.02) and top["fmax_mhz"] > product["fmax_mhz"]
    path = built["critical_path"]
    assert path[0]["kind"] == "clk-to-q" and {step["kind"] for step in path} >= {"logic", "routing"}
    assert sum(step["delay_ns"] for step in path) == pytest.approx(1000 / built["fmax_mhz"], rel=0.01)
    assert any(place.startswith("pcedge_product.sv:") for step in path for place in step["sources"])


def test_what_the_device_holds_is_what_nextpnr_counts(built: dict[str, Any], project: Path) -> None:
    counted = json.loads((project / "build/ecp5-25k/seed-1/report.json").read_bytes())["utilization"]
    there = {kind: count["available"] for kind, count in counted.items()}
    held = find_open_target("ecp5-25k").resources
    assert (held.lut, held.ff, held.dsp) == (there["TRELLIS_COMB"], there["TRELLIS_FF"], there["MULT18X18D"])
    assert (held.bram, held.io) == (there["DP16KD"], there["TRELLIS_IO"])


def test_a_second_build_runs_no_tool(
    built: dict[str, Any], project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs = {path: path.stat().st_mtime_ns for path in project.rglob("*.log")}
    assert len(logs) == 4
    assert as_json("build", project, "--target", "ecp5-25k", "--frequency", 60) == built
    assert {path: path.stat().st_mtime_ns for path in project.rglob("*.log")} == logs
    stand_ins(tmp_path / "tools", monkeypatch)  # other tools make other results
    assert as_json("build", project, "--target", "ecp5-25k", "--frequency", 60)["fmax_mhz"] == 80.5


def test_a_mistake_in_words_of_yosys(tmp_path: Path) -> None:
    path = tmp_path / "pcedge_product.sv"
    path.write_text(UNIT.replace("held * data", "held * nowhere("))
    with pytest.raises(ToolError, match=r"(?s)synthesis of pcedge_product .*pcedge_product\.sv:9: ERROR: syntax error"):
        synthesize([path], "pcedge_product", find_open_target("ecp5-25k"), tmp_path / "out")


@pytest.mark.parametrize("name", cases([], ["ice40-up5k", "gowin-gw2a-18", "gowin-gw1n-9"]))
def test_other_families(name: str, tmp_path: Path) -> None:
    """A top with more ports than the package has pins, or that nextpnr gives none, stands in a fence."""
    built = as_json("build", rtl_project(tmp_path / "p"), "--target", name)
    assert built["fenced"] and built["fmax_mhz"] > 10
    assert Path(built["bitstream"]).stat().st_size > 10_000
    assert built["untimed"] == (["dsp"] if name.startswith("gowin") else [])
    assert (built["dsp"], built["bram"]) == ((1, 2) if name.startswith("ice40") else (1, 1))
    assert "pcedge_fence" not in built["units"] and set(built["units"]) == {"pcedge_top", "pcedge_product"}
    assert built["ff"] == sum(unit["ff"] for unit in built["units"].values())


@pytest.mark.parametrize(
    "name", cases([], ["ulx3s-85f", "colorlight-i5", "icebreaker", "tang-nano-9k", "tang-nano-20k"])
)
def test_boards(name: str, tmp_path: Path) -> None:
    """The pins of a board's ports, a bitstream and a clock that is met, for a line that is sent back."""
    top = (
        "module pcedge_board(input logic clk, input logic uart_rx, output logic uart_tx, output logic led);\n"
        "  logic [23:0] count;\n"
        "  always_ff @(posedge clk) begin count <= count + 1; uart_tx <= uart_rx; led <= count[23]; end\nendmodule\n"
    )
    (tmp_path / "pcedge_board.sv").write_text(top)
    target = find_open_target(name)
    netlist = synthesize([tmp_path / "pcedge_board.sv"], "pcedge_board", target, tmp_path / "out")
    timing = place_and_route(netlist, target, tmp_path / "out")
    assert timing.met and timing.bitstream_source is not None
    bitstream = pack(timing, target, tmp_path / "out")
    assert bitstream is not None and bitstream.stat().st_size > 10_000
