"""Sizes of an engine and parameters of units have different names: yosys does not let one hide the other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from helpers.open_tools import needs
from helpers.paths import ROOT
from strategies import make_circuit

from pcedge.export import RtlSize, write_rtl
from pcedge.export.rtl.serial.project import write_serial
from pcedge.quantize import QuantizationConfig, quantize
from pcedge.toolchain.building import rtl_sources
from pcedge.toolchain.open_flow import ports_of

_COMMENT = re.compile(r"//[^\n]*")
_NAME = re.compile(r"\b(?:parameter|localparam)\b[^=;]*?(\w+)\s*=")

CIRCUIT = quantize(make_circuit(3, 4, 2, 3, "hidden"), QuantizationConfig(6, 10, 12, "small"))


def constants(path: Path) -> set[str]:
    """Give the names of parameters and constants in a file."""
    return set(_NAME.findall(_COMMENT.sub("", path.read_text(encoding="utf-8"))))


def write(kind: str, folder: Path) -> Path:
    """Write a project of one of the engines."""
    if kind == "serial":
        return write_serial(
            quantize(make_circuit(3, 4, 2, 3, "random"), QuantizationConfig(6, 10, 12, tails=False)), folder
        )
    return write_rtl(CIRCUIT, folder, size=RtlSize(4, 4, 2, 2), reload=kind == "reloadable")


@pytest.mark.parametrize("kind", ["baked", "reloadable", "serial"])
def test_no_unit_has_a_parameter_of_the_name_of_a_size(kind: str, tmp_path: Path) -> None:
    room = write(kind, tmp_path / "project") / "rtl"
    sizes = constants(room / "params.svh") | constants(room / "pc_types.svh")
    assert {"STEP_BITS", "PC_STREAMS", "PC_STATE_BITS"} & sizes and len(sizes) > 40
    # also of units that this project leaves out
    others = () if kind == "serial" else ("sources", "bridge", "stage/sources")
    rooms = [room, *(ROOT / "export/rtl" / name for name in others)]
    units = {path for each in rooms for path in each.glob("*.sv")}
    shared = {path.name: found for path in sorted(units) if (found := constants(path) & sizes)}
    assert not shared


@pytest.mark.rtl
@needs("yosys")
def test_an_instance_has_the_parameters_that_it_is_given(tmp_path: Path) -> None:
    """The memory of the rows of all streams has an address for each, where the rows of one stream are a size too."""
    project = write("baked", tmp_path / "project")
    sources = rtl_sources(project)
    found = ports_of(sources, "pc_row_memory", tmp_path / "ports", parameters={"ROWS": 1000, "ROW_BITS": 40})
    assert {name: found[name][1] for name in ("write_row", "read_0", "read_1", "data_0")} == {
        "write_row": 10, "read_0": 10, "read_1": 10, "data_0": 40,
    }  # fmt: skip
