"""The open flow with stand-ins for its tools: what is kept, seeds, failures, and what reports and netlists say."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.open_tools import YOSYS, rtl_project, stand_ins

from pcedge.errors import FormatError, MissingToolError, ToolError, UsageError
from pcedge.export.open_target import find_open_target
from pcedge.toolchain import open_tools
from pcedge.toolchain.building import build_project, check_fit, read_build, rtl_sources
from pcedge.toolchain.fence import fence
from pcedge.toolchain.netlists import Netlist, amounts, read_netlist
from pcedge.toolchain.open_flow import Timing, pack, place_and_route, place_with_seeds, synthesize
from pcedge.toolchain.timing_reports import read_report
from pcedge.toolchain.tools import survey

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="stand-ins are scripts that name their interpreter")

ECP5 = find_open_target("ecp5-25k")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    stand_ins(tmp_path / "tools", monkeypatch)
    return rtl_project(tmp_path / "a project")


def calls(folder: Path) -> str:
    return "".join(path.read_text() for path in sorted(folder.rglob("calls")))


def test_a_script_for_yosys(project: Path, tmp_path: Path) -> None:
    out = tmp_path / "out put"
    netlist = synthesize(
        rtl_sources(project), "pcedge_top", ECP5, out, parameters={"WIDTH": 12, "IMAGE": "image.hex"},
        defines={"FAST": "", "N": "3"}, flags=["-abc2"],
    )  # fmt: skip
    assert (out / "synthesis.ys").read_text() == (
        "read_verilog -sv -defer -D FAST -D N=3 pcedge_product.sv pcedge_top.sv\n"
        'chparam -set WIDTH 12 -set IMAGE "image.hex" $abstract\\pcedge_top\n'
        "hierarchy -check -top pcedge_top\n"
        "synth_ecp5 -abc2 -top pcedge_top -json ../netlist.json\n"
        "write_verilog -noattr ../netlist.v\n"
    )
    assert sorted(path.name for path in (out / "inputs").iterdir()) == [
        "image.hex", "params.svh", "pcedge_product.sv", "pcedge_top.sv",
    ]  # fmt: skip
    assert netlist.cells == {"LUT4": 1, "TRELLIS_FF": 1}
    # The table has no source of its own: it feeds the register.
    assert netlist.units == {"pcedge_product": {"lut": 1, "ff": 1, "dsp": 0, "bram": 0}}


def test_an_instance_of_another_width_than_its_source_says(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Yosys does so where a parameter has another value than an instance gives it, and goes on; nothing is kept."""
    said = "Warning: Resizing cell port pcedge_top.unit.address from 9 bits to 6 bits."
    stand_ins(tmp_path / "others", monkeypatch, yosys=YOSYS + f"print({said!r})\n")
    out = tmp_path / "out"
    for _ in range(2):
        with pytest.raises(ToolError) as caught:
            synthesize(rtl_sources(project), "pcedge_top", ECP5, out)
        assert str(caught.value) == (
            "ports of instances must be as wide as what they are connected to, yosys resized 1, the first "
            f"pcedge_top.unit.address from 9 bits to 6 bits; its log is {out / 'synthesis.log'}"
        )


def test_what_has_not_changed_is_not_made_again(project: Path, tmp_path: Path) -> None:
    def run() -> Timing:
        netlist = synthesize(rtl_sources(project), "pcedge_top", ECP5, tmp_path / "out")
        timing = place_and_route(netlist, ECP5, tmp_path / "out", 1)
        assert pack(timing, ECP5, tmp_path / "out") == tmp_path / "out/bitstream.bit"
        return timing

    timing = run()
    assert (timing.fmax_mhz, timing.asked_mhz, timing.met, timing.seed) == (80.5, 100.0, False, 1)
    assert (tmp_path / "out/bitstream.bit").read_bytes() == b"bits of routed with 1"
    assert calls(tmp_path / "out") == "yosys nextpnr "
    assert run() == timing and calls(tmp_path / "out") == "yosys nextpnr "
    (project / "rtl/image.hex").write_text("1\n")  # an image is an input as a source is
    run()
    assert calls(tmp_path / "out").count("yosys") == 2
    (tmp_path / "out/netlist.json").write_text("{}")  # a result that is not what was made
    run()
    assert calls(tmp_path / "out").count("yosys") == 3
    (tmp_path / "out/seed-1/routed.config").unlink()
    before = calls(tmp_path / "out").count("nextpnr")
    run()
    assert calls(tmp_path / "out").count("nextpnr") == before + 1
    (tmp_path / "tools/nextpnr-ecp5").write_text((tmp_path / "tools/nextpnr-ecp5").read_text() + "# another\n")
    run()
    assert calls(tmp_path / "out").count("nextpnr") == before + 2


def test_the_best_of_some_seeds(project: Path, tmp_path: Path) -> None:
    said: list[str] = []
    built = build_project(project, ECP5, range(1, 5), parallel=2, said=said.append)
    figures = built.as_dict()
    assert (figures["seed"], figures["fmax_mhz"], figures["met"]) == (2, 120.25, True)
    assert {seed: result.get("fmax_mhz") for seed, result in figures["seeds"].items()} == {
        "1": 80.5, "2": 120.25, "3": None, "4": 99.0,
    }  # fmt: skip
    assert figures["seeds"]["3"]["error"].startswith(
        "place and route of pcedge_top for ecp5-25k with seed 3 failed with exit status 1; its log is "
    )
    assert figures["jobs"] == {"encode": {"cycles_per_symbol": 2.5, "symbols_per_second": 48_100_000}}
    assert (figures["lut"], figures["ff"], figures["dsp"], figures["bram"]) == (3, 1, 0, 0)
    assert figures["bram_kind"] == "DP16KD" and figures["memories"] == {"weights": 20_000, "state": 4096}
    unit = figures["units"]["pcedge_product"]
    assert (unit["arrival_ns"], unit["fmax_mhz"], unit["register"]) == (4.0, 250.0, "r")
    assert Path(figures["bitstream"]).read_bytes() == b"bits of routed with 2"
    assert {f"ecp5-25k: seed {seed} is routed" for seed in (1, 2, 4)} < set(said)
    assert read_build(project) == [figures]
    with pytest.raises(ToolError, match=r"ERROR: Unable to find a placement location for cell 'r'$"):
        build_project(project, ECP5, [3])


def test_a_project_that_was_moved(project: Path, tmp_path: Path) -> None:
    """A report names its files where they are now."""
    figures = build_project(project, ECP5).as_dict()
    assert figures["out"] == str(project)
    project.rename(tmp_path / "elsewhere")
    (found,) = read_build(tmp_path / "elsewhere")
    assert found["out"] == str(tmp_path / "elsewhere")
    for path in (found["bitstream"], *found["logs"].values()):
        assert path.startswith(str(tmp_path / "elsewhere/build")) and Path(path).is_file()
    assert found["fmax_mhz"] == figures["fmax_mhz"]


def test_a_build_of_another_circuit_is_refused(project: Path) -> None:
    build_project(project, ECP5)
    manifest = project / "manifest.json"
    table = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(table | {"digest": "1" * 64}))
    with pytest.raises(
        FormatError, match=r"it must be of the project's circuit, 1{16}…, and is of '.*': build it again"
    ):
        read_build(project)


def test_an_interrupt_takes_no_seed_that_was_done(project: Path) -> None:
    def interrupt(text: str) -> None:
        if "seed 2 is routed" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_project(project, ECP5, [1, 2, 4], said=interrupt)
    assert len(build_project(project, ECP5, [1, 2, 4]).results) == 3
    assert calls(project) == "yosys yosys nextpnr nextpnr nextpnr "  # ports, synthesis, and each seed once


def test_tools_in_their_own_words(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_ins(tmp_path / "tools", monkeypatch, yosys="#!/bin/sh\necho 'u.sv:3: ERROR: syntax error'\nexit 1\n")
    with pytest.raises(ToolError) as failed:
        synthesize(rtl_sources(project), "pcedge_top", ECP5, tmp_path / "out")
    log = tmp_path / "out/synthesis.log"
    assert str(failed.value) == (
        "synthesis of pcedge_top for ecp5-25k failed with exit status 1; "
        f"its log is {log}:\nu.sv:3: ERROR: syntax error"
    )
    stand_ins(tmp_path / "tools", monkeypatch, yosys="#!/bin/sh\nexit 0\n")
    with pytest.raises(ToolError, match=r"^yosys must leave netlist\.json and netlist\.v in .*, it left none$"):
        synthesize(rtl_sources(project), "pcedge_top", ECP5, tmp_path / "out")


def test_missing_tools_name_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(open_tools.VARIABLE, raising=False)
    monkeypatch.setattr(open_tools.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(open_tools, "unfit", lambda module, extra: None)
    for name, tool in open_tools.TOOLS.items():
        with pytest.raises(MissingToolError, match=re.escape("pip install 'pcedge[rtl]' brings it with the package")):
            open_tools.version(name)
        assert tool.extra == "rtl"
    with pytest.raises(MissingToolError, match=r"^synthesis needs yosys: .* the package pyosys, or PCEDGE_FPGA_TOOLS "):
        open_tools.command("yosys")
    with pytest.raises(MissingToolError, match=r"FPGA_TOOLS names a folder with verilator_bin or verilator$"):
        open_tools.command("verilator")
    monkeypatch.setattr(open_tools, "unfit", lambda module, extra: "pyosys==0.70, version 0.40 is installed")
    with pytest.raises(MissingToolError, match=r"^synthesis needs pyosys==0\.70, version 0\.40 is installed; pip "):
        open_tools.command("yosys")
    monkeypatch.setenv(open_tools.VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(
        MissingToolError, match=r"^PCEDGE_FPGA_TOOLS must name a folder with programs, got '.*nowhere'$"
    ):
        open_tools.command("yosys")
    (yosys,) = (tool for tool in survey() if tool.name == "yosys")
    assert yosys.found is None and "PCEDGE_FPGA_TOOLS must name a folder with programs" in yosys.override


def test_sources_that_cannot_be_taken(project: Path, tmp_path: Path) -> None:
    sources = rtl_sources(project)
    with pytest.raises(UsageError, match=r"^a source must be a file that is there, got .*none\.sv$"):
        synthesize([*sources, tmp_path / "none.sv"], "pcedge_top", ECP5, tmp_path / "out")
    (tmp_path / "pcedge_top.sv").write_text("")
    with pytest.raises(UsageError, match=r"^sources must have names of their own, got .* and .*pcedge_top\.sv$"):
        synthesize([*sources, tmp_path / "pcedge_top.sv"], "pcedge_top", ECP5, tmp_path / "out")
    with pytest.raises(UsageError, match=r"^names of modules, .* must be letters, digits and _, got 'a; exec'$"):
        synthesize(sources, "a; exec", ECP5, tmp_path / "out")
    with pytest.raises(UsageError, match=r"^values of parameters and macros must be .*, got '\"; exec'$"):
        synthesize(sources, "pcedge_top", ECP5, tmp_path / "out", parameters={"A": '"; exec'})
    (project / "rtl/pcedge_product.sv").unlink()
    with pytest.raises(FormatError, match=r"pcedge_product\.sv must be there: export the project again$"):
        build_project(project, ECP5)


def test_packages_come_first(project: Path) -> None:
    (project / "rtl/pcedge_top.sv").write_text("package last;\nendpackage\nmodule pcedge_top; endmodule\n")
    assert [path.name for path in rtl_sources(project)] == ["pcedge_top.sv", "pcedge_product.sv"]


def test_a_board_needs_an_engine(project: Path) -> None:
    board = find_open_target("ulx3s-85f")
    manifest = project / "manifest.json"
    text = manifest.read_text()
    manifest.write_text(text.replace('"streams": 1,', "").replace('"kernel": "rtl"', '"kernel": "unrolled-rtl"'))
    with pytest.raises(FormatError, match=r"^project-manifest: streams must be a number in 1\.\.64, got None$"):
        build_project(project, board)
    manifest.write_text(text)
    (project / "rtl/pcedge_top.sv").rename(project / "rtl/other.sv")
    manifest.write_text(manifest.read_text().replace("rtl/pcedge_top.sv", "rtl/other.sv"))
    with pytest.raises(FormatError, match=r"must have rtl/pcedge_top\.sv: export the project again$"):
        build_project(project, board)


def test_a_design_that_does_not_fit(tmp_path: Path) -> None:
    units = {"tables": {"lut": 10, "ff": 10, "dsp": 1, "bram": 40}, "matrix": {"lut": 5, "ff": 0, "dsp": 0, "bram": 17}}
    netlist = Netlist(tmp_path / "n.json", tmp_path / "n.v", "top", {}, units, {}, "yosys")
    with pytest.raises(UsageError, match=r"^the design must fit ecp5-25k, which has 56 DP16KD; it needs 57$"):
        check_fit(netlist, ECP5)
    check_fit(netlist, find_open_target("ecp5-85k"))


def test_seeds_and_places(project: Path, tmp_path: Path) -> None:
    netlist = synthesize(rtl_sources(project), "pcedge_top", ECP5, tmp_path / "out")
    with pytest.raises(UsageError, match=r"^a seed must be in 1\.\.2147483647, got 0$"):
        place_and_route(netlist, ECP5, tmp_path / "out", 0)
    with pytest.raises(UsageError, match=r"^placement without pins must be for ecp5, ice40-up5k is of ice40$"):
        place_with_seeds(netlist, find_open_target("ice40-up5k"), tmp_path / "out", [1], out_of_context=True)
    timing = place_and_route(netlist, ECP5, tmp_path / "alone", 1, 60.0, out_of_context=True)
    assert timing.met and timing.bitstream_source is None and pack(timing, ECP5, tmp_path / "alone") is None


def test_reports_of_nextpnr(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("[]")
    with pytest.raises(FormatError, match=r"^nextpnr-report: .*report\.json must be the report of nextpnr \("):
        read_report(path)
    table = {"fmax": {}, "critical_paths": [], "utilization": {"LUT4": {"used": 1, "available": 2}}}
    path.write_text(json.dumps(table))
    report = read_report(path)
    assert report.clocks == () and report.utilisation["LUT4"].available == 2


def test_units_of_cells() -> None:
    kinds = {"a": "CCU2C", "b": "TRELLIS_FF", "c": "DP16KD", "d": "MULT18X18D", "e": "PFUMX"}
    units = dict.fromkeys(kinds, "u")
    assert amounts("ecp5", kinds, units) == {"u": {"lut": 2, "ff": 1, "dsp": 1, "bram": 1}}


def test_a_netlist_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "n.json"
    path.write_text('{"modules": {}}')
    with pytest.raises(FormatError, match=r"^netlist: .*n\.json must be a netlist of top as yosys writes it"):
        read_netlist(path, "top")


def test_a_fence_connects_every_bit_once() -> None:
    ports = {"clk": ("input", 1), "a": ("input", 3), "b": ("input", 1), "y": ("output", 4), "z": ("output", 1)}
    text = fence("unit", ports, {"W": 3, "NAME": "x.hex"})
    assert '  unit #(.W(3), .NAME("x.hex")) fenced (' in text
    assert re.findall(r"\.(\w+)\((\w+\[\d+:\d+\])\)", text) == [
        ("a", "given[2:0]"), ("b", "given[3:3]"), ("y", "result[3:0]"), ("z", "result[4:4]"),
    ]  # fmt: skip
    assert "logic [3:0] given;" in text and "logic [4:0] result, held;" in text
    with pytest.raises(UsageError, match=r"^unit must have the input clk, of one bit$"):
        fence("unit", {"clock": ("input", 1), "y": ("output", 1)}, {})
    with pytest.raises(UsageError, match=r"^ports of unit must be inputs or outputs, p is both$"):
        fence("unit", {"clk": ("input", 1), "p": ("inout", 1)}, {})
    with pytest.raises(UsageError, match=r"^unit must have an output$"):
        fence("unit", {"clk": ("input", 1)}, {})


def test_a_top_that_is_wider_than_the_package(project: Path) -> None:
    narrow = replace(ECP5, resources=replace(ECP5.resources, io=1))
    with pytest.raises(FormatError, match="must be a netlist of pcedge_fence"):  # the stand-in knows no fence
        build_project(project, narrow)
    text = (project / "build/ecp5-25k/fence/pcedge_fence.sv").read_text()
    assert "  pcedge_top fenced (\n    .clk(clk),\n    .sum(result[0:0])\n  );" in text


def test_units_are_instances(tmp_path: Path) -> None:
    """The fence and the top have one instance each, so the units are those of the engine."""

    def scope(module: str) -> dict[str, object]:
        return {"type": "$scopeinfo", "attributes": {"module_hdlname": module, "module_src": f"{module}.sv:1.1-9.9"}}

    def cell(kind: str, source: str = "", **pins: int) -> dict[str, object]:
        directions = {pin: "output" if pin == "Q" else "input" for pin in pins}
        connections = {pin: [bit] for pin, bit in pins.items()}
        attributes = {"src": f"{source}.sv:3.1-3.9|/share/map.v:1.1-2.2"} if source else {}
        return {"type": kind, "attributes": attributes, "port_directions": directions, "connections": connections}

    cells = {
        "t": scope("pcedge_top"), "t.engine": scope("pc_engine"), "t.engine.mix": scope("pc_mix"),
        "t.engine.coder": scope("pc_coder"), "t.engine.mix.queue": scope("pc_fifo"),
        "t.engine.coder.queue": scope("pc_fifo"),
        "t.engine.mix.queue.memory.0": cell("DP16KD"), "t.engine.coder.x_LUT4_Z": cell("LUT4"),
        "t.engine.busy_FF": cell("TRELLIS_FF"), "t.given_FF": cell("TRELLIS_FF", "fence"),
        "held_FF": cell("TRELLIS_FF", "fence"),
        "out_FF": cell("TRELLIS_FF", "pc_coder", D=5),  # named by a port of the top
        "queue_FF": cell("TRELLIS_FF", "pc_fifo", Q=6),  # two units have queues, but it feeds one
        "q_LUT4_Z": cell("LUT4", "", Q=5, A=6), "lost": cell("LUT4"),
    }  # fmt: skip
    path = tmp_path / "n.json"

    def write() -> None:
        path.write_text(json.dumps({"modules": {"fence": {"attributes": {"src": "fence.sv:1.1"}, "cells": cells}}}))

    write()
    counts, kinds, units = read_netlist(path, "fence")
    assert counts == {"DP16KD": 1, "LUT4": 3, "TRELLIS_FF": 5} and set(kinds) == set(units)
    assert units == {
        "t.engine.mix.queue.memory.0": "mix", "t.engine.coder.x_LUT4_Z": "coder", "t.engine.busy_FF": "pc_engine",
        "t.given_FF": "fence", "held_FF": "fence", "out_FF": "coder", "queue_FF": "coder", "q_LUT4_Z": "coder",
        "lost": "fence",
    }  # fmt: skip
    # those of several cores are the same units, and what cores share is one too
    cells = {
        "t": scope("pcedge_top"), "t.engine": scope("pc_engine"), "t.engine.guard": scope("pc_guard"),
        "t.engine.g_memory[0].g_two.weights": scope("pc_rom2"), "t.engine.g_memory[0].g_two.weights.0": cell("DP16KD"),
    }  # fmt: skip
    for core in range(2):
        at = f"t.engine.g_core[{core}].core"
        cells |= {at: scope("pc_core"), f"{at}.mix": scope("pc_mix_unit"), f"{at}.mix.x": cell("LUT4")}
        cells |= {f"{at}.busy": cell("TRELLIS_FF")}
    write()
    assert read_netlist(path, "fence")[2] == {
        "t.engine.g_memory[0].g_two.weights.0": "weights",
        **{f"t.engine.g_core[{core}].core.mix.x": "mix" for core in range(2)},
        **{f"t.engine.g_core[{core}].core.busy": "pc_core" for core in range(2)},
    }
