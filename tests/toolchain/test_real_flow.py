"""The open flow with its real tools on a design of two units: one build for ECP5, at night also other families."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.commands import as_json
from helpers.nightly import cases
from helpers.open_tools import UNIT, needs, rtl_project, stand_ins

from pcedge.errors import ToolError
from pcedge.export.open_target import find_open_target
from pcedge.toolchain.building import build_project
from pcedge.toolchain.open_flow import synthesize

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


#: an engine for the bridge: a register that keeps what is written, and a stream that sends back what comes
ECHO = """module pcedge_top (
  input logic clk, input logic rst, output logic irq,
  input logic [9:0] s_axi_awaddr, input logic [2:0] s_axi_awprot, input logic s_axi_awvalid, output logic s_axi_awready,
  input logic [31:0] s_axi_wdata, input logic [3:0] s_axi_wstrb, input logic s_axi_wvalid, output logic s_axi_wready,
  output logic [1:0] s_axi_bresp, output logic s_axi_bvalid, input logic s_axi_bready,
  input logic [9:0] s_axi_araddr, input logic [2:0] s_axi_arprot, input logic s_axi_arvalid, output logic s_axi_arready,
  output logic [31:0] s_axi_rdata, output logic [1:0] s_axi_rresp, output logic s_axi_rvalid, input logic s_axi_rready,
  input logic [31:0] s_axis_0_tdata, input logic [3:0] s_axis_0_tkeep, input logic s_axis_0_tlast,
  input logic s_axis_0_tvalid, output logic s_axis_0_tready,
  output logic [31:0] m_axis_0_tdata, output logic [3:0] m_axis_0_tkeep, output logic m_axis_0_tlast,
  output logic m_axis_0_tvalid, input logic m_axis_0_tready);
  wire write = s_axi_awvalid && s_axi_wvalid && !s_axi_bvalid;
  assign {s_axi_awready, s_axi_wready} = {2{write}};
  assign {irq, s_axi_bresp, s_axi_rresp} = '0;
  assign s_axi_arready = !s_axi_rvalid;
  logic [31:0] kept;
  always_ff @(posedge clk) begin
    s_axi_bvalid <= write;
    if (write) kept <= s_axi_wdata;
    s_axi_rvalid <= s_axi_arvalid && s_axi_arready || s_axi_rvalid && !s_axi_rready;
    if (s_axi_arvalid && s_axi_arready) s_axi_rdata <= kept;
    if (rst) begin
      s_axi_rvalid <= 1'b0;
      kept <= '0;
    end
  end
  assign {m_axis_0_tdata, m_axis_0_tkeep, m_axis_0_tlast} = {s_axis_0_tdata, s_axis_0_tkeep, s_axis_0_tlast};
  assign {m_axis_0_tvalid, s_axis_0_tready} = {s_axis_0_tvalid, m_axis_0_tready};
endmodule
"""


@pytest.mark.parametrize(
    ("name", "clock_ns"),
    cases(
        [],
        [
            *((name, None) for name in ("ulx3s-85f", "colorlight-i5", "icebreaker", "tang-nano-9k", "tang-nano-20k")),
            ("ulx3s-85f", 20.0), ("icebreaker", 50.0), ("tang-nano-20k", 20.0),
        ],
    ),
)  # fmt: skip
def test_boards(name: str, clock_ns: float | None, tmp_path: Path) -> None:
    """The bridge at the pins of every board, by its oscillator and by a PLL: a bitstream, and a clock that is met."""
    project = rtl_project(tmp_path / "p", streams=1)
    top = project / "rtl/pcedge_top.sv"
    top.write_text(ECHO)
    target = find_open_target(name)
    if clock_ns is not None:
        target = replace(target, clock_ns=clock_ns)
    built = build_project(project, target).as_dict()
    assert built["met"] and built["top"] == "pcedge_board" and not built["fenced"]
    assert built["fmax_mhz"] > 1.1 * built["asked_mhz"]
    assert set(built["units"]) == {"pcedge_board", "receiver", "sender", "bridge", "engine"}
    assert built["bram"] in (1, 2) and built["dsp"] == 0
    assert Path(built["bitstream"]).stat().st_size > 10_000
    plls = [kind for kind in built["cells"] if "PLL" in kind]
    assert len(plls) == (clock_ns is not None)
