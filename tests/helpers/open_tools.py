"""The open hardware tools in tests: what is skipped without them, stand-ins for them, and a small project of RTL."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from pcedge.errors import MissingToolError
from pcedge.export.project.directory import plan_project, write_plan
from pcedge.toolchain import open_tools

#: a memory and a product, in two units; what it does does not matter
TOP = """module pcedge_top (
  input logic clk, input logic write, input logic [3:0] where, input logic [8:0] address,
  input logic [11:0] data, output logic [23:0] product, output logic [7:0] sum);
`include "params.svh"
  logic [7:0] image [16];
  initial $readmemh("image.hex", image);
  always_ff @(posedge clk) sum <= sum + image[where] + 8'(STEP);
  pcedge_product #(.WIDTH(12)) unit (.clk, .write, .address, .data, .product);
endmodule
"""
UNIT = """module pcedge_product #(parameter int WIDTH = 8) (
  input logic clk, input logic write, input logic [8:0] address, input logic [WIDTH-1:0] data,
  output logic [2*WIDTH-1:0] product);
  logic [WIDTH-1:0] memory [512];
  logic [WIDTH-1:0] held;
  always_ff @(posedge clk) begin
    if (write) memory[address] <= data;
    held <= memory[address];
    product <= held * data;
  end
endmodule
"""

#: stands for yosys: writes a netlist of one register and one table that it feeds from
YOSYS = """#!{python}
import json, os
from pathlib import Path
out = Path("..")
(out / "calls").open("a").write("yosys ")
def cell(kind, src, **pins):
    directions = {{pin: "output" if pin in ("Q", "Z") else "input" for pin in pins}}
    attributes = {{"src": src}} if src else {{}}
    return {{"type": kind, "attributes": attributes, "port_directions": directions,
             "connections": {{pin: [bit] for pin, bit in pins.items()}}}}
cells = {{"r": cell("TRELLIS_FF", "pcedge_product.sv:9.1-9.2", CLK=2, DI=3, Q=4), "t": cell("LUT4", "", A=4, Z=3)}}
about = {{"module_hdlname": "pcedge_product", "module_src": "pcedge_product.sv:1.1-9.9"}}
cells["unit"] = {{"type": "$scopeinfo", "attributes": about}}
ports = {{"clk": {{"direction": "input", "bits": [2]}}, "sum": {{"direction": "output", "bits": [4]}}}}
module = {{"attributes": {{"src": "pcedge_top.sv:1.1-9.9"}}, "ports": ports, "cells": cells}}
table = json.dumps({{"modules": {{"pcedge_top": module}}}})
for name in ("netlist.json", "ports.json"):
    (out / name).write_text(table)
(out / "netlist.v").write_text("// netlist")
"""

#: stands for nextpnr: seed 2 is fastest, seed 3 fails
NEXTPNR = """#!{python}
import json, sys
from pathlib import Path
seed = int(sys.argv[sys.argv.index("--seed") + 1])
(Path("..") / "calls").open("a").write("nextpnr ")
if seed == 3:
    sys.exit("ERROR: Unable to find a placement location for cell 'r'")
end = {{"cell": "r", "delay": [1.5, 4.0], "event": "posedge clk", "port": "DI"}}
net = {{"driver": "t", "endpoints": [end], "event": "posedge clk", "net": "n", "port": "Z", "sources": ["u.sv:3.4-5"]}}
step = {{"type": "routing", "delay": 2.5, "net": "n", "sources": ["u.sv:3.4-5"],
         "from": {{"cell": "t", "port": "Z"}}, "to": {{"cell": "r", "port": "DI"}}}}
sites = {{"TRELLIS_COMB": 3, "TRELLIS_FF": 1, "DP16KD": 0, "MULT18X18D": 0}}
report = {{
    "fmax": {{"$glbnet$clk$TRELLIS_IO_IN": {{"achieved": [0, 80.5, 120.25, 0, 99.0][seed], "constraint": 100.0}}}},
    "critical_paths": [{{"from": "posedge $glbnet$clk$TRELLIS_IO_IN", "to": "posedge $glbnet$clk$TRELLIS_IO_IN",
                         "path": [step]}}],
    "utilization": {{kind: {{"used": used, "available": 24288}} for kind, used in sites.items()}},
    "detailed_net_timings": [net],
}}
Path("../report.json").write_text(json.dumps(report))
Path("../routed.config").write_text("routed with " + str(seed))
"""

PACKER = """#!{python}
import sys
from pathlib import Path
words = dict(zip(sys.argv, sys.argv[1:]))
Path(words["--bit"]).write_bytes(b"bits of " + Path(words["--input"]).read_bytes())
"""


def needs(*names: str) -> pytest.MarkDecorator:
    """Skip a test where tools are missing, and say what brings them."""
    reasons = []
    for name in names:
        try:
            open_tools.version(name)
        except MissingToolError as error:
            reasons.append(str(error))
    if "verilator" in names and not (shutil.which("make") and (shutil.which("g++") or shutil.which("clang++"))):
        reasons.append("make and g++ must be on PATH")
    return pytest.mark.skipif(bool(reasons), reason="; ".join(reasons) or "everything is there")


def stand_ins(folder: Path, monkeypatch: pytest.MonkeyPatch, **texts: str) -> Path:
    """Put stand-ins for tools into a folder that is looked in first; an underscore in a name is a dash."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {"yosys": YOSYS, "nextpnr_ecp5": NEXTPNR, "ecppack": PACKER, **texts}.items():
        path = folder / name.replace("_", "-")
        path.write_text(text.format(python=sys.executable))
        path.chmod(0o755)
    monkeypatch.setenv(open_tools.VARIABLE, str(folder))
    return folder


def rtl_project(folder: Path, **manifest: object) -> Path:
    """Write a project of RTL, with rates and memories as an exported one has them."""
    table = {
        "format": "pcedge-project", "version": 1, "kernel": "rtl", "digest": "0" * 64, "variables": 4,
        "macs": 4, "streams": 1, "lanes": 2, "table_lanes": 1,
        "golden_records": 1, "golden_bytes": 1, "steps": {"likelihood": 1, "code": 1}, "tops": ["pcedge_top"],
        "target": {"name": "ecp5-25k", "flow": "rtl", "part": "LFE5U-25F-6BG381C"},
        "jobs": {"encode": {"cycles_per_symbol": 2.5}}, "memories": {"weights": 20_000, "state": 4096},
        "bits_per_symbol": 1.25, **manifest,
    }  # fmt: skip
    image = "".join(f"{17 * i % 256:x}\n" for i in range(16))
    sizes = {"STEP": 3, "CORES": 1, "ALL_STREAMS": table["streams"], "MACS": 4, "PC_LANES": 2, "TABLE_LANES": 1}
    params = "".join(f"localparam int {name} = {value};\n" for name, value in sizes.items())
    files = {
        "rtl/pcedge_top.sv": TOP, "rtl/pcedge_product.sv": UNIT, "rtl/params.svh": params,
        "rtl/image.hex": image,
    }  # fmt: skip
    return write_plan(plan_project(table, {name: text.encode() for name, text in files.items()}), folder)
