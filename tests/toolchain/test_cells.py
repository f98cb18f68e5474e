"""Models of cells: memories and products in RTL against their netlists, over random operations."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers.open_tools import needs
from helpers.paths import DATA

from pcedge.errors import UsageError
from pcedge.export.open_target import find_open_target
from pcedge.toolchain import verilator
from pcedge.toolchain.cells import FLAGS, netlist_sources
from pcedge.toolchain.open_flow import synthesize

pytestmark = [pytest.mark.rtl, needs("yosys", "verilator")]

PROBES = DATA / "cells"

#: random operations on each memory and product
CYCLES = 20_000

#: words of the images, by bits of a word
IMAGES = {
    "ecp5": {1: 16384, 2: 8192, 4: 4096, 9: 2048, 18: 1024, 36: 512},
    "ice40": {2: 2048, 4: 1024, 8: 512, 16: 256},
}

#: of the netlists: how often each cell is there, and what of its modes
CELLS = {"ecp5": {"DP16KD": 10, "MULT18X18D": 7}, "ice40": {"SB_RAM40_4K": 5, "SB_RAM40_4KNR": 1, "SB_MAC16": 7}}
MODES = {
    "ecp5": [
        *(f".DATA_WIDTH_A(32'd{width})" for width in (1, 2, 4, 9, 18, 36)),
        *(f".DATA_WIDTH_B(32'd{width})" for width in (1, 2, 4, 9, 18, 36)),
        '.WRITEMODE_A("READBEFOREWRITE")', '.WRITEMODE_B("WRITETHROUGH")', '.RESETMODE("SYNC")',
    ],
    "ice40": [
        *(f".{side}_MODE(2'h{mode})" for side in ("READ", "WRITE") for mode in range(4)),
        ".A_REG(1'h1)", ".A_SIGNED(32'd1)", ".A_SIGNED(32'd0)", ".PIPELINE_16x16_MULT_REG1(1'h1)",
        *(f".TOPOUTPUT_SELECT(2'h{which})" for which in (0, 1, 3)), ".TOPADDSUB_UPPERINPUT(1'h0)",
    ],
}  # fmt: skip


@pytest.mark.parametrize("family", ["ecp5", "ice40"])
def test_netlists_do_what_their_sources_do(family: str, tmp_path: Path) -> None:
    drawn = random.Random(3)
    for width, depth in IMAGES[family].items():
        (tmp_path / f"{width}.hex").write_text("".join(f"{drawn.getrandbits(width):x}\n" for _ in range(depth)))
    source = Path(shutil.copy(PROBES / f"{family}_probe.sv", tmp_path))
    target = find_open_target({"ecp5": "ecp5-25k", "ice40": "ice40-up5k"}[family])
    netlist = synthesize([source], "probe", target, tmp_path / "netlist")
    # Every mode that is modelled is there.
    assert {kind: netlist.cells.get(kind) for kind in CELLS[family]} == CELLS[family]
    text = netlist.verilog.read_text()
    assert [mode for mode in MODES[family] if mode not in text] == []
    renamed = tmp_path / "probe_netlist.v"
    renamed.write_text(text.replace("module probe(", "module probe_netlist("))
    models = netlist_sources(netlist, family)[1:]
    both = verilator.build(
        [renamed, *models, source, PROBES / "both.sv"], "both", [PROBES / "both.cpp"], tmp_path / "simulator",
        flags=FLAGS, optimise="-O0",
    )  # fmt: skip
    done = subprocess.run([both, str(CYCLES)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"compared: {CYCLES} cycles, 19992 changes\n", "")


def test_a_family_without_models(tmp_path: Path) -> None:
    source = tmp_path / "wire.sv"
    source.write_text("module probe(input logic clk, output logic q); assign q = clk; endmodule\n")
    netlist = synthesize([source], "probe", find_open_target("gowin-gw2a-18"), tmp_path / "netlist")
    with pytest.raises(UsageError, match=r"^netlists that can be simulated must be of ecp5 or ice40, got gowin$"):
        netlist_sources(netlist, "gowin")
