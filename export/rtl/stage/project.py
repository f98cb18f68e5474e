"""The part of an RTL project that is its circuit's predictor stage: sources, tables, testbench, golden rows."""

from __future__ import annotations

import re
from importlib.resources import files

from numpy.typing import ArrayLike

from pcedge.export.project.prediction import StagePlan, golden_stage
from pcedge.export.rtl.stage.tables import stage_tables
from pcedge.integer.circuit import IntegerCircuit

#: the stage's module, behind registers and streams
STAGE_TOP = "pcedge_stage"

#: its header and its testbench, in a project
STAGE_HEADER, STAGE_BENCH = "rtl/stage.svh", "testbench/stage.cpp"

_INSTANCE = re.compile(r"^ *(pc_\w+) (?:#|\w+ \()", re.MULTILINE)


def plan_rtl_stage(circuit: IntegerCircuit, rows: ArrayLike | None = None) -> StagePlan | None:
    """Make the stage's part of a project in SystemVerilog; None where the circuit has no stage.

    Args:
        circuit: the circuit.
        rows: data for the golden vectors, (rows, …); None draws some within the ranges of the columns.

    Raises:
        UsageError: rows of a circuit without a stage.
        DataError: the rows do not fit, or there are none.
    """
    golden = golden_stage(circuit, rows)
    if golden is None:
        return None
    tables = stage_tables(circuit)
    contents = {
        **{f"rtl/{name}": text.encode() for name, text in stage_sources().items()},
        STAGE_HEADER: tables.header().encode(),
        **{f"rtl/{name}": text.encode() for name, text in tables.images().items()},
        STAGE_BENCH: files("pcedge.export.rtl").joinpath("testbench", "stage.cpp").read_bytes(),
    }
    said = {"top": STAGE_TOP, "memory_bits": tables.memory_bits}
    return StagePlan(contents | golden.contents, {"stage": golden.manifest | said})


def stage_sources() -> dict[str, str]:
    """Give the sources that the stage is made of, by the files' names; some are the engine's too."""
    rooms = (files("pcedge.export.rtl.stage").joinpath("sources"), files("pcedge.export.rtl").joinpath("sources"))
    every = {source.name: source for room in rooms for source in room.iterdir() if source.name.endswith(".sv")}
    found: dict[str, str] = {}
    left = [f"{STAGE_TOP}.sv"]
    while left:
        name = left.pop()
        if name in every and name not in found:
            found[name] = every[name].read_text("utf-8")
            left += [f"{word}.sv" for word in _INSTANCE.findall(found[name])]
    return {name: found[name] for name in sorted(found)}
