"""Devices of the open flow: what yosys and nextpnr are told of each, what it holds, and the pins of its board."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass
from dataclasses import fields as fields_of
from pathlib import Path
from reprlib import repr as shown
from typing import Any

from pcedge.errors import UsageError
from pcedge.export.target import CLOCK_NS, MOST_BYTES, MOST_LETTERS, MOST_RESOURCES, OPEN_FLOW, shipped

#: how a host talks to a board
BRIDGES = ("uart", "spi")

# Words of target files are written into constraint files and scripts of tools, where other characters have a meaning.
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_PORT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Family:
    """Hold what all devices of a family have in common."""

    #: bits of one block RAM, parity bits included
    bram_bits: int
    #: bits that one multiplier takes on each side
    multiplies: tuple[int, int]
    #: form of the constraint file that nextpnr reads
    constraints: str
    #: resources whose delays nextpnr does not know: paths through them are not in its frequency
    untimed: tuple[str, ...] = ()


#: Lattice FPGA-TN-02204 (ECP5 memory) and FPGA-TN-02205 (sysDSP), FPGA-TN-02002 and -02007 (iCE40), Gowin UG285, UG287
FAMILIES = {
    "ecp5": Family(18 * 1024, (18, 18), "lpf"),
    "ice40": Family(4 * 1024, (16, 16), "pcf"),
    "gowin": Family(18 * 1024, (18, 18), "cst", ("dsp",)),
}


@dataclass(frozen=True)
class Fabric:
    """Count what a device holds, in the units of nextpnr's reports."""

    #: look-up tables of four inputs; of iCE40 logic cells, each a table and a flip-flop
    lut: int
    #: flip-flops
    ff: int
    #: multipliers, `Family.multiplies` says how wide
    dsp: int
    #: block RAMs, `Family.bram_bits` says how large
    bram: int
    #: the vendor's name of a block RAM
    bram_kind: str
    #: pins that a design can use
    io: int
    #: single-port RAMs of 256 Kbit, which only iCE40 UltraPlus has
    spram: int = 0


@dataclass(frozen=True)
class Pin:
    """Say where a port of the board's top leaves the package."""

    pin: str
    #: voltage standard, as LVCMOS33
    standard: str = "LVCMOS33"
    #: up, down or none
    pull: str = "none"


@dataclass(frozen=True)
class Board:
    """Hold a board: its oscillator, and the pins of the ports of `pcedge_board`."""

    #: frequency at the pin `clk`
    oscillator_mhz: float
    #: one of `BRIDGES`
    bridge: str
    #: symbols a second on the serial line, clock cycles a second of SPI
    baud: int
    #: by the port's name: `clk` and, of a UART, `uart_rx` and `uart_tx`
    pins: Mapping[str, Pin]


@dataclass(frozen=True)
class OpenTarget:
    """Hold a target file of the open flow."""

    #: name, as in `--target`
    name: str
    #: `OPEN_FLOW`: such a target implies `--target rtl`
    flow: str
    #: one of `FAMILIES`
    family: str
    #: the vendor's name of the part
    part: str
    #: the device by nextpnr's name: 25k, up5k, GW2A-18C
    device: str
    #: the package by nextpnr's name; of Gowin it is in the part
    package: str
    #: speed grade, as in the part's name; empty where the family has none
    speed: str
    #: clock period that the engine is built for, in nanoseconds
    clock_ns: float
    #: what the device holds
    resources: Fabric
    #: None for a device alone, whose pins nextpnr chooses
    board: Board | None = None
    #: of Gowin, whose pins nextpnr does not choose: those of a clock, of an input and of an output
    pads: tuple[str, ...] = ()

    @property
    def frequency_mhz(self) -> float:
        """Give the clock frequency that is asked for."""
        return 1000 / self.clock_ns

    def as_dict(self) -> dict[str, object]:
        """Give the fields that are known, for the manifest."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def find_open_target(target: str) -> OpenTarget:
    """Find a device of the open flow by the name of a shipped file, or by the path of a TOML file of one's own.

    Raises:
        UsageError: there is no such target, or the file does not hold the fields of `OpenTarget`.
    """
    known = open_targets()
    if target in known:
        return known[target]
    if not target.endswith(".toml"):
        raise UsageError(f"the device must be one of {', '.join(known)} or a .toml file, got {target!r}")
    try:
        path = Path(target)
        if path.exists() and not path.is_file():  # a pipe or a device has no end
            raise ValueError("it is no file")
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1).decode("utf-8")
    except (OSError, ValueError) as error:
        raise _no_target(target, error) from error
    return read_open_target(text, target)


def open_targets() -> dict[str, OpenTarget]:
    """Read the shipped target files of the open flow, by name, in the order of names."""
    return {name: read_open_target(text, f"{name}.toml") for name, text in sorted(shipped(OPEN_FLOW).items())}


def is_open_target(target: str) -> bool:
    """Tell whether a name or path of `--target` is of the open flow, and so implies RTL."""
    if target in open_targets():
        return True
    if not target.endswith(".toml"):
        return False
    try:
        with Path(target).open("rb") as file:
            return bool(tomllib.loads(file.read(MOST_BYTES + 1).decode("utf-8")).get("flow") == OPEN_FLOW)
    except (OSError, ValueError, RecursionError):
        return False  # who reads it for its own flow says what is wrong with it


def read_open_target(text: str, where: str) -> OpenTarget:
    """Read the text of a target file.

    Args:
        text: TOML with the fields of `OpenTarget`, a table `resources`, and perhaps `board` with a table `pins`.
        where: the file's name, for messages.

    Raises:
        UsageError: a field is missing, unknown, of another kind, or out of its range.
    """
    try:
        if len(text) > MOST_BYTES:
            raise ValueError(f"it must have at most {MOST_BYTES} bytes, got more")
        fields = tomllib.loads(text)
        fields["resources"] = Fabric(**_fields(Fabric, fields.get("resources"), "resources"))
        if "board" in fields:
            board = _fields(Board, fields["board"], "board")
            if not isinstance(board["pins"], dict):
                raise TypeError("board.pins must be a table")
            board["pins"] = {
                name: Pin(**_fields(Pin, pin, f"board.pins.{_short(name)}")) for name, pin in board["pins"].items()
            }
            fields["board"] = Board(**board)
        if not isinstance(fields.setdefault("pads", []), list):
            raise TypeError("pads must be a list")
        fields["pads"] = tuple(fields["pads"])
        target = OpenTarget(**_fields(OpenTarget, fields, "it"))
        _check(target)
    except (ValueError, TypeError, RecursionError) as error:
        raise _no_target(where, error) from error
    return target


def _fields(kind: type[Any], table: object, what: str) -> dict[str, Any]:
    """Check a table's names against the fields of a dataclass."""
    if not isinstance(table, dict):
        raise TypeError(f"{what} must be a table")
    known = {field.name: field.default is MISSING for field in fields_of(kind)}
    if wrong := [name for name in table if name not in known]:
        raise TypeError(f"{what} must hold nothing else, got {', '.join(map(_short, wrong))}")
    if wrong := [name for name, needed in known.items() if needed and name not in table]:
        raise TypeError(f"{what} lacks {', '.join(wrong)}")
    return dict(table)


def _check(target: OpenTarget) -> None:
    _one_of("flow", target.flow, (OPEN_FLOW,))
    _one_of("family", target.family, tuple(FAMILIES))
    if not isinstance(target.name, str) or not 0 < len(target.name) <= MOST_LETTERS or not target.name.isprintable():
        raise ValueError(f"name must be a text of one line, got {shown(target.name)}")
    if "/" in target.name or target.name.startswith("."):  # a build's folder has it
        raise ValueError(f"name must have no slash, and not begin with a dot, got {shown(target.name)}")
    for name in ("part", "device", "package", "speed"):
        _word(name, getattr(target, name), empty=name in ("package", "speed"))
    _number("clock_ns", target.clock_ns, *CLOCK_NS)
    for name, count in asdict(target.resources).items():
        if name != "bram_kind" and (type(count) is not int or not 0 <= count <= MOST_RESOURCES):
            raise ValueError(f"{name} of resources must be a whole number in 0..{MOST_RESOURCES}, got {shown(count)}")
    _word("bram_kind", target.resources.bram_kind)
    if len(target.pads) != (3 if target.family == "gowin" else 0):
        raise ValueError(f"pads must name three pins of gowin, and none of others, got {len(target.pads)}")
    for pad in target.pads:
        _word("a pad", pad)
    if target.board is not None:
        _check_board(target.board)


def _check_board(board: Board) -> None:
    _one_of("bridge", board.bridge, BRIDGES)
    _number("oscillator_mhz", board.oscillator_mhz, 0.001, 10_000)
    if type(board.baud) is not int or not 1 <= board.baud <= MOST_RESOURCES:
        raise ValueError(f"baud must be a whole number in 1..{MOST_RESOURCES}, got {shown(board.baud)}")
    needed = {"uart": ("clk", "uart_rx", "uart_tx"), "spi": ("clk", "spi_clk", "spi_cs_n", "spi_mosi", "spi_miso")}
    if missing := [name for name in needed[board.bridge] if name not in board.pins]:
        raise ValueError(f"pins must name {', '.join(needed[board.bridge])}, {', '.join(missing)} is missing")
    taken: dict[str, str] = {}
    for name, pin in board.pins.items():
        if not _PORT.fullmatch(name):
            raise ValueError(f"pins must be named by ports, got {_short(name)}")
        _word(f"pin of {name}", pin.pin)
        _word(f"standard of {name}", pin.standard)
        _one_of(f"pull of {name}", pin.pull, ("up", "down", "none"))
        if pin.pin in taken:
            raise ValueError(f"pins must be used once, {pin.pin} is of {taken[pin.pin]} and {name}")
        taken[pin.pin] = name


def _word(name: str, value: object, empty: bool = False) -> None:
    if not isinstance(value, str) or len(value) > MOST_LETTERS or not (_WORD.fullmatch(value) or (empty and not value)):
        raise ValueError(f"{name} must be letters, digits, dots, slashes and dashes, got {shown(value)}")


def _number(name: str, value: object, low: float, high: float) -> None:
    if type(value) not in (int, float) or not low <= value <= high:  # type: ignore[operator]  # no NaN is in it
        raise ValueError(f"{name} must be a number in {low} to {high}, got {shown(value)}")


def _one_of(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {shown(value)}")


def _short(name: str) -> str:
    """Give the name of a field, or as much of it as fits a line."""
    return name if name.isprintable() and len(name) <= MOST_LETTERS else shown(name)


def _no_target(where: str, error: Exception) -> UsageError:
    return UsageError(f"{where} must be a TOML file with the fields of a device of the open flow ({error})")
