"""The rung `netlist`: what synthesis makes of the engine, for each family of devices, against the reference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pcedge.arrays import IntArray
from pcedge.engines.reference import ReferenceEngine
from pcedge.errors import UsageError
from pcedge.simulate.netlist import NetlistProject, exercised
from pcedge.toolchain.building import check_fit
from pcedge.toolchain.netlists import Netlist
from pcedge.verify.comparison import Comparison, compare_device


def compare_netlists(
    engine: ReferenceEngine, folder: Path, records: IntArray, say: Callable[[str], None]
) -> tuple[list[Comparison], list[tuple[str, str]], dict[str, Any]]:
    """Compare the netlists of a project's engine, for ECP5, and for iCE40 where it fits the UP5K.

    Args:
        engine: the reference.
        folder: a project of RTL, of the same circuit.
        records: those that are compared.
        say: told what is being done.

    Returns:
        The comparisons; families that were skipped, and why; and by family the number of cells of each kind and mode,
        all of which the jobs went through.
    """
    compared, cells = list[Comparison](), dict[str, Any]()
    skipped: list[tuple[str, str]] = []
    for family in ("ecp5", "ice40"):
        project = NetlistProject(folder, family)
        # a netlist for one family says much of that for the other, and takes minutes of a large engine
        if family == "ice40" and (reason := _beyond(NetlistProject(folder, "ecp5").synthesize(), project)):
            skipped.append((f"netlist, {family}", reason))
            continue
        say(f"netlist: synthesis for {family}")
        netlist = project.synthesize()
        if family == "ice40":
            try:
                check_fit(netlist, project.target)
            except UsageError as error:
                skipped.append((f"netlist, {family}", str(error)))
                continue
        say(f"netlist: compiling {sum(netlist.cells.values())} cells of {family}")
        project.compile()
        say(f"netlist: running all jobs on cells of {family}")
        with project.device() as device:
            found = compare_device("netlist", engine, device, records)
        compared += [
            Comparison(one.rung, f"{family}: {one.output}", one.vectors, one.mismatches, one.first) for one in found
        ]
        cells[family] = exercised(netlist)
    return compared, skipped, cells


def _beyond(netlist: Netlist, project: NetlistProject) -> str | None:
    """Tell what another family's netlist has more of than a device, where that is far more than families differ by."""
    held = project.target.resources
    there = {"lut": held.lut, "ff": held.ff, "dsp": held.dsp}
    for name, count in there.items():
        if netlist.totals[name] > 1.5 * count:
            return (
                f"{project.target.name} has {count} {name.upper()}, the netlist for ECP5 {netlist.totals[name]}: it "
                "was not made for it"
            )
    return None
