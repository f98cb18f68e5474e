"""The testbenches of an engine in SystemVerilog as the files of a project: C++ around Verilator, and their header."""

from __future__ import annotations

from importlib.resources import files

#: what the testbenches of engines include
PORTS = "testbench/ports.hpp"

#: an engine behind simulated registers and streams; and against its golden vectors, behind those of pc_axi
ENGINE_BENCH, GOLDEN_BENCH = "testbench/engine.cpp", "testbench/golden.cpp"


def bench_files(*names: str) -> dict[str, bytes]:
    """Give testbenches, and the header that they include, by their names in a project."""
    room = files("pcedge.export.rtl")
    return {name: room.joinpath(*name.split("/")).read_bytes() for name in (*names, PORTS)}
