"""Units go through yosys for ECP5 and iCE40 without a latch and without a warning, and with all their multipliers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers.units import UNITS
from strategies import make_circuit

from pcedge.errors import MissingToolError
from pcedge.export import RtlSize, write_rtl
from pcedge.export.open_target import find_open_target
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.toolchain import open_tools
from pcedge.toolchain.building import TOP, rtl_sources
from pcedge.toolchain.children import Run, finish
from pcedge.toolchain.open_flow import reading, synthesize


def has_yosys() -> bool:
    """Tell whether there is a yosys."""
    try:
        open_tools.command("yosys")
    except MissingToolError:
        return False
    return True


pytestmark = [pytest.mark.rtl, pytest.mark.skipif(not has_yosys(), reason="needs yosys (pcedge[rtl])")]

#: units, sizes that are quick, and how many multipliers ECP5 has for them
SIZES: dict[str, tuple[dict[str, int], int]] = {
    "pc_normalise": ({"LANES": 2, "WIDTH": 20, "ROWS": 3, "KEEP": 1}, 0),
    "pc_mix": ({"ROWS": 2, "COLUMNS": 4, "SUM_BITS": 28, "KEEP": 1}, 8),
    "pc_accumulate": ({"LANES": 2, "ROWS": 4, "WIDTH": 20}, 0),
    "pc_multiply": ({"LANES": 2, "KEEP": 1}, 2),
    "pc_align": ({"LANES": 2, "KEEP": 1}, 0),
    "pc_leaf": ({"LANES": 2, "TAIL_BITS": 15}, 0),
    "pc_nested": ({"LANES": 1}, 1),
    "pc_interval": ({}, 8),
    "pc_lane_encoder": ({"STREAMS": 4}, 4),
    "pc_range_decoder": ({"STREAMS": 4, "SCALE_BITS": 16}, 1),
    "pc_probe": ({}, 4),
    "pc_score": ({}, 0),
}

#: what yosys says that is of its own making: of its cells' library, and of a network without registers
NOISE = ("ABC: Warning: The network is combinational.", "Lexer warning: The SystemVerilog keyword `bit'")


@pytest.mark.parametrize("unit", SIZES)
def test_units_are_synthesised(unit: str, tmp_path: Path) -> None:
    sizes, multipliers = SIZES[unit]
    netlist = synthesize(UNITS, unit, find_open_target("ecp5-25k"), tmp_path, parameters=sizes)
    log = (tmp_path / "synthesis.log").read_text(encoding="utf-8")
    warnings = [line for line in log.splitlines() if "arning" in line and not line.startswith(NOISE)]
    assert not warnings, warnings
    latches = [line for line in log.splitlines() if re.match(r"Latch inferred", line)]
    assert not latches, latches
    assert netlist.totals["dsp"] == multipliers
    assert not any("DLATCH" in cell for cell in netlist.cells)


@pytest.mark.parametrize(
    ("unit", "sizes", "multipliers"),
    [("pc_mix", {"ROWS": 2, "COLUMNS": 4, "SUM_BITS": 28}, 8), ("pc_mix", {"ROWS": 1, "COLUMNS": 1}, 1),
     ("pc_multiply", {"LANES": 2}, 2), ("pc_nested", {"LANES": 1}, 1), ("pc_interval", {"PART_BITS": 16}, None),
     ("pc_lane_encoder", {"STREAMS": 4, "PART_BITS": 16}, None), ("pc_probe", {"PART_BITS": 16}, 4)],
)  # fmt: skip
def test_ice40(unit: str, sizes: dict[str, int], multipliers: int | None, tmp_path: Path) -> None:
    """The multipliers of iCE40 have 16 bits: PART_BITS says so. None is lost among the registers behind it."""
    netlist = synthesize(UNITS, unit, find_open_target("ice40-up5k"), tmp_path, parameters=sizes)
    log = (tmp_path / "synthesis.log").read_text(encoding="utf-8")
    assert not [line for line in log.splitlines() if "arning" in line and not line.startswith(NOISE)]
    assert netlist.totals["dsp"] == multipliers or multipliers is None


def test_no_shifter_is_shared(tmp_path: Path) -> None:
    """Where one shifter or multiplier serves several registers, yosys chains as many selectors in front of it."""
    circuit = quantize(make_circuit(1, 6, 4, 4, "random", 0.0), QuantizationConfig(8, 12, 16, "small"))
    project = write_rtl(circuit, tmp_path / "project", size=RtlSize(4, 4, 2, 1))
    lines = reading([path.name for path in rtl_sources(project)], TOP, {}, {})
    lines += ["proc", "flatten", "opt_expr", "opt_clean", "opt", "wreduce", "alumacc", "share", ""]
    script = tmp_path / "share.ys"
    script.write_text("\n".join(lines))
    log = tmp_path / "share.log"
    finish(Run("sharing", (*open_tools.command("yosys"), "-s", str(script)), project / "rtl", log))
    said = log.read_text()
    assert "SAT-based resource sharing" in said
    assert "this pair of cells can be shared" not in said
