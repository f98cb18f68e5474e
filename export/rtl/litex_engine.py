"""The engine of a project as a module of LiteX, whose package this module needs (pcedge[ip]); see docs/rtl-flow.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from litex.gen import ClockSignal, Instance, LiteXModule, ResetSignal
from litex.soc.interconnect import axi, stream
from litex.soc.interconnect.csr_eventmanager import EventManager, EventSourceLevel

from pcedge.errors import FormatError
from pcedge.export.project.manifest import RTL, read_manifest
from pcedge.export.rtl.top import HARDENED_TOP, LITE, TOP

#: bytes of the registers (docs/registers.md)
REGION_BYTES = 0x400


class LitexEngine(LiteXModule):  # type: ignore[misc]
    """Put the engine of a project into a SoC.

    Attributes:
        bus: AXI4-Lite, a slave of the SoC with a region of `REGION_BYTES`.
        sinks: a stream's packets into the engine, 32 bits, `last` at a packet's end.
        sources: a stream's packets out of it.
        ev: the event `done`, high until the control register is read.
    """

    def __init__(self, platform: Any, folder: Path) -> None:
        """Add the sources of a project to a platform, and make the module.

        `$readmemh` opens images where a tool runs: copy `rtl/*.hex` of the project there.

        Args:
            platform: of LiteX.
            folder: the project.

        Raises:
            FormatError: the directory is no project of an engine in SystemVerilog, or a hardened one's source is not
                made yet.
        """
        manifest = read_manifest(folder, RTL)
        self.bus = axi.AXILiteInterface(data_width=32, address_width=32)
        streams = range(int(manifest.table["streams"]))
        self.sinks = [stream.Endpoint([("data", 32)]) for _ in streams]
        self.sources = [stream.Endpoint([("data", 32)]) for _ in streams]
        self.ev = EventManager()
        self.ev.done = EventSourceLevel()
        self.ev.finalize()
        joined: dict[str, Any] = {
            "i_clk": ClockSignal("sys"), "i_rst": ResetSignal("sys"), "o_irq": self.ev.done.trigger
        }  # fmt: skip
        for direction, bits, name in LITE:
            channel = name[:2] if name[:2] in ("aw", "ar") else name[0]
            wire = getattr(getattr(self.bus, channel), name.removeprefix(channel))
            port = f"{direction[0]}_s_axi_{name}"
            joined[port] = wire[:bits] if name.endswith("addr") else 0 if name.endswith("prot") else wire
        for number, (sink, source) in enumerate(zip(self.sinks, self.sources, strict=True)):
            into, out = f"s_axis_{number}", f"m_axis_{number}"
            joined |= {
                f"i_{into}_tdata": sink.data, f"i_{into}_tkeep": 0xF, f"i_{into}_tlast": sink.last,
                f"i_{into}_tvalid": sink.valid, f"o_{into}_tready": sink.ready,
                f"o_{out}_tdata": source.data, f"o_{out}_tlast": source.last, f"o_{out}_tvalid": source.valid,
                f"i_{out}_tready": source.ready,
            }  # fmt: skip
        self.specials += Instance(TOP, **joined)
        if manifest.table.get("harden", "none") != "none":
            if not (folder / HARDENED_TOP).is_file():
                raise FormatError("project-sources", f"{folder / HARDENED_TOP} must be there: export the project again")
            platform.add_source(str(folder / HARDENED_TOP))
            return
        platform.add_verilog_include_path(str(folder / "rtl"))
        for name in manifest.files:
            if name.startswith("rtl/") and name.endswith(".sv"):
                platform.add_source(str(folder / name))
