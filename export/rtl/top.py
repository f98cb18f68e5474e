"""The top of a project, with named ports for every stream, and what its info registers say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from pcedge.drivers.contract import DIGEST_WORDS, ENGINE_VERSION, INFO_NAMES, INFO_WORDS, MAGIC
from pcedge.export.rtl.lowering import RtlImage

#: the module at the top
TOP = "pcedge_top"

#: where the source of a hardened project's top is left, which reads no other file (docs/hardening.md)
HARDENED_TOP = f"build/hardened/{TOP}/{TOP}.v"

#: memories of an image
SECTIONS = 8

#: ports of AXI4-Lite: direction, bits, name
LITE = (
    ("input", 10, "awaddr"), ("input", 3, "awprot"), ("input", 1, "awvalid"), ("output", 1, "awready"),
    ("input", 32, "wdata"), ("input", 4, "wstrb"), ("input", 1, "wvalid"), ("output", 1, "wready"),
    ("output", 2, "bresp"), ("output", 1, "bvalid"), ("input", 1, "bready"), ("input", 10, "araddr"),
    ("input", 3, "arprot"), ("input", 1, "arvalid"), ("output", 1, "arready"), ("output", 32, "rdata"),
    ("output", 2, "rresp"), ("output", 1, "rvalid"), ("input", 1, "rready"),
)  # fmt: skip

#: ports of a stream, as its receiver sees them
_STREAM = (("input", 32, "tdata"), ("input", 4, "tkeep"), ("input", 1, "tlast"), ("input", 1, "tvalid"),
           ("output", 1, "tready"))  # fmt: skip


def info_words(image: RtlImage, sizes: Mapping[str, int] | None = None) -> NDArray[np.uint32]:
    """Give what the info registers say (docs/registers.md); of a reloadable engine, whose sizes these are, its room."""
    circuit, widths = image.circuit, image.circuit.widths.as_dict()
    known = {
        "magic": MAGIC, "version": ENGINE_VERSION, "streams": image.size.streams, "macs": image.size.macs,
        "search_bits": 1, "tile_columns": image.size.lanes, "variables": len(circuit.order),
        "state_words": image.rows * image.size.lanes, "exponent_slots": image.slots,
        "max_units": image.most_rows * image.size.lanes, "record": len(circuit.order),
        "likelihood_steps": image.counts[0], "code_steps": image.counts[1],
        **{name: widths[name] for name in INFO_NAMES if name in widths},
    }  # fmt: skip
    if sizes is not None:
        names = {"weight_bits": "WEIGHT_BITS", "cardinality": "SYMBOLS", "variables": "VARIABLES",
                 "exponent_slots": "SLOTS"}  # fmt: skip
        known |= {name: sizes[size] for name, size in names.items()} | {
            "reload": 1, "state_words": sizes["ROWS"] * image.size.lanes, "sections": SECTIONS,
            "max_units": sizes["MOST_ROWS"] * image.size.lanes,
        }  # fmt: skip
    words = np.zeros(INFO_WORDS, dtype="<u4")
    words[: len(INFO_NAMES)] = [known.get(name, 0) for name in INFO_NAMES]
    words[-DIGEST_WORDS:] = np.frombuffer(circuit.digest, dtype="<u4")
    return words


def top_code(streams: int) -> str:
    """Write `pcedge_top.sv`: AXI4-Lite `s_axi`, and of stream k the AXI4-Streams `s_axis_k` and `m_axis_k`."""
    return "\n".join([*_lines(streams), ""])


def _lines(streams: int) -> Iterator[str]:
    yield "// pcedge_top: the engine, a named port a stream. Generated."
    yield f"module {TOP} ("
    yield "    input  logic        clk,"
    yield "    input  logic        rst,"
    for direction, bits, name in LITE:
        yield f"    {direction:6} logic {_range(bits):6} s_axi_{name},"
    for stream in range(streams):
        for direction, bits, name in _STREAM:
            yield f"    {direction:6} logic {_range(bits):6} s_axis_{stream}_{name},"
        for direction, bits, name in _STREAM:
            turned = "output" if direction == "input" else "input"
            yield f"    {turned:6} logic {_range(bits):6} m_axis_{stream}_{name},"
    yield "    output logic        irq"
    yield ");"
    yield "  pc_axi axi ("
    yield "      .clk(clk), .rst(rst), .irq(irq),"
    for _, _, name in LITE:
        if not name.endswith("prot"):
            yield f"      .s_axi_{name}(s_axi_{name}),"
    sides = [f"{side}_axis_{name}" for side in "sm" for name in ("tdata", "tlast", "tvalid", "tready")]
    for place, name in enumerate(sides):
        side, _, port = name.split("_")
        each = ", ".join(f"{side}_axis_{stream}_{port}" for stream in reversed(range(streams)))
        yield f"      .{name}({{{each}}})" + ("," if place + 1 < len(sides) else "")
    yield "  );"
    for stream in range(streams):
        yield f"  assign m_axis_{stream}_tkeep = 4'hf;"
    yield "endmodule"


def _range(bits: int) -> str:
    return f"[{bits - 1}:0]" if bits > 1 else ""
