"""Hardening: in a small design every bit of state is flipped; parity tells of memories, votes hide registers."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from helpers.rtl_units import needs_verilator

from pcedge.errors import FormatError, UsageError
from pcedge.export.rtl.size import LEVELS
from pcedge.toolchain.checked_memories import Memory, check_memories, memories
from pcedge.toolchain.faults import Faults
from pcedge.toolchain.hardening import harden, put_faults_in
from pcedge.toolchain.verilator import LENIENT, build

HERE = Path(__file__).parent
TOP = "tested_hardening"
GUARD = HERE.parent.parent / "export/rtl/sources/pc_guard.sv"

#: ports of the top that all levels have
INPUTS = {"clk": 1, "rst": 1, "start": 1, "busy": 1, "write": 1, "write_at": 4, "write_data": 8, "at": 4}
OUTPUTS = {"image_data": 8, "row_data": 8, "queue_data": 8, "held": 8, "upset": 1}
FLIPPED = {"flip_memory": 1, "flip_number": 16, "flip_word": 32, "flip_mask": 9}

#: masked, detected, silent, of registers and of memories
Found = tuple[tuple[int, int, int], tuple[int, int, int]]


def levels_code(faults: dict[str, Faults]) -> str:
    """Write a module with the design once for each level, of which `level` chooses the outputs."""
    ports = [f"input logic [{bits - 1}:0] {name}" for name, bits in {**INPUTS, **FLIPPED, "level": 2}.items()]
    ports += [f"input logic [{found.flips - 1}:0] flips_{level}" for level, found in faults.items()]
    ports += [f"output logic [{bits - 1}:0] {name}" for name, bits in OUTPUTS.items()]
    lines = [f"module levels ({', '.join(ports)});"]
    for number, level in enumerate(faults):
        lines += [f"logic [{bits - 1}:0] {name}_{level};" for name, bits in OUTPUTS.items()]
        wires = [f".{name}({name})" for name in INPUTS] + [f".{name}({name}_{level})" for name in OUTPUTS]
        wires += [f".{name}({name})" for name in FLIPPED if name not in ("flip_memory", "flip_mask")]
        wires += [f".flip_mask(flip_mask[{max(memory.width for memory in faults[level].memories) - 1}:0])"]
        wires += [f".flip_memory(flip_memory && level == {number})", f".flips(flips_{level})"]
        lines.append(f"{TOP}_{level} {level} ({', '.join(wires)});")
    for name in OUTPUTS:
        chosen = " : ".join(f"level == {number} ? {name}_{level}" for number, level in enumerate(faults))
        lines.append(f"assign {name} = {chosen} : '0;")
    return "\n".join([*lines, "endmodule", ""])


@pytest.fixture(scope="module")
def flipped(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Found, str]]:
    """Flip every bit of every level; give what came of it, and the outputs' hash with whether a fault was told."""
    room = tmp_path_factory.mktemp("hardening")
    faults, sources = {}, []
    for level in LEVELS:
        source, faults[level] = put_faults_in(harden([HERE / f"{TOP}.sv", GUARD], TOP, level, room / level))
        code = re.sub(rf"\bmodule {TOP}\b", f"module {TOP}_{level}", source.read_text("utf-8"))
        sources.append(room / f"{level}.v")
        sources[-1].write_text(code, encoding="utf-8")
    sources.append(room / "levels.sv")
    sources[-1].write_text(levels_code(faults), encoding="utf-8")
    executable = build(sources, "levels", [HERE / f"{TOP}.cpp"], room / "simulator", flags=LENIENT, optimise="-O1")
    found = {}
    for number, (level, each) in enumerate(faults.items()):
        bits = {
            register.place + bit: str(int(register.of_memory))
            for register in each.registers for bit in range(register.width)
        }  # fmt: skip
        whose = "".join(bits.get(place, "-") for place in range(each.flips))
        sizes = [str(size) for memory in each.memories for size in (memory.words, memory.width)]
        said = subprocess.run([executable, str(number), whose, *sizes], capture_output=True, text=True, check=True)
        counts = said.stdout.split()
        three = [tuple(map(int, counts[at : at + 3])) for at in (0, 3)]
        found[level] = ((three[0], three[1]), " ".join(counts[6:]))
    return found


@needs_verilator
def test_every_bit(flipped: dict[str, tuple[Found, str]]) -> None:
    """Without checks memories are silent, without votes registers are; with both nothing is."""
    registers, stored = zip(*(flipped[level][0] for level in LEVELS), strict=True)
    assert stored[0][1] == 0 and stored[0][2] > 200  # so the faults reach the outputs
    assert stored[1][2] == 0 and stored[1][1] > 200
    assert stored[2][2] == 0 and stored[2][1] > 200
    assert registers[0][2] > 20 and registers[1][2] > 20
    assert registers[2][1:] == (0, 0) and registers[2][0] == sum(registers[1]) * 3


@needs_verilator
def test_outputs_without_a_fault(flipped: dict[str, tuple[Found, str]]) -> None:
    """All levels give the same, and the guard says nothing."""
    hashes = {said for _, said in flipped.values()}
    assert len(hashes) == 1
    assert hashes.pop().endswith(" 0")


@needs_verilator
def test_a_bit_of_parity_for_each_word(tmp_path: Path) -> None:
    """A memory is a bit wider, and its image's words have even parity."""
    harden([HERE / f"{TOP}.sv", GUARD], TOP, "parity", tmp_path)
    before, after = (
        {memory.name: memory for memory in memories(json.loads((tmp_path / name).read_bytes())["modules"][TOP])}
        for name in ("plain.json", "checked.json")
    )
    assert {name: memory.width + 1 for name, memory in before.items()} == {n: m.width for n, m in after.items()}
    image = after["image"]
    bits = image.cell["parameters"]["INIT"]
    words = [bits[len(bits) - 9 * (place + 1) : len(bits) - 9 * place] for place in range(11)]
    assert all(word.count("1") % 2 == 0 for word in words)
    assert [int(word[1:], 2) for word in words] == [(37 * place + 5) % 256 for place in range(11)]
    assert image.is_image and not after["rows"].is_image


def test_a_netlist_without_a_guard_is_refused() -> None:
    module = {"ports": {}, "netnames": {"clk": {"bits": [2]}}, "cells": {}}
    with pytest.raises(FormatError, match="must have memories and one pc_guard, it has 0 and 0"):
        check_memories(module, Path("plain.json"))


def test_a_write_of_a_part_of_a_word_is_refused() -> None:
    parameters = {"WR_PORTS": "1", "RD_PORTS": "0"}
    connections = {"WR_EN": [2, 3], "RD_SRST": [], "RD_ARST": []}
    cell = {"type": "$mem_v2", "parameters": parameters, "connections": connections}
    assert Memory("m", cell).ports("WR", "EN") == [[2, 3]]
    with pytest.raises(FormatError, match="memory m must write whole words"):
        list(memories({"cells": {"m": cell}}))


def test_levels(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"must be one of none, parity, tmr, got 'ecc'"):
        harden([GUARD], "pc_guard", "ecc", tmp_path)
