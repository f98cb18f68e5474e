"""The rung netlist: what synthesis makes of an engine is the reference, and what is said of its cells."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest
from helpers.nightly import WAITS
from helpers.open_tools import needs
from strategies import make_circuit

from pcedge.engines import ReferenceEngine
from pcedge.errors import FormatError, MissingToolError
from pcedge.export import RtlSize, write_rtl
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.simulate.netlist import NetlistProject, exercised
from pcedge.toolchain import cells, open_tools
from pcedge.toolchain.netlists import Netlist
from pcedge.verify import verify
from pcedge.verify.netlist import _beyond

CIRCUIT = quantize(make_circuit(3, 4, 2, 3, "hidden"), QuantizationConfig(6, 10, 12, "small"))


def netlist(folder: Path, cells: dict[str, object], **totals: int) -> Netlist:
    """Write a netlist of some cells."""
    path = folder / "netlist.json"
    path.write_text(json.dumps({"modules": {"pc_engine": {"cells": cells}}}))
    return Netlist(
        path, path, "pc_engine", {}, {"unit": {"lut": 0, "ff": 0, "dsp": 0, "bram": 0} | totals}, {}, "yosys"
    )


def test_cells_and_their_modes_are_counted(tmp_path: Path) -> None:
    memory = {"DATA_WIDTH_A": f"{18:032b}", "DATA_WIDTH_B": f"{9:032b}", "REGMODE_A": "NOREG", "INITVAL_00": "1" * 320}
    given = {
        "a": {"type": "DP16KD", "parameters": memory}, "b": {"type": "DP16KD", "parameters": memory | {"WID": "1"}},
        "c": {"type": "LUT4", "parameters": {"INIT": "01"}}, "d": {"type": "$scopeinfo"},
        "e": {"type": "MULT18X18D", "parameters": {"REG_INPUTA_CLK": "NONE"}},
    }  # fmt: skip
    assert exercised(netlist(tmp_path, given)) == {
        "DP16KD (DATA_WIDTH_A 18, DATA_WIDTH_B 9)": 2, "LUT4": 1, "MULT18X18D": 1,
    }  # fmt: skip
    (tmp_path / "netlist.json").write_text("{}")
    with pytest.raises(FormatError, match=r"^netlist: .*netlist\.json must be what yosys writes"):
        exercised(Netlist(tmp_path / "netlist.json", tmp_path, "pc_engine", {}, {}, {}, "yosys"))


def test_what_is_far_beyond_a_device_is_not_made_for_it(tmp_path: Path) -> None:
    project = NetlistProject(tmp_path, "ice40")
    assert _beyond(netlist(tmp_path, {}, lut=7920, dsp=12), project) is None
    said = "ice40-up5k has 8 DSP, the netlist for ECP5 13: it was not made for it"
    assert _beyond(netlist(tmp_path, {}, lut=7920, dsp=13), project) == said


@pytest.mark.rtl
@needs("verilator")
def test_without_yosys_it_says_what_brings_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = NetlistProject(write_rtl(CIRCUIT, tmp_path / "project", size=RtlSize(1, 1, 1, 1)))
    missing = open_tools.OpenTool("yosys", "yosys", "no_such_module", "", "synthesis")
    monkeypatch.setitem(open_tools.TOOLS, "yosys", missing)
    with pytest.raises(MissingToolError, match=r"^synthesis needs yosys: pip install 'pcedge\[rtl\]' brings it"):
        project.compile()


@WAITS
@pytest.mark.rtl
@needs("yosys", "verilator")
def test_the_netlist_is_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Synthesis and compilation of a small engine take a minute, of which C++ takes half; it has several streams."""
    monkeypatch.delenv("PCEDGE_CXX", raising=False)
    folder = write_rtl(CIRCUIT, tmp_path / "project", size=RtlSize(1, 4, 1, 1))
    report = verify(CIRCUIT, ReferenceEngine(CIRCUIT).sample(20), ["netlist"], project=folder)
    assert report.mismatches == 0
    assert [one.output for one in report.comparisons if one.output.startswith("ecp5: ")][:2] == [
        "ecp5: likelihood", "ecp5: likelihood, partial evidence",
    ]  # fmt: skip
    assert len(report.comparisons) >= 5 and all(one.vectors for one in report.comparisons)
    assert {kind.split()[0] for kind in report.cells["ecp5"]} >= {"LUT4", "TRELLIS_FF", "MULT18X18D", "DP16KD"}
    # a multiplier that gives one more: every job is another
    right = Path(str(files("pcedge.export.rtl").joinpath("cells/ecp5.v"))).read_text()
    wrong = tmp_path / "ecp5.v"
    wrong.write_text(right.replace("$signed({SIGNEDB & b[17], b});", "$signed({SIGNEDB & b[17], b}) + 37'sd1;"))
    assert wrong.read_text() != right
    sources = cells.netlist_sources

    def broken(netlist: Netlist, family: str) -> list[Path]:
        return [wrong if path.name == wrong.name else path for path in sources(netlist, family)]

    monkeypatch.setattr(cells, "netlist_sources", broken)
    assert verify(CIRCUIT, ReferenceEngine(CIRCUIT).sample(20), ["netlist"], project=folder).mismatches > 20
