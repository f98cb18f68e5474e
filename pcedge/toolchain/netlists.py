"""Netlists that yosys writes: cells by kind, and to which unit (source file) of the design each belongs."""

from __future__ import annotations

import json
import re
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

#: scopes of an engine that are no units: a core's, whose units are those of all cores, and those of what cores share
_AROUND = re.compile(r"^(g_core\[\d+\]\.core|g_memory\[\d+\]\.g_(one|two))(\.|$)")


def inside(path: str) -> str:
    """Give the path of an instance in an engine without the scopes of its cores and of what these share."""
    return _AROUND.sub("", path)


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
    #: `lut`, `ff`, `dsp` and `bram`, by the unit's name: see `read_netlist`
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


@dataclass(frozen=True)
class _Scopes:
    """Hold the instances of a design by their paths, and which of them are its units."""

    #: module and source of each instance by its path; the top's is empty
    modules: Mapping[str, tuple[str, str]]
    #: path of the instance whose own instances are the units
    base: str

    def unit(self, path: str) -> str:
        """Name the unit that an instance belongs to."""
        below = path.removeprefix(self.base).removeprefix(".") if path.startswith(self.base) else ""
        return inside(below).split(".")[0] or self.modules[path][0]

    def of_source(self, source: str) -> str | None:
        """Name the one unit that has modules of a source; None where several have, or none."""
        units = {self.unit(path) for path, (_, file) in self.modules.items() if file == source}
        return units.pop() if len(units) == 1 else None


def read_netlist(path: Path, top: str) -> tuple[dict[str, int], dict[str, str], dict[str, str]]:
    """Read a netlist in yosys' JSON.

    Units are the instances of the first module that has several, by their names, and the modules above and that one
    itself, by theirs. A cell belongs where its name says, else to the unit whose source yosys names for it, where that
    is one. What neither tells, as of merged logic, belongs where the cells are that it drives; what drives none, to the
    top.

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
        scopes = _scopes(cells, top, _stem(str(module["attributes"].get("src", top))))
        known = {name: _named(name, cells[name], scopes) for name in kinds}
        units = _spread(cells, known, top)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError("netlist", f"{path} must be a netlist of {top} as yosys writes it ({error!r})") from error
    return dict(sorted(Counter(kinds.values()).items())), kinds, units


def _scopes(cells: Mapping[str, Any], top: str, source: str) -> _Scopes:
    """Read the instances that yosys leaves notes of, and go down from the top while there is only one."""
    modules = {"": (top, source)}
    for name, cell in cells.items():
        if cell["type"] == "$scopeinfo" and "module_hdlname" in cell["attributes"]:
            about = cell["attributes"]
            modules[name] = str(about["module_hdlname"]), _stem(str(about.get("module_src", "")))
    base = ""
    while True:
        start = f"{base}." if base else ""
        below = [name for name in modules if name and name.startswith(start)]
        inner = [name for name in below if "." not in inside(name.removeprefix(start))]
        if len(inner) != 1:
            return _Scopes(modules, base)
        base = inner[0]


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


def _named(name: str, cell: Mapping[str, Any], scopes: _Scopes) -> str | None:
    """Give the unit that a cell's name or its source tells."""
    places = str(cell["attributes"].get("src", "")).split("|")
    own = [
        _stem(place) for place in places if place and "/" not in place and "\\" not in place
    ]  # others are yosys' maps
    if scopes.modules[""][1] in own:  # a register behind a port of the top may have a name from within
        return scopes.unit("")
    path = name
    while "." in path:
        path = path.rpartition(".")[0]
        if path in scopes.modules:
            return scopes.unit(path)
    return next(filter(None, map(scopes.of_source, own)), None)


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
