"""Print the cycles a symbol, and the block RAM of an ECP5, of engines in SystemVerilog of several sizes, by the models.

    python benchmarks/rtl_cycles.py
    python benchmarks/rtl_cycles.py mnist-850:64x20x16x4

A size is macs x streams x lanes x table lanes. Of every job the smallest build that has it is counted; of one build,
area too, with `pcedge estimate m.onnx --target rtl --macs 64 --streams 14 --jobs encode`, `--lanes`, `--table-lanes`.
"""

from __future__ import annotations

import sys

from pcedge.export import RtlSize, load_zoo
from pcedge.export.rtl.cycles import cycles_per_symbol
from pcedge.export.rtl.lowering import lower_rtl
from pcedge.export.rtl.memories import engine_memories, mapped
from pcedge.export.rtl.params import sizes_of

#: circuits and sizes that are printed where none is named
SIZES = (
    "digits:16x8x4x2", "mnist-16:16x8x4x2", "mnist-16:64x10x16x2", "mnist-16:64x16x16x2", "mnist-850:16x8x4x2",
    "mnist-850:64x14x16x4", "mnist-850:64x24x16x4", "mnist-850:64x24x16x8",
)  # fmt: skip

#: builds: their jobs
BUILDS = (("encode",), ("decode",), ("likelihood", "encode"))


def row_of(name: str, size: RtlSize) -> list[str]:
    """Give a row: cycles a symbol of likelihood, encode and decode, and block RAMs of an encoder and a decoder."""
    circuit = load_zoo(name)
    cycles: dict[str, float] = {}
    blocks = []
    for jobs in BUILDS:
        image = lower_rtl(circuit, size, jobs=jobs)
        # each job's cycles are those of the smallest build that has it
        cycles = cycles_per_symbol(image) | cycles
        blocks.append(sum(mapped(memory, "ecp5").bram for memory in engine_memories(sizes_of(image))))
    rates = [f"{cycles[job]:.1f}" for job in ("likelihood", "encode", "decode")]
    return [name, f"{size.macs} × {size.streams}, {size.lanes}, {size.table_lanes}", *rates, *map(str, blocks[:2])]


def main(names: list[str]) -> None:
    """Print a table in Markdown."""
    print("| circuit | macs × streams, lanes, table lanes | likelihood | encode | decode | DP16KD, encode | decode |")
    print("|---|---|---|---|---|---|---|")
    for each in names:
        name, size = each.split(":")
        print("| " + " | ".join(row_of(name, RtlSize(*map(int, size.split("x"))))) + " |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or list(SIZES))
