"""Hardware units in Verilator: one binary of many instances, each driven by itself from Python."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from helpers.paths import ROOT
from pcedge.errors import MissingToolError
from pcedge.toolchain import open_tools, verilator
from pcedge.toolchain.tools import compiler

SOURCES = ROOT / "export/rtl/sources"
#: the units; sources of the engine need sizes that an exporter writes
UNITS = [path for path in sorted(SOURCES.glob("*.sv")) if "pc_types.svh" not in path.read_text(encoding="utf-8")]
HARNESS = ROOT / "tests/export/rtl/units.cpp"
BUILDS = ROOT / ".pytest_cache/verilated"

Values = Mapping[str, int]


def sources() -> list[Path]:
    """List the sources, and what the tests add to them."""
    return [*UNITS, *sorted(HARNESS.parent.glob("*.sv"))]


@dataclass(frozen=True)
class Unit:
    """Describe one instance: its ports beside clock, reset, valid and ready, each with its width."""

    module: str
    parameters: Mapping[str, int]
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]
    #: whether the inputs wait for in_ready, and the outputs for out_ready
    in_ready: bool = False
    out_ready: bool = False
    #: the port that says when there are outputs
    valid: str = "out_valid"

    def text(self, place: int) -> str:
        """Make the instance."""
        ports = [".clk(clk)", ".rst(rst)", f".in_valid(in_valid[{place}])", f".{self.valid}(out_valid[{place}])"]
        if self.in_ready:
            ports.append(f".in_ready(in_ready[{place}])")
        if self.out_ready:
            ports.append(f".out_ready(out_ready[{place}])")
        for side, widths in (("in", self.inputs), ("out", self.outputs)):
            start = 0
            for port, width in widths.items():
                ports.append(f".{port}({side}_data[{place}][{start}+:{width}])")
                start += width
        sizes = ", ".join(f".{name}({value})" for name, value in self.parameters.items())
        rest = "" if self.in_ready else f"  assign in_ready[{place}] = 1'b1;\n"
        used = sum(self.outputs.values())
        return f"  {self.module} #({sizes}) unit_{place} ({', '.join(ports)});\n{rest}" + (
            f"  assign out_data[{place}][BITS-1:{used}] = '0;\n"
        )

    def pack(self, values: Values) -> int:
        """Put the inputs side by side; a negative one is cut to its width."""
        word, start = 0, 0
        for port, width in self.inputs.items():
            value = values.get(port, 0)
            assert -(1 << width) <= 2 * value < 2 << width, f"{port} must fit {width} bits, got {value}"
            word |= (value & ((1 << width) - 1)) << start
            start += width
        return word

    def unpack(self, word: int) -> dict[str, int]:
        """Take the outputs apart, without signs."""
        values, start = {}, 0
        for port, width in self.outputs.items():
            values[port] = word >> start & ((1 << width) - 1)
            start += width
        return values


def signed(value: int, bits: int) -> int:
    """Read two's complement."""
    return value - (1 << bits) if value >> (bits - 1) else value


def join(entries: Sequence[int], width: int) -> int:
    """Put entries side by side, the first in the lowest bits."""
    return sum(entry << (width * place) for place, entry in enumerate(entries))


def split(word: int, width: int, count: int) -> list[int]:
    """Take entries apart."""
    return [word >> (width * place) & ((1 << width) - 1) for place in range(count)]


def has_verilator() -> bool:
    """Tell whether there is a Verilator, and a compiler for it."""
    try:
        open_tools.command("verilator")
        compiler()
    except MissingToolError:
        return False
    return shutil.which("make") is not None


@dataclass(frozen=True)
class Trace:
    """Say what a unit gave, and the cycles in which it did, and took."""

    outputs: list[dict[str, int]]
    given: list[int]
    taken: list[int]

    def latencies(self) -> set[int]:
        """Give the distances of each output from the input of its number."""
        assert len(self.given) == len(self.taken), "a unit must give as many outputs as it takes inputs"
        return {out - took for out, took in zip(self.given, self.taken, strict=True)}


@dataclass(frozen=True)
class Bench:
    """Hold the units of one binary, by name."""

    units: Mapping[str, Unit]

    def top(self) -> str:
        """Make the text of the top that holds them all."""
        body = "".join(unit.text(place) for place, unit in enumerate(self.units.values()))
        return (
            f"module units (\n  input logic clk,\n  input logic rst,\n"
            f"  input logic in_valid[{len(self.units)}],\n  output logic in_ready[{len(self.units)}],\n"
            f"  input logic [{self.bits - 1}:0] in_data[{len(self.units)}],\n"
            f"  output logic out_valid[{len(self.units)}],\n  input logic out_ready[{len(self.units)}],\n"
            f"  output logic [{self.bits - 1}:0] out_data[{len(self.units)}]\n);\n"
            f"  localparam int BITS = {self.bits};\n{body}endmodule\n"
        )

    @property
    def bits(self) -> int:
        """Give the width of the widest side of any unit, in whole words, with a bit to spare."""
        most = max(max(sum(u.inputs.values()), sum(u.outputs.values())) for u in self.units.values())
        return max(96, (most // 32 + 1) * 32)

    def binary(self) -> Path:
        """Build the binary, unless one of the same sources is there."""
        text = self.top()
        digest = hashlib.sha256("".join([text, *(path.read_text() for path in (HARNESS, *sources()))]).encode())
        folder = BUILDS / digest.hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        # the compiler that the tests of C++ name has their headers in front, which are no headers of Verilator's
        with tempfile.TemporaryDirectory() as name, mock.patch.dict(os.environ):
            os.environ.pop("PCEDGE_CXX", None)
            top = Path(name) / "units.sv"
            top.write_text(text)
            # memories and registers begin with anything
            flags = (*verilator.STRICT, "-Wno-PINMISSING", "--x-assign", "unique", "--x-initial", "unique")
            return verilator.build([*sources(), top], "units", [HARNESS], folder, flags=flags, optimise="-O0")

    def run(
        self, stimuli: Mapping[str, Sequence[Values | None]], seed: int = 1, gap: int = 0, stall: int = 0
    ) -> dict[str, Trace]:
        """Drive some units, and give what each does.

        Args:
            stimuli: the inputs of units by name, in their order; None is a cycle without one.
            seed: of gaps and stalls.
            gap: of 256 cycles, those in which no input is offered.
            stall: of 256 cycles, those in which no output is taken.
        """
        names = list(self.units)
        lines = [
            f"{names.index(name)} {'idle' if values is None else format(self.units[name].pack(values), 'x')}\n"
            for name, many in stimuli.items()
            for values in many
        ]
        with tempfile.TemporaryDirectory() as name:
            file = Path(name) / "inputs"
            file.write_text("".join(lines))
            done = subprocess.run(
                [self.binary(), file, str(seed), str(gap), str(stall)], capture_output=True, text=True, check=False
            )
        assert done.returncode == 0, done.stderr + done.stdout[-2000:]
        results = {name: Trace([], [], []) for name in stimuli}
        for line in done.stdout.splitlines():
            place, cycle, digits = line.split()
            trace = results[names[int(place)]]
            if digits == "in":
                trace.taken.append(int(cycle))
            else:
                trace.outputs.append(self.units[names[int(place)]].unpack(int(digits, 16)))
                trace.given.append(int(cycle))
        return results
