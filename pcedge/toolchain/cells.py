"""Models of cells for simulating netlists: ours of block RAM and multipliers, yosys' own of all others."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from pcedge.errors import UsageError
from pcedge.toolchain.netlists import Netlist
from pcedge.toolchain.open_tools import yosys_share

#: yosys' models, by family, below its folder of them. ECP5's are in two headers: what joins them has memories too
_YOSYS = {"ecp5": ("lattice/common_sim.vh", "lattice/ccu2c_sim.vh"), "ice40": ("ice40/cells_sim.v",)}

#: flags of `verilator.build` for a netlist: the first module of a name counts, which is ours
FLAGS = ("-Wno-lint", "-Wno-fatal", "-Wno-MODDUP", "-Wno-SPECIFYIGN", "-DNO_ICE40_DEFAULT_ASSIGNMENTS")


def netlist_sources(netlist: Netlist, family: str) -> list[Path]:
    """List what `verilator.build` takes to simulate a netlist, with the flags `FLAGS`.

    Args:
        netlist: of `open_flow.synthesize`.
        family: the device's.

    Raises:
        UsageError: there are no models of the family.
        MissingToolError: yosys, which brings models too, is missing.
    """
    if family not in _YOSYS:
        raise UsageError(f"netlists that can be simulated must be of {' or '.join(_YOSYS)}, got {family}")
    ours = Path(str(files("pcedge.export.rtl").joinpath("cells", f"{family}.v")))
    share = yosys_share()
    return [netlist.verilog, ours, *(share / name for name in _YOSYS[family])]
