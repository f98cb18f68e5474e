"""Simulation of what synthesis makes of a project's engine: the netlist, its cells and their models, in Verilator."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pcedge.drivers.device import Device
from pcedge.errors import FormatError
from pcedge.export.open_target import OpenTarget, find_open_target
from pcedge.export.project.manifest import RTL, Manifest, read_manifest
from pcedge.export.rtl.testbench_files import ENGINE_BENCH
from pcedge.simulate.board import Board
from pcedge.simulate.rtl import ENGINE, RtlProject, engine_sources, opened
from pcedge.toolchain import cells
from pcedge.toolchain.building import bench_of
from pcedge.toolchain.hardening import hardened
from pcedge.toolchain.netlists import Netlist
from pcedge.toolchain.open_flow import synthesize
from pcedge.toolchain.verilator import build

#: the device that a family's netlist is made for; the netlist is the same for larger ones
DEVICES = {"ecp5": "ecp5-25k", "ice40": "ice40-up5k"}

#: compiling takes far longer than running, and -O1 ten times as long as -O0
_OPTIMISE = "-O0"

#: seconds that a job may take: a netlist runs a hundred times slower than its source
_JOB_SECONDS = 7200.0

#: parameters that hold contents of memories, and say no mode
_CONTENTS = ("INIT", "WID")


@dataclass(frozen=True)
class NetlistProject:
    """Run the netlist of a project's engine; it is made again when its sources or a tool have changed."""

    folder: Path
    #: one of `DEVICES`
    family: str = "ecp5"
    #: of the C++ compiler
    optimise: str = _OPTIMISE

    @property
    def manifest(self) -> Manifest:
        """Read the project's manifest.

        Raises:
            FormatError: the directory is no project of an engine in SystemVerilog, or its manifest is damaged.
        """
        return read_manifest(self.folder, RTL)

    @property
    def target(self) -> OpenTarget:
        """Give the device that the netlist is for."""
        return find_open_target(DEVICES[self.family])

    @property
    def _work(self) -> Path:
        return self.folder / "build" / f"netlist-{self.family}"

    def synthesize(self) -> Netlist:
        """Make the netlist where it is not there.

        Raises:
            FormatError: the directory is no project of this kind.
            MissingToolError: yosys is missing.
            ToolError: it failed; its text is in the message.
        """
        _ = self.manifest
        sources = hardened(self.folder, engine_sources(self.folder), ENGINE)
        return synthesize(sources, ENGINE, self.target, self._work)

    def compile(self) -> Path:
        """Compile the netlist with the models of its cells; give the executable.

        Raises:
            FormatError: as `synthesize`.
            MissingToolError: yosys, Verilator, make or a C++ compiler is missing.
            ToolError: one of them failed; its text is in the message.
        """
        sources = cells.netlist_sources(self.synthesize(), self.family)
        harness = bench_of(self.folder, ENGINE_BENCH)
        return build(sources, ENGINE, harness, self._work / "simulator", flags=cells.FLAGS, optimise=self.optimise)

    @contextmanager
    def device(self) -> Iterator[Device]:
        """Open the engine as a device, with its circuit loaded; the errors are those of `compile`."""
        executable = self.compile()
        board = Board(executable, self.manifest.table["streams"], None, executable.parent)
        try:
            device = opened(self.folder, self.manifest, board, _JOB_SECONDS)
            if self.manifest.reload:
                device.load(RtlProject(self.folder).image())
            yield device
        finally:
            board.close()


def exercised(netlist: Netlist) -> dict[str, int]:
    """Count the cells of a netlist by kind, memories and multipliers by their modes too.

    Raises:
        FormatError: the file is no netlist.
    """
    try:
        found = json.loads(netlist.json.read_bytes())["modules"][netlist.top]["cells"].values()
        kinds = Counter(_described(str(cell["type"]), cell.get("parameters", {})) for cell in found)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError("netlist", f"{netlist.json} must be what yosys writes ({error!r})") from error
    return {kind: kinds[kind] for kind in sorted(kinds) if not kind.startswith("$")}


def _described(kind: str, parameters: Mapping[str, Any]) -> str:
    """Name a cell with its mode: what its parameters are where they are neither 0 nor off."""
    if not kind.startswith(("DP16KD", "MULT", "ALU54", "SB_RAM40", "SB_MAC16", "SB_SPRAM")):
        return kind
    said = []
    for name, value in sorted(parameters.items()):
        text = str(value).strip()
        number = int(text, 2) if text and set(text) <= {"0", "1"} else text
        if not name.startswith(_CONTENTS) and number not in (0, "", "NONE", "NOREG", "NORMAL", "DISABLED", "0b000"):
            said.append(f"{name} {number}")
    return f"{kind} ({', '.join(said)})" if said else kind
