"""Netlists that yosys writes: cells by kind, and to which unit (source file) of the design each belongs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pcedge.errors import FormatError

#: cells that take no room on a device
_FREE = ("$scopeinfo", "GND", "VCC")

#: cells by what they take on a device, by the beginning of their names; what begins with none of them is of no kind
_KINDS: dict[str, dict[str, tuple[str, ...]]] = {
    "ecp5": {"lut": ("LUT4", "CCU2C", "TRELLIS_DPR16X4"), "ff": ("TRELLIS_FF",), "dsp": ("MULT",), "bram": ("DP16KD",)},
    "ice40": {"lut": ("SB_LUT4",), "ff": ("SB_DFF",), "dsp": ("SB_MAC16",), "bram": ("SB_RAM40",)},
    "gowin": {
        "lut": ("LUT1", "LUT2", "LUT3", "LUT4", "ALU", "RAM16"), "ff": ("DFF",),
        "dsp": ("MULT",), "bram": ("SP", "SDP", "DP", "pROM"),
    },
}  # fmt: skip

#: tables of four inputs that a cell takes, where it is not one
_TABLES = {"CCU2C": 2, "TRELLIS_DPR16X4": 6, "RAM16SDP4": 4, "RAM16SDP2": 2, "RAM16SDP1": 1}


@dataclass(frozen=True)
class Netlist:
    """Hold what synthesis leaves."""

    #: what nextpnr reads
    json: Path
    #: the same in Verilog, for simulation with models of cells
    verilog: Path
    #: name of the module at the top
    top: str
    #: number of cells, by kind: LUT4, TRELLIS_FF, DP16KD, …
    cells: Mapping[str, int]
    #: `lut`, `ff`, `dsp` and `bram`, by the unit's name: the stem of its source file
    units: Mapping[str, Mapping[str, int]]
    #: the unit of every cell, by the cell's name
    unit_of: Mapping[str, str]
    #: which tool made it
    tool: str

    @property
    def totals(self) -> dict[str, int]:
        """Give `lut`, `ff`, `dsp` and `bram` of the whole, before packing."""
        total: Counter[str] = Counter(lut=0, ff=0, dsp=0, bram=0)
        for counts in self.units.values():
            total.update(counts)
        return dict(total)


def read_netlist(path: Path, top: str) -> tuple[dict[str, int], dict[str, str], dict[str, str]]:
    """Read a netlist in yosys' JSON.

    A cell belongs to the source file that yosys names for it, else to that of the instance in whose name it lies. What
    neither names, as tables of merged logic, belongs where the cells are that it drives; what drives none, to the top.

    Args:
        path: the file.
        top: the module at the top.

    Returns:
        Numbers of cells by kind; the kind and the unit of every cell that takes room, by its name.

    Raises:
        FormatError: it is no netlist of the top.
    """
    try:
        module = json.loads(path.read_bytes())["modules"][top]
        cells: dict[str, Any] = {name: cell for name, cell in module["cells"].items()}
        kinds = {name: str(cell["type"]) for name, cell in cells.items() if cell["type"] not in _FREE}
        scopes = {
            name: _stem(str(cell["attributes"]["module_src"])) for name, cell in cells.items()
            if cell["type"] == "$scopeinfo" and "module_src" in cell["attributes"]
        }  # fmt: skip
        known = {name: _named(name, cells[name], scopes) for name in kinds}
        units = _spread(cells, known, _stem(str(module["attributes"].get("src", top))))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError("netlist", f"{path} must be a netlist of {top} as yosys writes it ({error!r})") from error
    return dict(sorted(Counter(kinds.values()).items())), kinds, units


def amounts(family: str, kinds: Mapping[str, str], units: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Count `lut`, `ff`, `dsp` and `bram` by unit."""
    counts: dict[str, dict[str, int]] = {}
    for name, kind in kinds.items():
        count = counts.setdefault(units[name], {"lut": 0, "ff": 0, "dsp": 0, "bram": 0})
        for resource, beginnings in _KINDS[family].items():
            if kind.startswith(beginnings):
                count[resource] += _TABLES.get(kind, 1) if resource == "lut" else 1
    return dict(sorted(counts.items()))


def read_ports(path: Path, top: str) -> dict[str, tuple[str, int]]:
    """Read the ports of a module in yosys' JSON: `input`, `output` or `inout`, and the number of bits, by name.

    Raises:
        FormatError: it does not hold the module.
    """
    try:
        ports = json.loads(path.read_bytes())["modules"][top]["ports"]
        return {str(name): (str(port["direction"]), len(port["bits"])) for name, port in ports.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError("netlist", f"{path} must hold {top} as yosys writes it ({error!r})") from error


def _named(name: str, cell: Mapping[str, Any], scopes: Mapping[str, str]) -> str | None:
    """Give the unit that yosys names for a cell."""
    for place in str(cell["attributes"].get("src", "")).split("|"):
        if place and "/" not in place and "\\" not in place:  # others are of yosys' own maps of cells
            return _stem(place)
    while "." in name:
        name = name.rpartition(".")[0]
        if name in scopes:
            return scopes[name]
    return None


def _spread(cells: Mapping[str, Any], known: Mapping[str, str | None], top: str) -> dict[str, str]:
    """Give every cell a unit: those without one that of the first cell that they drive and that has one."""
    drivers: dict[Any, str] = {}
    for name in known:
        for port, bits in cells[name]["connections"].items():
            if cells[name]["port_directions"].get(port) == "output":
                drivers.update({bit: name for bit in bits})
    units = {name: unit for name, unit in known.items() if unit is not None}
    front = sorted(units)
    while front:
        reached = []
        for name in front:
            for port, bits in cells[name]["connections"].items():
                if cells[name]["port_directions"].get(port) != "input":
                    continue
                for driver in (drivers.get(bit) for bit in bits):
                    if driver is not None and driver not in units:
                        units[driver] = units[name]
                        reached.append(driver)
        front = reached
    return {name: units.get(name, top) for name in known}


def _stem(place: str) -> str:
    """Give the name of a source file, without folder and ending, of a place in it."""
    return Path(place.split("|")[0].split(":")[0]).stem
