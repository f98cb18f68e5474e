"""What a board adds to a project's sources: its top and the bridge (docs/board.md)."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from pcedge.export.rtl.board import BOARD_TOP, bridge_sources
from pcedge.files import write_whole


def write_bridge(top: str, folder: Path) -> tuple[list[Path], Path]:
    """Write a board's top and the bridge into a folder.

    Args:
        top: SystemVerilog of `pcedge_board`.
        folder: takes the files.

    Returns:
        The sources, and the testbench for a simulation.
    """
    folder.mkdir(parents=True, exist_ok=True)
    contents = {f"{BOARD_TOP}.sv": top.encode(), **bridge_sources()}
    for name, data in contents.items():
        write_whole(folder / name, data)
    harness = folder / "board.cpp"
    write_whole(harness, files("pcedge.export.rtl").joinpath("bridge", harness.name).read_bytes())
    return [folder / name for name in contents], harness
