"""A SoC of LiteX around an engine of one stream: a serial line to its bus, memory, and DMA both ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from litex.build.generic_platform import GenericPlatform, Pins, Subsignal
from litex.build.io import CRG
from litex.soc.cores.dma import WishboneDMAReader, WishboneDMAWriter
from litex.soc.integration.builder import Builder
from litex.soc.integration.soc import SoCRegion
from litex.soc.integration.soc_core import SoCMini
from litex.soc.interconnect import wishbone

from pcedge.export.rtl.litex_engine import REGION_BYTES, LitexEngine

#: cycles a bit of the line, and the rates that say so
DIVISOR = 8
CLOCK, BAUD = 8_000_000, 1_000_000

MEMORY, ENGINE = 0x4000_0000, 0x5000_0000

_PORTS = [
    ("clk", 0, Pins(1)), ("serial", 0, Subsignal("tx", Pins(1)), Subsignal("rx", Pins(1))), ("led", 0, Pins(1)),
]  # fmt: skip


class _Platform(GenericPlatform):  # type: ignore[misc]
    """Take what is generated, build nothing."""

    def __init__(self) -> None:
        super().__init__("", _PORTS, name="verilator")
        self.device = ""

    def build(self, fragment: Any, build_dir: str, **options: Any) -> None:
        fragment = fragment.get_fragment()
        self.finalize(fragment)
        text = self.get_verilog(fragment, name="litex_soc")
        # its own way to write them leaves contents of memories in the working folder
        for name, content in {"litex_soc.v": text.main_source, **text.data_files}.items():
            (Path(build_dir) / name).write_text(content)


class Soc(SoCMini):  # type: ignore[misc]
    def __init__(self, platform: _Platform, project: Path) -> None:
        self.crg = CRG(platform.request("clk"))
        super().__init__(platform, CLOCK)
        self.add_uartbone(baudrate=BAUD)
        self.add_ram("memory", MEMORY, 0x8000)
        self.engine = LitexEngine(platform, project)
        self.bus.add_slave("engine", self.engine.bus, SoCRegion(origin=ENGINE, size=REGION_BYTES, cached=False))
        for name, kind in (("reader", WishboneDMAReader), ("writer", WishboneDMAWriter)):
            bus = wishbone.Interface(data_width=32, adr_width=30, addressing="word")
            dma = kind(bus, endianness="big", with_csr=True)
            setattr(self, name, dma)
            self.bus.add_master(name, bus)
        self.comb += [
            self.reader.source.connect(self.engine.sinks[0]),
            self.engine.sources[0].connect(self.writer.sink),
            platform.request("led").eq(self.engine.ev.done.status),
        ]


def generate(project: Path, folder: Path) -> tuple[Path, dict[str, int]]:
    """Write the SoC in Verilog; give the file, and addresses of registers by name."""
    platform = _Platform()
    soc = Soc(platform, project)
    builder = Builder(soc, output_dir=str(folder), compile_software=False, compile_gateware=True)
    builder.build(build_name="litex_soc")
    addresses = {
        f"{name}_{csr.name}": region.origin + 4 * index
        for name, region in soc.csr_regions.items() if isinstance(region.obj, list)
        for index, csr in _offsets(region.obj)
    }  # fmt: skip
    return next(folder.rglob("litex_soc.v")), addresses


def _offsets(csrs: list[Any]) -> list[tuple[int, Any]]:
    """Give the first word of every register, of which one of 64 bits has two."""
    out, place = [], 0
    for csr in csrs:
        out.append((place, csr))
        place += -(-csr.size // 32)
    return out
