"""Faults in registers and memories of a netlist of yosys: inputs of its top that flip a bit (docs/hardening.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pcedge.toolchain.checked_memories import Bits, Memory, Wiring, constant, memories

#: inputs of the top: a bit for each of `registers`; whether a bit of a memory is flipped; its memory, its word, and one
#: for each bit of the word
FLIPS, FLIP_MEMORY, FLIP_NUMBER, FLIP_WORD, FLIP_MASK = (
    "flips", "flip_memory", "flip_number", "flip_word", "flip_mask"
)  # fmt: skip
#: bits of two of them
_NUMBER_BITS, _WORD_BITS = 16, 32
_SAME = {"A_SIGNED": 0, "B_SIGNED": 0}


@dataclass(frozen=True)
class Register:
    """Describe what a bit of FLIPS may flip: a register, or what a memory gives, which is a register of its."""

    name: str
    #: its lowest bit's place in FLIPS
    place: int
    width: int
    #: whether it is a memory's
    of_memory: bool


@dataclass(frozen=True)
class FaultyMemory:
    """Describe a memory that bits are flipped in."""

    name: str
    words: int
    width: int
    is_image: bool


@dataclass(frozen=True)
class Faults:
    """List what can be flipped: every bit of state that a netlist has."""

    registers: tuple[Register, ...]
    #: FLIP_NUMBER counts them
    memories: tuple[FaultyMemory, ...]
    #: bits of FLIPS, of which some are nobody's
    flips: int

    @property
    def state_bits(self) -> int:
        """Count the bits of registers that are no memory's."""
        return sum(register.width for register in self.registers if not register.of_memory)

    @property
    def memory_bits(self) -> int:
        """Count the bits of memories, and of what they give."""
        given = sum(register.width for register in self.registers if register.of_memory)
        return given + sum(memory.words * memory.width for memory in self.memories)


def put_faults(module: dict[str, Any]) -> Faults:
    """Give a netlist inputs by which every bit of state can be flipped; all zeros leave it as it was.

    All count a cycle later, behind registers of their own: then a simulator has no logic between inputs and state. What
    a register takes at the end of that cycle is flipped with FLIPS, what a clocked port of a memory gives in it too. A
    bit of a memory is flipped at the end of it, and what is written there at once stays.
    """
    wiring = Wiring(module, "$fault")
    found = list(memories(module))
    places = tuple(FaultyMemory(memory.name, memory.size, memory.width, memory.is_image) for memory in found)
    names = _names(module)
    registers: list[Register] = []

    def flipped(bits: Bits, name: str, of_memory: bool) -> Bits:
        # no register lies in more words of 32 bits than it must: a simulator cuts it out in every cycle
        gap = -len(flips) % 32 if len(flips) % 32 + len(bits) > 32 else 0
        flips.extend(wiring.wire(gap))
        registers.append(Register(name, len(flips), len(bits), of_memory))
        flip = wiring.wire(len(bits))
        flips.extend(flip)
        return wiring.one("$xor", bits, flip, len(bits))

    flips: Bits = []
    for name, cell in sorted(module["cells"].items()):
        if cell["type"] == "$dff":
            of = names.get(cell["connections"]["Q"][0], name)
            cell["connections"]["D"] = flipped(cell["connections"]["D"], of, False)
    ports = {
        FLIP_MEMORY: wiring.wire(1), FLIP_NUMBER: wiring.wire(_NUMBER_BITS), FLIP_WORD: wiring.wire(_WORD_BITS),
        FLIP_MASK: wiring.wire(max(memory.width for memory in found)),
    }  # fmt: skip
    clock = next(cell["connections"]["CLK"] for cell in module["cells"].values() if cell["type"] == "$dff")
    for number, memory in enumerate(found):
        _flip_given(wiring, memory, flipped, clock)
        _flip_stored(wiring, memory, number, ports, clock)
    for name, bits in {FLIPS: flips, **ports}.items():
        given = wiring.wire(len(bits), name)
        wiring.cell("$dff", {"WIDTH": len(bits), "CLK_POLARITY": 1}, {"CLK": clock, "D": given}, {"Q": bits})
        module["ports"][name] = {"direction": "input", "bits": given}
        module["netnames"][f"{name}_now"] = {"hide_name": 0, "bits": bits, "attributes": {}}
    return Faults(tuple(registers), places, len(flips))


def _flip_given(wiring: Wiring, memory: Memory, flipped: Any, clock: Bits) -> None:
    """Put faults behind what clocked ports give; others have no register."""
    clocked, data = memory.number("RD_CLK_ENABLE"), memory.ports("RD", "DATA")
    given: Bits = []
    for port, bits in enumerate(data):
        if not clocked >> port & 1:
            given += bits
            continue
        inner = wiring.wire(len(bits))
        out = flipped(inner, f"{memory.name}[{port}]", True)
        if (enable := memory.ports("RD", "EN")[port]) != ["1"]:  # it stays flipped until the port reads again
            held, kept = wiring.wire(len(bits)), wiring.wire(len(bits))
            out = wiring.one("$xor", out, held, len(bits))
            wiring.cell(
                "$xor",
                _SAME | {"A_WIDTH": len(bits), "B_WIDTH": len(bits), "Y_WIDTH": len(bits)},
                {"A": out, "B": inner},
                {"Y": kept},
            )
            cleared = wiring.select(kept, enable, ["0"] * len(bits))
            wiring.cell("$dff", {"WIDTH": len(bits), "CLK_POLARITY": 1}, {"CLK": clock, "D": cleared}, {"Q": held})
        # what reads the port reads the result: its bits take the place of the ones that are there
        wiring.cell("$pos", {"A_SIGNED": 0, "A_WIDTH": len(bits), "Y_WIDTH": len(bits)}, {"A": out}, {"Y": bits})
        given += inner
    memory.cell["connections"]["RD_DATA"] = given


def _flip_stored(wiring: Wiring, memory: Memory, number: int, ports: Mapping[str, Bits], clock: Bits) -> None:
    """Add a port that reads a word and one, the first, that writes it with a bit flipped; other writes go first."""
    parameters, connections = memory.cell["parameters"], memory.cell["connections"]
    reads, writes, width = memory.number("RD_PORTS"), memory.number("WR_PORTS"), memory.width
    address_bits = memory.number("ABITS")
    address = [*ports[FLIP_WORD], *["0"] * address_bits][:address_bits]
    here = wiring.one("$eq", ports[FLIP_NUMBER], constant(number, _NUMBER_BITS))
    here = wiring.one("$and", here, ports[FLIP_MEMORY])
    word = wiring.wire(width)
    mask = ports[FLIP_MASK][:width]
    # ---- the port that reads is the last one, without a clock
    for name, value in {"CLK_ENABLE": "0", "CLK_POLARITY": "1", "WIDE_CONTINUATION": "0", "CE_OVER_SRST": "0"}.items():
        key = f"RD_{name}"
        parameters[key] = value + parameters[key][len(parameters[key]) - reads :]
    for name in ("INIT_VALUE", "ARST_VALUE", "SRST_VALUE"):
        parameters[f"RD_{name}"] = "x" * width + parameters[f"RD_{name}"][-reads * width :]
    connections["RD_ADDR"] = [*connections["RD_ADDR"], *address]
    connections["RD_DATA"] = [*connections["RD_DATA"], *word]
    for name, bit in {"CLK": "x", "EN": "1", "ARST": "0", "SRST": "0"}.items():
        connections[f"RD_{name}"] = [*connections[f"RD_{name}"], bit]
    parameters["RD_PORTS"] = f"{reads + 1:032b}"
    # ---- the port that writes is the first one
    seen = [_row(parameters["RD_TRANSPARENCY_MASK"], port, writes) for port in range(reads)]
    none = [False] * (writes + 1)
    parameters["RD_TRANSPARENCY_MASK"] = _table([*([False, *_flags(row)] for row in seen), none])
    parameters["RD_COLLISION_X_MASK"] = "0" * ((reads + 1) * (writes + 1))
    over = [_flags(_row(parameters["WR_PRIORITY_MASK"], port, writes)) for port in range(writes)]
    parameters["WR_PRIORITY_MASK"] = _table([none, *([True, *row] for row in over)])
    for name, value in {"CLK_ENABLE": "1", "CLK_POLARITY": "1", "WIDE_CONTINUATION": "0"}.items():
        old = parameters[f"WR_{name}"]
        parameters[f"WR_{name}"] = (old[len(old) - writes :] if writes else "") + value
    connections["WR_ADDR"] = [*address, *connections["WR_ADDR"]]
    connections["WR_DATA"] = [*wiring.one("$xor", word, mask, width), *connections["WR_DATA"]]
    connections["WR_EN"] = [*here * width, *connections["WR_EN"]]
    connections["WR_CLK"] = [*clock, *connections["WR_CLK"]]
    parameters["WR_PORTS"] = f"{writes + 1:032b}"


def _row(mask: str, port: int, others: int) -> str:
    """Give what a mask says of one port, the first of the others last."""
    bits = mask.rjust((port + 1) * others, "0")
    end = len(bits) - port * others
    return bits[end - others : end]


def _flags(row: str) -> list[bool]:
    return [bit == "1" for bit in reversed(row)]


def _table(rows: list[list[bool]]) -> str:
    """Write rows of flags as a mask, the first flag of the first row in the lowest bit."""
    return "".join("1" if flag else "0" for row in reversed(rows) for flag in reversed(row))


def _names(module: Mapping[str, Any]) -> dict[Any, str]:
    """Give every bit the name of a signal, one of the sources' rather than one that yosys made, and a short one."""
    nets = sorted(module["netnames"].items(), key=lambda item: (int(item[1]["hide_name"]), len(item[0])), reverse=True)
    return {bit: name for name, net in nets for bit in net["bits"]}
