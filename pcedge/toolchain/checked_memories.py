"""Parity on every memory of a netlist of yosys, and faults put into its registers and memories (docs/hardening.md).

A netlist is what `write_json` leaves after `proc`, `flatten` and `memory_collect`: words are still words, a memory is
one cell `$mem_v2`, a register one cell `$dff`. Bits of signals are numbers there, constants are characters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pcedge.arithmetic import ceil_log2
from pcedge.errors import FormatError

Bits = list[Any]

#: the module that hears of the checks, and what takes its place
GUARD, GUARD_HARDENED = "pc_guard", "pc_guard_hardened"

#: what the names of loaded images end with (pc_memory, pc_memory2)
_LOADED = ".g_loaded.memory"


@dataclass(frozen=True)
class Memory:
    """Read one cell `$mem_v2`."""

    name: str
    cell: dict[str, Any]

    def number(self, parameter: str) -> int:
        """Give a parameter that is a number."""
        return int(self.cell["parameters"][parameter], 2)

    @property
    def width(self) -> int:
        """Give the bits of a word."""
        return self.number("WIDTH")

    @property
    def size(self) -> int:
        """Count the words."""
        return self.number("SIZE")

    @property
    def is_image(self) -> bool:
        """Tell whether it holds a part of the circuit, or a table: what is not written by jobs."""
        return not self.number("WR_PORTS") or self.name.endswith(_LOADED)

    def ports(self, kind: str, signal: str) -> list[Bits]:
        """Give what is connected at a signal of all ports of a kind, RD or WR."""
        count, bits = self.number(f"{kind}_PORTS"), self.cell["connections"][f"{kind}_{signal}"]
        each = len(bits) // max(1, count)
        return [bits[port * each : (port + 1) * each] for port in range(count)]


@dataclass
class Wiring:
    """Add cells and wires to a module in yosys' JSON."""

    module: dict[str, Any]
    prefix: str
    #: the next bit without a name
    free: int = field(init=False)
    _count: int = 0

    def __post_init__(self) -> None:
        """Find the bits that are taken."""
        ports = (port["bits"] for port in self.module["ports"].values())
        nets = (net["bits"] for net in self.module["netnames"].values())
        cells = (bits for cell in self.module["cells"].values() for bits in cell["connections"].values())
        self.free = 1 + max(
            bit for source in (ports, nets, cells) for bits in source for bit in bits if bit not in _CONSTANT
        )

    def wire(self, width: int, name: str = "") -> Bits:
        """Make a signal of so many bits."""
        bits = list(range(self.free, self.free + width))
        self.free += width
        if name:
            self.module["netnames"][name] = {"hide_name": 0, "bits": bits, "attributes": {}}
        return bits

    def cell(self, kind: str, parameters: Mapping[str, int], inputs: Mapping[str, Bits], outputs: Mapping[str, Bits],
             name: str = "") -> None:  # fmt: skip
        """Add a cell."""
        self._count += 1
        self.module["cells"][name or f"{self.prefix}${self._count}"] = {
            "hide_name": 0, "type": kind, "attributes": {},
            "parameters": {key: f"{value:032b}" for key, value in parameters.items()},
            "port_directions": dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output"),
            "connections": {**inputs, **outputs},
        }  # fmt: skip

    def one(self, kind: str, a: Bits, b: Bits | None = None, width: int = 1) -> Bits:
        """Give the result of an operation without signs."""
        out = self.wire(width)
        parameters = {"A_SIGNED": 0, "A_WIDTH": len(a), "Y_WIDTH": width}
        inputs = {"A": a}
        if b is not None:
            parameters |= {"B_SIGNED": 0, "B_WIDTH": len(b)}
            inputs["B"] = b
        self.cell(kind, parameters, inputs, {"Y": out})
        return out

    def select(self, otherwise: Bits, where: Bits, chosen: Bits) -> Bits:
        """Give `chosen` where a bit is one."""
        out = self.wire(len(chosen))
        self.cell("$mux", {"WIDTH": len(chosen)}, {"A": otherwise, "B": chosen, "S": where}, {"Y": out})
        return out

    def register(self, clock: Bits, value: Bits, enable: Bits | None = None) -> Bits:
        """Give what a signal was in the cycle before, or in the last one before in which it was taken."""
        out = self.wire(len(value))
        if enable is not None and enable != ["1"]:
            value = self.select(out, enable, value)
        self.cell("$dff", {"WIDTH": len(value), "CLK_POLARITY": 1}, {"CLK": clock, "D": value}, {"Q": out})
        return out


_CONSTANT = frozenset("01xz")


def netlist_module(design: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Give the one module of a flattened netlist; others are black boxes.

    Raises:
        FormatError: there is not one.
    """
    found = [module for module in design["modules"].values() if "blackbox" not in module["attributes"]]
    if len(found) != 1:
        raise FormatError("netlist", f"{path} must hold one module, it holds {len(found)}")
    module: dict[str, Any] = found[0]
    return module


def memories(module: Mapping[str, Any]) -> Iterator[Memory]:
    """List the memories of a module.

    Raises:
        FormatError: one is not what checks and faults are made for: a write leaves bits of a word as they were, or what
            is read has a reset.
    """
    for name, cell in sorted(module["cells"].items()):
        if cell["type"] != "$mem_v2":
            continue
        memory = Memory(name, cell)
        parts = any(len(set(map(str, bits))) > 1 for bits in memory.ports("WR", "EN"))
        if parts or set(cell["connections"]["RD_SRST"] + cell["connections"]["RD_ARST"]) - {"0", "x"}:
            raise FormatError("netlist", f"memory {name} must write whole words, and what it gives have no reset")
        yield memory


def check_memories(module: dict[str, Any], path: Path) -> int:
    """Give every word of every memory a bit of parity, and tell the guard where a port reads one that has not its own.

    Words that nobody wrote are zeros. The guard is exchanged, and has the ports of images read all words while no job
    is at work.

    Returns:
        How many bits of parity the memories have.

    Raises:
        FormatError: the netlist has no guard, or a memory that cannot be checked.
    """
    wiring = Wiring(module, "$parity")
    found = list(memories(module))
    guards = [cell for cell in module["cells"].values() if cell["type"] == GUARD]
    if len(guards) != 1 or not found:
        raise FormatError(
            "netlist", f"{path} must have memories and one {GUARD}, it has {len(found)} and {len(guards)}"
        )
    clock = guards[0]["connections"]["clk"]
    place_bits = max(ceil_log2(memory.size) for memory in found if memory.is_image)
    scrubs, place = wiring.wire(1, "guard_scrubs"), wiring.wire(place_bits, "guard_place")
    errors: Bits = []
    for memory in found:
        if memory.is_image:
            _scrub(wiring, memory, scrubs, place)
        errors += _check(wiring, memory, clock)
    guards[0]["type"] = GUARD_HARDENED
    guards[0]["parameters"] = {"ERRORS": f"{len(errors):032b}", "PLACE_BITS": f"{place_bits:032b}"}
    guards[0]["connections"] |= {"errors": errors, "scrubs": scrubs, "place": place}
    guards[0]["port_directions"] |= {"errors": "input", "scrubs": "output", "place": "output"}
    return sum(memory.size for memory in found)


def _scrub(wiring: Wiring, memory: Memory, scrubs: Bits, place: Bits) -> None:
    """Have the first port of an image read the guard's place, where it has such a word, while no job is at work."""
    first, *others = memory.ports("RD", "ADDR")
    wide = [*place, *["0"] * len(first)][: len(first)]
    here = scrubs
    if memory.size < 1 << len(place):
        here = wiring.one("$and", scrubs, wiring.one("$lt", place, constant(memory.size, len(place))))
    chosen = wiring.select(first, here, wide)
    writes = memory.ports("WR", "ADDR")
    # the loader's port is the same one of a block RAM: it writes only during a job, so both may have the address
    memory.cell["connections"]["WR_ADDR"] = [bit for bits in writes for bit in (chosen if bits == first else bits)]
    memory.cell["connections"]["RD_ADDR"] = [*chosen, *(bit for bits in others for bit in bits)]


def _check(wiring: Wiring, memory: Memory, clock: Bits) -> Bits:
    """Widen a memory by a bit of parity; give a bit for each port that reads: what it gives has another parity."""
    width, cell = memory.width, memory.cell
    connections, parameters = cell["connections"], cell["parameters"]
    size = memory.size
    addresses, read = memory.ports("RD", "ADDR"), memory.ports("RD", "DATA")
    written, enables = memory.ports("WR", "DATA"), memory.ports("WR", "EN")
    clocked = memory.number("RD_CLK_ENABLE")
    parities = [wiring.wire(1) for _ in read]
    connections["RD_DATA"] = [bit for data, parity in zip(read, parities, strict=True) for bit in [*data, *parity]]
    connections["WR_DATA"] = [bit for data in written for bit in [*data, *wiring.one("$reduce_xor", data)]]
    connections["WR_EN"] = [bit for enable in enables for bit in [*enable, enable[0]]]
    words = _words(parameters["INIT"], size, width)
    parameters["INIT"] = "".join(f"{word.count('1') % 2}{word}" for word in reversed(words))
    parameters["WIDTH"] = f"{width + 1:032b}"
    for name in ("RD_INIT_VALUE", "RD_ARST_VALUE", "RD_SRST_VALUE"):
        parameters[name] = "x" * ((width + 1) * len(read))
    errors: Bits = []
    for port, (address, data, parity) in enumerate(zip(addresses, read, parities, strict=True)):
        error = wiring.one("$reduce_xor", [*data, *parity])
        if size < 1 << len(address):  # a place without a word may read as anything
            inside = wiring.one("$lt", address, constant(size, len(address)))
            if clocked >> port & 1:
                inside = wiring.register(clock, inside, memory.ports("RD", "EN")[port])
            error = wiring.one("$and", error, inside)
        errors += error
    return errors


def _words(image: str, size: int, width: int) -> list[str]:
    """Cut an image into words, the first one first; what nobody wrote is zeros."""
    bits = image.replace("x", "0").rjust(size * width, "0")
    return [bits[len(bits) - (place + 1) * width : len(bits) - place * width] for place in range(size)]


def constant(value: int, width: int) -> Bits:
    """Give a number as bits, the lowest first."""
    return list(reversed(f"{value:0{max(width, value.bit_length())}b}"))
